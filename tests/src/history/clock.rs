//! Time that stands still while anything is under way, and is moved on when nothing is.
//!
//! Everything of a history runs on one thread, whose clock is paused. What the runtime cannot see it is told: calls to the
//! ledger run on SQLite's own threads, so they are counted here. Nobody ever waits for real time to pass; what never ends of itself
//! is broken off after a limit of real time, by the thread that holds the clock (`super::walk`).

use graph::Pace;
use std::cell::Cell;
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
/// So few calls a second that none is ever sent.
const NOTHING_PER_S: f64 = 1e-6;
/// Moments after which what a dead process has sent has arrived.
const MOMENTS: u32 = 50;
/// Milliseconds since 1970 UTC at which every history begins.
const BEGIN_MS: i64 = 1_790_000_000_000;

/// The clock of one history. Clones are the same clock.
#[derive(Clone)]
pub(super) struct Clock(Arc<Inner>);

struct Inner {
    began: Instant,
    /// Calls that run on other threads now.
    elsewhere: AtomicUsize,
    /// One of those has ended.
    over: Notify,
}

/// The life of one process. Clones are the same life.
///
/// Tasks may outlive the task that began them: once it is over, whatever one of them asks the ledger is never answered.
#[derive(Clone)]
pub(super) struct Life(Arc<Beats>);

struct Beats {
    /// Calls to the ledger that have begun or ended.
    beats: AtomicU64,
    over: AtomicBool,
    /// The beat at which it is over.
    last: AtomicU64,
}

impl Life {
    /// A new process.
    pub(super) fn new() -> Self {
        let last = AtomicU64::new(u64::MAX);
        Self(Arc::new(Beats { beats: AtomicU64::new(0), over: AtomicBool::new(false), last }))
    }

    /// A call to the ledger begins or has ended. One of a dead process goes no further.
    pub(super) async fn beat(&self) {
        let beat = self.0.beats.fetch_add(1, Ordering::SeqCst) + 1;
        if beat >= self.0.last.load(Ordering::SeqCst) {
            self.end();
        }
        if self.is_over() {
            std::future::pending::<()>().await;
        }
    }

    fn end(&self) {
        self.0.over.store(true, Ordering::SeqCst);
    }

    fn is_over(&self) -> bool {
        self.0.over.load(Ordering::SeqCst)
    }
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

/// What one process has sent to the tenant, and what has reached it.
pub(super) struct Wire<'w> {
    pace: &'w Pace,
    arrived: &'w AtomicU64,
    before: u64,
    /// Requests that will never reach it, such as one whose connection could not be had.
    lost: Cell<u64>,
}

impl<'w> Wire<'w> {
    /// Between a process that has sent nothing yet and the tenant.
    pub(super) fn new(pace: &'w Pace, arrived: &'w AtomicU64) -> Self {
        Self { pace, arrived, before: arrived.load(Ordering::SeqCst), lost: Cell::new(0) }
    }

    /// Requests that the process has begun to send.
    pub(super) fn sent(&self) -> u64 {
        self.pace.counts().round_trips
    }

    /// Whether some of them have not reached the tenant.
    fn is_busy(&self) -> bool {
        self.sent() > self.here() + self.lost.get()
    }

    /// Those that have.
    fn here(&self) -> u64 {
        self.arrived.load(Ordering::SeqCst) - self.before
    }

    /// Nothing more is sent: a dead process has no quota.
    fn cut(&self) {
        for bucket in graph::Bucket::ALL {
            self.pace.cap(bucket, Some(NOTHING_PER_S));
        }
    }

    /// Takes those that have not for lost.
    fn give_up(&self) {
        self.lost.set(self.sent().saturating_sub(self.here()));
    }
}

/// Lets the machine deliver what it has in hand: a fifth of a millisecond, in real time.
async fn a_moment() {
    let waiting = tokio::task::spawn_blocking(|| std::thread::park_timeout(Duration::from_micros(200)));
    drop(waiting.await);
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
        Self(Arc::new(Inner { began: Instant::now(), elsewhere: AtomicUsize::new(0), over: Notify::new() }))
    }

    /// Now, in milliseconds since 1970 UTC.
    pub(super) fn now_ms(&self) -> i64 {
        BEGIN_MS + i64::try_from(self.0.began.elapsed().as_millis()).unwrap_or(0)
    }

    /// How it stands, in words.
    pub(super) fn standing(&self) -> String {
        let elsewhere = self.0.elsewhere.load(Ordering::SeqCst);
        format!("{elsewhere} calls on other threads, at {} ms", self.now_ms() - BEGIN_MS)
    }

    /// Tells that something runs on another thread until the answer is dropped.
    pub(super) fn elsewhere(&self) -> Elsewhere {
        self.0.elsewhere.fetch_add(1, Ordering::SeqCst);
        Elsewhere(self.clone())
    }

    /// Sees a process through to its end, moving time on whenever nothing else can happen.
    pub(super) async fn see_through<T>(
        &self,
        mut process: JoinHandle<T>,
        life: &Life,
        wire: &Wire<'_>,
        death: Option<Death>,
        limit: Duration,
    ) -> End<T> {
        let began = Instant::now();
        let beats = || life.0.beats.load(Ordering::SeqCst);
        if let Some(Death::Call(n)) = death {
            life.0.last.store(n, Ordering::SeqCst);
        }
        let mut fuse = None;
        while began.elapsed() < limit {
            let mut seen = (beats(), wire.sent());
            let mut quiet = 0;
            while quiet < LOOKS || wire.is_busy() {
                if process.is_finished() {
                    return match (&mut process).await {
                        Ok(end) => End::Done(end),
                        Err(fault) => std::panic::resume_unwind(fault.into_panic()),
                    };
                }
                if let (None, Some(Death::Request(n, looks))) = (fuse, death)
                    && wire.sent() >= n
                {
                    fuse = Some(looks);
                }
                if fuse == Some(0) {
                    life.end();
                }
                if life.is_over() {
                    self.bury(process, wire).await;
                    return End::Died;
                }
                if self.0.elsewhere.load(Ordering::SeqCst) > 0 {
                    self.0.over.notified().await;
                    quiet = 0;
                    continue;
                }
                tokio::task::yield_now().await;
                fuse = fuse.map(|looks: u32| looks.saturating_sub(1));
                let now = (beats(), wire.sent());
                quiet = if now == seen { quiet + 1 } else { 0 };
                seen = now;
                if quiet > LOOKS + MOMENTS {
                    wire.give_up();
                } else if quiet > LOOKS {
                    a_moment().await;
                }
            }
            tokio::time::advance(STRIDE).await;
        }
        life.end();
        self.bury(process, wire).await;
        End::Stuck
    }

    /// Calls that have begun are let end, so that nothing of the dead one happens afterwards; then it is gone.
    async fn bury<T>(&self, process: JoinHandle<T>, wire: &Wire<'_>) {
        wire.cut();
        while self.0.elsewhere.load(Ordering::SeqCst) > 0 {
            self.0.over.notified().await;
        }
        process.abort();
        // Its end is that of somebody aborted, or its own a moment before; neither tells anything.
        drop(process.await);
        for _ in 0..LOOKS {
            tokio::task::yield_now().await;
        }
        // What it has sent arrives now; what it had not sent yet never will.
        let mut moments = 0;
        while wire.is_busy() && moments < MOMENTS {
            a_moment().await;
            moments += 1;
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
