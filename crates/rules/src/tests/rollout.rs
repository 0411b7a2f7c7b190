//! Who may be rerouted, and which group takes whom.

use crate::{
    Admission, Applicant, GroupRefusal, GroupStanding, Membership, Moved, Past, ROLLOUT_GROUP_USERS, admit,
    group_refusal, moved, pack, rollout_steps,
};
use contract::{Code, EntryState, RunKind, SeatState};
use proptest::prelude::*;

fn past(kind: RunKind, state: EntryState, codes: &str) -> Past {
    Past { kind, state, codes: codes.to_owned(), open: false, begun: true }
}

#[test]
fn what_was_written_counts_once_it_was_confirmed_since() {
    use EntryState::{Applied, ChangedSince, Confirmed, Missing};
    let applied = past(RunKind::Migrate, Applied, "app-reregister");
    let seen = |state| past(RunKind::Verify, state, "");
    assert_eq!(moved(std::slice::from_ref(&applied), false), Moved::NotVerified);
    assert_eq!(moved(&[seen(Confirmed), applied.clone()], false), Moved::InPlace);
    assert_eq!(moved(&[applied.clone(), seen(Confirmed)], false), Moved::NotVerified, "written again since");
    assert_eq!(moved(&[seen(Missing), seen(Confirmed), applied.clone()], false), Moved::NotVerified);
    assert_eq!(moved(&[seen(ChangedSince), applied.clone()], false), Moved::NotVerified);
    assert_eq!(moved(&[seen(Confirmed), applied], true), Moved::NotMoved, "something may still land");
}

#[test]
fn who_needed_nothing_is_in_place_where_something_is_there() {
    let unchanged = |codes| past(RunKind::Migrate, EntryState::Unchanged, codes);
    assert_eq!(moved(&[unchanged("phone-absent unchanged")], false), Moved::InPlace);
    assert_eq!(moved(&[unchanged("app-present")], false), Moved::InPlace);
    assert_eq!(moved(&[unchanged("phone-absent")], false), Moved::NoMethod);
    assert_eq!(moved(&[unchanged("")], false), Moved::NoMethod);
    let applied = past(RunKind::Migrate, EntryState::Applied, "");
    let confirmed = past(RunKind::Verify, EntryState::Confirmed, "");
    for state in [EntryState::Missing, EntryState::ChangedSince] {
        let seen = past(RunKind::Verify, state, "");
        assert_eq!(moved(&[seen, unchanged("unchanged")], false), Moved::NotVerified);
    }
    let since = unchanged("unchanged-since-last");
    assert_eq!(moved(&[since.clone(), confirmed, applied.clone()], false), Moved::InPlace);
    assert_eq!(moved(&[since, applied], false), Moved::NotVerified);
}

#[test]
fn whoever_was_taken_back_is_not_moved() {
    let applied = past(RunKind::Migrate, EntryState::Applied, "");
    let confirmed = past(RunKind::Verify, EntryState::Confirmed, "");
    for state in [EntryState::Reverted, EntryState::Conflict, EntryState::Parked, EntryState::Blocked] {
        let back = past(RunKind::Rollback, state, "");
        assert_eq!(moved(&[back.clone(), confirmed.clone(), applied.clone()], false), Moved::NotMoved);
        let again = past(RunKind::Rollback, EntryState::Unchanged, "");
        assert_eq!(moved(&[again, back, confirmed.clone(), applied.clone()], false), Moved::NotMoved);
    }
    let untouched = past(RunKind::Rollback, EntryState::Unchanged, "");
    let unchanged = past(RunKind::Migrate, EntryState::Unchanged, "kept-existing");
    assert_eq!(moved(&[untouched, unchanged], false), Moved::InPlace);
}

#[test]
fn whoever_is_under_way_or_was_left_out_is_not_moved() {
    let applied = past(RunKind::Migrate, EntryState::Applied, "");
    let confirmed = past(RunKind::Verify, EntryState::Confirmed, "");
    let mut waiting = past(RunKind::Migrate, EntryState::Waiting, "");
    let aborted = past(RunKind::Rollback, EntryState::Waiting, "");
    assert_eq!(
        moved(&[aborted, confirmed.clone(), applied.clone()], false),
        Moved::NotMoved,
        "half withdrawn"
    );
    assert_eq!(moved(&[waiting.clone(), confirmed.clone(), applied.clone()], false), Moved::NotMoved);
    waiting.begun = false;
    assert_eq!(moved(&[waiting.clone(), confirmed.clone(), applied.clone()], false), Moved::InPlace);
    waiting.open = true;
    assert_eq!(moved(&[waiting, confirmed, applied], false), Moved::NotMoved);
    for state in [EntryState::Blocked, EntryState::Skipped, EntryState::Parked] {
        assert_eq!(moved(&[past(RunKind::Migrate, state, "")], false), Moved::NotMoved);
    }
    assert_eq!(moved(&[], false), Moved::NotMoved);
}

fn applicant() -> Applicant {
    Applicant {
        gone: false,
        guest: false,
        synced: true,
        moved: Moved::InPlace,
        seat: None,
        seat_is_fresh: false,
        membership: Membership::None,
        put_back: false,
    }
}

