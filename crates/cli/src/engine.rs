//! Composes the embedded kind: extractor, coordinator and worker in one process, a queue in memory, SQLite.
//!
//! Nothing above the queue's and the ledger's trait knows that it is embedded.

use crate::args::Selection;
use crate::config::Config;
use crate::lock::Lock;
use crate::notices::Notices;
use crate::{Usage, keys};
use anyhow::{Context, bail};
use broker::{EmbeddedQueue, Queue};
use contract::{FingerprintKey, RunId, RunKind, Sealer, SnapshotId, SnapshotManifest};
use coordinator::{Channel, Coordinator, Released};
use extractor::Source;
use graph::Pace;
use ledger::{Counts, Ledger, Run, RunSpec, RunTotals, SqliteLedger};
use std::sync::Arc;
use std::time::{Duration, Instant};
use telemetry::Shutdown;
use worker::{Assignment, Hands, Worker};

/// Messages that a queue in memory holds: two pages, so that neither side waits for the other's every message.
const QUEUE: usize = 1000;
/// When an order that nobody claimed is released again. In one process an order is lost only with the process, and then
/// the next one releases it at once; so this only bounds the harm of a defect.
const STALE_AFTER: Duration = Duration::from_secs(1800);
/// The batch of everybody.
pub(crate) const ALL: &str = "all";

/// A ledger with its keys, and what works on it.
pub(crate) struct Engine {
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) sealer: Sealer,
    pub(crate) keys: FingerprintKey,
    pub(crate) coordinator: Coordinator,
    config: Config,
    /// Absent for verbs that only look.
    _lock: Option<Lock>,
}

/// How a run ended.
pub(crate) struct Finished {
    pub(crate) run: Run,
    pub(crate) released: Released,
}

impl Finished {
    pub(crate) fn counts(&self) -> &Counts {
        match &self.released {
            Released::Done(counts) | Released::Stopped(counts) => counts,
        }
    }
}

impl Engine {
    /// Opens the ledger to work on it; makes it, and its key, where there is none.
    pub(crate) async fn open(config: &Config) -> anyhow::Result<Self> {
        let path = config.ledger_path()?;
        if path.is_dir() {
            bail!(Usage(format!("the ledger {} is a folder; name a file", path.display())));
        }
        let lock = Lock::take(&path).await?;
        let sealer = keys::sealer(config, true)?;
        let ledger: Arc<dyn Ledger> = Arc::new(SqliteLedger::open(&path).await?);
        let keys = keys::fingerprints(ledger.as_ref(), &sealer).await?;
        // We hold the lock: whoever worked on it before is gone.
        ledger.take_over().await?;
        Ok(Self::over(ledger, sealer, keys, config, Some(lock)))
    }

    /// Opens the ledger to look, beside a process that may be working on it.
    pub(crate) async fn look(config: &Config) -> anyhow::Result<Self> {
        let path = config.ledger_path()?;
        if !path.exists() {
            bail!(Usage(format!(
                "there is no ledger at {}; `mfa-migrate rehearse --datafile FILE` makes one, and --ledger names another",
                path.display()
            )));
        }
        let sealer = keys::sealer(config, false)?;
        let ledger: Arc<dyn Ledger> = Arc::new(SqliteLedger::open_read_only(&path).await?);
        let keys = keys::kept_fingerprints(ledger.as_ref(), &sealer).await?;
        Ok(Self::over(ledger, sealer, keys, config, None))
    }

    fn over(
        ledger: Arc<dyn Ledger>,
        sealer: Sealer,
        keys: FingerprintKey,
        config: &Config,
        lock: Option<Lock>,
    ) -> Self {
        let coordinator = Coordinator::new(Arc::clone(&ledger), sealer.clone(), keys.clone());
        Self { ledger, sealer, keys, coordinator, config: config.clone(), _lock: lock }
    }

