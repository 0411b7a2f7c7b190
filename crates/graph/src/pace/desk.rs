//! One process's side of a bucket that is shared: its own queue, what it was granted, and the reports it still owes.
//!
//! Invariants: what is handed out was granted before, and is void once a hold is known; callers go in the order of
//! asking; one that gives up takes nothing with it and holds nobody up.

mod steps;

use super::row::{Ask, Report, Told};
use super::shared::SharedPace;
use super::smooth::Block;
use super::{Bucket, Held};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, sleep_until};

/// Reports wait so long for company.
const COMPANY: Duration = Duration::from_millis(50);
/// Reports of throttles that are kept apart while the book is away; beyond them counts are added to the last one.
const REPORTS_MOST: usize = 256;
/// Bundles of the own queue that one step looks at.
const LINE_LOOK: usize = 64;
/// Below this use, in calls a second, quota is asked for those who wait and nobody else.
const STOCK_FROM_PER_S: f64 = 400.0;
/// Stock: so many seconds of the process's own use.
const STOCK_S: f64 = 0.1;
/// A hold that the server gave no figure for, until the row has its own.
const BARE_HOLD: Duration = Duration::from_secs(1);

/// A throttle or some successes, in the process's own time.
#[derive(Debug, Clone, Copy)]
struct Owed {
    sent: Instant,
    answered: Instant,
    accepted: u32,
    rejected: u32,
    retry_after: Option<Duration>,
}

struct Waiter {
    id: u64,
    n: u32,
    not_after: Instant,
    answer: oneshot::Sender<Result<Instant, Held>>,
}

/// The last that was seen of the row.
#[derive(Debug, Clone, Copy)]
struct Seen {
    rate_per_s: f64,
    learned: Option<f64>,
    /// When to look again.
    back: Option<Instant>,
    /// When the head of the queue can go at the earliest.
    due: Option<Instant>,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Waiter>,
    next_id: u64,
    blocks: VecDeque<Block>,
    owed: Vec<Owed>,
    /// Since when the oldest report waits.
    owed_since: Option<Instant>,
    /// A report or a pause that everybody must know of at once.
    is_urgent: bool,
    hold: Option<Instant>,
    /// A hold that is no throttle and not yet on the row.
    pause: Option<Instant>,
    restored: Option<f64>,
    /// What the operator allows, in calls a second.
    cap: Option<f64>,
    seen: Option<Seen>,
    /// Calls handed out since the start of the measurement, and the use measured before.
    used: (u32, Option<Instant>, f64),
    is_closed: bool,
}

/// What all clones of a pace share for one bucket.
struct Counter {
    who: u64,
    bucket: Bucket,
    state: Mutex<State>,
    changed: Notify,
}

/// The process's side of one bucket. Dropping it ends the task behind it, after a last report.
pub(super) struct Desk(Arc<Counter>);

impl Desk {
    /// Needs a Tokio runtime: a task of its own does the steps.
    pub(super) fn open(book: Arc<dyn SharedPace>, bucket: Bucket) -> Self {
        let who = uuid::Uuid::new_v4().as_u64_pair().0;
        let counter = Arc::new(Counter { who, bucket, state: Mutex::default(), changed: Notify::new() });
        tokio::spawn(steps::serve(Arc::clone(&counter), book));
        Self(counter)
    }

    /// Waits for `n` calls' turn; answers when it was.
    pub(super) async fn acquire(&self, n: u32, not_after: Instant) -> Result<Instant, Held> {
        let (answer, mut answered) = oneshot::channel();
        let _leaving = {
            let mut state = self.0.state();
            let now = Instant::now();
            if now > not_after {
                return Err(Held { until: state.hold.unwrap_or(now).max(now) });
            }
            if let Some(until) = state.hold.filter(|until| *until > not_after) {
                return Err(Held { until });
            }
            if state.waiting.is_empty() && state.take(n, now).is_ok() {
                if state.wants_stock() {
                    self.0.changed.notify_one();
                }
                return Ok(now);
            }
            let id = state.next_id;
            state.next_id += 1;
            state.waiting.push_back(Waiter { id, n, not_after, answer });
            Leaving { counter: &self.0, id }
        };
        self.0.changed.notify_one();
        tokio::select! {
            biased;
            told = &mut answered => told.unwrap_or_else(|_| Err(Held { until: Instant::now() })),
            () = sleep_until(not_after) => Err(self.0.state().too_late(Instant::now())),
        }
    }

