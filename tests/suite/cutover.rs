//! The cut-over of a domain over real HTTP: under an identity of its own, only when its users are in place, and back to what
//! was before, wherever a process dies.

use harness::services::postgres;
use harness::{Outcome, Recorder, Site, Tenant};
use serde_json::{Value, json};
use std::os::unix::process::ExitStatusExt;
use telemetry::CUTOVER_CRASH_POINTS;

const DOMAIN: &str = "contoso.example";
const ENFORCE: &str = "enforceMfaByFederatedIdp";
const ACCEPT: &str = "acceptIfMfaDoneByFederatedIdp";
const REJECT: &str = "rejectMfaByFederatedIdp";
const CONFIG: &str =
    "[graph]\nrequest_timeout_s = 2\nvisibility_deadline_s = 1\nclock_skew_s = 1\n[worker]\nlease_s = 20\n";
const FEDERATION: &str = "/v1.0/domains/contoso.example/federationConfiguration/f-1";

/// Four users of the domain, one of a domain below it, and one whom nothing matches.
fn state(behavior: &Value) -> Value {
    let user = |(n, upn): (usize, &str)| json!({ "id": format!("00000000-0000-4000-8000-{n:012}"), "userPrincipalName": upn });
    let upns = [
        "a@contoso.example",
        "b@contoso.example",
        "c@Contoso.example",
        "off@contoso.example",
        "z@sub.contoso.example",
    ];
    json!({
        "users": (1..).zip(upns).map(user).collect::<Vec<_>>(),
        "domains": [
            { "id": DOMAIN, "authenticationType": "Federated", "isVerified": true, "federationConfiguration": [
                { "id": "f-1", "displayName": "AD FS", "issuerUri": "http://sts.contoso.example/adfs", "federatedIdpMfaBehavior": behavior },
            ] },
            { "id": "cloud.example", "authenticationType": "Managed", "isVerified": true },
        ],
    })
}

fn datafile(site: &Site) {
    let record = |(n, name): (usize, &str)| {
        json!({
            "username": name, "devices": [],
            "settings": {
                "enabled": !name.starts_with("off"), "countryCode": "1", "phone": format!("425555{n:04}"), "mode": "voiceCall",
                "smsDirection": "oneWay", "backupCountryCode": "1", "backupPhone": "",
            },
        })
        .to_string()
    };
    let names = [
        "a@contoso.example",
        "b@contoso.example",
        "c@contoso.example",
        "off@contoso.example",
        "z@sub.contoso.example",
        "nobody@contoso.example",
    ];
    let records: Vec<String> = (1..).zip(names).map(record).collect();
    std::fs::write(site.path("users.ndjson"), records.join("\n")).unwrap();
}

fn world(behavior: &Value, flags: &[&str]) -> (Tenant, Site) {
    let tenant = Tenant::with(&state(behavior), flags);
    let site = Site::new(&tenant);
    site.configure(CONFIG);
    datafile(&site);
    (tenant, site)
}

/// The same with everybody migrated.
fn migrated(behavior: &Value, flags: &[&str]) -> (Tenant, Site) {
    let (tenant, site) = world(behavior, flags);
    site.run(&["migrate", "--datafile", "users.ndjson"]).expect(&[0, 3]);
    (tenant, site)
}

fn cutover(site: &Site, verb: &str, more: &[&str]) -> Outcome {
    site.run(&[&["cutover", verb, "--domain", DOMAIN, "--json"], more].concat())
}

const SURE: [&str; 2] = ["--confirm", DOMAIN];

fn behavior(tenant: &Tenant) -> Value {
    tenant.state()["domains"][0]["federationConfiguration"][0]["federatedIdpMfaBehavior"].clone()
}

/// What was set, in order.
fn writes(tenant: &Tenant) -> Vec<String> {
    let journal = tenant.journal();
    let of = journal.iter().filter(|effect| effect["method"] == "federatedIdpMfaBehavior");
    of.map(|effect| {
        assert_eq!(effect["user"], DOMAIN);
        effect["to"].as_str().unwrap().to_owned()
    })
    .collect()
}

/// Somebody else sets it.
fn set(tenant: &Tenant, value: &str) {
    assert_eq!(tenant.call("PATCH", FEDERATION, &json!({ "federatedIdpMfaBehavior": value })), 200);
}

