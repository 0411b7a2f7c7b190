//! The error inside the dialect: what sqlx says, before it is known which operation it spoilt.
//!
//! It must never reach a caller; `named` turns it into the crate's own error by SQLSTATE (PostgreSQL manual, appendix A)
//! or by sqlx's own kind, never by its text.

use crate::Error;
use contract::SnapshotId;

/// What a statement or a row can bring up.
#[derive(Debug)]
pub(super) enum Fault {
    /// From the database.
    Sql(sqlx::Error),
    /// A column holds what this build does not know.
    Column(&'static str),
    /// No answer within our own limit: whether it was done is not known.
    Silent,
    /// Our term is over: another process leads.
    Deposed,
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

/// What an error of the database means to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Two transactions stood in each other's way; this one was rolled back, and may simply be repeated.
    Collision,
    /// Somebody else held a lock for too long, or a statement took too long.
    Busy,
    /// The server is away, or the connection to it.
    Away,
    /// It lets us not in, or not do it.
    Denied,
    /// No room on its disk.
    Full,
    /// Its files are damaged.
    Corrupt,
    /// It may only be read there, or by us.
    ReadOnly,
    /// Anything else.
    Other,
}

impl Kind {
    /// Of an error of sqlx.
    pub(super) fn of(error: &sqlx::Error) -> Self {
        if let sqlx::Error::Database(error) = error {
            return Self::of_state(error.code().as_deref(), error.constraint());
        }
        if let sqlx::Error::Io(error) = error {
            // A certificate that does not hold comes as damaged data.
            let is_refused = error.kind() == std::io::ErrorKind::InvalidData;
            return if is_refused { Self::Denied } else { Self::Away };
        }
        let is_away = matches!(
            error,
            sqlx::Error::Protocol(_)
                | sqlx::Error::PoolTimedOut
                | sqlx::Error::PoolClosed
                | sqlx::Error::WorkerCrashed
                | sqlx::Error::BeginFailed
        );
        if is_away {
            Self::Away
        } else if matches!(error, sqlx::Error::Tls(_) | sqlx::Error::Configuration(_)) {
            Self::Denied
        } else {
            Self::Other
        }
    }

    fn of_state(state: Option<&str>, constraint: Option<&str>) -> Self {
        let Some(state) = state else { return Self::Other };
        match state {
            "40001" | "40P01" => Self::Collision,
            // Two claims of one Entra user at the same time: the one that waited looks again, and finds it held.
            "23505" if constraint == Some("entry_holding") => Self::Collision,
            "55P03" | "57014" => Self::Busy,
            "57P01" | "57P02" | "57P03" | "57P05" | "25P03" => Self::Away,
            "53100" => Self::Full,
            "25006" => Self::ReadOnly,
            "XX001" | "XX002" => Self::Corrupt,
            "3D000" | "3F000" | "42501" => Self::Denied,
            _ if state.starts_with("08") || state.starts_with("53") => Self::Away,
            _ if state.starts_with("28") => Self::Denied,
            _ => Self::Other,
        }
    }
}

impl Fault {
    /// A snapshot that is not on file.
    pub(super) fn no_snapshot(id: &SnapshotId) -> Self {
        Self::Ours(Error::NoSnapshot { id: id.clone() })
    }

    /// What it means; absent where it is not the database's.
    pub(super) fn kind(&self) -> Option<Kind> {
        match self {
            Self::Sql(error) => Some(Kind::of(error)),
            Self::Silent | Self::Column(_) | Self::Deposed | Self::Ours(_) => None,
        }
    }

    /// The crate's error, with the operation's name.
    pub(super) fn named(self, operation: &'static str) -> Error {
        match self {
            Self::Sql(source) => match Kind::of(&source) {
                Kind::Collision | Kind::Busy => Error::Busy { operation, source },
                Kind::Away => Error::Unavailable { operation, source },
                Kind::Denied => Error::Denied { operation, source },
                Kind::Full => Error::DiskFull { operation, source },
                Kind::Corrupt => Error::Corrupt { operation, source },
                Kind::ReadOnly => Error::ReadOnly { operation, source: Some(source) },
                Kind::Other => Error::Query { operation, source },
            },
            Self::Silent => Error::Unavailable { operation, source: silent() },
            Self::Column(column) => Error::Row { operation, column },
            Self::Deposed => Error::Deposed { operation },
            Self::Ours(error) => error,
        }
    }
}

/// What a server that does not answer is told by.
pub(super) fn silent() -> sqlx::Error {
    sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())
}
