//! `cutover`: the end of a migration. From then on Entra does MFA for a federated domain by itself, and rejects what the
//! identity provider did; and the way back.
//!
//! It signs in with an identity of its own, asks for the domain's name once more, and stays away from a domain whose users
//! are not in place, unless it is told otherwise.

mod unmigrated;

use crate::args::{CutoverApply, CutoverDomain, CutoverRevert, CutoverVerb};
use crate::config::Config;
use crate::engine::Engine;
use crate::notices::Notices;
use crate::verbs::batch::who;
use crate::{Exit, Usage, lines};
use anyhow::{Context, bail};
use graph::{Pace, Writer};
use rules::CUT_OVER;
use std::io::{BufRead, IsTerminal};
use std::sync::Arc;
use telemetry::{Shutdown, shutdown_on_signal};
use unmigrated::Unmigrated;
use worker::{CutoverDesk, CutoverError, CutoverWish, Found, Reached};

const PERMISSION: &str = "takes the application permission Domain-InternalFederation.ReadWrite.All";
const A_DAY: &str = "Entra takes up to 24 hours to act on it; sign-ins may go either way until then";

pub(crate) async fn run(verb: &CutoverVerb, config: &Config, json: bool) -> anyhow::Result<Exit> {
    match verb {
        CutoverVerb::Status(verb) => status(verb, config, json).await,
        CutoverVerb::Apply(verb) => apply(verb, config, json).await,
        CutoverVerb::Revert(verb) => revert(verb, config, json).await,
    }
}

/// The name as it is compared and kept; refused where it is none.
fn domain_of(of: &CutoverDomain) -> anyhow::Result<String> {
    let domain = of.domain.trim().to_ascii_lowercase();
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    if domain.is_empty() || domain.len() > 255 || !domain.contains('.') || !domain.chars().all(is_name) {
        bail!(Usage(format!("--domain takes a domain's name such as contoso.com, not \"{}\"", of.domain)));
    }
    Ok(domain)
}

fn desk(engine: &Engine, config: &Config) -> anyhow::Result<CutoverDesk> {
    let writer = Writer::new(config.graph_for_cutover()?, Pace::new())?;
    Ok(CutoverDesk::new(Arc::clone(&engine.ledger), writer, config.worker_settings()))
}

async fn read(desk: &CutoverDesk, domain: &str) -> anyhow::Result<Found> {
    desk.find(domain).await.map_err(|error| told(error, domain))
}

/// A failure in the operator's words.
fn told(error: CutoverError, domain: &str) -> anyhow::Error {
    match error {
        CutoverError::NoDomain => {
            Usage(format!("the tenant has no domain {domain}; nothing was written")).into()
        }
        CutoverError::NotFederated => Usage(format!(
            "{domain} is not federated: Entra does MFA for it already, and there is nothing to cut over; nothing was written"
        ))
        .into(),
        CutoverError::Graph(graph::Error::Forbidden { .. }) => anyhow::Error::from(error).context(PERMISSION),
        CutoverError::Graph(_) | CutoverError::Ledger(_) => error.into(),
    }
}

async fn status(verb: &CutoverDomain, config: &Config, json: bool) -> anyhow::Result<Exit> {
    let domain = domain_of(verb)?;
    let engine = Engine::look(config).await?;
    let found = read(&desk(&engine, config)?, &domain).await?;
    let unmigrated = Unmigrated::count(&engine, &domain).await?;
    if json {
        println!("{}", as_json(&domain, &found, Some(&unmigrated)));
        return Ok(Exit::Done);
    }
    print_found(&domain, &found);
    println!("  users of the domain in the datafile: {}", unmigrated.users);
    match unmigrated.total() {
        0 => println!("  all of them are in place"),
        _ => println!("  not in place: {}", unmigrated.words()),
    }
    if unmigrated.disabled > 0 {
        println!("  disabled in MFA Server, and in nobody's way: {}", unmigrated.disabled);
    }
    if unmigrated.unmatched > 0 {
        println!("  match nobody in Entra, and are in nobody's way: {}", unmigrated.unmatched);
    }
    Ok(Exit::Done)
}

fn value(value: Option<&str>) -> &str {
    value.unwrap_or("(never set)")
}

