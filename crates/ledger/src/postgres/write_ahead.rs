//! Write-ahead: pre-images and intents, on file before anything is sent.
//!
//! A pre-image is insert-only; one on which nothing of ours ever stood may be settled, and another filed in its place. A row whose epoch no longer holds files nothing, and neither does its entry.

use super::fault::Fault;
use crate::NewIntent;
use contract::RunId;
use sqlx::PgConnection;
use std::collections::BTreeMap;

/// One statement, in this order: the claims that still hold (the epoch, the user, and a writing run that is open), all
/// of an entry's rows or none; then the time, which must not be that of before a wait for their locks, else an intent
/// looked older than it is; then the rows. What was last applied whole no longer stands once something else is begun
/// (rule U5): a run that is stopped half-way must not leave a user who looks unchanged. A pre-image that is to give way is
/// settled before the one in its place is filed.
const FILE: &str = "
    WITH asked AS MATERIALIZED (
        SELECT * FROM unnest($2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::bytea[], $7::bytea[],
                             $8::boolean[])
                      a (ordinal, epoch, entra, slot, before, value, afresh)),
    locked AS MATERIALIZED (
        SELECT e.ordinal, e.epoch, e.entra FROM entry e
         WHERE e.run = $1 AND e.ordinal = ANY($2) AND e.state = 'claimed' AND e.writing
           AND EXISTS (SELECT FROM run WHERE run.no = $1 AND run.state = 'open')
         ORDER BY e.entra FOR NO KEY UPDATE OF e),
    held AS MATERIALIZED (
        SELECT l.ordinal FROM locked l
         WHERE NOT EXISTS (SELECT FROM asked a
                            WHERE a.ordinal = l.ordinal AND (a.epoch <> l.epoch OR a.entra <> l.entra))),
    filed AS MATERIALIZED (SELECT clock_ms() AS at_ms FROM (SELECT count(*) FROM held) every_lock),
    forgotten AS (
        DELETE FROM applied p USING held h JOIN asked a ON a.ordinal = h.ordinal WHERE p.entra = a.entra),
    outdated AS (
        UPDATE pre_image p SET settled_by = $1 FROM held h JOIN asked a ON a.ordinal = h.ordinal
         WHERE a.afresh AND p.entra = a.entra AND p.slot = a.slot AND p.settled_by IS NULL RETURNING p.no),
    pre_images AS (
        INSERT INTO pre_image (entra, slot, value, run, filed_at)
        SELECT a.entra, a.slot, a.before, $1, f.at_ms
          FROM held h JOIN asked a ON a.ordinal = h.ordinal CROSS JOIN filed f
         CROSS JOIN (SELECT count(*) FROM outdated) first ORDER BY a.entra, a.slot
            ON CONFLICT (entra, slot) WHERE settled_by IS NULL DO NOTHING),
    intents AS (
        INSERT INTO intent (entra, run, slot, epoch, filed_at, value)
        SELECT a.entra, $1, a.slot, a.epoch, f.at_ms, a.value
          FROM held h JOIN asked a ON a.ordinal = h.ordinal CROSS JOIN filed f ORDER BY a.entra, a.slot
            ON CONFLICT (entra, run, slot) DO UPDATE SET epoch = excluded.epoch, filed_at = excluded.filed_at,
               value = excluded.value, outcome = NULL,
               maybe_before = intent.maybe_before OR intent.outcome IS NULL
                   OR intent.outcome NOT IN ('not-sent', 'refused', 'invalid')
                   OR (intent.outcome <> 'not-sent' AND starts_with(intent.slot, 'hardwareOath:')))
    SELECT ordinal FROM held ORDER BY ordinal";

pub(super) async fn file_intents(
    db: &mut PgConnection,
    run: RunId,
    rows: &[NewIntent],
) -> Result<Vec<i64>, Fault> {
    let rows = once_a_slot(rows);
    let filed = sqlx::query_scalar(FILE)
        .bind(run.0)
        .bind(rows.iter().map(|row| row.last.ordinal).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.last.epoch).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.last.user.0.as_str()).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.last.slot.as_str()).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.first.pre_image.as_ref().map(|v| v.0.as_slice())).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.last.to.as_ref().map(|v| v.0.as_slice())).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.first.afresh).collect::<Vec<_>>())
        .fetch_all(db)
        .await?;
    Ok(filed)
}

/// A slot that is named twice: the first value before counts, and the last one to write.
struct Slot<'r> {
    first: &'r NewIntent,
    last: &'r NewIntent,
}

fn once_a_slot(rows: &[NewIntent]) -> Vec<Slot<'_>> {
    let mut slots: BTreeMap<(i64, i64, &str, &str), Slot<'_>> = BTreeMap::new();
    for row in rows {
        slots
            .entry((row.ordinal, row.epoch, &row.user.0, &row.slot))
            .and_modify(|slot| slot.last = row)
            .or_insert(Slot { first: row, last: row });
    }
    slots.into_values().collect()
}
