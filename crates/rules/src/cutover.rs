//! The cut-over of a domain: what comes next, from what is set, what was set before, and what was begun.
//!
//! Compare before write: what is wanted is done; what was there before, or what we set, may be written over; anything else
//! is somebody's change. As long as something that was begun may still land, nothing else is begun.

use std::time::Duration;

/// `federatedIdpMfaBehavior` after a cut-over: Entra does MFA itself, whatever the identity provider did.
pub const CUT_OVER: &str = "rejectMfaByFederatedIdp";
/// The values that can be set.
pub const MFA_BEHAVIORS: [&str; 3] = ["acceptIfMfaDoneByFederatedIdp", "enforceMfaByFederatedIdp", CUT_OVER];

/// A change that was begun and of which no outcome is on file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InDoubt<'a> {
    /// What was to be set.
    pub to: &'a str,
    /// How long ago.
    pub age: Duration,
}

/// How a domain stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DomainStanding<'a> {
    /// What is set now; absent where nothing ever was.
    pub now: Option<&'a str>,
    /// The value before our first change, where one stands.
    pub before: Option<Option<&'a str>>,
    /// What was begun last, where nothing is known of it.
    pub in_doubt: Option<InDoubt<'a>>,
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CutoverStep {
    /// What is wanted is set.
    Done,
    /// Something that was begun may still land.
    Wait,
    /// It is to be set.
    Set,
    /// Somebody has set something else since.
    Conflict,
}

/// What comes next on the way to `wanted`.
pub fn cutover_step(standing: &DomainStanding<'_>, wanted: &str, horizon: Duration) -> CutoverStep {
    let doubt = standing.in_doubt.filter(|doubt| doubt.age < horizon);
    // Another value than the wanted one may still land over it.
    if doubt.is_some_and(|doubt| doubt.to != wanted) {
        return CutoverStep::Wait;
    }
    if standing.now == Some(wanted) {
        return CutoverStep::Done;
    }
    if doubt.is_some() {
        return CutoverStep::Wait;
    }
    match standing.before {
        None => CutoverStep::Set,
        Some(before) if standing.now == before || standing.now == Some(CUT_OVER) => CutoverStep::Set,
        Some(_) => CutoverStep::Conflict,
    }
}
