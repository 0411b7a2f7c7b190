//! The SQLite dialect: one file, write-ahead log, full synchronisation.
//!
//! This file only carries calls into transactions; what each does stands in the module it names. Arguments are copied
//! on the way, since the work must not end with the caller (see `connection`).

mod batch;
mod claim;
mod connection;
mod cutover;
mod decode;
mod directory;
mod fault;
mod finish;
mod forget;
mod in_step;
mod journal;
mod look;
mod matching;
mod open;
mod pace;
mod passes;
mod presence;
mod release;
mod run;
#[cfg(test)]
mod scale;
mod seats;
mod snapshot;
mod standing;
mod steps;
#[cfg(test)]
mod tests;
mod touched;
mod users;
mod write_ahead;

use crate::{Applicant, ClaimedSeat, Decided, GroupSeats, NewSeat, Rerouted, SeatFinish};
use crate::{
    Batch, Checkpoint, Claim, Control, Counts, DirectoryCursor, DirectoryRow, Error, Event, FiledRecord,
    Finish, Forget, ForgetPage, Forgettable, Forgotten, InventoryRow, Lead, Ledger, MatchCounts, Member,
    NewBatch, NewIntent, Newer, OpenedRun, PaceStep, ParkedMessage, Presence, RecordCursor, Release,
    ResultRow, Run, RunSpec, RunTotals, Seen, SnapshotFiling, Standing, StepCounts, UserCursor, UserHistory,
    UserResults,
};
use crate::{Cutover, NeverMoved, NewCutover, NewPassIntent, PassClaim, PassFinish, PassIssue};
use connection::Connections;
use contract::{
    Allowed, EntraId, Fingerprint, JournalLine, Match, Reject, RunId, RunKind, RunState, Sealed, SnapshotId,
    SnapshotManifest, UserKey,
};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// A ledger in a file of SQLite, or in memory.
#[derive(Debug, Clone)]
pub struct SqliteLedger {
    connections: Connections,
    /// Nobody can compete for a file whose lock we hold, so this stays false; it is kept for those who watch it.
    never_lost: Arc<watch::Sender<bool>>,
}

impl SqliteLedger {
    /// Opens a ledger for writing; makes the file, readable by its owner alone, if it is not there, and brings it to
    /// this build's shape. Who else writes to it is the caller's affair (a lock beside the file).
    pub async fn open(path: &Path) -> Result<Self, Error> {
        Ok(Self::over(open::for_writing(path).await?))
    }

    /// Opens a ledger for looking, also beside a process that writes to it. It must be there and of this build's shape;
    /// nothing is migrated, and whatever would write answers `Error::ReadOnly`.
    pub async fn open_read_only(path: &Path) -> Result<Self, Error> {
        Ok(Self::over(open::for_reading(path).await?))
    }

    /// A ledger that is gone with the process.
    pub async fn open_in_memory() -> Result<Self, Error> {
        Ok(Self::over(open::in_memory().await?))
    }

    fn over(connections: Connections) -> Self {
        Self { connections, never_lost: Arc::new(watch::Sender::new(false)) }
    }

    /// Folds the write-ahead log into the file. Nothing is lost without it; the file beside is just not left behind.
    pub async fn close(&self) {
        self.connections.close().await;
    }
}

#[async_trait::async_trait]
impl Ledger for SqliteLedger {
    async fn keep(&self, name: &str, candidate: &Sealed) -> Result<Sealed, Error> {
        let (name, candidate) = (name.to_owned(), candidate.clone());
        self.connections
            .write("keeping a value", move |db| {
                Box::pin(async move { snapshot::keep(db, &name, &candidate).await })
            })
            .await
    }

    async fn kept(&self, name: &str) -> Result<Option<Sealed>, Error> {
        let name = name.to_owned();
        self.connections
            .read("reading a kept value", move |db| Box::pin(async move { snapshot::kept(db, &name).await }))
            .await
    }

    async fn learned_rates(&self) -> Result<Vec<(String, f64)>, Error> {
        self.connections.read("reading the learned rates", move |db| Box::pin(pace::learned_rates(db))).await
    }

