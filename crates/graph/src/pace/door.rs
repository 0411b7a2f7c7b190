//! Which of the two gates a bucket has: one in memory for this process alone, or one that all processes share.

use super::Held;
use super::alone::Gate;
use super::desk::Desk;
use std::time::Duration;
use tokio::time::Instant;

pub(super) enum Door {
    Alone(Box<Gate>),
    Shared(Desk),
}

impl Door {
    /// Waits for `n` calls' turn; answers when it was.
    pub(super) async fn acquire(&self, n: u32, not_after: Instant) -> Result<Instant, Held> {
        match self {
            Self::Alone(gate) => gate.acquire(n, not_after).await,
            Self::Shared(desk) => desk.acquire(n, not_after).await,
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
        match self {
            Self::Alone(gate) => gate.settled(now, sent, accepted, rejected, retry_after),
            Self::Shared(desk) => desk.settled(now, sent, accepted, rejected, retry_after),
        }
    }

    pub(super) fn hold_until(&self, until: Instant) {
        match self {
            Self::Alone(gate) => gate.hold_until(until),
            Self::Shared(desk) => desk.hold_until(until),
        }
    }

    pub(super) fn held_for(&self, now: Instant) -> Option<Duration> {
        match self {
            Self::Alone(gate) => gate.held_for(now),
            Self::Shared(desk) => desk.held_for(now),
        }
    }

    /// Calls a second, and whether that was learned.
    pub(super) fn rate(&self) -> (f64, bool) {
        match self {
            Self::Alone(gate) => gate.rate(),
            Self::Shared(desk) => desk.rate(),
        }
    }

    pub(super) fn learned(&self) -> Option<f64> {
        match self {
            Self::Alone(gate) => gate.learned(),
            Self::Shared(desk) => desk.learned(),
        }
    }

    pub(super) fn cap(&self, cap: Option<f64>) {
        match self {
            Self::Alone(gate) => gate.cap(cap),
            Self::Shared(desk) => desk.cap(cap),
        }
    }

    pub(super) fn restore(&self, rate_per_s: f64) {
        match self {
            Self::Alone(gate) => gate.restore(rate_per_s),
            Self::Shared(desk) => desk.restore(rate_per_s),
        }
    }
}
