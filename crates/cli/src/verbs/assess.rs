//! `assess`: what a site uses of MFA Server, whom that touches, and what to do. It asks nobody and writes nothing but the
//! file it is told to.

use crate::args::{Assess, AssessFormat};
use crate::assess::{Assessment, Dependencies, TEMPLATE, write_list};
use crate::config::Config;
use crate::{Exit, Usage};
use anyhow::{Context, bail};
use extractor::Source;
use std::io::{BufWriter, Write};
use std::path::Path;

pub(crate) fn run(verb: &Assess, config: &Config, json: bool) -> anyhow::Result<Exit> {
    if verb.template {
        return write(verb.out.as_deref(), |out| Ok(out.write_all(TEMPLATE.as_bytes())?));
    }
    let Some(datafile) = &verb.datafile else {
        bail!(Usage(
            "name a datafile with --datafile FILE; --template prints a file of dependencies to fill in"
                .to_owned()
        ));
    };
    let source = Source {
        datafile: datafile.clone(),
        devices: verb.side.devices.clone(),
        token_seeds: verb.side.token_seeds.clone(),
    };
    let format = if json { AssessFormat::Json } else { verb.format };
    if let Some(list) = verb.list {
        if format == AssessFormat::Html {
            bail!(Usage("a list is a table: leave --format out for CSV, or take json; the page has the first of all lists".to_owned()));
        }
        let is_json = format == AssessFormat::Json;
        return write(verb.out.as_deref(), |out| {
            write_list(&source, &config.policy, list, is_json, out).map(|_| ())
        });
    }
    let dependencies = match &verb.dependencies {
        Some(path) => Dependencies::read(path)?,
        None => Dependencies::default(),
    };
    let found = Assessment::of(&source, &config.policy, dependencies)?;
    write(verb.out.as_deref(), |out| {
        match format {
            AssessFormat::Markdown => write!(out, "{}", found.markdown())?,
            AssessFormat::Html => write!(out, "{}", found.html())?,
            AssessFormat::Json => writeln!(out, "{}", found.json())?,
        }
        Ok(())
    })
}

/// Writes where it was asked for; a file names people, so its owner alone may read it.
fn write(
    path: Option<&Path>,
    say: impl FnOnce(&mut dyn Write) -> anyhow::Result<()>,
) -> anyhow::Result<Exit> {
    let mut out: Box<dyn Write> = match path {
        Some(path) => Box::new(BufWriter::new(
            crate::lines::private_file(path)
                .with_context(|| format!("the assessment cannot be written to {}", path.display()))?,
        )),
        None => Box::new(BufWriter::new(std::io::stdout())),
    };
    say(&mut out)?;
    out.flush()?;
    if let Some(path) = path {
        eprintln!("written to {}", path.display());
    }
    Ok(Exit::Done)
}
