//! The kind in one process, composed as the verbs compose it: extractor, coordinator and worker over one SQLite file and
//! queues in memory.
//!
//! It is opened anew for every verb, as a process is, and takes the ledger over from whoever died.

use super::clock::{Clock, Life};
use super::door::{Door, Hands};
use super::steps::Ending;
use anyhow::Context;
use broker::{EmbeddedQueue, Queue};
use contract::{
    EntryResult, EntryState, FingerprintKey, Policy, RunId, RunKind, Sealer, SnapshotId, SnapshotManifest,
    context,
};
use coordinator::{Channel, Coordinator, Released};
use extractor::Source;
use graph::Pace;
use ledger::{Counts, Ledger, Member, NewBatch, Run, RunSpec, SqliteLedger};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use telemetry::Shutdown;
use tokio::sync::Mutex;
use worker::{Settings, Worker};

/// Messages that a queue in memory holds, as in the product.
const QUEUE: usize = 1000;
/// Calls a second that Graph is known to take: nobody waits for the pace.
const RATE_PER_S: f64 = 1000.0;

/// What every process of a history is given.
#[derive(Clone)]
pub(super) struct Site {
    pub(super) clock: Clock,
    pub(super) hands: Arc<Mutex<Hands>>,
    pub(super) ledger: PathBuf,
    pub(super) sealer: Sealer,
    pub(super) graph: graph::Config,
    pub(super) settings: Settings,
}

/// A process: the ledger with its keys, and what works on it.
pub(super) struct Office {
    pub(super) ledger: Arc<dyn Ledger>,
    pub(super) keys: FingerprintKey,
    pub(super) coordinator: Coordinator,
    site: Site,
    pace: Pace,
}

/// How a run stands after a verb.
#[derive(Debug, Clone)]
pub(super) struct Worked {
    pub(super) run: Run,
    pub(super) counts: Counts,
    pub(super) released: Released,
    pub(super) left: Vec<Left>,
}

/// How a run has left one user of Entra.
#[derive(Debug, Clone)]
pub(super) struct Left {
    /// Object id.
    pub(super) user: String,
    pub(super) state: EntryState,
    /// Code words, separated by blanks.
    pub(super) codes: String,
    /// Absent for users that no worker touched.
    pub(super) result: Option<EntryResult>,
}

impl Office {
    /// Opens the ledger to work on it.
    pub(super) async fn open(site: Site, life: Life, pace: Pace) -> anyhow::Result<Self> {
        let elsewhere = site.clock.elsewhere();
        let ledger: Arc<dyn Ledger> = Arc::new(SqliteLedger::open(&site.ledger).await?);
        drop(elsewhere);
        let ledger: Arc<dyn Ledger> =
            Arc::new(Door::over(ledger, life, site.clock.clone(), Arc::clone(&site.hands)));
        ledger.lead("history").await?;
        let candidate = site.sealer.seal(context::FINGERPRINT_KEY, &Sealer::new_key()?)?;
        let kept = ledger.keep(context::FINGERPRINT_KEY, &candidate).await?;
        let keys = FingerprintKey::new(&site.sealer.open(context::FINGERPRINT_KEY, &kept.0)?);
        for bucket in graph::Bucket::ALL {
            pace.restore(bucket.as_str(), RATE_PER_S);
        }
        let coordinator = Coordinator::new(Arc::clone(&ledger), site.sealer.clone(), keys.clone());
        Ok(Self { ledger, keys, coordinator, site, pace })
    }

    /// Sees to it that a datafile is on file.
    pub(super) async fn file(&self, datafile: &Path) -> anyhow::Result<SnapshotManifest> {
        let source = Source { datafile: datafile.to_owned(), devices: None, token_seeds: None };
        let survey = extractor::survey(&source)?;
        let id = survey.id();
        if let Some(manifest) = self.ledger.snapshot(&id).await? {
            return Ok(manifest);
        }
        let queue = EmbeddedQueue::named("snapshot", QUEUE);
        let publisher = {
            let (sealer, sink) = (self.site.sealer.clone(), queue.clone());
            let elsewhere = self.site.clock.elsewhere();
            let runtime = tokio::runtime::Handle::current();
            tokio::task::spawn_blocking(move || {
                let queue: Arc<dyn Queue> = Arc::new(sink);
                let sent = extractor::publish(&source, &survey, &sealer, &queue, &runtime);
                queue.close();
                drop(elsewhere);
                sent
            })
        };
        let filed = self.coordinator.intake(&queue, Some(&id)).await;
        queue.close();
        publisher.await??;
        filed?.context("the snapshot was not filed to its end")
    }

