//! What dashboards and alerts are told of all runs, looked up in the ledger every few seconds by whoever leads.
//!
//! It only looks: nothing of a migration depends on it, and what it cannot read it does not tell. Every figure is one of
//! the rows as they are; the journal is walked a page at a time, from its start again every quarter of an hour.

use crate::forecast::buckets;
use crate::{Coordinator, Error};
use contract::{EntryState, JournalChain, RunId, RunKind, RunState};
use graph::Pace;
use ledger::{Checkpoint, Run, ServiceKind, Standing};
use rules::{Sample, WindowState};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;
use telemetry::{JournalView, Overview, RunView};
use tokio::time::Instant;

/// How often the rows are looked at.
const EVERY: Duration = Duration::from_secs(3);
/// Counting half a million rows takes its time: it is done for a twentieth of the time at most.
const SHARE: u32 = 20;
/// Runs that ended and are still told of.
const ENDED: u32 = 8;
/// Lines of the journal that are walked in one look.
const LINES: u32 = 1_000;
/// How old a walk is when the next one begins at the first line.
const WALK_AGAIN: Duration = Duration::from_secs(15 * 60);
/// A service that was not heard of for so long is taken for gone.
const ALIVE: Duration = Duration::from_secs(20);

/// What is known beside the rows.
pub struct Watched {
    /// How long a lease lasts.
    pub lease: Duration,
    /// The wall clock, in milliseconds since 1970 UTC.
    pub now_ms: fn() -> i64,
    /// This process's own pace, where no other shares it; workers are this process then, too.
    pub pace: Option<Pace>,
}

/// A watch over all runs, for as long as this process leads.
pub struct Watch {
    coordinator: Coordinator,
    watched: Watched,
    seen: BTreeMap<RunId, Vec<Sample>>,
    /// Nothing of them moves any more.
    ended: BTreeMap<RunId, RunView>,
    journal: Walk,
}

/// What else bears on a run, the same for all.
struct Around {
    has_worker: bool,
    is_held: bool,
    is_learned: bool,
}

impl Watch {
    /// A watch that has seen nothing yet.
    pub fn new(coordinator: Coordinator, watched: Watched) -> Self {
        Self { coordinator, watched, seen: BTreeMap::new(), ended: BTreeMap::new(), journal: Walk::default() }
    }

    /// Looks again and again, until it is dropped; in a process that tells nobody it waits.
    pub async fn keep(&mut self) -> Infallible {
        if !telemetry::exports() {
            return std::future::pending().await;
        }
        loop {
            let took = self.look().await;
            tokio::time::sleep(EVERY.max(took * SHARE)).await;
        }
    }

    /// Looks once, and tells; answers how long it took. What cannot be read now is not told.
    pub async fn look(&mut self) -> Duration {
        let began = Instant::now();
        if !telemetry::exports() {
            return Duration::ZERO;
        }
        match self.overview().await {
            Ok(mut overview) => {
                overview.took = began.elapsed();
                telemetry::show_overview(&overview);
            }
            Err(error) => {
                tracing::debug!(error = %telemetry::causes(&error), "the runs cannot be looked at for their metrics");
                telemetry::forget_overview();
            }
        }
        began.elapsed()
    }

    async fn overview(&mut self) -> Result<Overview, Error> {
        let ledger = &self.coordinator.ledger;
        let around = self.around().await?;
        let mut runs = ledger.newest_runs(ENDED).await?;
        for control in ledger.controls().await? {
            if !runs.iter().any(|run| run.id == control.run) {
                runs.extend(ledger.run(control.run).await?);
            }
        }
        let mut views = Vec::with_capacity(runs.len());
        for run in runs.iter().filter(|run| !matches!(run.spec.kind, RunKind::Survey | RunKind::RolloutPlan))
        {
            if let Some(view) = self.ended.get(&run.id) {
                views.push(view.clone());
                continue;
            }
            let view = self.view(run, &around).await?;
            if is_over(run) {
                self.ended.insert(run.id, view.clone());
            }
            views.push(view);
        }
        self.ended.retain(|id, _| runs.iter().any(|run| run.id == *id));
        self.seen.retain(|id, _| runs.iter().any(|run| run.id == *id));
        let ledger = self.coordinator.ledger.as_ref();
        let journal = self.journal.go_on(ledger).await?;
        let (_, parked_messages) = ledger.parked_messages(1).await?;
        Ok(Overview {
            runs: views,
            journal,
            parked_messages,
            lease: self.watched.lease,
            took: Duration::ZERO,
        })
    }

    /// How the quota stands, told on the way, and whether anybody works.
    async fn around(&self) -> Result<Around, Error> {
        let ledger = self.coordinator.ledger.as_ref();
        let (buckets, has_worker) = match &self.watched.pace {
            Some(pace) => (pace.status(), true),
            None => {
                let seen = ledger.presences(ALIVE).await?;
                let works = seen.iter().any(|s| s.presence.kind == ServiceKind::Worker);
                (buckets(ledger).await, works)
            }
        };
        for bucket in &buckets {
            telemetry::set_quota(bucket.bucket.as_str(), bucket.rate_per_s, bucket.held_for);
        }
        Ok(Around {
            has_worker,
            is_held: buckets.iter().any(|bucket| bucket.held_for.is_some()),
            is_learned: buckets.iter().any(|bucket| bucket.learned),
        })
    }

