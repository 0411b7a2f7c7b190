//! The history of a report's runs: what was run, how it stands, and who did or decided what, when and why.

use super::Report;
use crate::lines;
use ledger::{Counts, Event, Run};

/// Runs shown, the newest ones.
pub(super) const RUNS: u32 = 50;
/// Events shown, the newest ones.
pub(super) const EVENTS: u32 = 500;

/// What was run and decided, newest first.
pub(super) struct History {
    pub(super) runs: Vec<Past>,
    pub(super) events: Vec<Event>,
}

/// A run and how it stands.
pub(super) struct Past {
    pub(super) run: Run,
    pub(super) counts: Counts,
    /// Who opened it; absent where that is not on file.
    pub(super) by: Option<String>,
}

impl Report<'_> {
    pub(super) async fn history(&self) -> anyhow::Result<History> {
        let ledger = self.engine.ledger.as_ref();
        let scope = &self.scope;
        let batch = if scope.alone { Some(scope.run.spec.batch.as_str()) } else { scope.batch.as_deref() };
        let mut events = ledger.events(batch, EVENTS).await?;
        let runs = if scope.alone {
            events.retain(|event| event.run == Some(scope.run.id));
            vec![scope.run.clone()]
        } else if let Some(batch) = batch {
            let mut runs = ledger.runs_of(batch).await?;
            runs.retain(|run| run.spec.kind != contract::RunKind::Survey);
            runs.truncate(RUNS as usize);
            runs
        } else {
            ledger.newest_runs(RUNS).await?
        };
        let mut past = Vec::with_capacity(runs.len());
        for run in runs {
            let counts = ledger.counts(run.id).await?;
            let opened = events.iter().find(|event| event.run == Some(run.id) && event.what == "opened");
            past.push(Past { by: opened.map(|event| event.by.clone()), counts, run });
        }
        Ok(History { runs: past, events })
    }
}

impl History {
    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "runs": self.runs.iter().map(Past::json).collect::<Vec<_>>(),
            "events": self.events.iter().map(event_json).collect::<Vec<_>>(),
        })
    }
}

impl Past {
    fn json(&self) -> serde_json::Value {
        let Self { run, counts, by } = self;
        serde_json::json!({
            "run": run.id, "kind": run.spec.kind, "batch": run.spec.batch, "state": run.state,
            "snapshot": run.spec.snapshot, "by": by, "openedAt": lines::time(run.opened_at_ms),
            "endedAt": run.ended_at_ms.map(lines::time), "step": run.step + 1, "steps": run.steps,
            "halted": run.halted, "waits": run.waits_for, "entries": lines::counts_json(counts),
            "graph": {
                "requests": run.totals.requests, "writes": run.totals.writes, "throttled": run.totals.throttled,
            },
            "seconds": run.totals.seconds,
        })
    }
}

fn event_json(event: &Event) -> serde_json::Value {
    serde_json::json!({
        "at": lines::time(event.at_ms), "by": event.by, "batch": event.batch, "run": event.run, "what": event.what,
        "why": event.why,
    })
}
