//! One record of the datafile: NDJSON with the names of MFA Server's Web Service SDK.
//!
//! Device tokens are made up of nothing: no reader needs them.

use super::number::Number;
use super::person::Person;
use serde::Serialize;
use std::io::{self, Write};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'p> {
    username: &'p str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<&'p str>,
    email: &'p str,
    user_group: &'p str,
    settings: Settings<'p>,
    devices: Vec<DeviceLine<'p>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Settings<'p> {
    enabled: bool,
    first_name: &'p str,
    last_name: &'p str,
    country_code: &'p str,
    phone: &'p str,
    extension: &'p str,
    backup_country_code: &'p str,
    backup_phone: &'p str,
    backup_extension: &'p str,
    mode: &'p str,
    pin_mode: &'p str,
    sms_direction: &'p str,
    sms_mode: &'p str,
    phone_app_mode: &'p str,
    oath_token_exists: bool,
    oath_token_serial_number: &'p str,
    oath_token_secret_key: &'p str,
    oath_token_time_interval: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DeviceLine<'p> {
    user_device_id: String,
    device_name: &'p str,
    device_token: String,
    phone_app_version: &'p str,
    #[serde(skip_serializing_if = "Option::is_none")]
    oath_token_secret_key: Option<&'p str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    activated_at: Option<&'p str>,
}

/// Writes the line of one person.
pub(super) fn write(to: &mut impl Write, person: &Person) -> io::Result<()> {
    let domain_name = format!("CONTOSO\\{}", person.sam);
    let typed = |number: &'_ Option<Number>| -> (String, String, String) {
        match number {
            Some(n) => (n.code.clone(), n.typed.clone(), n.extension.clone()),
            // MFA Server keeps its default code beside an empty number.
            None => ("1".to_owned(), String::new(), String::new()),
        }
    };
    let phone = typed(&person.phone);
    let backup = typed(&person.backup);
    let token = person.token.as_ref();
    let devices = person.devices.iter().zip(1_u32..).map(|(device, n)| DeviceLine {
        user_device_id: n.to_string(),
        device_name: device.name,
        device_token: format!("APA91synthetic{:08x}{n}", person.index),
        phone_app_version: "6.2001.0140",
        oath_token_secret_key: device.secret.as_deref(),
        activated_at: device.activated_at.as_deref(),
    });
    let line = Line {
        username: if person.by_domain { &domain_name } else { &person.upn },
        sid: person.by_domain.then_some(person.sid.as_str()),
        email: &person.upn,
        user_group: person.region,
        settings: Settings {
            enabled: person.enabled,
            first_name: person.given,
            last_name: person.family,
            country_code: &phone.0,
            phone: &phone.1,
            extension: &phone.2,
            backup_country_code: &backup.0,
            backup_phone: &backup.1,
            backup_extension: &backup.2,
            mode: person.mode,
            pin_mode: "standard",
            sms_direction: if person.two_way { "twoWay" } else { "oneWay" },
            sms_mode: "otp",
            phone_app_mode: "standard",
            oath_token_exists: token.is_some(),
            oath_token_serial_number: token.map_or("", |t| &t.serial),
            oath_token_secret_key: token.map_or("", |t| &t.secret),
            oath_token_time_interval: token.map_or(30, |t| t.interval),
        },
        devices: devices.collect(),
    };
    serde_json::to_writer(&mut *to, &line)?;
    to.write_all(b"\n")
}
