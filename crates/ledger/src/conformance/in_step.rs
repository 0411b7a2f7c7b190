//! Keeping a batch in step: what a newer snapshot means to it, and the one run that may come next.

use super::fixture::{World, entra, make_batch, manifest, print, record, settle, user};
use crate::{Event, FiledRecord, Ledger, Newer, RunSpec};
use contract::{EntryState, IntentOutcome, Match, RunId, RunKind, RunState, SnapshotId};

pub(super) async fn check<L: Ledger>(fresh: &impl AsyncFn() -> L) {
    a_newer_snapshot_is_compared_for_the_users_of_a_batch(World::of(fresh().await, 5).await).await;
    a_snapshot_that_came_again_is_the_newest(World::of(fresh().await, 1).await).await;
    the_next_run_follows_one_that_is_done(World::of(fresh().await, 2).await).await;
    nothing_follows_a_way_back(World::of(fresh().await, 3).await).await;
    nothing_is_opened_below_a_verification(World::of(fresh().await, 2).await).await;
    nothing_is_opened_beside_a_run_that_shares_users(World::of(fresh().await, 2).await).await;
    an_older_datafile_does_not_follow_a_newer_one(World::of(fresh().await, 2).await).await;
    only_whose_record_is_new_is_counted(World::of(fresh().await, 4).await).await;
    settings_of_fixed_batches_are_told(World::of(fresh().await, 1).await).await;
}

/// Files a second snapshot.
async fn file<L: Ledger>(world: &World<L>, records: &[FiledRecord]) -> SnapshotId {
    let id = SnapshotId("6".repeat(64));
    world.ledger.begin_snapshot(&id).await.unwrap();
    world.ledger.file_records(&id, records).await.unwrap();
    let count = u64::try_from(records.len()).unwrap();
    world.ledger.complete_snapshot(&manifest(&id, count, 0)).await.unwrap();
    id
}

fn changed(number: i64) -> FiledRecord {
    FiledRecord { content: print("other content", number), ..record(number) }
}

/// The same user in another place of the datafile.
fn moved(mut record: FiledRecord, ordinal: i64) -> FiledRecord {
    record.ordinal = ordinal;
    record
}

fn opened(batch: &str) -> Event {
    Event {
        at_ms: 0,
        by: "coordinator".into(),
        batch: batch.into(),
        run: None,
        what: "opened".into(),
        why: "newer".into(),
    }
}

async fn done<L: Ledger>(world: &World<L>, kind: RunKind, batch: &str) -> RunId {
    let run = world.run(kind, batch).await;
    world.ledger.freeze_touched(run).await.unwrap();
    end(world, run).await;
    run
}

/// Settles everybody and ends the run.
async fn end<L: Ledger>(world: &World<L>, run: RunId) {
    for row in world.ledger.results(run, i64::MIN, 100).await.unwrap() {
        if !row.state.is_settled() {
            world.migrate_one(run, row.ordinal, IntentOutcome::Applied).await;
        }
    }
    world.ledger.set_run_state(run, RunState::Done).await.unwrap();
}

async fn a_newer_snapshot_is_compared_for_the_users_of_a_batch<L: Ledger>(world: World<L>) {
    // Of five in the first, the third changes, the fifth leaves, and the order is another one; the ninth was known to
    // the batch before, the seventh is a stranger to all of them.
    let members = [record(1), record(3), record(5), record(9)];
    make_batch(&*world.ledger, &world.snapshot, "pilot", &members).await;
    let newer: Vec<_> = [record(2), record(4), changed(3), record(1), record(9), record(7)]
        .into_iter()
        .zip(1..)
        .map(|(record, ordinal)| moved(record, ordinal))
        .collect();
    let to = file(&world, &newer).await;
    let found = world.ledger.newer("pilot", &world.snapshot, &to).await.unwrap();
    assert_eq!(found, Newer { changed: 2, gone: 1, in_no_batch: 1 });
    let same = world.ledger.newer("pilot", &to, &to).await.unwrap();
    assert_eq!(same, Newer { changed: 0, gone: 1, in_no_batch: 1 });
}

