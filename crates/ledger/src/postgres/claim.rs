//! Claims: an entry in one pair of hands, under an epoch and a lease.
//!
//! A writing run cannot claim a user that another one holds: the statement asks for it, and a unique index stands behind
//! it. A run that only reads holds nobody and waits for nobody, else an unfinished migration would stop a rehearsal. Nobody
//! is taken back whose seat in the staged rollout stands: Entra would ask for what was just withdrawn.

use super::decode::{Columns, duration, milliseconds};
use super::fault::Fault;
use super::known;
use crate::Claim;
use contract::RunId;
use sqlx::PgConnection;
use sqlx::postgres::PgRow;
use std::time::Duration;

/// Entries that somebody else has in hand at this moment are passed over; users are locked in one order by all. A claim
/// that comes after one that ended without a word counts as a crash only if an intent filed under that earlier claim has
/// no outcome: then a write may have begun.
const CLAIM: &str = "
    WITH wanted AS MATERIALIZED (
        SELECT e.ordinal, e.snapshot, e.cut_short AND EXISTS (SELECT FROM intent i
                   WHERE i.entra = e.entra AND i.run = e.run AND i.epoch = e.epoch AND i.outcome IS NULL) AS crashed
          FROM entry e
         WHERE e.run = $1 AND e.ordinal = ANY($2) AND e.state = 'waiting'
           AND (e.not_before IS NULL OR e.not_before <= now_ms())
           AND EXISTS (SELECT FROM run WHERE run.no = $1 AND run.state = 'open' AND run.halted IS NULL)
           AND NOT (e.writing AND EXISTS (SELECT FROM entry other
                   WHERE other.entra = e.entra AND other.holds AND other.run <> e.run))
           AND NOT (EXISTS (SELECT FROM seat s WHERE s.entra = e.entra AND s.ended_at IS NULL)
                    AND (SELECT kind FROM run WHERE run.no = $1) = 'rollback')
         ORDER BY e.entra FOR NO KEY UPDATE OF e SKIP LOCKED)
    UPDATE entry e
       SET state = 'claimed', epoch = e.epoch + 1, owner = $3, holds = e.writing, lease_until = now_ms() + $4,
           not_before = NULL, cut_short = false,
           crashes = e.crashes + w.crashed::int, attempts = e.attempts + w.crashed::int
      FROM wanted w
      LEFT JOIN record r ON r.snapshot = w.snapshot AND r.ordinal = w.ordinal
      LEFT JOIN reviewed v ON v.run = $1 AND v.ordinal = w.ordinal
     WHERE e.run = $1 AND e.ordinal = w.ordinal
    RETURNING e.ordinal, e.epoch, e.user_key, e.entra, e.content, e.guest, e.allowed, e.attempts, e.crashes, e.snoozes,
              e.snoozed_ms, coalesce(r.sealed, '') AS record, v.sealed AS reviewed";

pub(super) async fn claim(
    db: &mut PgConnection,
    run: RunId,
    ordinals: &[i64],
    owner: &str,
    lease: Duration,
) -> Result<Vec<Claim>, Fault> {
    let rows = sqlx::query(CLAIM)
        .bind(run.0)
        .bind(ordinals)
        .bind(owner)
        .bind(milliseconds(lease))
        .fetch_all(&mut *db)
        .await?;
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let mut claims = rows.iter().map(decode).collect::<Result<Vec<_>, _>>()?;
    claims.sort_by_key(|claim| claim.ordinal);
    // Asked after the claim and not with it: what the holder before us filed last may be younger than the claim's own
    // view of the tables.
    known::tell(db, run, &mut claims).await?;
    Ok(claims)
}

fn decode(row: &PgRow) -> Result<Claim, Fault> {
    Ok(Claim {
        ordinal: row.value("ordinal")?,
        epoch: row.value("epoch")?,
        user_key: row.user_key("user_key")?,
        user: row.entra("entra")?,
        record: row.sealed("record")?,
        content: row.fingerprint("content")?,
        guest: row.value("guest")?,
        allowed: row.allowed("allowed")?,
        attempts: row.count("attempts")?,
        crashes: row.count("crashes")?,
        snoozes: row.count("snoozes")?,
        snoozed: duration(row.value("snoozed_ms")?),
        intents: Vec::new(),
        pre_images: Vec::new(),
        ours: Vec::new(),
        secrets: Vec::new(),
        inventory: Vec::new(),
        contested: Vec::new(),
        reviewed: row.maybe_sealed("reviewed")?,
    })
}

pub(super) async fn renew(
    db: &mut PgConnection,
    run: RunId,
    held: &[(i64, i64)],
    lease: Duration,
) -> Result<Vec<i64>, Fault> {
    let mut renewed: Vec<i64> = sqlx::query_scalar(
        "WITH held AS MATERIALIZED (
             SELECT e.ordinal, e.epoch FROM entry e
              WHERE e.run = $1 AND e.ordinal = ANY($2) AND e.state = 'claimed'
                AND EXISTS (SELECT FROM run WHERE run.no = $1 AND run.state = 'open')
              ORDER BY e.entra FOR NO KEY UPDATE OF e)
         UPDATE entry e SET lease_until = now_ms() + $4
           FROM held h JOIN unnest($2::bigint[], $3::bigint[]) a (ordinal, epoch)
                ON a.ordinal = h.ordinal AND a.epoch = h.epoch
          WHERE e.run = $1 AND e.ordinal = h.ordinal
         RETURNING e.ordinal",
    )
    .bind(run.0)
    .bind(held.iter().map(|(ordinal, _)| *ordinal).collect::<Vec<_>>())
    .bind(held.iter().map(|(_, epoch)| *epoch).collect::<Vec<_>>())
    .bind(milliseconds(lease))
    .fetch_all(db)
    .await?;
    renewed.sort_unstable();
    Ok(renewed)
}
