//! One user as the snapshot states it. Stored only sealed; `Debug` never shows a number or a secret.

use crate::Secret;
use serde::{Deserialize, Serialize};

/// The user's method in MFA Server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Mode {
    /// A call that is answered with `#`.
    VoiceCall,
    /// A text message.
    SmsText,
    /// A notification or a code in the mobile app.
    PhoneApp,
    /// A code of a token.
    OathToken,
    /// The company's default applies.
    Unspecified,
}

/// Direction of text messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SmsDirection {
    /// The code is typed where the user signs in.
    OneWay,
    /// The user answered the message; Entra has no such thing.
    TwoWay,
    /// Not stated.
    Unspecified,
}

/// A telephone number as the source holds it, nothing normalised; any part may be empty.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RawPhone {
    /// Country code, usually digits alone.
    #[serde(default)]
    pub country_code: String,
    /// The number, with whatever people typed.
    #[serde(default)]
    pub number: String,
    /// The extension, with whatever people typed.
    #[serde(default)]
    pub extension: String,
}

impl std::fmt::Debug for RawPhone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.number.is_empty() { "RawPhone(empty)" } else { "RawPhone([redacted])" })
    }
}

/// A device with the mobile app.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// MFA Server's id of it.
    #[serde(default)]
    pub id: String,
    /// The name shown to people, at most 256 characters.
    #[serde(default)]
    pub name: String,
    /// Version of the app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_version: Option<String>,
    /// The OATH secret, when the dump has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oath_secret: Option<Secret>,
    /// When the app was activated, in milliseconds since 1970 UTC; absent when the dump lacks it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activated_at_ms: Option<i64>,
}

/// A third-party OATH token.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OathToken {
    /// Serial number; joins with the token seed file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// The secret as given: base32 or hex, see rule O1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<Secret>,
    /// Seconds a code lives; absent means 30.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval_seconds: Option<u32>,
    /// Manufacturer, from the token seed file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manufacturer: Option<String>,
    /// Model, from the token seed file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
}

/// One user of the snapshot. PINs, static tokens and security answers never get this far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Version of this shape; 1.
    pub v: u8,
    /// UPN, `sAMAccountName` or `DOMAIN\user`, exactly as given.
    pub username: String,
    /// Security identifier, if the source has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sid: Option<String>,
    /// Mail address, if the source has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// MFA Server's user group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Whether the account is enabled in MFA Server.
    pub enabled: bool,
    /// The user's method.
    pub mode: Mode,
    /// Direction of text messages.
    pub sms_direction: SmsDirection,
    /// The primary phone.
    #[serde(default)]
    pub phone: RawPhone,
    /// The backup phone.
    #[serde(default)]
    pub backup: RawPhone,
    /// Mobile app devices, in the source's order, at most 50.
    #[serde(default)]
    pub devices: Vec<Device>,
    /// The OATH token, joined with its seed row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oath_token: Option<OathToken>,
}

impl Record {
    /// The newest version of the shape.
    pub const VERSION: u8 = 1;

    /// A record of which nothing is known but the name.
    pub fn nothing_but(username: String) -> Self {
        Self {
            v: Self::VERSION,
            username,
            sid: None,
            email: None,
            group: None,
            enabled: true,
            mode: Mode::Unspecified,
            sms_direction: SmsDirection::Unspecified,
            phone: RawPhone::default(),
            backup: RawPhone::default(),
            devices: Vec::new(),
            oath_token: None,
        }
    }
}
