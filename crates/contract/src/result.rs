//! What a run found and did for one user, as the ledger keeps it (sealed) and reports print it.

use crate::{Change, IntentOutcome, Note, Target};
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

/// A method that was left alone on the way back, or that is not as we left it, with its three values.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conflict {
    /// Where it is.
    pub method: Target,
    /// The token's serial; absent for everything else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// The value before our first write; null means that nothing was there.
    pub before: Option<String>,
    /// The value that we wrote; null where that is not known.
    pub ours: Option<String>,
    /// The value that was seen; null means that nothing was there.
    pub now: Option<String>,
}

impl std::fmt::Debug for Conflict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Conflict({})", self.method.as_str())
    }
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
    /// Methods that are neither as before nor as we left them, in writing order; absent in results of older builds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conflicts: Vec<Conflict>,
    /// In a rehearsal, how many of the tokens of the changes are not in the inventory yet: each takes a creation and an
    /// activation. Zero in results of older builds.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub created_tokens: u32,
}

/// Left out where it says nothing.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
fn is_zero(n: &u32) -> bool {
    *n == 0
}

impl EntryResult {
    /// The newest version of the shape.
    pub const VERSION: u8 = 1;
}
