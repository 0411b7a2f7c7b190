//! A rollout's run until its users are decided on: whom it freezes, and what it is beside other runs.

use super::fixture::{World, entra, make_batch, record, sealed};
use super::seats::{seat_end, take_seat};
use super::way_back::{later_snapshot, migrate_as};
use crate::{Applicant, Control, Decided, Error, Ledger, RunSpec};
use contract::{EntryState, IntentOutcome, Match, Outcome, RunId, RunKind, RunState, Sealed, SeatState};

pub(super) async fn check<L: Ledger>(fresh: &impl AsyncFn() -> L) {
    whom_a_migration_knows_is_asked_about(fresh().await).await;
    the_newest_match_is_asked_about(World::of(fresh().await, 3).await).await;
    whoever_left_the_datafile_has_a_negative_ordinal(World::of(fresh().await, 3).await).await;
    the_way_out_is_for_those_who_are_in(World::of(fresh().await, 4).await).await;
    a_seat_of_an_earlier_match_is_ended_too(World::of(fresh().await, 2).await).await;
    routing_and_methods_are_apart(World::of(fresh().await, 2).await).await;
    equal_terms_resume(World::of(fresh().await, 2).await).await;
    a_plan_drops_the_one_before(World::of(fresh().await, 2).await).await;
    the_limit_of_a_batch_holds_for_rollouts_too(World::of(fresh().await, 1).await).await;
}

/// A group of the rollout.
pub(super) const FIRST: &str = "11111111-0000-0000-0000-000000000000";

/// Another one.
pub(super) const SECOND: &str = "22222222-0000-0000-0000-000000000000";

/// A migration that has moved these records and is over.
pub(super) async fn moved<L: Ledger>(world: &World<L>, batch: &str, ordinals: &[i64]) -> RunId {
    let run = world.run(RunKind::Migrate, batch).await;
    for ordinal in ordinals {
        world.migrate_one(run, *ordinal, IntentOutcome::Applied).await;
    }
    world.ledger.set_run_state(run, RunState::Superseded).await.unwrap();
    run
}

/// A run of the rollout whose users are frozen.
pub(super) async fn frozen<L: Ledger>(world: &World<L>, kind: RunKind, batch: &str) -> RunId {
    let run = world.ledger.open_run(&world.spec(kind, batch)).await.unwrap().run.id;
    world.ledger.freeze_rollout(run).await.unwrap();
    run
}

/// A rollout that is open, with these users placed in the first group; all others stay out.
pub(super) async fn rollout<L: Ledger>(world: &World<L>, batch: &str, placed: &[i64]) -> RunId {
    let run = frozen(world, RunKind::Rollout, batch).await;
    let decided: Vec<_> = every_applicant(world, run)
        .await
        .iter()
        .map(|applicant| match placed.contains(&applicant.ordinal) {
            true => (applicant.ordinal, place(FIRST)),
            false => (applicant.ordinal, out()),
        })
        .collect();
    world.ledger.decide_applicants(run, &decided).await.unwrap();
    world.ledger.open_rollout(run, &[]).await.unwrap();
    run
}

/// To be put into this group.
pub(super) fn place(group: &str) -> Decided {
    Decided::Placed(group.into())
}

/// To stay out.
pub(super) fn out() -> Decided {
    Decided::Settled(EntryState::Blocked, "rollout-not-verified")
}

pub(super) async fn every_applicant<L: Ledger>(world: &World<L>, run: RunId) -> Vec<Applicant> {
    world.ledger.applicants(run, i64::MIN, 1000).await.unwrap()
}

async fn asked_about<L: Ledger>(world: &World<L>, run: RunId) -> Vec<i64> {
    every_applicant(world, run).await.iter().map(|applicant| applicant.ordinal).collect()
}

async fn run_state<L: Ledger>(world: &World<L>, run: RunId) -> RunState {
    world.ledger.run(run).await.unwrap().unwrap().state
}

