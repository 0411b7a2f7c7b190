//! What ends a worker's run. What concerns one user never gets here: it settles that user with a reason.

use contract::Disposition;

/// Why a worker stopped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The ledger could not be read or written.
    #[error("the ledger failed, so nothing more can be recorded and nothing more is written")]
    Ledger(#[from] ledger::Error),
    /// Graph failed for everybody.
    #[error("Microsoft Graph cannot be used")]
    Graph(#[source] graph::Error),
    /// A kind of call has never succeeded and is forbidden.
    #[error(
        "Microsoft Graph forbids to {what} (403), and no such call has succeeded in this run: the application lacks the \
         permission {permission}; grant it with admin consent, then run the same command again"
    )]
    PermissionMissing {
        /// What was tried.
        what: &'static str,
        /// The application permission that it takes.
        permission: &'static str,
    },
    /// Too many users in a row.
    #[error(
        "Microsoft Graph refused {0} users in a row (403) after others had succeeded: a permission may have been taken away; \
         check the application's consent, then run the same command again"
    )]
    ForbiddenStreak(u32),
    /// The queue can no longer be used.
    #[error("the queue failed")]
    Broker(#[from] broker::Error),
    /// The policy of a run is not readable.
    #[error(
        "the policy of run {0} cannot be read by this version; use the version that opened the run, or a later one"
    )]
    Policy(contract::RunId),
    /// Something could not be sealed.
    #[error("a value could not be sealed")]
    Seal(#[from] contract::SealError),
    /// A group of users was not handled to its end.
    #[error("a group of users was given up by a defect in this program")]
    Group(#[source] tokio::task::JoinError),
}

impl Error {
    /// The word for it in traces and metrics.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Ledger(_) => "ledger",
            Self::Graph(_) => "graph",
            Self::PermissionMissing { .. } => "permission-missing",
            Self::ForbiddenStreak(_) => "forbidden",
            Self::Broker(_) => "broker",
            Self::Policy(_) => "policy",
            Self::Seal(_) => "seal",
            Self::Group(_) => "defect",
        }
    }

    /// A ledger or queue that is away comes back; everything else stops the run.
    pub fn disposition(&self) -> Disposition {
        match self {
            Self::Ledger(error) => error.disposition(),
            Self::Broker(error) => error.disposition(),
            Self::Graph(_)
            | Self::PermissionMissing { .. }
            | Self::ForbiddenStreak(_)
            | Self::Seal(_)
            | Self::Policy(_)
            | Self::Group(_) => Disposition::Stop,
        }
    }
}
