//! Batches, their users, and what was done and decided.
//!
//! The users of a batch are fixed once it is frozen: nothing here adds one later or takes one away.

use super::decode::Columns;
use super::fault::Fault;
use crate::{Batch, Error, Event, Member, NewBatch};
use contract::RunId;
use sqlx::PgConnection;
use sqlx::postgres::PgRow;

/// Everybody's batch: it has no row.
pub(super) const ALL: &str = "all";

const BATCH: &str = "SELECT b.*, s.id AS snapshot_id,
       (SELECT count(*) FROM batch_member m WHERE m.batch = b.name) AS users,
       (SELECT count(*) FROM batch_member m WHERE m.batch = b.name AND NOT m.matched) AS unmatched
  FROM batch b JOIN snapshot s ON s.no = b.snapshot";

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
    Fault::Ours(Error::NoBatch { name: name.to_owned() })
}

/// Whether a batch is there; `None` where it is not.
async fn is_frozen(db: &mut PgConnection, name: &str) -> Result<Option<bool>, Fault> {
    Ok(sqlx::query_scalar("SELECT frozen FROM batch WHERE name = $1").bind(name).fetch_optional(db).await?)
}

/// A run is of everybody, or of a batch that is frozen.
pub(super) async fn must_be_frozen(db: &mut PgConnection, name: &str) -> Result<(), Fault> {
    if name == ALL || is_frozen(db, name).await? == Some(true) { Ok(()) } else { Err(no_batch(name)) }
}

pub(super) async fn create(db: &mut PgConnection, batch: &NewBatch) -> Result<(), Fault> {
    let taken = || Fault::Ours(Error::BatchExists { name: batch.name.clone() });
    if batch.name == ALL {
        return Err(taken());
    }
    let snapshot: i64 = sqlx::query_scalar("SELECT no FROM snapshot WHERE id = $1 AND manifest IS NOT NULL")
        .bind(&batch.snapshot.0)
        .fetch_optional(&mut *db)
        .await?
        .ok_or_else(|| Fault::no_snapshot(&batch.snapshot))?;
    // The row is written over and not replaced: whoever fixes this batch or adds to it at the moment is waited for. Else
    // one that was just fixed would be taken away, or users of its first making would stay in the second.
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
        return Err(taken());
    }
    sqlx::query("DELETE FROM batch_member WHERE batch = $1").bind(&batch.name).execute(db).await?;
    Ok(())
}

pub(super) async fn add_members(db: &mut PgConnection, batch: &str, members: &[Member]) -> Result<(), Fault> {
    let frozen = sqlx::query_scalar("SELECT frozen FROM batch WHERE name = $1 FOR SHARE")
        .bind(batch)
        .fetch_optional(&mut *db)
        .await?;
    match frozen {
        Some(false) => {}
        Some(true) => return Err(Error::BatchExists { name: batch.to_owned() }.into()),
        None => return Err(no_batch(batch)),
    }
    sqlx::query(
        "INSERT INTO batch_member (batch, user_key, matched)
         SELECT $1, m.user_key, m.matched FROM unnest($2::bytea[], $3::boolean[]) m (user_key, matched)
             ON CONFLICT DO NOTHING",
    )
    .bind(batch)
    .bind(members.iter().map(|member| member.user.0.0.as_slice()).collect::<Vec<_>>())
    .bind(members.iter().map(|member| member.matched).collect::<Vec<_>>())
    .execute(db)
    .await?;
    Ok(())
}

pub(super) async fn freeze(db: &mut PgConnection, batch: &str) -> Result<(), Fault> {
    let done = sqlx::query("UPDATE batch SET frozen = true WHERE name = $1").bind(batch).execute(db).await?;
    if done.rows_affected() == 1 { Ok(()) } else { Err(no_batch(batch)) }
}

pub(super) async fn find(db: &mut PgConnection, name: &str) -> Result<Option<Batch>, Fault> {
    let row = sqlx::query(sqlx::AssertSqlSafe(format!("{BATCH} WHERE b.name = $1")))
        .bind(name)
        .fetch_optional(db)
        .await?;
    row.as_ref().map(decode).transpose()
}

pub(super) async fn every(db: &mut PgConnection) -> Result<Vec<Batch>, Fault> {
    let rows = sqlx::query(sqlx::AssertSqlSafe(format!("{BATCH} ORDER BY b.name"))).fetch_all(db).await?;
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

pub(super) async fn set(
    db: &mut PgConnection,
    batch: &str,
    was: &str,
    settings: &str,
) -> Result<bool, Fault> {
    let done = sqlx::query("UPDATE batch SET settings = $3 WHERE name = $1 AND settings = $2")
        .bind(batch)
        .bind(was)
        .bind(settings)
        .execute(&mut *db)
        .await?;
    if done.rows_affected() == 1 {
        return Ok(true);
    }
    let there: Option<i64> = sqlx::query_scalar("SELECT 1::bigint FROM batch WHERE name = $1")
        .bind(batch)
        .fetch_optional(db)
        .await?;
    if there.is_some() { Ok(false) } else { Err(no_batch(batch)) }
}

pub(super) async fn record_event(db: &mut PgConnection, event: &Event) -> Result<(), Fault> {
    sqlx::query(
        "INSERT INTO event (at_ms, by_whom, batch, run, what, why)
         VALUES (now_ms(), $1, $2, $3, $4, $5)",
    )
    .bind(&event.by)
    .bind(&event.batch)
    .bind(event.run.map(|run| run.0))
    .bind(&event.what)
    .bind(&event.why)
    .execute(&mut *db)
    .await?;
    super::journal::append(db, event.run, "event", &event.as_json()).await
}

pub(super) async fn events(
    db: &mut PgConnection,
    batch: Option<&str>,
    limit: u32,
) -> Result<Vec<Event>, Fault> {
    let rows = sqlx::query(
        "SELECT at_ms, by_whom, batch, run, what, why FROM event
          WHERE $1::text IS NULL OR batch = $1 ORDER BY no DESC LIMIT $2",
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
