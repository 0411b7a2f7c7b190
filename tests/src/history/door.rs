//! The door to the ledger of a history: the real one behind it, and every call counted on its way in and out.
//!
//! It changes nothing of a call. It sets the database's clock to the history's before each, and a process that is made to
//! die dies here: before a call, or after it and before its answer.

use super::clock::{Clock, Life};
use contract::IntentOutcome;
use contract::{
    Allowed, EntraId, Fingerprint, JournalLine, Match, Reject, RunId, RunKind, RunState, Sealed, SnapshotId,
    SnapshotManifest, UserKey,
};
use ledger::{Applicant, ClaimedSeat, Decided, GroupSeats, NewSeat, Rerouted, SeatFinish};
use ledger::{
    Batch, Checkpoint, Claim, Control, Counts, DirectoryCursor, DirectoryRow, Error, Event, FiledRecord,
    Finish, Forget, ForgetPage, Forgettable, Forgotten, InventoryRow, Lead, Ledger, MatchCounts, Member,
    NewBatch, NewIntent, Newer, OpenedRun, PaceStep, ParkedMessage, Presence, RecordCursor, Release,
    ResultRow, Run, RunSpec, RunTotals, Seen, SnapshotFiling, Standing, StepCounts, UserCursor, UserHistory,
    UserResults,
};
use ledger::{Cutover, NeverMoved, NewCutover, NewPassIntent, PassClaim, PassFinish, PassIssue};
use sqlx::SqliteConnection;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// The ledger's clock, as a history sets it.
pub(super) struct Hands {
    connection: SqliteConnection,
    set_ms: i64,
}

impl Hands {
    /// Sets the clock of the file that the connection is open on.
    pub(super) fn new(connection: SqliteConnection) -> Self {
        Self { connection, set_ms: 0 }
    }

    /// The connection, for a look at the file past the product.
    pub(super) fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.connection
    }

    async fn set(&mut self, now_ms: i64) {
        if self.set_ms != now_ms {
            let setting = sqlx::query("UPDATE history_clock SET now_ms = ?1").bind(now_ms);
            setting.execute(&mut self.connection).await.expect("the ledger's clock");
            self.set_ms = now_ms;
        }
    }
}

/// A ledger behind a door.
pub(super) struct Door {
    inner: Arc<dyn Ledger>,
    life: Life,
    clock: Clock,
    hands: Arc<Mutex<Hands>>,
}

impl Door {
    /// Over a ledger.
    pub(super) fn over(inner: Arc<dyn Ledger>, life: Life, clock: Clock, hands: Arc<Mutex<Hands>>) -> Self {
        Self { inner, life, clock, hands }
    }
}

macro_rules! through_the_door {
    ($(fn $name:ident($($arg:ident: $kind:ty),*) -> $answer:ty;)*) => {
        #[async_trait::async_trait]
        impl Ledger for Door {
            $(async fn $name(&self, $($arg: $kind),*) -> Result<$answer, Error> {
                self.life.beat().await;
                let elsewhere = self.clock.elsewhere();
                self.hands.lock().await.set(self.clock.now_ms()).await;
                let answer = self.inner.$name($($arg),*).await;
                drop(elsewhere);
                self.life.beat().await;
                answer
            })*
        }
    };
}

