//! What a migration will ask of Graph and how long that takes, told from its rehearsal before anything is written.
//!
//! Pure: the moment is an argument. It counts what goes well; what fails, is throttled or must be looked at again comes on
//! top, and nobody knows that beforehand. It promises no rate: every figure names the rate it stands on.

use crate::Windows;
use contract::{Change, Target};

/// The most writes a second that Microsoft publishes for one application in one tenant: 3,000 in 150 seconds.
pub const PUBLISHED_MOST_PER_S: f64 = 20.0;
/// The fewest that can be read out of what is published: five requests in ten seconds, where `authenticationMethod` is
/// named. It stands in a list of reports, so it may mean something else; nothing lower is written anywhere.
pub const PUBLISHED_LEAST_PER_S: f64 = 0.5;

/// What a migration will ask of Graph where nothing fails.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Demand {
    /// Requests that only read: those of the rehearsal, which a migration makes again, and the looks at tokens that it has
    /// created.
    pub reads: u64,
    /// Requests that write.
    pub writes: u64,
    /// Seconds that the rehearsal worked: a migration reads as much, and writes besides.
    pub rehearsed_s: f64,
}

/// Requests that one user's plan takes beyond looking at the user.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Calls {
    /// Requests that write.
    pub writes: u64,
    /// Looks at tokens that were created: their method's id is read before they are activated.
    pub reads: u64,
}

/// Work that is longer is not reckoned with: some hundred thousand years.
const LONGEST_MS: f64 = 1e16;

/// Methods, preferences, and tokens with their devices.
const LOOK_AT_TOKENS: u64 = 3;

/// What a plan takes; `created` of its tokens are not in the inventory yet, so that each takes a creation and an
/// activation.
pub fn calls(changes: &[Change], created: u32) -> Calls {
    let created = u64::from(created);
    let tokens = count(changes, |target| target == Target::HardwareOath);
    let writes = count(changes, |_| true) + created.min(tokens);
    Calls { writes, reads: if created > 0 && tokens > 0 { LOOK_AT_TOKENS } else { 0 } }
}

fn count(changes: &[Change], is: impl Fn(Target) -> bool) -> u64 {
    changes.iter().filter(|change| is(change.method)).count() as u64
}

impl Demand {
    /// All requests.
    pub fn requests(&self) -> u64 {
        self.reads.saturating_add(self.writes)
    }

    /// Adds what one user's plan takes.
    pub fn add(&mut self, calls: Calls) {
        self.writes = self.writes.saturating_add(calls.writes);
        self.reads = self.reads.saturating_add(calls.reads);
    }

    /// Seconds of work at a rate of writes. Reading and writing go side by side and draw on quotas of their own, so the
    /// slower of the two tells; absent for a rate that is none.
    #[expect(clippy::cast_precision_loss, reason = "counts below 2^53")]
    pub fn working_s(&self, writes_per_s: f64) -> Option<f64> {
        let is_rate = writes_per_s.is_finite() && writes_per_s > 0.0;
        is_rate.then(|| (self.writes as f64 / writes_per_s).max(self.rehearsed_s))
    }
}

/// How a migration lies in time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Span {
    /// Seconds of work.
    pub working_s: f64,
    /// Windows that it takes, the one that is open now among them; absent where no window bounds it.
    pub nights: Option<u32>,
    /// When the first user would be released, in milliseconds since 1970 UTC.
    pub begins_at_ms: i64,
    /// When the last one would be settled.
    pub done_at_ms: i64,
}

/// How a migration lies in time that begins now and works within windows alone; absent for a rate that is none, and where
/// its end is years away.
#[expect(clippy::cast_possible_truncation, reason = "bounded before")]
pub fn span(demand: &Demand, writes_per_s: f64, now_ms: i64, windows: &Windows) -> Option<Span> {
    let working_s = demand.working_s(writes_per_s)?;
    let working_ms = (working_s * 1000.0).ceil();
    // Beyond that it is longer than anything; a rate and a count of ours give no other value that is no number.
    if working_ms >= LONGEST_MS {
        return None;
    }
    let (begins_at_ms, done_at_ms, nights) = windows.work_through(now_ms, working_ms as i64)?;
    Some(Span { working_s, nights, begins_at_ms, done_at_ms })
}
