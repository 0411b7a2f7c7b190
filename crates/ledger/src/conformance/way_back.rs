//! The way back: whom a rollback or a verification looks at, what it is told of them, and what it leaves behind.

use super::fixture::{World, entra, intent, make_batch, manifest, print, record, sealed, settle};
use crate::{Claim, End, Event, Ledger, RunSpec, SlotOutcome};
use contract::{EntryState, IntentOutcome, RunId, RunKind, RunState, Sealed, SnapshotId, UserKey};

pub(super) async fn check<L: Ledger>(fresh: &impl AsyncFn() -> L) {
    those_who_were_touched_wait(World::of(fresh().await, 4).await).await;
    whoever_left_the_datafile_is_taken_back_too(World::of(fresh().await, 3).await).await;
    a_batch_takes_back_its_own(World::of(fresh().await, 3).await).await;
    only_what_was_applied_is_ours(World::of(fresh().await, 1).await).await;
    taken_back_is_forgotten(World::of(fresh().await, 1).await).await;
    a_conflict_settles_what_was_restored(World::of(fresh().await, 1).await).await;
    forgotten_users_are_asked_for_again(World::of(fresh().await, 2).await).await;
    what_was_written_under_an_earlier_match_is_taken_back_too(World::of(fresh().await, 2).await).await;
    what_was_taken_back_without_a_write_is_no_longer_ours(World::of(fresh().await, 1).await).await;
    a_run_that_was_opened_earlier_may_write_later(World::of(fresh().await, 1).await).await;
    what_an_earlier_run_began_later_may_have_landed(World::of(fresh().await, 1).await).await;
}

/// A migration in which this record is this Entra user, whatever it was before.
pub(super) async fn migrate_as<L: Ledger>(
    world: &World<L>,
    batch: &str,
    ordinal: i64,
    target: i64,
    policy: &str,
) -> RunId {
    let spec = RunSpec { policy_hash: policy.into(), ..world.spec(RunKind::Migrate, batch) };
    let run = world.ledger.open_run(&spec).await.unwrap().run.id;
    let row = crate::DirectoryRow { user: entra(target), ..super::fixture::user(ordinal) };
    world.ledger.file_directory_page(run, &[row], None).await.unwrap();
    world.ledger.match_users(run, &[contract::Match::Upn], false).await.unwrap();
    world.migrate_one(run, ordinal, IntentOutcome::Applied).await;
    world.ledger.set_run_state(run, RunState::Superseded).await.unwrap();
    run
}

async fn what_was_written_under_an_earlier_match_is_taken_back_too<L: Ledger>(world: World<L>) {
    make_batch(&*world.ledger, &world.snapshot, "first", &[record(1)]).await;
    make_batch(&*world.ledger, &world.snapshot, "second", &[record(2)]).await;
    migrate_as(&world, "first", 1, 70, "a").await;
    migrate_as(&world, "first", 1, 71, "b").await;
    migrate_as(&world, "first", 1, 72, "c").await;
    // The Entra user in the middle is the other user's by now.
    migrate_as(&world, "second", 2, 71, "d").await;
    let back = touched(&world, RunKind::Rollback, "first").await;
    let rows = world.ledger.results(back, i64::MIN, 10).await.unwrap();
    let told: Vec<_> = rows.iter().map(|row| (row.ordinal > 0, row.user.clone(), row.state)).collect();
    let waits = |number| (number == 72, Some(entra(number)), EntryState::Waiting);
    assert_eq!(told, [waits(70), waits(72)], "both, and not what belongs to another");
    assert_eq!(rows[1].ordinal, 1);
    let ordinals: Vec<_> = rows.iter().map(|row| row.ordinal).collect();
    assert_eq!(world.release(back).await.0, ordinals);
    for claim in world.claim(back, &ordinals).await {
        assert_eq!(claim.ours.len(), 1);
        world.ledger.finish(back, &[settle(&claim, EntryState::Reverted, &[])]).await.unwrap();
    }
    world.ledger.set_run_state(back, RunState::Done).await.unwrap();
    let again = touched(&world, RunKind::Rollback, "first").await;
    let rows = world.ledger.results(again, i64::MIN, 10).await.unwrap();
    let told: Vec<_> = rows.iter().map(|row| (row.ordinal, row.state)).collect();
    assert_eq!(told, [(1, EntryState::Unchanged)]);
    let other = touched(&world, RunKind::Rollback, "second").await;
    let rows = world.ledger.results(other, i64::MIN, 10).await.unwrap();
    let told: Vec<_> = rows.iter().map(|row| (row.ordinal, row.user.clone(), row.state)).collect();
    assert_eq!(told, [(2, Some(entra(71)), EntryState::Waiting)]);
}

