//! The way to the collector: OTLP over gRPC, on threads of its own.
//!
//! It never stops or slows the work: what cannot be delivered is dropped once the bounded queue is full, and at the end
//! there is a deadline. That the collector is away is told once, and so is that it is back.

use crate::install::Settings;
use opentelemetry_otlp::{MetricExporter, RetryPolicy, SpanExporter, WithExportConfig, WithTonicConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::{
    MeterProviderBuilder, PeriodicReader, SdkMeterProvider, Temporality, data::ResourceMetrics,
};
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator, SdkTracerProvider, SpanData};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;
use tokio::runtime::Runtime;

/// How often metrics are exported where `OTEL_METRIC_EXPORT_INTERVAL` does not say: often enough for an alert within a
/// minute.
const METRIC_INTERVAL: Duration = Duration::from_secs(15);

/// Why nothing is exported although it was asked for. The reason below is not shown: it may repeat the endpoint, and that
/// may hold a password.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    #[error("the OTLP endpoint is not an address such as http://127.0.0.1:4317")]
    Endpoint,
    #[error("no thread for the export can be started: {0}")]
    Thread(#[from] std::io::Error),
}

/// Exporting, for as long as it lives.
pub(crate) struct Collector {
    pub(crate) traces: SdkTracerProvider,
    /// Its metrics, with whoever else reads the same instruments.
    pub(crate) metrics: SdkMeterProvider,
    /// Taken at the end. A runtime of its own: the export must go on when the product's is busy, and the log is installed
    /// before that one is there.
    runtime: Option<Runtime>,
}

impl Collector {
    /// Begins to export; nothing is sent yet, and nobody need be there. `metrics` may have readers already.
    pub(crate) fn start(settings: &Settings, metrics: MeterProviderBuilder) -> Result<Self, Refused> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("otlp")
            .enable_all()
            .build()?;
        let entered = runtime.enter();
        let mut spans = SpanExporter::builder().with_tonic().with_retry_policy(RetryPolicy::recommended());
        let mut points = MetricExporter::builder().with_tonic().with_retry_policy(RetryPolicy::recommended());
        if let Some(endpoint) = &settings.otlp_endpoint {
            spans = spans.with_endpoint(endpoint);
            points = points.with_endpoint(endpoint);
        }
        let spans = spans.build().map_err(|_| Refused::Endpoint)?;
        let points = points.build().map_err(|_| Refused::Endpoint)?;
        let resource = resource(settings);
        let traces = SdkTracerProvider::builder()
            .with_resource(resource.clone())
            .with_batch_exporter(Watched::new(spans, "traces"))
            .build();
        let mut reader = PeriodicReader::builder(Watched::new(points, "metrics"));
        if !crate::install::is_set("OTEL_METRIC_EXPORT_INTERVAL") {
            reader = reader.with_interval(METRIC_INTERVAL);
        }
        let metrics = metrics.with_resource(resource).with_reader(reader.build()).build();
        drop(entered);
        Ok(Self { traces, metrics, runtime: Some(runtime) })
    }

    /// Sends what is left, for at most `within`.
    pub(crate) fn stop(&mut self, within: Duration) {
        let Some(runtime) = self.runtime.take() else { return };
        // Each thread holds a sender until it ends, and may outlive the deadline: the library's own limit is five seconds for
        // metrics, whatever is asked for. A failure was told by the exporter.
        let (held, ended) = mpsc::channel::<()>();
        let (traces, metrics, held_too) = (self.traces.clone(), self.metrics.clone(), held.clone());
        drop(std::thread::Builder::new().spawn(move || {
            drop(traces.shutdown_with_timeout(within));
            drop(held);
        }));
        drop(std::thread::Builder::new().spawn(move || {
            drop(metrics.shutdown_with_timeout(within));
            drop(held_too);
        }));
        if ended.recv_timeout(within) == Err(mpsc::RecvTimeoutError::Timeout) {
            tracing::info!("the collector did not take all that was left within {} s", within.as_secs());
        }
        runtime.shutdown_background();
    }
}

/// Who is speaking.
pub(crate) fn resource(settings: &Settings) -> Resource {
    let instance =
        format!("{:032x}", u128::from_be_bytes(RandomIdGenerator::default().new_trace_id().to_bytes()));
    let mut resource = Resource::builder()
        .with_attribute(opentelemetry::KeyValue::new("service.namespace", "mfa-migrate"))
        .with_attribute(opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_attribute(opentelemetry::KeyValue::new("service.instance.id", instance))
        .with_attribute(opentelemetry::KeyValue::new("process.pid", i64::from(std::process::id())));
    if !crate::install::is_set("OTEL_SERVICE_NAME") {
        resource = resource.with_service_name(settings.service);
    }
    resource.build()
}

/// An exporter that tells once that its collector is away, and once that it is back.
#[derive(Debug)]
struct Watched<E> {
    exporter: E,
    what: &'static str,
    away: AtomicBool,
}

impl<E> Watched<E> {
    fn new(exporter: E, what: &'static str) -> Self {
        Self { exporter, what, away: AtomicBool::new(false) }
    }

    fn tell(&self, result: &OTelSdkResult) {
        match result {
            Ok(()) if self.away.swap(false, Ordering::Relaxed) => {
                tracing::info!("the collector takes {} again", self.what);
            }
            Err(error) if !self.away.swap(true, Ordering::Relaxed) => {
                tracing::warn!(
                    %error,
                    "{} do not reach the collector and are dropped; the work goes on without them",
                    self.what
                );
            }
            Ok(()) | Err(_) => {}
        }
    }
}

impl<E: opentelemetry_sdk::trace::SpanExporter> opentelemetry_sdk::trace::SpanExporter for Watched<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let result = self.exporter.export(batch).await;
        self.tell(&result);
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

impl<E: PushMetricExporter> PushMetricExporter for Watched<E> {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let result = self.exporter.export(metrics).await;
        self.tell(&result);
        result
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> Temporality {
        self.exporter.temporality()
    }
}
