//! The ends of claims of a rollout: what became of seats, and nothing of the methods.

use super::fixture::{LONG, World, entra, intent, print, sealed, settle, snooze};
use super::journal::whole;
use super::rollout::{FIRST, frozen, moved, rollout};
use super::seats::{NOW, new_seat, seat, seat_end, seat_of};
use crate::{Claim, End, Error, Ledger, SeatFinish};
use contract::{EntryState, IntentOutcome, Outcome, RunKind, RunState, SeatState};

pub(super) async fn check<L: Ledger>(fresh: &impl AsyncFn() -> L) {
    an_end_settles_and_snoozes(World::of(fresh().await, 3).await).await;
    an_end_that_is_no_end_changes_nothing(World::of(fresh().await, 2).await).await;
    a_stale_claim_tells_nothing(World::of(fresh().await, 2).await).await;
    a_claim_whose_user_was_given_away_tells_nothing(World::of(fresh().await, 1).await).await;
    routing_changes_nothing_of_the_methods(World::of(fresh().await, 2).await).await;
}

/// What a line of the journal tells of seats.
fn content(seats: &[(i64, &str)]) -> serde_json::Value {
    seats.iter().map(|(number, word)| serde_json::json!([entra(*number).0, "rollout", word])).collect()
}

async fn an_end_settles_and_snoozes<L: Ledger>(world: World<L>) {
    moved(&world, "north", &[1]).await;
    let run = rollout(&world, "north", &[1, 2, 3]).await;
    let from = world.ledger.journal_head().await.unwrap().0;
    let claims = world.claim(run, &[1, 2, 3]).await;
    let rows: Vec<_> = claims.iter().map(|claim| new_seat(claim, FIRST)).collect();
    world.ledger.file_seats(run, &rows).await.unwrap();
    assert_eq!(world.ledger.journal_head().await.unwrap().0, from, "a wish is no change");
    let mut settled = seat_end(&claims[0], EntryState::Applied, Some(SeatState::Seated));
    if let End::Settle { codes, .. } = &mut settled.finish.end {
        *codes = "rollout-already-in".into();
    }
    let later = |claim: &Claim, after, attempt, seat| SeatFinish {
        finish: snooze(claim, after, attempt),
        seat,
        acts_after: NOW,
    };
    let ends = [
        settled,
        later(&claims[1], NOW, true, Some(SeatState::Refused)),
        later(&claims[2], LONG, false, None),
    ];
    assert_eq!(world.ledger.finish_seats(run, &ends).await.unwrap(), [1, 2, 3]);
    let rows = world.ledger.results(run, 0, 10).await.unwrap();
    let told: Vec<_> = rows.iter().map(|row| (row.state, row.outcome, row.codes.as_str())).collect();
    let waits = (EntryState::Waiting, None, "");
    assert_eq!(told, [(EntryState::Applied, Some(Outcome::Change), "rollout-already-in"), waits, waits]);
    assert_eq!(rows[0].result, Some(sealed("result 1")));
    assert_eq!(seat_of(&world, run, 1).await, seat(FIRST, SeatState::Seated));
    assert_eq!(seat_of(&world, run, 2).await, None, "it is over");
    assert_eq!(seat_of(&world, run, 3).await, seat(FIRST, SeatState::Asked), "nothing new is known");
    let lines = whole(&*world.ledger).await;
    assert_eq!(lines.len(), usize::try_from(from).unwrap() + 1, "one for all that ended together");
    let line = lines.last().unwrap();
    assert_eq!((line.run, line.what.as_str()), (Some(run.0), "changes"));
    let said: serde_json::Value = serde_json::from_str(&line.content).unwrap();
    assert_eq!(said, content(&[(1, "seated"), (2, "refused")]));
    let claims = world.claim(run, &[1, 2, 3]).await;
    assert_eq!(claims.len(), 1, "the third is not due");
    assert_eq!((claims[0].ordinal, claims[0].attempts, claims[0].snoozes), (2, 1, 1));
    assert!(world.ledger.next_due(run).await.unwrap().is_some_and(|due| due > NOW && due <= LONG));
    let unknown = seat_end(&claims[0], EntryState::Parked, None);
    world.ledger.finish_seats(run, &[unknown]).await.unwrap();
    let (head, _) = world.ledger.journal_head().await.unwrap();
    assert_eq!(head, line.no, "nothing is known, nothing is told");
    assert!(world.ledger.finish_seats(run, &[]).await.unwrap().is_empty());
}