    async fn keep_rates(&self, rates: &[(String, f64)]) -> Result<(), Error> {
        let rates = rates.to_vec();
        self.connections
            .write("keeping the learned rates", move |db| {
                Box::pin(async move { pace::keep_rates(db, &rates).await })
            })
            .await
    }

    async fn begin_snapshot(&self, id: &SnapshotId) -> Result<SnapshotFiling, Error> {
        let id = id.clone();
        self.connections
            .write("opening a snapshot", move |db| Box::pin(async move { snapshot::begin(db, &id).await }))
            .await
    }

    async fn file_records(&self, id: &SnapshotId, rows: &[FiledRecord]) -> Result<(), Error> {
        let (id, rows) = (id.clone(), rows.to_vec());
        self.connections
            .write("filing records", move |db| {
                Box::pin(async move { snapshot::file_records(db, &id, rows).await })
            })
            .await
    }

    async fn file_rejects(&self, id: &SnapshotId, rows: &[Reject]) -> Result<(), Error> {
        let (id, rows) = (id.clone(), rows.to_vec());
        self.connections
            .write("filing rejects", move |db| {
                Box::pin(async move { snapshot::file_rejects(db, &id, &rows).await })
            })
            .await
    }

    async fn complete_snapshot(&self, manifest: &SnapshotManifest) -> Result<(), Error> {
        let manifest = manifest.clone();
        self.connections
            .write("completing a snapshot", move |db| {
                Box::pin(async move { snapshot::complete(db, &manifest).await })
            })
            .await
    }

    async fn snapshot(&self, id: &SnapshotId) -> Result<Option<SnapshotManifest>, Error> {
        let id = id.clone();
        self.connections
            .read("reading a snapshot", move |db| Box::pin(async move { snapshot::manifest(db, &id).await }))
            .await
    }

    async fn latest_snapshot(&self) -> Result<Option<(SnapshotManifest, i64)>, Error> {
        self.connections.read("reading the latest snapshot", move |db| Box::pin(snapshot::latest(db))).await
    }

    async fn snapshot_filing(&self, id: &SnapshotId) -> Result<Option<SnapshotFiling>, Error> {
        let id = id.clone();
        self.connections
            .read("reading how far a snapshot is filed", move |db| {
                Box::pin(async move { snapshot::filing(db, &id).await })
            })
            .await
    }

    async fn file_unreadable(&self, id: &SnapshotId, ordinals: &[i64]) -> Result<(), Error> {
        let (id, ordinals) = (id.clone(), ordinals.to_vec());
        self.connections
            .write("filing damaged records", move |db| {
                Box::pin(async move { snapshot::file_unreadable(db, &id, &ordinals).await })
            })
            .await
    }

    async fn rejects(&self, id: &SnapshotId) -> Result<Vec<Reject>, Error> {
        let id = id.clone();
        self.connections
            .read("reading the rejects", move |db| Box::pin(async move { snapshot::rejects(db, &id).await }))
            .await
    }

    async fn open_run(&self, spec: &RunSpec) -> Result<OpenedRun, Error> {
        let spec = spec.clone();
        self.connections
            .write("opening a run", move |db| Box::pin(async move { run::open(db, &spec).await }))
            .await
    }

    async fn run(&self, id: RunId) -> Result<Option<Run>, Error> {
        self.connections.read("reading a run", move |db| Box::pin(run::find(db, id))).await
    }

    async fn latest_run(&self, kinds: &[RunKind]) -> Result<Option<Run>, Error> {
        let kinds = kinds.to_vec();
        self.connections
            .read("reading the latest run", move |db| Box::pin(async move { run::latest(db, &kinds).await }))
            .await
    }

    async fn set_run_state(&self, id: RunId, state: RunState) -> Result<(), Error> {
        self.connections.write("moving a run", move |db| Box::pin(run::set_state(db, id, state))).await
    }

    async fn add_totals(&self, id: RunId, add: &RunTotals) -> Result<(), Error> {
        let add = *add;
        self.connections
            .write("adding to a run's totals", move |db| {
                Box::pin(async move { run::add_totals(db, id, &add).await })
            })
            .await
    }

    async fn runs_to_drive(&self) -> Result<Vec<Run>, Error> {
        self.connections.read("reading the runs to drive", move |db| Box::pin(run::to_drive(db))).await
    }

