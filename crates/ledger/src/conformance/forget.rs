//! Forgetting: values go, whole users at a time; states, codes, outcomes and the journal stay; and nobody takes what is gone
//! for "nothing was there".

use super::fixture::{World, entra, intent, make_batch, manifest, record, sealed, settle, user};
use crate::{Error, Forget, Forgotten, Ledger, RunSpec};
use contract::{
    EntryState, IntentOutcome, JournalChain, Match, RunId, RunKind, RunState, Sealed, SnapshotId,
};

pub(super) async fn check<L: Ledger>(fresh: &impl AsyncFn() -> L) {
    values_go_and_what_happened_stays(World::of(fresh().await, 3).await).await;
    pages_are_bounded_and_a_second_time_changes_nothing(World::of(fresh().await, 5).await).await;
    others_keep_theirs(World::of(fresh().await, 4).await).await;
    nothing_goes_while_a_run_may_need_it(World::of(fresh().await, 2).await).await;
    who_is_in_doubt_or_left_is_counted(World::of(fresh().await, 3).await).await;
    a_record_that_is_gone_moves_nobody(World::of(fresh().await, 3).await).await;
    a_later_migration_has_a_way_back_of_its_own(World::of(fresh().await, 1).await).await;
    a_snapshot_leaves_what_a_later_run_needs(World::of(fresh().await, 2).await).await;
    what_was_taken_back_loses_nothing(World::of(fresh().await, 1).await).await;
}

/// Moves these records of a batch, each with a value before, and ends the run.
async fn moved<L: Ledger>(world: &World<L>, batch: &str, ordinals: &[i64]) -> RunId {
    let run = world.run(RunKind::Migrate, batch).await;
    for ordinal in ordinals {
        let claim = world.claim_one(run, *ordinal).await;
        let row = intent(&claim, "mobile", Some("before"), Some("ours"));
        world.ledger.file_intents(run, &[row]).await.unwrap();
        let end = settle(&claim, EntryState::Applied, &[("mobile", IntentOutcome::Applied)]);
        world.ledger.finish(run, &[end]).await.unwrap();
    }
    world.ledger.set_run_state(run, RunState::Done).await.unwrap();
    run
}

fn batch(name: &str) -> Forget {
    Forget::Batch(name.to_owned())
}

/// Forgets to the end, pages of so many; results become a word.
async fn forget<L: Ledger>(ledger: &L, what: &Forget, limit: u32) -> Forgotten {
    let mut done = Forgotten::default();
    let mut after = None;
    loop {
        let page = ledger.forget_next(what, after, limit).await.unwrap();
        assert!(page.users.len() <= limit as usize);
        let Some(last) = page.users.last() else { break };
        after = Some(*last);
        let results: Vec<_> =
            page.results.into_iter().map(|(run, ordinal, _)| (run, ordinal, sealed("stripped"))).collect();
        done += ledger.forget_users(what, &page.users, &results).await.unwrap();
    }
    let mut cursor = None;
    loop {
        let (page, next) = ledger.forget_records(what, cursor, limit).await.unwrap();
        assert!(page.records <= u64::from(limit));
        done += page;
        cursor = next;
        if cursor.is_none() {
            return done;
        }
    }
}

async fn touched<L: Ledger>(world: &World<L>, kind: RunKind, batch: &str) -> Vec<(EntryState, String)> {
    let run = world.ledger.open_run(&world.spec(kind, batch)).await.unwrap().run.id;
    world.ledger.freeze_touched(run).await.unwrap();
    let rows = world.ledger.results(run, i64::MIN, 100).await.unwrap();
    world.ledger.set_run_state(run, RunState::Superseded).await.unwrap();
    rows.into_iter().map(|row| (row.state, row.codes)).collect()
}

