//! The authentication methods policy (beta), turned into grants: which methods go to whom.
//!
//! Rule: what is not known to be forbidden is allowed. A missing policy, a missing configuration, and a method that
//! is disabled while the tenant still honours its legacy policies all count as given to everyone.

use super::Reader;
use crate::client::Version;
use crate::pace::Bucket;
use crate::{Error, wire};
use contract::Allowed;
use serde::Deserialize;

/// Who gets something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GrantTo {
    /// Every user.
    Everyone,
    /// Members of these groups (object ids), nested ones included.
    Groups(Vec<String>),
    /// No user.
    Nobody,
}

/// Some methods, and who gets them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The methods.
    pub bits: Allowed,
    /// Who gets them.
    pub to: GrantTo,
    /// Members of these groups do not, whatever `to` says.
    pub except_groups: Vec<String>,
}

/// What the tenant allows. Every bit of `Allowed` is in exactly one grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MethodsPolicy {
    /// The grants.
    pub grants: Vec<Grant>,
}

impl MethodsPolicy {
    /// Everything for everyone: what a missing policy means.
    pub fn everything() -> Self {
        Self { grants: vec![everyone(Allowed::ALL)] }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WirePolicy {
    policy_migration_state: Option<String>,
    #[serde(default)]
    authentication_method_configurations: Vec<WireConfiguration>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireConfiguration {
    id: String,
    state: Option<String>,
    is_office_phone_allowed: Option<bool>,
    #[serde(default)]
    include_targets: Option<Vec<WireTarget>>,
    #[serde(default)]
    exclude_targets: Option<Vec<WireTarget>>,
}

#[derive(Deserialize)]
struct WireTarget {
    id: String,
}

/// Graph's id of each configuration, and the methods it decides.
const CONFIGURATIONS: [(&str, Allowed); 5] = [
    ("MicrosoftAuthenticator", Allowed::PUSH),
    ("SoftwareOath", Allowed::SOFTWARE_OATH),
    ("HardwareOath", Allowed::HARDWARE_OATH),
    ("Sms", Allowed::SMS),
    ("Voice", Allowed(Allowed::VOICE_MOBILE.0 | Allowed::VOICE_ALTERNATE.0 | Allowed::VOICE_OFFICE.0)),
];

fn everyone(bits: Allowed) -> Grant {
    Grant { bits, to: GrantTo::Everyone, except_groups: Vec::new() }
}

impl From<WirePolicy> for MethodsPolicy {
    fn from(policy: WirePolicy) -> Self {
        let complete = policy.policy_migration_state.as_deref() == Some("migrationComplete");
        let mut grants = Vec::new();
        for (id, bits) in CONFIGURATIONS {
            let found =
                policy.authentication_method_configurations.iter().find(|c| c.id.eq_ignore_ascii_case(id));
            match found {
                Some(found) => grants.extend(grants_of(found, bits, complete)),
                None => grants.push(everyone(bits)),
            }
        }
        Self { grants }
    }
}

fn grants_of(configuration: &WireConfiguration, bits: Allowed, complete: bool) -> Vec<Grant> {
    let nobody = |bits| Grant { bits, to: GrantTo::Nobody, except_groups: Vec::new() };
    match configuration.state.as_deref() {
        Some("disabled") if complete => return vec![nobody(bits)],
        Some("enabled") => {}
        // Disabled here but perhaps on in a legacy policy, or a word of the future.
        _ => return vec![everyone(bits)],
    }
    let ids = |targets: &Option<Vec<WireTarget>>| -> Vec<String> {
        targets.iter().flatten().map(|t| t.id.clone()).collect()
    };
    let included = ids(&configuration.include_targets);
    let to = if configuration.include_targets.is_none() || included.iter().any(|id| id == "all_users") {
        GrantTo::Everyone
    } else if included.is_empty() {
        GrantTo::Nobody
    } else {
        GrantTo::Groups(included)
    };
    let except_groups = ids(&configuration.exclude_targets);
    let office = bits.has(Allowed::VOICE_OFFICE) && configuration.is_office_phone_allowed != Some(true);
    let granted = if office { bits.without(Allowed::VOICE_OFFICE) } else { bits };
    let mut grants = vec![Grant { bits: granted, to, except_groups }];
    if office {
        grants.push(nobody(Allowed::VOICE_OFFICE));
    }
    grants
}

impl Reader {
    /// What the tenant allows; a policy that is not there allows everything.
    pub async fn methods_policy(&self) -> Result<MethodsPolicy, Error> {
        let url = self.client.url(Version::Beta, "policies/authenticationMethodsPolicy")?;
        match self.get(Bucket::Directory, url, false).await {
            Ok(body) => Ok(wire::read::<WirePolicy>(&body, "the authentication methods policy")?.into()),
            Err(Error::NotFound) => Ok(MethodsPolicy::everything()),
            Err(error) => Err(error),
        }
    }
}