    async fn halt_run(&self, id: RunId, reason: &str) -> Result<(), Error> {
        let reason = reason.to_owned();
        self.connections
            .write("halting a run", move |db| Box::pin(async move { run::halt(db, id, &reason).await }))
            .await
    }

    async fn resume_run(&self, id: RunId) -> Result<(), Error> {
        self.connections.write("resuming a run", move |db| Box::pin(run::resume(db, id))).await
    }

    async fn lead(&self, _name: &str) -> Result<Lead, Error> {
        self.connections.write("taking over", move |db| Box::pin(run::take_over(db))).await?;
        Ok(Lead { ledger: Arc::new(self.clone()), term: 0, lost: self.never_lost.subscribe() })
    }

    async fn report_presence(&self, presence: &Presence) -> Result<(), Error> {
        let presence = presence.clone();
        self.connections
            .write("reporting to be alive", move |db| {
                Box::pin(async move { presence::report(db, &presence).await })
            })
            .await
    }

    async fn presences(&self, within: Duration) -> Result<Vec<Seen>, Error> {
        self.connections.read("reading who is alive", move |db| Box::pin(presence::seen(db, within))).await
    }

    async fn file_parked_message(&self, queue: &str, id: &str, reason: &str) -> Result<(), Error> {
        let (queue, id, reason) = (queue.to_owned(), id.to_owned(), reason.to_owned());
        self.connections
            .write("filing a message that was set aside", move |db| {
                Box::pin(async move { presence::park_message(db, &queue, &id, &reason).await })
            })
            .await
    }

    async fn parked_messages(&self, limit: u32) -> Result<(Vec<ParkedMessage>, u64), Error> {
        self.connections
            .read("reading the messages set aside", move |db| Box::pin(presence::parked_messages(db, limit)))
            .await
    }

    async fn step_pace(&self, bucket: &str, step: PaceStep) -> Result<(), Error> {
        let bucket = bucket.to_owned();
        self.connections
            .write_lazily("sharing the pace", move |db| {
                Box::pin(async move { pace::step(db, &bucket, step).await })
            })
            .await
    }

    async fn paces(&self) -> Result<(Vec<(String, String)>, f64), Error> {
        self.connections.read("reading the shared pace", move |db| Box::pin(pace::all(db))).await
    }

    async fn directory_cursor(&self, run: RunId) -> Result<DirectoryCursor, Error> {
        self.connections
            .read("reading how far the directory was read", move |db| Box::pin(directory::cursor(db, run)))
            .await
    }

    async fn file_directory_page(
        &self,
        run: RunId,
        rows: &[DirectoryRow],
        next: Option<&str>,
    ) -> Result<(), Error> {
        let (rows, next) = (rows.to_vec(), next.map(str::to_owned));
        self.connections
            .write("filing a page of the directory", move |db| {
                Box::pin(async move { directory::file_page(db, run, rows, next.as_deref()).await })
            })
            .await
    }

    async fn change_allowed(
        &self,
        run: RunId,
        users: &[EntraId],
        set: Allowed,
        clear: Allowed,
    ) -> Result<(), Error> {
        let users = users.to_vec();
        self.connections
            .write("filing what the policy allows", move |db| {
                Box::pin(async move { directory::change_allowed(db, run, &users, set, clear).await })
            })
            .await
    }

    async fn file_inventory(&self, run: RunId, rows: &[InventoryRow]) -> Result<(), Error> {
        let rows = rows.to_vec();
        self.connections
            .write("filing the inventory", move |db| {
                Box::pin(async move { directory::file_inventory(db, run, &rows).await })
            })
            .await
    }

    async fn match_users(
        &self,
        run: RunId,
        stages: &[Match],
        include_disabled: bool,
    ) -> Result<MatchCounts, Error> {
        let stages = stages.to_vec();
        self.connections
            .write("matching users", move |db| {
                Box::pin(async move { matching::match_users(db, run, &stages, include_disabled).await })
            })
            .await
    }

