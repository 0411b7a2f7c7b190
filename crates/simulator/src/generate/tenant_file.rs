//! The tenant that a generated datafile belongs to: its users with what they have registered already, and groups by
//! region.
//!
//! Groups are written by walking the people again, so that no list of members is ever held.

use super::person::{Person, Presence};
use serde_json::{Value, json};
use std::io::{self, Write};

const REGIONS: [&str; 3] = ["EMEA", "AMER", "APAC"];

fn authentication(person: &Person) -> Value {
    let phone = |number: &str| json!([{ "phoneType": "mobile", "phoneNumber": number }]);
    let unset = json!({
        "isSystemPreferredAuthenticationMethodEnabled": false,
        "userPreferredMethodForSecondaryAuthentication": null,
    });
    let preferring = |method: &str, system: bool| {
        json!({
            "isSystemPreferredAuthenticationMethodEnabled": system,
            "userPreferredMethodForSecondaryAuthentication": method,
        })
    };
    match (person.presence, &person.phone) {
        (Presence::Bare | Presence::Absent, _) | (Presence::SamePhone, None) => {
            json!({ "signInPreferences": unset })
        }
        (Presence::SamePhone, Some(number)) => {
            json!({ "phoneMethods": phone(&number.clean), "signInPreferences": unset })
        }
        (Presence::OtherPhone, _) => json!({
            "phoneMethods": phone(&person.other.clean),
            "signInPreferences": preferring("sms", false),
        }),
        (Presence::Authenticator, _) => json!({
            "microsoftAuthenticatorMethods":
                [{ "id": person.app_id, "displayName": "Pixel 8", "phoneAppVersion": "6.2408.5807" }],
            "signInPreferences": preferring("push", person.index.is_multiple_of(3)),
        }),
    }
}

fn user(person: &Person) -> Value {
    json!({
        "id": person.id,
        "userPrincipalName": person.upn,
        "displayName": format!("{} {}", person.given, person.family),
        "mail": person.upn,
        "onPremisesSamAccountName": person.sam,
        "onPremisesSecurityIdentifier": person.sid,
        "onPremisesDomainName": "contoso.example",
        "onPremisesSyncEnabled": true,
        "employeeId": format!("E{:07}", person.index),
        "department": person.department,
        "usageLocation": person.country,
        "userType": "Member",
        "accountEnabled": person.enabled,
        "authentication": authentication(person),
    })
}

/// Writes the state file.
pub(super) fn write(to: &mut impl Write, users: u32, seed: u64) -> io::Result<()> {
    let present = || (0..users).map(move |i| Person::at(seed, i)).filter(|p| p.presence != Presence::Absent);
    to.write_all(b"{\"users\":[")?;
    for (n, person) in present().enumerate() {
        to.write_all(if n == 0 { b"\n" } else { b",\n" })?;
        serde_json::to_writer(&mut *to, &user(&person))?;
    }
    to.write_all(b"\n],\"groups\":[")?;
    for (n, region) in REGIONS.iter().enumerate() {
        let id = format!("00000000-0000-4000-8000-{n:012}");
        write!(
            to,
            "{}\n{{\"id\":\"{id}\",\"displayName\":\"{region}\",\"type\":\"assigned\",\"members\":[",
            comma(n)
        )?;
        for (m, person) in present().filter(|p| p.region == *region).enumerate() {
            write!(to, "{}\"{}\"", comma(m), person.id)?;
        }
        to.write_all(b"]}")?;
    }
    to.write_all(b"\n],\"authenticationMethodsPolicy\":")?;
    let all = ["push", "oath", "sms", "voiceMobile", "voiceOffice", "voiceAlternateMobile"];
    serde_json::to_writer(&mut *to, &json!({ "allowed": all }))?;
    to.write_all(b"}\n")
}

fn comma(n: usize) -> &'static str {
    if n == 0 { "" } else { "," }
}
