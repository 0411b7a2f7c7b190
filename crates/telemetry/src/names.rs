//! Every instrument that is exported, in one table: names, units, labels and meanings in one place, for dashboards, for
//! the code that records, and for the test that looks at what a collector gets.
//!
//! Names, units and labels that begin with `messaging.` or `http.` are those of the OpenTelemetry conventions 1.44
//! (<https://opentelemetry.io/docs/specs/semconv/messaging/messaging-metrics/>, and `http/http-metrics/`); ours begin with
//! `mfa_migrate.`. A label takes few values, all of them words of our own: never a user, a number or an address.

/// What an instrument does with what is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Sums up; never falls.
    Counter,
    /// The value at the time of the export.
    Gauge,
    /// Distribution over buckets.
    Histogram,
}

/// One row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Name {
    /// As exported.
    pub name: &'static str,
    /// What it does with what is recorded.
    pub kind: Kind,
    /// UCUM unit; what is counted stands in braces.
    pub unit: &'static str,
    /// Labels that a point may carry; those that do not apply are left out.
    pub labels: &'static [&'static str],
    /// What it tells.
    pub meaning: &'static str,
}

/// Labels of messaging instruments. `messaging.system` is `rabbitmq` or `embedded`.
const MESSAGING: &[&str] = &[
    "messaging.system",
    "messaging.operation.name",
    "messaging.operation.type",
    "messaging.destination.name",
    "error.type",
];

pub(crate) const SENT: Name = Name {
    name: "messaging.client.sent.messages",
    kind: Kind::Counter,
    unit: "{message}",
    labels: MESSAGING,
    meaning: "messages handed to the broker; with error.type, those that it did not take",
};
pub(crate) const CONSUMED: Name = Name {
    name: "messaging.client.consumed.messages",
    kind: Kind::Counter,
    unit: "{message}",
    labels: MESSAGING,
    meaning: "messages that were delivered to this process, redeliveries among them",
};
pub(crate) const MESSAGING_DURATION: Name = Name {
    name: "messaging.client.operation.duration",
    kind: Kind::Histogram,
    unit: "s",
    labels: MESSAGING,
    meaning: "how long a page took to be published and confirmed",
};
pub(crate) const PROCESS_DURATION: Name = Name {
    name: "messaging.process.duration",
    kind: Kind::Histogram,
    unit: "s",
    labels: MESSAGING,
    meaning: "how long a group of messages took from its delivery to its ack",
};
pub(crate) const HTTP_DURATION: Name = Name {
    name: "http.client.request.duration",
    kind: Kind::Histogram,
    unit: "s",
    labels: &[
        "http.request.method",
        "server.address",
        "server.port",
        "http.response.status_code",
        "error.type",
    ],
    meaning: "how long a request to Microsoft Graph took, from sending to the end of the answer",
};
pub(crate) const SETTLED: Name = Name {
    name: "mfa_migrate.users.settled",
    kind: Kind::Counter,
    unit: "{user}",
    labels: &["mfa_migrate.run", "mfa_migrate.state"],
    meaning: "users that this process brought to a settled state",
};
pub(crate) const ENTRIES: Name = Name {
    name: "mfa_migrate.entries",
    kind: Kind::Gauge,
    unit: "{user}",
    labels: &["mfa_migrate.run", "mfa_migrate.kind", "mfa_migrate.batch", "mfa_migrate.state"],
    meaning: "users of a run by state, as counted from the ledger's rows; told by the coordinator that leads",
};
pub(crate) const GRANTED: Name = Name {
    name: "mfa_migrate.quota.granted",
    kind: Kind::Counter,
    unit: "{call}",
    labels: &["mfa_migrate.bucket"],
    meaning: "calls, as Graph counts them, that the pace let go",
};
pub(crate) const ACCEPTED: Name = Name {
    name: "mfa_migrate.quota.accepted",
    kind: Kind::Counter,
    unit: "{call}",
    labels: &["mfa_migrate.bucket"],
    meaning: "calls that Graph did not throttle, whatever else became of them",
};
pub(crate) const REJECTED: Name = Name {
    name: "mfa_migrate.quota.rejected",
    kind: Kind::Counter,
    unit: "{call}",
    labels: &["mfa_migrate.bucket"],
    meaning: "calls that Graph throttled (429)",
};
pub(crate) const RATE: Name = Name {
    name: "mfa_migrate.quota.rate",
    kind: Kind::Gauge,
    unit: "{call}/s",
    labels: &["mfa_migrate.bucket"],
    meaning: "calls a second that the pace lets go, over all processes",
};
pub(crate) const HOLD: Name = Name {
    name: "mfa_migrate.quota.hold",
    kind: Kind::Gauge,
    unit: "s",
    labels: &["mfa_migrate.bucket"],
    meaning: "for how long a bucket was still held when it was last looked at; zero when it is not",
};
pub(crate) const LEDGER_DURATION: Name = Name {
    name: "mfa_migrate.ledger.operation.duration",
    kind: Kind::Histogram,
    unit: "s",
    labels: &["mfa_migrate.operation", "error.type"],
    meaning: "how long a call of the ledger took, by the call's name",
};
pub(crate) const EXPIRED: Name = Name {
    name: "mfa_migrate.leases.expired",
    kind: Kind::Counter,
    unit: "{lease}",
    labels: &["mfa_migrate.run"],
    meaning: "leases that ran out, whose users went back to waiting",
};
pub(crate) const PARKED: Name = Name {
    name: "mfa_migrate.messages.parked",
    kind: Kind::Counter,
    unit: "{message}",
    labels: &["messaging.destination.name"],
    meaning: "messages set aside for a person, by the queue they came from",
};
pub(crate) const RELEASED: Name = Name {
    name: "mfa_migrate.orders.released",
    kind: Kind::Counter,
    unit: "{order}",
    labels: &["mfa_migrate.run"],
    meaning: "orders published to the work queue, those released again among them",
};
pub(crate) const PAGE: Name = Name {
    name: "mfa_migrate.run.page",
    kind: Kind::Gauge,
    unit: "{page}",
    labels: &["mfa_migrate.run", "mfa_migrate.step"],
    meaning: "the page of the step that the run was last seen at, from 1",
};

