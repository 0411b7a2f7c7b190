//! The pace: the one gate that every call to Graph passes, so that a throttle holds everyone and not the one request.
//!
//! Four buckets, each first come first served. A hold is checked when a caller is let go, never when it queues, so
//! that callers who wait already are stopped by it too. Nothing here sends, and nothing here knows a clock of its own
//! but Tokio's, so that tests can pause it. The rate is learned by the pure `estimator`.

mod alone;
mod bucket;
mod desk;
mod door;
mod estimator;
mod evidence;
#[cfg(test)]
mod fleet;
mod row;
mod shared;
#[cfg(test)]
mod simulation;
mod smooth;
#[cfg(test)]
mod tests;

pub use bucket::Bucket;
pub use shared::{PaceStep, SharedPace, Unavailable};

use alone::Gate;
use desk::Desk;
use door::Door;
use estimator::Estimator;
use row::Row;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// Quota could not be had in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the quota cannot be had in time")]
pub struct Held {
    /// The earliest time at which asking again makes sense.
    pub until: Instant,
}

/// Quota for some calls, taken at a time. What becomes of them is reported with it.
#[derive(Debug, Clone, Copy)]
#[must_use]
pub struct Grant {
    pub(crate) bucket: Bucket,
    pub(crate) at: Instant,
}

/// What the server said to the calls of one grant.
#[derive(Debug, Clone, Default)]
pub struct Verdict {
    /// Calls that were not throttled, whatever else became of them.
    pub accepted: u32,
    /// Calls that were throttled.
    pub rejected: u32,
    /// Longest `Retry-After` among them, if any came.
    pub retry_after: Option<Duration>,
    /// `x-ms-throttle-scope`, if it came.
    pub scope: Option<String>,
}

/// How a bucket stands.
#[derive(Debug, Clone, PartialEq)]
pub struct BucketStatus {
    /// Which bucket.
    pub bucket: Bucket,
    /// Calls a second that are let go now.
    pub rate_per_s: f64,
    /// Whether the rate comes from measuring the server; otherwise it is still growing from the start value.
    pub learned: bool,
    /// For how long the bucket is held; absent when it is not.
    pub held_for: Option<Duration>,
}

/// What went over the wire, counted since the start of the process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Calls as Graph counts them: items of bundles and single calls.
    pub requests: u64,
    /// Those of them that write.
    pub writes: u64,
    /// Calls that were answered 429.
    pub throttled: u64,
    /// HTTP requests.
    pub round_trips: u64,
}

#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) requests: AtomicU64,
    pub(crate) writes: AtomicU64,
    pub(crate) throttled: AtomicU64,
    pub(crate) round_trips: AtomicU64,
}

struct Shared {
    gates: [Door; 4],
    counters: Counters,
}

/// The shared gate; clones are the same gate.
#[derive(Clone)]
pub struct Pace {
    shared: Arc<Shared>,
}

impl std::fmt::Debug for Pace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Pace").field(&self.status()).finish()
    }
}

impl Default for Pace {
    fn default() -> Self {
        Self::new()
    }
}

impl Pace {
    /// A gate that knows nothing of the server yet. Needs a Tokio runtime for its clock.
    pub fn new() -> Self {
        let started = Instant::now();
        let gates = Bucket::ALL.map(|bucket| Door::Alone(Box::new(Gate::new(started, bucket.start_per_s()))));
        Self { shared: Arc::new(Shared { gates, counters: Counters::default() }) }
    }

    /// A gate that all processes with the same book share. Needs a Tokio runtime for its clock and for the tasks that
    /// keep the book; they end when the last clone is dropped.
    pub fn shared(book: Arc<dyn SharedPace>) -> Self {
        let gates = Bucket::ALL.map(|bucket| Door::Shared(Desk::open(Arc::clone(&book), bucket)));
        Self { shared: Arc::new(Shared { gates, counters: Counters::default() }) }
    }

    /// How a bucket stands by what is on file for it, at the row clock's time in seconds since 1970; absent if that
    /// cannot be read.
    pub fn read(state: &str, now_s: f64, bucket: Bucket) -> Option<BucketStatus> {
        Row::parse(state).map(|row| row.status(now_s, bucket))
    }

