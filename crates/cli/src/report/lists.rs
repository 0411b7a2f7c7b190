//! The lists that people work through: who is on which, why, and what to do.
//!
//! A list says one thing and holds a user once. What a rollback has taken back waits for nobody any more.

use super::person::Person;
use super::told::Told;
use crate::lines;
use contract::{Code, CodeKind, Conflict, EntryState, Note};

/// A list that people work through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum List {
    /// Users of the app, who must register it again
    MustRegisterAgain,
    /// Users with telephone methods alone
    PhoneOnly,
    /// Users who match no account in Entra
    Unmatched,
    /// Users who match more than one account, or share one
    Ambiguous,
    /// Users of whom somebody changed something since; it was left alone
    Conflicts,
    /// Users set aside for a person
    Parked,
    /// Users of whom a verification did not find what was written
    NotAsLeft,
}

/// A user on a list.
#[derive(Debug, Clone, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Duty {
    pub(super) user: String,
    pub(super) user_principal_name: Option<String>,
    pub(super) code: &'static str,
    pub(super) what_to_do: &'static str,
    /// Devices, values or Graph's own codes, as far as there are any.
    pub(super) detail: String,
    pub(super) standing: &'static str,
    pub(super) region: Option<String>,
    pub(super) department: Option<String>,
    pub(super) run: i64,
    pub(super) at: Option<String>,
}

impl List {
    pub(super) const ALL: [Self; 7] = [
        Self::MustRegisterAgain,
        Self::PhoneOnly,
        Self::Unmatched,
        Self::Ambiguous,
        Self::Conflicts,
        Self::Parked,
        Self::NotAsLeft,
    ];

    /// The word on the command line and in JSON.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::MustRegisterAgain => "must-register-again",
            Self::PhoneOnly => "phone-only",
            Self::Unmatched => "unmatched",
            Self::Ambiguous => "ambiguous",
            Self::Conflicts => "conflicts",
            Self::Parked => "parked",
            Self::NotAsLeft => "not-as-left",
        }
    }

    /// The title for people.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::MustRegisterAgain => "Must register the Authenticator app again",
            Self::PhoneOnly => "Have telephone methods alone",
            Self::Unmatched => "Match nobody in Entra",
            Self::Ambiguous => "Match more than one, or share one",
            Self::Conflicts => "Changed by somebody since, left alone",
            Self::Parked => "Set aside for a person",
            Self::NotAsLeft => "Verified: not as we left it",
        }
    }

    /// The user's line on this list, if the user is on it.
    pub(super) fn line(self, person: &Person) -> Option<Duty> {
        let told = person.told.as_ref();
        let forward = told.filter(|_| !person.is_back);
        match self {
            Self::MustRegisterAgain => by_code(person, forward?, Code::AppReregister),
            Self::PhoneOnly => by_code(person, forward?, Code::PhoneOnly),
            Self::Unmatched => by_code(person, told?, Code::MatchNone),
            Self::Ambiguous => by_code(person, told?, Code::MatchAmbiguous),
            Self::Conflicts => [person.rollback.as_ref(), forward].into_iter().flatten().find_map(|told| {
                let code = [Code::RollbackConflict, Code::CloudChanged];
                let code = code.into_iter().find(|code| told.notes.iter().any(|n| n.code == *code))?;
                Some(duty(person, told, code, values(told)))
            }),
            Self::Parked => {
                let told = [person.rollback.as_ref(), forward].into_iter().flatten().next()?;
                (told.state == EntryState::Parked).then(|| parked(person, told))
            }
            Self::NotAsLeft => {
                let verification = person.verification.as_ref().or(told)?;
                let (code, what_to_do) = match verification.state {
                    EntryState::Missing => (EntryState::Missing, MISSING),
                    EntryState::ChangedSince => (EntryState::ChangedSince, CHANGED_SINCE),
                    EntryState::Waiting
                    | EntryState::Claimed
                    | EntryState::Applied
                    | EntryState::Unchanged
                    | EntryState::Blocked
                    | EntryState::Skipped
                    | EntryState::Parked
                    | EntryState::Reverted
                    | EntryState::Conflict
                    | EntryState::Planned
                    | EntryState::Confirmed => return None,
                };
                let line = duty(person, verification, Code::CloudChanged, values(verification));
                Some(Duty { code: code.as_str(), what_to_do, ..line })
            }
        }
    }
}

fn by_code(person: &Person, told: &Told, code: Code) -> Option<Duty> {
    let notes: Vec<&Note> = told.notes.iter().filter(|note| note.code == code).collect();
    if notes.is_empty() {
        return None;
    }
    let devices = notes.iter().filter_map(|note| note.device.as_deref());
    let devices: Vec<&str> = devices.filter(|name| !name.trim().is_empty()).collect();
    Some(duty(person, told, code, devices.join(", ")))
}

