//! Two operators at once, over one PostgreSQL: every user is in one pair of hands, and gets one pass; and an operator who
//! dies holds nobody for longer than a lease.

use harness::services::postgres;
use harness::{Site, Tenant, until};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);
const USERS: usize = 60;

fn upn(n: usize) -> String {
    format!("user{n:03}@contoso.example")
}

fn tenant(flags: &[&str]) -> Tenant {
    let user = |n| json!({ "id": format!("00000000-0000-4000-8000-{n:012}"), "userPrincipalName": upn(n) });
    Tenant::with(&json!({ "users": (1..=USERS).map(user).collect::<Vec<_>>() }), flags)
}

/// Two sites over one ledger, in which everybody must register again.
fn two(tenant: &Tenant) -> (Site, Site) {
    let url = postgres().new_database();
    let mut sites = [Site::new(tenant), Site::new(tenant)];
    let key = sites[0].path("shared.key");
    std::fs::write(&key, [7_u8; 32]).unwrap();
    for site in &mut sites {
        site.env("MFA_MIGRATE_LEDGER", &url);
        site.env("MFA_MIGRATE_KEY_FILE", key.to_str().unwrap());
        site.configure("[graph]\nrequest_timeout_s = 2\nvisibility_deadline_s = 1\nclock_skew_s = 1\n[worker]\nlease_s = 6\n");
    }
    let record = |n| {
        let settings = json!({
            "enabled": true, "countryCode": "1", "phone": format!("425555{n:04}"), "mode": "voiceCall",
            "smsDirection": "oneWay", "backupCountryCode": "1", "backupPhone": "",
        });
        json!({ "username": upn(n), "settings": settings, "devices": [{ "deviceName": "iPhone" }] })
            .to_string()
    };
    let records: Vec<String> = (1..=USERS).map(record).collect();
    std::fs::write(sites[0].path("users.ndjson"), records.join("\n")).unwrap();
    sites[0].run(&["rehearse", "--datafile", "users.ndjson"]).expect(&[0, 3]);
    let [one, other] = sites;
    (one, other)
}

const ISSUE: [&str; 6] = ["tap", "issue", "--all", "--out", "passes.csv", "--json"];

/// Pass ids of a file, by user principal name; none where there is no file.
fn filed(site: &Site) -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(site.path("passes.csv")).unwrap_or_default();
    let rows = text.lines().skip(1).map(|line| {
        let mut fields = line.split(',');
        let name = fields.nth(3).unwrap().to_owned();
        // A pass may hold commas; what comes after it does not.
        (name, line.rsplit(',').nth(1).unwrap().to_owned())
    });
    rows.collect()
}

fn made(tenant: &Tenant) -> usize {
    tenant.journal().iter().filter(|effect| effect["to"].is_string()).count()
}

/// Everybody has the one pass that one of the files has.
#[track_caller]
fn must_be_issued_once(tenant: &Tenant, one: &Site, other: &Site) {
    let (mut files, others) = (filed(one), filed(other));
    assert!(others.keys().all(|name| !files.contains_key(name)), "somebody is in both files");
    files.extend(others);
    let state = tenant.state();
    for user in state["users"].as_array().unwrap() {
        let name = user["userPrincipalName"].as_str().unwrap();
        let pass = user["authentication"]["temporaryAccessPassMethods"][0]["id"].as_str();
        assert_eq!(pass, files.get(name).map(String::as_str), "{name}");
    }
    assert_eq!(files.len(), USERS);
}

#[test]
fn two_operators_at_once_issue_one_pass_a_user() {
    let tenant = tenant(&["--latency-ms", "20", "--throttle", "writes=20/2"]);
    let (one, other) = two(&tenant);
    let running = one.start(&ISSUE);
    assert!(until(PATIENCE, || made(&tenant) > 0));
    let told = other.run(&ISSUE).expect(&[0, 3]).json();
    let first = running.wait().expect(&[0, 3]).json();
    must_be_issued_once(&tenant, &one, &other);
    assert_eq!(made(&tenant), USERS, "{first} {told}");
    let issued = |told: &Value| told["issued"].as_u64().unwrap();
    assert_eq!(issued(&first) + issued(&told), USERS as u64);
    let codes = |told: &Value| -> Vec<Value> {
        told["refused"].as_array().unwrap().iter().map(|line| line["code"].clone()).collect()
    };
    assert!(codes(&told).iter().chain(&codes(&first)).all(|code| code == "tap-issued-earlier"), "{told}");
    let revoked = other.run(&["tap", "revoke", "--all", "--json"]).expect(&[0]).json();
    assert_eq!(revoked["revoked"], USERS, "{revoked}");
    one.run(&["report", "--verify-journal"]).expect(&[0]);
}

#[test]
fn an_operator_who_dies_holds_nobody_for_longer_than_a_lease() {
    let tenant = tenant(&[]);
    let (mut one, other) = two(&tenant);
    one.env("MFA_MIGRATE_CRASH_AT", "tap.sent:2");
    let (status, outcome) = one.start(&ISSUE).wait_status();
    assert_eq!(status.signal(), Some(6), "{outcome:?}");
    assert_eq!(made(&tenant), 40);
    let told = other.run(&ISSUE).expect(&[3]).json();
    assert_eq!((&told["issued"], &told["lost"]), (&json!(40), &json!(20)), "{told}");
    must_be_issued_once(&tenant, &one, &other);
}

#[test]
fn an_operator_who_stood_still_keeps_nothing_that_another_has_taken_over() {
    let tenant = tenant(&["--latency-ms", "150"]);
    let (one, other) = two(&tenant);
    let running = one.start(&ISSUE);
    assert!(until(PATIENCE, || made(&tenant) > 0));
    // Wherever it is now: by the time it goes on, its lease is over and the other has everybody.
    running.signal("STOP");
    let told = other.run(&ISSUE).expect(&[0, 3]).json();
    assert_eq!(told["left"], 0, "{told}");
    running.signal("CONT");
    running.wait().expect(&[0, 3]);
    let (mine, theirs) = (filed(&one), filed(&other));
    let state = tenant.state();
    for user in state["users"].as_array().unwrap() {
        let name = user["userPrincipalName"].as_str().unwrap();
        let pass = user["authentication"]["temporaryAccessPassMethods"][0]["id"].as_str();
        assert!(pass.is_some(), "{name} has a pass");
        let is_filed = [&mine, &theirs].iter().any(|file| file.get(name).map(String::as_str) == pass);
        assert!(is_filed, "{name} has a pass that nobody has");
    }
}