    /// Waits until `n` calls may be sent, in the order of asking. Returns at once with `Held` when it is known that
    /// `not_after` will pass first; nothing is taken then.
    pub async fn acquire(&self, bucket: Bucket, n: u32, not_after: Instant) -> Result<Grant, Held> {
        let at = self.gate(bucket).acquire(n, not_after).await?;
        telemetry::record_quota_granted(bucket.as_str(), n.into());
        Ok(Grant { bucket, at })
    }

    /// Reports what became of a grant. A throttle holds the bucket for the longest `Retry-After` (1, 2, 4 … s where
    /// none came); one whose scope counts reads and writes together holds both.
    pub fn settled(&self, grant: Grant, verdict: &Verdict) {
        self.shared.counters.throttled.fetch_add(u64::from(verdict.rejected), Ordering::Relaxed);
        let now = Instant::now();
        let hold = self.gate(grant.bucket).settled(
            now,
            grant.at,
            verdict.accepted,
            verdict.rejected,
            verdict.retry_after,
        );
        self.tell(grant.bucket, verdict);
        let Some(until) = hold else { return };
        let both = verdict.scope.as_deref().and_then(|s| s.split('/').nth(1)) == Some("ReadWrite");
        if both {
            self.gate(grant.bucket.counterpart()).hold_until(until);
        }
    }

    /// Tells metrics what became of a grant, and how its bucket stands now.
    fn tell(&self, bucket: Bucket, verdict: &Verdict) {
        if telemetry::exports() {
            let word = bucket.as_str();
            telemetry::record_quota_verdict(word, verdict.accepted.into(), verdict.rejected.into());
            let status = self.of(bucket);
            telemetry::set_quota(word, status.rate_per_s, status.held_for);
        }
    }

    /// Holds a bucket without learning from it: a server that is ill said when to come back.
    pub(crate) fn pause(&self, bucket: Bucket, pause: Duration) {
        self.gate(bucket).hold_until(Instant::now() + pause);
    }

    /// How long a bucket is still held.
    pub(crate) fn held_for(&self, bucket: Bucket) -> Option<Duration> {
        self.gate(bucket).held_for(Instant::now())
    }

    /// How the buckets stand.
    pub fn status(&self) -> Vec<BucketStatus> {
        Bucket::ALL.into_iter().map(|bucket| self.of(bucket)).collect()
    }

    /// How one bucket stands.
    pub fn of(&self, bucket: Bucket) -> BucketStatus {
        let (rate_per_s, learned) = self.gate(bucket).rate();
        BucketStatus { bucket, rate_per_s, learned, held_for: self.gate(bucket).held_for(Instant::now()) }
    }

    /// What was learned of the server, by the bucket's word, in calls a second; for the ledger to keep.
    pub fn learned(&self) -> Vec<(&'static str, f64)> {
        Bucket::ALL
            .into_iter()
            .filter_map(|b| self.gate(b).learned().map(|rate| (b.as_str(), rate)))
            .collect()
    }

    /// Starts a bucket at a rate that an earlier run learned. Unknown words and figures that are no rate are ignored.
    pub fn restore(&self, bucket: &str, rate_per_s: f64) {
        if let Some(bucket) = Bucket::parse(bucket)
            && rate_per_s.is_finite()
            && rate_per_s > 0.0
        {
            self.gate(bucket).restore(rate_per_s);
        }
    }

    /// Lets no more than this many calls a second of a bucket go, whatever the server would take: a wish of the operator.
    /// `None` lifts it. What is learned of the server is not touched by it, and it is not kept anywhere.
    pub fn cap(&self, bucket: Bucket, per_s: Option<f64>) {
        self.gate(bucket).cap(per_s);
    }

    /// What went over the wire so far, by every client that shares this pace.
    pub fn counts(&self) -> Counts {
        let c = &self.shared.counters;
        Counts {
            requests: c.requests.load(Ordering::Relaxed),
            writes: c.writes.load(Ordering::Relaxed),
            throttled: c.throttled.load(Ordering::Relaxed),
            round_trips: c.round_trips.load(Ordering::Relaxed),
        }
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.shared.counters
    }

    fn gate(&self, bucket: Bucket) -> &Door {
        let [directory, reads, writes, groups] = &self.shared.gates;
        match bucket {
            Bucket::Directory => directory,
            Bucket::Reads => reads,
            Bucket::Writes => writes,
            Bucket::Groups => groups,
        }
    }
}