/// The first reason that holds the user; there is one wherever a run has parked.
fn parked(person: &Person, told: &Told) -> Duty {
    let held = told.notes.iter().find(|note| note.code.kind() == CodeKind::Held);
    let refused = told.changes().iter().filter_map(|done| {
        let code = done.graph_code.as_deref()?;
        Some(format!("{}: {code}", done.change.method.as_str()))
    });
    let detail = refused.collect::<Vec<_>>().join("; ");
    match held {
        Some(note) => duty(person, told, note.code, detail),
        None => Duty { code: "", ..duty(person, told, Code::GraphRefused, detail) },
    }
}

fn duty(person: &Person, told: &Told, code: Code, detail: String) -> Duty {
    Duty {
        user: person.user.clone(),
        user_principal_name: person.user_principal_name.clone(),
        code: code.as_str(),
        what_to_do: what_to_do(code),
        detail,
        standing: person.standing.as_str(),
        region: person.region.clone(),
        department: person.department.clone(),
        run: told.run,
        at: told.at_ms.map(lines::time),
    }
}

/// `mobile: before +1 4255550100, ours +1 4255550101, now nothing`.
fn values(told: &Told) -> String {
    let absent = if told.forgotten { "forgotten" } else { "nothing" };
    let nothing = |value: &Option<String>| value.clone().unwrap_or_else(|| absent.to_owned());
    let one = |conflict: &Conflict| {
        let serial = conflict.serial.as_deref().map(|serial| format!(" {serial}")).unwrap_or_default();
        format!(
            "{}{serial}: before {}, ours {}, now {}",
            conflict.method.as_str(),
            nothing(&conflict.before),
            nothing(&conflict.ours),
            nothing(&conflict.now)
        )
    };
    told.conflicts().iter().map(one).collect::<Vec<_>>().join("; ")
}

const MISSING: &str = "what was written is not there: `mfa-migrate verify --repair` writes it again";
const CHANGED_SINCE: &str = "somebody changed what was written: ask the user whether the new value is theirs";

/// What the service desk does about a code.
const DUTIES: &[(Code, &str)] = &[
    (
        Code::AppReregister,
        "ask the user to set up Microsoft Authenticator again under My Sign-Ins, Security info; or issue a Temporary Access Pass",
    ),
    (
        Code::PhoneOnly,
        "ask the user to add an app or a key under My Sign-Ins, Security info, before telephone methods end",
    ),
    (
        Code::MatchNone,
        "find the user's account in Entra, or correct the name in MFA Server; then migrate the batch again. Nothing was moved",
    ),
    (
        Code::MatchAmbiguous,
        "make it one record and one account (`mfa-migrate show USER`); then migrate the batch again. Nothing was moved",
    ),
    (
        Code::RollbackConflict,
        "ask the user which value is right and set it by hand: it was changed after we wrote it, and was left alone",
    ),
    (
        Code::CloudChanged,
        "ask the user which value is right: Entra's was changed after we wrote it and stays; on_drift = \"overwrite\" writes ours",
    ),
    (Code::PlanStale, "rehearse again and review the new plan: Entra or the record changed after the review"),
    (
        Code::Forbidden,
        "have it done by hand, by an administrator whose role may change this account: Graph refuses it to us",
    ),
    (Code::ThrottledOut, "run the same migration again when the tenant is calmer"),
    (Code::NotVisible, "run `mfa-migrate verify` later: it was written, and Graph did not show it in time"),
    (
        Code::GraphRefused,
        "look at Graph's code in the report, correct the number or the token, and migrate the batch again",
    ),
    (
        Code::UserGone,
        "nothing, if the user has left; otherwise migrate the batch again: the account has moved",
    ),
    (
        Code::CrashLoop,
        "migrate the batch again and watch the log; if it happens again, report it with the log",
    ),
    (
        Code::RecordUnreadable,
        "read the datafile again with this build and key: the record on file cannot be opened",
    ),
    (
        Code::Forgotten,
        "what was there before is gone for good (`mfa-migrate forget`): if it must come back, have it set by hand; a newer datafile moves the user again",
    ),
    (
        Code::RolloutGroupGone,
        "`mfa-migrate rollout remove` ends the seats of a group that was deleted; then name another group and run `rollout apply`",
    ),
    (
        Code::RolloutStillIn,
        "somebody else has put the user into the staged rollout: have them taken out of its groups, wait a day, and roll back again",
    ),
];

fn what_to_do(code: Code) -> &'static str {
    DUTIES.iter().find(|(known, _)| *known == code).map_or("see the reason", |(_, what)| what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_holds_a_user_tells_what_to_do() {
        for code in Code::ALL.iter().filter(|code| code.kind() == CodeKind::Held) {
            assert!(DUTIES.iter().any(|(known, _)| known == code), "{}", code.as_str());
        }
    }

    #[test]
    fn a_list_is_called_by_the_same_word_everywhere() {
        for list in List::ALL {
            let value = clap::ValueEnum::to_possible_value(&list).unwrap();
            assert_eq!(value.get_name(), list.word());
        }
    }
}
