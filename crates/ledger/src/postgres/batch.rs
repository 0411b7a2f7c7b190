//! Batches, their users, and what was done and decided.
//!
//! The users of a batch are fixed once it is frozen: nothing here adds one later or takes one away. Whoever changes them
//! holds the batch's row, so that two processes which make the same batch come one after the other.

use super::decode::Columns;
use super::fault::Fault;
use crate::{Batch, Error, Event, Member, NewBatch};
use contract::RunId;
use sqlx::PgConnection;
use sqlx::postgres::PgRow;
use std::collections::BTreeMap;

/// Everybody's batch: it has no row.
const ALL: &str = "all";

/// `$1` null: every batch.
const BATCHES: &str = "
    SELECT b.*, s.id AS snapshot_id, m.users, m.unmatched
      FROM batch b
      JOIN snapshot s ON s.no = b.snapshot
     CROSS JOIN LATERAL (SELECT count(*) AS users, count(*) FILTER (WHERE NOT matched) AS unmatched
                           FROM batch_member WHERE batch = b.name) m
     WHERE $1 IS NULL OR b.name = $1 ORDER BY b.name";

fn decode(row: &PgRow) -> Result<Batch, Fault> {
    Ok(Batch {
        made: NewBatch {
            name: row.value("name")?,
            snapshot: row.snapshot("snapshot_id")?,
            selector: row.value("selector")?,
            settings: row.value("settings")?,
            by: row.value("made_by")?,
        },
        made_at_ms: row.value("made_at")?,
        frozen: row.value("frozen")?,
        users: row.count("users")?,
        unmatched: row.count("unmatched")?,
    })
}

fn no_batch(name: &str) -> Fault {
    Error::NoBatch { name: name.to_owned() }.into()
}

fn taken(name: &str) -> Fault {
    Error::BatchExists { name: name.to_owned() }.into()
}

/// A run is of everybody, or of a batch that is frozen.
pub(super) async fn must_be_frozen(db: &mut PgConnection, name: &str) -> Result<(), Fault> {
    if name == ALL {
        return Ok(());
    }
    let is_frozen: Option<bool> =
        sqlx::query_scalar("SELECT frozen FROM batch WHERE name = $1").bind(name).fetch_optional(db).await?;
    if is_frozen == Some(true) { Ok(()) } else { Err(no_batch(name)) }
}

pub(super) async fn create(db: &mut PgConnection, batch: &NewBatch) -> Result<(), Fault> {
    if batch.name == ALL {
        return Err(taken(ALL));
    }
    let snapshot: i64 = sqlx::query_scalar("SELECT no FROM snapshot WHERE id = $1 AND manifest IS NOT NULL")
        .bind(&batch.snapshot.0)
        .fetch_optional(&mut *db)
        .await?
        .ok_or_else(|| Fault::no_snapshot(&batch.snapshot))?;
    let begun = sqlx::query(
        "INSERT INTO batch AS b (name, snapshot, selector, settings, made_by, made_at)
         VALUES ($1, $2, $3, $4, $5, now_ms())
             ON CONFLICT (name) DO UPDATE SET snapshot = excluded.snapshot, selector = excluded.selector,
                settings = excluded.settings, made_by = excluded.made_by, made_at = excluded.made_at
          WHERE NOT b.frozen",
    )
    .bind(&batch.name)
    .bind(snapshot)
    .bind(&batch.selector)
    .bind(&batch.settings)
    .bind(&batch.by)
    .execute(&mut *db)
    .await?;
    if begun.rows_affected() == 0 {
        return Err(taken(&batch.name));
    }
    sqlx::query("DELETE FROM batch_member WHERE batch = $1").bind(&batch.name).execute(db).await?;
    Ok(())
}

