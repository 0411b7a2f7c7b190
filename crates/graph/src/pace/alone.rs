//! One bucket's gate: a fair queue in front of the estimator's schedule.
//!
//! A turnstile (Tokio's mutex is first come first served) lets one caller at a time wait for its turn; the schedule
//! itself is a plain value behind a lock that is never held across an await.

use super::{Estimator, Held};
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout_at};

type MutexTurn<'a> = tokio::sync::MutexGuard<'a, ()>;

pub(super) struct Gate {
    turnstile: tokio::sync::Mutex<()>,
    state: Mutex<Estimator>,
    changed: Notify,
    started: Instant,
}

impl Gate {
    pub(super) fn new(started: Instant, start_per_s: f64) -> Self {
        Self {
            turnstile: tokio::sync::Mutex::new(()),
            state: Mutex::new(Estimator::new(start_per_s)),
            changed: Notify::new(),
            started,
        }
    }

    /// Waits for `n` calls' turn; answers when it was.
    pub(super) async fn acquire(&self, n: u32, not_after: Instant) -> Result<Instant, Held> {
        let _turn = self.turn(n, not_after).await?;
        let first = Instant::now();
        loop {
            // Registered before the look, so that a change between look and sleep is not missed.
            let changed = self.changed.notified();
            self.hopeless(n, not_after)?;
            let now = Instant::now();
            let release_at = {
                let mut state = self.state();
                let elapsed = self.since(now);
                let release_at = state.release_at(n);
                if release_at <= elapsed {
                    state.released(elapsed, n, now - first);
                    return Ok(now);
                }
                self.at(release_at)
            };
            tokio::select! {
                () = sleep_until(release_at) => {}
                () = changed => {}
            }
        }
    }

    /// Waits in line. A hold that outlasts the deadline is told at once; the place in the line is kept otherwise.
    async fn turn(&self, n: u32, not_after: Instant) -> Result<MutexTurn<'_>, Held> {
        let mut turn = pin!(timeout_at(not_after, self.turnstile.lock()));
        loop {
            let changed = self.changed.notified();
            self.hopeless(n, not_after)?;
            tokio::select! {
                biased;
                turn = &mut turn => {
                    return turn.map_err(|_| Held { until: self.at(self.state().release_at(n)).max(Instant::now()) });
                }
                () = changed => {}
            }
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
        let (now, sent) = (self.since(now), self.since(sent));
        let hold = self.state().settled(now, sent, accepted, rejected, retry_after);
        if hold.is_some() {
            self.changed.notify_waiters();
        }
        hold.map(|until| self.at(until))
    }

    pub(super) fn hold_until(&self, until: Instant) {
        let until = self.since(until);
        self.state().hold_until(until);
        self.changed.notify_waiters();
    }

    pub(super) fn held_for(&self, now: Instant) -> Option<Duration> {
        self.at(self.state().held_until()).checked_duration_since(now).filter(|d| !d.is_zero())
    }

    pub(super) fn rate(&self) -> (f64, bool) {
        let state = self.state();
        (state.rate(), state.learned().is_some())
    }

    pub(super) fn learned(&self) -> Option<f64> {
        self.state().learned()
    }

    pub(super) fn cap(&self, cap: Option<f64>) {
        self.state().cap(cap);
        self.changed.notify_waiters();
    }

    pub(super) fn restore(&self, rate_per_s: f64) {
        self.state().restore(rate_per_s);
        self.changed.notify_waiters();
    }

    /// Refuses what cannot go before its deadline any more.
    fn hopeless(&self, n: u32, not_after: Instant) -> Result<(), Held> {
        let until = self.at(self.state().release_at(n)).max(Instant::now());
        if until > not_after { Err(Held { until }) } else { Ok(()) }
    }

    fn since(&self, at: Instant) -> Duration {
        at.saturating_duration_since(self.started)
    }

    fn at(&self, elapsed: Duration) -> Instant {
        self.started + elapsed
    }

    /// The state is left whole by every method, so a poisoned lock is as good as another.
    fn state(&self) -> MutexGuard<'_, Estimator> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
