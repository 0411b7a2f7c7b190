//! `batch pause|resume|abort|set`: takes effect in every worker within two seconds, and is on record with who and why.
//!
//! They write to the ledger alone, beside whatever works on the batch.

use super::settings;
use crate::args::{BatchControl, BatchSet};
use crate::config::{BrokerKind, Config};
use crate::engine::{ALL, Engine};
use crate::{Exit, Usage};
use anyhow::bail;
use contract::{RunKind, RunState};
use ledger::Run;

/// The run of a batch that is not over; of several, one that `fits`.
async fn running(engine: &Engine, name: &str, fits: impl Fn(&Run) -> bool) -> anyhow::Result<Run> {
    let name = engine.batch_name(Some(name)).await?;
    let runs = engine.ledger.runs_of(&name).await?;
    let unfinished: Vec<Run> = runs
        .into_iter()
        .filter(|run| {
            matches!(run.state, RunState::Preparing | RunState::Open)
                && !matches!(run.spec.kind, RunKind::Survey | RunKind::RolloutPlan)
        })
        .collect();
    // The one that writes is meant, whatever else was opened beside it; of two, the one that was opened last.
    let writes = |run: &&Run| match run.spec.kind {
        RunKind::Migrate | RunKind::Rollback | RunKind::Rollout | RunKind::RolloutRemove => true,
        RunKind::Rehearse | RunKind::Verify | RunKind::Survey | RunKind::RolloutPlan => false,
    };
    let meant = unfinished.iter().find(|run| writes(run) && fits(run));
    match meant.or(unfinished.iter().find(writes)).or(unfinished.first()) {
        Some(run) => Ok(run.clone()),
        None => bail!(Usage(format!(
            "no run of batch {name} is under way; `mfa-migrate batch show {name}` tells what was"
        ))),
    }
}

fn because(why: &str) -> String {
    if why.is_empty() { String::new() } else { format!(": {why}") }
}

pub(super) async fn pause(verb: &BatchControl, config: &Config) -> anyhow::Result<Exit> {
    let engine = Engine::beside(config).await?;
    let run = running(&engine, &verb.name, |run| run.halted.is_none()).await?;
    if run.halted.is_some() {
        println!("batch {}: it stands already", verb.name);
        return Ok(Exit::Done);
    }
    let reason = format!("paused by {}{}", super::who(), because(&verb.why));
    // The word first: whoever sees the halt asks why.
    engine.note_event(&run.spec.batch, Some(run.id), "paused", &verb.why).await?;
    engine.ledger.halt_run(run.id, &reason).await?;
    println!(
        "batch {}: {} {} is paused; what is under way ends, and nothing new is begun",
        verb.name,
        run.spec.kind.as_str(),
        run.id
    );
    println!("next: mfa-migrate batch resume {}   or: mfa-migrate rollback --batch {}", verb.name, verb.name);
    Ok(Exit::Done)
}

pub(super) async fn resume(verb: &BatchControl, config: &Config) -> anyhow::Result<Exit> {
    let engine = Engine::beside(config).await?;
    let run = running(&engine, &verb.name, |run| run.halted.is_some()).await?;
    let step = engine.coordinator.let_go_on(&run).await?;
    engine.note_event(&run.spec.batch, Some(run.id), "resumed", &verb.why).await?;
    match step {
        Some(step) => println!("batch {}: step {} of {} begins", verb.name, step + 1, run.steps.len()),
        None => println!("batch {}: {} {} goes on", verb.name, run.spec.kind.as_str(), run.id),
    }
    println!(
        "next: mfa-migrate status --watch   (where no `serve coordinator` runs, the command that began it goes on with it)"
    );
    Ok(Exit::Done)
}

