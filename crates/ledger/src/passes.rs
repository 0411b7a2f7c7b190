//! Temporary Access Passes, as callers see their rows: issues, claims, intents, and what became of them. A pass itself is
//! never among them.

use contract::{EntraId, PassEnding, PassOutcome};
use std::time::Duration;

/// One issue of passes: what every pass of it was asked for with. The operator's file names it in each of its rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassIssue {
    /// Its name, a UUID.
    pub id: String,
    /// How long each pass can be used, in minutes.
    pub lifetime_minutes: u32,
    /// Each can be used once.
    pub once: bool,
    /// From when, in milliseconds since 1970 UTC; absent means from its making.
    pub start_ms: Option<i64>,
    /// Who: user and host.
    pub by: String,
}

/// A user whose passes are in one pair of hands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassClaim {
    /// The user.
    pub user: EntraId,
    /// Every later statement carries it.
    pub epoch: i64,
    /// The wish to make a pass of which nothing is known yet, of whatever issue; there is one at most.
    pub open: Option<PassIntent>,
    /// The passes that were issued to the user, oldest first.
    pub issued: Vec<IssuedPass>,
    /// Graph's ids of passes that were made, got to nobody, and were taken away: they may show for a while.
    pub lost: Vec<String>,
}

/// A pass that we were about to ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassIntent {
    /// Its number.
    pub no: i64,
    /// The issue, with what was asked for.
    pub issue: PassIssue,
    /// When it was filed, in milliseconds since 1970 UTC by the database's clock.
    pub filed_at_ms: i64,
    /// How long ago, by the same clock.
    pub age: Duration,
    /// Graph's ids of the passes that were there before.
    pub before: Vec<String>,
}

/// A pass that was made and is in the operator's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuedPass {
    /// The number of its intent.
    pub no: i64,
    /// The name of its issue.
    pub issue: String,
    /// The user.
    pub user: EntraId,
    /// Graph's id of it.
    pub method: String,
    /// How long ago it was asked for, by the database's clock.
    pub age: Duration,
    /// How it ended, as far as we saw; absent while it may be there.
    pub ending: Option<PassEnding>,
}

/// A pass that we are about to ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPassIntent {
    /// The user.
    pub user: EntraId,
    /// The claim's.
    pub epoch: i64,
    /// Graph's ids of the passes that are there.
    pub before: Vec<String>,
}

/// What was learnt of a user's passes, and the end of the claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassFinish {
    /// The user.
    pub user: EntraId,
    /// The claim's.
    pub epoch: i64,
    /// What became of an intent.
    pub outcome: Option<PassKnown>,
    /// Issued passes that have ended, by number.
    pub ended: Vec<(i64, PassEnding)>,
    /// Whether the claim is given back.
    pub release: bool,
}

/// What became of an intent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassKnown {
    /// Its number.
    pub no: i64,
    /// What became of it.
    pub outcome: PassOutcome,
    /// Graph's id of the pass, where one was seen.
    pub method: Option<String>,
}
