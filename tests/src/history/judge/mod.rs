//! The judge of a history: the tenant's own journal, read line by line against the invariants. Pure.
//!
//! It knows what stood before, who put what where, and which way the product was going. It never asks the product.

mod forward;
mod restored;
mod slots;
#[cfg(test)]
mod tests;

pub(super) use restored::Fate;
pub(super) use slots::{Key, canonical};

use super::cloud::SOMEBODY;
use serde_json::Value;
use slots::{Era, Slot, beginning};
use std::collections::{BTreeMap, BTreeSet};

/// Who put a value where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    /// It was there at the beginning.
    Beginning,
    /// The product.
    Ours,
    /// Somebody else.
    Somebody,
    /// Graph itself, in the wake of another change.
    Graph,
}

/// Which way the product is going.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// A migration.
    Forward,
    /// A rollback.
    Back,
    /// Nothing that may write: a verification, or nobody at work.
    Still,
    /// Either: what one process has sent may land while the next is at work.
    Either,
}

/// What the judge knows.
pub(super) struct Judge {
    slots: BTreeMap<Key, Slot>,
    /// Object ids of users whom the product may change.
    movable: BTreeSet<String>,
    /// Whether somebody's change may be overwritten on the way forward.
    holds: bool,
    /// Lines heard so far.
    heard: usize,
    /// Effects of the product.
    pub(super) ours: usize,
}

impl Judge {
    /// Of a tenant as it is at the beginning.
    pub(super) fn new(state: &Value, movable: BTreeSet<String>, holds: bool) -> Self {
        Self { slots: beginning(state), movable, holds, heard: 0, ours: 0 }
    }

    /// Somebody has become one whom the product may change.
    pub(super) fn may_move(&mut self, movable: BTreeSet<String>) {
        self.movable.extend(movable);
    }

    /// Hears what the journal has that is new; answers what must not have been.
    pub(super) fn hear(&mut self, journal: &[Value], way: Way) -> Vec<String> {
        let fresh = journal.get(self.heard..).unwrap_or_default();
        let mut found = Vec::new();
        for (at, line) in fresh.iter().enumerate() {
            let others = fresh.iter().enumerate().filter(|(i, _)| *i != at).map(|(_, line)| line);
            let who = author(line, others);
            self.hear_line(line, who, way, &mut found);
        }
        self.heard = journal.len();
        found
    }

    fn hear_line(&mut self, line: &Value, who: Who, way: Way, found: &mut Vec<String>) {
        let Some(key) = Key::of(line) else { return };
        let (from, to) = (value(&line["from"]), value(&line["to"]));
        if who == Who::Ours && line["noop"] != true {
            self.ours += 1;
        }
        let user = line["user"].as_str();
        if who == Who::Ours && user.is_some_and(|user| !self.movable.contains(user)) {
            found.push(format!("changed one who must not be touched: {line}"));
        }
        if who == Who::Ours && way == Way::Still {
            found.push(format!("a write while nothing may write: {line}"));
        }
        let holds = self.holds;
        let slot = self.slots.entry(key.clone()).or_default();
        if key.is_token() && from.is_none() && slot.value.is_some() && who == Who::Ours {
            found.push(format!("created a token that is there: {line}"));
        }
        if slot.value != from && !(key.is_token() && from.is_none()) {
            found.push(format!("the judge has lost the thread: {:?} stood there: {line}", slot.value));
        }
        if line["noop"] == true {
            return;
        }
        match who {
            Who::Ours => {
                if key.is_token() && to.is_none() && !slot.created_by_us {
                    found.push(format!("deleted a device that is not ours: {line}"));
                }
                if let Some(fault) = slot.may_be_written(&key, way, holds) {
                    found.push(format!("{fault}: {line}"));
                }
                slot.write(to, from.as_ref(), way);
            }
            Who::Graph if line["clientRequestId"] != SOMEBODY => slot.follow(to, from.as_ref(), way),
            Who::Somebody | Who::Graph | Who::Beginning => slot.change(to, who),
        }
        if let Some(user) = user {
            slot.user = Some(user.to_owned());
        }
    }

    /// The slots with something of ours whose value before has not come back: user, slot, and the value before.
    pub(super) fn eras(&self) -> impl Iterator<Item = (&Key, &Slot, &Era)> {
        self.slots.iter().filter_map(|(key, slot)| Some((key, slot, slot.era.as_ref()?)))
    }

    /// One slot.
    pub(super) fn slot(&self, key: &Key) -> Option<&Slot> {
        self.slots.get(key)
    }

    /// What differs between what was heard and the tenant's state.
    pub(super) fn compare(&self, state: &Value) -> Vec<String> {
        let now = beginning(state);
        let keys: BTreeSet<&Key> = now.keys().chain(self.slots.keys()).collect();
        let stands = |slots: &BTreeMap<Key, Slot>, key: &Key| slots.get(key).and_then(|s| s.value.clone());
        let differs = |key: &&&Key| stands(&now, key) != stands(&self.slots, key);
        let told = |key: &Key| {
            format!(
                "{key:?}: the journal says {:?}, the state {:?}",
                stands(&self.slots, key),
                stands(&now, key)
            )
        };
        keys.iter().filter(differs).map(|key| told(key)).collect()
    }
}

/// Whose an effect is. A default that changes in the wake of another method is Graph's.
fn author<'l>(line: &Value, mut others: impl Iterator<Item = &'l Value>) -> Who {
    let in_the_wake = line["method"] == "default"
        && others.any(|other| other["requestId"] == line["requestId"] && other["method"] != "default");
    match (in_the_wake, line["clientRequestId"] == SOMEBODY) {
        (true, _) => Who::Graph,
        (false, true) => Who::Somebody,
        (false, false) => Who::Ours,
    }
}

fn value(value: &Value) -> Option<String> {
    value.as_str().map(canonical)
}
