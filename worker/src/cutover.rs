//! The cut-over of one domain, and the way back: compare, file, set, look until it shows, record.
//!
//! The value before is on file before anything is set, and stands until it was brought back. One setting of one domain is
//! all that this can write, under an identity of its own; users are none of its affair.

use crate::Settings;
use contract::{Disposition, IntentOutcome};
use graph::{Answer, Federation, Writer};
use ledger::{Cutover, CutoverIntent, Ledger, NewCutover};
use rules::{CUT_OVER, CutoverStep, DomainStanding, InDoubt};
use std::sync::Arc;
use std::time::Duration;
use telemetry::Shutdown;
use tokio::time::Instant;

/// How soon it is looked at again.
const AGAIN: Duration = Duration::from_secs(1);
/// Requests that Graph refuses before it is told.
const ATTEMPTS: u32 = 3;

/// How a domain stands, in Entra and on file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// In Entra; absent where the domain is not federated.
    pub federation: Option<Federation>,
    /// On file; absent where nothing of ours stands.
    pub standing: Option<Cutover>,
}

/// What is wished for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CutoverWish {
    /// The domain, in lower case.
    pub domain: String,
    /// It brings back what was before; otherwise it cuts over.
    pub back: bool,
    /// What is to be set, on the way back: instead of the value before.
    pub to: Option<String>,
    /// Somebody's change since is written over.
    pub despite_change: bool,
    /// Who: user and host.
    pub by: String,
}

/// Where a wish has got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reached {
    /// It was set by this call.
    Set,
    /// It was set already; nothing was written.
    Already,
    /// Somebody has set something else since: what is set now.
    Conflict(Option<String>),
    /// On the way back: nothing of ours stands.
    NothingOfOurs,
    /// On the way back: nothing was set before, so what to set must be said.
    NothingBefore,
    /// Graph will not, time and again: status and code; status 0 where it never left, or where what was set never showed.
    Refused(u16, String),
    /// A stop was wished for; the same call goes on.
    Stopped,
}

/// What ends a cut-over before its end.
#[derive(Debug, thiserror::Error)]
pub enum CutoverError {
    /// The ledger could not be read or written.
    #[error("the ledger failed; the same command goes on where this one ended")]
    Ledger(#[from] ledger::Error),
    /// Graph failed.
    #[error("Microsoft Graph cannot be used for the cut-over; the same command goes on where this one ended")]
    Graph(#[source] graph::Error),
    /// There is no such domain.
    #[error("the tenant has no domain of this name; nothing was written")]
    NoDomain,
    /// It has no federation.
    #[error(
        "the domain is not federated, so there is no identity provider whose MFA could be rejected; nothing was written"
    )]
    NotFederated,
}

impl CutoverError {
    /// What is away comes back; everything else takes a person.
    pub fn disposition(&self) -> Disposition {
        match self {
            Self::Ledger(error) => error.disposition(),
            Self::Graph(error) => error.disposition(),
            Self::NoDomain | Self::NotFederated => Disposition::Stop,
        }
    }
}

/// Where a domain is cut over.
pub struct CutoverDesk {
    ledger: Arc<dyn Ledger>,
    writer: Writer,
    settings: Settings,
}

impl CutoverDesk {
    /// A desk.
    pub fn new(ledger: Arc<dyn Ledger>, writer: Writer, settings: Settings) -> Self {
        Self { ledger, writer, settings }
    }

    /// How a domain stands; nothing is written.
    ///
    /// # Errors
    /// The ledger or Graph cannot be read, or there is no such domain.
    pub async fn find(&self, domain: &str) -> Result<Found, CutoverError> {
        let federation = match self.writer.reader().federation(domain).await {
            Ok(federation) => federation,
            Err(graph::Error::NotFound) => return Err(CutoverError::NoDomain),
            Err(error) => return Err(CutoverError::Graph(error)),
        };
        Ok(Found { federation, standing: self.ledger.cutover(domain).await? })
    }

    /// What would come next, without doing it: whether anything would be written.
    pub fn would_set(&self, found: &Found, wish: &CutoverWish) -> bool {
        let Some(federation) = &found.federation else { return false };
        let Ok(wanted) = wanted(found, wish) else { return false };
        let standing = standing(found, federation);
        match rules::cutover_step(&standing, &wanted, self.settings.horizon()) {
            CutoverStep::Set => true,
            CutoverStep::Conflict => wish.despite_change,
            // What was begun may come to nothing, and then it is set anew.
            CutoverStep::Wait => true,
            CutoverStep::Done => false,
        }
    }

    /// Goes where the wish says; called again, it goes on. `waits` is told when something that was begun is waited for.
    ///
    /// # Errors
    /// The ledger or Graph cannot be used, or the domain is none that can be cut over.
    pub async fn go(
        &self,
        wish: &CutoverWish,
        shutdown: &Shutdown,
        waits: &mut (dyn FnMut(Duration) + Send),
    ) -> Result<Reached, CutoverError> {
        let (mut attempts, mut refusal) = (0, None);
        loop {
            let found = self.find(&wish.domain).await?;
            let federation = found.federation.clone().ok_or(CutoverError::NotFederated)?;
            let wanted = match wanted(&found, wish) {
                Ok(wanted) => wanted,
                Err(reached) => return Ok(reached),
            };
            let standing = standing(&found, &federation);
            let now = federation.mfa_behavior.clone();
            match rules::cutover_step(&standing, &wanted, self.settings.horizon()) {
                CutoverStep::Done => {
                    self.record(&found, &federation, wish, &wanted).await?;
                    return Ok(if attempts > 0 { Reached::Set } else { Reached::Already });
                }
                CutoverStep::Conflict if !wish.despite_change => return Ok(Reached::Conflict(now)),
                CutoverStep::Wait => {
                    if let Some(left) = left(&found, self.settings.horizon()) {
                        waits(left);
                    }
                }
                CutoverStep::Set | CutoverStep::Conflict => {
                    if attempts >= ATTEMPTS {
                        let (status, code) = refusal.unwrap_or_default();
                        return Ok(Reached::Refused(status, code));
                    }
                    if shutdown.is_requested() {
                        return Ok(Reached::Stopped);
                    }
                    self.end_doubts(&found, &wish.by).await?;
                    attempts += 1;
                    match self.set(&federation, wish, &wanted).await? {
                        Some((403 | 401, code)) => return Ok(Reached::Refused(403, code)),
                        refused => refusal = refused,
                    }
                }
            }
            tokio::select! {
                () = shutdown.requested() => return Ok(Reached::Stopped),
                () = tokio::time::sleep(AGAIN) => {}
            }
        }
    }

