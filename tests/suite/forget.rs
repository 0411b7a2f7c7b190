//! `forget`: what is removed is gone from the files, what happened stays told, and nobody is taken back by half.
//!
//! The tenant tells who was written, the bytes of the ledger's files tell what is left.

use harness::{Company, Expected, Fleet, Outcome, Past, Site, Tenant, services::postgres};
use serde_json::{Value, json};
use sqlx::{ConnectOptions, Connection, sqlite::SqliteConnectOptions};
use std::collections::BTreeSet;
use std::os::unix::{fs::PermissionsExt, process::ExitStatusExt};
use telemetry::FORGET_CRASH_POINTS;

/// An envelope's first bytes are its version and its key; what comes then is random, and told from all others by so many.
const TELLING: std::ops::Range<usize> = 5..21;

/// Every sealed value that forgetting everybody must remove, by bytes that nothing else has.
async fn envelopes(site: &Site) -> Vec<Vec<u8>> {
    let path = site.path("mfa-migrate.db");
    let mut file = SqliteConnectOptions::new().filename(path).read_only(true).connect().await.unwrap();
    let mut found = Vec::new();
    for statement in [
        "SELECT sealed FROM record WHERE length(sealed) > 0",
        "SELECT value FROM pre_image WHERE value IS NOT NULL",
        "SELECT value FROM intent WHERE length(value) > 0",
        "SELECT result FROM entry WHERE result IS NOT NULL AND NOT forgotten",
    ] {
        let blobs: Vec<Vec<u8>> = sqlx::query_scalar(statement).fetch_all(&mut file).await.unwrap();
        found.extend(blobs.into_iter().map(|blob| blob[TELLING].to_vec()));
    }
    file.close().await.unwrap();
    found
}

/// How many of these stand in the ledger's files. Pages cut a value in two now and then, so not all need be found that are
/// there.
fn in_the_files(site: &Site, envelopes: &[Vec<u8>]) -> usize {
    let mut bytes = Vec::new();
    for name in ["mfa-migrate.db", "mfa-migrate.db-wal", "mfa-migrate.db-shm"] {
        bytes.extend(std::fs::read(site.path(name)).unwrap_or_default());
    }
    let windows: BTreeSet<&[u8]> = bytes.windows(TELLING.len()).collect();
    envelopes.iter().filter(|envelope| windows.contains(envelope.as_slice())).count()
}

fn migrated(expected: &Expected) -> (Site, Tenant) {
    let tenant = expected.tenant(&[]);
    let site = Site::new(&tenant);
    site.run(&["migrate", "--datafile", expected.datafile()]).expect(&[0, 3]);
    (site, tenant)
}

fn forget(site: &Site, batch: &str) -> Outcome {
    site.run(&["forget", "--batch", batch, "--confirm", batch, "--json"])
}

fn check_journal(site: &Site, more: &[&str]) -> Value {
    let checked = site.run(&[&["report", "--verify-journal", "--json"], more].concat()).expect(&[0]).json();
    assert_eq!(checked["whole"], true, "{checked}");
    checked
}

