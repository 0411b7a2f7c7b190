//! `migrate`: extracts, plans, writes, reads back what ended in doubt. The same call again resumes.

use crate::args::{Migrate, Selection};
use crate::config::Config;
use crate::engine::{self, Engine};
use crate::notices::Notices;
use crate::plan_file::PlanFile;
use crate::work::Finished;
use crate::{Exit, lines};
use anyhow::Context;
use contract::{EntryState, RunKind, SnapshotManifest};
use std::path::PathBuf;
use telemetry::{Shutdown, shutdown_on_signal};

pub(crate) async fn run(verb: &Migrate, config: &Config, json: bool) -> anyhow::Result<Exit> {
    graph::Reader::new(config.graph()?, graph::Pace::new())?;
    let plan = verb.plan.as_deref().map(PlanFile::open).transpose()?;
    let shutdown = Shutdown::new();
    shutdown_on_signal(shutdown.clone());
    let notices = Notices::new("migrate");
    let surveyed = engine::survey(&verb.selection, config, &notices).await?;
    if let Some(plan) = &plan {
        let snapshot = surveyed.as_ref().map_or_else(|| plan.header.snapshot.clone(), engine::Surveyed::id);
        plan.must_fit(&snapshot, &rules::policy_hash(&config.policy))?;
    }
    let engine = Engine::open(config).await?;
    let manifest = match (&plan, &verb.selection.datafile) {
        (Some(plan), None) => engine.filed(&plan.header.snapshot).await?,
        (_, _) => engine.snapshot(surveyed, &notices, &shutdown).await?,
    };
    let include_unchanged =
        verb.include_unchanged || plan.as_ref().is_some_and(|p| p.header.include_unchanged);
    let hash = plan.as_ref().map(|p| p.hash.clone());
    let batch = engine.batch_name(verb.selection.batch.as_deref()).await?;
    super::rollback::must_not_be_on_its_way_back(&engine, &batch).await?;
    let spec = engine.spec(RunKind::Migrate, &batch, &manifest.id, hash, include_unchanged)?;
    write_rejects(&engine, &manifest, &verb.selection, &notices).await?;
    let finished = engine.work(&spec, plan.as_ref(), &notices, &shutdown).await?;
    if json {
        if !finished.done {
            notices.line("stopped before the end; the same command resumes");
        }
        println!("{}", end_object(&finished, &manifest));
    } else {
        summarise(&engine, &finished, &manifest).await?;
    }
    Ok(exit_of(&finished))
}

/// The exit code of a run.
pub(crate) fn exit_of(finished: &Finished) -> Exit {
    let left = [EntryState::Blocked, EntryState::Parked, EntryState::Conflict];
    if !finished.done {
        Exit::Stopped
    } else if left.iter().any(|s| finished.counts.get(s).is_some_and(|n| *n > 0)) {
        Exit::Remainder
    } else {
        Exit::Done
    }
}

/// The object that `migrate --json` ends with.
pub(crate) fn end_object(finished: &Finished, manifest: &SnapshotManifest) -> serde_json::Value {
    let totals = finished.run.totals;
    serde_json::json!({
        "batch": finished.run.spec.batch,
        "run": finished.run.id,
        "read": manifest.read,
        "accepted": manifest.accepted,
        "rejected": manifest.rejected,
        "entries": lines::counts_json(&finished.counts),
        "graph": { "requests": totals.requests, "writes": totals.writes, "throttled": totals.throttled },
        "seconds": totals.seconds,
    })
}

async fn summarise(engine: &Engine, finished: &Finished, manifest: &SnapshotManifest) -> anyhow::Result<()> {
    let run = &finished.run;
    if finished.done {
        println!("migration (run {}): every user is settled", run.id);
    } else {
        println!("migration (run {}): stopped before the end; the same command resumes", run.id);
    }
    println!(
        "  {} users read = {} accepted + {} rejected",
        manifest.read, manifest.accepted, manifest.rejected
    );
    for (state, n) in finished.counts.iter().filter(|(_, n)| **n > 0) {
        println!("  {n:>9}  {}", state.as_str());
    }
    super::report::print_codes(engine, run.id).await?;
    println!(
        "  {} requests to Graph, {} of them writes, {} throttled, in {:.1} s",
        run.totals.requests, run.totals.writes, run.totals.throttled, run.totals.seconds
    );
    if !finished.done {
        println!("next: the same command again   or first: mfa-migrate status");
        return Ok(());
    }
    println!(
        "next: mfa-migrate report --format html --out report.html   or for one user: mfa-migrate show USER"
    );
    Ok(())
}

/// Lists the rejects in a file, when there are any: line, field and code, never the value.
pub(crate) async fn write_rejects(
    engine: &Engine,
    manifest: &SnapshotManifest,
    selection: &Selection,
    notices: &Notices,
) -> anyhow::Result<()> {
    if manifest.rejected + manifest.side_rejected == 0 {
        return Ok(());
    }
    let path = match (&selection.rejects, &selection.datafile) {
        (Some(path), _) => path.clone(),
        (None, Some(datafile)) => {
            let mut name = datafile.as_os_str().to_owned();
            name.push(".rejects.csv");
            PathBuf::from(name)
        }
        (None, None) => return Ok(()),
    };
    let file = lines::private_file(&path)
        .with_context(|| format!("the rejects cannot be written to {}", path.display()))?;
    let mut out = csv::Writer::from_writer(file);
    out.write_record(["file", "line", "field", "code"])?;
    for reject in engine.ledger.rejects(&manifest.id).await? {
        out.write_record([
            reject.file.as_deref().unwrap_or(""),
            &reject.line.to_string(),
            &reject.field,
            reject.code.as_str(),
        ])?;
    }
    out.flush()?;
    notices.line(&format!(
        "{} rejected records and {} rejected rows of side files are listed in {}",
        manifest.rejected,
        manifest.side_rejected,
        path.display()
    ));
    Ok(())
}
