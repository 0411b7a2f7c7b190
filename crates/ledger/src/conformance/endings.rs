//! The ends of claims: settled stays settled, and a stale epoch touches nothing at all.

use super::fixture::{World, entra, intent, print, sealed, settle, snooze};
use crate::{Claim, End, Error, Finish, Ledger};
use contract::{EntryState, IntentOutcome, Outcome, RunId, RunKind};
use std::time::Duration;

pub(super) async fn check<L: Ledger>(fresh: &impl AsyncFn() -> L) {
    settled_stays_settled(World::of(fresh().await, 1).await).await;
    a_stale_epoch_touches_nothing(World::of(fresh().await, 1).await).await;
    what_was_written_is_remembered(World::of(fresh().await, 1).await).await;
    a_settled_state_is_asked_for(World::of(fresh().await, 1).await).await;
    a_late_end_leaves_the_next_holder_alone(World::of(fresh().await, 2).await).await;
    a_late_rollback_leaves_the_next_holder_alone(World::of(fresh().await, 1).await).await;
    many_end_at_once(World::of(fresh().await, 1200).await).await;
}

async fn settled_stays_settled<L: Ledger>(world: World<L>) {
    let run = world.run(RunKind::Migrate, "north").await;
    let claim = world.migrate_one(run, 1, IntentOutcome::Applied).await;
    let row = world.ledger.results(run, 0, 1).await.unwrap().remove(0);
    assert_eq!(
        (row.state, row.outcome, row.result.clone()),
        (EntryState::Applied, Some(Outcome::Change), Some(sealed("result 1")))
    );
    assert!(row.settled_at_ms.is_some());
    for end in [
        settle(&claim, EntryState::Parked, &[("mobile", IntentOutcome::Drifted)]),
        snooze(&claim, Duration::ZERO, true),
    ] {
        assert!(world.ledger.finish(run, &[end]).await.unwrap().is_empty());
    }
    assert!(world.claim(run, &[1]).await.is_empty());
    assert!(
        world.ledger.file_intents(run, &[intent(&claim, "mobile", None, None)]).await.unwrap().is_empty()
    );
    world.ledger.lead("north").await.unwrap();
    assert_eq!(world.ledger.settle_unchanged(run, &[1], "unchanged-since-last").await.unwrap(), 0);
    assert_eq!(world.release(run).await, (vec![], 0));
    let after = world.ledger.results(run, 0, 1).await.unwrap().remove(0);
    assert_eq!((after.state, after.codes, after.settled_at_ms), (row.state, row.codes, row.settled_at_ms));
    let history = world.ledger.user_history(claim.user_key).await.unwrap();
    assert_eq!(history.intents[0].1.outcome, Some(IntentOutcome::Applied));
}

async fn a_stale_epoch_touches_nothing<L: Ledger>(world: World<L>) {
    let run = world.run(RunKind::Migrate, "north").await;
    let stale = world.claim_briefly(run, 1).await;
    world.ledger.file_intents(run, &[intent(&stale, "mobile", None, Some("ours"))]).await.unwrap();
    world.release(run).await;
    let current = world.claim_one(run, 1).await;
    let mut end = settle(&stale, EntryState::Applied, &[("mobile", IntentOutcome::Refused)]);
    if let End::Settle { secrets, .. } = &mut end.end {
        secrets.push((print("secret", 1), sealed("serial")));
    }
    assert!(world.ledger.finish(run, &[end, snooze(&stale, Duration::ZERO, true)]).await.unwrap().is_empty());
    assert_eq!(world.state(run, 1).await, EntryState::Claimed);
    assert_eq!(world.ledger.applied_fingerprint(&stale.user).await.unwrap(), None);
    let history = world.ledger.user_history(stale.user_key).await.unwrap();
    assert_eq!(history.intents[0].1.outcome, None);
    world.ledger.finish(run, &[snooze(&current, Duration::ZERO, false)]).await.unwrap();
    let next = world.claim_one(run, 1).await;
    assert!(next.secrets.is_empty());
    assert_eq!((next.snoozes, next.attempts), (1, 1), "one snooze, and the crash of the first claim");
}

