//! Staged rollout: who may be rerouted to Entra, and which group takes whom.
//!
//! Nobody is rerouted who could not sign in there: a user gets in whose methods are in place as far as anybody knows, and
//! whoever somebody else has put in or taken out is left as they are. A group is never filled beyond what Microsoft allows.

use crate::JUDGED_FROM_USERS;
use contract::{Code, EntryState, RunKind, SeatState};

/// Most groups of a feature's policy (Microsoft, staged rollout).
pub const ROLLOUT_GROUPS: usize = 10;
/// Most users of a group (Microsoft, staged rollout): with ten groups, 500,000 of a tenant.
pub const ROLLOUT_GROUP_USERS: u64 = 50_000;
/// Most users that a group may have when the rollout is applied to it first (Microsoft, staged rollout).
pub const ROLLOUT_FIRST_USERS: u64 = 200;

/// What one run has told of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Past {
    /// What kind of run.
    pub kind: RunKind,
    /// Where the user stands in it.
    pub state: EntryState,
    /// Code words, separated by blanks.
    pub codes: String,
    /// The run is not over.
    pub open: bool,
    /// Somebody has had the user in hand there, so that something may have been written.
    pub begun: bool,
}

/// Whether a user's methods are in place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moved {
    /// They are, as far as anybody knows.
    InPlace,
    /// Nothing was moved to its end, it was taken back, or something may still land.
    NotMoved,
    /// What was written was not confirmed since.
    NotVerified,
    /// There was nothing to write, and nothing is there.
    NoMethod,
}

/// Codes that tell of a method that is in Entra already.
const IS_THERE: [Code; 6] = [
    Code::Unchanged,
    Code::KeptExisting,
    Code::OathPresent,
    Code::AppPresent,
    Code::AppUnverified,
    Code::DevicePresent,
];

/// What the runs of a user come to; `past` begins with what was settled last, or ended without. `in_doubt`: something was begun of which
/// nobody knows whether it landed.
pub fn moved(past: &[Past], in_doubt: bool) -> Moved {
    let is_under_way = |p: &Past| p.open && !p.state.is_settled() && is_writing(p.kind);
    if in_doubt || past.iter().any(is_under_way) {
        return Moved::NotMoved;
    }
    let mut verified = None;
    for p in past {
        let has = |code: Code| p.codes.split(' ').any(|word| word == code.as_str());
        if !p.state.is_settled() {
            // A run that was ended in the middle of a user may have written or withdrawn half.
            if is_writing(p.kind) && p.begun {
                return Moved::NotMoved;
            }
            continue;
        }
        match p.kind {
            RunKind::Verify => {
                verified.get_or_insert(p.state);
            }
            // Somebody who was taken back and had nothing of ours is as the migration found them.
            RunKind::Rollback if p.state == EntryState::Unchanged => {}
            RunKind::Rollback => return Moved::NotMoved,
            RunKind::Migrate if p.state == EntryState::Applied => {
                return if verified == Some(EntryState::Confirmed) {
                    Moved::InPlace
                } else {
                    Moved::NotVerified
                };
            }
            // The run before it tells.
            RunKind::Migrate if p.state == EntryState::Unchanged && has(Code::UnchangedSinceLast) => {}
            RunKind::Migrate if p.state == EntryState::Unchanged => {
                return match verified {
                    // What had been written by an earlier run is not there any more, or is another.
                    Some(state) if state != EntryState::Confirmed && state != EntryState::Unchanged => {
                        Moved::NotVerified
                    }
                    Some(_) | None if IS_THERE.into_iter().any(has) => Moved::InPlace,
                    Some(_) | None => Moved::NoMethod,
                };
            }
            RunKind::Migrate => return Moved::NotMoved,
            RunKind::Rehearse
            | RunKind::Survey
            | RunKind::RolloutPlan
            | RunKind::Rollout
            | RunKind::RolloutRemove => {}
        }
    }
    Moved::NotMoved
}

