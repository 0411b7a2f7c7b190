//! `status`: counts by state, rate, time to go, and why it waits. It reads the ledger beside a running process.

mod eta;

use crate::args::Status;
use crate::config::{BrokerKind, Config, LedgerKind};
use crate::engine::{ALL, Engine};
use crate::{Exit, lines, services};
use contract::{RunKind, RunState};
use coordinator::settled_of;
use eta::Watching;
use ledger::{Checkpoint, Counts, ParkedMessage, Run, Seen, ServiceKind};
use std::time::Duration;

const AGAIN: Duration = Duration::from_secs(2);
/// The time over which speed is taken, in milliseconds.
const RECENT_MS: i64 = 5 * 60 * 1000;
/// Checkpoints shown.
const LAST: usize = 5;
/// Messages set aside that are shown.
const LAST_PARKED: u32 = 5;

pub(crate) async fn run(verb: &Status, config: &Config, json: bool) -> anyhow::Result<Exit> {
    let mut watching = Watching::default();
    loop {
        let engine = Engine::look(config).await?;
        let runs = runs(&engine, verb.batch.as_deref()).await?;
        if runs.is_empty() {
            print_services(&engine, json).await?;
            return Ok(Exit::Done);
        }
        for run in &runs {
            print(&engine, run, &mut watching, json).await?;
        }
        let over = |run: &Run| matches!(run.state, RunState::Done | RunState::Superseded);
        if !verb.watch || runs.iter().all(over) {
            return Ok(Exit::Done);
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// The runs to show: all that are under way, or else the last one.
async fn runs(engine: &Engine, batch: Option<&str>) -> anyhow::Result<Vec<Run>> {
    let ledger = engine.ledger.as_ref();
    let kinds = [
        RunKind::Migrate,
        RunKind::Rehearse,
        RunKind::Verify,
        RunKind::Rollback,
        RunKind::Rollout,
        RunKind::RolloutRemove,
    ];
    let last = match batch {
        Some(name) => {
            let name = engine.batch_name(Some(name)).await?;
            ledger.runs_of(&name).await?.into_iter().find(|run| run.spec.kind != RunKind::Survey)
        }
        None => ledger.latest_run(&kinds).await?,
    };
    let mut runs = Vec::new();
    for control in ledger.controls().await? {
        let run = ledger.run(control.run).await?;
        runs.extend(
            run.filter(|run| {
                kinds.contains(&run.spec.kind) && batch.is_none_or(|name| name == run.spec.batch)
            }),
        );
    }
    if runs.is_empty() {
        runs.extend(last);
    }
    Ok(runs)
}

/// Before the first run: who is there, and what was set aside.
async fn print_services(engine: &Engine, json: bool) -> anyhow::Result<()> {
    let seen = engine.ledger.presences(services::ALIVE).await?;
    let (parked, parked_in_all) = engine.ledger.parked_messages(LAST_PARKED).await?;
    if json {
        println!(
            "{}",
            serde_json::json!({
                "run": null,
                "services": seen.iter().map(service_json).collect::<Vec<_>>(),
                "parkedMessages": parked_in_all,
                "lastParked": parked.iter().map(parked_json).collect::<Vec<_>>(),
            })
        );
        return Ok(());
    }
    println!("no run yet; `mfa-migrate rehearse --datafile FILE` begins one");
    print_around(engine, &seen, &parked, parked_in_all)
}

/// What stands around a run: services, and messages that were set aside.
fn print_around(
    engine: &Engine,
    seen: &[Seen],
    parked: &[ParkedMessage],
    parked_in_all: u64,
) -> anyhow::Result<()> {
    if engine.config().broker_kind()? != BrokerKind::Embedded {
        println!("  {}", services_line(seen));
    }
    if parked_in_all > 0 {
        println!("  {parked_in_all} messages were set aside; the last ones:");
    }
    for message in parked {
        println!(
            "    {}  {} {}: {}",
            lines::time(message.parked_at_ms),
            message.queue,
            message.id,
            message.reason
        );
    }
    Ok(())
}

async fn print(engine: &Engine, run: &Run, watching: &mut Watching, json: bool) -> anyhow::Result<()> {
    let counts = engine.ledger.counts(run.id).await?;
    let checkpoints = engine.ledger.checkpoints(run.id).await?;
    let reason = reason(engine, run, &counts).await?;
    let now_ms = lines::now_ms();
    let forecast = match is_worked_on(engine)? {
        true => watching.forecast(engine, run, &counts, &checkpoints, now_ms).await?,
        false => None,
    };
    let speed =
        forecast.as_ref().map_or_else(|| speed(&checkpoints, &counts, now_ms), |f| Some(f.users_per_s()));
    let seen = engine.ledger.presences(services::ALIVE).await?;
    let (parked, parked_in_all) = engine.ledger.parked_messages(LAST_PARKED).await?;
    if json {
        let shown: Vec<_> = checkpoints
            .iter()
            .map(|c| {
                serde_json::json!({ "step": c.step, "page": c.page, "at": lines::time(c.at_ms), "entries": lines::counts_json(&c.counts) })
            })
            .collect();
        println!(
            "{}",
            serde_json::json!({
                "run": run.id, "kind": run.spec.kind, "state": run.state, "batch": run.spec.batch,
                "snapshot": run.spec.snapshot, "openedAt": lines::time(run.opened_at_ms),
                "entries": lines::counts_json(&counts), "usersPerSecond": speed,
                "etaSeconds": forecast.as_ref().map(|f| f.seconds()), "eta": forecast.as_ref().map(|f| f.json()),
                "waits": reason, "checkpoints": shown,
                "step": run.step + 1, "steps": run.steps,
                "services": seen.iter().map(service_json).collect::<Vec<_>>(),
                "parkedMessages": parked_in_all,
                "lastParked": parked.iter().map(parked_json).collect::<Vec<_>>(),
            })
        );
        return Ok(());
    }
    println!(
        "run {}: {} of {}{}, snapshot {}, {} since {}",
        run.id,
        run.spec.kind.as_str(),
        if run.spec.batch == ALL { "everybody" } else { &run.spec.batch },
        step(run),
        run.spec.snapshot,
        run.state.as_str(),
        lines::time(run.opened_at_ms)
    );
    println!("  {}", lines::counts(&counts));
    if let Some(rate) = speed.filter(|_| run.state == RunState::Open) {
        println!("  {rate:.1} users/s");
    }
    if let Some(forecast) = forecast {
        println!("  {}", forecast.line());
    }
    if let Some(reason) = reason {
        println!("  waits: {reason}");
    }
    print_around(engine, &seen, &parked, parked_in_all)?;
    for checkpoint in checkpoints.iter().rev().take(LAST) {
        println!(
            "  {}  {} page {}: {}",
            lines::time(checkpoint.at_ms),
            checkpoint.step,
            checkpoint.page,
            lines::counts(&checkpoint.counts)
        );
    }
    Ok(())
}

/// Where the canary stands, if there is one.
fn step(run: &Run) -> String {
    match run.steps.len() {
        0 | 1 => String::new(),
        steps => format!(", step {} of {steps}", run.step + 1),
    }
}

fn service_json(seen: &Seen) -> serde_json::Value {
    serde_json::json!({
        "kind": seen.presence.kind.as_str(), "name": seen.presence.name, "waits": seen.presence.waits_for,
        "secondsAgo": seen.ago.as_secs(),
    })
}

fn parked_json(message: &ParkedMessage) -> serde_json::Value {
    serde_json::json!({
        "queue": message.queue, "id": message.id, "reason": message.reason, "at": lines::time(message.parked_at_ms),
    })
}

/// Users a second in the last minutes: from the oldest checkpoint among them until now.
fn speed(checkpoints: &[Checkpoint], counts: &Counts, now_ms: i64) -> Option<f64> {
    let total: u64 = counts.values().sum();
    let recent = |c: &&Checkpoint| c.step != "directory" && now_ms - c.at_ms < RECENT_MS;
    let since = checkpoints.iter().find(recent)?;
    let begun = settled_of(&since.counts);
    let elapsed = Duration::from_millis(u64::try_from(now_ms - since.at_ms).unwrap_or(0));
    let done = settled_of(counts).saturating_sub(begun);
    rules::progress(done, total.saturating_sub(begun), elapsed).users_per_s
}

/// Why nothing moves, if nothing does.
async fn reason(engine: &Engine, run: &Run, counts: &Counts) -> anyhow::Result<Option<String>> {
    if matches!(run.state, RunState::Done | RunState::Superseded) {
        return Ok(None);
    }
    if let Some(reason) = &run.halted {
        // Such a stand says itself what goes on.
        let advice =
            if engine.is_by_word(run).await? { "" } else { "; the command that began it goes on with it" };
        return Ok(Some(format!("halted: {reason}{advice}")));
    }
    if let Some(reason) = &run.waits_for {
        let advice = if is_worked_on(engine)? {
            ""
        } else {
            "; no process works on it, the command that began it goes on with it"
        };
        return Ok(Some(format!("{reason}{advice}")));
    }
    let ledger = engine.ledger.as_ref();
    let is_shared = engine.config().broker_kind()? != BrokerKind::Embedded;
    if !is_shared && !is_worked_on(engine)? {
        return Ok(Some("no process works on it; the command that began it resumes it".to_owned()));
    }
    let hindrance = if is_shared { services::hindrance(ledger).await } else { None };
    if run.state == RunState::Preparing {
        let read = ledger.directory_cursor(run.id).await?.users;
        return Ok(hindrance.or(Some(format!("the directory is being read, {read} users so far"))));
    }
    // Users who wait for a time to come explain more than a quota that they do not use.
    let horizon = engine.config().worker_settings().horizon();
    let snoozed = lines::waits(ledger, run.id, counts, horizon).await;
    let paced = if is_shared {
        lines::held(&services::buckets(ledger).await)
    } else {
        let now_s = time::OffsetDateTime::now_utc().unix_timestamp() as f64;
        lines::paced(&ledger.learned_rates().await?, now_s)
    };
    let slowed = hindrance.or(snoozed).or(paced);
    let capped = engine
        .coordinator
        .max_rate()
        .await?
        .map(|writes| format!("max-rate lets {writes} writes/s through, for all batches"));
    let reasons: Vec<String> = slowed.into_iter().chain(capped).collect();
    Ok((!reasons.is_empty()).then(|| reasons.join("; ")))
}

/// Whether somebody moves the run on: services are told apart by `reason`; an embedded ledger is locked by its process.
fn is_worked_on(engine: &Engine) -> anyhow::Result<bool> {
    Ok(match engine.config().ledger_kind()? {
        LedgerKind::Sqlite(path) => crate::lock::is_held(&path),
        LedgerKind::Postgres(_) => true,
    })
}

/// The services that are alive, as `status` shows them.
fn services_line(seen: &[Seen]) -> String {
    let of = |kind: ServiceKind| seen.iter().filter(|s| s.presence.kind == kind).count();
    format!("{} coordinators and {} workers are alive", of(ServiceKind::Coordinator), of(ServiceKind::Worker))
}