    /// Files the selected datafile in the ledger, unless it is there already. Without a datafile it is the snapshot of
    /// the last run.
    pub(crate) async fn snapshot(&self, surveyed: Option<Surveyed>) -> anyhow::Result<SnapshotManifest> {
        let Some(Surveyed { source, survey }) = surveyed else {
            let last = self.ledger.latest_run(&[RunKind::Migrate, RunKind::Rehearse]).await?;
            let Some(run) = last else {
                bail!(Usage("nothing was selected: name a datafile with --datafile FILE".to_owned()));
            };
            return self.filed(&run.spec.snapshot).await;
        };
        let id = survey.id();
        if let Some(manifest) = self.ledger.snapshot(&id).await? {
            return Ok(manifest);
        }
        let queue = EmbeddedQueue::new(QUEUE);
        let publisher = {
            let (queue, sealer) = (queue.clone(), self.sealer.clone());
            let (source, survey) = (source.clone(), survey.clone());
            let runtime = tokio::runtime::Handle::current();
            tokio::task::spawn_blocking(move || {
                let published = extractor::publish(&source, &survey, &sealer, &queue, &runtime);
                queue.close();
                published
            })
        };
        let filed = self.coordinator.intake(&queue, &id, survey.format.as_str()).await;
        // The extractor's own reason is the better one.
        queue.close();
        publisher.await?.context("the datafile could not be read to its end; nothing was sent to Graph")?;
        Ok(filed?)
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

    /// What a run over a snapshot is about.
    pub(crate) fn spec(
        &self,
        kind: RunKind,
        snapshot: &SnapshotId,
        plan_hash: Option<String>,
        include_unchanged: bool,
    ) -> anyhow::Result<RunSpec> {
        Ok(RunSpec {
            kind,
            batch: ALL.to_owned(),
            snapshot: snapshot.clone(),
            policy: serde_json::to_string(&self.config.policy)?,
            policy_hash: rules::policy_hash(&self.config.policy),
            plan_hash,
            include_unchanged,
        })
    }

    /// Works on a run until every user is settled or a stop is wished for.
    pub(crate) async fn work(
        &self,
        spec: &RunSpec,
        plan: Option<&crate::plan_file::PlanFile>,
        notices: &Notices,
        shutdown: &Shutdown,
    ) -> anyhow::Result<Finished> {
        let started = Instant::now();
        let pace = Pace::new();
        for (bucket, rate) in self.ledger.learned_rates().await? {
            pace.restore(&bucket, rate);
        }
        let graph = self.config.graph()?;
        let hands = match spec.kind {
            RunKind::Migrate => Hands::Migrate(graph::Writer::new(graph.clone(), pace.clone())?),
            RunKind::Rehearse | RunKind::Verify | RunKind::Rollback => {
                Hands::Rehearse(graph::Reader::new(graph.clone(), pace.clone())?)
            }
        };
        let reader = hands.reader().clone();
        let opened = self.ledger.open_run(spec).await?;
        notices.opened(&opened);
        let id = opened.run.id;
        let worked = tokio::select! {
            () = shutdown.requested() => Err(None),
            prepared = self.prepare(&opened.run, &reader, plan, notices) => prepared.map_err(Some),
        };
        let released = match worked {
            Ok(run) => self.release(&run, hands, &pace, notices, shutdown).await,
            Err(None) => Ok(Released::Stopped(self.ledger.counts(id).await?)),
            Err(Some(error)) => Err(error),
        };
        notices.end();
        let counts = pace.counts();
        self.ledger
            .add_totals(
                id,
                &RunTotals {
                    requests: counts.requests,
                    writes: counts.writes,
                    throttled: counts.throttled,
                    seconds: started.elapsed().as_secs_f64(),
                },
            )
            .await?;
        let learned: Vec<(String, f64)> =
            pace.learned().into_iter().map(|(b, r)| (b.to_owned(), r)).collect();
        self.ledger.keep_rates(&learned).await?;
        let run = self.run(id).await?;
        Ok(Finished { run, released: released? })
    }

    async fn prepare(
        &self,
        run: &Run,
        reader: &graph::Reader,
        plan: Option<&crate::plan_file::PlanFile>,
        notices: &Notices,
    ) -> anyhow::Result<Run> {
        if let Some(plan) = plan {
            plan.file(self, run.id).await?;
        }
        notices.step("reading the directory");
        self.coordinator.prepare(run, &self.config.policy, reader, |users| notices.directory(users)).await?;
        self.run(run.id).await
    }

    async fn release(
        &self,
        run: &Run,
        hands: Hands,
        pace: &Pace,
        notices: &Notices,
        shutdown: &Shutdown,
    ) -> anyhow::Result<Released> {
        let orders: Arc<dyn Queue> = Arc::new(EmbeddedQueue::new(QUEUE));
        let worker = Arc::new(Worker::new(
            Arc::clone(&self.ledger),
            Arc::clone(&orders),
            hands,
            pace.clone(),
            self.sealer.clone(),
            self.keys.clone(),
            self.config.worker_settings(),
            Assignment {
                run: run.id,
                snapshot: run.spec.snapshot.clone(),
                policy: self.config.policy.clone(),
                reviewed: run.spec.plan_hash.is_some(),
                proven: self.ledger.proven(run.id).await?,
            },
            format!("pid-{}", std::process::id()),
        ));
        let working = {
            let shutdown = shutdown.clone();
            tokio::spawn(async move {
                let ended = worker.run(shutdown.clone()).await;
                if ended.is_err() {
                    shutdown.request();
                }
                ended
            })
        };
        let settings = self.config.worker_settings();
        let channel = Channel {
            orders: Arc::clone(&orders),
            stale_after: STALE_AFTER,
            grace: settings.request_timeout + settings.skew,
        };
        let released = tokio::select! {
            released = self.coordinator.release(run, &self.config.policy, &channel, shutdown) => {
                if shutdown.is_requested() && !working.is_finished() {
                    notices.line(
                        "stopping: calls under way are waited for, what is left is resumed by the same command; a second \
                         signal stops at once and is safe too",
                    );
                }
                released
            }
            never = notices.follow(self.ledger.as_ref(), run.id, pace, settings.horizon()) => match never {},
        };
        orders.close();
        working.await?.context("the run was stopped; what is not settled is resumed by the same command")?;
        Ok(match released? {
            done @ Released::Done(_) => done,
            // The worker finished what was in flight since those counts were taken.
            Released::Stopped(_) => Released::Stopped(self.ledger.counts(run.id).await?),
        })
    }

    /// A run on file.
    pub(crate) async fn run(&self, id: RunId) -> anyhow::Result<Run> {
        self.ledger.run(id).await?.with_context(|| format!("run {id} is not in the ledger"))
    }

    /// The policy of this process.
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
        let ledger = config.ledger_path()?;
        if ledger.exists() {
            return Ok(None);
        }
        bail!(Usage(format!(
            "nothing was selected, and there is no ledger at {} that knows an earlier datafile: name one with --datafile FILE",
            ledger.display()
        )));
    };
    let source = Source {
        datafile,
        devices: selection.side.devices.clone(),
        token_seeds: selection.side.token_seeds.clone(),
    };
    notices.step(&format!("reading {}", source.datafile.display()));
    let survey = {
        let source = source.clone();
        tokio::task::spawn_blocking(move || extractor::survey(&source)).await??
    };
    Ok(Some(Surveyed { source, survey }))
}