    async fn file_reviewed(&self, run: RunId, rows: &[(i64, Sealed)]) -> Result<(), Error> {
        let rows = rows.to_vec();
        self.connections
            .write("filing the reviewed plan", move |db| {
                Box::pin(async move { directory::file_reviewed(db, run, &rows).await })
            })
            .await
    }

    async fn release(
        &self,
        run: RunId,
        limit: u32,
        stale_after: Option<Duration>,
        grace: Duration,
    ) -> Result<Release, Error> {
        self.connections
            .write("releasing users", move |db| {
                Box::pin(release::release(db, run, limit, stale_after, grace))
            })
            .await
    }

    async fn settle_unchanged(&self, run: RunId, ordinals: &[i64], codes: &str) -> Result<u64, Error> {
        let (ordinals, codes) = (ordinals.to_vec(), codes.to_owned());
        self.connections
            .write("settling unchanged users", move |db| {
                Box::pin(async move { release::settle_unchanged(db, run, &ordinals, &codes).await })
            })
            .await
    }

    async fn claim(
        &self,
        run: RunId,
        ordinals: &[i64],
        owner: &str,
        lease: Duration,
    ) -> Result<Vec<Claim>, Error> {
        let (ordinals, owner) = (ordinals.to_vec(), owner.to_owned());
        self.connections
            .write("claiming users", move |db| {
                Box::pin(async move { claim::claim(db, run, &ordinals, &owner, lease).await })
            })
            .await
    }

    async fn renew(&self, run: RunId, held: &[(i64, i64)], lease: Duration) -> Result<Vec<i64>, Error> {
        let held = held.to_vec();
        self.connections
            .write("renewing leases", move |db| {
                Box::pin(async move { claim::renew(db, run, &held, lease).await })
            })
            .await
    }

    async fn file_intents(&self, run: RunId, rows: &[NewIntent]) -> Result<Vec<i64>, Error> {
        let rows = rows.to_vec();
        self.connections
            .write("filing intents", move |db| {
                Box::pin(async move { write_ahead::file_intents(db, run, rows).await })
            })
            .await
    }

    async fn finish(&self, run: RunId, rows: &[Finish]) -> Result<Vec<i64>, Error> {
        let rows = rows.to_vec();
        self.connections
            .write("finishing claims", move |db| Box::pin(async move { finish::finish(db, run, rows).await }))
            .await
    }

    async fn counts(&self, run: RunId) -> Result<Counts, Error> {
        self.connections.read("counting users", move |db| Box::pin(look::counts(db, run))).await
    }

    async fn standing(&self, run: RunId) -> Result<Standing, Error> {
        self.connections.read("looking how a run stands", move |db| Box::pin(standing::of(db, run))).await
    }

    async fn proven(&self, run: RunId) -> Result<Vec<String>, Error> {
        self.connections.read("reading what was applied", move |db| Box::pin(look::proven(db, run))).await
    }

    async fn code_counts(&self, run: RunId) -> Result<Vec<(String, u64)>, Error> {
        self.connections.read("counting codes", move |db| Box::pin(look::code_counts(db, run))).await
    }

    async fn checkpoint(&self, run: RunId, step: &str, page: u32) -> Result<Checkpoint, Error> {
        let step = step.to_owned();
        self.connections
            .write("writing a checkpoint", move |db| {
                Box::pin(async move { look::checkpoint(db, run, &step, page).await })
            })
            .await
    }

    async fn checkpoints(&self, run: RunId) -> Result<Vec<Checkpoint>, Error> {
        self.connections.read("reading the checkpoints", move |db| Box::pin(look::checkpoints(db, run))).await
    }

    async fn next_due(&self, run: RunId) -> Result<Option<Duration>, Error> {
        self.connections
            .read("looking for the next snooze", move |db| Box::pin(release::next_due(db, run)))
            .await
    }

    async fn results(&self, run: RunId, after: i64, limit: u32) -> Result<Vec<ResultRow>, Error> {
        self.connections
            .read("reading results", move |db| Box::pin(look::results(db, run, after, limit)))
            .await
    }

    async fn users(
        &self,
        batch: Option<&str>,
        after: Option<UserCursor>,
        limit: u32,
    ) -> Result<Vec<UserResults>, Error> {
        let batch = batch.map(str::to_owned);
        self.connections
            .read("reading users", move |db| {
                Box::pin(async move { users::page(db, batch.as_deref(), after, limit).await })
            })
            .await
    }

