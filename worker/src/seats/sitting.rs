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

    /// How long a request to come in may still land beside the one that brought the user in.
    pub(super) fn may_come_again_for(&self, horizon: Duration) -> Duration {
        let doubt = self.seat.as_ref().and_then(|seat| seat.doubt);
        doubt.map_or(Duration::ZERO, |doubt| horizon.saturating_sub(doubt))
    }

    /// Graph may not show yet what we asked for before this claim.
    pub(super) fn may_show_late(&self, horizon: Duration) -> bool {
        self.seat.is_some() && self.claim.snoozed < horizon
    }

    /// How long the last request of any kind may still land.
    pub(super) fn may_change_for(&self, horizon: Duration) -> Duration {
        self.seat.as_ref().map_or(horizon, |seat| horizon.saturating_sub(seat.age))
    }
}
