//! Where an entry may go from where it stands. Used when a run writes a state, and by the ledger's conformance.
//!
//! Settled is final: nothing leaves such a state. What needs no look at Graph (left out, unchanged since last,
//! set aside by the sweeper) settles straight from `waiting`; everything else passes through a claim.

use contract::EntryState;

/// What happens to an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EntryEvent {
    /// A worker took it, the first one or one after a lease that ended.
    Claim,
    /// It was handed back, for now or until a time: a throttle, a hold, a shutdown.
    HandBack,
    /// The run is done with it.
    Settle(EntryState),
}

/// An event that the state does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an entry that is {} knows no {event:?}", from.as_str())]
pub struct IllegalTransition {
    /// Where the entry stands.
    pub from: EntryState,
    /// What was to happen.
    pub event: EntryEvent,
}

/// The state after an event. Total: every pair answers, with a state or with the one error.
pub fn transition(from: EntryState, event: EntryEvent) -> Result<EntryState, IllegalTransition> {
    let illegal = IllegalTransition { from, event };
    match (from, event) {
        (EntryState::Waiting | EntryState::Claimed, EntryEvent::Claim) => Ok(EntryState::Claimed),
        (EntryState::Claimed, EntryEvent::HandBack) => Ok(EntryState::Waiting),
        (EntryState::Claimed, EntryEvent::Settle(to)) if to.is_settled() => Ok(to),
        (
            EntryState::Waiting,
            EntryEvent::Settle(to @ (EntryState::Skipped | EntryState::Unchanged | EntryState::Parked)),
        ) => Ok(to),
        (_, EntryEvent::Claim | EntryEvent::HandBack | EntryEvent::Settle(_)) => Err(illegal),
    }
}
