//! What to do with an error. Every boundary's error enum answers `disposition()`, by type and never by text.

use crate::Code;
use std::time::Duration;

/// What the caller does next. The match that produces it has no wildcard arm, so a new error forces a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Disposition {
    /// Try again soon; it counts as an attempt.
    Retry,
    /// Later, and not an attempt: the server or a lease asks for it.
    Snooze {
        /// How long to wait, at the least.
        after: Duration,
    },
    /// Set this user aside for a person; the others go on.
    Park {
        /// The reason that the operator will read.
        code: Code,
    },
    /// End the run: nothing will get better by itself.
    Stop,
}
