//! The way into a group: twenty a request, and one by one where Graph refuses the twenty.

use super::ends::SeatEnds;
use super::portions;
use super::sitting::Sitting;
use crate::Error;
use crate::doubt::poll_after;
use crate::lease::Lease;
use crate::refusals::Call;
use crate::shift::Shift;
use contract::{Code, EntraId, EntryState, SeatState};
use graph::{Answer, Writer};
use std::collections::BTreeSet;
use std::time::Duration;
use telemetry::crash_point;
use tokio::time::Instant;

impl Shift {
    /// Steps 2 to 6 on the way in.
    pub(super) async fn take_in(
        &self,
        writer: &Writer,
        sittings: Vec<Sitting>,
        lease: &Lease,
        ends: &mut SeatEnds,
    ) -> Result<(), Error> {
        let (begun, fresh): (Vec<_>, Vec<_>) = sittings.into_iter().partition(|s| s.seat.is_some());
        let mut asking = self.look_at_begun(writer, begun, ends).await?;
        for sitting in fresh {
            if sitting.group.is_empty() {
                let stays_out = Some(Code::RolloutNotMoved);
                ends.finishes.push(self.seat_settled(sitting, EntryState::Blocked, stays_out, None)?);
            } else {
                asking.push(sitting);
            }
        }
        let (asking, refused) = self.file_seats(asking).await?;
        for sitting in refused {
            // Somebody has begun to take the user back, or another worker has them: then this says nothing.
            let stays_out = Some(Code::RolloutNotMoved);
            ends.finishes.push(self.seat_settled(sitting, EntryState::Blocked, stays_out, None)?);
        }
        crash_point("rollout.filed");
        for (group, portion) in portions(asking) {
            self.ask(writer, &group, portion, lease, ends).await?;
            crash_point("rollout.asked");
        }
        Ok(())
    }

    /// Step 2: what was begun is looked at. Answers whom to ask for.
    async fn look_at_begun(
        &self,
        writer: &Writer,
        begun: Vec<Sitting>,
        ends: &mut SeatEnds,
    ) -> Result<Vec<Sitting>, Error> {
        let horizon = self.settings.seat_horizon();
        let mut asking = Vec::new();
        for (group, portion) in portions(begun) {
            let users = users_of(&portion);
            let there = match writer.reader().members_among(&group, &users).await {
                Ok(there) => {
                    self.refusals.allowed(Call::Members);
                    there.into_iter().collect::<BTreeSet<_>>()
                }
                Err(graph::Error::NotFound) => {
                    self.group_is_gone(portion, ends)?;
                    continue;
                }
                Err(error) => {
                    self.seats_unseen(portion, error, ends)?;
                    continue;
                }
            };
            for sitting in portion {
                let left = sitting.may_change_for(horizon);
                if sitting.state() == Some(SeatState::Leaving) && left > Duration::ZERO {
                    // What was asked to leave may do so yet.
                    let after = poll_after(horizon.saturating_sub(left)).min(left);
                    ends.finishes.push(self.seat_again(sitting, after, false, None)?);
                } else if there.contains(&sitting.claim.user) {
                    ends.finishes.push(self.is_in(sitting)?);
                } else {
                    asking.push(sitting);
                }
            }
        }
        Ok(asking)
    }

    /// Step 5: asks for a portion of one group.
    async fn ask(
        &self,
        writer: &Writer,
        group: &str,
        portion: Vec<Sitting>,
        lease: &Lease,
        ends: &mut SeatEnds,
    ) -> Result<(), Error> {
        let turn = self.turns.at(group).await;
        let users = users_of(&portion);
        let answer = writer.add_members(group, &users, lease.not_after(), &self.stops).await;
        match answer {
            Answer::Done { .. } => {
                self.refusals.allowed(Call::Group);
                for sitting in portion {
                    ends.finishes.push(self.is_in(sitting)?);
                }
            }
            Answer::Throttled | Answer::NotSent { .. } => {
                let after = wait_of(&answer);
                for sitting in portion {
                    let seat = unsent(&sitting);
                    ends.finishes.push(self.seat_again(sitting, after, false, seat)?);
                }
            }
            Answer::Doubt { .. } | Answer::DependencyFailed => {
                for sitting in portion {
                    ends.finishes.push(self.seat_retried(sitting, true)?);
                }
            }
            Answer::Refused { status: 403, .. } => self.seats_forbidden(portion, ends)?,
            // Somebody else was writing the group.
            Answer::Refused { status: 409, .. } => {
                for sitting in portion {
                    ends.finishes.push(self.seat_retried(sitting, false)?);
                }
            }
            // All or nothing: one of them spoils it for the others. Whoever was asked for before may be the one: there, and not
            // shown yet.
            Answer::Refused { .. } => {
                let horizon = self.settings.seat_horizon();
                let (late, fresh): (Vec<_>, Vec<_>) =
                    portion.into_iter().partition(|sitting| sitting.may_show_late(horizon));
                for sitting in late {
                    ends.finishes.push(self.seat_shown_later(sitting)?);
                }
                if !fresh.is_empty() {
                    self.one_by_one(writer, group, fresh, lease, ends).await?;
                }
            }
        }
        drop(turn);
        Ok(())
    }

