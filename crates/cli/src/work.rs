//! A run, from the verb that asked for it to its end: driven and worked on in this process, or by the services that share
//! the ledger and the broker. Either way the verb opens it in the ledger, and follows it there.

use crate::config::BrokerKind;
use crate::engine::{self, Engine, QUEUE};
use crate::meter::Meter;
use crate::notices::{Notices, Watched};
use crate::plan_file::PlanFile;
use crate::probe::{self, Probe};
use crate::services;
use anyhow::bail;
use broker::{EmbeddedQueue, Queue};
use contract::{RunId, RunKind, RunState, SnapshotId};
use coordinator::{Channel, Released, Watch, Watched as Looked};
use graph::Pace;
use ledger::{Counts, Run, RunSpec};
use std::sync::Arc;
use std::time::Duration;
use telemetry::{Need, Shutdown};
use worker::{Hands, Worker};

/// How often a run that others work on is looked at.
const LOOK: Duration = Duration::from_millis(250);

/// How a run ended.
pub(crate) struct Finished {
    pub(crate) run: Run,
    pub(crate) counts: Counts,
    /// Every user is settled; otherwise it was stopped, and is resumable.
    pub(crate) done: bool,
}

impl Engine {
    /// What a run over a snapshot is about.
    pub(crate) fn spec(
        &self,
        kind: RunKind,
        batch: &str,
        snapshot: &SnapshotId,
        plan_hash: Option<String>,
        include_unchanged: bool,
    ) -> anyhow::Result<RunSpec> {
        Ok(RunSpec {
            kind,
            batch: batch.to_owned(),
            snapshot: snapshot.clone(),
            policy: serde_json::to_string(&self.config.policy)?,
            policy_hash: rules::policy_hash(&self.config.policy),
            plan_hash,
            include_unchanged,
        })
    }

    /// Sees a run through until every user is settled or a stop is wished for.
    pub(crate) async fn work(
        &self,
        spec: &RunSpec,
        plan: Option<&PlanFile>,
        notices: &Notices,
        shutdown: &Shutdown,
    ) -> anyhow::Result<Finished> {
        let opened = self.ledger.open_run(spec).await?;
        notices.opened(&opened);
        let id = opened.run.id;
        let tells = match spec.kind {
            RunKind::Migrate
            | RunKind::Rollback
            | RunKind::Verify
            | RunKind::Rollout
            | RunKind::RolloutRemove => true,
            RunKind::Rehearse | RunKind::Survey | RunKind::RolloutPlan => false,
        };
        if tells && !opened.resumed {
            self.note_event(&spec.batch, Some(id), "opened", spec.kind.as_str()).await?;
        } else if tells && opened.run.halted.is_some() {
            self.note_event(&spec.batch, Some(id), "resumed", "by the same command").await?;
        }
        if let Some(plan) = plan {
            plan.file(self, id).await?;
        }
        // From here on whoever coordinates drives it.
        self.ledger.resume_run(id).await?;
        let ended = match self.config.broker_kind()? {
            BrokerKind::Embedded => self.work_here(&self.run(id).await?, notices, shutdown).await,
            BrokerKind::Rabbit(_) => self.follow(id, notices, shutdown).await,
        };
        notices.end();
        let done = ended?;
        Ok(Finished { run: self.run(id).await?, counts: self.ledger.counts(id).await?, done })
    }

    /// Coordinator and worker in this process.
    async fn work_here(&self, run: &Run, notices: &Notices, shutdown: &Shutdown) -> anyhow::Result<bool> {
        let pace = Pace::new();
        for (bucket, rate) in self.ledger.learned_rates().await? {
            pace.restore(&bucket, rate);
        }
        let hands = hands(run.spec.kind, self.config.graph()?, &pace)?;
        let reader = hands.reader().clone();
        let orders: Arc<dyn Queue> = Arc::new(EmbeddedQueue::named("work", QUEUE));
        let settings = self.config.worker_settings();
        let (horizon, lease) = (settings.horizon(), settings.lease);
        let channel = Channel {
            orders: Arc::clone(&orders),
            stale_after: settings.lease + settings.request_timeout + settings.skew,
            grace: settings.request_timeout + settings.skew,
            horizon: settings.seat_horizon(),
            now_ms: crate::lines::now_ms,
        };
        let meter = Meter::new(Arc::clone(&self.ledger), pace.clone());
        let worker = Arc::new(Worker::new(
            Arc::clone(&self.ledger),
            Arc::clone(&orders),
            hands,
            pace.clone(),
            self.sealer.clone(),
            self.keys.clone(),
            settings,
            engine::name(),
        ));
        let looked = Looked { lease, now_ms: crate::lines::now_ms, pace: Some(pace.clone()) };
        let mut watch = Watch::new(self.coordinator.clone(), looked);
        let probe = Probe { ledger: Some(Arc::clone(&self.ledger)), ..Probe::default() };
        probe::begin(&[Need::Database]);
        // A worker that fails ends the run; a run that ends lets the worker finish what it has in hand.
        let stop = Shutdown::new();
        let working = {
            let (worker, stop) = (Arc::clone(&worker), stop.clone());
            tokio::spawn(async move {
                let ended = worker.run(stop.clone()).await;
                stop.request();
                ended
            })
        };
        notices.step(match run.spec.kind {
            RunKind::RolloutPlan | RunKind::Rollout => "looking who may be rerouted",
            RunKind::RolloutRemove => "looking who is in the staged rollout by our doing",
            RunKind::Rehearse | RunKind::Migrate | RunKind::Verify | RunKind::Rollback | RunKind::Survey => {
                "reading the directory"
            }
        });
        let watched = Watched { ledger: self.ledger.as_ref(), run: run.id, pace: Some(&pace), horizon };
        let drive = self.coordinator.drive(run, &reader, &channel, &stop, |users| notices.directory(users));
        let released = tokio::select! {
            released = drive => released,
            never = until_stopping(shutdown, &stop, notices) => match never {},
            never = notices.follow(&watched) => match never {},
            never = meter.keep_account(run.id) => match never {},
            never = watch.keep() => match never {},
            never = probe.keep() => match never {},
        };
        orders.close();
        let worked = working.await;
        meter.account(run.id).await?;
        // The last word to whoever collects.
        watch.look().await;
        let learned: Vec<(String, f64)> =
            pace.learned().into_iter().map(|(b, r)| (b.to_owned(), r)).collect();
        self.ledger.keep_rates(&learned).await?;
        worked??;
        match released? {
            Released::Done(_) => Ok(true),
            Released::Stopped(_) => Ok(false),
            Released::Closed { reason, .. } => {
                notices.line(&format!("{reason}; the same command goes on then"));
                Ok(false)
            }
            Released::Halted(reason) => self.stands(run, &reason, notices).await,
        }
    }

