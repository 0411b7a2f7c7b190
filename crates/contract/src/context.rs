//! The contexts under which things are sealed: an envelope opens only where it belongs.

use crate::{EntraId, RunId, SnapshotId};

/// A record of a snapshot.
pub fn record(snapshot: &SnapshotId, ordinal: i64) -> String {
    format!("record\0{}\0{ordinal}", snapshot.0)
}

/// What the directory says of a user.
pub fn directory(user: &EntraId) -> String {
    format!("directory\0{}", user.0)
}

/// A value of a method: a pre-image, an intent, what was seen.
pub fn value(user: &EntraId, slot_key: &str) -> String {
    format!("value\0{}\0{slot_key}", user.0)
}

/// What a run found and did for a user.
pub fn result(run: RunId, ordinal: i64) -> String {
    format!("result\0{}\0{ordinal}", run.0)
}

/// A plan line that a person has reviewed.
pub fn reviewed(run: RunId, ordinal: i64) -> String {
    format!("reviewed\0{}\0{ordinal}", run.0)
}

/// The key of all fingerprints, kept in the ledger.
pub const FINGERPRINT_KEY: &str = "fingerprint-key";
