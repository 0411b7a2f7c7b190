//! Time that stands still while anything is under way, and is moved on when nothing is.
//!
//! Everything of a history runs on one thread, whose clock is paused. What the runtime cannot see it is told: calls to the
//! ledger run on SQLite's own threads, so they are counted here. Nobody ever waits for real time to pass.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// The clock is moved on by so much at a time.
const STRIDE: Duration = Duration::from_millis(50);
/// Looks at the sockets in which nothing happens before time goes on: more than one answer of a loopback takes.
const LOOKS: u32 = 12;
/// Milliseconds since 1970 UTC at which every history begins.
const BEGIN_MS: i64 = 1_790_000_000_000;

/// The clock of one history. Clones are the same clock.
#[derive(Clone)]
pub(super) struct Clock(Arc<Inner>);

struct Inner {
    began: Instant,
    /// Calls to the ledger that have begun or ended.
    beats: AtomicU64,
    /// Calls that run on other threads now.
    elsewhere: AtomicUsize,
    /// One of those has ended.
    over: Notify,
    /// The process is dead: whatever it asks the ledger is never answered.
    dead: AtomicBool,
    /// The beat at which it dies.
    dies_at: AtomicU64,
}

/// How a process came to its end.
pub(super) enum End<T> {
    /// By itself.
    Done(T),
    /// It was made to die.
    Died,
    /// It has not come to its end in the time that anything may take.
    Stuck,
}

/// When a process is made to die.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Death {
    /// At the n-th beginning or end of a call to the ledger.
    Call(u64),
    /// After so many looks at the sockets, counted from the n-th request to Graph.
    Request(u64, u32),
}

/// A call that runs on another thread.
pub(super) struct Elsewhere(Clock);

impl Drop for Elsewhere {
    fn drop(&mut self) {
        self.0.0.elsewhere.fetch_sub(1, Ordering::SeqCst);
        self.0.0.over.notify_one();
    }
}

impl Clock {
    /// A clock; the runtime's must be paused.
    pub(super) fn new() -> Self {
        Self(Arc::new(Inner {
            began: Instant::now(),
            beats: AtomicU64::new(0),
            elsewhere: AtomicUsize::new(0),
            over: Notify::new(),
            dead: AtomicBool::new(false),
            dies_at: AtomicU64::new(u64::MAX),
        }))
    }

    /// Now, in milliseconds since 1970 UTC.
    pub(super) fn now_ms(&self) -> i64 {
        BEGIN_MS + i64::try_from(self.0.began.elapsed().as_millis()).unwrap_or(0)
    }

    /// Tells that something runs on another thread until the answer is dropped.
    pub(super) fn elsewhere(&self) -> Elsewhere {
        self.0.elsewhere.fetch_add(1, Ordering::SeqCst);
        Elsewhere(self.clone())
    }

    /// A call to the ledger begins or has ended. One of a dead process goes no further.
    pub(super) async fn beat(&self) {
        let beat = self.0.beats.fetch_add(1, Ordering::SeqCst) + 1;
        if beat >= self.0.dies_at.load(Ordering::SeqCst) {
            self.0.dead.store(true, Ordering::SeqCst);
        }
        if self.0.dead.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
    }

    /// Sees a process through to its end, moving time on whenever nothing else can happen. `requests` counts what it has
    /// asked Graph so far.
    pub(super) async fn see_through<T>(
        &self,
        mut process: JoinHandle<T>,
        requests: impl Fn() -> u64,
        death: Option<Death>,
        limit: Duration,
    ) -> End<T> {
        let began = Instant::now();
        let beats = || self.0.beats.load(Ordering::SeqCst);
        self.0.dead.store(false, Ordering::SeqCst);
        let last_beat = match death {
            Some(Death::Call(n)) => beats().saturating_add(n),
            Some(Death::Request(..)) | None => u64::MAX,
        };
        self.0.dies_at.store(last_beat, Ordering::SeqCst);
        let mut fuse = None;
        while began.elapsed() < limit {
            let mut seen = (beats(), requests());
            let mut quiet = 0;
            while quiet < LOOKS {
                if process.is_finished() {
                    return match (&mut process).await {
                        Ok(end) => End::Done(end),
                        Err(fault) => std::panic::resume_unwind(fault.into_panic()),
                    };
                }
                if let (None, Some(Death::Request(n, looks))) = (fuse, death)
                    && requests() >= n
                {
                    fuse = Some(looks);
                }
                match fuse.as_mut() {
                    Some(0) => self.0.dead.store(true, Ordering::SeqCst),
                    Some(looks) => *looks -= 1,
                    None => {}
                }
                if self.0.dead.load(Ordering::SeqCst) {
                    self.bury(process).await;
                    return End::Died;
                }
                if self.0.elsewhere.load(Ordering::SeqCst) > 0 {
                    self.0.over.notified().await;
                    quiet = 0;
                    continue;
                }
                tokio::task::yield_now().await;
                let now = (beats(), requests());
                quiet = if now == seen { quiet + 1 } else { 0 };
                seen = now;
            }
            tokio::time::advance(STRIDE).await;
        }
        self.0.dead.store(true, Ordering::SeqCst);
        self.bury(process).await;
        End::Stuck
    }

    /// Calls that have begun are let end, so that nothing of the dead one happens afterwards; then it is gone.
    async fn bury<T>(&self, process: JoinHandle<T>) {
        while self.0.elsewhere.load(Ordering::SeqCst) > 0 {
            self.0.over.notified().await;
        }
        process.abort();
        // Its end is that of somebody aborted, or its own a moment before; neither tells anything.
        drop(process.await);
        for _ in 0..LOOKS {
            tokio::task::yield_now().await;
        }
    }

    /// Lets time pass with nobody at work.
    pub(super) async fn pass(&self, time: Duration) {
        let until = Instant::now() + time;
        while Instant::now() < until {
            for _ in 0..LOOKS {
                tokio::task::yield_now().await;
            }
            tokio::time::advance(STRIDE.min(until - Instant::now())).await;
        }
        for _ in 0..LOOKS {
            tokio::task::yield_now().await;
        }
    }
}
