//! `kill -9` at every named point and at random moments, then the same command again: the same end state, no
//! pre-image lost or overwritten, no effect twice.
//!
//! Crashes come in chains on one ledger, so that a crash also meets what an earlier one has left behind.

use harness::{Expected, Outcome, Site, Tenant};
use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};
use telemetry::CRASH_POINTS;

/// Before the writes of those who are released with it. The numbers are of passages.
const PREPARING: &[(&str, u32)] = &[
    ("extract.page-sent", 1),
    ("extract.page-sent", 2),
    ("extract.before-end", 1),
    ("extract.end-sent", 1),
    ("intake.page-filed", 1),
    ("intake.page-filed", 2),
    ("intake.before-complete", 1),
    ("intake.completed", 1),
    // The page after that of the first crash: the directory is read on where it stopped.
    ("directory.page-filed", 1),
    ("directory.page-filed", 1),
    ("match.before", 1),
    ("match.after", 1),
    ("release.page", 1),
    ("release.page", 2),
];

/// Around the first writes of a group and of a later one, in chains in which no user is hit too often.
const WRITING: &[&[(&str, u32)]] = &[
    &[
        ("worker.claimed", 1),
        ("worker.claimed", 3),
        ("worker.observed", 1),
        ("worker.observed", 3),
        ("worker.planned", 1),
        ("worker.planned", 3),
        ("worker.intents-filed", 1),
        ("worker.phones-sent", 2),
        ("worker.finished", 1),
        ("run.before-done", 1),
        ("run.done", 1),
    ],
    &[("worker.intents-filed", 3), ("worker.phones-sent", 1), ("worker.tokens-created", 1)],
    &[("worker.tokens-created", 2), ("worker.tokens-activated", 1), ("worker.default-sent", 2)],
    &[("worker.tokens-activated", 2), ("worker.default-sent", 1), ("worker.finished", 2)],
    &[("worker.before-finish", 1), ("worker.before-finish", 3)],
];

/// A tenant, and a site whose horizon is short: nothing here is slow, so nothing has to be waited for long.
fn beside(expected: &Expected) -> (Tenant, Site) {
    let tenant = expected.tenant(&[]);
    let site = Site::new(&tenant);
    site.configure(
        "[graph]\nrequest_timeout_s = 2\nvisibility_deadline_s = 1\nclock_skew_s = 1\n[worker]\nlease_s = 20\n",
    );
    (tenant, site)
}

fn migrate(expected: &Expected, site: &Site) -> Outcome {
    site.run(&["migrate", "--datafile", expected.datafile(), "--json"])
}

/// Dies at a point; the test fails if the process ended in another way.
#[track_caller]
fn crash(expected: &Expected, site: &mut Site, (point, passage): (&str, u32)) {
    site.env("MFA_MIGRATE_CRASH_AT", &format!("{point}:{passage}"));
    let running = site.start(&["migrate", "--datafile", expected.datafile(), "--json"]);
    let (status, outcome) = running.wait_status();
    site.unset("MFA_MIGRATE_CRASH_AT");
    assert_eq!(status.signal(), Some(6), "{point}:{passage} was not hit: {outcome:?}");
}

/// Crashes at each of these points in turn, then lets the run end, and checks everything.
fn crash_at(expected: &Expected, points: &[(&str, u32)]) {
    let (tenant, mut site) = beside(expected);
    for point in points {
        crash(expected, &mut site, *point);
    }
    let end = migrate(expected, &site).expect(&[0, 3]).json();
    let mut verdict = expected.check(&tenant, &site, &end);
    if points.iter().any(|(point, _)| point.starts_with("worker.")) {
        expected.check_pre_images(&site, &mut verdict);
    }
    assert!(verdict.is_clean(), "after {points:?}: {verdict:#?}");
}

#[test]
fn every_point_is_walked() {
    let walked: Vec<&str> =
        PREPARING.iter().chain(WRITING.iter().copied().flatten()).map(|(p, _)| *p).collect();
    for point in CRASH_POINTS {
        assert!(walked.contains(point), "no test dies at {point}");
    }
    for point in walked {
        assert!(CRASH_POINTS.contains(&point), "{point} is no crash point");
    }
}

#[test]
fn dying_before_any_write() {
    // More than a page of the datafile (500) and of the directory (999).
    crash_at(&Expected::generated(1100, 21), PREPARING);
}

#[test]
fn dying_around_the_claim_and_the_end() {
    crash_at(&Expected::dense(120), WRITING[0]);
}

#[test]
fn dying_between_intents_and_tokens() {
    crash_at(&Expected::dense(80), WRITING[1]);
}

#[test]
fn dying_between_tokens_and_defaults() {
    crash_at(&Expected::dense(80), WRITING[2]);
}

#[test]
fn dying_between_defaults_and_the_record_of_it() {
    crash_at(&Expected::dense(80), WRITING[3]);
}

#[test]
fn dying_before_anything_is_settled() {
    crash_at(&Expected::dense(80), WRITING[4]);
}

#[test]
fn killed_at_random_moments() {
    let sweep = harness::sweep(8, 1);
    assert!(sweep.is_clean(), "{sweep:#?}");
}

#[test]
fn a_graceful_stop_ends_with_four_and_the_same_command_goes_on() {
    let expected = Expected::dense(120);
    let tenant = expected.tenant(&["--throttle", "writes=20/3"]);
    let site = Site::new(&tenant);
    let running = site.start(&["migrate", "--datafile", expected.datafile(), "--json"]);
    wait_for_effects(&tenant, 10);
    running.terminate();
    let stopped = running.wait().expect(&[4]);
    let entries = stopped.json()["entries"].clone();
    assert!(entries["waiting"].as_u64() > Some(0), "it had ended already: {entries}");
    assert_eq!(entries["claimed"], 0, "what was in flight was brought to an end or handed back");
    let end = migrate(&expected, &site).expect(&[0, 3]).json();
    let mut verdict = expected.check(&tenant, &site, &end);
    expected.check_pre_images(&site, &mut verdict);
    verdict.must_be_clean();
}

#[test]
fn a_second_writer_is_refused_and_looking_is_not() {
    let expected = Expected::dense(80);
    let tenant = expected.tenant(&["--throttle", "writes=20/3"]);
    let site = Site::new(&tenant);
    let running = site.start(&["migrate", "--datafile", expected.datafile(), "--json"]);
    wait_for_effects(&tenant, 10);
    let before = tenant.journal().len();
    let refused = migrate(&expected, &site).expect(&[2]);
    assert!(refused.err.contains("another mfa-migrate"), "{}", refused.err);
    assert!(refused.err.contains("status"), "what to run next: {}", refused.err);
    let status = site.run(&["status", "--json"]).expect(&[0]).json();
    assert!(status["entries"].is_object(), "{status}");
    site.run(&["show", "user0000@contoso.example"]).expect(&[0]);
    site.run(&["report", "--format", "json"]).expect(&[0, 3]).json();
    drop(running.kill());
    assert!(tenant.journal().len() >= before);
    let end = migrate(&expected, &site).expect(&[0, 3]).json();
    expected.check(&tenant, &site, &end).must_be_clean();
}

/// Until the tenant's journal has so many lines.
fn wait_for_effects(tenant: &Tenant, lines: usize) {
    let started = Instant::now();
    while tenant.journal().len() < lines {
        assert!(started.elapsed() < Duration::from_secs(60), "nothing was written");
        #[expect(
            clippy::disallowed_methods,
            reason = "the journal is a file, and there is no runtime to block"
        )]
        std::thread::sleep(Duration::from_millis(10));
    }
}
