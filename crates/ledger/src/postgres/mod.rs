//! The PostgreSQL dialect: many processes, one schema.
//!
//! This file only carries calls to the server; what each does stands in the module it names. Arguments are copied on the
//! way, since the work must not end with the caller (see `connection`). Whatever is cut off at its end, its outcome
//! unknown, may be done again: rows that are there are left, and a claim that has moved on is told from one that holds.

mod address;
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
mod known;
mod leadership;
mod line;
mod look;
mod matching;
mod open;
mod pace;
mod passes;
mod presence;
mod release;
mod run;
mod seats;
mod snapshot;
mod standing;
mod steps;
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
use address::Address;
use connection::{Connections, Shape};
use contract::{
    Allowed, EntraId, Fingerprint, JournalLine, Match, Reject, RunId, RunKind, RunState, Sealed, SnapshotId,
    SnapshotManifest, UserKey,
};
use leadership::Leadership;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// After so many pages of a run the entries are vacuumed: each page counts them all, and reads the rows themselves of
/// what has moved since. Autovacuum looks once a minute, in which a fast run moves a hundred thousand.
const PAGES_A_TIDYING: u32 = 20;

/// A ledger in a schema of a PostgreSQL server.
#[derive(Debug, Clone)]
pub struct PgLedger {
    connections: Connections,
    address: Address,
    /// Kept for as long as somebody has the leader's view of the ledger.
    _leadership: Option<Arc<Leadership>>,
}

impl PgLedger {
    /// Opens a ledger for writing, beside others that do; makes its schema if it is not there, and brings it to this
    /// build's shape. The address is `postgres://USER:PASSWORD@HOST:PORT/DATABASE`, with the parameters of libpq for TLS
    /// (`sslmode`, `sslrootcert`, `sslcert`, `sslkey`); a server on another machine is always verified. Another schema
    /// than `mfa_migrate` is named by `options=-c search_path=NAME`. A pooler that shares sessions will not do.
    pub async fn open(url: &str) -> Result<Self, Error> {
        let address = Address::parse(url)?;
        Ok(Self { connections: open::for_writing(&address).await?, address, _leadership: None })
    }

    /// Opens a ledger for looking. It must be there and of this build's shape; nothing is migrated, and whatever would
    /// write answers `Error::ReadOnly`.
    pub async fn open_read_only(url: &str) -> Result<Self, Error> {
        let address = Address::parse(url)?;
        Ok(Self { connections: open::for_reading(&address).await?, address, _leadership: None })
    }

    /// Ends the connections when what they are at is done. Nothing is lost without it.
    pub async fn close(&self) {
        self.connections.close().await;
    }
}

#[async_trait::async_trait]
impl Ledger for PgLedger {
    async fn keep(&self, name: &str, candidate: &Sealed) -> Result<Sealed, Error> {
        let given = (name.to_owned(), candidate.clone());
        self.connections
            .write("keeping a value", Shape::Together, given, |db, (name, candidate)| {
                Box::pin(snapshot::keep(db, name, candidate))
            })
            .await
    }

    async fn kept(&self, name: &str) -> Result<Option<Sealed>, Error> {
        self.connections
            .read("reading a kept value", name, |db, name| Box::pin(snapshot::kept(db, name)))
            .await
    }

    async fn learned_rates(&self) -> Result<Vec<(String, f64)>, Error> {
        self.connections
            .read("reading the learned rates", (), |db, ()| Box::pin(pace::learned_rates(db)))
            .await
    }

    async fn keep_rates(&self, rates: &[(String, f64)]) -> Result<(), Error> {
        self.connections
            .write("keeping the learned rates", Shape::Statement, rates.to_vec(), |db, rates| {
                Box::pin(pace::keep_rates(db, rates))
            })
            .await
    }

    async fn begin_snapshot(&self, id: &SnapshotId) -> Result<SnapshotFiling, Error> {
        self.connections
            .write("opening a snapshot", Shape::Statement, id.clone(), |db, id| {
                Box::pin(snapshot::begin(db, id))
            })
            .await
    }