async fn an_end_that_is_no_end_changes_nothing<L: Ledger>(world: World<L>) {
    moved(&world, "north", &[1]).await;
    let run = rollout(&world, "north", &[1, 2]).await;
    let claims = world.claim(run, &[1, 2]).await;
    let rows: Vec<_> = claims.iter().map(|claim| new_seat(claim, FIRST)).collect();
    world.ledger.file_seats(run, &rows).await.unwrap();
    let ends = [
        seat_end(&claims[0], EntryState::Applied, Some(SeatState::Seated)),
        seat_end(&claims[1], EntryState::Waiting, Some(SeatState::Seated)),
    ];
    let refused = world.ledger.finish_seats(run, &ends).await.unwrap_err();
    assert!(matches!(refused, Error::NotSettled { ordinal: 2, .. }), "{refused}");
    assert_eq!(world.state(run, 1).await, EntryState::Claimed);
    assert_eq!(seat_of(&world, run, 1).await, seat(FIRST, SeatState::Asked));
    assert_eq!(world.ledger.finish_seats(run, &ends[..1]).await.unwrap(), [1]);
}

async fn a_stale_claim_tells_nothing<L: Ledger>(world: World<L>) {
    moved(&world, "north", &[1]).await;
    let run = rollout(&world, "north", &[1, 2]).await;
    let stale = world.claim_briefly(run, 1).await;
    world.ledger.file_seats(run, &[new_seat(&stale, FIRST)]).await.unwrap();
    world.release(run).await;
    let fresh = world.claim_one(run, 1).await;
    let head = world.ledger.journal_head().await.unwrap();
    let late = seat_end(&stale, EntryState::Parked, Some(SeatState::Gone));
    let mut astray = seat_end(&fresh, EntryState::Parked, Some(SeatState::Gone));
    astray.finish.user = entra(2);
    assert!(world.ledger.finish_seats(run, &[late.clone(), astray]).await.unwrap().is_empty());
    assert_eq!(seat_of(&world, run, 1).await, seat(FIRST, SeatState::Asked));
    assert_eq!(world.state(run, 1).await, EntryState::Claimed);
    assert_eq!(world.ledger.journal_head().await.unwrap(), head);
    let known = seat_end(&fresh, EntryState::Applied, Some(SeatState::Seated));
    let again = seat_end(&fresh, EntryState::Parked, Some(SeatState::Left));
    assert_eq!(world.ledger.finish_seats(run, &[late.clone(), known, again]).await.unwrap(), [1]);
    assert_eq!(seat_of(&world, run, 1).await, seat(FIRST, SeatState::Seated), "what is said first and holds");
    assert_eq!(world.state(run, 1).await, EntryState::Applied);
    let line = whole(&*world.ledger).await.pop().unwrap();
    let said: serde_json::Value = serde_json::from_str(&line.content).unwrap();
    assert_eq!(said, content(&[(1, "seated")]));
    assert!(world.ledger.finish_seats(run, &[late]).await.unwrap().is_empty(), "it has ended");
}

