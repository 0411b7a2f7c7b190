//! `batch list|show`: whom a batch holds, where it stands, and what was done and decided. It only looks.

use super::settings;
use crate::config::Config;
use crate::engine::{ALL, Engine};
use crate::{Exit, lines};
use contract::RunKind;
use ledger::{Batch, Counts, Event, Run};

/// Events shown.
const EVENTS: u32 = 20;
/// Runs shown.
const RUNS: usize = 10;

/// A batch's runs, newest first, without the surveys that only made other batches.
async fn runs(engine: &Engine, name: &str) -> anyhow::Result<Vec<Run>> {
    let mut runs = engine.ledger.runs_of(name).await?;
    runs.retain(|run| run.spec.kind != RunKind::Survey);
    Ok(runs)
}

/// Where a run stands, in a line.
fn standing(run: &Run, counts: &Counts) -> String {
    let step = match run.steps.len() {
        0 | 1 => String::new(),
        steps => format!(", step {} of {steps}", run.step + 1),
    };
    let why =
        run.halted.as_ref().or(run.waits_for.as_ref()).map(|why| format!("; {why}")).unwrap_or_default();
    format!("{} {}{step}: {}{why}", run.spec.kind.as_str(), run.state.as_str(), lines::counts(counts))
}

pub(super) async fn list(config: &Config, json: bool) -> anyhow::Result<Exit> {
    let engine = Engine::look(config).await?;
    let mut out = Vec::new();
    for batch in engine.ledger.batches().await? {
        let last = match runs(&engine, &batch.made.name).await?.into_iter().next() {
            Some(run) => {
                let counts = engine.ledger.counts(run.id).await?;
                Some((run, counts))
            }
            None => None,
        };
        out.push((batch, last));
    }
    if json {
        let rows: Vec<_> = out.iter().map(|(batch, last)| batch_json(batch, last.as_ref())).collect();
        println!("{}", serde_json::Value::from(rows));
        return Ok(Exit::Done);
    }
    if out.is_empty() {
        println!(
            "no batch yet; `mfa-migrate batch create NAME --region REGION` makes one, and --help tells what else it selects by"
        );
    }
    for (batch, last) in &out {
        let state = match last {
            Some((run, counts)) => standing(run, counts),
            None if batch.frozen => "nothing has run yet".to_owned(),
            None => "not made to its end; the command that made it makes it anew".to_owned(),
        };
        println!("{:16} {:>8} users  {state}", batch.made.name, batch.users);
    }
    Ok(Exit::Done)
}

pub(super) async fn one(name: &str, config: &Config, json: bool) -> anyhow::Result<Exit> {
    let engine = Engine::look(config).await?;
    let batch = if name == ALL { None } else { Some(engine.batch(name).await?) };
    let mut shown = Vec::new();
    for run in runs(&engine, name).await?.into_iter().take(RUNS) {
        let counts = engine.ledger.counts(run.id).await?;
        shown.push((run, counts));
    }
    let overlaps = match &batch {
        Some(_) => engine.ledger.overlaps(name).await?,
        None => Vec::new(),
    };
    let events = engine.ledger.events(Some(name), EVENTS).await?;
    if json {
        let mut object = match &batch {
            Some(batch) => batch_json(batch, shown.first()),
            None => serde_json::json!({ "batch": name }),
        };
        object["runs"] = shown.iter().map(|(run, counts)| run_json(run, counts)).collect();
        object["overlaps"] =
            overlaps.iter().map(|(batch, n)| serde_json::json!({ "batch": batch, "users": n })).collect();
        object["events"] = events.iter().map(event_json).collect();
        println!("{object}");
        return Ok(Exit::Done);
    }
    match &batch {
        Some(batch) => {
            println!(
                "batch {name}: {} users, {} of them without a match; made {} by {}",
                batch.users,
                batch.unmatched,
                lines::time(batch.made_at_ms),
                batch.made.by
            );
            println!("  {}", settings::line(&Engine::settings(batch)?));
        }
        None => println!("everybody"),
    }
    for (other, users) in &overlaps {
        println!("  {users} of them are in batch {other} too");
    }
    for (run, counts) in &shown {
        println!("  run {} of {}: {}", run.id, lines::time(run.opened_at_ms), standing(run, counts));
    }
    if !events.is_empty() {
        println!("  what was done and decided, the last first:");
    }
    for event in &events {
        let run = event.run.map(|run| format!(" run {run}")).unwrap_or_default();
        println!("    {}  {}{run} {}  {}", lines::time(event.at_ms), event.by, event.what, event.why);
    }
    Ok(Exit::Done)
}

fn batch_json(batch: &Batch, last: Option<&(Run, Counts)>) -> serde_json::Value {
    let parsed = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap_or_default();
    serde_json::json!({
        "batch": batch.made.name, "users": batch.users, "unmatched": batch.unmatched, "frozen": batch.frozen,
        "snapshot": batch.made.snapshot, "madeAt": lines::time(batch.made_at_ms), "madeBy": batch.made.by,
        "selector": parsed(&batch.made.selector), "settings": parsed(&batch.made.settings),
        "last": last.map(|(run, counts)| run_json(run, counts)),
    })
}

fn run_json(run: &Run, counts: &Counts) -> serde_json::Value {
    serde_json::json!({
        "run": run.id, "kind": run.spec.kind, "state": run.state, "openedAt": lines::time(run.opened_at_ms),
        "endedAt": run.ended_at_ms.map(lines::time), "step": run.step + 1, "steps": run.steps,
        "halted": run.halted, "waits": run.waits_for, "entries": lines::counts_json(counts),
    })
}

fn event_json(event: &Event) -> serde_json::Value {
    serde_json::json!({
        "at": lines::time(event.at_ms), "by": event.by, "run": event.run, "what": event.what, "why": event.why,
    })
}
