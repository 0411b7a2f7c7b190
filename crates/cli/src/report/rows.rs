//! The rows of one user: what a migration did to each method, and what a verification and a rollback did with it since.
//!
//! Names of fields and columns are promises: scripts read them. New ones come at the end.

use super::told::{Told, later, telling};
use crate::lines;
use contract::{Code, Conflict, Done, EntryState, IntentOutcome, Note, Subject, Target};

/// A row of a report: one user and method, or one user where no method was touched.
#[derive(Debug, Clone, Default, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Row {
    pub(super) user: String,
    pub(super) user_principal_name: Option<String>,
    /// How the migration ended for the user; in a report of one run, how that run did.
    pub(super) state: &'static str,
    pub(super) method: &'static str,
    pub(super) serial: Option<String>,
    pub(super) from: Option<String>,
    pub(super) to: Option<String>,
    /// `planned`, an intent's outcome, or empty where nothing was to be written.
    pub(super) result: &'static str,
    pub(super) graph_code: Option<String>,
    pub(super) codes: Vec<&'static str>,
    pub(super) device: Option<String>,
    /// The value before our first write, where somebody changed ours since.
    pub(super) before: Option<String>,
    /// Ours, there.
    pub(super) ours: Option<String>,
    /// What stands now, there.
    pub(super) now: Option<String>,
    /// The run of `from`, `to` and `result`; where nothing was written, of the state.
    pub(super) run: i64,
    /// When that run was done with the user.
    pub(super) at: Option<String>,
    /// Where the user stands after all runs.
    pub(super) standing: &'static str,
    /// `confirmed`, `missing`, `changed-since` or `parked` by a later verification; empty where it said nothing.
    pub(super) verify: &'static str,
    pub(super) verify_run: Option<i64>,
    pub(super) verified_at: Option<String>,
    /// How a later rollback ended for the user; empty where there was none.
    pub(super) rollback: &'static str,
    /// What it did with the method: `taken-back`, `as-before`, `left-alone`, `stays` (a default that cannot be unset), or
    /// an intent's outcome.
    pub(super) rollback_result: &'static str,
    pub(super) rollback_run: Option<i64>,
    pub(super) rolled_back_at: Option<String>,
    pub(super) region: Option<String>,
    pub(super) department: Option<String>,
}

/// All that runs of one user have told, newest first.
#[derive(Default)]
pub(super) struct Story {
    /// Of migrations.
    pub(super) forward: Vec<Told>,
    pub(super) rollbacks: Vec<Told>,
    pub(super) verifications: Vec<Told>,
}

/// The rows of a user's entry in one run, without what came later. `blank` has what they share.
pub(super) fn of_entry(blank: &Row, told: &Told) -> Vec<Row> {
    let mut rows: Vec<Row> = told.changes().iter().map(|done| of_change(blank, told, done)).collect();
    let is_verified = matches!(told.state, EntryState::Missing | EntryState::ChangedSince);
    for conflict in told.conflicts() {
        let mut row = of(blank, told, conflict.method.as_str());
        row.serial.clone_from(&conflict.serial);
        row.result = if is_verified { told.state.as_str() } else { "left-alone" };
        add_values(&mut row, conflict);
        rows.push(row);
    }
    add_notes(&mut rows, &told.notes, |word| of(blank, told, word));
    if rows.is_empty() {
        rows.push(of(blank, told, Subject::User.as_str()));
    }
    rows
}

/// The rows of a user over all runs. Of every method the newest change counts; of the reasons, those of the entry that
/// tells how the migration ended, and those of what came after it.
pub(super) fn of_story(blank: &Row, story: &Story) -> Vec<Row> {
    let Some(newest) = telling(&story.forward) else { return vec![blank.clone()] };
    let mut changes: Vec<(&Told, &Done)> = Vec::new();
    for told in &story.forward {
        for done in told.changes() {
            let (method, serial) = (done.change.method, &done.change.serial);
            if !changes.iter().any(|(_, d)| d.change.method == method && d.change.serial == *serial) {
                changes.push((told, done));
            }
        }
    }
    changes.sort_by_key(|(_, done)| done.change.method);
    let mut found: Vec<(Option<Target>, Row)> = Vec::new();
    for (told, done) in changes {
        let row = Row { state: newest.state.as_str(), ..of_change(blank, told, done) };
        found.push((Some(done.change.method), row));
    }
    for (method, serial) in slots_of_others(story) {
        if !found.iter().any(|(target, row)| *target == Some(method) && row.serial.as_deref() == serial) {
            let serial = serial.map(str::to_owned);
            found.push((Some(method), Row { serial, ..of(blank, newest, method.as_str()) }));
        }
    }
    let mut rows: Vec<Row> = Vec::with_capacity(found.len());
    for (target, mut row) in found {
        add_verification(&mut row, target, story);
        add_rollback(&mut row, target, story);
        rows.push(row);
    }
    let without_method = |word| {
        let mut row = of(blank, newest, word);
        add_verification(&mut row, None, story);
        add_rollback(&mut row, None, story);
        row
    };
    add_notes(&mut rows, &newest.notes, without_method);
    for later_entries in [later(&story.verifications, newest.run), later(&story.rollbacks, newest.run)] {
        if let Some(told) = telling(later_entries) {
            add_notes(&mut rows, &told.notes, without_method);
        }
    }
    if rows.is_empty() {
        rows.push(without_method(Subject::User.as_str()));
    }
    rows
}