fn print_found(domain: &str, found: &Found) {
    let Some(federation) = &found.federation else {
        println!("{domain}: not federated; there is nothing to cut over");
        return;
    };
    println!("{domain}: federatedIdpMfaBehavior is {}", value(federation.mfa_behavior.as_deref()));
    let Some(standing) = &found.standing else { return };
    let before = value(standing.before.as_deref());
    println!("  before our first change of {} it was {before}", lines::time(standing.filed_at_ms));
    for intent in &standing.intents {
        let outcome = intent.outcome.map_or("no outcome: may have been set, or may still be", |o| o.as_str());
        println!("  {} {} by {}: {outcome}", lines::time(intent.filed_at_ms), intent.to, intent.by);
    }
}

fn as_json(domain: &str, found: &Found, unmigrated: Option<&Unmigrated>) -> serde_json::Value {
    let federation = found.federation.as_ref();
    let intents = found.standing.iter().flat_map(|standing| &standing.intents).map(|intent| {
        serde_json::json!({
            "at": lines::time(intent.filed_at_ms), "by": intent.by, "to": intent.to, "back": intent.back,
            "outcome": intent.outcome,
        })
    });
    serde_json::json!({
        "domain": domain,
        "federated": federation.is_some(),
        "federatedIdpMfaBehavior": federation.and_then(|federation| federation.mfa_behavior.as_deref()),
        "cutOver": federation.is_some_and(|federation| federation.mfa_behavior.as_deref() == Some(CUT_OVER)),
        "standing": found.standing.as_ref().map(|standing| serde_json::json!({
            "before": standing.before, "at": lines::time(standing.filed_at_ms), "by": standing.by,
        })),
        "changes": intents.collect::<Vec<_>>(),
        "users": unmigrated.map(Unmigrated::json),
    })
}

async fn apply(verb: &CutoverApply, config: &Config, json: bool) -> anyhow::Result<Exit> {
    let domain = domain_of(&verb.of)?;
    config.graph_for_cutover()?;
    let engine = Engine::beside(config).await?;
    let desk = desk(&engine, config)?;
    let wish = CutoverWish {
        domain: domain.clone(),
        back: false,
        to: None,
        despite_change: verb.despite_change,
        by: who(),
    };
    let found = read(&desk, &domain).await?;
    let unmigrated = Unmigrated::count(&engine, &domain).await?;
    if desk.would_set(&found, &wish) {
        // A ledger that knows nobody of the domain, a wrong one say, proves nothing.
        if unmigrated.users == 0 && !verb.despite_unmigrated {
            bail!(Usage(format!(
                "this ledger knows no user of {domain}, so nothing tells whether their methods are in place. Nothing was written: \
                 see that --ledger and the domain are the right ones, or say --despite-unmigrated"
            )));
        }
        if unmigrated.total() > 0 && !verb.despite_unmigrated {
            bail!(Usage(format!(
                "{} users of {domain} are not in place: {}; after a cut-over they may not be able to sign in. Nothing was \
                 written: migrate them first (`mfa-migrate report --format csv` names them), or say --despite-unmigrated",
                unmigrated.total(),
                unmigrated.words()
            )));
        }
        confirm(&domain, verb.confirm.as_deref(), "sets rejectMfaByFederatedIdp")?;
    }
    finish(&engine, &desk, &wish, Some(&unmigrated), json).await
}

async fn revert(verb: &CutoverRevert, config: &Config, json: bool) -> anyhow::Result<Exit> {
    let domain = domain_of(&verb.of)?;
    config.graph_for_cutover()?;
    let engine = Engine::beside(config).await?;
    let desk = desk(&engine, config)?;
    let wish = CutoverWish {
        domain: domain.clone(),
        back: true,
        to: verb.to.clone(),
        despite_change: verb.despite_change,
        by: who(),
    };
    let found = read(&desk, &domain).await?;
    if desk.would_set(&found, &wish) {
        let before = found.standing.as_ref().and_then(|standing| standing.before.as_deref());
        let sets = format!("sets {}", value(verb.to.as_deref().or(before)));
        confirm(&domain, verb.confirm.as_deref(), &sets)?;
    }
    finish(&engine, &desk, &wish, None, json).await
}

/// The operator types the domain's name; a script names it once more.
fn confirm(domain: &str, given: Option<&str>, what: &str) -> anyhow::Result<()> {
    let typed = match given {
        Some(given) => given.to_owned(),
        None if std::io::stdin().is_terminal() => {
            eprintln!("This {what} for everybody who signs in to {domain}. {A_DAY}.");
            eprint!("Type the domain's name to go on: ");
            let mut typed = String::new();
            std::io::stdin()
                .lock()
                .read_line(&mut typed)
                .context("nothing could be read from the terminal")?;
            typed
        }
        None => bail!(Usage(format!(
            "this {what} for everybody who signs in to {domain}, and nobody is at a terminal to confirm it: nothing was \
             written; say --confirm {domain}"
        ))),
    };
    if typed.trim().eq_ignore_ascii_case(domain) {
        return Ok(());
    }
    bail!(Usage(format!("\"{}\" is not {domain}: nothing was written", typed.trim())))
}

