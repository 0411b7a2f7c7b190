//! When a run will be done: gathered from its checkpoints, and from what was seen of it meanwhile. What is told from it is
//! decided by the rules, so that `status` and the dashboards say the same.

use crate::{Coordinator, Error};
use contract::{BatchSettings, RunKind, RunState};
use graph::{Bucket, BucketStatus, Pace};
use ledger::{Checkpoint, Counts, Event, Ledger, Run};
use rules::{Eta, Sample, Windows};

/// Samples of a run that are kept while it is watched: an hour of them, at one every two seconds.
const KEPT: usize = 1_800;
/// Events that are looked through for when the run went on last.
const EVENTS: u32 = 50;
/// So many writes must have been made before it is said how many a user takes.
const ENOUGH_WRITES: u64 = 50;

/// When a run, or the step of its canary, will be done.
pub struct Forecast {
    /// The times.
    pub eta: Eta,
    /// When users may be released.
    pub windows: Windows,
    /// From 1; absent where it is about all users.
    pub step: Option<u32>,
}

impl Coordinator {
    /// When a run will be done, if it moves and there is enough to tell from. `seen` is what the caller has seen of it, and
    /// is added to.
    ///
    /// # Errors
    /// The ledger failed, or the settings of the batch cannot be read.
    pub async fn forecast(
        &self,
        run: &Run,
        counts: &Counts,
        checkpoints: &[Checkpoint],
        seen: &mut Vec<Sample>,
        now_ms: i64,
    ) -> Result<Option<Forecast>, Error> {
        if run.state != RunState::Open || run.halted.is_some() {
            return Ok(None);
        }
        let settled = settled_of(counts);
        seen.push(Sample { at_ms: now_ms, settled });
        let surplus = seen.len().saturating_sub(KEPT);
        seen.drain(..surplus);
        let since_ms = self.went_on_at(run).await?;
        let of_users = |c: &&Checkpoint| !matches!(c.step.as_str(), "intake" | "directory");
        let history: Vec<Sample> = checkpoints
            .iter()
            .filter(of_users)
            .map(|c| Sample { at_ms: c.at_ms, settled: settled_of(&c.counts) })
            .chain(seen.iter().copied())
            .filter(|sample| sample.at_ms >= since_ms)
            .collect();
        let windows = self.windows(run).await?;
        let (left, step) = self.left(run, counts).await?;
        let ceiling = self.ceiling(run, settled).await?;
        let eta = rules::eta(&history, left, now_ms, &windows, ceiling);
        Ok(eta.map(|eta| Forecast { eta, windows, step }))
    }

    /// When users of a run may be released. Migrations and rollouts keep to their batch's settings; everything else goes at
    /// once.
    pub(crate) async fn windows(&self, run: &Run) -> Result<Windows, Error> {
        let settings = match run.spec.kind {
            RunKind::Migrate | RunKind::Rollout => self.settings(&run.spec.batch).await?,
            RunKind::Rehearse
            | RunKind::Verify
            | RunKind::Rollback
            | RunKind::Survey
            | RunKind::RolloutPlan
            | RunKind::RolloutRemove => BatchSettings::default(),
        };
        Windows::parse(&settings.windows, &settings.tz).map_err(|_| Error::Settings(run.spec.batch.clone()))
    }

    /// When the run was opened or went on last, in milliseconds since 1970 UTC: before that, nobody may have worked.
    async fn went_on_at(&self, run: &Run) -> Result<i64, Error> {
        let events = self.ledger.events(Some(&run.spec.batch), EVENTS).await?;
        let went_on =
            |e: &&Event| e.run == Some(run.id) && matches!(e.what.as_str(), "opened" | "resumed" | "step");
        Ok(events.iter().find(went_on).map_or(run.opened_at_ms, |event| event.at_ms))
    }

    /// Users left, of the canary's step where more steps follow: when those begin, a judgement or a person decides.
    async fn left(&self, run: &Run, counts: &Counts) -> Result<(u64, Option<u32>), Error> {
        let is_last = usize::try_from(run.step + 1).is_ok_and(|next| next >= run.steps.len());
        if is_last {
            return Ok((counts.values().sum::<u64>().saturating_sub(settled_of(counts)), None));
        }
        let step = self.ledger.step_counts(run.id, run.step).await?;
        Ok((step.users.saturating_sub(step.settled), Some(run.step + 1)))
    }

    /// The most users a second that the quota for writes lets through, as far as it was learned, and the limits of batches.
    #[expect(clippy::cast_precision_loss, reason = "rates")]
    async fn ceiling(&self, run: &Run, settled: u64) -> Result<Option<f64>, Error> {
        if settled == 0 || run.totals.writes < ENOUGH_WRITES {
            return Ok(None);
        }
        let writes_per_user = run.totals.writes as f64 / settled as f64;
        let kept = self.ledger.learned_rates().await?;
        let kept = kept.iter().find(|(word, _)| word == Bucket::Writes.as_str()).map(|(_, rate)| *rate);
        let shared = buckets(self.ledger.as_ref()).await;
        let shared = shared.iter().find(|b| b.learned && b.bucket == Bucket::Writes).map(|b| b.rate_per_s);
        let limits = [kept.or(shared), self.max_rate().await?.map(f64::from)];
        let lowest = limits.into_iter().flatten().min_by(f64::total_cmp);
        Ok(lowest.map(|writes_per_s| writes_per_s / writes_per_user))
    }

    /// The lowest limit of all batches that are under way: it holds for everybody, since the quota is one.
    ///
    /// # Errors
    /// The ledger failed.
    pub async fn max_rate(&self) -> Result<Option<u32>, Error> {
        let controls = self.ledger.controls().await?;
        Ok(controls.iter().filter_map(|control| control.max_rate).min())
    }
}

/// Entries that a run is done with.
pub fn settled_of(counts: &Counts) -> u64 {
    counts.iter().filter(|(state, _)| state.is_settled()).map(|(_, n)| n).sum()
}

/// How the shared pace stands, by bucket; empty where it cannot be read, or is nobody's but a process's own.
pub async fn buckets(ledger: &dyn Ledger) -> Vec<BucketStatus> {
    let Ok((paces, now_s)) = ledger.paces().await else { return Vec::new() };
    let read = |(word, state): &(String, String)| Pace::read(state, now_s, Bucket::parse(word)?);
    paces.iter().filter_map(read).collect()
}
