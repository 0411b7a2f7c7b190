//! Intake: the snapshot queue into the ledger.
//!
//! A page of messages is acked only after it is on file. Filing again what is there changes nothing, so a crash at any
//! moment costs a page of work and no record. The record is opened here to reckon its keyed fingerprints; the ledger
//! gets it as it came, sealed.

use crate::{Coordinator, Error};
use broker::{Delivery, Message, Queue};
use contract::{
    AppCodes, Match, Policy, Record, Reject, SealError, Sealed, SnapshotId, SnapshotManifest,
    SnapshotMessage, UserKey, context, serial_fingerprint,
};
use futures_util::StreamExt;
use futures_util::stream::FuturesOrdered;
use ledger::FiledRecord;
use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::time::Duration;
use telemetry::{Instrument, Processing, crash_point, ledger_operation};

/// Messages filed at once.
const PAGE: usize = 1_000;
/// Pages filed at a time: while the database makes sure of the one, the next is opened. They are acked in the order in
/// which they came, since all up to a message can be acked at once and others one by one.
const PAGES: usize = 2;
/// How long the end of a snapshot waits for records that are still on their way.
const LATE: Duration = Duration::from_secs(5);
/// How often it waits. Redelivery after a broken connection takes seconds; after that, records are missing.
const LATE_TIMES: u32 = 24;
/// How long a page that is being filed beside us is waited for, and how often.
const MOMENT: Duration = Duration::from_millis(50);
const MOMENTS: u32 = 10;
/// How often the end of a snapshot has waited.
const WAITED: &str = "x-waited";
/// The queue's word in the list of messages set aside.
const QUEUE: &str = "snapshot";

/// What a page of messages holds of one snapshot.
#[derive(Default)]
struct Page {
    records: Vec<FiledRecord>,
    rejects: Vec<Reject>,
    /// Ordinals of records that came damaged.
    unreadable: Vec<i64>,
    end: Option<(SnapshotManifest, Message)>,
}

/// Why a message goes no further.
struct Aside {
    /// Whose record it was, where the message's id tells; then the snapshot can do without it.
    of: Option<(SnapshotId, i64)>,
    reason: String,
}

impl Coordinator {
    /// Files what comes from the queue, whatever snapshots it belongs to, until the one that is waited for is complete, or
    /// the queue is closed. A message that cannot be opened is set aside and stops nobody else.
    ///
    /// # Errors
    /// `Unfinished` when the queue was closed before the snapshot that is waited for was complete.
    pub async fn intake(
        &self,
        queue: &dyn Queue,
        wanted: Option<&SnapshotId>,
    ) -> Result<Option<SnapshotManifest>, Error> {
        queue.set_prefetch(2 * PAGES * PAGE);
        let mut filing = FuturesOrdered::new();
        let mut is_open = true;
        while is_open || !filing.is_empty() {
            let filed = tokio::select! {
                Some(filed) = filing.next(), if !filing.is_empty() => filed,
                received = queue.receive(PAGE), if is_open && filing.len() < PAGES => {
                    match received {
                        Ok(deliveries) => filing.push_back(self.file_received(queue, deliveries, wanted)),
                        Err(broker::Error::Closed) => is_open = false,
                        Err(error) => return Err(error.into()),
                    }
                    continue;
                }
            };
            let (deliveries, done) = filed?;
            for delivery in deliveries {
                if !delivery.ack() {
                    tracing::debug!("a page of the snapshot will come again, and change nothing");
                }
            }
            if done.is_some() {
                return Ok(done);
            }
        }
        if wanted.is_none() { Ok(None) } else { Err(Error::Unfinished) }
    }

    /// Files a page, and answers it to be acked, with the manifest of the snapshot that is waited for, if it is complete now.
    async fn file_received(
        &self,
        queue: &dyn Queue,
        deliveries: Vec<Delivery>,
        wanted: Option<&SnapshotId>,
    ) -> Result<(Vec<Delivery>, Option<SnapshotManifest>), Error> {
        let headers = deliveries.iter().filter_map(|d| d.message()).map(|m| &m.headers);
        let processing = Processing::begin(|| queue.place(), deliveries.len(), headers);
        let filed = self.file(queue, &deliveries, wanted).instrument(processing.span()).await;
        processing.end(filed.is_err().then_some("unfiled"));
        Ok((deliveries, filed?))
    }

    /// Files what was received together; the manifest of the snapshot that is waited for, if it is complete now.
    async fn file(
        &self,
        queue: &dyn Queue,
        deliveries: &[Delivery],
        wanted: Option<&SnapshotId>,
    ) -> Result<Option<SnapshotManifest>, Error> {
        let mut pages: BTreeMap<SnapshotId, Page> = BTreeMap::new();
        for message in deliveries.iter().filter_map(Delivery::message) {
            if let Err(aside) = self.sort_in(message, &mut pages) {
                self.set_aside(queue, message, aside, &mut pages).await?;
            }
        }
        let mut done = None;
        for (id, page) in pages {
            let complete = self.file_page(queue, &id, page).await?;
            if wanted == Some(&id) {
                done = done.or(complete);
            }
        }
        Ok(done)
    }

