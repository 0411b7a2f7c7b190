//! When a run will be done, as `status` says it: from its checkpoints, and from what `--watch` has seen itself.
//!
//! The coordinator gathers it, for the dashboards too; here it is put into words.

use crate::engine::Engine;
use crate::lines;
use contract::RunId;
use coordinator::Forecast as Gathered;
use ledger::{Checkpoint, Counts, Run};
use rules::Sample;
use std::collections::BTreeMap;
use std::time::Duration;

/// What was seen of the runs while they are watched.
#[derive(Default)]
pub(super) struct Watching {
    seen: BTreeMap<RunId, Vec<Sample>>,
}

/// When a run, or the step of its canary, will be done.
pub(super) struct Forecast {
    gathered: Gathered,
    now_ms: i64,
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
        let seen = self.seen.entry(run.id).or_default();
        let gathered = engine.coordinator.forecast(run, counts, checkpoints, seen, now_ms).await?;
        Ok(gathered.map(|gathered| Forecast { gathered, now_ms }))
    }
}

impl Forecast {
    /// Seconds until the likeliest time.
    pub(super) fn seconds(&self) -> u64 {
        u64::try_from((self.gathered.eta.at_ms - self.now_ms) / 1000).unwrap_or(0)
    }

    pub(super) fn users_per_s(&self) -> f64 {
        self.gathered.eta.users_per_s
    }

    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "at": lines::time(self.gathered.eta.at_ms), "earliest": lines::time(self.gathered.eta.earliest_ms),
            "latest": lines::time(self.gathered.eta.latest_ms), "step": self.gathered.step,
            "stopsAt": self.gathered.eta.stops_at_ms.map(lines::time), "goesOnAt": self.gathered.eta.goes_on_at_ms.map(lines::time),
        })
    }

    /// `done about 02:40, between 02:25 and 03:10 (Europe/Berlin), 38 min to go`.
    pub(super) fn line(&self) -> String {
        let clock = |at_ms| self.gathered.windows.clock(at_ms, self.now_ms);
        let what = self.gathered.step.map_or_else(|| "done".to_owned(), |step| format!("step {step} done"));
        let mut line = format!(
            "{what} about {}, between {} and {} ({}), {} to go",
            clock(self.gathered.eta.at_ms),
            clock(self.gathered.eta.earliest_ms),
            clock(self.gathered.eta.latest_ms),
            self.gathered.windows.zone(),
            lines::duration(Duration::from_secs(self.seconds()))
        );
        match (self.gathered.eta.stops_at_ms, self.gathered.eta.goes_on_at_ms) {
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
