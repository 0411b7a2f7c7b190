//! What Graph says now: one user's methods, and what of the tenant bears on them.

use crate::EntraId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A default method that `signInPreferences` can name, in Graph's spelling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DefaultMethod {
    /// Notification of an Authenticator registration.
    Push,
    /// A code, of an app or a token.
    Oath,
    /// Text message to the mobile.
    Sms,
    /// Call to the mobile.
    VoiceMobile,
    /// Call to the office phone.
    VoiceOffice,
    /// Call to the alternate mobile.
    VoiceAlternateMobile,
}

impl DefaultMethod {
    /// Graph's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Push => "push",
            Self::Oath => "oath",
            Self::Sms => "sms",
            Self::VoiceMobile => "voiceMobile",
            Self::VoiceOffice => "voiceOffice",
            Self::VoiceAlternateMobile => "voiceAlternateMobile",
        }
    }

    /// Reads Graph's word; `None` for anything else (`none`, null and values of the future mean unset).
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Push, Self::Oath, Self::Sms, Self::VoiceMobile, Self::VoiceOffice, Self::VoiceAlternateMobile]
            .into_iter()
            .find(|m| m.as_str() == word)
    }
}

/// An Authenticator registration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authenticator {
    /// Method id.
    pub id: String,
    /// Name of the device.
    pub name: Option<String>,
}

/// Where a hardware token stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum TokenStatus {
    /// In the inventory, held by nobody.
    Available,
    /// Held, not yet proven by a code.
    Assigned,
    /// In use.
    Activated,
    /// Held; the code that should prove it was wrong.
    FailedActivation,
}

impl TokenStatus {
    /// Graph's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Available => "available",
            Self::Assigned => "assigned",
            Self::Activated => "activated",
            Self::FailedActivation => "failedActivation",
        }
    }

    /// Reads Graph's word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Available, Self::Assigned, Self::Activated, Self::FailedActivation]
            .into_iter()
            .find(|s| s.as_str() == word)
    }
}

/// A hardware token as the user's list of methods shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HardwareOath {
    /// Method id, needed to activate or to unassign.
    pub method_id: String,
    /// Device id in the inventory; absent unless the device was asked for.
    pub device_id: Option<String>,
    /// Serial number; absent unless the device was asked for.
    pub serial: Option<String>,
    /// Status; absent unless the device was asked for.
    pub status: Option<TokenStatus>,
}

/// One user's methods, from one look.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserMethods {
    /// Numbers by type (`mobile`, `alternateMobile`, `office` alone are used as keys), as Graph spells them.
    pub phones: BTreeMap<crate::Target, String>,
    /// Authenticator registrations.
    pub authenticators: Vec<Authenticator>,
    /// How many software OATH methods.
    pub software_oath: u32,
    /// Hardware tokens.
    pub hardware_oath: Vec<HardwareOath>,
    /// The user's own default; `None` is null, `none`, absent or a word we do not know.
    pub default: Option<DefaultMethod>,
    /// Whether system-preferred authentication is on for the user.
    pub system_preferred: bool,
}

impl std::fmt::Debug for UserMethods {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UserMethods")
            .field("phones", &self.phones.keys().collect::<Vec<_>>())
            .field("authenticators", &self.authenticators.len())
            .field("software_oath", &self.software_oath)
            .field("hardware_oath", &self.hardware_oath.len())
            .field("default", &self.default)
            .finish_non_exhaustive()
    }
}

/// A token of the tenant's inventory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InventoryToken {
    /// Device id.
    pub device_id: String,
    /// Serial number.
    pub serial: String,
    /// Who holds it, if anybody.
    pub holder: Option<EntraId>,
    /// Its status.
    pub status: TokenStatus,
}

/// What the tenant's authentication methods policy allows one user. A missing policy allows everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Allowed(pub u8);

impl Allowed {
    /// Everything is allowed.
    pub const ALL: Self = Self(0b111_1111);
    /// Authenticator notifications.
    pub const PUSH: Self = Self(1);
    /// Codes of software OATH.
    pub const SOFTWARE_OATH: Self = Self(2);
    /// Codes of hardware tokens.
    pub const HARDWARE_OATH: Self = Self(4);
    /// Text messages.
    pub const SMS: Self = Self(8);
    /// Calls to the mobile.
    pub const VOICE_MOBILE: Self = Self(16);
    /// Calls to the office phone.
    pub const VOICE_OFFICE: Self = Self(32);
    /// Calls to the alternate mobile.
    pub const VOICE_ALTERNATE: Self = Self(64);

    /// Whether all of `other` is allowed.
    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both together.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// This without the other.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

/// Everything of the cloud that bears on one user's plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// The user that the record was matched to.
    pub user: EntraId,
    /// The user's methods.
    pub methods: UserMethods,
    /// Whether the user is a guest of the tenant.
    pub guest: bool,
    /// What the policy allows this user.
    pub allowed: Allowed,
    /// The tokens of the inventory whose serials the record (or its app devices) would use; others are not needed.
    pub inventory: Vec<InventoryToken>,
    /// Serials of this record, as given, that another record of the snapshot claims too.
    pub contested_serials: Vec<String>,
}

/// What the ledger keeps (sealed) of a directory user, for reports and cohorts.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirectoryEntry {
    /// Version of this shape; 1.
    pub v: u8,
    /// User principal name.
    pub upn: String,
    /// Department, if the directory carries it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub department: Option<String>,
    /// Region: usage location, else country.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
}

impl std::fmt::Debug for DirectoryEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DirectoryEntry([redacted])")
    }
}
