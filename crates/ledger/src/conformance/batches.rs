//! Batches: their users are fixed once, their runs hold nobody else, and what was done stays told.

use super::fixture::{World, entra, make_batch, print, record, sealed, user};
use crate::{DirectoryRow, Error, Event, Ledger, MatchCounts, Member, NewBatch};
use contract::{EntryState, Match, RunKind, RunState, UserKey};

pub(super) async fn check<L: Ledger>(fresh: &impl AsyncFn() -> L) {
    a_batch_is_made_once(World::of(fresh().await, 3).await).await;
    what_was_left_half_made_is_begun_anew(World::of(fresh().await, 3).await).await;
    overlaps_count_shared_users(World::of(fresh().await, 5).await).await;
    a_run_needs_a_frozen_batch(World::of(fresh().await, 2).await).await;
    a_run_holds_the_users_of_its_batch_alone(World::of(fresh().await, 4).await).await;
    somebody_outside_the_batch_makes_it_ambiguous(fresh().await).await;
    a_survey_is_settled_at_once(World::of(fresh().await, 3).await).await;
    events_come_newest_first(World::of(fresh().await, 1).await).await;
}

fn new_batch<L>(world: &World<L>, name: &str) -> NewBatch {
    NewBatch {
        name: name.into(),
        snapshot: world.snapshot.clone(),
        selector: r#"{"region":["DE"]}"#.into(),
        settings: r#"{"v":1}"#.into(),
        by: "anna@desk".into(),
    }
}

fn member(number: i64, matched: bool) -> Member {
    Member { user: UserKey(print("user", number)), matched }
}

