//! Opens what a verb works with: the ledger and its keys, and the snapshot that was selected.
//!
//! Which kind of ledger and queue it is, is decided by the configuration, here and in `work`, and known nowhere else.

use crate::args::{Selection, SideFiles};
use crate::config::{BrokerKind, Config, LedgerKind};
use crate::lock::Lock;
use crate::notices::Notices;
use crate::{Stopped, Usage, keys};
use anyhow::{Context, bail};
use broker::{EmbeddedQueue, Purpose, Queue, Rabbit};
use contract::{FingerprintKey, RunKind, Sealer, SnapshotId, SnapshotManifest};
use coordinator::Coordinator;
use extractor::Source;
use ledger::{Lead, Ledger, PgLedger, ServiceKind, SqliteLedger};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use telemetry::Shutdown;

/// Messages that a queue in memory holds: two pages, so that neither side waits for the other's every message.
pub(crate) const QUEUE: usize = 1000;
/// How often the ledger is asked how far others are.
const LOOK: Duration = Duration::from_millis(500);
/// The batch of everybody.
pub(crate) const ALL: &str = "all";

/// A ledger with its keys, and what works on it.
pub(crate) struct Engine {
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) sealer: Sealer,
    pub(crate) keys: FingerprintKey,
    pub(crate) coordinator: Coordinator,
    pub(crate) config: Config,
    /// Present where this process coordinates.
    _lead: Option<Lead>,
    /// Present where this process works on a ledger that is a file.
    _lock: Option<Lock>,
}

/// What this process is called in claims and in `status`.
pub(crate) fn name() -> String {
    let host = hostname();
    format!("{host}-{}", std::process::id())
}

#[expect(clippy::disallowed_methods, reason = "a name for people to read, no configuration")]
pub(crate) fn hostname() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .ok()
        .or_else(|| std::env::var("COMPUTERNAME").ok())
        .map_or_else(|| "host".to_owned(), |name| name.trim().to_owned())
}

/// Opens the ledger that the configuration names.
pub(crate) async fn open_ledger(config: &Config, to_write: bool) -> anyhow::Result<Arc<dyn Ledger>> {
    Ok(match (config.ledger_kind()?, to_write) {
        (LedgerKind::Sqlite(path), true) => Arc::new(SqliteLedger::open(&path).await?),
        (LedgerKind::Sqlite(path), false) => Arc::new(SqliteLedger::open_read_only(&path).await?),
        (LedgerKind::Postgres(url), true) => Arc::new(PgLedger::open(&url).await?),
        (LedgerKind::Postgres(url), false) => Arc::new(PgLedger::open_read_only(&url).await?),
    })
}

/// Connects to the broker that the configuration names.
pub(crate) async fn config_broker(config: &Config) -> anyhow::Result<Rabbit> {
    match config.broker_kind()? {
        BrokerKind::Rabbit(url) => Ok(Rabbit::connect(&url, &config.broker_settings()).await?),
        BrokerKind::Embedded => bail!(Usage(
            "this takes a broker that other processes reach too: name it with --broker amqps://HOST"
                .to_owned()
        )),
    }
}

impl Engine {
    /// Opens the ledger to work on it; an embedded one, and its key, are made where there is none.
    pub(crate) async fn open(config: &Config) -> anyhow::Result<Self> {
        config.must_be_shared()?;
        let lock = match config.ledger_kind()? {
            LedgerKind::Sqlite(path) => {
                if path.is_dir() {
                    bail!(Usage(format!("the ledger {} is a folder; name a file", path.display())));
                }
                Some(Lock::take(&path).await?)
            }
            LedgerKind::Postgres(_) => None,
        };
        let sealer = keys::sealer(config, true)?;
        let mut ledger = open_ledger(config, true).await?;
        if config.broker_kind()? == BrokerKind::Embedded {
            // Whoever runs the three in one process coordinates, too.
            let lead = ledger.lead(&name()).await?;
            ledger = Arc::clone(&lead.ledger);
            let keys = keys::fingerprints(ledger.as_ref(), &sealer).await?;
            return Ok(Self::over(ledger, sealer, keys, config, Some(lead), lock));
        }
        let keys = keys::fingerprints(ledger.as_ref(), &sealer).await?;
        Ok(Self::over(ledger, sealer, keys, config, None, lock))
    }

