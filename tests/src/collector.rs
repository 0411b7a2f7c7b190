//! A collector: takes OTLP over gRPC as any other does, and keeps what it got; and two that are none, which the product
//! must bear.

use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::metrics::v1::{metric::Data, number_data_point};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::runtime::Runtime;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

/// Attributes as text.
pub type Attributes = BTreeMap<String, String>;

/// A span as it was exported.
#[derive(Debug, Clone)]
pub struct Span {
    /// `service.name` of the process.
    pub service: String,
    /// Its name.
    pub name: String,
    /// 1 internal, 2 server, 3 client, 4 producer, 5 consumer.
    pub kind: i32,
    /// The trace it is in.
    pub trace: Vec<u8>,
    /// Its id.
    pub id: Vec<u8>,
    /// Its parent's id; empty for a root.
    pub parent: Vec<u8>,
    /// Traces and spans that it links to.
    pub links: Vec<(Vec<u8>, Vec<u8>)>,
    /// Its attributes.
    pub attributes: Attributes,
}

/// A point of a metric as it was exported.
#[derive(Debug, Clone)]
pub struct Point {
    /// `service.name` of the process.
    pub service: String,
    /// The metric's name.
    pub metric: String,
    /// Its unit.
    pub unit: String,
    /// The point's attributes.
    pub attributes: Attributes,
    /// The sum or the value; of a histogram, how many were recorded.
    pub value: f64,
    /// Upper bounds; empty unless it is a histogram.
    pub bounds: Vec<f64>,
}

#[derive(Default)]
struct Got {
    spans: Vec<Span>,
    points: Vec<Point>,
    raw: Vec<Vec<u8>>,
}

/// What the two services write into.
#[derive(Clone, Default)]
struct Store(Arc<Mutex<Got>>);

/// A running collector; it ends with this value.
pub struct Collector {
    /// Where it takes OTLP.
    pub url: String,
    store: Store,
    runtime: Option<Runtime>,
}

impl Collector {
    /// Starts a collector on a free port.
    pub fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let entered = runtime.enter();
        let incoming = TcpIncoming::bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
        let url = format!("http://{}", incoming.local_addr().expect("its address"));
        let store = Store::default();
        let server = Server::builder()
            .add_service(TraceServiceServer::new(store.clone()))
            .add_service(MetricsServiceServer::new(store.clone()))
            .serve_with_incoming(incoming);
        runtime.spawn(server);
        drop(entered);
        Self { url, store, runtime: Some(runtime) }
    }

    /// The spans so far.
    pub fn spans(&self) -> Vec<Span> {
        self.store.got(|got| got.spans.clone())
    }

    /// The newest point of every series so far.
    pub fn points(&self) -> Vec<Point> {
        let all = self.store.got(|got| got.points.clone());
        let newest: BTreeMap<(String, String, Attributes), Point> = all
            .into_iter()
            .map(|p| ((p.service.clone(), p.metric.clone(), p.attributes.clone()), p))
            .collect();
        newest.into_values().collect()
    }

    /// Every byte that was exported: strings stand in it as they are.
    pub fn raw(&self) -> Vec<u8> {
        self.store.got(|got| got.raw.concat())
    }

    /// Every name and attribute that was exported, a line each, for a search as in a log.
    pub fn text(&self) -> String {
        let mut lines = Vec::new();
        for span in self.spans() {
            lines.push(span.name);
            lines.extend(span.attributes.into_iter().map(|(name, value)| format!("{name}={value}")));
        }
        for point in self.points() {
            lines.push(point.metric);
            lines.extend(point.attributes.into_iter().map(|(name, value)| format!("{name}={value}")));
        }
        lines.join("\n")
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// An address where nobody listens.
pub fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    format!("http://{}", listener.local_addr().expect("its address"))
}

/// Something that takes connections and never says a word; it ends with this value.
pub struct Mute {
    /// Where it listens.
    pub url: String,
    _listener: TcpListener,
}

impl Mute {
    /// Starts to listen. The system takes the connections, and nobody ever reads from them.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        Self { url: format!("http://{}", listener.local_addr().expect("its address")), _listener: listener }
    }
}

impl Store {
    fn got<T>(&self, look: impl FnOnce(&mut Got) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[tonic::async_trait]
impl TraceService for Store {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let request = request.into_inner();
        let raw = request.encode_to_vec();
        let mut spans = Vec::new();
        for of_resource in request.resource_spans {
            let service = service(of_resource.resource.as_ref());
            for span in of_resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
                spans.push(Span {
                    service: service.clone(),
                    name: span.name,
                    kind: span.kind,
                    trace: span.trace_id,
                    id: span.span_id,
                    parent: span.parent_span_id,
                    links: span.links.into_iter().map(|link| (link.trace_id, link.span_id)).collect(),
                    attributes: attributes(&span.attributes),
                });
            }
        }
        self.got(|got| {
            got.spans.extend(spans);
            got.raw.push(raw);
        });
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl MetricsService for Store {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        let request = request.into_inner();
        let raw = request.encode_to_vec();
        let mut points = Vec::new();
        for of_resource in request.resource_metrics {
            let service = service(of_resource.resource.as_ref());
            for metric in of_resource.scope_metrics.into_iter().flat_map(|scope| scope.metrics) {
                for (attributes, value, bounds) in metric.data.map(flat).unwrap_or_default() {
                    points.push(Point {
                        service: service.clone(),
                        metric: metric.name.clone(),
                        unit: metric.unit.clone(),
                        attributes,
                        value,
                        bounds,
                    });
                }
            }
        }
        self.got(|got| {
            got.points.extend(points);
            got.raw.push(raw);
        });
        Ok(Response::new(ExportMetricsServiceResponse::default()))
    }
}

fn flat(data: Data) -> Vec<(Attributes, f64, Vec<f64>)> {
    let numbers = match data {
        Data::Gauge(gauge) => gauge.data_points,
        Data::Sum(sum) => sum.data_points,
        Data::Histogram(histogram) => {
            return histogram
                .data_points
                .into_iter()
                .map(|p| (attributes(&p.attributes), p.count as f64, p.explicit_bounds))
                .collect();
        }
        Data::ExponentialHistogram(_) | Data::Summary(_) => Vec::new(),
    };
    numbers
        .into_iter()
        .map(|p| {
            let value = match p.value {
                Some(number_data_point::Value::AsDouble(value)) => value,
                Some(number_data_point::Value::AsInt(value)) => value as f64,
                None => f64::NAN,
            };
            (attributes(&p.attributes), value, Vec::new())
        })
        .collect()
}

fn service(resource: Option<&Resource>) -> String {
    let all = resource.map(|resource| attributes(&resource.attributes)).unwrap_or_default();
    all.get("service.name").cloned().unwrap_or_default()
}

fn attributes(of: &[KeyValue]) -> Attributes {
    of.iter().map(|pair| (pair.key.clone(), text_of(pair.value.as_ref()))).collect()
}

fn text_of(value: Option<&AnyValue>) -> String {
    match value.and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::BoolValue(truth)) => truth.to_string(),
        other => format!("{other:?}"),
    }
}
