//! The instruments of this process: made once, when exporting begins, and absent for as long as it has not.
//!
//! Recording never waits: the library adds to a number in memory, and bounds how many series it keeps. Without an
//! endpoint the one cost of a recording is the look that finds nothing here.

use crate::names::{self, Name};
use crate::overview::Board;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Gauge, Histogram, Meter};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Upper bounds in seconds that the conventions advise for the duration of requests.
const REQUEST_SECONDS: &[f64] =
    &[0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
/// A group may wait for quota up to its lease, so processing gets bounds beyond those.
const PROCESS_SECONDS: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 30.0, 60.0, 120.0, 180.0,
];
/// Statements of the ledger are quicker.
const LEDGER_SECONDS: &[f64] =
    &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Runs whose entries are told at once; the oldest goes first.
const RUNS: usize = 16;

static INSTRUMENTS: OnceLock<Instruments> = OnceLock::new();

/// Entries by state, by run. Shared with the export that reads it.
type Entries = Arc<Mutex<BTreeMap<i64, BTreeMap<String, u64>>>>;
/// Kind and batch of runs.
type Described = Arc<Mutex<BTreeMap<i64, (&'static str, String)>>>;

pub(crate) struct Instruments {
    pub(crate) sent: Counter<u64>,
    pub(crate) consumed: Counter<u64>,
    pub(crate) messaging_duration: Histogram<f64>,
    pub(crate) process_duration: Histogram<f64>,
    pub(crate) http_duration: Histogram<f64>,
    pub(crate) settled: Counter<u64>,
    pub(crate) granted: Counter<u64>,
    pub(crate) accepted: Counter<u64>,
    pub(crate) rejected: Counter<u64>,
    pub(crate) rate: Gauge<f64>,
    pub(crate) hold: Gauge<f64>,
    pub(crate) ledger_duration: Histogram<f64>,
    pub(crate) expired: Counter<u64>,
    pub(crate) parked: Counter<u64>,
    pub(crate) released: Counter<u64>,
    pub(crate) page: Gauge<u64>,
    pub(crate) broker_up: Gauge<f64>,
    pub(crate) broker_blocked: Gauge<f64>,
    pub(crate) queue_ready: Gauge<f64>,
    pub(crate) queue_unacked: Gauge<f64>,
    pub(crate) database_up: Gauge<f64>,
    pub(crate) database_latency: Gauge<f64>,
    pub(crate) leads: Gauge<f64>,
    pub(crate) board: Board,
    entries: Entries,
    described: Described,
}

/// The instruments, if this process exports.
pub(crate) fn instruments() -> Option<&'static Instruments> {
    INSTRUMENTS.get()
}

/// Makes the instruments. What is there already stays.
pub(crate) fn make(meter: &Meter) {
    INSTRUMENTS.get_or_init(|| Instruments::new(meter));
}

impl Instruments {
    fn new(meter: &Meter) -> Self {
        let counter =
            |of: Name| meter.u64_counter(of.name).with_unit(of.unit).with_description(of.meaning).build();
        let gauge =
            |of: Name| meter.f64_gauge(of.name).with_unit(of.unit).with_description(of.meaning).build();
        let histogram = |of: Name, bounds: &[f64]| {
            meter
                .f64_histogram(of.name)
                .with_unit(of.unit)
                .with_description(of.meaning)
                .with_boundaries(bounds.to_vec())
                .build()
        };
        let (entries, described) = (Entries::default(), Described::default());
        observe_entries(meter, &entries, &described);
        let board = Board::default();
        board.observe(meter);
        Self {
            sent: counter(names::SENT),
            consumed: counter(names::CONSUMED),
            messaging_duration: histogram(names::MESSAGING_DURATION, REQUEST_SECONDS),
            process_duration: histogram(names::PROCESS_DURATION, PROCESS_SECONDS),
            http_duration: histogram(names::HTTP_DURATION, REQUEST_SECONDS),
            settled: counter(names::SETTLED),
            granted: counter(names::GRANTED),
            accepted: counter(names::ACCEPTED),
            rejected: counter(names::REJECTED),
            rate: gauge(names::RATE),
            hold: gauge(names::HOLD),
            ledger_duration: histogram(names::LEDGER_DURATION, LEDGER_SECONDS),
            expired: counter(names::EXPIRED),
            parked: counter(names::PARKED),
            released: counter(names::RELEASED),
            page: meter
                .u64_gauge(names::PAGE.name)
                .with_unit(names::PAGE.unit)
                .with_description(names::PAGE.meaning)
                .build(),
            broker_up: gauge(names::BROKER_UP),
            broker_blocked: gauge(names::BROKER_BLOCKED),
            queue_ready: gauge(names::QUEUE_READY),
            queue_unacked: gauge(names::QUEUE_UNACKED),
            database_up: gauge(names::DATABASE_UP),
            database_latency: gauge(names::DATABASE_LATENCY),
            leads: gauge(names::LEADS),
            board,
            entries,
            described,
        }
    }

    /// Replaces what is told of a run.
    pub(crate) fn set_entries(&self, run: i64, counts: BTreeMap<String, u64>) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.insert(run, counts);
        while entries.len() > RUNS {
            entries.pop_first();
        }
    }

    /// Says what a run is.
    pub(crate) fn describe(&self, run: i64, kind: &'static str, batch: &str) {
        let mut described = self.described.lock().unwrap_or_else(PoisonError::into_inner);
        described.insert(run, (kind, batch.to_owned()));
        while described.len() > 2 * RUNS {
            described.pop_first();
        }
    }

    /// Tells nothing of any run any more.
    pub(crate) fn forget_entries(&self) {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// The library reads the entries when it exports, so that a run that is no longer ours is no longer told.
fn observe_entries(meter: &Meter, entries: &Entries, described: &Described) {
    let (entries, described) = (Arc::clone(entries), Arc::clone(described));
    meter
        .u64_observable_gauge(names::ENTRIES.name)
        .with_unit(names::ENTRIES.unit)
        .with_description(names::ENTRIES.meaning)
        .with_callback(move |observer| {
            let entries = entries.lock().unwrap_or_else(PoisonError::into_inner);
            let described = described.lock().unwrap_or_else(PoisonError::into_inner);
            for (run, counts) in entries.iter() {
                let of_run = KeyValue::new("mfa_migrate.run", *run);
                let more = described.get(run).map(|(kind, batch)| {
                    [
                        KeyValue::new("mfa_migrate.kind", *kind),
                        KeyValue::new("mfa_migrate.batch", batch.clone()),
                    ]
                });
                for (state, n) in counts {
                    let mut labels = vec![of_run.clone()];
                    labels.extend(more.iter().flatten().cloned());
                    labels.push(KeyValue::new("mfa_migrate.state", state.clone()));
                    observer.observe(*n, &labels);
                }
            }
        })
        .build();
}
