//! Every request that the product sends, and every answer that the simulated tenant gives, against Graph's description.
//!
//! The description is Microsoft's (fixtures/graph-openapi). A recorder between the two keeps each call; bundles are
//! unfolded. Nothing is excepted.

mod description;

use description::Description;
use harness::{Exchange, Recorder, Site, Tenant};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::PathBuf;
use tempfile::TempDir;

/// Both descriptions.
struct Judge {
    v1: Description,
    beta: Description,
}

impl Judge {
    fn new() -> Self {
        Self { v1: Description::of("v1.0"), beta: Description::of("beta") }
    }

    fn complaints(&self, call: &Exchange) -> Vec<String> {
        match call.version.as_str() {
            "v1.0" => self.v1.complaints(call),
            "beta" => self.beta.complaints(call),
            other => vec![format!("{} {other}{}: no such version", call.method, call.path)],
        }
    }

    #[track_caller]
    fn accepts(&self, calls: &[Exchange]) {
        let complaints: BTreeSet<String> = calls.iter().flat_map(|c| self.complaints(c)).collect();
        let shown: Vec<&String> = complaints.iter().take(30).collect();
        assert!(complaints.is_empty(), "{} complaints: {shown:#?}", complaints.len());
    }
}

/// A generated datafile, and its tenant with strangers in it, so that the directory has several pages.
fn generated(users: usize, strangers: usize) -> (TempDir, PathBuf, Value) {
    let files = tempfile::tempdir().unwrap();
    let (data, state) = (files.path().join("users.ndjson"), files.path().join("tenant.json"));
    let site = Site::at("http://127.0.0.1:9");
    let count = users.to_string();
    site.run(&[
        "generate",
        "--users",
        &count,
        "--seed",
        "11",
        "--datafile",
        data.to_str().unwrap(),
        "--tenant",
        state.to_str().unwrap(),
    ])
    .expect(&[0]);
    let mut state: Value = serde_json::from_slice(&std::fs::read(state).unwrap()).unwrap();
    for n in 0..strangers {
        let stranger = json!({ "id": format!("5a000000-0000-4000-8000-{n:012}"), "userPrincipalName": format!("stranger{n}@contoso.example") });
        state["users"].as_array_mut().unwrap().push(stranger);
    }
    (files, data, state)
}

#[test]
fn a_whole_journey_with_faults_and_throttles_is_as_published() {
    let (_files, data, state) = generated(200, 1100);
    let faults = "error-rate=0.02,timeout-but-applied=0.02,conflict-but-applied=0.06,drop-connection=0.02,late-apply-ms=200,late-apply-rate=0.03,seed=5";
    let tenant = Tenant::with(&state, &["--throttle", "writes=15/1", "--faults", faults]);
    let recorder = Recorder::before(&tenant.url);
    let site = Site::at(&recorder.url);
    site.configure(
        "[graph]\nrequest_timeout_s = 5\nvisibility_deadline_s = 4\nclock_skew_s = 1\n[worker]\nlease_s = 20\n[policy]\napp_codes = \"hardware-oath\"\n",
    );
    let data = data.to_str().unwrap();
    site.run(&["check"]).expect(&[0, 2]);
    site.run(&["rehearse", "--datafile", data]).expect(&[0, 3]);
    site.run(&["migrate", "--datafile", data]).expect(&[0, 3]);
    site.run(&["migrate", "--datafile", data, "--include-unchanged"]).expect(&[0, 3]);

    let calls = recorder.unfolded();
    Judge::new().accepts(&calls);
    let seen = |method: &str, part: &str| calls.iter().any(|c| c.method == method && c.path.contains(part));
    for (method, part) in [
        ("GET", "/users"),
        ("GET", "/signInPreferences"),
        ("GET", "/hardwareOathMethods"),
        ("GET", "/authenticationMethodsPolicy"),
        ("POST", "/phoneMethods"),
        ("PATCH", "/phoneMethods/"),
        ("PATCH", "/signInPreferences"),
        ("POST", "/hardwareOathDevices"),
        ("POST", "/activate"),
    ] {
        assert!(seen(method, part), "the journey has no {method} {part}");
    }
    let answered = |status: u16| calls.iter().any(|c| c.answer.as_ref().is_some_and(|(s, _)| *s == status));
    for status in [409, 429, 504] {
        assert!(answered(status), "no {status} was met");
    }
    assert!(
        calls.iter().filter(|c| c.path == "/users" && c.method == "GET").count() > 4,
        "several pages, twice"
    );
}

