//! Reports: one row a user and method, and the lists that people work through. Streamed; a run never lies in memory.

pub(crate) mod csv;
pub(crate) mod html;
pub(crate) mod json;

use crate::lines::Opened;
use contract::{Code, Done, EntryState, Note, Subject, Target};

/// A row of a report: one user and method, or one user where no method was touched.
#[derive(Debug, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Row {
    pub(crate) user: String,
    pub(crate) user_principal_name: Option<String>,
    pub(crate) state: &'static str,
    pub(crate) method: &'static str,
    pub(crate) serial: Option<String>,
    pub(crate) from: Option<String>,
    pub(crate) to: Option<String>,
    /// `planned`, an intent's outcome, or empty where nothing was to be written.
    pub(crate) result: &'static str,
    pub(crate) graph_code: Option<String>,
    pub(crate) codes: Vec<&'static str>,
    pub(crate) device: Option<String>,
    /// The value before our first write, where somebody changed ours since.
    pub(crate) before: Option<String>,
    /// Ours, there.
    pub(crate) ours: Option<String>,
    /// What stands now, there.
    pub(crate) now: Option<String>,
}

/// A list that people work through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum List {
    MustRegisterAgain,
    PhoneOnly,
    Unmatched,
    Conflicts,
}

impl List {
    pub(crate) const ALL: [Self; 4] =
        [Self::MustRegisterAgain, Self::PhoneOnly, Self::Unmatched, Self::Conflicts];

    /// The key in JSON.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::MustRegisterAgain => "mustRegisterAgain",
            Self::PhoneOnly => "phoneOnly",
            Self::Unmatched => "unmatched",
            Self::Conflicts => "conflicts",
        }
    }

    /// The title for people.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::MustRegisterAgain => "Must register the Authenticator app again",
            Self::PhoneOnly => "Have only telephone methods",
            Self::Unmatched => "Not matched to one Entra user",
            Self::Conflicts => "Wait for a person: parked or in conflict",
        }
    }

    /// Whether a user belongs in it.
    pub(crate) fn has(self, state: EntryState, notes: &[Note]) -> bool {
        let any = |codes: &[Code]| notes.iter().any(|n| codes.contains(&n.code));
        match self {
            Self::MustRegisterAgain => any(&[Code::AppReregister]),
            Self::PhoneOnly => any(&[Code::PhoneOnly]),
            Self::Unmatched => any(&[Code::MatchNone, Code::MatchAmbiguous]),
            Self::Conflicts => matches!(state, EntryState::Parked | EntryState::Conflict),
        }
    }
}

/// The rows of one user.
pub(crate) fn rows(entry: &Opened) -> Vec<Row> {
    let notes = entry.notes();
    let row = |method: &'static str| Row {
        user: entry.record.username.clone(),
        user_principal_name: entry.directory.as_ref().map(|d| d.upn.clone()),
        state: entry.row.state.as_str(),
        method,
        serial: None,
        from: None,
        to: None,
        result: "",
        graph_code: None,
        codes: Vec::new(),
        device: None,
        before: None,
        ours: None,
        now: None,
    };
    let changes: &[Done] = entry.result.as_ref().map_or(&[], |r| &r.changes);
    let mut rows: Vec<Row> = changes
        .iter()
        .map(|done| Row {
            serial: done.change.serial.clone(),
            from: done.change.from.clone(),
            to: done.change.to.clone(),
            result: match done.outcome {
                Some(outcome) => outcome.as_str(),
                None if entry.row.state == EntryState::Planned => "planned",
                None => "not-written",
            },
            graph_code: done.graph_code.clone(),
            ..row(done.change.method.as_str())
        })
        .collect();
    let is_verified = matches!(entry.row.state, EntryState::Missing | EntryState::ChangedSince);
    for conflict in entry.result.iter().flat_map(|r| &r.conflicts) {
        rows.push(Row {
            serial: conflict.serial.clone(),
            result: if is_verified { entry.row.state.as_str() } else { "left-alone" },
            before: conflict.before.clone(),
            ours: conflict.ours.clone(),
            now: conflict.now.clone(),
            ..row(conflict.method.as_str())
        });
    }
    for note in &notes {
        let word = note.method.as_str();
        let code = note.code.as_str();
        let is_change = target_of(note.method).is_some() && note.device.is_none();
        match rows.iter_mut().find(|r| r.method == word && r.device == note.device) {
            Some(found) if is_change || found.result.is_empty() => found.codes.push(code),
            _ => rows.push(Row { codes: vec![code], device: note.device.clone(), ..row(word) }),
        }
    }
    if rows.is_empty() {
        rows.push(row(Subject::User.as_str()));
    }
    rows
}

fn target_of(subject: Subject) -> Option<Target> {
    match subject {
        Subject::Mobile => Some(Target::Mobile),
        Subject::AlternateMobile => Some(Target::AlternateMobile),
        Subject::Office => Some(Target::Office),
        Subject::HardwareOath => Some(Target::HardwareOath),
        Subject::Default => Some(Target::Default),
        Subject::Phone | Subject::Backup | Subject::MobileApp | Subject::OathToken | Subject::User => None,
    }
}
