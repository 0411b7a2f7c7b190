//! What a collector gets: the names of the table, the way from the extractor's span to the worker's, and no word about
//! anybody; and that a collector which is away, or never answers, changes nothing.

use crate::leaks::{BEARER, Secrets, add_pins};
use harness::collector::{Collector, Mute, Point, Span, nobody};
use harness::{Expected, Fleet, Outcome, Site, until};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;
use telemetry::{Kind, NAMES};

const CLIENT: i32 = 3;
const CONSUMER: i32 = 5;

fn migrate(expected: &Expected, flags: &[&str], collector: &str) -> Outcome {
    let tenant = expected.tenant(flags);
    let mut site = Site::new(&tenant);
    site.env("MFA_MIGRATE_GRAPH_TOKEN", BEARER);
    site.env("OTEL_EXPORTER_OTLP_ENDPOINT", collector);
    let outcome = site.run(&["migrate", "--datafile", expected.datafile(), "--json", "--log", "trace"]);
    outcome.expect(&[0, 3])
}

/// The traces that a trace's spans link to.
fn linked(spans: &[Span], of: &Span) -> Vec<Span> {
    let is_linked = |s: &&Span| of.links.iter().any(|(trace, id)| *trace == s.trace && *id == s.id);
    spans.iter().filter(is_linked).cloned().collect()
}

fn named<'a>(spans: &'a [Span], name: &str) -> Vec<&'a Span> {
    spans.iter().filter(|s| s.name == name).collect()
}

fn sum(points: &[Point], metric: &str, label: Option<(&str, &str)>) -> f64 {
    let fits = |p: &&Point| {
        p.metric == metric
            && label.is_none_or(|(name, value)| p.attributes.get(name).is_some_and(|v| v == value))
    };
    points.iter().filter(fits).map(|p| p.value).sum()
}

#[test]
fn a_migration_is_told_by_the_names_of_the_table_and_tells_of_nobody() {
    let expected = Expected::dense(60);
    add_pins(Path::new(expected.datafile()));
    let secrets = Secrets::of(&expected);
    let collector = Collector::start();
    let outcome = migrate(&expected, &[], &collector.url);
    let (spans, points) = (collector.spans(), collector.points());

    // The worker's groups lead back to the extractor's publishing, and to the page of orders that they came from.
    let whole = named(&spans, "extract");
    assert_eq!(whole.len(), 1, "{spans:?}");
    let groups = named(&spans, "process work");
    assert!(groups.len() >= 3, "60 users in groups of at most 20: {groups:?}");
    for group in &groups {
        assert_eq!(group.kind, CONSUMER);
        assert!(
            group.parent.is_empty() && group.trace != whole[0].trace,
            "a consumer begins a trace of its own"
        );
        let makers = linked(&spans, group);
        assert!(makers.iter().any(|s| s.id == whole[0].id), "{group:?} does not lead to the extractor");
        assert!(makers.iter().any(|s| s.name == "publish work"), "{group:?} does not lead to its orders");
        assert!(
            spans.iter().any(|s| s.parent == group.id && s.name.starts_with("POST ")),
            "{group:?} sent nothing"
        );
    }
    for page in named(&spans, "publish snapshot") {
        assert_eq!(page.parent, whole[0].id);
    }
    for page in named(&spans, "process snapshot") {
        assert!(linked(&spans, page).iter().any(|s| s.trace == whole[0].trace), "{page:?}");
    }

    names_are_of_the_table(&points);
    let told: BTreeSet<&str> = points.iter().map(|p| p.metric.as_str()).collect();
    // Nothing was parked here and no lease ran out.
    let quiet = ["mfa_migrate.messages.parked", "mfa_migrate.leases.expired"];
    for name in NAMES.iter().filter(|n| !quiet.contains(&n.name)) {
        assert!(told.contains(name.name), "{} is not told", name.name);
    }
    counts_agree(&points, &outcome);

    secrets.must_not_be_in_text(&collector.text(), "what was exported");
    secrets.must_not_be_in_bytes(&collector.raw(), "what was exported");
    secrets.must_not_be_in_text(&outcome.err, "the log beside the export");
}

