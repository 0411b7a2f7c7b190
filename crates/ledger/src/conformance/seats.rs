//! Seats: filed before they are asked for by whoever holds the user, and one a user.

use super::fixture::{LONG, World, entra, make_batch, record, settle};
use super::journal::whole;
use super::rollout::{FIRST, SECOND, every_applicant, frozen, moved, rollout};
use super::way_back::{touched, until_later};
use crate::{Claim, ClaimedSeat, Decided, End, GroupSeats, Ledger, NewSeat, RunSpec, SeatFinish};
use contract::{EntryState, RunId, RunKind, RunState, SeatState};
use std::sync::Arc;
use std::time::Duration;

pub(super) async fn check<L: Ledger>(fresh: &impl AsyncFn() -> L) {
    a_claim_is_told_its_place_and_seat(World::of(fresh().await, 3).await).await;
    a_seat_is_filed_by_whom_the_claim_holds(World::of(fresh().await, 3).await).await;
    whoever_is_taken_back_since_gets_no_seat(World::of(fresh().await, 3).await).await;
    asking_again_begins_anew(World::of(fresh().await, 2).await).await;
    one_seat_stands_until_it_is_over(World::of(fresh().await, 1).await).await;
    many_hands_at_once_make_one_seat_each(World::of(fresh().await, 40).await).await;
}

pub(super) const NOW: Duration = Duration::ZERO;

/// A seat in a group, for a claim.
pub(super) fn new_seat(claim: &Claim, group: &str) -> NewSeat {
    NewSeat { ordinal: claim.ordinal, epoch: claim.epoch, user: claim.user.clone(), group: group.into() }
}

/// The end of a claim that settles it, with nothing to remember.
pub(super) fn seat_end(claim: &Claim, state: EntryState, seat: Option<SeatState>) -> SeatFinish {
    let mut finish = settle(claim, state, &[]);
    if let End::Settle { applied, codes, .. } = &mut finish.end {
        *applied = None;
        *codes = String::new();
    }
    SeatFinish { finish, seat, acts_after: NOW }
}

/// Asks for a seat in the first group and settles the user; `None`: nothing is known of it yet.
pub(super) async fn take_seat<L: Ledger>(
    world: &World<L>,
    run: RunId,
    ordinal: i64,
    seat: Option<SeatState>,
) {
    let claim = world.claim_one(run, ordinal).await;
    assert_eq!(world.ledger.file_seats(run, &[new_seat(&claim, FIRST)]).await.unwrap(), [ordinal]);
    let end = seat_end(&claim, EntryState::Applied, seat);
    assert_eq!(world.ledger.finish_seats(run, &[end]).await.unwrap(), [ordinal]);
}

/// The seat that stands, as the run is told.
pub(super) async fn seat_of<L: Ledger>(
    world: &World<L>,
    run: RunId,
    ordinal: i64,
) -> Option<(String, SeatState)> {
    let told = world.ledger.claimed_seats(run, &[ordinal]).await.unwrap().remove(0);
    told.seat.map(|seat| (seat.group, seat.state))
}

pub(super) fn seat(group: &str, state: SeatState) -> Option<(String, SeatState)> {
    Some((group.to_owned(), state))
}

async fn a_claim_is_told_its_place_and_seat<L: Ledger>(world: World<L>) {
    moved(&world, "north", &[1]).await;
    let run = rollout(&world, "north", &[1, 2]).await;
    let place =
        |ordinal, place: Option<&str>| ClaimedSeat { ordinal, place: place.map(str::to_owned), seat: None };
    let claims = world.claim(run, &[1, 2, 3]).await;
    assert_eq!(claims.len(), 2, "whoever stays out is settled");
    let told = world.ledger.claimed_seats(run, &[2, 1, 77]).await.unwrap();
    assert_eq!(told, [place(1, Some(FIRST)), place(2, Some(FIRST))]);
    world.ledger.file_seats(run, &[new_seat(&claims[1], FIRST)]).await.unwrap();
    let told = world.ledger.claimed_seats(run, &[1, 2]).await.unwrap();
    assert_eq!(told[0], place(1, Some(FIRST)));
    let seat = told[1].seat.clone().expect("it was filed");
    assert_eq!((seat.group.as_str(), seat.state), (FIRST, SeatState::Asked));
    assert!(seat.age < LONG && seat.asked < LONG);
    assert!(world.ledger.claimed_seats(run, &[]).await.unwrap().is_empty());
}

