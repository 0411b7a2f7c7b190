//! `forget`: removes sealed values once nobody needs them, and says beforehand what cannot be taken back any more.
//!
//! Nothing is removed before somebody has typed the name. It goes by pages, each of them whole; whatever ends it in between,
//! the same command goes on. Counts, codes, outcomes and the journal stay.

mod strip;
mod words;

use crate::args::Forget as Verb;
use crate::config::{Config, LedgerKind};
use crate::engine::{ALL, Engine};
use crate::notices::Notices;
use crate::{Exit, Stopped, Usage};
use anyhow::bail;
use contract::{BatchSettings, RunKind, SnapshotId};
use ledger::{Forget, Forgettable, Forgotten, Run};
use rules::{Standing, obstacles};
use std::io::{BufRead, IsTerminal};
use telemetry::{Shutdown, crash_point, shutdown_on_signal};
use words::Said;

/// Users a transaction.
const USERS: u32 = 200;
/// Events that are looked through for an earlier call.
const EVENTS: u32 = 200;
/// Records a transaction.
const RECORDS: u32 = 2_000;

pub(crate) async fn run(verb: &Verb, config: &Config, json: bool) -> anyhow::Result<Exit> {
    let shutdown = Shutdown::new();
    shutdown_on_signal(shutdown.clone());
    let notices = Notices::new("forget");
    let engine = Engine::open_existing(config).await?;
    let what = what(&engine, verb).await?;
    let stands = engine.ledger.forgettable(&what).await?;
    refuse(&engine, &what, &stands).await?;
    let is_file = matches!(config.ledger_kind()?, LedgerKind::Sqlite(_));
    let said = Said::of(&engine, &what, &stands).await?;
    let is_begun = is_begun(&engine, &said).await?;
    if stands.is_nothing() && !is_begun {
        notices.line(&format!("nothing of {} is left to forget", said.of));
        // A call that was killed may have left old bytes in the file.
        let reclaimed = verb.confirm.is_some() && is_file && reclaim(&engine, &notices).await?;
        return Ok(end(&said, Forgotten::default(), reclaimed, json));
    }
    said.lines().iter().for_each(|line| notices.line(line));
    confirm(verb, &said)?;
    if !is_begun {
        engine.note_event(&said.batch, None, "forgetting", &said.begun(&verb.why)).await?;
    }
    let done = forget(&engine, &what, &shutdown).await?;
    engine.note_event(&said.batch, None, "forgotten", &said.ended(&done)).await?;
    crash_point("forget.before-reclaim");
    let reclaimed = is_file && reclaim(&engine, &notices).await?;
    Ok(end(&said, done, reclaimed, json))
}

/// Whether a call before was cut short: it has told what it would remove, and not what it did.
async fn is_begun(engine: &Engine, said: &Said) -> anyhow::Result<bool> {
    let events = engine.ledger.events(Some(&said.batch), EVENTS).await?;
    let last = events.iter().find(|event| {
        matches!(event.what.as_str(), "forgetting" | "forgotten")
            && event.why.starts_with(&format!("{}:", said.of))
    });
    Ok(last.is_some_and(|event| event.what == "forgetting"))
}

/// What is meant; a batch or a snapshot that is there.
async fn what(engine: &Engine, verb: &Verb) -> anyhow::Result<Forget> {
    if let Some(name) = &verb.batch {
        return Ok(Forget::Batch(engine.batch_name(Some(name)).await?));
    }
    let asked = verb.snapshot.as_deref().unwrap_or_default();
    let known = engine.ledger.snapshots().await?;
    let found: Vec<&SnapshotId> = known.iter().filter(|id| id.0.starts_with(asked)).collect();
    match found.as_slice() {
        [one] if asked.len() >= SHORTEST_ID => Ok(Forget::Snapshot((*one).clone())),
        [] => {
            bail!(Usage(format!("there is no snapshot {asked} in this ledger; there are {}", listed(&known))))
        }
        _ => bail!(Usage(format!(
            "\"{asked}\" is too short to tell one snapshot; there are {}",
            listed(&known)
        ))),
    }
}

/// So much of a snapshot's id must be given.
const SHORTEST_ID: usize = 8;

fn listed(known: &[SnapshotId]) -> String {
    let shown: Vec<&str> = known.iter().rev().take(20).map(|id| id.0.as_str()).collect();
    if shown.is_empty() { "none".to_owned() } else { shown.join(", ") }
}

