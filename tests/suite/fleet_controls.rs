//! What an operator says of a batch while several workers are at it: pause, limit, approve, abort; and what a worker says
//! itself when it cannot go on.
//!
//! Bounds are of correctness and generous; times are the tenant's own, from its journal, never ours.

use harness::{Company, Expected, Fleet, Recorder, journal, until};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

/// How long something may take that is about to happen.
const SOON: Duration = Duration::from_secs(90);
/// Users of the company, a fifth of them in the batch.
const USERS: u32 = 900;
/// A window in which a limit of writes is looked at.
const WINDOW_MS: i64 = 10_000;
/// What may come at once beside a limit: a bundle that was paid for before the window, and one that is not whole yet.
const BUNDLES: usize = 40;

/// Company, batch `de`, and a fleet of a coordinator and some workers.
fn with_batch(settings: &[&str]) -> (Company, Fleet) {
    let company = Company::of(USERS, &[]);
    let fleet = Fleet::new(&company.tenant);
    let coordinator = fleet.coordinator();
    let made = company.make(&fleet, "de", "DE", settings);
    assert_eq!(made["users"], company.before.of_region("DE").len());
    drop(coordinator);
    (company, fleet)
}

/// The batch's last run, as `batch show` tells it.
fn last(fleet: &Fleet) -> Value {
    fleet.shown("de")["last"].clone()
}

/// The newest event of this kind.
fn event(fleet: &Fleet, what: &str) -> Value {
    let shown = fleet.shown("de");
    let found = shown["events"].as_array().unwrap().iter().find(|event| event["what"] == what);
    found.unwrap_or_else(|| panic!("no {what} in {shown}")).clone()
}

/// Users of the batch to whom something was written.
fn written_to(company: &Company) -> usize {
    let lines = company.journal_of("DE", 0);
    lines.iter().map(|line| line["user"].to_string()).collect::<BTreeSet<_>>().len()
}

/// Waits until the tenant's clock is so much later.
fn let_pass(company: &Company, ms: u64) {
    let uptime = || company.tenant.stats()["uptimeMs"].as_u64().unwrap();
    let begun = uptime();
    assert!(until(SOON, || uptime() > begun + ms));
}

#[test]
fn after_a_pause_nothing_is_written_until_somebody_lets_it_go_on() {
    let (company, fleet) = with_batch(&["--max-rate", "20"]);
    let _services = (fleet.coordinator(), fleet.workers(4));
    let following = fleet.site.start(&["migrate", "--batch", "de", "--json"]);
    assert!(until(SOON, || company.journal_of("DE", 0).len() >= 30), "{}", fleet.said());
    fleet.site.run(&["batch", "pause", "de", "--why", "service desk is full"]).expect(&[0]);
    let paused_ms = company.clock_ms();
    let paused = following.wait().expect(&[4]);
    assert!(paused.err.contains("service desk is full"), "{}", paused.err);
    // Time for two hundred writes.
    let_pass(&company, 10_000);
    assert!(fleet.counted("de", &["waiting"]) > 0, "it was stopped in the middle: {}", last(&fleet));
    assert_eq!(fleet.counted("de", &["claimed"]), 0, "what was in hand went back");
    let resumed_ms = company.clock_ms();
    fleet.site.run(&["batch", "resume", "de", "--why", "desk is free"]).expect(&[0]);
    let end = fleet.end_of(fleet.site.start(&["migrate", "--batch", "de", "--json"])).json();
    assert_eq!(harness::entries_of(&end) as usize, company.before.of_region("DE").len(), "{end}");

    let lines = company.journal_of("DE", 0);
    let writes = journal::writes_at_ms(&lines);
    let meanwhile = |at: &&i64| paused_ms + 2_000 < **at && **at < resumed_ms;
    assert_eq!(
        writes.iter().filter(meanwhile).count(),
        0,
        "written between {paused_ms} and {resumed_ms}: {lines:#?}"
    );
    assert!(writes.iter().any(|at| *at >= resumed_ms), "the rest came after the resumption");
    assert_eq!(journal::repeated(&lines), [""; 0]);
    for (what, why) in [("paused", "service desk is full"), ("resumed", "desk is free")] {
        let event = event(&fleet, what);
        assert_eq!((&event["why"], &event["run"]), (&json!(why), &last(&fleet)["run"]), "{event}");
        assert!(event["by"].as_str().unwrap().contains('@'), "who: {event}");
        assert!(journal::at_ms(&event) > paused_ms - 60_000, "when: {event}");
    }
}