async fn what_was_taken_back_without_a_write_is_no_longer_ours<L: Ledger>(world: World<L>) {
    migrate(&world, &["mobile"], Some("before")).await;
    let back = touched(&world, RunKind::Rollback, "north").await;
    let claim = world.claim_one(back, 1).await;
    world.ledger.finish(back, &[end_of(&claim, EntryState::Reverted, &[], &[])]).await.unwrap();
    world.ledger.set_run_state(back, RunState::Done).await.unwrap();
    let run = world.run(RunKind::Migrate, "north").await;
    let claim = world.claim_briefly(run, 1).await;
    assert!(claim.ours.is_empty() && claim.intents.is_empty());
    let newer = intent(&claim, "mobile", Some("before"), Some("newer"));
    world.ledger.file_intents(run, &[newer]).await.unwrap();
    world.release(run).await;
    let claim = world.claim_one(run, 1).await;
    assert!(claim.ours.is_empty(), "what was written before the pre-image that stands is not ours");
    assert_eq!(claim.intents.len(), 1);
}

/// Goes on until the ledger's clock does.
pub(super) async fn until_later<L: Ledger>(world: &World<L>) {
    let mut first = None;
    loop {
        let event = Event {
            at_ms: 0,
            by: "conformance".into(),
            batch: "north".into(),
            run: None,
            what: "looked".into(),
            why: String::new(),
        };
        world.ledger.record_event(&event).await.unwrap();
        let at_ms = world.ledger.events(Some("north"), 1).await.unwrap()[0].at_ms;
        if *first.get_or_insert(at_ms) < at_ms {
            return;
        }
    }
}

/// Two runs over the same user; the one with the higher number writes first.
async fn overtaken<L: Ledger>(world: &World<L>, first: IntentOutcome) -> (RunId, Claim) {
    let lower = world.run(RunKind::Migrate, "north").await;
    let higher = world.run(RunKind::Migrate, "south").await;
    assert!(lower < higher);
    let claim = world.claim_one(higher, 1).await;
    let row = intent(&claim, "mobile", Some("before"), Some("higher"));
    world.ledger.file_intents(higher, &[row]).await.unwrap();
    let end = settle(&claim, EntryState::Applied, &[("mobile", first)]);
    world.ledger.finish(higher, &[end]).await.unwrap();
    world.ledger.set_run_state(higher, RunState::Done).await.unwrap();
    until_later(world).await;
    let claim = world.claim_briefly(lower, 1).await;
    let row = intent(&claim, "mobile", Some("higher"), Some("lower"));
    world.ledger.file_intents(lower, &[row]).await.unwrap();
    (lower, claim)
}

async fn a_run_that_was_opened_earlier_may_write_later<L: Ledger>(world: World<L>) {
    let (lower, claim) = overtaken(&world, IntentOutcome::Applied).await;
    let end = settle(&claim, EntryState::Applied, &[("mobile", IntentOutcome::Applied)]);
    world.ledger.finish(lower, &[end]).await.unwrap();
    world.ledger.set_run_state(lower, RunState::Done).await.unwrap();
    let back = touched(&world, RunKind::Rollback, "north").await;
    let claim = world.claim_one(back, 1).await;
    assert_eq!(claim.ours, [("mobile".to_owned(), Some(sealed("lower")))], "it stands there by now");
    let before: Vec<_> = claim.pre_images.iter().map(|p| (p.value.clone(), p.maybe_landed)).collect();
    assert_eq!(before, [(Some(sealed("before")), true)]);
}

