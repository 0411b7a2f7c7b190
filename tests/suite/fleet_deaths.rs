//! `kill -9` of coordinator, worker and extractor at every named point, one after the other on one ledger and one virtual
//! host, so that a death also meets what an earlier one has left behind.

use harness::{Expected, Fleet, Service, Tenant};
use std::os::unix::process::ExitStatusExt;
use telemetry::CRASH_POINTS;

/// Where a coordinator dies, each death in a process of its own; numbers are of passages.
const COORDINATOR: &[(&str, u32)] = &[
    ("intake.page-filed", 1),
    ("intake.page-filed", 2),
    ("intake.before-complete", 1),
    ("intake.completed", 1),
    // The page after that of the first death: the directory is read on where it stopped.
    ("directory.page-filed", 1),
    ("directory.page-filed", 1),
    ("match.before", 1),
    ("match.after", 1),
    ("release.page", 1),
    ("release.page", 2),
    ("run.before-done", 1),
    ("run.done", 1),
];

/// Where an extractor dies.
const EXTRACTOR: &[(&str, u32)] =
    &[("extract.page-sent", 1), ("extract.page-sent", 2), ("extract.before-end", 1), ("extract.end-sent", 1)];

/// Where a worker dies, in chains in which no user is hit too often.
const WORKER: &[&[(&str, u32)]] = &[
    &[
        ("worker.claimed", 1),
        ("worker.observed", 2),
        ("worker.planned", 1),
        ("worker.planned", 3),
        ("worker.finished", 1),
    ],
    &[("worker.intents-filed", 2), ("worker.phones-sent", 1), ("worker.tokens-created", 1)],
    &[("worker.tokens-activated", 1), ("worker.default-sent", 1), ("worker.before-finish", 2)],
];

#[test]
fn every_point_is_walked() {
    let walked: Vec<&str> = COORDINATOR
        .iter()
        .chain(EXTRACTOR)
        .chain(WORKER.iter().copied().flatten())
        .map(|(point, _)| *point)
        .collect();
    for point in CRASH_POINTS {
        assert!(walked.contains(point), "no test dies at {point}");
    }
    for point in walked {
        assert!(CRASH_POINTS.contains(&point), "{point} is no crash point");
    }
}

/// Waits for the death at a crash point.
#[track_caller]
fn must_have_died(service: Service, (point, passage): (&str, u32)) {
    let said = service.said();
    let status = service.end();
    assert_eq!(status.signal(), Some(6), "{point}:{passage} was not hit: {status} {said}");
}

#[test]
fn an_extractor_dies_at_every_point() {
    // More than two of its pages.
    let expected = Expected::generated(1100, 21);
    let tenant = expected.tenant(&[]);
    let fleet = Fleet::new(&tenant);
    let _services = (fleet.coordinator(), fleet.workers(2));
    for point in EXTRACTOR {
        must_have_died(fleet.serve_until("extractor", &["--datafile", expected.datafile()], *point), *point);
    }
    let end = fleet.migrate(&expected).json();
    expected.check(&tenant, &fleet.site, &end).must_be_clean();
}

#[test]
fn a_coordinator_dies_at_every_point() {
    // More than a page of the datafile (500) and of the directory (999).
    let expected = Expected::generated(1100, 22);
    let tenant = expected.tenant(&[]);
    let fleet = Fleet::new(&tenant);
    let _workers = fleet.workers(2);
    // It follows over every death.
    let following = fleet.start_migrate(&expected);
    for point in COORDINATOR {
        must_have_died(fleet.serve_until("coordinator", &[], *point), *point);
    }
    let _coordinator = fleet.coordinator();
    let end = fleet.end_of(following).json();
    expected.check(&tenant, &fleet.site, &end).must_be_clean();
}

fn a_worker_dies_at(points: &[(&str, u32)], flags: &[&str]) {
    let expected = Expected::dense(100);
    let tenant: Tenant = expected.tenant(flags);
    let fleet = Fleet::new(&tenant);
    let _coordinator = fleet.coordinator();
    let following = fleet.start_migrate(&expected);
    for point in points {
        must_have_died(fleet.serve_until("worker", &[], *point), *point);
    }
    let _workers = fleet.workers(2);
    let end = fleet.end_of(following).json();
    fleet.must_be_clean(&expected, &tenant, &end);
}

#[test]
fn a_worker_dies_around_its_claims() {
    a_worker_dies_at(WORKER[0], &[]);
}

#[test]
fn a_worker_dies_between_intents_and_tokens() {
    a_worker_dies_at(WORKER[1], &["--faults", harness::FAULTS]);
}

#[test]
fn a_worker_dies_between_tokens_and_the_record_of_it() {
    a_worker_dies_at(WORKER[2], &["--faults", harness::FAULTS]);
}

#[test]
fn anybody_dies_at_any_moment() {
    let sweep = harness::sweep_fleet(8, 1);
    assert!(sweep.is_clean(), "{sweep:#?}");
}