    /// The same of a ledger that is there.
    pub(crate) async fn open_existing(config: &Config) -> anyhow::Result<Self> {
        if let LedgerKind::Sqlite(path) = config.ledger_kind()?
            && !path.exists()
        {
            bail!(Usage(format!("there is no ledger at {}; --ledger names another", path.display())));
        }
        Self::open(config).await
    }

    /// Opens the ledger to look, beside processes that may be working on it.
    pub(crate) async fn look(config: &Config) -> anyhow::Result<Self> {
        if let LedgerKind::Sqlite(path) = config.ledger_kind()?
            && !path.exists()
        {
            bail!(Usage(format!(
                "there is no ledger at {}; `mfa-migrate rehearse --datafile FILE` makes one, and --ledger names another",
                path.display()
            )));
        }
        let sealer = keys::sealer(config, false)?;
        let ledger = open_ledger(config, false).await?;
        let keys = keys::kept_fingerprints(ledger.as_ref(), &sealer).await?;
        Ok(Self::over(ledger, sealer, keys, config, None, None))
    }

    /// Opens the ledger to change what a batch may do, beside the process that works on it.
    pub(crate) async fn beside(config: &Config) -> anyhow::Result<Self> {
        // It must be there and of this build's shape: nothing is made or migrated here.
        let looked = Self::look(config).await?;
        let ledger = open_ledger(config, true).await?;
        Ok(Self::over(ledger, looked.sealer, looked.keys, config, None, None))
    }

    fn over(
        ledger: Arc<dyn Ledger>,
        sealer: Sealer,
        keys: FingerprintKey,
        config: &Config,
        lead: Option<Lead>,
        lock: Option<Lock>,
    ) -> Self {
        let coordinator = Coordinator::new(Arc::clone(&ledger), sealer.clone(), keys.clone());
        Self { ledger, sealer, keys, coordinator, config: config.clone(), _lead: lead, _lock: lock }
    }

    /// Sees to it that the selected datafile is on file in the ledger. Without a datafile it is the snapshot of the last
    /// run, or one that was filed since.
    pub(crate) async fn snapshot(
        &self,
        surveyed: Option<Surveyed>,
        notices: &Notices,
        shutdown: &Shutdown,
    ) -> anyhow::Result<SnapshotManifest> {
        let Some(surveyed) = surveyed else {
            let last = self.ledger.latest_run(&[RunKind::Migrate, RunKind::Rehearse]).await?;
            let newest = self.ledger.latest_snapshot().await?;
            return match (last, newest) {
                (None, None) => {
                    bail!(Usage("nothing was selected: name a datafile with --datafile FILE".to_owned()))
                }
                (Some(run), None) => self.filed(&run.spec.snapshot).await,
                (None, Some((newest, _))) => Ok(newest),
                (Some(run), Some((newest, completed_at_ms))) if completed_at_ms > run.opened_at_ms => {
                    Ok(newest)
                }
                (Some(run), Some(_)) => self.filed(&run.spec.snapshot).await,
            };
        };
        let id = surveyed.id();
        if let Some(manifest) = self.ledger.snapshot(&id).await? {
            return Ok(manifest);
        }
        match self.config.broker_kind()? {
            BrokerKind::Embedded => self.file_here(surveyed).await,
            BrokerKind::Rabbit(_) => self.send_away(surveyed, notices, shutdown).await,
        }
    }

    /// Extractor and coordinator in this process, a queue in memory between them.
    async fn file_here(&self, surveyed: Surveyed) -> anyhow::Result<SnapshotManifest> {
        let queue = EmbeddedQueue::named("snapshot", QUEUE);
        let id = surveyed.id();
        let publisher = tokio::spawn(surveyed.publish(self.sealer.clone(), Arc::new(queue.clone())));
        let filed = self.coordinator.intake(&queue, Some(&id)).await;
        // The extractor's own reason is the better one.
        queue.close();
        publisher.await??;
        match filed? {
            Some(manifest) => Ok(manifest),
            None => bail!("the snapshot was not filed to its end; run the same command again"),
        }
    }

