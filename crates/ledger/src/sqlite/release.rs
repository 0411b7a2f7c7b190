//! Release: which entries may be worked on now; and those that need no worker.
//!
//! Released is a mark and no promise: an order may be lost, and the mark then grows stale.

use super::decode::{Columns, json, milliseconds};
use super::fault::Fault;
use crate::{Candidate, Release};
use contract::RunId;
use sqlx::SqliteConnection;
use std::time::Duration;

pub(super) async fn release(
    db: &mut SqliteConnection,
    run: RunId,
    limit: u32,
    stale_after: Option<Duration>,
    grace: Duration,
) -> Result<Release, Fault> {
    let open: Option<i64> =
        sqlx::query_scalar("SELECT no FROM run WHERE no = ?1 AND state = 'open' AND halted IS NULL")
            .bind(run.0)
            .fetch_optional(&mut *db)
            .await?;
    if open.is_none() {
        return Ok(Release::default());
    }
    let expired = put_back(db, run, grace).await?;
    let end = super::steps::open_end(db, run).await?;
    let released: Vec<i64> = sqlx::query_scalar(
        "UPDATE entry SET released_at = (SELECT now_ms FROM clock)
          WHERE run = ?1 AND ordinal IN (
                SELECT ordinal FROM entry
                 WHERE run = ?1 AND state = 'waiting' AND ordinal <= ?4
                   AND (not_before IS NULL OR not_before <= (SELECT now_ms FROM clock))
                   AND (released_at IS NULL OR released_at <= (SELECT now_ms FROM clock) - ?2)
                 ORDER BY ordinal LIMIT ?3)
          RETURNING ordinal",
    )
    .bind(run.0)
    .bind(stale_after.map(milliseconds))
    .bind(i64::from(limit))
    .bind(end)
    .fetch_all(&mut *db)
    .await?;
    let rows = sqlx::query(
        "SELECT e.ordinal, e.entra, e.content, e.allowed, a.fingerprint AS applied,
                EXISTS (SELECT 1 FROM intent i WHERE i.entra = e.entra AND i.outcome IS NULL) AS in_doubt
           FROM entry e LEFT JOIN applied a ON a.entra = e.entra
          WHERE e.run = ?1 AND e.ordinal IN (SELECT value FROM json_each(?2)) ORDER BY e.ordinal",
    )
    .bind(run.0)
    .bind(json(released))
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

/// Puts back what a worker has left: its lease and the grace are over. Users that a superseded run still held because a
/// worker had them are free then too.
async fn put_back(db: &mut SqliteConnection, run: RunId, grace: Duration) -> Result<u64, Fault> {
    let expired = sqlx::query(
        "UPDATE entry SET state = 'waiting', owner = NULL, lease_until = NULL, released_at = NULL, cut_short = 1
          WHERE run = ?1 AND state = 'claimed' AND lease_until <= (SELECT now_ms FROM clock) - ?2",
    )
    .bind(run.0)
    .bind(milliseconds(grace))
    .execute(&mut *db)
    .await?;
    sqlx::query(
        "UPDATE entry SET holds = 0
          WHERE holds = 1 AND +run IN (SELECT no FROM run WHERE state NOT IN ('preparing', 'open'))
            AND NOT (state = 'claimed' AND lease_until > (SELECT now_ms FROM clock) - ?1)",
    )
    .bind(milliseconds(grace))
    .execute(db)
    .await?;
    Ok(expired.rows_affected())
}

/// An intent without an outcome needs a worker, whatever the fingerprints say.
pub(super) async fn settle_unchanged(
    db: &mut SqliteConnection,
    run: RunId,
    ordinals: &[i64],
    codes: &str,
) -> Result<u64, Fault> {
    let settled = sqlx::query(
        "UPDATE entry SET state = 'unchanged', outcome = 'unchanged', codes = ?3, holds = 0,
                          settled_at = (SELECT now_ms FROM clock)
          WHERE run = ?1 AND ordinal IN (SELECT value FROM json_each(?2)) AND state = 'waiting'
            AND NOT EXISTS (SELECT 1 FROM intent i WHERE i.entra = entry.entra AND i.outcome IS NULL)
            AND EXISTS (SELECT 1 FROM run WHERE run.no = entry.run AND run.state = 'open')",
    )
    .bind(run.0)
    .bind(json(ordinals.iter().copied()))
    .bind(codes)
    .execute(db)
    .await?;
    Ok(settled.rows_affected())
}

pub(super) async fn next_due(db: &mut SqliteConnection, run: RunId) -> Result<Option<Duration>, Fault> {
    let wait: Option<i64> = sqlx::query_scalar(
        "SELECT min(not_before) - (SELECT now_ms FROM clock) FROM entry
          WHERE run = ?1 AND state = 'waiting' AND not_before IS NOT NULL AND released_at IS NULL",
    )
    .bind(run.0)
    .fetch_one(db)
    .await?;
    Ok(wait.map(super::decode::duration))
}