async fn what_was_written_is_remembered<L: Ledger>(world: World<L>) {
    let first = world.run(RunKind::Migrate, "north").await;
    let claim = world.claim_one(first, 1).await;
    world
        .ledger
        .file_intents(
            first,
            &[intent(&claim, "mobile", None, Some("one")), intent(&claim, "office", None, Some("one"))],
        )
        .await
        .unwrap();
    let outcomes = [("mobile", IntentOutcome::Applied), ("office", IntentOutcome::Refused)];
    let mut end = settle(&claim, EntryState::Applied, &outcomes);
    if let End::Settle { secrets, applied, .. } = &mut end.end {
        secrets.push((print("secret", 1), sealed("serial")));
        *applied = Some(print("applied", 1));
    }
    world.ledger.finish(first, &[end]).await.unwrap();
    assert_eq!(world.ledger.applied_fingerprint(&entra(1)).await.unwrap(), Some(print("applied", 1)));
    assert_eq!(world.ledger.applied_fingerprint(&entra(2)).await.unwrap(), None);
    world.ledger.set_run_state(first, contract::RunState::Done).await.unwrap();
    let second = world.run(RunKind::Migrate, "north").await;
    let claim = world.claim_one(second, 1).await;
    assert_eq!(claim.ours, [("mobile".to_owned(), Some(sealed("one")))], "refused is not ours");
    assert_eq!(claim.secrets, [(print("secret", 1), sealed("serial"))]);
    let known: Vec<_> = claim.intents.iter().map(|i| (i.run, i.slot.as_str(), i.outcome)).collect();
    assert_eq!(known, [(first, "mobile", Some(IntentOutcome::Applied))], "what is ours, and nothing is open");
    world.ledger.file_intents(second, &[intent(&claim, "mobile", None, Some("two"))]).await.unwrap();
    let mut end = settle(&claim, EntryState::Parked, &[("mobile", IntentOutcome::NotSent)]);
    if let End::Settle { applied, .. } = &mut end.end {
        *applied = None;
    }
    world.ledger.finish(second, &[end]).await.unwrap();
    assert_eq!(world.ledger.applied_fingerprint(&entra(1)).await.unwrap(), None);
    world.ledger.set_run_state(second, contract::RunState::Done).await.unwrap();
    let third = world.run(RunKind::Migrate, "north").await;
    let claim = world.claim_one(third, 1).await;
    assert_eq!(claim.ours, [("mobile".to_owned(), Some(sealed("one")))], "what never left changes nothing");
}

/// The spec of the run that supersedes another one.
fn next<L: Ledger>(world: &World<L>) -> crate::RunSpec {
    crate::RunSpec { policy_hash: "another".into(), ..world.spec(RunKind::Migrate, "north") }
}

/// The end of a claim that wrote a secret of its own.
fn with_secret(claim: &Claim, outcome: IntentOutcome, word: &str) -> Finish {
    let mut end = settle(claim, EntryState::Applied, &[("mobile", outcome)]);
    if let End::Settle { secrets, applied, .. } = &mut end.end {
        secrets.push((print("secret", claim.ordinal), sealed(word)));
        *applied = Some(print(word, claim.ordinal));
    }
    end
}

/// What became of a user's intents, by run.
async fn outcomes<L: Ledger>(world: &World<L>, claim: &Claim) -> Vec<(RunId, Option<IntentOutcome>)> {
    let history = world.ledger.user_history(claim.user_key).await.unwrap();
    history.intents.iter().map(|(_, intent)| (intent.run, intent.outcome)).collect()
}