    /// Extractor here, the coordinator elsewhere: sends the snapshot, and waits until it is on file.
    async fn send_away(
        &self,
        surveyed: Surveyed,
        notices: &Notices,
        shutdown: &Shutdown,
    ) -> anyhow::Result<SnapshotManifest> {
        let id = surveyed.id();
        notices.step("sending the datafile's users, sealed, to the broker");
        let rabbit = config_broker(&self.config).await?;
        let queue: Arc<dyn Queue> = Arc::new(rabbit.queue(Purpose::Snapshot).await?);
        let sent = tokio::spawn(surveyed.publish(self.sealer.clone(), Arc::clone(&queue)));
        let accepted = tokio::select! {
            () = shutdown.requested() => bail!(Stopped("stopped while the datafile was being sent; run the same command again")),
            sent = sent => sent??.accepted,
            never = notices.hindrance(queue.as_ref()) => match never {},
        };
        rabbit.shut_down(LOOK).await;
        notices.step("waiting for the coordinator to file them");
        loop {
            if let Some(manifest) = self.ledger.snapshot(&id).await? {
                return Ok(manifest);
            }
            let filed = self.ledger.snapshot_filing(&id).await?.map_or(0, |filing| filing.filed);
            notices.filing(filed, accepted, self.why_not_filed().await?);
            tokio::select! {
                () = shutdown.requested() => bail!(Stopped(
                    "stopped while the coordinator files the datafile; it goes on with it, and the same command follows it again"
                )),
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    /// Why a snapshot that was sent is not on file yet, if there is a reason.
    async fn why_not_filed(&self) -> anyhow::Result<Option<String>> {
        let seen = self.ledger.presences(crate::services::ALIVE).await?;
        Ok(crate::services::missing(&seen, ServiceKind::Coordinator))
    }

    /// A snapshot that is on file whole.
    pub(crate) async fn filed(&self, id: &SnapshotId) -> anyhow::Result<SnapshotManifest> {
        match self.ledger.snapshot(id).await? {
            Some(manifest) => Ok(manifest),
            None => bail!(Usage(format!(
                "the snapshot {id} is not in this ledger; name its datafile with --datafile FILE"
            ))),
        }
    }

    /// The configuration of this process.
    pub(crate) fn config(&self) -> &Config {
        &self.config
    }
}

/// A datafile that was looked through once and is readable.
pub(crate) struct Surveyed {
    source: Source,
    survey: extractor::Survey,
}

impl Surveyed {
    /// A source and what its first pass found.
    pub(crate) fn of(source: Source, survey: extractor::Survey) -> Self {
        Self { source, survey }
    }

    /// Reads the datafile again, and sends it.
    pub(crate) async fn publish(
        self,
        sealer: Sealer,
        queue: Arc<dyn Queue>,
    ) -> anyhow::Result<SnapshotManifest> {
        let runtime = tokio::runtime::Handle::current();
        let sent = tokio::task::spawn_blocking(move || {
            let sent = extractor::publish(&self.source, &self.survey, &sealer, &queue, &runtime);
            queue.close();
            sent
        });
        sent.await?.context("the datafile could not be read to its end; nothing was sent to Graph")
    }

    /// The snapshot that it makes.
    pub(crate) fn id(&self) -> SnapshotId {
        self.survey.id()
    }
}

/// Looks through the selected datafile, if one is named; without one the ledger must know the last. It comes before a ledger is opened or made, so that a file that
/// cannot be read leaves nothing behind.
pub(crate) async fn survey(
    selection: &Selection,
    config: &Config,
    notices: &Notices,
) -> anyhow::Result<Option<Surveyed>> {
    let Some(datafile) = selection.datafile.clone() else {
        let ledger = match config.ledger_kind()? {
            LedgerKind::Sqlite(path) if !path.exists() => path,
            LedgerKind::Sqlite(_) | LedgerKind::Postgres(_) => return Ok(None),
        };
        bail!(Usage(format!(
            "nothing was selected, and there is no ledger at {} that knows an earlier datafile: name one with --datafile FILE",
            ledger.display()
        )));
    };
    Ok(Some(survey_file(&datafile, &selection.side, notices).await?))
}

/// Looks through a datafile.
pub(crate) async fn survey_file(
    datafile: &Path,
    side: &SideFiles,
    notices: &Notices,
) -> anyhow::Result<Surveyed> {
    let source = Source {
        datafile: datafile.to_owned(),
        devices: side.devices.clone(),
        token_seeds: side.token_seeds.clone(),
    };
    notices.step(&format!("reading {}", source.datafile.display()));
    let survey = {
        let source = source.clone();
        tokio::task::spawn_blocking(move || extractor::survey(&source)).await??
    };
    Ok(Surveyed { source, survey })
}
