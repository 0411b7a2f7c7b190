//! Keeping a batch in step with newer snapshots: what has changed, and the one run that comes next.
//!
//! The next run is opened only where nothing has come in between: not over another run that writes, and never after a
//! rollback that shared users.

use super::decode::Columns;
use super::fault::Fault;
use super::run;
use crate::{Event, Newer, Run, RunSpec, StepCounts};
use contract::{RunId, RunState, SnapshotId};
use sqlx::PgConnection;

pub(super) async fn settings(db: &mut PgConnection) -> Result<Vec<(String, String)>, Fault> {
    let frozen = "SELECT name, settings FROM batch WHERE frozen ORDER BY name";
    Ok(sqlx::query_as(frozen).fetch_all(db).await?)
}

pub(super) async fn last_written(db: &mut PgConnection, batch: &str) -> Result<Option<Run>, Fault> {
    let last =
        "SELECT no FROM run WHERE batch = $1 AND kind IN ('migrate', 'rollback') ORDER BY no DESC LIMIT 1";
    let last: Option<i64> = sqlx::query_scalar(last).bind(batch).fetch_optional(&mut *db).await?;
    match last {
        Some(no) => run::find(db, RunId(no)).await,
        None => Ok(None),
    }
}

/// Only those after whom nobody of the batch was taken back: then it begins anew.
pub(super) async fn moved_before(db: &mut PgConnection, id: RunId) -> Result<Option<RunId>, Fault> {
    let before: Option<i64> = sqlx::query_scalar(
        "SELECT r.no FROM run r JOIN run this ON this.no = $1 AND this.batch = r.batch
          WHERE r.no < $1 AND r.kind = 'migrate' AND r.state = 'done' ORDER BY r.no DESC LIMIT 1",
    )
    .bind(id.0)
    .fetch_optional(&mut *db)
    .await?;
    let Some(before) = before.map(RunId) else { return Ok(None) };
    let Some(run) = run::find(db, id).await? else { return Ok(None) };
    let back = taken_back(db, &run.spec.batch, before).await?;
    Ok(Some(before).filter(|_| back.is_none_or(|back| back > id)))
}

/// A rollback of everybody shares users with every batch.
pub(super) async fn taken_back(
    db: &mut PgConnection,
    batch: &str,
    after: RunId,
) -> Result<Option<RunId>, Fault> {
    let back: Option<i64> = sqlx::query_scalar(
        "SELECT r.no FROM run r
          WHERE r.kind = 'rollback' AND r.no > $2
            AND (r.batch = 'all' OR r.batch = $1 OR EXISTS (
                 SELECT 1 FROM batch_member mine JOIN batch_member theirs ON theirs.user_key = mine.user_key
                  WHERE mine.batch = $1 AND theirs.batch = r.batch))
          ORDER BY r.no DESC LIMIT 1",
    )
    .bind(batch)
    .bind(after.0)
    .fetch_optional(db)
    .await?;
    Ok(back.map(RunId))
}

pub(super) async fn open_next(
    db: &mut PgConnection,
    spec: &RunSpec,
    after: RunId,
    event: &Event,
) -> Result<Option<Run>, Fault> {
    run::one_at_a_time(db).await?;
    let is_next = last_written(db, &spec.batch)
        .await?
        .is_some_and(|last| last.id == after && last.state == RunState::Done);
    if !is_next
        || !is_newest(db, &spec.snapshot).await?
        || is_shared(db, &spec.batch).await?
        || taken_back(db, &spec.batch, after).await?.is_some()
    {
        return Ok(None);
    }
    let run = run::open(db, spec).await?.run;
    super::batch::record_event(db, &Event { run: Some(run.id), ..event.clone() }).await?;
    Ok(Some(run))
}

/// An unfinished run that shares users with the batch, whoever opened it: a verification compares with what was written
/// last, which must not move below it, and two that write wait for each other.
async fn is_shared(db: &mut PgConnection, batch: &str) -> Result<bool, Fault> {
    let found: Option<i64> = sqlx::query_scalar(
        "SELECT r.no FROM run r
          WHERE r.kind IN ('migrate', 'rollback', 'verify') AND r.state IN ('preparing', 'open')
            AND (r.batch = 'all' OR r.batch = $1 OR EXISTS (
                 SELECT 1 FROM batch_member mine JOIN batch_member theirs ON theirs.user_key = mine.user_key
                  WHERE mine.batch = $1 AND theirs.batch = r.batch))
          LIMIT 1",
    )
    .bind(batch)
    .fetch_optional(db)
    .await?;
    Ok(found.is_some())
}