pub(super) async fn abort(verb: &BatchControl, config: &Config) -> anyhow::Result<Exit> {
    let engine = Engine::beside(config).await?;
    let run = running(&engine, &verb.name, |_| true).await?;
    engine.note_event(&run.spec.batch, Some(run.id), "aborted", &verb.why).await?;
    // Halted first: what is under way ends as in a pause.
    engine.ledger.halt_run(run.id, &format!("aborted by {}{}", super::who(), because(&verb.why))).await?;
    engine.ledger.set_run_state(run.id, RunState::Superseded).await?;
    println!("batch {}: run {} is ended; what is settled stays", verb.name, run.id);
    let (back, anew) = match run.spec.kind {
        RunKind::Rollout => ("rollout remove", "rollout apply"),
        RunKind::RolloutRemove => ("rollout apply", "rollout remove"),
        RunKind::Migrate
        | RunKind::Rollback
        | RunKind::Rehearse
        | RunKind::Verify
        | RunKind::Survey
        | RunKind::RolloutPlan => ("rollback", "migrate"),
    };
    println!(
        "next: mfa-migrate {back} --batch {name}   takes it back, and mfa-migrate {anew} --batch {name} begins anew with what is left",
        name = verb.name
    );
    Ok(Exit::Done)
}

pub(super) async fn set(verb: &BatchSet, config: &Config) -> anyhow::Result<Exit> {
    if verb.name == ALL {
        bail!(Usage(
            "everybody's batch has no settings; make a batch of the users with `mfa-migrate batch create`"
                .to_owned()
        ));
    }
    let engine = Engine::beside(config).await?;
    let settings = loop {
        let batch = engine.batch(&verb.name).await?;
        let mut settings = Engine::settings(&batch)?;
        let was_kept = settings.keep_in_step;
        for change in &verb.settings {
            settings::change(&mut settings, change)?;
        }
        if settings.keep_in_step && !was_kept {
            may_go_on_by_itself(&engine, &verb.name).await?;
        }
        // Whoever else changes them meanwhile must not be overwritten.
        let text = serde_json::to_string(&settings)?;
        if engine.ledger.set_batch(&verb.name, &batch.made.settings, &text).await? {
            break settings;
        }
    };
    let said = verb.settings.join(" ");
    engine.note_event(&verb.name, None, "set", &format!("{said}{}", because(&verb.why))).await?;
    println!("batch {}: {}", verb.name, settings::line(&settings));
    if settings.keep_in_step && engine.config().broker_kind()? == BrokerKind::Embedded {
        println!(
            "  where no `serve coordinator` runs, `mfa-migrate migrate --batch {} --datafile FILE` moves what changed",
            verb.name
        );
    }
    Ok(Exit::Done)
}

/// Whoever was taken back is moved forward again by a person alone; and of those who were moved as was reviewed, what comes
/// next is to be reviewed too.
async fn may_go_on_by_itself(engine: &Engine, name: &str) -> anyhow::Result<()> {
    let Some(last) = engine.ledger.last_written(name).await? else { return Ok(()) };
    if last.spec.plan_hash.is_some() {
        bail!(Usage(format!(
            "batch {name} was moved by a reviewed plan (run {}), and nothing follows that without a review; \
             `mfa-migrate rehearse --batch {name} --out FILE` and `mfa-migrate migrate --batch {name} --plan FILE` move what is new, \
             or `mfa-migrate migrate --batch {name}` moves it without one, and then the batch can be kept in step",
            last.id
        )));
    }
    let back = match last.spec.kind {
        RunKind::Rollback => Some(last.id),
        RunKind::Migrate
        | RunKind::Rehearse
        | RunKind::Verify
        | RunKind::Survey
        | RunKind::RolloutPlan
        | RunKind::Rollout
        | RunKind::RolloutRemove => engine.ledger.taken_back(name, last.id).await?,
    };
    let Some(back) = back else { return Ok(()) };
    bail!(Usage(format!(
        "users of batch {name} were taken back by run {back}, and nobody is moved forward again by itself; \
         `mfa-migrate migrate --batch {name}` does it, and then the batch can be kept in step"
    )))
}
