//! A small world for the checks: a snapshot, a directory that it matches, and short words for the common steps.

use crate::{
    Claim, DirectoryRow, End, FiledRecord, Finish, Ledger, Member, NewBatch, NewIntent, RunSpec, SlotOutcome,
};
use contract::{
    Allowed, EntraId, EntryState, Fingerprint, IntentOutcome, Match, Outcome, Reject, RejectCode, RunId,
    RunKind, Sealed, SnapshotId, SnapshotManifest, UserKey,
};
use std::sync::Arc;
use std::time::Duration;

/// A lease that does not end within a test.
pub(crate) const LONG: Duration = Duration::from_secs(3600);

/// A fingerprint that a word and a number stand for.
pub(crate) fn print(word: &str, number: i64) -> Fingerprint {
    let mut bytes = [0; 16];
    for (byte, letter) in bytes.iter_mut().zip(word.bytes().take(8)) {
        *byte = letter;
    }
    for (byte, digit) in bytes.iter_mut().skip(8).zip(number.to_be_bytes()) {
        *byte = digit;
    }
    Fingerprint(bytes)
}

/// Bytes that stand for an envelope.
pub(crate) fn sealed(text: &str) -> Sealed {
    Sealed(format!("sealed:{text}").into_bytes())
}

/// The Entra user of a record.
pub(crate) fn entra(number: i64) -> EntraId {
    EntraId(format!("00000000-0000-0000-0000-{number:012}"))
}

/// A record whose UPN is its number.
pub(crate) fn record(ordinal: i64) -> FiledRecord {
    FiledRecord {
        ordinal,
        user_key: UserKey(print("user", ordinal)),
        sealed: sealed(&format!("record {ordinal}")),
        keys: [Some(print("upn", ordinal)), None, None, None, None, None],
        content: print("content", ordinal),
        enabled: true,
        serials: Vec::new(),
    }
}

/// A directory user whose UPN is a number.
pub(crate) fn user(number: i64) -> DirectoryRow {
    DirectoryRow {
        user: entra(number),
        sealed: sealed(&format!("directory {number}")),
        keys: [Some(print("upn", number)), None, None, None, None, None],
        guest: false,
        allowed: Allowed::ALL,
    }
}

/// A reject of a line.
pub(crate) fn reject(line: u64) -> Reject {
    Reject { file: None, line, field: "Phone".into(), code: RejectCode::FieldInvalid }
}

/// A manifest that counts so many.
pub(crate) fn manifest(id: &SnapshotId, accepted: u64, rejected: u64) -> SnapshotManifest {
    SnapshotManifest {
        v: 1,
        id: id.clone(),
        format: "ndjson".into(),
        read: accepted + rejected,
        accepted,
        rejected,
        side_rejected: 0,
        unknown_keys: 0,
    }
}

/// Batches that hold everybody, so that runs of different batches can meet.
const BATCHES: [&str; 4] = ["north", "south", "east", "west"];

/// Makes a batch of these records and fixes it.
pub(crate) async fn make_batch<L: Ledger>(
    ledger: &L,
    snapshot: &SnapshotId,
    name: &str,
    records: &[FiledRecord],
) {
    let batch = NewBatch {
        name: name.into(),
        snapshot: snapshot.clone(),
        selector: "{}".into(),
        settings: "{}".into(),
        by: "conformance".into(),
    };
    ledger.create_batch(&batch).await.unwrap();
    let members: Vec<Member> =
        records.iter().map(|record| Member { user: record.user_key, matched: true }).collect();
    ledger.add_members(name, &members).await.unwrap();
    ledger.freeze_batch(name).await.unwrap();
}

/// A ledger with a snapshot in it.
pub(crate) struct World<L> {
    pub(crate) ledger: Arc<L>,
    pub(crate) snapshot: SnapshotId,
    users: Vec<i64>,
}

impl<L: Ledger> World<L> {
    /// Records with the ordinals 1 to `count`.
    pub(crate) async fn of(ledger: L, count: i64) -> Self {
        Self::with(ledger, (1..=count).map(record).collect()).await
    }

    /// These records; the directory has a user for each ordinal.
    pub(crate) async fn with(ledger: L, records: Vec<FiledRecord>) -> Self {
        let snapshot = SnapshotId("5".repeat(64));
        let users = records.iter().map(|r| r.ordinal).collect();
        ledger.begin_snapshot(&snapshot).await.unwrap();
        ledger.file_records(&snapshot, &records).await.unwrap();
        let count = u64::try_from(records.len()).unwrap();
        ledger.complete_snapshot(&manifest(&snapshot, count, 0)).await.unwrap();
        for batch in BATCHES {
            make_batch(&ledger, &snapshot, batch, &records).await;
        }
        Self { ledger: Arc::new(ledger), snapshot, users }
    }

