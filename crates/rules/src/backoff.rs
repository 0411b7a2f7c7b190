//! When to try again, as plain numbers: retries after a failure, and read-backs of a write that is not visible yet.
//!
//! No clock and no randomness: the jitter comes from the caller. A throttle is no retry and not scheduled here.

use std::time::Duration;

/// Seconds between the read-backs of one write; the last one repeats.
const READ_BACK_S: [u64; 6] = [1, 2, 4, 8, 15, 30];

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

/// How long to wait before read-back `attempt` (from 1), having waited `waited` since the write; nothing once the
/// deadline is reached. The last read falls on the deadline itself.
pub fn read_back_delay(attempt: u32, waited: Duration, deadline: Duration) -> Option<Duration> {
    let left = deadline.checked_sub(waited).filter(|d| !d.is_zero())?;
    let index = usize::try_from(attempt.saturating_sub(1)).unwrap_or(usize::MAX);
    let seconds = READ_BACK_S.get(index).copied().unwrap_or(30);
    Some(Duration::from_secs(seconds).min(left))
}
