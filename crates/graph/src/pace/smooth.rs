//! What the row granted, handed out by `governor` at the rate at which it was granted, so that a grant of many calls
//! does not go at once.
//!
//! Invariant: never more calls than were granted, none before their time, and none long after it: a process that was
//! stopped in between must ask again.

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use std::num::NonZeroU32;
use std::time::Duration;
use tokio::time::Instant;

/// Calls that may go at once: one full bundle.
const BURST: NonZeroU32 = NonZeroU32::MIN.saturating_add(19);
/// What was granted is void when its time is so long past.
const STALE: Duration = Duration::from_secs(1);

type Limiter = RateLimiter<NotKeyed, InMemoryState, Since, NoOpMiddleware<Duration>>;

/// Tokio's clock, so that tests can pause it.
#[derive(Clone)]
struct Since(Instant);

impl Clock for Since {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

/// Calls that were granted together.
pub(super) struct Block {
    left: u32,
    from: Instant,
    until: Instant,
    limiter: Option<Limiter>,
}

impl Block {
    /// `n` calls from a time on, the others after the first bundle at this many a second.
    pub(super) fn new(n: u32, from: Instant, per_s: f64) -> Self {
        let each = Duration::try_from_secs_f64(1.0 / per_s.max(1e-6)).unwrap_or(STALE);
        let many = n > BURST.get();
        let limiter = Quota::with_period(each.max(Duration::from_nanos(1)))
            .filter(|_| many)
            .map(|quota| RateLimiter::direct_with_clock(quota.allow_burst(BURST), Since(from)));
        let length = if many { each.saturating_mul(n).min(STALE) } else { Duration::ZERO };
        Self { left: n, from, until: from + length + STALE, limiter }
    }

    /// Calls that are left.
    pub(super) fn left(&self) -> u32 {
        self.left
    }

    /// Whether it can no longer be used.
    pub(super) fn is_void(&self, now: Instant) -> bool {
        self.left == 0 || now > self.until
    }

    /// Takes up to `n` calls, if their time has come; otherwise tells when it will have.
    pub(super) fn take(&mut self, n: u32, now: Instant) -> Result<u32, Instant> {
        if now < self.from {
            return Err(self.from);
        }
        let n = n.min(self.left);
        let cells = NonZeroU32::new(n.min(BURST.get()));
        if let (Some(limiter), Some(cells)) = (&self.limiter, cells)
            && let Ok(Err(until)) = limiter.check_n(cells)
        {
            return Err(now + until.wait_time_from(now - self.from).max(Duration::from_micros(100)));
        }
        self.left -= n;
        Ok(n)
    }
}
