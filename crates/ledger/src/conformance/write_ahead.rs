//! Write-ahead: a pre-image stands once and for all, an intent starts anew, a stale epoch files nothing.

use super::fixture::{World, entra, intent, sealed, settle, snooze};
use crate::Ledger;
use contract::{EntryState, IntentOutcome, RunKind};
use std::time::Duration;

pub(super) async fn check<L: Ledger>(fresh: &impl AsyncFn() -> L) {
    a_pre_image_is_never_overwritten(World::of(fresh().await, 1).await).await;
    an_intent_filed_again_has_no_outcome(World::of(fresh().await, 1).await).await;
    a_stale_epoch_files_nothing(World::of(fresh().await, 3).await).await;
    a_rollback_settles_the_pre_image(World::of(fresh().await, 1).await).await;
    earlier_intents_get_their_outcome(World::of(fresh().await, 1).await).await;
}

async fn a_pre_image_is_never_overwritten<L: Ledger>(world: World<L>) {
    let first = world.run(RunKind::Migrate, "north").await;
    let claim = world.claim_one(first, 1).await;
    let rows = [
        intent(&claim, "mobile", Some("theirs"), Some("ours")),
        intent(&claim, "office", None, Some("ours")),
    ];
    assert_eq!(world.ledger.file_intents(first, &rows).await.unwrap(), [1]);
    let again = [
        intent(&claim, "mobile", Some("ours"), Some("ours")),
        intent(&claim, "office", Some("ours"), Some("x")),
    ];
    world.ledger.file_intents(first, &again).await.unwrap();
    world
        .ledger
        .finish(first, &[settle(&claim, EntryState::Applied, &[("mobile", IntentOutcome::Applied)])])
        .await
        .unwrap();
    world.ledger.set_run_state(first, contract::RunState::Done).await.unwrap();
    let second = world.run(RunKind::Migrate, "north").await;
    assert_ne!(first, second);
    let claim = world.claim_one(second, 1).await;
    world
        .ledger
        .file_intents(second, &[intent(&claim, "mobile", Some("ours"), Some("newer"))])
        .await
        .unwrap();
    let history = world.ledger.user_history(claim.user_key).await.unwrap();
    let pre_images: Vec<_> = history
        .pre_images
        .iter()
        .map(|(u, p)| (u.clone(), p.slot.as_str(), p.value.clone(), p.run))
        .collect();
    assert_eq!(
        pre_images,
        [(entra(1), "mobile", Some(sealed("theirs")), first), (entra(1), "office", None, first)]
    );
    let told: Vec<_> = claim.pre_images.iter().map(|p| (p.slot.as_str(), p.value.clone())).collect();
    assert_eq!(told, [("mobile", Some(sealed("theirs"))), ("office", None)]);
}

async fn an_intent_filed_again_has_no_outcome<L: Ledger>(world: World<L>) {
    let run = world.run(RunKind::Migrate, "north").await;
    let claim = world.claim_one(run, 1).await;
    world
        .ledger
        .file_intents(
            run,
            &[intent(&claim, "mobile", None, Some("one")), intent(&claim, "office", None, None)],
        )
        .await
        .unwrap();
    let mut end = snooze(&claim, Duration::ZERO, true);
    end.outcomes = settle(&claim, EntryState::Applied, &[("mobile", IntentOutcome::NotSent)]).outcomes;
    world.ledger.finish(run, &[end]).await.unwrap();
    let claim = world.claim_one(run, 1).await;
    let seen: Vec<_> = claim.intents.iter().map(|i| (i.slot.as_str(), i.to.clone(), i.outcome)).collect();
    let expected = [("mobile", Some(sealed("one")), Some(IntentOutcome::NotSent)), ("office", None, None)];
    assert_eq!(seen, expected, "slots that are not named keep what they have");
    world.ledger.file_intents(run, &[intent(&claim, "mobile", None, Some("two"))]).await.unwrap();
    let history = world.ledger.user_history(claim.user_key).await.unwrap();
    let mobile: Vec<_> = history.intents.iter().filter(|(_, i)| i.slot == "mobile").collect();
    assert_eq!(mobile.len(), 1);
    assert_eq!((mobile[0].1.to.clone(), mobile[0].1.outcome), (Some(sealed("two")), None));
}