fn is_writing(kind: RunKind) -> bool {
    match kind {
        RunKind::Migrate | RunKind::Rollback => true,
        RunKind::Rehearse
        | RunKind::Verify
        | RunKind::Survey
        | RunKind::RolloutPlan
        | RunKind::Rollout
        | RunKind::RolloutRemove => false,
    }
}

/// Whose groups a user is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Membership {
    /// In none of the rollout's.
    None,
    /// In that of the seat.
    Seat,
    /// In one of the rollout's, and not by our doing.
    Theirs,
}

/// All that decides about one user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Applicant {
    /// Not in Entra any more.
    pub gone: bool,
    /// Guest of the tenant.
    pub guest: bool,
    /// Comes from the directory on premises; whoever does not lives in the cloud alone.
    pub synced: bool,
    /// Whether the methods are in place.
    pub moved: Moved,
    /// The last seat, if there ever was one.
    pub seat: Option<SeatState>,
    /// That seat is young enough that Graph may not show it yet.
    pub seat_is_fresh: bool,
    /// Where Graph shows the user.
    pub membership: Membership,
    /// Whom somebody took out is put in again.
    pub put_back: bool,
}

/// What becomes of an applicant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// May be put into a group.
    In,
    /// Is in one by our doing, or on the way.
    Seated,
    /// Stays out, or is left where somebody else has put them.
    Out(Code),
}

/// Whether a user may be put into a group.
pub fn admit(applicant: &Applicant) -> Admission {
    let a = applicant;
    if a.gone {
        return Admission::Out(Code::UserGone);
    }
    if a.guest {
        return Admission::Out(Code::RolloutGuest);
    }
    if !a.synced {
        return Admission::Out(Code::RolloutCloudOnly);
    }
    match (a.seat, a.membership) {
        (_, Membership::Theirs) => return Admission::Out(Code::RolloutAlreadyIn),
        (Some(SeatState::Seated), Membership::Seat) => return Admission::Seated,
        (Some(SeatState::Seated), Membership::None) if a.seat_is_fresh => return Admission::Seated,
        (Some(SeatState::Seated | SeatState::Gone), Membership::None) if !a.put_back => {
            return Admission::Out(Code::RolloutTakenOut);
        }
        // A seat of which nobody knows is seen to by whoever gets the user.
        (_, Membership::None | Membership::Seat) => {}
    }
    match a.moved {
        Moved::InPlace => Admission::In,
        Moved::NotMoved => Admission::Out(Code::RolloutNotMoved),
        Moved::NotVerified => Admission::Out(Code::RolloutNotVerified),
        Moved::NoMethod => Admission::Out(Code::RolloutNoMethod),
    }
}

/// What decides whether a group can be used for the rollout.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct GroupStanding {
    /// Its members follow from a rule.
    pub dynamic: bool,
    /// It is kept on premises.
    pub synced: bool,
    /// It can be given roles.
    pub role_assignable: bool,
    /// Users, groups and other members directly in it.
    pub users: u64,
    /// Groups in it.
    pub groups: u64,
    /// Contacts, devices and the like.
    pub others: u64,
    /// The rollout is applied to it already.
    pub applied: bool,
    /// A batch was selected by it.
    pub is_scope: bool,
}

/// Why a group cannot be used for the rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum GroupRefusal {
    /// Dynamic groups are not supported (Microsoft), and nobody can be added to them.
    Dynamic,
    /// Graph does not change the members of a group that is kept on premises.
    Synced,
    /// Its members take a permission that hands out roles.
    RoleAssignable,
    /// Nested groups are not supported (Microsoft).
    Nested,
    /// Contacts in a group block it (Microsoft), and only users can be rerouted.
    NotUsers,
    /// Whom a batch was selected by is to be moved, not rerouted at the same moment (Microsoft recommends groups of its own).
    Scope,
    /// Its members would be rerouted unseen the moment that the rollout is applied to it.
    NotEmpty,
}