    async fn newest_runs(&self, limit: u32) -> Result<Vec<Run>, Error> {
        self.connections.read("reading the newest runs", move |db| Box::pin(run::newest(db, limit))).await
    }

    async fn user_history(&self, key: UserKey) -> Result<UserHistory, Error> {
        self.connections
            .read("reading a user's history", move |db| Box::pin(look::user_history(db, key)))
            .await
    }

    async fn applied_fingerprint(&self, user: &EntraId) -> Result<Option<Fingerprint>, Error> {
        let user = user.clone();
        self.connections
            .read("reading a fingerprint", move |db| {
                Box::pin(async move { look::applied_fingerprint(db, &user).await })
            })
            .await
    }

    async fn runs_of(&self, batch: &str) -> Result<Vec<Run>, Error> {
        let batch = batch.to_owned();
        self.connections
            .read("reading a batch's runs", move |db| {
                Box::pin(async move { run::of_batch(db, &batch).await })
            })
            .await
    }

    async fn assign_steps(&self, run: RunId, sizes: &[u64]) -> Result<(), Error> {
        let sizes = sizes.to_vec();
        self.connections
            .write("assigning the steps", move |db| {
                Box::pin(async move { steps::assign(db, run, &sizes).await })
            })
            .await
    }

    async fn open_step(&self, run: RunId, step: u32) -> Result<(), Error> {
        self.connections
            .write("opening a step", move |db| Box::pin(async move { steps::open(db, run, step).await }))
            .await
    }

    async fn step_counts(&self, run: RunId, step: u32) -> Result<StepCounts, Error> {
        self.connections
            .read("counting a step", move |db| Box::pin(async move { steps::counts(db, run, step).await }))
            .await
    }

    async fn tell_waits(&self, run: RunId, reason: Option<&str>) -> Result<(), Error> {
        let reason = reason.map(str::to_owned);
        self.connections
            .write("telling why a run waits", move |db| {
                Box::pin(async move { steps::tell_waits(db, run, reason.as_deref()).await })
            })
            .await
    }

    async fn controls(&self) -> Result<Vec<Control>, Error> {
        self.connections
            .read("reading what holds the runs", move |db| Box::pin(async move { steps::controls(db).await }))
            .await
    }

    async fn freeze_touched(&self, run: RunId) -> Result<MatchCounts, Error> {
        self.connections
            .write("freezing those who were touched", move |db| {
                Box::pin(async move { touched::freeze(db, run).await })
            })
            .await
    }

    async fn forget_applied(&self, run: RunId, ordinals: &[i64]) -> Result<(), Error> {
        let ordinals = ordinals.to_vec();
        self.connections
            .write("forgetting what was applied", move |db| {
                Box::pin(async move { touched::forget_applied(db, run, &ordinals).await })
            })
            .await
    }

    async fn create_batch(&self, batch: &NewBatch) -> Result<(), Error> {
        let batch = batch.clone();
        self.connections
            .write("making a batch", move |db| Box::pin(async move { batch::create(db, &batch).await }))
            .await
    }

    async fn add_members(&self, batch: &str, members: &[Member]) -> Result<(), Error> {
        let (batch, members) = (batch.to_owned(), members.to_vec());
        self.connections
            .write("adding users to a batch", move |db| {
                Box::pin(async move { batch::add_members(db, &batch, &members).await })
            })
            .await
    }

    async fn freeze_batch(&self, batch: &str) -> Result<(), Error> {
        let batch = batch.to_owned();
        self.connections
            .write("fixing a batch", move |db| Box::pin(async move { batch::freeze(db, &batch).await }))
            .await
    }

    async fn batch(&self, name: &str) -> Result<Option<Batch>, Error> {
        let name = name.to_owned();
        self.connections
            .read("reading a batch", move |db| Box::pin(async move { batch::find(db, &name).await }))
            .await
    }

    async fn batches(&self) -> Result<Vec<Batch>, Error> {
        self.connections
            .read("reading the batches", move |db| Box::pin(async move { batch::every(db).await }))
            .await
    }