/// What was looked at may not be the newest any more, and an older datafile must not follow a newer one.
async fn is_newest(db: &mut PgConnection, snapshot: &SnapshotId) -> Result<bool, Fault> {
    let newest: Option<String> = sqlx::query_scalar(
        "SELECT id FROM snapshot WHERE manifest IS NOT NULL ORDER BY completed_at DESC, no DESC LIMIT 1",
    )
    .fetch_optional(db)
    .await?;
    Ok(newest.is_some_and(|newest| newest == snapshot.0))
}

pub(super) async fn newer(
    db: &mut PgConnection,
    batch: &str,
    from: &SnapshotId,
    to: &SnapshotId,
) -> Result<Newer, Fault> {
    let row = sqlx::query(
        "WITH older AS (SELECT user_key, content FROM record WHERE snapshot = (SELECT no FROM snapshot WHERE id = $2)),
              newer AS (SELECT user_key, content FROM record WHERE snapshot = (SELECT no FROM snapshot WHERE id = $3)),
              mine AS (SELECT user_key FROM batch_member WHERE batch = $1),
              placed AS (SELECT DISTINCT m.user_key FROM batch_member m JOIN batch b ON b.name = m.batch WHERE b.frozen)
         SELECT (SELECT count(*) FROM mine m JOIN newer n ON n.user_key = m.user_key
                   LEFT JOIN older o ON o.user_key = m.user_key
                  WHERE o.content IS NULL OR o.content <> n.content) AS changed,
                (SELECT count(*) FROM mine m LEFT JOIN newer n ON n.user_key = m.user_key
                  WHERE n.user_key IS NULL) AS gone,
                (SELECT count(*) FROM newer n LEFT JOIN placed p ON p.user_key = n.user_key
                  WHERE p.user_key IS NULL) AS in_no_batch",
    )
    .bind(batch)
    .bind(&from.0)
    .bind(&to.0)
    .fetch_one(db)
    .await?;
    Ok(Newer {
        changed: row.count("changed")?,
        gone: row.count("gone")?,
        in_no_batch: row.count("in_no_batch")?,
    })
}

/// Whose record is as it was then has been judged then.
pub(super) async fn fresh_counts(
    db: &mut PgConnection,
    run: RunId,
    since: RunId,
) -> Result<StepCounts, Fault> {
    let row = sqlx::query(
        "SELECT count(*) AS users,
                count(*) FILTER (WHERE e.state NOT IN ('waiting', 'claimed')) AS settled,
                count(*) FILTER (WHERE e.state NOT IN ('waiting', 'claimed') AND e.result IS NOT NULL) AS processed,
                count(*) FILTER (WHERE e.state IN ('parked', 'conflict')) AS failed,
                max(e.settled_at) AS last_settled_at
           FROM entry e
          WHERE e.run = $1 AND e.entra IS NOT NULL AND e.codes <> 'source-disabled'
            AND NOT EXISTS (SELECT 1 FROM entry before WHERE before.run = $2 AND before.user_key = e.user_key
                               AND before.content = e.content)",
    )
    .bind(run.0)
    .bind(since.0)
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

/// One that is the newest already is left as it is, so that a message that comes twice changes nothing.
pub(super) async fn came_again(db: &mut PgConnection, id: &SnapshotId) -> Result<(), Fault> {
    sqlx::query(
        "UPDATE snapshot SET completed_at = now_ms()
          WHERE id = $1 AND manifest IS NOT NULL
            AND EXISTS (SELECT 1 FROM snapshot later
                         WHERE later.manifest IS NOT NULL AND (later.completed_at > snapshot.completed_at
                            OR later.completed_at = snapshot.completed_at AND later.no > snapshot.no))",
    )
    .bind(&id.0)
    .execute(db)
    .await?;
    Ok(())
}
