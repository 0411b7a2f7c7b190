//! Looking: counts, checkpoints, results and a user's history. All of it from the rows, nothing kept beside them.

use super::decode::{self, Columns};
use super::fault::Fault;
use crate::{Checkpoint, Counts, Error, ResultRow, UserHistory};
use contract::{EntraId, EntryState, Fingerprint, RunId, UserKey};
use sqlx::PgConnection;
use sqlx::postgres::PgRow;
use std::collections::{BTreeMap, BTreeSet};

fn every_state() -> Counts {
    EntryState::ALL.iter().map(|state| (*state, 0)).collect()
}

pub(super) async fn counts(db: &mut PgConnection, run: RunId) -> Result<Counts, Fault> {
    let rows = sqlx::query("SELECT state, count(*) AS entries FROM entry WHERE run = $1 GROUP BY state")
        .bind(run.0)
        .fetch_all(db)
        .await?;
    let mut counts = every_state();
    for row in &rows {
        counts.insert(row.entry_state("state")?, row.count("entries")?);
    }
    Ok(counts)
}

/// The methods that some write of the run was applied to, by the word in front of the slot.
pub(super) async fn proven(db: &mut PgConnection, run: RunId) -> Result<Vec<String>, Fault> {
    let words = sqlx::query_scalar(
        "SELECT DISTINCT split_part(slot, ':', 1) FROM intent
          WHERE run = $1 AND outcome = 'applied'",
    )
    .bind(run.0)
    .fetch_all(db)
    .await?;
    Ok(words)
}

/// Combinations of words are few, users are many: the database groups, and the words are told apart here.
pub(super) async fn code_counts(db: &mut PgConnection, run: RunId) -> Result<Vec<(String, u64)>, Fault> {
    let rows = sqlx::query(
        "SELECT codes, count(*) AS entries FROM entry WHERE run = $1 AND codes <> '' GROUP BY codes",
    )
    .bind(run.0)
    .fetch_all(db)
    .await?;
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for row in &rows {
        let codes: &str = row.value("codes")?;
        let entries: u64 = row.count("entries")?;
        for code in codes.split_ascii_whitespace().collect::<BTreeSet<_>>() {
            let count = counts.entry(code.to_owned()).or_default();
            *count = count.saturating_add(entries);
        }
    }
    Ok(counts.into_iter().collect())
}

pub(super) async fn checkpoint(
    db: &mut PgConnection,
    run: RunId,
    step: &str,
    page: u32,
) -> Result<Checkpoint, Fault> {
    let row = sqlx::query(
        "INSERT INTO checkpoint (run, step, page, counts, at_ms)
         SELECT run.no, $2, $3,
                (SELECT coalesce(json_object_agg(state, entries), '{}')::text
                   FROM (SELECT state, count(*) AS entries FROM entry WHERE run = $1 GROUP BY state) s),
                now_ms()
           FROM run WHERE run.no = $1
             ON CONFLICT (run, step, page)
                DO UPDATE SET no = DEFAULT, counts = excluded.counts, at_ms = excluded.at_ms
         RETURNING step, page, counts, at_ms",
    )
    .bind(run.0)
    .bind(step)
    .bind(i64::from(page))
    .fetch_optional(db)
    .await?
    .ok_or(Fault::Ours(Error::NoRun { run }))?;
    decode_checkpoint(&row)
}

pub(super) async fn checkpoints(db: &mut PgConnection, run: RunId) -> Result<Vec<Checkpoint>, Fault> {
    let rows = sqlx::query("SELECT step, page, counts, at_ms FROM checkpoint WHERE run = $1 ORDER BY no")
        .bind(run.0)
        .fetch_all(db)
        .await?;
    rows.iter().map(decode_checkpoint).collect()
}

fn decode_checkpoint(row: &PgRow) -> Result<Checkpoint, Fault> {
    let stored: BTreeMap<String, u64> =
        serde_json::from_str(row.value("counts")?).map_err(|_| Fault::Column("counts"))?;
    let mut counts = every_state();
    for (word, entries) in stored {
        counts.insert(EntryState::parse(&word).ok_or(Fault::Column("counts"))?, entries);
    }
    Ok(Checkpoint { step: row.value("step")?, page: row.count("page")?, counts, at_ms: row.value("at_ms")? })
}

