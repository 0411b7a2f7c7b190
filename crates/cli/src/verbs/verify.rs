//! `verify`: reads back what was written, after the delay Graph needs, and compares. It writes nothing, unless --repair
//! asks for what is missing to be written again.

use crate::args::Verify;
use crate::config::Config;
use crate::engine::Engine;
use crate::notices::Notices;
use crate::work::Finished;
use crate::{Exit, Usage, lines};
use anyhow::bail;
use contract::{EntryState, RunKind, SnapshotManifest};
use telemetry::{Shutdown, shutdown_on_signal};

pub(crate) async fn run(verb: &Verify, config: &Config, json: bool) -> anyhow::Result<Exit> {
    graph::Reader::new(config.graph()?, graph::Pace::new())?;
    let shutdown = Shutdown::new();
    shutdown_on_signal(shutdown.clone());
    let notices = Notices::new("verify");
    let engine = Engine::open(config).await?;
    if verb.repair && engine.ledger.latest_run(&[RunKind::Rollback]).await?.is_some() {
        // A repair migrates the batch once more, and would move forward again who was taken back.
        bail!(Usage(
            "something was rolled back in this ledger, and a repair would move those users forward again: \
             `mfa-migrate verify` lists what is missing, and a batch of those users can be migrated"
                .to_owned()
        ));
    }
    let manifest = super::rollback::last_moved(&engine).await?;
    let batch = engine.batch_name(verb.batch.as_deref()).await?;
    super::rollback::must_not_be_on_its_way_back(&engine, &batch).await?;
    let spec = engine.spec(RunKind::Verify, &batch, &manifest.id, None, true)?;
    let verified = engine.work(&spec, None, &notices, &shutdown).await?;
    let mut repaired = None;
    if verb.repair && verified.done && of(&verified, EntryState::Missing) > 0 {
        repaired = Some(repair(&engine, &verified, &manifest, &notices, &shutdown).await?);
    }
    if json {
        let mut object = super::migrate::end_object(&verified, &manifest);
        if let Some(repaired) = &repaired {
            object["repair"] = super::migrate::end_object(repaired, &manifest);
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

/// Forgets that the missing were applied, and migrates the batch once more: everybody else is unchanged by rule U5 and is
/// not even looked at.
async fn repair(
    engine: &Engine,
    verified: &Finished,
    manifest: &SnapshotManifest,
    notices: &Notices,
    shutdown: &Shutdown,
) -> anyhow::Result<Finished> {
    let mut missing = Vec::new();
    let mut after = i64::MIN;
    loop {
        let page = engine.ledger.results(verified.run.id, after, lines::PAGE).await?;
        let Some(last) = page.last() else { break };
        after = last.ordinal;
        missing.extend(page.iter().filter(|row| row.state == EntryState::Missing).map(|row| row.ordinal));
    }
    engine.ledger.forget_applied(verified.run.id, &missing).await?;
    let batch = &verified.run.spec.batch;
    let why = format!("{} users are missing something, found by run {}", missing.len(), verified.run.id);
    engine.note_event(batch, Some(verified.run.id), "repair", &why).await?;
    notices.step("writing again what is missing");
    let spec = engine.spec(RunKind::Migrate, batch, &manifest.id, None, false)?;
    engine.work(&spec, None, notices, shutdown).await
}

fn summarise(verified: &Finished, repaired: Option<&Finished>) {
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
        Some(repaired) => println!("repaired (run {}): {}", repaired.run.id, lines::counts(&repaired.counts)),
        None if of(verified, EntryState::Missing) > 0 => {
            println!("next: mfa-migrate verify --repair   writes what is missing again");
        }
        None => println!("next: mfa-migrate report --run {} lists every user and value", run.id),
    }
}

/// 3 when something is missing or was changed since.
fn exit_of(verified: &Finished, repaired: Option<&Finished>) -> Exit {
    // What a repair could not bring back, or could not even reach, is still missing.
    let missing = match repaired {
        None => of(verified, EntryState::Missing) > 0,
        Some(repaired) => {
            matches!(super::migrate::exit_of(repaired), Exit::Remainder)
                || of(repaired, EntryState::Applied) < of(verified, EntryState::Missing)
        }
    };
    if !verified.done || repaired.is_some_and(|repaired| !repaired.done) {
        Exit::Stopped
    } else if missing || of(verified, EntryState::ChangedSince) > 0 || of(verified, EntryState::Parked) > 0 {
        Exit::Remainder
    } else {
        Exit::Done
    }
}
