//! `rollback`: walks a batch back to what was there before our first write, never over a change made since.

use crate::args::Rollback;
use crate::config::{BrokerKind, Config};
use crate::engine::{ALL, Engine};
use crate::notices::Notices;
use crate::work::Finished;
use crate::{Exit, Usage};
use anyhow::bail;
use contract::{EntryState, RunKind, RunState, SnapshotManifest};
use std::path::Path;
use telemetry::{Shutdown, shutdown_on_signal};

pub(crate) async fn run(verb: &Rollback, config: &Config, json: bool) -> anyhow::Result<Exit> {
    graph::Reader::new(config.graph()?, graph::Pace::new())?;
    let shutdown = Shutdown::new();
    shutdown_on_signal(shutdown.clone());
    let notices = Notices::new("rollback");
    let engine = Engine::open(config).await?;
    let manifest = last_moved(&engine).await?;
    let batch = match &verb.users {
        Some(path) => match of_list(&engine, path, &manifest, &notices, &shutdown).await? {
            Some(name) => name,
            None => return Ok(Exit::Stopped),
        },
        None => engine.batch_name(verb.batch.as_deref()).await?,
    };
    must_be_quiet(&engine, &batch).await?;
    let spec = engine.spec(RunKind::Rollback, &batch, &manifest.id, None, true)?;
    let finished = engine.work(&spec, None, &notices, &shutdown).await?;
    if json {
        println!("{}", super::migrate::end_object(&finished, &manifest));
    } else {
        summarise(&engine, &finished).await?;
    }
    Ok(super::migrate::exit_of(&finished))
}

/// The snapshot of the last migration.
pub(crate) async fn last_moved(engine: &Engine) -> anyhow::Result<SnapshotManifest> {
    match engine.ledger.latest_run(&[RunKind::Migrate]).await? {
        Some(run) => engine.filed(&run.spec.snapshot).await,
        None => bail!(Usage("nothing was migrated yet, so nothing can be taken back or verified".to_owned())),
    }
}

/// A batch of the users in a file: the same list is the same batch, so that calling it again resumes.
async fn of_list(
    engine: &Engine,
    path: &Path,
    manifest: &SnapshotManifest,
    notices: &Notices,
    shutdown: &Shutdown,
) -> anyhow::Result<Option<String>> {
    let listed = super::batch::listed(path)?;
    let text = listed.iter().map(String::as_str).collect::<Vec<_>>().join("\n");
    let name = format!("users-{}", &engine.keys.of("list", text.as_bytes()).to_hex()[..12]);
    let is_made = engine.ledger.batch(&name).await?.is_some_and(|batch| batch.frozen);
    let made =
        is_made || super::batch::make_from_lists(engine, &name, path, manifest, notices, shutdown).await?;
    Ok(made.then_some(name))
}

/// A batch that is being moved is paused or ended first: what goes forward and back at once ends nowhere.
async fn must_be_quiet(engine: &Engine, batch: &str) -> anyhow::Result<()> {
    for run in engine.ledger.runs_of(batch).await? {
        let is_moving = run.spec.kind == RunKind::Migrate
            && matches!(run.state, RunState::Preparing | RunState::Open)
            && run.halted.is_none()
            // In one process nobody else works on it: this process holds the lock.
            && engine.config().broker_kind()? != BrokerKind::Embedded;
        if is_moving {
            bail!(Usage(format!(
                "batch {batch} is being migrated (run {}); `mfa-migrate batch pause {batch}` stops that, and then it can be rolled back",
                run.id
            )));
        }
    }
    must_hold_nobody(engine, batch).await
}

/// The unfinished run of another batch may hold users of this one: they could not be taken back before it ends.
async fn must_hold_nobody(engine: &Engine, batch: &str) -> anyhow::Result<()> {
    let overlaps = engine.ledger.overlaps(batch).await?;
    for control in engine.ledger.controls().await? {
        let Some(run) = engine.ledger.run(control.run).await? else { continue };
        let other = run.spec.batch.as_str();
        let writes = matches!(run.spec.kind, RunKind::Migrate | RunKind::Rollback);
        let shares = [batch, other].contains(&ALL) || overlaps.iter().any(|(name, _)| name == other);
        if writes && other != batch && shares {
            bail!(Usage(format!(
                "run {} of batch {other} is unfinished and may hold users of {batch}; let it end, or end it with `mfa-migrate batch abort {other}`, \
                 and then roll back",
                run.id
            )));
        }
    }
    Ok(())
}

async fn summarise(engine: &Engine, finished: &Finished) -> anyhow::Result<()> {
    let run = &finished.run;
    let batch = &run.spec.batch;
    if finished.done {
        println!("rollback of {batch} (run {}): every user is settled", run.id);
    } else {
        println!("rollback of {batch} (run {}): stopped before the end; the same command resumes", run.id);
    }
    for (state, n) in finished.counts.iter().filter(|(_, n)| **n > 0) {
        println!("  {n:>9}  {}", state.as_str());
    }
    super::report::print_codes(engine, run.id).await?;
    println!(
        "  {} requests to Graph, {} of them writes, {} throttled, in {:.1} s",
        run.totals.requests, run.totals.writes, run.totals.throttled, run.totals.seconds
    );
    let conflicts = finished.counts.get(&EntryState::Conflict).copied().unwrap_or(0);
    if conflicts > 0 {
        println!(
            "{conflicts} users have something that was changed since; it was left alone: `mfa-migrate report --run {}` lists before, ours and now",
            run.id
        );
    }
    if finished.done {
        println!("next: mfa-migrate report --run {} --format html --out rollback.html", run.id);
    }
    Ok(())
}