async fn what_an_earlier_run_began_later_may_have_landed<L: Ledger>(world: World<L>) {
    let (lower, _) = overtaken(&world, IntentOutcome::NotSent).await;
    world.ledger.set_run_state(lower, RunState::Superseded).await.unwrap();
    let back = touched(&world, RunKind::Rollback, "north").await;
    let claim = world.claim_one(back, 1).await;
    assert!(claim.pre_images.iter().all(|p| p.maybe_landed), "the later write has no outcome");
    let open: Vec<_> = claim.intents.iter().filter(|i| i.outcome.is_none()).map(|i| i.run).collect();
    assert_eq!(open, [lower]);
}

/// A run over those who were touched.
pub(super) async fn touched<L: Ledger>(world: &World<L>, kind: RunKind, batch: &str) -> RunId {
    let run = world.ledger.open_run(&world.spec(kind, batch)).await.unwrap().run.id;
    world.ledger.freeze_touched(run).await.unwrap();
    run
}

/// What is to be remembered is nothing, but for the secrets.
fn end_of(
    claim: &Claim,
    state: EntryState,
    outcomes: &[(&str, IntentOutcome)],
    serials: &[i64],
) -> crate::Finish {
    let mut end = settle(claim, state, outcomes);
    if let End::Settle { secrets, .. } = &mut end.end {
        secrets.extend(serials.iter().map(|serial| (print("secret", *serial), sealed("serial"))));
    }
    end
}

/// Migrates these slots of user 1 and ends the run.
async fn migrate<L: Ledger>(world: &World<L>, slots: &[&str], before: Option<&str>) -> RunId {
    let run = world.run(RunKind::Migrate, "north").await;
    let claim = world.claim_one(run, 1).await;
    let rows: Vec<_> = slots.iter().map(|slot| intent(&claim, slot, before, Some("ours"))).collect();
    assert_eq!(world.ledger.file_intents(run, &rows).await.unwrap(), [1]);
    let outcomes: Vec<_> = slots.iter().map(|slot| (*slot, IntentOutcome::Applied)).collect();
    world.ledger.finish(run, &[end_of(&claim, EntryState::Applied, &outcomes, &[1, 2])]).await.unwrap();
    world.ledger.set_run_state(run, RunState::Done).await.unwrap();
    run
}

async fn those_who_were_touched_wait<L: Ledger>(world: World<L>) {
    let run = world.run(RunKind::Migrate, "north").await;
    world.migrate_one(run, 1, IntentOutcome::Applied).await;
    let doubtful = world.claim_one(run, 2).await;
    let row = intent(&doubtful, "mobile", Some("before"), Some("ours"));
    world.ledger.file_intents(run, &[row]).await.unwrap();
    let looked_at = world.claim_one(run, 3).await;
    world.ledger.finish(run, &[settle(&looked_at, EntryState::Unchanged, &[])]).await.unwrap();
    for kind in [RunKind::Verify, RunKind::Rollback] {
        let back = world.ledger.open_run(&world.spec(kind, "all")).await.unwrap().run.id;
        let counts = world.ledger.freeze_touched(back).await.unwrap();
        assert_eq!((counts.entries, counts.matched), (4, 4));
        assert_eq!(world.ledger.freeze_touched(back).await.unwrap(), counts, "again changes nothing");
        assert_eq!(world.ledger.run(back).await.unwrap().unwrap().state, RunState::Open);
        let states = world.ledger.counts(back).await.unwrap();
        assert_eq!((states[&EntryState::Waiting], states[&EntryState::Unchanged]), (2, 2));
        assert_eq!(world.release(back).await.0, [1, 2]);
        let rows = world.ledger.results(back, 0, 10).await.unwrap();
        assert_eq!(rows[0].user, Some(entra(1)));
        assert_eq!(rows[0].directory, Some(sealed("directory 1")));
        assert_eq!(rows[0].record, sealed("record 1"));
        assert_eq!(rows[0].matched_by, Some(contract::Match::Upn));
        world.ledger.checkpoint(back, "touched", 1).await.unwrap();
        let held = world.claim(back, &[1, 2]).await.iter().map(|claim| claim.ordinal).collect::<Vec<_>>();
        if kind == RunKind::Verify {
            assert_eq!(held, [1, 2], "who only reads waits for nobody");
        } else {
            assert_eq!(held, [1], "the migration has the other one in its hands");
        }
        assert_eq!(world.ledger.step_counts(back, 0).await.unwrap().processed, 0, "no worker has ended");
    }
}