    async fn overlaps(&self, batch: &str) -> Result<Vec<(String, u64)>, Error> {
        let batch = batch.to_owned();
        self.connections
            .read("comparing batches", move |db| Box::pin(async move { batch::overlaps(db, &batch).await }))
            .await
    }

    async fn set_batch(&self, batch: &str, was: &str, settings: &str) -> Result<bool, Error> {
        let (batch, was, settings) = (batch.to_owned(), was.to_owned(), settings.to_owned());
        self.connections
            .write("changing a batch's settings", move |db| {
                Box::pin(async move { batch::set(db, &batch, &was, &settings).await })
            })
            .await
    }

    async fn record_event(&self, event: &Event) -> Result<(), Error> {
        let event = event.clone();
        self.connections
            .write("filing an event", move |db| {
                Box::pin(async move { batch::record_event(db, &event).await })
            })
            .await
    }

    async fn events(&self, batch: Option<&str>, limit: u32) -> Result<Vec<Event>, Error> {
        let batch = batch.map(str::to_owned);
        self.connections
            .read("reading the events", move |db| {
                Box::pin(async move { batch::events(db, batch.as_deref(), limit).await })
            })
            .await
    }

    async fn journal(&self, after: i64, limit: u32) -> Result<Vec<JournalLine>, Error> {
        self.connections
            .read("reading the journal", move |db| Box::pin(journal::lines(db, after, limit)))
            .await
    }

    async fn journal_head(&self) -> Result<(i64, Vec<u8>), Error> {
        self.connections.read("reading the end of the journal", move |db| Box::pin(journal::head(db))).await
    }

    async fn batch_settings(&self) -> Result<Vec<(String, String)>, Error> {
        self.connections
            .read("reading the settings of batches", move |db| {
                Box::pin(async move { in_step::settings(db).await })
            })
            .await
    }

    async fn last_written(&self, batch: &str) -> Result<Option<Run>, Error> {
        let batch = batch.to_owned();
        self.connections
            .read("reading the last run of a batch", move |db| {
                Box::pin(async move { in_step::last_written(db, &batch).await })
            })
            .await
    }

    async fn moved_before(&self, run: RunId) -> Result<Option<RunId>, Error> {
        self.connections
            .read("reading the run before", move |db| {
                Box::pin(async move { in_step::moved_before(db, run).await })
            })
            .await
    }

    async fn taken_back(&self, batch: &str, after: RunId) -> Result<Option<RunId>, Error> {
        let batch = batch.to_owned();
        self.connections
            .read("reading the rollbacks", move |db| {
                Box::pin(async move { in_step::taken_back(db, &batch, after).await })
            })
            .await
    }

    async fn open_next_run(&self, spec: &RunSpec, after: RunId, event: &Event) -> Result<Option<Run>, Error> {
        let (spec, event) = (spec.clone(), event.clone());
        self.connections
            .write("opening the next run", move |db| {
                Box::pin(async move { in_step::open_next(db, &spec, after, &event).await })
            })
            .await
    }

    async fn newer(&self, batch: &str, from: &SnapshotId, to: &SnapshotId) -> Result<Newer, Error> {
        let (batch, from, to) = (batch.to_owned(), from.clone(), to.clone());
        self.connections
            .read("comparing snapshots", move |db| {
                Box::pin(async move { in_step::newer(db, &batch, &from, &to).await })
            })
            .await
    }

    async fn fresh_counts(&self, run: RunId, since: RunId) -> Result<StepCounts, Error> {
        self.connections
            .read("counting who is new in a run", move |db| {
                Box::pin(async move { in_step::fresh_counts(db, run, since).await })
            })
            .await
    }

    async fn came_again(&self, id: &SnapshotId) -> Result<(), Error> {
        let id = id.clone();
        self.connections
            .write("filing that a snapshot came again", move |db| {
                Box::pin(async move { in_step::came_again(db, &id).await })
            })
            .await
    }

    async fn begin_pass_issue(&self, issue: &PassIssue) -> Result<(), Error> {
        let issue = issue.clone();
        self.connections
            .write("filing an issue of passes", move |db| {
                Box::pin(async move { passes::begin(db, &issue).await })
            })
            .await
    }

