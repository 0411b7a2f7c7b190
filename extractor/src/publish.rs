//! Publishing: the second pass, each accepted record sealed into a message of its own, rejects beside them, the
//! manifest last. A record leaves this process sealed or not at all.

use crate::{Item, Source, Survey, records};
use broker::{Message, Queue};
use contract::{SealError, Sealer, SnapshotManifest, SnapshotMessage, context};
use std::collections::VecDeque;
use std::sync::Arc;
use telemetry::{Instrument, crash_point};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

/// Messages handed to the queue at once.
const PAGE: usize = 500;

/// Pages on their way at a time: while the queue makes sure of the ones, the next is read and sealed.
const UNDER_WAY: usize = 4;

/// Pages on their way.
struct Pages<'a> {
    queue: &'a Arc<dyn Queue>,
    runtime: &'a Handle,
    under_way: VecDeque<JoinHandle<Result<(), broker::Error>>>,
}

impl Pages<'_> {
    /// Sends a page; waits for the oldest one where enough are on their way.
    fn send(&mut self, page: Vec<Message>) -> Result<(), PublishError> {
        if self.under_way.len() == UNDER_WAY {
            self.oldest()?;
        }
        let queue = Arc::clone(self.queue);
        let sent = async move { queue.publish(page).await };
        self.under_way.push_back(self.runtime.spawn(sent.in_current_span()));
        Ok(())
    }

    /// Waits for all of them.
    fn all(&mut self) -> Result<(), PublishError> {
        while !self.under_way.is_empty() {
            self.oldest()?;
        }
        Ok(())
    }

    fn oldest(&mut self) -> Result<(), PublishError> {
        let Some(page) = self.under_way.pop_front() else { return Ok(()) };
        // A task that was given up belongs to a runtime that is being shut down.
        Ok(self.runtime.block_on(page).unwrap_or(Err(broker::Error::Closed))?)
    }
}

/// Why publishing stopped. The same call begins again from the start; what is filed already is left as it is.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The source.
    #[error(transparent)]
    Source(#[from] crate::Error),
    /// The key.
    #[error("a record could not be sealed")]
    Seal(#[from] SealError),
    /// The queue.
    #[error("the queue took no more messages")]
    Queue(#[from] broker::Error),
}

impl PublishError {
    /// The word for it in traces.
    fn word(&self) -> &'static str {
        match self {
            Self::Source(_) => "source",
            Self::Seal(_) => "seal",
            Self::Queue(_) => "queue",
        }
    }
}

/// Publishes a surveyed source; blocks the thread it runs on, which must not be one of the runtime's own.
///
/// # Errors
/// The source changed since the survey, a record could not be sealed, or the queue was closed.
pub fn publish(
    source: &Source,
    survey: &Survey,
    sealer: &Sealer,
    queue: &Arc<dyn Queue>,
    runtime: &Handle,
) -> Result<SnapshotManifest, PublishError> {
    let span = telemetry::publish_span();
    // The pages are sent by this thread, so that their spans are children of this one.
    let sent =
        span.in_scope(|| send(source, survey, sealer, queue, runtime, telemetry::origin_headers(&span)));
    if let Err(error) = &sent {
        telemetry::failed(&span, error.word());
    }
    sent
}

/// Sends it all. `origin` goes with the manifest, by which everything that is made of the snapshot finds back to its
/// publishing.
fn send(
    source: &Source,
    survey: &Survey,
    sealer: &Sealer,
    queue: &Arc<dyn Queue>,
    runtime: &Handle,
    origin: telemetry::Headers,
) -> Result<SnapshotManifest, PublishError> {
    let id = survey.id();
    let mut records = records(source, survey)?;
    let mut pages = Pages { queue, runtime, under_way: VecDeque::with_capacity(UNDER_WAY) };
    let mut page = Vec::with_capacity(PAGE);
    for item in records.by_ref() {
        let message = match item? {
            Item::Accepted(row, _) => Message::new(
                format!("{}-{}", id.0, row.ordinal),
                SnapshotMessage::Record {
                    sealed: sealer.seal_json(&context::record(&id, row.ordinal), &row.record)?,
                    ordinal: row.ordinal,
                    snapshot: id.clone(),
                }
                .encode(),
            ),
            Item::Rejected(reject) | Item::SideRejected(reject) => Message::new(
                format!("{}-reject-{}-{}", id.0, reject.file.as_deref().unwrap_or_default(), reject.line),
                SnapshotMessage::Reject { snapshot: id.clone(), reject }.encode(),
            ),
        };
        page.push(message);
        if page.len() == PAGE {
            pages.send(std::mem::replace(&mut page, Vec::with_capacity(PAGE)))?;
            crash_point("extract.page-sent");
        }
    }
    // The manifest comes last.
    pages.all()?;
    let manifest = records.manifest().clone();
    let body = SnapshotMessage::End(manifest.clone()).encode();
    page.push(Message { id: format!("{}-end", id.0), body, headers: origin });
    crash_point("extract.before-end");
    runtime.block_on(queue.publish(page))?;
    crash_point("extract.end-sent");
    Ok(manifest)
}
