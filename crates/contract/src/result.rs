//! What a run found and did for one user, as the ledger keeps it (sealed) and reports print it.

use crate::{Change, IntentOutcome, Note};
use serde::{Deserialize, Serialize};

/// A change and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// The change as planned.
    #[serde(flatten)]
    pub change: Change,
    /// What became of it; absent when it was only planned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<IntentOutcome>,
    /// Graph's error code, where it refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub graph_code: Option<String>,
}

/// The result for one user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryResult {
    /// Version of this shape; 1.
    pub v: u8,
    /// Changes in writing order.
    pub changes: Vec<Done>,
    /// Codes in the order of the rules.
    pub notes: Vec<Note>,
}

impl EntryResult {
    /// The newest version of the shape.
    pub const VERSION: u8 = 1;
}
