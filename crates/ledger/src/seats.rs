//! Seats in the groups of the staged rollout, as callers see them: what goes in, what comes out.

use crate::Finish;
use contract::{EntraId, EntryState, RunKind, SeatState};
use std::collections::BTreeSet;
use std::time::Duration;

/// A user's place in a group, asked for by us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seat {
    /// Object id of the group.
    pub group: String,
    /// Where it stands.
    pub state: SeatState,
    /// How long ago it was last asked for; by the database's clock.
    pub asked: Duration,
    /// How long ago a request before that one was made of which nobody knows what became; absent where there was none.
    pub doubt: Option<Duration>,
    /// How long ago it was last asked for or asked to end.
    pub age: Duration,
}

/// What one run has told of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastEntry {
    /// What kind of run: a migration, a verification or a rollback.
    pub kind: RunKind,
    /// Where the user stands in it.
    pub state: EntryState,
    /// Code words, separated by blanks.
    pub codes: String,
    /// The run is not over.
    pub open: bool,
    /// Somebody has had the user in hand there.
    pub begun: bool,
}

/// A user of a rollout's run of whom nothing is decided yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applicant {
    /// Its position.
    pub ordinal: i64,
    /// The Entra user.
    pub user: EntraId,
    /// Something was begun of which nobody knows whether it landed.
    pub in_doubt: bool,
    /// What runs have told of this source's user with this Entra user; what was settled last comes first.
    pub past: Vec<PastEntry>,
    /// The last seat of which the request landed or may have, over or not.
    pub seat: Option<Seat>,
}

/// What was decided of an applicant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decided {
    /// To be put into the group with this object id; in a plan, that is all there is to it.
    Placed(String),
    /// Settled without a worker, with this code word (which may be empty).
    Settled(EntryState, &'static str),
}

/// A claimed user's place and seat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimedSeat {
    /// The entry.
    pub ordinal: i64,
    /// Object id of the group that was decided on; absent on the way out.
    pub place: Option<String>,
    /// The seat that stands.
    pub seat: Option<Seat>,
}

/// A seat that is about to be asked for, or to be asked to end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSeat {
    /// The entry.
    pub ordinal: i64,
    /// Its epoch.
    pub epoch: i64,
    /// The Entra user.
    pub user: EntraId,
    /// Object id of the group.
    pub group: String,
}

/// The end of a claim, with what became of the seat.
#[derive(Debug, Clone)]
pub struct SeatFinish {
    /// How the claim ends; its outcomes are not looked at.
    pub finish: Finish,
    /// Where the standing seat stands now; absent where nothing new is known.
    pub seat: Option<SeatState>,
    /// How long it may take to act, where the seat is over.
    pub acts_after: Duration,
}

/// What keeps users of a rollback in the staged rollout.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rerouted {
    /// Users of it whose seat stands.
    pub seated: u64,
    /// How long until the last of those who were taken out is routed back; absent where nobody was, or it is over.
    pub acts_in: Option<Duration>,
}

/// Seats of one group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupSeats {
    /// Object id of the group.
    pub group: String,
    /// Seats that stand, by where.
    pub standing: Vec<(SeatState, u64)>,
}

/// What is said of each claim first: several that work for one entry may be filed together, and the claims of some of
/// them may have moved on.
pub(crate) fn first_of_each<T>(rows: &[T], claim: impl Fn(&T) -> (i64, i64)) -> Vec<&T> {
    let mut seen = BTreeSet::new();
    rows.iter().filter(|row| seen.insert(claim(row))).collect()
}