    async fn pass_issue(&self, id: &str) -> Result<Option<PassIssue>, Error> {
        let id = id.to_owned();
        self.connections
            .read("reading an issue of passes", move |db| {
                Box::pin(async move { passes::issue(db, &id).await })
            })
            .await
    }

    async fn claim_passes(
        &self,
        users: &[EntraId],
        owner: &str,
        lease: Duration,
        grace: Duration,
    ) -> Result<Vec<PassClaim>, Error> {
        let (users, owner) = (users.to_vec(), owner.to_owned());
        self.connections
            .write("taking users in hand", move |db| {
                Box::pin(async move { passes::claim(db, &users, &owner, lease, grace).await })
            })
            .await
    }

    async fn file_pass_intents(
        &self,
        issue: &str,
        rows: &[NewPassIntent],
    ) -> Result<Vec<(EntraId, i64)>, Error> {
        let (issue, rows) = (issue.to_owned(), rows.to_vec());
        self.connections
            .write("filing wishes for passes", move |db| {
                Box::pin(async move { passes::file_intents(db, &issue, &rows).await })
            })
            .await
    }

    async fn finish_passes(&self, rows: &[PassFinish]) -> Result<Vec<EntraId>, Error> {
        let rows = rows.to_vec();
        self.connections
            .write("recording what became of passes", move |db| {
                Box::pin(async move { passes::finish(db, &rows).await })
            })
            .await
    }

    async fn passes_to_end(&self, after: i64, limit: u32) -> Result<Vec<(i64, EntraId)>, Error> {
        self.connections
            .read("reading the passes that may be there", move |db| {
                Box::pin(async move { passes::to_end(db, after, limit).await })
            })
            .await
    }

    async fn void_pass_claims(&self) -> Result<(), Error> {
        self.connections
            .write("ending claims on passes", move |db| {
                Box::pin(async move { passes::void_claims(db).await })
            })
            .await
    }

    async fn cutover(&self, domain: &str) -> Result<Option<Cutover>, Error> {
        let domain = domain.to_owned();
        self.connections
            .read("reading a cut-over", move |db| Box::pin(async move { cutover::find(db, &domain).await }))
            .await
    }

    async fn file_cutover(&self, new: &NewCutover) -> Result<i64, Error> {
        let new = new.clone();
        self.connections
            .write("filing a cut-over", move |db| Box::pin(async move { cutover::file(db, &new).await }))
            .await
    }

    async fn end_cutover(
        &self,
        intent: i64,
        outcome: contract::IntentOutcome,
        by: &str,
    ) -> Result<(), Error> {
        let by = by.to_owned();
        self.connections
            .write("recording a cut-over", move |db| {
                Box::pin(async move { cutover::end(db, intent, outcome, &by).await })
            })
            .await
    }

    async fn never_moved(&self, after: i64, limit: u32) -> Result<Vec<NeverMoved>, Error> {
        self.connections
            .read("reading who was never moved", move |db| {
                Box::pin(async move { cutover::never_moved(db, after, limit).await })
            })
            .await
    }

    async fn snapshots(&self) -> Result<Vec<SnapshotId>, Error> {
        self.connections.read("listing the snapshots", move |db| Box::pin(forget::snapshots(db))).await
    }

    async fn forgettable(&self, what: &Forget) -> Result<Forgettable, Error> {
        let what = what.clone();
        self.connections
            .read("looking what can be forgotten", move |db| {
                Box::pin(async move { forget::stands(db, &what).await })
            })
            .await
    }

    async fn forget_next(
        &self,
        what: &Forget,
        after: Option<UserKey>,
        limit: u32,
    ) -> Result<ForgetPage, Error> {
        let what = what.clone();
        self.connections
            .read("looking whom to forget", move |db| {
                Box::pin(async move { forget::next(db, &what, after, limit).await })
            })
            .await
    }

    async fn forget_users(
        &self,
        what: &Forget,
        users: &[UserKey],
        results: &[(RunId, i64, Sealed)],
    ) -> Result<Forgotten, Error> {
        let (what, users, results) = (what.clone(), users.to_vec(), results.to_vec());
        self.connections
            .write("forgetting users", move |db| {
                Box::pin(async move { forget::users(db, &what, &users, results).await })
            })
            .await
    }