    /// Files the change, and sends it; answers a refusal. After anything else the state decides.
    async fn set(
        &self,
        federation: &Federation,
        wish: &CutoverWish,
        wanted: &str,
    ) -> Result<Option<(u16, String)>, CutoverError> {
        let no = self.ledger.file_cutover(&change(federation, wish, wanted)).await?;
        telemetry::crash_point("cutover.intent-filed");
        let not_after = Instant::now() + self.settings.request_timeout;
        let sending = self.writer.set_mfa_behavior(&wish.domain, &federation.id, wanted, not_after);
        let answer = sending.await;
        telemetry::crash_point("cutover.sent");
        match answer {
            Answer::Done { .. } | Answer::Doubt { .. } => Ok(None),
            Answer::Throttled | Answer::NotSent { .. } | Answer::DependencyFailed => {
                self.ledger.end_cutover(no, IntentOutcome::NotSent, &wish.by).await?;
                Ok(Some((0, "notSent".to_owned())))
            }
            Answer::Refused { status, code } => {
                // Graph has refused what it did before: the state is looked at once more before this is believed.
                let seen = self.find(&wish.domain).await?.federation.and_then(|f| f.mfa_behavior);
                if seen.as_deref() != Some(wanted) {
                    self.ledger.end_cutover(no, IntentOutcome::Refused, &wish.by).await?;
                }
                Ok(Some((status, code)))
            }
        }
    }

    /// What is wanted is set: whatever was begun towards it is applied. Where nothing was begun, on the way back, a change
    /// that needs no request is filed and ended, so that the value before stands no longer.
    async fn record(
        &self,
        found: &Found,
        federation: &Federation,
        wish: &CutoverWish,
        wanted: &str,
    ) -> Result<(), CutoverError> {
        telemetry::crash_point("cutover.before-outcome");
        let intents = found.standing.iter().flat_map(|standing| &standing.intents);
        let mut is_told = false;
        for intent in intents.filter(|intent| intent.outcome.is_none()) {
            let outcome = if intent.to == wanted { IntentOutcome::Applied } else { IntentOutcome::Drifted };
            self.ledger.end_cutover(intent.no, outcome, &wish.by).await?;
            is_told |= intent.back == wish.back && intent.to == wanted;
        }
        if wish.back && !is_told && found.standing.is_some() {
            let no = self.ledger.file_cutover(&change(federation, wish, wanted)).await?;
            self.ledger.end_cutover(no, IntentOutcome::Applied, &wish.by).await?;
        }
        telemetry::crash_point("cutover.ended");
        Ok(())
    }

    /// What was begun and is past the horizon has come to nothing.
    async fn end_doubts(&self, found: &Found, by: &str) -> Result<(), CutoverError> {
        let intents = found.standing.iter().flat_map(|standing| &standing.intents);
        for intent in intents.filter(|intent| intent.outcome.is_none()) {
            self.ledger.end_cutover(intent.no, IntentOutcome::Drifted, by).await?;
        }
        Ok(())
    }
}

fn change(federation: &Federation, wish: &CutoverWish, wanted: &str) -> NewCutover {
    NewCutover {
        domain: wish.domain.clone(),
        federation: federation.id.clone(),
        before: federation.mfa_behavior.clone(),
        to: wanted.to_owned(),
        back: wish.back,
        by: wish.by.clone(),
    }
}

/// What is to be set, or why nothing is.
fn wanted(found: &Found, wish: &CutoverWish) -> Result<String, Reached> {
    if !wish.back {
        return Ok(CUT_OVER.to_owned());
    }
    let standing = found.standing.as_ref().ok_or(Reached::NothingOfOurs)?;
    wish.to.clone().or_else(|| standing.before.clone()).ok_or(Reached::NothingBefore)
}

fn standing<'a>(found: &'a Found, federation: &'a Federation) -> DomainStanding<'a> {
    let doubts = || {
        let intents = found.standing.iter().flat_map(|standing| &standing.intents);
        intents.filter(|intent| intent.outcome.is_none())
    };
    DomainStanding {
        now: federation.mfa_behavior.as_deref(),
        before: found.standing.as_ref().map(|standing| standing.before.as_deref()),
        in_doubt: doubts()
            .next_back()
            .map(|intent: &CutoverIntent| InDoubt { to: &intent.to, age: intent.age }),
    }
}

/// How long the youngest change in doubt may still be waited for.
fn left(found: &Found, horizon: Duration) -> Option<Duration> {
    let intents = found.standing.iter().flat_map(|standing| &standing.intents);
    intents.filter(|intent| intent.outcome.is_none()).map(|intent| horizon.saturating_sub(intent.age)).max()
}