    async fn file_records(&self, id: &SnapshotId, rows: &[FiledRecord]) -> Result<(), Error> {
        let given = (id.clone(), rows.to_vec());
        self.connections
            .write("filing records", Shape::Together, given, |db, (id, rows)| {
                Box::pin(snapshot::file_records(db, id, rows))
            })
            .await
    }

    async fn file_rejects(&self, id: &SnapshotId, rows: &[Reject]) -> Result<(), Error> {
        let given = (id.clone(), rows.to_vec());
        self.connections
            .write("filing rejects", Shape::Together, given, |db, (id, rows)| {
                Box::pin(snapshot::file_rejects(db, id, rows))
            })
            .await
    }

    async fn complete_snapshot(&self, manifest: &SnapshotManifest) -> Result<(), Error> {
        self.connections
            .write("completing a snapshot", Shape::Sets, manifest.clone(), |db, manifest| {
                Box::pin(snapshot::complete(db, manifest))
            })
            .await?;
        self.connections.tidy("VACUUM (ANALYZE) record").await;
        Ok(())
    }

    async fn snapshot(&self, id: &SnapshotId) -> Result<Option<SnapshotManifest>, Error> {
        self.connections.read("reading a snapshot", id, |db, id| Box::pin(snapshot::manifest(db, id))).await
    }

    async fn latest_snapshot(&self) -> Result<Option<(SnapshotManifest, i64)>, Error> {
        self.connections
            .read("reading the latest snapshot", (), |db, ()| Box::pin(snapshot::latest(db)))
            .await
    }

    async fn snapshot_filing(&self, id: &SnapshotId) -> Result<Option<SnapshotFiling>, Error> {
        self.connections
            .read("reading how far a snapshot is filed", id, |db, id| Box::pin(snapshot::filing(db, id)))
            .await
    }

    async fn file_unreadable(&self, id: &SnapshotId, ordinals: &[i64]) -> Result<(), Error> {
        let given = (id.clone(), ordinals.to_vec());
        self.connections
            .write("filing damaged records", Shape::Together, given, |db, (id, ordinals)| {
                Box::pin(snapshot::file_unreadable(db, id, ordinals))
            })
            .await
    }

    async fn rejects(&self, id: &SnapshotId) -> Result<Vec<Reject>, Error> {
        self.connections.read("reading the rejects", id, |db, id| Box::pin(snapshot::rejects(db, id))).await
    }

    async fn open_run(&self, spec: &RunSpec) -> Result<OpenedRun, Error> {
        self.connections
            .write("opening a run", Shape::Sets, spec.clone(), |db, spec| Box::pin(run::open(db, spec)))
            .await
    }

    async fn run(&self, id: RunId) -> Result<Option<Run>, Error> {
        self.connections.read("reading a run", id, |db, id| Box::pin(run::find(db, *id))).await
    }

    async fn latest_run(&self, kinds: &[RunKind]) -> Result<Option<Run>, Error> {
        self.connections
            .read("reading the latest run", kinds, |db, kinds| Box::pin(run::latest(db, kinds)))
            .await
    }

    async fn set_run_state(&self, id: RunId, state: RunState) -> Result<(), Error> {
        self.connections
            .write("moving a run", Shape::Together, (id, state), |db, (id, state)| {
                Box::pin(run::set_state(db, *id, *state))
            })
            .await
    }

    async fn add_totals(&self, id: RunId, add: &RunTotals) -> Result<(), Error> {
        self.connections
            .write("adding to a run's totals", Shape::Statement, (id, *add), |db, (id, add)| {
                Box::pin(run::add_totals(db, *id, add))
            })
            .await
    }

    async fn runs_to_drive(&self) -> Result<Vec<Run>, Error> {
        self.connections.read("reading the runs to drive", (), |db, ()| Box::pin(run::to_drive(db))).await
    }

    async fn halt_run(&self, id: RunId, reason: &str) -> Result<(), Error> {
        self.connections
            .write("halting a run", Shape::Together, (id, reason.to_owned()), |db, (id, reason)| {
                Box::pin(run::halt(db, *id, reason))
            })
            .await
    }

    async fn resume_run(&self, id: RunId) -> Result<(), Error> {
        self.connections
            .write("resuming a run", Shape::Together, id, |db, id| Box::pin(run::resume(db, *id)))
            .await
    }

