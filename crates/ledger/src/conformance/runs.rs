//! Runs: resumed, superseded, ended; and what a new one leaves alone.

use super::fixture::{LONG, World, intent, settle, user};
use crate::{Error, Ledger, RunSpec, RunTotals};
use contract::{EntryState, IntentOutcome, Match, RunKind, RunState, SnapshotId};
use std::time::Duration;

pub(super) async fn check<L: Ledger>(fresh: &impl AsyncFn() -> L) {
    the_same_spec_resumes(World::of(fresh().await, 2).await).await;
    another_spec_supersedes(World::of(fresh().await, 3).await).await;
    a_rehearsal_disturbs_nothing(World::of(fresh().await, 2).await).await;
    done_is_refused_while_users_wait(World::of(fresh().await, 2).await).await;
    totals_add_up(World::of(fresh().await, 1).await).await;
    the_directory_resumes_where_it_stopped(World::of(fresh().await, 3).await).await;
    a_halted_run_waits_for_a_person(World::of(fresh().await, 2).await).await;
}

async fn the_same_spec_resumes<L: Ledger>(world: World<L>) {
    let spec = world.spec(RunKind::Migrate, "north");
    let mut unknown = spec.clone();
    unknown.snapshot = SnapshotId("f".repeat(64));
    assert!(matches!(world.ledger.open_run(&unknown).await, Err(Error::NoSnapshot { .. })));
    assert!(world.ledger.latest_run(&[RunKind::Migrate]).await.unwrap().is_none());
    let first = world.ledger.open_run(&spec).await.unwrap();
    assert!(!first.resumed && first.superseded.is_empty());
    assert_eq!(first.run.spec, spec);
    assert_eq!(first.run.state, RunState::Preparing);
    let again = world.ledger.open_run(&spec).await.unwrap();
    assert!(again.resumed);
    assert_eq!(again.run, first.run);
    let mut elsewhere = spec.clone();
    elsewhere.batch = "south".into();
    let other = world.ledger.open_run(&elsewhere).await.unwrap();
    assert!(!other.resumed && other.superseded.is_empty(), "another batch is another matter");
    assert_eq!(world.ledger.latest_run(&[RunKind::Migrate, RunKind::Verify]).await.unwrap(), Some(other.run));
    assert_eq!(world.ledger.run(first.run.id).await.unwrap(), Some(first.run));
}

async fn another_spec_supersedes<L: Ledger>(world: World<L>) {
    let first = world.run(RunKind::Migrate, "north").await;
    let claim = world.claim_one(first, 1).await;
    world
        .ledger
        .file_intents(first, &[intent(&claim, "mobile", Some("before"), Some("ours"))])
        .await
        .unwrap();
    let snoozed = world.claim_one(first, 2).await;
    world.ledger.finish(first, &[super::fixture::snooze(&snoozed, Duration::ZERO, false)]).await.unwrap();
    let mut spec = world.spec(RunKind::Migrate, "north");
    spec.policy_hash = "another".into();
    let opened = world.ledger.open_run(&spec).await.unwrap();
    assert_eq!(opened.superseded, [first]);
    let old = world.ledger.run(first).await.unwrap().unwrap();
    assert_eq!(old.state, RunState::Superseded);
    assert!(old.ended_at_ms.is_some());
    assert!(world.claim(first, &[2, 3]).await.is_empty(), "a run that has ended claims nothing");
    assert!(world.ledger.renew(first, &[(1, claim.epoch)], LONG).await.unwrap().is_empty());
    assert!(
        world
            .ledger
            .file_intents(first, &[intent(&claim, "office", None, Some("x"))])
            .await
            .unwrap()
            .is_empty()
    );
    let second = world.run_of(&spec).await;
    world.ledger.file_directory_page(second, &[user(1), user(2), user(3)], None).await.unwrap();
    world.ledger.match_users(second, &[Match::Upn], false).await.unwrap();
    let got: Vec<_> = world.claim(second, &[1, 2, 3]).await.iter().map(|c| c.ordinal).collect();
    assert_eq!(got, [2, 3], "a worker of the old run still has the first one");
    let end = settle(&claim, EntryState::Applied, &[("mobile", IntentOutcome::Applied)]);
    assert_eq!(world.ledger.finish(first, &[end]).await.unwrap(), [1], "what it did is recorded");
    let late = world.claim_one(second, 1).await;
    assert_eq!(late.ours.len(), 1);
    assert_eq!(late.pre_images.len(), 1);
    assert!(matches!(world.ledger.set_run_state(first, RunState::Open).await, Err(Error::Ended { .. })));
}

