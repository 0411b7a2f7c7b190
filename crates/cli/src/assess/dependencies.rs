//! The file in which an operator states what hangs on MFA Server and what the datafile does not show.
//!
//! Strict: a key or a feature that is not known is an error that names the line and what is allowed, since a slip of the pen
//! would otherwise read as "not in use".

use crate::Usage;
use anyhow::Context;
use rules::assess::{FEATURES, Feature, Nps, Source, feature};
use serde::Deserialize;
use std::path::Path;

/// A file to fill in.
pub(crate) const TEMPLATE: &str = include_str!("template.toml");

/// What the operator states.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Dependencies {
    pub(crate) mfa_server: Stated,
    pub(crate) radius: Vec<Radius>,
    pub(crate) ldap: Vec<Ldap>,
    pub(crate) adfs: Vec<RelyingParty>,
}

/// Features that the datafile does not show.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Stated {
    pub(crate) in_use: Vec<Id>,
    pub(crate) not_in_use: Vec<Id>,
}

/// A feature, by its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Id(pub(crate) Feature);

impl TryFrom<String> for Id {
    type Error = String;

    fn try_from(id: String) -> Result<Self, String> {
        let stated: Vec<&str> = statable().map(Feature::id).collect();
        match feature(&id) {
            Some(found) if statable().any(|one| one == found) => Ok(Self(found)),
            Some(_) => Err(format!(
                "\"{id}\" is told by the datafile or needs no telling; stated can be {}",
                stated.join(", ")
            )),
            None => Err(format!("there is no feature \"{id}\"; there are {}", stated.join(", "))),
        }
    }
}

/// Features that an operator can speak of.
pub(crate) fn statable() -> impl Iterator<Item = Feature> {
    FEATURES.iter().copied().filter(|one| one.source() == Source::Stated)
}

/// A modern way in that something supports.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Modern {
    Saml,
    Oidc,
    None,
    #[default]
    Unknown,
}

impl Modern {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Saml => "SAML",
            Self::Oidc => "OpenID Connect",
            Self::None => "none",
            Self::Unknown => "not stated",
        }
    }
}

/// How a RADIUS client hands on the password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Protocol {
    Pap,
    Chap,
    Mschapv2,
    Eap,
}

impl Protocol {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Pap => "PAP",
            Self::Chap => "CHAP",
            Self::Mschapv2 => "MS-CHAPv2",
            Self::Eap => "EAP",
        }
    }
}

/// Something that asks MFA Server by RADIUS.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Radius {
    pub(crate) name: String,
    /// Whether it can ask for something to be typed after the password.
    pub(crate) access_challenge: bool,
    #[serde(default)]
    pub(crate) password_protocol: Option<Protocol>,
    #[serde(default)]
    pub(crate) modern_authentication: Modern,
    /// User groups of MFA Server whose users sign in through it; empty: everybody.
    #[serde(default)]
    pub(crate) groups: Vec<String>,
}

impl Radius {
    /// Whether a code can be typed: Network Policy Server takes one by PAP alone.
    pub(crate) fn takes_codes(&self) -> bool {
        self.access_challenge && matches!(self.password_protocol, None | Some(Protocol::Pap))
    }

    /// Whether a user whose default method is such can sign in through it.
    pub(crate) fn serves(&self, nps: Nps) -> bool {
        match nps {
            Nps::Served => true,
            Nps::Typed => self.takes_codes(),
            Nps::Nothing => false,
        }
    }

    /// Whether a user of this group signs in through it.
    pub(crate) fn is_used_by(&self, group: Option<&str>) -> bool {
        let same = |one: &String| group.is_some_and(|group| group.trim().eq_ignore_ascii_case(one.trim()));
        self.groups.is_empty() || self.groups.iter().any(same)
    }

