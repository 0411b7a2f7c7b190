//! `verify`: reads back what was written, after the delay Graph needs, and compares. It writes nothing, unless --repair
//! asks for what is missing to be written again.

use super::repair::{Repaired, repair};
use crate::args::Verify;
use crate::config::Config;
use crate::engine::{ALL, Engine};
use crate::notices::Notices;
use crate::work::Finished;
use crate::{Exit, lines};
use contract::{EntryState, RunKind, SnapshotManifest};
use telemetry::{Shutdown, shutdown_on_signal};

pub(crate) async fn run(verb: &Verify, config: &Config, json: bool) -> anyhow::Result<Exit> {
    graph::Reader::new(config.graph()?, graph::Pace::new())?;
    let shutdown = Shutdown::new();
    shutdown_on_signal(shutdown.clone());
    let notices = Notices::new("verify");
    let engine = Engine::open(config).await?;
    let manifest = super::rollback::last_moved(&engine).await?;
    let batch = engine.batch_name(verb.batch.as_deref()).await?;
    super::rollback::must_not_be_on_its_way_back(&engine, &batch).await?;
    if verb.repair {
        super::rollback::must_hold_nobody_forward(&engine, &batch).await?;
    }
    let spec = engine.spec(RunKind::Verify, &batch, &manifest.id, None, true)?;
    let verified = engine.work(&spec, None, &notices, &shutdown).await?;
    let mut repaired = None;
    if verb.repair && verified.done && of(&verified, EntryState::Missing) > 0 {
        // Another migration may have been opened while we looked.
        super::rollback::must_hold_nobody_forward(&engine, &batch).await?;
        repaired = Some(repair(&engine, &verified, &notices, &shutdown).await?);
    }
    if json {
        let mut object = super::migrate::end_object(&verified, &manifest);
        if let Some(repaired) = &repaired {
            object["repair"] = as_json(repaired, &manifest);
        }
        println!("{object}");
    } else {
        summarise(&verified, repaired.as_ref());
    }
    Ok(exit_of(&verified, repaired.as_ref()))
}

fn of(finished: &Finished, state: EntryState) -> u64 {
    finished.counts.get(&state).copied().unwrap_or(0)
}

/// The runs of a repair, and whom it could not even try.
fn as_json(repaired: &Repaired, manifest: &SnapshotManifest) -> serde_json::Value {
    serde_json::json!({
        "runs": repaired.runs.iter().map(|run| super::migrate::end_object(run, manifest)).collect::<Vec<_>>(),
        "withoutRecord": repaired.without_record,
        "boundToPlan": repaired.bound.values().sum::<u64>(),
    })
}

fn summarise(verified: &Finished, repaired: Option<&Repaired>) {
    let run = &verified.run;
    let batch = &run.spec.batch;
    println!(
        "verification of {batch} (run {}): {}",
        run.id,
        if verified.done {
            "everybody was read back"
        } else {
            "stopped before the end; the same command resumes"
        }
    );
    for (state, n) in verified.counts.iter().filter(|(_, n)| **n > 0) {
        let word = if !state.is_settled() {
            "not-yet-visible"
        } else if *state == EntryState::Unchanged {
            "nothing of ours to look for"
        } else {
            state.as_str()
        };
        println!("  {n:>9}  {word}");
    }
    println!(
        "  {} requests to Graph, {} throttled, in {:.1} s",
        run.totals.requests, run.totals.throttled, run.totals.seconds
    );
    match repaired {
        Some(repaired) => tell_repaired(repaired),
        None if of(verified, EntryState::Missing) > 0 => {
            let of_batch = if batch == ALL { String::new() } else { format!(" --batch {batch}") };
            println!("next: mfa-migrate verify{of_batch} --repair   writes what is missing again");
        }
        None => println!("next: mfa-migrate report --run {} lists every user and value", run.id),
    }
}

fn tell_repaired(repaired: &Repaired) {
    for finished in &repaired.runs {
        println!(
            "repaired by run {} (batch {}): {}",
            finished.run.id,
            finished.run.spec.batch,
            lines::counts(&finished.counts)
        );
    }
    if repaired.without_record > 0 {
        println!("  {:>9}  left the datafile: there is no record to write from", repaired.without_record);
    }
    for (run, n) in &repaired.bound {
        println!(
            "  {n:>9}  were moved by a reviewed plan (run {run}): `mfa-migrate migrate --plan FILE` with that plan writes them again"
        );
    }
}

/// 3 when something is missing or was changed since.
fn exit_of(verified: &Finished, repaired: Option<&Repaired>) -> Exit {
    // What a repair could not bring back, or could not even reach, is still missing.
    let missing = match repaired {
        None => of(verified, EntryState::Missing) > 0,
        Some(repaired) => {
            repaired.left() > 0
                || repaired.runs.iter().any(|run| super::migrate::exit_of(run) == Exit::Remainder)
                || repaired.of(EntryState::Applied) < of(verified, EntryState::Missing)
        }
    };
    if !verified.done || repaired.is_some_and(|repaired| repaired.runs.iter().any(|run| !run.done)) {
        Exit::Stopped
    } else if missing || of(verified, EntryState::ChangedSince) > 0 || of(verified, EntryState::Parked) > 0 {
        Exit::Remainder
    } else {
        Exit::Done
    }
}
