//! Claims: one owner, one writer a user, fenced when the lease is gone, crashes counted when a write had begun.

use super::fixture::{LONG, World, entra, intent, print, record, sealed, settle, snooze};
use crate::{InventoryRow, Ledger};
use contract::{EntryState, InventoryToken, RunKind, TokenStatus};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

pub(super) async fn check<L: Ledger>(fresh: &impl AsyncFn() -> L) {
    an_entry_has_one_owner(World::of(fresh().await, 2).await).await;
    claims_at_once_share_the_entries(World::of(fresh().await, 40).await).await;
    a_user_has_one_writer_over_all_batches(World::of(fresh().await, 2).await).await;
    a_lease_that_ended_is_put_back_after_the_grace(World::of(fresh().await, 2).await).await;
    a_crash_counts_only_when_a_write_had_begun(World::of(fresh().await, 2).await).await;
    a_claim_brings_tokens_and_reviews(fresh().await).await;
    a_dropped_caller_leaves_nothing_open(World::of(fresh().await, 3).await).await;
}

async fn an_entry_has_one_owner<L: Ledger>(world: World<L>) {
    let run = world.run(RunKind::Migrate, "north").await;
    let claim = world.claim_one(run, 1).await;
    assert_eq!((claim.epoch, claim.ordinal, &claim.user), (1, 1, &entra(1)));
    assert_eq!((claim.record, claim.content), (sealed("record 1"), print("content", 1)));
    assert!(world.claim(run, &[1]).await.is_empty());
    assert!(world.claim(run, &[77]).await.is_empty(), "nobody of that number");
    assert!(world.claim(contract::RunId(99), &[1]).await.is_empty(), "no such run");
    let none = world.ledger.renew(run, &[(1, 2), (2, 1)], LONG).await.unwrap();
    assert!(none.is_empty(), "neither another epoch nor another entry");
    assert_eq!(world.ledger.renew(run, &[(1, 1), (2, 1)], LONG).await.unwrap(), [1]);
}

async fn claims_at_once_share_the_entries<L: Ledger>(world: World<L>) {
    let run = world.run(RunKind::Migrate, "north").await;
    let all: Vec<i64> = (1..=40).collect();
    let tasks: Vec<_> = (0..4)
        .map(|worker| {
            let (ledger, mut mine) = (Arc::clone(&world.ledger), all.clone());
            mine.rotate_left(worker * 10);
            tokio::spawn(async move {
                let mut got = Vec::new();
                for page in mine.chunks(10) {
                    let claims = ledger.claim(run, page, &format!("worker {worker}"), LONG).await.unwrap();
                    got.extend(claims.iter().map(|claim| claim.ordinal));
                }
                got
            })
        })
        .collect();
    let mut got = Vec::new();
    for task in tasks {
        got.extend(task.await.unwrap());
    }
    got.sort_unstable();
    assert_eq!(got, all, "each entry once");
}

async fn a_user_has_one_writer_over_all_batches<L: Ledger>(world: World<L>) {
    let north = world.run(RunKind::Migrate, "north").await;
    let south = world.run(RunKind::Migrate, "south").await;
    let first = world.claim_one(north, 1).await;
    assert!(world.claim(south, &[1]).await.is_empty());
    let second = world.claim_one(south, 2).await;
    assert!(world.claim(north, &[2]).await.is_empty());
    world.ledger.finish(north, &[snooze(&first, Duration::ZERO, false)]).await.unwrap();
    assert!(world.claim(south, &[1]).await.is_empty(), "snoozed is not settled: a write may be in doubt");
    let first = world.claim_one(north, 1).await;
    world.ledger.finish(north, &[settle(&first, EntryState::Applied, &[])]).await.unwrap();
    assert_eq!(world.claim(south, &[1]).await.len(), 1, "free when the other run is done with the user");
    world.ledger.finish(south, &[settle(&second, EntryState::Applied, &[])]).await.unwrap();
    assert_eq!(world.claim(north, &[2]).await.len(), 1);
}

async fn a_lease_that_ended_is_put_back_after_the_grace<L: Ledger>(world: World<L>) {
    let run = world.run(RunKind::Migrate, "north").await;
    world.release(run).await;
    let brief = world.claim_briefly(run, 1).await;
    assert!(world.claim(run, &[1]).await.is_empty(), "only release puts an entry back");
    let waits = world.ledger.release(run, 10, None, LONG).await.unwrap();
    assert_eq!((waits.entries.len(), waits.expired), (0, 0), "the grace is not over");
    assert_eq!(world.release(run).await, (vec![1], 1));
    let next = world.claim_one(run, 1).await;
    assert_eq!(next.epoch, brief.epoch + 1);
    assert!(world.ledger.renew(run, &[(1, brief.epoch)], LONG).await.unwrap().is_empty(), "fenced");
    assert_eq!(world.ledger.renew(run, &[(1, next.epoch)], LONG).await.unwrap(), [1]);
}