async fn values_go_and_what_happened_stays<L: Ledger>(world: World<L>) {
    let ledger = &*world.ledger;
    let run = moved(&world, "north", &[1, 2, 3]).await;
    let (counts, codes) = (ledger.counts(run).await.unwrap(), ledger.code_counts(run).await.unwrap());
    let (lines, head) = ledger.journal_head().await.unwrap();
    let stands = ledger.forgettable(&batch("north")).await.unwrap();
    assert_eq!((stands.records, stands.pre_images, stands.intents, stands.results), (3, 3, 3, 3));
    assert_eq!((stands.way_back, stands.stays, stands.in_doubt, stands.unsettled), (3, 0, 0, 0));
    assert!(stands.unfinished.is_empty());
    let done = forget(ledger, &batch("north"), 100).await;
    assert_eq!(done, Forgotten { way_back: 3, pre_images: 3, intents: 3, results: 3, records: 3 });
    assert_eq!(ledger.counts(run).await.unwrap(), counts);
    assert_eq!(ledger.code_counts(run).await.unwrap(), codes);
    assert_eq!(ledger.journal_head().await.unwrap(), (lines, head.clone()));
    let mut chain = JournalChain::default();
    for line in ledger.journal(0, 1000).await.unwrap() {
        chain.take(&line).unwrap();
    }
    chain.end(lines, &head).unwrap();
    for row in ledger.results(run, i64::MIN, 10).await.unwrap() {
        assert_eq!((row.state, row.forgotten), (EntryState::Applied, true));
        assert_eq!((row.result, row.record), (Some(sealed("stripped")), Sealed(Vec::new())));
    }
    let history = ledger.user_history(record(1).user_key).await.unwrap();
    assert!(history.pre_images.is_empty());
    let told: Vec<_> = history.intents.iter().map(|(_, i)| (i.to.clone(), i.outcome)).collect();
    assert_eq!(told, [(Some(Sealed(Vec::new())), Some(IntentOutcome::Applied))], "no removal, and no value");
    assert!(history.forgotten.len() == 1 && history.forgotten[0].0 == entra(1));
    assert_eq!(ledger.proven(run).await.unwrap(), ["mobile"]);
    let gone = (EntryState::Blocked, "forgotten".to_owned());
    assert_eq!(touched(&world, RunKind::Rollback, "north").await, [gone.clone(), gone.clone(), gone]);
    let left = (EntryState::Skipped, "forgotten".to_owned());
    assert_eq!(touched(&world, RunKind::Verify, "north").await, [left.clone(), left.clone(), left]);
    assert_eq!(ledger.users(Some("north"), None, 10).await.unwrap().len(), 3, "reports still find them");
    ledger.reclaim().await.unwrap();
    assert_eq!(ledger.counts(run).await.unwrap(), counts);
}

async fn pages_are_bounded_and_a_second_time_changes_nothing<L: Ledger>(world: World<L>) {
    let ledger = &*world.ledger;
    moved(&world, "north", &[1, 2, 3, 4, 5]).await;
    // Half of it first, as if somebody had been killed.
    let page = ledger.forget_next(&batch("north"), None, 2).await.unwrap();
    let first = ledger.forget_users(&batch("north"), &page.users, &[]).await.unwrap();
    assert_eq!((first.way_back, first.pre_images, first.results), (2, 2, 0));
    let rest = forget(ledger, &batch("north"), 2).await;
    assert_eq!(rest, Forgotten { way_back: 3, pre_images: 3, intents: 3, results: 5, records: 5 });
    assert!(ledger.forgettable(&batch("north")).await.unwrap().is_nothing());
    let before = ledger.user_history(record(1).user_key).await.unwrap().forgotten;
    assert_eq!(forget(ledger, &batch("north"), 2).await, Forgotten::default());
    assert_eq!(ledger.user_history(record(1).user_key).await.unwrap().forgotten, before);
}

async fn others_keep_theirs<L: Ledger>(world: World<L>) {
    let ledger = &*world.ledger;
    make_batch(ledger, &world.snapshot, "few", &[record(1), record(2)]).await;
    make_batch(ledger, &world.snapshot, "rest", &[record(3), record(4)]).await;
    moved(&world, "few", &[1, 2]).await;
    let rest = moved(&world, "rest", &[3, 4]).await;
    assert_eq!(forget(ledger, &batch("few"), 1).await.records, 2);
    let rows = ledger.results(rest, i64::MIN, 10).await.unwrap();
    assert!(rows.iter().all(|row| !row.forgotten && !row.record.0.is_empty()));
    let waits = (EntryState::Waiting, String::new());
    assert_eq!(touched(&world, RunKind::Rollback, "rest").await, [waits.clone(), waits]);
    let everybody = ledger.forgettable(&batch("all")).await.unwrap();
    assert_eq!((everybody.records, everybody.way_back, everybody.results), (2, 2, 2));
}