    /// Files a page of one snapshot; its manifest, if it is complete now.
    async fn file_page(
        &self,
        queue: &dyn Queue,
        id: &SnapshotId,
        page: Page,
    ) -> Result<Option<SnapshotManifest>, Error> {
        self.begin(id).await?;
        if !page.records.is_empty() {
            ledger_operation("file_records", self.ledger.file_records(id, &page.records)).await?;
        }
        if !page.rejects.is_empty() {
            self.ledger.file_rejects(id, &page.rejects).await?;
        }
        if !page.unreadable.is_empty() {
            self.ledger.file_unreadable(id, &page.unreadable).await?;
        }
        crash_point("intake.page-filed");
        let Some((manifest, message)) = page.end else { return Ok(None) };
        crash_point("intake.before-complete");
        self.keep_origin(id, &message.headers).await?;
        if self.ledger.snapshot(id).await?.is_some() {
            // The MFA Server's users are again as they once were.
            self.ledger.came_again(id).await?;
        }
        match self.complete(&manifest).await {
            Ok(()) => {}
            Err(error @ ledger::Error::Incomplete { .. }) => {
                self.wait_for_the_rest(queue, message, &error).await?;
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        }
        crash_point("intake.completed");
        Ok(self.ledger.snapshot(id).await?)
    }

    /// Begins the filing of a snapshot, once a process: what is on file of it is counted there.
    async fn begin(&self, id: &SnapshotId) -> Result<(), ledger::Error> {
        if self.begun.lock().unwrap_or_else(PoisonError::into_inner).contains(id) {
            return Ok(());
        }
        self.ledger.begin_snapshot(id).await?;
        self.begun.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone());
        Ok(())
    }

    /// Completes a snapshot; the page before its end may be being filed in these moments.
    async fn complete(&self, manifest: &SnapshotManifest) -> Result<(), ledger::Error> {
        for _ in 0..MOMENTS {
            match self.ledger.complete_snapshot(manifest).await {
                Err(ledger::Error::Incomplete { .. }) => tokio::time::sleep(MOMENT).await,
                other => return other,
            }
        }
        self.ledger.complete_snapshot(manifest).await
    }

    /// The end of a snapshot can overtake records that are delivered again: it comes later once more, and in the end is
    /// set aside.
    async fn wait_for_the_rest(
        &self,
        queue: &dyn Queue,
        mut message: Message,
        missing: &ledger::Error,
    ) -> Result<(), Error> {
        let waited = message.headers.get(WAITED).and_then(|n| n.parse().ok()).unwrap_or(0_u32);
        if waited < LATE_TIMES {
            message.headers.insert(WAITED.to_owned(), (waited + 1).to_string());
            queue.publish_later(message, LATE).await?;
            return Ok(());
        }
        let reason = format!("{missing}; send the datafile again");
        self.ledger.file_parked_message(QUEUE, &message.id, &reason).await?;
        Ok(queue.park(message, &reason).await?)
    }

    /// Puts a message's content to what its snapshot's page files.
    fn sort_in(&self, message: &Message, pages: &mut BTreeMap<SnapshotId, Page>) -> Result<(), Aside> {
        match SnapshotMessage::decode(&message.body) {
            Ok(SnapshotMessage::Record { snapshot, ordinal, sealed }) => {
                let record = self.filed(&snapshot, ordinal, sealed).map_err(|error| Aside {
                    // Under a key that we lack it is whole, and somebody's mistake: its snapshot waits for it.
                    of: (!matches!(error, SealError::UnknownKey(_))).then(|| (snapshot.clone(), ordinal)),
                    reason: error.to_string(),
                })?;
                pages.entry(snapshot).or_default().records.push(record);
            }
            Ok(SnapshotMessage::Reject { snapshot, reject }) => {
                pages.entry(snapshot).or_default().rejects.push(reject);
            }
            Ok(SnapshotMessage::End(manifest)) => {
                let page = pages.entry(manifest.id.clone()).or_default();
                page.end = Some((manifest, message.clone()));
            }
            Err(error) => return Err(Aside { of: record_of(&message.id), reason: error.to_string() }),
        }
        Ok(())
    }

    async fn set_aside(
        &self,
        queue: &dyn Queue,
        message: &Message,
        aside: Aside,
        pages: &mut BTreeMap<SnapshotId, Page>,
    ) -> Result<(), Error> {
        tracing::warn!(id = message.id, reason = aside.reason, "a message is set aside");
        self.ledger.file_parked_message(QUEUE, &message.id, &aside.reason).await?;
        queue.park(message.clone(), &aside.reason).await?;
        if let Some((snapshot, ordinal)) = aside.of {
            pages.entry(snapshot).or_default().unreadable.push(ordinal);
        }
        Ok(())
    }

    /// A record with the fingerprints that matching and rule U5 compare.
    fn filed(&self, id: &SnapshotId, ordinal: i64, sealed: Sealed) -> Result<FiledRecord, SealError> {
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

/// The record that a message's id names: the snapshot's id, a dash, the ordinal.
fn record_of(id: &str) -> Option<(SnapshotId, i64)> {
    let (snapshot, ordinal) = id.split_once('-')?;
    let is_id = snapshot.len() == 64 && snapshot.bytes().all(|b| b.is_ascii_hexdigit());
    Some((SnapshotId(is_id.then(|| snapshot.to_owned())?), ordinal.parse().ok()?))
}