    async fn lead(&self, name: &str) -> Result<Lead, Error> {
        let leadership = Arc::new(leadership::take(&self.address, name).await?);
        let (term, lost) = (leadership.term, leadership.lost.clone());
        let ledger = Self {
            connections: self.connections.under(term),
            address: self.address.clone(),
            _leadership: Some(leadership),
        };
        Ok(Lead { ledger: Arc::new(ledger), term, lost })
    }

    async fn report_presence(&self, presence: &Presence) -> Result<(), Error> {
        self.connections
            .write("reporting to be alive", Shape::Lazy, presence.clone(), |db, presence| {
                Box::pin(presence::report(db, presence))
            })
            .await
    }

    async fn presences(&self, within: Duration) -> Result<Vec<Seen>, Error> {
        self.connections
            .read("reading who is alive", within, |db, within| Box::pin(presence::seen(db, *within)))
            .await
    }

    async fn file_parked_message(&self, queue: &str, id: &str, reason: &str) -> Result<(), Error> {
        let given = (queue.to_owned(), id.to_owned(), reason.to_owned());
        self.connections
            .write(
                "filing a message that was set aside",
                Shape::Statement,
                given,
                |db, (queue, id, reason)| Box::pin(presence::park_message(db, queue, id, reason)),
            )
            .await
    }

    async fn parked_messages(&self, limit: u32) -> Result<(Vec<ParkedMessage>, u64), Error> {
        self.connections
            .read("reading the messages set aside", limit, |db, limit| {
                Box::pin(presence::parked_messages(db, *limit))
            })
            .await
    }

    async fn step_pace(&self, bucket: &str, step: PaceStep) -> Result<(), Error> {
        let given = (bucket.to_owned(), Mutex::new(Some(step)));
        self.connections
            .write("sharing the pace", Shape::Lazy, given, |db, (bucket, step)| {
                Box::pin(pace::step(db, bucket, step))
            })
            .await
    }

    async fn paces(&self) -> Result<(Vec<(String, String)>, f64), Error> {
        self.connections.read("reading the shared pace", (), |db, ()| Box::pin(pace::all(db))).await
    }

    async fn directory_cursor(&self, run: RunId) -> Result<DirectoryCursor, Error> {
        self.connections
            .read("reading how far the directory was read", run, |db, run| {
                Box::pin(directory::cursor(db, *run))
            })
            .await
    }

