//! The settings that the rules obey. Validated when built; part of the plan's hash.

use crate::Mode;
use serde::{Deserialize, Serialize};

/// A method of the source that is in scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Method {
    /// The primary phone.
    Phone,
    /// The backup phone.
    Backup,
    /// Mobile app devices.
    MobileApp,
    /// The OATH token.
    OathToken,
    /// The default method.
    Default,
}

/// When the default method is written (rule D1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DefaultMethodPolicy {
    /// Only where the observed default is unset.
    #[default]
    IfUnset,
    /// Whenever it differs.
    Always,
    /// The most secure one present, where it is unset.
    MostSecureIfUnset,
}

/// What to do with another number in the cloud.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnExisting {
    /// The record wins.
    #[default]
    Overwrite,
    /// The cloud wins.
    Keep,
}

/// What to do with a change made in the cloud after we wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnDrift {
    /// Leave it and tell a person.
    #[default]
    Hold,
    /// Write again.
    Overwrite,
}

/// What becomes of the codes of MFA Server's app devices (rule M8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AppCodes {
    /// They are reported; the user registers again.
    #[default]
    Report,
    /// They live on as a hardware OATH token.
    HardwareOath,
}

/// What `unspecified` stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CompanyDefaultMode {
    /// Telephone call.
    #[default]
    VoiceCall,
    /// Text message.
    SmsText,
    /// Mobile app.
    PhoneApp,
    /// OATH token.
    OathToken,
}

impl CompanyDefaultMode {
    /// The mode it stands for.
    pub fn mode(self) -> Mode {
        match self {
            Self::VoiceCall => Mode::VoiceCall,
            Self::SmsText => Mode::SmsText,
            Self::PhoneApp => Mode::PhoneApp,
            Self::OathToken => Mode::OathToken,
        }
    }
}

/// A stage of matching (rule U1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Match {
    /// `userPrincipalName` with the username.
    Upn,
    /// `onPremisesSecurityIdentifier` with the SID.
    Sid,
    /// `onPremisesSamAccountName` with the username, its domain dropped.
    SamAccountName,
    /// `mail` with the mail address, or the username where the record has none.
    Mail,
    /// `employeeId` with the username.
    EmployeeId,
    /// `onPremisesImmutableId` with the username.
    ImmutableId,
}

impl Match {
    /// Every stage; the position of each is its column in the ledger.
    pub const ALL: [Self; 6] =
        [Self::Upn, Self::Sid, Self::SamAccountName, Self::Mail, Self::EmployeeId, Self::ImmutableId];

    /// The word in settings and outputs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Upn => "upn",
            Self::Sid => "sid",
            Self::SamAccountName => "samAccountName",
            Self::Mail => "mail",
            Self::EmployeeId => "employeeId",
            Self::ImmutableId => "immutableId",
        }
    }
}

/// The settings, each with its default first in the documentation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// The methods in scope; all of them by default.
    pub methods: Vec<Method>,
    /// When the default method is written.
    pub default_method: DefaultMethodPolicy,
    /// What to do with another number in the cloud.
    pub on_existing: OnExisting,
    /// What to do with a change made after we wrote.
    pub on_drift: OnDrift,
    /// Whether users that are disabled in MFA Server are moved too.
    pub include_disabled: bool,
    /// What `unspecified` stands for, everywhere.
    pub company_default_mode: CompanyDefaultMode,
    /// Country code, digits alone, for numbers that carry none; none by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_country_code: Option<String>,
    /// B4: the backup phone may become the mobile.
    pub promote_backup_to_mobile: bool,
    /// B3: the backup phone may take the office that text mode left free.
    pub backup_to_free_office: bool,
    /// M8: what becomes of the codes of app devices.
    pub app_codes: AppCodes,
    /// The stages of matching, in order.
    #[serde(rename = "match")]
    pub match_stages: Vec<Match>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            methods: vec![
                Method::Phone,
                Method::Backup,
                Method::MobileApp,
                Method::OathToken,
                Method::Default,
            ],
            default_method: DefaultMethodPolicy::default(),
            on_existing: OnExisting::default(),
            on_drift: OnDrift::default(),
            include_disabled: false,
            company_default_mode: CompanyDefaultMode::default(),
            default_country_code: None,
            promote_backup_to_mobile: false,
            backup_to_free_office: false,
            app_codes: AppCodes::default(),
            match_stages: vec![Match::Upn, Match::Sid],
        }
    }
}

/// A setting that cannot be obeyed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// No stage of matching.
    #[error("policy.match is empty: no user could ever be found; name at least one stage, such as \"upn\"")]
    NoMatchStage,
    /// A stage or a method is named twice.
    #[error("policy.{setting} names {value} twice")]
    Twice {
        /// The setting.
        setting: &'static str,
        /// The value.
        value: String,
    },
    /// Not a country code.
    #[error("policy.default_country_code must be one to three digits without +, such as \"49\"")]
    CountryCode,
}

impl Policy {
    /// Checks and normalises: methods are sorted, so that their order does not change the plan's hash.
    pub fn validated(mut self) -> Result<Self, PolicyError> {
        if self.match_stages.is_empty() {
            return Err(PolicyError::NoMatchStage);
        }
        for (i, stage) in self.match_stages.iter().enumerate() {
            if self.match_stages[..i].contains(stage) {
                return Err(PolicyError::Twice { setting: "match", value: stage.as_str().to_owned() });
            }
        }
        self.methods.sort_unstable();
        if let Some(pair) = self.methods.windows(2).find(|p| p[0] == p[1]) {
            return Err(PolicyError::Twice { setting: "methods", value: format!("{:?}", pair[0]) });
        }
        if let Some(code) = &self.default_country_code {
            let digits = code.strip_prefix('+').unwrap_or(code);
            if digits.is_empty()
                || digits.len() > 3
                || digits.starts_with('0')
                || !digits.bytes().all(|b| b.is_ascii_digit())
            {
                return Err(PolicyError::CountryCode);
            }
            self.default_country_code = Some(digits.to_owned());
        }
        Ok(self)
    }

    /// Whether a method is in scope.
    pub fn covers(&self, method: Method) -> bool {
        self.methods.contains(&method)
    }
}
