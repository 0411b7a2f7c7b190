//! `report`: what became of every user and why, as rows, as one object, or as a page.

use crate::args::{Format, Report};
use crate::config::Config;
use crate::engine::Engine;
use crate::{Exit, Usage, report};
use anyhow::{Context, bail};
use contract::{RunId, RunKind};
use ledger::Run;
use std::io::{BufWriter, Write};

pub(crate) async fn run(verb: &Report, config: &Config, json: bool) -> anyhow::Result<Exit> {
    if verb.verify_journal {
        return super::journal::verify(verb, config, json).await;
    }
    let format = if json { Format::Json } else { verb.format };
    let run = write(verb, format, config).await?;
    if let Some(path) = &verb.out {
        eprintln!("report of run {run} in {}", path.display());
    }
    Ok(Exit::Done)
}

/// Writes the report where it was asked for; answers the run that it is about.
pub(crate) async fn write(verb: &Report, format: Format, config: &Config) -> anyhow::Result<RunId> {
    let engine = Engine::look(config).await?;
    let run = match (verb.run, &verb.batch) {
        (Some(id), _) => engine.ledger.run(RunId(id)).await?,
        (None, Some(batch)) => last_of(&engine, batch).await?,
        (None, None) => match engine.ledger.latest_run(&[RunKind::Migrate]).await? {
            Some(run) => Some(run),
            None => engine.ledger.latest_run(&[RunKind::Rehearse]).await?,
        },
    };
    let Some(run) = run else {
        bail!(Usage("there is no such run; `mfa-migrate status` shows the last one".to_owned()));
    };
    let mut out: Box<dyn Write + Send> = match &verb.out {
        Some(path) => Box::new(BufWriter::new(
            crate::lines::private_file(path)
                .with_context(|| format!("the report cannot be written to {}", path.display()))?,
        )),
        None => Box::new(BufWriter::new(std::io::stdout())),
    };
    match format {
        Format::Csv => report::csv::write(&engine, &run, &mut out).await?,
        Format::Json => report::json::write(&engine, &run, &mut out).await?,
        Format::Html => report::html::write(&engine, &run, &mut out).await?,
    }
    out.flush()?;
    Ok(run.id)
}

/// The last run of a batch that its users have entries of.
async fn last_of(engine: &Engine, batch: &str) -> anyhow::Result<Option<Run>> {
    let name = engine.batch_name(Some(batch)).await?;
    let runs = engine.ledger.runs_of(&name).await?;
    Ok(runs.into_iter().find(|run| run.spec.kind != RunKind::Survey))
}

/// Users by code, for summaries; the most frequent first.
pub(crate) async fn print_codes(engine: &Engine, run: RunId) -> anyhow::Result<()> {
    let mut codes = engine.ledger.code_counts(run).await?;
    codes.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    if !codes.is_empty() {
        println!("  users by reason");
    }
    for (code, n) in codes {
        println!("  {n:>9}  {code}");
    }
    Ok(())
}
