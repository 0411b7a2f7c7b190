//! `demo`: the whole journey on made-up users, against a simulated tenant over real HTTP, in a folder of its own.

use crate::args::{Demo, Format, Report, Selection, SideFiles};
use crate::config::Config;
use crate::engine::{self, ALL, Engine};
use crate::notices::Notices;
use crate::work::Finished;
use crate::{Exit, lines};
use anyhow::Context;
use contract::{RunKind, Secret};
use extractor::Source;
use std::path::{Path, PathBuf};
use std::time::Instant;
use telemetry::{Shutdown, shutdown_on_signal};

/// The same users every time, so that two people who try it see the same.
const SEED: u64 = 2026;
/// Latency of the simulated tenant: enough to see that it is a conversation.
const LATENCY_MS: u64 = 20;
const TOKEN: &str = "demo";

pub(crate) async fn run(verb: &Demo, json: bool) -> anyhow::Result<Exit> {
    let started = Instant::now();
    let shutdown = Shutdown::new();
    shutdown_on_signal(shutdown.clone());
    let folder = folder(verb)?;
    let file = |name: &str| folder.join(name);
    let say = |line: &str| if json { eprintln!("{line}") } else { println!("{line}") };

    say(&format!("1. generate: {} made-up users and their tenant", verb.users));
    super::generate::write(verb.users, SEED, &file("users.ndjson"), &file("tenant.json"))?;

    say("2. inspect: what the datafile holds");
    let inspection = super::inspect::inspect(&Source::new(file("users.ndjson")), &Config::default())?;
    say(&format!("   {}", inspection.headline()));

    let (base_url, tenant) =
        start_tenant(&file("tenant.json"), &file("journal.ndjson"), shutdown.clone()).await?;
    let config = config(&base_url, &folder);
    let selection = Selection {
        datafile: Some(file("users.ndjson")),
        side: SideFiles { devices: None, token_seeds: None },
        batch: None,
        all: true,
        rejects: Some(file("rejects.csv")),
    };

    let engine = Engine::open(&config).await?;
    let mut finished = Vec::new();
    for (n, kind, what) in [
        (3, RunKind::Rehearse, "rehearse: plan everybody, write nothing"),
        (4, RunKind::Migrate, "migrate: write, and read back what ended in doubt"),
    ] {
        say(&format!("{n}. {what}"));
        let notices = Notices::new(kind.as_str());
        let manifest = engine
            .snapshot(engine::survey(&selection, &config, &notices).await?, &notices, &shutdown)
            .await?;
        super::migrate::write_rejects(&engine, &manifest, &selection, &notices).await?;
        let spec = engine.spec(kind, ALL, &manifest.id, None, false)?;
        let done = engine.work(&spec, None, &notices, &shutdown).await?;
        say(&format!("   {}", lines::counts(&done.counts)));
        if kind == RunKind::Rehearse {
            super::rehearse::save(&engine, &done, &file("plan.ndjson"), false).await?;
        }
        if !done.done {
            say("stopped before the end");
            return Ok(Exit::Stopped);
        }
        finished.push((done, manifest));
    }
    let Some((done, manifest)) = finished.pop() else { return Ok(Exit::Stopped) };
    drop(engine);

    say("5. report: what became of every user and why");
    for (format, name) in [(Format::Html, "report.html"), (Format::Csv, "report.csv")] {
        let verb = Report { format, out: Some(file(name)), run: Some(done.run.id.0), batch: None };
        super::report::write(&verb, format, &config).await?;
    }
    shutdown.request();
    tenant.await??;
    if json {
        println!("{}", super::migrate::end_object(&done, &manifest));
    } else {
        farewell(&done, &folder, started);
    }
    Ok(if done.done { Exit::Done } else { Exit::Stopped })
}

fn farewell(done: &Finished, folder: &Path, started: Instant) {
    let totals = done.run.totals;
    let me =
        std::env::current_exe().map_or_else(|_| "mfa-migrate".to_owned(), |path| path.display().to_string());
    println!();
    println!("done in {:.0} s: {}", started.elapsed().as_secs_f64(), lines::counts(&done.counts));
    println!(
        "{} requests to the simulated tenant, {} of them writes; every one is in its journal",
        totals.requests, totals.writes
    );
    println!("files in {}:", folder.display());
    for (name, what) in [
        ("users.ndjson", "the datafile, with the dirt of real ones"),
        ("tenant.json", "the simulated tenant before"),
        ("plan.ndjson", "the rehearsed plan, for migrate --plan"),
        ("rejects.csv", "records that were turned away, with line, field and code"),
        ("journal.ndjson", "every effect in the tenant"),
        ("report.html", "the report: open it in a browser"),
        ("report.csv", "the same, one row a user and method"),
        ("demo.db", "the ledger: sealed with demo.key"),
    ] {
        if folder.join(name).exists() {
            println!("  {name:16} {what}");
        }
    }
    let folder = folder.display();
    println!("try next:");
    println!("  {me} --ledger sqlite:{folder}/demo.db status");
    println!("  {me} inspect {folder}/users.ndjson");
    println!(
        "  {me} simulate tenant --seed {folder}/tenant.json --throttle published --faults error-rate=0.01"
    );
    println!("  {me} --help");
}

fn folder(verb: &Demo) -> anyhow::Result<PathBuf> {
    let folder = match &verb.keep {
        Some(folder) => folder.clone(),
        None => std::env::temp_dir().join(format!("mfa-migrate-demo-{}", std::process::id())),
    };
    std::fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    // A demo begins from nothing: what an earlier one left would make it a resumption.
    for name in ["demo.db", "demo.db-wal", "demo.db-shm", "demo.key", "journal.ndjson"] {
        match std::fs::remove_file(folder.join(name)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error)
                    .with_context(|| format!("{name} in {} cannot be removed", folder.display()));
            }
            _ => {}
        }
    }
    Ok(folder)
}

type Serving = tokio::task::JoinHandle<Result<(), simulator::Error>>;

async fn start_tenant(state: &Path, journal: &Path, shutdown: Shutdown) -> anyhow::Result<(String, Serving)> {
    let state = simulator::State::read(std::fs::File::open(state)?)?;
    let options = simulator::Options {
        latency_ms: LATENCY_MS,
        journal: Some(journal.to_owned()),
        token: Some(TOKEN.to_owned()),
        ..simulator::Options::default()
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let base_url = format!("http://{}", listener.local_addr()?);
    let serving = tokio::spawn(async move {
        simulator::serve(listener, state, options, async move { shutdown.requested().await }).await
    });
    Ok((base_url, serving))
}

fn config(base_url: &str, folder: &Path) -> Config {
    let mut config =
        Config { ledger: format!("sqlite:{}", folder.join("demo.db").display()), ..Config::default() };
    config.graph.url = Some(base_url.to_owned());
    config.graph.token = Some(Secret::new(TOKEN));
    config
}