#[test]
fn a_limit_of_writes_is_obeyed_by_all_workers_and_raised_while_they_work() {
    const LIMIT: usize = 5;
    let (company, fleet) = with_batch(&[]);
    fleet.set("de", &format!("max-rate={LIMIT}"));
    let _services = (fleet.coordinator(), fleet.workers(3));
    let following = fleet.site.start(&["migrate", "--batch", "de", "--json"]);
    assert!(until(SOON, || !company.journal_of("DE", 0).is_empty()), "{}", fleet.said());
    // Time in which everything would be written if nobody heard of it.
    let_pass(&company, 12_000);
    let raised_ms = company.clock_ms();
    fleet.set("de", "max-rate=1000");
    fleet.end_of(following);
    let writes = journal::writes_at_ms(&company.journal_of("DE", 0));
    let (before, after): (Vec<i64>, Vec<i64>) = writes.iter().partition(|at| **at < raised_ms);
    let most = LIMIT * WINDOW_MS as usize / 1_000 + BUNDLES;
    assert!(journal::most_within(&before, WINDOW_MS) <= most, "{before:?}");
    assert!(journal::most_within(&after, WINDOW_MS) > most, "it was not raised: {after:?}");
}

#[test]
fn the_limit_of_a_run_that_stands_holds_nobody_else() {
    const LIMIT: usize = 4;
    let (company, fleet) = with_batch(&[]);
    let _services = (fleet.coordinator(), fleet.workers(2));
    company.make(&fleet, "nl", "NL", &["--max-rate", &LIMIT.to_string()]);
    let slow = fleet.site.start(&["migrate", "--batch", "nl", "--json"]);
    assert!(until(SOON, || !company.journal_of("NL", 0).is_empty()), "{}", fleet.said());
    fleet.site.run(&["batch", "pause", "nl"]).expect(&[0]);
    slow.wait().expect(&[4]);
    fleet.end_of(fleet.site.start(&["migrate", "--batch", "de", "--json"]));
    let writes = journal::writes_at_ms(&company.journal_of("DE", 0));
    let most = LIMIT * WINDOW_MS as usize / 1_000 + BUNDLES;
    assert!(journal::most_within(&writes, WINDOW_MS) > most, "as slow as the other batch: {writes:?}");
}

#[test]
fn each_step_waits_for_a_person_and_after_an_abort_the_same_command_begins_with_what_is_left() {
    let (company, fleet) = with_batch(&["--canary", "40,60%,100%", "--approve"]);
    let _services = (fleet.coordinator(), fleet.workers(3));
    let migrate = ["migrate", "--batch", "de", "--json"];
    let stopped = fleet.site.start(&migrate).wait().expect(&[4]);
    assert!(stopped.err.contains("a person lets the next one begin"), "{}", stopped.err);
    let step = last(&fleet);
    let ends: Vec<usize> =
        step["steps"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap() as usize).collect();
    assert_eq!((&step["step"], ends[0]), (&json!(1), 40), "{step}");
    let first = written_to(&company);
    assert!(0 < first && first <= ends[0], "{first} users were written to in a step of {}", ends[0]);
    let lines = company.tenant.journal().len();
    let_pass(&company, 3_000);
    assert_eq!(company.tenant.journal().len(), lines, "nobody has said go");

    // The services go on with the second step, and nobody follows.
    let said = fleet.site.run(&["batch", "resume", "de", "--why", "looks well"]).expect(&[0]);
    assert!(said.out.contains("step 2 of 3 begins"), "{}", said.out);
    let stands_at = |step: u64| {
        let last = last(&fleet);
        last["step"] == step && last["halted"].is_string()
    };
    assert!(until(SOON, || stands_at(2)), "{}\n{}", last(&fleet), fleet.said());
    let second = written_to(&company);
    assert!(
        first < second && second <= ends[1],
        "{second} users were written to by the end of the second step"
    );
    assert_eq!(event(&fleet, "resumed")["why"], "looks well");

    fleet.site.run(&["batch", "abort", "de", "--why", "enough"]).expect(&[0]);
    let ended = last(&fleet);
    assert_eq!((&ended["state"], &event(&fleet, "aborted")["why"]), (&json!("superseded"), &json!("enough")));
    // Anew: the first steps find everything done, which proves nothing, so that each asks a person; the last one does not.
    for step in 1..=2 {
        let stopped = fleet.site.start(&migrate).wait().expect(&[4]);
        assert!(stopped.err.contains("batch resume de"), "it says what to do: {}", stopped.err);
        assert_eq!(last(&fleet)["step"], step, "{}", stopped.err);
        assert_eq!(written_to(&company), second, "what is settled stays");
        fleet.site.run(&["batch", "resume", "de"]).expect(&[0]);
    }
    let end = fleet.end_of(fleet.site.start(&migrate)).json();
    assert_ne!(end["run"], ended["run"], "{end}");
    assert!(written_to(&company) > second);
    assert_eq!(journal::repeated(&company.tenant.journal()), [""; 0]);
}

