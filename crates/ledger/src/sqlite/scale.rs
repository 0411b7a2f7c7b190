//! A hundred thousand users through the whole ledger, in a file: the statements stay set-based, and the counts add up.
//! It asserts results and no time; a statement that goes through all rows for each row would not come to an end.

use crate::{DirectoryRow, End, FiledRecord, Finish, Ledger, NewIntent, RunSpec, SlotOutcome, SqliteLedger};
use contract::{
    Allowed, EntraId, EntryState, Fingerprint, IntentOutcome, Match, Outcome, RunId, RunKind, RunState,
    Sealed, SnapshotId, SnapshotManifest, UserKey,
};
use std::time::Duration;

const USERS: i64 = 100_000;
const PAGE: usize = 1000;
const HOUR: Duration = Duration::from_secs(3600);

/// Spread over the whole range, as real fingerprints are.
fn print(domain: u64, number: i64) -> Fingerprint {
    let mixed = (number.unsigned_abs() ^ (domain << 56)).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29);
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&mixed.wrapping_mul(0xBF58_476D_1CE4_E5B9).to_le_bytes());
    bytes[8..].copy_from_slice(&mixed.to_le_bytes());
    Fingerprint(bytes)
}

fn entra(number: i64) -> EntraId {
    EntraId(format!("{number:08}-0000-0000-0000-000000000000"))
}

/// Nine in ten have the UPN of their user, the others its SID alone; every 100th is disabled, every 1,000th shares its
/// user with the one before, and the last thousand are not in the directory.
fn record(ordinal: i64) -> FiledRecord {
    let number = if ordinal % 1000 == 0 { ordinal - 1 } else { ordinal };
    let by_upn = number % 10 != 0;
    FiledRecord {
        ordinal,
        user_key: UserKey(print(1, ordinal)),
        sealed: Sealed(vec![7; 600]),
        keys: [
            Some(print(2, if by_upn { number } else { -number })),
            (!by_upn).then(|| print(3, number)),
            None,
            None,
            None,
            None,
        ],
        content: print(4, ordinal),
        enabled: ordinal % 100 != 50,
        serials: if ordinal % 50 == 0 { vec![print(5, ordinal / 100)] } else { Vec::new() },
    }
}

fn user(number: i64) -> DirectoryRow {
    DirectoryRow {
        user: entra(number),
        sealed: Sealed(vec![8; 250]),
        keys: [Some(print(2, number)), Some(print(3, number)), None, None, None, None],
        guest: false,
        allowed: Allowed::ALL,
    }
}

async fn snapshot(ledger: &SqliteLedger) -> SnapshotId {
    let id = SnapshotId("c".repeat(64));
    ledger.begin_snapshot(&id).await.unwrap();
    let ordinals: Vec<i64> = (1..=USERS).collect();
    for page in ordinals.chunks(PAGE) {
        ledger.file_records(&id, &page.iter().copied().map(record).collect::<Vec<_>>()).await.unwrap();
    }
    let count = USERS.unsigned_abs();
    let manifest = SnapshotManifest {
        v: 1,
        id: id.clone(),
        format: "csv".into(),
        read: count,
        accepted: count,
        rejected: 0,
        side_rejected: 0,
        unknown_keys: 0,
    };
    ledger.complete_snapshot(&manifest).await.unwrap();
    id
}

async fn prepared(ledger: &SqliteLedger) -> RunId {
    let spec = RunSpec {
        kind: RunKind::Migrate,
        batch: "all".into(),
        snapshot: snapshot(ledger).await,
        policy: "{}".into(),
        policy_hash: "hash".into(),
        plan_hash: None,
        include_unchanged: false,
    };
    let run = ledger.open_run(&spec).await.unwrap().run.id;
    let numbers: Vec<i64> = (1..=USERS - 1000).rev().collect();
    for page in numbers.chunks(PAGE) {
        let rows: Vec<_> = page.iter().copied().map(user).collect();
        ledger.file_directory_page(run, &rows, Some("next")).await.unwrap();
    }
    ledger.file_directory_page(run, &[], None).await.unwrap();
    run
}

async fn work_off(ledger: &SqliteLedger, run: RunId, ordinals: &[i64]) {
    let claims = ledger.claim(run, ordinals, "worker", HOUR).await.unwrap();
    assert_eq!(claims.len(), ordinals.len());
    let intents: Vec<_> = claims
        .iter()
        .map(|claim| NewIntent {
            ordinal: claim.ordinal,
            epoch: claim.epoch,
            user: claim.user.clone(),
            slot: "mobile".into(),
            pre_image: None,
            afresh: false,
            to: Some(Sealed(vec![9; 60])),
        })
        .collect();
    assert_eq!(ledger.file_intents(run, &intents).await.unwrap().len(), ordinals.len());
    let ends: Vec<_> = claims
        .iter()
        .map(|claim| Finish {
            ordinal: claim.ordinal,
            epoch: claim.epoch,
            user: claim.user.clone(),
            outcomes: vec![SlotOutcome { slot: "mobile".into(), outcome: IntentOutcome::Applied }],
            end: End::Settle {
                state: EntryState::Applied,
                outcome: Outcome::Change,
                codes: "phone-only".into(),
                result: Sealed(vec![6; 300]),
                applied: Some(claim.content),
                secrets: Vec::new(),
            },
        })
        .collect();
    assert_eq!(ledger.finish(run, &ends).await.unwrap().len(), ordinals.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_thousand_users_go_through() {
    let folder = tempfile::TempDir::new().unwrap();
    let ledger = SqliteLedger::open(&folder.path().join("ledger.db")).await.unwrap();
    let run = prepared(&ledger).await;
    let counts = ledger.match_users(run, &[Match::Upn, Match::Sid], false).await.unwrap();
    // Of 99 full thousands two records each share a user; of every hundred one is disabled.
    assert_eq!(counts.entries, 100_000);
    assert_eq!(counts.none, 1000);
    assert_eq!(counts.ambiguous, 198);
    assert_eq!(counts.disabled, 990);
    assert_eq!(counts.matched, 100_000 - 1000 - 198 - 990);
    let mut released = 0;
    loop {
        let page = ledger.release(run, 2000, Some(HOUR), HOUR).await.unwrap().entries;
        let ordinals: Vec<i64> = page.iter().map(|entry| entry.ordinal).collect();
        for group in ordinals.chunks(500) {
            work_off(&ledger, run, group).await;
        }
        released += ordinals.len();
        ledger.checkpoint(run, "release", u32::try_from(released).unwrap()).await.unwrap();
        if ordinals.is_empty() {
            break;
        }
    }
    assert_eq!(u64::try_from(released).unwrap(), counts.matched);
    let by_state = ledger.counts(run).await.unwrap();
    assert_eq!(by_state[&EntryState::Applied], counts.matched);
    assert_eq!(by_state[&EntryState::Skipped], counts.entries - counts.matched);
    ledger.set_run_state(run, RunState::Done).await.unwrap();
    let (mut after, mut rows) = (0, 0);
    while let Some(last) = {
        let page = ledger.results(run, after, 5000).await.unwrap();
        rows += page.len();
        page.last().map(|row| row.ordinal)
    } {
        after = last;
    }
    assert_eq!(rows, 100_000);
    let (mut after, mut users) = (None, 0);
    while let Some(last) = {
        let page = ledger.users(None, after, 5000).await.unwrap();
        assert!(page.iter().all(|user| user.entries.len() == 1));
        users += page.len();
        page.last().map(|user| user.cursor)
    } {
        after = Some(last);
    }
    assert_eq!(users, 100_000);
}
