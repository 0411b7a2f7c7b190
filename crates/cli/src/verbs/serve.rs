//! `serve extractor|worker|coordinator`: the three services, for RabbitMQ and PostgreSQL.
//!
//! Each opens what it needs and nothing more: the extractor the broker and the sealing key; the worker besides them the
//! ledger and Graph; the coordinator the same. What is away at the start is waited for, as it is later. A first signal
//! lets what is in hand be finished or handed back, a second one stops at once; both are safe.

mod watch;

use crate::args::{Serve, ServeExtractor};
use crate::config::Config;
use crate::engine;
use crate::meter::Meter;
use crate::notices::Notices;
use crate::probe::{self, Probe, Sending};
use crate::quota::Book;
use crate::services::{ACCOUNT, AGAIN, HEARTBEAT};
use crate::{Exit, Usage, keys, lines};
use anyhow::{Context, bail};
use broker::{Purpose, Queue, Rabbit};
use contract::{Disposition, Sealer, SnapshotManifest};
use coordinator::{Channel, Coordinator, Watch, Watched};
use graph::{Pace, Reader, Writer};
use ledger::{Ledger, Presence, ServiceKind};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use telemetry::{Need, Shutdown, shutdown_on_signal};
use worker::{Hands, Worker};

/// How long a service that was asked to stop goes on with what it has in hand. Service managers wait 90 s.
const STOP_DEADLINE: Duration = Duration::from_secs(60);

/// How long the broker is given to hear what was settled.
const FAREWELL: Duration = Duration::from_secs(5);

pub(crate) async fn run(verb: &Serve, config: &Config, json: bool) -> anyhow::Result<Exit> {
    let shutdown = Shutdown::new();
    shutdown_on_signal(shutdown.clone());
    match verb {
        Serve::Extractor(verb) => extractor(verb, config, json, &shutdown).await,
        Serve::Worker => worker(config, &shutdown).await,
        Serve::Coordinator => coordinator(config, &shutdown).await,
    }
}

/// Sends a datafile and ends, or watches one. It needs neither the ledger nor Graph.
async fn extractor(
    verb: &ServeExtractor,
    config: &Config,
    json: bool,
    shutdown: &Shutdown,
) -> anyhow::Result<Exit> {
    telemetry::needs(&[Need::Broker]);
    let sealer = keys::shared_sealer(config)?;
    let notices = Notices::new("extract");
    let sending = Sending::default();
    let datafile = match (&verb.watch, &verb.datafile) {
        (Some(path), _) => {
            return tokio::select! {
                watched = watch::run(verb, path, config, &sealer, json, shutdown, &sending) => watched,
                never = sending.keep() => match never {},
            };
        }
        (None, Some(path)) => path,
        (None, None) => bail!(Usage("name a datafile with --datafile FILE or --watch FILE".to_owned())),
    };
    let surveyed = engine::survey_file(datafile, &verb.side, &notices).await?;
    let sent = tokio::select! {
        sent = send(surveyed, config, &sealer, &notices, shutdown, &sending) => sent?,
        never = sending.keep() => match never {},
    };
    let Some(manifest) = sent else { return Ok(Exit::Stopped) };
    notices.end();
    say_sent(&manifest, json)?;
    if !json {
        println!("next: mfa-migrate rehearse   (on a machine that reaches the ledger)");
    }
    Ok(Exit::Done)
}

/// Sends a datafile; nothing when a stop was wished for before the broker had all of it.
async fn send(
    surveyed: engine::Surveyed,
    config: &Config,
    sealer: &Sealer,
    notices: &Notices,
    shutdown: &Shutdown,
    sending: &Sending,
) -> anyhow::Result<Option<SnapshotManifest>> {
    let on_its_way = sending.begin();
    let Some(rabbit) = connected(config, shutdown).await? else { return Ok(None) };
    on_its_way.reached(&rabbit);
    let Some(queue) = queue(&rabbit, Purpose::Snapshot, shutdown).await? else { return Ok(None) };
    notices.step("sending the datafile's users, sealed, to the broker");
    let sent = tokio::spawn(surveyed.publish(sealer.clone(), Arc::clone(&queue)));
    let sent = tokio::select! {
        () = shutdown.requested() => {
            notices.line("stopped before everything was sent; the same command sends it again, and nothing is filed twice");
            return Ok(None);
        }
        sent = sent => sent?,
        never = notices.hindrance(queue.as_ref()) => match never {},
    };
    rabbit.shut_down(FAREWELL).await;
    sent.map(Some)
}

fn say_sent(manifest: &SnapshotManifest, json: bool) -> anyhow::Result<()> {
    if json {
        println!("{}", serde_json::to_string(manifest)?);
    } else {
        println!(
            "snapshot {} is with the broker: {} users read = {} accepted + {} rejected",
            manifest.id, manifest.read, manifest.accepted, manifest.rejected
        );
    }
    Ok(())
}

