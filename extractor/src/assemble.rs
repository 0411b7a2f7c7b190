//! Judges a [`WireUser`] and makes it a record.
//!
//! Pure. Each refusal names the field and a code, never the value. Blank texts are absent texts; nothing else is
//! repaired: numbers, extensions and usernames go on exactly as they were given.

use crate::limits::NAME_CHARS;
use crate::vocabulary;
use crate::wire::{WireDevice, WireSettings, WireUser};
use contract::{Device, OathToken, RawPhone, Record, RejectCode, SmsDirection};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// What is wrong with a record: the field and the code.
pub(crate) type Fault = (&'static str, RejectCode);

/// Makes the record, without its seed row.
pub(crate) fn record(user: WireUser) -> Result<Record, Fault> {
    if let Some(field) = user.fault {
        return Err((field, RejectCode::FieldInvalid));
    }
    let username = filled(user.username).ok_or(("username", RejectCode::FieldMissing))?;
    short("username", &username)?;
    let settings = user.settings.ok_or(("settings", RejectCode::FieldMissing))?;
    if user.too_many_devices {
        return Err(("devices", RejectCode::RecordTooLarge));
    }
    let group = filled(user.group);
    short("userGroup", group.as_deref().unwrap_or_default())?;
    // An account whose state is not stated must not be taken for an enabled one.
    let enabled = settings.enabled.ok_or(("enabled", RejectCode::FieldMissing))?;
    let (mode, direction_of_mode) = vocabulary::mode(settings.mode.as_deref().unwrap_or_default())
        .ok_or(("mode", RejectCode::FieldInvalid))?;
    let sms_direction = match vocabulary::sms_direction(settings.sms_direction.as_deref().unwrap_or_default())
    {
        Some(SmsDirection::Unspecified) => direction_of_mode,
        Some(stated @ (SmsDirection::OneWay | SmsDirection::TwoWay)) => stated,
        None => return Err(("smsDirection", RejectCode::FieldInvalid)),
    };
    let oath_token = token(&settings)?;
    Ok(Record {
        v: Record::VERSION,
        username,
        sid: filled(user.sid),
        email: filled(user.email),
        group,
        enabled,
        mode,
        sms_direction,
        phone: phone(settings.country_code, settings.phone, settings.extension),
        backup: phone(settings.backup_country_code, settings.backup_phone, settings.backup_extension),
        devices: user.devices.into_iter().map(device).collect::<Result<_, _>>()?,
        oath_token: oath_token.map(|interval_seconds| OathToken {
            serial: filled(settings.oath_token_serial_number),
            secret: settings.oath_token_secret_key,
            interval_seconds,
            manufacturer: None,
            model: None,
        }),
    })
}

fn filled(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.trim().is_empty())
}

fn short(field: &'static str, name: &str) -> Result<(), Fault> {
    if name.len() > NAME_CHARS && name.chars().count() > NAME_CHARS {
        return Err((field, RejectCode::RecordTooLarge));
    }
    Ok(())
}

fn phone(country_code: Option<String>, number: Option<String>, extension: Option<String>) -> RawPhone {
    RawPhone {
        country_code: filled(country_code).unwrap_or_default(),
        number: filled(number).unwrap_or_default(),
        extension: filled(extension).unwrap_or_default(),
    }
}

/// Whether the user has a token, and its interval. MFA Server leaves serial and interval behind when a token is taken
/// away, so `oathTokenExists: false` wins over them; without the flag, a serial or a secret speaks for a token.
fn token(settings: &WireSettings) -> Result<Option<Option<u32>>, Fault> {
    let serial = settings.oath_token_serial_number.as_deref().unwrap_or_default();
    let traces = !serial.trim().is_empty() || settings.oath_token_secret_key.is_some();
    if !settings.oath_token_exists.unwrap_or(traces) {
        return Ok(None);
    }
    short("oathTokenSerialNumber", serial)?;
    interval(settings.oath_token_time_interval.as_deref().unwrap_or_default())
        .map(Some)
        .ok_or(("oathTokenTimeInterval", RejectCode::FieldInvalid))
}

/// Seconds, or blank for absent; anything else is no interval.
pub(crate) fn interval(text: &str) -> Option<Option<u32>> {
    match text.trim() {
        "" => Some(None),
        digits if digits.bytes().all(|b| b.is_ascii_digit()) => digits.parse().ok().map(Some),
        _ => None,
    }
}

fn device(device: WireDevice) -> Result<Device, Fault> {
    let name = filled(device.name).unwrap_or_default();
    short("deviceName", &name)?;
    // The order of devices decides which of them keep a slot, so a moment that cannot be read is not left out.
    let activated_at_ms = match filled(device.activated_at) {
        None => None,
        Some(text) => Some(milliseconds(text.trim()).ok_or(("activatedAt", RejectCode::FieldInvalid))?),
    };
    Ok(Device {
        id: filled(device.id).unwrap_or_default(),
        name,
        app_version: filled(device.app_version),
        oath_secret: device.oath_secret,
        activated_at_ms,
    })
}

/// RFC 3339; a moment without a zone is taken as UTC, and a day as its beginning: it only orders a user's devices.
fn milliseconds(text: &str) -> Option<i64> {
    let in_utc = || OffsetDateTime::parse(&format!("{text}Z"), &Rfc3339);
    let as_day = || OffsetDateTime::parse(&format!("{text}T00:00:00Z"), &Rfc3339);
    let moment = OffsetDateTime::parse(text, &Rfc3339).or_else(|_| in_utc()).or_else(|_| as_day()).ok()?;
    i64::try_from(moment.unix_timestamp_nanos().div_euclid(1_000_000)).ok()
}
