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
    it_is_told_whether_something_of_ours_may_have_landed(World::of(fresh().await, 1).await).await;
    a_pre_image_gives_way_where_it_is_said(World::of(fresh().await, 1).await).await;
}

/// Whether something of ours may have landed, by slot.
fn landed(claim: &crate::Claim) -> Vec<(&str, bool)> {
    claim.pre_images.iter().map(|image| (image.slot.as_str(), image.maybe_landed)).collect()
}

async fn it_is_told_whether_something_of_ours_may_have_landed<L: Ledger>(world: World<L>) {
    let run = world.run(RunKind::Migrate, "north").await;
    let claim = world.claim_one(run, 1).await;
    assert!(claim.pre_images.is_empty());
    let slots = [
        ("alternateMobile", IntentOutcome::NotSent),
        ("hardwareOath:1", IntentOutcome::Refused),
        ("hardwareOath:2", IntentOutcome::NotSent),
        ("mobile", IntentOutcome::Failed),
        ("office", IntentOutcome::Refused),
    ];
    let rows = slots.map(|(slot, _)| intent(&claim, slot, None, Some("ours")));
    world.ledger.file_intents(run, &rows).await.unwrap();
    let mut end = snooze(&claim, Duration::ZERO, false);
    end.outcomes = settle(&claim, EntryState::Applied, &slots).outcomes;
    world.ledger.finish(run, &[end]).await.unwrap();
    let claim = world.claim_one(run, 1).await;
    let expected = [
        ("alternateMobile", false),
        ("hardwareOath:1", true),
        ("hardwareOath:2", false),
        ("mobile", true),
        ("office", false),
    ];
    assert_eq!(landed(&claim), expected, "a refused token may be its code alone, a failure may be late");
    // Filed again and not sent: what the first one did is not forgotten.
    let again = ["mobile", "office"].map(|slot| intent(&claim, slot, None, Some("ours")));
    world.ledger.file_intents(run, &again).await.unwrap();
    let mut end = snooze(&claim, Duration::ZERO, false);
    let not_sent = [("mobile", IntentOutcome::NotSent), ("office", IntentOutcome::NotSent)];
    end.outcomes = settle(&claim, EntryState::Applied, &not_sent).outcomes;
    world.ledger.finish(run, &[end]).await.unwrap();
    assert_eq!(landed(&world.claim_one(run, 1).await), expected);
}

async fn a_pre_image_gives_way_where_it_is_said<L: Ledger>(world: World<L>) {
    let run = world.run(RunKind::Migrate, "north").await;
    let claim = world.claim_one(run, 1).await;
    let first = ["mobile", "office"].map(|slot| intent(&claim, slot, Some("old"), Some("ours")));
    world.ledger.file_intents(run, &first).await.unwrap();
    let mut mobile = intent(&claim, "mobile", Some("new"), Some("ours"));
    mobile.afresh = true;
    let rows = [mobile, intent(&claim, "office", Some("new"), Some("ours"))];
    world.ledger.file_intents(run, &rows).await.unwrap();
    let mut stale = intent(&claim, "office", Some("stale"), Some("ours"));
    (stale.afresh, stale.epoch) = (true, stale.epoch - 1);
    assert!(world.ledger.file_intents(run, &[stale]).await.unwrap().is_empty());
    let history = world.ledger.user_history(claim.user_key).await.unwrap();
    let standing: Vec<_> =
        history.pre_images.iter().map(|(_, p)| (p.slot.as_str(), p.value.clone())).collect();
    assert_eq!(standing, [("mobile", Some(sealed("new"))), ("office", Some(sealed("old")))]);
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
