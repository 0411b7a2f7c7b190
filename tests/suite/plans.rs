//! A reviewed plan binds: what was looked at is applied exactly, or refused as a whole, or held back for one user.

use harness::{Outcome, Site, Tenant};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};

/// Nine users, none of them blocked, each with something of its own.
fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/cases/default-if-unset").join(name)
}

/// A tenant, a site, and the plan that was saved in it.
struct Reviewed {
    tenant: Tenant,
    site: Site,
    plan: PathBuf,
}

impl Reviewed {
    fn new() -> Self {
        let tenant = Tenant::start(&fixture("tenant.json"), &[]);
        let site = Site::new(&tenant);
        let plan = site.path("plan.ndjson");
        let saved = Self { tenant, site, plan };
        saved
            .run(&["rehearse", "--datafile", fixture("users.ndjson").to_str().unwrap(), "--out"])
            .expect(&[0]);
        saved
    }

    /// Runs a verb whose last flag takes the plan.
    fn run(&self, args: &[&str]) -> Outcome {
        let mut args = args.to_vec();
        args.push(self.plan.to_str().unwrap());
        self.site.run(&args)
    }

    fn lines(&self) -> Vec<String> {
        std::fs::read_to_string(&self.plan).unwrap().lines().map(str::to_owned).collect()
    }

    fn rewrite(&self, lines: &[String]) {
        std::fs::write(&self.plan, lines.join("\n") + "\n").unwrap();
    }

    /// The changes of the saved plan, as (user id, method, to).
    fn changes(&self) -> Vec<(Value, Value, Value)> {
        let parsed = self.lines().into_iter().skip(1).map(|l| serde_json::from_str::<Value>(&l).unwrap());
        parsed
            .flat_map(|line| {
                let id = line["target"]["id"].clone();
                let changes = line["changes"].as_array().unwrap().clone();
                changes.into_iter().map(move |c| (id.clone(), c["method"].clone(), c["to"].clone()))
            })
            .collect()
    }

    /// What happened in the tenant, in the same form, ordered.
    fn effects(&self) -> Vec<(Value, Value, Value)> {
        let journal = self.tenant.journal().into_iter().filter(|e| e["noop"] != true);
        ordered(journal.map(|e| (e["user"].clone(), e["method"].clone(), e["to"].clone())).collect())
    }

    #[track_caller]
    fn must_be_refused(&self, args: &[&str], says: &str) {
        let outcome = self.run(args).expect(&[2]);
        assert!(outcome.err.contains(says), "wanted {says:?}: {}", outcome.err);
        assert!(self.tenant.journal().is_empty(), "nothing was written");
        let status = self.site.run(&["status", "--json"]).expect(&[0]).json();
        assert_eq!(status["kind"], "rehearse", "no run was begun");
    }
}

fn ordered(mut effects: Vec<(Value, Value, Value)>) -> Vec<(Value, Value, Value)> {
    effects.sort_by_key(|e| format!("{e:?}"));
    effects
}

