//! A process that is told of no collector: nothing is exported and nothing is spent. In a binary of its own, for what is
//! installed holds for a process.

use std::time::Duration;
use telemetry::{LogFormat, Place, Settings};

#[test]
fn without_an_endpoint_there_are_no_spans_and_no_headers_however_talkative_the_log() {
    let settings = Settings {
        service: "mfa-migrate",
        level: "trace".to_owned(),
        otlp_endpoint: None,
        metrics_listen: None,
        log_format: LogFormat::Text,
    };
    let installed = telemetry::install(&settings);
    assert!(!installed.exports() && installed.endpoint().is_none());
    let place = Place { system: "embedded", destination: "orders".to_owned() };
    let span = telemetry::send_span(&place, 1);
    assert!(span.is_disabled());
    assert!(telemetry::headers_of(&span).is_empty());
    assert!(span.in_scope(telemetry::headers).is_empty());
    // None of these finds anything to write to.
    telemetry::failed(&span, "closed");
    telemetry::answered(&span, 500);
    telemetry::record_sent(&place, 1, Duration::ZERO, None);
    telemetry::set_entries(1, [("pending", 3)]);
    // A second installation leaves the first.
    assert!(!telemetry::install(&settings).exports());
}
