//! When a run will be done, as `status` says it: from its checkpoints, and from what `--watch` has seen itself.
//!
//! It only gathers; what is told from it is decided by the rules.

use crate::engine::Engine;
use crate::{lines, services};
use contract::{BatchSettings, RunId, RunKind, RunState};
use ledger::{Checkpoint, Counts, Run};
use rules::{Eta, Sample, Windows};
use std::collections::BTreeMap;
use std::time::Duration;

/// Samples of a run that are kept while it is watched: an hour of them.
const KEPT: usize = 1_800;
/// Events that are looked through for when the run went on last.
const EVENTS: u32 = 50;
/// So many writes must have been made before it is said how many a user takes.
const ENOUGH_WRITES: u64 = 50;

/// What was seen of the runs while they are watched.
#[derive(Default)]
pub(super) struct Watching {
    seen: BTreeMap<RunId, Vec<Sample>>,
}

/// When a run, or the step of its canary, will be done.
pub(super) struct Forecast {
    eta: Eta,
    now_ms: i64,
    windows: Windows,
    /// From 1; absent where it is about all users.
    step: Option<u32>,
}

impl Watching {
    /// When the run will be done, if it moves and there is enough to tell from.
    pub(super) async fn forecast(
        &mut self,
        engine: &Engine,
        run: &Run,
        counts: &Counts,
        checkpoints: &[Checkpoint],
        now_ms: i64,
    ) -> anyhow::Result<Option<Forecast>> {
        if run.state != RunState::Open || run.halted.is_some() {
            return Ok(None);
        }
        let settled = settled_of(counts);
        let seen = self.seen.entry(run.id).or_default();
        seen.push(Sample { at_ms: now_ms, settled });
        let surplus = seen.len().saturating_sub(KEPT);
        seen.drain(..surplus);
        let since_ms = went_on_at(engine, run).await?;
        let of_users = |c: &&Checkpoint| !matches!(c.step.as_str(), "intake" | "directory");
        let history: Vec<Sample> = checkpoints
            .iter()
            .filter(of_users)
            .map(|c| Sample { at_ms: c.at_ms, settled: settled_of(&c.counts) })
            .chain(seen.iter().copied())
            .filter(|sample| sample.at_ms >= since_ms)
            .collect();
        let settings = settings(engine, run).await?;
        let windows = Windows::parse(&settings.windows, &settings.tz)?;
        let (left, step) = self::left(engine, run, counts).await?;
        let ceiling = ceiling(engine, run, settled).await?;
        let eta = rules::eta(&history, left, now_ms, &windows, ceiling);
        Ok(eta.map(|eta| Forecast { eta, now_ms, windows, step }))
    }
}

/// Entries that the run is done with.
pub(super) fn settled_of(counts: &Counts) -> u64 {
    counts.iter().filter(|(state, _)| state.is_settled()).map(|(_, n)| n).sum()
}

/// When the run was opened or went on last, in milliseconds since 1970 UTC: before that, nobody may have worked.
async fn went_on_at(engine: &Engine, run: &Run) -> anyhow::Result<i64> {
    let events = engine.ledger.events(Some(&run.spec.batch), EVENTS).await?;
    let went_on = |e: &&ledger::Event| {
        e.run == Some(run.id) && matches!(e.what.as_str(), "opened" | "resumed" | "step")
    };
    Ok(events.iter().find(went_on).map_or(run.opened_at_ms, |event| event.at_ms))
}

/// Migrations keep to their batch's settings; everything else goes at once.
async fn settings(engine: &Engine, run: &Run) -> anyhow::Result<BatchSettings> {
    let batch = match run.spec.kind {
        RunKind::Migrate => engine.ledger.batch(&run.spec.batch).await?,
        RunKind::Rehearse | RunKind::Verify | RunKind::Rollback | RunKind::Survey => None,
    };
    batch.map_or_else(|| Ok(BatchSettings::default()), |batch| Engine::settings(&batch))
}