/// A call to the tenant by somebody else.
fn post(tenant: &Tenant, path: &str, body: &Value) {
    let host = tenant.url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(host).unwrap();
    let body = body.to_string();
    write!(
        stream,
        "POST {path} HTTP/1.0\r\nHost: {host}\r\nAuthorization: Bearer other\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.contains(" 201 "), "{answer}");
}

#[test]
fn a_saved_plan_is_applied_exactly() {
    let reviewed = Reviewed::new();
    assert_eq!(reviewed.lines().len(), 10, "a header and nine users");
    let end = reviewed.run(&["migrate", "--json", "--plan"]).expect(&[0]).json();
    assert_eq!(end["entries"]["applied"], 7);
    assert_eq!(end["entries"]["unchanged"], 2);
    assert_eq!(reviewed.effects(), ordered(reviewed.changes()));
}

#[cfg(unix)]
#[test]
fn a_saved_plan_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let reviewed = Reviewed::new();
    assert_eq!(std::fs::metadata(&reviewed.plan).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_plan_is_refused_when_the_datafile_moved() {
    let reviewed = Reviewed::new();
    let other = reviewed.site.path("other.ndjson");
    let mut data = std::fs::read_to_string(fixture("users.ndjson")).unwrap();
    data.push_str(
        "{\"username\":\"z@contoso.example\",\"settings\":{\"enabled\":true,\"mode\":\"voiceCall\"}}\n",
    );
    std::fs::write(&other, data).unwrap();
    reviewed
        .must_be_refused(&["migrate", "--datafile", other.to_str().unwrap(), "--plan"], "another datafile");
}

#[test]
fn a_plan_is_refused_when_the_policy_moved() {
    let reviewed = Reviewed::new();
    reviewed.site.configure("[policy]\ndefault_method = \"always\"\n");
    reviewed.must_be_refused(&["migrate", "--plan"], "another policy");
}

#[test]
fn a_plan_of_other_rules_or_another_version_is_refused() {
    let reviewed = Reviewed::new();
    let lines = reviewed.lines();
    let mut header: Value = serde_json::from_str(&lines[0]).unwrap();
    header["rulesVersion"] = json!(999);
    let mut other = lines.clone();
    other[0] = header.to_string();
    reviewed.rewrite(&other);
    reviewed.must_be_refused(&["migrate", "--plan"], "another version of the rules");
    header["mfaMigratePlan"] = json!(2);
    other[0] = header.to_string();
    reviewed.rewrite(&other);
    reviewed.must_be_refused(&["migrate", "--plan"], "is of version 2");
}

#[test]
fn a_damaged_plan_is_refused_as_a_whole() {
    let reviewed = Reviewed::new();
    let lines = reviewed.lines();
    let mut broken = lines.clone();
    broken[9].truncate(40);
    reviewed.rewrite(&broken);
    reviewed.must_be_refused(&["migrate", "--plan"], "damaged at line 10");
    reviewed.rewrite(&lines[..9]);
    reviewed.must_be_refused(&["migrate", "--plan"], "is damaged: it has 8 users");
    reviewed.rewrite(&[]);
    reviewed.must_be_refused(&["migrate", "--plan"], "is not a saved plan");
    std::fs::write(&reviewed.plan, [0xff, 0xfe, 0, 1]).unwrap();
    reviewed.must_be_refused(&["migrate", "--plan"], "is not a saved plan");
    std::fs::remove_file(&reviewed.plan).unwrap();
    reviewed.must_be_refused(&["migrate", "--plan"], "cannot be opened");
}

#[test]
fn a_plan_in_a_folder_without_its_ledger_leaves_nothing_behind() {
    let reviewed = Reviewed::new();
    let elsewhere = Site::new(&reviewed.tenant);
    elsewhere.run(&["migrate", "--plan", reviewed.plan.to_str().unwrap()]).expect(&[2]);
    assert!(!elsewhere.path("mfa-migrate.db").exists() && !elsewhere.path("mfa-migrate.key").exists());
}

#[test]
fn a_user_who_moved_in_the_cloud_is_held_and_the_others_go_on() {
    let reviewed = Reviewed::new();
    let before = reviewed.changes();
    let id = reviewed.tenant.user("a@contoso.example")["id"].clone();
    let path = format!("/v1.0/users/{}/authentication/phoneMethods", id.as_str().unwrap());
    post(&reviewed.tenant, &path, &json!({ "phoneNumber": "+1 2065550177", "phoneType": "mobile" }));
    let theirs = reviewed.effects();

    let end = reviewed.run(&["migrate", "--json", "--plan"]).expect(&[3]).json();
    assert_eq!((&end["entries"]["parked"], &end["entries"]["applied"]), (&json!(1), &json!(6)), "{end}");
    let user = reviewed.tenant.user("a@contoso.example");
    assert_eq!(user["authentication"]["phoneMethods"][0]["phoneNumber"], "+1 2065550177", "theirs stands");
    let others = before.into_iter().filter(|c| c.0 != id);
    assert_eq!(reviewed.effects(), ordered(others.chain(theirs).collect()));
    let report = reviewed.site.run(&["report", "--format", "json"]).expect(&[0]).json();
    assert_eq!(report["usersByCode"]["plan-stale"], 1);
    assert_eq!(report["lists"]["conflicts"], json!(["a@contoso.example"]));
}

#[test]
fn a_plan_goes_on_after_a_death_in_the_middle() {
    for point in ["worker.intents-filed:1", "worker.phones-sent:1", "worker.before-finish:1"] {
        let mut reviewed = Reviewed::new();
        reviewed.site.env("MFA_MIGRATE_CRASH_AT", point);
        assert_eq!(reviewed.run(&["migrate", "--plan"]).code, None, "{point}: it died");
        reviewed.site.unset("MFA_MIGRATE_CRASH_AT");
        let end = reviewed.run(&["migrate", "--json", "--plan"]).expect(&[0]).json();
        assert_eq!(end["entries"]["applied"], 7, "{point}: {end}");
        assert_eq!(reviewed.effects(), ordered(reviewed.changes()), "{point}: once each");
    }
}

#[test]
fn the_unchanged_are_asked_again_only_when_the_operator_wishes() {
    let reviewed = Reviewed::new();
    let data = fixture("users.ndjson");
    let data = data.to_str().unwrap();
    reviewed.run(&["migrate", "--plan"]).expect(&[0]);
    let looks = || {
        reviewed.tenant.stats()["byEndpoint"]
            .as_object()
            .unwrap()
            .iter()
            .filter(|(k, _)| k.contains("phoneMethods") || k.contains("/methods"))
            .map(|(_, n)| n.as_u64().unwrap())
            .sum::<u64>()
    };
    let before = looks();
    let plain = reviewed.site.run(&["rehearse", "--json", "--datafile", data]).expect(&[0]).json_lines();
    assert!(
        plain.iter().all(|p| p["codes"] == json!([{ "code": "unchanged-since-last", "method": "user" }]))
    );
    assert_eq!(looks(), before, "U5: without a call to Graph");
    let all = reviewed
        .site
        .run(&["rehearse", "--json", "--include-unchanged", "--datafile", data])
        .expect(&[0])
        .json_lines();
    assert!(all.iter().all(|p| p["outcome"] == "unchanged" && p["changes"] == json!([])));
    assert!(all.iter().any(|p| p["codes"].to_string().contains("\"unchanged\"")));
    assert!(looks() > before);
}

#[test]
fn a_plan_that_was_applied_holds_nobody_back_the_second_time() {
    let tenant = Tenant::with(
        &json!({ "users": [
            { "id": "u1", "userPrincipalName": "a@contoso.example", "authentication": {} },
        ] }),
        &[],
    );
    let site = Site::new(&tenant);
    let record = json!({
        "username": "a@contoso.example",
        "settings": { "enabled": true, "mode": "voiceCall", "countryCode": "1", "phone": "4255550100" },
        // Blocked, so that no fingerprint says that nothing changed since.
        "devices": [{ "userDeviceId": "1", "deviceName": "iPhone" }],
    });
    std::fs::write(site.path("users.ndjson"), format!("{record}\n")).unwrap();
    site.run(&["rehearse", "--datafile", "users.ndjson", "--out", "plan.ndjson"]).expect(&[0]);
    let first = site.run(&["migrate", "--plan", "plan.ndjson", "--json"]).expect(&[0, 3]).json();
    assert_eq!(first["entries"]["applied"], 1);
    let effects = tenant.journal().len();
    let second = site.run(&["migrate", "--plan", "plan.ndjson", "--json"]).expect(&[0, 3]).json();
    assert_eq!(second["entries"]["parked"], 0, "what is there is what was reviewed: {second}");
    assert_eq!(tenant.journal().len(), effects);
}
