//! The rows as callers see them: what goes in, what comes out. No SQL type leaves this crate.

use contract::{
    Allowed, EntraId, EntryState, Fingerprint, IntentOutcome, InventoryToken, Match, Outcome, RunId, RunKind,
    RunState, Sealed, SnapshotId, UserKey,
};
use std::collections::BTreeMap;
use std::time::Duration;

/// Where the filing of a snapshot stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotFiling {
    /// Every record is on file, and the manifest too.
    pub complete: bool,
    /// Records on file.
    pub filed: u64,
}

/// A record on its way into the ledger.
#[derive(Debug, Clone)]
pub struct FiledRecord {
    /// Position in the snapshot, from 1.
    pub ordinal: i64,
    /// Keyed fingerprint of the username.
    pub user_key: UserKey,
    /// The record, sealed.
    pub sealed: Sealed,
    /// Matching keys in the order of `Match::ALL`, as keyed fingerprints; absent where the record has none.
    pub keys: [Option<Fingerprint>; 6],
    /// Fingerprint of the record's content (part of rule U5).
    pub content: Fingerprint,
    /// Enabled in MFA Server.
    pub enabled: bool,
    /// Fingerprints of the token serials that the record could claim.
    pub serials: Vec<Fingerprint>,
}

/// What a run is about. Two equal ones are the same run, resumed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunSpec {
    /// Rehearse, migrate, verify, rollback.
    pub kind: RunKind,
    /// Name of the batch.
    pub batch: String,
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// The policy as JSON.
    pub policy: String,
    /// Its hash.
    pub policy_hash: String,
    /// Hash of the reviewed plan that is to be applied, if any.
    pub plan_hash: Option<String>,
    /// Whether users that did not change since are asked for too.
    pub include_unchanged: bool,
}

/// A run on file. Times are milliseconds since 1970 UTC by the database's clock.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// Its number.
    pub id: RunId,
    /// What it is about.
    pub spec: RunSpec,
    /// Where it stands.
    pub state: RunState,
    /// When it was opened.
    pub opened_at_ms: i64,
    /// When it was done or superseded; absent before.
    pub ended_at_ms: Option<i64>,
    /// Requests and seconds so far.
    pub totals: RunTotals,
    /// Why it cannot go on without a person; absent while it can.
    pub halted: Option<String>,
    /// The step of the batch's canary that may be released, from 0; everything before it may, too.
    pub step: u32,
    /// Users of the canary's steps, added up (`[10, 110, …]`); empty until the steps are assigned.
    pub steps: Vec<u64>,
    /// Why nothing is released now although nobody halted it; absent while something is.
    pub waits_for: Option<String>,
}

/// What a worker must know at once of a run that is not over.
#[derive(Debug, Clone, PartialEq)]
pub struct Control {
    /// The run.
    pub run: RunId,
    /// Nothing new may be written.
    pub halted: bool,
    /// Writes a second that its batch may have; absent: no limit, as for every run that only reads.
    pub max_rate: Option<u32>,
}

/// A batch that is being made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewBatch {
    /// Its name; `all` is everybody's and cannot be made.
    pub name: String,
    /// The snapshot that its users were selected from.
    pub snapshot: SnapshotId,
    /// `contract::Selector` as JSON.
    pub selector: String,
    /// `contract::BatchSettings` as JSON.
    pub settings: String,
    /// Who made it: user and host.
    pub by: String,
}

/// A batch on file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// What it was made as; the settings may have been changed since.
    pub made: NewBatch,
    /// When, in milliseconds since 1970 UTC.
    pub made_at_ms: i64,
    /// Its users are fixed; before that, it can only be dropped.
    pub frozen: bool,
    /// How many users it holds.
    pub users: u64,
    /// Those of them that matched no Entra user when it was made.
    pub unmatched: u64,
}

/// A user of a batch, fixed when it is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The ledger's name for the user of the source; a later snapshot is told by it.
    pub user: UserKey,
    /// Matched one Entra user when the batch was made.
    pub matched: bool,
}

/// How a step of a run stands, from the rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StepCounts {
    /// Entries of the step, those left out by matching not counted.
    pub users: u64,
    /// Of them, settled.
    pub settled: u64,
    /// Of those settled, the ones that a worker looked at: unchanged by rule U5 is not among them.
    pub processed: u64,
    /// Of those processed, parked or in conflict.
    pub failed: u64,
    /// When the last of them was settled, in milliseconds since 1970 UTC; absent while none is.
    pub last_settled_at_ms: Option<i64>,
}