/// Users left, of the canary's step where more steps follow: when those begin, a judgement or a person decides.
async fn left(engine: &Engine, run: &Run, counts: &Counts) -> anyhow::Result<(u64, Option<u32>)> {
    let is_last = usize::try_from(run.step + 1).is_ok_and(|next| next >= run.steps.len());
    if is_last {
        return Ok((counts.values().sum::<u64>().saturating_sub(settled_of(counts)), None));
    }
    let step = engine.ledger.step_counts(run.id, run.step).await?;
    Ok((step.users.saturating_sub(step.settled), Some(run.step + 1)))
}

/// The most users a second that the quota for writes lets through, as far as it was learned, and the limits of batches.
#[expect(clippy::cast_precision_loss, reason = "rates")]
async fn ceiling(engine: &Engine, run: &Run, settled: u64) -> anyhow::Result<Option<f64>> {
    if settled == 0 || run.totals.writes < ENOUGH_WRITES {
        return Ok(None);
    }
    let writes_per_user = run.totals.writes as f64 / settled as f64;
    let is_writes = |word: &str| word == graph::Bucket::Writes.as_str();
    let kept = engine.ledger.learned_rates().await?;
    let kept = kept.iter().find(|(word, _)| is_writes(word)).map(|(_, rate)| *rate);
    let shared = services::buckets(engine.ledger.as_ref()).await;
    let shared = shared.iter().find(|b| b.learned && is_writes(b.bucket.as_str())).map(|b| b.rate_per_s);
    let limits = [kept.or(shared), max_rate(engine).await?.map(f64::from)];
    let lowest = limits.into_iter().flatten().min_by(f64::total_cmp);
    Ok(lowest.map(|writes_per_s| writes_per_s / writes_per_user))
}

/// The lowest limit of all batches that are under way: it holds for everybody, since the quota is one.
pub(super) async fn max_rate(engine: &Engine) -> anyhow::Result<Option<u32>> {
    let controls = engine.ledger.controls().await?;
    Ok(controls.iter().filter_map(|control| control.max_rate).min())
}

impl Forecast {
    /// Seconds until the likeliest time.
    pub(super) fn seconds(&self) -> u64 {
        u64::try_from((self.eta.at_ms - self.now_ms) / 1000).unwrap_or(0)
    }

    pub(super) fn users_per_s(&self) -> f64 {
        self.eta.users_per_s
    }

    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "at": lines::time(self.eta.at_ms), "earliest": lines::time(self.eta.earliest_ms),
            "latest": lines::time(self.eta.latest_ms), "step": self.step,
            "stopsAt": self.eta.stops_at_ms.map(lines::time), "goesOnAt": self.eta.goes_on_at_ms.map(lines::time),
        })
    }

    /// `done about 02:40, between 02:25 and 03:10 (Europe/Berlin), 38 min to go`.
    pub(super) fn line(&self) -> String {
        let clock = |at_ms| self.windows.clock(at_ms, self.now_ms);
        let what = self.step.map_or_else(|| "done".to_owned(), |step| format!("step {step} done"));
        let mut line = format!(
            "{what} about {}, between {} and {} ({}), {} to go",
            clock(self.eta.at_ms),
            clock(self.eta.earliest_ms),
            clock(self.eta.latest_ms),
            self.windows.zone(),
            lines::duration(Duration::from_secs(self.seconds()))
        );
        match (self.eta.stops_at_ms, self.eta.goes_on_at_ms) {
            (Some(stops), Some(on)) => {
                line += &format!("; its window ends at {}, and it goes on at {}", clock(stops), clock(on));
            }
            (Some(stops), None) => line += &format!("; its window ends at {}", clock(stops)),
            (None, Some(on)) => line += &format!("; it goes on at {}", clock(on)),
            (None, None) => {}
        }
        line
    }
}