async fn a_seat_is_filed_by_whom_the_claim_holds<L: Ledger>(world: World<L>) {
    moved(&world, "north", &[1]).await;
    let run = rollout(&world, "north", &[1, 2, 3]).await;
    let stale = world.claim_briefly(run, 1).await;
    world.release(run).await;
    let fresh = world.claim_one(run, 1).await;
    assert!(fresh.epoch > stale.epoch);
    let other = world.claim_one(run, 2).await;
    let astray = NewSeat { user: entra(3), ..new_seat(&other, FIRST) };
    let unclaimed = NewSeat { ordinal: 3, user: entra(3), ..new_seat(&other, FIRST) };
    let rows = [new_seat(&stale, FIRST), astray, unclaimed];
    assert!(world.ledger.file_seats(run, &rows).await.unwrap().is_empty());
    assert!(world.ledger.group_seats().await.unwrap().is_empty());
    assert!(world.ledger.file_seats(run, &[]).await.unwrap().is_empty());
    // Two that work for one entry may be filed together: one of them is too late.
    for rows in [
        [new_seat(&stale, FIRST), new_seat(&fresh, SECOND)],
        [new_seat(&fresh, SECOND), new_seat(&stale, FIRST)],
    ] {
        assert_eq!(world.ledger.file_seats(run, &rows).await.unwrap(), [1]);
        assert_eq!(seat_of(&world, run, 1).await, seat(SECOND, SeatState::Asked));
    }
    let rows = [new_seat(&other, FIRST), new_seat(&other, SECOND)];
    assert_eq!(world.ledger.file_seats(run, &rows).await.unwrap(), [2]);
    assert_eq!(seat_of(&world, run, 2).await, seat(FIRST, SeatState::Asked), "what is said first");
    world.ledger.set_run_state(run, RunState::Superseded).await.unwrap();
    assert!(world.ledger.file_seats(run, &[new_seat(&other, SECOND)]).await.unwrap().is_empty());
    assert_eq!(seat_of(&world, run, 2).await, seat(FIRST, SeatState::Asked), "the run is over");
}

/// Decided on before the rollback, and too late after it; on the way out there is no too late.
async fn whoever_is_taken_back_since_gets_no_seat<L: Ledger>(world: World<L>) {
    moved(&world, "north", &[1, 2]).await;
    make_batch(&*world.ledger, &world.snapshot, "pilot", &[record(1)]).await;
    let earlier = touched(&world, RunKind::Rollback, "pilot").await;
    world.ledger.set_run_state(earlier, RunState::Superseded).await.unwrap();
    let run = rollout(&world, "north", &[1, 2, 3]).await;
    let claims = world.claim(run, &[1, 2, 3]).await;
    let rows: Vec<_> = claims.iter().map(|claim| new_seat(claim, FIRST)).collect();
    let verify = touched(&world, RunKind::Verify, "north").await;
    assert_eq!(world.ledger.file_seats(run, &rows[2..]).await.unwrap(), [3], "neither did these");
    let back = touched(&world, RunKind::Rollback, "pilot").await;
    assert_eq!(world.ledger.file_seats(run, &rows[..2]).await.unwrap(), [2], "one of both was taken back");
    assert_eq!((seat_of(&world, run, 1).await, verify < back), (None, true));
    world.ledger.set_run_state(back, RunState::Superseded).await.unwrap();
    assert_eq!(world.ledger.file_seats(run, &rows[..1]).await.unwrap(), [1], "it ended before it had begun");
    let ends = [
        seat_end(&claims[0], EntryState::Blocked, Some(SeatState::Refused)),
        seat_end(&claims[1], EntryState::Applied, Some(SeatState::Seated)),
        seat_end(&claims[2], EntryState::Applied, Some(SeatState::Seated)),
    ];
    assert_eq!(world.ledger.finish_seats(run, &ends).await.unwrap(), [1, 2, 3]);
    let remove = frozen(&world, RunKind::RolloutRemove, "north").await;
    let claims = world.claim(remove, &[2, 3]).await;
    touched(&world, RunKind::Rollback, "north").await;
    let rows: Vec<_> = claims.iter().map(|claim| new_seat(claim, FIRST)).collect();
    assert_eq!(world.ledger.file_seats(remove, &rows).await.unwrap(), [2, 3]);
    assert_eq!(seat_of(&world, remove, 2).await, seat(FIRST, SeatState::Leaving));
}

/// Both seats are filed at one time; one of them again later. They are compared as told at one time.
async fn asking_again_begins_anew<L: Ledger>(world: World<L>) {
    moved(&world, "north", &[1]).await;
    let run = rollout(&world, "north", &[1, 2]).await;
    let claims = world.claim(run, &[1, 2]).await;
    let rows: Vec<_> = claims.iter().map(|claim| new_seat(claim, FIRST)).collect();
    assert_eq!(world.ledger.file_seats(run, &rows).await.unwrap(), [1, 2]);
    let ages = async |run| {
        let told = world.ledger.claimed_seats(run, &[1, 2]).await.unwrap();
        let seats: Vec<_> = told.into_iter().map(|told| told.seat.unwrap()).collect();
        (seats[0].asked, seats[0].age, seats[1].asked, seats[1].age)
    };
    let (asked, age, other_asked, other_age) = ages(run).await;
    assert!(asked == age && asked == other_asked && age == other_age);
    until_later(&world).await;
    assert_eq!(world.ledger.file_seats(run, &rows[..1]).await.unwrap(), [1]);
    let (asked, age, other_asked, other_age) = ages(run).await;
    assert!(asked == age && age < other_age && other_asked == other_age, "{age:?} {other_age:?}");
    until_later(&world).await;
    world.ledger.file_seats(run, &rows).await.unwrap();
    until_later(&world).await;
    let ends: Vec<_> =
        claims.iter().map(|claim| seat_end(claim, EntryState::Applied, Some(SeatState::Seated))).collect();
    world.ledger.finish_seats(run, &ends).await.unwrap();
    let (asked, age, ..) = ages(run).await;
    assert!(asked == age && age > NOW, "knowing of it is not asking for it");
    let remove = frozen(&world, RunKind::RolloutRemove, "north").await;
    let claim = world.claim_one(remove, 1).await;
    assert_eq!(world.ledger.file_seats(remove, &[new_seat(&claim, FIRST)]).await.unwrap(), [1]);
    let (asked, age, other_asked, other_age) = ages(remove).await;
    assert!(age < other_age, "it was asked to end later: {age:?} {other_age:?}");
    assert!(asked == other_asked && asked == other_age, "and asked for when it was: {asked:?}");
    assert_eq!(seat_of(&world, remove, 2).await, seat(FIRST, SeatState::Seated));
}

