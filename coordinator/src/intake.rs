//! Intake: the snapshot queue into the ledger.
//!
//! A page of messages is acked only after it is on file. Filing again what is there changes nothing, so a crash at any
//! moment costs a page of work and no record. The record is opened here to reckon its keyed fingerprints; the ledger
//! gets it as it came, sealed.

use crate::{Coordinator, Error};
use broker::Queue;
use contract::{
    AppCodes, Match, Policy, Record, Sealed, SnapshotId, SnapshotManifest, SnapshotMessage, UserKey, context,
    serial_fingerprint,
};
use ledger::FiledRecord;
use telemetry::crash_point;

/// Messages filed at once.
const PAGE: usize = 500;

impl Coordinator {
    /// Files a snapshot from the queue until its manifest comes.
    ///
    /// # Errors
    /// `Unfinished` when the queue was closed before the manifest came.
    pub async fn intake(
        &self,
        queue: &dyn Queue,
        id: &SnapshotId,
        format: &str,
    ) -> Result<SnapshotManifest, Error> {
        self.ledger.begin_snapshot(id, format).await?;
        loop {
            let deliveries = match queue.receive(PAGE).await {
                Ok(deliveries) => deliveries,
                Err(broker::Error::Closed) => return Err(Error::Unfinished),
            };
            let mut records = Vec::with_capacity(deliveries.len());
            let mut rejects = Vec::new();
            let mut end = None;
            for delivery in &deliveries {
                match SnapshotMessage::decode(delivery.body())? {
                    SnapshotMessage::Record { ordinal, sealed, .. } => {
                        records.push(self.filed(id, ordinal, sealed)?);
                    }
                    SnapshotMessage::Reject(reject) => rejects.push(reject),
                    SnapshotMessage::End(manifest) => end = Some(manifest),
                }
            }
            if !records.is_empty() {
                self.ledger.file_records(id, &records).await?;
            }
            if !rejects.is_empty() {
                self.ledger.file_rejects(id, &rejects).await?;
            }
            crash_point("intake.page-filed");
            for delivery in deliveries {
                if !delivery.ack() {
                    tracing::debug!("a page of the snapshot will come again, and change nothing");
                }
            }
            if let Some(manifest) = end {
                crash_point("intake.before-complete");
                self.ledger.complete_snapshot(&manifest).await?;
                crash_point("intake.completed");
                return Ok(manifest);
            }
        }
    }

    /// A record with the fingerprints that matching and rule U5 compare.
    fn filed(&self, id: &SnapshotId, ordinal: i64, sealed: Sealed) -> Result<FiledRecord, Error> {
        let record: Record = self.sealer.open_json(&context::record(id, ordinal), &sealed.0)?;
        let keys = Match::ALL.map(|stage| {
            rules::record_key(&record, stage).map(|key| self.keys.of(stage.as_str(), key.as_bytes()))
        });
        // Every serial that any policy could claim: what a policy leaves out is not looked at.
        let widest = Policy { app_codes: AppCodes::HardwareOath, ..Policy::default() };
        let serials = rules::serials(&record, &widest, &self.keys)
            .iter()
            .map(|serial| serial_fingerprint(serial, &self.keys))
            .collect();
        Ok(FiledRecord {
            ordinal,
            user_key: self.user_key(&record.username),
            keys,
            content: rules::record_fingerprint(&record, &self.keys),
            enabled: record.enabled,
            serials,
            sealed,
        })
    }

    /// The ledger's name for a user of the source.
    pub fn user_key(&self, username: &str) -> UserKey {
        UserKey(self.keys.of("user", username.trim().to_lowercase().as_bytes()))
    }
}