#[test]
fn forward_and_back_and_nothing_twice() {
    let (tenant, site) = migrated(&json!(ENFORCE), &[]);
    let status = cutover(&site, "status", &[]).expect(&[0]).json();
    assert_eq!((&status["federatedIdpMfaBehavior"], &status["cutOver"]), (&json!(ENFORCE), &json!(false)));
    assert_eq!(
        (&status["users"]["unmigrated"], &status["users"]["users"]),
        (&json!(0), &json!(5)),
        "{status}"
    );
    assert_eq!(
        (&status["users"]["disabled"], &status["users"]["unmatched"]),
        (&json!(1), &json!(1)),
        "{status}"
    );
    let first = cutover(&site, "apply", &SURE).expect(&[0]);
    assert!(first.err.contains("24 hours") && first.err.contains("cutover revert"), "{}", first.err);
    let told = first.json();
    assert_eq!((&told["result"], &told["cutOver"]), (&json!("set"), &json!(true)), "{told}");
    assert_eq!(
        (&told["standing"]["before"], &told["changes"][0]["outcome"]),
        (&json!(ENFORCE), &json!("applied"))
    );
    // Nothing is to be confirmed where nothing is to be written.
    let again = cutover(&site, "apply", &[]).expect(&[0]).json();
    assert_eq!(again["result"], "already", "{again}");
    let back = cutover(&site, "revert", &SURE).expect(&[0]).json();
    assert_eq!((&back["result"], &back["standing"]), (&json!("set"), &Value::Null), "{back}");
    let nothing = cutover(&site, "revert", &SURE).expect(&[2]);
    assert!(nothing.err.contains("cut over nothing"), "{}", nothing.err);
    assert_eq!(writes(&tenant), [REJECT, ENFORCE]);
    // Forward again, from another value: that one is brought back then.
    set(&tenant, ACCEPT);
    cutover(&site, "apply", &SURE).expect(&[0]);
    cutover(&site, "revert", &SURE).expect(&[0]);
    assert_eq!(writes(&tenant), [REJECT, ENFORCE, ACCEPT, REJECT, ACCEPT]);
    site.run(&["report", "--verify-journal"]).expect(&[0]);
    let events = site.run(&["report", "--format", "json"]).expect(&[0]).json()["history"]["events"].clone();
    let begun = events.as_array().unwrap().iter().filter(|event| event["what"] == "cutover-begun");
    let whys: Vec<String> = begun.map(|event| format!("{} {}", event["by"], event["why"])).collect();
    assert!(whys.len() == 4 && whys.iter().all(|why| why.contains('@') && why.contains(DOMAIN)), "{whys:?}");
}

#[test]
fn it_takes_the_domains_name_and_nothing_less() {
    let (tenant, site) = migrated(&json!(ENFORCE), &[]);
    for (more, why) in [
        (&[][..], "say --confirm contoso.example"),
        (&["--confirm", "yes"], "is not contoso.example"),
        (&["--confirm", "sub.contoso.example"], "is not contoso.example"),
        (&["--confirm", ""], "is not contoso.example"),
    ] {
        let refused = cutover(&site, "apply", more).expect(&[2]);
        assert!(refused.err.contains(why), "{why}: {}", refused.err);
    }
    for (domain, why) in [
        ("cloud.example", "not federated"),
        ("nowhere.example", "no domain nowhere.example"),
        ("../users", "takes a domain's name"),
        ("contoso", "takes a domain's name"),
    ] {
        let refused = site.run(&["cutover", "apply", "--domain", domain, "--confirm", domain]).expect(&[2]);
        assert!(refused.err.contains(why), "{why}: {}", refused.err);
    }
    assert_eq!(writes(&tenant), Vec::<String>::new());
    cutover(&site, "apply", &["--confirm", "CONTOSO.example"]).expect(&[0]);
    assert_eq!(writes(&tenant), [REJECT]);
}

#[test]
fn users_who_are_not_in_place_stand_in_the_way_with_their_number() {
    let (tenant, site) = world(&json!(ENFORCE), &[]);
    let run = |args: &[&str], codes: &[i32]| site.run(args).expect(codes);
    run(&["rehearse", "--datafile", "users.ndjson"], &[0, 3]);
    // A rehearsal moves nobody. Whose name matched is counted by the user principal name.
    let refused = cutover(&site, "apply", &SURE).expect(&[2]);
    assert!(
        refused.err.contains("4 users of contoso.example") && refused.err.contains("in no migration 4"),
        "{}",
        refused.err
    );
    std::fs::write(site.path("one.txt"), "a@contoso.example").unwrap();
    run(&["batch", "create", "one", "--users", "one.txt", "--datafile", "users.ndjson"], &[0]);
    run(&["migrate", "--batch", "one"], &[0]);
    let status = cutover(&site, "status", &[]).expect(&[0]).json();
    assert_eq!(
        (&status["users"]["neverMoved"], &status["users"]["unmigrated"]),
        (&json!(3), &json!(3)),
        "{status}"
    );
    run(&["migrate", "--datafile", "users.ndjson"], &[0, 3]);
    run(&["rollback", "--batch", "one"], &[0]);
    let refused = cutover(&site, "apply", &SURE).expect(&[2]);
    assert!(
        refused.err.contains("1 users of contoso.example") && refused.err.contains("reverted 1"),
        "{}",
        refused.err
    );
    let shown = site.run(&["cutover", "status", "--domain", DOMAIN]).expect(&[0]).out;
    assert!(shown.contains("not in place: 1 (reverted 1)"), "{shown}");
    assert_eq!(writes(&tenant), Vec::<String>::new());
    let more = [&SURE[..], &["--despite-unmigrated"]].concat();
    cutover(&site, "apply", &more).expect(&[0]);
    assert_eq!(writes(&tenant), [REJECT]);
    let events = site.run(&["report", "--format", "json"]).expect(&[0]).json()["history"]["events"].clone();
    let despite = events.as_array().unwrap().iter().find(|event| event["what"] == "cutover-despite");
    assert!(despite.unwrap()["why"].as_str().unwrap().contains("1 users"), "{events}");
}