#[test]
fn each_who_stays_out_does_so_by_their_own_code() {
    let a = applicant();
    assert_eq!(admit(&a), Admission::In);
    let out = |a: &Applicant| match admit(a) {
        Admission::Out(code) => code,
        other @ (Admission::In | Admission::Seated) => panic!("{other:?}"),
    };
    assert_eq!(out(&Applicant { gone: true, ..a }), Code::UserGone);
    assert_eq!(out(&Applicant { guest: true, ..a }), Code::RolloutGuest);
    assert_eq!(out(&Applicant { synced: false, ..a }), Code::RolloutCloudOnly);
    assert_eq!(out(&Applicant { moved: Moved::NotMoved, ..a }), Code::RolloutNotMoved);
    assert_eq!(out(&Applicant { moved: Moved::NotVerified, ..a }), Code::RolloutNotVerified);
    assert_eq!(out(&Applicant { moved: Moved::NoMethod, ..a }), Code::RolloutNoMethod);
    assert_eq!(out(&Applicant { membership: Membership::Theirs, ..a }), Code::RolloutAlreadyIn);
    let seated = Applicant { seat: Some(SeatState::Seated), ..a };
    assert_eq!(out(&seated), Code::RolloutTakenOut);
    assert_eq!(out(&Applicant { seat: Some(SeatState::Gone), ..a }), Code::RolloutTakenOut);
    assert_eq!(admit(&Applicant { put_back: true, ..seated }), Admission::In);
    assert_eq!(admit(&Applicant { seat_is_fresh: true, ..seated }), Admission::Seated);
    assert_eq!(admit(&Applicant { membership: Membership::Seat, ..seated }), Admission::Seated);
    assert_eq!(admit(&Applicant { seat: Some(SeatState::Left), ..a }), Admission::In);
    assert_eq!(
        admit(&Applicant { seat: Some(SeatState::Asked), ..a }),
        Admission::In,
        "seen to by the worker"
    );
}

#[test]
fn each_group_is_refused_by_its_own_code() {
    let fine = GroupStanding { users: 7, applied: true, ..GroupStanding::default() };
    assert_eq!(group_refusal(&fine), None);
    assert_eq!(group_refusal(&GroupStanding::default()), None, "a new one that is empty");
    for (group, why) in [
        (GroupStanding { dynamic: true, ..fine }, GroupRefusal::Dynamic),
        (GroupStanding { synced: true, ..fine }, GroupRefusal::Synced),
        (GroupStanding { role_assignable: true, ..fine }, GroupRefusal::RoleAssignable),
        (GroupStanding { groups: 1, ..fine }, GroupRefusal::Nested),
        (GroupStanding { others: 1, ..fine }, GroupRefusal::NotUsers),
        (GroupStanding { is_scope: true, ..fine }, GroupRefusal::Scope),
        (GroupStanding { applied: false, ..fine }, GroupRefusal::NotEmpty),
    ] {
        assert_eq!(group_refusal(&group), Some(why));
        assert!(why.as_str().starts_with("rollout-group-") && !why.meaning().is_empty());
    }
}

#[test]
fn a_batch_stays_whole_where_it_fits() {
    assert_eq!(pack(300, &[49_800, 100]), (vec![0, 300], 0));
    assert_eq!(pack(200, &[49_800, 100]), (vec![200, 0], 0));
    assert_eq!(pack(50_001, &[0, 0]), (vec![50_000, 1], 0));
    assert_eq!(pack(4, &[49_997]), (vec![3], 1));
    assert_eq!(pack(1, &[]), (vec![], 1));
    assert_eq!(pack(10, &[60_000]), (vec![0], 10), "somebody has put in too many");
    assert_eq!(pack(500_001, &[0; 10]).1, 1);
}

#[test]
fn the_first_of_a_new_group_are_a_step_of_their_own() {
    assert_eq!(rollout_steps(&[], &[150], &[0]), [150]);
    assert_eq!(rollout_steps(&[], &[500], &[0]), [200, 500]);
    assert_eq!(rollout_steps(&[], &[500], &[150]), [50, 500]);
    assert_eq!(rollout_steps(&[], &[500], &[200]), [500]);
    assert_eq!(rollout_steps(&[], &[500], &[190]), [500], "too few to be judged");
    assert_eq!(rollout_steps(&[190, 310], &[500], &[0]), [190, 500], "the batch's own step holds it already");
    assert_eq!(rollout_steps(&[10, 90, 900], &[1_000], &[0]), [10, 100, 200, 1_000]);
    assert_eq!(rollout_steps(&[], &[50_000, 300], &[0, 0]), [200, 50_200, 50_300]);
    assert_eq!(rollout_steps(&[], &[0, 300], &[0, 900]), [300]);
    assert!(rollout_steps(&[10], &[0], &[0]).is_empty());
}

proptest! {
    #[test]
    fn nobody_is_lost_or_squeezed_in(
        users in 0_u64..600_000,
        members in prop::collection::vec(0_u64..60_000, 0..=10),
    ) {
        let (parts, left) = pack(users, &members);
        prop_assert_eq!(parts.iter().sum::<u64>() + left, users);
        for (part, members) in parts.iter().zip(&members) {
            prop_assert!(*part == 0 || part + members <= ROLLOUT_GROUP_USERS);
        }
        let room: u64 = members.iter().map(|m| ROLLOUT_GROUP_USERS.saturating_sub(*m)).sum();
        prop_assert_eq!(left, users.saturating_sub(room));
        let steps = rollout_steps(&[7, 20], &parts, &members);
        prop_assert!(steps.is_sorted());
        prop_assert_eq!(steps.last().copied().unwrap_or(0), users - left);
    }
}