async fn finish(
    engine: &Engine,
    desk: &CutoverDesk,
    wish: &CutoverWish,
    unmigrated: Option<&Unmigrated>,
    json: bool,
) -> anyhow::Result<Exit> {
    let shutdown = Shutdown::new();
    shutdown_on_signal(shutdown.clone());
    let notices = Notices::new("cutover");
    let before = unmigrated.map_or(0, Unmigrated::total);
    let reached = desk
        .go(wish, &shutdown, &mut |left| {
            notices.waits(&format!(
                "waiting until what was sent shows, or cannot come any more: {} at most",
                lines::duration(left)
            ));
        })
        .await;
    notices.end();
    let reached = reached.map_err(|error| told(error, &wish.domain))?;
    if reached == Reached::Set && before > 0 {
        let why = format!("{}: although {before} users are not in place", wish.domain);
        engine.note_event(crate::engine::ALL, None, "cutover-despite", &why).await?;
    }
    let found = read(desk, &wish.domain).await?;
    if json {
        let mut object = as_json(&wish.domain, &found, unmigrated);
        object["result"] = word(&reached).into();
        println!("{object}");
    } else {
        print_found(&wish.domain, &found);
    }
    tell(wish, &reached, json)
}

fn word(reached: &Reached) -> &'static str {
    match reached {
        Reached::Set => "set",
        Reached::Already => "already",
        Reached::Conflict(_) => "conflict",
        Reached::NothingOfOurs => "nothing-of-ours",
        Reached::NothingBefore => "nothing-before",
        Reached::Refused(..) => "refused",
        Reached::Stopped => "stopped",
    }
}

/// What it came to, in words, and how the call ends.
fn tell(wish: &CutoverWish, reached: &Reached, json: bool) -> anyhow::Result<Exit> {
    let domain = &wish.domain;
    let verb = if wish.back { "revert" } else { "apply" };
    let say = |text: &str| {
        if json { eprintln!("{text}") } else { println!("{text}") }
    };
    match reached {
        Reached::Set => {
            say(&format!("done. {A_DAY}"));
            let next = if wish.back { "mfa-migrate cutover status" } else { "mfa-migrate cutover revert" };
            let why = if wish.back { "shows how it stands" } else { "takes it back" };
            say(&format!("next: {next} --domain {domain}   {why}"));
            Ok(Exit::Done)
        }
        Reached::Already => {
            say("it was set already; nothing was written");
            Ok(Exit::Done)
        }
        Reached::Conflict(now) => {
            say(&format!(
                "somebody has set it to {} since; nothing was written. Find out why, then say --despite-change",
                value(now.as_deref())
            ));
            Ok(Exit::Remainder)
        }
        Reached::NothingOfOurs => bail!(Usage(format!(
            "this ledger has cut over nothing of {domain} that is not brought back already: nothing was written"
        ))),
        Reached::NothingBefore => bail!(Usage(format!(
            "federatedIdpMfaBehavior of {domain} was never set before the cut-over, and Graph takes no such value: nothing was \
             written; say --to enforceMfaByFederatedIdp, which sends users to the identity provider for MFA as before, or --to \
             acceptIfMfaDoneByFederatedIdp"
        ))),
        Reached::Refused(403, _) => bail!(
            "Microsoft Graph forbids it (403): the application of [cutover.identity] lacks the permission \
             Domain-InternalFederation.ReadWrite.All; grant it with admin consent, then run the same command again"
        ),
        Reached::Refused(0, _) => bail!(
            "it could not be sent, or never showed; `mfa-migrate cutover status --domain {domain}` shows how it stands, and the \
             same command tries again"
        ),
        Reached::Refused(status, code) => bail!(
            "Microsoft Graph refused it ({status}, {code}); `mfa-migrate cutover status --domain {domain}` shows how it stands"
        ),
        Reached::Stopped => {
            say(&format!(
                "stopped; `mfa-migrate cutover {verb} --domain {domain}` goes on, and `cutover status` shows how it stands"
            ));
            Ok(Exit::Stopped)
        }
    }
}