impl GroupRefusal {
    /// The word in outputs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dynamic => "rollout-group-dynamic",
            Self::Synced => "rollout-group-synced",
            Self::RoleAssignable => "rollout-group-role-assignable",
            Self::Nested => "rollout-group-nested",
            Self::NotUsers => "rollout-group-not-users",
            Self::Scope => "rollout-group-scope",
            Self::NotEmpty => "rollout-group-not-empty",
        }
    }

    /// What it means, and what to do.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Dynamic => "its members follow from a rule; take a group with assigned members",
            Self::Synced => {
                "it is kept on premises, and Graph does not change its members; take a group of the cloud"
            }
            Self::RoleAssignable => {
                "it can be given roles, and its members take a permission that this program is not to have; take another group"
            }
            Self::Nested => {
                "there are groups in it, which the staged rollout does not support; take them out, or take another group"
            }
            Self::NotUsers => {
                "there are contacts, devices or the like in it; take them out, or take another group"
            }
            Self::Scope => {
                "a batch was selected by it; users would be rerouted before they are moved: take a group of its own"
            }
            Self::NotEmpty => {
                "the rollout is not applied to it yet, and there are members in it, who would be rerouted unseen; empty it, or take another group"
            }
        }
    }
}

/// Why a group cannot be used, if it cannot.
pub fn group_refusal(group: &GroupStanding) -> Option<GroupRefusal> {
    let is = [
        (group.dynamic, GroupRefusal::Dynamic),
        (group.synced, GroupRefusal::Synced),
        (group.role_assignable, GroupRefusal::RoleAssignable),
        (group.is_scope, GroupRefusal::Scope),
        (group.groups > 0, GroupRefusal::Nested),
        (group.others > 0, GroupRefusal::NotUsers),
        (!group.applied && group.users > 0, GroupRefusal::NotEmpty),
    ];
    is.into_iter().find(|(is, _)| *is).map(|(_, refusal)| refusal)
}

/// So many users into each of the groups, in their order, and how many find no room. All of them go into one group where
/// they fit; else the groups are filled one after the other. `members`: who is in each already.
pub fn pack(users: u64, members: &[u64]) -> (Vec<u64>, u64) {
    let room = |members: &u64| ROLLOUT_GROUP_USERS.saturating_sub(*members);
    let mut parts = vec![0; members.len()];
    if let Some(whole) = members.iter().position(|m| room(m) >= users) {
        parts[whole] = users;
        return (parts, 0);
    }
    let mut left = users;
    for (part, members) in parts.iter_mut().zip(members) {
        *part = left.min(room(members));
        left -= *part;
    }
    (parts, left)
}

/// The steps of a rollout, added up: those of the batch's canary, and in each group that is new the first 200 as a step of
/// their own. `canary` are the sizes of its steps, `parts` and `members` as in `pack`.
pub fn rollout_steps(canary: &[u32], parts: &[u64], members: &[u64]) -> Vec<u64> {
    let users: u64 = parts.iter().sum();
    let mut ends: Vec<u64> = canary
        .iter()
        .scan(0, |end, size| {
            *end += u64::from(*size);
            Some(*end)
        })
        .collect();
    let mut begin = 0;
    for (part, members) in parts.iter().zip(members) {
        let first = ROLLOUT_FIRST_USERS.saturating_sub(*members);
        let end = begin + first;
        // A step that is too small to be judged would wait for a person, who did not ask for it.
        let is_there = ends.iter().any(|other| *other <= end && *other + u64::from(JUDGED_FROM_USERS) > end);
        if first >= u64::from(JUDGED_FROM_USERS) && *part > first && !is_there {
            ends.push(end);
        }
        begin += part;
    }
    ends.push(users);
    ends.retain(|end| *end > 0 && *end <= users);
    ends.sort_unstable();
    ends.dedup();
    ends
}
