//! Step 3 of the way back: what is to be taken back, from what is on file and what was seen. No I/O.
//!
//! It plans on no look in which something of ours, or what we took back, may still be missing.

use super::standing::{Slot, is_serial, standing};
use crate::case::{Case, Progress, Work, note, subject_of};
use crate::{Assignment, Settings};
use contract::{
    Change, Code, Conflict, EntryState, FingerprintKey, IntentOutcome, Observed, Outcome, Target,
    TokenStatus, slot_of,
};
use ledger::SlotOutcome;
use rules::{RevertStep, Written};
use std::time::Duration;

/// What a look at a user leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Way {
    /// Something may not show yet: look again later.
    Wait(Duration),
    /// Nothing is left to take back.
    AtItsEnd,
    /// There is work.
    Write,
}

impl Case {
    /// Decides what is to be taken back.
    pub(super) fn decide_back(
        &mut self,
        assignment: &Assignment,
        settings: &Settings,
        keys: &FingerprintKey,
    ) -> Way {
        self.work.clear();
        self.notes.clear();
        self.conflicts.clear();
        self.left_alone.clear();
        let seen: Vec<(Change, Option<String>)> = self
            .open
            .iter()
            .map(|o| &o.change)
            .chain(self.filed.iter().chain(&self.recent).map(|f| &f.change))
            .map(|change| (change.clone(), standing(self, &self.methods, change)))
            .collect();
        let now = |change: &Change| seen.iter().find(|(c, _)| c == change).and_then(|(_, now)| now.clone());
        if let Some(wait) = self.look_into_doubts(now, settings.horizon()) {
            return Way::Wait(wait);
        }
        let mut slots = self.slots_of_ours(assignment.run);
        self.ours_stood = !slots.is_empty() || !self.filed.is_empty();
        self.set_twins_apart(&mut slots);
        let observed = Observed {
            user: self.claim.user.clone(),
            methods: self.methods.clone(),
            guest: self.claim.guest,
            allowed: self.claim.allowed,
            inventory: self.claim.inventory.clone(),
            contested_serials: Vec::new(),
        };
        let written: Vec<Written> = slots.iter().map(|s| s.written.clone()).collect();
        let plan = rules::revert(&written, &observed);
        self.notes.extend(plan.notes);
        for slot in slots.iter().filter(|s| plan.conflicts.contains(&change_of(&s.written).slot())) {
            self.leave_alone(slot);
        }
        let refused = self.filed.iter().filter(|f| self.is_refused(&f.slot));
        let refused: Vec<_> =
            refused.map(|f| note(Code::GraphRefused, subject_of(f.change.method))).collect();
        self.notes.extend(refused);
        self.work = plan.steps.into_iter().filter_map(|step| self.work_of(step, &slots, keys)).collect();
        if self.work.iter().any(|w| self.is_refused(&w.slot)) {
            // What comes after a step that Graph refuses would be refused too, and planned again for ever.
            self.work.clear();
        }
        let is_change = !self.work.is_empty() || !self.filed.is_empty();
        self.outcome = if is_change { Outcome::Change } else { Outcome::Unchanged };
        if self.work.is_empty() { Way::AtItsEnd } else { Way::Write }
    }

    /// A serial that lies in the inventory twice does not tell which device we created: neither is touched.
    fn set_twins_apart(&mut self, slots: &mut Vec<Slot>) {
        let inventory = &self.claim.inventory;
        let is_twin = |slot: &mut Slot| {
            slot.written.created_device
                && slot.written.serial.as_deref().is_some_and(|serial| {
                    inventory.iter().filter(|t| is_serial(&t.serial, serial)).count() > 1
                })
        };
        let twins: Vec<Slot> = slots.extract_if(.., is_twin).collect();
        for slot in &twins {
            self.notes.push(note(Code::RollbackConflict, subject_of(slot.written.method)));
            self.leave_alone(slot);
        }
    }

    fn leave_alone(&mut self, slot: &Slot) {
        self.conflicts.push(conflict(slot));
        self.left_alone.push(slot.key.clone());
    }

    /// One step as work; none for a device that is not there.
    fn work_of(&self, step: RevertStep, slots: &[Slot], keys: &FingerprintKey) -> Option<Work> {
        let of = |method, serial, to| Change { method, serial, from: None, to };
        let before = |serial: &str| {
            let mut tokens = slots.iter().map(|s| &s.written).filter(|w| w.method == Target::HardwareOath);
            tokens.find(|w| w.serial.as_deref().is_some_and(|s| is_serial(s, serial)))?.pre_image.clone()
        };
        let mut change = match &step {
            RevertStep::SetDefault { to } => of(Target::Default, None, Some(to.as_str().to_owned())),
            RevertStep::PatchPhone { target, to } => of(*target, None, Some(to.clone())),
            RevertStep::DeletePhone { target } => of(*target, None, None),
            RevertStep::DeactivateToken { serial, .. } => {
                let held = TokenStatus::Assigned.as_str().to_owned();
                of(Target::HardwareOath, Some(serial.clone()), Some(held))
            }
            RevertStep::UnassignToken { serial, .. } => {
                of(Target::HardwareOath, Some(serial.clone()), before(serial))
            }
            RevertStep::DeleteDevice { serial, device_id } => {
                device_id.as_ref()?;
                of(Target::HardwareOath, Some(serial.clone()), None)
            }
        };
        change.from = standing(self, &self.methods, &change);
        let slot = slot_of(&change, keys);
        Some(Work { change, slot, token: None, back: Some(step), progress: Progress::Ready })
    }

    /// The state of a user of whom nothing is left to take back.
    pub(super) fn state_taken_back(&self) -> EntryState {
        let held_for_another_reason = self
            .notes
            .iter()
            .any(|n| n.code.kind() == contract::CodeKind::Held && n.code != Code::RollbackConflict);
        if held_for_another_reason {
            EntryState::Parked
        } else if self.notes.iter().any(|n| n.code == Code::RollbackConflict) {
            EntryState::Conflict
        } else if self.ours_stood {
            EntryState::Reverted
        } else {
            EntryState::Unchanged
        }
    }

    /// Tells the ledger of slots that needed no write. What is as before, or was never ours, is restored; a write of which
    /// nobody knew whether it landed has not, where the value before stands.
    pub(super) fn tell_restored(&mut self, state: EntryState) {
        let mut told = Vec::new();
        for (slot, _) in &self.pre_images {
            let is_known = self.outcomes.iter().any(|o| o.slot == *slot) || self.is_refused(slot);
            if is_known || self.left_alone.contains(slot) {
                continue;
            }
            let outcome = match self.open_elsewhere.iter().any(|o| o.slot == *slot) {
                true => IntentOutcome::Failed,
                false if state == EntryState::Parked => continue,
                false => IntentOutcome::Applied,
            };
            told.push(SlotOutcome { slot: slot.clone(), outcome });
        }
        self.outcomes.extend(told);
    }
}

fn change_of(written: &Written) -> Change {
    Change { method: written.method, serial: written.serial.clone(), from: None, to: None }
}

fn conflict(slot: &Slot) -> Conflict {
    Conflict {
        method: slot.written.method,
        serial: slot.written.serial.clone(),
        before: slot.written.pre_image.clone(),
        ours: Some(slot.written.ours.clone()),
        now: slot.now.clone(),
    }
}
