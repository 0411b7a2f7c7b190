//! One claimed user on the way into a group or out of it.

use contract::SeatState;
use ledger::{Claim, ClaimedSeat, Seat};
use std::time::Duration;

/// A claimed user with the group in question.
#[derive(Debug)]
pub(super) struct Sitting {
    pub(super) claim: Claim,
    /// Object id: that of the seat where one stands, else the one that was decided on. Empty where there is neither.
    pub(super) group: String,
    /// The seat as it stood at the claim.
    pub(super) seat: Option<Seat>,
}

impl Sitting {
    pub(super) fn new(claim: Claim, known: Option<ClaimedSeat>) -> Self {
        let (place, seat) = known.map_or((None, None), |known| (known.place, known.seat));
        // What may still land in one group is seen to before anything is asked of another.
        let group = seat.as_ref().map(|seat| seat.group.clone()).or(place).unwrap_or_default();
        Self { claim, group, seat }
    }

    pub(super) fn state(&self) -> Option<SeatState> {
        self.seat.as_ref().map(|seat| seat.state)
    }

    /// How long a request to come in may still land.
    pub(super) fn may_come_for(&self, horizon: Duration) -> Duration {
        self.seat.as_ref().map_or(horizon, |seat| horizon.saturating_sub(seat.asked))
    }

    /// How long the last request of any kind may still land.
    pub(super) fn may_change_for(&self, horizon: Duration) -> Duration {
        self.seat.as_ref().map_or(horizon, |seat| horizon.saturating_sub(seat.age))
    }
}