/// What a newer snapshot means to a batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Newer {
    /// Users of the batch whose record is another one than it was, or is there for the first time.
    pub changed: u64,
    /// Users of the batch who are not in it.
    pub gone: u64,
    /// Users in it who are in no batch at all.
    pub in_no_batch: u64,
}

/// Something that somebody did or decided: who, when, why. Append-only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When, in milliseconds since 1970 UTC; ignored when it is filed.
    pub at_ms: i64,
    /// User and host, or `coordinator`.
    pub by: String,
    /// The batch.
    pub batch: String,
    /// The run; absent where it is about the batch.
    pub run: Option<RunId>,
    /// One word: `created`, `paused`, `resumed`, `aborted`, `set`, `step`, `judged`, `opened`, `done`, …
    pub what: String,
    /// In words that name nobody.
    pub why: String,
}

impl Event {
    /// What the journal keeps of it.
    pub(crate) fn as_json(&self) -> String {
        serde_json::json!({ "by": self.by, "batch": self.batch, "what": self.what, "why": self.why })
            .to_string()
    }
}

/// Totals of a run over all processes that worked on it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct RunTotals {
    /// Graph requests, items of bundles counted singly.
    pub requests: u64,
    /// Of them, writes.
    pub writes: u64,
    /// Of them, throttled.
    pub throttled: u64,
    /// Seconds that processes worked on it.
    pub seconds: f64,
}

/// What `open_run` found or made.
#[derive(Debug, Clone, PartialEq)]
pub struct OpenedRun {
    /// The run.
    pub run: Run,
    /// It was on file, unfinished.
    pub resumed: bool,
    /// Unfinished runs that it took over from.
    pub superseded: Vec<RunId>,
}

/// How far the directory was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryCursor {
    /// Pages on file.
    pub pages: u32,
    /// Users on file.
    pub users: u64,
    /// The link to the next page; absent at first and when complete.
    pub next: Option<String>,
    /// All of it is on file.
    pub complete: bool,
}

/// A user of the directory.
#[derive(Debug, Clone)]
pub struct DirectoryRow {
    /// Object id.
    pub user: EntraId,
    /// UPN and attributes, sealed.
    pub sealed: Sealed,
    /// Matching keys in the order of `Match::ALL`.
    pub keys: [Option<Fingerprint>; 6],
    /// Guest of the tenant.
    pub guest: bool,
    /// What the policy allows before groups are looked at.
    pub allowed: Allowed,
}

/// A token of the inventory; its serial as a fingerprint.
#[derive(Debug, Clone)]
pub struct InventoryRow {
    /// Fingerprint of the serial.
    pub serial: Fingerprint,
    /// Device, serial, holder and status.
    pub token: InventoryToken,
}

/// What matching found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MatchCounts {
    /// Entries of the run.
    pub entries: u64,
    /// Matched to one Entra user and not left out.
    pub matched: u64,
    /// No stage hits.
    pub none: u64,
    /// More than one hit, or shared with another record.
    pub ambiguous: u64,
    /// Disabled in the source.
    pub disabled: u64,
}

/// An entry that is to be worked on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Its position.
    pub ordinal: i64,
    /// The Entra user.
    pub user: EntraId,
    /// Fingerprint of the record's content.
    pub content: Fingerprint,
    /// What the policy allows the user.
    pub allowed: Allowed,
    /// The fingerprint last applied, if it stands.
    pub applied: Option<Fingerprint>,
    /// An intent without an outcome is on file for the user.
    pub in_doubt: bool,
}

/// A page of released entries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Release {
    /// By ordinal.
    pub entries: Vec<Candidate>,
    /// How many leases had run out and were put back.
    pub expired: u64,
}

/// A value before our first write, standing until a rollback settles it.
#[derive(Debug, Clone)]
pub struct PreImage {
    /// The slot: the method's word, for tokens with a keyed fingerprint of the serial behind it (`hardwareOath:9f2c…`).
    pub slot: String,
    /// The value, sealed; absent means that nothing was there.
    pub value: Option<Sealed>,
    /// The run that filed it.
    pub run: RunId,
    /// When, in milliseconds since 1970 UTC.
    pub filed_at_ms: i64,
    /// Something of ours may have stood in the slot since: an intent that is not known to have been refused or never sent.
    /// Where nothing has, this value is only what was there when we first looked.
    pub maybe_landed: bool,
}

