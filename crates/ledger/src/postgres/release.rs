//! Release: which entries may be worked on now; and those that need no worker.
//!
//! Released is a mark and no promise: an order may be lost, and the mark then grows stale. Entries that a worker has in
//! its hands at this moment are passed over, never waited for.

use super::decode::{Columns, duration, milliseconds};
use super::fault::Fault;
use crate::{Candidate, Release};
use contract::RunId;
use sqlx::PgConnection;
use std::time::Duration;

pub(super) async fn release(
    db: &mut PgConnection,
    run: RunId,
    limit: u32,
    stale_after: Option<Duration>,
    grace: Duration,
) -> Result<Release, Fault> {
    let open: Option<i64> =
        sqlx::query_scalar("SELECT no FROM run WHERE no = $1 AND state = 'open' AND halted IS NULL")
            .bind(run.0)
            .fetch_optional(&mut *db)
            .await?;
    if open.is_none() {
        return Ok(Release::default());
    }
    let expired = put_back(db, run, grace).await?;
    let end = super::steps::open_end(db, run).await?;
    let mut due = due_first(db, run, i64::from(limit), end).await?;
    let left = i64::from(limit).saturating_sub(i64::try_from(due.len()).unwrap_or(i64::MAX));
    if let Some(stale_after) = stale_after.filter(|_| left > 0) {
        due.extend(due_again(db, run, left, stale_after, end).await?);
    }
    let rows = sqlx::query(
        "WITH released AS (
             UPDATE entry SET released_at = now_ms() WHERE run = $1 AND ordinal = ANY($2)
             RETURNING ordinal, entra, content, allowed)
         SELECT r.*, a.fingerprint AS applied,
                EXISTS (SELECT FROM intent i WHERE i.entra = r.entra AND i.outcome IS NULL) AS in_doubt
           FROM released r LEFT JOIN applied a ON a.entra = r.entra ORDER BY r.ordinal",
    )
    .bind(run.0)
    .bind(due)
    .fetch_all(db)
    .await?;
    let entries = rows
        .iter()
        .map(|row| {
            Ok(Candidate {
                ordinal: row.value("ordinal")?,
                user: row.entra("entra")?,
                content: row.fingerprint("content")?,
                allowed: row.allowed("allowed")?,
                applied: row.maybe_fingerprint("applied")?,
                in_doubt: row.value("in_doubt")?,
            })
        })
        .collect::<Result<_, Fault>>()?;
    Ok(Release { entries, expired })
}

/// Never released, or back since: what the index of the same words holds, up to the end of the step that is open.
async fn due_first(db: &mut PgConnection, run: RunId, limit: i64, end: i64) -> Result<Vec<i64>, Fault> {
    let due = sqlx::query_scalar(
        "SELECT ordinal FROM entry
          WHERE run = $1 AND state = 'waiting' AND released_at IS NULL AND ordinal <= $3
            AND (not_before IS NULL OR not_before <= now_ms())
          ORDER BY ordinal LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED",
    )
    .bind(run.0)
    .bind(limit)
    .bind(end)
    .fetch_all(db)
    .await?;
    Ok(due)
}

/// Released long ago, and not claimed since.
async fn due_again(
    db: &mut PgConnection,
    run: RunId,
    limit: i64,
    stale_after: Duration,
    end: i64,
) -> Result<Vec<i64>, Fault> {
    let due = sqlx::query_scalar(
        "SELECT ordinal FROM entry
          WHERE run = $1 AND state = 'waiting' AND released_at <= now_ms() - $3 AND ordinal <= $4
            AND (not_before IS NULL OR not_before <= now_ms())
          ORDER BY ordinal LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED",
    )
    .bind(run.0)
    .bind(limit)
    .bind(milliseconds(stale_after))
    .bind(end)
    .fetch_all(db)
    .await?;
    Ok(due)
}

/// Puts back what a worker has left: its lease and the grace are over. Users that a superseded run still held because a
/// worker had them are free then too.
async fn put_back(db: &mut PgConnection, run: RunId, grace: Duration) -> Result<u64, Fault> {
    let expired = sqlx::query(
        "WITH left_behind AS MATERIALIZED (
             SELECT ordinal FROM entry
              WHERE run = $1 AND state = 'claimed' AND lease_until <= now_ms() - $2
              ORDER BY ordinal FOR NO KEY UPDATE SKIP LOCKED)
         UPDATE entry e SET state = 'waiting', owner = NULL, lease_until = NULL, released_at = NULL, cut_short = true
           FROM left_behind l WHERE e.run = $1 AND e.ordinal = l.ordinal",
    )
    .bind(run.0)
    .bind(milliseconds(grace))
    .execute(&mut *db)
    .await?;
    sqlx::query(
        "WITH left_behind AS MATERIALIZED (
             SELECT e.run, e.ordinal FROM entry e JOIN run ON run.no = e.run
              WHERE e.holds AND run.state NOT IN ('preparing', 'open')
                AND NOT (e.state = 'claimed' AND e.lease_until > now_ms() - $1)
              ORDER BY e.run, e.ordinal FOR NO KEY UPDATE OF e SKIP LOCKED)
         UPDATE entry e SET holds = false FROM left_behind l WHERE e.run = l.run AND e.ordinal = l.ordinal",
    )
    .bind(milliseconds(grace))
    .execute(db)
    .await?;
    Ok(expired.rows_affected())
}

/// An intent without an outcome needs a worker, whatever the fingerprints say.
pub(super) async fn settle_unchanged(
    db: &mut PgConnection,
    run: RunId,
    ordinals: &[i64],
    codes: &str,
) -> Result<u64, Fault> {
    let settled = sqlx::query(
        "WITH unchanged AS MATERIALIZED (
             SELECT e.ordinal FROM entry e
              WHERE e.run = $1 AND e.ordinal = ANY($2) AND e.state = 'waiting'
                AND NOT EXISTS (SELECT FROM intent i WHERE i.entra = e.entra AND i.outcome IS NULL)
                AND EXISTS (SELECT FROM run WHERE run.no = $1 AND run.state = 'open')
              ORDER BY e.ordinal FOR NO KEY UPDATE OF e SKIP LOCKED)
         UPDATE entry e SET state = 'unchanged', outcome = 'unchanged', codes = $3, holds = false, not_before = NULL,
                            settled_at = now_ms()
           FROM unchanged u WHERE e.run = $1 AND e.ordinal = u.ordinal",
    )
    .bind(run.0)
    .bind(ordinals)
    .bind(codes)
    .execute(db)
    .await?;
    Ok(settled.rows_affected())
}

pub(super) async fn next_due(db: &mut PgConnection, run: RunId) -> Result<Option<Duration>, Fault> {
    let wait: Option<i64> = sqlx::query_scalar(
        "SELECT min(not_before) - now_ms() FROM entry
          WHERE run = $1 AND state = 'waiting' AND not_before IS NOT NULL AND released_at IS NULL",
    )
    .bind(run.0)
    .fetch_one(db)
    .await?;
    Ok(wait.map(duration))
}
