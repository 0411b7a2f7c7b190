//! Release: every entry once, again only when stale, snoozed or left behind.

use super::fixture::{LONG, World, entra, intent, print, snooze};
use crate::Ledger;
use contract::{EntryState, IntentOutcome, RunKind};
use std::time::Duration;

pub(super) async fn check<L: Ledger>(fresh: &impl AsyncFn() -> L) {
    pages_cover_every_entry_once(World::of(fresh().await, 25).await).await;
    only_stale_ones_are_released_again(World::of(fresh().await, 4).await).await;
    a_snooze_is_not_due_before_its_time(World::of(fresh().await, 2).await).await;
    a_candidate_tells_what_is_known(World::of(fresh().await, 3).await).await;
    unchanged_users_need_no_worker(World::of(fresh().await, 4).await).await;
}

async fn pages_cover_every_entry_once<L: Ledger>(world: World<L>) {
    let run = world.run(RunKind::Migrate, "north").await;
    let mut seen = Vec::new();
    loop {
        let page = world.ledger.release(run, 7, Some(LONG), LONG).await.unwrap();
        if page.entries.is_empty() {
            break;
        }
        assert!(page.entries.len() <= 7);
        seen.extend(page.entries.iter().map(|entry| entry.ordinal));
    }
    assert_eq!(seen, (1..=25).collect::<Vec<_>>(), "in order, none twice");
}

async fn only_stale_ones_are_released_again<L: Ledger>(world: World<L>) {
    let run = world.run(RunKind::Migrate, "north").await;
    assert_eq!(world.ledger.release(run, 3, Some(LONG), LONG).await.unwrap().entries.len(), 3);
    assert_eq!(world.release(run).await.0, [4], "those never released come, the others are not stale");
    world.claim(run, &[1]).await;
    world.migrate_one(run, 2, IntentOutcome::Applied).await;
    let none = world.ledger.release(run, 10, None, LONG).await.unwrap();
    assert!(none.entries.is_empty(), "none counts as stale unless it is asked for");
    let again = world.ledger.release(run, 10, Some(Duration::ZERO), LONG).await.unwrap();
    let ordinals: Vec<_> = again.entries.iter().map(|entry| entry.ordinal).collect();
    assert_eq!((ordinals, again.expired), (vec![3, 4], 0), "neither claimed nor settled ones");
}

async fn a_snooze_is_not_due_before_its_time<L: Ledger>(world: World<L>) {
    let run = world.run(RunKind::Migrate, "north").await;
    world.release(run).await;
    assert_eq!(world.ledger.next_due(run).await.unwrap(), None);
    let claims = world.claim(run, &[1, 2]).await;
    let ends = [snooze(&claims[0], LONG, true), snooze(&claims[1], LONG * 2, false)];
    assert_eq!(world.ledger.finish(run, &ends).await.unwrap(), [1, 2]);
    assert!(
        world.ledger.release(run, 10, Some(Duration::ZERO), Duration::ZERO).await.unwrap().entries.is_empty()
    );
    assert!(world.claim(run, &[1, 2]).await.is_empty());
    let due = world.ledger.next_due(run).await.unwrap().expect("two are snoozed");
    assert!(due <= LONG && due > LONG / 2, "the next one is the first");
    let other = world.run(RunKind::Verify, "north").await;
    let claim = world.claim_one(other, 1).await;
    assert_eq!((claim.attempts, claim.snoozes), (0, 0), "another run's entry has its own counters");
    world.ledger.finish(other, &[snooze(&claim, Duration::ZERO, true)]).await.unwrap();
    assert_eq!(world.ledger.next_due(other).await.unwrap(), Some(Duration::ZERO));
    assert_eq!(
        world.release(other).await.0,
        [1, 2],
        "a snooze that is over is released though it was before"
    );
    assert_eq!(world.ledger.next_due(other).await.unwrap(), None);
    let claim = world.claim_one(other, 1).await;
    assert_eq!((claim.attempts, claim.snoozes, claim.crashes, claim.epoch), (1, 1, 0, 2));
}

async fn a_candidate_tells_what_is_known<L: Ledger>(world: World<L>) {
    let first = world.run(RunKind::Migrate, "north").await;
    world.migrate_one(first, 1, IntentOutcome::Applied).await;
    let claim = world.claim_one(first, 2).await;
    world.ledger.file_intents(first, &[intent(&claim, "office", None, Some("ours"))]).await.unwrap();
    let mut spec = world.spec(RunKind::Migrate, "north");
    spec.include_unchanged = true;
    let second = world.run_of(&spec).await;
    let page = world.ledger.release(second, 10, None, LONG).await.unwrap().entries;
    let told: Vec<_> = page.iter().map(|c| (c.user.clone(), c.content, c.applied, c.in_doubt)).collect();
    let expected = [
        (entra(1), print("content", 1), Some(print("content", 1)), false),
        (entra(2), print("content", 2), None, true),
        (entra(3), print("content", 3), None, false),
    ];
    assert_eq!(told, expected);
}

async fn unchanged_users_need_no_worker<L: Ledger>(world: World<L>) {
    let run = world.run(RunKind::Migrate, "north").await;
    world.claim(run, &[1]).await;
    world.migrate_one(run, 2, IntentOutcome::Applied).await;
    let doubtful = world.claim_one(run, 4).await;
    world.ledger.file_intents(run, &[intent(&doubtful, "mobile", None, Some("ours"))]).await.unwrap();
    world.ledger.finish(run, &[snooze(&doubtful, Duration::ZERO, false)]).await.unwrap();
    let settled = world.ledger.settle_unchanged(run, &[1, 2, 3, 4], "unchanged-since-last").await.unwrap();
    assert_eq!(settled, 1, "not one that is claimed, settled or in doubt");
    let row = world.ledger.results(run, 2, 1).await.unwrap().remove(0);
    assert_eq!((row.state, row.codes.as_str()), (EntryState::Unchanged, "unchanged-since-last"));
    assert_eq!(row.outcome, Some(contract::Outcome::Unchanged));
    assert!(row.settled_at_ms.is_some());
    assert!(world.claim(run, &[3]).await.is_empty());
}
