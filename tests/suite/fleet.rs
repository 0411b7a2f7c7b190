//! The job across processes, all of them healthy: the same end as embedded, followed, left, and stopped at will.

use harness::{Expected, Fleet, until};
use std::time::{Duration, Instant};

/// How long something may take that is about to happen.
const SOON: Duration = Duration::from_secs(90);

/// A run that has not ended by then never will, however many workers come.
const STUCK_AFTER: Duration = Duration::from_secs(600);

/// A throttle that keeps a hundred users busy for a while.
const SLOW: [&str; 2] = ["--throttle", "writes=20/3"];

#[test]
fn three_workers_move_everybody() {
    let expected = Expected::dense(300);
    let tenant = expected.tenant(&[]);
    let fleet = Fleet::new(&tenant);
    let _services = (fleet.coordinator(), fleet.workers(3));
    let end = fleet.migrate(&expected).json();
    fleet.must_be_clean(&expected, &tenant, &end);
    let parked = fleet.status()["parkedMessages"].clone();
    assert_eq!(parked, 0);
}

#[test]
fn the_dirt_of_real_data_goes_the_same_way() {
    let expected = Expected::generated(150, 5);
    let tenant = expected.tenant(&[]);
    let fleet = Fleet::new(&tenant);
    let _services = (fleet.coordinator(), fleet.workers(2));
    let rehearsed =
        fleet.site.run(&["rehearse", "--datafile", expected.datafile(), "--json"]).expect(&[0, 3]);
    assert_eq!(rehearsed.json_lines(), expected.plans, "the same plans as embedded");
    assert!(tenant.journal().is_empty(), "a rehearsal writes nothing");
    let end = fleet.migrate(&expected).json();
    let mut verdict = expected.check(&tenant, &fleet.site, &end);
    expected.check_pre_images(&fleet.site, &mut verdict);
    // Dirt is set aside on purpose; what was planned for those is in the report.
    verdict.stuck.retain(|finding| finding.contains(" planned, "));
    verdict.must_be_clean();
}

#[test]
fn an_extractor_sends_and_an_operator_elsewhere_migrates() {
    let expected = Expected::dense(60);
    let tenant = expected.tenant(&[]);
    let mut fleet = Fleet::new(&tenant);
    let _services = (fleet.coordinator(), fleet.workers(1));
    // The extractor's machine reaches neither the ledger nor Graph.
    let ledger = fleet.ledger.clone();
    fleet.site.unset("MFA_MIGRATE_LEDGER");
    fleet.site.env("MFA_MIGRATE_GRAPH_URL", "http://127.0.0.1:9");
    let extract = ["serve", "extractor", "--datafile", expected.datafile(), "--json"];
    let sent = fleet.site.run(&extract).expect(&[0]).json();
    assert_eq!(sent["accepted"], 60);
    // Sent twice, filed once.
    assert_eq!(fleet.site.run(&extract).expect(&[0]).json()["id"], sent["id"]);
    fleet.ledger_by(&ledger);
    fleet.site.env("MFA_MIGRATE_GRAPH_URL", &tenant.url);
    // Filing goes on when the extractor has ended; until then there is nothing to select.
    let mut end = None;
    let is_filed = until(SOON, || {
        let outcome = fleet.site.run(&["migrate", "--json"]);
        let is_done = matches!(outcome.code, Some(0 | 3));
        end = is_done.then(|| outcome.json());
        is_done
    });
    assert!(is_filed, "{}", fleet.said());
    fleet.must_be_clean(&expected, &tenant, &end.unwrap());
}

#[test]
fn a_run_goes_on_without_its_operator_and_is_followed_again() {
    let expected = Expected::dense(120);
    let tenant = expected.tenant(&SLOW);
    let fleet = Fleet::new(&tenant);
    let _services = (fleet.coordinator(), fleet.workers(2));
    let killed = fleet.start_migrate(&expected);
    assert!(until(SOON, || !tenant.journal().is_empty()), "{}", fleet.said());
    drop(killed.kill());
    let seen = tenant.journal().len();
    assert!(
        until(SOON, || tenant.journal().len() > seen + 20),
        "it stopped with its operator\n{}",
        fleet.said()
    );
    let interrupted = fleet.start_migrate(&expected);
    assert!(until(SOON, || tenant.journal().len() > seen + 40), "{}", fleet.said());
    interrupted.terminate();
    interrupted.wait().expect(&[4, 0]);
    let end = fleet.migrate(&expected).json();
    fleet.must_be_clean(&expected, &tenant, &end);
}

