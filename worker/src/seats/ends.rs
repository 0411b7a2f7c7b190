//! How a claim of a rollout ends: settled, or back to waiting, with what is known of the seat.

use super::sitting::Sitting;
use super::way_in::unsent;
use crate::Error;
use crate::case::note;
use crate::finish::retry_delay;
use crate::refusals::Call;
use crate::shift::Shift;
use contract::{Code, Disposition, EntryResult, EntryState, Outcome, SeatState, Subject, context};
use ledger::{End, Finish, SeatFinish};
use std::collections::BTreeMap;
use std::time::Duration;
use telemetry::ledger_operation;

/// What a group of claims comes to.
#[derive(Default)]
pub(super) struct SeatEnds {
    pub(super) finishes: Vec<SeatFinish>,
    /// What ends the run, once the group is settled.
    pub(super) stop: Option<Error>,
}

impl Shift {
    /// Step 7: settles. A stale epoch touches nothing: another worker has that user now.
    pub(super) async fn end_seats(&self, ends: SeatEnds) -> Result<(), Error> {
        let finishing = self.ledger.finish_seats(self.assignment.run, &ends.finishes);
        let ours = ledger_operation("finish_seats", finishing).await?;
        if telemetry::exports() {
            let mut settled: BTreeMap<EntryState, u64> = BTreeMap::new();
            for ended in ends.finishes.iter().filter(|f| ours.contains(&f.finish.ordinal)) {
                match &ended.finish.end {
                    End::Settle { state, .. } => *settled.entry(*state).or_default() += 1,
                    End::Snooze { .. } => {}
                }
            }
            for (state, n) in settled {
                telemetry::record_settled(self.assignment.run.0, state.as_str(), n);
            }
        }
        ends.stop.map_or(Ok(()), Err)
    }

    /// The run is done with the user.
    pub(super) fn seat_settled(
        &self,
        sitting: Sitting,
        state: EntryState,
        code: Option<Code>,
        seat: Option<SeatState>,
    ) -> Result<SeatFinish, Error> {
        let claim = sitting.claim;
        let result = EntryResult {
            v: EntryResult::VERSION,
            changes: Vec::new(),
            notes: code.map(|code| note(code, Subject::User)).into_iter().collect(),
            conflicts: Vec::new(),
            created_tokens: 0,
        };
        let outcome = match state {
            EntryState::Applied | EntryState::Reverted => Outcome::Change,
            EntryState::Unchanged => Outcome::Unchanged,
            EntryState::Waiting
            | EntryState::Claimed
            | EntryState::Blocked
            | EntryState::Skipped
            | EntryState::Parked
            | EntryState::Conflict
            | EntryState::Planned
            | EntryState::Confirmed
            | EntryState::Missing
            | EntryState::ChangedSince => Outcome::Blocked,
        };
        let result = self.sealer.seal_json(&context::result(self.assignment.run, claim.ordinal), &result)?;
        let end = End::Settle {
            state,
            outcome,
            codes: code.map_or("", Code::as_str).to_owned(),
            result,
            applied: None,
            secrets: Vec::new(),
        };
        Ok(self.seat_finish(claim, end, seat))
    }

    /// Back to waiting, unless a bound is reached.
    pub(super) fn seat_again(
        &self,
        sitting: Sitting,
        after: Duration,
        attempt: bool,
        seat: Option<SeatState>,
    ) -> Result<SeatFinish, Error> {
        let attempts = sitting.claim.attempts + u32::from(attempt);
        let out_of_time = sitting.claim.snoozed > self.settings.max_snoozed;
        if attempts >= self.settings.max_attempts || out_of_time {
            let code = if out_of_time { Code::ThrottledOut } else { Code::GraphRefused };
            return self.seat_settled(sitting, EntryState::Parked, Some(code), seat);
        }
        Ok(self.seat_finish(sitting.claim, End::Snooze { after, attempt }, seat))
    }

    /// The same after a failure that is Graph's own, soon at first.
    pub(super) fn seat_retried(&self, sitting: Sitting, attempt: bool) -> Result<SeatFinish, Error> {
        let delay = retry_delay(sitting.claim.snoozes + 1);
        self.seat_again(sitting, delay, attempt, None)
    }

    fn seat_finish(&self, claim: ledger::Claim, end: End, seat: Option<SeatState>) -> SeatFinish {
        let finish = Finish {
            ordinal: claim.ordinal,
            epoch: claim.epoch,
            user: claim.user,
            outcomes: Vec::new(),
            end,
        };
        SeatFinish { finish, seat, acts_after: self.assignment.stay }
    }

    /// Users who could not be looked at. What ends the run ends it after the group: these just go back.
    pub(super) fn seats_unseen(
        &self,
        sittings: Vec<Sitting>,
        error: graph::Error,
        ends: &mut SeatEnds,
    ) -> Result<(), Error> {
        if matches!(error, graph::Error::Forbidden { .. })
            && let Err(stop) = self.refusals.forbidden(Call::Members)
        {
            ends.stop.get_or_insert(stop);
            for sitting in sittings {
                ends.finishes.push(self.seat_again(sitting, Duration::ZERO, false, None)?);
            }
            return Ok(());
        }
        let disposition = error.disposition();
        let answered = matches!(error, graph::Error::Server { .. });
        for sitting in sittings {
            ends.finishes.push(match &disposition {
                Disposition::Stop => self.seat_again(sitting, Duration::ZERO, false, None)?,
                Disposition::Park { code } => {
                    self.seat_settled(sitting, EntryState::Parked, Some(*code), None)?
                }
                Disposition::Snooze { after } => self.seat_again(sitting, *after, false, None)?,
                Disposition::Retry => self.seat_retried(sitting, answered)?,
            });
        }
        if disposition == Disposition::Stop {
            ends.stop.get_or_insert(Error::Graph(error));
        }
        Ok(())
    }

    /// Users of one request that Graph would not let us make.
    pub(super) fn seats_forbidden(&self, sittings: Vec<Sitting>, ends: &mut SeatEnds) -> Result<(), Error> {
        let stop = self.refusals.forbidden(Call::Group).err();
        for sitting in sittings {
            let seat = unsent(&sitting);
            ends.finishes.push(match stop {
                Some(_) => self.seat_again(sitting, Duration::ZERO, false, seat)?,
                None => self.seat_settled(sitting, EntryState::Parked, Some(Code::Forbidden), seat)?,
            });
        }
        if let Some(stop) = stop {
            ends.stop.get_or_insert(stop);
        }
        Ok(())
    }
}