async fn a_batch_is_made_once<L: Ledger>(world: World<L>) {
    let ledger = &world.ledger;
    let made = new_batch(&world, "pilot");
    assert!(ledger.batch("pilot").await.unwrap().is_none());
    ledger.create_batch(&made).await.unwrap();
    let members = [member(1, true), member(2, false), member(2, true)];
    ledger.add_members("pilot", &members[..2]).await.unwrap();
    ledger.add_members("pilot", &members[1..]).await.unwrap();
    assert!(!ledger.batch("pilot").await.unwrap().unwrap().frozen);
    ledger.freeze_batch("pilot").await.unwrap();
    ledger.freeze_batch("pilot").await.unwrap();
    let batch = ledger.batch("pilot").await.unwrap().unwrap();
    assert_eq!((batch.frozen, batch.users, batch.unmatched), (true, 2, 1), "who is there already is left");
    assert_eq!(batch.made, made);
    assert!(batch.made_at_ms > 0);
    for name in ["pilot", "all"] {
        let taken = ledger.create_batch(&new_batch(&world, name)).await.unwrap_err();
        assert!(matches!(&taken, Error::BatchExists { name: taken } if taken == name), "{taken}");
    }
    let fixed = ledger.add_members("pilot", &[member(3, true)]).await.unwrap_err();
    assert!(matches!(fixed, Error::BatchExists { .. }), "{fixed}");
    assert!(ledger.set_batch("pilot", &batch.made.settings, r#"{"v":1,"canary":"10"}"#).await.unwrap());
    assert!(
        !ledger.set_batch("pilot", &batch.made.settings, "{}").await.unwrap(),
        "somebody was there before"
    );
    let batch = ledger.batch("pilot").await.unwrap().unwrap();
    assert_eq!((batch.made.settings.as_str(), batch.users), (r#"{"v":1,"canary":"10"}"#, 2));
    for unknown in [
        ledger.add_members("nobody", &[]).await,
        ledger.freeze_batch("nobody").await,
        ledger.set_batch("nobody", "{}", "{}").await.map(drop),
    ] {
        assert!(matches!(unknown, Err(Error::NoBatch { .. })));
    }
    let names: Vec<_> = ledger.batches().await.unwrap().into_iter().map(|batch| batch.made.name).collect();
    assert_eq!(names, ["east", "north", "pilot", "south", "west"]);
}

async fn what_was_left_half_made_is_begun_anew<L: Ledger>(world: World<L>) {
    let ledger = &world.ledger;
    ledger.create_batch(&new_batch(&world, "pilot")).await.unwrap();
    ledger.add_members("pilot", &[member(1, true), member(2, true)]).await.unwrap();
    let again = NewBatch { by: "bert@desk".into(), ..new_batch(&world, "pilot") };
    ledger.create_batch(&again).await.unwrap();
    ledger.add_members("pilot", &[member(3, true)]).await.unwrap();
    let batch = ledger.batch("pilot").await.unwrap().unwrap();
    assert_eq!((batch.users, batch.made.by.as_str()), (1, "bert@desk"));
    assert!(ledger.overlaps("north").await.unwrap().iter().all(|(name, _)| name != "pilot"), "not yet fixed");
}

async fn overlaps_count_shared_users<L: Ledger>(world: World<L>) {
    let ledger = &world.ledger;
    make_batch(&*world.ledger, &world.snapshot, "one", &[record(1), record(2), record(9)]).await;
    make_batch(&*world.ledger, &world.snapshot, "two", &[record(2), record(9)]).await;
    make_batch(&*world.ledger, &world.snapshot, "three", &[record(7)]).await;
    let expected = [("east", 2), ("north", 2), ("south", 2), ("two", 2), ("west", 2)];
    assert_eq!(ledger.overlaps("one").await.unwrap(), expected.map(|(name, users)| (name.to_owned(), users)));
    assert!(ledger.overlaps("three").await.unwrap().is_empty());
}

async fn a_run_needs_a_frozen_batch<L: Ledger>(world: World<L>) {
    let ledger = &world.ledger;
    ledger.create_batch(&new_batch(&world, "pilot")).await.unwrap();
    for kind in [RunKind::Migrate, RunKind::Survey, RunKind::Rollback] {
        for name in ["nobody", "pilot"] {
            let refused = ledger.open_run(&world.spec(kind, name)).await.unwrap_err();
            assert!(matches!(&refused, Error::NoBatch { name: told } if told == name), "{refused}");
        }
    }
    ledger.freeze_batch("pilot").await.unwrap();
    let first = ledger.open_run(&world.spec(RunKind::Migrate, "pilot")).await.unwrap().run.id;
    let other = ledger.open_run(&world.spec(RunKind::Migrate, "all")).await.unwrap();
    assert!(other.superseded.is_empty(), "of another batch");
    let back = ledger.open_run(&world.spec(RunKind::Rollback, "pilot")).await.unwrap();
    assert_eq!(back.superseded, [first]);
    let runs: Vec<_> = ledger.runs_of("pilot").await.unwrap().iter().map(|run| run.id).collect();
    assert_eq!(runs, [back.run.id, first]);
    assert!(ledger.runs_of("nobody").await.unwrap().is_empty());
}

async fn a_run_holds_the_users_of_its_batch_alone<L: Ledger>(world: World<L>) {
    make_batch(&*world.ledger, &world.snapshot, "pilot", &[record(2), record(4), record(99)]).await;
    let run = world.run(RunKind::Migrate, "pilot").await;
    let rows = world.ledger.results(run, 0, 10).await.unwrap();
    assert_eq!(
        rows.iter().map(|row| row.ordinal).collect::<Vec<_>>(),
        [2, 4],
        "a stranger is nobody's record"
    );
    assert_eq!(world.release(run).await.0, [2, 4]);
    assert_eq!(world.claim(run, &[1, 2, 3, 4]).await.len(), 2);
}

/// The ambiguous partner is not in the batch, and counts all the same.
async fn somebody_outside_the_batch_makes_it_ambiguous<L: Ledger>(ledger: L) {
    let mut twin = record(2);
    twin.keys = record(1).keys;
    let world = World::with(ledger, vec![record(1), twin, record(3)]).await;
    make_batch(&*world.ledger, &world.snapshot, "pilot", &[record(1), record(3)]).await;
    let run = world.ledger.open_run(&world.spec(RunKind::Migrate, "pilot")).await.unwrap().run.id;
    let users: Vec<DirectoryRow> = vec![user(1), user(3)];
    world.ledger.file_directory_page(run, &users, None).await.unwrap();
    let counts = world.ledger.match_users(run, &[Match::Upn], false).await.unwrap();
    assert_eq!(counts, MatchCounts { entries: 2, matched: 1, none: 0, ambiguous: 1, disabled: 0 });
    let rows = world.ledger.results(run, 0, 10).await.unwrap();
    assert_eq!(rows[0].codes, "match-ambiguous");
    assert_eq!(rows[1].user, Some(entra(3)));
}

async fn a_survey_is_settled_at_once<L: Ledger>(world: World<L>) {
    let ledger = &world.ledger;
    let migrate = world.run(RunKind::Migrate, "all").await;
    let survey = world.run(RunKind::Survey, "all").await;
    let driven: Vec<_> = ledger.runs_to_drive().await.unwrap().iter().map(|run| run.id).collect();
    assert_eq!(driven, [migrate, survey], "it supersedes nobody, and is driven");
    let counts = ledger.counts(survey).await.unwrap();
    assert_eq!(counts[&EntryState::Planned], 3);
    assert_eq!(world.release(survey).await, (vec![], 0));
    let rows = ledger.results(survey, 0, 10).await.unwrap();
    assert_eq!(rows[0].user, Some(entra(1)));
    assert_eq!(rows[0].directory, Some(sealed("directory 1")));
    assert!(rows[0].settled_at_ms.is_some());
    ledger.set_run_state(survey, RunState::Done).await.unwrap();
    assert_eq!(ledger.results(survey, 0, 10).await.unwrap().len(), 3, "there until the next one");
    let rehearsal = world.run(RunKind::Rehearse, "all").await;
    let next = world.run(RunKind::Survey, "all").await;
    assert_ne!(next, survey);
    assert!(ledger.results(survey, 0, 10).await.unwrap().is_empty());
    assert_eq!(ledger.run(survey).await.unwrap().unwrap().state, RunState::Done, "its row stays");
    assert_eq!(ledger.results(rehearsal, 0, 10).await.unwrap().len(), 3, "another kind of look");
    assert_eq!(ledger.results(migrate, 0, 10).await.unwrap().len(), 3);
}

async fn events_come_newest_first<L: Ledger>(world: World<L>) {
    let ledger = &world.ledger;
    let run = world.run(RunKind::Migrate, "north").await;
    let event = |batch: &str, what: &str, run| Event {
        at_ms: 7,
        by: "anna@desk".into(),
        batch: batch.into(),
        run,
        what: what.into(),
        why: "a look at the pilot".into(),
    };
    for (batch, what, run) in
        [("north", "created", None), ("south", "created", None), ("north", "paused", Some(run))]
    {
        ledger.record_event(&event(batch, what, run)).await.unwrap();
    }
    let north = ledger.events(Some("north"), 10).await.unwrap();
    let told: Vec<_> = north.iter().map(|event| (event.what.as_str(), event.run)).collect();
    assert_eq!(told, [("paused", Some(run)), ("created", None)]);
    assert!(north[0].at_ms > 7 && north[0].at_ms >= north[1].at_ms, "by the ledger's own clock");
    assert_eq!((north[0].by.as_str(), north[0].why.as_str()), ("anna@desk", "a look at the pilot"));
    let every: Vec<_> = ledger.events(None, 2).await.unwrap().into_iter().map(|event| event.batch).collect();
    assert_eq!(every, ["north", "south"]);
}
