//! The cut-over of a domain, as callers see its rows: the value before, which stands until it is brought back, and each
//! change that was begun; and users whom no migration has reached.

use contract::{EntraId, IntentOutcome, Sealed, SnapshotId, UserKey};
use std::time::Duration;

/// The value before our first change of a domain, standing until it was brought back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cutover {
    /// Its number.
    pub no: i64,
    /// The domain, in lower case.
    pub domain: String,
    /// Graph's id of the federation.
    pub federation: String,
    /// `federatedIdpMfaBehavior` before; absent where it was not set.
    pub before: Option<String>,
    /// Who filed it.
    pub by: String,
    /// When, in milliseconds since 1970 UTC.
    pub filed_at_ms: i64,
    /// The changes that were begun since, oldest first.
    pub intents: Vec<CutoverIntent>,
}

/// A change that was begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CutoverIntent {
    /// Its number.
    pub no: i64,
    /// What was to be set.
    pub to: String,
    /// It brings back what was before.
    pub back: bool,
    /// Who.
    pub by: String,
    /// When, in milliseconds since 1970 UTC.
    pub filed_at_ms: i64,
    /// How long ago, by the database's clock.
    pub age: Duration,
    /// What was seen; absent means: maybe applied, maybe later.
    pub outcome: Option<IntentOutcome>,
}

/// A change that is about to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCutover {
    /// The domain, in lower case.
    pub domain: String,
    /// Graph's id of the federation.
    pub federation: String,
    /// The value now; ignored where a value before stands.
    pub before: Option<String>,
    /// What is to be set.
    pub to: String,
    /// It brings back what was before.
    pub back: bool,
    /// Who: user and host.
    pub by: String,
}

/// A record of the newest snapshot whose user no migration has an entry of.
#[derive(Debug, Clone)]
pub struct NeverMoved {
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// The position in it.
    pub ordinal: i64,
    /// The ledger's name for the user.
    pub user: UserKey,
    /// Enabled in MFA Server.
    pub enabled: bool,
    /// The record, sealed.
    pub record: Sealed,
    /// What some other run (a rehearsal, a survey) found of the user in the directory, sealed.
    pub directory: Option<(EntraId, Sealed)>,
}
