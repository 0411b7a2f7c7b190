//! What a datafile holds, counted: the figures of `inspect`.
//!
//! Counts only, never a value but the names of groups.

use contract::{Mode, Record, Reject, RejectCode};
use std::collections::BTreeMap;

/// Groups that are counted by name; the users of further ones are counted together, so that a file cannot fill memory.
pub const GROUPS: usize = 10_000;

/// Users by what they hold. A user counts once in each line that fits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Holdings {
    /// A phone.
    pub phone: u64,
    /// A phone with an extension.
    pub phone_with_extension: u64,
    /// A backup phone.
    pub backup: u64,
    /// A backup phone with an extension.
    pub backup_with_extension: u64,
    /// At least one device with the mobile app.
    pub mobile_app: u64,
    /// Devices, all users together.
    pub devices: u64,
    /// Devices whose OATH secret is in the dump.
    pub devices_with_secret: u64,
    /// An OATH token.
    pub oath_token: u64,
    /// An OATH token whose secret is known, from the record or from the token seed file.
    pub oath_token_with_secret: u64,
    /// None of these.
    pub nothing: u64,
}

/// The counts of accepted and rejected records.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tally {
    /// Accepted users by mode.
    pub by_mode: BTreeMap<Mode, u64>,
    /// Accepted users by group; at most [`GROUPS`] of them.
    pub by_group: BTreeMap<String, u64>,
    /// Accepted users without a group.
    pub without_group: u64,
    /// Accepted users of groups beyond [`GROUPS`].
    pub in_further_groups: u64,
    /// Accepted users who are enabled in MFA Server.
    pub enabled: u64,
    /// Accepted users who are not.
    pub disabled: u64,
    /// Accepted users by what they hold.
    pub holdings: Holdings,
    /// Rejected records by code.
    pub rejects: BTreeMap<RejectCode, u64>,
    /// Rejected rows of the token seed file and the devices file by code.
    pub side_rejects: BTreeMap<RejectCode, u64>,
}

impl Tally {
    /// Counts an accepted record.
    pub fn add(&mut self, record: &Record) {
        *self.by_mode.entry(record.mode).or_default() += 1;
        if record.enabled {
            self.enabled += 1;
        } else {
            self.disabled += 1;
        }
        match &record.group {
            None => self.without_group += 1,
            Some(group) => {
                let room = self.by_group.len() < GROUPS;
                match self.by_group.get_mut(group) {
                    Some(count) => *count += 1,
                    None if room => {
                        self.by_group.insert(group.clone(), 1);
                    }
                    None => self.in_further_groups += 1,
                }
            }
        }
        self.holdings.add(record);
    }

    /// Takes over what another one counted. Where both together know too many groups, those of the other beyond the
    /// limit are counted together.
    pub fn add_all(&mut self, other: Self) {
        for (mode, n) in other.by_mode {
            *self.by_mode.entry(mode).or_default() += n;
        }
        for (group, n) in other.by_group {
            if self.by_group.len() < GROUPS || self.by_group.contains_key(&group) {
                *self.by_group.entry(group).or_default() += n;
            } else {
                self.in_further_groups += n;
            }
        }
        for (code, n) in other.rejects {
            *self.rejects.entry(code).or_default() += n;
        }
        for (code, n) in other.side_rejects {
            *self.side_rejects.entry(code).or_default() += n;
        }
        self.without_group += other.without_group;
        self.in_further_groups += other.in_further_groups;
        self.enabled += other.enabled;
        self.disabled += other.disabled;
        self.holdings.add_all(&other.holdings);
    }

    /// Counts a rejected record.
    pub fn add_reject(&mut self, reject: &Reject) {
        *self.rejects.entry(reject.code).or_default() += 1;
    }

    /// Counts a rejected row of a side file.
    pub fn add_side_reject(&mut self, reject: &Reject) {
        *self.side_rejects.entry(reject.code).or_default() += 1;
    }
}

impl Holdings {
    fn add_all(&mut self, other: &Self) {
        self.phone += other.phone;
        self.phone_with_extension += other.phone_with_extension;
        self.backup += other.backup;
        self.backup_with_extension += other.backup_with_extension;
        self.mobile_app += other.mobile_app;
        self.devices += other.devices;
        self.devices_with_secret += other.devices_with_secret;
        self.oath_token += other.oath_token;
        self.oath_token_with_secret += other.oath_token_with_secret;
        self.nothing += other.nothing;
    }

    fn add(&mut self, record: &Record) {
        let phone = !record.phone.number.is_empty();
        let backup = !record.backup.number.is_empty();
        let token = record.oath_token.as_ref();
        self.phone += u64::from(phone);
        self.phone_with_extension += u64::from(phone && !record.phone.extension.is_empty());
        self.backup += u64::from(backup);
        self.backup_with_extension += u64::from(backup && !record.backup.extension.is_empty());
        self.mobile_app += u64::from(!record.devices.is_empty());
        self.devices += record.devices.len() as u64;
        self.devices_with_secret += record.devices.iter().filter(|d| d.oath_secret.is_some()).count() as u64;
        self.oath_token += u64::from(token.is_some());
        self.oath_token_with_secret += u64::from(token.is_some_and(|token| token.secret.is_some()));
        self.nothing += u64::from(!phone && !backup && record.devices.is_empty() && token.is_none());
    }
}
