//! Temporary Access Passes: made for users who must register again, and taken away; the same safe steps as a migration.
//!
//! A wish is on file before it is sent; a pass is in the operator's file, on disk, before the ledger says that it was
//! issued; whatever is in doubt is looked at. A pass goes into that file and nowhere else. What somebody else has made is
//! never taken away, and a pass that can be used is never written over. Start with `issue.rs`; `round.rs` is one group of
//! users.

mod issue;
mod revoke;
mod round;

use contract::{Disposition, EntraId, PassEnding, Secret};
use graph::{SeenPass, Writer};
use ledger::Ledger;
use std::sync::Arc;
use telemetry::Shutdown;
use tokio::time::{Duration, Instant};

use crate::Settings;

/// Users handled together: a full bundle of writes.
const GROUP: usize = 20;
/// How soon a user who is in somebody else's hands, or of whom nothing shows yet, is looked at again.
const AGAIN: Duration = Duration::from_secs(1);
/// Withdrawals that Graph refuses of one user before it is told.
const ATTEMPTS: u32 = 3;

/// A user whom a pass is meant for.
#[derive(Clone, PartialEq, Eq)]
pub struct Somebody {
    /// As the operator calls the user.
    pub name: String,
    /// Object id.
    pub id: EntraId,
}

impl std::fmt::Debug for Somebody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Somebody").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A pass on its way into the operator's file.
#[derive(Debug)]
pub struct Line<'a> {
    /// The number of its wish: one line of it, whatever happens.
    pub no: i64,
    /// The user.
    pub user: &'a Somebody,
    /// User principal name.
    pub upn: &'a str,
    /// The pass.
    pub secret: &'a Secret,
    /// All else of it.
    pub seen: &'a SeenPass,
}

/// The operator's file.
pub trait PassFile: Send {
    /// Graph's id of the pass that the file has for a wish.
    fn pass_of(&self, wish: i64) -> Option<&str>;

    /// Appends lines; they are on disk when it returns.
    ///
    /// # Errors
    /// The file cannot be written; what was in the lines is lost.
    fn append(&mut self, lines: &[Line<'_>]) -> std::io::Result<()>;
}

/// Why a user has no pass of ours, or keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PassWord {
    /// A pass that can be used is there, and it is not known to be ours.
    Foreign,
    /// A pass that can be used is there, and an earlier issue of ours has made it.
    Earlier,
    /// A guest of the tenant.
    Guest,
    /// The policy's groups leave the user out.
    NotInPolicy,
    /// The account is not there.
    UserGone,
    /// Graph protects the user.
    Forbidden,
    /// Graph will not.
    GraphRefused,
    /// Graph gave no clear answer, time and again.
    Unanswered,
    /// Another operator has taken over while this one stood still; the pass in this file is of no use.
    TakenOver,
}

impl PassWord {
    /// The word in outputs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Foreign => "tap-exists",
            Self::Earlier => "tap-issued-earlier",
            Self::Guest => "guest",
            Self::NotInPolicy => "tap-not-in-policy",
            Self::UserGone => "user-gone",
            Self::Forbidden => "forbidden",
            Self::GraphRefused => "graph-refused",
            Self::Unanswered => "tap-unanswered",
            Self::TakenOver => "tap-taken-over",
        }
    }

    /// What it means and what to do, in a sentence.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Foreign => {
                "has a pass that can be used and that this ledger did not issue; it was left: use it, or delete it in Entra"
            }
            Self::Earlier => "has a usable pass of an earlier issue; `mfa-migrate tap revoke` takes it away",
            Self::Guest => "is a guest, and guests get no passes here: the home tenant issues them",
            Self::NotInPolicy => "is in none of the groups that the tenant's policy for passes includes",
            Self::UserGone => "is not in Entra any more",
            Self::Forbidden => {
                "is protected by Graph (403): an administrator whose role may do so issues the pass"
            }
            Self::GraphRefused => "was refused by Graph; its code says why",
            Self::Unanswered => {
                "got no clear answer from Graph, time and again; the same command tries again later"
            }
            Self::TakenOver => {
                "was taken over by another operator meanwhile; the pass in this file is of no use"
            }
        }
    }
}

/// Why one user was left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The user.
    pub user: Somebody,
    /// Why.
    pub word: PassWord,
    /// Graph's own code, where it gave one.
    pub graph_code: Option<String>,
}

/// What an issue came to.
#[derive(Debug, Default)]
pub struct Issued {
    /// Passes that were made and are in the file, by this call.
    pub issued: u64,
    /// Users whose pass was issued by an earlier call of the same issue.
    pub before: u64,
    /// Passes that were made and that nobody had: they were taken away, and others were made.
    pub lost: u64,
    /// Users who were left, and why.
    pub refused: Vec<Refused>,
    /// Users who were not reached before the stop.
    pub left: u64,
}

