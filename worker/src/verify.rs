//! How a user is verified: what we wrote, as it is on file, against what Graph shows. It only reads.
//!
//! What Graph may show late is not missed before its time: such a user is looked at again, in passes, and uses up no
//! attempt. Nothing of the record is needed.

use crate::Error;
use crate::back::standing;
use crate::case::Case;
use crate::compare::same;
use crate::doubt::poll_after;
use crate::handler::Ends;
use crate::shift::Shift;
use contract::{Change, Conflict, EntryState, Outcome, Target};
use ledger::Claim;
use std::time::Duration;

/// What a look at a user tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    /// Something may not show yet.
    NotYet(Duration),
    /// All of ours is there, or something is not.
    End(EntryState),
}

impl Shift {
    /// Steps 2 and 7 for claimed users of a verification.
    pub(crate) async fn verify(&self, claims: Vec<Claim>) -> Result<(), Error> {
        let mut ends = Ends::default();
        let cases = self.open_each(claims, &mut ends, |claim| {
            Case::without_record(claim, &self.assignment, &self.sealer)
        })?;
        let token = Target::HardwareOath.as_str();
        let tokens = |c: &Case| c.pre_images.iter().any(|(slot, _)| slot.starts_with(token));
        for mut case in self.look(cases, tokens, &mut ends).await? {
            match case.compare_with_ours(self.settings.visibility_deadline) {
                Found::NotYet(after) => ends.finishes.push(self.snooze(case, after, false)?),
                Found::End(state) => ends.finishes.push(self.settle(case, state)?),
            }
        }
        self.end_group(ends).await
    }
}

impl Case {
    /// Compares every slot of ours whose value before stands on file: where it was taken back, nothing there is ours.
    fn compare_with_ours(&mut self, visibility_deadline: Duration) -> Found {
        self.conflicts.clear();
        self.outcome = Outcome::Unchanged;
        let mut wait: Option<Duration> = None;
        let mut state = EntryState::Confirmed;
        let open = self.open.iter().filter(|o| o.newest).map(|o| (&o.slot, &o.change));
        let ours: Vec<(String, Change)> = self
            .ours
            .iter()
            .map(|(slot, change)| (slot, change))
            .filter(|(slot, _)| !self.open.iter().any(|o| o.slot == **slot))
            .chain(open)
            .map(|(slot, change)| (slot.clone(), change.clone()))
            .collect();
        for (slot, change) in ours {
            let Some((_, before)) = self.pre_images.iter().find(|(s, _)| *s == slot) else { continue };
            let now = standing(self, &self.methods, &change);
            if same(change.method, now.as_deref(), change.to.as_deref()) {
                continue;
            }
            let is_gone = now.is_none() || same(change.method, now.as_deref(), before.as_deref());
            let age = self.age_of(&slot).filter(|age| *age < visibility_deadline);
            if let Some(age) = age.filter(|_| is_gone) {
                wait = wait.max(Some(poll_after(age).min(visibility_deadline.saturating_sub(age))));
                continue;
            }
            if is_gone {
                state = EntryState::Missing;
            } else if state == EntryState::Confirmed {
                state = EntryState::ChangedSince;
            }
            self.conflicts.push(Conflict {
                method: change.method,
                serial: change.serial.clone(),
                before: before.clone(),
                ours: change.to.clone(),
                now,
            });
        }
        wait.map_or(Found::End(state), Found::NotYet)
    }

    /// How long ago the newest write to a slot was filed.
    fn age_of(&self, slot: &str) -> Option<Duration> {
        let recent = self.recent.iter().filter(|f| f.slot == slot).map(|f| f.age);
        recent.chain(self.open.iter().filter(|o| o.slot == slot).map(|o| o.age)).min()
    }
}
