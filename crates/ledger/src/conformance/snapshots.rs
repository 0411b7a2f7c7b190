//! Snapshots: filed twice is filed once, and complete means counted.

use super::fixture::{LONG, manifest, print, record, reject, sealed, user};
use crate::{Claim, Error, FiledRecord, Ledger, RunSpec};
use contract::{Match, Reject, RejectCode, RunKind, SnapshotId, SnapshotManifest};
use std::sync::Arc;

pub(super) async fn check<L: Ledger>(fresh: &impl AsyncFn() -> L) {
    a_page_filed_twice_is_filed_once(fresh().await).await;
    half_a_page_is_filed_to_its_end(fresh().await).await;
    an_ordinal_twice_in_a_page_is_filed_once(fresh().await).await;
    a_page_is_filed_by_many_at_once(fresh().await).await;
    complete_is_refused_while_counts_differ(fresh().await).await;
    damaged_records_count_as_rejected(fresh().await).await;
    the_latest_snapshot_was_completed_last(fresh().await).await;
    a_value_is_kept_once_under_a_race(fresh().await).await;
    learned_rates_are_replaced(fresh().await).await;
}

async fn a_page_filed_twice_is_filed_once<L: Ledger>(ledger: L) {
    let id = SnapshotId("a".repeat(64));
    assert_eq!(ledger.begin_snapshot(&id).await.unwrap().filed, 0);
    for _ in 0..2 {
        ledger.file_records(&id, &[record(1), record(4)]).await.unwrap();
        ledger.file_rejects(&id, &[reject(3), reject(2)]).await.unwrap();
    }
    let filing = ledger.begin_snapshot(&id).await.unwrap();
    assert_eq!((filing.filed, filing.complete), (2, false));
    assert_eq!(ledger.rejects(&id).await.unwrap(), [reject(2), reject(3)]);
    ledger.complete_snapshot(&manifest(&id, 2, 2)).await.unwrap();
    ledger.complete_snapshot(&manifest(&id, 2, 2)).await.unwrap();
    assert!(ledger.begin_snapshot(&id).await.unwrap().complete);
    ledger.file_records(&id, &[record(5)]).await.unwrap();
    assert_eq!(ledger.begin_snapshot(&id).await.unwrap().filed, 2, "a complete snapshot does not grow");
    assert_eq!(ledger.snapshot(&id).await.unwrap(), Some(manifest(&id, 2, 2)));
}

/// A record with serials of its own.
fn with_serials(ordinal: i64, serials: &[i64]) -> FiledRecord {
    FiledRecord {
        serials: serials.iter().map(|serial| print("serial", *serial)).collect(),
        ..record(ordinal)
    }
}

/// The claim of every user of a snapshot that is filed, which shows its records as they are on file.
async fn claimed<L: Ledger>(ledger: L, id: &SnapshotId, count: u64) -> Vec<Claim> {
    assert_eq!(ledger.snapshot_filing(id).await.unwrap().unwrap().filed, count);
    ledger.complete_snapshot(&manifest(id, count, 0)).await.unwrap();
    let spec = RunSpec {
        kind: RunKind::Rehearse,
        batch: "all".into(),
        snapshot: id.clone(),
        policy: "{}".into(),
        policy_hash: "hash".into(),
        plan_hash: None,
        include_unchanged: false,
    };
    let run = ledger.open_run(&spec).await.unwrap().run.id;
    let ordinals: Vec<i64> = (1..=i64::try_from(count).unwrap()).collect();
    let users: Vec<_> = ordinals.iter().copied().map(user).collect();
    ledger.file_directory_page(run, &users, None).await.unwrap();
    ledger.match_users(run, &[Match::Upn], false).await.unwrap();
    let claims = ledger.claim(run, &ordinals, "worker", LONG).await.unwrap();
    assert_eq!(claims.len(), ordinals.len());
    claims
}