    /// Reports what the server said; the end of the hold, if it throttled.
    pub(super) fn settled(
        &self,
        now: Instant,
        sent: Instant,
        accepted: u32,
        rejected: u32,
        retry_after: Option<Duration>,
    ) -> Option<Instant> {
        let owed = Owed { sent, answered: now, accepted, rejected, retry_after };
        let mut state = self.0.state();
        let is_new = state.owed.is_empty();
        state.owe(owed);
        let until = (rejected > 0).then(|| {
            let is_old_news = state.hold.is_some_and(|hold| sent < hold);
            let wait = retry_after.unwrap_or(if is_old_news { Duration::ZERO } else { BARE_HOLD });
            state.hold_until(now + wait.min(FURTHEST))
        });
        state.is_urgent |= rejected > 0;
        drop(state);
        if is_new || until.is_some() {
            self.0.changed.notify_one();
        }
        until
    }

    pub(super) fn hold_until(&self, until: Instant) {
        let mut state = self.0.state();
        let until = state.hold_until(until);
        state.pause = state.pause.max(Some(until));
        state.is_urgent = true;
        drop(state);
        self.0.changed.notify_one();
    }

    pub(super) fn held_for(&self, now: Instant) -> Option<Duration> {
        self.0.state().hold.and_then(|hold| hold.checked_duration_since(now)).filter(|d| !d.is_zero())
    }

    /// The rate as last seen, or the one the search begins with, and whether it was learned.
    pub(super) fn rate(&self) -> (f64, bool) {
        let state = self.0.state();
        match state.seen {
            Some(seen) => (state.capped(seen.rate_per_s), seen.learned.is_some()),
            None => {
                let rate = state.restored.unwrap_or(self.0.bucket.start_per_s());
                (state.capped(rate), state.restored.is_some())
            }
        }
    }

    /// From the next step on no more than this is asked for; what was granted is void.
    pub(super) fn cap(&self, cap: Option<f64>) {
        let mut state = self.0.state();
        if state.cap == cap {
            return;
        }
        state.cap = cap;
        state.blocks.clear();
        state.seen = state.seen.map(|seen| Seen { back: None, due: None, ..seen });
        drop(state);
        self.0.changed.notify_one();
    }

    pub(super) fn learned(&self) -> Option<f64> {
        let state = self.0.state();
        match state.seen {
            Some(seen) => seen.learned,
            None => state.restored,
        }
    }

    /// A row that has no state yet may begin with this rate.
    pub(super) fn restore(&self, rate_per_s: f64) {
        self.0.state().restored = Some(rate_per_s);
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.0.state().is_closed = true;
        self.0.changed.notify_one();
    }
}

/// No hold is longer, so that no time overflows.
const FURTHEST: Duration = Duration::from_secs(86_400);

/// A caller in the queue. If it gives up, its place is free at once; what it was handed in that very moment is lost.
struct Leaving<'a> {
    counter: &'a Counter,
    id: u64,
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        let mut state = self.counter.state();
        let before = state.waiting.len();
        state.waiting.retain(|waiter| waiter.id != self.id);
        if state.waiting.len() < before {
            drop(state);
            self.counter.changed.notify_one();
        }
    }
}

impl Counter {
    /// The state is left whole by every method, so a poisoned lock is as good as another.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Takes calls from what was granted; otherwise tells when to try again, if that is known.
    fn take(&mut self, n: u32, now: Instant) -> Result<(), Option<Instant>> {
        if let Some(hold) = self.hold.filter(|hold| *hold > now) {
            return Err(Some(hold));
        }
        self.blocks.retain(|block| !block.is_void(now));
        if self.granted() < n {
            return Err(None);
        }
        let mut missing = n;
        while let Some(block) = self.blocks.front_mut().filter(|_| missing > 0) {
            match block.take(missing, now) {
                Ok(taken) => missing -= taken,
                Err(at) => {
                    // What was taken of an earlier block waits for the rest.
                    if missing < n {
                        self.blocks.push_front(Block::new(n - missing, now, f64::MAX));
                    }
                    return Err(Some(at));
                }
            }
            if block.left() == 0 {
                self.blocks.pop_front();
            }
        }
        self.used.0 = self.used.0.saturating_add(n);
        Ok(())
    }

    fn capped(&self, rate_per_s: f64) -> f64 {
        self.cap.map_or(rate_per_s, |cap| cap.min(rate_per_s))
    }