    /// Coordinator and workers elsewhere: the ledger tells how far they are.
    async fn follow(&self, id: RunId, notices: &Notices, shutdown: &Shutdown) -> anyhow::Result<bool> {
        let horizon = self.config.worker_settings().horizon();
        let watched = Watched { ledger: self.ledger.as_ref(), run: id, pace: None, horizon };
        let end = async {
            loop {
                match self.ledger.run(id).await {
                    Ok(Some(run @ Run { halted: Some(_), .. })) => {
                        let reason = run.halted.clone().unwrap_or_default();
                        return self.stands(&run, &reason, notices).await;
                    }
                    Ok(Some(Run { state: RunState::Done, .. })) => {
                        tokio::time::sleep(services::ACCOUNT * 2).await;
                        return Ok(true);
                    }
                    Ok(Some(Run { state: RunState::Superseded, .. })) => {
                        notices.line("a newer run took over; `mfa-migrate status` shows it");
                        return Ok(false);
                    }
                    Ok(Some(_)) => {}
                    Ok(None) => bail!("run {id} is not in the ledger any more"),
                    Err(error) if error.disposition() == contract::Disposition::Retry => {
                        notices.line(&format!("{error}; the services wait for it too, and this follows on"));
                        tokio::time::sleep(services::AGAIN).await;
                    }
                    Err(error) => return Err(error.into()),
                }
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::select! {
            ended = end => ended,
            () = shutdown.requested() => {
                notices.line(
                    "no longer following: the services go on with the run. `mfa-migrate status --watch` or the same command \
                     follows it again",
                );
                Ok(false)
            }
            never = notices.follow(&watched) => match never {},
        }
    }

    /// A run that stands: by somebody's word or a step's judgement it is resumable as it is; anything else is a failure.
    async fn stands(&self, run: &Run, reason: &str, notices: &Notices) -> anyhow::Result<bool> {
        if !self.is_by_word(run).await? {
            bail!(halted(reason));
        }
        notices.line(reason);
        Ok(false)
    }

    /// Whether a run that is halted stands by somebody's word or by a step's judgement.
    pub(crate) async fn is_by_word(&self, run: &Run) -> anyhow::Result<bool> {
        Ok(matches!(self.coordinator.last_word(run).await?.as_deref(), Some("paused" | "judged" | "aborted")))
    }

    /// A run on file.
    pub(crate) async fn run(&self, id: RunId) -> anyhow::Result<Run> {
        match self.ledger.run(id).await? {
            Some(run) => Ok(run),
            None => bail!("run {id} is not in the ledger"),
        }
    }
}

/// What a run may do in Entra.
fn hands(kind: RunKind, graph: graph::Config, pace: &Pace) -> anyhow::Result<Hands> {
    Ok(match kind {
        RunKind::Migrate | RunKind::Rollback | RunKind::Rollout | RunKind::RolloutRemove => {
            Hands::Migrate(graph::Writer::new(graph, pace.clone())?)
        }
        RunKind::Rehearse | RunKind::Verify | RunKind::Survey | RunKind::RolloutPlan => {
            Hands::Rehearse(graph::Reader::new(graph, pace.clone())?)
        }
    })
}

fn halted(reason: &str) -> String {
    format!("the run was halted: {reason}; what is settled stays, and the same command goes on with the rest")
}

/// Passes the wish to stop on, and says what comes now.
async fn until_stopping(shutdown: &Shutdown, stop: &Shutdown, notices: &Notices) -> std::convert::Infallible {
    shutdown.requested().await;
    notices.line(
        "stopping: calls under way are waited for, what is left is resumed by the same command; a second signal stops at \
         once and is safe too",
    );
    stop.request();
    std::future::pending().await
}