/// The same users in another datafile, less one.
pub(super) async fn later_snapshot<L: Ledger>(world: &World<L>, numbers: &[(i64, i64)]) -> SnapshotId {
    let id = SnapshotId("6".repeat(64));
    let records: Vec<_> = numbers
        .iter()
        .map(|(ordinal, number)| {
            let mut row = record(*ordinal);
            row.user_key = UserKey(print("user", *number));
            row
        })
        .collect();
    world.ledger.begin_snapshot(&id).await.unwrap();
    world.ledger.file_records(&id, &records).await.unwrap();
    let count = u64::try_from(records.len()).unwrap();
    world.ledger.complete_snapshot(&manifest(&id, count, 0)).await.unwrap();
    id
}

async fn whoever_left_the_datafile_is_taken_back_too<L: Ledger>(world: World<L>) {
    let run = world.run(RunKind::Migrate, "north").await;
    for ordinal in 1..=3 {
        world.migrate_one(run, ordinal, IntentOutcome::Applied).await;
    }
    let snapshot = later_snapshot(&world, &[(7, 2)]).await;
    let spec = RunSpec { snapshot: snapshot.clone(), ..world.spec(RunKind::Rollback, "all") };
    let back = world.ledger.open_run(&spec).await.unwrap().run.id;
    world.ledger.freeze_touched(back).await.unwrap();
    let rows = world.ledger.results(back, i64::MIN, 10).await.unwrap();
    let ordinals: Vec<_> = rows.iter().map(|row| row.ordinal).collect();
    assert!(ordinals[0] < ordinals[1] && ordinals[1] < 0 && ordinals[2] == 7, "{ordinals:?}");
    assert!(rows.iter().all(|row| row.snapshot == snapshot));
    assert_eq!(rows[0].record, Sealed(Vec::new()));
    assert_eq!(rows[2].record, sealed("record 7"));
    assert_eq!(rows[2].user, Some(entra(2)));
    assert_eq!(world.release(back).await.0, ordinals);
    let claims = world.claim(back, &ordinals).await;
    assert_eq!(claims.len(), 3);
    assert_eq!(claims[0].record, Sealed(Vec::new()));
    assert!(claims.iter().all(|claim| claim.ours.len() == 1 && claim.pre_images.len() == 1));
    let history = world.ledger.user_history(claims[0].user_key).await.unwrap();
    assert_eq!((history.entries.len(), history.entries[0].run), (2, back));
    let ends: Vec<_> = claims.iter().map(|claim| settle(claim, EntryState::Reverted, &[])).collect();
    assert_eq!(world.ledger.finish(back, &ends).await.unwrap(), ordinals);
    world.ledger.set_run_state(back, RunState::Done).await.unwrap();
    let again = world.ledger.open_run(&spec).await.unwrap().run.id;
    world.ledger.freeze_touched(again).await.unwrap();
    assert_eq!(world.release(again).await.0, [0_i64; 0], "rolling back twice changes nothing");
}