async fn a_rehearsal_disturbs_nothing<L: Ledger>(world: World<L>) {
    let migrate = world.run(RunKind::Migrate, "north").await;
    let held = world.claim_one(migrate, 1).await;
    let rehearsal = world.run(RunKind::Rehearse, "north").await;
    assert_eq!(world.ledger.run(migrate).await.unwrap().unwrap().state, RunState::Open);
    assert_eq!(world.ledger.renew(migrate, &[(1, held.epoch)], LONG).await.unwrap(), [1]);
    let spec = world.spec(RunKind::Rehearse, "north");
    assert_eq!(world.claim(rehearsal, &[1]).await.len(), 1, "reading waits for nobody");
    let claim = world.claim_one(rehearsal, 2).await;
    assert!(
        world
            .ledger
            .file_intents(rehearsal, &[intent(&claim, "mobile", None, Some("x"))])
            .await
            .unwrap()
            .is_empty()
    );
    world.ledger.finish(rehearsal, &[settle(&claim, EntryState::Planned, &[])]).await.unwrap();
    assert_eq!(
        world.ledger.applied_fingerprint(&claim.user).await.unwrap(),
        None,
        "a rehearsal leaves no trace"
    );
    assert_eq!(world.claim(migrate, &[2]).await.len(), 1, "a rehearsal holds nobody");
    let next = world.ledger.open_run(&spec).await.unwrap();
    assert!(!next.resumed && next.superseded.is_empty(), "a rehearsal is always new");
    assert!(world.ledger.results(rehearsal, 0, 10).await.unwrap().is_empty(), "earlier ones are dropped");
    assert_eq!(world.ledger.results(migrate, 0, 10).await.unwrap().len(), 2);
}

async fn done_is_refused_while_users_wait<L: Ledger>(world: World<L>) {
    let run = world.run(RunKind::Migrate, "north").await;
    world.migrate_one(run, 1, IntentOutcome::Applied).await;
    assert!(matches!(
        world.ledger.set_run_state(run, RunState::Done).await,
        Err(Error::Incomplete { expected: 2, found: 1, .. })
    ));
    world.migrate_one(run, 2, IntentOutcome::Applied).await;
    world.ledger.set_run_state(run, RunState::Done).await.unwrap();
    world.ledger.set_run_state(run, RunState::Done).await.unwrap();
    let done = world.ledger.run(run).await.unwrap().unwrap();
    assert_eq!(done.state, RunState::Done);
    assert!(done.ended_at_ms.is_some());
    let next = world.ledger.open_run(&world.spec(RunKind::Migrate, "north")).await.unwrap();
    assert!(
        !next.resumed && next.superseded.is_empty(),
        "a run that is done is neither resumed nor superseded"
    );
    let nobody = contract::RunId(999);
    assert!(matches!(world.ledger.set_run_state(nobody, RunState::Done).await, Err(Error::NoRun { .. })));
}

async fn totals_add_up<L: Ledger>(world: World<L>) {
    let run = world.run(RunKind::Migrate, "north").await;
    let add = RunTotals { requests: 7, writes: 3, throttled: 1, seconds: 0.5 };
    world.ledger.add_totals(run, &add).await.unwrap();
    world.ledger.add_totals(run, &add).await.unwrap();
    let totals = world.ledger.run(run).await.unwrap().unwrap().totals;
    assert_eq!(totals, RunTotals { requests: 14, writes: 6, throttled: 2, seconds: 1.0 });
}

