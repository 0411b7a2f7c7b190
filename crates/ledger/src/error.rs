//! Why the ledger could not do what it was asked, in words for the operator.
//!
//! It must never carry a stored value: only names of operations, files, tables and columns. What the caller does next
//! is told by `disposition()`, never by the text.

use contract::{Disposition, RunId, RunState, SnapshotId};
use std::path::PathBuf;

/// Every way in which the ledger fails.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file or its folder cannot be used.
    #[error(
        "the ledger {path} cannot be opened: {reason}; give the path of a ledger file in a folder that you may write to"
    )]
    Open {
        /// The file.
        path: PathBuf,
        /// What is in the way.
        reason: String,
    },
    /// The file is something else.
    #[error(
        "{path} is not a ledger of mfa-migrate; nothing was changed in it: give another path, or move the file away"
    )]
    NotALedger {
        /// The file.
        path: PathBuf,
    },
    /// The address of a server cannot be used, or the server does not let us in: nothing gets better by itself.
    #[error("the ledger {place} cannot be used: {reason}")]
    Server {
        /// The server with its database, without user and password.
        place: String,
        /// What is in the way, and what to do.
        reason: String,
    },
    /// The server does not answer.
    #[error(
        "the ledger {place} cannot be reached; see that PostgreSQL runs there and that this machine may connect"
    )]
    Unreachable {
        /// The server with its database, without user and password.
        place: String,
        /// What sqlx says.
        #[source]
        source: sqlx::Error,
    },
    /// The name of a batch is taken.
    #[error("there is a batch \"{name}\" already, and its users are fixed; take another name")]
    BatchExists {
        /// The name.
        name: String,
    },
    /// A batch that nobody made, or not to its end.
    #[error("there is no batch \"{name}\"; `mfa-migrate batch list` shows those there are")]
    NoBatch {
        /// The name.
        name: String,
    },
    /// The server went away. Whether a change was kept is not known; doing it again is safe.
    #[error("the ledger's server does not answer ({operation}); it is asked again when it is back")]
    Unavailable {
        /// What was being done.
        operation: &'static str,
        /// What the database says.
        #[source]
        source: sqlx::Error,
    },
    /// The server does not let us.
    #[error(
        "the ledger's server refused it ({operation}); see that the user of its address may do this: deploy/postgres/roles.sql grants what each process needs"
    )]
    Denied {
        /// What was being done.
        operation: &'static str,
        /// What the database says.
        #[source]
        source: sqlx::Error,
    },
    /// Written by a later version of the product.
    #[error(
        "the ledger {place} was written by a newer mfa-migrate (its shape is {found}, this build knows {known}); \
         use that version or a later one"
    )]
    Newer {
        /// The file, or the server with its database.
        place: String,
        /// The shape on file.
        found: i64,
        /// The newest shape that this build knows.
        known: i64,
    },
    /// Written by an earlier version, and opened for reading alone.
    #[error(
        "the ledger {place} was written by an older mfa-migrate (its shape is {found}, this build reads {known}); \
         run a migrate or rehearse with this version first, which brings it up to date"
    )]
    Older {
        /// The file, or the server with its database.
        place: String,
        /// The shape on file.
        found: i64,
        /// The shape that this build reads.
        known: i64,
    },
    /// The ledger could not be brought to the shape of this build.
    #[error(
        "the ledger {place} could not be brought up to date; it is as it was: keep a copy of it and report this"
    )]
    Migrate {
        /// The file, or the server with its database.
        place: String,
        /// What sqlx says.
        #[source]
        source: sqlx::migrate::MigrateError,
    },
    /// The database found its own file damaged.
    #[error(
        "the ledger is damaged ({operation}); stop all processes, keep a copy of the file, and restore it from a backup"
    )]
    Corrupt {
        /// What was being done.
        operation: &'static str,
        /// What the database says.
        #[source]
        source: sqlx::Error,
    },
    /// Somebody else held the ledger for longer than we wait.
    #[error("another process kept the ledger locked ({operation}); end it, or try again when it is done")]
    Busy {
        /// What was being done.
        operation: &'static str,
        /// What the database says.
        #[source]
        source: sqlx::Error,
    },
    /// No room for it.
    #[error(
        "no space is left for the ledger ({operation}); nothing of this step was kept: free some space and run the same command again"
    )]
    DiskFull {
        /// What was being done.
        operation: &'static str,
        /// What the database says.
        #[source]
        source: sqlx::Error,
    },
    /// The ledger was opened for reading alone, or its file or folder is write-protected.
    #[error("the ledger may only be read here ({operation}); make the file and its folder writable")]
    ReadOnly {
        /// What was being done.
        operation: &'static str,
        /// What the database says; absent where we refused by ourselves.
        #[source]
        source: Option<sqlx::Error>,
    },
    /// Something is to be closed that has parts missing.
    #[error(
        "{what} is not complete: {expected} expected, {found} on file; run the same command again to go on with it"
    )]
    Incomplete {
        /// What it is.
        what: String,
        /// How many there should be.
        expected: u64,
        /// How many there are.
        found: u64,
    },
    /// No such snapshot on file.
    #[error("no snapshot {id} is on file; read the datafile in again")]
    NoSnapshot {
        /// The snapshot.
        id: SnapshotId,
    },
    /// No such run on file.
    #[error("no run {run} is on file; `mfa-migrate status` names those there are")]
    NoRun {
        /// The run.
        run: RunId,
    },
    /// A run that has ended does not move any more.
    #[error("run {run} has ended ({}) and does not move any more; run the command again to open a new one", .state.as_str())]
    Ended {
        /// The run.
        run: RunId,
        /// How it ended.
        state: RunState,
    },
    /// A run needs what is being forgotten.
    #[error(
        "run {run} is not over and may need what is being forgotten; what was removed stays removed: let the run end, or end it \
         with `mfa-migrate batch abort`, and run the same command again to go on"
    )]
    Needed {
        /// The run.
        run: RunId,
    },
    /// A claim was to be settled in a state that is none.
    #[error(
        "entry {ordinal} of run {run} was to be settled in a state that is not settled; nothing was written: report this"
    )]
    NotSettled {
        /// The run.
        run: RunId,
        /// The entry.
        ordinal: i64,
    },
    /// A row holds what this build does not know.
    #[error(
        "a row of the ledger is not readable: column {column} ({operation}); keep a copy of the file and report this"
    )]
    Row {
        /// What was being done.
        operation: &'static str,
        /// The column.
        column: &'static str,
    },
    /// Anything else that the database refused.
    #[error("the ledger could not do this: {operation}; nothing of it was kept")]
    Query {
        /// What was being done.
        operation: &'static str,
        /// What the database says.
        #[source]
        source: sqlx::Error,
    },
    /// Another process leads by now.
    #[error(
        "another process coordinates by now ({operation}); nothing of this step was kept, and this one stops leading"
    )]
    Deposed {
        /// What was being done.
        operation: &'static str,
    },
    /// The task that did the work ended before it was done: the process is being shut down.
    #[error("the process is shutting down ({operation}); nothing of this step was kept")]
    Stopped {
        /// What was being done.
        operation: &'static str,
    },
}

impl Error {
    /// What the caller does next: a lock held by somebody else goes away and a server comes back, everything else does
    /// not. Of a deposed leader
    /// no statement changed anything: the process stops leading, and may wait to lead again.
    pub fn disposition(&self) -> Disposition {
        match self {
            Self::Busy { .. } | Self::Unreachable { .. } | Self::Unavailable { .. } => Disposition::Retry,
            Self::Open { .. }
            | Self::NotALedger { .. }
            | Self::Server { .. }
            | Self::Denied { .. }
            | Self::Newer { .. }
            | Self::Older { .. }
            | Self::Migrate { .. }
            | Self::Corrupt { .. }
            | Self::DiskFull { .. }
            | Self::ReadOnly { .. }
            | Self::BatchExists { .. }
            | Self::NoBatch { .. }
            | Self::Incomplete { .. }
            | Self::NoSnapshot { .. }
            | Self::NoRun { .. }
            | Self::Ended { .. }
            | Self::Needed { .. }
            | Self::NotSettled { .. }
            | Self::Row { .. }
            | Self::Query { .. }
            | Self::Deposed { .. }
            | Self::Stopped { .. } => Disposition::Stop,
        }
    }
}