pub(super) async fn results(
    db: &mut PgConnection,
    run: RunId,
    after: i64,
    limit: u32,
) -> Result<Vec<ResultRow>, Fault> {
    let rows = sqlx::query(
        "SELECT e.*, s.id AS snapshot_id, coalesce(r.sealed, '') AS record
           FROM entry e
           LEFT JOIN record r ON r.snapshot = e.snapshot AND r.ordinal = e.ordinal
           JOIN snapshot s ON s.no = e.snapshot
          WHERE e.run = $1 AND e.ordinal > $2 ORDER BY e.ordinal LIMIT $3",
    )
    .bind(run.0)
    .bind(after)
    .bind(i64::from(limit))
    .fetch_all(db)
    .await?;
    rows.iter().map(decode_result).collect()
}

pub(super) fn decode_result(row: &PgRow) -> Result<ResultRow, Fault> {
    Ok(ResultRow {
        run: row.run("run")?,
        ordinal: row.value("ordinal")?,
        snapshot: row.snapshot("snapshot_id")?,
        state: row.entry_state("state")?,
        outcome: row.maybe_outcome("outcome")?,
        user: row.value::<Option<String>>("entra")?.map(EntraId),
        directory: row.maybe_sealed("directory")?,
        matched_by: row.maybe_stage("matched_by")?,
        codes: row.value("codes")?,
        result: row.maybe_sealed("result")?,
        record: row.sealed("record")?,
        settled_at_ms: row.value("settled_at")?,
        forgotten: row.value("forgotten")?,
    })
}

pub(super) async fn user_history(db: &mut PgConnection, key: UserKey) -> Result<UserHistory, Fault> {
    let rows = sqlx::query(
        "SELECT e.*, s.id AS snapshot_id, coalesce(r.sealed, '') AS record
           FROM entry e
           LEFT JOIN record r ON r.snapshot = e.snapshot AND r.ordinal = e.ordinal
           JOIN snapshot s ON s.no = e.snapshot
          WHERE e.user_key = $1 ORDER BY e.run DESC, e.ordinal",
    )
    .bind(key.0.0.to_vec())
    .fetch_all(&mut *db)
    .await?;
    let entries = rows.iter().map(decode_result).collect::<Result<Vec<_>, _>>()?;
    let users: BTreeSet<&str> =
        entries.iter().filter_map(|entry| entry.user.as_ref()).map(|user| user.0.as_str()).collect();
    let users: Vec<&str> = users.into_iter().collect();
    let pre_images = sqlx::query(
        "SELECT entra, slot, value, run, filed_at, maybe_landed FROM standing
          WHERE entra = ANY($1) ORDER BY entra, slot",
    )
    .bind(&users)
    .fetch_all(&mut *db)
    .await?;
    let pre_images = pre_images
        .iter()
        .map(|row| Ok((row.entra("entra")?, decode::pre_image(row)?)))
        .collect::<Result<_, Fault>>()?;
    let intents = sqlx::query(
        "SELECT entra, run, slot, value, outcome, filed_at, now_ms() - filed_at AS age FROM intent
          WHERE entra = ANY($1) ORDER BY filed_at, run, slot",
    )
    .bind(&users)
    .fetch_all(&mut *db)
    .await?;
    let intents = intents
        .iter()
        .map(|row| Ok((row.entra("entra")?, decode::intent(row)?)))
        .collect::<Result<_, Fault>>()?;
    let forgotten: Vec<(String, i64)> =
        sqlx::query_as("SELECT entra, at_ms FROM forgotten WHERE entra = ANY($1) ORDER BY entra")
            .bind(&users)
            .fetch_all(db)
            .await?;
    let forgotten = forgotten.into_iter().map(|(user, at_ms)| (EntraId(user), at_ms)).collect();
    Ok(UserHistory { entries, pre_images, intents, forgotten })
}

pub(super) async fn applied_fingerprint(
    db: &mut PgConnection,
    user: &EntraId,
) -> Result<Option<Fingerprint>, Fault> {
    let row = sqlx::query("SELECT fingerprint FROM applied WHERE entra = $1")
        .bind(&user.0)
        .fetch_optional(db)
        .await?;
    row.map(|row| row.fingerprint("fingerprint")).transpose()
}
