//! `rollback`: walks a batch back to what was there before our first write, never over a change made since.

use crate::args::Rollback;
use crate::config::{BrokerKind, Config};
use crate::engine::{ALL, Engine};
use crate::notices::Notices;
use crate::work::Finished;
use crate::{Exit, Usage};
use anyhow::bail;
use contract::{EntryState, RunKind, RunState, SnapshotManifest};
use ledger::Run;
use telemetry::{Shutdown, shutdown_on_signal};

pub(crate) async fn run(verb: &Rollback, config: &Config, json: bool) -> anyhow::Result<Exit> {
    graph::Reader::new(config.graph()?, graph::Pace::new())?;
    let shutdown = Shutdown::new();
    shutdown_on_signal(shutdown.clone());
    let notices = Notices::new("rollback");
    let engine = Engine::open(config).await?;
    let manifest = last_moved(&engine).await?;
    let batch = match &verb.users {
        Some(path) => super::batch::of_list(&engine, path, &manifest).await?,
        None => engine.batch_name(verb.batch.as_deref()).await?,
    };
    must_be_quiet(&engine, &batch).await?;
    if !super::rollout::taken_out_first(&engine, &batch, &manifest, &notices, &shutdown).await? {
        return Ok(Exit::Stopped);
    }
    let spec = engine.spec(RunKind::Rollback, &batch, &manifest.id, None, true)?;
    let finished = engine.work(&spec, None, &notices, &shutdown).await?;
    let never_moved = match &verb.users {
        Some(_) => engine.batch(&batch).await?.users.saturating_sub(finished.counts.values().sum()),
        None => 0,
    };
    if json {
        let mut object = super::migrate::end_object(&finished, &manifest);
        if verb.users.is_some() {
            object["neverMoved"] = never_moved.into();
        }
        println!("{object}");
    } else {
        summarise(&engine, &finished).await?;
    }
    let codes = engine.ledger.code_counts(finished.run.id).await?;
    let forgotten =
        codes.iter().find(|(code, _)| code == contract::Code::Forgotten.as_str()).map_or(0, |(_, n)| *n);
    if forgotten > 0 {
        notices.line(&format!(
            "{forgotten} users cannot be taken back: forgotten; what was there before our first write was removed by `forget`, and \
             nothing was done for them"
        ));
    }
    if never_moved > 0 {
        notices.line(&format!(
            "{never_moved} of the listed names were never migrated under that spelling; nothing was done for them"
        ));
    }
    let exit = super::migrate::exit_of(&finished);
    Ok(if exit == Exit::Done && never_moved > 0 { Exit::Remainder } else { exit })
}

/// The snapshot of the last migration.
pub(crate) async fn last_moved(engine: &Engine) -> anyhow::Result<SnapshotManifest> {
    match engine.ledger.latest_run(&[RunKind::Migrate]).await? {
        Some(run) => engine.filed(&run.spec.snapshot).await,
        None => bail!(Usage("nothing was migrated yet, so nothing can be taken back or verified".to_owned())),
    }
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
    let sharing = sharing(engine, batch).await?;
    let Some(run) = sharing.iter().find(|run| run.spec.batch != batch) else { return Ok(()) };
    let other = &run.spec.batch;
    bail!(Usage(format!(
        "run {} of batch {other} is unfinished and may hold users of {batch}; let it end, or end it with `mfa-migrate batch abort {other}`, \
         and then roll back",
        run.id
    )))
}

/// Nobody goes forward, or is verified, who is on the way back.
pub(crate) async fn must_not_be_on_its_way_back(engine: &Engine, batch: &str) -> anyhow::Result<()> {
    let sharing = sharing(engine, batch).await?;
    let Some(run) = sharing.iter().find(|run| run.spec.kind == RunKind::Rollback) else { return Ok(()) };
    let other = &run.spec.batch;
    bail!(Usage(format!(
        "users of {batch} are on their way back (run {} of batch {other}); `mfa-migrate rollback` goes on with it, and \
         `mfa-migrate batch abort {other}` ends it where it stands",
        run.id
    )))
}

/// Nobody is written again whom an unfinished migration may still write to.
pub(crate) async fn must_hold_nobody_forward(engine: &Engine, batch: &str) -> anyhow::Result<()> {
    let sharing = sharing(engine, batch).await?;
    let Some(run) = sharing.iter().find(|run| run.spec.kind == RunKind::Migrate) else { return Ok(()) };
    let other = &run.spec.batch;
    bail!(Usage(format!(
        "users of {batch} are still being migrated (run {} of batch {other}); let it end, or end it with `mfa-migrate batch abort {other}`, \
         and then repair",
        run.id
    )))
}

/// The unfinished runs that write to users of a batch, its own among them.
pub(super) async fn sharing(engine: &Engine, batch: &str) -> anyhow::Result<Vec<Run>> {
    let overlaps = engine.ledger.overlaps(batch).await?;
    let mut found = Vec::new();
    for control in engine.ledger.controls().await? {
        let Some(run) = engine.ledger.run(control.run).await? else { continue };
        let other = run.spec.batch.as_str();
        let shares =
            other == batch || [batch, other].contains(&ALL) || overlaps.iter().any(|(name, _)| name == other);
        let writes = match run.spec.kind {
            RunKind::Migrate | RunKind::Rollback | RunKind::Rollout => true,
            RunKind::Rehearse
            | RunKind::Verify
            | RunKind::Survey
            | RunKind::RolloutPlan
            | RunKind::RolloutRemove => false,
        };
        if shares && writes {
            found.push(run);
        }
    }
    Ok(found)
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