async fn a_stale_epoch_files_nothing<L: Ledger>(world: World<L>) {
    let run = world.run(RunKind::Migrate, "north").await;
    let stale = world.claim_briefly(run, 1).await;
    world.release(run).await;
    let current = world.claim_one(run, 1).await;
    let other = world.claim_one(run, 2).await;
    let rows = [
        intent(&stale, "mobile", Some("wrong"), Some("wrong")),
        intent(&other, "mobile", Some("right"), Some("ours")),
        intent(&other, "office", None, Some("ours")),
    ];
    assert_eq!(world.ledger.file_intents(run, &rows).await.unwrap(), [2]);
    let history = world.ledger.user_history(stale.user_key).await.unwrap();
    assert!(history.pre_images.is_empty() && history.intents.is_empty());
    assert_eq!(world.ledger.user_history(other.user_key).await.unwrap().intents.len(), 2);
    let mut somebody = intent(&current, "mobile", None, Some("x"));
    somebody.user = entra(3);
    assert!(
        world.ledger.file_intents(run, &[somebody]).await.unwrap().is_empty(),
        "the claim is on another user"
    );
    let mixed = [intent(&current, "mobile", None, Some("x")), intent(&stale, "office", None, Some("x"))];
    assert!(world.ledger.file_intents(run, &mixed).await.unwrap().is_empty(), "all or nothing per entry");
    assert!(world.ledger.user_history(stale.user_key).await.unwrap().intents.is_empty());
}

async fn a_rollback_settles_the_pre_image<L: Ledger>(world: World<L>) {
    let migrate = world.run(RunKind::Migrate, "north").await;
    world.migrate_one(migrate, 1, IntentOutcome::Applied).await;
    world.ledger.set_run_state(migrate, contract::RunState::Done).await.unwrap();
    let back = world.run(RunKind::Rollback, "north").await;
    let claim = world.claim_one(back, 1).await;
    assert_eq!(claim.ours, [("mobile".to_owned(), Some(sealed("ours")))]);
    world.ledger.file_intents(back, &[intent(&claim, "mobile", Some("ours"), None)]).await.unwrap();
    let mut end = settle(&claim, EntryState::Reverted, &[("mobile", IntentOutcome::Applied)]);
    if let crate::End::Settle { applied, .. } = &mut end.end {
        *applied = None;
    }
    world.ledger.finish(back, &[end]).await.unwrap();
    assert_eq!(world.ledger.applied_fingerprint(&claim.user).await.unwrap(), None, "it stands no more");
    world.ledger.set_run_state(back, contract::RunState::Done).await.unwrap();
    let next = world.run(RunKind::Migrate, "north").await;
    let claim = world.claim_one(next, 1).await;
    assert!(claim.ours.is_empty() && claim.pre_images.is_empty(), "nothing there is ours any more");
    world.ledger.file_intents(next, &[intent(&claim, "mobile", Some("later"), Some("ours"))]).await.unwrap();
    let history = world.ledger.user_history(claim.user_key).await.unwrap();
    assert_eq!(history.pre_images.len(), 1);
    assert_eq!(
        (history.pre_images[0].1.value.clone(), history.pre_images[0].1.run),
        (Some(sealed("later")), next)
    );
}

async fn earlier_intents_get_their_outcome<L: Ledger>(world: World<L>) {
    let first = world.run(RunKind::Migrate, "north").await;
    let claim = world.claim_briefly(first, 1).await;
    let rows = ["mobile", "office", "default"].map(|slot| intent(&claim, slot, None, Some("ours")));
    world.ledger.file_intents(first, &rows).await.unwrap();
    let mut spec = world.spec(RunKind::Migrate, "north");
    spec.policy_hash = "another".into();
    let second = world.run_of(&spec).await;
    let claim = world.claim_one(second, 1).await;
    assert_eq!(claim.intents.len(), 3, "intents of any run without an outcome");
    assert!(claim.ours.is_empty(), "maybe is not known");
    world.ledger.file_intents(second, &[intent(&claim, "default", None, Some("ours"))]).await.unwrap();
    let outcomes = [
        ("mobile", IntentOutcome::Applied),
        ("office", IntentOutcome::NotSent),
        ("default", IntentOutcome::NotSent),
    ];
    world.ledger.finish(second, &[settle(&claim, EntryState::Applied, &outcomes)]).await.unwrap();
    let history = world.ledger.user_history(claim.user_key).await.unwrap();
    let mut of_first: Vec<_> = history
        .intents
        .iter()
        .filter(|(_, i)| i.run == first)
        .map(|(_, i)| (i.slot.as_str(), i.outcome))
        .collect();
    of_first.sort_unstable();
    let expected = [
        ("default", None),
        ("mobile", Some(IntentOutcome::Applied)),
        ("office", Some(IntentOutcome::NotSent)),
    ];
    assert_eq!(of_first, expected, "that our request never left says nothing of an earlier one");
}
