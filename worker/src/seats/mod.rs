//! How users get into the groups of the staged rollout and out of them again, for the orders of its runs.
//!
//! The steps are those of `handler.rs`: claim, look where something was begun, file the seat, ask for it, look where it
//! ended in doubt, settle. Asking for a place twice does no harm, so that a doubt on the way in is simply asked again; on
//! the way out nobody counts as out while a request to come in may still land. Whoever is in a group by somebody else's
//! doing has no seat and is never taken out.

mod ends;
mod sitting;
mod turns;
mod way_in;
mod way_out;

pub(crate) use turns::Turns;

use crate::lease::Lease;
use crate::shift::Shift;
use crate::{Error, Settings};
use contract::RunKind;
use ends::SeatEnds;
use graph::Writer;
use ledger::{Claim, NewSeat};
use sitting::Sitting;
use std::collections::BTreeMap;
use std::time::Duration;
use telemetry::{crash_point, ledger_operation};

/// Users of one request (Graph, `members@odata.bind`), and of one bundle.
const TOGETHER: usize = 20;

impl Settings {
    /// The age below which a request for a seat may still land: it may have waited for quota for as long as its lease let it.
    pub fn seat_horizon(&self) -> Duration {
        self.lease + self.visibility_deadline
    }
}

impl Shift {
    /// Steps 2 to 7 for claimed users of a rollout, in the direction of the run.
    pub(crate) async fn seat_users(
        &self,
        writer: &Writer,
        claims: Vec<Claim>,
        lease: &Lease,
    ) -> Result<(), Error> {
        let ordinals: Vec<i64> = claims.iter().map(|claim| claim.ordinal).collect();
        let reading = self.ledger.claimed_seats(self.assignment.run, &ordinals);
        let mut known: BTreeMap<_, _> = ledger_operation("claimed_seats", reading)
            .await?
            .into_iter()
            .map(|seat| (seat.ordinal, seat))
            .collect();
        let sittings = claims.into_iter().map(|claim| {
            let known = known.remove(&claim.ordinal);
            Sitting::new(claim, known)
        });
        let sittings: Vec<Sitting> = sittings.collect();
        let mut ends = SeatEnds::default();
        let is_way_out = self.assignment.kind == RunKind::RolloutRemove;
        if is_way_out {
            self.take_out(writer, sittings, lease, &mut ends).await?;
        } else {
            self.take_in(writer, sittings, lease, &mut ends).await?;
        }
        crash_point(if is_way_out { "rollout-remove.before-finish" } else { "rollout.before-finish" });
        let ended = self.end_seats(ends).await;
        crash_point(if is_way_out { "rollout-remove.finished" } else { "rollout.finished" });
        ended
    }

    /// Files the seats before anything is asked. Answers those that were ours to file.
    async fn file_seats(&self, sittings: Vec<Sitting>) -> Result<(Vec<Sitting>, Vec<Sitting>), Error> {
        if sittings.is_empty() {
            return Ok((sittings, Vec::new()));
        }
        let rows: Vec<NewSeat> = sittings
            .iter()
            .map(|s| NewSeat {
                ordinal: s.claim.ordinal,
                epoch: s.claim.epoch,
                user: s.claim.user.clone(),
                group: s.group.clone(),
            })
            .collect();
        let filing = self.ledger.file_seats(self.assignment.run, &rows);
        let held = ledger_operation("file_seats", filing).await?;
        Ok(sittings.into_iter().partition(|s| held.contains(&s.claim.ordinal)))
    }
}

/// Users by their group, in portions of one request.
fn portions(sittings: Vec<Sitting>) -> Vec<(String, Vec<Sitting>)> {
    let mut groups: BTreeMap<String, Vec<Sitting>> = BTreeMap::new();
    for sitting in sittings {
        groups.entry(sitting.group.clone()).or_default().push(sitting);
    }
    let mut portions = Vec::new();
    for (group, mut sittings) in groups {
        while !sittings.is_empty() {
            let rest = sittings.split_off(sittings.len().min(TOGETHER));
            portions.push((group.clone(), std::mem::replace(&mut sittings, rest)));
        }
    }
    portions
}
