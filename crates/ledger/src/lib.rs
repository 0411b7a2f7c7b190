//! The ledger: the rows that are the truth of a migration. The only crate that knows SQL.
//!
//! One trait, one implementation a dialect with SQL and migrations of its own, one conformance suite for all. It stores
//! what it is given: values that could name a person or a number come in sealed or as keyed fingerprints, never in
//! clear. Invariants kept here and nowhere else: a pre-image is insert-only; a settled entry stays settled; a
//! statement that carries a stale epoch touches nothing; counts come from rows.

#[cfg(any(test, feature = "conformance"))]
mod conformance;
mod cutover;
mod error;
mod filing;
mod forgetting;
mod passes;
mod postgres;
mod rows;
mod seats;
mod sqlite;
mod standing;

#[cfg(any(test, feature = "conformance"))]
pub use conformance::conformance;
pub use cutover::{Cutover, CutoverIntent, NeverMoved, NewCutover};
pub use error::Error;
pub use forgetting::{Forget, ForgetPage, Forgettable, Forgotten, RecordCursor};
pub use passes::{IssuedPass, NewPassIntent, PassClaim, PassFinish, PassIntent, PassIssue, PassKnown};
pub use postgres::PgLedger;
pub use rows::{
    Batch, Candidate, Checkpoint, Claim, Control, Counts, DirectoryCursor, DirectoryRow, End, Event,
    FiledRecord, Finish, Intent, InventoryRow, Lead, MatchCounts, Member, NewBatch, NewIntent, Newer,
    OpenedRun, ParkedMessage, PreImage, Presence, Release, ResultRow, Run, RunSpec, RunTotals, Seen,
    ServiceKind, SlotOutcome, SnapshotFiling, StepCounts, UserCursor, UserHistory, UserResults,
};
pub use seats::{
    Applicant, ClaimedSeat, Decided, GroupSeats, NewSeat, PastEntry, Rerouted, Seat, SeatFinish,
};
pub use sqlite::SqliteLedger;
pub use standing::{InDoubt, Standing};

use contract::{
    Allowed, EntraId, Fingerprint, JournalLine, Match, Reject, RunId, RunKind, RunState, Sealed, SnapshotId,
    SnapshotManifest, UserKey,
};
use std::time::Duration;

/// See [`Ledger::step_pace`].
pub type PaceStep = Box<dyn FnOnce(Option<&str>, f64) -> String + Send>;