    /// The spec of a run over the snapshot.
    pub(crate) fn spec(&self, kind: RunKind, batch: &str) -> RunSpec {
        RunSpec {
            kind,
            batch: batch.into(),
            snapshot: self.snapshot.clone(),
            policy: "{}".into(),
            policy_hash: "hash".into(),
            plan_hash: None,
            include_unchanged: false,
        }
    }

    /// A run that is open, its users matched by their UPNs.
    pub(crate) async fn run(&self, kind: RunKind, batch: &str) -> RunId {
        self.run_of(&self.spec(kind, batch)).await
    }

    /// The same for any spec.
    pub(crate) async fn run_of(&self, spec: &RunSpec) -> RunId {
        let opened = self.ledger.open_run(spec).await.unwrap();
        if !opened.resumed {
            let rows: Vec<_> = self.users.iter().copied().map(user).collect();
            self.ledger.file_directory_page(opened.run.id, &rows, None).await.unwrap();
            self.ledger.match_users(opened.run.id, &[Match::Upn], false).await.unwrap();
        }
        opened.run.id
    }

    /// Claims for a long time.
    pub(crate) async fn claim(&self, run: RunId, ordinals: &[i64]) -> Vec<Claim> {
        self.ledger.claim(run, ordinals, "worker", LONG).await.unwrap()
    }

    /// Claims one for a long time.
    pub(crate) async fn claim_one(&self, run: RunId, ordinal: i64) -> Claim {
        self.claim(run, &[ordinal]).await.pop().expect("the entry can be claimed")
    }

    /// Claims with a lease that is over at once.
    pub(crate) async fn claim_briefly(&self, run: RunId, ordinal: i64) -> Claim {
        self.ledger
            .claim(run, &[ordinal], "worker", Duration::ZERO)
            .await
            .unwrap()
            .pop()
            .expect("the entry can be claimed")
    }

    /// Releases all that is due, with nothing stale; answers the ordinals and how many leases had run out.
    pub(crate) async fn release(&self, run: RunId) -> (Vec<i64>, u64) {
        let release = self.ledger.release(run, 10_000, None, Duration::ZERO).await.unwrap();
        (release.entries.iter().map(|entry| entry.ordinal).collect(), release.expired)
    }

    /// Settles one entry from scratch, its slot `mobile` with this outcome.
    pub(crate) async fn migrate_one(&self, run: RunId, ordinal: i64, outcome: IntentOutcome) -> Claim {
        let claim = self.claim_one(run, ordinal).await;
        assert_eq!(
            self.ledger.file_intents(run, &[intent(&claim, "mobile", None, Some("ours"))]).await.unwrap(),
            [ordinal]
        );
        let end = settle(&claim, EntryState::Applied, &[("mobile", outcome)]);
        assert_eq!(self.ledger.finish(run, &[end]).await.unwrap(), [ordinal]);
        claim
    }

    /// The state of one entry.
    pub(crate) async fn state(&self, run: RunId, ordinal: i64) -> EntryState {
        self.ledger.results(run, ordinal - 1, 1).await.unwrap().first().expect("the entry is there").state
    }
}

/// A write-ahead row for a claim.
pub(crate) fn intent(claim: &Claim, slot: &str, pre_image: Option<&str>, to: Option<&str>) -> NewIntent {
    NewIntent {
        ordinal: claim.ordinal,
        epoch: claim.epoch,
        user: claim.user.clone(),
        slot: slot.into(),
        pre_image: pre_image.map(sealed),
        afresh: false,
        to: to.map(sealed),
    }
}

/// The end of a claim, with nothing to remember.
pub(crate) fn settle(claim: &Claim, state: EntryState, outcomes: &[(&str, IntentOutcome)]) -> Finish {
    Finish {
        ordinal: claim.ordinal,
        epoch: claim.epoch,
        user: claim.user.clone(),
        outcomes: outcomes
            .iter()
            .map(|(slot, outcome)| SlotOutcome { slot: (*slot).into(), outcome: *outcome })
            .collect(),
        end: End::Settle {
            state,
            outcome: Outcome::Change,
            codes: "phone-only".into(),
            result: sealed(&format!("result {}", claim.ordinal)),
            applied: Some(claim.content),
            secrets: Vec::new(),
        },
    }
}

/// The other end of a claim.
pub(crate) fn snooze(claim: &Claim, after: Duration, attempt: bool) -> Finish {
    Finish {
        ordinal: claim.ordinal,
        epoch: claim.epoch,
        user: claim.user.clone(),
        outcomes: Vec::new(),
        end: End::Snooze { after, attempt },
    }
}