/// What we were about to write, and what was seen then.
#[derive(Debug, Clone)]
pub struct Intent {
    /// The run.
    pub run: RunId,
    /// The slot, as in `PreImage`.
    pub slot: String,
    /// The value, sealed; absent means removal.
    pub to: Option<Sealed>,
    /// How long ago it was filed, by the database's clock.
    pub age: Duration,
    /// When it was filed, in milliseconds since 1970 UTC.
    pub filed_at_ms: i64,
    /// Absent means: maybe applied, maybe later.
    pub outcome: Option<IntentOutcome>,
}

/// An entry in our hands, with all that the worker needs to know of the user.
#[derive(Debug, Clone)]
pub struct Claim {
    /// Its position.
    pub ordinal: i64,
    /// Every later statement carries it.
    pub epoch: i64,
    /// Keyed fingerprint of the username, for logs.
    pub user_key: UserKey,
    /// The Entra user.
    pub user: EntraId,
    /// The record, sealed.
    pub record: Sealed,
    /// Fingerprint of the record's content.
    pub content: Fingerprint,
    /// Guest of the tenant.
    pub guest: bool,
    /// What the policy allows the user.
    pub allowed: Allowed,
    /// Attempts used up so far.
    pub attempts: u32,
    /// Claims that ended without a word after a write had begun.
    pub crashes: u32,
    /// Snoozes so far.
    pub snoozes: u32,
    /// How long it was snoozed in all, by what was asked for; time in which no process ran does not count.
    pub snoozed: Duration,
    /// Intents of this user that bear on the future: those of this run, those of any run without an outcome, and of each
    /// slot the newest applied one, which may not show yet.
    pub intents: Vec<Intent>,
    /// Pre-images of this user that stand.
    pub pre_images: Vec<PreImage>,
    /// Last value that we are known to have written, by slot, over all runs since the pre-image that stands (sealed).
    pub ours: Vec<(String, Option<Sealed>)>,
    /// Secrets written for this user: fingerprint and sealed serial.
    pub secrets: Vec<(Fingerprint, Sealed)>,
    /// Tokens of the inventory with the record's serials.
    pub inventory: Vec<InventoryToken>,
    /// Fingerprints of the record's serials that another record of the snapshot claims too.
    pub contested: Vec<Fingerprint>,
    /// The plan line that a person has reviewed, sealed.
    pub reviewed: Option<Sealed>,
}

/// A write-ahead row.
#[derive(Debug, Clone)]
pub struct NewIntent {
    /// The entry.
    pub ordinal: i64,
    /// Its epoch.
    pub epoch: i64,
    /// The Entra user.
    pub user: EntraId,
    /// The slot.
    pub slot: String,
    /// The value before, sealed; absent means that nothing was there. Ignored where a pre-image stands.
    pub pre_image: Option<Sealed>,
    /// A pre-image that stands gives way to this one: nothing of ours has ever stood in the slot since it was filed.
    pub afresh: bool,
    /// What we are about to write, sealed; absent means removal.
    pub to: Option<Sealed>,
}

/// What became of one intent.
#[derive(Debug, Clone)]
pub struct SlotOutcome {
    /// The slot.
    pub slot: String,
    /// The outcome.
    pub outcome: IntentOutcome,
}

/// How a claim ends.
#[derive(Debug, Clone)]
pub enum End {
    /// The run is done with the user.
    Settle {
        /// A settled state.
        state: EntryState,
        /// What the plan meant for the user.
        outcome: Outcome,
        /// Code words, separated by blanks, each once.
        codes: String,
        /// What was found and done, sealed.
        result: Sealed,
        /// The fingerprint to keep for rule U5; absent clears what is there.
        applied: Option<Fingerprint>,
        /// Secrets written: fingerprint and sealed serial.
        secrets: Vec<(Fingerprint, Sealed)>,
    },
    /// Back to waiting.
    Snooze {
        /// Not before.
        after: Duration,
        /// Whether it uses up an attempt.
        attempt: bool,
    },
}

/// The end of a claim, with its outcomes.
#[derive(Debug, Clone)]
pub struct Finish {
    /// The entry.
    pub ordinal: i64,
    /// Its epoch.
    pub epoch: i64,
    /// The Entra user.
    pub user: EntraId,
    /// Outcomes of this run's intents; slots not named keep what they have. An outcome for an intent of an earlier run
    /// without one is recorded on that too.
    pub outcomes: Vec<SlotOutcome>,
    /// How the claim ends.
    pub end: End,
}

/// Entries by state; every state is there, with zero where none is.
pub type Counts = BTreeMap<EntryState, u64>;

