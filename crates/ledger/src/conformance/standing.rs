//! How a run stands: what it says beside the counts is what was released, claimed, snoozed, filed and settled.

use super::fixture::{LONG, World, intent, settle, snooze};
use super::looking::recount;
use crate::{End, Ledger, Standing};
use contract::{EntryState, IntentOutcome, RunId, RunKind};
use std::time::Duration;

pub(super) async fn check<L: Ledger>(fresh: &impl AsyncFn() -> L) {
    what_is_out_is_told_apart(World::of(fresh().await, 6).await).await;
    what_failed_is_told_by_its_codes(World::of(fresh().await, 4).await).await;
    what_may_have_been_applied_is_told(World::of(fresh().await, 4).await).await;
}

async fn of<L: Ledger>(world: &World<L>, run: RunId) -> Standing {
    let standing = world.ledger.standing(run).await.unwrap();
    assert_eq!(standing.counts, recount(world, run).await);
    standing
}

async fn what_is_out_is_told_apart<L: Ledger>(world: World<L>) {
    let run = world.run(RunKind::Migrate, "north").await;
    let before = of(&world, run).await;
    assert_eq!((before.released, before.snoozed), (0, 0));
    assert_eq!((before.oldest_order, before.lease_overdue), (None, None));
    assert_eq!(world.ledger.release(run, 4, None, Duration::ZERO).await.unwrap().entries.len(), 4);
    // One of the four is worked on, one was snoozed, two lie in the queue; two more were never released.
    world.claim_one(run, 1).await;
    let second = world.claim_one(run, 2).await;
    world.ledger.finish(run, &[snooze(&second, LONG, false)]).await.unwrap();
    let standing = of(&world, run).await;
    assert_eq!((standing.released, standing.snoozed), (2, 1));
    assert!(standing.oldest_order.is_some_and(|age| age < LONG));
    assert_eq!(standing.lease_overdue, None, "its lease holds");
    world.claim_briefly(run, 3).await;
    let standing = of(&world, run).await;
    assert_eq!(standing.released, 1);
    assert!(standing.lease_overdue.is_some(), "a lease of no length is over");
    let other = world.ledger.standing(RunId(99)).await.unwrap();
    assert_eq!((other.counts.values().sum::<u64>(), other.released, other.oldest_order), (0, 0, None));
}

async fn what_failed_is_told_by_its_codes<L: Ledger>(world: World<L>) {
    let run = world.run(RunKind::Migrate, "north").await;
    let ends = [
        (1, EntryState::Parked, "forbidden phone-only"),
        (2, EntryState::Parked, "forbidden"),
        (3, EntryState::Conflict, "drift"),
        (4, EntryState::Applied, "phone-only"),
    ];
    for (ordinal, ended, words) in ends {
        let claim = world.claim_one(run, ordinal).await;
        let mut end = settle(&claim, ended, &[]);
        if let End::Settle { codes, .. } = &mut end.end {
            *codes = words.into();
        }
        world.ledger.finish(run, &[end]).await.unwrap();
    }
    let mut failed = of(&world, run).await.failed;
    failed.sort();
    let mut expected = vec![
        (EntryState::Parked, "forbidden".to_owned(), 2),
        (EntryState::Parked, "phone-only".to_owned(), 1),
        (EntryState::Conflict, "drift".to_owned(), 1),
    ];
    expected.sort();
    assert_eq!(failed, expected, "who was applied has failed in nothing");
}

async fn what_may_have_been_applied_is_told<L: Ledger>(world: World<L>) {
    let run = world.run(RunKind::Migrate, "north").await;
    assert!(of(&world, run).await.in_doubt.is_empty());
    world.migrate_one(run, 4, IntentOutcome::Applied).await;
    // One is being written, one is snoozed over it, and one was left behind.
    let first = world.claim_one(run, 1).await;
    let slots = ["mobile", "hardwareOath:9f2c"].map(|slot| intent(&first, slot, None, Some("ours")));
    world.ledger.file_intents(run, &slots).await.unwrap();
    let second = world.claim_one(run, 2).await;
    world.ledger.file_intents(run, &[intent(&second, "mobile", None, Some("ours"))]).await.unwrap();
    world.ledger.finish(run, &[snooze(&second, LONG, false)]).await.unwrap();
    let third = world.claim_briefly(run, 3).await;
    world.ledger.file_intents(run, &[intent(&third, "mobile", None, Some("ours"))]).await.unwrap();
    for _ in 0..2 {
        let in_doubt = of(&world, run).await.in_doubt;
        let told: Vec<_> = in_doubt.iter().map(|doubt| (doubt.method.as_str(), doubt.intents)).collect();
        assert_eq!(told, [("hardwareOath", 1), ("mobile", 3)]);
        assert!(in_doubt.iter().all(|doubt| doubt.age < LONG));
        // The second time the third one was put back, and waits as if nobody had had it.
        world.release(run).await;
    }
    let end = settle(
        &first,
        EntryState::Applied,
        &[("mobile", IntentOutcome::Applied), ("hardwareOath:9f2c", IntentOutcome::Applied)],
    );
    world.ledger.finish(run, &[end]).await.unwrap();
    let left = of(&world, run).await.in_doubt;
    assert_eq!(left.iter().map(|doubt| doubt.intents).collect::<Vec<_>>(), [2]);
}