/// Moves users until it is told to stop.
async fn worker(config: &Config, shutdown: &Shutdown) -> anyhow::Result<Exit> {
    probe::begin(&[Need::Broker, Need::Database]);
    let sealer = keys::shared_sealer(config)?;
    let graph = config.graph()?;
    let Some(ledger) = opened(config, shutdown).await? else { return Ok(Exit::Stopped) };
    let Some(rabbit) = connected(config, shutdown).await? else { return Ok(Exit::Stopped) };
    let fingerprints = there(shutdown, async || keys::fingerprints(ledger.as_ref(), &sealer).await).await?;
    let Some(fingerprints) = fingerprints else { return Ok(Exit::Stopped) };
    let Some(orders) = queue(&rabbit, Purpose::Work, shutdown).await? else { return Ok(Exit::Stopped) };
    let pace = Pace::shared(Arc::new(Book(Arc::clone(&ledger))));
    let hands = Hands::Migrate(Writer::new(graph, pace.clone())?);
    let meter = Meter::new(Arc::clone(&ledger), pace.clone());
    let worker = Arc::new(Worker::new(
        Arc::clone(&ledger),
        Arc::clone(&orders),
        hands,
        pace.clone(),
        sealer,
        fingerprints,
        config.worker_settings(),
        engine::name(),
    ));
    let probe = Probe {
        rabbit: Some(rabbit.clone()),
        queues: vec![Arc::clone(&orders)],
        ledger: Some(Arc::clone(&ledger)),
        pace: Some(pace.clone()),
        leads: None,
    };
    tracing::info!(name = engine::name(), "the worker serves");
    let mut working = tokio::spawn(Arc::clone(&worker).run(shutdown.clone()));
    let ended = tokio::select! {
        ended = &mut working => Some(ended),
        () = past_deadline(shutdown) => None,
        never = alive(ledger.as_ref(), ServiceKind::Worker, || orders.waits_for().or_else(|| lines::held(&pace.status()))) => match never {},
        never = accounts(&meter, &worker) => match never {},
        never = probe.keep() => match never {},
    };
    rabbit.shut_down(FAREWELL).await;
    if let Some(run) = worker.latest_run() {
        // The last seconds of the account; the ledger may be what is away.
        drop(meter.account_calls(run).await);
    }
    match ended {
        Some(ended) => {
            ended??;
            Ok(Exit::Done)
        }
        None => {
            say!(
                "what was in hand took longer than {} s to finish; it is taken up by others when its leases end",
                STOP_DEADLINE.as_secs()
            );
            Ok(Exit::Stopped)
        }
    }
}

