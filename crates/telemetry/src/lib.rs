//! What every process needs to be seen and stopped: the log, traces and metrics, the shutdown signal, and in test builds
//! crash points. The only crate that knows OpenTelemetry; the others call plain functions.
//!
//! Logs go to standard error, traces and metrics to a collector where one is named, and metrics are shown to Prometheus
//! where an address is given. Nothing here ever takes a number, a
//! secret, a token or a user, and nothing here ever makes the work wait.

mod causes;
mod collector;
mod crash;
mod endpoint;
mod install;
mod instruments;
mod names;
mod overview;
mod processing;
mod readiness;
mod record;
mod shutdown;
mod spans;

pub use causes::causes;
pub use crash::{
    CRASH_POINTS, CUTOVER_CRASH_POINTS, FORGET_CRASH_POINTS, PASS_CRASH_POINTS, ROLLBACK_CRASH_POINTS,
    ROLLOUT_CRASH_POINTS, ROLLOUT_REMOVE_CRASH_POINTS, crash_point,
};
pub use endpoint::{Endpoint, EndpointError, listen_address};
pub use install::{Installed, LogFormat, Settings, install, install_log, log_is_json};
pub use names::{Kind, NAMES, Name, all_names};
pub use overview::{JournalView, Overview, RunView, describe_run, forget_overview, show_overview};
pub use processing::Processing;
pub use readiness::{Need, needs, tell_need};
pub use record::{
    Place, Request, exports, ledger_operation, record_consumed, record_leases_expired, record_parked_message,
    record_quota_granted, record_quota_verdict, record_released, record_request, record_sent, record_settled,
    set_broker, set_database, set_entries, set_leads, set_queue, set_quota, set_step,
};
pub use shutdown::{Shutdown, shutdown_on_signal};
pub use spans::{
    Headers, ORIGIN, TRACEPARENT, answered, failed, headers, headers_of, link, origin_headers, origin_of,
    publish_span, request_span, send_span,
};
pub use tracing::{Instrument, Span};