/// Labels of what is told of a run, in their order, and one more.
macro_rules! of_run {
    ($($more:literal),*) => { &["mfa_migrate.run", "mfa_migrate.kind", "mfa_migrate.batch", $($more),*] };
}

const fn gauge(
    name: &'static str,
    unit: &'static str,
    labels: &'static [&'static str],
    meaning: &'static str,
) -> Name {
    Name { name, kind: Kind::Gauge, unit, labels, meaning }
}

pub(crate) const RUN_STATE: Name = gauge(
    "mfa_migrate.run.state",
    "{run}",
    of_run!("mfa_migrate.state"),
    "1 for the state that a run is in: preparing, open, done, superseded",
);
pub(crate) const RUN_WAITS: Name = gauge(
    "mfa_migrate.run.waits",
    "{run}",
    of_run!("mfa_migrate.reason"),
    "1 for the reason why a run stands or is slow: paused, judged, halted, window, step, preparing, no-worker, throttled, \
     snoozed, quota, nothing",
);
pub(crate) const RUN_USERS: Name = gauge(
    "mfa_migrate.run.users",
    "{user}",
    of_run!(),
    "users that were frozen into a run when it began; its entries by state add up to them",
);
pub(crate) const RUN_ORDERS: Name = gauge(
    "mfa_migrate.run.orders",
    "{user}",
    of_run!("mfa_migrate.stage"),
    "unsettled users of a run that is under way: unreleased, released, snoozed, claimed",
);
pub(crate) const RUN_STEP: Name =
    gauge("mfa_migrate.run.step", "{step}", of_run!(), "the step of the canary that is open, from 1");
pub(crate) const RUN_STEPS: Name =
    gauge("mfa_migrate.run.steps", "{step}", of_run!(), "how many steps the canary has; 1 without one");
pub(crate) const RUN_ETA: Name = gauge(
    "mfa_migrate.run.eta",
    "s",
    of_run!("mfa_migrate.bound"),
    "seconds until a run, or the open step of its canary, is done: earliest, likely, latest; absent while it cannot be said",
);
pub(crate) const RUN_SPEED: Name =
    gauge("mfa_migrate.run.speed", "{user}/s", of_run!(), "users settled a second of working time, lately");
pub(crate) const OLDEST_ORDER: Name = gauge(
    "mfa_migrate.run.oldest_order",
    "s",
    of_run!(),
    "how long ago the oldest order was released that nobody has claimed; 0 while none is out",
);
pub(crate) const LEASE_OVERDUE: Name = gauge(
    "mfa_migrate.run.lease_overdue",
    "s",
    of_run!(),
    "for how long the lease that ended first is over; 0 while all hold",
);
pub(crate) const RUN_FAILED: Name = gauge(
    "mfa_migrate.run.failed",
    "{user}",
    of_run!("mfa_migrate.state", "mfa_migrate.code"),
    "users who were blocked, parked, found in conflict, missing or changed, by code; one user may have several",
);
pub(crate) const IN_DOUBT: Name = gauge(
    "mfa_migrate.intents.in_doubt",
    "{intent}",
    of_run!("mfa_migrate.method"),
    "writes of which it is not known whether they were applied, those under way among them",
);
pub(crate) const IN_DOUBT_AGE: Name = gauge(
    "mfa_migrate.intents.in_doubt.age",
    "s",
    of_run!("mfa_migrate.method"),
    "how long ago the oldest write in doubt was filed",
);
pub(crate) const JOURNAL_WHOLE: Name = gauge(
    "mfa_migrate.journal.whole",
    "{journal}",
    &[],
    "1 while every line of the journal of changes that was looked at is what was written; 0 once one is not",
);
pub(crate) const JOURNAL_LINES: Name =
    gauge("mfa_migrate.journal.lines", "{line}", &[], "lines of the journal of changes");