    fn granted(&self) -> u32 {
        self.blocks.iter().map(Block::left).fold(0, u32::saturating_add)
    }

    /// Lets go whose turn it is, sends away who waits in vain; tells when to look again.
    fn hand_out(&mut self, now: Instant) -> Option<Instant> {
        self.waiting.retain(|waiter| !waiter.answer.is_closed());
        let mut next = None;
        while let Some(n) = self.waiting.front().map(|head| head.n) {
            match self.take(n, now) {
                Ok(()) => {
                    let Some(head) = self.waiting.pop_front() else { break };
                    if head.answer.send(Ok(now)).is_err() {
                        self.blocks.push_front(Block::new(n, now, f64::MAX));
                    }
                }
                Err(at) => {
                    next = at;
                    break;
                }
            }
        }
        self.dismiss();
        next
    }

    /// Tells those whose deadline comes before anything can go.
    fn dismiss(&mut self) {
        let Some(first) = self.waiting.front() else { return };
        let due = self.seen.and_then(|seen| seen.due).filter(|due| *due > first.not_after);
        if let Some(until) = due.filter(|_| self.blocks.is_empty())
            && let Some(head) = self.waiting.pop_front()
        {
            // Nobody waits any more if the receiver is gone.
            head.answer.send(Err(Held { until })).ok();
            self.seen = self.seen.map(|seen| Seen { due: None, ..seen });
        }
        let Some(until) = self.hold else { return };
        let (in_vain, waiting) =
            std::mem::take(&mut self.waiting).into_iter().partition(|waiter| waiter.not_after < until);
        self.waiting = waiting;
        let in_vain: VecDeque<Waiter> = in_vain;
        for waiter in in_vain {
            waiter.answer.send(Err(Held { until })).ok();
        }
    }

    fn too_late(&self, now: Instant) -> Held {
        let seen = self.seen.and_then(|seen| seen.due);
        Held { until: self.hold.max(seen).unwrap_or(now).max(now) }
    }

    fn hold_until(&mut self, until: Instant) -> Instant {
        let until = self.hold.unwrap_or(until).max(until);
        self.hold = Some(until);
        self.blocks.clear();
        until
    }

    /// Successes are added to each other; a throttle stands for itself, since its time matters.
    fn owe(&mut self, owed: Owed) {
        self.owed_since = self.owed_since.or(Some(owed.answered));
        let is_full = self.owed.len() >= REPORTS_MOST;
        match self.owed.last_mut() {
            Some(last) if is_full || (last.rejected == 0 && owed.rejected == 0) => {
                last.accepted = last.accepted.saturating_add(owed.accepted);
                last.rejected = last.rejected.saturating_add(owed.rejected);
                last.sent = last.sent.max(owed.sent);
                last.answered = last.answered.max(owed.answered);
                last.retry_after = last.retry_after.max(owed.retry_after);
            }
            _ => self.owed.push(owed),
        }
    }

    /// Bundles in the queue for which nothing was granted yet, and what is granted beyond the others.
    fn uncovered(&self) -> (Vec<u32>, u32) {
        let mut granted = self.granted();
        let mut line = Vec::new();
        for waiter in self.waiting.iter().take(LINE_LOOK) {
            let covered = waiter.n.min(granted);
            granted -= covered;
            if covered < waiter.n {
                line.push(waiter.n - covered);
            }
        }
        (line, granted)
    }

    /// Calls to have beyond those that are waited for.
    fn stock(&self) -> u32 {
        let (_, _, per_s) = self.used;
        if per_s < STOCK_FROM_PER_S { 0 } else { (per_s * STOCK_S).min(1e6) as u32 }
    }

    fn wants_stock(&self) -> bool {
        let stock = self.stock();
        stock > 0 && self.uncovered().1 < stock / 2
    }

    /// Measures the own use, at every step; it follows within a second.
    fn measure(&mut self, now: Instant) {
        let (calls, since, per_s) = self.used;
        let Some(since) = since else {
            self.used = (0, Some(now), 0.0);
            return;
        };
        let passed = now.saturating_duration_since(since).as_secs_f64();
        if passed >= 0.2 {
            let weight = (passed / 0.5).min(1.0);
            let per_s = per_s + (f64::from(calls) / passed - per_s) * weight;
            self.used = (0, Some(now), per_s);
        }
    }
}