through_the_door! {
    fn keep(name: &str, candidate: &Sealed) -> Sealed;
    fn kept(name: &str) -> Option<Sealed>;
    fn learned_rates() -> Vec<(String, f64)>;
    fn keep_rates(rates: &[(String, f64)]) -> ();
    fn begin_snapshot(id: &SnapshotId) -> SnapshotFiling;
    fn file_records(id: &SnapshotId, rows: &[FiledRecord]) -> ();
    fn file_rejects(id: &SnapshotId, rows: &[Reject]) -> ();
    fn complete_snapshot(manifest: &SnapshotManifest) -> ();
    fn snapshot(id: &SnapshotId) -> Option<SnapshotManifest>;
    fn latest_snapshot() -> Option<(SnapshotManifest, i64)>;
    fn snapshot_filing(id: &SnapshotId) -> Option<SnapshotFiling>;
    fn file_unreadable(id: &SnapshotId, ordinals: &[i64]) -> ();
    fn rejects(id: &SnapshotId) -> Vec<Reject>;
    fn open_run(spec: &RunSpec) -> OpenedRun;
    fn run(id: RunId) -> Option<Run>;
    fn latest_run(kinds: &[RunKind]) -> Option<Run>;
    fn set_run_state(id: RunId, state: RunState) -> ();
    fn add_totals(id: RunId, add: &RunTotals) -> ();
    fn runs_to_drive() -> Vec<Run>;
    fn halt_run(id: RunId, reason: &str) -> ();
    fn resume_run(id: RunId) -> ();
    fn runs_of(batch: &str) -> Vec<Run>;
    fn assign_steps(run: RunId, sizes: &[u64]) -> ();
    fn open_step(run: RunId, step: u32) -> ();
    fn step_counts(run: RunId, step: u32) -> StepCounts;
    fn tell_waits(run: RunId, reason: Option<&str>) -> ();
    fn controls() -> Vec<Control>;
    fn freeze_touched(run: RunId) -> MatchCounts;
    fn forget_applied(run: RunId, ordinals: &[i64]) -> ();
    fn create_batch(batch: &NewBatch) -> ();
    fn add_members(batch: &str, members: &[Member]) -> ();
    fn freeze_batch(batch: &str) -> ();
    fn batch(name: &str) -> Option<Batch>;
    fn batches() -> Vec<Batch>;
    fn overlaps(batch: &str) -> Vec<(String, u64)>;
    fn set_batch(batch: &str, was: &str, settings: &str) -> bool;
    fn record_event(event: &Event) -> ();
    fn events(batch: Option<&str>, limit: u32) -> Vec<Event>;
    fn journal(after: i64, limit: u32) -> Vec<JournalLine>;
    fn journal_head() -> (i64, Vec<u8>);
    fn batch_settings() -> Vec<(String, String)>;
    fn last_written(batch: &str) -> Option<Run>;
    fn moved_before(run: RunId) -> Option<RunId>;
    fn taken_back(batch: &str, after: RunId) -> Option<RunId>;
    fn open_next_run(spec: &RunSpec, after: RunId, event: &Event) -> Option<Run>;
    fn newer(batch: &str, from: &SnapshotId, to: &SnapshotId) -> Newer;
    fn fresh_counts(run: RunId, since: RunId) -> StepCounts;
    fn came_again(id: &SnapshotId) -> ();
    fn lead(name: &str) -> Lead;
    fn report_presence(presence: &Presence) -> ();
    fn presences(within: Duration) -> Vec<Seen>;
    fn file_parked_message(queue: &str, id: &str, reason: &str) -> ();
    fn parked_messages(limit: u32) -> (Vec<ParkedMessage>, u64);
    fn step_pace(bucket: &str, step: PaceStep) -> ();
    fn paces() -> (Vec<(String, String)>, f64);
    fn directory_cursor(run: RunId) -> DirectoryCursor;
    fn file_directory_page(run: RunId, rows: &[DirectoryRow], next: Option<&str>) -> ();
    fn change_allowed(run: RunId, users: &[EntraId], set: Allowed, clear: Allowed) -> ();
    fn file_inventory(run: RunId, rows: &[InventoryRow]) -> ();
    fn match_users(run: RunId, stages: &[Match], include_disabled: bool) -> MatchCounts;
    fn file_reviewed(run: RunId, rows: &[(i64, Sealed)]) -> ();
    fn release(run: RunId, limit: u32, stale_after: Option<Duration>, grace: Duration) -> Release;
    fn settle_unchanged(run: RunId, ordinals: &[i64], codes: &str) -> u64;
    fn claim(run: RunId, ordinals: &[i64], owner: &str, lease: Duration) -> Vec<Claim>;
    fn renew(run: RunId, held: &[(i64, i64)], lease: Duration) -> Vec<i64>;
    fn file_intents(run: RunId, rows: &[NewIntent]) -> Vec<i64>;
    fn finish(run: RunId, rows: &[Finish]) -> Vec<i64>;
    fn counts(run: RunId) -> Counts;
    fn standing(run: RunId) -> Standing;
    fn proven(run: RunId) -> Vec<String>;
    fn code_counts(run: RunId) -> Vec<(String, u64)>;
    fn checkpoint(run: RunId, step: &str, page: u32) -> Checkpoint;
    fn checkpoints(run: RunId) -> Vec<Checkpoint>;
    fn next_due(run: RunId) -> Option<Duration>;
    fn users(batch: Option<&str>, after: Option<UserCursor>, limit: u32) -> Vec<UserResults>;
    fn newest_runs(limit: u32) -> Vec<Run>;
    fn results(run: RunId, after: i64, limit: u32) -> Vec<ResultRow>;
    fn user_history(key: UserKey) -> UserHistory;
    fn applied_fingerprint(user: &EntraId) -> Option<Fingerprint>;
    fn begin_pass_issue(issue: &PassIssue) -> ();
    fn pass_issue(id: &str) -> Option<PassIssue>;
    fn claim_passes(users: &[EntraId], owner: &str, lease: Duration, grace: Duration) -> Vec<PassClaim>;
    fn file_pass_intents(issue: &str, rows: &[NewPassIntent]) -> Vec<(EntraId, i64)>;
    fn finish_passes(rows: &[PassFinish]) -> Vec<EntraId>;
    fn passes_to_end(after: i64, limit: u32) -> Vec<(i64, EntraId)>;
    fn void_pass_claims() -> ();
    fn cutover(domain: &str) -> Option<Cutover>;
    fn file_cutover(new: &NewCutover) -> i64;
    fn end_cutover(intent: i64, outcome: IntentOutcome, by: &str) -> ();
    fn never_moved(after: i64, limit: u32) -> Vec<NeverMoved>;
    fn snapshots() -> Vec<SnapshotId>;
    fn forgettable(what: &Forget) -> Forgettable;
    fn forget_next(what: &Forget, after: Option<UserKey>, limit: u32) -> ForgetPage;
    fn forget_users(what: &Forget, users: &[UserKey], results: &[(RunId, i64, Sealed)]) -> Forgotten;
    fn forget_records(what: &Forget, after: Option<RecordCursor>, limit: u32) -> (Forgotten, Option<RecordCursor>);
    fn reclaim() -> bool;
    fn freeze_rollout(run: RunId) -> MatchCounts;
    fn applicants(run: RunId, after: i64, limit: u32) -> Vec<Applicant>;
    fn decide_applicants(run: RunId, rows: &[(i64, Decided)]) -> ();
    fn open_rollout(run: RunId, steps: &[u64]) -> ();
    fn placed(run: RunId) -> Vec<(String, u64)>;
    fn claimed_seats(run: RunId, ordinals: &[i64]) -> Vec<ClaimedSeat>;
    fn file_seats(run: RunId, rows: &[NewSeat]) -> Vec<i64>;
    fn finish_seats(run: RunId, rows: &[SeatFinish]) -> Vec<i64>;
    fn rerouted(run: RunId) -> Rerouted;
    fn hold_rerouted(run: RunId, users: &[EntraId]) -> u64;
    fn seated(batch: &str) -> u64;
    fn meant_elsewhere(run: RunId) -> Vec<(String, u64)>;
    fn seat_groups() -> Vec<String>;
    fn group_seats() -> Vec<GroupSeats>;
}
