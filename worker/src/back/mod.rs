//! How a user is taken back: the seven steps of `handler.rs` in the other direction, for the orders of a rollback.
//!
//! It needs nothing of the record, only what is on file of our own doing. It begins with nobody of whom a write of
//! another run may still land, writes nothing before its intents are on file, leaves alone what is neither ours nor the
//! value before, and never deletes a token that we did not create. Where a user stands is read, never remembered: asked
//! again at any point, it does the rest of the way and no more.

mod end;
mod plan;
mod standing;
mod steps;

pub(crate) use standing::standing;

use crate::Error;
use crate::case::Case;
use crate::handler::Ends;
use crate::lease::Lease;
use crate::shift::Shift;
use contract::{InventoryToken, Target};
use graph::Writer;
use ledger::Claim;
use std::time::Duration;
use telemetry::crash_point;

impl Shift {
    /// Steps 2 to 7 for claimed users of a rollback.
    pub(crate) async fn take_back(
        &self,
        writer: &Writer,
        claims: Vec<Claim>,
        lease: &mut Lease,
    ) -> Result<(), Error> {
        let mut ends = Ends::default();
        let cases = self.open_quiet(claims, &mut ends)?;
        let mut taking = self.look_and_plan_back(cases, &mut ends).await?;
        crash_point("rollback.planned");

        if !taking.is_empty() {
            if self.wait_out_hold(&mut taking, lease, &mut ends).await? {
                taking = self.look_and_plan_back(taking, &mut ends).await?;
            }
            self.renew(lease, &mut taking).await?;
            let mut taking = self.file_intents(taking).await?;
            crash_point("rollback.intents-filed");
            let stop = self.walk_back(writer, &mut taking, lease).await?;
            ends.stop = ends.stop.or(stop);
            self.read_way_back(&mut taking).await;
            for case in taking {
                ends.finishes.push(self.end_of_work(case)?);
            }
        }

        crash_point("rollback.before-finish");
        let ended = self.end_group(ends).await;
        crash_point("rollback.finished");
        ended
    }

    /// Opens what is on file. A user of whom another run's write may still land is not looked at before it cannot.
    fn open_quiet(&self, claims: Vec<Claim>, ends: &mut Ends) -> Result<Vec<Case>, Error> {
        let opened = self.open_each(claims, ends, |claim| {
            let mut case = Case::without_record(claim, &self.assignment, &self.sealer)?;
            (case.open, case.open_elsewhere) = case.open.into_iter().partition(|o| o.of_this_run);
            // What we have begun to take back is not waited for to show again.
            case.recent.retain(|r| !case.filed.iter().any(|f| f.slot == r.slot));
            // The run reads no inventory.
            case.claim.inventory.clear();
            Ok(case)
        })?;
        let horizon = self.settings.horizon();
        let mut quiet = Vec::with_capacity(opened.len());
        for case in opened {
            match case.open_elsewhere.iter().map(|o| horizon.saturating_sub(o.age)).max() {
                Some(wait) if wait > Duration::ZERO => ends.finishes.push(self.snooze(case, wait, false)?),
                Some(_) | None => quiet.push(case),
            }
        }
        Ok(quiet)
    }

    /// Steps 2 and 3. Answers the users of whom something is to be taken back; the others get their end.
    async fn look_and_plan_back(&self, cases: Vec<Case>, ends: &mut Ends) -> Result<Vec<Case>, Error> {
        let token = Target::HardwareOath.as_str();
        let tokens = |c: &Case| c.pre_images.iter().any(|(slot, _)| slot.starts_with(token));
        let mut taking = Vec::new();
        for mut case in self.look(cases, tokens, ends).await? {
            if let Err(error) = self.find_tokens(&mut case).await {
                self.unobserved(case, error, ends)?;
                continue;
            }
            match case.decide_back(&self.assignment, &self.settings, &self.keys) {
                plan::Way::Wait(after) => ends.finishes.push(self.snooze(case, after, false)?),
                plan::Way::AtItsEnd => ends.finishes.push(self.settle_taken_back(case)?),
                plan::Way::Write => taking.push(case),
            }
        }
        Ok(taking)
    }

    /// Looks in the inventory for the tokens that the user's own list does not tell enough of.
    async fn find_tokens(&self, case: &mut Case) -> Result<(), graph::Error> {
        let mut inventory: Vec<InventoryToken> = Vec::new();
        for serial in case.serials_to_find() {
            inventory.extend(self.hands.reader().inventory_by_serial(&serial).await?);
        }
        case.claim.inventory = inventory;
        Ok(())
    }
}