/// What every dialect does. Times are the database's own; durations are relative to it.
#[async_trait::async_trait]
pub trait Ledger: Send + Sync + 'static {
    /// Files a small named value once: stores `candidate` if the name is new, and answers what is on file.
    async fn keep(&self, name: &str, candidate: &Sealed) -> Result<Sealed, Error>;

    /// A small named value that is on file, if it is.
    async fn kept(&self, name: &str) -> Result<Option<Sealed>, Error>;

    /// The learned rates of an earlier run, by bucket; empty at first.
    async fn learned_rates(&self) -> Result<Vec<(String, f64)>, Error>;

    /// Keeps the learned rates for the next run.
    async fn keep_rates(&self, rates: &[(String, f64)]) -> Result<(), Error>;

    // Snapshots.

    /// Opens the filing of a snapshot. Filing again what is complete answers `complete`.
    async fn begin_snapshot(&self, id: &SnapshotId) -> Result<SnapshotFiling, Error>;

    /// Files accepted records; a row that is there already (snapshot, ordinal) is left as it is.
    async fn file_records(&self, id: &SnapshotId, rows: &[FiledRecord]) -> Result<(), Error>;

    /// Files rejects; a row that is there already (snapshot, file, line, field) is left as it is.
    async fn file_rejects(&self, id: &SnapshotId, rows: &[Reject]) -> Result<(), Error>;

    /// Marks a snapshot complete. Refused (`Error::Incomplete`) when the rows on file are not what the manifest counts.
    async fn complete_snapshot(&self, manifest: &SnapshotManifest) -> Result<(), Error>;

    /// A complete snapshot's manifest.
    async fn snapshot(&self, id: &SnapshotId) -> Result<Option<SnapshotManifest>, Error>;

    /// The complete snapshot that was completed last, and when, in milliseconds since 1970 UTC.
    async fn latest_snapshot(&self) -> Result<Option<(SnapshotManifest, i64)>, Error>;

    /// How far a snapshot is filed; absent when nothing of it came yet.
    async fn snapshot_filing(&self, id: &SnapshotId) -> Result<Option<SnapshotFiling>, Error>;

    /// Files records that came damaged, by ordinal: rejects of the code `unreadable`, their line the ordinal. When the
    /// snapshot is completed they count among its rejected and not its accepted.
    async fn file_unreadable(&self, id: &SnapshotId, ordinals: &[i64]) -> Result<(), Error>;

    /// The rejects of a snapshot, by line.
    async fn rejects(&self, id: &SnapshotId) -> Result<Vec<Reject>, Error>;

    // Runs.

    /// Finds the unfinished run of the same kind, batch, snapshot, policy and plan, or opens a new one. A rehearsal is
    /// always new, and earlier rehearsals' entries are dropped. Opening a new writing run supersedes unfinished writing
    /// runs of the same batch: their unsettled entries claim nothing any more; intents and pre-images stay. A new run with
    /// a reviewed plan is halted, so that nobody drives it before its lines are filed: `resume_run` comes after that.
    async fn open_run(&self, spec: &RunSpec) -> Result<OpenedRun, Error>;

    /// One run.
    async fn run(&self, id: RunId) -> Result<Option<Run>, Error>;

    /// The newest run among these kinds, if any.
    async fn latest_run(&self, kinds: &[RunKind]) -> Result<Option<Run>, Error>;

    /// Moves a run to a state; `Done` is refused (`Error::Incomplete`) while an entry is unsettled.
    async fn set_run_state(&self, id: RunId, state: RunState) -> Result<(), Error>;

    /// Adds to a run's totals of requests and seconds, which outlive the process.
    async fn add_totals(&self, id: RunId, add: &RunTotals) -> Result<(), Error>;

    /// The runs that a coordinator has to drive: preparing or open, and not halted; oldest first.
    async fn runs_to_drive(&self) -> Result<Vec<Run>, Error>;

    /// Halts a run that cannot go on without a person, with the reason in words that name nobody. Nothing of it is
    /// claimed or released any more, until `resume_run`. A run that has ended is left as it is.
    async fn halt_run(&self, id: RunId, reason: &str) -> Result<(), Error>;

    /// Lets a halted run go on; what was released and not claimed is released again. One that is not halted is left as it
    /// is.
    async fn resume_run(&self, id: RunId) -> Result<(), Error>;

    /// The runs of a batch, newest first.
    async fn runs_of(&self, batch: &str) -> Result<Vec<Run>, Error>;

    /// Assigns the entries of a run to the steps of its canary: `sizes` are users added up (`[10, 110, …]`), counted in
    /// the order of the ordinals over those that matching did not leave out. What is beyond the last is in the last step.
    /// A run whose steps are assigned is left as it is.
    async fn assign_steps(&self, run: RunId, sizes: &[u64]) -> Result<(), Error>;

    /// Lets a step be released, and all before it; never goes back.
    async fn open_step(&self, run: RunId, step: u32) -> Result<(), Error>;

    /// How a step stands.
    async fn step_counts(&self, run: RunId, step: u32) -> Result<StepCounts, Error>;

    /// Tells why nothing of a run is released (`None`: something is).
    async fn tell_waits(&self, run: RunId, reason: Option<&str>) -> Result<(), Error>;

    /// What workers must know of all runs that are not over.
    async fn controls(&self) -> Result<Vec<Control>, Error>;

    /// Freezes the entries of a verification or a rollback, and opens the run: every user of the batch that a migration
    /// has an entry of (the newest that found an Entra user, or else the newest). Those of whom a pre-image stands, or an
    /// intent has no outcome, wait for a worker; the others are settled `unchanged`. Calling it again changes nothing. A
    /// user who is not in the run's own snapshot any more has a negative ordinal and an empty record.
    async fn freeze_touched(&self, run: RunId) -> Result<MatchCounts, Error>;

    /// Forgets what was last applied to the Entra users of these entries, so that rule U5 asks for them again.
    async fn forget_applied(&self, run: RunId, ordinals: &[i64]) -> Result<(), Error>;

    // Batches.

    /// Begins to make a batch (`Error::BatchExists` where the name is taken by one that is frozen; one that was left
    /// half-made is begun anew).
    async fn create_batch(&self, batch: &NewBatch) -> Result<(), Error>;

    /// Adds users to a batch that is not frozen; one who is there already is left.
    async fn add_members(&self, batch: &str, members: &[Member]) -> Result<(), Error>;

    /// Fixes the users of a batch.
    async fn freeze_batch(&self, batch: &str) -> Result<(), Error>;

    /// One batch.
    async fn batch(&self, name: &str) -> Result<Option<Batch>, Error>;

    /// All batches, by name.
    async fn batches(&self) -> Result<Vec<Batch>, Error>;

    /// The frozen batches that share users with this one, by name, with how many.
    async fn overlaps(&self, batch: &str) -> Result<Vec<(String, u64)>, Error>;

    /// Changes the settings of a batch (`contract::BatchSettings` as JSON) from what they were. Answers false, and changes
    /// nothing, where they are no longer that: somebody else has changed them.
    async fn set_batch(&self, batch: &str, was: &str, settings: &str) -> Result<bool, Error>;

    /// Files something that was done or decided, in the journal too.
    async fn record_event(&self, event: &Event) -> Result<(), Error>;

    /// What was done and decided of a batch (`None`: of all), newest first, at most `limit`.
    async fn events(&self, batch: Option<&str>, limit: u32) -> Result<Vec<Event>, Error>;

    // The journal: what `finish` learnt of changes, and every event, appended with them and never touched again.

    /// The lines of the journal after a given one, in their order, at most `limit`.
    async fn journal(&self, after: i64, limit: u32) -> Result<Vec<JournalLine>, Error>;

    /// The number of the journal's last line (0: there is none) and its digest.
    async fn journal_head(&self) -> Result<(i64, Vec<u8>), Error>;

    // Keeping batches in step with newer snapshots.

    /// The settings of the frozen batches, by name.
    async fn batch_settings(&self) -> Result<Vec<(String, String)>, Error>;

    /// The last run of a batch that writes: a migration or a rollback.
    async fn last_written(&self, batch: &str) -> Result<Option<Run>, Error>;

    /// The last migration of the same batch before a run that was moved to its end, unless somebody of the batch was taken
    /// back since.
    async fn moved_before(&self, run: RunId) -> Result<Option<RunId>, Error>;

    /// The last rollback after a run, of whatever batch, that shares users with this one.
    async fn taken_back(&self, batch: &str, after: RunId) -> Result<Option<RunId>, Error>;

    /// Opens a run as the one that follows `after`. Opens nothing where `after` is not done or not the last that wrote to
    /// the batch any more, where the batch is being verified, or where somebody of it was taken back since. The event is filed with it, as one
    /// of the new run.
    async fn open_next_run(&self, spec: &RunSpec, after: RunId, event: &Event) -> Result<Option<Run>, Error>;

    /// What a newer snapshot means to a batch.
    async fn newer(&self, batch: &str, from: &SnapshotId, to: &SnapshotId) -> Result<Newer, Error>;

    /// How those of a run stand who were not in an earlier one with the same record, as if they were a step.
    async fn fresh_counts(&self, run: RunId, since: RunId) -> Result<StepCounts, Error>;

    /// Files that a complete snapshot was sent again: it is the one that was completed last from now on.
    async fn came_again(&self, id: &SnapshotId) -> Result<(), Error>;

    // Who is at work.

    /// Waits until this process is the one that coordinates, and answers the ledger as the leader sees it: every
    /// statement that changes something carries the leader's term, and changes nothing (`Error::Deposed`) once another
    /// leads. SQLite: the process holds the file's lock and so leads at once; the process that wrote before is gone, its
    /// leases are void and what it had released is released again. PostgreSQL: an advisory lock.
    async fn lead(&self, name: &str) -> Result<Lead, Error>;

    /// Tells that a service is alive, and what it waits for, if anything.
    async fn report_presence(&self, presence: &Presence) -> Result<(), Error>;

    /// The services that were alive within the last `within`, by kind and name.
    async fn presences(&self, within: Duration) -> Result<Vec<Seen>, Error>;

    /// Files that a message was set aside; one that is on file already (queue, id) is left as it is.
    async fn file_parked_message(&self, queue: &str, id: &str, reason: &str) -> Result<(), Error>;

    /// The messages set aside, newest first, at most `limit`, and how many there are in all.
    async fn parked_messages(&self, limit: u32) -> Result<(Vec<ParkedMessage>, u64), Error>;

    // The shared pace.

    /// One step of a bucket's shared pace: under the lock of its row, `step` gets what is on file (absent at first) and
    /// the database's time in seconds since 1970, and answers what is on file next. Losing the last steps in a crash of
    /// the database does no harm, so the commit need not wait for the disk.
    async fn step_pace(&self, bucket: &str, step: PaceStep) -> Result<(), Error>;

    /// The shared pace of every bucket, as on file, and the database's time in seconds since 1970.
    async fn paces(&self) -> Result<(Vec<(String, String)>, f64), Error>;

    // The directory of a run.

    /// How far the directory was read for this run.
    async fn directory_cursor(&self, run: RunId) -> Result<DirectoryCursor, Error>;

    /// Files a page of the directory together with the link to the next one (`None`: that was the last).
    async fn file_directory_page(
        &self,
        run: RunId,
        rows: &[DirectoryRow],
        next: Option<&str>,
    ) -> Result<(), Error>;

    /// Changes what the methods policy allows these users: first `set`, then `clear`.
    async fn change_allowed(
        &self,
        run: RunId,
        users: &[EntraId],
        set: Allowed,
        clear: Allowed,
    ) -> Result<(), Error>;

    /// Files tokens of the inventory; a device that is there already is replaced.
    async fn file_inventory(&self, run: RunId, rows: &[InventoryRow]) -> Result<(), Error>;

    /// Freezes the run's entries: every record of the snapshot gets one, matched by the first stage that hits (rules U1
    /// to U4), those that are left out settled with their code; then the run is `Open`. Calling it again changes nothing.
    async fn match_users(
        &self,
        run: RunId,
        stages: &[Match],
        include_disabled: bool,
    ) -> Result<MatchCounts, Error>;

    /// Files the plan lines that a person has reviewed, by ordinal; existing ones are left.
    async fn file_reviewed(&self, run: RunId, rows: &[(i64, Sealed)]) -> Result<(), Error>;

    // Release, claim, write-ahead, settle.

    /// Marks up to `limit` waiting entries as released and answers them by ordinal: those never released, those whose
    /// snooze is over, and those released more than `stale_after` ago (`None`: those are left alone); and entries whose lease ended more than `grace`
    /// ago, which go back to waiting first.
    async fn release(
        &self,
        run: RunId,
        limit: u32,
        stale_after: Option<Duration>,
        grace: Duration,
    ) -> Result<Release, Error>;

    /// Settles waiting entries that need no worker (rule U5), as `unchanged` with this code word.
    async fn settle_unchanged(&self, run: RunId, ordinals: &[i64], codes: &str) -> Result<u64, Error>;

    /// Claims waiting entries of an open run that is not halted for `lease`. Entries that are settled, claimed by somebody or not due yet
    /// are simply not among the answers; neither, in a writing run, are users that another writing run holds (from its
    /// first claim of the user until that entry is settled or the run ends).
    async fn claim(
        &self,
        run: RunId,
        ordinals: &[i64],
        owner: &str,
        lease: Duration,
    ) -> Result<Vec<Claim>, Error>;

    /// Renews leases; answers the ordinals that are still ours. The others are fenced: stop working on them.
    async fn renew(&self, run: RunId, held: &[(i64, i64)], lease: Duration) -> Result<Vec<i64>, Error>;

    /// Files pre-images (insert-only, by user and slot) and intents (by run, user and slot; filing again clears the
    /// outcome and restarts the age), all or nothing per entry, in one transaction. Answers the ordinals whose epoch
    /// still held; nothing was filed for the others.
    async fn file_intents(&self, run: RunId, rows: &[NewIntent]) -> Result<Vec<i64>, Error>;

    /// Records outcomes and ends claims (settled, or back to waiting), in one transaction. Answers the ordinals whose
    /// epoch still held; nothing was written for the others.
    async fn finish(&self, run: RunId, rows: &[Finish]) -> Result<Vec<i64>, Error>;

    // Looking.

    /// Counts of entries by state, from the rows.
    async fn counts(&self, run: RunId) -> Result<Counts, Error>;

    /// How a run stands, for those who watch it: its counts, and what only a look at the rows tells, in a handful of
    /// statements that each go by an index and end early.
    async fn standing(&self, run: RunId) -> Result<Standing, Error>;

    /// The methods (`mobile`, `hardwareOath`, …) that some write of the run was applied to.
    async fn proven(&self, run: RunId) -> Result<Vec<String>, Error>;

    /// Counts of users by code word, from the rows.
    async fn code_counts(&self, run: RunId) -> Result<Vec<(String, u64)>, Error>;

    /// Writes a checkpoint row from the rows as they are, and answers it. The same step and page again is replaced.
    async fn checkpoint(&self, run: RunId, step: &str, page: u32) -> Result<Checkpoint, Error>;

    /// The checkpoints of a run, oldest first.
    async fn checkpoints(&self, run: RunId) -> Result<Vec<Checkpoint>, Error>;

    /// How long until the next snoozed entry is due; `None` when none waits. Zero when one is due.
    async fn next_due(&self, run: RunId) -> Result<Option<Duration>, Error>;

    /// Entries with their results, by ordinal, after a given ordinal.
    async fn results(&self, run: RunId, after: i64, limit: u32) -> Result<Vec<ResultRow>, Error>;

    /// The users of whom a migration, a verification or a rollback has an entry, with those entries, after a user and at
    /// most `limit`: first those of the newest snapshot by ordinal, then those who are only in an older one. `batch`: the
    /// users of that batch alone, with what runs of other batches did to them.
    async fn users(
        &self,
        batch: Option<&str>,
        after: Option<UserCursor>,
        limit: u32,
    ) -> Result<Vec<UserResults>, Error>;

    /// The newest runs of all batches, newest first, at most `limit`; surveys are not among them.
    async fn newest_runs(&self, limit: u32) -> Result<Vec<Run>, Error>;

    /// Everything on file for one user of the source: the entries of all runs, newest first, and the Entra user's
    /// pre-images and intents.
    async fn user_history(&self, key: UserKey) -> Result<UserHistory, Error>;

    /// The fingerprint last applied to an Entra user (rule U5), if it stands.
    async fn applied_fingerprint(&self, user: &EntraId) -> Result<Option<Fingerprint>, Error>;

    // Temporary Access Passes. No pass is ever given to the ledger.

    /// Files an issue of passes; one of that name that is on file is left.
    async fn begin_pass_issue(&self, issue: &PassIssue) -> Result<(), Error>;

    /// One issue of passes.
    async fn pass_issue(&self, id: &str) -> Result<Option<PassIssue>, Error>;

    /// Takes users in hand for `lease`, as far as passes go, and answers what is on file of their passes. Users whom
    /// somebody else has in hand, or had until less than `grace` ago, are not among the answers.
    async fn claim_passes(
        &self,
        users: &[EntraId],
        owner: &str,
        lease: Duration,
        grace: Duration,
    ) -> Result<Vec<PassClaim>, Error>;

    /// Files the wishes to make passes, before they are sent. Answers the users whose claim still held, each with the
    /// number of the intent; nothing was filed for the others, nor for one of whom an intent has no outcome.
    async fn file_pass_intents(
        &self,
        issue: &str,
        rows: &[NewPassIntent],
    ) -> Result<Vec<(EntraId, i64)>, Error>;

    /// Records what became of intents and of issued passes, in the journal too, and gives claims back, in one transaction.
    /// Answers the users whose claim still held.
    async fn finish_passes(&self, rows: &[PassFinish]) -> Result<Vec<EntraId>, Error>;

    /// Intents without an outcome and passes without an ending, by number after a given one, each with its user.
    async fn passes_to_end(&self, after: i64, limit: u32) -> Result<Vec<(i64, EntraId)>, Error>;

    /// Ends every claim on users' passes. The caller proves that nobody else is at them (it holds a lock that they would).
    async fn void_pass_claims(&self) -> Result<(), Error>;

    // The cut-over of domains.

    /// The value before that stands for a domain, in lower case, with the changes that were begun.
    async fn cutover(&self, domain: &str) -> Result<Option<Cutover>, Error>;

    /// Files a change that is about to be made, and the value before unless one stands; the event with it. Answers the
    /// intent's number.
    async fn file_cutover(&self, new: &NewCutover) -> Result<i64, Error>;

    /// Records what was seen of an intent; one that has an outcome keeps it. Where what was before was brought back, the
    /// value before stands no longer.
    async fn end_cutover(&self, intent: i64, outcome: contract::IntentOutcome, by: &str)
    -> Result<(), Error>;

    /// Records of the newest snapshot whose users no migration has an entry of, by ordinal after a given one.
    async fn never_moved(&self, after: i64, limit: u32) -> Result<Vec<NeverMoved>, Error>;

    // Staged rollout.

    /// Freezes the users of a rollout's run, which stays `Preparing`, or of one on the way out, which is open then: every
    /// user of the batch that a migration has an entry of, as `freeze_touched`. On the way in, those who found one Entra
    /// user wait to be decided on, and the others are settled `rollout-not-moved`; calling it again begins anew. On the way
    /// out, those whose seat stands wait for a worker, and the others are settled `rollout-not-in`.
    async fn freeze_rollout(&self, run: RunId) -> Result<MatchCounts, Error>;

    /// The users of a run that is being prepared of whom nothing is decided, by ordinal after a given one.
    async fn applicants(&self, run: RunId, after: i64, limit: u32) -> Result<Vec<Applicant>, Error>;

    /// Files what was decided of applicants, by ordinal. In a plan whoever is placed is settled `planned`.
    async fn decide_applicants(&self, run: RunId, rows: &[(i64, Decided)]) -> Result<(), Error>;

    /// Opens a run of which everybody is decided on (`Error::Incomplete` otherwise), with its steps: users who are placed,
    /// added up, as in `assign_steps`.
    async fn open_rollout(&self, run: RunId, steps: &[u64]) -> Result<(), Error>;

    /// The users of a run by the group that they are placed in.
    async fn placed(&self, run: RunId) -> Result<Vec<(String, u64)>, Error>;

    /// The places and standing seats of claimed users, by ordinal.
    async fn claimed_seats(&self, run: RunId, ordinals: &[i64]) -> Result<Vec<ClaimedSeat>, Error>;

    /// Files seats before they are asked for (on the way out: before they are asked to end), all or nothing per entry.
    /// One that stands is asked for again: its age begins anew. Answers the ordinals whose epoch still held; nothing was filed
    /// for the others, nor on the way in for whom a migration or a rollback is under way, or of whom a run of methods has told
    /// anything but `confirmed` or `unchanged`, or has filed an intent, since this run was opened.
    async fn file_seats(&self, run: RunId, rows: &[NewSeat]) -> Result<Vec<i64>, Error>;

    /// Ends claims as `finish`, records what became of the seats, in the journal too, in one transaction. Answers the
    /// ordinals whose epoch still held; nothing was written for the others.
    async fn finish_seats(&self, run: RunId, rows: &[SeatFinish]) -> Result<Vec<i64>, Error>;

    /// What keeps users of a rollback's run in the staged rollout.
    async fn rerouted(&self, run: RunId) -> Result<Rerouted, Error>;

    /// Settles those of these users who wait in a rollback's run as parked with `rollout-still-in`; answers how many.
    async fn hold_rerouted(&self, run: RunId, users: &[EntraId]) -> Result<u64, Error>;

    /// How many users of a batch have a seat that stands, whichever run they got it by.
    async fn seated(&self, batch: &str) -> Result<u64, Error>;

    /// Users whom other runs that are not over mean for a group and have not settled, by group.
    async fn meant_elsewhere(&self, run: RunId) -> Result<Vec<(String, u64)>, Error>;

    /// The groups in which there ever was a seat.
    async fn seat_groups(&self) -> Result<Vec<String>, Error>;

    /// The seats that stand, by group.
    async fn group_seats(&self) -> Result<Vec<GroupSeats>, Error>;

    // Forgetting: sealed values are removed, counts, codes, outcomes and the journal stay.

    /// The complete snapshots, in the order in which they were first filed.
    async fn snapshots(&self) -> Result<Vec<SnapshotId>, Error>;

    /// What stands of it, and what needs it still.
    async fn forgettable(&self, what: &Forget) -> Result<Forgettable, Error>;

    /// The users after a given one, in order, at most `limit`, with those of their results that still have their values.
    async fn forget_next(
        &self,
        what: &Forget,
        after: Option<UserKey>,
        limit: u32,
    ) -> Result<ForgetPage, Error>;

    /// Removes the values before of these users, empties their intents and puts `results` in the place of theirs, in one
    /// transaction. Refused (`Error::Needed`) while a run that is not over may need them.
    async fn forget_users(
        &self,
        what: &Forget,
        users: &[UserKey],
        results: &[(RunId, i64, Sealed)],
    ) -> Result<Forgotten, Error>;

    /// Empties the next records, looking at `limit` of them at most; answers where it left off, and nothing at the end.
    /// Refused as `forget_users`.
    async fn forget_records(
        &self,
        what: &Forget,
        after: Option<RecordCursor>,
        limit: u32,
    ) -> Result<(Forgotten, Option<RecordCursor>), Error>;

    /// Sees to it that nothing of what was removed is left in the store's own files, as far as the dialect can: SQLite
    /// writes its file anew, which takes as much room again. Answers whether it could.
    async fn reclaim(&self) -> Result<bool, Error>;
}