/// A crash between two transactions, or another page size: some rows of a page are there, and others are not.
async fn half_a_page_is_filed_to_its_end<L: Ledger>(ledger: L) {
    let id = SnapshotId("1".repeat(64));
    ledger.begin_snapshot(&id).await.unwrap();
    ledger.file_records(&id, &[with_serials(2, &[20, 21]), with_serials(4, &[])]).await.unwrap();
    let whole = [
        with_serials(1, &[10]),
        FiledRecord { sealed: sealed("another envelope"), ..with_serials(2, &[20, 21]) },
        with_serials(3, &[20]),
        with_serials(4, &[]),
        with_serials(5, &[50]),
    ];
    ledger.file_records(&id, &whole).await.unwrap();
    ledger.file_records(&id, &[]).await.unwrap();
    let claims = claimed(ledger, &id, 5).await;
    assert_eq!(claims[1].record, sealed("record 2"), "what is on file is left");
    let contested: Vec<_> = claims.iter().map(|claim| claim.contested.clone()).collect();
    let both = vec![print("serial", 20)];
    assert_eq!(contested, [vec![], both.clone(), both, vec![], vec![]], "serials came with their records");
}

async fn an_ordinal_twice_in_a_page_is_filed_once<L: Ledger>(ledger: L) {
    let id = SnapshotId("2".repeat(64));
    ledger.begin_snapshot(&id).await.unwrap();
    // The same copy, and the same serial twice in one record.
    let page = [with_serials(1, &[10, 10]), with_serials(2, &[20]), with_serials(1, &[10, 10])];
    for _ in 0..2 {
        ledger.file_records(&id, &page).await.unwrap();
    }
    let claims = claimed(ledger, &id, 2).await;
    assert!(claims.iter().all(|claim| claim.contested.is_empty()), "nobody contests a serial with itself");
}

async fn a_page_is_filed_by_many_at_once<L: Ledger>(ledger: L) {
    let (ledger, id) = (Arc::new(ledger), SnapshotId("3".repeat(64)));
    ledger.begin_snapshot(&id).await.unwrap();
    let filing: Vec<_> = (0..6)
        .map(|n| {
            let (ledger, id) = (Arc::clone(&ledger), id.clone());
            // Each has most of its records in common with the next one.
            let page: Vec<_> = (n * 10 + 1..=n * 10 + 50).map(record).collect();
            tokio::spawn(async move { ledger.file_records(&id, &page).await.unwrap() })
        })
        .collect();
    for filed in filing {
        filed.await.unwrap();
    }
    assert_eq!(ledger.snapshot_filing(&id).await.unwrap().unwrap().filed, 100);
}

async fn complete_is_refused_while_counts_differ<L: Ledger>(ledger: L) {
    let id = SnapshotId("b".repeat(64));
    assert!(matches!(ledger.file_records(&id, &[record(1)]).await, Err(Error::NoSnapshot { .. })));
    ledger.begin_snapshot(&id).await.unwrap();
    ledger.file_records(&id, &[record(1), record(2)]).await.unwrap();
    ledger.file_rejects(&id, &[reject(3)]).await.unwrap();
    let mut dropped = manifest(&id, 2, 1);
    dropped.read = 4;
    for wrong in [manifest(&id, 3, 1), manifest(&id, 1, 1), manifest(&id, 2, 0), manifest(&id, 2, 2), dropped]
    {
        assert!(matches!(ledger.complete_snapshot(&wrong).await, Err(Error::Incomplete { .. })), "{wrong:?}");
        assert_eq!(ledger.snapshot(&id).await.unwrap(), None);
    }
    ledger.file_rejects(&id, &[Reject { file: Some("seeds.csv".to_owned()), ..reject(9) }]).await.unwrap();
    assert!(
        ledger.complete_snapshot(&manifest(&id, 2, 1)).await.is_err(),
        "a side file's reject is counted apart"
    );
    let whole = SnapshotManifest { side_rejected: 1, ..manifest(&id, 2, 1) };
    ledger.complete_snapshot(&whole).await.unwrap();
    assert_eq!(ledger.snapshot(&id).await.unwrap(), Some(whole));
}

