//! With faults on, each kind alone and all together: every user settled, the tenant exactly as planned, no effect
//! twice, no retry before its time.

use harness::{Expected, Site};

/// Migrates a tenant with these flags, and checks it. Answers the tenant's counts.
fn migrate(expected: &Expected, flags: &[&str]) -> serde_json::Value {
    let tenant = expected.tenant(flags);
    let site = Site::new(&tenant);
    let end = site.run(&["migrate", "--datafile", expected.datafile(), "--json"]).expect(&[0, 3]).json();
    expected.check(&tenant, &site, &end).must_be_clean();
    let stats = tenant.stats();
    assert!(
        flags.contains(&"--throttle") || stats["errorsInjected"].as_u64() > Some(0),
        "nothing went wrong: {stats}"
    );
    stats
}

/// Both kinds of data: dirty ones, and ones that are dense in writes.
fn migrate_both(faults: &str) {
    migrate(&Expected::generated(150, 11), &["--faults", faults]);
    migrate(&Expected::dense(100), &["--faults", faults]);
}

#[test]
fn errors_of_the_server() {
    migrate_both("error-rate=0.05,seed=1");
}

#[test]
fn time_outs_of_writes_that_were_applied() {
    migrate_both("timeout-but-applied=0.1,seed=2");
}

#[test]
fn writes_that_land_after_their_time_out() {
    migrate_both("late-apply-ms=700,late-apply-rate=0.1,seed=3");
    migrate(&Expected::dense(40), &["--faults", "late-apply-ms=1500,seed=3"]);
}

#[test]
fn conflicts_over_writes_that_were_applied() {
    migrate_both("conflict-but-applied=0.1,seed=4");
}

#[test]
fn writes_that_reads_do_not_show_yet() {
    let faults = ["--faults", "not-yet-visible-ms=2000,error-rate=0.05,timeout-but-applied=0.05,seed=5"];
    migrate(&Expected::generated(100, 12), &faults);
    migrate(&Expected::dense(60), &faults);
}

#[test]
fn connections_that_break() {
    migrate_both("drop-connection=0.02,seed=6");
}

#[test]
fn a_throttle_is_waited_out() {
    let stats = migrate(&Expected::dense(120), &["--throttle", "writes=20/1"]);
    assert!(stats["throttled"].as_u64() > Some(0), "the throttle was never felt: {stats}");
}

#[test]
fn a_throttle_with_fractional_waits_is_waited_out() {
    let faults = ["--throttle", "writes=20/1", "--faults", "retry-after-fractional,error-rate=0.02,seed=7"];
    migrate(&Expected::dense(120), &faults);
}

#[test]
fn a_throttle_that_names_no_wait_is_survived() {
    let faults = ["--throttle", "writes=20/1", "--faults", "retry-after-missing,error-rate=0.02,seed=8"];
    migrate(&Expected::dense(80), &faults);
}

#[test]
fn all_faults_together_at_one_percent() {
    let faults = "error-rate=0.01,timeout-but-applied=0.01,late-apply-ms=500,late-apply-rate=0.01,\
                  conflict-but-applied=0.01,not-yet-visible-ms=1000,drop-connection=0.01,retry-after-fractional,\
                  auto-default,seed=9";
    migrate(&Expected::generated(2000, 13), &["--faults", faults, "--throttle", "writes=100/2"]);
}

#[test]
fn the_checker_sees_what_is_missing() {
    let expected = Expected::dense(20);
    let tenant = expected.tenant(&[]);
    let site = Site::new(&tenant);
    let end = site.run(&["migrate", "--datafile", expected.datafile(), "--json"]).expect(&[0, 3]).json();
    let mut verdict = expected.check(&tenant, &site, &end);
    expected.check_pre_images(&site, &mut verdict);
    verdict.must_be_clean();
    // The ledger's word alone is not believed: in a tenant that nobody has touched all of it is missing.
    let untouched = expected.tenant(&[]);
    assert_eq!(expected.check(&untouched, &site, &end).lost.len(), expected.changes());
}