    async fn view(&mut self, run: &Run, around: &Around) -> Result<RunView, Error> {
        let ledger = &self.coordinator.ledger;
        let standing = ledger.standing(run.id).await?;
        let checkpoints = ledger.checkpoints(run.id).await?;
        let now_ms = (self.watched.now_ms)();
        let seen = self.seen.entry(run.id).or_default();
        let forecast = self.coordinator.forecast(run, &standing.counts, &checkpoints, seen, now_ms).await?;
        let waits_for = match is_over(run) {
            true => None,
            false => Some(self.reason(run, &standing, around, now_ms).await?),
        };
        let eta = forecast.as_ref().map(|forecast| forecast.eta);
        let of = |state| standing.counts.get(&state).copied().unwrap_or(0);
        let left_to_release = of(EntryState::Waiting).saturating_sub(standing.released + standing.snoozed);
        Ok(RunView {
            run: run.id.0,
            kind: run.spec.kind.as_str(),
            batch: run.spec.batch.clone(),
            state: run.state.as_str(),
            waits_for,
            // The entries of a rehearsal are dropped by the next one.
            users: frozen(&checkpoints).filter(|_| run.spec.kind != RunKind::Rehearse || !is_over(run)),
            entries: standing.counts.iter().map(|(state, n)| (state.as_str(), *n)).collect(),
            orders: [
                ("unreleased", left_to_release),
                ("released", standing.released),
                ("snoozed", standing.snoozed),
                ("claimed", of(EntryState::Claimed)),
            ],
            step: (u64::from(run.step) + 1, run.steps.len().max(1) as u64),
            eta_s: eta.map(|eta| {
                let left = |at_ms: i64| Duration::from_millis(u64::try_from(at_ms - now_ms).unwrap_or(0));
                [("earliest", eta.earliest_ms), ("likely", eta.at_ms), ("latest", eta.latest_ms)]
                    .map(|(bound, at_ms)| (bound, left(at_ms).as_secs_f64()))
            }),
            users_per_s: eta.map(|eta| eta.users_per_s),
            oldest_order: standing.oldest_order.unwrap_or_default(),
            lease_overdue: standing.lease_overdue.unwrap_or_default(),
            failed: standing.failed.into_iter().map(|(state, code, n)| (state.as_str(), code, n)).collect(),
            in_doubt: standing.in_doubt.into_iter().map(|d| (d.method, d.intents, d.age)).collect(),
        })
    }

    /// Why a run stands or is slow, as one word of a closed set.
    async fn reason(
        &self,
        run: &Run,
        standing: &Standing,
        around: &Around,
        now_ms: i64,
    ) -> Result<&'static str, Error> {
        if run.halted.is_some() {
            return Ok(match self.coordinator.last_word(run).await?.as_deref() {
                Some("paused") => "paused",
                Some("judged") => "judged",
                Some(_) | None => "halted",
            });
        }
        if run.state == RunState::Preparing {
            return Ok("preparing");
        }
        let is_closed =
            matches!(self.coordinator.windows(run).await?.state(now_ms), WindowState::Closed { .. });
        if is_closed {
            return Ok("window");
        }
        let of = |state| standing.counts.get(&state).copied().unwrap_or(0);
        let (waiting, claimed) = (of(EntryState::Waiting), of(EntryState::Claimed));
        Ok(if run.waits_for.is_some() {
            "step"
        } else if !around.has_worker {
            "no-worker"
        } else if around.is_held {
            "throttled"
        } else if claimed == 0 && waiting > 0 && waiting == standing.snoozed {
            "snoozed"
        } else if around.is_learned {
            "quota"
        } else {
            "nothing"
        })
    }
}

fn is_over(run: &Run) -> bool {
    matches!(run.state, RunState::Done | RunState::Superseded)
}

/// Users that were there when the run's entries were frozen: by the first checkpoint after that.
fn frozen(checkpoints: &[Checkpoint]) -> Option<u64> {
    let of_users = |c: &&Checkpoint| !matches!(c.step.as_str(), "intake" | "directory");
    checkpoints.iter().find(of_users).map(|c| c.counts.values().sum())
}

/// A walk along the journal that goes on where it stopped.
#[derive(Default)]
struct Walk {
    chain: JournalChain,
    began: Option<Instant>,
    /// A line and its digest that an earlier walk came by: a journal that was written anew has others.
    kept: Option<(i64, String)>,
    is_broken: bool,
}

impl Walk {
    /// Walks a page further.
    async fn go_on(&mut self, ledger: &dyn ledger::Ledger) -> Result<JournalView, ledger::Error> {
        let began = *self.began.get_or_insert_with(Instant::now);
        let (last, digest) = ledger.journal_head().await?;
        if !self.is_broken {
            let page = ledger.journal(self.chain.lines(), LINES).await?;
            for line in page.iter().filter(|line| line.no <= last) {
                self.is_broken |= self.chain.take(line).is_err() || self.is_another(line.no);
            }
            // No more lines, or all that there were: the end must be the one that is on file.
            let is_at_the_end = self.chain.lines() >= last || page.is_empty();
            if is_at_the_end && !self.is_broken {
                self.is_broken = self.chain.end(last, &digest).is_err();
                self.kept = Some((self.chain.lines(), self.chain.head()));
                if began.elapsed() > WALK_AGAIN {
                    (self.chain, self.began) = (JournalChain::default(), None);
                }
            }
            if self.is_broken {
                tracing::error!(
                    line = self.chain.lines(),
                    "the journal of changes is not what was written; `mfa-migrate report --verify-journal` says where"
                );
            }
        }
        Ok(JournalView { is_whole: !self.is_broken, lines: last, walked: self.chain.lines() })
    }

    fn is_another(&self, no: i64) -> bool {
        self.kept.as_ref().is_some_and(|(kept, head)| *kept == no && *head != self.chain.head())
    }
}
