//! What a process installs once, at its beginning: the log to standard error, the export where one is asked for, and the
//! instruments that `/metrics` shows.
//!
//! One set of instruments, read by as many as there are. Without an endpoint no thread is started and no span is recorded. The library's own variables hold
//! (`OTEL_EXPORTER_OTLP_ENDPOINT`, its two kinds by signal, `OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_EXPORTER_OTLP_TIMEOUT`,
//! `OTEL_TRACES_SAMPLER`, `OTEL_METRIC_EXPORT_INTERVAL`, `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_SERVICE_NAME`,
//! `OTEL_SDK_DISABLED` …); what is given in `Settings` goes before them.

use crate::collector::{Collector, resource};
use crate::endpoint::Endpoint;
use crate::{instruments, spans};
use opentelemetry::metrics::MeterProvider;
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::metrics::{MeterProviderBuilder, SdkMeterProvider};
use opentelemetry_sdk::trace::SdkTracerProvider;
use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::Duration;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::filter::{FilterExt, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

/// The instrumentation scope of all that we export.
const SCOPE: &str = "mfa-migrate";
/// How long the end of a process waits for what is not delivered yet. A collector that hangs costs this much and no more.
const FLUSH_WITHIN: Duration = Duration::from_secs(3);
/// Libraries that only the export uses. Their trace prints headers, and those may hold the collector's password.
const EXPORTS_OWN: [&str; 3] = ["h2", "tonic", "tower"];

/// What to install.
#[derive(Clone)]
pub struct Settings {
    /// `service.name` of what is exported, such as `mfa-migrate-worker`.
    pub service: &'static str,
    /// The log's filter as in `RUST_LOG`, such as `info` or `worker=debug`.
    pub level: String,
    /// Where a collector takes OTLP over gRPC, such as `http://127.0.0.1:4317`. Absent: as the environment says, and
    /// nothing is exported where it does not.
    pub otlp_endpoint: Option<String>,
    /// Where `/metrics`, `/healthz` and `/readyz` are shown; nowhere where absent.
    pub metrics_listen: Option<SocketAddr>,
    /// How a line of the log looks.
    pub log_format: LogFormat,
}

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// A JSON object a line: `timestamp`, `level`, `target`, `message` and the line's own fields.
    Json,
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The endpoint may hold a password.
        f.debug_struct("Settings")
            .field("service", &self.service)
            .field("level", &self.level)
            .field("metrics_listen", &self.metrics_listen)
            .field("log_format", &self.log_format)
            .finish_non_exhaustive()
    }
}

/// What was installed. Dropping it sends what is left to the collector, for three seconds at most; the log stays.
#[must_use = "dropping it ends the export"]
pub struct Installed {
    collector: Option<Collector>,
    endpoint: Option<Endpoint>,
    /// Present where nothing is exported and the endpoint alone reads.
    _metrics: Option<SdkMeterProvider>,
}

impl std::fmt::Debug for Installed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Installed").field("exports", &self.exports()).finish()
    }
}

impl Installed {
    /// Whether traces and metrics are exported.
    pub fn exports(&self) -> bool {
        self.collector.is_some()
    }

    /// What is to be served over HTTP, on the runtime that does the work; absent where no address was given.
    pub fn endpoint(&self) -> Option<Endpoint> {
        self.endpoint.clone()
    }

    /// Sends what is left, for at most `within`, and ends the export. It blocks: no place for a thread of the runtime.
    pub fn shutdown(mut self, within: Duration) {
        if let Some(mut collector) = self.collector.take() {
            collector.stop(within);
        }
    }
}

impl Drop for Installed {
    fn drop(&mut self) {
        if let Some(mut collector) = self.collector.take() {
            collector.stop(FLUSH_WITHIN);
        }
    }
}

/// The format that was installed, for who writes to standard error past the log.
static FORMAT: OnceLock<LogFormat> = OnceLock::new();

/// Whether whatever goes to standard error has to be a JSON object a line.
pub fn log_is_json() -> bool {
    FORMAT.get() == Some(&LogFormat::Json)
}

