//! What was asked and answered, in numbers: the answer of `GET /simulator/stats`.
//!
//! `requests` counts calls as Graph judges them, that is, items of bundles and calls of their own:
//! `requests = reads + writes + throttled`. A bundle itself is counted in `bundles` alone, and an item that was never
//! tried in `failedDependencies`.

use crate::tenant::{Verb, Version};
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::time::Duration;

/// The counters.
#[derive(Default)]
pub(super) struct Stats {
    pub(super) reads: u64,
    pub(super) writes: u64,
    pub(super) throttled: u64,
    pub(super) early_retries: u64,
    pub(super) errors_injected: u64,
    pub(super) bundles: u64,
    pub(super) round_trips: u64,
    pub(super) failed_dependencies: u64,
    endpoints: HashMap<(Version, Verb, &'static str), u64>,
    in_flight: u64,
    busy_since: Duration,
    busy: Duration,
}

impl std::hash::Hash for Version {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl std::hash::Hash for Verb {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl Stats {
    /// A call to an endpoint.
    pub(super) fn count(&mut self, version: Version, verb: Verb, template: &'static str) {
        *self.endpoints.entry((version, verb, template)).or_default() += 1;
    }

    /// A request has come in.
    pub(super) fn enter(&mut self, now: Duration) {
        if self.in_flight == 0 {
            self.busy_since = now;
        }
        self.in_flight += 1;
    }

    /// Its answer goes out.
    pub(super) fn leave(&mut self, now: Duration) {
        self.in_flight = self.in_flight.saturating_sub(1);
        if self.in_flight == 0 {
            self.busy += now.saturating_sub(self.busy_since);
        }
    }

    /// As JSON. `busyMs` is the time during which at least one request was being worked on.
    pub(super) fn json(&self, uptime: Duration) -> Value {
        let mut endpoints: Vec<(String, u64)> = self
            .endpoints
            .iter()
            .map(|((version, verb, path), n)| (format!("{} /{}{path}", verb.as_str(), version.as_str()), *n))
            .collect();
        endpoints.sort();
        let by_endpoint: Map<String, Value> =
            endpoints.into_iter().map(|(k, n)| (k, Value::from(n))).collect();
        json!({
            "requests": self.reads + self.writes + self.throttled,
            "reads": self.reads,
            "writes": self.writes,
            "throttled": self.throttled,
            "earlyRetries": self.early_retries,
            "errorsInjected": self.errors_injected,
            "bundles": self.bundles,
            "roundTrips": self.round_trips,
            "failedDependencies": self.failed_dependencies,
            "busyMs": u64::try_from(self.busy.as_millis()).unwrap_or(u64::MAX),
            "uptimeMs": u64::try_from(uptime.as_millis()).unwrap_or(u64::MAX),
            "byEndpoint": by_endpoint,
        })
    }
}
