//! The steps of a canary: nothing beyond the open one is released, and each is counted on its own.

use super::fixture::{World, record, settle};
use crate::{Control, End, Error, Ledger, StepCounts};
use contract::{EntryState, IntentOutcome, RunKind, RunState};
use std::time::Duration;

pub(super) async fn check<L: Ledger>(fresh: &impl AsyncFn() -> L) {
    only_open_steps_are_released(World::of(fresh().await, 10).await).await;
    a_step_is_of_those_who_can_move(fresh().await).await;
    steps_are_assigned_once(World::of(fresh().await, 3).await).await;
    a_step_is_counted_on_its_own(World::of(fresh().await, 4).await).await;
    what_came_back_is_released_again_within_the_step(World::of(fresh().await, 4).await).await;
    a_wait_is_told(World::of(fresh().await, 1).await).await;
    controls_tell_of_runs_that_are_not_over(World::of(fresh().await, 2).await).await;
}

async fn only_open_steps_are_released<L: Ledger>(world: World<L>) {
    let run = world.run(RunKind::Migrate, "north").await;
    world.ledger.assign_steps(run, &[2, 5, 7]).await.unwrap();
    let filed = world.ledger.run(run).await.unwrap().unwrap();
    assert_eq!((filed.step, filed.steps), (0, vec![2, 5, 7]));
    assert_eq!(world.release(run).await.0, [1, 2]);
    assert_eq!(world.release(run).await.0, [0_i64; 0]);
    world.ledger.open_step(run, 1).await.unwrap();
    world.ledger.open_step(run, 0).await.unwrap();
    assert_eq!(world.ledger.run(run).await.unwrap().unwrap().step, 1, "it never goes back");
    assert_eq!(world.release(run).await.0, [3, 4, 5]);
    world.ledger.open_step(run, 2).await.unwrap();
    assert_eq!(world.release(run).await.0, [6, 7, 8, 9, 10], "whoever is beyond the last step is in it");
}

/// Whom matching has left out is in no step.
async fn a_step_is_of_those_who_can_move<L: Ledger>(ledger: L) {
    let mut records: Vec<_> = (1..=6).map(record).collect();
    records[0].enabled = false;
    records[2].keys = [None; 6];
    let world = World::with(ledger, records).await;
    let run = world.run(RunKind::Migrate, "north").await;
    world.ledger.assign_steps(run, &[0, 2, 9]).await.unwrap();
    assert_eq!(world.ledger.step_counts(run, 0).await.unwrap(), StepCounts::default(), "a step of nobody");
    assert_eq!(world.release(run).await.0, [0_i64; 0]);
    world.ledger.open_step(run, 1).await.unwrap();
    assert_eq!(world.release(run).await.0, [2, 4]);
    assert_eq!(world.ledger.step_counts(run, 1).await.unwrap().users, 2);
    assert_eq!(world.ledger.step_counts(run, 2).await.unwrap().users, 2);
    assert_eq!(
        world.ledger.step_counts(run, 3).await.unwrap(),
        StepCounts::default(),
        "there is no such step"
    );
}

async fn steps_are_assigned_once<L: Ledger>(world: World<L>) {
    let early = world.ledger.open_run(&world.spec(RunKind::Migrate, "south")).await.unwrap().run.id;
    let none = world.ledger.assign_steps(early, &[1]).await.unwrap_err();
    assert!(matches!(none, Error::Incomplete { .. }), "its users are not fixed yet: {none}");
    let run = world.run(RunKind::Migrate, "north").await;
    world.ledger.assign_steps(run, &[]).await.unwrap();
    assert_eq!(world.ledger.step_counts(run, 0).await.unwrap().users, 3, "one step of everybody");
    world.ledger.assign_steps(run, &[1, 3]).await.unwrap();
    world.ledger.open_step(run, 1).await.unwrap();
    world.ledger.assign_steps(run, &[3]).await.unwrap();
    let filed = world.ledger.run(run).await.unwrap().unwrap();
    assert_eq!((filed.step, filed.steps), (1, vec![1, 3]));
    let resumed = world.ledger.open_run(&world.spec(RunKind::Migrate, "north")).await.unwrap();
    assert_eq!((resumed.resumed, resumed.run.step), (true, 1));
}

