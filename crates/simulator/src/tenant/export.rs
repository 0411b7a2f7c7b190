//! The tenant as a state file, written user by user.
//!
//! It shows the true state, whatever readers of Graph still see. Secrets of tokens are in it: a tenant must be able
//! to go on from its own answer, and the secrets of a simulated tenant are made up.

use super::Tenant;
use super::groups::Group;
use super::methods::Methods;
use super::roster::Member;
use super::state::{
    AppFile, AuthenticationFile, DeviceFile, IdFile, PhoneFile, PreferencesFile, RequirementsFile, TokenFile,
};
use super::totp::to_base32;
use contract::DefaultMethod;
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use std::io::{self, Write};

struct UserFile<'t>(&'t Tenant, u32);

impl Serialize for UserFile<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(None)?;
        if let Some((user, methods)) = self.0.users.get(self.1 as usize) {
            for (name, value) in user.texts() {
                map.serialize_entry(name, value)?;
            }
            if let Some(enabled) = user.account_enabled {
                map.serialize_entry("accountEnabled", &enabled)?;
            }
            if let Some(synced) = user.on_premises_sync_enabled {
                map.serialize_entry("onPremisesSyncEnabled", &synced)?;
            }
            map.serialize_entry("authentication", &self.0.authentication(methods))?;
        }
        map.end()
    }
}

/// The ids of those of a group's members that are wanted.
struct Ids<'t>(&'t Tenant, &'t Group, fn(Member) -> bool);

impl Serialize for Ids<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let wanted = self.1.roster.members().filter(|member| self.2(*member));
        to.collect_seq(wanted.map(|member| self.0.id_of(member)))
    }
}

/// A group, with the names of [`super::state::GroupFile`].
struct GroupOut<'t>(&'t Tenant, &'t Group);

impl Serialize for GroupOut<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Self(tenant, group) = *self;
        let file = &group.file;
        let mut map = to.serialize_map(None)?;
        map.serialize_entry("id", &file.id)?;
        map.serialize_entry("displayName", &file.display_name)?;
        if let Some(kind) = &file.kind {
            map.serialize_entry("type", kind)?;
        }
        if let Some(synced) = file.on_premises_sync_enabled {
            map.serialize_entry("onPremisesSyncEnabled", &synced)?;
        }
        if let Some(assignable) = file.is_assignable_to_role {
            map.serialize_entry("isAssignableToRole", &assignable)?;
        }
        map.serialize_entry("members", &Ids(tenant, group, |_| true))?;
        let is_contact: fn(Member) -> bool = |member| matches!(member, Member::Contact(_));
        if group.roster.members().any(is_contact) {
            map.serialize_entry("contacts", &Ids(tenant, group, is_contact))?;
        }
        map.end()
    }
}

impl Tenant {
    fn authentication(&self, methods: &Methods) -> AuthenticationFile {
        let token = |held: &super::methods::Held| {
            let device = self.inventory.get(held.device);
            TokenFile {
                id: held.method_id.to_string(),
                serial_number: device.map(|d| d.serial.to_string()).unwrap_or_default(),
                status: device.map(|d| d.status.as_str().to_owned()),
                device_id: device.map(|d| d.id.to_string()),
                secret_key: None,
                time_interval_in_seconds: None,
                created_date_time: held.created.as_deref().map(str::to_owned),
            }
        };
        let app = |app: &super::methods::App| AppFile {
            id: app.id.to_string(),
            display_name: app.display_name.as_deref().map(str::to_owned),
            phone_app_version: app.phone_app_version.as_deref().map(str::to_owned),
            device_tag: app.device_tag.as_deref().map(str::to_owned),
            created_date_time: app.created.as_deref().map(str::to_owned),
        };
        let phone = |(phone_type, number): (super::methods::PhoneType, &str)| PhoneFile {
            phone_type: phone_type.as_str().to_owned(),
            phone_number: number.to_owned(),
        };
        AuthenticationFile {
            phone_methods: methods.phones.present().map(phone).collect(),
            microsoft_authenticator_methods: methods.apps.iter().map(app).collect(),
            software_oath_methods: methods.software.iter().map(|id| IdFile { id: id.to_string() }).collect(),
            hardware_oath_methods: methods.tokens.iter().map(token).collect(),
            sign_in_preferences: PreferencesFile {
                is_system_preferred_authentication_method_enabled: Some(methods.system_preferred),
                user_preferred_method_for_secondary_authentication: methods
                    .default
                    .map(|m: DefaultMethod| m.as_str().to_owned()),
            },
            temporary_access_pass_methods: methods.pass.as_deref().cloned().into_iter().collect(),
            requirements: methods
                .per_user_mfa
                .as_deref()
                .map(|s| RequirementsFile { per_user_mfa_state: Some(s.to_owned()) }),
        }
    }

    fn device_files(&self) -> Vec<DeviceFile> {
        let text = |t: &Option<Box<str>>| t.as_deref().map(str::to_owned);
        self.inventory
            .all()
            .map(|d| DeviceFile {
                id: d.id.to_string(),
                serial_number: d.serial.to_string(),
                status: Some(d.status.as_str().to_owned()),
                display_name: text(&d.display_name),
                manufacturer: text(&d.manufacturer),
                model: text(&d.model),
                secret_key: d.secret.as_deref().map(to_base32),
                time_interval_in_seconds: Some(d.interval_seconds),
                hash_function: d.sha256.then(|| "hmacsha256".to_owned()),
                assigned_to: d
                    .holder
                    .and_then(|u| self.attributes(u).ok())
                    .map(|u| IdFile { id: u.id().to_owned() }),
            })
            .collect()
    }

    /// Writes the state.
    pub(crate) fn write_state(&self, mut to: impl Write) -> io::Result<()> {
        to.write_all(b"{\"users\":[")?;
        for at in (0_u32..).take(self.users.len()) {
            if at > 0 {
                to.write_all(b",\n")?;
            }
            serde_json::to_writer(&mut to, &UserFile(self, at))?;
        }
        to.write_all(b"],\"groups\":")?;
        let there = self.groups.iter().filter(|group| group.deleted.is_none());
        let groups: Vec<GroupOut<'_>> = there.map(|group| GroupOut(self, group)).collect();
        serde_json::to_writer(&mut to, &groups)?;
        to.write_all(b",\"hardwareOathDevices\":")?;
        serde_json::to_writer(&mut to, &self.device_files())?;
        to.write_all(b",\"featureRolloutPolicies\":")?;
        let rollouts: Vec<&serde_json::Value> = self.rollouts.iter().flatten().collect();
        serde_json::to_writer(&mut to, &rollouts)?;
        to.write_all(b",\"domains\":")?;
        serde_json::to_writer(&mut to, &self.domains)?;
        to.write_all(b",\"authenticationMethodsPolicy\":")?;
        serde_json::to_writer(&mut to, &self.policy.file())?;
        to.write_all(b"}")
    }
}