async fn a_batch_takes_back_its_own<L: Ledger>(world: World<L>) {
    make_batch(&*world.ledger, &world.snapshot, "pilot", &[record(2), record(3)]).await;
    let run = world.run(RunKind::Migrate, "all").await;
    for ordinal in [1, 2] {
        world.migrate_one(run, ordinal, IntentOutcome::Applied).await;
    }
    world.ledger.set_run_state(run, RunState::Superseded).await.unwrap();
    let newer = world.run(RunKind::Migrate, "north").await;
    world.ledger.set_run_state(newer, RunState::Superseded).await.unwrap();
    let back = touched(&world, RunKind::Rollback, "pilot").await;
    let rows = world.ledger.results(back, i64::MIN, 10).await.unwrap();
    let states: Vec<_> = rows.iter().map(|row| (row.ordinal, row.state)).collect();
    assert_eq!(states, [(2, EntryState::Waiting), (3, EntryState::Unchanged)], "whichever run moved them");
    make_batch(&*world.ledger, &world.snapshot, "strangers", &[record(50)]).await;
    let nobody = touched(&world, RunKind::Rollback, "strangers").await;
    assert!(world.ledger.results(nobody, i64::MIN, 10).await.unwrap().is_empty(), "no migration knows them");
    world.ledger.set_run_state(nobody, RunState::Done).await.unwrap();
}

/// For every standing pre-image the worker is told what may stand there now: the newest that was applied, and all that
/// may have been. What was refused or never sent is not ours; nor is what drifted, but it may have been.
async fn only_what_was_applied_is_ours<L: Ledger>(world: World<L>) {
    let written = |claim: &Claim, slot: &str, value: &str| intent(claim, slot, Some("before"), Some(value));
    let first = world.run(RunKind::Migrate, "north").await;
    let claim = world.claim_one(first, 1).await;
    let slots = ["mobile", "office", "default", "alternateMobile"];
    world.ledger.file_intents(first, &slots.map(|slot| written(&claim, slot, "first"))).await.unwrap();
    let outcomes = [
        ("mobile", IntentOutcome::Applied),
        ("office", IntentOutcome::Refused),
        ("default", IntentOutcome::Drifted),
        ("alternateMobile", IntentOutcome::NotSent),
    ];
    world.ledger.finish(first, &[settle(&claim, EntryState::Applied, &outcomes)]).await.unwrap();
    world.ledger.set_run_state(first, RunState::Done).await.unwrap();
    let second = world.run(RunKind::Migrate, "north").await;
    let claim = world.claim_briefly(second, 1).await;
    let rows = [written(&claim, "mobile", "second"), written(&claim, "softwareOath", "second")];
    world.ledger.file_intents(second, &rows).await.unwrap();
    world.ledger.set_run_state(second, RunState::Superseded).await.unwrap();
    let back = touched(&world, RunKind::Rollback, "north").await;
    let claim = world.claim_one(back, 1).await;
    assert_eq!(claim.pre_images.len(), 5);
    assert!(claim.pre_images.iter().all(|pre| pre.value == Some(sealed("before"))), "the first of each slot");
    assert_eq!(claim.ours, [("mobile".to_owned(), Some(sealed("first")))]);
    let told: Vec<_> = claim.intents.iter().map(|i| (i.run, i.slot.as_str(), i.outcome)).collect();
    let expected = [
        (first, "default", Some(IntentOutcome::Drifted)),
        (first, "mobile", Some(IntentOutcome::Applied)),
        (second, "mobile", None),
        (second, "softwareOath", None),
    ];
    assert_eq!(told, expected, "oldest first");
    assert_eq!(claim.intents[2].to, Some(sealed("second")));
}