async fn damaged_records_count_as_rejected<L: Ledger>(ledger: L) {
    let id = SnapshotId("c".repeat(64));
    assert_eq!(ledger.snapshot_filing(&id).await.unwrap(), None, "nothing of it came yet");
    assert!(matches!(ledger.file_unreadable(&id, &[1]).await, Err(Error::NoSnapshot { .. })));
    ledger.begin_snapshot(&id).await.unwrap();
    ledger.file_records(&id, &[record(1), record(2)]).await.unwrap();
    ledger.file_rejects(&id, &[reject(3), Reject { field: "-".into(), ..reject(4) }]).await.unwrap();
    for _ in 0..2 {
        // 2 is on file already, and 5 comes whole a second time.
        ledger.file_unreadable(&id, &[4, 2, 5]).await.unwrap();
    }
    assert_eq!(ledger.snapshot_filing(&id).await.unwrap().unwrap().filed, 2);
    assert!(matches!(ledger.complete_snapshot(&manifest(&id, 3, 2)).await, Err(Error::Incomplete { .. })));
    ledger.file_records(&id, &[record(5)]).await.unwrap();
    assert!(matches!(ledger.complete_snapshot(&manifest(&id, 3, 2)).await, Err(Error::Incomplete { .. })));
    ledger.complete_snapshot(&manifest(&id, 4, 2)).await.unwrap();
    assert_eq!(ledger.snapshot(&id).await.unwrap(), Some(manifest(&id, 3, 3)), "read is the same");
    let filing = ledger.snapshot_filing(&id).await.unwrap().unwrap();
    assert_eq!((filing.complete, filing.filed), (true, 3));
    let rejects = ledger.rejects(&id).await.unwrap();
    let told: Vec<_> = rejects.iter().map(|reject| (reject.line, reject.code)).collect();
    let invalid = RejectCode::FieldInvalid;
    assert_eq!(told, [(3, invalid), (4, RejectCode::Unreadable), (4, invalid)]);
    ledger.file_unreadable(&id, &[9]).await.unwrap();
    assert_eq!(ledger.rejects(&id).await.unwrap(), rejects, "a complete snapshot does not grow");
}

async fn the_latest_snapshot_was_completed_last<L: Ledger>(ledger: L) {
    assert_eq!(ledger.latest_snapshot().await.unwrap(), None);
    let ids = ["d", "e", "f"].map(|letter| SnapshotId(letter.repeat(64)));
    for id in &ids {
        ledger.begin_snapshot(id).await.unwrap();
    }
    assert_eq!(ledger.latest_snapshot().await.unwrap(), None, "none is complete");
    for id in [&ids[1], &ids[0]] {
        ledger.complete_snapshot(&manifest(id, 0, 0)).await.unwrap();
        ledger.complete_snapshot(&manifest(&ids[1], 0, 0)).await.unwrap();
        let (latest, completed_at_ms) = ledger.latest_snapshot().await.unwrap().unwrap();
        assert_eq!(latest, manifest(id, 0, 0));
        assert!((completed_at_ms as f64 / 1000.0 - ledger.paces().await.unwrap().1).abs() < 60.0);
        // Times are whole milliseconds: the next one is completed in a later one.
        let completed = ledger.paces().await.unwrap().1;
        while ledger.paces().await.unwrap().1 < completed + 0.002 {}
    }
}

async fn a_value_is_kept_once_under_a_race<L: Ledger>(ledger: L) {
    let ledger = Arc::new(ledger);
    assert_eq!(ledger.kept("fingerprint-key").await.unwrap(), None);
    let tasks: Vec<_> = (0..8)
        .map(|n| {
            let ledger = Arc::clone(&ledger);
            tokio::spawn(
                async move { ledger.keep("fingerprint-key", &sealed(&n.to_string())).await.unwrap() },
            )
        })
        .collect();
    let mut kept = Vec::new();
    for task in tasks {
        kept.push(task.await.unwrap());
    }
    assert!(kept.windows(2).all(|pair| pair[0] == pair[1]), "all of them got the same value");
    assert_eq!(ledger.keep("fingerprint-key", &sealed("late")).await.unwrap(), kept[0]);
    assert_eq!(ledger.kept("fingerprint-key").await.unwrap().as_ref(), Some(&kept[0]));
    assert_eq!(ledger.keep("another", &sealed("late")).await.unwrap(), sealed("late"));
}

async fn learned_rates_are_replaced<L: Ledger>(ledger: L) {
    assert!(ledger.learned_rates().await.unwrap().is_empty());
    ledger.keep_rates(&[("methods".into(), 12.5), ("directory".into(), 20.0)]).await.unwrap();
    ledger.keep_rates(&[("methods".into(), 11.0)]).await.unwrap();
    let expected = [("directory".to_owned(), 20.0), ("methods".to_owned(), 11.0)];
    assert_eq!(ledger.learned_rates().await.unwrap(), expected);
}
