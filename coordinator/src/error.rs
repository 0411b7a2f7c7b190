//! What stops the coordinator.

use contract::Disposition;

/// Why a step could not be done. The same command resumes after each of them.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The ledger.
    #[error("the ledger failed")]
    Ledger(#[from] ledger::Error),
    /// The directory, the policy or the inventory could not be read.
    #[error("{what} could not be read from Microsoft Graph")]
    Graph {
        /// What was to be read.
        what: &'static str,
        /// Why not.
        #[source]
        source: graph::Error,
    },
    /// The queue.
    #[error("the queue failed")]
    Broker(#[from] broker::Error),
    /// Something could not be sealed or opened.
    #[error("a record could not be sealed or opened; is this the key that it was sealed with?")]
    Seal(#[from] contract::SealError),
    /// The policy of a run is not readable.
    #[error(
        "the policy of run {0} cannot be read by this version; use the version that opened the run, or a later one"
    )]
    Policy(contract::RunId),
    /// The settings of a batch are not readable.
    #[error(
        "the settings of batch \"{0}\" cannot be read by this version; use the version that wrote them, or a later one"
    )]
    Settings(String),
    /// Users of a rollback are in the staged rollout by our doing.
    #[error(
        "{users} users of batch {batch} are in the staged rollout: Entra would ask them for what is to be withdrawn; \
         `mfa-migrate rollback` takes them out first, and so does `mfa-migrate rollout remove`"
    )]
    Rerouted {
        /// How many.
        users: u64,
        /// The batch of the rollback.
        batch: String,
    },
    /// The policy of the staged rollout acts on the whole organization.
    #[error(
        "the staged rollout is applied to the whole organization: Entra does everybody's MFA, and whoever is taken back could not \
         sign in any more; set isAppliedToOrganization to false in its policy first, or disable it"
    )]
    EverybodyRerouted,
    /// A part of the coordinator was given up.
    #[error("a part of the coordinator was given up by a defect in this program")]
    Part(#[source] tokio::task::JoinError),
    /// The snapshot's messages ended without a manifest.
    #[error("the extractor stopped before the end of the datafile")]
    Unfinished,
}

impl Error {
    /// What is away comes back; everything else stops the run, and the same command resumes it.
    pub fn disposition(&self) -> Disposition {
        match self {
            Self::Ledger(error) => error.disposition(),
            Self::Graph { source, .. } => source.disposition(),
            Self::Broker(error) => error.disposition(),
            Self::Seal(_)
            | Self::Policy(_)
            | Self::Settings(_)
            | Self::Rerouted { .. }
            | Self::EverybodyRerouted
            | Self::Part(_)
            | Self::Unfinished => Disposition::Stop,
        }
    }

    /// Another process leads: nothing was changed, and nothing more is to be done here.
    pub fn is_deposed(&self) -> bool {
        matches!(self, Self::Ledger(ledger::Error::Deposed { .. }))
    }
}
