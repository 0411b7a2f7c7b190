//! A user as the source spells it, whatever the format: texts not yet judged.
//!
//! The readers fill it and `assemble` judges it. A value of the wrong shape is no error here: the first one is
//! remembered by its field, so that the reject can name it. `Debug` shows no value.

use crate::assemble::Fault;
use crate::keys::{DeviceField, SettingsField, UserField};
use crate::limits;
use contract::Secret;

/// One value of the source.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Scalar {
    /// Null.
    Absent,
    /// A boolean.
    Flag(bool),
    /// A whole number.
    Number(i64),
    /// A text.
    Text(String),
    /// A list, an object, or a number that a text cannot hold exactly.
    Wrong,
}

/// A user before it is judged.
#[derive(Default)]
pub struct WireUser {
    pub(crate) username: Option<String>,
    pub(crate) sid: Option<String>,
    pub(crate) email: Option<String>,
    pub(crate) group: Option<String>,
    pub(crate) settings: Option<WireSettings>,
    pub(crate) devices: Vec<WireDevice>,
    /// More devices than the limit; those beyond it were not kept.
    pub(crate) too_many_devices: bool,
    /// Names that no table knows, on all levels.
    pub(crate) unknown_keys: u64,
    /// Names of the user's own level that a table knows, even where their value is null.
    pub(crate) known_keys: u64,
    /// The first field whose value has a shape it must not have, or that is there twice.
    pub(crate) fault: Option<&'static str>,
}

/// The settings before they are judged.
#[derive(Default)]
pub struct WireSettings {
    pub(crate) enabled: Option<bool>,
    pub(crate) country_code: Option<String>,
    pub(crate) phone: Option<String>,
    pub(crate) extension: Option<String>,
    pub(crate) backup_country_code: Option<String>,
    pub(crate) backup_phone: Option<String>,
    pub(crate) backup_extension: Option<String>,
    pub(crate) mode: Option<String>,
    pub(crate) sms_direction: Option<String>,
    pub(crate) oath_token_exists: Option<bool>,
    pub(crate) oath_token_serial_number: Option<String>,
    pub(crate) oath_token_secret_key: Option<Secret>,
    pub(crate) oath_token_time_interval: Option<String>,
    pub(crate) pin_mode: Option<String>,
    pub(crate) sms_mode: Option<String>,
    pub(crate) phone_app_mode: Option<String>,
    pub(crate) language: Option<String>,
    /// Some security question was chosen; neither which nor its answer is kept.
    pub(crate) has_questions: bool,
}

/// A device before it is judged.
#[derive(Default)]
pub struct WireDevice {
    pub(crate) id: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) app_version: Option<String>,
    pub(crate) oath_secret: Option<Secret>,
    pub(crate) activated_at: Option<String>,
}

/// One record as a reader found it, or why it holds none: the field and the code.
#[derive(Debug)]
pub(crate) struct Entry {
    /// The file, where the source is a folder.
    pub(crate) file: Option<String>,
    /// Line from 1; 0 for documents.
    pub(crate) line: u64,
    pub(crate) user: Result<WireUser, Fault>,
}

/// A value that cannot stand where it was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Misplaced;

impl WireUser {
    /// The username that this record claims, as given; absent when it is blank or cannot be told.
    pub fn claim(&self) -> Option<&str> {
        let name = self.username.as_deref().filter(|name| !name.trim().is_empty())?;
        (self.fault != Some(UserField::Username.word()) && name.chars().count() <= limits::NAME_CHARS)
            .then_some(name)
    }

    /// Sets a field of the user itself.
    pub(crate) fn put(&mut self, field: UserField, value: Scalar) {
        let done = match field {
            UserField::Username => set_text(&mut self.username, value),
            UserField::Sid => set_text(&mut self.sid, value),
            UserField::Email => set_text(&mut self.email, value),
            UserField::UserGroup => set_text(&mut self.group, value),
            UserField::Settings | UserField::Devices => match value {
                Scalar::Absent => Ok(()),
                Scalar::Flag(_) | Scalar::Number(_) | Scalar::Text(_) | Scalar::Wrong => Err(Misplaced),
            },
            UserField::Ignored => Ok(()),
            UserField::Unknown => {
                self.unknown_keys += 1;
                Ok(())
            }
        };
        if done.is_err() {
            self.blame(field.word());
        }
    }

    /// Remembers the first field at fault.
    pub(crate) fn blame(&mut self, field: &'static str) {
        self.fault.get_or_insert(field);
    }
}

