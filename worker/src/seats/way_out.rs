//! The way out of a group: each by a request of their own, in bundles.

use super::ends::SeatEnds;
use super::portions;
use super::sitting::Sitting;
use super::way_in::{users_of, wait_of};
use crate::Error;
use crate::lease::Lease;
use crate::refusals::Call;
use crate::shift::Shift;
use contract::{Code, EntryState, SeatState};
use graph::{Answer, Writer};
use std::time::Duration;
use telemetry::crash_point;

impl Shift {
    /// Steps 2 to 6 on the way out.
    pub(super) async fn take_out(
        &self,
        writer: &Writer,
        sittings: Vec<Sitting>,
        lease: &Lease,
        ends: &mut SeatEnds,
    ) -> Result<(), Error> {
        let horizon = self.settings.seat_horizon();
        let (begun, sittings): (Vec<_>, Vec<_>) =
            sittings.into_iter().partition(|s| s.state() == Some(SeatState::Leaving));
        let mut leaving = self.look_at_leaving(writer, begun, ends).await?;
        for sitting in sittings {
            let may_come_for = match sitting.state() {
                Some(SeatState::Asked) => sitting.may_come_for(horizon),
                Some(_) | None => sitting.may_come_again_for(horizon),
            };
            match sitting.state() {
                None => {
                    let code = Some(Code::RolloutNotIn);
                    ends.finishes.push(self.seat_settled(sitting, EntryState::Unchanged, code, None)?);
                }
                Some(_) if may_come_for > Duration::ZERO => {
                    // Whoever was taken out now could be put in again by it.
                    ends.finishes.push(self.seat_again(sitting, may_come_for, false, None)?);
                }
                Some(_) => leaving.push(sitting),
            }
        }
        // Whoever could not be filed is another's.
        let (leaving, _) = self.file_seats(leaving).await?;
        crash_point("rollout-remove.filed");
        for (group, portion) in portions(leaving) {
            self.ask_to_leave(writer, &group, portion, lease, ends).await?;
            crash_point("rollout-remove.asked");
        }
        Ok(())
    }

    /// Step 2: whoever was asked to leave before is looked at. Answers whom to ask again, which does no harm.
    async fn look_at_leaving(
        &self,
        writer: &Writer,
        begun: Vec<Sitting>,
        ends: &mut SeatEnds,
    ) -> Result<Vec<Sitting>, Error> {
        let mut again = Vec::new();
        for (group, portion) in portions(begun) {
            let there = match writer.reader().members_among(&group, &users_of(&portion)).await {
                Ok(there) => there,
                // Nobody is in a group that is gone.
                Err(graph::Error::NotFound) => Vec::new(),
                Err(error) => {
                    self.seats_unseen(portion, error, ends)?;
                    continue;
                }
            };
            for sitting in portion {
                let may_come_for = sitting.may_come_for(self.settings.seat_horizon());
                if there.contains(&sitting.claim.user) {
                    again.push(sitting);
                } else if may_come_for > Duration::ZERO {
                    // What put them there may not show yet.
                    ends.finishes.push(self.seat_again(sitting, may_come_for, false, None)?);
                } else {
                    ends.finishes.push(self.is_out(sitting)?);
                }
            }
        }
        Ok(again)
    }

    /// Step 5: asks a portion of one group to leave.
    async fn ask_to_leave(
        &self,
        writer: &Writer,
        group: &str,
        portion: Vec<Sitting>,
        lease: &Lease,
        ends: &mut SeatEnds,
    ) -> Result<(), Error> {
        let turn = self.turns.at(group).await;
        let mut missing = Vec::new();
        let mut left = portion;
        while !left.is_empty() {
            let users = users_of(&left);
            let answers = writer.remove_each(group, &users, lease.not_after(), &self.stops).await;
            let before = left.len();
            let mut next = Vec::new();
            for (sitting, answer) in left.into_iter().zip(answers) {
                match answer {
                    Answer::Done { .. } => {
                        self.refusals.allowed(Call::Group);
                        ends.finishes.push(self.is_out(sitting)?);
                    }
                    Answer::DependencyFailed => next.push(sitting),
                    Answer::Throttled | Answer::NotSent { .. } => {
                        ends.finishes.push(self.seat_again(sitting, wait_of(&answer), false, None)?);
                    }
                    Answer::Refused { status: 403, .. } => self.seats_forbidden(vec![sitting], ends)?,
                    Answer::Refused { status: 404, .. } => missing.push(sitting),
                    // Somebody else was writing the group.
                    Answer::Refused { status: 409, .. } => {
                        ends.finishes.push(self.seat_retried(sitting, false)?);
                    }
                    Answer::Refused { .. } | Answer::Doubt { .. } => {
                        ends.finishes.push(self.seat_retried(sitting, true)?);
                    }
                }
            }
            if next.len() == before {
                for sitting in next {
                    ends.finishes.push(self.seat_retried(sitting, true)?);
                }
                break;
            }
            left = next;
        }
        drop(turn);
        self.look_at_missing(writer, group, missing, ends).await
    }

    /// Step 6: Graph says that these are no members. That is believed once whatever put them there must show.
    async fn look_at_missing(
        &self,
        writer: &Writer,
        group: &str,
        missing: Vec<Sitting>,
        ends: &mut SeatEnds,
    ) -> Result<(), Error> {
        let horizon = self.settings.seat_horizon();
        let mut looking = Vec::new();
        for sitting in missing {
            let may_come_for = sitting.may_come_for(horizon);
            if may_come_for > Duration::ZERO {
                ends.finishes.push(self.seat_again(sitting, may_come_for, false, None)?);
            } else {
                looking.push(sitting);
            }
        }
        if looking.is_empty() {
            return Ok(());
        }
        let there = match writer.reader().members_among(group, &users_of(&looking)).await {
            Ok(there) => there,
            // Nobody is in a group that is gone.
            Err(graph::Error::NotFound) => Vec::new(),
            Err(error) => return self.seats_unseen(looking, error, ends),
        };
        for sitting in looking {
            ends.finishes.push(if there.contains(&sitting.claim.user) {
                self.seat_retried(sitting, true)?
            } else if sitting.state() == Some(SeatState::Leaving) {
                self.is_out(sitting)?
            } else {
                let (code, seat) = (Some(Code::RolloutTakenOut), Some(SeatState::Gone));
                self.seat_settled(sitting, EntryState::Unchanged, code, seat)?
            });
        }
        Ok(())
    }

    fn is_out(&self, sitting: Sitting) -> Result<ledger::SeatFinish, Error> {
        self.seat_settled(sitting, EntryState::Reverted, None, Some(SeatState::Left))
    }
}