/// Its lease was over when its run was superseded, so the user was free, and somebody else's since.
async fn a_late_end_leaves_the_next_holder_alone<L: Ledger>(world: World<L>) {
    let first = world.run(RunKind::Migrate, "north").await;
    let late = world.claim_briefly(first, 1).await;
    let in_time = world.claim_one(first, 2).await;
    let intents = [&late, &in_time].map(|claim| intent(claim, "mobile", None, Some("first")));
    world.ledger.file_intents(first, &intents).await.unwrap();
    let second = world.run_of(&next(&world)).await;
    let claim = world.claim_one(second, 1).await;
    assert!(world.claim(second, &[2]).await.is_empty(), "its lease still runs");
    world.ledger.file_intents(second, &[intent(&claim, "mobile", None, Some("second"))]).await.unwrap();
    let told = world.ledger.finish(second, &[with_secret(&claim, IntentOutcome::Applied, "second")]).await;
    assert_eq!(told.unwrap(), [1]);
    let known = outcomes(&world, &late).await;
    // Both at once: what is true of the one says nothing about the other.
    let ends = [&late, &in_time].map(|claim| with_secret(claim, IntentOutcome::Refused, "first"));
    assert_eq!(world.ledger.finish(first, &ends).await.unwrap(), [1, 2], "their own entries they end");
    assert_eq!(outcomes(&world, &late).await, known);
    let applied = world.ledger.applied_fingerprint(&late.user).await.unwrap();
    assert_eq!(applied, Some(print("second", 1)), "what the holder wrote stands");
    let applied = world.ledger.applied_fingerprint(&in_time.user).await.unwrap();
    assert_eq!(applied, Some(print("first", 2)), "who held its user to the end is believed");
    world.ledger.release(second, 0, None, Duration::ZERO).await.unwrap();
    let free = world.claim_one(second, 2).await;
    assert_eq!(free.secrets, [(print("secret", 2), sealed("first"))]);
    world.ledger.finish(second, &[settle(&free, EntryState::Applied, &[])]).await.unwrap();
    world.ledger.set_run_state(second, contract::RunState::Done).await.unwrap();
    let third = world.run(RunKind::Migrate, "north").await;
    let claim = world.claim_one(third, 1).await;
    assert_eq!(claim.secrets, [(print("secret", 1), sealed("second"))]);
    assert_eq!(claim.ours, [("mobile".to_owned(), Some(sealed("second")))]);
}

async fn a_late_rollback_leaves_the_next_holder_alone<L: Ledger>(world: World<L>) {
    let first = world.run(RunKind::Migrate, "north").await;
    let claim = world.claim_one(first, 1).await;
    world.ledger.file_intents(first, &[intent(&claim, "mobile", Some("before"), Some("one"))]).await.unwrap();
    let end = settle(&claim, EntryState::Applied, &[("mobile", IntentOutcome::Applied)]);
    world.ledger.finish(first, &[end]).await.unwrap();
    world.ledger.set_run_state(first, contract::RunState::Done).await.unwrap();
    let back = world.run(RunKind::Rollback, "north").await;
    let late = world.claim_briefly(back, 1).await;
    let second = world.run_of(&next(&world)).await;
    let held = world.claim_one(second, 1).await;
    assert_eq!(held.pre_images.len(), 1);
    let end = settle(&late, EntryState::Reverted, &[("mobile", IntentOutcome::Applied)]);
    assert_eq!(world.ledger.finish(back, &[end]).await.unwrap(), [1]);
    world.ledger.finish(second, &[snooze(&held, Duration::ZERO, false)]).await.unwrap();
    let held = world.claim_one(second, 1).await;
    assert_eq!(held.pre_images.len(), 1, "the value before still stands for the one who writes now");
    assert_eq!(held.ours, [("mobile".to_owned(), Some(sealed("one")))]);
}

async fn a_settled_state_is_asked_for<L: Ledger>(world: World<L>) {
    let run = world.run(RunKind::Migrate, "north").await;
    let claim = world.claim_one(run, 1).await;
    let refused = world.ledger.finish(run, &[settle(&claim, EntryState::Waiting, &[])]).await;
    assert!(matches!(refused, Err(Error::NotSettled { ordinal: 1, .. })));
    assert_eq!(world.state(run, 1).await, EntryState::Claimed);
}

async fn many_end_at_once<L: Ledger>(world: World<L>) {
    let run = world.run(RunKind::Migrate, "north").await;
    let all: Vec<i64> = (1..=1200).collect();
    let claims = world.claim(run, &all).await;
    assert_eq!(claims.len(), 1200);
    let intents: Vec<_> = claims.iter().map(|claim| intent(claim, "mobile", None, Some("ours"))).collect();
    assert_eq!(world.ledger.file_intents(run, &intents).await.unwrap(), all);
    let ends: Vec<_> = claims
        .iter()
        .map(|claim| settle(claim, EntryState::Applied, &[("mobile", IntentOutcome::Applied)]))
        .collect();
    assert_eq!(world.ledger.finish(run, &ends).await.unwrap(), all);
    assert_eq!(world.ledger.counts(run).await.unwrap()[&EntryState::Applied], 1200);
}
