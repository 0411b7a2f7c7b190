//! The judgement on a step of a canary, on that step alone.
//!
//! Nobody processed is never success, and too few are never judged by a rate: both wait for a person. Whole numbers only.

use crate::Share;
use std::fmt;

/// Users that a step must have processed before its failures are reckoned as a rate.
pub const JUDGED_FROM_USERS: u32 = 20;

/// How a step ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StepCounts {
    /// Its users.
    pub users: u32,
    /// Of them, those that a worker looked at: not those left out by matching, nor those unchanged by rule U5.
    pub processed: u32,
    /// Of those, parked or in conflict.
    pub failed: u32,
}

/// What follows from a step; `Display` says it to the operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The next step may begin.
    Go,
    /// More failed than is borne.
    Abort {
        /// How it ended.
        counts: StepCounts,
        /// The share that was exceeded.
        abort_at: Share,
    },
    /// It proves nothing; a person decides.
    Inconclusive {
        /// How it ended.
        counts: StepCounts,
    },
}

/// Judges a step that is done. Failures of exactly `abort_at` are borne. Nothing begins after the last step, so that too
/// few in it need no person.
#[must_use]
pub fn judge(counts: StepCounts, abort_at: Share, is_last: bool) -> Verdict {
    if counts.processed == 0 {
        return Verdict::Inconclusive { counts };
    }
    if counts.processed < JUDGED_FROM_USERS {
        return if is_last { Verdict::Go } else { Verdict::Inconclusive { counts } };
    }
    let failed = u64::from(counts.failed) * u64::from(Share::ALL.per_ten_thousand());
    if failed > u64::from(counts.processed) * u64::from(abort_at.per_ten_thousand()) {
        return Verdict::Abort { counts, abort_at };
    }
    Verdict::Go
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Go => f.write_str("the step went well"),
            Self::Abort { counts, abort_at } => {
                write!(
                    f,
                    "{} of {} processed users failed, more than {abort_at}",
                    counts.failed, counts.processed
                )
            }
            Self::Inconclusive { counts } if counts.processed == 0 => {
                write!(f, "none of its {} users was looked at, which proves nothing", counts.users)
            }
            Self::Inconclusive { counts } => write!(
                f,
                "{} of {} processed users failed, and fewer than {JUDGED_FROM_USERS} are too few to judge by a rate",
                counts.failed, counts.processed
            ),
        }
    }
}
