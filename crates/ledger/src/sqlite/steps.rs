//! The steps of a run's canary, and what workers must know at once.
//!
//! A step is a range of ordinals, fixed when the run's users are: nothing of an entry changes when the next one opens.

use super::decode::Columns;
use super::fault::Fault;
use crate::{Control, Error, StepCounts};
use contract::{RunId, RunState};
use sqlx::SqliteConnection;

/// Those that matching did not leave out; of a rollout and of its plan, those that are placed. A worker files what it
/// found; whoever has no such result was not looked at.
const MOVABLE: &str = "entra IS NOT NULL AND codes <> 'source-disabled'
            AND (place IS NOT NULL OR (SELECT kind FROM run WHERE no = ?1) NOT IN ('rollout', 'rollout-plan'))";

fn array(text: Option<&str>) -> Result<Vec<i64>, Fault> {
    text.map_or_else(
        || Ok(Vec::new()),
        |text| serde_json::from_str(text).map_err(|_| Fault::Column("step_ends")),
    )
}

pub(super) async fn assign(db: &mut SqliteConnection, run: RunId, sizes: &[u64]) -> Result<(), Fault> {
    let row = sqlx::query("SELECT state, steps IS NOT NULL AS is_assigned FROM run WHERE no = ?1")
        .bind(run.0)
        .fetch_optional(&mut *db)
        .await?
        .ok_or(Fault::Ours(Error::NoRun { run }))?;
    if row.value("is_assigned")? || sizes.is_empty() {
        return Ok(());
    }
    match row.run_state("state")? {
        RunState::Open | RunState::Done | RunState::Superseded => {}
        // Without users there would be nothing to stop at the end of a step.
        RunState::Preparing => return Err(crate::filing::no_users_yet(run).into()),
    }
    let mut ends = Vec::with_capacity(sizes.len());
    for size in sizes {
        if *size == 0 {
            ends.push(i64::MIN);
            continue;
        }
        let end: Option<i64> = sqlx::query_scalar(sqlx::AssertSqlSafe(format!(
            "SELECT ordinal FROM entry WHERE run = ?1 AND {MOVABLE} ORDER BY ordinal LIMIT 1 OFFSET ?2"
        )))
        .bind(run.0)
        .bind(i64::try_from(size.saturating_sub(1)).unwrap_or(i64::MAX))
        .fetch_optional(&mut *db)
        .await?;
        ends.push(end.unwrap_or(i64::MAX));
    }
    // Whoever is beyond the last step is in it.
    if let Some(last) = ends.last_mut() {
        *last = i64::MAX;
    }
    sqlx::query("UPDATE run SET step = 0, steps = ?2, step_ends = ?3 WHERE no = ?1")
        .bind(run.0)
        .bind(serde_json::to_string(sizes).map_err(|_| Fault::Column("steps"))?)
        .bind(serde_json::to_string(&ends).map_err(|_| Fault::Column("step_ends"))?)
        .execute(db)
        .await?;
    Ok(())
}

/// The ordinals of a step: after the first, up to the second. Beyond the last step there is nobody.
async fn range(db: &mut SqliteConnection, run: RunId, step: u32) -> Result<(i64, i64), Fault> {
    let row = sqlx::query("SELECT step_ends FROM run WHERE no = ?1")
        .bind(run.0)
        .fetch_optional(db)
        .await?
        .ok_or(Fault::Ours(Error::NoRun { run }))?;
    let ends = array(row.value("step_ends")?)?;
    let at = usize::try_from(step).unwrap_or(usize::MAX);
    let before = at.checked_sub(1).map_or(i64::MIN, |at| ends.get(at).copied().unwrap_or(i64::MAX));
    Ok((before, ends.get(at).copied().unwrap_or(i64::MAX)))
}

/// The last ordinal that may be released.
pub(super) async fn open_end(db: &mut SqliteConnection, run: RunId) -> Result<i64, Fault> {
    let row = sqlx::query("SELECT step, step_ends FROM run WHERE no = ?1")
        .bind(run.0)
        .fetch_optional(db)
        .await?
        .ok_or(Fault::Ours(Error::NoRun { run }))?;
    let step: u32 = row.count("step")?;
    let ends = array(row.value("step_ends")?)?;
    Ok(usize::try_from(step).ok().and_then(|at| ends.get(at)).copied().unwrap_or(i64::MAX))
}

pub(super) async fn open(db: &mut SqliteConnection, run: RunId, step: u32) -> Result<(), Fault> {
    sqlx::query("UPDATE run SET step = max(step, ?2) WHERE no = ?1")
        .bind(run.0)
        .bind(i64::from(step))
        .execute(db)
        .await?;
    Ok(())
}

pub(super) async fn counts(db: &mut SqliteConnection, run: RunId, step: u32) -> Result<StepCounts, Fault> {
    let (after, end) = range(db, run, step).await?;
    let row = sqlx::query(sqlx::AssertSqlSafe(format!(
        "SELECT count(*) AS users,
                count(*) FILTER (WHERE state NOT IN ('waiting', 'claimed')) AS settled,
                count(*) FILTER (WHERE state NOT IN ('waiting', 'claimed') AND result IS NOT NULL) AS processed,
                count(*) FILTER (WHERE state IN ('parked', 'conflict')) AS failed,
                max(settled_at) AS last_settled_at
           FROM entry WHERE run = ?1 AND ordinal > ?2 AND ordinal <= ?3 AND {MOVABLE}"
    )))
    .bind(run.0)
    .bind(after)
    .bind(end)
    .fetch_one(db)
    .await?;
    Ok(StepCounts {
        users: row.count("users")?,
        settled: row.count("settled")?,
        processed: row.count("processed")?,
        failed: row.count("failed")?,
        last_settled_at_ms: row.value("last_settled_at")?,
    })
}

pub(super) async fn tell_waits(
    db: &mut SqliteConnection,
    run: RunId,
    reason: Option<&str>,
) -> Result<(), Fault> {
    sqlx::query("UPDATE run SET waits_for = ?2 WHERE no = ?1 AND waits_for IS NOT ?2")
        .bind(run.0)
        .bind(reason)
        .execute(db)
        .await?;
    Ok(())
}

pub(super) async fn controls(db: &mut SqliteConnection) -> Result<Vec<Control>, Fault> {
    let rows = sqlx::query(
        "SELECT run.no, run.halted IS NOT NULL AS is_halted,
                CASE WHEN run.kind IN ('migrate', 'rollback', 'rollout', 'rollout-remove') THEN b.settings END AS settings
           FROM run LEFT JOIN batch b ON b.name = run.batch
          WHERE run.state IN ('preparing', 'open') ORDER BY run.no",
    )
    .fetch_all(db)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(Control {
                run: row.run("no")?,
                halted: row.value("is_halted")?,
                max_rate: row.value::<Option<&str>>("settings")?.and_then(crate::filing::max_rate),
            })
        })
        .collect()
}
