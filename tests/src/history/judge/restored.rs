//! What must have come back when a rollback of everybody is over.

use super::slots::Era;
use super::{Judge, Key, Slot, Who};
use contract::EntryState;
use std::collections::BTreeMap;

/// How the rollback left each user, by object id.
pub(crate) type Fate = BTreeMap<String, EntryState>;

impl Judge {
    /// After a rollback that has ended, of everybody or of some. What came back is settled: the next change begins anew.
    pub(crate) fn after_the_way_back(&mut self, fate: &Fate, everybody: bool) -> Vec<String> {
        let is_meant =
            |slot: &Slot| everybody || slot.user.as_ref().is_some_and(|user| fate.contains_key(user));
        let mut found = Vec::new();
        for (key, slot, era) in self.eras().filter(|(_, slot, _)| is_meant(slot)) {
            if let Some(fault) = self.left_behind(key, slot, era, fate) {
                found.push(format!(
                    "{fault}: {key:?} was {:?}, is {:?} (ours {:?})",
                    era.before, slot.value, era.ours
                ));
            }
        }
        for (key, slot) in &mut self.slots {
            // A default that Graph cannot unset is settled as it stands.
            let is_over =
                |era: &Era| era.before == slot.value || (key.is_default() && slot.by != Who::Somebody);
            let parked = slot.user.as_ref().is_some_and(|user| fate.get(user) == Some(&EntryState::Parked));
            if is_meant(slot) && !parked && slot.era.as_ref().is_some_and(is_over) {
                slot.settle();
            }
        }
        found
    }

    fn left_behind(&self, key: &Key, slot: &Slot, era: &Era, fate: &Fate) -> Option<String> {
        if slot.value == era.before {
            return None;
        }
        let state = slot.user.as_ref().and_then(|user| fate.get(user).copied());
        let conflicts = state == Some(EntryState::Conflict);
        // A user who is set aside has a reason on file; it is counted by whoever walks the history.
        if state == Some(EntryState::Parked) {
            return None;
        }
        if key.is_default() {
            return (!self.default_left(slot, era)).then(|| "a default was not brought back".to_owned());
        }
        let is_ours = era.ours.last() == Some(&slot.value);
        match (slot.by, is_ours) {
            (Who::Somebody, false) if conflicts => None,
            (Who::Somebody, false) => Some(format!("somebody's change is no conflict ({state:?})")),
            // A mobile stays under an alternate mobile that stays.
            _ if conflicts && self.is_held_up(key, slot) => None,
            _ => Some(format!("not taken back ({state:?})")),
        }
    }

    /// Whether a default may stand as it does: it was unset, or what it stood on is gone, or somebody chose it.
    fn default_left(&self, slot: &Slot, era: &Era) -> bool {
        let Some(before) = &era.before else { return true };
        let stands = slot.user.as_ref().is_some_and(|user| self.is_there(user, before));
        slot.by == Who::Somebody || !stands
    }

    /// Whether a method that a default names is there. What the product never writes is not asked for.
    fn is_there(&self, user: &str, default: &str) -> bool {
        let phone = |kind: &str| {
            let key = Key::Method(user.to_owned(), kind.to_owned());
            self.slots.get(&key).is_some_and(|slot| slot.value.is_some())
        };
        match default {
            "sms" | "voiceMobile" => phone("mobile"),
            "voiceAlternateMobile" => phone("alternateMobile"),
            "voiceOffice" => phone("office"),
            _ => false,
        }
    }

    fn is_held_up(&self, key: &Key, slot: &Slot) -> bool {
        let Key::Method(user, method) = key else { return false };
        let above = Key::Method(user.clone(), "alternateMobile".to_owned());
        method == "mobile"
            && slot.value.is_some()
            && self.slots.get(&above).is_some_and(|slot| slot.value.is_some())
    }
}
