//! The gate of a run: whether users may be released now, and which step of the canary. Every answer has its reason, and
//! the reason is on file for `status`.
//!
//! It decides by the rules from what the rows say, so that a successor decides the same. A step begins only when the one
//! before it was judged; what needs a person halts the run, and `let_go_on` is how a person goes on.

use crate::{Coordinator, Error};
use contract::{BatchSettings, RunId, RunKind};
use ledger::{Event, Run};
use rules::{Share, Steps, Verdict, Windows};

/// Who files what is decided here.
pub(crate) const BY: &str = "coordinator";
/// Words of events.
pub(crate) const JUDGED: &str = "judged";
const STEP: &str = "step";
pub(crate) const HALTED: &str = "halted";
/// So many of a batch's last events are looked at.
const EVENTS: u32 = 50;

/// What the gate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Gate {
    /// Users may be released.
    Open,
    /// Not now, but soon enough to wait for it here.
    Wait,
    /// Not before another time.
    Closed {
        /// In words for the operator.
        reason: String,
        /// Milliseconds since 1970 UTC.
        opens_at_ms: i64,
    },
}

/// How a run goes about it, read once.
pub(crate) struct Pacing {
    steps: Option<Steps>,
    abort_at: Share,
    windows: Windows,
    settings: BatchSettings,
    /// The migration that this one follows in a batch that is kept in step. Its users have been through the steps: now
    /// those whose record is another one are judged, all together.
    follows: Option<RunId>,
}

impl Pacing {
    /// A migration and a rollout keep to their batch's settings; everything else goes at once.
    pub(crate) async fn of(coordinator: &Coordinator, run: &Run) -> Result<Self, Error> {
        let settings = match run.spec.kind {
            // Rerouting is felt by users as moving them is.
            RunKind::Migrate | RunKind::Rollout => coordinator.settings(&run.spec.batch).await?,
            // A way back is wanted now, and what only reads disturbs nobody.
            RunKind::Rollback
            | RunKind::RolloutRemove
            | RunKind::Rehearse
            | RunKind::Verify
            | RunKind::Survey
            | RunKind::RolloutPlan => BatchSettings::default(),
        };
        let unreadable = || Error::Settings(run.spec.batch.clone());
        let follows = match settings.keep_in_step && run.spec.kind == RunKind::Migrate {
            true => coordinator.ledger.moved_before(run.id).await?,
            false => None,
        };
        let canary = settings.canary.as_deref().filter(|_| follows.is_none());
        let steps: Option<Steps> = canary.map(str::parse).transpose().map_err(|_| unreadable())?;
        let abort_at: Share = settings.abort_at.parse().map_err(|_| unreadable())?;
        let windows = Windows::parse(&settings.windows, &settings.tz).map_err(|_| unreadable())?;
        Ok(Self { steps, abort_at, windows, settings, follows })
    }

    /// The sizes of the canary's steps for so many users; none where there is no canary.
    pub(crate) fn step_sizes(&self, users: u32) -> Vec<u32> {
        self.steps.as_ref().map(|steps| steps.sizes(users)).unwrap_or_default()
    }
}

impl Coordinator {
    /// The settings of a batch; those of everybody's are the defaults.
    pub(crate) async fn settings(&self, batch: &str) -> Result<BatchSettings, Error> {
        match self.ledger.batch(batch).await? {
            Some(found) => {
                serde_json::from_str(&found.made.settings).map_err(|_| Error::Settings(batch.to_owned()))
            }
            None => Ok(BatchSettings::default()),
        }
    }

    /// Assigns a run's users to the steps of its canary, once.
    pub(crate) async fn assign_steps(&self, run: &Run, pacing: &Pacing) -> Result<(), Error> {
        let Some(steps) = &pacing.steps else { return Ok(()) };
        // Those of a rollout came with its places.
        if !run.steps.is_empty() || run.spec.kind == RunKind::Rollout {
            return Ok(());
        }
        let users = self.ledger.step_counts(run.id, 0).await?.users;
        let sizes = steps.sizes(u32::try_from(users).unwrap_or(u32::MAX));
        let ends: Vec<u64> = sizes
            .into_iter()
            .scan(0, |end, size| {
                *end += u64::from(size);
                Some(*end)
            })
            .collect();
        Ok(self.ledger.assign_steps(run.id, &ends).await?)
    }

    /// Whether users of the run may be released at a time in milliseconds since 1970 UTC.
    pub(crate) async fn gate(&self, run: &Run, pacing: &Pacing, now_ms: i64) -> Result<Gate, Error> {
        match pacing.windows.state(now_ms) {
            rules::WindowState::Closed { opens_at_ms, reason } => {
                self.tell(run, Some(&reason)).await?;
                return Ok(Gate::Closed { reason, opens_at_ms });
            }
            rules::WindowState::Open { .. } => {}
        }
        if run.steps.len() < 2 {
            return self.without_steps(run, pacing).await;
        }
        let counts = self.ledger.step_counts(run.id, run.step).await?;
        let is_last = usize::try_from(run.step + 1).is_ok_and(|next| next >= run.steps.len());
        if counts.settled < counts.users || is_last {
            self.tell(run, None).await?;
            return Ok(Gate::Open);
        }
        let said = format!("step {} of {} is done", run.step + 1, run.steps.len());
        let step = judged(counts);
        let verdict = rules::judge(step, pacing.abort_at, false);
        match verdict {
            Verdict::Go => {}
            Verdict::Abort { .. } | Verdict::Inconclusive { .. } => {
                self.stand(run, &format!("{said}: {verdict}")).await?;
                return Ok(Gate::Wait);
            }
        }
        if pacing.settings.approve {
            self.stand(run, &format!("{said}, and a person lets the next one begin")).await?;
            return Ok(Gate::Wait);
        }
        let wait_ms = i64::try_from(pacing.settings.wait_s.saturating_mul(1_000)).unwrap_or(i64::MAX);
        let begins_at = counts.last_settled_at_ms.unwrap_or(now_ms).saturating_add(wait_ms);
        if now_ms < begins_at {
            let left_s = (begins_at - now_ms) / 1_000 + 1;
            self.tell(run, Some(&format!("{said}; the next one begins in {left_s} s"))).await?;
            return Ok(Gate::Wait);
        }
        self.next_step(run, BY, &format!("{said}: {} processed, {} failed", step.processed, step.failed))
            .await?;
        Ok(Gate::Wait)
    }

