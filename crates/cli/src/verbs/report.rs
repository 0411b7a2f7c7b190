//! `report`: what became of every user and why, forward and back, as rows, as one object, or as a page; and the lists
//! that people work through.

use crate::args::{Format, Report};
use crate::config::Config;
use crate::engine::Engine;
use crate::report::{self, Places, Scope};
use crate::{Exit, Usage};
use anyhow::{Context, bail};
use contract::{RunId, Selector};
use std::io::{BufWriter, Write};

pub(crate) async fn run(verb: &Report, config: &Config, json: bool) -> anyhow::Result<Exit> {
    if verb.verify_journal {
        return super::journal::verify(verb, config, json).await;
    }
    let format = if json { Format::Json } else { verb.format };
    let scope = write(verb, format, config).await?;
    if let Some(path) = &verb.out {
        eprintln!("report of {} in {}", scope.title(), path.display());
    }
    Ok(Exit::Done)
}

/// Writes the report where it was asked for; answers what it is about.
pub(crate) async fn write(verb: &Report, format: Format, config: &Config) -> anyhow::Result<Scope> {
    if verb.list.is_some() && format == Format::Html {
        bail!(Usage("a list is a table: take --format csv or json; the page has all lists".to_owned()));
    }
    let engine = Engine::look(config).await?;
    let mut places = match &verb.cohorts {
        Some(path) => Places::read(path)?,
        None => Places::default(),
    };
    let scope = scope(verb, &engine).await?;
    if let Some(name) = &scope.batch {
        let selector: Selector = serde_json::from_str(&engine.batch(name).await?.made.selector)?;
        places.selected_by(&selector);
    }
    let mut out: Box<dyn Write + Send> = match &verb.out {
        Some(path) => Box::new(BufWriter::new(
            crate::lines::private_file(path)
                .with_context(|| format!("the report cannot be written to {}", path.display()))?,
        )),
        None => Box::new(BufWriter::new(std::io::stdout())),
    };
    let report = report::Report { engine: &engine, scope, places };
    match (verb.list, format) {
        (Some(list), Format::Json) => report.list_json(list, &mut out).await?,
        (Some(list), Format::Csv | Format::Html) => report.list_csv(list, &mut out).await?,
        (None, Format::Csv) => report.csv(&mut out).await?,
        (None, Format::Json) => report.json(&mut out).await?,
        (None, Format::Html) => report.html(&mut out).await?,
    }
    out.flush()?;
    Ok(report.scope)
}

async fn scope(verb: &Report, engine: &Engine) -> anyhow::Result<Scope> {
    let found = match (verb.run, &verb.batch) {
        (Some(id), _) => engine.ledger.run(RunId(id)).await?.map(Scope::of_run),
        (None, Some(batch)) => {
            let name = engine.batch_name(Some(batch)).await?;
            Scope::find(engine, Some(&name)).await?
        }
        (None, None) => Scope::find(engine, None).await?,
    };
    match found {
        Some(scope) => Ok(scope),
        None => bail!(Usage("there is no such run; `mfa-migrate status` shows the last one".to_owned())),
    }
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
