//! The state of the tenant and what may happen to it.
//!
//! Everything here is a function of (state, call, now): no HTTP, no clock, no quota, no faults. Invariant: a refusal
//! changes nothing, and every change leaves an [`Effect`].

mod answer;
mod attributes;
mod call;
mod devices;
mod directory;
mod domains;
mod effect;
mod export;
mod filter;
mod groups;
mod ids;
mod index;
mod inventory_calls;
mod lag;
mod load;
mod membership;
mod methods;
mod passes;
mod phones;
mod policy;
mod preferences;
mod query;
mod refusal;
mod registered;
mod rollout;
mod rollout_calls;
mod roster;
mod route;
mod state;
mod tokens;
mod totp;

pub(crate) use answer::{Answer, error_body};
pub(crate) use call::{Call, Content, Kind};
pub(crate) use effect::Effect;
pub(crate) use ids::Ids;
pub(crate) use query::Query;
pub(crate) use refusal::Refusal;
pub(crate) use route::{Verb, Version, parse};
pub use state::State;
pub(crate) use totp::to_base32;
#[cfg(test)]
pub(crate) use totp::{base32, code};

use attributes::Attributes;
use devices::Inventory;
use index::Index;
use lag::Lag;
use methods::Methods;
use policy::Policy;
use std::collections::HashMap;
use std::time::Duration;

/// The moment of a call, on two clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Now {
    /// Since the server started; never goes back.
    pub(crate) uptime: Duration,
    /// Milliseconds since 1970 UTC, for dates and for one-time codes.
    pub(crate) unix_ms: i64,
}

/// The whole tenant.
pub(crate) struct Tenant {
    users: Vec<(Attributes, Methods)>,
    by_id: Index,
    by_upn: Index,
    /// Deleted ones keep their place.
    groups: Vec<groups::Group>,
    group_by_id: HashMap<String, u32>,
    /// Ids of members that are neither users nor groups.
    others: Vec<Box<str>>,
    contact_by_id: HashMap<String, u32>,
    /// Expanded members, by group; emptied when a membership changes.
    expanded: HashMap<u32, groups::Expansion>,
    inventory: Inventory,
    /// Deleted ones leave a gap.
    rollouts: Vec<Option<serde_json::Value>>,
    domains: Vec<serde_json::Value>,
    policy: Policy,
    hidden: Lag<Methods>,
    /// What readers of a domain still see.
    hidden_domains: Lag<serde_json::Value>,
    /// What readers of a rollout policy still see.
    hidden_rollouts: Lag<Option<serde_json::Value>>,
    /// By how much readers lag behind.
    visible_after: Duration,
    ids: Ids,
    auto_default: bool,
    effects: Vec<Effect>,
}

impl Tenant {
    /// How many users there are; Microsoft's quota depends on it.
    pub(crate) fn user_count(&self) -> usize {
        self.users.len()
    }

    /// The effects since they were last taken.
    pub(crate) fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    fn user(&self, key: &str) -> Result<u32, Refusal> {
        self.by_id
            .find(key, |i| Some(self.users.get(i as usize)?.0.id()))
            .or_else(|| self.by_upn.find(key, |i| Some(self.users.get(i as usize)?.0.upn())))
            .ok_or_else(|| Refusal::Absent(key.to_owned()))
    }

    fn attributes(&self, user: u32) -> Result<&Attributes, Refusal> {
        self.users.get(user as usize).map(|u| &u.0).ok_or_else(|| Refusal::Absent(user.to_string()))
    }

    /// What is true.
    fn methods(&self, user: u32) -> Result<&Methods, Refusal> {
        self.users.get(user as usize).map(|u| &u.1).ok_or_else(|| Refusal::Absent(user.to_string()))
    }

    /// What a reader sees.
    fn visible(&self, user: u32, now: Now) -> Result<&Methods, Refusal> {
        match self.hidden.seen(user, now.uptime) {
            Some(before) => Ok(before),
            None => self.methods(user),
        }
    }

    /// For a change that nothing refuses any more.
    fn change(&mut self, user: u32, now: Now) -> Result<&mut Methods, Refusal> {
        let methods =
            &mut self.users.get_mut(user as usize).ok_or_else(|| Refusal::Absent(user.to_string()))?.1;
        self.hidden.keep(user, now.uptime, || methods.clone());
        Ok(methods)
    }
}
