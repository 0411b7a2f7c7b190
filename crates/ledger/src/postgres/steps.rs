//! The steps of a run's canary, and what workers must know at once.
//!
//! A step is a range of ordinals, fixed when the run's users are: nothing of an entry changes when the next one opens.

use super::decode::Columns;
use super::fault::Fault;
use crate::{Control, Error, StepCounts};
use contract::{BatchSettings, RunId};
use sqlx::PgConnection;

/// The last ordinal of every step, among those that matching did not leave out; absent where there are not that many.
const ENDS: &str = "
    SELECT e.ordinal
      FROM unnest($2::bigint[]) WITH ORDINALITY s (size, nth)
      LEFT JOIN (SELECT ordinal, row_number() OVER (ORDER BY ordinal) AS place FROM entry
                  WHERE run = $1 AND entra IS NOT NULL AND codes <> 'source-disabled') e
             ON e.place = greatest(s.size, 1)
     ORDER BY s.nth";

pub(super) async fn assign(db: &mut PgConnection, run: RunId, sizes: &[u64]) -> Result<(), Fault> {
    if !super::run::locked(db, run).await?.steps.is_empty() || sizes.is_empty() {
        return Ok(());
    }
    let counted: Vec<i64> = sizes.iter().map(|size| i64::try_from(*size).unwrap_or(i64::MAX)).collect();
    let ends: Vec<Option<i64>> =
        sqlx::query_scalar(ENDS).bind(run.0).bind(counted).fetch_all(&mut *db).await?;
    let mut ends: Vec<i64> = ends.into_iter().map(|end| end.unwrap_or(i64::MAX)).collect();
    // Whoever is beyond the last step is in it.
    if let Some(last) = ends.last_mut() {
        *last = i64::MAX;
    }
    sqlx::query("UPDATE run SET step = 0, steps = $2, step_ends = $3 WHERE no = $1")
        .bind(run.0)
        .bind(serde_json::to_string(sizes).map_err(|_| Fault::Column("steps"))?)
        .bind(serde_json::to_string(&ends).map_err(|_| Fault::Column("step_ends"))?)
        .execute(db)
        .await?;
    Ok(())
}

/// A step may be opened again, and late: it never goes back.
pub(super) async fn open(db: &mut PgConnection, run: RunId, step: u32) -> Result<(), Fault> {
    sqlx::query("UPDATE run SET step = greatest(step, $2) WHERE no = $1")
        .bind(run.0)
        .bind(i64::from(step))
        .execute(db)
        .await?;
    Ok(())
}

pub(super) async fn counts(db: &mut PgConnection, run: RunId, step: u32) -> Result<StepCounts, Fault> {
    // A run without steps has one, which holds everybody.
    let (after, end): (i64, i64) = sqlx::query_as(
        "SELECT coalesce(CASE WHEN $2::int > 0 THEN (step_ends::json ->> ($2::int - 1))::bigint END, $3),
                coalesce((step_ends::json ->> $2::int)::bigint, $4)
           FROM run WHERE no = $1",
    )
    .bind(run.0)
    .bind(i32::try_from(step).unwrap_or(i32::MAX))
    .bind(i64::MIN)
    .bind(i64::MAX)
    .fetch_optional(&mut *db)
    .await?
    .ok_or(Fault::Ours(Error::NoRun { run }))?;
    let row = sqlx::query(
        "SELECT count(*) AS users,
                count(*) FILTER (WHERE state NOT IN ('waiting', 'claimed')) AS settled,
                count(*) FILTER (WHERE state NOT IN ('waiting', 'claimed') AND codes <> 'unchanged-since-last')
                    AS processed,
                count(*) FILTER (WHERE state IN ('parked', 'conflict')) AS failed,
                max(settled_at) AS last_settled_at
           FROM entry
          WHERE run = $1 AND ordinal > $2 AND ordinal <= $3 AND entra IS NOT NULL AND codes <> 'source-disabled'",
    )
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
    db: &mut PgConnection,
    run: RunId,
    reason: Option<&str>,
) -> Result<(), Fault> {
    sqlx::query("UPDATE run SET waits_for = $2 WHERE no = $1").bind(run.0).bind(reason).execute(db).await?;
    Ok(())
}

/// Asked twice a second by every worker: an index holds the runs that are not over, and nothing is joined but their
/// batches.
pub(super) async fn controls(db: &mut PgConnection) -> Result<Vec<Control>, Fault> {
    let rows = sqlx::query(
        "SELECT run.no, run.halted IS NOT NULL AS is_halted, b.settings
           FROM run LEFT JOIN batch b ON b.name = run.batch
          WHERE run.state IN ('preparing', 'open') ORDER BY run.no",
    )
    .fetch_all(db)
    .await?;
    rows.iter()
        .map(|row| {
            // Settings that this build cannot read halt nobody here: the coordinator says so.
            let settings: Option<BatchSettings> =
                row.value::<Option<&str>>("settings")?.and_then(|text| serde_json::from_str(text).ok());
            Ok(Control {
                run: row.run("no")?,
                halted: row.value("is_halted")?,
                max_rate: settings.and_then(|settings| settings.max_rate),
            })
        })
        .collect()
}
