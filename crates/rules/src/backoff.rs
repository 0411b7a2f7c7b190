//! When to try again after a failure, as plain numbers.
//!
//! No clock and no randomness: the jitter comes from the caller. A throttle is no retry and not scheduled here.

use std::time::Duration;

/// A schedule of retries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The delay before the first retry, without jitter.
    pub base: Duration,
    /// No delay is longer.
    pub cap: Duration,
}

impl Backoff {
    /// The delay before retry `attempt` (from 1): doubled each time, up to the cap, then between half and all of
    /// it by `jitter` (0 to 1; anything else counts as the nearer end).
    pub fn delay(&self, attempt: u32, jitter: f64) -> Duration {
        let doublings = attempt.saturating_sub(1).min(31);
        let full = self.base.saturating_mul(1 << doublings).min(self.cap);
        let jitter = if jitter.is_finite() { jitter.clamp(0.0, 1.0) } else { 1.0 };
        full.mul_f64(0.5 + jitter / 2.0)
    }
}