#[tokio::test]
async fn what_is_forgotten_is_in_no_file_any_more_and_what_happened_is_still_told() {
    let expected = Expected::dense(24);
    let (site, tenant) = migrated(&expected);
    let envelopes = envelopes(&site).await;
    assert!(envelopes.len() > 72, "{}", envelopes.len());
    assert!(in_the_files(&site, &envelopes) * 10 > envelopes.len() * 9, "the search finds what is there");
    let head = check_journal(&site, &[])["head"].as_str().unwrap().to_owned();
    let before = site.run(&["report", "--format", "json"]).expect(&[0]).json();
    let (writes, was) = (tenant.stats()["writes"].clone(), Past::of(&tenant));

    let done = forget(&site, "all").expect(&[0]);
    let told = done.json();
    assert_eq!((&told["records"], &told["reclaimed"]), (&json!(24), &json!(true)), "{told}");
    let lost = told["usersWithoutWayBack"].as_u64().unwrap();
    assert!(
        lost > 0 && done.err.contains(&format!("{lost} users can be taken back now and cannot afterwards")),
        "{}",
        done.err
    );
    assert_eq!(in_the_files(&site, &envelopes), 0);

    let checked = check_journal(&site, &["--head", &head]);
    assert!(checked["keptHeadIsLine"].is_i64(), "{checked}");
    let after = site.run(&["report", "--format", "json"]).expect(&[0]).json();
    for kept in ["entries", "usersByCode"] {
        assert_eq!(before[kept], after[kept], "{kept}");
    }
    let (rows, later) = (before["rows"].as_array().unwrap(), after["rows"].as_array().unwrap());
    let outcome = |row: &Value| {
        format!("{} {} {} {}", row["userPrincipalName"], row["method"], row["state"], row["result"])
    };
    let (rows, again): (Vec<_>, Vec<_>) =
        (rows.iter().map(outcome).collect(), later.iter().map(outcome).collect());
    assert_eq!(rows, again, "the same users, methods and outcomes");
    let values =
        |row: &&Value| ["from", "to", "serial", "before", "ours", "now"].iter().any(|v| row[v].is_string());
    assert_eq!(later.iter().find(values), None, "and no value");
    for format in ["csv", "html"] {
        let page = site.run(&["report", "--format", format]).expect(&[0]).out;
        assert!(page.contains("forgotten"), "{format}");
    }
    site.run(&["report", "--list", "must-register-again"]).expect(&[0]);
    let name = expected.plans[0]["user"].as_str().unwrap();
    let shown = site.run(&["show", name]).expect(&[0]).out;
    assert!(shown.contains("forgotten") && shown.contains("applied"), "{shown}");
    let shown = site.run(&["show", name, "--json"]).expect(&[0]).json();
    assert!(shown["forgottenAt"].is_string() && shown["intents"][0]["change"].is_null(), "{shown}");

    let back = site.run(&["rollback", "--all", "--json"]).expect(&[3]);
    assert_eq!(back.json()["entries"]["blocked"].as_u64(), Some(lost), "{}", back.out);
    assert!(back.err.contains("cannot be taken back: forgotten"), "{}", back.err);
    assert_eq!(
        (tenant.stats()["writes"].clone(), was.differences(&tenant)),
        (writes, Vec::new()),
        "nobody was touched"
    );
    site.run(&["verify"]).expect(&[0, 3]);
    let lines = check_journal(&site, &["--head", &head])["lines"].clone();

    let again = forget(&site, "all").expect(&[0]);
    assert!(again.err.contains("nothing of everybody is left to forget"), "{}", again.err);
    assert_eq!(check_journal(&site, &[])["lines"], lines, "and nothing is told of nothing");
}

#[test]
fn it_must_be_confirmed_by_name_and_says_first_what_is_lost() {
    let expected = Expected::dense(6);
    let (site, _tenant) = migrated(&expected);
    for (more, word) in
        [(&[][..], "--confirm all"), (&["--confirm", "north"][..], "\"north\" is not \"all\"")]
    {
        let refused = site.run(&[&["forget", "--batch", "all"], more].concat()).expect(&[2]);
        assert!(
            refused.err.contains(word) && refused.err.contains("nothing was forgotten"),
            "{}",
            refused.err
        );
        assert!(refused.err.contains("users can be taken back now and cannot afterwards"), "{}", refused.err);
    }
    for args in [
        &["forget"][..],
        &["forget", "--batch", "nobody"],
        &["forget", "--snapshot", "0123456789"],
        &["forget", "--snapshot", ""],
    ] {
        site.run(args).expect(&[2]);
    }
    assert_eq!(site.run(&["rollback", "--all", "--json"]).expect(&[0, 3]).json()["entries"]["blocked"], 0);
    let told = forget(&site, "all").expect(&[0]).json();
    assert_eq!(told["usersWithoutWayBack"], 0, "whoever was taken back loses nothing: {told}");
    Site::at("http://127.0.0.1:9").run(&["forget", "--batch", "all"]).expect(&[2]);
    let help = site.run(&["forget", "--help"]).expect(&[0]).out;
    assert!(help.contains("VACUUM") && help.contains("kept in step"), "{help}");
}