async fn nothing_goes_while_a_run_may_need_it<L: Ledger>(world: World<L>) {
    let ledger = &*world.ledger;
    make_batch(ledger, &world.snapshot, "one", &[record(1)]).await;
    make_batch(ledger, &world.snapshot, "two", &[record(2)]).await;
    moved(&world, "one", &[1]).await;
    let page = ledger.forget_next(&batch("one"), None, 9).await.unwrap();
    // The run of another batch that shares nobody is none of it; one of a batch that does is.
    let other = world.run(RunKind::Migrate, "two").await;
    assert!(ledger.forgettable(&batch("one")).await.unwrap().unfinished.is_empty());
    let sharing = ledger.open_run(&world.spec(RunKind::Verify, "south")).await.unwrap().run.id;
    let stands = ledger.forgettable(&batch("one")).await.unwrap();
    assert_eq!(stands.unfinished.iter().map(|run| run.id).collect::<Vec<_>>(), [sharing]);
    for what in [batch("one"), batch("all"), Forget::Snapshot(world.snapshot.clone())] {
        let users = ledger.forget_users(&what, &page.users, &[]).await;
        assert!(matches!(users, Err(Error::Needed { .. })), "{users:?}");
        let records = ledger.forget_records(&what, None, 9).await;
        assert!(matches!(records, Err(Error::Needed { .. })), "{records:?}");
    }
    ledger.set_run_state(sharing, RunState::Superseded).await.unwrap();
    assert_eq!(ledger.forgettable(&batch("one")).await.unwrap().way_back, 1, "nothing was touched");
    assert!(
        matches!(ledger.forget_records(&batch("all"), None, 9).await, Err(Error::Needed { run }) if run == other)
    );
    assert_eq!(forget(ledger, &batch("one"), 9).await.way_back, 1);
    let nowhere = Forget::Snapshot(SnapshotId("9".repeat(64)));
    assert!(matches!(ledger.forgettable(&nowhere).await, Err(Error::NoSnapshot { .. })));
}

async fn who_is_in_doubt_or_left_is_counted<L: Ledger>(world: World<L>) {
    let ledger = &*world.ledger;
    let run = world.run(RunKind::Migrate, "north").await;
    world.migrate_one(run, 1, IntentOutcome::Applied).await;
    let claim = world.claim_briefly(run, 2).await;
    ledger.file_intents(run, &[intent(&claim, "mobile", None, Some("ours"))]).await.unwrap();
    ledger.set_run_state(run, RunState::Superseded).await.unwrap();
    let stands = ledger.forgettable(&batch("north")).await.unwrap();
    assert_eq!((stands.in_doubt, stands.unsettled), (1, 2));
    // A later run that settles them is what counts.
    let again = RunSpec { policy_hash: "other".into(), ..world.spec(RunKind::Migrate, "north") };
    let again = world.run_of(&again).await;
    for ordinal in [1, 2, 3] {
        world.migrate_one(again, ordinal, IntentOutcome::Applied).await;
    }
    ledger.set_run_state(again, RunState::Done).await.unwrap();
    let stands = ledger.forgettable(&batch("north")).await.unwrap();
    assert_eq!((stands.in_doubt, stands.unsettled), (0, 0));
}

async fn a_record_that_is_gone_moves_nobody<L: Ledger>(world: World<L>) {
    let ledger = &*world.ledger;
    make_batch(ledger, &world.snapshot, "one", &[record(1)]).await;
    moved(&world, "one", &[1]).await;
    forget(ledger, &batch("one"), 9).await;
    let run = world.run(RunKind::Migrate, "all").await;
    let rows = ledger.results(run, i64::MIN, 10).await.unwrap();
    let told: Vec<_> = rows.iter().map(|row| (row.state, row.codes.as_str())).collect();
    let waits = (EntryState::Waiting, "");
    assert_eq!(told, [(EntryState::Skipped, "forgotten"), waits, waits]);
    assert_eq!(ledger.match_users(run, &[Match::Upn], false).await.unwrap().matched, 2);
    assert_eq!(world.release(run).await.0, [2, 3]);
}

