//! From a state file to a tenant.
//!
//! Users' tokens are always in the inventory: one that the file's inventory does not list is added to it.

use super::Tenant;
use super::devices::{Device, Inventory};
use super::groups::Group;
use super::ids::{Ids, derived};
use super::index::Index;
use super::lag::Lag;
use super::methods::Held;
use super::policy::Policy;
use super::roster::{Member, Roster};
use super::state::{DeviceFile, GroupFile, State, TokenFile};
use super::totp::base32;
use contract::TokenStatus;
use std::collections::HashMap;
use std::time::Duration;

impl Tenant {
    /// A tenant in the state of a file. Reads lag writes by `visible_after`; `run` sets the ids of two runs apart;
    /// with `auto_default` Graph picks a first default by itself.
    pub(crate) fn new(state: State, visible_after: Duration, run: u64, auto_default: bool) -> Self {
        let users = state.users.list;
        let (mut by_id, mut by_upn) = (Index::default(), Index::default());
        for (at, (user, _)) in (0_u32..).zip(&users) {
            by_id.add(user.id(), at, |i| Some(users.get(i as usize)?.0.id()));
            if !user.upn().is_empty() {
                by_upn.add(user.upn(), at, |i| Some(users.get(i as usize)?.0.upn()));
            }
        }
        let mut tenant = Self {
            users,
            by_id,
            by_upn,
            groups: Vec::new(),
            group_by_id: HashMap::new(),
            others: Vec::new(),
            contact_by_id: HashMap::new(),
            expanded: HashMap::new(),
            inventory: Inventory::new(visible_after),
            rollouts: state.rollouts.into_iter().map(Some).collect(),
            domains: state.domains,
            policy: Policy::new(&state.policy),
            hidden: Lag::new(visible_after),
            hidden_domains: Lag::new(visible_after),
            hidden_rollouts: Lag::new(visible_after),
            visible_after,
            ids: Ids::new(run),
            auto_default,
            effects: Vec::new(),
        };
        for (n, file) in state.devices.into_iter().enumerate() {
            tenant.load_device(file, n);
        }
        for (user, token) in state.users.tokens {
            tenant.load_token(user, token);
        }
        tenant.load_orphans();
        tenant.load_groups(state.groups);
        tenant
    }

    /// Groups first, then who is in them: a group may have one in it that the file names later.
    fn load_groups(&mut self, files: Vec<GroupFile>) {
        let mut lists = Vec::with_capacity(files.len());
        for (mut file, at) in files.into_iter().zip(0_u32..) {
            self.group_by_id.insert(file.id.to_ascii_lowercase(), at);
            lists.push((std::mem::take(&mut file.members), std::mem::take(&mut file.contacts)));
            self.groups.push(Group { file, roster: Roster::default(), deleted: None });
        }
        for (_, contacts) in &lists {
            for id in contacts {
                let key = id.to_ascii_lowercase();
                if self.resolve(id).is_none()
                    && let Some(at) = self.add_other(id)
                {
                    self.contact_by_id.insert(key, at);
                }
            }
        }
        for ((members, contacts), at) in lists.iter().zip(0_usize..) {
            let mut roster = Roster::default();
            for id in members.iter().chain(contacts) {
                let stranger = |tenant: &mut Self| tenant.add_other(id).map(Member::Stranger);
                if let Some(member) = self.resolve(id).or_else(|| stranger(self)) {
                    roster.join(member, Duration::ZERO, Duration::ZERO);
                }
            }
            if let Some(group) = self.groups.get_mut(at) {
                group.roster = roster;
            }
        }
    }

    fn add_other(&mut self, id: &str) -> Option<u32> {
        let at = u32::try_from(self.others.len()).ok()?;
        self.others.push(Box::from(id));
        Some(at)
    }

    fn load_device(&mut self, file: DeviceFile, n: usize) {
        let holder = file.assigned_to.as_ref().and_then(|a| self.user(&a.id).ok());
        let status = file.status.as_deref().and_then(TokenStatus::parse).unwrap_or(match holder {
            Some(_) => TokenStatus::Activated,
            None => TokenStatus::Available,
        });
        let id = if file.id.is_empty() { derived(&file.serial_number, "device", n) } else { file.id };
        self.inventory.load(Device {
            id: id.into_boxed_str(),
            serial: file.serial_number.into_boxed_str(),
            display_name: file.display_name.map(String::into_boxed_str),
            manufacturer: file.manufacturer.map(String::into_boxed_str),
            model: file.model.map(String::into_boxed_str),
            secret: file.secret_key.as_deref().and_then(base32),
            interval_seconds: file.time_interval_in_seconds.unwrap_or(30),
            sha256: file.hash_function.as_deref() == Some("hmacsha256"),
            status,
            holder,
        });
    }

    fn load_token(&mut self, user: u32, token: TokenFile) {
        let now = super::Now { uptime: Duration::ZERO, unix_ms: 0 };
        let listed = self.listed(user, &token);
        let device = listed.unwrap_or_else(|| {
            self.inventory.load(Device {
                id: token
                    .device_id
                    .clone()
                    .unwrap_or_else(|| derived(&token.id, "device", 0))
                    .into_boxed_str(),
                serial: Box::from(token.serial_number.as_str()),
                display_name: None,
                manufacturer: None,
                model: None,
                secret: None,
                interval_seconds: token.time_interval_in_seconds.unwrap_or(30),
                sha256: false,
                status: TokenStatus::Activated,
                holder: None,
            })
        });
        if let Ok(entry) = self.inventory.change(device, now) {
            entry.holder = Some(user);
            let given = token.status.as_deref().and_then(TokenStatus::parse);
            entry.status = match (given, entry.status) {
                (Some(status), _) => status,
                (None, TokenStatus::Available) => TokenStatus::Activated,
                (None, known) => known,
            };
            if entry.secret.is_none() {
                entry.secret = token.secret_key.as_deref().and_then(base32);
            }
        }
        let created = token.created_date_time.map(String::into_boxed_str);
        if let Some((_, methods)) = self.users.get_mut(user as usize) {
            methods.tokens.push(Held { method_id: token.id.into_boxed_str(), device, created });
        }
    }

    /// The inventory's own entry for a user's token: by device id, or by serial, its holder's before a free one.
    fn listed(&self, user: u32, token: &TokenFile) -> Option<u32> {
        if let Some(at) = token.device_id.as_deref().and_then(|id| self.inventory.find(id).ok()) {
            return Some(at);
        }
        let known = self.inventory.of_serial(&token.serial_number);
        let of = |wanted: Option<u32>| {
            known.iter().copied().find(|at| self.inventory.get(*at).is_some_and(|d| d.holder == wanted))
        };
        of(Some(user)).filter(|at| !self.holds(user, *at)).or_else(|| of(None))
    }

    fn holds(&self, user: u32, device: u32) -> bool {
        self.users.get(user as usize).is_some_and(|(_, m)| m.tokens.iter().any(|h| h.device == device))
    }

    /// A device that names a holder whose own list does not name it: the holder gets it.
    fn load_orphans(&mut self) {
        let held: Vec<(u32, u32, String)> = (0..self.inventory.len())
            .filter_map(|at| {
                let device = self.inventory.get(at)?;
                Some((at, device.holder?, derived(&device.id, "method", 0)))
            })
            .collect();
        for (device, user, method) in held {
            if !self.holds(user, device)
                && let Some((_, methods)) = self.users.get_mut(user as usize)
            {
                methods.tokens.push(Held { method_id: method.into_boxed_str(), device, created: None });
            }
        }
    }
}
