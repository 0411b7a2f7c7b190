//! Nobody is taken back whose seat stands; and who is in the rollout, counted.

use super::fixture::{LONG, World, entra, make_batch, record};
use super::rollout::{FIRST, SECOND, frozen, moved, rollout};
use super::seats::{new_seat, seat_end, take_seat};
use super::way_back::{migrate_as, touched};
use crate::{GroupSeats, Ledger, Rerouted, SeatFinish};
use contract::{EntryState, RunId, RunKind, RunState, SeatState};

pub(super) async fn check<L: Ledger>(fresh: &impl AsyncFn() -> L) {
    whose_seat_stands_is_not_taken_back(World::of(fresh().await, 3).await).await;
    whoever_was_taken_out_is_waited_for(World::of(fresh().await, 3).await).await;
    only_who_was_taken_out_is_waited_for(World::of(fresh().await, 4).await).await;
    whoever_is_still_in_may_be_set_aside(World::of(fresh().await, 4).await).await;
    seats_are_counted_by_batch_and_by_group(World::of(fresh().await, 4).await).await;
}

async fn claimed<L: Ledger>(world: &World<L>, run: RunId, ordinals: &[i64]) -> Vec<i64> {
    world.claim(run, ordinals).await.iter().map(|claim| claim.ordinal).collect()
}

async fn whose_seat_stands_is_not_taken_back<L: Ledger>(world: World<L>) {
    moved(&world, "north", &[1, 2, 3]).await;
    let run = rollout(&world, "north", &[1, 2]).await;
    take_seat(&world, run, 1, Some(SeatState::Seated)).await;
    take_seat(&world, run, 2, None).await;
    let back = touched(&world, RunKind::Rollback, "north").await;
    assert_eq!(world.release(back).await.0, [1, 2, 3], "a word, and not a lock");
    assert_eq!(claimed(&world, back, &[1, 2, 3]).await, [3]);
    let verify = touched(&world, RunKind::Verify, "north").await;
    assert_eq!(claimed(&world, verify, &[1, 2]).await, [1, 2], "looking is no matter");
    let migrate = world.run(RunKind::Migrate, "south").await;
    assert_eq!(claimed(&world, migrate, &[1]).await, [1], "nor is moving");
    world.ledger.set_run_state(migrate, RunState::Superseded).await.unwrap();
    let remove = frozen(&world, RunKind::RolloutRemove, "north").await;
    let claim = world.claim_one(remove, 2).await;
    assert_eq!(world.ledger.file_seats(remove, &[new_seat(&claim, FIRST)]).await.unwrap(), [2]);
    assert_eq!(claimed(&world, back, &[2]).await, [0_i64; 0]);
    let unknown = SeatFinish { seat: None, ..seat_end(&claim, EntryState::Parked, None) };
    world.ledger.finish_seats(remove, &[unknown]).await.unwrap();
    assert_eq!(claimed(&world, back, &[2]).await, [0_i64; 0], "asked to leave is not out");
    world.ledger.set_run_state(remove, RunState::Superseded).await.unwrap();
    let remove = frozen(&world, RunKind::RolloutRemove, "north").await;
    let claim = world.claim_one(remove, 2).await;
    let left = seat_end(&claim, EntryState::Reverted, Some(SeatState::Left));
    world.ledger.finish_seats(remove, &[left]).await.unwrap();
    assert_eq!(claimed(&world, back, &[1, 2]).await, [2]);
}

