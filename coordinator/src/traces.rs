//! How a trace finds back from a worker's group to the extractor that published its snapshot, and what is told of a run.
//!
//! The order is made here, maybe days after the snapshot came. So the extractor's span is kept with the snapshot, under a
//! name of its own among the ledger's small values, and put beside the order's own. Losing it loses no work.

use crate::{Coordinator, Error};
use contract::{RunId, SnapshotId};
use ledger::{Checkpoint, Counts};
use telemetry::{Headers, ORIGIN, ledger_operation, origin_of};

/// The ledger's name for the span that published a snapshot; it is sealed to the same words.
fn name(snapshot: &SnapshotId) -> String {
    format!("published {snapshot}")
}

impl Coordinator {
    /// Keeps the span that a manifest leads back to. The first one stands: a datafile that is sent again is one snapshot.
    pub(crate) async fn keep_origin(&self, snapshot: &SnapshotId, headers: &Headers) -> Result<(), Error> {
        if let Some(origin) = origin_of(headers) {
            let name = name(snapshot);
            // Sealed only because all that is kept is; it says nothing of anybody.
            if let Ok(sealed) = self.sealer.seal(&name, origin.as_bytes()) {
                self.ledger.keep(&name, &sealed).await?;
            }
        }
        Ok(())
    }

    /// What orders of a snapshot's run carry, besides what their own publishing adds.
    pub(crate) async fn origin(&self, snapshot: &SnapshotId) -> Result<Headers, Error> {
        let name = name(snapshot);
        let Some(sealed) = self.ledger.kept(&name).await? else { return Ok(Headers::new()) };
        let origin = self.sealer.open(&name, &sealed.0).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        Ok(origin.map(|origin| (ORIGIN.to_owned(), origin)).into_iter().collect())
    }

    /// Writes a checkpoint, and tells metrics what it counted.
    pub(crate) async fn checkpoint(
        &self,
        run: RunId,
        step: &'static str,
        page: u32,
    ) -> Result<Checkpoint, ledger::Error> {
        let checkpoint = ledger_operation("checkpoint", self.ledger.checkpoint(run, step, page)).await?;
        telemetry::set_step(run.0, step, page);
        tell(run, &checkpoint.counts);
        Ok(checkpoint)
    }
}

/// Tells metrics how many of a run's users are in which state.
pub(crate) fn tell(run: RunId, counts: &Counts) {
    telemetry::set_entries(run.0, counts.iter().map(|(state, n)| (state.as_str(), *n)));
}