/// Every state in turn, in a run of its own: a seat that stands is asked for again, after one that is over comes another.
async fn one_seat_stands_until_it_is_over<L: Ledger>(world: World<L>) {
    moved(&world, "north", &[1]).await;
    let mut last: Option<(String, SeatState)> = None;
    let mut landed = None;
    for (round, state) in SeatState::ALL.into_iter().enumerate() {
        let group = if round % 2 == 0 { FIRST } else { SECOND };
        let spec = RunSpec { policy_hash: format!("{round}"), ..world.spec(RunKind::Rollout, "north") };
        let run = world.ledger.open_run(&spec).await.unwrap().run.id;
        world.ledger.freeze_rollout(run).await.unwrap();
        let told = every_applicant(&world, run).await.remove(0).seat;
        let told = told.map(|seat| (seat.group, seat.state));
        assert_eq!(told, landed, "the last one that landed, over or not");
        world.ledger.decide_applicants(run, &[(1, Decided::Placed(group.into()))]).await.unwrap();
        world.ledger.open_rollout(run, &[]).await.unwrap();
        let claim = world.claim_one(run, 1).await;
        let stood = last.clone().filter(|(_, state)| state.stands());
        assert_eq!(seat_of(&world, run, 1).await, stood);
        assert_eq!(world.ledger.file_seats(run, &[new_seat(&claim, group)]).await.unwrap(), [1]);
        assert_eq!(seat_of(&world, run, 1).await, seat(group, SeatState::Asked));
        let end = seat_end(&claim, EntryState::Applied, Some(state));
        assert_eq!(world.ledger.finish_seats(run, &[end]).await.unwrap(), [1]);
        last = seat(group, state);
        if state != SeatState::Refused {
            landed.clone_from(&last);
        }
        let stands = last.clone().filter(|(_, state)| state.stands());
        assert_eq!(seat_of(&world, run, 1).await, stands);
        let groups = world.ledger.group_seats().await.unwrap();
        let expected: Vec<_> = stands
            .into_iter()
            .map(|(group, state)| GroupSeats { group, standing: vec![(state, 1)] })
            .collect();
        assert_eq!(groups, expected, "never two");
        world.ledger.set_run_state(run, RunState::Done).await.unwrap();
    }
}

async fn many_hands_at_once_make_one_seat_each<L: Ledger>(world: World<L>) {
    moved(&world, "north", &[1]).await;
    let ordinals: Vec<i64> = (1..=40).collect();
    let run = rollout(&world, "north", &ordinals).await;
    let world = Arc::new(world);
    let mut tasks = tokio::task::JoinSet::new();
    for turn in 0..8 {
        let world = Arc::clone(&world);
        let mut ordinals = ordinals.clone();
        ordinals.rotate_left(turn * 5);
        tasks.spawn(async move {
            for page in ordinals.chunks(5) {
                let mut claims = world.claim(run, page).await;
                let half = claims.len() / 2;
                claims.rotate_left(half);
                let rows: Vec<_> = claims.iter().map(|claim| new_seat(claim, FIRST)).collect();
                let filed = world.ledger.file_seats(run, &rows).await.unwrap();
                let ends: Vec<_> = claims
                    .iter()
                    .map(|claim| seat_end(claim, EntryState::Applied, Some(SeatState::Seated)))
                    .collect();
                assert_eq!(world.ledger.finish_seats(run, &ends).await.unwrap(), filed);
                assert_eq!(filed.len(), claims.len());
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    world.ledger.set_run_state(run, RunState::Done).await.unwrap();
    let expected = GroupSeats { group: FIRST.into(), standing: vec![(SeatState::Seated, 40)] };
    assert_eq!(world.ledger.group_seats().await.unwrap(), [expected]);
    let lines = whole(&*world.ledger).await;
    let told: usize = lines
        .iter()
        .filter(|line| line.run == Some(run.0))
        .map(|line| serde_json::from_str::<Vec<serde_json::Value>>(&line.content).unwrap().len())
        .sum();
    assert_eq!(told, 40);
}