#[test]
fn it_signs_in_by_itself_and_never_as_the_one_who_moves_users() {
    let (tenant, _) = migrated(&json!(ENFORCE), &[]);
    let recorder = Recorder::before(&tenant.url);
    let mut site = Site::at(&recorder.url);
    datafile(&site);
    let worker = "[graph.identity]\nkind = \"token\"\ntoken = \"bulk\"\n";
    let own = "[cutover.identity]\nkind = \"token\"\ntoken = \"own\"\n";
    site.env("MFA_MIGRATE_GRAPH_TOKEN", "");
    site.configure(&format!("{CONFIG}{worker}"));
    site.run(&["migrate", "--datafile", "users.ndjson"]).expect(&[0, 3]);
    let first = recorder.calls().len();
    for verb in ["status", "apply", "revert"] {
        let refused = cutover(&site, verb, if verb == "status" { &[] } else { &SURE }).expect(&[2]);
        assert!(refused.err.contains("[cutover.identity]"), "{}", refused.err);
    }
    site.configure(&format!("{CONFIG}{worker}{}", own.replace("own", "bulk")));
    let refused = cutover(&site, "apply", &SURE).expect(&[2]);
    assert!(refused.err.contains("is the identity that moves users"), "{}", refused.err);
    assert_eq!(recorder.calls().len(), first, "Graph was not asked");
    site.configure(&format!("{CONFIG}{worker}{own}"));
    let shown = site.run(&["config", "show"]).expect(&[0]).out;
    assert!(shown.contains("cutover.identity.token") && !shown.contains("own\""), "{shown}");
    cutover(&site, "apply", &SURE).expect(&[0]);
    let calls = recorder.calls().split_off(first);
    assert!(calls.len() > 2 && calls.iter().all(|call| call.header("authorization") == Some("Bearer own")));
}

#[test]
fn somebody_elses_change_is_left_unless_told() {
    let (tenant, site) = migrated(&json!(ENFORCE), &[]);
    cutover(&site, "apply", &SURE).expect(&[0]);
    set(&tenant, ACCEPT);
    for verb in ["apply", "revert"] {
        let told = cutover(&site, verb, &SURE).expect(&[3]);
        assert_eq!((&told.json()["result"], behavior(&tenant)), (&json!("conflict"), json!(ACCEPT)));
        assert!(told.err.contains("--despite-change") && told.err.contains(ACCEPT), "{}", told.err);
    }
    let more = [&SURE[..], &["--despite-change"]].concat();
    cutover(&site, "revert", &more).expect(&[0]);
    assert_eq!(behavior(&tenant), ENFORCE);
    // Brought back by hand: nothing is written, and nothing of ours stands any more.
    cutover(&site, "apply", &SURE).expect(&[0]);
    set(&tenant, ENFORCE);
    let before = writes(&tenant).len();
    let told = cutover(&site, "revert", &[]).expect(&[0]).json();
    assert_eq!((&told["result"], &told["standing"]), (&json!("already"), &Value::Null), "{told}");
    assert_eq!(writes(&tenant).len(), before);
}

#[test]
fn what_was_never_set_is_brought_back_as_a_person_says() {
    let (tenant, site) = migrated(&Value::Null, &[]);
    let told = cutover(&site, "apply", &SURE).expect(&[0]).json();
    assert_eq!(told["standing"]["before"], Value::Null, "{told}");
    let refused = cutover(&site, "revert", &SURE).expect(&[2]);
    assert!(refused.err.contains("--to enforceMfaByFederatedIdp"), "{}", refused.err);
    let more = [&SURE[..], &["--to", ENFORCE]].concat();
    cutover(&site, "revert", &more).expect(&[0]);
    assert_eq!(writes(&tenant), [REJECT, ENFORCE]);
    cutover(&site, "revert", &[&SURE[..], &["--to", REJECT]].concat()).expect(&[2]);
}

