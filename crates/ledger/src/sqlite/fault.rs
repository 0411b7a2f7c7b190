//! The error inside the dialect: what sqlx says, before it is known which operation it spoilt.
//!
//! It must never reach a caller; `named` turns it into the crate's own error by SQLite's result code.

use crate::Error;
use contract::SnapshotId;

/// What a statement or a row can bring up.
#[derive(Debug)]
pub(super) enum Fault {
    /// From the database.
    Sql(sqlx::Error),
    /// A column holds what this build does not know.
    Column(&'static str),
    /// Ours already.
    Ours(Error),
}

impl From<sqlx::Error> for Fault {
    fn from(error: sqlx::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Ours(error)
    }
}

impl Fault {
    /// A snapshot that is not on file.
    pub(super) fn no_snapshot(id: &SnapshotId) -> Self {
        Self::Ours(Error::NoSnapshot { id: id.clone() })
    }

    /// The crate's error, with the operation's name.
    pub(super) fn named(self, operation: &'static str) -> Error {
        match self {
            Self::Sql(source) => match primary_code(&source) {
                Some(BUSY | LOCKED) => Error::Busy { operation, source },
                Some(FULL) => Error::DiskFull { operation, source },
                Some(CORRUPT | NOT_A_DATABASE) => Error::Corrupt { operation, source },
                Some(READ_ONLY) => Error::ReadOnly { operation, source: Some(source) },
                Some(_) | None => Error::Query { operation, source },
            },
            Self::Column(column) => Error::Row { operation, column },
            Self::Ours(error) => error,
        }
    }
}

/// SQLite's primary result codes (sqlite.org/rescode.html); the extended ones carry them in their low byte.
const BUSY: u32 = 5;
const LOCKED: u32 = 6;
const READ_ONLY: u32 = 8;
const CORRUPT: u32 = 11;
const FULL: u32 = 13;
/// The file is no database at all.
pub(super) const NOT_A_DATABASE: u32 = 26;

/// The primary result code of a database error.
pub(super) fn primary_code(error: &sqlx::Error) -> Option<u32> {
    let code = error.as_database_error()?.code()?;
    Some(code.parse::<u32>().ok()? & 0xff)
}
