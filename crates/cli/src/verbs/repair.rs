//! `verify --repair`: writes again what a verification found missing, and nothing else.
//!
//! The missing become a batch of their own, which is migrated as it was by the run that wrote: of the same snapshot, by the
//! same policy, whatever the configuration says by now. Nobody else is in it, so nobody who was parked, aborted or taken
//! back goes forward.

use super::batch::made_of;
use crate::engine::Engine;
use crate::lines;
use crate::notices::Notices;
use crate::work::Finished;
use contract::{EntryState, IntentOutcome, RunId, RunKind, UserKey};
use ledger::{Run, RunSpec};
use std::collections::BTreeMap;
use telemetry::Shutdown;

/// What a repair came to.
#[derive(Default)]
pub(crate) struct Repaired {
    /// The runs that wrote again, one for each run that had written.
    pub(crate) runs: Vec<Finished>,
    /// Users who are in no datafile any more, and so have no record to write from.
    pub(crate) without_record: u64,
    /// Users whose writes were bound to a reviewed plan, by the run that applied it: that plan alone may write them again.
    pub(crate) bound: BTreeMap<RunId, u64>,
}

impl Repaired {
    /// Users who were not even tried.
    pub(crate) fn left(&self) -> u64 {
        self.without_record + self.bound.values().sum::<u64>()
    }

    /// Users in a state, over all runs.
    pub(crate) fn of(&self, state: EntryState) -> u64 {
        self.runs.iter().filter_map(|run| run.counts.get(&state)).sum()
    }
}

/// Repairs what a verification found.
pub(crate) async fn repair(
    engine: &Engine,
    verified: &Finished,
    notices: &Notices,
    shutdown: &Shutdown,
) -> anyhow::Result<Repaired> {
    let mut repaired = Repaired::default();
    let by_writer = missing_by_writer(engine, verified.run.id, &mut repaired).await?;
    let n = by_writer.values().map(Vec::len).sum::<usize>() as u64 + repaired.without_record;
    let why = format!("{n} users are missing something, found by run {}", verified.run.id);
    engine.note_event(&verified.run.spec.batch, Some(verified.run.id), "repair", &why).await?;
    for (writer, users) in by_writer {
        let Some(wrote) = engine.ledger.run(writer).await? else { continue };
        if wrote.spec.plan_hash.is_some() {
            repaired.bound.insert(writer, users.len() as u64);
            continue;
        }
        if shutdown.is_requested() {
            break;
        }
        notices.step("writing again what is missing");
        let spec = spec_of(engine, &wrote, verified.run.id, &users).await?;
        repaired.runs.push(engine.work(&spec, None, notices, shutdown).await?);
    }
    Ok(repaired)
}

/// Whom something is missing of, by the migration whose write was the last that is known to have been there. They are no
/// longer taken for unchanged (rule U5).
async fn missing_by_writer(
    engine: &Engine,
    verification: RunId,
    repaired: &mut Repaired,
) -> anyhow::Result<BTreeMap<RunId, Vec<UserKey>>> {
    let mut found: BTreeMap<RunId, Vec<UserKey>> = BTreeMap::new();
    let mut after = i64::MIN;
    loop {
        let page = engine.ledger.results(verification, after, lines::PAGE).await?;
        let Some(last) = page.last() else { return Ok(found) };
        after = last.ordinal;
        let missing: Vec<_> = page.into_iter().filter(|row| row.state == EntryState::Missing).collect();
        let ordinals: Vec<i64> = missing.iter().map(|row| row.ordinal).collect();
        engine.ledger.forget_applied(verification, &ordinals).await?;
        for row in missing {
            if row.record.0.is_empty() {
                repaired.without_record += 1;
                continue;
            }
            let key = engine.coordinator.user_key(&lines::open(engine, row)?.record.username);
            match writer_of(engine, key).await? {
                Some(writer) => found.entry(writer).or_default().push(key),
                None => repaired.without_record += 1,
            }
        }
    }
}

/// The newest migration that is known to have written something for a user.
async fn writer_of(engine: &Engine, key: UserKey) -> anyhow::Result<Option<RunId>> {
    let history = engine.ledger.user_history(key).await?;
    let mut writers: Vec<RunId> = history
        .intents
        .iter()
        .filter(|(_, intent)| intent.outcome == Some(IntentOutcome::Applied) || intent.outcome.is_none())
        .map(|(_, intent)| intent.run)
        .collect();
    writers.sort_unstable_by(|a, b| b.cmp(a));
    writers.dedup();
    for writer in writers {
        if engine.ledger.run(writer).await?.is_some_and(|run| run.spec.kind == RunKind::Migrate) {
            return Ok(Some(writer));
        }
    }
    Ok(None)
}

/// A run like the one that wrote, over these users alone.
async fn spec_of(
    engine: &Engine,
    wrote: &Run,
    verification: RunId,
    users: &[UserKey],
) -> anyhow::Result<RunSpec> {
    let name = format!("repair-{verification}-{}", wrote.id);
    let why = format!("{} users of whom run {verification} found something missing", users.len());
    made_of(engine, &name, &wrote.spec.snapshot, users, &why).await?;
    Ok(RunSpec { batch: name, include_unchanged: false, ..wrote.spec.clone() })
}