#[test]
fn a_staged_rollout_forth_and_back_is_as_published() {
    use crate::rollout::{CONFIG, datafile, group, members, migrated, rollout, state};
    let groups = json!([group(1, "Rollout A"), group(2, "Rollout B")]);
    let tenant = Tenant::with(&state(45, &groups), &[]);
    let recorder = Recorder::before(&tenant.url);
    let mut site = Site::at(&recorder.url);
    site.configure(CONFIG);
    datafile(&site, 45);
    migrated(&site);
    rollout(&site, "plan", &["--all"]).expect(&[0]);
    site.env("MFA_MIGRATE_CRASH_AT", "rollout.claimed:1");
    assert_eq!(rollout(&site, "apply", &["--all"]).code, None);
    site.unset("MFA_MIGRATE_CRASH_AT");
    // One who is there already spoils it for the twenty: they are added one by one.
    let object = format!("https://graph.microsoft.com/v1.0/directoryObjects/{}", crate::rollout::user(3));
    let path = format!("/v1.0/groups/{}/members/$ref", crate::rollout::id(1, 0));
    assert_eq!(tenant.call("POST", &path, &json!({ "@odata.id": object })), 204);
    rollout(&site, "apply", &["--all"]).expect(&[0]);
    rollout(&site, "status", &[]).expect(&[0]);
    rollout(&site, "remove", &["--all"]).expect(&[0]);
    assert_eq!(members(&tenant, 1).len(), 1);
    site.run(&["rollback", "--all"]).expect(&[0, 3]);

    let mut calls = recorder.unfolded();
    for call in calls.iter_mut().filter(|call| call.path == "/directoryObjects/getByIds") {
        // The description of actions names no query at all; Microsoft's table of costs has this one with $select.
        assert!(call.query.starts_with("$select="), "{}", call.query);
        call.query.clear();
    }
    Judge::new().accepts(&calls);
    let seen = |method: &str, part: &str| calls.iter().any(|c| c.method == method && c.path.contains(part));
    for (method, part) in [
        ("GET", "/policies/featureRolloutPolicies"),
        ("POST", "/policies/featureRolloutPolicies"),
        ("POST", "/appliesTo/$ref"),
        ("GET", "/members"),
        ("PATCH", "/groups/"),
        ("POST", "/members/$ref"),
        ("DELETE", "/$ref"),
        ("POST", "/directoryObjects/getByIds"),
    ] {
        assert!(seen(method, part), "the rollout has no {method} {part}");
    }
    let deletes = calls.iter().filter(|c| c.method == "DELETE" && c.path.contains("/groups/"));
    assert!(deletes.clone().count() > 40 && deletes.clone().all(|c| c.path.ends_with("/$ref")));
}

#[test]
fn every_call_has_an_id_of_its_own_and_gives_way_to_people() {
    let (_files, data, state) = generated(60, 0);
    let tenant = Tenant::with(&state, &[]);
    let recorder = Recorder::before(&tenant.url);
    let site = Site::at(&recorder.url);
    site.run(&["migrate", "--datafile", data.to_str().unwrap()]).expect(&[0, 3]);

    let calls = recorder.calls();
    let ids: BTreeSet<&str> =
        calls.iter().map(|c| c.header("client-request-id").expect("client-request-id")).collect();
    assert_eq!(ids.len(), calls.len(), "no id is used twice");
    for call in recorder.unfolded() {
        assert_eq!(call.header("x-ms-throttle-priority"), Some("Low"), "{} {}", call.method, call.path);
        let expected = if call.bundled { None } else { Some("Bearer test-token") };
        assert_eq!(call.header("authorization"), expected, "{} {}", call.method, call.path);
        let bundles = call.body["requests"].as_array().map_or(0, Vec::len);
        assert!(bundles <= 20, "a bundle holds at most twenty");
    }
}