    /// What to do with it.
    pub(crate) fn action(&self) -> String {
        let modern = match self.modern_authentication {
            Modern::Saml | Modern::Oidc => {
                return format!(
                    "federate it with Entra by {}; no Network Policy Server is needed, and Conditional Access applies",
                    self.modern_authentication.as_str()
                );
            }
            Modern::None => "",
            Modern::Unknown => "ask its vendor for SAML or OpenID Connect first; else ",
        };
        let typed = match (self.takes_codes(), self.access_challenge) {
            (true, _) => "codes can be typed",
            (false, true) => "this protocol carries calls and notifications alone; PAP would carry codes",
            (false, false) => {
                "without access-challenge calls and notifications alone work; change the default of the users below, or replace it"
            }
        };
        format!("{modern}Network Policy Server with the Entra MFA extension: {typed}")
    }
}

/// Something that asks MFA Server by LDAP.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ldap {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) modern_authentication: Modern,
    /// Whether it can speak RADIUS instead.
    #[serde(default)]
    pub(crate) radius: Option<bool>,
    /// Whether it is there so that users can change their password.
    #[serde(default)]
    pub(crate) password_change: bool,
}

impl Ldap {
    pub(crate) fn action(&self) -> String {
        let way = match (self.modern_authentication, self.radius) {
            (Modern::Saml | Modern::Oidc, _) => {
                format!("federate it with Entra by {}", self.modern_authentication.as_str())
            }
            (Modern::None | Modern::Unknown, Some(true)) => {
                "move it to RADIUS, and to Network Policy Server with the Entra MFA extension".to_owned()
            }
            (Modern::None | Modern::Unknown, Some(false)) => {
                "see whether Entra Domain Services can serve it; that has no second factor".to_owned()
            }
            (Modern::None | Modern::Unknown, None) => {
                "ask its vendor for SAML, OpenID Connect or RADIUS; else see whether Entra Domain Services can serve it"
                    .to_owned()
            }
        };
        if self.password_change {
            return format!("{way}; passwords are changed by Entra self-service password reset instead");
        }
        way
    }
}

/// A relying party of AD FS beside Office 365 that MFA Server's adapter serves.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RelyingParty {
    pub(crate) name: String,
    /// Year of the Windows Server that AD FS runs on.
    #[serde(default)]
    pub(crate) windows_server: Option<u16>,
    #[serde(default)]
    pub(crate) modern_authentication: Modern,
}

/// The first Windows Server whose AD FS brings an adapter for Entra MFA.
const ADFS_WITH_ENTRA: u16 = 2016;
/// The first on which users need not choose between two providers while they are moved.
const ADFS_SEAMLESS: u16 = 2019;

impl RelyingParty {
    pub(crate) fn action(&self) -> String {
        let modern = self.modern_authentication;
        match (modern, self.windows_server) {
            (Modern::Saml | Modern::Oidc, _) => {
                format!("move it to Entra by {}; then AD FS is not needed for it", modern.as_str())
            }
            (Modern::None | Modern::Unknown, Some(..ADFS_WITH_ENTRA)) => {
                "upgrade AD FS to Windows Server 2019 or later first: this one has no adapter for Entra MFA".to_owned()
            }
            (Modern::None | Modern::Unknown, Some(ADFS_WITH_ENTRA..ADFS_SEAMLESS)) => {
                "turn on the Entra MFA adapter of AD FS; users choose between two providers until all are moved, which \
                 Windows Server 2019 spares them"
                    .to_owned()
            }
            (Modern::None | Modern::Unknown, Some(_)) => {
                "turn on the Entra MFA adapter of AD FS, by group as users are moved".to_owned()
            }
            (Modern::None | Modern::Unknown, None) => {
                "AD FS of Windows Server 2016 or later with its Entra MFA adapter; state windows_server to be told more"
                    .to_owned()
            }
        }
    }
}