#[test]
fn a_trace_leads_from_the_extractor_over_both_queues_of_the_broker_to_graph() {
    let expected = Expected::dense(60);
    let tenant = expected.tenant(&[]);
    let collector = Collector::start();
    let mut fleet = Fleet::new(&tenant);
    fleet.site.env("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url);
    let (coordinator, worker) = (fleet.coordinator(), fleet.workers(1));
    let extractor = fleet.serve("extractor", &["--datafile", expected.datafile()]);
    assert_eq!(extractor.end().code(), Some(0), "{}", fleet.said());
    // With no datafile of its own, so that nobody else sends it: at first nothing is on file.
    let mut code = None;
    let is_moved = || {
        code = fleet.site.run(&["migrate", "--json"]).code;
        code != Some(2)
    };
    assert!(until(Duration::from_secs(90), is_moved), "{}", fleet.said());
    assert!(matches!(code, Some(0 | 3)), "{code:?}\n{}", fleet.said());
    // What is left is sent at the end.
    for service in worker.into_iter().chain([coordinator]) {
        assert_eq!(service.stop().code(), Some(0), "{}", fleet.said());
    }
    let spans = collector.spans();
    let of = |service: &str, kind: i32, queue: &str| -> Vec<&Span> {
        let fits = |s: &&Span| {
            s.service == format!("mfa-migrate-{service}") && s.kind == kind && s.name.ends_with(queue)
        };
        spans.iter().filter(fits).collect()
    };
    let whole = named(&spans, "extract");
    assert_eq!(whole.len(), 1, "{spans:?}");
    assert_eq!(whole[0].service, "mfa-migrate-extractor");
    let filed = of("coordinator", CONSUMER, "mfa-migrate.snapshot");
    assert!(!filed.is_empty(), "{spans:?}");
    for page in filed {
        assert!(linked(&spans, page).iter().any(|s| s.trace == whole[0].trace), "{page:?}");
    }
    let groups = of("worker", CONSUMER, "mfa-migrate.work");
    assert!(groups.len() >= 3, "{groups:?}");
    for group in &groups {
        let makers = linked(&spans, group);
        let is_made_by = |service: &str| makers.iter().any(|s| s.service == format!("mfa-migrate-{service}"));
        assert!(is_made_by("coordinator") && is_made_by("extractor"), "{group:?}: {makers:?}");
    }
    let calls = of("worker", CLIENT, "");
    assert!(calls.len() >= groups.len(), "{calls:?}");
    for call in calls {
        let is_under = groups.iter().any(|group| group.id == call.parent && group.trace == call.trace);
        assert!(is_under, "{call:?} belongs to no order");
    }
}

/// Every point has its name, unit and labels from the table, and none takes many values.
fn names_are_of_the_table(points: &[Point]) {
    for point in points {
        let name = telemetry::all_names().find(|n| n.name == point.metric);
        let name = name.unwrap_or_else(|| panic!("{} is not in the table", point.metric));
        assert_eq!(point.unit, name.unit, "{point:?}");
        assert_eq!(name.kind == Kind::Histogram, !point.bounds.is_empty(), "{point:?}");
        for label in point.attributes.keys() {
            assert!(name.labels.contains(&label.as_str()), "{label} is no label of {}", name.name);
        }
        let series = points.iter().filter(|p| p.metric == point.metric).count();
        assert!(series <= 40, "{} has {series} series", name.name);
    }
}

/// What metrics tell is what the run came to.
fn counts_agree(points: &[Point], outcome: &Outcome) {
    let entries = sum(points, "mfa_migrate.entries", None);
    let applied = sum(points, "mfa_migrate.users.settled", Some(("mfa_migrate.state", "applied")));
    assert_eq!(sum(points, "mfa_migrate.entries", Some(("mfa_migrate.state", "applied"))), applied);
    assert!(applied > 0.0 && entries >= applied, "{}", outcome.out);
    let released = sum(points, "mfa_migrate.orders.released", None);
    let of_work = Some(("messaging.destination.name", "work"));
    assert_eq!(sum(points, "messaging.client.sent.messages", of_work), released);
    assert_eq!(sum(points, "messaging.client.consumed.messages", of_work), released);
    let granted = sum(points, "mfa_migrate.quota.granted", None);
    let told =
        sum(points, "mfa_migrate.quota.accepted", None) + sum(points, "mfa_migrate.quota.rejected", None);
    assert!(granted > 0.0 && told <= granted, "{granted} granted, {told} told");
}

#[test]
fn faults_and_throttles_are_told_by_words_and_statuses() {
    let expected = Expected::generated(60, 5);
    let secrets = Secrets::of(&expected);
    let collector = Collector::start();
    let faults = "error-rate=0.05,drop-connection=0.05,conflict-but-applied=0.03,seed=3";
    let outcome = migrate(&expected, &["--faults", faults], &collector.url);
    let points = collector.points();
    names_are_of_the_table(&points);
    let errors: BTreeSet<String> = points
        .iter()
        .filter(|p| p.metric == "http.client.request.duration")
        .filter_map(|p| p.attributes.get("error.type").cloned())
        .collect();
    assert!(!errors.is_empty(), "no fault was told");
    let known = ["timeout", "connect", "broken", "_OTHER", "429", "500", "502", "503", "504"];
    assert!(errors.iter().all(|e| known.contains(&e.as_str())), "{errors:?}");
    secrets.must_not_be_in_text(&collector.text(), "what was exported beside faults");
    secrets.must_not_be_in_bytes(&collector.raw(), "what was exported beside faults");
    secrets.must_not_be_in_text(&outcome.err, "the log beside faults");
}

#[test]
fn a_collector_that_is_away_or_never_answers_changes_nothing() {
    let expected = Expected::dense(60);
    let mute = Mute::start();
    let mut results = Vec::new();
    for collector in ["", &nobody(), &mute.url, "no address at all"] {
        let tenant = expected.tenant(&[]);
        let mut site = Site::new(&tenant);
        site.env("OTEL_EXPORTER_OTLP_ENDPOINT", collector);
        let outcome = site.run(&["migrate", "--datafile", expected.datafile(), "--json"]);
        let json = outcome.expect(&[0, 3]).json();
        // Tokens are proven by codes of the time, and a slow machine may ask twice: what the run came to is the same.
        results.push((json["entries"].clone(), json["read"].clone(), json["accepted"].clone()));
    }
    for other in &results[1..] {
        assert_eq!(*other, results[0]);
    }
}
