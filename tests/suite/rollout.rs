//! The staged rollout over real HTTP: who gets in and who stays out by which code, group by group within Microsoft's limits,
//! and out again before anything is withdrawn.

use harness::{Outcome, Site, Tenant, until};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);
pub(crate) const CONFIG: &str = "[graph]\nrequest_timeout_s = 2\nvisibility_deadline_s = 1\nclock_skew_s = 1\n[worker]\nlease_s = 4\n\
                      [rollout]\ngroups = [\"Rollout A\"]\nstay_s = 0\n";

/// An object id, told by a kind and a number.
pub(crate) fn id(kind: u32, n: usize) -> String {
    format!("0000000{kind}-0000-4000-8000-{n:012}")
}

pub(crate) fn user(n: usize) -> String {
    id(0, n)
}

fn name(n: usize) -> String {
    format!("u{n:04}@contoso.example")
}

/// So many users, and the groups of a rollout.
pub(crate) fn state(users: usize, groups: &Value) -> Value {
    let user = |n: usize| json!({ "id": user(n), "userPrincipalName": name(n), "userType": "Member", "onPremisesSyncEnabled": true });
    json!({ "users": (1..=users).map(user).collect::<Vec<_>>(), "groups": groups })
}

pub(crate) fn group(kind: u32, name: &str) -> Value {
    json!({ "id": id(kind, 0), "displayName": name, "members": [] })
}

