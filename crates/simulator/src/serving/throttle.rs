//! Token buckets: Microsoft's published quota, or a plain rate of writes.
//!
//! A rejected call costs quota too, down to two seconds' worth below empty: waiting is the fastest way out. The
//! bucket also remembers the `Retry-After` values it gave, to tell who did not wait.

use super::options::Throttle;
use std::collections::VecDeque;
use std::time::Duration;

/// How far a bucket can sink below empty, in seconds of its rate.
const DEBT_SECONDS: f64 = 2.0;
/// Grace after an answer with `Retry-After`: calls received within it were under way.
const IN_FLIGHT: Duration = Duration::from_secs(1);
/// Refills are sums of small fractions; so much may be missing to a whole token.
const EPSILON: f64 = 1e-9;

struct Bucket {
    name: &'static str,
    /// First two parts of `x-ms-throttle-scope`.
    scope: &'static str,
    /// `x-ms-throttle-information`.
    information: &'static str,
    writes_alone: bool,
    capacity: f64,
    rate: f64,
    tokens: f64,
    at: Duration,
    /// When answers with a wait left, and when their wait is over.
    waits: VecDeque<(Duration, Duration)>,
    /// The latest end among the waits that are past their grace.
    closed_until: Duration,
}

impl Bucket {
    fn new(writes_alone: bool, capacity: f64, rate: f64) -> Self {
        let (name, scope, information) = if writes_alone {
            ("writes", "Tenant_Application/Write", "WriteLimitExceeded")
        } else {
            ("resourceUnits", "Tenant_Application/ReadWrite", "ResourceUnitLimitExceeded")
        };
        Self {
            name,
            scope,
            information,
            writes_alone,
            capacity,
            rate,
            tokens: capacity,
            at: Duration::ZERO,
            waits: VecDeque::new(),
            closed_until: Duration::ZERO,
        }
    }

    /// Takes a cost, and answers the seconds to one token if it was not there.
    fn take(&mut self, cost: f64, now: Duration) -> Option<f64> {
        let passed = now.saturating_sub(self.at).as_secs_f64();
        self.tokens = (self.tokens + passed * self.rate).min(self.capacity);
        self.at = self.at.max(now);
        let had = self.tokens + EPSILON >= cost;
        let least = if had { f64::MIN } else { -DEBT_SECONDS * self.rate };
        self.tokens = (self.tokens - cost).max(least);
        (!had).then(|| (1.0 - self.tokens) / self.rate)
    }

    fn is_early(&mut self, received: Duration) -> bool {
        while let Some((left, until)) = self.waits.front().copied() {
            if received <= left + IN_FLIGHT {
                break;
            }
            self.closed_until = self.closed_until.max(until);
            self.waits.pop_front();
        }
        received < self.closed_until
    }
}

/// A call that is over the quota.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rejected {
    /// Until the bucket holds one token again.
    pub(super) seconds: f64,
    pub(super) scope: &'static str,
    pub(super) information: &'static str,
    /// The bucket that was empty.
    pub(super) bucket: &'static str,
}

/// All buckets of the tenant.
pub(super) struct Quota(Vec<Bucket>);

impl Quota {
    /// Full buckets.
    pub(super) fn new(throttle: Throttle, users: usize) -> Self {
        Self(match throttle {
            Throttle::Off => Vec::new(),
            Throttle::Published => {
                // Tenants below 50 users, up to 500, and above: units in ten seconds.
                let units = match users {
                    0..50 => 3_500.0,
                    50..=500 => 5_000.0,
                    _ => 8_000.0,
                };
                vec![Bucket::new(true, 3_000.0, 20.0), Bucket::new(false, units, units / 10.0)]
            }
            Throttle::Writes { per_second, burst_seconds } => {
                vec![Bucket::new(true, per_second * burst_seconds, per_second)]
            }
        })
    }