#[test]
fn nothing_goes_that_somebody_still_needs() {
    let company = Company::of(200, &[]);
    let site = Site::new(&company.tenant);
    let refused = |name: &str, words: &[&str]| {
        let said = forget(&site, name).expect(&[2]).err;
        for word in words {
            assert!(said.contains(word), "{word}: {said}");
        }
    };
    site.run(&company.create("de", "DE", &["--canary", "5,100%", "--approve"])).expect(&[0]);
    site.run(&company.create("gb", "GB", &[])).expect(&[0]);
    refused("de", &["was never migrated", "migrate --batch de"]);
    let snapshot =
        site.run(&["inspect", company.datafile(), "--json"]).expect(&[0]).json()["snapshot"].clone();
    let snapshot = snapshot.as_str().unwrap();
    site.run(&["migrate", "--batch", "de"]).expect(&[4]);
    refused("de", &["is not over", "batch abort de"]);
    site.run(&["batch", "abort", "de"]).expect(&[0]);
    refused("de", &["begun with and not settled", "migrate", "rollback"]);
    site.run(&["batch", "set", "de", "approve=no", "canary=100%"]).expect(&[0]);
    site.run(&["migrate", "--batch", "de"]).expect(&[0, 3]);
    refused("all", &["gb was never migrated"]);
    site.run(&["batch", "set", "de", "keep-in-step=on"]).expect(&[0]);
    refused("de", &["kept in step", "keep-in-step=off"]);
    let said = site.run(&["forget", "--snapshot", snapshot, "--confirm", snapshot]).expect(&[2]).err;
    assert!(said.contains("kept in step") && said.contains("gb was never migrated"), "{said}");
    site.run(&["batch", "set", "de", "keep-in-step=off"]).expect(&[0]);
    let told = forget(&site, "de").expect(&[0]).json();
    assert!(told["usersWithoutWayBack"].as_u64() > Some(0), "{told}");

    // The others are as they were: another batch is moved from the same records, and taken back whole.
    let was = Past::of(&company.tenant);
    site.run(&["migrate", "--batch", "gb"]).expect(&[0, 3]);
    site.run(&["rollback", "--batch", "gb"]).expect(&[0, 3]);
    assert_eq!(was.differences(&company.tenant), Vec::<String>::new());
    // And whoever was forgotten is left out of what goes over everybody.
    let all = site.run(&["migrate", "--datafile", company.datafile(), "--json"]).expect(&[0, 3]).json();
    let forgotten =
        site.run(&["report", "--run", &all["run"].to_string(), "--format", "json"]).expect(&[0]).json();
    assert!(forgotten["usersByCode"]["forgotten"].as_u64() > Some(0), "{}", forgotten["usersByCode"]);
    let events = site.run(&["batch", "show", "de", "--json"]).expect(&[0]).json().to_string();
    assert!(events.contains("forgetting") && events.contains("lost the way back"), "{events}");
}

/// Kills at a point, and answers what was left.
fn killed(site: &mut Site, (point, passage): (&str, u32)) {
    site.env("MFA_MIGRATE_CRASH_AT", &format!("{point}:{passage}"));
    let (status, outcome) = site.start(&["forget", "--batch", "all", "--confirm", "all"]).wait_status();
    site.unset("MFA_MIGRATE_CRASH_AT");
    assert_eq!(status.signal(), Some(6), "{point}:{passage} was not hit: {outcome:?}");
}

#[tokio::test]
async fn killed_at_any_point_the_same_command_goes_on_to_the_same_end() {
    let company = Company::of(450, &[]);
    let mut site = Site::new(&company.tenant);
    site.run(&["migrate", "--datafile", company.datafile()]).expect(&[0, 3]);
    let envelopes = envelopes(&site).await;
    let standing =
        |site: &Site| site.run(&["report", "--format", "json"]).expect(&[0]).json()["entries"].clone();
    let counts = standing(&site);
    let passages = |point: &str| if point == "forget.users" { 2 } else { 1 };
    for point in FORGET_CRASH_POINTS {
        killed(&mut site, (point, passages(point)));
        check_journal(&site, &[]);
        assert_eq!(standing(&site), counts, "{point}");
    }
    forget(&site, "all").expect(&[0]);
    assert_eq!((in_the_files(&site, &envelopes), standing(&site)), (0, counts));
    let back = site.run(&["rollback", "--all", "--json"]).expect(&[3]).json();
    assert_eq!(back["entries"]["reverted"], 0, "{back}");
}