/// Installs the log and, where they are asked for, the export and the instruments behind `/metrics`. An endpoint that is no
/// address is told in the log, and the work goes on without an export. Calling it twice leaves the first.
pub fn install(settings: &Settings) -> Installed {
    let is_first = instruments::instruments().is_none();
    let listen = settings.metrics_listen.filter(|_| is_first);
    let (metrics, mut endpoint) = readers(listen);
    let mut alone = None;
    let (mut collector, mut refused) = (None, None);
    if is_first && is_wanted(settings) {
        match Collector::start(settings, metrics) {
            Ok(started) => collector = Some(started),
            Err(why) => {
                refused = Some(why);
                let (metrics, another) = readers(listen);
                endpoint = another;
                alone = endpoint.is_some().then(|| metrics.with_resource(resource(settings)).build());
            }
        }
    } else if endpoint.is_some() {
        alone = Some(metrics.with_resource(resource(settings)).build());
    }
    FORMAT.get_or_init(|| settings.log_format);
    install_subscriber(&settings.level, settings.log_format, collector.as_ref());
    if let Some(metrics) = collector.as_ref().map(|c| &c.metrics).or(alone.as_ref()) {
        instruments::make(&metrics.meter(SCOPE));
    }
    if let Some(refused) = refused {
        tracing::warn!("{refused}; no traces and metrics are exported");
    }
    Installed { collector, endpoint, _metrics: alone }
}

/// Metrics that the endpoint reads, where there is to be one; nobody else reads them yet.
fn readers(listen: Option<SocketAddr>) -> (MeterProviderBuilder, Option<Endpoint>) {
    let metrics = SdkMeterProvider::builder();
    let Some(listen) = listen else { return (metrics, None) };
    let registry = prometheus::Registry::new();
    let shown =
        opentelemetry_prometheus::exporter().with_registry(registry.clone()).scope_info_enabled(false);
    match shown.build() {
        Ok(reader) => (metrics.with_reader(reader), Some(Endpoint { registry, listen })),
        // A registry that was made here holds nothing that could be in the way.
        Err(_) => (metrics, None),
    }
}

/// Installs the log alone: `filter` as in `RUST_LOG` (such as `info` or `worker=debug`). Calling it twice leaves the
/// first.
pub fn install_log(filter: &str) {
    install_subscriber(filter, LogFormat::Text, None);
}

fn install_subscriber(filter: &str, format: LogFormat, collector: Option<&Collector>) {
    // Not one stack with an absent layer: that counts as one that wants to see every span, and they would all be made.
    let installed = match collector {
        Some(collector) => tracing_subscriber::registry()
            .with(exported_spans(&collector.traces))
            .with(log_lines(filter, format))
            .try_init(),
        None => tracing_subscriber::registry().with(log_lines(filter, format)).try_init(),
    };
    // A second installation (tests in one process) is refused by the library, and that is fine.
    drop(installed);
}

/// What writes the log to standard error.
fn log_lines<S>(filter: &str, format: LogFormat) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("warn"));
    let filter = filter.and(filter_fn(is_for_the_log));
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    match format {
        LogFormat::Text => lines
            .with_target(false)
            .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
            .with_filter(filter)
            .boxed(),
        // Spans of libraries are no part of a line: what they carry was never looked through.
        LogFormat::Json => lines
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .with_filter(filter)
            .boxed(),
    }
}

/// What hands the spans made in `spans` to the export, and nothing else: no library's spans, and no line of the log.
pub(crate) fn exported_spans<S>(provider: &SdkTracerProvider) -> impl Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    tracing_opentelemetry::layer()
        .with_tracer(provider.tracer(SCOPE))
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
        .with_filter(filter_fn(|metadata: &Metadata<'_>| {
            metadata.is_span() && metadata.target() == spans::TARGET
        }))
}

/// Exported spans are not repeated on every line of the log, and the export does not speak of itself.
fn is_for_the_log(metadata: &Metadata<'_>) -> bool {
    let top = metadata.target().split("::").next().unwrap_or_default();
    metadata.target() != spans::TARGET && !EXPORTS_OWN.contains(&top)
}

fn is_wanted(settings: &Settings) -> bool {
    let given = settings.otlp_endpoint.as_deref().is_some_and(|endpoint| !endpoint.trim().is_empty());
    let named = [
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
    ];
    let disabled = variable("OTEL_SDK_DISABLED").is_some_and(|word| word.eq_ignore_ascii_case("true"));
    !disabled && (given || named.into_iter().any(is_set))
}

/// Whether a variable of the library's own is set; empty counts as not, as the specification has it.
pub(crate) fn is_set(name: &str) -> bool {
    variable(name).is_some()
}

#[expect(clippy::disallowed_methods, reason = "the library's own variables, which it reads itself too")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.trim().is_empty())
}
