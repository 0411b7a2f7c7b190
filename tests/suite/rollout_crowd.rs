//! The staged rollout where things go wrong: a process dies at each point of it, answers are late, lost or refused, and a
//! fleet of workers is at one group at once.

use crate::rollout::{CONFIG, datafile, everybody, group, members, migrated, moves, ready, rollout, state};
use harness::services::postgres;
use harness::{Fleet, Site, Tenant, until};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;
use telemetry::{ROLLOUT_CRASH_POINTS, ROLLOUT_REMOVE_CRASH_POINTS};

const PATIENCE: Duration = Duration::from_secs(90);
const USERS: usize = 45;

/// Dies at a point of a verb; the tenant may see what was under way.
fn crash(site: &mut Site, point: &str, args: &[&str]) {
    site.env("MFA_MIGRATE_CRASH_AT", &format!("{point}:1"));
    let (status, outcome) = site.start(args).wait_status();
    assert_eq!(status.signal(), Some(6), "{point}: {outcome:?}");
    site.unset("MFA_MIGRATE_CRASH_AT");
}

/// Everybody in once more than out, or as often: nobody twice in a row.
#[track_caller]
fn must_alternate(tenant: &Tenant) {
    let mut inside = BTreeSet::new();
    for (user, is_in) in moves(tenant) {
        let is_new = if is_in { inside.insert(user.clone()) } else { inside.remove(&user) };
        assert!(is_new, "{user} twice the same way");
    }
}

fn dies_everywhere(tenant: &Tenant, site: &mut Site) {
    for (n, point) in ROLLOUT_CRASH_POINTS.iter().enumerate() {
        // The policy is there from the second time on.
        if n > 0 && *point == "rollout.policy-asked" {
            continue;
        }
        crash(site, point, &["rollout", "apply", "--all"]);
        let told = rollout(site, "apply", &["--all"]).expect(&[0]).json();
        assert_eq!(members(tenant, 1), everybody(USERS), "{point}: {told}");
        let again = rollout(site, "apply", &["--all"]).expect(&[0]).json();
        assert_eq!(again["graph"]["writes"], 0, "{point}: {again}");
        rollout(site, "remove", &["--all"]).expect(&[0]);
        assert!(members(tenant, 1).is_empty(), "{point}");
    }
    for point in ROLLOUT_REMOVE_CRASH_POINTS {
        rollout(site, "apply", &["--all"]).expect(&[0]);
        crash(site, point, &["rollout", "remove", "--all"]);
        rollout(site, "remove", &["--all"]).expect(&[0]);
        assert!(members(tenant, 1).is_empty(), "{point}");
        let again = rollout(site, "remove", &["--all"]).expect(&[0]).json();
        assert_eq!(again["graph"]["writes"], 0, "{point}: {again}");
    }
    let times = ROLLOUT_CRASH_POINTS.len() + ROLLOUT_REMOVE_CRASH_POINTS.len();
    assert_eq!(moves(tenant).len(), 2 * USERS * times, "each in once and out once, each time");
    must_alternate(tenant);
    site.run(&["report", "--verify-journal"]).expect(&[0]);
}

#[test]
fn wherever_it_dies_the_same_command_ends_where_it_was_wished() {
    let (tenant, mut site) = ready(USERS, &[]);
    dies_everywhere(&tenant, &mut site);
}

#[test]
fn over_postgres_it_is_the_same() {
    let groups = json!([group(1, "Rollout A"), group(2, "Rollout B")]);
    let tenant = Tenant::with(&state(USERS, &groups), &[]);
    let mut site = Site::new(&tenant);
    site.configure(CONFIG);
    datafile(&site, USERS);
    site.env("MFA_MIGRATE_LEDGER", &postgres().new_database());
    let key = site.path("shared.key");
    std::fs::write(&key, [7_u8; 32]).unwrap();
    site.env("MFA_MIGRATE_KEY_FILE", key.to_str().unwrap());
    migrated(&site);
    dies_everywhere(&tenant, &mut site);
}

#[test]
fn a_rollback_that_dies_on_its_way_out_goes_on_with_it() {
    let (tenant, mut site) = ready(25, &[]);
    let phones = |tenant: &Tenant| {
        let state = tenant.state();
        let users = state["users"].as_array().unwrap();
        users.iter().filter(|u| u["authentication"]["phoneMethods"] != json!([])).count()
    };
    rollout(&site, "apply", &["--all"]).expect(&[0]);
    for point in ROLLOUT_REMOVE_CRASH_POINTS {
        crash(&mut site, point, &["rollback", "--all"]);
        assert_eq!(phones(&tenant), 25, "{point}: nobody is withdrawn from who may be in");
        if *point != "rollout-remove.finished" {
            // Whoever is out goes in again, so that the next point is met as well.
            rollout(&site, "apply", &["--all"]).expect(&[0]);
        }
    }
    site.run(&["rollback", "--all"]).expect(&[0]);
    assert_eq!((phones(&tenant), members(&tenant, 1).len()), (0, 0));
    must_alternate(&tenant);
}