#[test]
fn killed_half_way_those_who_are_left_are_taken_back_whole_and_the_others_not_at_all() {
    let company = Company::of(450, &[]);
    let mut site = Site::new(&company.tenant);
    site.run(&["migrate", "--datafile", company.datafile()]).expect(&[0, 3]);
    let moved = company.before.differences(&company.tenant);
    let users_of = |found: &[String]| -> BTreeSet<String> {
        found.iter().map(|line| line.split(' ').next().unwrap().to_owned()).collect()
    };
    killed(&mut site, ("forget.users", 1));
    let back = site.run(&["rollback", "--all", "--json"]).expect(&[3]);
    let entries = back.json()["entries"].clone();
    let (blocked, reverted) = (entries["blocked"].as_u64().unwrap(), entries["reverted"].as_u64().unwrap());
    assert!(blocked > 0 && reverted > 0, "{entries}");
    // Whoever is not as before is as the migration left it: nobody is half-way.
    let left = users_of(&company.before.differences(&company.tenant));
    let before = users_of(&moved);
    assert!(left.is_subset(&before) && before.len() > left.len(), "{} of {}", left.len(), before.len());
    assert_eq!(left.len() as u64, blocked.min(left.len() as u64), "{entries}");
    let still: Vec<_> = company.before.differences(&company.tenant);
    assert!(still.iter().all(|line| moved.contains(line)), "and as it was left");
    let told = forget(&site, "all").expect(&[0]).json();
    assert_eq!(told["usersWithoutWayBack"], 0, "{told}");
    check_journal(&site, &[]);
}

#[test]
fn an_old_snapshot_goes_and_what_a_later_run_wrote_can_still_be_taken_back() {
    let company = Company::of(120, &[]);
    let site = Site::new(&company.tenant);
    site.run(&["migrate", "--datafile", company.datafile()]).expect(&[0, 3]);
    let first = site.run(&["report", "--format", "json"]).expect(&[0]).json()["snapshot"]
        .as_str()
        .unwrap()
        .to_owned();
    // The same people in another file: one more blank line makes it one.
    let later = site.path("later.ndjson");
    std::fs::write(&later, std::fs::read_to_string(company.datafile()).unwrap() + "\n").unwrap();
    site.run(&["migrate", "--datafile", later.to_str().unwrap()]).expect(&[0, 3]);
    let told =
        site.run(&["forget", "--snapshot", &first[..12], "--confirm", &first, "--json"]).expect(&[0]).json();
    assert_eq!((&told["records"], &told["usersWithoutWayBack"]), (&json!(120), &json!(0)), "{told}");
    assert!(told["usersKept"].as_u64() > Some(0), "{told}");
    site.run(&["report", "--format", "html"]).expect(&[0]);
    let back = site.run(&["rollback", "--all", "--json"]).expect(&[0, 3]).json();
    assert_eq!(back["entries"]["blocked"], 0, "{back}");
    assert_eq!(company.before.differences(&company.tenant), Vec::<String>::new());
}

#[test]
fn on_postgres_it_is_the_same() {
    let expected = Expected::dense(12);
    let tenant = expected.tenant(&[]);
    let mut site = Site::new(&tenant);
    let url = postgres().new_database();
    site.env("MFA_MIGRATE_LEDGER", &url);
    let key = site.path("sealing.key");
    std::fs::write(&key, [7; 32]).unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    site.env("MFA_MIGRATE_KEY_FILE", key.to_str().unwrap());
    site.run(&["migrate", "--datafile", expected.datafile()]).expect(&[0, 3]);
    let told = forget(&site, "all").expect(&[0]);
    let told_json = told.json();
    assert_eq!((&told_json["records"], &told_json["reclaimed"]), (&json!(12), &json!(false)), "{told_json}");
    let name = url.rsplit('/').next().unwrap();
    let sealed = "select count(*) from mfa_migrate.record where octet_length(sealed) > 0";
    assert_eq!(postgres().psql(name, sealed), "0");
    assert_eq!(postgres().psql(name, "select count(*) from mfa_migrate.pre_image"), "0");
    check_journal(&site, &[]);
    let back = site.run(&["rollback", "--all", "--json"]).expect(&[3]).json();
    assert!(back["entries"]["blocked"].as_u64() > Some(0) && back["entries"]["reverted"] == 0, "{back}");
}

#[test]
fn beside_services_that_wait_for_work_it_is_the_same() {
    let company = Company::of(120, &[]);
    let fleet = Fleet::new(&company.tenant);
    let _coordinator = fleet.coordinator();
    let _workers = fleet.workers(1);
    company.make(&fleet, "de", "DE", &[]);
    fleet.end_of(fleet.site.start(&["migrate", "--batch", "de"])).expect(&[0, 3]);
    let told = forget(&fleet.site, "de").expect(&[0]).json();
    assert!(told["usersWithoutWayBack"].as_u64() > Some(0), "{told}");
    let back = fleet.end_of(fleet.site.start(&["rollback", "--batch", "de", "--json"])).expect(&[3]).json();
    assert!(back["entries"]["blocked"].as_u64() > Some(0), "{back}");
}
