//! The message that asks a worker for one user. It carries no personal data: the record waits, sealed, in the ledger.

use crate::RunId;
use serde::{Deserialize, Serialize};

/// One user of a run, to be worked on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Version of this shape; 1.
    pub v: u8,
    /// The run.
    pub run: RunId,
    /// The entry's position in the snapshot.
    pub ordinal: i64,
}

/// An order that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    /// Not our JSON.
    #[error("the order is not readable")]
    Malformed(#[source] serde_json::Error),
    /// A version that this build does not know.
    #[error("the order is of version {0}, this build knows version 1")]
    Version(u8),
}

impl Order {
    /// The newest version of the shape.
    pub const VERSION: u8 = 1;

    /// A new order.
    pub fn new(run: RunId, ordinal: i64) -> Self {
        Self { v: Self::VERSION, run, ordinal }
    }

    /// The message id: the same for every delivery of the same order.
    pub fn message_id(&self) -> String {
        format!("{}-{}", self.run.0, self.ordinal)
    }

    /// The message's body.
    pub fn encode(&self) -> Vec<u8> {
        format!(r#"{{"v":{},"run":{},"ordinal":{}}}"#, self.v, self.run.0, self.ordinal).into_bytes()
    }

    /// Reads a body.
    pub fn decode(body: &[u8]) -> Result<Self, OrderError> {
        let order: Self = serde_json::from_slice(body).map_err(OrderError::Malformed)?;
        if order.v == Self::VERSION { Ok(order) } else { Err(OrderError::Version(order.v)) }
    }
}