    /// Charges a call to every bucket it falls into. Rejected by two, the longer wait counts.
    pub(super) fn charge(&mut self, resource_units: u32, is_write: bool, now: Duration) -> Option<Rejected> {
        let mut worst: Option<Rejected> = None;
        for bucket in self.0.iter_mut().filter(|b| is_write || !b.writes_alone) {
            let cost = if bucket.writes_alone { 1.0 } else { f64::from(resource_units) };
            if let Some(seconds) = bucket.take(cost, now)
                && worst.is_none_or(|w| w.seconds < seconds)
            {
                let (scope, information) = (bucket.scope, bucket.information);
                worst = Some(Rejected { seconds, scope, information, bucket: bucket.name });
            }
        }
        worst
    }

    /// Whether a call comes while a wait that its sender must know of is not over.
    pub(super) fn is_early(&mut self, is_write: bool, received: Duration) -> bool {
        let mut early = false;
        // Every bucket is asked: asking also lets its waits ripen.
        for bucket in self.0.iter_mut().filter(|b| is_write || !b.writes_alone) {
            early |= bucket.is_early(received);
        }
        early
    }

    /// An answer with `Retry-After` has left.
    pub(super) fn note_wait(&mut self, bucket: &'static str, left: Duration, wait: Duration) {
        if let Some(bucket) = self.0.iter_mut().find(|b| b.name == bucket) {
            bucket.waits.push_back((left, left + wait));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    fn writes(per_second: f64, burst_seconds: f64) -> Quota {
        Quota::new(Throttle::Writes { per_second, burst_seconds }, 1)
    }

    #[test]
    fn a_burst_is_served_then_the_rate() {
        let mut quota = writes(10.0, 2.0);
        let served = (0..30).filter(|_| quota.charge(1, true, at(0.0)).is_none()).count();
        assert_eq!(served, 20);
        // Ten rejected calls cost ten tokens: one second later the bucket is just empty.
        assert!(quota.charge(1, true, at(1.0)).is_some());
        assert!(quota.charge(1, true, at(1.3)).is_none());
    }

    #[test]
    fn debt_ends_two_seconds_below_empty() {
        let mut quota = writes(10.0, 1.0);
        let mut longest = 0.0_f64;
        for _ in 0..500 {
            if let Some(rejected) = quota.charge(1, true, at(0.0)) {
                longest = longest.max(rejected.seconds);
            }
        }
        assert!((longest - 2.1).abs() < 1e-6, "{longest}");
        assert!(quota.charge(1, true, at(2.1)).is_none());
    }

    #[test]
    fn reads_are_free_where_only_writes_are_limited() {
        let mut quota = writes(1.0, 1.0);
        assert!(quota.charge(1, true, at(0.0)).is_none());
        assert!(quota.charge(1, true, at(0.0)).is_some());
        assert!(quota.charge(5, false, at(0.0)).is_none());
    }

    #[test]
    fn published_buckets_follow_the_size_of_the_tenant() {
        for (users, units) in [(49, 3_500), (50, 5_000), (500, 5_000), (501, 8_000)] {
            let mut quota = Quota::new(Throttle::Published, users);
            let served = (0..9_000).filter(|_| quota.charge(1, false, at(0.0)).is_none()).count();
            assert_eq!(served, units, "{users} users");
        }
        let mut quota = Quota::new(Throttle::Published, 1_000);
        let served = (0..4_000).filter(|_| quota.charge(1, true, at(0.0)).is_none()).count();
        assert_eq!(served, 3_000);
    }

    #[test]
    fn early_is_after_the_grace_and_before_the_end() {
        let mut quota = writes(1.0, 1.0);
        quota.note_wait("writes", at(10.0), at(5.0));
        assert!(!quota.is_early(true, at(10.5)), "in flight");
        assert!(!quota.is_early(true, at(11.0)), "in flight");
        assert!(quota.is_early(true, at(11.1)));
        assert!(!quota.is_early(false, at(11.1)), "reads are not limited");
        assert!(quota.is_early(true, at(14.9)));
        assert!(!quota.is_early(true, at(15.0)));
    }
}
