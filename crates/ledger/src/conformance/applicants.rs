//! Applicants: what is told of those who may come into the rollout, and what is decided of them until it opens.

use super::fixture::{World, intent, make_batch, record, settle};
use super::rollout::{
    FIRST, SECOND, every_applicant, frozen, line, moved, out, place, placed, rollout, told,
};
use super::seats::{seat_end, take_seat};
use super::way_back::{migrate_as, touched, until_later};
use crate::{Decided, Error, Ledger, StepCounts};
use contract::{EntryState, IntentOutcome, Outcome, RunId, RunKind, RunState, SeatState};

pub(super) async fn check<L: Ledger>(fresh: &impl AsyncFn() -> L) {
    applicants_come_in_pages(World::of(fresh().await, 5).await).await;
    what_was_settled_last_is_told_first(World::of(fresh().await, 2).await).await;
    what_is_in_doubt_and_the_last_seat_are_told(World::of(fresh().await, 3).await).await;
    nobody_is_left_undecided(World::of(fresh().await, 4).await).await;
    the_last_decision_stands_until_it_opens(World::of(fresh().await, 4).await).await;
    a_plan_is_settled_by_its_decisions(World::of(fresh().await, 3).await).await;
    steps_are_of_those_who_are_placed(World::of(fresh().await, 6).await).await;
}

async fn applicants_come_in_pages<L: Ledger>(world: World<L>) {
    moved(&world, "north", &[1]).await;
    let run = frozen(&world, RunKind::Rollout, "north").await;
    let page = async |after| {
        let found = world.ledger.applicants(run, after, 2).await.unwrap();
        found.iter().map(|applicant| applicant.ordinal).collect::<Vec<_>>()
    };
    assert_eq!(page(i64::MIN).await, [1, 2]);
    assert_eq!(page(2).await, [3, 4]);
    assert_eq!(page(4).await, [5]);
    assert_eq!(page(5).await, [0_i64; 0]);
    world.ledger.decide_applicants(run, &[(1, place(FIRST)), (3, out())]).await.unwrap();
    assert_eq!(page(i64::MIN).await, [2, 4], "of whom nothing is decided");
    assert!(world.ledger.applicants(RunId(99), i64::MIN, 9).await.unwrap().is_empty());
}

async fn what_was_settled_last_is_told_first<L: Ledger>(world: World<L>) {
    use EntryState::{Applied, Confirmed, Parked, Reverted, Unchanged, Waiting};
    use RunKind::{Migrate, Rehearse, Rollback, Verify};
    // The run that was opened first is the last to settle the user.
    let lower = world.run(Migrate, "north").await;
    let higher = world.run(Migrate, "south").await;
    let end = settle(&world.claim_one(higher, 1).await, Parked, &[]);
    world.ledger.finish(higher, &[end]).await.unwrap();
    until_later(&world).await;
    world.migrate_one(lower, 1, IntentOutcome::Applied).await;
    world.ledger.set_run_state(higher, RunState::Superseded).await.unwrap();
    until_later(&world).await;
    let verify = touched(&world, Verify, "all").await;
    let mut end = settle(&world.claim_one(verify, 1).await, Confirmed, &[]);
    if let crate::End::Settle { codes, .. } = &mut end.end {
        *codes = "seen-late".into();
    }
    world.ledger.finish(verify, &[end]).await.unwrap();
    world.ledger.set_run_state(verify, RunState::Done).await.unwrap();
    world.run(Rehearse, "north").await;
    let past = async || {
        let run = frozen(&world, RunKind::RolloutPlan, "all").await;
        let found = every_applicant(&world, run).await;
        let told = |at: usize| {
            let past = found[at].past.iter();
            past.map(|p| (p.kind, p.state, p.codes.clone(), p.open)).collect::<Vec<_>>()
        };
        (told(0), told(1))
    };
    let (first, second) = past().await;
    let phone = || "phone-only".to_owned();
    assert_eq!(
        first,
        [
            (Verify, Confirmed, "seen-late".to_owned(), false),
            (Migrate, Applied, phone(), true),
            (Migrate, Parked, phone(), false)
        ],
        "neither a rehearsal nor a plan"
    );
    let none = String::new;
    assert_eq!(
        second,
        [
            (Verify, Unchanged, none(), false),
            (Migrate, Waiting, none(), false),
            (Migrate, Waiting, none(), true)
        ]
    );
    until_later(&world).await;
    let back = touched(&world, Rollback, "east").await;
    let (first, _) = past().await;
    assert_eq!(first.last(), Some(&(Rollback, Waiting, none(), true)), "what is not settled comes last");
    let end = settle(&world.claim_one(back, 1).await, Reverted, &[]);
    world.ledger.finish(back, &[end]).await.unwrap();
    let (first, _) = past().await;
    assert_eq!((first.len(), &first[0]), (4, &(Rollback, Reverted, phone(), true)));
}

