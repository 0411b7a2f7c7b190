//! Publishing and receiving as traces and metrics see them, for both kinds of queue.
//!
//! A message carries the span in which it was made, also when it is delivered again or later: who handles it links to
//! that. Nothing here looks into a body.

use crate::{Delivery, Error, Message};
use std::future::Future;
use std::time::Instant;
use telemetry::{Instrument, Place, TRACEPARENT};

/// Publishes a page in a span of its own, and writes that span into the messages that carry none yet.
pub(crate) async fn publishing<F>(
    place: impl FnOnce() -> Place,
    mut messages: Vec<Message>,
    publish: impl FnOnce(Vec<Message>) -> F,
) -> Result<(), Error>
where
    F: Future<Output = Result<(), Error>>,
{
    if !telemetry::exports() {
        return publish(messages).await;
    }
    let place = place();
    let count = messages.len();
    let span = telemetry::send_span(&place, count);
    let made_in = telemetry::headers_of(&span);
    for message in messages.iter_mut().filter(|m| !m.headers.contains_key(TRACEPARENT)) {
        message.headers.extend(made_in.clone());
    }
    let began = Instant::now();
    let ended = publish(messages).instrument(span.clone()).await;
    let word = ended.as_ref().err().map(Error::word);
    if let Some(word) = word {
        telemetry::failed(&span, word);
    }
    telemetry::record_sent(&place, count as u64, began.elapsed(), word);
    ended
}

/// Counts what was received.
pub(crate) fn received(place: impl FnOnce() -> Place, deliveries: &[Delivery]) {
    if telemetry::exports() {
        telemetry::record_consumed(&place(), deliveries.len() as u64);
    }
}