/// In and out again at a tenant with these flags.
fn ends_where_it_was_wished(flags: [&str; 2]) {
    let (quiet, mut site) = ready(USERS, &[]);
    let tenant = Tenant::with(&quiet.state(), &flags);
    site.env("MFA_MIGRATE_GRAPH_URL", &tenant.url);
    let told = rollout(&site, "apply", &["--all"]).expect(&[0]).json();
    assert_eq!(members(&tenant, 1), everybody(USERS), "{told}");
    let told = rollout(&site, "remove", &["--all"]).expect(&[0]).json();
    assert!(members(&tenant, 1).is_empty(), "{told}");
    must_alternate(&tenant);
    assert_eq!(tenant.stats()["earlyRetries"], 0);
}

#[test]
fn timeouts_that_were_applied_end_where_it_was_wished() {
    ends_where_it_was_wished(["--faults", "timeout-but-applied=0.7,seed=1"]);
}

#[test]
fn what_lands_late_ends_where_it_was_wished() {
    ends_where_it_was_wished(["--faults", "late-apply-ms=1500,seed=2"]);
}

#[test]
fn what_shows_late_ends_where_it_was_wished() {
    ends_where_it_was_wished(["--faults", "not-yet-visible-ms=2000,seed=3"]);
}

#[test]
fn errors_and_lost_connections_end_where_it_was_wished() {
    ends_where_it_was_wished(["--faults", "error-rate=0.2,drop-connection=0.1,seed=11"]);
}

#[test]
fn conflicts_end_where_it_was_wished() {
    ends_where_it_was_wished(["--faults", "conflict-but-applied=0.4,group-conflict=0.3,seed=7"]);
}

#[test]
fn everything_at_once_ends_where_it_was_wished() {
    let faults = "error-rate=0.1,timeout-but-applied=0.1,group-conflict=0.1,not-yet-visible-ms=1000,seed=9";
    ends_where_it_was_wished(["--faults", faults]);
}

#[test]
fn throttles_end_where_it_was_wished_and_nobody_asks_early() {
    ends_where_it_was_wished(["--throttle", "writes=4/1"]);
}

#[test]
fn what_may_still_land_is_waited_for_before_anybody_counts_as_out() {
    let (quiet, mut site) = ready(20, &[]);
    let tenant = Tenant::with(&quiet.state(), &["--faults", "late-apply-ms=2500,seed=1"]);
    site.env("MFA_MIGRATE_GRAPH_URL", &tenant.url);
    // It dies with the request under way; taking out must not overtake it.
    crash(&mut site, "rollout.asked", &["rollout", "apply", "--all"]);
    rollout(&site, "remove", &["--all"]).expect(&[0]);
    assert!(members(&tenant, 1).is_empty());
    let (ins, outs): (Vec<_>, Vec<_>) = moves(&tenant).into_iter().partition(|(_, is_in)| *is_in);
    assert!(
        !ins.is_empty() && ins.len() == outs.len(),
        "it had landed, and everybody was taken out after it"
    );
}

#[test]
fn a_fleet_at_one_group_of_which_two_die_puts_everybody_in_once() {
    let groups = json!([group(1, "Rollout A")]);
    let tenant =
        Tenant::with(&state(400, &groups), &["--latency-ms", "30", "--faults", "group-conflict=0.05,seed=4"]);
    let fleet = Fleet::new(&tenant);
    let config = "[graph]\nrequest_timeout_s = 2\nvisibility_deadline_s = 1\nclock_skew_s = 1\n[worker]\nlease_s = 8\n\
                  [rollout]\ngroups = [\"Rollout A\"]\nstay_s = 0\n";
    fleet.site.configure(config);
    datafile(&fleet.site, 400);
    let (_coordinator, mut workers) = (fleet.coordinator(), fleet.workers(4));
    fleet.end_of(fleet.site.start(&["migrate", "--datafile", "users.ndjson", "--json"]));
    fleet.end_of(fleet.site.start(&["verify", "--json"]));
    let applying = fleet.site.start(&["rollout", "apply", "--all", "--json"]);
    assert!(until(PATIENCE, || members(&tenant, 1).len() > 40));
    for worker in workers.drain(..2) {
        worker.kill();
    }
    let told = fleet.end_of(applying).json();
    assert_eq!(members(&tenant, 1), everybody(400), "{told}");
    assert_eq!(told["entries"]["applied"], 400, "{told}");
    let removing = fleet.site.start(&["rollout", "remove", "--all", "--json"]);
    assert!(until(PATIENCE, || members(&tenant, 1).len() < 360));
    for worker in workers.drain(..1) {
        worker.kill();
    }
    let told = fleet.end_of(removing).json();
    assert!(members(&tenant, 1).is_empty(), "{told}");
    must_alternate(&tenant);
    let journal = fleet.site.run(&["report", "--verify-journal"]).expect(&[0]);
    assert!(!journal.out.is_empty());
    // The way back by itself: out first, the wait, then the methods.
    fleet.end_of(fleet.site.start(&["rollout", "apply", "--all", "--json"]));
    let back: Value = fleet.end_of(fleet.site.start(&["rollback", "--all", "--json"])).json();
    assert_eq!(back["entries"]["reverted"], 400, "{back}");
    assert!(members(&tenant, 1).is_empty());
}