/// What a withdrawal came to.
#[derive(Debug, Default)]
pub struct Ended {
    /// Passes by how they ended.
    pub endings: Vec<(Somebody, PassEnding)>,
    /// Passes that were made and that nobody had: taken away.
    pub lost: u64,
    /// Passes that are still there, and why.
    pub refused: Vec<Refused>,
    /// Users who were not reached before the stop.
    pub left: u64,
}

impl Issued {
    /// What a round came to, added to what came before.
    fn add(&mut self, round: Self) {
        let Self { issued, before, lost, refused, left: _ } = round;
        self.issued += issued;
        self.before += before;
        self.lost += lost;
        self.refused.extend(refused);
    }
}

impl Ended {
    fn add(&mut self, round: Self) {
        let Self { endings, lost, refused, left: _ } = round;
        self.endings.extend(endings);
        self.lost += lost;
        self.refused.extend(refused);
    }
}

/// How far it is, for whoever waits.
#[derive(Debug, Clone, Copy, Default)]
pub struct Progress {
    /// Users who are done with.
    pub done: u64,
    /// Of so many.
    pub of: u64,
    /// Users of whom a request is in doubt.
    pub in_doubt: u64,
}

/// What ends an issue or a withdrawal before its end. What concerns one user never gets here.
#[derive(Debug, thiserror::Error)]
pub enum PassError {
    /// The ledger could not be read or written.
    #[error("the ledger failed; the same command goes on where this one ended")]
    Ledger(#[from] ledger::Error),
    /// Graph failed for everybody.
    #[error("Microsoft Graph cannot be used; the same command goes on where this one ended")]
    Graph(#[source] graph::Error),
    /// A permission is missing.
    #[error(
        "Microsoft Graph forbids to {what} (403), and no such call has succeeded: the application lacks the permission \
         UserAuthenticationMethod.ReadWrite.All; grant it with admin consent, then run the same command again"
    )]
    PermissionMissing {
        /// What was tried.
        what: &'static str,
    },
    /// The operator's file cannot be written.
    #[error(
        "the file for the passes cannot be written; passes that were made and did not get into it are of no use to anybody, \
         and the same command takes them away and makes others: free some space first"
    )]
    File(#[source] std::io::Error),
}

impl PassError {
    /// What is away comes back; everything else takes a person.
    pub fn disposition(&self) -> Disposition {
        match self {
            Self::Ledger(error) => error.disposition(),
            Self::Graph(error) => error.disposition(),
            Self::PermissionMissing { .. } | Self::File(_) => Disposition::Stop,
        }
    }
}

/// Where passes are made and taken away.
pub struct PassDesk {
    ledger: Arc<dyn Ledger>,
    writer: Writer,
    settings: Settings,
    owner: String,
}

impl PassDesk {
    /// A desk; `owner` names it in claims.
    pub fn new(ledger: Arc<dyn Ledger>, writer: Writer, settings: Settings, owner: String) -> Self {
        Self { ledger, writer, settings, owner }
    }

    fn clock(&self) -> rules::PassClock {
        rules::PassClock { skew: self.settings.skew, horizon: self.settings.horizon() }
    }

    /// No request may start after this, for users that were claimed at `since`.
    fn not_after(&self, since: Instant) -> Instant {
        let margin = self.settings.request_timeout + self.settings.skew;
        since + self.settings.lease.saturating_sub(margin)
    }

    /// Takes users in hand.
    async fn claim(&self, users: &[EntraId]) -> Result<Vec<ledger::PassClaim>, PassError> {
        let grace = self.settings.request_timeout + self.settings.skew;
        let claiming = self.ledger.claim_passes(users, &self.owner, self.settings.lease, grace);
        Ok(telemetry::ledger_operation("claim-passes", claiming).await?)
    }
}

/// Waits, unless a stop is wished for first.
async fn pause(until: Instant, shutdown: &Shutdown) {
    tokio::select! {
        () = shutdown.requested() => {}
        () = tokio::time::sleep_until(until) => {}
    }
}

/// A pass that is there, as the rules see it.
fn as_there(seen: &SeenPass) -> rules::PassThere<'_> {
    rules::PassThere {
        id: &seen.id,
        created_ms: seen.created_ms,
        start_ms: seen.start_ms,
        lifetime_minutes: seen.lifetime_minutes,
        once: seen.once,
        of_use: seen.is_of_use(),
    }
}