async fn what_is_in_doubt_and_the_last_seat_are_told<L: Ledger>(world: World<L>) {
    let migrate = world.run(RunKind::Migrate, "north").await;
    world.migrate_one(migrate, 1, IntentOutcome::Applied).await;
    let claim = world.claim_briefly(migrate, 2).await;
    world.ledger.file_intents(migrate, &[intent(&claim, "mobile", None, Some("ours"))]).await.unwrap();
    world.ledger.set_run_state(migrate, RunState::Superseded).await.unwrap();
    let seats = async || {
        let run = frozen(&world, RunKind::RolloutPlan, "north").await;
        let found = every_applicant(&world, run).await;
        assert_eq!(found.iter().map(|a| a.in_doubt).collect::<Vec<_>>(), [false, true, false]);
        found.into_iter().map(|a| a.seat.map(|seat| (seat.group, seat.state))).collect::<Vec<_>>()
    };
    assert_eq!(seats().await, [None, None, None]);
    let run = rollout(&world, "north", &[1, 3]).await;
    take_seat(&world, run, 1, None).await;
    take_seat(&world, run, 3, Some(SeatState::Gone)).await;
    let seat = |state| Some((FIRST.to_owned(), state));
    assert_eq!(seats().await, [seat(SeatState::Asked), None, seat(SeatState::Gone)]);
    world.ledger.set_run_state(run, RunState::Done).await.unwrap();
    let run = rollout(&world, "north", &[3]).await;
    take_seat(&world, run, 3, Some(SeatState::Seated)).await;
    assert_eq!(seats().await, [seat(SeatState::Asked), None, seat(SeatState::Seated)], "the last one");
}

async fn nobody_is_left_undecided<L: Ledger>(world: World<L>) {
    moved(&world, "north", &[1]).await;
    let run = frozen(&world, RunKind::Rollout, "north").await;
    world.ledger.decide_applicants(run, &[(1, place(FIRST)), (2, out())]).await.unwrap();
    let refused = world.ledger.open_rollout(run, &[1]).await.unwrap_err();
    assert!(matches!(refused, Error::Incomplete { found: 2, .. }), "{refused}");
    let left = world.ledger.run(run).await.unwrap().unwrap();
    assert_eq!((left.state, left.steps), (RunState::Preparing, Vec::new()));
    let unchanged = Decided::Settled(EntryState::Unchanged, "");
    world.ledger.decide_applicants(run, &[(3, unchanged), (4, place(SECOND)), (99, out())]).await.unwrap();
    world.ledger.open_rollout(run, &[1]).await.unwrap();
    let opened = world.ledger.run(run).await.unwrap().unwrap();
    assert_eq!((opened.state, opened.step, opened.steps), (RunState::Open, 0, vec![1]));
    let rows = world.ledger.results(run, 0, 10).await.unwrap();
    let outcomes: Vec<_> = rows.iter().map(|row| (row.outcome, row.settled_at_ms.is_some())).collect();
    assert_eq!(
        outcomes,
        [(None, false), (Some(Outcome::Blocked), true), (Some(Outcome::Unchanged), true), (None, false)]
    );
    assert_eq!(placed(&world, run).await, [(FIRST.to_owned(), 1), (SECOND.to_owned(), 1)]);
    let before = told(&world, run).await;
    let late = [(1, place(SECOND)), (2, place(SECOND)), (4, out())];
    world.ledger.decide_applicants(run, &late).await.unwrap();
    assert_eq!(told(&world, run).await, before, "it is open");
    assert_eq!(placed(&world, run).await, [(FIRST.to_owned(), 1), (SECOND.to_owned(), 1)]);
    world.ledger.open_rollout(run, &[2]).await.unwrap();
    assert_eq!(world.ledger.run(run).await.unwrap().unwrap().steps, [1], "steps are assigned once");
}