async fn the_directory_resumes_where_it_stopped<L: Ledger>(world: World<L>) {
    let run = world.ledger.open_run(&world.spec(RunKind::Migrate, "north")).await.unwrap().run.id;
    let cursor = world.ledger.directory_cursor(run).await.unwrap();
    assert_eq!((cursor.pages, cursor.users, cursor.next, cursor.complete), (0, 0, None, false));
    world.ledger.file_directory_page(run, &[user(1), user(2)], Some("page-2")).await.unwrap();
    let cursor = world.ledger.directory_cursor(run).await.unwrap();
    assert_eq!(
        (cursor.pages, cursor.users, cursor.next.as_deref(), cursor.complete),
        (1, 2, Some("page-2"), false)
    );
    world.ledger.file_directory_page(run, &[user(2), user(3)], None).await.unwrap();
    let cursor = world.ledger.directory_cursor(run).await.unwrap();
    assert_eq!((cursor.pages, cursor.users, cursor.next, cursor.complete), (2, 3, None, true));
}

async fn a_halted_run_waits_for_a_person<L: Ledger>(world: World<L>) {
    let run = world.run(RunKind::Migrate, "north").await;
    let south = world.run(RunKind::Migrate, "south").await;
    let held = world.claim_one(run, 1).await;
    let driven = async || {
        let runs = world.ledger.runs_to_drive().await.unwrap();
        runs.iter().map(|run| run.id).collect::<Vec<_>>()
    };
    assert_eq!(driven().await, [run, south], "oldest first");
    world.ledger.halt_run(run, "a permission is missing").await.unwrap();
    assert_eq!(driven().await, [south]);
    let halted = world.ledger.run(run).await.unwrap().unwrap();
    assert_eq!(halted.halted.as_deref(), Some("a permission is missing"));
    assert_eq!(halted.state, RunState::Open);
    assert_eq!(world.release(run).await, (vec![], 0));
    assert!(world.claim(run, &[2]).await.is_empty());
    assert_eq!(world.ledger.renew(run, &[(1, held.epoch)], LONG).await.unwrap(), [1], "what is held may end");
    let end = settle(&held, EntryState::Applied, &[]);
    assert_eq!(world.ledger.finish(run, &[end]).await.unwrap(), [1]);
    let opened = world.ledger.open_run(&world.spec(RunKind::Migrate, "north")).await.unwrap();
    assert!(opened.resumed && opened.run.id == run && opened.run.halted.is_some());
    assert_eq!(driven().await, [south], "it is found, and goes on only when it is told to");
    world.ledger.resume_run(run).await.unwrap();
    assert_eq!(driven().await, [run, south]);
    assert_eq!(world.release(run).await.0, [2]);
    world.migrate_one(run, 2, IntentOutcome::Applied).await;
    world.ledger.set_run_state(run, RunState::Done).await.unwrap();
    assert_eq!(driven().await, [south], "a run that is done is not driven");
    world.ledger.halt_run(run, "too late").await.unwrap();
    assert_eq!(world.ledger.run(run).await.unwrap().unwrap().halted, None);
    let preparing = world.ledger.open_run(&world.spec(RunKind::Migrate, "west")).await.unwrap().run.id;
    assert_eq!(driven().await, [south, preparing]);
    let planned = RunSpec { plan_hash: Some("p".to_owned()), ..world.spec(RunKind::Migrate, "east") };
    let planned = world.ledger.open_run(&planned).await.unwrap().run;
    assert!(planned.halted.is_some(), "its lines are to be filed first");
    assert_eq!(driven().await, [south, preparing]);
    world.ledger.resume_run(planned.id).await.unwrap();
    assert_eq!(driven().await, [south, preparing, planned.id]);
    let nobody = world.ledger.halt_run(contract::RunId(999), "nobody").await;
    assert!(matches!(nobody, Err(Error::NoRun { .. })));
}
