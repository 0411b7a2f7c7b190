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
    /// A message of the snapshot is not readable.
    #[error("a message of the snapshot cannot be read")]
    Message(#[from] contract::MessageError),
    /// The snapshot's messages ended without a manifest.
    #[error("the extractor stopped before the end of the datafile")]
    Unfinished,
}

impl Error {
    /// All of them stop the run; it is resumed by the same command.
    pub fn disposition(&self) -> Disposition {
        match self {
            Self::Ledger(_)
            | Self::Graph { .. }
            | Self::Broker(_)
            | Self::Seal(_)
            | Self::Message(_)
            | Self::Unfinished => Disposition::Stop,
        }
    }
}