/// Waits for its turn to lead, then files and drives until it is told to stop or another leads.
async fn coordinator(config: &Config, shutdown: &Shutdown) -> anyhow::Result<Exit> {
    probe::begin(&[Need::Broker, Need::Database, Need::Leadership]);
    let leads = Arc::new(AtomicBool::new(false));
    let sealer = keys::shared_sealer(config)?;
    let graph = config.graph()?;
    let Some(rabbit) = connected(config, shutdown).await? else { return Ok(Exit::Stopped) };
    let settings = config.worker_settings();
    while !shutdown.is_requested() {
        let Some(ledger) = opened(config, shutdown).await? else { return Ok(Exit::Stopped) };
        let pace = Pace::shared(Arc::new(Book(Arc::clone(&ledger))));
        let Some(snapshots) = queue(&rabbit, Purpose::Snapshot, shutdown).await? else { break };
        let Some(orders) = queue(&rabbit, Purpose::Work, shutdown).await? else { break };
        let probe = Probe {
            rabbit: Some(rabbit.clone()),
            queues: vec![Arc::clone(&snapshots), Arc::clone(&orders)],
            ledger: Some(Arc::clone(&ledger)),
            pace: None,
            leads: Some(Arc::clone(&leads)),
        };
        let name = engine::name();
        let waiting = || Some("another coordinator leads; this one takes over when it is gone".to_owned());
        let lead = tokio::select! {
            () = shutdown.requested() => break,
            lead = ledger.lead(&name) => lead,
            never = alive(ledger.as_ref(), ServiceKind::Coordinator, waiting) => match never {},
            never = probe.keep() => match never {},
        };
        let mut lead = match lead {
            Ok(lead) => lead,
            Err(error) if error.disposition() == Disposition::Retry => {
                tracing::warn!(%error, "the leadership cannot be had now");
                tokio::time::sleep(AGAIN).await;
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        tracing::info!(name, term = lead.term, "the coordinator leads");
        let keys = there(shutdown, async || keys::fingerprints(lead.ledger.as_ref(), &sealer).await).await;
        let fingerprints = match keys {
            Ok(Some(fingerprints)) => fingerprints,
            Ok(None) => break,
            // Another one leads already: this one waits for its turn again.
            Err(error) if is_deposed(&error) => continue,
            Err(error) => return Err(error),
        };
        let coordinator = Arc::new(Coordinator::new(Arc::clone(&lead.ledger), sealer.clone(), fingerprints));
        let reader = Reader::new(graph.clone(), pace.clone())?;
        let channel = Channel {
            orders: Arc::clone(&orders),
            stale_after: settings.lease + settings.request_timeout + settings.skew,
            grace: settings.request_timeout + settings.skew,
            horizon: settings.seat_horizon(),
            now_ms: crate::lines::now_ms,
        };
        let watched = Watched { lease: settings.lease, now_ms: crate::lines::now_ms, pace: None };
        let mut watch = Watch::new(Coordinator::clone(&coordinator), watched);
        let serving = coordinator.serve(reader, Arc::clone(&snapshots), channel, shutdown.clone());
        leads.store(true, Ordering::Relaxed);
        let hindrance = || snapshots.waits_for().or_else(|| orders.waits_for());
        let ended = tokio::select! {
            ended = serving => Some(ended),
            _ = lead.lost.wait_for(|lost| *lost) => None,
            () = past_deadline(shutdown) => break,
            never = alive(ledger.as_ref(), ServiceKind::Coordinator, hindrance) => match never {},
            never = probe.keep() => match never {},
            never = watch.keep() => match never {},
        };
        leads.store(false, Ordering::Relaxed);
        snapshots.close();
        orders.close();
        telemetry::forget_overview();
        match ended {
            Some(Ok(())) => {}
            Some(Err(error)) if error.is_deposed() => tracing::warn!("another coordinator leads now"),
            Some(Err(error)) => return Err(error).context("the coordinator cannot go on"),
            None => tracing::warn!("the leadership is lost: its session with the database is gone"),
        }
    }
    rabbit.shut_down(FAREWELL).await;
    Ok(Exit::Done)
}

fn is_deposed(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref::<ledger::Error>(), Some(ledger::Error::Deposed { .. }))
}

/// What is asked for, as soon as ledger and broker give it; nothing when a stop was wished for first.
async fn there<T>(
    shutdown: &Shutdown,
    ask: impl AsyncFn() -> anyhow::Result<T>,
) -> anyhow::Result<Option<T>> {
    loop {
        let error = match ask().await {
            Ok(found) => return Ok(Some(found)),
            Err(error) => error,
        };
        let ledger = error.downcast_ref::<ledger::Error>().map(ledger::Error::disposition);
        let broker = error.downcast_ref::<broker::Error>().map(broker::Error::disposition);
        if ledger.or(broker) != Some(Disposition::Retry) {
            return Err(error);
        }
        tracing::warn!(error = format!("{error:#}"), "what this service needs is away; it is asked again");
        tokio::select! {
            () = shutdown.requested() => return Ok(None),
            () = tokio::time::sleep(AGAIN) => {}
        }
    }
}

/// The broker, as soon as it answers.
async fn connected(config: &Config, shutdown: &Shutdown) -> anyhow::Result<Option<Rabbit>> {
    there(shutdown, async || engine::config_broker(config).await).await
}

/// The ledger, as soon as it answers.
async fn opened(config: &Config, shutdown: &Shutdown) -> anyhow::Result<Option<Arc<dyn Ledger>>> {
    config.must_be_shared()?;
    there(shutdown, async || engine::open_ledger(config, true).await).await
}

/// A queue, as soon as the broker gives it.
async fn queue(
    rabbit: &Rabbit,
    purpose: Purpose,
    shutdown: &Shutdown,
) -> anyhow::Result<Option<Arc<dyn Queue>>> {
    let queue = there(shutdown, async || Ok(rabbit.queue(purpose).await?)).await?;
    Ok(queue.map(|queue| Arc::new(queue) as Arc<dyn Queue>))
}

/// Says in the ledger that this service is alive, and what it waits for, until it is dropped.
async fn alive(ledger: &dyn Ledger, kind: ServiceKind, waits_for: impl Fn() -> Option<String>) -> Infallible {
    let name = engine::name();
    loop {
        let presence = Presence { name: name.clone(), kind, waits_for: waits_for() };
        if let Err(error) = ledger.report_presence(&presence).await {
            tracing::debug!(%error, "the ledger does not hear that this service is alive");
        }
        tokio::time::sleep(HEARTBEAT).await;
    }
}

/// Keeps the account of the run that is worked on, until it is dropped.
async fn accounts(meter: &Meter, worker: &Worker) -> Infallible {
    loop {
        tokio::time::sleep(ACCOUNT).await;
        if let Some(run) = worker.latest_run()
            && let Err(error) = meter.account_calls(run).await
        {
            tracing::debug!(%error, "the account of the run lags behind");
        }
    }
}

/// Ends when a stop was wished for so long ago that what is in hand is left to others.
async fn past_deadline(shutdown: &Shutdown) {
    shutdown.requested().await;
    tokio::time::sleep(STOP_DEADLINE).await;
}
