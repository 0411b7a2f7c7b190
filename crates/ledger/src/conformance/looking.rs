//! Looking: counts are the rows, checkpoints can be computed again, results come complete.

use super::fixture::{World, entra, make_batch, print, record, sealed, settle};
use super::way_back::later_snapshot;
use crate::{Counts, Ledger, RunSpec, UserResults};
use contract::{EntryState, IntentOutcome, RunId, RunKind, RunState, Sealed, UserKey};

pub(super) async fn check<L: Ledger>(fresh: &impl AsyncFn() -> L) {
    counts_name_every_state(World::of(fresh().await, 4).await).await;
    a_checkpoint_is_what_the_rows_say(World::of(fresh().await, 3).await).await;
    results_come_complete_over_gaps(fresh().await).await;
    codes_are_counted_by_user(World::of(fresh().await, 3).await).await;
    users_come_once_with_all_that_was_told(World::of(fresh().await, 4).await).await;
    whoever_left_the_datafile_comes_last(World::of(fresh().await, 3).await).await;
    the_newest_runs_come_first(World::of(fresh().await, 1).await).await;
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

/// All users of a batch, or all, in pages of this size.
async fn users_of<L: Ledger>(world: &World<L>, batch: Option<&str>, limit: u32) -> Vec<UserResults> {
    let mut seen: Vec<UserResults> = Vec::new();
    loop {
        let page = world.ledger.users(batch, seen.last().map(|user| user.cursor), limit).await.unwrap();
        assert!(page.len() <= limit as usize);
        if page.is_empty() {
            return seen;
        }
        seen.extend(page);
    }
}

/// The kinds and states of what was told of a user, newest first.
fn told(user: &UserResults) -> Vec<(RunKind, EntryState)> {
    user.entries.iter().map(|(kind, row)| (*kind, row.state)).collect()
}

async fn users_come_once_with_all_that_was_told<L: Ledger>(world: World<L>) {
    use EntryState::{Applied, Confirmed, Reverted, Unchanged, Waiting};
    use RunKind::{Migrate, Rehearse, Rollback, Verify};
    assert!(users_of(&world, None, 10).await.is_empty());
    world.run(Rehearse, "all").await;
    assert!(users_of(&world, None, 10).await.is_empty(), "a rehearsal moves nobody");
    let run = world.run(Migrate, "north").await;
    world.migrate_one(run, 1, IntentOutcome::Applied).await;
    world.migrate_one(run, 2, IntentOutcome::Applied).await;
    world.ledger.set_run_state(run, RunState::Superseded).await.unwrap();
    let verify = world.ledger.open_run(&world.spec(Verify, "all")).await.unwrap().run.id;
    world.ledger.freeze_touched(verify).await.unwrap();
    for claim in world.claim(verify, &[1, 2]).await {
        world.ledger.finish(verify, &[settle(&claim, Confirmed, &[])]).await.unwrap();
    }
    make_batch(&*world.ledger, &world.snapshot, "pilot", &[record(2), record(4)]).await;
    let back = world.ledger.open_run(&world.spec(Rollback, "pilot")).await.unwrap().run.id;
    world.ledger.freeze_touched(back).await.unwrap();
    let claim = world.claim_one(back, 2).await;
    world.ledger.finish(back, &[settle(&claim, Reverted, &[])]).await.unwrap();
    // A second migration finds one user unchanged without a look, which is told by nobody any more.
    let again = world.run(Migrate, "south").await;
    assert_eq!(world.ledger.settle_unchanged(again, &[1], "unchanged-since-last").await.unwrap(), 1);
    for limit in [1, 2, 3, 10] {
        let users = users_of(&world, None, limit).await;
        assert_eq!(users.iter().map(|user| user.ordinal).collect::<Vec<_>>(), [1, 2, 3, 4]);
        assert_eq!(told(&users[0]), [(Verify, Confirmed), (Migrate, Applied)]);
        assert_eq!(
            told(&users[1]),
            [(Migrate, Waiting), (Rollback, Reverted), (Verify, Confirmed), (Migrate, Applied)]
        );
        assert_eq!(
            told(&users[3]),
            [(Migrate, Waiting), (Rollback, Unchanged), (Verify, Unchanged), (Migrate, Waiting)]
        );
        let second = &users[1];
        assert_eq!((second.user, &second.snapshot), (UserKey(print("user", 2)), &world.snapshot));
        assert_eq!(second.record, sealed("record 2"));
        let newest = &second.entries[1].1;
        assert_eq!((newest.run, newest.ordinal, newest.user.clone()), (back, 2, Some(entra(2))));
        assert_eq!(
            (&newest.result, &newest.directory),
            (&Some(sealed("result 2")), &Some(sealed("directory 2")))
        );
        assert_eq!(newest.record, Sealed(Vec::new()), "it is told once, beside them");
        let pilot = users_of(&world, Some("pilot"), limit).await;
        assert_eq!(pilot.iter().map(|user| user.ordinal).collect::<Vec<_>>(), [2, 4]);
        assert_eq!(told(&pilot[0]), told(second), "with what runs of other batches did");
    }
    assert!(users_of(&world, Some("nobody's"), 10).await.is_empty());
}

async fn whoever_left_the_datafile_comes_last<L: Ledger>(world: World<L>) {
    let run = world.run(RunKind::Migrate, "north").await;
    for ordinal in 1..=3 {
        world.migrate_one(run, ordinal, IntentOutcome::Applied).await;
    }
    world.ledger.set_run_state(run, RunState::Done).await.unwrap();
    // Of the three, the second alone is in the newer datafile, at the seventh place.
    let snapshot = later_snapshot(&world, &[(7, 2), (9, 5)]).await;
    let spec = RunSpec { snapshot: snapshot.clone(), ..world.spec(RunKind::Rollback, "all") };
    let back = world.ledger.open_run(&spec).await.unwrap().run.id;
    world.ledger.freeze_touched(back).await.unwrap();
    for limit in [1, 2, 10] {
        let users = users_of(&world, None, limit).await;
        let places: Vec<_> = users.iter().map(|user| (user.snapshot == snapshot, user.ordinal)).collect();
        assert_eq!(places, [(true, 7), (false, 1), (false, 3)], "nobody knows the fifth user");
        assert_eq!(users[0].record, sealed("record 7"));
        assert_eq!(users[1].record, sealed("record 1"));
        for user in &users {
            assert_eq!(
                told(user),
                [(RunKind::Rollback, EntryState::Waiting), (RunKind::Migrate, EntryState::Applied)]
            );
        }
    }
}

async fn the_newest_runs_come_first<L: Ledger>(world: World<L>) {
    let first = world.run(RunKind::Migrate, "north").await;
    world.run(RunKind::Survey, "all").await;
    let second = world.run(RunKind::Rehearse, "south").await;
    let ids = async |limit| {
        let runs = world.ledger.newest_runs(limit).await.unwrap();
        runs.iter().map(|run| run.id).collect::<Vec<_>>()
    };
    assert_eq!(ids(10).await, [second, first], "a survey is told of by its batch");
    assert_eq!(ids(1).await, [second]);
}