/// It ends for its own run, and what it saw is older than what the holder knows.
async fn a_claim_whose_user_was_given_away_tells_nothing<L: Ledger>(world: World<L>) {
    moved(&world, "north", &[1]).await;
    let run = rollout(&world, "north", &[1]).await;
    let left = world.claim_briefly(run, 1).await;
    world.ledger.file_seats(run, &[new_seat(&left, FIRST)]).await.unwrap();
    let remove = frozen(&world, RunKind::RolloutRemove, "north").await;
    let claim = world.claim_one(remove, 1).await;
    assert_eq!(world.ledger.file_seats(remove, &[new_seat(&claim, FIRST)]).await.unwrap(), [1]);
    let head = world.ledger.journal_head().await.unwrap();
    let end = seat_end(&left, EntryState::Applied, Some(SeatState::Seated));
    assert_eq!(world.ledger.finish_seats(run, &[end]).await.unwrap(), [1]);
    assert_eq!(world.state(run, 1).await, EntryState::Applied);
    assert_eq!(seat_of(&world, remove, 1).await, seat(FIRST, SeatState::Leaving));
    assert_eq!(world.ledger.journal_head().await.unwrap(), head);
    let end = seat_end(&claim, EntryState::Reverted, Some(SeatState::Left));
    assert_eq!(world.ledger.finish_seats(remove, &[end]).await.unwrap(), [1]);
    assert_eq!(seat_of(&world, remove, 1).await, None);
}

async fn routing_changes_nothing_of_the_methods<L: Ledger>(world: World<L>) {
    let migrate = world.run(RunKind::Migrate, "north").await;
    world.migrate_one(migrate, 1, IntentOutcome::Applied).await;
    let doubtful = world.claim_briefly(migrate, 2).await;
    let row = intent(&doubtful, "mobile", Some("before"), Some("ours"));
    world.ledger.file_intents(migrate, &[row]).await.unwrap();
    world.ledger.set_run_state(migrate, RunState::Superseded).await.unwrap();
    let known = async || {
        let mut all = Vec::new();
        for ordinal in [1, 2] {
            let key = contract::UserKey(print("user", ordinal));
            let history = world.ledger.user_history(key).await.unwrap();
            let before: Vec<_> =
                history.pre_images.iter().map(|(_, p)| (p.slot.clone(), p.value.clone())).collect();
            let begun: Vec<_> =
                history.intents.iter().map(|(_, i)| (i.run, i.slot.clone(), i.outcome)).collect();
            let applied = world.ledger.applied_fingerprint(&entra(ordinal)).await.unwrap();
            all.push((before, begun, applied));
        }
        all
    };
    let before = known().await;
    assert!(before[0].2.is_some());
    let run = rollout(&world, "north", &[1, 2]).await;
    let claims = world.claim(run, &[1, 2]).await;
    let rows: Vec<_> = claims.iter().map(|claim| new_seat(claim, FIRST)).collect();
    assert_eq!(world.ledger.file_seats(run, &rows).await.unwrap(), [1, 2]);
    let head = world.ledger.journal_head().await.unwrap();
    let ends: Vec<_> = [None, Some(print("other", 1))]
        .into_iter()
        .zip(&claims)
        .map(|(print_of, claim)| {
            let mut finish = settle(claim, EntryState::Applied, &[("mobile", IntentOutcome::Failed)]);
            if let End::Settle { applied, secrets, .. } = &mut finish.end {
                *applied = print_of;
                secrets.push((print("secret", 1), sealed("serial")));
            }
            SeatFinish { finish, seat: None, acts_after: NOW }
        })
        .collect();
    assert_eq!(world.ledger.finish_seats(run, &ends).await.unwrap(), [1, 2]);
    assert_eq!(known().await, before);
    assert_eq!(world.ledger.journal_head().await.unwrap(), head, "its outcomes are not looked at");
    let remove = frozen(&world, RunKind::RolloutRemove, "north").await;
    let claim = world.claim_one(remove, 1).await;
    let end = seat_end(&claim, EntryState::Reverted, Some(SeatState::Left));
    world.ledger.finish_seats(remove, &[end]).await.unwrap();
    assert_eq!(known().await, before, "nor does the way out");
    let again = world.run(RunKind::Migrate, "north").await;
    let claims = world.claim(again, &[1, 2]).await;
    assert!(claims.iter().all(|claim| claim.secrets.is_empty() && claim.pre_images.len() == 1));
}
