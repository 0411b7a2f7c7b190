//! Recording, for crates that know nothing of OpenTelemetry.
//!
//! Every function returns at once, and does nothing in a process that does not export. Labels are words of our own; what
//! a caller cannot name with one (a user, an address, an error's text) must not come here.

use crate::instruments::{Instruments, instruments};
use opentelemetry::KeyValue;
use std::collections::BTreeMap;
use std::future::Future;
use std::time::{Duration, Instant};

/// A queue, as the conventions name it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Place {
    /// `rabbitmq` or `embedded`.
    pub system: &'static str,
    /// The queue's name; for RabbitMQ `{exchange}:{routing key}`, and the queue alone for the default exchange.
    pub destination: String,
}

impl Place {
    fn labels(&self, name: &'static str, kind: &'static str, error: Option<&'static str>) -> Vec<KeyValue> {
        let mut labels = vec![
            KeyValue::new("messaging.system", self.system),
            KeyValue::new("messaging.operation.name", name),
            KeyValue::new("messaging.operation.type", kind),
            KeyValue::new("messaging.destination.name", self.destination.clone()),
        ];
        labels.extend(error.map(error_type));
        labels
    }
}

fn error_type(error: &'static str) -> KeyValue {
    KeyValue::new("error.type", error)
}

/// Whether anything recorded goes anywhere, for callers whom a label costs something to make.
pub fn exports() -> bool {
    instruments().is_some()
}

fn with(record: impl FnOnce(&'static Instruments)) {
    if let Some(instruments) = instruments() {
        record(instruments);
    }
}

/// `n` messages were published to a queue in one go, or could not be. `error` is a word of ours, such as `closed`.
pub fn record_sent(place: &Place, n: u64, took: Duration, error: Option<&'static str>) {
    with(|i| {
        let labels = place.labels("publish", "send", error);
        i.sent.add(n, &labels);
        i.messaging_duration.record(took.as_secs_f64(), &labels);
    });
}

/// `n` messages were delivered to this process.
pub fn record_consumed(place: &Place, n: u64) {
    with(|i| i.consumed.add(n, &place.labels("receive", "receive", None)));
}

/// A group of messages was processed, from its delivery to its ack.
pub(crate) fn record_processed(place: &Place, took: Duration, error: Option<&'static str>) {
    with(|i| i.process_duration.record(took.as_secs_f64(), &place.labels("process", "process", error)));
}

/// A message was set aside for a person.
pub fn record_parked_message(place: &Place) {
    with(|i| {
        i.parked.add(1, &[KeyValue::new("messaging.destination.name", place.destination.clone())]);
    });
}

/// An HTTP request to Graph, as the conventions label it.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// `GET`, `POST`.
    pub method: &'static str,
    /// Host of the configured endpoint, without userinfo.
    pub host: &'a str,
    /// Its port.
    pub port: u16,
    /// The path with every identifier replaced, such as `/users/{id}/authentication/methods`.
    pub template: &'a str,
}

/// A request ended: with a status, or without one and then with a word for why, such as `timeout`.
pub fn record_request(
    request: &Request<'_>,
    status: Option<u16>,
    error: Option<&'static str>,
    took: Duration,
) {
    with(|i| {
        let mut labels = vec![
            KeyValue::new("http.request.method", request.method),
            KeyValue::new("server.address", request.host.to_owned()),
            KeyValue::new("server.port", i64::from(request.port)),
        ];
        labels.extend(status.map(|status| KeyValue::new("http.response.status_code", i64::from(status))));
        // By the conventions an error without a name of its own is named by its status.
        let of_status = status.filter(|s| *s >= 400).map(|s| KeyValue::new("error.type", s.to_string()));
        labels.extend(error.map(error_type).or(of_status));
        i.http_duration.record(took.as_secs_f64(), &labels);
    });
}

/// `n` users of a run were brought to a settled state.
pub fn record_settled(run: i64, state: &'static str, n: u64) {
    with(|i| i.settled.add(n, &[of_run(run), KeyValue::new("mfa_migrate.state", state)]));
}

