//! The coordinator's day: snapshots are filed as they come, batches are kept in step with them, and every run that is open
//! is driven to its end.
//!
//! One run's trouble is its own: what waiting mends is tried again, what a person must see halts that run, and the
//! others go on. Nothing here is kept in memory that a successor would need.

use crate::gate::{BY, HALTED};
use crate::{Channel, Coordinator, Error, Released};
use broker::Queue;
use contract::{Disposition, Policy, RolloutTerms, RunId, RunKind};
use ledger::{Run, RunTotals};
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use telemetry::{Shutdown, causes};
use tokio::task::JoinSet;

/// How often the ledger is asked for new runs.
const LOOK: Duration = Duration::from_millis(250);
/// How often a run is looked at that waits for its window.
const CLOSED: Duration = Duration::from_secs(5);
/// How often the time that a run takes is written down.
const TIME: Duration = Duration::from_millis(500);
/// How long to wait for what is away.
const AWAY: rules::Backoff = rules::Backoff { base: Duration::from_millis(250), cap: Duration::from_secs(5) };

impl Coordinator {
    /// Takes a run from where it stands to its end: directory, match, release, sweep. `on_page` is told the users of the
    /// directory read so far.
    ///
    /// # Errors
    /// See `Error`; calling it again goes on.
    pub async fn drive(
        &self,
        run: &Run,
        reader: &graph::Reader,
        channel: &Channel,
        shutdown: &Shutdown,
        on_page: impl FnMut(u64) + Send,
    ) -> Result<Released, Error> {
        let (policy, terms) = about(run)?;
        telemetry::describe_run(run.id.0, run.spec.kind.as_str(), &run.spec.batch);
        tokio::select! {
            () = shutdown.requested() => return Ok(Released::Stopped(self.ledger.counts(run.id).await?)),
            prepared = async {
                match &terms {
                    Some(terms) => self.prepare_rollout(run, terms, reader, channel.horizon).await,
                    None => self.prepare(run, &policy, reader, on_page).await.map(drop),
                }
            } => prepared?,
        }
        let run = self.ledger.run(run.id).await?.ok_or(ledger::Error::NoRun { run: run.id })?;
        match run.spec.kind {
            // Matching, or deciding, is all there is to it.
            RunKind::Survey | RunKind::RolloutPlan => {
                return self.end(&run, self.ledger.counts(run.id).await?).await;
            }
            RunKind::Rollback => {
                let too_early = tokio::select! {
                    () = shutdown.requested() => {
                        return Ok(Released::Stopped(self.ledger.counts(run.id).await?));
                    }
                    looked = self.see_to_rerouted(&run, reader, (channel.now_ms)()) => looked?,
                };
                if let Some(too_early) = too_early {
                    return Ok(too_early);
                }
            }
            RunKind::Rehearse
            | RunKind::Migrate
            | RunKind::Verify
            | RunKind::Rollout
            | RunKind::RolloutRemove => {}
        }
        self.release(&run, &policy, channel, shutdown).await
    }

    /// Files snapshots and drives runs until a stop is wished for.
    ///
    /// # Errors
    /// Another process leads now, or the queue is gone for good.
    pub async fn serve(
        self: Arc<Self>,
        reader: graph::Reader,
        snapshots: Arc<dyn Queue>,
        channel: Channel,
        shutdown: Shutdown,
    ) -> Result<(), Error> {
        let mut parts = JoinSet::new();
        parts.spawn({
            let (coordinator, shutdown) = (Arc::clone(&self), shutdown.clone());
            async move {
                tokio::select! {
                    () = shutdown.requested() => Ok(()),
                    filed = coordinator.file_snapshots(snapshots.as_ref()) => filed,
                }
            }
        });
        parts.spawn({
            let (coordinator, shutdown) = (Arc::clone(&self), shutdown.clone());
            async move {
                tokio::select! {
                    () = shutdown.requested() => Ok(()),
                    ended = coordinator.stay_in_step() => ended,
                }
            }
        });
        let mut driven: BTreeSet<RunId> = BTreeSet::new();
        let mut drives: JoinSet<(RunId, Result<(), Error>)> = JoinSet::new();
        while !shutdown.is_requested() {
            for run in self.runs_to_drive().await? {
                if driven.insert(run.id) {
                    let (coordinator, reader) = (Arc::clone(&self), reader.clone());
                    let (channel, shutdown) = (channel.clone(), shutdown.clone());
                    drives.spawn(async move {
                        let ended = coordinator.see_through(&run, &reader, &channel, &shutdown).await;
                        (run.id, ended)
                    });
                }
            }
            tokio::select! {
                () = shutdown.requested() => {}
                () = tokio::time::sleep(LOOK) => {}
                Some(joined) = drives.join_next(), if !drives.is_empty() => {
                    let (id, ended) = joined.map_err(Error::Part)?;
                    driven.remove(&id);
                    ended?;
                }
                Some(joined) = parts.join_next(), if !parts.is_empty() => joined.map_err(Error::Part)??,
            }
        }
        while let Some(joined) = drives.join_next().await {
            joined.map_err(Error::Part)?.1?;
        }
        Ok(())
    }