    async fn forget_records(
        &self,
        what: &Forget,
        after: Option<RecordCursor>,
        limit: u32,
    ) -> Result<(Forgotten, Option<RecordCursor>), Error> {
        let what = what.clone();
        self.connections
            .write("forgetting records", move |db| {
                Box::pin(async move { forget::records(db, &what, after, limit).await })
            })
            .await
    }

    async fn reclaim(&self) -> Result<bool, Error> {
        self.connections.reclaim().await
    }

    async fn freeze_rollout(&self, run: RunId) -> Result<MatchCounts, Error> {
        self.connections
            .write("freezing a rollout's users", move |db| {
                Box::pin(async move { seats::freeze(db, run).await })
            })
            .await
    }

    async fn applicants(&self, run: RunId, after: i64, limit: u32) -> Result<Vec<Applicant>, Error> {
        self.connections
            .read("reading whom a rollout may take", move |db| {
                Box::pin(seats::applicants(db, run, after, limit))
            })
            .await
    }

    async fn decide_applicants(&self, run: RunId, rows: &[(i64, Decided)]) -> Result<(), Error> {
        let rows = rows.to_vec();
        self.connections
            .write("filing what a rollout does with users", move |db| {
                Box::pin(async move { seats::decide(db, run, &rows).await })
            })
            .await
    }

    async fn open_rollout(&self, run: RunId, steps: &[u64]) -> Result<(), Error> {
        let steps = steps.to_vec();
        self.connections
            .write("opening a rollout", move |db| Box::pin(async move { seats::open(db, run, &steps).await }))
            .await
    }

    async fn placed(&self, run: RunId) -> Result<Vec<(String, u64)>, Error> {
        self.connections.read("counting users by group", move |db| Box::pin(seats::placed(db, run))).await
    }

    async fn claimed_seats(&self, run: RunId, ordinals: &[i64]) -> Result<Vec<ClaimedSeat>, Error> {
        let ordinals = ordinals.to_vec();
        self.connections
            .read("reading seats", move |db| {
                Box::pin(async move { seats::claimed(db, run, &ordinals).await })
            })
            .await
    }

    async fn file_seats(&self, run: RunId, rows: &[NewSeat]) -> Result<Vec<i64>, Error> {
        let rows = rows.to_vec();
        self.connections
            .write("filing seats", move |db| Box::pin(async move { seats::file(db, run, &rows).await }))
            .await
    }

    async fn finish_seats(&self, run: RunId, rows: &[SeatFinish]) -> Result<Vec<i64>, Error> {
        let rows = rows.to_vec();
        self.connections
            .write("finishing claims of seats", move |db| {
                Box::pin(async move { seats::finish(db, run, &rows).await })
            })
            .await
    }

    async fn rerouted(&self, run: RunId) -> Result<Rerouted, Error> {
        self.connections
            .read("looking who is in the staged rollout", move |db| Box::pin(seats::rerouted(db, run)))
            .await
    }

    async fn hold_rerouted(&self, run: RunId, users: &[EntraId]) -> Result<u64, Error> {
        let users = users.to_vec();
        self.connections
            .write("setting rerouted users aside", move |db| {
                Box::pin(async move { seats::hold_rerouted(db, run, &users).await })
            })
            .await
    }

    async fn seated(&self, batch: &str) -> Result<u64, Error> {
        let batch = batch.to_owned();
        self.connections
            .read("counting seats", move |db| Box::pin(async move { seats::seated(db, &batch).await }))
            .await
    }

    async fn meant_elsewhere(&self, run: RunId) -> Result<Vec<(String, u64)>, Error> {
        self.connections
            .read("counting whom other runs mean for a group", move |db| {
                Box::pin(seats::meant_elsewhere(db, run))
            })
            .await
    }

    async fn seat_groups(&self) -> Result<Vec<String>, Error> {
        self.connections.read("reading the groups of seats", move |db| Box::pin(seats::groups(db))).await
    }

    async fn group_seats(&self) -> Result<Vec<GroupSeats>, Error> {
        self.connections.read("counting seats by group", move |db| Box::pin(seats::by_group(db))).await
    }
}