    /// Step 5 for a portion that Graph refuses together.
    async fn one_by_one(
        &self,
        writer: &Writer,
        group: &str,
        portion: Vec<Sitting>,
        lease: &Lease,
        ends: &mut SeatEnds,
    ) -> Result<(), Error> {
        let mut refused = Vec::new();
        let mut left = portion;
        while !left.is_empty() {
            let users = users_of(&left);
            let answers = writer.add_each(group, &users, lease.not_after(), &self.stops).await;
            let before = left.len();
            let mut next = Vec::new();
            for (sitting, answer) in left.into_iter().zip(answers) {
                match answer {
                    Answer::Done { .. } => {
                        self.refusals.allowed(Call::Group);
                        ends.finishes.push(self.is_in(sitting)?);
                    }
                    Answer::DependencyFailed => next.push(sitting),
                    Answer::Throttled | Answer::NotSent { .. } => {
                        let seat = unsent(&sitting);
                        ends.finishes.push(self.seat_again(sitting, wait_of(&answer), false, seat)?);
                    }
                    Answer::Doubt { .. } => ends.finishes.push(self.seat_retried(sitting, true)?),
                    Answer::Refused { status: 403, .. } => {
                        self.seats_forbidden(vec![sitting], ends)?;
                    }
                    Answer::Refused { status: 409, .. } => {
                        ends.finishes.push(self.seat_retried(sitting, false)?);
                    }
                    Answer::Refused { .. } => refused.push(sitting),
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
        self.look_at_refused(writer, group, refused, ends).await
    }

    /// Step 6: why each was refused is told by what is there, never by the words.
    async fn look_at_refused(
        &self,
        writer: &Writer,
        group: &str,
        refused: Vec<Sitting>,
        ends: &mut SeatEnds,
    ) -> Result<(), Error> {
        if refused.is_empty() {
            return Ok(());
        }
        let users = users_of(&refused);
        let reader = writer.reader();
        let looked = async {
            let there = reader.members_among(group, &users).await?;
            let known = reader.users_by_ids(&users).await?;
            Ok::<_, graph::Error>((there, known))
        };
        let (there, known) = match looked.await {
            Ok(looked) => looked,
            Err(graph::Error::NotFound) => return self.group_is_gone(refused, ends),
            Err(error) => return self.seats_unseen(refused, error, ends),
        };
        for sitting in refused {
            let is_there = there.contains(&sitting.claim.user);
            let is_known = known.iter().any(|user| user.id == sitting.claim.user);
            ends.finishes.push(if is_there && sitting.seat.is_some() {
                // We had asked before, and nobody knew what had become of it.
                self.is_in(sitting)?
            } else if is_there {
                let (code, seat) = (Some(Code::RolloutAlreadyIn), Some(SeatState::Theirs));
                self.seat_settled(sitting, EntryState::Unchanged, code, seat)?
            } else if is_known {
                // There and not shown yet, or refused for a reason that nobody knows: later looks tell.
                self.seat_shown_later(sitting)?
            } else {
                let (code, seat) = (Some(Code::UserGone), Some(SeatState::Refused));
                self.seat_settled(sitting, EntryState::Parked, code, seat)?
            });
        }
        Ok(())
    }

    fn is_in(&self, sitting: Sitting) -> Result<ledger::SeatFinish, Error> {
        self.seat_settled(sitting, EntryState::Applied, None, Some(SeatState::Seated))
    }

    /// The group is not there, as far as this look tells. What stands is ended by the way out, once it is certain.
    fn group_is_gone(&self, sittings: Vec<Sitting>, ends: &mut SeatEnds) -> Result<(), Error> {
        for sitting in sittings {
            let code = Some(Code::RolloutGroupGone);
            ends.finishes.push(self.seat_settled(sitting, EntryState::Parked, code, None)?);
        }
        Ok(())
    }

    /// Looked at again later; an attempt only once it would have to show.
    fn seat_shown_later(&self, sitting: Sitting) -> Result<ledger::SeatFinish, Error> {
        let is_late = sitting.claim.snoozed >= self.settings.seat_horizon();
        let after = poll_after(sitting.claim.snoozed);
        self.seat_again(sitting, after, is_late, None)
    }
}

pub(super) fn users_of(sittings: &[Sitting]) -> Vec<EntraId> {
    sittings.iter().map(|sitting| sitting.claim.user.clone()).collect()
}

/// How long to wait after a request that was not sent or not begun with.
pub(super) fn wait_of(answer: &Answer) -> Duration {
    match answer {
        Answer::NotSent { held_until: Some(until) } => until.saturating_duration_since(Instant::now()),
        Answer::NotSent { held_until: None }
        | Answer::Throttled
        | Answer::Done { .. }
        | Answer::DependencyFailed
        | Answer::Refused { .. }
        | Answer::Doubt { .. } => Duration::from_secs(1),
    }
}

/// Where the seat stands when nothing was sent: one of which nobody knew before is as it was.
pub(super) fn unsent(sitting: &Sitting) -> Option<SeatState> {
    sitting.seat.is_none().then_some(SeatState::Refused)
}