/// Ordinal, state and codes of all entries.
pub(super) async fn told<L: Ledger>(world: &World<L>, run: RunId) -> Vec<(i64, EntryState, String)> {
    let rows = world.ledger.results(run, i64::MIN, 1000).await.unwrap();
    rows.into_iter().map(|row| (row.ordinal, row.state, row.codes)).collect()
}

pub(super) fn line(ordinal: i64, state: EntryState, codes: &str) -> (i64, EntryState, String) {
    (ordinal, state, codes.to_owned())
}

/// How many users of a run are placed, by group.
pub(super) async fn placed<L: Ledger>(world: &World<L>, run: RunId) -> Vec<(String, u64)> {
    let mut placed = world.ledger.placed(run).await.unwrap();
    placed.sort();
    placed
}

async fn whom_a_migration_knows_is_asked_about<L: Ledger>(ledger: L) {
    use EntryState::{Blocked, Waiting};
    let mut records: Vec<_> = (1..=4).map(record).collect();
    records[2].keys = [None; 6];
    let world = World::with(ledger, records.clone()).await;
    make_batch(&*world.ledger, &world.snapshot, "few", &records[..3]).await;
    moved(&world, "few", &[1]).await;
    for kind in [RunKind::RolloutPlan, RunKind::Rollout] {
        let run = world.ledger.open_run(&world.spec(kind, "north")).await.unwrap().run.id;
        let counts = world.ledger.freeze_rollout(run).await.unwrap();
        assert_eq!(counts.entries, 3, "no migration knows the fourth");
        let expected = [line(1, Waiting, ""), line(2, Waiting, ""), line(3, Blocked, "rollout-not-moved")];
        assert_eq!(told(&world, run).await, expected);
        let rows = world.ledger.results(run, 0, 10).await.unwrap();
        assert_eq!((rows[0].user.clone(), rows[2].user.clone()), (Some(entra(1)), None));
        assert_eq!((rows[0].outcome, rows[2].outcome), (None, Some(Outcome::Blocked)));
        assert_eq!(
            (&rows[0].record, &rows[0].directory),
            (&sealed("record 1"), &Some(sealed("directory 1")))
        );
        assert_eq!(run_state(&world, run).await, RunState::Preparing);
        assert_eq!(world.release(run).await.0, [0_i64; 0], "nothing is decided yet");
        assert!(world.claim(run, &[1, 2]).await.is_empty());
        let decided = [(1, place(FIRST)), (2, out())];
        world.ledger.decide_applicants(run, &decided).await.unwrap();
        assert_eq!(world.ledger.freeze_rollout(run).await.unwrap(), counts);
        assert_eq!(told(&world, run).await, expected, "it begins anew");
        assert_eq!(asked_about(&world, run).await, [1, 2]);
        assert_eq!(placed(&world, run).await, []);
        world.ledger.decide_applicants(run, &decided).await.unwrap();
        world.ledger.open_rollout(run, &[]).await.unwrap();
        let open = told(&world, run).await;
        world.ledger.freeze_rollout(run).await.unwrap();
        assert_eq!(told(&world, run).await, open, "an open one is left as it is");
        assert_eq!(placed(&world, run).await, [(FIRST.to_owned(), 1)]);
    }
    make_batch(&*world.ledger, &world.snapshot, "strangers", &[record(4)]).await;
    let nobody = frozen(&world, RunKind::Rollout, "strangers").await;
    world.ledger.open_rollout(nobody, &[1]).await.unwrap();
    world.ledger.set_run_state(nobody, RunState::Done).await.unwrap();
}