pub(crate) fn datafile(site: &Site, users: usize) {
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

pub(crate) fn with(state: &Value, users: usize, flags: &[&str]) -> (Tenant, Site) {
    let tenant = Tenant::with(state, flags);
    let site = Site::new(&tenant);
    site.configure(CONFIG);
    datafile(&site, users);
    (tenant, site)
}

/// The same with everybody migrated and verified.
pub(crate) fn ready(users: usize, flags: &[&str]) -> (Tenant, Site) {
    let (tenant, site) = world(users, flags);
    migrated(&site);
    (tenant, site)
}

pub(crate) fn migrated(site: &Site) {
    site.run(&["migrate", "--datafile", "users.ndjson"]).expect(&[0, 3]);
    site.run(&["verify"]).expect(&[0, 3]);
}

pub(crate) fn rollout(site: &Site, verb: &str, more: &[&str]) -> Outcome {
    site.run(&[&["rollout", verb, "--json"], more].concat())
}

pub(crate) fn members(tenant: &Tenant, kind: u32) -> BTreeSet<String> {
    let state = tenant.state();
    let groups = state["groups"].as_array().unwrap();
    let found = groups.iter().find(|g| g["id"] == id(kind, 0)).unwrap_or(&Value::Null);
    found["members"].as_array().into_iter().flatten().map(|m| m.as_str().unwrap().to_owned()).collect()
}

/// Every change of a membership, in order: whom, and whether in.
pub(crate) fn moves(tenant: &Tenant) -> Vec<(String, bool)> {
    let journal = tenant.journal();
    let of = journal.iter().filter(|effect| effect["method"] == "group");
    of.map(|effect| (effect["user"].as_str().unwrap().to_owned(), !effect["to"].is_null())).collect()
}

pub(crate) fn everybody(users: usize) -> BTreeSet<String> {
    (1..=users).map(user).collect()
}

/// A policy that acts on groups, as somebody else has made it.
pub(crate) fn policy(enabled: bool, kinds: &[u32]) -> Value {
    let groups =
        kinds.iter().map(|kind| json!({ "@odata.type": "#microsoft.graph.group", "id": id(*kind, 0) }));
    json!([{
        "id": "p-1", "displayName": "Ours", "feature": "multiFactorAuthentication", "isEnabled": enabled,
        "isAppliedToOrganization": false, "appliesTo": groups.collect::<Vec<_>>(),
    }])
}

/// Somebody else puts a user into a group or takes one out.
pub(crate) fn somebody(tenant: &Tenant, kind: u32, n: usize, is_in: bool) {
    let group = format!("/v1.0/groups/{}/members", id(kind, 0));
    let status = if is_in {
        let object = format!("https://graph.microsoft.com/v1.0/directoryObjects/{}", user(n));
        tenant.call("POST", &format!("{group}/$ref"), &json!({ "@odata.id": object }))
    } else {
        tenant.call("DELETE", &format!("{group}/{}/$ref", user(n)), &Value::Null)
    };
    assert_eq!(status, 204);
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
    let writes = told["graph"]["writes"].as_u64().unwrap();
    assert!(writes < 10, "twenty a request, as far as they come together: {told}");
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

#[test]
fn each_stays_out_by_their_own_code() {
    let mut state = state(12, &json!([group(1, "Rollout A"), group(2, "Rollout B")]));
    state["featureRolloutPolicies"] = policy(true, &[1, 2]);
    let users = state["users"].as_array_mut().unwrap();
    users[0]["userType"] = json!("Guest");
    users[1]["onPremisesSyncEnabled"] = Value::Null;
    users[2]["onPremisesSyncEnabled"] = json!(false);
    // Somebody has put this one there before us.
    state["groups"][1]["members"] = json!([user(4)]);
    let (tenant, site) = with(&state, 12, &[]);
    // Nothing of this one can be moved, and of the next nothing is to be.
    let text = std::fs::read_to_string(site.path("users.ndjson")).unwrap();
    let mut records: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    records[4]["settings"]["phone"] = json!("12");
    records[5]["settings"]["phone"] = json!("");
    let lines: Vec<String> = records.iter().map(Value::to_string).collect();
    std::fs::write(site.path("users.ndjson"), lines.join("\n")).unwrap();
    site.run(&["migrate", "--datafile", "users.ndjson"]).expect(&[3]);

    let early = rollout(&site, "plan", &["--all"]).expect(&[3]).json();
    assert_eq!((&early["in"], &early["codes"]["rollout-not-verified"]), (&json!(0), &json!(6)), "{early}");
    site.run(&["verify"]).expect(&[0]);
    // This one has changed since.
    let phones = format!("/v1.0/users/{}/authentication/phoneMethods", user(7));
    let mobile = "3179e48a-750b-4051-897c-87b9720928f7";
    assert_eq!(tenant.call("DELETE", &format!("{phones}/{mobile}"), &Value::Null), 204);
    site.run(&["verify"]).expect(&[3]);

    let plan = rollout(&site, "plan", &["--all"]).expect(&[3]).json();
    let expected = json!({
        "rollout-guest": 1, "rollout-cloud-only": 2, "rollout-already-in": 1, "rollout-not-moved": 1,
        "rollout-no-method": 1, "rollout-not-verified": 1,
    });
    assert_eq!((&plan["in"], &plan["codes"]), (&json!(5), &expected), "{plan}");
    let told = rollout(&site, "apply", &["--all"]).expect(&[3]).json();
    assert_eq!(told["rollout"]["codes"], expected, "{told}");
    assert_eq!(members(&tenant, 1), (8..=12).map(user).collect());
    assert_eq!(members(&tenant, 2), [user(4)].into());
    // Whom somebody else put in is not ours to take out.
    rollout(&site, "remove", &["--all"]).expect(&[0]);
    assert_eq!((members(&tenant, 1).len(), members(&tenant, 2)), (0, [user(4)].into()));
    let words = site.run(&["rollout", "plan", "--all"]).expect(&[3]);
    assert!(words.out.contains("rollout-guest: a guest keeps"), "{}", words.out);
    assert!(words.out.contains("mfa-migrate verify confirms"), "{}", words.out);
}

#[test]
fn what_somebody_else_does_meanwhile_is_left_alone() {
    let (tenant, mut site) = ready(30, &[]);
    // The places are decided on; before anybody is asked for, somebody puts two in.
    site.env("MFA_MIGRATE_CRASH_AT", "rollout.claimed:1");
    let cut = rollout(&site, "apply", &["--all"]);
    assert_eq!(cut.code, None, "{}", cut.err);
    site.unset("MFA_MIGRATE_CRASH_AT");
    somebody(&tenant, 1, 3, true);
    somebody(&tenant, 1, 25, true);
    let told = rollout(&site, "apply", &["--all"]).expect(&[0]).json();
    assert_eq!(
        (&told["entries"]["applied"], &told["entries"]["unchanged"]),
        (&json!(28), &json!(2)),
        "{told}"
    );
    assert_eq!(told["rollout"]["codes"]["rollout-already-in"], 2, "{told}");
    assert_eq!(members(&tenant, 1), everybody(30));
    // Somebody takes one out: it is not put in again, unless a person says so.
    somebody(&tenant, 1, 7, false);
    // Not before the seat is old enough that Graph would show it.
    let is_told = || rollout(&site, "plan", &["--all"]).json()["codes"]["rollout-taken-out"] == 1;
    assert!(until(PATIENCE, is_told));
    let told = rollout(&site, "apply", &["--all"]).expect(&[3]).json();
    assert_eq!(told["rollout"]["codes"]["rollout-taken-out"], 1, "{told}");
    assert!(!members(&tenant, 1).contains(&user(7)));
    rollout(&site, "apply", &["--all", "--put-back"]).expect(&[0]);
    assert!(members(&tenant, 1).contains(&user(7)));
    somebody(&tenant, 1, 8, false);
    let out = rollout(&site, "remove", &["--all"]).expect(&[0]).json();
    assert_eq!(out["entries"]["reverted"], 27, "{out}");
    assert_eq!(members(&tenant, 1), [user(3), user(25)].into(), "those are somebody else's");
}

#[test]
fn a_group_that_is_deleted_ends_its_seats() {
    let (tenant, mut site) = ready(25, &[]);
    site.env("MFA_MIGRATE_CRASH_AT", "rollout.asked:1");
    assert_eq!(rollout(&site, "apply", &["--all"]).code, None);
    site.unset("MFA_MIGRATE_CRASH_AT");
    assert_eq!(tenant.call("DELETE", &format!("/v1.0/groups/{}", id(1, 0)), &Value::Null), 204);
    let refused = rollout(&site, "apply", &["--all"]).expect(&[2]);
    assert!(refused.err.contains("no group called"), "{}", refused.err);
    rollout(&site, "remove", &["--all"]).expect(&[0]);
    let status = rollout(&site, "status", &[]).expect(&[0]).json();
    assert_eq!(status["groups"], json!([]), "{status}");
    // Another group takes them.
    rollout(&site, "apply", &["--all", "--group", "Rollout B", "--put-back"]).expect(&[0]);
    assert_eq!(members(&tenant, 2), everybody(25));
}

#[test]
fn rollback_takes_them_out_first_and_waits_and_holds_those_of_others() {
    let (tenant, site) = world(24, &[]);
    let before = tenant.state();
    migrated(&site);
    rollout(&site, "apply", &["--all"]).expect(&[0]);
    site.configure(&CONFIG.replace("stay_s = 0", "stay_s = 8"));
    let early = site.run(&["rollback", "--all", "--json"]).expect(&[4]);
    assert!(early.err.contains("24 users") && early.err.contains("routed back"), "{}", early.err);
    assert!(members(&tenant, 1).is_empty());
    let phones = |tenant: &Tenant| {
        let state = tenant.state();
        let users = state["users"].as_array().unwrap();
        users.iter().filter(|u| u["authentication"]["phoneMethods"] != json!([])).count()
    };
    assert_eq!(phones(&tenant), 24, "nothing is withdrawn before they are routed back");
    // Given again and taken again: the wait is that of the last.
    somebody(&tenant, 1, 5, true);
    let mut back = site.run(&["rollback", "--all", "--json"]);
    let is_over = || {
        back = site.run(&["rollback", "--all", "--json"]);
        back.code != Some(4)
    };
    assert!(until(PATIENCE, is_over));
    let back = back.expect(&[3]).json();
    assert_eq!((&back["entries"]["reverted"], &back["entries"]["parked"]), (&json!(23), &json!(1)), "{back}");
    assert_eq!(phones(&tenant), 1, "whom somebody else has put there keeps the methods");
    somebody(&tenant, 1, 5, false);
    site.run(&["rollback", "--all", "--json"]).expect(&[0]);
    let methods = |state: &Value| {
        state["users"].as_array().unwrap().iter().map(|u| u["authentication"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(methods(&tenant.state()), methods(&before));
    // Whoever was taken back does not get in.
    let plan = rollout(&site, "plan", &["--all"]).expect(&[3]).json();
    assert_eq!(plan["codes"]["rollout-not-moved"], 24, "{plan}");
}

#[test]
fn steps_windows_and_a_person_hold_a_rollout_as_they_hold_a_migration() {
    let (tenant, site) = world(300, &[]);
    site.run(&["migrate", "--datafile", "users.ndjson"]).expect(&[0]);
    site.run(&["verify"]).expect(&[0]);
    let list: Vec<String> = (1..=280).map(name).collect();
    std::fs::write(site.path("list.txt"), list.join("\n")).unwrap();
    site.run(&["batch", "create", "part", "--users", "list.txt", "--canary", "40", "--approve"]).expect(&[0]);
    let told = rollout(&site, "apply", &["--batch", "part"]).expect(&[4]);
    assert!(told.err.contains("step 1 of 3 is done"), "{}", told.err);
    assert_eq!(members(&tenant, 1).len(), 40);
    site.run(&["batch", "resume", "part"]).expect(&[0]);
    let told = rollout(&site, "apply", &["--batch", "part"]).expect(&[4]);
    assert!(told.err.contains("step 2 of 3 is done"), "{}", told.err);
    assert_eq!(members(&tenant, 1).len(), 200, "the first of a new group are a step of their own");
    site.run(&["batch", "resume", "part"]).expect(&[0]);
    rollout(&site, "apply", &["--batch", "part"]).expect(&[0]);
    assert_eq!(members(&tenant, 1), everybody(280));
    rollout(&site, "remove", &["--batch", "part"]).expect(&[0]);
}

#[test]
fn what_was_learnt_since_admission_is_asked_before_anybody_is_put_in() {
    let (tenant, site) = ready(60, &[]);
    let list: Vec<String> = (1..=60).map(name).collect();
    std::fs::write(site.path("list.txt"), list.join("\n")).unwrap();
    site.run(&["batch", "create", "part", "--users", "list.txt", "--canary", "20", "--approve"]).expect(&[0]);
    rollout(&site, "apply", &["--batch", "part"]).expect(&[4]);
    assert_eq!(members(&tenant, 1).len(), 20);
    // Between the nights somebody loses the phone, and a verification tells it.
    let waiting: Vec<usize> = (1..=60).filter(|n| !members(&tenant, 1).contains(&user(*n))).collect();
    let lost = waiting[5];
    let phone = "3179e48a-750b-4051-897c-87b9720928f7";
    let path = format!("/v1.0/users/{}/authentication/phoneMethods/{phone}", user(lost));
    assert_eq!(tenant.call("DELETE", &path, &Value::Null), 204);
    site.run(&["verify", "--batch", "part"]).expect(&[3]);
    site.run(&["batch", "resume", "part"]).expect(&[0]);
    let told = rollout(&site, "apply", &["--batch", "part"]).expect(&[3]).json();
    assert_eq!((&told["entries"]["applied"], &told["entries"]["blocked"]), (&json!(59), &json!(1)), "{told}");
    assert!(!members(&tenant, 1).contains(&user(lost)), "without a method nobody is rerouted");
}

#[test]
fn nobody_is_taken_back_while_everybody_is_rerouted() {
    let (tenant, site) = ready(3, &[]);
    let whole = json!({ "users": tenant.state()["users"], "groups": tenant.state()["groups"],
        "featureRolloutPolicies": [{ "id": "p", "displayName": "All", "feature": "multiFactorAuthentication",
            "isEnabled": true, "isAppliedToOrganization": true, "appliesTo": [] }] });
    let tenant = Tenant::with(&whole, &[]);
    let mut site = site;
    site.env("MFA_MIGRATE_GRAPH_URL", &tenant.url);
    let before = tenant.state();
    let refused = site.run(&["rollback", "--all"]).expect(&[1]);
    assert!(refused.err.contains("whole organization"), "{}", refused.err);
    assert_eq!(tenant.state(), before);
}

#[test]
fn a_rollback_over_a_migration_that_died_takes_out_first_and_ends() {
    let (tenant, mut site) = ready(25, &[]);
    rollout(&site, "apply", &["--all"]).expect(&[0]);
    let text = std::fs::read_to_string(site.path("users.ndjson")).unwrap();
    std::fs::write(site.path("newer.ndjson"), text.replace("425555", "206555")).unwrap();
    site.env("MFA_MIGRATE_CRASH_AT", "worker.intents-filed:1");
    assert_eq!(site.run(&["migrate", "--datafile", "newer.ndjson"]).code, None);
    site.unset("MFA_MIGRATE_CRASH_AT");
    // The dead migration may hold users: nothing else of the rollout is begun over it.
    let refused = rollout(&site, "remove", &["--all"]).expect(&[2]);
    assert!(refused.err.contains("nobody goes on with it"), "{}", refused.err);
    site.run(&["rollback", "--all"]).expect(&[0]);
    assert!(members(&tenant, 1).is_empty());
    let state = tenant.state();
    assert!(
        state["users"].as_array().unwrap().iter().all(|u| u["authentication"]["phoneMethods"] == json!([]))
    );
}