/// What stood when a page was done.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// `intake`, `directory`, `match`, `release`, `sweep`, `done`.
    pub step: String,
    /// Page within the step, from 1.
    pub page: u32,
    /// Counts by state.
    pub counts: Counts,
    /// When, in milliseconds since 1970 UTC.
    pub at_ms: i64,
}

/// An entry with its result.
#[derive(Debug, Clone)]
pub struct ResultRow {
    /// The run.
    pub run: RunId,
    /// Its position.
    pub ordinal: i64,
    /// The snapshot it belongs to.
    pub snapshot: SnapshotId,
    /// Where it stands.
    pub state: EntryState,
    /// What the plan meant; absent until settled by a worker (left-out users have it).
    pub outcome: Option<Outcome>,
    /// The Entra user; absent where nothing matched or the match is ambiguous.
    pub user: Option<EntraId>,
    /// UPN and attributes, sealed; absent as above.
    pub directory: Option<Sealed>,
    /// The stage that hit.
    pub matched_by: Option<Match>,
    /// Code words, separated by blanks.
    pub codes: String,
    /// What was found and done, sealed; absent for users that no worker touched.
    pub result: Option<Sealed>,
    /// The record, sealed.
    pub record: Sealed,
    /// When it was settled, in milliseconds since 1970 UTC.
    pub settled_at_ms: Option<i64>,
    /// The values were taken out of the result.
    pub forgotten: bool,
}

/// Where a look at all users stands; it comes from the last user of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UserCursor {
    pub(crate) snapshot: i64,
    pub(crate) ordinal: i64,
}

/// A user of the source, and what all runs have told of them.
#[derive(Debug, Clone)]
pub struct UserResults {
    /// Where a look goes on behind this user.
    pub cursor: UserCursor,
    /// The ledger's name for the user.
    pub user: UserKey,
    /// The newest snapshot in which a run has an entry of the user.
    pub snapshot: SnapshotId,
    /// The position in that snapshot.
    pub ordinal: i64,
    /// The record there, sealed.
    pub record: Sealed,
    /// The entries with the kinds of their runs, newest run first; each without its record. Those that were settled
    /// without a look because nothing had changed (rule U5) are left out: there may be one a run.
    pub entries: Vec<(RunKind, ResultRow)>,
}

/// What a service does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ServiceKind {
    /// Reads datafiles.
    Extractor,
    /// Files, releases, sweeps; one of them leads.
    Coordinator,
    /// Moves users.
    Worker,
}

impl ServiceKind {
    /// The word in the ledger and in `status`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Extractor => "extractor",
            Self::Coordinator => "coordinator",
            Self::Worker => "worker",
        }
    }

    /// Reads a word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Extractor, Self::Coordinator, Self::Worker].into_iter().find(|kind| kind.as_str() == word)
    }
}

/// A service that is alive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presence {
    /// Host and process, such as `node7-4711`.
    pub name: String,
    /// What it does.
    pub kind: ServiceKind,
    /// What it waits for, in words that name nobody; absent when nothing is in its way.
    pub waits_for: Option<String>,
}

/// A service, and how long ago it was last heard of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The service.
    pub presence: Presence,
    /// By the database's clock.
    pub ago: Duration,
}

/// A message that was set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParkedMessage {
    /// The queue it came from.
    pub queue: String,
    /// Its id.
    pub id: String,
    /// Why.
    pub reason: String,
    /// When, in milliseconds since 1970 UTC.
    pub parked_at_ms: i64,
}

/// The leadership of a process over a ledger, for as long as this value lives.
pub struct Lead {
    /// The ledger as the leader sees it.
    pub ledger: std::sync::Arc<dyn crate::Ledger>,
    /// Number of the leadership, growing; 0 where nobody can compete.
    pub term: i64,
    /// Turns true when the leadership is lost (the session that held it is gone); never where nobody can compete.
    pub lost: tokio::sync::watch::Receiver<bool>,
}

/// All that is on file for a user.
#[derive(Debug, Clone, Default)]
pub struct UserHistory {
    /// Entries, newest run first.
    pub entries: Vec<ResultRow>,
    /// Pre-images of the Entra users among them.
    pub pre_images: Vec<(EntraId, PreImage)>,
    /// Intents of the Entra users among them, oldest first.
    pub intents: Vec<(EntraId, Intent)>,
    /// The Entra users among them whose values before were forgotten, and when, in milliseconds since 1970 UTC.
    pub forgotten: Vec<(EntraId, i64)>,
}
