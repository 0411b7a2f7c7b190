//! `assess`: what a site uses of MFA Server is counted by the datafile and by what the operator states, and nothing is asked of
//! anybody.

use harness::Site;
use serde_json::{Value, json};
use std::fmt::Write;

/// A datafile of one user each, by settings and group.
fn datafile(site: &Site, users: &[(&str, Value)]) -> String {
    let mut text = String::new();
    for (i, (group, settings)) in users.iter().enumerate() {
        let mut all =
            json!({ "enabled": true, "countryCode": "1", "phone": "4255550100", "mode": "voiceCall" });
        for (key, value) in settings.as_object().unwrap() {
            all[key] = value.clone();
        }
        let devices = all["devices"].take();
        let devices = if devices.is_null() { json!([]) } else { devices };
        let line = json!({
            "username": format!("u{i}@contoso.example"), "userGroup": group, "settings": all, "devices": devices,
        });
        writeln!(text, "{line}").unwrap();
    }
    let path = site.path("users.ndjson");
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

/// Everything that the table counts, once and twice.
fn everybody() -> Vec<(&'static str, Value)> {
    let app = json!([{ "userDeviceId": "1", "deviceName": "iPhone", "phoneAppVersion": "6" }]);
    vec![
        ("Sales", json!({})),
        ("Sales", json!({ "pinMode": "pin", "pin": "83746152097" })),
        ("Sales", json!({ "mode": "smsText", "smsMode": "otpPlusPin", "smsDirection": "oneWay" })),
        ("Board", json!({ "mode": "smsText", "smsDirection": "twoWay" })),
        ("Board", json!({ "mode": "phoneApp", "phoneAppMode": "pin", "devices": app, "phone": "" })),
        ("Board", json!({ "mode": "phoneApp", "devices": app })),
        (
            "IT",
            json!({ "mode": "unspecified", "smsLanguage": "de", "backupPhone": "4255550111", "backupCountryCode": "1" }),
        ),
        ("IT", json!({ "pinMode": "voiceprint", "extension": "4021", "phoneLanguage": "de" })),
        ("IT", json!({ "enabled": false, "pinMode": "pin" })),
        ("IT", json!({ "securityQuestion1Id": 4, "securityAnswer1": "canary-answer-77" })),
    ]
}

fn standing<'a>(object: &'a Value, id: &str) -> (&'a str, &'a Value) {
    let line = object["features"].as_array().unwrap().iter().find(|one| one["id"] == id);
    let line = line.unwrap_or_else(|| panic!("no feature {id}"));
    (line["standing"].as_str().unwrap(), &line["users"])
}

fn offline() -> Site {
    // Nobody listens there: whoever asked would fail.
    Site::at("http://127.0.0.1:9")
}

#[test]
fn every_feature_is_counted_by_the_users_it_touches() {
    let site = offline();
    let data = datafile(&site, &everybody());
    let found = site.run(&["assess", "--datafile", &data, "--json"]).expect(&[0]).json();
    for (id, users) in [
        // The one of the company's default among them.
        ("call", 3),
        ("call-pin", 1),
        ("call-voiceprint", 1),
        ("text", 1),
        ("text-pin", 1),
        ("text-two-way", 1),
        ("app", 1),
        ("app-pin", 1),
        ("company-default", 1),
        ("backup-phone", 1),
        ("extension", 1),
        ("language", 2),
        ("disabled-user", 1),
        ("security-questions", 1),
        ("nothing", 1),
    ] {
        assert_eq!(standing(&found, id), ("in use", &json!(users)), "{id}");
    }
    assert_eq!(standing(&found, "oath-token"), ("not in use", &json!(0)));
    assert_eq!(standing(&found, "pin-rules"), ("goes away", &Value::Null));
    assert_eq!(standing(&found, "radius"), ("not known", &Value::Null));
    assert_eq!(found["languages"], json!({ "de": 2 }));
    assert_eq!(found["nps"], json!({ "served": 5, "mustType": 3, "noMethod": 1 }), "{}", found["nps"]);
    assert_eq!(found["lists"]["pin"]["users"], 3, "the disabled one is left out");
    assert_eq!(found["lists"]["must-register-again"]["users"], 2);
    assert_eq!(found["lists"]["disabled"]["first"][0]["user"], "u8@contoso.example");
    assert!(!site.path("mfa-migrate.db").exists(), "no ledger is made");
}