    /// Everybody at once. What follows in a batch that is kept in step is judged as soon as there is enough of it.
    async fn without_steps(&self, run: &Run, pacing: &Pacing) -> Result<Gate, Error> {
        if let Some(since) = pacing.follows
            && let Some(why) = self.too_many_failed(run, since, pacing.abort_at).await?
            // A person may have said go since.
            && !self.was_judged(run).await?
        {
            self.stand(run, &why).await?;
            return Ok(Gate::Wait);
        }
        self.tell(run, None).await?;
        Ok(Gate::Open)
    }

    /// Whether too many failed of those whose record is another one than in an earlier run, and in which words. Too few to
    /// judge by a rate are let pass: a night brings three changes as often as three hundred.
    pub(crate) async fn too_many_failed(
        &self,
        run: &Run,
        since: RunId,
        abort_at: Share,
    ) -> Result<Option<String>, Error> {
        let counts = self.ledger.fresh_counts(run.id, since).await?;
        Ok(match rules::judge(judged(counts), abort_at, true) {
            verdict @ Verdict::Abort { .. } => Some(format!("of those whose record is a new one, {verdict}")),
            Verdict::Go | Verdict::Inconclusive { .. } => None,
        })
    }

    /// Whether a judgement on the run stands in its record.
    pub(crate) async fn was_judged(&self, run: &Run) -> Result<bool, Error> {
        let events = self.ledger.events(Some(&run.spec.batch), EVENTS).await?;
        Ok(events.iter().any(|event| event.run == Some(run.id) && event.what == JUDGED))
    }

    /// Lets a run go on that stands, by a person's word: a step that is done gives way to the next one. Answers that step,
    /// from 0.
    ///
    /// # Errors
    /// The ledger failed.
    pub async fn let_go_on(&self, run: &Run) -> Result<Option<u32>, Error> {
        let mut opened = None;
        // Only where it stands by a judgement. After a pause or a failure the gate judges the step itself.
        let is_judged = self.last_word(run).await?.as_deref() == Some(JUDGED);
        if run.steps.len() > 1 && run.halted.is_some() && is_judged {
            let counts = self.ledger.step_counts(run.id, run.step).await?;
            let next = run.step + 1;
            if counts.settled >= counts.users && usize::try_from(next).is_ok_and(|n| n < run.steps.len()) {
                self.ledger.open_step(run.id, next).await?;
                opened = Some(next);
            }
        }
        self.ledger.resume_run(run.id).await?;
        Ok(opened)
    }

    /// The last that was said of a run: `opened`, `paused`, `judged`, `resumed`, `aborted` or `halted`; steps that began are
    /// no word. Absent where nothing was said lately.
    ///
    /// # Errors
    /// The ledger failed.
    pub async fn last_word(&self, run: &Run) -> Result<Option<String>, Error> {
        let events = self.ledger.events(Some(&run.spec.batch), EVENTS).await?;
        let of_it = events.into_iter().filter(|event| event.run == Some(run.id));
        Ok(of_it.map(|event| event.what).find(|what| what != STEP))
    }

    async fn next_step(&self, run: &Run, by: &str, why: &str) -> Result<(), Error> {
        self.ledger.open_step(run.id, run.step + 1).await?;
        self.note(run, by, STEP, why).await
    }

    /// Halts a run until a person says go.
    async fn stand(&self, run: &Run, why: &str) -> Result<(), Error> {
        let how = format!("{why}; `mfa-migrate batch resume {}` goes on", run.spec.batch);
        // The word first: whoever sees the halt asks why.
        self.note(run, BY, JUDGED, why).await?;
        Ok(self.ledger.halt_run(run.id, &how).await?)
    }

    pub(crate) async fn note(&self, run: &Run, by: &str, what: &str, why: &str) -> Result<(), Error> {
        let event = Event {
            at_ms: 0,
            by: by.to_owned(),
            batch: run.spec.batch.clone(),
            run: Some(run.id),
            what: what.to_owned(),
            why: why.to_owned(),
        };
        Ok(self.ledger.record_event(&event).await?)
    }

    /// Tells why nothing is released, when that has changed.
    async fn tell(&self, run: &Run, reason: Option<&str>) -> Result<(), Error> {
        if run.waits_for.as_deref() != reason {
            self.ledger.tell_waits(run.id, reason).await?;
        }
        Ok(())
    }
}

/// What the rows count, as the rules take it.
fn judged(counts: ledger::StepCounts) -> rules::StepCounts {
    let number = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
    rules::StepCounts {
        users: number(counts.users),
        processed: number(counts.processed),
        failed: number(counts.failed),
    }
}