async fn a_step_is_counted_on_its_own<L: Ledger>(world: World<L>) {
    let run = world.run(RunKind::Migrate, "north").await;
    world.ledger.assign_steps(run, &[3, 4]).await.unwrap();
    assert_eq!(
        world.ledger.step_counts(run, 0).await.unwrap(),
        StepCounts { users: 3, ..StepCounts::default() }
    );
    world.migrate_one(run, 1, IntentOutcome::Applied).await;
    world.ledger.settle_unchanged(run, &[2], "unchanged-since-last").await.unwrap();
    let claim = world.claim_one(run, 3).await;
    let counts = world.ledger.step_counts(run, 0).await.unwrap();
    assert_eq!((counts.settled, counts.processed, counts.failed), (2, 1, 0));
    world.ledger.finish(run, &[settle(&claim, EntryState::Parked, &[])]).await.unwrap();
    let claim = world.claim_one(run, 4).await;
    world.ledger.finish(run, &[settle(&claim, EntryState::Conflict, &[])]).await.unwrap();
    let counts = world.ledger.step_counts(run, 0).await.unwrap();
    assert_eq!((counts.users, counts.settled, counts.processed, counts.failed), (3, 3, 2, 1));
    let row = world.ledger.results(run, 2, 1).await.unwrap().remove(0);
    assert_eq!(counts.last_settled_at_ms, row.settled_at_ms);
    let last = world.ledger.step_counts(run, 1).await.unwrap();
    assert_eq!(
        (last.users, last.settled, last.processed, last.failed),
        (1, 1, 1, 1),
        "a conflict has failed"
    );
}

async fn what_came_back_is_released_again_within_the_step<L: Ledger>(world: World<L>) {
    let run = world.run(RunKind::Migrate, "north").await;
    world.ledger.assign_steps(run, &[2, 4]).await.unwrap();
    world.release(run).await;
    world.claim_briefly(run, 1).await;
    let again = world.ledger.release(run, 10, Some(Duration::ZERO), Duration::ZERO).await.unwrap();
    let ordinals: Vec<_> = again.entries.iter().map(|entry| entry.ordinal).collect();
    assert_eq!((ordinals, again.expired), (vec![1, 2], 1), "left behind, and stale");
}

async fn a_wait_is_told<L: Ledger>(world: World<L>) {
    let waits = async |run| world.ledger.run(run).await.unwrap().unwrap().waits_for;
    let run = world.run(RunKind::Migrate, "north").await;
    world.ledger.tell_waits(run, Some("the window opens at 22:00")).await.unwrap();
    assert_eq!(waits(run).await.as_deref(), Some("the window opens at 22:00"));
    assert_eq!(world.release(run).await.0, [1], "a word, and not a lock");
    world.ledger.tell_waits(run, None).await.unwrap();
    assert_eq!(waits(run).await, None);
    world.ledger.tell_waits(run, Some("a person says go")).await.unwrap();
    world.ledger.halt_run(run, "paused").await.unwrap();
    world.ledger.resume_run(run).await.unwrap();
    assert_eq!(waits(run).await, None);
}

async fn controls_tell_of_runs_that_are_not_over<L: Ledger>(world: World<L>) {
    let ledger = &world.ledger;
    let control = |run, halted, max_rate| Control { run, halted, max_rate };
    let settings = contract::BatchSettings { max_rate: Some(40), ..contract::BatchSettings::default() };
    let capped = serde_json::to_string(&settings).unwrap();
    assert!(ledger.set_batch("south", "{}", &capped).await.unwrap());
    assert!(ledger.set_batch("east", "{}", "of a later build").await.unwrap());
    let north = world.run(RunKind::Migrate, "north").await;
    let south = world.run(RunKind::Migrate, "south").await;
    let east = world.run(RunKind::Migrate, "east").await;
    let all = world.run(RunKind::Verify, "all").await;
    // It only reads: the limit of its batch is about writes.
    let looks = world.run(RunKind::Verify, "south").await;
    let every = [
        (north, false, None),
        (south, false, Some(40)),
        (east, false, None),
        (all, false, None),
        (looks, false, None),
    ];
    assert_eq!(ledger.controls().await.unwrap(), every.map(|(run, halted, rate)| control(run, halted, rate)));
    ledger.halt_run(south, "paused").await.unwrap();
    assert!(ledger.set_batch("south", &capped, r#"{"v":1}"#).await.unwrap());
    ledger.set_run_state(east, RunState::Superseded).await.unwrap();
    ledger.set_run_state(looks, RunState::Superseded).await.unwrap();
    for ordinal in [1, 2] {
        let claim = world.claim_one(all, ordinal).await;
        let mut end = settle(&claim, EntryState::Unchanged, &[]);
        if let End::Settle { applied, .. } = &mut end.end {
            *applied = None;
        }
        ledger.finish(all, &[end]).await.unwrap();
    }
    ledger.set_run_state(all, RunState::Done).await.unwrap();
    assert_eq!(ledger.controls().await.unwrap(), [control(north, false, None), control(south, true, None)]);
}
