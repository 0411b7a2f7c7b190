//! Looking: counts are the rows, checkpoints can be computed again, results come complete.

use super::fixture::{World, record, settle};
use crate::{Counts, Ledger};
use contract::{EntryState, IntentOutcome, RunId, RunKind};

pub(super) async fn check<L: Ledger>(fresh: &impl AsyncFn() -> L) {
    counts_name_every_state(World::of(fresh().await, 4).await).await;
    a_checkpoint_is_what_the_rows_say(World::of(fresh().await, 3).await).await;
    results_come_complete_over_gaps(fresh().await).await;
    codes_are_counted_by_user(World::of(fresh().await, 3).await).await;
}

/// The counts, computed from the rows themselves.
pub(super) async fn recount<L: Ledger>(world: &World<L>, run: RunId) -> Counts {
    let mut counts: Counts = EntryState::ALL.iter().map(|state| (*state, 0)).collect();
    for row in world.ledger.results(run, 0, 100_000).await.unwrap() {
        *counts.entry(row.state).or_default() += 1;
    }
    counts
}

async fn counts_name_every_state<L: Ledger>(world: World<L>) {
    let run = world.run(RunKind::Migrate, "north").await;
    world.claim(run, &[1]).await;
    world.migrate_one(run, 2, IntentOutcome::Applied).await;
    let counts = world.ledger.counts(run).await.unwrap();
    assert_eq!(counts.len(), EntryState::ALL.len());
    assert_eq!(
        (counts[&EntryState::Waiting], counts[&EntryState::Claimed], counts[&EntryState::Applied]),
        (2, 1, 1)
    );
    assert_eq!(counts, recount(&world, run).await);
}

async fn a_checkpoint_is_what_the_rows_say<L: Ledger>(world: World<L>) {
    let run = world.run(RunKind::Migrate, "north").await;
    let first = world.ledger.checkpoint(run, "match", 1).await.unwrap();
    assert_eq!(first.counts[&EntryState::Waiting], 3);
    world.migrate_one(run, 1, IntentOutcome::Applied).await;
    let second = world.ledger.checkpoint(run, "release", 1).await.unwrap();
    assert_eq!(second.counts, recount(&world, run).await);
    world.migrate_one(run, 2, IntentOutcome::Applied).await;
    let replaced = world.ledger.checkpoint(run, "release", 1).await.unwrap();
    assert_eq!((replaced.counts[&EntryState::Applied], replaced.page), (2, 1));
    assert_eq!(world.ledger.checkpoints(run).await.unwrap(), [first, replaced]);
    assert!(world.ledger.checkpoint(RunId(99), "done", 1).await.is_err());
}

async fn results_come_complete_over_gaps<L: Ledger>(ledger: L) {
    let ordinals = [2, 3, 7, 20, 21, 22, 90];
    let world = World::with(ledger, ordinals.iter().copied().map(record).collect()).await;
    let run = world.run(RunKind::Migrate, "north").await;
    for limit in [1, 2, 3, 7, 100] {
        let mut seen = Vec::new();
        loop {
            let page = world.ledger.results(run, seen.last().copied().unwrap_or(0), limit).await.unwrap();
            if page.is_empty() {
                break;
            }
            assert!(page.iter().all(|row| row.run == run && row.snapshot == world.snapshot));
            seen.extend(page.iter().map(|row| row.ordinal));
        }
        assert_eq!(seen, ordinals);
    }
}

async fn codes_are_counted_by_user<L: Ledger>(world: World<L>) {
    let run = world.run(RunKind::Migrate, "north").await;
    for (ordinal, words) in [(1, "phone-only recency-guessed"), (2, "phone-only"), (3, "")] {
        let claim = world.claim_one(run, ordinal).await;
        let mut end = settle(&claim, EntryState::Applied, &[]);
        if let crate::End::Settle { codes, .. } = &mut end.end {
            *codes = words.into();
        }
        world.ledger.finish(run, &[end]).await.unwrap();
    }
    let expected = [("phone-only".to_owned(), 2), ("recency-guessed".to_owned(), 1)];
    assert_eq!(world.ledger.code_counts(run).await.unwrap(), expected);
}
