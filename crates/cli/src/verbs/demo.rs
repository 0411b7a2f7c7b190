//! `demo`: the whole journey on made-up users, against a simulated tenant over real HTTP, in a folder of its own.

use crate::args::{Demo, Format, Report, Selection, SideFiles};
use crate::config::Config;
use crate::engine::{self, ALL, Engine};
use crate::notices::Notices;
use crate::work::Finished;
use crate::{Exit, lines};
use anyhow::Context;
use contract::{BatchSettings, RunKind, Secret, SnapshotManifest};
use extractor::Source;
use std::collections::BTreeMap;
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

    let before = simulator_state(&base_url).await?;
    let engine = Engine::open(&config).await?;
    let journey = Journey { engine: &engine, notices: Notices::new("demo"), shutdown: &shutdown, say: &say };
    say("3. rehearse: plan everybody, write nothing");
    let surveyed = engine::survey(&selection, &config, &journey.notices).await?;
    let manifest = engine.snapshot(surveyed, &journey.notices, &shutdown).await?;
    super::migrate::write_rejects(&engine, &manifest, &selection, &journey.notices).await?;
    let Some(planned) = journey.run(RunKind::Rehearse, ALL, &manifest).await? else {
        return Ok(Exit::Stopped);
    };
    super::rehearse::save(&engine, &planned, &file("plan.ndjson"), false).await?;
    let Some((moved, rolled_back)) = journey.two_regions(&manifest).await? else { return Ok(Exit::Stopped) };
    let (lines, head) = super::journal::must_be_whole(&engine).await?;
    drop(journey);
    drop(engine);

    let (users, differ) = compare(&before, &simulator_state(&base_url).await?, BACK.1);
    say(&format!(
        "   the tenant's {users} users of that region, compared with what they were: {differ} differ"
    ));
    anyhow::ensure!(
        differ == 0,
        "the rollback has left {differ} users other than they were; that is a defect"
    );
    say(&format!(
        "   the journal of changes is whole: {lines} lines, head {}",
        head.get(..16).unwrap_or(&head)
    ));
    say("8. report: what became of every user and why, forward and back");
    for (format, name, run, list) in [
        (Format::Html, "report.html", None, None),
        (Format::Csv, "report.csv", None, None),
        (Format::Csv, "must-register-again.csv", None, Some(crate::report::List::MustRegisterAgain)),
        (Format::Html, "rollback.html", Some(rolled_back.run.id.0), None),
    ] {
        let verb = Report {
            format,
            out: Some(file(name)),
            run,
            batch: None,
            list,
            cohorts: None,
            verify_journal: false,
            head: None,
        };
        super::report::write(&verb, format, &config).await?;
    }
    shutdown.request();
    tenant.await??;
    if json {
        println!("{}", super::migrate::end_object(&moved, &manifest));
    } else {
        farewell(&moved, &folder, started);
    }
    Ok(Exit::Done)
}

/// The region that goes in steps, and the one that is taken back.
const STEPS: (&str, &str) = ("germany", "DE");
const BACK: (&str, &str) = ("netherlands", "NL");

/// What the parts of the journey share.
struct Journey<'a> {
    engine: &'a Engine,
    notices: Notices,
    shutdown: &'a Shutdown,
    say: &'a dyn Fn(&str),
}

impl Journey<'_> {
    /// Runs something over a batch, and says how it ended; nothing where it was stopped before.
    async fn run(
        &self,
        kind: RunKind,
        batch: &str,
        manifest: &SnapshotManifest,
    ) -> anyhow::Result<Option<Finished>> {
        let all = matches!(kind, RunKind::Verify | RunKind::Rollback);
        let spec = self.engine.spec(kind, batch, &manifest.id, None, all)?;
        let finished = self.engine.work(&spec, None, &self.notices, self.shutdown).await?;
        (self.say)(&format!("   {}", lines::counts(&finished.counts)));
        if !finished.done {
            (self.say)("stopped before the end");
        }
        Ok(finished.done.then_some(finished))
    }

    /// Two regions forward, the first in steps; a verification; one region back.
    async fn two_regions(&self, manifest: &SnapshotManifest) -> anyhow::Result<Option<(Finished, Finished)>> {
        let say = self.say;
        say("4. batch: two regions, their users fixed from now on");
        let steps = BatchSettings { canary: Some("40,100%".to_owned()), ..BatchSettings::default() };
        for (batch, settings) in [(STEPS, steps), (BACK, BatchSettings::default())] {
            let made = super::batch::make_of_region(
                self.engine,
                batch,
                &settings,
                manifest,
                &self.notices,
                self.shutdown,
            );
            let Some(selected) = made.await? else { return Ok(None) };
            say(&format!(
                "   {}: {} users, {} of them without a match",
                batch.0, selected.users, selected.unmatched
            ));
        }
        say("5. migrate: one region in steps of 40 and the rest, each judged; then the other");
        let Some(moved) = self.run(RunKind::Migrate, STEPS.0, manifest).await? else { return Ok(None) };
        for event in self.engine.ledger.events(Some(STEPS.0), 5).await?.iter().filter(|e| e.what == "step") {
            say(&format!("   {}", event.why));
        }
        if self.run(RunKind::Migrate, BACK.0, manifest).await?.is_none() {
            return Ok(None);
        }
        say("6. verify: read back what was written");
        for (name, _) in [STEPS, BACK] {
            if self.run(RunKind::Verify, name, manifest).await?.is_none() {
                return Ok(None);
            }
        }
        say("7. rollback: one region back to what it was");
        let back = self.run(RunKind::Rollback, BACK.0, manifest).await?;
        Ok(back.map(|back| (moved, back)))
    }
}

/// Compares a region of the tenant with what it was, every method of every user: how many there are, and how many differ. A
/// default that Graph cannot unset stays.
fn compare(before: &serde_json::Value, now: &serde_json::Value, region: &str) -> (usize, usize) {
    let methods = |state: &serde_json::Value| -> BTreeMap<String, serde_json::Value> {
        let users = state["users"].as_array().into_iter().flatten();
        users
            .filter(|user| user["usageLocation"] == region)
            .map(|user| {
                let mut methods = user["authentication"].clone();
                methods["signInPreferences"] = serde_json::Value::Null;
                (user["id"].to_string(), methods)
            })
            .collect()
    };
    let (before, now) = (methods(before), methods(now));
    let differ = before.iter().filter(|(id, methods)| now.get(*id) != Some(methods)).count();
    (before.len(), differ)
}

/// The simulated tenant's own page of its state.
async fn simulator_state(base_url: &str) -> anyhow::Result<serde_json::Value> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let host = base_url.trim_start_matches("http://");
    let mut stream = tokio::net::TcpStream::connect(host).await?;
    stream.write_all(format!("GET /simulator/state HTTP/1.0\r\nHost: {host}\r\n\r\n").as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    let body =
        answer.windows(4).position(|w| w == b"\r\n\r\n").context("the tenant's state has no head")? + 4;
    Ok(serde_json::from_slice(answer.get(body..).unwrap_or_default())?)
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
        ("must-register-again.csv", "a list for the service desk"),
        ("rollback.html", "the report of the way back"),
        ("demo.db", "the ledger: sealed with demo.key"),
    ] {
        if folder.join(name).exists() {
            println!("  {name:16} {what}");
        }
    }
    let folder = folder.display();
    println!("try next:");
    println!("  {me} --ledger sqlite:{folder}/demo.db batch show germany");
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