#[test]
fn services_that_are_asked_to_stop_hand_back_what_they_hold() {
    let expected = Expected::dense(120);
    let tenant = expected.tenant(&SLOW);
    let fleet = Fleet::new(&tenant);
    let (coordinator, mut workers) = (fleet.coordinator(), fleet.workers(2));
    let following = fleet.start_migrate(&expected);
    assert!(until(SOON, || tenant.journal().len() > 10), "{}", fleet.said());
    for worker in workers.drain(..) {
        worker.signal("TERM");
        let said = worker.said();
        assert!(matches!(worker.end().code(), Some(0 | 4)), "{said}");
    }
    let entries = fleet.status()["entries"].clone();
    assert!(entries["waiting"].as_u64() > Some(0), "it had ended already: {entries}");
    assert_eq!(entries["claimed"], 0, "what was in flight was brought to an end or handed back");
    let status = coordinator.stop();
    assert!(matches!(status.code(), Some(0 | 4)), "{status}");
    let _services = (fleet.coordinator(), fleet.workers(1));
    let end = fleet.end_of(following).json();
    fleet.must_be_clean(&expected, &tenant, &end);
}

#[test]
fn a_second_signal_stops_at_once() {
    let expected = Expected::dense(40);
    let tenant = expected.tenant(&["--latency-ms", "400"]);
    let fleet = Fleet::new(&tenant);
    let (coordinator, mut workers) = (fleet.coordinator(), fleet.workers(1));
    let following = fleet.start_migrate(&expected);
    assert!(until(SOON, || tenant.stats()["writes"].as_u64() > Some(0)), "{}", fleet.said());
    for service in workers.drain(..).chain([coordinator]) {
        service.signal("TERM");
        service.signal("TERM");
        let said = service.said();
        assert!(matches!(service.end().code(), Some(0 | 4)), "{said}");
    }
    let _services = (fleet.coordinator(), fleet.workers(2));
    let end = fleet.end_of(following).json();
    fleet.must_be_clean(&expected, &tenant, &end);
}

#[test]
fn a_second_coordinator_takes_over_from_a_dead_one() {
    let expected = Expected::dense(120);
    let tenant = expected.tenant(&SLOW);
    let fleet = Fleet::new(&tenant);
    let first = fleet.coordinator();
    assert!(until(SOON, || first.said().contains("leads")), "{}", fleet.said());
    let second = fleet.coordinator();
    let _workers = fleet.workers(2);
    let following = fleet.start_migrate(&expected);
    assert!(until(SOON, || tenant.journal().len() > 5), "{}", fleet.said());
    assert!(first.kill());
    let end = fleet.end_of(following).json();
    fleet.must_be_clean(&expected, &tenant, &end);
    assert!(matches!(second.stop().code(), Some(0 | 4)));
}

#[test]
fn workers_go_on_while_no_coordinator_lives() {
    let expected = Expected::dense(120);
    // No throttle: whom a long hold sends back to the ledger waits for the coordinator, by design.
    let tenant = expected.tenant(&["--latency-ms", "150"]);
    let fleet = Fleet::new(&tenant);
    let coordinator = fleet.coordinator();
    let _workers = fleet.workers(2);
    let following = fleet.start_migrate(&expected);
    assert!(until(SOON, || !tenant.journal().is_empty()), "{}", fleet.said());
    assert!(coordinator.kill());
    // What was released is done without it.
    let settled = || fleet.status()["entries"]["applied"].as_u64().unwrap_or(0);
    assert!(until(SOON, || settled() >= 100), "{} {}", fleet.status(), fleet.said());
    let _coordinator = fleet.coordinator();
    let end = fleet.end_of(following).json();
    fleet.must_be_clean(&expected, &tenant, &end);
}

#[test]
fn a_worker_comes_and_goes_every_few_seconds() {
    let expected = Expected::dense(200);
    let tenant = expected.tenant(&SLOW);
    let fleet = Fleet::new(&tenant);
    let _coordinator = fleet.coordinator();
    let mut following = fleet.start_migrate(&expected);
    let mut workers = fleet.workers(1);
    let started = Instant::now();
    while !following.has_ended() {
        assert!(started.elapsed() < STUCK_AFTER, "stuck:\n{}\n{}", fleet.status_text(), fleet.said());
        workers.extend(fleet.workers(1));
        let seen = tenant.journal().len();
        // A few seconds' worth of effects, or the end.
        until(Duration::from_secs(4), || following.has_ended() || tenant.journal().len() > seen + 60);
        let left = workers.remove(0);
        assert!(matches!(left.stop().code(), Some(0 | 4)));
    }
    let end = fleet.end_of(following).json();
    fleet.must_be_clean(&expected, &tenant, &end);
}
