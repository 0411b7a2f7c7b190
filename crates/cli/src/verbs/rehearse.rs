//! `rehearse`: the plans, and nothing written to Graph: it holds a client that cannot.

use super::forecast::{self, Forecast, Gathered, Hours};
use crate::args::{Rehearse, Selection};
use crate::config::Config;
use crate::engine::{self, Engine};
use crate::notices::Notices;
use crate::plan_file::{self, Header, SavedLine};
use crate::work::Finished;
use crate::{Exit, lines};
use anyhow::Context;
use contract::{EntryState, Outcome, RunKind, SnapshotManifest};
use ledger::Run;
use std::io::{BufWriter, Write};
use std::path::Path;
use telemetry::{Shutdown, shutdown_on_signal};

pub(crate) async fn run(verb: &Rehearse, config: &Config, json: bool) -> anyhow::Result<Exit> {
    // What is missing to reach Graph is said before anything is read or made.
    graph::Reader::new(config.graph()?, graph::Pace::new())?;
    if let Some(path) = &verb.out {
        plan_file::must_be_writable(path)?;
    }
    forecast::parse(&verb.window, verb.tz.as_deref().unwrap_or("UTC"))?;
    let shutdown = Shutdown::new();
    shutdown_on_signal(shutdown.clone());
    let notices = Notices::new("rehearse");
    let surveyed = engine::survey(&verb.selection, config, &notices).await?;
    let engine = Engine::open(config).await?;
    let manifest = engine.snapshot(surveyed, &notices, &shutdown).await?;
    super::migrate::write_rejects(&engine, &manifest, &verb.selection, &notices).await?;
    let batch = engine.batch_name(verb.selection.batch.as_deref()).await?;
    let spec = engine.spec(RunKind::Rehearse, &batch, &manifest.id, None, verb.include_unchanged)?;
    let finished = engine.work(&spec, None, &notices, &shutdown).await?;
    if !finished.done {
        notices.line("stopped before the end; nothing was written to Graph. Run the same command again to rehearse anew");
        return Ok(Exit::Stopped);
    }
    if let Some(path) = &verb.out {
        save(&engine, &finished, path, verb.include_unchanged).await?;
    }
    let hours = Hours::of(verb, &engine, &batch).await?;
    let gathered = if json {
        print_lines(&engine, &finished.run).await?
    } else {
        summarise(&engine, &finished, &manifest).await?
    };
    let forecast = Forecast::of(&engine, &finished.run, gathered, hours).await?;
    if json {
        // Standard output is one line a user, and nothing else.
        eprintln!("{}", forecast.json());
    } else {
        forecast.lines().iter().for_each(|line| println!("  {line}"));
        next(verb, &verb.selection);
    }
    Ok(exit_of(&finished))
}

/// 3 when somebody is blocked or parked.
fn exit_of(finished: &Finished) -> Exit {
    let counts = &finished.counts;
    let left = [EntryState::Blocked, EntryState::Parked, EntryState::Conflict];
    if left.iter().any(|s| counts.get(s).is_some_and(|n| *n > 0)) { Exit::Remainder } else { Exit::Done }
}

async fn print_lines(engine: &Engine, run: &Run) -> anyhow::Result<Gathered> {
    let mut out = BufWriter::new(std::io::stdout());
    let mut gathered = Gathered::default();
    lines::for_each(engine, run.id, |entry| {
        gathered.add(&entry);
        serde_json::to_writer(&mut out, &entry.plan_line())?;
        writeln!(out)?;
        Ok(())
    })
    .await?;
    out.flush()?;
    Ok(gathered)
}

/// Saves a run's plans for `migrate --plan`.
pub(crate) async fn save(
    engine: &Engine,
    finished: &Finished,
    path: &Path,
    include_unchanged: bool,
) -> anyhow::Result<()> {
    let run = &finished.run;
    let header = Header {
        mfa_migrate_plan: plan_file::VERSION,
        snapshot: run.spec.snapshot.clone(),
        policy_hash: run.spec.policy_hash.clone(),
        rules_version: rules::RULES_VERSION,
        include_unchanged,
        users: finished.counts.values().sum(),
    };
    let mut out = BufWriter::new(plan_file::create(path, &header)?);
    lines::for_each(engine, run.id, |entry| {
        let saved = SavedLine { ordinal: entry.row.ordinal, line: entry.plan_line() };
        serde_json::to_writer(&mut out, &saved)?;
        writeln!(out)?;
        Ok(())
    })
    .await?;
    out.flush().with_context(|| format!("the plan cannot be written to {}", path.display()))
}

/// What a person reads in ten seconds.
pub(crate) async fn summarise(
    engine: &Engine,
    finished: &Finished,
    manifest: &SnapshotManifest,
) -> anyhow::Result<Gathered> {
    let run = &finished.run;
    let mut gathered = Gathered::default();
    let mut outcomes = std::collections::BTreeMap::<Outcome, u64>::new();
    let mut changes = std::collections::BTreeMap::<(&'static str, &'static str), u64>::new();
    lines::for_each(engine, run.id, |entry| {
        gathered.add(&entry);
        let line = entry.plan_line();
        *outcomes.entry(line.outcome).or_default() += 1;
        for change in &line.changes {
            let how = if change.from.is_some() { "update" } else { "new" };
            *changes.entry((change.method.as_str(), how)).or_default() += 1;
        }
        Ok(())
    })
    .await?;
    println!("rehearsal (run {}): nothing was written to Graph", run.id);
    println!(
        "  {} users read = {} accepted + {} rejected",
        manifest.read, manifest.accepted, manifest.rejected
    );
    for (outcome, n) in &outcomes {
        println!("  {n:>9}  {}", outcome.as_str());
    }
    println!("  changes that a migration would make");
    for ((method, how), n) in &changes {
        println!("  {n:>9}  {method} ({how})");
    }
    super::report::print_codes(engine, run.id).await?;
    println!(
        "  {} requests to Graph, {} throttled, in {:.1} s",
        run.totals.requests, run.totals.throttled, run.totals.seconds
    );
    Ok(gathered)
}

fn next(verb: &Rehearse, selection: &Selection) {
    match (&verb.out, &selection.datafile) {
        (Some(plan), _) => println!("next: look at {0}, then mfa-migrate migrate --plan {0}", plan.display()),
        (None, Some(_)) => {
            let flags = lines::flags_of(selection);
            println!(
                "next: mfa-migrate migrate {flags}   or save the plan first: mfa-migrate rehearse {flags} --out plan.ndjson"
            );
        }
        (None, None) => println!("next: mfa-migrate migrate {}", lines::flags_of(selection)),
    }
}
