//! The functional core: what becomes of one user, and how it is taken back.
//!
//! Pure and total: no clock, no I/O, no randomness; `now` is an argument, every input gives an answer, nothing
//! panics. It decides and never acts: an answer that another crate does not carry out changes nothing.

mod apply;
pub mod assess;
mod backoff;
mod canary;
mod cohort;
mod country;
mod cutover;
mod default;
mod devices;
mod eta;
mod fingerprint;
mod forecast;
mod judge;
mod lifecycle;
mod matching;
mod number;
mod passes;
mod phones;
mod plan;
mod progress;
mod retention;
mod revert;
mod rollout;
mod secret;
mod slots;
mod token;
mod totp;
mod windows;

#[cfg(test)]
mod tests;

pub use apply::apply;
pub use backoff::Backoff;
pub use canary::{Share, ShareError, Steps, StepsError, step_of};
pub use cohort::{Attributes, takes};
pub use cutover::{CUT_OVER, CutoverStep, DomainStanding, InDoubt, MFA_BEHAVIORS, cutover_step};
pub use eta::{Eta, Sample, eta};
pub use fingerprint::{applied_fingerprint, policy_hash, record_fingerprint};
pub use forecast::{Calls, Demand, PUBLISHED_LEAST_PER_S, PUBLISHED_MOST_PER_S, Span, calls, span};
pub use judge::{JUDGED_FROM_USERS, StepCounts, Verdict, judge};
pub use lifecycle::{EntryEvent, IllegalTransition, transition};
pub use matching::{directory_key, record_key};
pub use number::{Extension, Normalised, normalise, same_number};
pub use passes::{
    PassBounds, PassClock, PassRefusal, PassStep, PassThere, PassWish, pass_allowed, pass_step,
};
pub use plan::plan;
pub use progress::{Progress, progress};
pub use retention::{Obstacle, Standing, obstacles};
pub use revert::{RevertPlan, RevertStep, Written, revert};
pub use rollout::{
    Admission, Applicant, GroupRefusal, GroupStanding, Membership, Moved, Past, ROLLOUT_FIRST_USERS,
    ROLLOUT_GROUP_USERS, ROLLOUT_GROUPS, admit, group_refusal, moved, pack, rollout_steps,
};
pub use token::{reads_tokens, serials, written_secrets};
pub use totp::totp;
pub use windows::{WindowState, Windows, WindowsError};

/// Version of these rules. Part of the applied fingerprint (U5): raising it makes every user be looked at again.
pub const RULES_VERSION: u32 = 1;