#[test]
fn a_policy_for_a_group_reads_its_members_as_published_and_binds_only_them() {
    let (_files, data, state) = generated(40, 0);
    let tenant = Tenant::with(&state, &[]);
    let group = state["groups"][0]["id"].as_str().unwrap();
    let members = state["groups"][0]["members"].as_array().unwrap();
    let recorder = Recorder::swapping(&tenant.url, &[("\"all_users\"", &format!("\"{group}\""))]);
    let site = Site::at(&recorder.url);
    let plans =
        site.run(&["rehearse", "--json", "--datafile", data.to_str().unwrap()]).expect(&[0, 3]).json_lines();

    let calls = recorder.unfolded();
    Judge::new().accepts(&calls);
    assert!(calls.iter().any(|c| c.path.starts_with(&format!("/groups/{group}/transitiveMembers"))));
    let (mut inside, mut outside) = (0, 0);
    for plan in plans.iter().filter(|p| p["target"].is_object()) {
        let is_member = members.contains(&plan["target"]["id"]);
        let sets_default = plan["changes"].as_array().unwrap().iter().any(|c| c["method"] == "default");
        assert!(is_member || !sets_default, "nothing is allowed for {plan}");
        inside += usize::from(is_member && sets_default);
        outside += usize::from(!is_member);
    }
    assert!(inside > 0 && outside > 0, "{inside} members with a default, {outside} others");
}

#[test]
fn passes_and_a_cut_over_are_as_published() {
    let (_files, data, mut state) = generated(120, 0);
    state["domains"] = json!([{ "id": "contoso.example", "authenticationType": "Federated", "federationConfiguration": [
        { "id": "f-1", "displayName": "AD FS", "federatedIdpMfaBehavior": "enforceMfaByFederatedIdp" },
    ] }]);
    let faults = "error-rate=0.02,timeout-but-applied=0.1,not-yet-visible-ms=200,seed=5";
    let tenant = Tenant::with(&state, &["--throttle", "writes=20/1", "--faults", faults]);
    let recorder = Recorder::before(&tenant.url);
    let site = Site::at(&recorder.url);
    site.configure(
        "[graph]\nrequest_timeout_s = 2\nvisibility_deadline_s = 1\nclock_skew_s = 1\n[worker]\nlease_s = 20\n",
    );
    site.run(&["rehearse", "--datafile", data.to_str().unwrap()]).expect(&[0, 3]);
    let first = recorder.calls().len();
    let start = "2199-12-01T07:00:00Z";
    site.run(&["tap", "issue", "--all", "--out", "now.csv"]).expect(&[0, 3]);
    site.run(&["tap", "revoke", "--all"]).expect(&[0, 3]);
    site.run(&["tap", "issue", "--all", "--out", "then.csv", "--start", start, "--many"]).expect(&[0, 3]);
    let domain = ["--domain", "contoso.example", "--confirm", "contoso.example"];
    site.run(&[&["cutover", "apply", "--despite-unmigrated"][..], &domain].concat()).expect(&[0]);
    site.run(&[&["cutover", "revert"][..], &domain].concat()).expect(&[0]);

    let calls = recorder.unfolded_from(first);
    Judge::new().accepts(&calls);
    let answered = |method: &str, part: &str, status: u16| {
        let is_it = |c: &&Exchange| c.method == method && c.path.contains(part);
        calls.iter().filter(is_it).any(|c| c.answer.as_ref().is_some_and(|(s, _)| *s == status))
    };
    for (method, part, status) in [
        ("GET", "/authenticationMethodConfigurations/TemporaryAccessPass", 200),
        ("GET", "/temporaryAccessPassMethods", 200),
        ("POST", "/temporaryAccessPassMethods", 201),
        ("POST", "/temporaryAccessPassMethods", 429),
        ("DELETE", "/temporaryAccessPassMethods/", 204),
        ("GET", "/federationConfiguration", 200),
        ("PATCH", "/federationConfiguration/f-1", 200),
    ] {
        assert!(answered(method, part, status), "there was no {method} {part} with {status}");
    }
    let bundles = calls.iter().filter(|c| c.path == "/$batch").filter_map(|c| c.body["requests"].as_array());
    assert_eq!(bundles.map(Vec::len).max(), Some(20), "bundles are full");
    let state = tenant.state();
    let behavior = &state["domains"][0]["federationConfiguration"][0]["federatedIdpMfaBehavior"];
    assert_eq!(behavior, "enforceMfaByFederatedIdp");
}

