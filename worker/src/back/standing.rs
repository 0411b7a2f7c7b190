//! What stands of our own doing, from what is on file. Pure.
//!
//! A slot of which nothing of ours was ever seen, and nothing may have landed unseen, is not ours to take back.

use crate::case::Case;
use crate::compare::{current_of, same};
use crate::doubt::OpenIntent;
use contract::{Change, IntentOutcome, RunId, Target, TokenStatus, UserMethods};
use rules::Written;

/// A token that the inventory shows in another user's hands.
const ELSEWHERE: &str = "held by another user";

/// What stands in a change's slot now. A token that the user's list does not show is as the inventory has it.
pub(crate) fn standing(case: &Case, methods: &UserMethods, change: &Change) -> Option<String> {
    if let Some(held) = current_of(methods, change) {
        return Some(held);
    }
    let serial = change.serial.as_deref().filter(|_| change.method == Target::HardwareOath)?;
    let token = case.claim.inventory.iter().find(|t| is_serial(&t.serial, serial))?;
    Some(match &token.holder {
        None => TokenStatus::Available.as_str().to_owned(),
        Some(holder) if holder.0.eq_ignore_ascii_case(&case.claim.user.0) => token.status.as_str().to_owned(),
        Some(_) => ELSEWHERE.to_owned(),
    })
}

/// Serials are compared as the rules do it.
pub(super) fn is_serial(a: &str, b: &str) -> bool {
    a.trim().eq_ignore_ascii_case(b.trim())
}

/// A slot with something of ours, or with what may be.
pub(super) struct Slot {
    pub(super) key: String,
    pub(super) written: Written,
    pub(super) now: Option<String>,
}

impl Case {
    /// What we wrote or may have written, for every slot whose value before stands.
    pub(super) fn slots_of_ours(&self, run: RunId) -> Vec<Slot> {
        let mut slots: Vec<Slot> = self
            .pre_images
            .iter()
            .filter(|(slot, _)| !self.is_refused(slot))
            .filter_map(|(slot, before)| self.slot_of_ours(slot, before.as_ref(), run))
            .collect();
        slots.sort_by_key(|s| s.written.method);
        slots
    }

    fn slot_of_ours(&self, key: &str, before: Option<&String>, run: RunId) -> Option<Slot> {
        let values = self.values_of_ours(key, before, run);
        let (change, newest) = values.first()?;
        let now = standing(self, &self.methods, change);
        let is_there = |value: &&String| same(change.method, now.as_deref(), Some(value.as_str()));
        let ours = values.iter().map(|(_, value)| value).find(is_there).unwrap_or(newest).clone();
        let written = Written {
            method: change.method,
            serial: change.serial.clone(),
            pre_image: before.cloned(),
            ours,
            // Where it lay in the inventory before us, that is its value before.
            created_device: change.method == Target::HardwareOath && before.is_none(),
        };
        Some(Slot { key: key.to_owned(), written, now })
    }

    /// The values of ours that may stand in a slot, the likeliest first: the last that was seen, those that may have landed,
    /// and the one that we had found when we began to take it back.
    fn values_of_ours(&self, key: &str, before: Option<&String>, run: RunId) -> Vec<(Change, String)> {
        let mut values: Vec<(&Change, &Option<String>)> = Vec::new();
        let filed = self.filed.iter().filter(|f| f.slot == key);
        // A default that only we moved, on this way back, was ours never before.
        if self.claim.pre_images.iter().any(|image| image.slot == key && image.run == run) {
            values.extend(filed.map(|f| (&f.change, &f.change.to)));
        } else {
            values.extend(self.ours.iter().filter(|(slot, _)| slot == key).map(|(_, c)| (c, &c.to)));
            for OpenIntent { change, .. } in self.open_elsewhere.iter().filter(|o| o.slot == key) {
                values.push((change, &change.to));
                // The intent of another rollback: what it was to replace.
                if same(change.method, change.to.as_deref(), before.map(String::as_str)) {
                    values.push((change, &change.from));
                }
            }
            values.extend(self.drifted.iter().filter(|f| f.slot == key).map(|f| (&f.change, &f.change.to)));
            for filed in filed {
                values.push((&filed.change, &filed.change.from));
                // The default may have been set to another one than before, which could not be had.
                if filed.change.method == Target::Default {
                    values.push((&filed.change, &filed.change.to));
                }
            }
        }
        values.into_iter().filter_map(|(change, value)| Some((change.clone(), value.clone()?))).collect()
    }

    /// Whether Graph has refused this run to take a slot back.
    pub(super) fn is_refused(&self, key: &str) -> bool {
        self.filed.iter().any(|f| {
            f.slot == key && matches!(f.outcome, Some(IntentOutcome::Refused | IntentOutcome::Invalid))
        })
    }

    /// Serials of tokens of ours that the user's list does not show with their device.
    pub(super) fn serials_to_find(&self) -> Vec<String> {
        let stands = |slot: &String| self.pre_images.iter().any(|(s, _)| s == slot);
        let ours = self.ours.iter().filter(|(slot, _)| stands(slot)).map(|(_, change)| change);
        let open = self.open_elsewhere.iter().filter(|o| stands(&o.slot)).map(|o| &o.change);
        let filed = self.filed.iter().chain(&self.drifted).map(|f| &f.change);
        let mut serials: Vec<String> =
            ours.chain(open).chain(filed).filter_map(|c| c.serial.clone()).collect();
        serials.sort_unstable();
        serials.dedup();
        serials.retain(|serial| {
            !self
                .methods
                .hardware_oath
                .iter()
                .any(|t| t.device_id.is_some() && t.serial.as_deref().is_some_and(|s| is_serial(s, serial)))
        });
        serials
    }
}