#[test]
fn the_next_step_begins_after_its_wait_and_a_resumption_within_it_is_no_word_to_begin() {
    let (company, fleet) = with_batch(&["--canary", "40,100%", "--wait", "10m"]);
    let _services = (fleet.coordinator(), fleet.workers(2));
    let migrate = ["migrate", "--batch", "de", "--json"];
    let following = fleet.site.start(&migrate);
    let waits = || last(&fleet)["waits"].as_str().is_some_and(|why| why.contains("the next one begins in"));
    assert!(until(SOON, waits), "{}\n{}", last(&fleet), fleet.said());
    fleet.site.run(&["batch", "pause", "de", "--why", "lunch"]).expect(&[0]);
    following.wait().expect(&[4]);
    let resumed = fleet.site.run(&["batch", "resume", "de"]).expect(&[0]);
    assert!(!resumed.out.contains("begins"), "{}", resumed.out);
    assert!(until(SOON, waits), "{}\n{}", last(&fleet), fleet.said());
    assert_eq!(last(&fleet)["step"], 1, "the step is judged and waited for as if nobody had paused");
    let first = company.journal_of("DE", 0);
    fleet.set("de", "wait=5s");
    fleet.end_of(fleet.site.start(&migrate));
    assert!(event(&fleet, "step")["why"].as_str().unwrap().contains("step 1 of 2 is done"));
    let second = journal::writes_at_ms(&company.journal_of("DE", 0)[first.len()..]);
    let wait_ms = second[0] - journal::writes_at_ms(&first).last().unwrap();
    assert!(wait_ms >= 5_000, "the second step began {wait_ms} ms after the first one's last write");
}

#[test]
fn a_run_that_a_worker_halts_is_on_record_with_who_and_why_and_goes_on_once_that_is_mended() {
    let expected = Expected::dense(40);
    let tenant = expected.tenant(&[]);
    // The application may read and not write.
    let forbidding = Recorder::swapping(
        &tenant.url,
        &[("\"status\":201", "\"status\":403"), ("\"status\":204", "\"status\":403")],
    );
    let mut fleet = Fleet::new(&tenant);
    let _coordinator = fleet.coordinator();
    fleet.site.env("MFA_MIGRATE_GRAPH_URL", &forbidding.url);
    let worker = fleet.serve("worker", &[]);
    fleet.site.env("MFA_MIGRATE_GRAPH_URL", &tenant.url);
    let halted = fleet.start_migrate(&expected).wait().expect(&[1]);
    // An answer that comes in two pieces may slip through as it is: then the permission counts as taken away later.
    assert!(halted.err.contains("permission"), "{}", halted.err);
    let shown = fleet.shown("all");
    let (event, name) = (&shown["events"][0], format!("-{}", worker.id()));
    assert_eq!(event["what"], "halted", "{shown}");
    assert!(event["by"].as_str().unwrap().ends_with(&name), "who: {event}");
    assert!(event["why"].as_str().unwrap().contains("permission"), "why: {event}");
    worker.stop();
    let _workers = fleet.workers(2);
    fleet.site.run(&["batch", "resume", "all", "--why", "consent was given"]).expect(&[0]);
    let end = fleet.migrate(&expected).json();
    expected.check(&tenant, &fleet.site, &end).must_be_clean();
}
