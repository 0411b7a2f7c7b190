//! Publishing: the second pass, each accepted record sealed into a message of its own, rejects beside them, the
//! manifest last. A record leaves this process sealed or not at all.

use crate::{Item, Source, Survey, records};
use broker::{Message, Queue};
use contract::{SealError, Sealer, SnapshotManifest, SnapshotMessage, context};
use telemetry::crash_point;
use tokio::runtime::Handle;

/// Messages handed to the queue at once.
const PAGE: usize = 500;

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

/// Publishes a surveyed source; blocks the thread it runs on, which must not be one of the runtime's own.
///
/// # Errors
/// The source changed since the survey, a record could not be sealed, or the queue was closed.
pub fn publish(
    source: &Source,
    survey: &Survey,
    sealer: &Sealer,
    queue: &dyn Queue,
    runtime: &Handle,
) -> Result<SnapshotManifest, PublishError> {
    let id = survey.id();
    let mut records = records(source, survey)?;
    let mut page = Vec::with_capacity(PAGE);
    for item in records.by_ref() {
        let message = match item? {
            Item::Accepted(row) => Message::new(
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
            runtime.block_on(queue.publish(std::mem::replace(&mut page, Vec::with_capacity(PAGE))))?;
            crash_point("extract.page-sent");
        }
    }
    let manifest = records.manifest().clone();
    page.push(Message::new(format!("{}-end", id.0), SnapshotMessage::End(manifest.clone()).encode()));
    crash_point("extract.before-end");
    runtime.block_on(queue.publish(page))?;
    crash_point("extract.end-sent");
    Ok(manifest)
}
