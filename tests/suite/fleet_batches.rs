//! Batches across processes: one goes back while another goes forward, and a pause that every worker hears.

use harness::{Fleet, Site, Tenant, until};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long something may take that is about to happen.
const SOON: Duration = Duration::from_secs(90);

/// A datafile of made-up users and their tenant.
struct Company {
    tenant: Tenant,
    data: String,
    _files: tempfile::TempDir,
}

impl Company {
    fn of(users: u32, flags: &[&str]) -> Self {
        let files = tempfile::tempdir().unwrap();
        let file = |name: &str| files.path().join(name).display().to_string();
        let (data, state) = (file("users.ndjson"), file("tenant.json"));
        let users = users.to_string();
        let args = ["generate", "--users", &users, "--seed", "3", "--datafile", &data, "--tenant", &state];
        Site::at("http://127.0.0.1:9").run(&args).expect(&[0]);
        Self { tenant: Tenant::start(state.as_ref(), flags), data, _files: files }
    }

    fn make(&self, fleet: &Fleet, name: &str, region: &str) {
        let args = ["batch", "create", name, "--region", region, "--datafile", &self.data, "--json"];
        fleet.site.run(&args).expect(&[0]);
    }

    /// The tenant's users by object id; a default that Graph cannot unset is not compared.
    fn users(&self) -> BTreeMap<String, Value> {
        let state = self.tenant.state();
        let users = state["users"].as_array().unwrap().iter();
        users
            .map(|user| {
                let mut user = user.clone();
                user["authentication"]["signInPreferences"] = Value::Null;
                (user["id"].as_str().unwrap().to_owned(), user)
            })
            .collect()
    }

    fn writes(&self) -> u64 {
        self.tenant.stats()["writes"].as_u64().unwrap()
    }
}

#[test]
fn one_batch_goes_back_while_another_goes_forward() {
    let company = Company::of(300, &[]);
    let before = company.users();
    let fleet = Fleet::new(&company.tenant);
    let _services = (fleet.coordinator(), fleet.workers(2));
    company.make(&fleet, "de", "DE");
    company.make(&fleet, "nl", "NL");
    fleet.end_of(fleet.site.start(&["migrate", "--batch", "de", "--json"]));
    let back = fleet.site.start(&["rollback", "--batch", "de", "--json"]);
    let forward = fleet.site.start(&["migrate", "--batch", "nl", "--json"]);
    let (back, forward) = (fleet.end_of(back).json(), fleet.end_of(forward).json());
    assert_eq!((&back["batch"], &back["entries"]["conflict"]), (&"de".into(), &0.into()), "{back}");
    assert!(back["entries"]["reverted"].as_u64().unwrap() > 0, "{back}");
    assert!(forward["entries"]["applied"].as_u64().unwrap() > 0, "{forward}");
    let after = company.users();
    let moved = |region: &str| {
        let of_region = before.iter().filter(|(_, user)| user["usageLocation"] == region);
        of_region.filter(|(id, user)| after[*id] != **user).count()
    };
    assert_eq!(moved("DE"), 0, "the one is what it was");
    assert!(moved("NL") > 0, "the other was moved");
    let others = before.iter().filter(|(id, user)| user["usageLocation"] != "NL" && after[*id] != **user);
    assert_eq!(others.count(), 0, "and nobody else was touched");
}

#[test]
fn a_pause_is_heard_by_every_worker_and_a_resumption_does_nothing_twice() {
    let company = Company::of(300, &["--throttle", "writes=10/2"]);
    let fleet = Fleet::new(&company.tenant);
    let _services = (fleet.coordinator(), fleet.workers(3));
    company.make(&fleet, "de", "DE");
    let following = fleet.site.start(&["migrate", "--batch", "de", "--json"]);
    assert!(until(SOON, || company.writes() >= 10), "{}", fleet.said());
    fleet.site.run(&["batch", "pause", "de", "--why", "service desk is full"]).expect(&[0]);
    let paused = following.wait().expect(&[4]);
    assert!(paused.err.contains("service desk is full"), "{}", paused.err);
    // What was under way ends and goes back; then nothing is written any more.
    let show = || fleet.site.run(&["batch", "show", "de", "--json"]).expect(&[0]).json();
    let of = |shown: &Value, state: &str| shown["last"]["entries"][state].as_u64().unwrap();
    assert!(until(SOON, || of(&show(), "claimed") == 0), "{}", show());
    let (shown, writes, since) = (show(), company.writes(), Instant::now());
    assert!(of(&shown, "waiting") > 0, "it was stopped in the middle: {shown}");
    // Two periods of the throttle and more, in which fifty writes would have been made.
    let is_still = || of(&show(), "claimed") == 0 && company.writes() == writes;
    while since.elapsed() < Duration::from_secs(6) {
        assert!(is_still(), "something is written after the pause: {}", show());
    }
    assert_eq!(shown["events"][0]["what"], "paused");
    fleet.site.run(&["batch", "set", "de", "max-rate=8"]).expect(&[0]);
    fleet.site.run(&["batch", "resume", "de"]).expect(&[0]);
    fleet.end_of(fleet.site.start(&["migrate", "--batch", "de", "--json"]));
    let mut seen = BTreeMap::new();
    for effect in company.tenant.journal().iter().filter(|e| e["noop"] != true) {
        *seen
            .entry((effect["user"].to_string(), effect["method"].to_string(), effect["to"].to_string()))
            .or_insert(0) += 1;
    }
    assert!(seen.values().all(|n| *n == 1), "nothing was done twice: {seen:?}");
}

#[test]
fn a_coordinator_that_dies_during_a_way_back_is_followed_by_another() {
    let company = Company::of(200, &[]);
    let before = company.users();
    let fleet = Fleet::new(&company.tenant);
    let _workers = fleet.workers(2);
    let first = fleet.coordinator();
    company.make(&fleet, "de", "DE");
    fleet.end_of(fleet.site.start(&["migrate", "--batch", "de", "--json"]));
    first.kill();
    let dying = fleet.serve_until("coordinator", &[], ("touched.after", 1));
    let back = fleet.site.start(&["rollback", "--batch", "de", "--json"]);
    dying.end();
    let _second = fleet.coordinator();
    let back = fleet.end_of(back).json();
    assert_eq!(back["entries"]["conflict"], 0, "{back}");
    assert_eq!(company.users(), before, "everybody is what they were");
}