async fn whoever_was_taken_out_is_waited_for<L: Ledger>(world: World<L>) {
    moved(&world, "north", &[1, 2, 3]).await;
    let none = Rerouted::default();
    let run = rollout(&world, "north", &[1, 2]).await;
    for ordinal in [1, 2] {
        take_seat(&world, run, ordinal, Some(SeatState::Seated)).await;
    }
    let back = touched(&world, RunKind::Rollback, "north").await;
    assert_eq!(world.ledger.rerouted(back).await.unwrap(), Rerouted { seated: 2, acts_in: None });
    assert_eq!(world.ledger.rerouted(RunId(99)).await.unwrap(), none);
    let remove = frozen(&world, RunKind::RolloutRemove, "north").await;
    let claims = world.claim(remove, &[1, 2]).await;
    let left = |at: usize, acts_after| SeatFinish {
        acts_after,
        ..seat_end(&claims[at], EntryState::Reverted, Some(SeatState::Left))
    };
    world.ledger.finish_seats(remove, &[left(0, std::time::Duration::ZERO)]).await.unwrap();
    assert_eq!(world.ledger.rerouted(back).await.unwrap(), Rerouted { seated: 1, acts_in: None });
    world.ledger.finish_seats(remove, &[left(1, LONG)]).await.unwrap();
    let rerouted = world.ledger.rerouted(back).await.unwrap();
    assert_eq!(rerouted.seated, 0);
    let acts_in = rerouted.acts_in.expect("one of them is not routed back for certain");
    assert!(acts_in <= LONG && acts_in > LONG / 2, "{acts_in:?}");
    assert_eq!(claimed(&world, back, &[2]).await, [2], "it is for the caller to wait");
    assert!(world.ledger.rerouted(back).await.unwrap().acts_in.is_some(), "in hand is not settled");
    let claim = world.claim_briefly(back, 1).await;
    assert_eq!(claim.ordinal, 1);
    // Nobody of this one was ever in.
    make_batch(&*world.ledger, &world.snapshot, "third", &[record(3)]).await;
    let other = touched(&world, RunKind::Rollback, "third").await;
    assert_eq!(world.ledger.rerouted(other).await.unwrap(), none);
}

/// Of the seats that are over, those that somebody was taken out of act later; of users who are settled, none.
async fn only_who_was_taken_out_is_waited_for<L: Ledger>(world: World<L>) {
    moved(&world, "north", &[1, 2, 3, 4]).await;
    let run = rollout(&world, "north", &[1, 2, 3, 4]).await;
    let claims = world.claim(run, &[1, 2, 3, 4]).await;
    let rows: Vec<_> = claims.iter().map(|claim| new_seat(claim, FIRST)).collect();
    world.ledger.file_seats(run, &rows).await.unwrap();
    let states = [SeatState::Refused, SeatState::Theirs, SeatState::Gone, SeatState::Seated];
    let ends: Vec<_> = claims
        .iter()
        .zip(states)
        .map(|(claim, state)| SeatFinish {
            acts_after: LONG,
            ..seat_end(claim, EntryState::Applied, Some(state))
        })
        .collect();
    world.ledger.finish_seats(run, &ends).await.unwrap();
    let back = touched(&world, RunKind::Rollback, "north").await;
    let rerouted = async || {
        let told = world.ledger.rerouted(back).await.unwrap();
        (told.seated, told.acts_in.is_some())
    };
    assert_eq!(rerouted().await, (1, true));
    assert_eq!(world.ledger.hold_rerouted(back, &[entra(3)]).await.unwrap(), 1);
    assert_eq!(rerouted().await, (1, false), "neither where nothing landed nor where it is theirs");
    assert_eq!(world.ledger.hold_rerouted(back, &[entra(4)]).await.unwrap(), 1);
    assert_eq!(rerouted().await, (0, false));
}