async fn the_newest_match_is_asked_about<L: Ledger>(world: World<L>) {
    make_batch(&*world.ledger, &world.snapshot, "first", &[record(1), record(3)]).await;
    make_batch(&*world.ledger, &world.snapshot, "second", &[record(2)]).await;
    migrate_as(&world, "first", 1, 70, "a").await;
    migrate_as(&world, "first", 1, 71, "b").await;
    migrate_as(&world, "second", 2, 80, "c").await;
    migrate_as(&world, "first", 3, 80, "d").await;
    // The last migration finds nobody at all.
    let spec = RunSpec { policy_hash: "e".into(), ..world.spec(RunKind::Migrate, "all") };
    let run = world.ledger.open_run(&spec).await.unwrap().run.id;
    world.ledger.file_directory_page(run, &[], None).await.unwrap();
    world.ledger.match_users(run, &[Match::Upn], false).await.unwrap();
    let run = frozen(&world, RunKind::Rollout, "all").await;
    let expected = [
        line(1, EntryState::Waiting, ""),
        line(2, EntryState::Blocked, "rollout-not-moved"),
        line(3, EntryState::Waiting, ""),
    ];
    assert_eq!(told(&world, run).await, expected, "an Entra user of two belongs to the newer one");
    let found = every_applicant(&world, run).await;
    assert_eq!((&found[0].user, &found[1].user), (&entra(71), &entra(80)));
    assert_eq!(found[0].past.len(), 1, "what was told of another match is no past of this one");
}

async fn whoever_left_the_datafile_has_a_negative_ordinal<L: Ledger>(world: World<L>) {
    moved(&world, "north", &[1, 2, 3]).await;
    let snapshot = later_snapshot(&world, &[(7, 2)]).await;
    let spec = RunSpec { snapshot: snapshot.clone(), ..world.spec(RunKind::Rollout, "north") };
    let run = world.ledger.open_run(&spec).await.unwrap().run.id;
    world.ledger.freeze_rollout(run).await.unwrap();
    let rows = world.ledger.results(run, i64::MIN, 10).await.unwrap();
    let ordinals: Vec<_> = rows.iter().map(|row| row.ordinal).collect();
    assert!(ordinals[0] < ordinals[1] && ordinals[1] < 0 && ordinals[2] == 7, "{ordinals:?}");
    assert!(rows.iter().all(|row| row.snapshot == snapshot));
    assert_eq!((&rows[0].record, &rows[2].record), (&Sealed(Vec::new()), &sealed("record 7")));
    assert_eq!(asked_about(&world, run).await, ordinals);
    let decided: Vec<_> = ordinals.iter().map(|ordinal| (*ordinal, place(FIRST))).collect();
    world.ledger.decide_applicants(run, &decided).await.unwrap();
    world.ledger.open_rollout(run, &[1]).await.unwrap();
    assert_eq!(world.release(run).await.0, ordinals);
    assert_eq!(world.claim(run, &ordinals).await.len(), 3);
}

async fn the_way_out_is_for_those_who_are_in<L: Ledger>(world: World<L>) {
    use EntryState::{Unchanged, Waiting};
    moved(&world, "north", &[1, 2]).await;
    let run = rollout(&world, "north", &[1, 2, 3]).await;
    take_seat(&world, run, 1, Some(SeatState::Seated)).await;
    take_seat(&world, run, 2, None).await;
    take_seat(&world, run, 3, Some(SeatState::Refused)).await;
    world.ledger.set_run_state(run, RunState::Done).await.unwrap();
    let back = world.ledger.open_run(&world.spec(RunKind::RolloutRemove, "north")).await.unwrap().run.id;
    let counts = world.ledger.freeze_rollout(back).await.unwrap();
    assert_eq!(counts.entries, 4);
    assert_eq!(run_state(&world, back).await, RunState::Open, "there is nothing to decide");
    let expected = [
        line(1, Waiting, ""),
        line(2, Waiting, ""),
        line(3, Unchanged, "rollout-not-in"),
        line(4, Unchanged, "rollout-not-in"),
    ];
    assert_eq!(told(&world, back).await, expected);
    assert_eq!(world.ledger.freeze_rollout(back).await.unwrap(), counts, "again changes nothing");
    let rows = world.ledger.results(back, 2, 1).await.unwrap();
    assert_eq!(rows[0].outcome, Some(Outcome::Unchanged));
    assert_eq!(world.release(back).await.0, [1, 2]);
    let claims = world.claim(back, &[1, 2, 3]).await;
    assert_eq!(claims.len(), 2);
    let places = world.ledger.claimed_seats(back, &[1]).await.unwrap();
    assert_eq!(places[0].place, None, "nobody is placed on the way out");
    assert_eq!(places[0].seat.as_ref().unwrap().group, FIRST);
}