/// How many users of a run are in which state now, from the ledger's rows.
pub fn set_entries<'a>(run: i64, counts: impl IntoIterator<Item = (&'a str, u64)>) {
    with(|i| {
        let counts: BTreeMap<String, u64> = counts.into_iter().map(|(s, n)| (s.to_owned(), n)).collect();
        i.set_entries(run, counts);
    });
}

/// Orders of a run were published.
pub fn record_released(run: i64, n: u64) {
    with(|i| i.released.add(n, &[of_run(run)]));
}

/// Leases of a run ran out.
pub fn record_leases_expired(run: i64, n: u64) {
    with(|i| i.expired.add(n, &[of_run(run)]));
}

/// Where a run stands.
pub fn set_step(run: i64, step: &'static str, page: u32) {
    with(|i| i.page.record(u64::from(page), &[of_run(run), KeyValue::new("mfa_migrate.step", step)]));
}

/// Calls that the pace let go.
pub fn record_quota_granted(bucket: &'static str, n: u64) {
    with(|i| i.granted.add(n, &[of_bucket(bucket)]));
}

/// What Graph said to calls of one grant.
pub fn record_quota_verdict(bucket: &'static str, accepted: u64, rejected: u64) {
    with(|i| {
        let labels = [of_bucket(bucket)];
        i.accepted.add(accepted, &labels);
        // Zero is told too, so that a rate of rejections can be drawn before the first of them.
        i.rejected.add(rejected, &labels);
    });
}

/// How a bucket stands: calls a second, and for how long it is held.
pub fn set_quota(bucket: &'static str, rate_per_s: f64, held_for: Option<Duration>) {
    with(|i| {
        let labels = [of_bucket(bucket)];
        i.rate.record(rate_per_s, &labels);
        i.hold.record(held_for.unwrap_or_default().as_secs_f64(), &labels);
    });
}

/// A connection to the broker: whether it is up, and whether the broker takes nothing over it.
pub fn set_broker(role: &'static str, is_up: bool, is_blocked: bool) {
    with(|i| {
        let labels = [KeyValue::new("mfa_migrate.role", role)];
        i.broker_up.record(one_if(is_up), &labels);
        i.broker_blocked.record(one_if(is_blocked), &labels);
    });
}

/// How much lies in a queue.
#[expect(clippy::cast_precision_loss, reason = "gauges are floating")]
pub fn set_queue(place: &Place, ready: usize, unacked: usize) {
    with(|i| {
        let labels = [KeyValue::new("messaging.destination.name", place.destination.clone())];
        i.queue_ready.record(ready as f64, &labels);
        i.queue_unacked.record(unacked as f64, &labels);
    });
}

/// The ledger's database answered within so long, or it did not.
pub fn set_database(answered_within: Option<Duration>) {
    with(|i| {
        i.database_up.record(one_if(answered_within.is_some()), &[]);
        if let Some(took) = answered_within {
            i.database_latency.record(took.as_secs_f64(), &[]);
        }
    });
}

/// Whether this coordinator leads.
pub fn set_leads(leads: bool) {
    with(|i| i.leads.record(one_if(leads), &[]));
}

fn one_if(is_so: bool) -> f64 {
    f64::from(u8::from(is_so))
}

/// Times a call of the ledger by the call's name, and counts whether it failed.
pub async fn ledger_operation<T, E>(
    operation: &'static str,
    call: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let Some(instruments) = instruments() else { return call.await };
    let began = Instant::now();
    let ended = call.await;
    let mut labels = vec![KeyValue::new("mfa_migrate.operation", operation)];
    if ended.is_err() {
        // The conventions' word for an error that has no name of its own.
        labels.push(error_type("_OTHER"));
    }
    instruments.ledger_duration.record(began.elapsed().as_secs_f64(), &labels);
    ended
}

fn of_run(run: i64) -> KeyValue {
    KeyValue::new("mfa_migrate.run", run)
}

fn of_bucket(bucket: &'static str) -> KeyValue {
    KeyValue::new("mfa_migrate.bucket", bucket)
}