async fn a_snapshot_that_came_again_is_the_newest<L: Ledger>(world: World<L>) {
    let ledger = &world.ledger;
    let newest = async || ledger.latest_snapshot().await.unwrap().unwrap();
    let second = file(&world, &[record(1)]).await;
    let (_, at) = newest().await;
    ledger.came_again(&second).await.unwrap();
    assert_eq!(newest().await, (manifest(&second, 1, 0), at), "it is the newest already");
    ledger.came_again(&world.snapshot).await.unwrap();
    let (found, later) = newest().await;
    // Within a millisecond they cannot be told apart by time; the one that was begun later counts.
    assert!(found.id == world.snapshot || later == at);
    let unfinished = SnapshotId("7".repeat(64));
    ledger.begin_snapshot(&unfinished).await.unwrap();
    ledger.came_again(&unfinished).await.unwrap();
    assert!(ledger.snapshot(&unfinished).await.unwrap().is_none(), "half of it is none");
}

async fn the_next_run_follows_one_that_is_done<L: Ledger>(world: World<L>) {
    let ledger = &world.ledger;
    assert!(ledger.last_written("north").await.unwrap().is_none());
    let first = world.run(RunKind::Migrate, "north").await;
    let to = file(&world, &[changed(1), record(2)]).await;
    let spec = RunSpec { snapshot: to, ..world.spec(RunKind::Migrate, "north") };
    let event = opened("north");
    assert!(ledger.open_next_run(&spec, first, &event).await.unwrap().is_none(), "it is not done");
    assert_eq!(ledger.run(first).await.unwrap().unwrap().state, RunState::Open, "and goes on");
    end(&world, first).await;
    done(&world, RunKind::Rollback, "south").await;
    let strangers = world.run(RunKind::Rehearse, "north").await;
    assert!(strangers > first);
    // South holds the same users.
    assert!(ledger.taken_back("north", first).await.unwrap().is_some());
    let second = done(&world, RunKind::Migrate, "north").await;
    assert!(ledger.open_next_run(&spec, first, &event).await.unwrap().is_none(), "another one has come");
    assert!(ledger.events(Some("north"), 9).await.unwrap().is_empty());
    let next = ledger.open_next_run(&spec, second, &event).await.unwrap().unwrap();
    assert_eq!((next.spec, next.state), (spec.clone(), RunState::Preparing));
    let told = ledger.events(Some("north"), 9).await.unwrap();
    assert_eq!((told.len(), told[0].run, told[0].what.as_str()), (1, Some(next.id), "opened"));
    assert!(ledger.open_next_run(&spec, second, &event).await.unwrap().is_none(), "once");
    assert_eq!(ledger.last_written("north").await.unwrap().unwrap().id, next.id);
    assert_eq!(ledger.moved_before(next.id).await.unwrap(), Some(second));
    assert_eq!(ledger.moved_before(second).await.unwrap(), None, "somebody was taken back in between");
    assert_eq!(ledger.moved_before(first).await.unwrap(), None);
}

async fn nothing_follows_a_way_back<L: Ledger>(world: World<L>) {
    let ledger = &world.ledger;
    make_batch(&*world.ledger, &world.snapshot, "one", &[record(1)]).await;
    make_batch(&*world.ledger, &world.snapshot, "others", &[record(2), record(3)]).await;
    let first = done(&world, RunKind::Migrate, "one").await;
    let spec = world.spec(RunKind::Migrate, "one");
    done(&world, RunKind::Rollback, "others").await;
    assert_eq!(ledger.taken_back("one", first).await.unwrap(), None, "nobody of it");
    let back = world.run(RunKind::Rollback, "east").await;
    assert_eq!(ledger.taken_back("one", first).await.unwrap(), Some(back), "not even begun");
    assert!(ledger.open_next_run(&spec, first, &opened("one")).await.unwrap().is_none());
    let second = done(&world, RunKind::Migrate, "one").await;
    assert_eq!(ledger.taken_back("one", second).await.unwrap(), None, "moved forward since, by a person");
    let everybody = world.run(RunKind::Rollback, "all").await;
    assert_eq!(ledger.taken_back("one", second).await.unwrap(), Some(everybody));
    let own = world.run(RunKind::Rollback, "one").await;
    assert_eq!(ledger.last_written("one").await.unwrap().unwrap().id, own);
    assert!(ledger.open_next_run(&spec, own, &opened("one")).await.unwrap().is_none());
}