/// Nobody is put in whom the freezing has left out; whoever was to be put in may be left out yet.
async fn the_last_decision_stands_until_it_opens<L: Ledger>(world: World<L>) {
    make_batch(&*world.ledger, &world.snapshot, "few", &[record(1), record(2)]).await;
    moved(&world, "few", &[1]).await;
    migrate_as(&world, "few", 1, 2, "another").await;
    for kind in [RunKind::RolloutPlan, RunKind::Rollout] {
        let run = frozen(&world, kind, "few").await;
        let left_out = line(2, EntryState::Blocked, "rollout-not-moved");
        assert_eq!(told(&world, run).await[1], left_out);
        let row = async || world.ledger.results(run, 1, 1).await.unwrap().remove(0);
        let before = row().await;
        world.ledger.decide_applicants(run, &[(2, place(FIRST))]).await.unwrap();
        world
            .ledger
            .decide_applicants(run, &[(2, Decided::Settled(EntryState::Unchanged, ""))])
            .await
            .unwrap();
        let after = row().await;
        assert_eq!(told(&world, run).await[1], left_out);
        assert_eq!((after.outcome, after.settled_at_ms), (before.outcome, before.settled_at_ms));
        assert_eq!(placed(&world, run).await, []);
    }
    let run = frozen(&world, RunKind::Rollout, "few").await;
    world.ledger.decide_applicants(run, &[(1, place(FIRST))]).await.unwrap();
    world.ledger.decide_applicants(run, &[(1, place(SECOND))]).await.unwrap();
    assert_eq!(placed(&world, run).await, [(SECOND.to_owned(), 1)]);
    world.ledger.decide_applicants(run, &[(1, out())]).await.unwrap();
    assert_eq!(placed(&world, run).await, [], "whoever stays out has no place");
    assert_eq!(told(&world, run).await[0], line(1, EntryState::Blocked, "rollout-not-verified"));
}

async fn a_plan_is_settled_by_its_decisions<L: Ledger>(world: World<L>) {
    moved(&world, "north", &[1]).await;
    let plan = frozen(&world, RunKind::RolloutPlan, "north").await;
    let decided = [(1, place(FIRST)), (2, out()), (3, place(SECOND))];
    world.ledger.decide_applicants(plan, &decided).await.unwrap();
    world.ledger.open_rollout(plan, &[1, 2]).await.unwrap();
    let expected = [
        line(1, EntryState::Planned, ""),
        line(2, EntryState::Blocked, "rollout-not-verified"),
        line(3, EntryState::Planned, ""),
    ];
    assert_eq!(told(&world, plan).await, expected);
    let rows = world.ledger.results(plan, 0, 10).await.unwrap();
    assert_eq!(rows[0].outcome, Some(Outcome::Change));
    assert!(rows.iter().all(|row| row.settled_at_ms.is_some()));
    assert_eq!(placed(&world, plan).await, [(FIRST.to_owned(), 1), (SECOND.to_owned(), 1)]);
    assert_eq!(world.ledger.step_counts(plan, 0).await.unwrap().users, 1);
    assert_eq!(world.ledger.step_counts(plan, 1).await.unwrap().users, 1, "whoever stays out is in no step");
    assert_eq!(world.release(plan).await.0, [0_i64; 0]);
    world.ledger.set_run_state(plan, RunState::Done).await.unwrap();
}

async fn steps_are_of_those_who_are_placed<L: Ledger>(world: World<L>) {
    moved(&world, "north", &[1]).await;
    let run = frozen(&world, RunKind::Rollout, "north").await;
    let unchanged = Decided::Settled(EntryState::Unchanged, "unchanged");
    let decided = [
        (1, unchanged),
        (2, place(SECOND)),
        (3, out()),
        (4, place(FIRST)),
        (5, place(SECOND)),
        (6, place(FIRST)),
    ];
    world.ledger.decide_applicants(run, &decided).await.unwrap();
    world.ledger.open_rollout(run, &[1, 2]).await.unwrap();
    assert_eq!(placed(&world, run).await, [(FIRST.to_owned(), 2), (SECOND.to_owned(), 2)]);
    let step = async |step| world.ledger.step_counts(run, step).await.unwrap();
    assert_eq!(step(0).await, StepCounts { users: 1, ..StepCounts::default() });
    assert_eq!(step(1).await, StepCounts { users: 3, ..StepCounts::default() });
    assert_eq!(world.release(run).await.0, [2]);
    take_seat(&world, run, 2, Some(SeatState::Seated)).await;
    let first = step(0).await;
    assert_eq!((first.users, first.settled, first.processed, first.failed), (1, 1, 1, 0));
    assert_eq!(world.release(run).await.0, [0_i64; 0], "the next step is not open");
    world.ledger.open_step(run, 1).await.unwrap();
    assert_eq!(world.release(run).await.0, [4, 5, 6]);
    let end = seat_end(&world.claim_one(run, 4).await, EntryState::Parked, None);
    world.ledger.finish_seats(run, &[end]).await.unwrap();
    let second = step(1).await;
    assert_eq!((second.users, second.settled, second.processed, second.failed), (3, 1, 1, 1));
}