/// Dies at a point; the test fails if the process ended in another way.
#[track_caller]
fn crash(site: &mut Site, point: &str, verb: &str) {
    site.env("MFA_MIGRATE_CRASH_AT", &format!("{point}:1"));
    let args = [&["cutover", verb, "--domain", DOMAIN][..], &SURE].concat();
    let (status, outcome) = site.start(&args).wait_status();
    site.unset("MFA_MIGRATE_CRASH_AT");
    assert_eq!(status.signal(), Some(6), "{point} was not hit by {verb}: {outcome:?}");
}

#[test]
fn whoever_dies_anywhere_ends_where_it_was_wished() {
    let (tenant, mut site) = migrated(&json!(ENFORCE), &[]);
    for point in CUTOVER_CRASH_POINTS {
        crash(&mut site, point, "apply");
        let told = cutover(&site, "apply", &SURE).expect(&[0]).json();
        assert_eq!(behavior(&tenant), REJECT, "{point}");
        assert_eq!(told["standing"]["before"], ENFORCE, "{point}: {told}");
        let outcomes = told["changes"].as_array().unwrap().iter().map(|change| &change["outcome"]);
        assert!(outcomes.into_iter().all(|outcome| !outcome.is_null()), "{point}: {told}");
        crash(&mut site, point, "revert");
        // At the last point all was done; there is nothing of ours to take back any more.
        let codes: &[i32] = if *point == "cutover.ended" { &[2] } else { &[0] };
        cutover(&site, "revert", &SURE).expect(codes);
        assert_eq!(behavior(&tenant), ENFORCE, "{point}");
        let status = cutover(&site, "status", &[]).expect(&[0]).json();
        assert_eq!(status["standing"], Value::Null, "{point}: {status}");
    }
    assert_eq!(
        writes(&tenant),
        [REJECT, ENFORCE].repeat(CUTOVER_CRASH_POINTS.len()),
        "nothing was set twice"
    );
}

#[test]
fn late_and_lost_answers_end_where_it_was_wished() {
    for faults in [
        "timeout-but-applied=1.0,seed=1",
        "late-apply-ms=1200,seed=2",
        "not-yet-visible-ms=1500,seed=3",
        "error-rate=0.4,seed=11",
        "drop-connection=0.3,seed=5",
    ] {
        let (quiet, site) = migrated(&json!(ENFORCE), &[]);
        let tenant = Tenant::with(&quiet.state(), &["--faults", faults]);
        let mut site = site;
        site.env("MFA_MIGRATE_GRAPH_URL", &tenant.url);
        let told = cutover(&site, "apply", &SURE).expect(&[0]).json();
        assert_eq!((&told["result"], behavior(&tenant)), (&json!("set"), json!(REJECT)), "{faults}: {told}");
        let told = cutover(&site, "revert", &SURE).expect(&[0]).json();
        assert_eq!((&told["result"], behavior(&tenant)), (&json!("set"), json!(ENFORCE)), "{faults}: {told}");
    }
}

#[test]
fn a_change_that_may_still_land_is_waited_for_before_another_is_made() {
    let (quiet, mut site) = migrated(&json!(ENFORCE), &[]);
    let tenant = Tenant::with(&quiet.state(), &["--faults", "late-apply-ms=1500,seed=1"]);
    site.env("MFA_MIGRATE_GRAPH_URL", &tenant.url);
    // It dies with the change under way; the way back must not overtake it.
    crash(&mut site, "cutover.sent", "apply");
    cutover(&site, "revert", &SURE).expect(&[0]);
    assert_eq!(behavior(&tenant), ENFORCE);
    assert_eq!(writes(&tenant), [REJECT, ENFORCE]);
}

#[test]
fn over_postgres_it_is_the_same() {
    let (tenant, mut site) = world(&json!(ENFORCE), &[]);
    site.env("MFA_MIGRATE_LEDGER", &postgres().new_database());
    let key = site.path("shared.key");
    std::fs::write(&key, [7_u8; 32]).unwrap();
    site.env("MFA_MIGRATE_KEY_FILE", key.to_str().unwrap());
    site.run(&["rehearse", "--datafile", "users.ndjson"]).expect(&[0, 3]);
    let refused = cutover(&site, "apply", &SURE).expect(&[2]);
    assert!(refused.err.contains("in no migration 4"), "{}", refused.err);
    site.run(&["migrate", "--datafile", "users.ndjson"]).expect(&[0, 3]);
    for point in CUTOVER_CRASH_POINTS {
        crash(&mut site, point, "apply");
        cutover(&site, "apply", &SURE).expect(&[0]);
        cutover(&site, "revert", &SURE).expect(&[0]);
    }
    assert_eq!(writes(&tenant), [REJECT, ENFORCE].repeat(CUTOVER_CRASH_POINTS.len()));
    site.run(&["report", "--verify-journal"]).expect(&[0]);
}