async fn a_crash_counts_only_when_a_write_had_begun<L: Ledger>(world: World<L>) {
    let run = world.run(RunKind::Migrate, "north").await;
    world.claim_briefly(run, 1).await;
    world.release(run).await;
    let claim = world.claim_briefly(run, 1).await;
    assert_eq!((claim.crashes, claim.attempts), (0, 0), "nothing had been written");
    world.ledger.file_intents(run, &[intent(&claim, "mobile", None, Some("ours"))]).await.unwrap();
    world.release(run).await;
    let claim = world.claim_briefly(run, 1).await;
    assert_eq!((claim.crashes, claim.attempts), (1, 1), "the lease ended with an intent open");
    world.release(run).await;
    let claim = world.claim_briefly(run, 1).await;
    assert_eq!((claim.crashes, claim.attempts), (1, 1), "the open intent is of an earlier claim");
    world.ledger.file_intents(run, &[intent(&claim, "mobile", None, Some("ours"))]).await.unwrap();
    world.release(run).await;
    let claim = world.claim_one(run, 1).await;
    assert_eq!((claim.crashes, claim.attempts), (2, 2), "and so does the next one");
    world.ledger.file_intents(run, &[intent(&claim, "mobile", None, Some("ours"))]).await.unwrap();
    world.ledger.finish(run, &[snooze(&claim, Duration::ZERO, false)]).await.unwrap();
    let claim = world.claim_one(run, 1).await;
    assert_eq!((claim.crashes, claim.attempts, claim.snoozes), (2, 2, 1), "a snooze is a word");
}

async fn a_claim_brings_tokens_and_reviews<L: Ledger>(ledger: L) {
    let mut records: Vec<_> = (1..=3).map(record).collect();
    records[0].serials = vec![print("serial", 1), print("serial", 2)];
    records[1].serials = vec![print("serial", 2)];
    let world = World::with(ledger, records).await;
    let run = world.run(RunKind::Migrate, "north").await;
    let token = |device: &str, serial: &str, status| InventoryToken {
        device_id: device.into(),
        serial: serial.into(),
        holder: Some(entra(2)),
        status,
    };
    let old = InventoryRow { serial: print("serial", 9), token: token("d1", "S9", TokenStatus::Available) };
    let new = InventoryRow { serial: print("serial", 1), token: token("d1", "S1", TokenStatus::Assigned) };
    let shared =
        InventoryRow { serial: print("serial", 2), token: token("d2", "S2", TokenStatus::Activated) };
    world.ledger.file_inventory(run, &[old, shared.clone()]).await.unwrap();
    world.ledger.file_inventory(run, std::slice::from_ref(&new)).await.unwrap();
    world.ledger.file_reviewed(run, &[(2, sealed("line 2"))]).await.unwrap();
    world.ledger.file_reviewed(run, &[(2, sealed("another")), (3, sealed("line 3"))]).await.unwrap();
    let claims = world.claim(run, &[3, 1, 2]).await;
    assert_eq!(claims.iter().map(|c| c.ordinal).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(claims[0].inventory, [new.token, shared.token.clone()], "a device filed again is replaced");
    assert_eq!(claims[0].contested, [print("serial", 2)]);
    assert_eq!(
        (claims[1].inventory.as_slice(), claims[1].contested.as_slice()),
        ([shared.token].as_slice(), [print("serial", 2)].as_slice())
    );
    assert!(claims[2].inventory.is_empty() && claims[2].contested.is_empty());
    let reviewed: Vec<_> = claims.iter().map(|claim| claim.reviewed.clone()).collect();
    assert_eq!(reviewed, [None, Some(sealed("line 2")), Some(sealed("line 3"))], "what is there is left");
}

async fn a_dropped_caller_leaves_nothing_open<L: Ledger>(world: World<L>) {
    let run = world.run(RunKind::Migrate, "north").await;
    for _ in 0..20 {
        let mut claim = world.ledger.claim(run, &[1], "gone", LONG);
        // One poll starts it; then the caller is gone.
        let polled =
            std::future::poll_fn(|context| std::task::Poll::Ready(claim.as_mut().poll(context))).await;
        drop(polled);
        drop(claim);
    }
    assert_eq!(world.claim(run, &[2]).await.len(), 1, "the ledger still answers");
    let ordinals: BTreeSet<_> = world.claim(run, &[2, 3]).await.iter().map(|c| c.ordinal).collect();
    assert_eq!(ordinals, BTreeSet::from([3]));
}