#[test]
fn radius_clients_are_told_whom_they_cannot_serve() {
    let site = offline();
    let data = datafile(&site, &everybody());
    let stated = site.path("stated.toml");
    let toml = "[mfa_server]\nin_use = [\"trusted-ips\"]\nnot_in_use = [\"iis\", \"ldap\"]\n\
                [[radius]]\nname = \"Old VPN\"\naccess_challenge = false\n\
                [[radius]]\nname = \"New <VPN>\"\naccess_challenge = true\nmodern_authentication = \"saml\"\n\
                [[radius]]\nname = \"Half a VPN\"\naccess_challenge = true\npassword_protocol = \"mschapv2\"\ngroups = [\"board\"]\n\
                [[adfs]]\nname = \"Intranet\"\nwindows_server = 2012\n";
    std::fs::write(&stated, toml).unwrap();
    let stated = stated.display().to_string();
    let args = ["assess", "--datafile", &data, "--dependencies", &stated];
    let found = site.run(&[&args[..], &["--json"]].concat()).expect(&[0]).json();
    let radius = found["radius"].as_array().unwrap();
    let told: Vec<_> = radius
        .iter()
        .map(|c| (c["takesCodes"].clone(), c["users"].clone(), c["cannotServe"].clone()))
        .collect();
    assert_eq!(
        told,
        [
            (json!(false), json!(9), json!(4)),
            (json!(true), json!(9), json!(1)),
            // Of the board one has two-way text, one nothing but the app, and one the app, and text until it is registered
            // again.
            (json!(false), json!(3), json!(3)),
        ],
        "{radius:?}"
    );
    assert_eq!(standing(&found, "trusted-ips").0, "in use");
    assert_eq!(standing(&found, "iis").0, "not in use");
    assert_eq!(standing(&found, "radius").0, "in use");
    assert_eq!(standing(&found, "ldap").0, "not in use");
    assert_eq!(standing(&found, "web-sdk").0, "not known");
    assert!(found["adfs"][0]["action"].as_str().unwrap().contains("upgrade"));
    for format in ["markdown", "html"] {
        let out = site.path(format);
        let out = out.display().to_string();
        site.run(&[&args[..], &["--format", format, "--out", &out]].concat()).expect(&[0]);
        let page = std::fs::read_to_string(&out).unwrap();
        for word in
            ["Old VPN", "Half a VPN", "Temporary Access Pass", "Network Policy Server", "u4@contoso.example"]
        {
            assert!(page.contains(word), "{format}: {word}");
        }
        assert!(!page.contains("New <VPN>"), "{format}: markup in a name stays text");
        for canary in ["83746152097", "canary-answer-77"] {
            assert!(!page.contains(canary), "{format}: a PIN or an answer");
        }
    }
}

#[test]
fn a_list_holds_everybody_and_the_page_the_first_of_them() {
    let site = offline();
    let users: Vec<_> = (0..450).map(|_| ("Sales", json!({ "pinMode": "pin" }))).collect();
    let data = datafile(&site, &users);
    let found = site.run(&["assess", "--datafile", &data, "--json"]).expect(&[0]).json();
    let first = found["lists"]["pin"]["first"].as_array().unwrap();
    assert_eq!((first.len(), &found["lists"]["pin"]["users"]), (200, &json!(450)));
    let names: Vec<_> = first.iter().map(|one| one["user"].as_str().unwrap().to_owned()).collect();
    let wanted: Vec<_> = (0..200).map(|i| format!("u{i}@contoso.example")).collect();
    assert_eq!(names, wanted, "in the datafile's order, whatever thread saw them");
    let csv = site.run(&["assess", "--datafile", &data, "--list", "pin"]).expect(&[0]).out;
    assert_eq!(csv.lines().count(), 451);
    assert_eq!(csv.lines().nth(1), Some("u0@contoso.example,Sales,voiceMobile"));
    let listed = site.run(&["assess", "--datafile", &data, "--list", "phone-only", "--json"]).expect(&[0]);
    assert_eq!(serde_json::from_str::<Vec<Value>>(&listed.out).unwrap().len(), 450);
    site.run(&["assess", "--datafile", &data, "--list", "pins"]).expect(&[2]);
}

#[test]
fn what_is_stated_is_read_strictly_and_a_template_shows_how() {
    let site = offline();
    let data = datafile(&site, &everybody());
    let template = site.path("template.toml").display().to_string();
    site.run(&["assess", "--template", "--out", &template]).expect(&[0]);
    site.run(&["assess", "--datafile", &data, "--dependencies", &template]).expect(&[0]);
    let text = std::fs::read_to_string(&template).unwrap().replace("access_challenge", "access_chalenge");
    std::fs::write(&template, text).unwrap();
    let refused = site.run(&["assess", "--datafile", &data, "--dependencies", &template]).expect(&[2]);
    for word in ["template.toml", "line ", "access_chalenge", "access_challenge", "--template"] {
        assert!(refused.err.contains(word), "{word}: {}", refused.err);
    }
    assert!(refused.out.is_empty());
    site.run(&["assess", "--datafile", &data, "--dependencies", "nowhere.toml"]).expect(&[2]);
    site.run(&["assess", "--datafile", "nowhere.ndjson"]).expect(&[2]);
    site.run(&["assess"]).expect(&[2]);
}
