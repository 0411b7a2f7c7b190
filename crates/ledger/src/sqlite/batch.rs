//! Batches, their users, and what was done and decided.
//!
//! The users of a batch are fixed once it is frozen: nothing here adds one later or takes one away.

use super::decode::{Columns, json};
use super::fault::Fault;
use crate::{Batch, Error, Event, Member, NewBatch};
use contract::RunId;
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

/// Everybody's batch: it has no row.
pub(super) const ALL: &str = "all";

const BATCH: &str = "SELECT b.*, s.id AS snapshot_id,
       (SELECT count(*) FROM batch_member m WHERE m.batch = b.name) AS users,
       (SELECT count(*) FROM batch_member m WHERE m.batch = b.name AND NOT m.matched) AS unmatched
  FROM batch b JOIN snapshot s ON s.no = b.snapshot";

fn decode(row: &SqliteRow) -> Result<Batch, Fault> {
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
    Fault::Ours(Error::NoBatch { name: name.to_owned() })
}

/// Whether a batch is there; `None` where it is not.
async fn is_frozen(db: &mut SqliteConnection, name: &str) -> Result<Option<bool>, Fault> {
    Ok(sqlx::query_scalar("SELECT frozen FROM batch WHERE name = ?1").bind(name).fetch_optional(db).await?)
}

/// A run is of everybody, or of a batch that is frozen.
pub(super) async fn must_be_frozen(db: &mut SqliteConnection, name: &str) -> Result<(), Fault> {
    if name == ALL || is_frozen(db, name).await? == Some(true) { Ok(()) } else { Err(no_batch(name)) }
}

pub(super) async fn create(db: &mut SqliteConnection, batch: &NewBatch) -> Result<(), Fault> {
    if batch.name == ALL || is_frozen(db, &batch.name).await? == Some(true) {
        return Err(Error::BatchExists { name: batch.name.clone() }.into());
    }
    let snapshot: i64 = sqlx::query_scalar("SELECT no FROM snapshot WHERE id = ?1 AND manifest IS NOT NULL")
        .bind(&batch.snapshot.0)
        .fetch_optional(&mut *db)
        .await?
        .ok_or_else(|| Fault::no_snapshot(&batch.snapshot))?;
    for statement in ["DELETE FROM batch_member WHERE batch = ?1", "DELETE FROM batch WHERE name = ?1"] {
        sqlx::query(statement).bind(&batch.name).execute(&mut *db).await?;
    }
    sqlx::query(
        "INSERT INTO batch (name, snapshot, selector, settings, made_by, made_at)
         VALUES (?1, ?2, ?3, ?4, ?5, (SELECT now_ms FROM clock))",
    )
    .bind(&batch.name)
    .bind(snapshot)
    .bind(&batch.selector)
    .bind(&batch.settings)
    .bind(&batch.by)
    .execute(db)
    .await?;
    Ok(())
}

pub(super) async fn add_members(
    db: &mut SqliteConnection,
    batch: &str,
    members: &[Member],
) -> Result<(), Fault> {
    match is_frozen(db, batch).await? {
        Some(false) => {}
        Some(true) => return Err(Error::BatchExists { name: batch.to_owned() }.into()),
        None => return Err(no_batch(batch)),
    }
    for matched in [false, true] {
        let keys = members.iter().filter(|m| m.matched == matched).map(|m| m.user.0.to_hex());
        sqlx::query(
            "INSERT OR IGNORE INTO batch_member (batch, user_key, matched)
             SELECT ?1, unhex(value), ?3 FROM json_each(?2)",
        )
        .bind(batch)
        .bind(json(keys))
        .bind(matched)
        .execute(&mut *db)
        .await?;
    }
    Ok(())
}

pub(super) async fn freeze(db: &mut SqliteConnection, batch: &str) -> Result<(), Fault> {
    let done = sqlx::query("UPDATE batch SET frozen = 1 WHERE name = ?1").bind(batch).execute(db).await?;
    if done.rows_affected() == 1 { Ok(()) } else { Err(no_batch(batch)) }
}

pub(super) async fn find(db: &mut SqliteConnection, name: &str) -> Result<Option<Batch>, Fault> {
    let row = sqlx::query(sqlx::AssertSqlSafe(format!("{BATCH} WHERE b.name = ?1")))
        .bind(name)
        .fetch_optional(db)
        .await?;
    row.as_ref().map(decode).transpose()
}

pub(super) async fn every(db: &mut SqliteConnection) -> Result<Vec<Batch>, Fault> {
    let rows = sqlx::query(sqlx::AssertSqlSafe(format!("{BATCH} ORDER BY b.name"))).fetch_all(db).await?;
    rows.iter().map(decode).collect()
}

pub(super) async fn overlaps(db: &mut SqliteConnection, batch: &str) -> Result<Vec<(String, u64)>, Fault> {
    let rows = sqlx::query(
        "SELECT other.batch AS name, count(*) AS users
           FROM batch_member mine JOIN batch_member other ON other.user_key = mine.user_key
           JOIN batch b ON b.name = other.batch
          WHERE mine.batch = ?1 AND other.batch <> ?1 AND b.frozen GROUP BY other.batch ORDER BY other.batch",
    )
    .bind(batch)
    .fetch_all(db)
    .await?;
    rows.iter().map(|row| Ok((row.value("name")?, row.count("users")?))).collect()
}

pub(super) async fn set(
    db: &mut SqliteConnection,
    batch: &str,
    was: &str,
    settings: &str,
) -> Result<bool, Fault> {
    let done = sqlx::query("UPDATE batch SET settings = ?3 WHERE name = ?1 AND settings = ?2")
        .bind(batch)
        .bind(was)
        .bind(settings)
        .execute(&mut *db)
        .await?;
    if done.rows_affected() == 1 {
        return Ok(true);
    }
    let there: Option<i64> =
        sqlx::query_scalar("SELECT 1 FROM batch WHERE name = ?1").bind(batch).fetch_optional(db).await?;
    if there.is_some() { Ok(false) } else { Err(no_batch(batch)) }
}

pub(super) async fn record_event(db: &mut SqliteConnection, event: &Event) -> Result<(), Fault> {
    sqlx::query(
        "INSERT INTO event (at_ms, by_whom, batch, run, what, why)
         VALUES ((SELECT now_ms FROM clock), ?1, ?2, ?3, ?4, ?5)",
    )
    .bind(&event.by)
    .bind(&event.batch)
    .bind(event.run.map(|run| run.0))
    .bind(&event.what)
    .bind(&event.why)
    .execute(&mut *db)
    .await?;
    super::journal::append(db, event.run, "event", event.as_json()).await
}

pub(super) async fn events(
    db: &mut SqliteConnection,
    batch: Option<&str>,
    limit: u32,
) -> Result<Vec<Event>, Fault> {
    let rows = sqlx::query(
        "SELECT at_ms, by_whom, batch, run, what, why FROM event
          WHERE ?1 IS NULL OR batch = ?1 ORDER BY no DESC LIMIT ?2",
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