pub(crate) const JOURNAL_WALKED: Name = gauge(
    "mfa_migrate.journal.walked",
    "{line}",
    &[],
    "lines that the present walk along the journal has looked at",
);
pub(crate) const PARKED_ON_FILE: Name = gauge(
    "mfa_migrate.messages.on_file",
    "{message}",
    &[],
    "messages set aside that are on file in the ledger",
);
pub(crate) const LEASE: Name =
    gauge("mfa_migrate.lease", "s", &[], "how long a worker's lease lasts, as configured");
pub(crate) const LOOK: Name =
    gauge("mfa_migrate.look", "s", &[], "how long the last look at the ledger for these gauges took");

/// What is told of all runs at once, from the ledger's rows, by whoever leads.
pub(crate) const OVERVIEW: &[Name] = &[
    RUN_STATE,
    RUN_WAITS,
    RUN_USERS,
    RUN_ORDERS,
    RUN_STEP,
    RUN_STEPS,
    RUN_ETA,
    RUN_SPEED,
    OLDEST_ORDER,
    LEASE_OVERDUE,
    RUN_FAILED,
    IN_DOUBT,
    IN_DOUBT_AGE,
    JOURNAL_WHOLE,
    JOURNAL_LINES,
    JOURNAL_WALKED,
    PARKED_ON_FILE,
    LEASE,
    LOOK,
];

pub(crate) const BROKER_UP: Name = gauge(
    "mfa_migrate.broker.up",
    "{connection}",
    &["mfa_migrate.role"],
    "1 while a connection to the broker is up, 0 while it is away: publish, consume",
);
pub(crate) const BROKER_BLOCKED: Name = gauge(
    "mfa_migrate.broker.blocked",
    "{connection}",
    &["mfa_migrate.role"],
    "1 while the broker takes nothing over a connection, by an alarm of memory or disk",
);
pub(crate) const QUEUE_READY: Name = gauge(
    "mfa_migrate.queue.ready",
    "{message}",
    &["messaging.destination.name"],
    "messages that wait in a queue, as the broker last said",
);
pub(crate) const QUEUE_UNACKED: Name = gauge(
    "mfa_migrate.queue.unacked",
    "{message}",
    &["messaging.destination.name"],
    "messages of a queue that this process has in hand",
);
pub(crate) const DATABASE_UP: Name = gauge(
    "mfa_migrate.database.up",
    "{database}",
    &[],
    "1 while the ledger's database answers, 0 while it does not",
);
pub(crate) const DATABASE_LATENCY: Name =
    gauge("mfa_migrate.database.latency", "s", &[], "how long the last look at one row of the ledger took");
pub(crate) const LEADS: Name = gauge(
    "mfa_migrate.leads",
    "{coordinator}",
    &[],
    "1 for the coordinator that leads, 0 for one that stands by",
);

/// What a process tells of what it stands on.
pub(crate) const GROUND: &[Name] =
    &[BROKER_UP, BROKER_BLOCKED, QUEUE_READY, QUEUE_UNACKED, DATABASE_UP, DATABASE_LATENCY, LEADS];

/// Every name there is.
pub fn all_names() -> impl Iterator<Item = &'static Name> {
    NAMES.iter().chain(OVERVIEW).chain(GROUND)
}

/// What every migration tells, wherever it runs.
pub const NAMES: &[Name] = &[
    SENT,
    CONSUMED,
    MESSAGING_DURATION,
    PROCESS_DURATION,
    HTTP_DURATION,
    SETTLED,
    ENTRIES,
    GRANTED,
    ACCEPTED,
    REJECTED,
    RATE,
    HOLD,
    LEDGER_DURATION,
    EXPIRED,
    PARKED,
    RELEASED,
    PAGE,
];

#[cfg(test)]
mod tests {
    use super::all_names;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique_and_speak_the_conventions_tongue() {
        let unique: BTreeSet<&str> = all_names().map(|n| n.name).collect();
        assert_eq!(unique.len(), all_names().count());
        for name in all_names() {
            let known = ["messaging.", "http.", "mfa_migrate."].iter().any(|p| name.name.starts_with(p));
            assert!(
                known && name.name.chars().all(|c| c.is_ascii_lowercase() || "._".contains(c)),
                "{name:?}"
            );
            assert!(name.unit == "s" || name.unit.starts_with('{'), "{name:?}");
        }
    }
}