    /// Makes a batch of these users, as `rollback --users` makes one of a list.
    pub(super) async fn make_batch(
        &self,
        name: &str,
        users: &[String],
        snapshot: &SnapshotId,
    ) -> anyhow::Result<()> {
        let settings = serde_json::json!({ "v": 1, "abortAt": "100%", "tz": "UTC" }).to_string();
        let batch = NewBatch {
            name: name.to_owned(),
            snapshot: snapshot.clone(),
            selector: serde_json::to_string(&contract::Selector::default())?,
            settings,
            by: "history".to_owned(),
        };
        self.ledger.create_batch(&batch).await?;
        let member = |user: &String| Member { user: self.coordinator.user_key(user), matched: true };
        self.ledger.add_members(name, &users.iter().map(member).collect::<Vec<_>>()).await?;
        Ok(self.ledger.freeze_batch(name).await?)
    }

    /// A snapshot on file.
    pub(super) async fn filed(&self, id: &SnapshotId) -> anyhow::Result<SnapshotManifest> {
        self.ledger.snapshot(id).await?.context("the snapshot is not on file")
    }

    /// What a run is about.
    pub(super) fn spec(
        kind: RunKind,
        batch: &str,
        snapshot: &SnapshotId,
        policy: &Policy,
        include_unchanged: bool,
    ) -> anyhow::Result<RunSpec> {
        Ok(RunSpec {
            kind,
            batch: batch.to_owned(),
            snapshot: snapshot.clone(),
            policy: serde_json::to_string(policy)?,
            policy_hash: rules::policy_hash(policy),
            plan_hash: None,
            include_unchanged,
        })
    }

    /// Opens a run, or goes on with it, and sees it through.
    pub(super) async fn work(&self, spec: &RunSpec, ending: Ending) -> anyhow::Result<Worked> {
        let opened = self.ledger.open_run(spec).await?;
        let id = opened.run.id;
        self.ledger.resume_run(id).await?;
        let run = self.ledger.run(id).await?.context("the run is on file")?;
        let released = self.work_on(&run, ending).await?;
        let run = self.ledger.run(id).await?.context("the run is on file")?;
        let (counts, left) = (self.ledger.counts(id).await?, self.results(id).await?);
        Ok(Worked { run, counts, released, left })
    }

    async fn work_on(&self, run: &Run, ending: Ending) -> anyhow::Result<Released> {
        let graph = self.site.graph.clone();
        let hands = match run.spec.kind {
            RunKind::Migrate | RunKind::Rollback | RunKind::Rollout | RunKind::RolloutRemove => {
                worker::Hands::Migrate(graph::Writer::new(graph, self.pace.clone())?)
            }
            RunKind::Rehearse | RunKind::Verify | RunKind::Survey | RunKind::RolloutPlan => {
                worker::Hands::Rehearse(graph::Reader::new(graph, self.pace.clone())?)
            }
        };
        let reader = hands.reader().clone();
        let orders: Arc<dyn Queue> = Arc::new(EmbeddedQueue::named("work", QUEUE));
        let settings = self.site.settings.clone();
        let channel = Channel {
            orders: Arc::clone(&orders),
            stale_after: settings.lease + settings.request_timeout + settings.skew,
            grace: settings.request_timeout + settings.skew,
            horizon: settings.seat_horizon(),
            now_ms: || 0,
        };
        let worker = Arc::new(Worker::new(
            Arc::clone(&self.ledger),
            Arc::clone(&orders),
            hands,
            self.pace.clone(),
            self.site.sealer.clone(),
            self.keys.clone(),
            settings,
            "history".to_owned(),
        ));
        let stop = Shutdown::new();
        let working = async {
            let ended = worker.run(stop.clone()).await;
            stop.request();
            ended
        };
        let driving = async {
            let released = self.coordinator.drive(run, &reader, &channel, &stop, |_| {}).await;
            orders.close();
            released
        };
        let interrupting = async {
            match ending {
                Ending::Pause(after) => {
                    tokio::time::sleep(after).await;
                    self.ledger.halt_run(run.id, "paused by somebody").await?;
                }
                Ending::Stop(after) => {
                    tokio::time::sleep(after).await;
                    stop.request();
                }
                Ending::Whole | Ending::Death(_) => {}
            }
            std::future::pending::<Result<std::convert::Infallible, ledger::Error>>().await
        };
        tokio::select! {
            (worked, released) = async { tokio::join!(working, driving) } => {
                worked?;
                Ok(released?)
            }
            never = interrupting => match never? {},
        }
    }

    /// How a run has left each user of Entra.
    async fn results(&self, run: RunId) -> anyhow::Result<Vec<Left>> {
        let mut left = Vec::new();
        for row in self.ledger.results(run, i64::MIN, 1000).await? {
            let Some(user) = row.user else { continue };
            let result = match &row.result {
                Some(sealed) => {
                    let at = context::result(run, row.ordinal);
                    Some(self.site.sealer.open_json::<EntryResult>(&at, &sealed.0)?)
                }
                None => None,
            };
            left.push(Left { user: user.0, state: row.state, codes: row.codes, result });
        }
        Ok(left)
    }
}
