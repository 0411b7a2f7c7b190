//! Slots of the tenant: what stands where, who put it there, and what stood before the product's first change.

use super::{Way, Who};
use serde_json::Value;
use std::collections::BTreeMap;

/// A method of a user, or a token by its serial, whoever holds it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
    /// A user's id, and the method in the words of plans.
    Method(String, String),
    /// A serial.
    Token(String),
}

impl Key {
    /// The slot of a line of the journal; nothing for what the product never changes.
    pub(super) fn of(line: &Value) -> Option<Self> {
        let method = line["method"].as_str()?;
        match method {
            "hardwareOath" => Some(Self::Token(line["serial"].as_str()?.to_owned())),
            "mobile" | "alternateMobile" | "office" | "default" => {
                Some(Self::Method(line["user"].as_str()?.to_owned(), method.to_owned()))
            }
            _ => None,
        }
    }

    /// Whether it is a token's.
    pub(super) fn is_token(&self) -> bool {
        matches!(self, Self::Token(_))
    }

    /// Whether it is a default's.
    pub(super) fn is_default(&self) -> bool {
        matches!(self, Self::Method(_, method) if method == "default")
    }
}

/// The time from the product's first change of a slot until the value before has come back.
#[derive(Debug, Clone, Default)]
pub(crate) struct Era {
    /// What stood there before.
    pub(crate) before: Option<String>,
    /// What the product put there since, oldest first.
    pub(crate) ours: Vec<Option<String>>,
}

/// One slot.
#[derive(Debug, Clone)]
pub(crate) struct Slot {
    /// The user who has or last had it; a token that nobody ever held has none.
    pub(crate) user: Option<String>,
    /// What stands there.
    pub(crate) value: Option<String>,
    /// Who put it there.
    pub(super) by: Who,
    /// Present while something of ours is on record.
    pub(crate) era: Option<Era>,
    /// Values that others than the product have put there.
    pub(crate) of_others: Vec<Option<String>>,
    /// Whether the product put the token's device there.
    pub(super) created_by_us: bool,
}

impl Default for Slot {
    fn default() -> Self {
        Self {
            user: None,
            value: None,
            by: Who::Beginning,
            era: None,
            of_others: vec![None],
            created_by_us: false,
        }
    }
}

impl Slot {
    /// What speaks against a write of the product's over what stands here.
    pub(super) fn may_be_written(&self, key: &Key, way: Way, holds: bool) -> Option<&'static str> {
        let era = self.era.as_ref()?;
        if self.by != Who::Somebody {
            return None;
        }
        let is_ours = era.ours.contains(&self.value);
        match way {
            Way::Forward if holds => {
                // Unset and set since counts as unset: Graph may have chosen it.
                let counts_as_unset = key.is_default() && era.before.is_none();
                let known = is_ours || self.value == era.before || counts_as_unset;
                (!known).then_some("overwrote somebody's change")
            }
            // A default may have to move off a method that goes; that is looked at when the way is over.
            Way::Back if !key.is_default() => (!is_ours).then_some("took back what is not ours"),
            Way::Either if holds && !key.is_default() => {
                let known = is_ours || self.value == era.before;
                (!known).then_some("overwrote somebody's change")
            }
            Way::Forward | Way::Back | Way::Still | Way::Either => None,
        }
    }

    /// The product has written. What came back by its hand begins anew with its next change.
    pub(super) fn write(&mut self, to: Option<String>, from: Option<&String>, way: Way) {
        if way == Way::Back && self.era.is_none() {
            // A default that moves off what goes, or what somebody set to the very value that we were about to write.
            self.of_others.push(to.clone());
        } else {
            let era = self.era.get_or_insert_with(|| Era { before: from.cloned(), ours: Vec::new() });
            era.ours.push(to.clone());
            if way == Way::Back && era.before == to {
                self.era = None;
            }
        }
        if from.is_none() && to.is_some() {
            self.created_by_us = true;
        }
        self.value = to;
        self.by = Who::Ours;
    }

    /// What stands is how it is from now on.
    pub(super) fn settle(&mut self) {
        self.era = None;
        self.of_others.push(self.value.clone());
    }

    /// Graph has, in the wake of a write of the product's: on the way forward that is the product's doing.
    pub(super) fn follow(&mut self, to: Option<String>, from: Option<&String>, way: Way) {
        if way != Way::Back {
            self.era.get_or_insert_with(|| Era { before: from.cloned(), ours: Vec::new() });
        } else if self.era.as_ref().is_some_and(|era| era.before == to) {
            self.era = None;
        }
        self.of_others.push(to.clone());
        self.value = to;
        self.by = Who::Graph;
    }

    /// Somebody else has.
    pub(super) fn change(&mut self, to: Option<String>, who: Who) {
        if self.value.is_none() && to.is_some() {
            self.created_by_us = false;
        }
        self.of_others.push(to.clone());
        self.value = to;
        self.by = who;
    }
}

/// Graph stores `+1 2065550100` and may show `+12065550100`; words stay as they are.
pub(crate) fn canonical(value: &str) -> String {
    if value.starts_with('+') { value.replace(' ', "") } else { value.to_owned() }
}

/// The slots of a tenant's state.
pub(super) fn beginning(state: &Value) -> BTreeMap<Key, Slot> {
    let mut slots = BTreeMap::new();
    let mut put = |key: Key, user: Option<&str>, value: &str| {
        let value = Some(canonical(value));
        let of_others = vec![None, value.clone()];
        slots.insert(key, Slot { user: user.map(str::to_owned), value, of_others, ..Slot::default() });
    };
    for device in state["hardwareOathDevices"].as_array().into_iter().flatten() {
        let serial = device["serialNumber"].as_str().unwrap_or_default().to_owned();
        put(Key::Token(serial), None, device["status"].as_str().unwrap_or("available"));
    }
    for user in state["users"].as_array().into_iter().flatten() {
        let id = user["id"].as_str().unwrap_or_default();
        let authentication = &user["authentication"];
        for phone in authentication["phoneMethods"].as_array().into_iter().flatten() {
            let kind = phone["phoneType"].as_str().unwrap_or_default().to_owned();
            put(
                Key::Method(id.to_owned(), kind),
                Some(id),
                phone["phoneNumber"].as_str().unwrap_or_default(),
            );
        }
        for token in authentication["hardwareOathMethods"].as_array().into_iter().flatten() {
            let serial = token["serialNumber"].as_str().unwrap_or_default().to_owned();
            put(Key::Token(serial), Some(id), token["status"].as_str().unwrap_or("activated"));
        }
        let default = &authentication["signInPreferences"]["userPreferredMethodForSecondaryAuthentication"];
        if let Some(default) = default.as_str() {
            put(Key::Method(id.to_owned(), "default".to_owned()), Some(id), default);
        }
    }
    slots
}
