//! What a tenant was, and what of it is not so any more: the judge of every way back.
//!
//! It goes by the tenant's state alone. A default that was unset and that Graph cannot unset may stand afterwards;
//! everything else must be what it was.

use crate::Tenant;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The state of a tenant at some time.
pub struct Past {
    users: BTreeMap<String, Value>,
    tokens: BTreeMap<String, Value>,
}

impl Past {
    /// As it is now.
    pub fn of(tenant: &Tenant) -> Self {
        Self::in_state(&tenant.state())
    }

    /// As a state has it.
    pub fn in_state(state: &Value) -> Self {
        Self { users: users_of(state), tokens: tokens_of(state) }
    }

    /// The users by object id.
    pub fn users(&self) -> &BTreeMap<String, Value> {
        &self.users
    }

    /// The inventory by serial.
    pub fn tokens(&self) -> &BTreeMap<String, Value> {
        &self.tokens
    }

    /// Everything that is not as it was; each begins with the object id of the user whom it is about.
    pub fn differences(&self, tenant: &Tenant) -> Vec<String> {
        let now = Self::of(tenant);
        let mut found = Vec::new();
        for (id, user) in &self.users {
            let (was, is) = (methods(user), methods(&now.users[id]));
            if was != is {
                found.push(format!("{id} was {was}, is {is}"));
            }
            let (was, is) = (default_of(user), default_of(&now.users[id]));
            if was.is_string() && was != is {
                found.push(format!("{id} had the default {was}, has {is}"));
            }
        }
        let serials: BTreeSet<&String> = self.tokens.keys().chain(now.tokens.keys()).collect();
        for serial in serials {
            let (was, is) = (self.tokens.get(serial), now.tokens.get(serial));
            if was != is {
                let holder = |token: Option<&Value>| token?["assignedTo"]["id"].as_str().map(str::to_owned);
                let whose = holder(is).or_else(|| holder(was)).unwrap_or_else(|| "nobody".to_owned());
                found.push(format!("{whose} has the token {serial}, which was {was:?} and is {is:?}"));
            }
        }
        found
    }

    /// Object ids of the users of a region.
    pub fn of_region(&self, region: &str) -> Vec<&str> {
        let lives_there = |user: &Value| user["usageLocation"] == region;
        self.users.iter().filter(|(_, user)| lives_there(user)).map(|(id, _)| id.as_str()).collect()
    }
}

fn users_of(state: &Value) -> BTreeMap<String, Value> {
    let users = state["users"].as_array().into_iter().flatten();
    users.map(|user| (user["id"].as_str().expect("an id").to_owned(), user.clone())).collect()
}

fn default_of(user: &Value) -> &Value {
    &user["authentication"]["signInPreferences"]["userPreferredMethodForSecondaryAuthentication"]
}

/// All that a rollback has to bring back, but the default.
fn methods(user: &Value) -> Value {
    let mut authentication = user["authentication"].clone();
    authentication["signInPreferences"]["userPreferredMethodForSecondaryAuthentication"] = Value::Null;
    authentication
}

fn tokens_of(state: &Value) -> BTreeMap<String, Value> {
    let devices = state["hardwareOathDevices"].as_array().into_iter().flatten();
    devices.map(|device| (device["serialNumber"].to_string(), device.clone())).collect()
}
