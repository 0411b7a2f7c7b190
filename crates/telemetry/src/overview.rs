//! What is told of all runs at once, from the ledger's rows: by the coordinator that leads, or by the process that does it
//! all. It is replaced as a whole, so that what is no longer so is no longer told.
//!
//! The types here are words and numbers. A run is named by its number, its kind and its batch; nobody else is named.

use crate::instruments::{Instruments, instruments};
use crate::names::{self, Name};
use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// A run.
#[derive(Debug, Clone, Default)]
pub struct RunView {
    /// Its number.
    pub run: i64,
    /// `migrate`, `rollback`, …
    pub kind: &'static str,
    /// The batch's name.
    pub batch: String,
    /// `preparing`, `open`, `done`, `superseded`.
    pub state: &'static str,
    /// One word for why it stands or is slow; `nothing` where nothing is in its way. Absent once it is over.
    pub waits_for: Option<&'static str>,
    /// Users that were frozen when it began; absent before.
    pub users: Option<u64>,
    /// Users by state now.
    pub entries: Vec<(&'static str, u64)>,
    /// Unsettled users: `unreleased`, `released`, `snoozed`, `claimed`.
    pub orders: [(&'static str, u64); 4],
    /// The canary's step that is open, from 1, and how many there are; 1 of 1 without a canary.
    pub step: (u64, u64),
    /// Seconds until it is done, `earliest`, `likely` and `latest`; absent where it cannot be said.
    pub eta_s: Option<[(&'static str, f64); 3]>,
    /// Users a second; absent with the ETA.
    pub users_per_s: Option<f64>,
    /// How long ago the oldest order was released that nobody has claimed.
    pub oldest_order: Duration,
    /// For how long the lease that ended first is over.
    pub lease_overdue: Duration,
    /// Users who failed, by state and code.
    pub failed: Vec<(&'static str, String, u64)>,
    /// Writes without an outcome, by method: how many, and how old the oldest is.
    pub in_doubt: Vec<(String, u64, Duration)>,
}

/// The journal of changes.
#[derive(Debug, Clone, Copy, Default)]
pub struct JournalView {
    /// Nothing that was looked at is other than it was written.
    pub is_whole: bool,
    /// Lines there are.
    pub lines: i64,
    /// Lines that the present walk has looked at.
    pub walked: i64,
}

/// All of it.
#[derive(Debug, Clone, Default)]
pub struct Overview {
    /// Those under way, and the last ones that ended.
    pub runs: Vec<RunView>,
    /// The journal.
    pub journal: JournalView,
    /// Messages set aside, of all time.
    pub parked_messages: u64,
    /// How long a lease lasts.
    pub lease: Duration,
    /// What the look took.
    pub took: Duration,
}

type Points = BTreeMap<&'static str, Vec<(f64, Vec<KeyValue>)>>;

/// What the export reads. Clones are the same.
#[derive(Clone, Default)]
pub(crate) struct Board(Arc<Mutex<Points>>);

impl Board {
    fn replace(&self, points: Points) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = points;
    }

    /// Makes the gauges; each is asked when somebody reads.
    pub(crate) fn observe(&self, meter: &Meter) {
        for of in names::OVERVIEW {
            let board = self.clone();
            meter
                .f64_observable_gauge(of.name)
                .with_unit(of.unit)
                .with_description(of.meaning)
                .with_callback(move |observer| {
                    let points = board.0.lock().unwrap_or_else(PoisonError::into_inner);
                    for (value, labels) in points.get(of.name).into_iter().flatten() {
                        observer.observe(*value, labels);
                    }
                })
                .build();
        }
    }
}

/// Replaces what is told.
pub fn show_overview(overview: &Overview) {
    let Some(instruments) = instruments() else { return };
    for run in &overview.runs {
        describe_run(run.run, run.kind, &run.batch);
        let counts = run.entries.iter().map(|(state, n)| ((*state).to_owned(), *n)).collect();
        instruments.set_entries(run.run, counts);
    }
    instruments.board.replace(points(overview));
}

/// Nothing is told of runs any more: another process leads, or the rows cannot be read.
pub fn forget_overview() {
    if let Some(instruments) = instruments() {
        instruments.forget_entries();
        instruments.board.replace(Points::new());
    }
}

/// Names a run for the gauges that know only its number.
pub fn describe_run(run: i64, kind: &'static str, batch: &str) {
    if let Some(instruments) = instruments() {
        Instruments::describe(instruments, run, kind, batch);
    }
}

#[expect(clippy::cast_precision_loss, reason = "gauges are floating")]
fn points(overview: &Overview) -> Points {
    let mut points = Points::new();
    let mut put = |of: Name, value: f64, labels: Vec<KeyValue>| {
        points.entry(of.name).or_default().push((value, labels));
    };
    for run in &overview.runs {
        let with = |more: &[(&'static str, &str)]| {
            let own = [
                KeyValue::new("mfa_migrate.run", run.run),
                KeyValue::new("mfa_migrate.kind", run.kind),
                KeyValue::new("mfa_migrate.batch", run.batch.clone()),
            ];
            let more = more.iter().map(|(label, word)| KeyValue::new(*label, (*word).to_owned()));
            own.into_iter().chain(more).collect::<Vec<_>>()
        };
        put(names::RUN_STATE, 1.0, with(&[("mfa_migrate.state", run.state)]));
        if let Some(users) = run.users {
            put(names::RUN_USERS, users as f64, with(&[]));
        }
        put(names::RUN_STEP, run.step.0 as f64, with(&[]));
        put(names::RUN_STEPS, run.step.1 as f64, with(&[]));
        for (state, code, n) in &run.failed {
            put(
                names::RUN_FAILED,
                *n as f64,
                with(&[("mfa_migrate.state", state), ("mfa_migrate.code", code)]),
            );
        }
        for (method, n, age) in &run.in_doubt {
            let labels = with(&[("mfa_migrate.method", method)]);
            put(names::IN_DOUBT, *n as f64, labels.clone());
            put(names::IN_DOUBT_AGE, age.as_secs_f64(), labels);
        }
        // What is over waits for nothing and moves no more.
        let Some(reason) = run.waits_for else { continue };
        put(names::RUN_WAITS, 1.0, with(&[("mfa_migrate.reason", reason)]));
        for (stage, n) in run.orders {
            put(names::RUN_ORDERS, n as f64, with(&[("mfa_migrate.stage", stage)]));
        }
        for (bound, seconds) in run.eta_s.into_iter().flatten() {
            put(names::RUN_ETA, seconds, with(&[("mfa_migrate.bound", bound)]));
        }
        if let Some(speed) = run.users_per_s {
            put(names::RUN_SPEED, speed, with(&[]));
        }
        put(names::OLDEST_ORDER, run.oldest_order.as_secs_f64(), with(&[]));
        put(names::LEASE_OVERDUE, run.lease_overdue.as_secs_f64(), with(&[]));
    }
    let journal = overview.journal;
    put(names::JOURNAL_WHOLE, f64::from(u8::from(journal.is_whole)), Vec::new());
    put(names::JOURNAL_LINES, journal.lines as f64, Vec::new());
    put(names::JOURNAL_WALKED, journal.walked as f64, Vec::new());
    put(names::PARKED_ON_FILE, overview.parked_messages as f64, Vec::new());
    put(names::LEASE, overview.lease.as_secs_f64(), Vec::new());
    put(names::LOOK, overview.took.as_secs_f64(), Vec::new());
    points
}

#[cfg(test)]
mod tests {
    use super::{Overview, RunView, points};
    use crate::names::OVERVIEW;
    use std::collections::BTreeSet;

    #[test]
    fn every_point_has_the_labels_of_its_row_and_no_other() {
        let run = RunView {
            run: 7,
            kind: "migrate",
            batch: "north".to_owned(),
            state: "open",
            waits_for: Some("window"),
            users: Some(3),
            orders: [("unreleased", 1), ("released", 1), ("snoozed", 0), ("claimed", 1)],
            eta_s: Some([("earliest", 1.0), ("likely", 2.0), ("latest", 3.0)]),
            users_per_s: Some(1.0),
            failed: vec![("parked", "forbidden".to_owned(), 1)],
            in_doubt: vec![("mobile".to_owned(), 1, std::time::Duration::ZERO)],
            ..RunView::default()
        };
        let points = points(&Overview { runs: vec![run], ..Overview::default() });
        let told: BTreeSet<&str> = points.keys().copied().collect();
        assert_eq!(told, OVERVIEW.iter().map(|name| name.name).collect::<BTreeSet<_>>());
        for name in OVERVIEW {
            for (_, labels) in &points[name.name] {
                let labels: Vec<&str> = labels.iter().map(|label| label.key.as_str()).collect();
                assert_eq!(labels, name.labels, "{}", name.name);
            }
        }
    }

    #[test]
    fn a_run_that_is_over_waits_for_nothing() {
        let run = RunView { state: "done", users: Some(3), ..RunView::default() };
        let points = points(&Overview { runs: vec![run], ..Overview::default() });
        assert!(points.contains_key("mfa_migrate.run.users"));
        assert!(
            !points.contains_key("mfa_migrate.run.waits") && !points.contains_key("mfa_migrate.run.orders")
        );
    }
}