async fn a_seat_of_an_earlier_match_is_ended_too<L: Ledger>(world: World<L>) {
    make_batch(&*world.ledger, &world.snapshot, "first", &[record(1)]).await;
    make_batch(&*world.ledger, &world.snapshot, "second", &[record(2)]).await;
    for (target, policy) in [(70, "a"), (71, "b"), (72, "c")] {
        migrate_as(&world, "first", 1, target, policy).await;
        let run = rollout(&world, "first", &[1]).await;
        take_seat(&world, run, 1, Some(SeatState::Seated)).await;
        world.ledger.set_run_state(run, RunState::Done).await.unwrap();
    }
    migrate_as(&world, "first", 1, 73, "d").await;
    // The Entra user in the middle is the other user's by now; it was this one's when it got the seat.
    migrate_as(&world, "second", 2, 71, "e").await;
    let back = frozen(&world, RunKind::RolloutRemove, "first").await;
    let rows = world.ledger.results(back, i64::MIN, 10).await.unwrap();
    let mut all: Vec<_> =
        rows.iter().map(|row| (row.ordinal > 0, row.user.clone(), row.state, row.codes.as_str())).collect();
    all.sort_by(|a, b| a.1.cmp(&b.1));
    let waits = |number| (false, Some(entra(number)), EntryState::Waiting, "");
    let now = (true, Some(entra(73)), EntryState::Unchanged, "rollout-not-in");
    assert_eq!(all, [waits(70), waits(71), waits(72), now]);
    let ordinals: Vec<_> = rows.iter().map(|row| row.ordinal).filter(|ordinal| *ordinal < 0).collect();
    assert_eq!(world.release(back).await.0, ordinals);
    for claim in world.claim(back, &ordinals).await {
        let end = seat_end(&claim, EntryState::Reverted, Some(SeatState::Left));
        assert_eq!(world.ledger.finish_seats(back, &[end]).await.unwrap(), [claim.ordinal]);
    }
    world.ledger.set_run_state(back, RunState::Done).await.unwrap();
    let again = frozen(&world, RunKind::RolloutRemove, "first").await;
    assert_eq!(told(&world, again).await, [line(1, EntryState::Unchanged, "rollout-not-in")]);
    let other = frozen(&world, RunKind::RolloutRemove, "second").await;
    assert_eq!(told(&world, other).await, [line(2, EntryState::Unchanged, "rollout-not-in")]);
}

/// Runs of the one keep nothing of the other from going on, but for the users in their hands.
async fn routing_and_methods_are_apart<L: Ledger>(world: World<L>) {
    use RunKind::{Migrate, Rollback, Rollout, RolloutRemove};
    let open = async |kind| world.ledger.open_run(&world.spec(kind, "north")).await.unwrap();
    let migrate = world.run(Migrate, "north").await;
    let first = open(Rollout).await;
    assert!(first.superseded.is_empty());
    world.ledger.freeze_rollout(first.run.id).await.unwrap();
    world.ledger.decide_applicants(first.run.id, &[(1, place(FIRST)), (2, place(FIRST))]).await.unwrap();
    world.ledger.open_rollout(first.run.id, &[]).await.unwrap();
    assert_eq!(world.claim(migrate, &[1]).await.len(), 1);
    let claims = world.claim(first.run.id, &[1, 2]).await;
    assert_eq!(claims.iter().map(|claim| claim.ordinal).collect::<Vec<_>>(), [2], "one pair of hands a user");
    assert!(world.claim(migrate, &[2]).await.is_empty());
    let back = open(Rollback).await;
    assert_eq!(back.superseded, [migrate]);
    let remove = open(RolloutRemove).await;
    assert_eq!(remove.superseded, [first.run.id]);
    assert_eq!(run_state(&world, first.run.id).await, RunState::Superseded);
    assert_eq!(run_state(&world, back.run.id).await, RunState::Preparing);
    let second = open(Rollout).await;
    assert_eq!(second.superseded, [remove.run.id]);
    let again = world.ledger.open_run(&world.spec(Migrate, "north")).await.unwrap();
    assert_eq!(again.superseded, [back.run.id]);
    assert_eq!(run_state(&world, second.run.id).await, RunState::Preparing);
    let elsewhere = world.ledger.open_run(&world.spec(RolloutRemove, "south")).await.unwrap();
    assert!(elsewhere.superseded.is_empty(), "another batch is another matter");
    assert_eq!(world.ledger.last_written("north").await.unwrap().unwrap().id, again.run.id);
}

