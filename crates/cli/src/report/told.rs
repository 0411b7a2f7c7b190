//! What one run has told of one user.

use crate::lines::Opened;
use contract::{Conflict, DirectoryEntry, Done, EntraId, EntryResult, EntryState, Note, Target};

/// An entry of a run, as far as reports need it.
pub(super) struct Told {
    pub(super) run: i64,
    pub(super) state: EntryState,
    /// The Entra user; absent where nothing matched or the match is ambiguous.
    pub(super) user: Option<EntraId>,
    /// When the run was done with the user, in milliseconds since 1970 UTC; absent before.
    pub(super) at_ms: Option<i64>,
    pub(super) notes: Vec<Note>,
    pub(super) directory: Option<DirectoryEntry>,
    /// The values were taken out.
    pub(super) forgotten: bool,
    result: Option<EntryResult>,
}

impl Told {
    /// From an opened entry.
    pub(super) fn of(entry: Opened) -> Self {
        Self {
            run: entry.row.run.0,
            state: entry.row.state,
            user: entry.row.user.clone(),
            at_ms: entry.row.settled_at_ms,
            notes: entry.notes(),
            directory: entry.directory,
            forgotten: entry.row.forgotten,
            result: entry.result,
        }
    }

    pub(super) fn changes(&self) -> &[Done] {
        self.result.as_ref().map_or(&[], |result| &result.changes)
    }

    pub(super) fn conflicts(&self) -> &[Conflict] {
        self.result.as_ref().map_or(&[], |result| &result.conflicts)
    }

    /// Whether the run has looked at the user or has left the user out; otherwise an older entry tells more.
    pub(super) fn says_something(&self) -> bool {
        self.state.is_settled() && !(self.state == EntryState::Unchanged && self.result.is_none())
    }

    pub(super) fn change_of(&self, method: Target, serial: Option<&str>) -> Option<&Done> {
        self.changes().iter().find(|d| d.change.method == method && d.change.serial.as_deref() == serial)
    }

    pub(super) fn conflict_of(&self, method: Target, serial: Option<&str>) -> Option<&Conflict> {
        self.conflicts().iter().find(|c| c.method == method && c.serial.as_deref() == serial)
    }
}

/// The entry that tells most of these, which are in order, newest first.
pub(super) fn telling(entries: &[Told]) -> Option<&Told> {
    entries.iter().find(|told| told.says_something()).or_else(|| entries.first())
}

/// Those of a run later than this one.
pub(super) fn later(entries: &[Told], run: i64) -> &[Told] {
    let count = entries.iter().take_while(|told| told.run > run).count();
    entries.get(..count).unwrap_or_default()
}
