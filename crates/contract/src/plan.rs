//! What the rules decided for one user: ordered changes, and why.

use crate::{Code, EntraId, Fingerprint, Outcome, Secret, Subject};
use serde::{Deserialize, Serialize};

/// Where a change lands in Entra. The order of the variants is the order of writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Target {
    /// The mobile number.
    Mobile,
    /// The alternate mobile number; needs a mobile.
    AlternateMobile,
    /// The office number, the only one with an extension.
    Office,
    /// A hardware token.
    HardwareOath,
    /// The default method.
    Default,
}

impl Target {
    /// The word in outputs; for phones it is Graph's `phoneType`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mobile => "mobile",
            Self::AlternateMobile => "alternateMobile",
            Self::Office => "office",
            Self::HardwareOath => "hardwareOath",
            Self::Default => "default",
        }
    }
}

/// One difference between what is and what shall be.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Where it lands.
    pub method: Target,
    /// The token's serial; absent for everything else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// The value before, as Graph showed it; null means that it was not there. For a token: null
    /// (the user does not have it), `assigned` or `failedActivation` (the user has it, and no code has proven it).
    pub from: Option<String>,
    /// The value after; for a token always `activated`. Null only on the way back.
    pub to: Option<String>,
}

impl std::fmt::Debug for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Change({}, {})",
            self.method.as_str(),
            if self.from.is_some() { "update" } else { "create" }
        )
    }
}

impl Change {
    /// The key under which the ledger files this change of a user: the method, and for a token its serial.
    pub fn slot(&self) -> String {
        match &self.serial {
            Some(serial) => format!("{}:{serial}", self.method.as_str()),
            None => self.method.as_str().to_owned(),
        }
    }
}

/// A code and what it speaks of.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Note {
    /// The reason.
    pub code: Code,
    /// What it speaks of.
    pub method: Subject,
    /// The device's name, for codes about one device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
}

/// How a token gets into use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum TokenStep {
    /// It is not in the inventory: create it with its holder, then activate.
    Create,
    /// It lies unassigned in the inventory: assign and activate it.
    Assign {
        /// Its device id.
        device_id: String,
    },
    /// The user holds it: activate alone.
    Activate {
        /// The method id on the user.
        method_id: String,
    },
}

/// What the worker needs to carry out a change of a token; never printed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// Serial number, as in the change.
    pub serial: String,
    /// The secret in canonical base32 (upper case, no padding), at most 128 characters.
    pub secret: Secret,
    /// 30 or 60.
    pub interval_seconds: u32,
    /// Manufacturer, for the inventory.
    pub manufacturer: String,
    /// Model, for the inventory.
    pub model: String,
    /// How it gets into use.
    pub step: TokenStep,
}

/// The decision for one user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// In writing order.
    pub changes: Vec<Change>,
    /// In the order of the rules.
    pub notes: Vec<Note>,
    /// One for each change of a token, in the same order.
    pub tokens: Vec<Token>,
    /// What becomes of the user.
    pub outcome: Outcome,
}

/// What we know of a user from earlier runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    /// Keyed fingerprints of the OATH secrets that we wrote for this user, with the serial each got.
    pub secrets: Vec<(Fingerprint, String)>,
}

/// One line of `rehearse --json` and of a saved plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanLine {
    /// The record's username exactly as given.
    pub user: String,
    /// The Entra user; null where nothing matched or the match is ambiguous.
    pub target: Option<PlanTarget>,
    /// The stage that hit; absent with no target.
    #[serde(default, rename = "matchedBy", skip_serializing_if = "Option::is_none")]
    pub matched_by: Option<String>,
    /// `change`, `skipped`, `blocked` or `unchanged`.
    pub outcome: Outcome,
    /// In writing order.
    pub changes: Vec<Change>,
    /// In the order of the rules.
    pub codes: Vec<Note>,
}

/// The Entra user of a plan line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanTarget {
    /// Object id.
    pub id: EntraId,
    /// User principal name.
    #[serde(rename = "userPrincipalName")]
    pub user_principal_name: String,
}