async fn equal_terms_resume<L: Ledger>(world: World<L>) {
    moved(&world, "north", &[1]).await;
    for kind in [RunKind::Rollout, RunKind::RolloutRemove] {
        let spec = world.spec(kind, "north");
        let first = world.ledger.open_run(&spec).await.unwrap();
        assert!(!first.resumed);
        let again = world.ledger.open_run(&spec).await.unwrap();
        assert_eq!((again.resumed, again.run), (true, first.run.clone()));
        let other = RunSpec { policy_hash: "other terms".into(), ..spec.clone() };
        let other = world.ledger.open_run(&other).await.unwrap();
        assert_eq!((other.resumed, other.superseded), (false, vec![first.run.id]));
        let refused = world.ledger.set_run_state(first.run.id, RunState::Open).await.unwrap_err();
        assert!(matches!(refused, Error::Ended { .. }));
    }
}

async fn a_plan_drops_the_one_before<L: Ledger>(world: World<L>) {
    moved(&world, "north", &[1]).await;
    let rehearsal = world.run(RunKind::Rehearse, "north").await;
    let run = frozen(&world, RunKind::Rollout, "north").await;
    let plan = frozen(&world, RunKind::RolloutPlan, "south").await;
    assert_eq!(told(&world, plan).await.len(), 2);
    let next = world.ledger.open_run(&world.spec(RunKind::RolloutPlan, "south")).await.unwrap();
    assert!(!next.resumed && next.superseded.is_empty(), "a plan is always new");
    assert!(told(&world, plan).await.is_empty(), "earlier ones are dropped");
    assert_eq!(run_state(&world, plan).await, RunState::Superseded);
    assert_eq!((told(&world, run).await.len(), told(&world, rehearsal).await.len()), (2, 2));
    world.run(RunKind::Rehearse, "south").await;
    world.ledger.freeze_rollout(next.run.id).await.unwrap();
    assert_eq!(told(&world, next.run.id).await.len(), 2, "a rehearsal drops rehearsals alone");
    assert_eq!(run_state(&world, run).await, RunState::Preparing, "a plan supersedes nothing");
}

async fn the_limit_of_a_batch_holds_for_rollouts_too<L: Ledger>(world: World<L>) {
    let settings = contract::BatchSettings { max_rate: Some(40), ..contract::BatchSettings::default() };
    let capped = serde_json::to_string(&settings).unwrap();
    for batch in ["north", "south"] {
        assert!(world.ledger.set_batch(batch, "{}", &capped).await.unwrap());
    }
    let mut expected = Vec::new();
    for (kind, batch, max_rate) in [
        (RunKind::Rollout, "north", Some(40)),
        (RunKind::RolloutRemove, "south", Some(40)),
        (RunKind::RolloutPlan, "north", None),
        (RunKind::Rollout, "east", None),
    ] {
        let run = world.ledger.open_run(&world.spec(kind, batch)).await.unwrap().run.id;
        expected.push(Control { run, halted: false, max_rate });
    }
    assert_eq!(world.ledger.controls().await.unwrap(), expected);
}
