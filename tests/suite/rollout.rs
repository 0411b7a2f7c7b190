//! The staged rollout over real HTTP: who gets in and who stays out by which code, group by group within Microsoft's limits,
//! and out again before anything is withdrawn.

use harness::{Outcome, Site, Tenant};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const CONFIG: &str = "[graph]\nrequest_timeout_s = 2\nvisibility_deadline_s = 1\nclock_skew_s = 1\n[worker]\nlease_s = 4\n\
                      [rollout]\ngroups = [\"Rollout A\"]\nstay_s = 0\n";
const POLICIES: &str = "/v1.0/policies/featureRolloutPolicies";

/// An object id, told by a kind and a number.
fn id(kind: u32, n: usize) -> String {
    format!("0000000{kind}-0000-4000-8000-{n:012}")
}

fn user(n: usize) -> String {
    id(0, n)
}

fn name(n: usize) -> String {
    format!("u{n:04}@contoso.example")
}

/// So many users, and the groups of a rollout.
fn state(users: usize, groups: &Value) -> Value {
    let user = |n: usize| json!({ "id": user(n), "userPrincipalName": name(n), "userType": "Member", "onPremisesSyncEnabled": true });
    json!({ "users": (1..=users).map(user).collect::<Vec<_>>(), "groups": groups })
}

fn group(kind: u32, name: &str) -> Value {
    json!({ "id": id(kind, 0), "displayName": name, "members": [] })
}

fn datafile(site: &Site, users: usize) {
    let record = |n: usize| {
        json!({
            "username": name(n), "devices": [],
            "settings": {
                "enabled": true, "countryCode": "1", "phone": format!("425555{n:04}"), "mode": "voiceCall",
                "smsDirection": "oneWay", "backupCountryCode": "1", "backupPhone": "",
            },
        })
        .to_string()
    };
    std::fs::write(site.path("users.ndjson"), (1..=users).map(record).collect::<Vec<_>>().join("\n"))
        .unwrap();
}

/// A tenant with one empty group, and a site.
fn world(users: usize, flags: &[&str]) -> (Tenant, Site) {
    with(&state(users, &json!([group(1, "Rollout A"), group(2, "Rollout B")])), users, flags)
}

fn with(state: &Value, users: usize, flags: &[&str]) -> (Tenant, Site) {
    let tenant = Tenant::with(state, flags);
    let site = Site::new(&tenant);
    site.configure(CONFIG);
    datafile(&site, users);
    (tenant, site)
}

/// The same with everybody migrated and verified.
fn ready(users: usize, flags: &[&str]) -> (Tenant, Site) {
    let (tenant, site) = world(users, flags);
    migrated(&site);
    (tenant, site)
}

fn migrated(site: &Site) {
    site.run(&["migrate", "--datafile", "users.ndjson"]).expect(&[0, 3]);
    site.run(&["verify"]).expect(&[0, 3]);
}

fn rollout(site: &Site, verb: &str, more: &[&str]) -> Outcome {
    site.run(&[&["rollout", verb, "--json"], more].concat())
}

fn members(tenant: &Tenant, kind: u32) -> BTreeSet<String> {
    let state = tenant.state();
    let groups = state["groups"].as_array().unwrap();
    let found = groups.iter().find(|g| g["id"] == id(kind, 0)).unwrap_or(&Value::Null);
    found["members"].as_array().into_iter().flatten().map(|m| m.as_str().unwrap().to_owned()).collect()
}

/// Every change of a membership, in order: whom, and whether in.
fn moves(tenant: &Tenant) -> Vec<(String, bool)> {
    let journal = tenant.journal();
    let of = journal.iter().filter(|effect| effect["method"] == "group");
    of.map(|effect| (effect["user"].as_str().unwrap().to_owned(), !effect["to"].is_null())).collect()
}

fn everybody(users: usize) -> BTreeSet<String> {
    (1..=users).map(user).collect()
}

#[test]
fn forth_and_back_and_nothing_twice() {
    let (tenant, site) = ready(45, &[]);
    let before = tenant.state();
    let plan = rollout(&site, "plan", &["--all"]).expect(&[0]).json();
    assert_eq!((&plan["in"], &plan["users"]), (&json!(45), &json!(45)), "{plan}");
    assert_eq!((&plan["policy"], &plan["tenant"]["users"]), (&Value::Null, &json!(45)), "{plan}");
    assert_eq!(tenant.state(), before, "a plan writes nothing");

    let told = rollout(&site, "apply", &["--all"]).expect(&[0]).json();
    assert_eq!(told["entries"]["applied"], 45, "{told}");
    assert_eq!(members(&tenant, 1), everybody(45));
    assert_eq!(told["graph"]["writes"], 3, "twenty a request: {told}");
    let policies = tenant.state()["featureRolloutPolicies"].clone();
    assert_eq!(policies[0]["feature"], "multiFactorAuthentication");
    assert_eq!(policies[0]["isEnabled"], true);
    assert_eq!(policies[0]["appliesTo"][0]["id"], id(1, 0), "{policies}");

    let again = rollout(&site, "apply", &["--all"]).expect(&[0]).json();
    assert_eq!(
        (&again["entries"]["unchanged"], &again["graph"]["writes"]),
        (&json!(45), &json!(0)),
        "{again}"
    );
    let status = rollout(&site, "status", &[]).expect(&[0]).json();
    assert_eq!(status["groups"][0]["ours"]["seated"], 45, "{status}");

    let out = rollout(&site, "remove", &["--all"]).expect(&[0]).json();
    assert_eq!(out["entries"]["reverted"], 45, "{out}");
    assert!(members(&tenant, 1).is_empty());
    let again = rollout(&site, "remove", &["--all"]).expect(&[0]).json();
    assert_eq!(
        (&again["entries"]["unchanged"], &again["graph"]["writes"]),
        (&json!(45), &json!(0)),
        "{again}"
    );
    assert_eq!(moves(&tenant).len(), 90, "each in once and out once");
    site.run(&["report", "--verify-journal"]).expect(&[0]);
}
