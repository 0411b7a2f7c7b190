//! The services as the ledger sees them: who is alive, who is missed, and what they wait for.

use ledger::{Ledger, Seen, ServiceKind};
use std::time::Duration;

/// A service that was not heard of for so long is taken for gone.
pub(crate) const ALIVE: Duration = Duration::from_secs(20);
/// How often a service says that it is alive.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(3);
/// How often a worker writes its account of a run, and how long a verb that followed the run waits for the last of it.
pub(crate) const ACCOUNT: Duration = Duration::from_millis(500);
/// How long to wait before what is away is asked again.
pub(crate) const AGAIN: Duration = Duration::from_secs(2);

/// What to say when no service of a kind is alive.
pub(crate) fn missing(seen: &[Seen], kind: ServiceKind) -> Option<String> {
    let is_there = seen.iter().any(|s| s.presence.kind == kind);
    let kind = kind.as_str();
    (!is_there).then(|| format!("no {kind} is alive; start one with `mfa-migrate serve {kind}`"))
}

/// The first thing that a service waits for.
pub(crate) fn waiting(seen: &[Seen]) -> Option<String> {
    let leads = |s: &Seen| s.presence.kind == ServiceKind::Coordinator && s.presence.waits_for.is_none();
    let is_led = seen.iter().any(leads);
    // A second coordinator waits for the first one, and an extractor for a datafile to come: that is no hindrance.
    let in_the_way = |s: &&Seen| match s.presence.kind {
        ServiceKind::Coordinator => !is_led,
        ServiceKind::Extractor => false,
        ServiceKind::Worker => true,
    };
    seen.iter().filter(in_the_way).find_map(|s| {
        let reason = s.presence.waits_for.as_ref()?;
        Some(format!("{} {}: {reason}", s.presence.kind.as_str(), s.presence.name))
    })
}

/// How the shared pace stands, by bucket.
pub(crate) use coordinator::buckets;

/// What keeps the services from working, if anything does.
pub(crate) async fn hindrance(ledger: &dyn Ledger) -> Option<String> {
    let seen = ledger.presences(ALIVE).await.ok()?;
    missing(&seen, ServiceKind::Coordinator)
        .or_else(|| missing(&seen, ServiceKind::Worker))
        .or_else(|| waiting(&seen))
}