pub(super) async fn add_members(
    db: &mut PgConnection,
    batch: &str,
    members: &[Member],
) -> Result<(), Fault> {
    let is_frozen: Option<bool> =
        sqlx::query_scalar("SELECT frozen FROM batch WHERE name = $1 FOR NO KEY UPDATE")
            .bind(batch)
            .fetch_optional(&mut *db)
            .await?;
    match is_frozen {
        Some(false) => {}
        Some(true) => return Err(taken(batch)),
        None => return Err(no_batch(batch)),
    }
    // Of a user who is named twice, the first one counts, as it would in two calls.
    let mut users = BTreeMap::new();
    for member in members {
        users.entry(member.user.0.0.to_vec()).or_insert(member.matched);
    }
    let (keys, matched): (Vec<_>, Vec<_>) = users.into_iter().unzip();
    sqlx::query(
        "INSERT INTO batch_member (batch, user_key, matched)
         SELECT $1, a.user_key, a.matched FROM unnest($2::bytea[], $3::boolean[]) a (user_key, matched)
             ON CONFLICT DO NOTHING",
    )
    .bind(batch)
    .bind(keys)
    .bind(matched)
    .execute(db)
    .await?;
    Ok(())
}

pub(super) async fn freeze(db: &mut PgConnection, batch: &str) -> Result<(), Fault> {
    let done =
        sqlx::query("UPDATE batch SET frozen = true WHERE name = $1").bind(batch).execute(db).await?;
    if done.rows_affected() == 1 { Ok(()) } else { Err(no_batch(batch)) }
}

pub(super) async fn find(db: &mut PgConnection, name: &str) -> Result<Option<Batch>, Fault> {
    sqlx::query(BATCHES).bind(name).fetch_optional(db).await?.as_ref().map(decode).transpose()
}

pub(super) async fn every(db: &mut PgConnection) -> Result<Vec<Batch>, Fault> {
    let rows = sqlx::query(BATCHES).bind(None::<&str>).fetch_all(db).await?;
    rows.iter().map(decode).collect()
}

pub(super) async fn overlaps(db: &mut PgConnection, batch: &str) -> Result<Vec<(String, u64)>, Fault> {
    let rows = sqlx::query(
        "SELECT other.batch AS name, count(*) AS users
           FROM batch_member mine JOIN batch_member other ON other.user_key = mine.user_key
           JOIN batch b ON b.name = other.batch
          WHERE mine.batch = $1 AND other.batch <> $1 AND b.frozen GROUP BY other.batch ORDER BY other.batch",
    )
    .bind(batch)
    .fetch_all(db)
    .await?;
    rows.iter().map(|row| Ok((row.value("name")?, row.count("users")?))).collect()
}

pub(super) async fn set(db: &mut PgConnection, batch: &str, settings: &str) -> Result<(), Fault> {
    let done = sqlx::query("UPDATE batch SET settings = $2 WHERE name = $1")
        .bind(batch)
        .bind(settings)
        .execute(db)
        .await?;
    if done.rows_affected() == 1 { Ok(()) } else { Err(no_batch(batch)) }
}

pub(super) async fn record_event(db: &mut PgConnection, event: &Event) -> Result<(), Fault> {
    sqlx::query(
        "INSERT INTO event (at_ms, by_whom, batch, run, what, why) VALUES (now_ms(), $1, $2, $3, $4, $5)",
    )
    .bind(&event.by)
    .bind(&event.batch)
    .bind(event.run.map(|run| run.0))
    .bind(&event.what)
    .bind(&event.why)
    .execute(db)
    .await?;
    Ok(())
}

pub(super) async fn events(
    db: &mut PgConnection,
    batch: Option<&str>,
    limit: u32,
) -> Result<Vec<Event>, Fault> {
    let rows = sqlx::query(
        "SELECT at_ms, by_whom, batch, run, what, why FROM event
          WHERE $1 IS NULL OR batch = $1 ORDER BY no DESC LIMIT $2",
    )
    .bind(batch)
    .bind(i64::from(limit))
    .fetch_all(db)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(Event {
                at_ms: row.value("at_ms")?,
                by: row.value("by_whom")?,
                batch: row.value("batch")?,
                run: row.value::<Option<i64>>("run")?.map(RunId),
                what: row.value("what")?,
                why: row.value("why")?,
            })
        })
        .collect()
}