async fn whoever_is_still_in_may_be_set_aside<L: Ledger>(world: World<L>) {
    moved(&world, "north", &[1, 2, 3]).await;
    let users: Vec<_> = (1..=4).chain([99]).map(entra).collect();
    let verify = touched(&world, RunKind::Verify, "north").await;
    let migrate = world.run(RunKind::Migrate, "south").await;
    for run in [verify, migrate, RunId(99)] {
        assert_eq!(world.ledger.hold_rerouted(run, &users).await.unwrap(), 0, "no rollback");
    }
    let back = world.ledger.open_run(&world.spec(RunKind::Rollback, "north")).await.unwrap().run.id;
    assert_eq!(world.ledger.hold_rerouted(back, &users).await.unwrap(), 0, "nobody is frozen yet");
    world.ledger.freeze_touched(back).await.unwrap();
    assert_eq!(claimed(&world, back, &[3]).await, [3]);
    assert_eq!(world.ledger.hold_rerouted(back, &[]).await.unwrap(), 0);
    assert_eq!(world.ledger.hold_rerouted(back, &users[1..]).await.unwrap(), 1, "one of them waits");
    let rows = world.ledger.results(back, 0, 10).await.unwrap();
    let told: Vec<_> = rows.iter().map(|row| (row.state, row.codes.as_str())).collect();
    let expected = [
        (EntryState::Waiting, ""),
        (EntryState::Parked, "rollout-still-in"),
        (EntryState::Claimed, ""),
        (EntryState::Unchanged, ""),
    ];
    assert_eq!(told, expected);
    assert!(rows[1].settled_at_ms.is_some());
    assert_eq!(world.ledger.hold_rerouted(back, &users[1..]).await.unwrap(), 0, "settled stays settled");
    assert_eq!(claimed(&world, back, &[1, 2]).await, [1]);
    world.ledger.set_run_state(back, RunState::Superseded).await.unwrap();
    let ended = touched(&world, RunKind::Rollback, "north").await;
    world.ledger.set_run_state(ended, RunState::Superseded).await.unwrap();
    assert_eq!(world.ledger.hold_rerouted(ended, &users).await.unwrap(), 0, "it is over");
    assert_eq!(world.ledger.counts(ended).await.unwrap()[&EntryState::Parked], 0);
}

async fn seats_are_counted_by_batch_and_by_group<L: Ledger>(world: World<L>) {
    assert!(world.ledger.group_seats().await.unwrap().is_empty());
    make_batch(&*world.ledger, &world.snapshot, "first", &[record(1), record(2)]).await;
    make_batch(&*world.ledger, &world.snapshot, "second", &[record(2), record(3)]).await;
    make_batch(&*world.ledger, &world.snapshot, "strangers", &[record(50)]).await;
    moved(&world, "north", &[1, 2, 3]).await;
    let run = rollout(&world, "north", &[1, 2, 3, 4]).await;
    let claims = world.claim(run, &[1, 2, 3, 4]).await;
    let groups = [SECOND, FIRST, FIRST, FIRST];
    let rows: Vec<_> = claims.iter().zip(groups).map(|(claim, group)| new_seat(claim, group)).collect();
    world.ledger.file_seats(run, &rows).await.unwrap();
    let ends = [
        seat_end(&claims[0], EntryState::Applied, Some(SeatState::Seated)),
        seat_end(&claims[1], EntryState::Applied, Some(SeatState::Seated)),
        seat_end(&claims[2], EntryState::Applied, None),
        seat_end(&claims[3], EntryState::Blocked, Some(SeatState::Refused)),
    ];
    world.ledger.finish_seats(run, &ends).await.unwrap();
    let group = |group: &str, standing: &[(SeatState, u64)]| GroupSeats {
        group: group.into(),
        standing: standing.to_vec(),
    };
    let expected = [
        group(FIRST, &[(SeatState::Asked, 1), (SeatState::Seated, 1)]),
        group(SECOND, &[(SeatState::Seated, 1)]),
    ];
    assert_eq!(world.ledger.group_seats().await.unwrap(), expected);
    let seated = async || {
        let mut seated = Vec::new();
        for batch in ["all", "north", "first", "second", "strangers", "nobody's"] {
            seated.push(world.ledger.seated(batch).await.unwrap());
        }
        seated
    };
    assert_eq!(seated().await, [3, 3, 2, 2, 0, 0]);
    migrate_as(&world, "first", 1, 70, "another").await;
    assert_eq!(seated().await, [3, 3, 2, 2, 0, 0], "by whichever match");
    let remove = frozen(&world, RunKind::RolloutRemove, "second").await;
    let claim = world.claim_one(remove, 2).await;
    let left = seat_end(&claim, EntryState::Reverted, Some(SeatState::Left));
    world.ledger.finish_seats(remove, &[left]).await.unwrap();
    assert_eq!(seated().await, [2, 2, 1, 1, 0, 0]);
}
