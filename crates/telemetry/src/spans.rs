//! The spans that are exported, and how they find each other across processes.
//!
//! A span carries the attributes of the messaging and HTTP conventions and nothing else; users, numbers and texts of
//! errors never. Only spans made here are exported: they have a target of their own, and what the libraries below us
//! open stays where it is. In a process that does not export they are all disabled, which costs a look at an atomic.
//!
//! Who consumes a message begins a new trace and links to the span in which the message was made
//! (<https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/>): a message may wait for days, and the
//! messages of a group come from several. One link stands for all messages of a group that were made in one span.

use crate::record::{Place, Request};
use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::TraceContextExt;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use std::collections::{BTreeMap, BTreeSet};
use tracing::{Span, field::Empty, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

#[cfg(test)]
mod tests;

/// Headers of a message.
pub type Headers = BTreeMap<String, String>;

/// The target by which the exported spans are known.
pub(crate) const TARGET: &str = "mfa_migrate::span";
/// The header of the span in which a message was made, as W3C Trace Context has it.
pub const TRACEPARENT: &str = "traceparent";
/// A header beside it: the extractor's span that published the snapshot that an order is about. The order itself is made
/// by the coordinator, maybe days later, and would lead no further back.
pub const ORIGIN: &str = "x-origin-traceparent";
/// Distinct spans that a consumer links to: as many as a group has messages.
const LINKS: usize = 20;

/// The whole of publishing a snapshot. Its children are the pages that are sent.
pub fn publish_span() -> Span {
    info_span!(target: TARGET, "extract", otel.kind = "internal", "error.type" = Empty, otel.status_code = Empty)
}

/// A page of messages on its way to a queue; messages that carry this span's headers were made in it.
pub fn send_span(place: &Place, messages: usize) -> Span {
    info_span!(
        target: TARGET,
        "send",
        otel.name = format_args!("publish {}", place.destination),
        otel.kind = "producer",
        messaging.system = place.system,
        messaging.operation.name = "publish",
        "messaging.operation.type" = "send",
        messaging.destination.name = place.destination,
        messaging.batch.message_count = count(messages),
        "error.type" = Empty,
        otel.status_code = Empty,
    )
}

/// A group of messages being processed: a new trace, linked to the spans that made the messages and to their origins.
pub(crate) fn process_span<'a>(
    place: &Place,
    messages: usize,
    headers: impl IntoIterator<Item = &'a Headers>,
) -> Span {
    let span = info_span!(
        target: TARGET,
        parent: None,
        "process",
        otel.name = format_args!("process {}", place.destination),
        otel.kind = "consumer",
        messaging.system = place.system,
        messaging.operation.name = "process",
        "messaging.operation.type" = "process",
        messaging.destination.name = place.destination,
        messaging.batch.message_count = count(messages),
        "error.type" = Empty,
        otel.status_code = Empty,
    );
    link(&span, headers);
    span
}

/// A request to Graph.
pub fn request_span(request: &Request<'_>) -> Span {
    info_span!(
        target: TARGET,
        "request",
        otel.name = format_args!("{} {}", request.method, request.template),
        otel.kind = "client",
        http.request.method = request.method,
        url.template = request.template,
        server.address = request.host,
        server.port = i64::from(request.port),
        http.response.status_code = Empty,
        "error.type" = Empty,
        otel.status_code = Empty,
    )
}

/// Tells the status of an answer; from 400 on the span is one that failed.
pub fn answered(span: &Span, status: u16) {
    span.record("http.response.status_code", i64::from(status));
    if status >= 400 && !span.is_disabled() {
        span.record("error.type", status.to_string().as_str());
        span.record("otel.status_code", "ERROR");
    }
}

/// Tells that a span failed, with a word of ours for why, never an error's text.
pub fn failed(span: &Span, error: &'static str) {
    span.record("error.type", error);
    span.record("otel.status_code", "ERROR");
}

/// The headers of the current span, for messages that are made in it; empty in a process that does not export.
pub fn headers() -> Headers {
    headers_of(&Span::current())
}

/// The headers of a span, for messages that are made in it.
pub fn headers_of(span: &Span) -> Headers {
    let mut carrier = Carrier(Headers::new());
    if !span.is_disabled() {
        TraceContextPropagator::new().inject_context(&span.context(), &mut carrier);
    }
    carrier.0
}

/// The header that leads back to a span, for what is made of it later and elsewhere; empty in a process that does not
/// export.
pub fn origin_headers(span: &Span) -> Headers {
    let made_in = headers_of(span).remove(TRACEPARENT);
    made_in.map(|parent| (ORIGIN.to_owned(), parent)).into_iter().collect()
}

/// The span that a message leads back to, as its header has it; absent where there is none, or none of that form.
pub fn origin_of(headers: &Headers) -> Option<&str> {
    let parent = headers.get(ORIGIN)?;
    let is_one = parent.len() == 55 && parent.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit());
    is_one.then_some(parent.as_str())
}

/// Links a span to the spans in which these messages were made, and to their origins. A header that is none is passed
/// over: what somebody else writes into a message must not stop us.
pub fn link<'a>(span: &Span, headers: impl IntoIterator<Item = &'a Headers>) {
    if span.is_disabled() {
        return;
    }
    let mut parents = BTreeSet::new();
    for headers in headers {
        parents.extend([TRACEPARENT, ORIGIN].iter().filter_map(|name| headers.get(*name)));
        if parents.len() >= LINKS {
            break;
        }
    }
    for parent in parents.into_iter().take(LINKS) {
        let context = TraceContextPropagator::new().extract_with_context(&Context::new(), &Parent(parent));
        // Adding a link that is not valid does nothing.
        span.add_link(context.span().span_context().clone());
    }
}

fn count(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

struct Carrier(Headers);

impl Injector for Carrier {
    fn set(&mut self, key: &str, value: String) {
        // The library sets an empty tracestate too.
        if !value.is_empty() {
            self.0.insert(key.to_owned(), value);
        }
    }
}

/// One `traceparent`, without a state of other vendors: nobody else writes into our messages.
struct Parent<'a>(&'a str);

impl Extractor for Parent<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        (key == TRACEPARENT).then_some(self.0)
    }

    fn keys(&self) -> Vec<&str> {
        vec![TRACEPARENT]
    }
}
