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
    labels: &["mfa_migrate.run", "mfa_migrate.state"],
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

/// The table.
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
    use super::NAMES;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique_and_speak_the_conventions_tongue() {
        let unique: BTreeSet<&str> = NAMES.iter().map(|n| n.name).collect();
        assert_eq!(unique.len(), NAMES.len());
        for name in NAMES {
            let known = ["messaging.", "http.", "mfa_migrate."].iter().any(|p| name.name.starts_with(p));
            assert!(
                known && name.name.chars().all(|c| c.is_ascii_lowercase() || "._".contains(c)),
                "{name:?}"
            );
            assert!(name.unit == "s" || name.unit.starts_with('{'), "{name:?}");
        }
    }
}
