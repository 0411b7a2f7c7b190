//! What says nothing any more and is not dead: lines that swallow what is sent, a coordinator that is stopped, and one that
//! only waits. Nobody is restarted, and every test ends with the checker.

use harness::services::postgres;
use harness::{Expected, Fleet, Proxy, Service, Tenant, until};
use std::time::Duration;

/// Longer than any limit of ours for a worker's call (30 s) and a lease together; far shorter than TCP's.
const SOON: Duration = Duration::from_secs(120);
const SLOW: [&str; 2] = ["--throttle", "writes=20/3"];

/// Until so many more effects are in the tenant's journal than now.
#[track_caller]
fn more_effects(tenant: &Tenant, fleet: &Fleet, more: usize) {
    let seen = tenant.journal().len();
    assert!(until(SOON, || tenant.journal().len() >= seen + more), "nothing moves\n{}", fleet.said());
}

/// Starts services that reach the database through a proxy of their own.
fn behind<T>(fleet: &mut Fleet, proxy: &Proxy, start: impl FnOnce(&Fleet) -> T) -> T {
    let direct = fleet.ledger.clone();
    fleet.ledger_by(&proxy.instead_of(postgres().port, &direct));
    let started = start(fleet);
    fleet.ledger_by(&direct);
    started
}

/// All of its connections go silent when it has sent so many more bytes, in the middle of whatever they are.
#[track_caller]
fn fall_silent(proxy: &Proxy, fleet: &Fleet, bytes: usize) {
    let cuts = proxy.cuts();
    proxy.silence_after_bytes(bytes);
    assert!(until(SOON, || proxy.cuts() > cuts), "nothing was sent\n{}", fleet.said());
}

/// It was never restarted, and nothing hangs in it: what it had in hand is done within the time that a stop may take.
#[track_caller]
fn must_stop_in_time(mut service: Service) {
    assert!(!service.has_ended(), "{}", service.said());
    let said = service.said();
    assert_eq!(service.stop().code(), Some(0), "{said}");
}

#[test]
fn a_worker_whose_line_to_the_database_goes_silent_goes_on() {
    let expected = Expected::dense(160);
    let tenant = expected.tenant(&SLOW);
    let mut fleet = Fleet::new(&tenant);
    let proxy = Proxy::to(postgres().port);
    let coordinator = fleet.coordinator();
    let worker = behind(&mut fleet, &proxy, |fleet| fleet.workers(1)).remove(0);
    let following = fleet.start_migrate(&expected);
    // Of a length that stops in the middle of claims, intents and ends.
    for bytes in [1, 9_000] {
        more_effects(&tenant, &fleet, 10);
        fall_silent(&proxy, &fleet, bytes);
    }
    more_effects(&tenant, &fleet, 10);
    let end = fleet.end_of(following).json();
    fleet.must_be_clean(&expected, &tenant, &end);
    must_stop_in_time(worker);
    must_stop_in_time(coordinator);
}

#[test]
fn a_coordinator_whose_line_to_the_database_goes_silent_leads_again() {
    let expected = Expected::dense(160);
    let tenant = expected.tenant(&SLOW);
    let mut fleet = Fleet::new(&tenant);
    let proxy = Proxy::to(postgres().port);
    let coordinator = behind(&mut fleet, &proxy, Fleet::coordinator);
    let _workers = fleet.workers(1);
    let following = fleet.start_migrate(&expected);
    let leads = || coordinator.said().matches("the coordinator leads").count();
    for (times, bytes) in [(2, 1), (3, 5_000)] {
        more_effects(&tenant, &fleet, 5);
        fall_silent(&proxy, &fleet, bytes);
        assert!(until(SOON, || leads() >= times), "it does not lead again\n{}", fleet.said());
    }
    let end = fleet.end_of(following).json();
    fleet.must_be_clean(&expected, &tenant, &end);
    must_stop_in_time(coordinator);
}

#[test]
fn a_coordinator_that_sleeps_loses_the_lead_and_changes_nothing_after_waking() {
    let expected = Expected::dense(200);
    let tenant = expected.tenant(&SLOW);
    let fleet = Fleet::new(&tenant);
    let sleeper = fleet.coordinator();
    assert!(until(SOON, || sleeper.said().contains("the coordinator leads")), "{}", fleet.said());
    let _workers = fleet.workers(2);
    let following = fleet.start_migrate(&expected);
    more_effects(&tenant, &fleet, 5);
    sleeper.signal("STOP");
    let second = fleet.coordinator();
    assert!(until(SOON, || second.said().contains("the coordinator leads")), "{}", fleet.said());
    let database = fleet.ledger.rsplit('/').next().unwrap();
    let term = || postgres().psql(database, "select term, name from mfa_migrate.leadership");
    let of_the_second = term();
    sleeper.signal("CONT");
    let is_told = || {
        let said = sleeper.said();
        said.contains("the leadership is lost") || said.contains("another coordinator leads now")
    };
    assert!(until(SOON, is_told), "{}", fleet.said());
    let end = fleet.end_of(following).json();
    assert_eq!(term(), of_the_second, "the lead went on to nobody else");
    fleet.must_be_clean(&expected, &tenant, &end);
    must_stop_in_time(second);
    must_stop_in_time(sleeper);
}

#[test]
fn a_coordinator_that_waits_for_its_turn_is_no_hindrance() {
    let expected = Expected::dense(120);
    let tenant = expected.tenant(&SLOW);
    let fleet = Fleet::new(&tenant);
    let first = fleet.coordinator();
    assert!(until(SOON, || first.said().contains("the coordinator leads")), "{}", fleet.said());
    let _second = fleet.coordinator();
    let _workers = fleet.workers(1);
    let following = fleet.start_migrate(&expected);
    more_effects(&tenant, &fleet, 1);
    let waits = |status: &serde_json::Value| {
        let services = status["services"].as_array().cloned().unwrap_or_default();
        services.iter().filter(|s| s["kind"] == "coordinator" && s["waits"].is_string()).count()
    };
    assert!(until(SOON, || waits(&fleet.status()) == 1), "{}", fleet.status());
    let (status, said) = (fleet.status(), fleet.status_text());
    assert_eq!(status["state"], "open", "it had ended already: {status}");
    let hindrance = status["waits"].as_str().unwrap_or_default();
    assert!(!hindrance.contains("coordinator"), "{status}\n{said}");
    // When the one that leads is gone, the other one is no longer one that waits.
    assert!(first.kill());
    let end = fleet.end_of(following).json();
    fleet.must_be_clean(&expected, &tenant, &end);
}
