//! What is to be forgotten, what that would take away, and how much was.
//!
//! A sealed value that was removed leaves an empty envelope, which opens for nobody: whoever takes it for a value fails, and
//! nobody takes it for "nothing was there".

use crate::Run;
use contract::{RunId, Sealed, SnapshotId, UserKey};

/// What is forgotten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Forget {
    /// The users of a batch, whatever snapshot or run their values came in; `all`: everybody.
    Batch(String),
    /// What one snapshot brought. The values before of users whom a run over another snapshot wrote to as well stay.
    Snapshot(SnapshotId),
}

/// What stands of it, and what needs it still.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Forgettable {
    /// Runs that are not over and write to these users, or compare what was written.
    pub unfinished: Vec<Run>,
    /// Entra users of whom an intent has no outcome.
    pub in_doubt: u64,
    /// Users whom the last run that writes has not settled.
    pub unsettled: u64,
    /// Records with their values.
    pub records: u64,
    /// Values before, standing and settled.
    pub pre_images: u64,
    /// Values that we meant to write.
    pub intents: u64,
    /// Results with their values.
    pub results: u64,
    /// Entra users who cannot be taken back afterwards, and now could be.
    pub way_back: u64,
    /// Entra users whose values before stay, since a run over another snapshot wrote to them too.
    pub stays: u64,
}

impl Forgettable {
    /// Whether nothing is left to forget.
    pub fn is_nothing(&self) -> bool {
        self.records == 0 && self.pre_images == 0 && self.intents == 0 && self.results == 0
    }
}

/// A page of users, with the results that still have their values.
#[derive(Debug, Clone, Default)]
pub struct ForgetPage {
    /// In order; empty at the end.
    pub users: Vec<UserKey>,
    /// The run, the ordinal, and the result as it is on file.
    pub results: Vec<(RunId, i64, Sealed)>,
}

/// How much was forgotten.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Forgotten {
    /// Entra users who could be taken back before.
    pub way_back: u64,
    /// Values before.
    pub pre_images: u64,
    /// Values that we meant to write.
    pub intents: u64,
    /// Results.
    pub results: u64,
    /// Records.
    pub records: u64,
}

impl std::ops::AddAssign for Forgotten {
    fn add_assign(&mut self, other: Self) {
        self.way_back += other.way_back;
        self.pre_images += other.pre_images;
        self.intents += other.intents;
        self.results += other.results;
        self.records += other.records;
    }
}

/// Where the records of a snapshot were left off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordCursor {
    pub(crate) snapshot: i64,
    pub(crate) ordinal: i64,
}

impl Forget {
    /// The batch's name, where it is one.
    pub(crate) fn batch(&self) -> Option<&str> {
        match self {
            Self::Batch(name) => Some(name),
            Self::Snapshot(_) => None,
        }
    }

    /// The snapshot, where it is one.
    pub(crate) fn snapshot(&self) -> Option<&SnapshotId> {
        match self {
            Self::Batch(_) => None,
            Self::Snapshot(id) => Some(id),
        }
    }
}