impl Dependencies {
    /// Reads a file.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| Usage(format!("{} cannot be read: {error}", path.display())))?;
        Self::parse(&text).with_context(|| {
            format!("{}; `mfa-migrate assess --template` prints what such a file looks like", path.display())
        })
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        let read: Self =
            toml::from_str(text).map_err(|error| Usage(error.to_string().trim_end().to_owned()))?;
        if let Some(both) = read.mfa_server.in_use.iter().find(|id| read.mfa_server.not_in_use.contains(id)) {
            anyhow::bail!(Usage(format!("\"{}\" is stated as in use and as not in use", both.0.id())));
        }
        let kinds: [(&str, Feature, Vec<&str>); 3] = [
            ("radius", Feature::Radius, read.radius.iter().map(|one| one.name.as_str()).collect()),
            ("ldap", Feature::Ldap, read.ldap.iter().map(|one| one.name.as_str()).collect()),
            ("adfs", Feature::AdFs, read.adfs.iter().map(|one| one.name.as_str()).collect()),
        ];
        for (kind, feature, names) in kinds {
            let blank = names.iter().any(|name| name.trim().is_empty());
            let twice = names.iter().enumerate().find(|(i, name)| names.iter().take(*i).any(|n| n == *name));
            if blank {
                anyhow::bail!(Usage(format!(
                    "a [[{kind}]] has no name; the table must tell it from the others"
                )));
            }
            if let Some((_, name)) = twice {
                anyhow::bail!(Usage(format!("two [[{kind}]] are called \"{name}\"")));
            }
            if !names.is_empty() && read.mfa_server.not_in_use.contains(&Id(feature)) {
                anyhow::bail!(Usage(format!(
                    "\"{}\" is stated as not in use, and there is a [[{kind}]]",
                    feature.id()
                )));
            }
        }
        Ok(read)
    }

    /// Whether something that the datafile does not show is in use; absent where nothing is stated of it.
    pub(crate) fn says(&self, feature: Feature) -> Option<bool> {
        let is_listed = feature == Feature::Radius && !self.radius.is_empty()
            || feature == Feature::Ldap && !self.ldap.is_empty()
            || feature == Feature::AdFs && !self.adfs.is_empty();
        if is_listed || self.mfa_server.in_use.contains(&Id(feature)) {
            return Some(true);
        }
        self.mfa_server.not_in_use.contains(&Id(feature)).then_some(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_is_a_file_that_can_be_read_and_names_every_feature() {
        let read = Dependencies::parse(TEMPLATE).unwrap();
        assert_eq!((read.radius.len(), read.ldap.len(), read.adfs.len()), (2, 1, 1));
        for one in statable() {
            assert!(TEMPLATE.contains(&format!("\"{}\"", one.id())), "{}", one.id());
        }
    }

    #[test]
    fn a_slip_of_the_pen_is_told_with_its_line_and_what_is_allowed() {
        for (text, wanted) in [
            ("[[radius]]\nname = \"VPN\"\naccess_chalenge = true\n", vec!["line 3", "access_challenge"]),
            ("[[radius]]\nname = \"VPN\"\n", vec!["line 1", "access_challenge"]),
            (
                "[mfa_server]\nin_use = [\"one-time-bypas\"]\n",
                vec!["line 2", "one-time-bypass", "trusted-ips"],
            ),
            ("[mfa_server]\nin_use = [\"call\"]\n", vec!["line 2", "datafile"]),
            (
                "[[radius]]\nname = \"VPN\"\naccess_challenge = true\npassword_protocol = \"spap\"\n",
                vec!["line 4", "pap"],
            ),
            ("[mfa_server]\nin_use = [\"iis\"]\nnot_in_use = [\"iis\"]\n", vec!["iis"]),
            ("[[ldap]]\nname = \" \"\n", vec!["name"]),
            ("[[adfs]]\nname = \"a\"\n[[adfs]]\nname = \"a\"\n", vec!["\"a\""]),
            ("[mfa_server]\nnot_in_use = [\"ldap\"]\n[[ldap]]\nname = \"a\"\n", vec!["ldap"]),
            ("radius = 1\n", vec!["line 1"]),
            ("[[radius\n", vec!["line 1"]),
        ] {
            let error = format!("{:#}", Dependencies::parse(text).unwrap_err());
            for word in wanted {
                assert!(error.contains(word), "{text}\n{error}");
            }
        }
    }
}