    /// The runs to drive; a ledger that is away is waited for.
    async fn runs_to_drive(&self) -> Result<Vec<Run>, Error> {
        let mut attempt = 1;
        loop {
            match self.ledger.runs_to_drive().await {
                Ok(runs) => return Ok(runs),
                Err(error) if error.disposition() == Disposition::Retry => {
                    tracing::warn!(%error, "the ledger is away; it is asked again");
                    tokio::time::sleep(AWAY.delay(attempt, 1.0)).await;
                    attempt += 1;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Files whatever comes, over every outage of queue and ledger.
    async fn file_snapshots(&self, snapshots: &dyn Queue) -> Result<(), Error> {
        let mut attempt = 1;
        loop {
            let begun = std::time::Instant::now();
            match self.intake(snapshots, None).await {
                Ok(_) => return Ok(()),
                Err(error) if error.disposition() == Disposition::Retry => {
                    tracing::warn!(error = %causes(&error), "snapshots cannot be filed now; it is tried again");
                    attempt = if begun.elapsed() > AWAY.cap { 1 } else { attempt + 1 };
                    tokio::time::sleep(AWAY.delay(attempt, 1.0)).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Drives one run over every outage; what a person must see halts it with the reason.
    async fn see_through(
        &self,
        run: &Run,
        reader: &graph::Reader,
        channel: &Channel,
        shutdown: &Shutdown,
    ) -> Result<(), Error> {
        let mut attempt = 0;
        while !shutdown.is_requested() {
            let Some(run) = self.still_to_drive(run.id).await? else { return Ok(()) };
            let begun = std::time::Instant::now();
            let driven = tokio::select! {
                driven = self.drive(&run, reader, channel, shutdown, |_| {}) => driven,
                never = self.keep_time(run.id) => match never {},
            };
            let error = match driven {
                Ok(Released::Done(_) | Released::Stopped(_) | Released::Halted(_)) => return Ok(()),
                // The next look finds it still closed, or opens it: the settings may change before.
                Ok(Released::Closed { .. }) => {
                    tokio::select! {
                        () = shutdown.requested() => {}
                        () = tokio::time::sleep(CLOSED) => {}
                    }
                    continue;
                }
                Err(error) if error.is_deposed() => return Err(error),
                Err(error) => error,
            };
            match error.disposition() {
                Disposition::Retry | Disposition::Snooze { .. } => {
                    tracing::warn!(run = %run.id, error = %causes(&error), "the run waits; it is tried again");
                    attempt = if begun.elapsed() > AWAY.cap { 1 } else { attempt + 1 };
                    tokio::select! {
                        () = shutdown.requested() => {}
                        () = tokio::time::sleep(AWAY.delay(attempt, 1.0)) => {}
                    }
                }
                Disposition::Stop | Disposition::Park { .. } => {
                    tracing::error!(run = %run.id, error = %causes(&error), "the run is halted");
                    return self.halt(&run, &causes(&error)).await;
                }
            }
        }
        Ok(())
    }

    /// Halts a run and files that it was; a ledger that is away is waited for, so that the reason is not lost.
    async fn halt(&self, run: &Run, reason: &str) -> Result<(), Error> {
        let mut attempt = 1;
        let mut is_noted = false;
        loop {
            let halted = async {
                // Whoever halted it first has said why, an operator perhaps; it will fail again if it goes on.
                if self.ledger.run(run.id).await?.is_some_and(|run| run.halted.is_some()) {
                    return Ok(());
                }
                // The word first: whoever sees the halt asks why.
                if !is_noted {
                    self.note(run, BY, HALTED, reason).await?;
                    is_noted = true;
                }
                Ok(self.ledger.halt_run(run.id, reason).await?)
            };
            match halted.await {
                Err(error) if Error::disposition(&error) == Disposition::Retry => {
                    tokio::time::sleep(AWAY.delay(attempt, 1.0)).await;
                    attempt += 1;
                }
                other => return other,
            }
        }
    }

    /// Writes down the time that a run takes, until it is dropped.
    async fn keep_time(&self, id: RunId) -> Infallible {
        loop {
            let since = std::time::Instant::now();
            tokio::time::sleep(TIME).await;
            let add = RunTotals { seconds: since.elapsed().as_secs_f64(), ..RunTotals::default() };
            if let Err(error) = self.ledger.add_totals(id, &add).await {
                tracing::debug!(%error, "the account of the run lags behind");
            }
        }
    }

    /// The run as it stands, if it is still to be driven.
    async fn still_to_drive(&self, id: RunId) -> Result<Option<Run>, Error> {
        Ok(self.runs_to_drive().await?.into_iter().find(|run| run.id == id))
    }
}

/// What a run is about: its policy, or the terms of a rollout.
fn about(run: &Run) -> Result<(Policy, Option<RolloutTerms>), Error> {
    match run.spec.kind {
        RunKind::Rollout | RunKind::RolloutRemove | RunKind::RolloutPlan => {
            let terms = RolloutTerms::read(&run.spec.policy).ok_or(Error::Policy(run.id))?;
            Ok((Policy::default(), Some(terms)))
        }
        RunKind::Rehearse | RunKind::Migrate | RunKind::Verify | RunKind::Rollback | RunKind::Survey => {
            let policy = serde_json::from_str(&run.spec.policy).map_err(|_| Error::Policy(run.id))?;
            Ok((policy, None))
        }
    }
}
