//! The end of a rehearsal: what the migration will ask of Graph, how long that takes, and how many nights.
//!
//! It only gathers; what is told from it is decided by the rules. Every figure names the rate it stands on.

use crate::Usage;
use crate::args::Rehearse;
use crate::engine::{ALL, Engine};
use crate::lines::{self, Opened};
use contract::BatchSettings;
use graph::Bucket;
use ledger::Run;
use rules::{Demand, Span, Windows};
use std::time::Duration;

/// What every user of a rehearsal adds.
#[derive(Default)]
pub(crate) struct Gathered {
    demand: Demand,
}

impl Gathered {
    /// Takes an entry of the rehearsal.
    pub(crate) fn add(&mut self, entry: &Opened) {
        let Some(result) = &entry.result else { return };
        let changes: Vec<_> = result.changes.iter().map(|done| done.change.clone()).collect();
        self.demand.add(rules::calls(&changes, result.created_tokens));
    }
}

/// When the migration may work.
pub(crate) struct Hours {
    windows: Windows,
    /// As the operator said them; empty: always.
    said: Vec<String>,
    /// Writes a second at most, where the batch has a limit.
    max_rate: Option<u32>,
}

impl Hours {
    /// Those of the flags, or else the batch's own.
    pub(crate) async fn of(verb: &Rehearse, engine: &Engine, batch: &str) -> anyhow::Result<Self> {
        let settings = match batch {
            ALL => BatchSettings::default(),
            name => Engine::settings(&engine.batch(name).await?)?,
        };
        let said = if verb.window.is_empty() { settings.windows } else { verb.window.clone() };
        let tz = verb.tz.clone().unwrap_or(settings.tz);
        Ok(Self { windows: parse(&said, &tz)?, said, max_rate: settings.max_rate })
    }
}

/// Reads windows; also before anything is done, so that a slip of the pen costs no rehearsal.
pub(crate) fn parse(windows: &[String], tz: &str) -> anyhow::Result<Windows> {
    Ok(Windows::parse(windows, tz).map_err(|error| Usage(error.to_string()))?)
}

/// A rate, and what a migration at it comes to.
struct At {
    /// As scripts know it.
    key: &'static str,
    why: &'static str,
    writes_per_s: f64,
    span: Option<Span>,
}

/// What a migration will take.
pub(crate) struct Forecast {
    demand: Demand,
    hours: Hours,
    now_ms: i64,
    rates: Vec<At>,
    is_learned: bool,
}

impl Forecast {
    /// Of a rehearsal that was gathered.
    pub(crate) async fn of(
        engine: &Engine,
        run: &Run,
        gathered: Gathered,
        hours: Hours,
    ) -> anyhow::Result<Self> {
        let totals = &run.totals;
        let demand = Demand {
            // What was throttled was asked again.
            reads: gathered.demand.reads + totals.requests.saturating_sub(totals.throttled),
            writes: gathered.demand.writes,
            rehearsed_s: totals.seconds,
        };
        let learned = learned(engine).await?;
        let rates = [
            (
                "publishedMost",
                "the most that Microsoft publishes: 3,000 in 150 s",
                Some(rules::PUBLISHED_MOST_PER_S),
            ),
            (
                "publishedLeast",
                "the least that can be read out of it: 5 in 10 s",
                Some(rules::PUBLISHED_LEAST_PER_S),
            ),
            ("learned", "as this tenant was found to take them", learned),
        ];
        let now_ms = lines::now_ms();
        let rates = rates
            .into_iter()
            .filter_map(|(key, why, rate)| {
                let cap = hours.max_rate.map_or(f64::INFINITY, f64::from);
                let writes_per_s = rate?.min(cap);
                let span = rules::span(&demand, writes_per_s, now_ms, &hours.windows);
                Some(At { key, why, writes_per_s, span })
            })
            .collect();
        Ok(Self { demand, hours, now_ms, rates, is_learned: learned.is_some() })
    }

    /// For people.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut said = vec![format!(
            "forecast of the migration, where nothing fails: {} requests to Graph, {} of them writes",
            self.demand.requests(),
            self.demand.writes
        )];
        if self.demand.writes == 0 {
            return said;
        }
        for at in &self.rates {
            said.push(format!("  at {:.1} writes/s, {}: {}", at.writes_per_s, at.why, self.spell(at)));
        }
        if !self.is_learned {
            said.push(
                "  no rate was learned here yet, since nothing was written: the first batch that is migrated learns it"
                    .to_owned(),
            );
        }
        if let Some(limit) = self.hours.max_rate {
            said.push(format!("  the batch's own limit of {limit} writes/s is reckoned with"));
        }
        said
    }

    fn spell(&self, at: &At) -> String {
        let Some(span) = &at.span else { return "years".to_owned() };
        let work = lines::duration(Duration::from_secs_f64(span.working_s.max(1.0)));
        let Some(nights) = span.nights else { return work };
        let clock = |at_ms| self.hours.windows.clock(at_ms, self.now_ms);
        format!(
            "{work} of work, {nights} {} of {} ({}), from {} to about {} if it is started now",
            if nights == 1 { "window" } else { "windows" },
            self.hours.said.join("; "),
            self.hours.windows.zone(),
            clock(span.begins_at_ms),
            clock(span.done_at_ms),
        )
    }

    /// For scripts: one object.
    pub(crate) fn json(&self) -> serde_json::Value {
        let rates: serde_json::Map<_, _> = self
            .rates
            .iter()
            .map(|at| {
                let span = at.span.as_ref();
                let value = serde_json::json!({
                    "writesPerSecond": at.writes_per_s,
                    "hours": span.map(|span| span.working_s / 3600.0),
                    "nights": span.and_then(|span| span.nights),
                    "beginsAt": span.map(|span| lines::time(span.begins_at_ms)),
                    "doneAt": span.map(|span| lines::time(span.done_at_ms)),
                });
                (at.key.to_owned(), value)
            })
            .chain((!self.is_learned).then(|| ("learned".to_owned(), serde_json::Value::Null)))
            .collect();
        serde_json::json!({ "forecast": {
            "requests": self.demand.requests(), "writes": self.demand.writes, "rates": rates,
            "windows": self.hours.said, "tz": self.hours.windows.zone(), "maxRate": self.hours.max_rate,
        }})
    }
}

/// Writes a second that this tenant was found to take, by an earlier run or by the one under way.
async fn learned(engine: &Engine) -> anyhow::Result<Option<f64>> {
    let is_writes = |word: &str| word == Bucket::Writes.as_str();
    let kept = engine.ledger.learned_rates().await?;
    let kept = kept.iter().find(|(word, _)| is_writes(word)).map(|(_, rate)| *rate);
    let shared = crate::services::buckets(engine.ledger.as_ref()).await;
    Ok(kept
        .or_else(|| shared.iter().find(|b| b.learned && is_writes(b.bucket.as_str())).map(|b| b.rate_per_s)))
}