async fn nothing_is_opened_below_a_verification<L: Ledger>(world: World<L>) {
    let ledger = &world.ledger;
    let first = done(&world, RunKind::Migrate, "north").await;
    let spec = world.spec(RunKind::Migrate, "north");
    let verified = ledger.open_run(&world.spec(RunKind::Verify, "north")).await.unwrap().run.id;
    assert!(ledger.open_next_run(&spec, first, &opened("north")).await.unwrap().is_none());
    ledger.set_run_state(verified, RunState::Superseded).await.unwrap();
    assert!(ledger.open_next_run(&spec, first, &opened("north")).await.unwrap().is_some());
}

async fn nothing_is_opened_beside_a_run_that_shares_users<L: Ledger>(world: World<L>) {
    let ledger = &world.ledger;
    make_batch(&**ledger, &world.snapshot, "one", &[record(1)]).await;
    make_batch(&**ledger, &world.snapshot, "other", &[record(2)]).await;
    let first = done(&world, RunKind::Migrate, "one").await;
    let spec = world.spec(RunKind::Migrate, "one");
    let strangers = world.run(RunKind::Migrate, "other").await;
    for (kind, batch) in [(RunKind::Migrate, "south"), (RunKind::Verify, "all")] {
        let run = ledger.open_run(&world.spec(kind, batch)).await.unwrap().run.id;
        assert!(ledger.open_next_run(&spec, first, &opened("one")).await.unwrap().is_none(), "{batch}");
        ledger.set_run_state(run, RunState::Superseded).await.unwrap();
    }
    assert!(ledger.open_next_run(&spec, first, &opened("one")).await.unwrap().is_some());
    assert_eq!(ledger.run(strangers).await.unwrap().unwrap().state, RunState::Open, "nobody of it");
}

async fn an_older_datafile_does_not_follow_a_newer_one<L: Ledger>(world: World<L>) {
    let ledger = &world.ledger;
    let first = done(&world, RunKind::Migrate, "north").await;
    let looked_at = world.spec(RunKind::Migrate, "north");
    let newest = RunSpec { snapshot: file(&world, &[changed(1)]).await, ..looked_at.clone() };
    assert!(ledger.open_next_run(&looked_at, first, &opened("north")).await.unwrap().is_none());
    assert!(ledger.open_next_run(&newest, first, &opened("north")).await.unwrap().is_some());
}

async fn only_whose_record_is_new_is_counted<L: Ledger>(world: World<L>) {
    let ledger = &world.ledger;
    let first = done(&world, RunKind::Migrate, "north").await;
    let newer = [record(1), changed(2), changed(3), record(4)];
    let spec = RunSpec { snapshot: file(&world, &newer).await, ..world.spec(RunKind::Migrate, "north") };
    let run = ledger.open_next_run(&spec, first, &opened("north")).await.unwrap().unwrap().id;
    ledger.file_directory_page(run, &[user(1), user(2), user(3), user(4)], None).await.unwrap();
    ledger.match_users(run, &[Match::Upn], false).await.unwrap();
    let counts = ledger.fresh_counts(run, first).await.unwrap();
    assert_eq!((counts.users, counts.settled), (2, 0));
    ledger.settle_unchanged(run, &[4], "unchanged-since-last").await.unwrap();
    // Who stood parked before and has the same record stands parked again: that was judged then.
    for ordinal in [1, 3] {
        let claim = world.claim_one(run, ordinal).await;
        assert_eq!(claim.user, entra(ordinal));
        ledger.finish(run, &[settle(&claim, EntryState::Parked, &[])]).await.unwrap();
    }
    let counts = ledger.fresh_counts(run, first).await.unwrap();
    assert_eq!((counts.users, counts.settled, counts.processed, counts.failed), (2, 1, 1, 1));
}

async fn settings_of_fixed_batches_are_told<L: Ledger>(world: World<L>) {
    let ledger = &world.ledger;
    assert!(ledger.set_batch("south", "{}", r#"{"v":1}"#).await.unwrap());
    let all = ledger.batch_settings().await.unwrap();
    let expected = [("east", "{}"), ("north", "{}"), ("south", r#"{"v":1}"#), ("west", "{}")];
    assert_eq!(all, expected.map(|(name, settings)| (name.to_owned(), settings.to_owned())));
}