/// Says all that is in the way, each with what to run.
async fn refuse(engine: &Engine, what: &Forget, stands: &Forgettable) -> anyhow::Result<()> {
    let mut kept_in_step = Vec::new();
    let overlaps = match what {
        Forget::Batch(name) if name != ALL => Some(engine.ledger.overlaps(name).await?),
        Forget::Batch(_) | Forget::Snapshot(_) => None,
    };
    let newest = engine.ledger.latest_snapshot().await?.map(|(manifest, _)| manifest.id);
    for (name, settings) in engine.ledger.batch_settings().await? {
        let settings: BatchSettings = serde_json::from_str(&settings)?;
        let needs = match what {
            Forget::Batch(batch) => match &overlaps {
                Some(others) => *batch == name || others.iter().any(|(other, _)| *other == name),
                None => true,
            },
            Forget::Snapshot(id) => {
                let last = engine.ledger.last_written(&name).await?;
                newest.as_ref() == Some(id) || last.is_some_and(|run| run.spec.snapshot == *id)
            }
        };
        if settings.keep_in_step && needs {
            kept_in_step.push(name);
        }
    }
    let standing = Standing {
        unfinished: stands
            .unfinished
            .iter()
            .map(|run| (run.id.0, run.spec.kind.as_str(), run.spec.batch.clone()))
            .collect(),
        in_doubt: stands.in_doubt,
        unsettled: stands.unsettled,
        kept_in_step,
        unmoved: unmoved(engine, what, newest.as_ref()).await?,
    };
    let found = obstacles(&standing);
    if found.is_empty() {
        return Ok(());
    }
    let said: Vec<String> = found.iter().map(words::obstacle).collect();
    bail!(Usage(format!("nothing was forgotten: {}", said.join("; "))))
}

/// Batches that have not been moved yet and whose records these are.
async fn unmoved(engine: &Engine, what: &Forget, newest: Option<&SnapshotId>) -> anyhow::Result<Vec<String>> {
    let asked: Vec<String> = match what {
        Forget::Batch(name) if name != ALL => vec![name.clone()],
        Forget::Snapshot(id) if newest != Some(id) => Vec::new(),
        Forget::Batch(_) | Forget::Snapshot(_) => {
            engine.ledger.batch_settings().await?.into_iter().map(|(name, _)| name).collect()
        }
    };
    let everybody = engine.ledger.last_written(ALL).await?;
    let mut found = Vec::new();
    for name in asked {
        if everybody.is_none() && engine.ledger.last_written(&name).await?.is_none() {
            found.push(name);
        }
    }
    Ok(found)
}

/// The name must be typed, or given.
fn confirm(verb: &Verb, said: &Said) -> anyhow::Result<()> {
    let typed = match &verb.confirm {
        Some(given) => given.clone(),
        None if std::io::stdin().is_terminal() => {
            eprint!("type {} to forget it: ", said.name);
            let mut line = String::new();
            std::io::stdin().lock().read_line(&mut line)?;
            line
        }
        None => bail!(Usage(format!(
            "nothing was forgotten: this cannot be undone, so it takes --confirm {}",
            said.name
        ))),
    };
    if typed.trim() != said.name {
        bail!(Usage(format!("nothing was forgotten: \"{}\" is not \"{}\"", typed.trim(), said.name)));
    }
    Ok(())
}

/// Page by page: first users, whose way back goes with the word that it is gone, then records.
async fn forget(engine: &Engine, what: &Forget, shutdown: &Shutdown) -> anyhow::Result<Forgotten> {
    let mut done = Forgotten::default();
    let mut after = None;
    loop {
        let page = engine.ledger.forget_next(what, after, USERS).await?;
        let Some(last) = page.users.last() else { break };
        after = Some(*last);
        let results = strip::results(engine, page.results)?;
        done += engine.ledger.forget_users(what, &page.users, &results).await?;
        crash_point("forget.users");
        may_go_on(shutdown)?;
    }
    let mut cursor = None;
    loop {
        let (page, next) = engine.ledger.forget_records(what, cursor, RECORDS).await?;
        done += page;
        crash_point("forget.records");
        may_go_on(shutdown)?;
        cursor = next;
        if cursor.is_none() {
            return Ok(done);
        }
    }
}

fn may_go_on(shutdown: &Shutdown) -> anyhow::Result<()> {
    if shutdown.is_requested() {
        bail!(Stopped("stopped before the end; what was forgotten is gone, and the same command goes on"));
    }
    Ok(())
}

/// Writes the file anew.
async fn reclaim(engine: &Engine, notices: &Notices) -> anyhow::Result<bool> {
    notices.step("writing the ledger anew, so that nothing of it stays in the file");
    let reclaimed = engine.ledger.reclaim().await;
    crash_point("forget.reclaimed");
    notices.end();
    match reclaimed {
        Ok(true) => Ok(true),
        Ok(false) => bail!(
            "everything is removed, and old bytes may still stand in the write-ahead log beside the ledger, since another process reads \
             it; end that (`status --watch`, `report`) and run the same command again"
        ),
        Err(error) => Err(anyhow::Error::from(error).context(
            "everything is removed, and old bytes may still stand in free pages of the file, which could not be written anew; run the \
             same command again when that is mended",
        )),
    }
}

fn end(said: &Said, done: Forgotten, reclaimed: bool, json: bool) -> Exit {
    if json {
        println!("{}", said.json(&done, reclaimed));
    } else if done != Forgotten::default() {
        println!("{}", said.done(&done, reclaimed));
    }
    Exit::Done
}

/// The runs of a batch or over a snapshot that wrote.
async fn writing_runs(engine: &Engine, batch: &str) -> anyhow::Result<Vec<Run>> {
    let runs = engine.ledger.runs_of(batch).await?;
    Ok(runs.into_iter().filter(|run| run.spec.kind == RunKind::Migrate).collect())
}
