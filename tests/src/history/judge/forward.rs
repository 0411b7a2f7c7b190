//! What must be there when a migration is over, and what must be on file of what was there before.

use super::{Judge, Key, Way, Who, canonical};
use crate::history::office::Left;
use crate::history::rig::Standing;
use contract::{Change, FingerprintKey, IntentOutcome, Target, slot_key};

impl Judge {
    /// After a migration that has ended: what it says it has applied is there, unless somebody has changed it since.
    pub(crate) fn after_the_way_forward(&self, left: &[Left]) -> Vec<String> {
        let mut found = Vec::new();
        for left in left {
            for done in left.result.iter().flat_map(|result| &result.changes) {
                if done.outcome != Some(IntentOutcome::Applied) {
                    continue;
                }
                let Some(key) = key_of(&left.user, &done.change) else { continue };
                let slot = self.slots.get(&key);
                let stands = slot.and_then(|slot| slot.value.clone());
                let wanted = done.change.to.as_deref().map(canonical);
                let is_ours_to_tell = slot.is_none_or(|slot| matches!(slot.by, Who::Ours | Who::Beginning));
                if stands != wanted && is_ours_to_tell {
                    found.push(format!(
                        "applied, and not there: {key:?} wanted {wanted:?}, is {stands:?} ({})",
                        left.codes
                    ));
                }
            }
        }
        found
    }

    /// Compares what is on file of the values before with what was heard.
    pub(crate) fn check_pre_images(
        &mut self,
        standing: &Standing,
        keys: &FingerprintKey,
        way: Way,
    ) -> Vec<String> {
        let mut found = Vec::new();
        if way == Way::Back {
            self.settle_defaults(standing);
        }
        for (key, slot, era) in self.eras().filter(|(_, _, era)| !era.ours.is_empty()) {
            let Some(user) = &slot.user else { continue };
            let on_file = standing.get(&(user.clone(), file_key(key, keys)));
            match on_file {
                Some(before) if before.as_deref().map(canonical) == era.before => {}
                // It came back by somebody's hand, or the way back is past it.
                None if slot.value == era.before => {}
                // Unset and set since counts as unset.
                Some(None) if key.is_default() => {}
                Some(before) => found.push(format!(
                    "the value before is not on file: {key:?} {before:?}, it was {:?}",
                    era.before
                )),
                None if slot.by == Who::Somebody => {}
                None => found.push(format!(
                    "nothing is on file of what was before: {key:?} was {:?}, is {:?}",
                    era.before, slot.value
                )),
            }
        }
        for (key, slot) in self.slots.iter().filter(|(_, slot)| slot.era.is_none()) {
            let Some(user) = &slot.user else { continue };
            if let Some(before) = standing.get(&(user.clone(), file_key(key, keys))) {
                let before = before.as_deref().map(canonical);
                if !slot.of_others.contains(&before) {
                    found.push(format!("a value of ours is on file as the one before: {key:?} {before:?}"));
                }
            }
        }
        found
    }

    /// A default that Graph cannot unset is settled on the way back as it stands: the next change of it begins anew.
    fn settle_defaults(&mut self, standing: &Standing) {
        for (_, slot) in self.slots.iter_mut().filter(|(key, _)| key.is_default()) {
            let Some(user) = &slot.user else { continue };
            let was_unset = slot.era.as_ref().is_some_and(|era| era.before.is_none());
            if was_unset && !standing.contains_key(&(user.clone(), Target::Default.as_str().to_owned())) {
                slot.settle();
            }
        }
    }
}

fn key_of(user: &str, change: &Change) -> Option<Key> {
    match change.method {
        Target::HardwareOath => change.serial.clone().map(Key::Token),
        Target::Mobile | Target::AlternateMobile | Target::Office | Target::Default => {
            Some(Key::Method(user.to_owned(), change.method.as_str().to_owned()))
        }
    }
}

/// The ledger's name of a slot.
fn file_key(key: &Key, keys: &FingerprintKey) -> String {
    match key {
        Key::Method(_, method) => method.clone(),
        Key::Token(serial) => slot_key(Target::HardwareOath, Some(serial), keys),
    }
}