async fn a_later_migration_has_a_way_back_of_its_own<L: Ledger>(world: World<L>) {
    let ledger = &*world.ledger;
    make_batch(ledger, &world.snapshot, "one", &[record(1)]).await;
    moved(&world, "one", &[1]).await;
    forget(ledger, &batch("one"), 9).await;
    let id = SnapshotId("6".repeat(64));
    ledger.begin_snapshot(&id).await.unwrap();
    ledger.file_records(&id, &[record(1)]).await.unwrap();
    ledger.complete_snapshot(&manifest(&id, 1, 0)).await.unwrap();
    let run = world.run_of(&RunSpec { snapshot: id, ..world.spec(RunKind::Migrate, "one") }).await;
    let claim = world.claim_one(run, 1).await;
    assert!(claim.ours.is_empty() && claim.intents.is_empty() && claim.pre_images.is_empty(), "{claim:?}");
    ledger.file_intents(run, &[intent(&claim, "mobile", Some("ours"), Some("newer"))]).await.unwrap();
    let end = settle(&claim, EntryState::Applied, &[("mobile", IntentOutcome::Applied)]);
    ledger.finish(run, &[end]).await.unwrap();
    ledger.set_run_state(run, RunState::Done).await.unwrap();
    let back = ledger.open_run(&world.spec(RunKind::Rollback, "one")).await.unwrap().run.id;
    ledger.freeze_touched(back).await.unwrap();
    let claim = world.claim_one(back, 1).await;
    assert_eq!(claim.pre_images.len(), 1);
    assert_eq!(claim.pre_images[0].value, Some(sealed("ours")), "as far back as the later one");
    assert_eq!(claim.ours, [("mobile".to_owned(), Some(sealed("newer")))]);
}

async fn a_snapshot_leaves_what_a_later_run_needs<L: Ledger>(world: World<L>) {
    let ledger = &*world.ledger;
    make_batch(ledger, &world.snapshot, "both", &[record(1), record(2)]).await;
    make_batch(ledger, &world.snapshot, "first", &[record(1)]).await;
    moved(&world, "both", &[1, 2]).await;
    let id = SnapshotId("6".repeat(64));
    ledger.begin_snapshot(&id).await.unwrap();
    ledger.file_records(&id, &[record(1), record(2)]).await.unwrap();
    ledger.complete_snapshot(&manifest(&id, 2, 0)).await.unwrap();
    assert_eq!(ledger.snapshots().await.unwrap(), [world.snapshot.clone(), id.clone()]);
    let later = RunSpec { snapshot: id, ..world.spec(RunKind::Migrate, "first") };
    let later_run = ledger.open_run(&later).await.unwrap().run.id;
    ledger.file_directory_page(later_run, &[user(1)], None).await.unwrap();
    ledger.match_users(later_run, &[Match::Upn], false).await.unwrap();
    world.migrate_one(later_run, 1, IntentOutcome::Applied).await;
    ledger.set_run_state(later_run, RunState::Done).await.unwrap();
    let old = Forget::Snapshot(world.snapshot.clone());
    let stands = ledger.forgettable(&old).await.unwrap();
    assert_eq!((stands.way_back, stands.stays, stands.records, stands.pre_images), (1, 1, 2, 1));
    let done = forget(ledger, &old, 1).await;
    assert_eq!(done, Forgotten { way_back: 1, pre_images: 1, intents: 1, results: 2, records: 2 });
    let rows = ledger.results(later_run, i64::MIN, 10).await.unwrap();
    assert!(!rows[0].record.0.is_empty() && !rows[0].forgotten, "the later one has all of its own");
    let told = touched(&world, RunKind::Rollback, "both").await;
    let gone = (EntryState::Blocked, "forgotten".to_owned());
    assert_eq!(told, [(EntryState::Waiting, String::new()), gone]);
}

async fn what_was_taken_back_loses_nothing<L: Ledger>(world: World<L>) {
    let ledger = &*world.ledger;
    moved(&world, "north", &[1]).await;
    let back = ledger.open_run(&world.spec(RunKind::Rollback, "north")).await.unwrap().run.id;
    ledger.freeze_touched(back).await.unwrap();
    let claim = world.claim_one(back, 1).await;
    ledger.finish(back, &[settle(&claim, EntryState::Reverted, &[])]).await.unwrap();
    ledger.set_run_state(back, RunState::Done).await.unwrap();
    let stands = ledger.forgettable(&batch("north")).await.unwrap();
    assert_eq!((stands.way_back, stands.pre_images), (0, 1));
    let done = forget(ledger, &batch("north"), 9).await;
    assert_eq!((done.way_back, done.pre_images, done.results), (0, 1, 2));
    let unchanged = (EntryState::Unchanged, String::new());
    assert_eq!(
        touched(&world, RunKind::Rollback, "north").await,
        [unchanged],
        "nothing was lost, so nothing is said"
    );
}
