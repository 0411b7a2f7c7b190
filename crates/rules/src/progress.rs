//! How fast a run is and when it will be done.
//!
//! Says nothing rather than something wild: no estimate before one hundredth is settled.

use std::time::Duration;

/// A run's speed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// Part that is settled, 0 to 1; 1 where there is nothing to do.
    pub share: f64,
    /// Users settled a second; absent before any time has passed.
    pub users_per_s: Option<f64>,
    /// Time left at this speed; absent before 1 % and where nothing moves.
    pub eta: Option<Duration>,
}

/// From users settled, users in all, and the time that the settled ones took.
#[allow(clippy::cast_precision_loss)]
pub fn progress(settled: u64, total: u64, elapsed: Duration) -> Progress {
    let settled = settled.min(total);
    let share = if total == 0 { 1.0 } else { settled as f64 / total as f64 };
    let seconds = elapsed.as_secs_f64();
    let users_per_s = (seconds > 0.0).then(|| settled as f64 / seconds);
    let eta = match users_per_s {
        _ if settled == total => Some(Duration::ZERO),
        Some(rate) if share >= 0.01 && rate > 0.0 => {
            Duration::try_from_secs_f64((total - settled) as f64 / rate).ok()
        }
        _ => None,
    };
    Progress { share, users_per_s, eta }
}
