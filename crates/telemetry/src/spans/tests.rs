//! Spans as an exporter gets them: kinds, names, links, and what must not be among them.

use super::{
    Headers, ORIGIN, TRACEPARENT, failed, headers, headers_of, process_span, publish_span, send_span,
};
use crate::install::exported_spans;
use crate::record::Place;
use opentelemetry::trace::{SpanKind, Status};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};
use std::sync::{Arc, Mutex};
use tracing_subscriber::layer::SubscriberExt;

/// Keeps what is exported.
#[derive(Debug, Clone, Default)]
struct Kept(Arc<Mutex<Vec<SpanData>>>);

impl SpanExporter for Kept {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.0.lock().unwrap().extend(batch);
        Ok(())
    }
}

/// What is exported of the spans made meanwhile, in the order of their ends.
fn exported(work: impl FnOnce()) -> Vec<SpanData> {
    let kept = Kept::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(kept.clone()).build();
    let subscriber = tracing_subscriber::registry().with(exported_spans(&provider));
    tracing::subscriber::with_default(subscriber, work);
    let spans = kept.0.lock().unwrap();
    spans.clone()
}

fn place() -> Place {
    Place { system: "embedded", destination: "orders".to_owned() }
}

#[test]
fn a_consumer_begins_a_new_trace_and_links_to_each_span_that_made_its_messages() {
    let spans = exported(|| {
        let publish = publish_span();
        let entered = publish.enter();
        let pages = [send_span(&place(), 2), send_span(&place(), 1)];
        let mut origin = headers();
        let mut first = pages[0].in_scope(headers);
        first.insert(ORIGIN.to_owned(), origin.remove(TRACEPARENT).unwrap());
        let second = headers_of(&pages[1]);
        drop(process_span(&place(), 3, [&first, &first, &second]));
        drop(entered);
    });
    let of = |name: &str| spans.iter().filter(|s| s.name == name).cloned().collect::<Vec<_>>();
    let (publish, pages, process) = (of("extract"), of("publish orders"), of("process orders"));
    assert_eq!((publish.len(), pages.len(), process.len()), (1, 2, 1), "{spans:?}");
    let process = &process[0];
    assert_eq!(process.span_kind, SpanKind::Consumer);
    assert_ne!(process.span_context.trace_id(), publish[0].span_context.trace_id());
    let mut linked: Vec<_> = process.links.iter().map(|l| l.span_context.span_id()).collect();
    let mut makers: Vec<_> = publish.iter().chain(&pages).map(|s| s.span_context.span_id()).collect();
    linked.sort_by_key(|id| id.to_bytes());
    makers.sort_by_key(|id| id.to_bytes());
    assert_eq!(linked, makers);
    assert!(pages.iter().all(|page| page.span_kind == SpanKind::Producer));
    assert!(pages.iter().all(|page| page.parent_span_id == publish[0].span_context.span_id()));
}

#[test]
fn a_header_that_is_none_is_passed_over_and_a_flood_of_them_is_cut() {
    let parent =
        |n: usize| Headers::from([(TRACEPARENT.to_owned(), format!("00-{:032x}-{:016x}-01", n + 1, n + 1))]);
    let spans = exported(|| {
        let broken = ["", "00-zz", "ff-00000000000000000000000000000001-0000000000000001-01", "\u{0}"];
        let broken = broken.map(|text| Headers::from([(TRACEPARENT.to_owned(), text.to_owned())]));
        drop(process_span(&place(), 5, broken.iter().chain([&parent(0)])));
        let flood: Vec<Headers> = (0..500).map(parent).collect();
        drop(process_span(&place(), 500, &flood));
    });
    let links: Vec<usize> = spans.iter().map(|s| s.links.len()).collect();
    assert_eq!(links, [1, 20]);
}

#[test]
fn what_libraries_and_the_log_say_is_not_exported() {
    let spans = exported(|| {
        let foreign = tracing::info_span!("query", db.statement = "select 1");
        let entered = foreign.enter();
        let ours = publish_span();
        ours.in_scope(|| tracing::error!(number = "+1 2065550100", "a line of the log"));
        failed(&ours, "closed");
        drop((ours, entered));
    });
    assert_eq!(spans.len(), 1, "{spans:?}");
    assert!(spans[0].events.is_empty(), "{spans:?}");
    assert!(matches!(spans[0].status, Status::Error { .. }));
    assert!(
        spans[0].attributes.iter().any(|a| a.key.as_str() == "error.type" && a.value.as_str() == "closed")
    );
}