impl WireSettings {
    /// Sets a field; an unknown one is the caller's to count.
    pub(crate) fn put(&mut self, field: SettingsField, value: Scalar) -> Result<(), Misplaced> {
        match field {
            SettingsField::Enabled => set_flag(&mut self.enabled, value),
            SettingsField::CountryCode => set_text(&mut self.country_code, value),
            SettingsField::Phone => set_text(&mut self.phone, value),
            SettingsField::Extension => set_text(&mut self.extension, value),
            SettingsField::BackupCountryCode => set_text(&mut self.backup_country_code, value),
            SettingsField::BackupPhone => set_text(&mut self.backup_phone, value),
            SettingsField::BackupExtension => set_text(&mut self.backup_extension, value),
            SettingsField::Mode => set_text(&mut self.mode, value),
            SettingsField::SmsDirection => set_text(&mut self.sms_direction, value),
            SettingsField::OathTokenExists => set_flag(&mut self.oath_token_exists, value),
            SettingsField::OathTokenSerialNumber => set_text(&mut self.oath_token_serial_number, value),
            SettingsField::OathTokenSecretKey => set_secret(&mut self.oath_token_secret_key, value),
            SettingsField::OathTokenTimeInterval => set_text(&mut self.oath_token_time_interval, value),
            SettingsField::PinMode
            | SettingsField::SmsMode
            | SettingsField::PhoneAppMode
            | SettingsField::Language
            | SettingsField::Question => {
                self.note(field, value);
                Ok(())
            }
            SettingsField::Ignored | SettingsField::Unknown => Ok(()),
        }
    }
}

impl WireSettings {
    /// Takes what moves nothing: of each the first text that says something, and nothing else is anybody's fault.
    fn note(&mut self, field: SettingsField, value: Scalar) {
        let Some(text) = text_of(value).ok().flatten().filter(|text| !text.trim().is_empty()) else { return };
        let slot = match field {
            SettingsField::PinMode => &mut self.pin_mode,
            SettingsField::SmsMode => &mut self.sms_mode,
            SettingsField::PhoneAppMode => &mut self.phone_app_mode,
            SettingsField::Language => &mut self.language,
            // Which question it is, is not kept.
            SettingsField::Question => {
                self.has_questions |= text.trim() != "0";
                return;
            }
            SettingsField::Enabled
            | SettingsField::CountryCode
            | SettingsField::Phone
            | SettingsField::Extension
            | SettingsField::BackupCountryCode
            | SettingsField::BackupPhone
            | SettingsField::BackupExtension
            | SettingsField::Mode
            | SettingsField::SmsDirection
            | SettingsField::OathTokenExists
            | SettingsField::OathTokenSerialNumber
            | SettingsField::OathTokenSecretKey
            | SettingsField::OathTokenTimeInterval
            | SettingsField::Ignored
            | SettingsField::Unknown => return,
        };
        slot.get_or_insert(text);
    }
}

impl WireDevice {
    /// Sets a field; an unknown one is the caller's to count.
    pub(crate) fn put(&mut self, field: DeviceField, value: Scalar) -> Result<(), Misplaced> {
        match field {
            DeviceField::UserDeviceId => set_text(&mut self.id, value),
            DeviceField::DeviceName => set_text(&mut self.name, value),
            DeviceField::PhoneAppVersion => set_text(&mut self.app_version, value),
            DeviceField::OathTokenSecretKey => set_secret(&mut self.oath_secret, value),
            DeviceField::ActivatedAt => set_text(&mut self.activated_at, value),
            DeviceField::Ignored | DeviceField::Unknown => Ok(()),
        }
    }
}

fn text_of(value: Scalar) -> Result<Option<String>, Misplaced> {
    match value {
        Scalar::Absent => Ok(None),
        Scalar::Flag(flag) => Ok(Some(flag.to_string())),
        Scalar::Number(number) => Ok(Some(number.to_string())),
        Scalar::Text(text) => Ok(Some(text)),
        Scalar::Wrong => Err(Misplaced),
    }
}

fn set_text(slot: &mut Option<String>, value: Scalar) -> Result<(), Misplaced> {
    match text_of(value)? {
        Some(_) if slot.is_some() => Err(Misplaced),
        Some(text) => {
            *slot = Some(text);
            Ok(())
        }
        None => Ok(()),
    }
}

fn set_secret(slot: &mut Option<Secret>, value: Scalar) -> Result<(), Misplaced> {
    match text_of(value)?.map(Secret::new) {
        Some(_) if slot.is_some() => Err(Misplaced),
        Some(secret) => {
            *slot = (!secret.expose().trim().is_empty()).then_some(secret);
            Ok(())
        }
        None => Ok(()),
    }
}

fn set_flag(slot: &mut Option<bool>, value: Scalar) -> Result<(), Misplaced> {
    let flag = match value {
        Scalar::Absent => None,
        Scalar::Flag(flag) => Some(flag),
        Scalar::Number(0) => Some(false),
        Scalar::Number(1) => Some(true),
        Scalar::Text(text) => match text.trim() {
            "" => None,
            "1" => Some(true),
            "0" => Some(false),
            word if word.eq_ignore_ascii_case("true") => Some(true),
            word if word.eq_ignore_ascii_case("false") => Some(false),
            _ => return Err(Misplaced),
        },
        Scalar::Number(_) | Scalar::Wrong => return Err(Misplaced),
    };
    match flag {
        Some(_) if slot.is_some() => Err(Misplaced),
        Some(flag) => {
            *slot = Some(flag);
            Ok(())
        }
        None => Ok(()),
    }
}

macro_rules! redacted {
    ($($name:ident)*) => {$(
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($name), "([redacted])"))
            }
        }
    )*};
}
redacted!(Scalar WireUser WireSettings WireDevice);