    async fn file_directory_page(
        &self,
        run: RunId,
        rows: &[DirectoryRow],
        next: Option<&str>,
    ) -> Result<(), Error> {
        let given = (run, rows.to_vec(), next.map(str::to_owned));
        self.connections
            .write("filing a page of the directory", Shape::Together, given, |db, (run, rows, next)| {
                Box::pin(directory::file_page(db, *run, rows, next.as_deref()))
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
        let given = (run, users.to_vec(), set, clear);
        self.connections
            .write(
                "filing what the policy allows",
                Shape::Statement,
                given,
                |db, (run, users, set, clear)| {
                    Box::pin(directory::change_allowed(db, *run, users, *set, *clear))
                },
            )
            .await
    }

    async fn file_inventory(&self, run: RunId, rows: &[InventoryRow]) -> Result<(), Error> {
        self.connections
            .write("filing the inventory", Shape::Statement, (run, rows.to_vec()), |db, (run, rows)| {
                Box::pin(directory::file_inventory(db, *run, rows))
            })
            .await
    }

    async fn match_users(
        &self,
        run: RunId,
        stages: &[Match],
        include_disabled: bool,
    ) -> Result<MatchCounts, Error> {
        let given = (run, stages.to_vec());
        let counts = self
            .connections
            .write("matching users", Shape::Sets, given, move |db, (run, stages)| {
                Box::pin(matching::match_users(db, *run, stages, include_disabled))
            })
            .await?;
        self.connections.tidy("VACUUM (ANALYZE) entry").await;
        Ok(counts)
    }

    async fn file_reviewed(&self, run: RunId, rows: &[(i64, Sealed)]) -> Result<(), Error> {
        self.connections
            .write("filing the reviewed plan", Shape::Statement, (run, rows.to_vec()), |db, (run, rows)| {
                Box::pin(directory::file_reviewed(db, *run, rows))
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
            .write("releasing users", Shape::Together, (), move |db, ()| {
                Box::pin(release::release(db, run, limit, stale_after, grace))
            })
            .await
    }

    async fn settle_unchanged(&self, run: RunId, ordinals: &[i64], codes: &str) -> Result<u64, Error> {
        let given = (ordinals.to_vec(), codes.to_owned());
        self.connections
            .write("settling unchanged users", Shape::Statement, given, move |db, (ordinals, codes)| {
                Box::pin(release::settle_unchanged(db, run, ordinals, codes))
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
        let given = (ordinals.to_vec(), owner.to_owned());
        self.connections
            .write("claiming users", Shape::Statement, given, move |db, (ordinals, owner)| {
                Box::pin(claim::claim(db, run, ordinals, owner, lease))
            })
            .await
    }

    async fn renew(&self, run: RunId, held: &[(i64, i64)], lease: Duration) -> Result<Vec<i64>, Error> {
        self.connections
            .write("renewing leases", Shape::Statement, held.to_vec(), move |db, held| {
                Box::pin(claim::renew(db, run, held, lease))
            })
            .await
    }

    async fn file_intents(&self, run: RunId, rows: &[NewIntent]) -> Result<Vec<i64>, Error> {
        self.connections
            .write("filing intents", Shape::Statement, rows.to_vec(), move |db, rows| {
                Box::pin(write_ahead::file_intents(db, run, rows))
            })
            .await
    }

    async fn finish(&self, run: RunId, rows: &[Finish]) -> Result<Vec<i64>, Error> {
        self.connections
            .write("finishing claims", Shape::Statement, rows.to_vec(), move |db, rows| {
                Box::pin(finish::finish(db, run, rows))
            })
            .await
    }

    async fn counts(&self, run: RunId) -> Result<Counts, Error> {
        self.connections.read("counting users", run, |db, run| Box::pin(look::counts(db, *run))).await
    }

    async fn standing(&self, run: RunId) -> Result<Standing, Error> {
        self.connections
            .read("looking how a run stands", run, |db, run| Box::pin(standing::of(db, *run)))
            .await
    }

    async fn proven(&self, run: RunId) -> Result<Vec<String>, Error> {
        self.connections
            .read("reading what was applied", run, |db, run| Box::pin(look::proven(db, *run)))
            .await
    }

    async fn code_counts(&self, run: RunId) -> Result<Vec<(String, u64)>, Error> {
        self.connections.read("counting codes", run, |db, run| Box::pin(look::code_counts(db, *run))).await
    }

    async fn checkpoint(&self, run: RunId, step: &str, page: u32) -> Result<Checkpoint, Error> {
        self.connections
            .write("writing a checkpoint", Shape::Statement, step.to_owned(), move |db, step| {
                Box::pin(look::checkpoint(db, run, step, page))
            })
            .await
            .inspect(|_| {
                if page.is_multiple_of(PAGES_A_TIDYING) {
                    self.connections.tidy_aside("VACUUM (ANALYZE, SKIP_LOCKED) entry");
                }
            })
    }

    async fn checkpoints(&self, run: RunId) -> Result<Vec<Checkpoint>, Error> {
        self.connections
            .read("reading the checkpoints", run, |db, run| Box::pin(look::checkpoints(db, *run)))
            .await
    }

    async fn next_due(&self, run: RunId) -> Result<Option<Duration>, Error> {
        self.connections
            .read("looking for the next snooze", run, |db, run| Box::pin(release::next_due(db, *run)))
            .await
    }

    async fn results(&self, run: RunId, after: i64, limit: u32) -> Result<Vec<ResultRow>, Error> {
        self.connections
            .read("reading results", (), move |db, ()| Box::pin(look::results(db, run, after, limit)))
            .await
    }

    async fn users(
        &self,
        batch: Option<&str>,
        after: Option<UserCursor>,
        limit: u32,
    ) -> Result<Vec<UserResults>, Error> {
        self.connections
            .read("reading users", batch, move |db, batch| Box::pin(users::page(db, *batch, after, limit)))
            .await
    }

    async fn newest_runs(&self, limit: u32) -> Result<Vec<Run>, Error> {
        self.connections
            .read("reading the newest runs", (), move |db, ()| Box::pin(run::newest(db, limit)))
            .await
    }

    async fn user_history(&self, key: UserKey) -> Result<UserHistory, Error> {
        self.connections
            .read("reading a user's history", key, |db, key| Box::pin(look::user_history(db, *key)))
            .await
    }

    async fn applied_fingerprint(&self, user: &EntraId) -> Result<Option<Fingerprint>, Error> {
        self.connections
            .read("reading a fingerprint", user, |db, user| Box::pin(look::applied_fingerprint(db, user)))
            .await
    }

    async fn runs_of(&self, batch: &str) -> Result<Vec<Run>, Error> {
        self.connections
            .read("reading the runs of a batch", batch, |db, batch| Box::pin(run::of_batch(db, batch)))
            .await
    }

    async fn assign_steps(&self, run: RunId, sizes: &[u64]) -> Result<(), Error> {
        self.connections
            .write("assigning steps", Shape::Together, sizes.to_vec(), move |db, sizes| {
                Box::pin(steps::assign(db, run, sizes))
            })
            .await
    }

    async fn open_step(&self, run: RunId, step: u32) -> Result<(), Error> {
        self.connections
            .write("opening a step", Shape::Statement, (), move |db, ()| Box::pin(steps::open(db, run, step)))
            .await
    }

    async fn step_counts(&self, run: RunId, step: u32) -> Result<StepCounts, Error> {
        self.connections
            .read("counting a step", (), move |db, ()| Box::pin(steps::counts(db, run, step)))
            .await
    }

    async fn tell_waits(&self, run: RunId, reason: Option<&str>) -> Result<(), Error> {
        self.connections
            .write(
                "telling what a run waits for",
                Shape::Statement,
                reason.map(str::to_owned),
                move |db, reason| Box::pin(steps::tell_waits(db, run, reason.as_deref())),
            )
            .await
    }

    async fn controls(&self) -> Result<Vec<Control>, Error> {
        self.connections.read("reading the controls", (), |db, ()| Box::pin(steps::controls(db))).await
    }

    async fn freeze_touched(&self, run: RunId) -> Result<MatchCounts, Error> {
        self.connections
            .write("freezing those who were touched", Shape::Sets, (), move |db, ()| {
                Box::pin(touched::freeze(db, run))
            })
            .await
    }

    async fn forget_applied(&self, run: RunId, ordinals: &[i64]) -> Result<(), Error> {
        self.connections
            .write("forgetting what was applied", Shape::Statement, ordinals.to_vec(), move |db, ordinals| {
                Box::pin(touched::forget_applied(db, run, ordinals))
            })
            .await
    }

    async fn create_batch(&self, batch: &NewBatch) -> Result<(), Error> {
        self.connections
            .write("making a batch", Shape::Together, batch.clone(), |db, batch| {
                Box::pin(batch::create(db, batch))
            })
            .await
    }

    async fn add_members(&self, batch: &str, members: &[Member]) -> Result<(), Error> {
        let given = (batch.to_owned(), members.to_vec());
        self.connections
            .write("adding users to a batch", Shape::Together, given, |db, (batch, members)| {
                Box::pin(batch::add_members(db, batch, members))
            })
            .await
    }

    async fn freeze_batch(&self, batch: &str) -> Result<(), Error> {
        self.connections
            .write("fixing a batch", Shape::Statement, batch.to_owned(), |db, batch| {
                Box::pin(batch::freeze(db, batch))
            })
            .await
    }

    async fn batch(&self, name: &str) -> Result<Option<Batch>, Error> {
        self.connections.read("reading a batch", name, |db, name| Box::pin(batch::find(db, name))).await
    }

    async fn batches(&self) -> Result<Vec<Batch>, Error> {
        self.connections.read("reading the batches", (), |db, ()| Box::pin(batch::every(db))).await
    }

    async fn overlaps(&self, batch: &str) -> Result<Vec<(String, u64)>, Error> {
        self.connections
            .read("comparing batches", batch, |db, batch| Box::pin(batch::overlaps(db, batch)))
            .await
    }

    async fn set_batch(&self, batch: &str, was: &str, settings: &str) -> Result<bool, Error> {
        let given = (batch.to_owned(), was.to_owned(), settings.to_owned());
        self.connections
            .write("changing a batch's settings", Shape::Statement, given, |db, (batch, was, settings)| {
                Box::pin(batch::set(db, batch, was, settings))
            })
            .await
    }

    async fn record_event(&self, event: &Event) -> Result<(), Error> {
        self.connections
            .write("filing an event", Shape::Statement, event.clone(), |db, event| {
                Box::pin(batch::record_event(db, event))
            })
            .await
    }

    async fn events(&self, batch: Option<&str>, limit: u32) -> Result<Vec<Event>, Error> {
        self.connections
            .read("reading the events", batch, move |db, batch| Box::pin(batch::events(db, *batch, limit)))
            .await
    }

    async fn journal(&self, after: i64, limit: u32) -> Result<Vec<JournalLine>, Error> {
        self.connections
            .read("reading the journal", (), move |db, ()| Box::pin(journal::lines(db, after, limit)))
            .await
    }

    async fn journal_head(&self) -> Result<(i64, Vec<u8>), Error> {
        self.connections
            .read("reading the end of the journal", (), move |db, ()| Box::pin(journal::head(db)))
            .await
    }

    async fn batch_settings(&self) -> Result<Vec<(String, String)>, Error> {
        self.connections
            .read("reading the settings of batches", (), |db, ()| Box::pin(in_step::settings(db)))
            .await
    }

    async fn last_written(&self, batch: &str) -> Result<Option<Run>, Error> {
        self.connections
            .read("reading the last run of a batch", batch, |db, batch| {
                Box::pin(in_step::last_written(db, batch))
            })
            .await
    }

    async fn moved_before(&self, run: RunId) -> Result<Option<RunId>, Error> {
        self.connections
            .read("reading the run before", (), move |db, ()| Box::pin(in_step::moved_before(db, run)))
            .await
    }

    async fn taken_back(&self, batch: &str, after: RunId) -> Result<Option<RunId>, Error> {
        self.connections
            .read("reading the rollbacks", batch, move |db, batch| {
                Box::pin(in_step::taken_back(db, batch, after))
            })
            .await
    }

    async fn open_next_run(&self, spec: &RunSpec, after: RunId, event: &Event) -> Result<Option<Run>, Error> {
        let given = (spec.clone(), event.clone());
        self.connections
            .write("opening the next run", Shape::Together, given, move |db, (spec, event)| {
                Box::pin(in_step::open_next(db, spec, after, event))
            })
            .await
    }

    async fn newer(&self, batch: &str, from: &SnapshotId, to: &SnapshotId) -> Result<Newer, Error> {
        let given = (batch.to_owned(), from.clone(), to.clone());
        // It reads alone, but whole sets of users.
        self.connections
            .write("comparing snapshots", Shape::Sets, given, |db, (batch, from, to)| {
                Box::pin(in_step::newer(db, batch, from, to))
            })
            .await
    }

    async fn fresh_counts(&self, run: RunId, since: RunId) -> Result<StepCounts, Error> {
        self.connections
            .read("counting who is new in a run", (), move |db, ()| {
                Box::pin(in_step::fresh_counts(db, run, since))
            })
            .await
    }

    async fn came_again(&self, id: &SnapshotId) -> Result<(), Error> {
        self.connections
            .write("filing that a snapshot came again", Shape::Statement, id.clone(), |db, id| {
                Box::pin(in_step::came_again(db, id))
            })
            .await
    }

    async fn begin_pass_issue(&self, issue: &PassIssue) -> Result<(), Error> {
        let given = issue.clone();
        self.connections
            .write("filing an issue of passes", Shape::Statement, given, |db, issue| {
                Box::pin(passes::begin(db, issue))
            })
            .await
    }

    async fn pass_issue(&self, id: &str) -> Result<Option<PassIssue>, Error> {
        let given = id.to_owned();
        self.connections
            .read("reading an issue of passes", given, |db, id| Box::pin(passes::issue(db, id)))
            .await
    }

    async fn claim_passes(
        &self,
        users: &[EntraId],
        owner: &str,
        lease: Duration,
        grace: Duration,
    ) -> Result<Vec<PassClaim>, Error> {
        let given = (users.to_vec(), owner.to_owned(), lease, grace);
        self.connections
            .write("taking users in hand", Shape::Statement, given, |db, (users, owner, lease, grace)| {
                Box::pin(passes::claim(db, users, owner, *lease, *grace))
            })
            .await
    }

    async fn file_pass_intents(
        &self,
        issue: &str,
        rows: &[NewPassIntent],
    ) -> Result<Vec<(EntraId, i64)>, Error> {
        let given = (issue.to_owned(), rows.to_vec());
        self.connections
            .write("filing wishes for passes", Shape::Together, given, |db, (issue, rows)| {
                Box::pin(passes::file_intents(db, issue, rows))
            })
            .await
    }

    async fn finish_passes(&self, rows: &[PassFinish]) -> Result<Vec<EntraId>, Error> {
        let given = rows.to_vec();
        self.connections
            .write("recording what became of passes", Shape::Together, given, |db, rows| {
                Box::pin(passes::finish(db, rows))
            })
            .await
    }

    async fn passes_to_end(&self, after: i64, limit: u32) -> Result<Vec<(i64, EntraId)>, Error> {
        let given = (after, limit);
        self.connections
            .read("reading the passes that may be there", given, |db, (after, limit)| {
                Box::pin(passes::to_end(db, *after, *limit))
            })
            .await
    }

    async fn void_pass_claims(&self) -> Result<(), Error> {
        self.connections
            .write("ending claims on passes", Shape::Statement, (), |db, ()| {
                Box::pin(passes::void_claims(db))
            })
            .await
    }

    async fn cutover(&self, domain: &str) -> Result<Option<Cutover>, Error> {
        let given = domain.to_owned();
        self.connections
            .read("reading a cut-over", given, |db, domain| Box::pin(cutover::find(db, domain)))
            .await
    }

    async fn file_cutover(&self, new: &NewCutover) -> Result<i64, Error> {
        let given = new.clone();
        self.connections
            .write("filing a cut-over", Shape::Together, given, |db, new| Box::pin(cutover::file(db, new)))
            .await
    }

    async fn end_cutover(
        &self,
        intent: i64,
        outcome: contract::IntentOutcome,
        by: &str,
    ) -> Result<(), Error> {
        let given = (intent, outcome, by.to_owned());
        self.connections
            .write("recording a cut-over", Shape::Together, given, |db, (intent, outcome, by)| {
                Box::pin(cutover::end(db, *intent, *outcome, by))
            })
            .await
    }

    async fn never_moved(&self, after: i64, limit: u32) -> Result<Vec<NeverMoved>, Error> {
        let given = (after, limit);
        self.connections
            .read("reading who was never moved", given, |db, (after, limit)| {
                Box::pin(cutover::never_moved(db, *after, *limit))
            })
            .await
    }

    async fn snapshots(&self) -> Result<Vec<SnapshotId>, Error> {
        self.connections.read("listing the snapshots", (), |db, ()| Box::pin(forget::snapshots(db))).await
    }

    async fn forgettable(&self, what: &Forget) -> Result<Forgettable, Error> {
        // It reads alone, but whole sets of users.
        self.connections
            .write("looking what can be forgotten", Shape::Sets, what.clone(), |db, what| {
                Box::pin(forget::stands(db, what))
            })
            .await
    }

    async fn forget_next(
        &self,
        what: &Forget,
        after: Option<UserKey>,
        limit: u32,
    ) -> Result<ForgetPage, Error> {
        self.connections
            .read("looking whom to forget", what.clone(), move |db, what| {
                Box::pin(forget::next(db, what, after, limit))
            })
            .await
    }

    async fn forget_users(
        &self,
        what: &Forget,
        users: &[UserKey],
        results: &[(RunId, i64, Sealed)],
    ) -> Result<Forgotten, Error> {
        let given = (what.clone(), users.to_vec(), results.to_vec());
        self.connections
            .write("forgetting users", Shape::Together, given, |db, (what, users, results)| {
                Box::pin(forget::users(db, what, users, results))
            })
            .await
    }

    async fn forget_records(
        &self,
        what: &Forget,
        after: Option<RecordCursor>,
        limit: u32,
    ) -> Result<(Forgotten, Option<RecordCursor>), Error> {
        self.connections
            .write("forgetting records", Shape::Together, what.clone(), move |db, what| {
                Box::pin(forget::records(db, what, after, limit))
            })
            .await
    }

    /// What was removed is in dead rows until VACUUM, and in the write-ahead log and backups for as long as those are kept:
    /// all of that is the server's, and its administrator's to say.
    async fn reclaim(&self) -> Result<bool, Error> {
        Ok(false)
    }

    async fn freeze_rollout(&self, run: RunId) -> Result<MatchCounts, Error> {
        self.connections
            .write("freezing a rollout's users", Shape::Sets, (), move |db, ()| {
                Box::pin(seats::freeze(db, run))
            })
            .await
    }

    async fn applicants(&self, run: RunId, after: i64, limit: u32) -> Result<Vec<Applicant>, Error> {
        self.connections
            .read("reading whom a rollout may take", (), move |db, ()| {
                Box::pin(seats::applicants(db, run, after, limit))
            })
            .await
    }

    async fn decide_applicants(&self, run: RunId, rows: &[(i64, Decided)]) -> Result<(), Error> {
        self.connections
            .write(
                "filing what a rollout does with users",
                Shape::Statement,
                rows.to_vec(),
                move |db, rows| Box::pin(seats::decide(db, run, rows)),
            )
            .await
    }

    async fn open_rollout(&self, run: RunId, steps: &[u64]) -> Result<(), Error> {
        self.connections
            .write("opening a rollout", Shape::Together, steps.to_vec(), move |db, steps| {
                Box::pin(seats::open(db, run, steps))
            })
            .await
    }

    async fn placed(&self, run: RunId) -> Result<Vec<(String, u64)>, Error> {
        self.connections
            .read("counting users by group", (), move |db, ()| Box::pin(seats::placed(db, run)))
            .await
    }

    async fn claimed_seats(&self, run: RunId, ordinals: &[i64]) -> Result<Vec<ClaimedSeat>, Error> {
        self.connections
            .read("reading seats", ordinals.to_vec(), move |db, ordinals| {
                Box::pin(seats::claimed(db, run, ordinals))
            })
            .await
    }

    async fn file_seats(&self, run: RunId, rows: &[NewSeat]) -> Result<Vec<i64>, Error> {
        self.connections
            .write("filing seats", Shape::Statement, rows.to_vec(), move |db, rows| {
                Box::pin(seats::file(db, run, rows))
            })
            .await
    }

    async fn finish_seats(&self, run: RunId, rows: &[SeatFinish]) -> Result<Vec<i64>, Error> {
        self.connections
            .write("finishing claims of seats", Shape::Together, rows.to_vec(), move |db, rows| {
                Box::pin(seats::finish(db, run, rows))
            })
            .await
    }

    async fn rerouted(&self, run: RunId) -> Result<Rerouted, Error> {
        self.connections
            .read("looking who is in the staged rollout", (), move |db, ()| {
                Box::pin(seats::rerouted(db, run))
            })
            .await
    }

    async fn hold_rerouted(&self, run: RunId, users: &[EntraId]) -> Result<u64, Error> {
        self.connections
            .write("setting rerouted users aside", Shape::Statement, users.to_vec(), move |db, users| {
                Box::pin(seats::hold_rerouted(db, run, users))
            })
            .await
    }

    async fn seated(&self, batch: &str) -> Result<u64, Error> {
        self.connections
            .read("counting seats", batch.to_owned(), |db, batch| Box::pin(seats::seated(db, batch)))
            .await
    }

    async fn meant_elsewhere(&self, run: RunId) -> Result<Vec<(String, u64)>, Error> {
        self.connections
            .read("counting whom other runs mean for a group", (), move |db, ()| {
                Box::pin(seats::meant_elsewhere(db, run))
            })
            .await
    }

    async fn seat_groups(&self) -> Result<Vec<String>, Error> {
        self.connections.read("reading the groups of seats", (), |db, ()| Box::pin(seats::groups(db))).await
    }

    async fn group_seats(&self) -> Result<Vec<GroupSeats>, Error> {
        self.connections.read("counting seats by group", (), |db, ()| Box::pin(seats::by_group(db))).await
    }
}