#[test]
fn a_link_to_another_host_never_gets_the_token() {
    let (_files, data, state) = generated(10, 1100);
    let tenant = Tenant::with(&state, &[]);
    let elsewhere = Recorder::before(&tenant.url);
    // The proxy forwards our Host, so the tenant's links name the proxy; both swaps lead them elsewhere.
    let link = "\"@odata.nextLink\":\"http://127.0.0.1:";
    for away in ["http://localhost:".to_owned(), format!("{}/", elsewhere.url)] {
        let proxy = Recorder::swapping(&tenant.url, &[(link, &format!("\"@odata.nextLink\":\"{away}"))]);
        let site = Site::at(&proxy.url);
        let end = site.run(&["rehearse", "--datafile", data.to_str().unwrap()]).expect(&[1]);
        assert!(end.err.contains("leads to another host"), "{}", end.err);
    }
    assert!(elsewhere.calls().is_empty(), "nothing was sent there");
}

#[test]
fn the_judge_refuses_what_is_not_published() {
    let judge = Judge::new();
    let call = |method: &str, version: &str, target: &str, body: Value, status: u16, answer: Value| {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Exchange {
            method: method.into(),
            version: version.into(),
            path: path.into(),
            query: query.into(),
            headers: Vec::new(),
            body,
            answer: Some((status, answer)),
            bundled: false,
        }
    };
    let phone = json!({ "phoneNumber": "+1 2065550100", "phoneType": "mobile" });
    let whole = json!({ "phoneNumber": "+1 2065550100", "phoneType": "mobile", "smsSignInState": "ready", "id": "3179e48a-750b-4051-897c-87b9720928f7" });
    let phones = "/users/u1/authentication/phoneMethods";
    assert_eq!(
        judge.complaints(&call("POST", "v1.0", phones, phone.clone(), 201, whole.clone())),
        Vec::<String>::new()
    );
    let wrong = [
        (
            "a path that is not there",
            call("GET", "v1.0", "/users/u1/authentication/signInPreferences", Value::Null, 200, json!({})),
        ),
        ("a method that is not there", call("PUT", "v1.0", phones, phone.clone(), 201, whole.clone())),
        (
            "a query parameter",
            call("GET", "v1.0", "/users?$nope=1", Value::Null, 200, json!({ "value": [] })),
        ),
        (
            "a value outside the list",
            call("POST", "v1.0", phones, json!({ "phoneType": "pager" }), 201, whole.clone()),
        ),
        (
            "a property that is unknown",
            call("POST", "v1.0", phones, json!({ "phoneNumbr": "+1 2" }), 201, whole.clone()),
        ),
        (
            "a number for a text",
            call("POST", "v1.0", phones, json!({ "phoneNumber": 12 }), 201, whole.clone()),
        ),
        ("a status that is not listed", call("POST", "v1.0", phones, phone.clone(), 302, Value::Null)),
        (
            "an answer of the wrong shape",
            call("GET", "v1.0", phones, Value::Null, 200, json!({ "value": [{ "phoneType": 1 }] })),
        ),
        (
            "an error without its shape",
            call("POST", "v1.0", phones, phone.clone(), 400, json!({ "error": "no" })),
        ),
        (
            "an unknown type",
            call(
                "GET",
                "v1.0",
                "/users/u1/authentication/methods",
                Value::Null,
                200,
                json!({ "value": [{ "@odata.type": "#microsoft.graph.pager", "id": "1" }] }),
            ),
        ),
        (
            "a wrong property of a derived type",
            call(
                "GET",
                "v1.0",
                "/users/u1/authentication/methods",
                Value::Null,
                200,
                json!({ "value": [{ "@odata.type": "#microsoft.graph.phoneAuthenticationMethod", "id": "1", "phoneType": "pager" }] }),
            ),
        ),
        (
            "a bundle without ids",
            call(
                "POST",
                "v1.0",
                "/$batch",
                json!({ "requests": [{ "method": "GET", "url": "/users" }] }),
                200,
                json!({ "responses": [] }),
            ),
        ),
    ];
    for (what, call) in wrong {
        assert_ne!(judge.complaints(&call), Vec::<String>::new(), "{what}");
    }
}