/// Methods that a verification or a rollback tells of, those of no change among them: an intent without an outcome is
/// taken back, too.
fn slots_of_others(story: &Story) -> impl Iterator<Item = (Target, Option<&str>)> {
    let rollbacks = story.rollbacks.iter().flat_map(Told::changes);
    let changes = rollbacks.map(|d| (d.change.method, d.change.serial.as_deref()));
    let conflicts = story.rollbacks.iter().chain(&story.verifications).flat_map(Told::conflicts);
    changes.chain(conflicts.map(|c| (c.method, c.serial.as_deref())))
}

fn of(blank: &Row, told: &Told, method: &'static str) -> Row {
    Row {
        state: told.state.as_str(),
        method,
        run: told.run,
        at: told.at_ms.map(lines::time),
        ..blank.clone()
    }
}

fn of_change(blank: &Row, told: &Told, done: &Done) -> Row {
    Row {
        serial: done.change.serial.clone(),
        from: done.change.from.clone(),
        to: done.change.to.clone(),
        result: match done.outcome {
            Some(outcome) => outcome.as_str(),
            None if told.state == EntryState::Planned => "planned",
            None => "not-written",
        },
        graph_code: done.graph_code.clone(),
        // Without it, a value that was removed would look like none that was there.
        codes: if told.forgotten { vec![Code::Forgotten.as_str()] } else { Vec::new() },
        ..of(blank, told, done.change.method.as_str())
    }
}

fn add_values(row: &mut Row, conflict: &Conflict) {
    row.before.clone_from(&conflict.before);
    row.ours.clone_from(&conflict.ours);
    row.now.clone_from(&conflict.now);
}

/// What the last verification since says of the method.
fn add_verification(row: &mut Row, method: Option<Target>, story: &Story) {
    let Some(told) = telling(later(&story.verifications, row.run)) else { return };
    let conflict = method.and_then(|method| told.conflict_of(method, row.serial.as_deref()));
    let is_ours = row.result == IntentOutcome::Applied.as_str();
    row.verify = match (conflict, told.state) {
        (Some(conflict), _) => if_seen(conflict).as_str(),
        (None, EntryState::Confirmed | EntryState::Missing | EntryState::ChangedSince) if is_ours => {
            EntryState::Confirmed.as_str()
        }
        (None, EntryState::Parked) => EntryState::Parked.as_str(),
        (None, _) => return,
    };
    row.verify_run = Some(told.run);
    row.verified_at = told.at_ms.map(lines::time);
    if let Some(conflict) = conflict {
        add_values(row, conflict);
    }
}

/// What a verification found in a place that is not as we left it.
fn if_seen(conflict: &Conflict) -> EntryState {
    if conflict.now.is_none() || conflict.now == conflict.before {
        EntryState::Missing
    } else {
        EntryState::ChangedSince
    }
}

/// How the last rollback since ended for the user, and what the last that had to do with the method did with it.
fn add_rollback(row: &mut Row, method: Option<Target>, story: &Story) {
    let since = later(&story.rollbacks, row.run);
    let Some(told) = telling(since) else { return };
    row.rollback = told.state.as_str();
    row.rollback_run = Some(told.run);
    row.rolled_back_at = told.at_ms.map(lines::time);
    let Some(method) = method else { return };
    let serial = row.serial.clone();
    for told in since {
        if let Some(conflict) = told.conflict_of(method, serial.as_deref()) {
            row.rollback_result = "left-alone";
            return add_values(row, conflict);
        }
        if let Some(done) = told.change_of(method, serial.as_deref()) {
            row.rollback_result = match done.outcome {
                Some(IntentOutcome::Applied) => "taken-back",
                Some(outcome) => outcome.as_str(),
                None => "not-written",
            };
            return;
        }
    }
    if told.state == EntryState::Reverted && row.result == IntentOutcome::Applied.as_str() {
        let stays = method == Target::Default && told.notes.iter().any(|n| n.code == Code::DefaultLeft);
        row.rollback_result = if stays { "stays" } else { "as-before" };
    }
}

/// Notes go to the row of their method where there is one; those of a device have a row of their own.
fn add_notes(rows: &mut Vec<Row>, notes: &[Note], row: impl Fn(&'static str) -> Row) {
    for note in notes {
        let word = note.method.as_str();
        let code = note.code.as_str();
        let is_change = is_target(note.method) && note.device.is_none();
        match rows.iter_mut().find(|r| r.method == word && r.device == note.device) {
            Some(found) if is_change || found.result.is_empty() => {
                if !found.codes.contains(&code) {
                    found.codes.push(code);
                }
            }
            _ => rows.push(Row { codes: vec![code], device: note.device.clone(), ..row(word) }),
        }
    }
}

fn is_target(subject: Subject) -> bool {
    match subject {
        Subject::Mobile
        | Subject::AlternateMobile
        | Subject::Office
        | Subject::HardwareOath
        | Subject::Default => true,
        Subject::Phone | Subject::Backup | Subject::MobileApp | Subject::OathToken | Subject::User => false,
    }
}