async fn taken_back_is_forgotten<L: Ledger>(world: World<L>) {
    let slots = ["mobile", "hardwareOath:1"];
    migrate(&world, &slots, Some("before")).await;
    for round in 0..2 {
        let back = touched(&world, RunKind::Rollback, "north").await;
        let claim = world.claim_one(back, 1).await;
        assert_eq!(
            (claim.pre_images.len(), claim.ours.len(), claim.secrets.len()),
            (2, 2, 2),
            "round {round}"
        );
        let rows = slots.map(|slot| intent(&claim, slot, Some("ours"), Some("before")));
        world.ledger.file_intents(back, &rows).await.unwrap();
        // Even one that claims to have applied something leaves nothing for rule U5 to believe.
        let outcomes = slots.map(|slot| (slot, IntentOutcome::Applied));
        world.ledger.finish(back, &[end_of(&claim, EntryState::Reverted, &outcomes, &[3])]).await.unwrap();
        assert_eq!(world.ledger.applied_fingerprint(&entra(1)).await.unwrap(), None);
        assert!(world.ledger.user_history(claim.user_key).await.unwrap().pre_images.is_empty());
        world.ledger.set_run_state(back, RunState::Done).await.unwrap();

        let run = world.run(RunKind::Migrate, "north").await;
        let claim = world.claim_one(run, 1).await;
        assert!(claim.ours.is_empty() && claim.pre_images.is_empty() && claim.secrets.is_empty());
        let is_taken_back = |i: &crate::Intent| (i.run, i.outcome) == (back, Some(IntentOutcome::Applied));
        assert_eq!(claim.intents.len(), 2, "what a rollback wrote may not show yet");
        assert!(claim.intents.iter().all(is_taken_back));
        let rows = slots.map(|slot| intent(&claim, slot, Some("between"), Some("ours")));
        world.ledger.file_intents(run, &rows).await.unwrap();
        let history = world.ledger.user_history(claim.user_key).await.unwrap();
        assert!(
            history
                .pre_images
                .iter()
                .all(|(_, pre)| (pre.run, &pre.value) == (run, &Some(sealed("between")))),
            "migrating again files new ones"
        );
        let end = end_of(&claim, EntryState::Applied, &outcomes, &[1, 2]);
        world.ledger.finish(run, &[end]).await.unwrap();
        world.ledger.set_run_state(run, RunState::Done).await.unwrap();
    }
}

async fn a_conflict_settles_what_was_restored<L: Ledger>(world: World<L>) {
    migrate(&world, &["mobile", "office"], None).await;
    let back = touched(&world, RunKind::Rollback, "north").await;
    let claim = world.claim_one(back, 1).await;
    world.ledger.file_intents(back, &[intent(&claim, "mobile", Some("ours"), None)]).await.unwrap();
    let mut end = end_of(&claim, EntryState::Conflict, &[("mobile", IntentOutcome::Applied)], &[]);
    end.outcomes.push(SlotOutcome { slot: "office".into(), outcome: IntentOutcome::Drifted });
    world.ledger.finish(back, &[end]).await.unwrap();
    let left = world.ledger.user_history(claim.user_key).await.unwrap().pre_images;
    let left: Vec<_> = left.iter().map(|(_, pre)| pre.slot.as_str()).collect();
    assert_eq!(left, ["office"]);
    assert_eq!(world.ledger.applied_fingerprint(&entra(1)).await.unwrap(), None);
    world.ledger.set_run_state(back, RunState::Done).await.unwrap();
    let again = touched(&world, RunKind::Rollback, "north").await;
    let claim = world.claim_one(again, 1).await;
    assert_eq!(claim.ours, [("office".to_owned(), Some(sealed("ours")))], "still ours, if it is still there");
    assert_eq!(claim.secrets.len(), 2, "no token went");
    world.ledger.file_intents(again, &[intent(&claim, "hardwareOath:1", None, None)]).await.unwrap();
    let outcomes = [("hardwareOath:1", IntentOutcome::Applied)];
    world.ledger.finish(again, &[end_of(&claim, EntryState::Conflict, &outcomes, &[])]).await.unwrap();
    world.ledger.set_run_state(again, RunState::Done).await.unwrap();
    let third = touched(&world, RunKind::Rollback, "north").await;
    assert!(world.claim_one(third, 1).await.secrets.is_empty(), "a token went");
}

async fn forgotten_users_are_asked_for_again<L: Ledger>(world: World<L>) {
    let run = world.run(RunKind::Migrate, "north").await;
    for ordinal in [1, 2] {
        world.migrate_one(run, ordinal, IntentOutcome::Applied).await;
    }
    world.ledger.set_run_state(run, RunState::Done).await.unwrap();
    let verify = touched(&world, RunKind::Verify, "north").await;
    world.ledger.forget_applied(verify, &[2, 77]).await.unwrap();
    assert!(world.ledger.applied_fingerprint(&entra(1)).await.unwrap().is_some());
    assert_eq!(world.ledger.applied_fingerprint(&entra(2)).await.unwrap(), None);
}
