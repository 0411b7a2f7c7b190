//! The pace: what was learned of the tenant, and the row a bucket that everybody who calls it shares.
//!
//! What a row holds is the pacer's affair; here it is only kept, one step after the other. The time of a step is read
//! when the row's lock is ours, so that it never goes back from one step to the next.

use super::fault::Fault;
use crate::{Error, PaceStep};
use sqlx::PgConnection;
use std::sync::Mutex;

pub(super) async fn learned_rates(db: &mut PgConnection) -> Result<Vec<(String, f64)>, Fault> {
    Ok(sqlx::query_as("SELECT bucket, rate FROM learned_rate ORDER BY bucket").fetch_all(db).await?)
}

pub(super) async fn keep_rates(db: &mut PgConnection, rates: &[(String, f64)]) -> Result<(), Fault> {
    let rates: std::collections::BTreeMap<&str, f64> =
        rates.iter().map(|(bucket, rate)| (bucket.as_str(), *rate)).collect();
    sqlx::query(
        "INSERT INTO learned_rate (bucket, rate) SELECT * FROM unnest($1::text[], $2::double precision[])
             ON CONFLICT (bucket) DO UPDATE SET rate = excluded.rate",
    )
    .bind(rates.keys().copied().collect::<Vec<_>>())
    .bind(rates.values().copied().collect::<Vec<_>>())
    .execute(db)
    .await?;
    Ok(())
}

/// One step; it is taken from its place, since it cannot be made twice.
pub(super) async fn step(
    db: &mut PgConnection,
    bucket: &str,
    step: &Mutex<Option<PaceStep>>,
) -> Result<(), Fault> {
    let mut row = locked(db, bucket).await?;
    if row.is_none() {
        sqlx::query("INSERT INTO pace (bucket, state) VALUES ($1, '') ON CONFLICT DO NOTHING")
            .bind(bucket)
            .execute(&mut *db)
            .await?;
        row = locked(db, bucket).await?;
    }
    let (state, now) = row.ok_or(Fault::Column("bucket"))?;
    let taken = step.lock().ok().and_then(|mut step| step.take());
    let step = taken.ok_or(Fault::Ours(Error::Stopped { operation: "sharing the pace" }))?;
    let next = step(Some(state.as_str()).filter(|state| !state.is_empty()), now);
    sqlx::query("UPDATE pace SET state = $2 WHERE bucket = $1").bind(bucket).bind(next).execute(db).await?;
    Ok(())
}

/// What is on file of a bucket, empty at first, and the time; nobody else steps until the transaction ends.
async fn locked(db: &mut PgConnection, bucket: &str) -> Result<Option<(String, f64)>, Fault> {
    let row = sqlx::query_as(
        "WITH locked AS MATERIALIZED (SELECT state FROM pace WHERE bucket = $1 FOR UPDATE)
         SELECT state, extract(epoch FROM clock_timestamp())::double precision FROM locked",
    )
    .bind(bucket)
    .fetch_optional(db)
    .await?;
    Ok(row)
}

pub(super) async fn all(db: &mut PgConnection) -> Result<(Vec<(String, String)>, f64), Fault> {
    let rows = sqlx::query_as("SELECT bucket, state FROM pace WHERE state <> '' ORDER BY bucket")
        .fetch_all(&mut *db)
        .await?;
    let now = sqlx::query_scalar("SELECT extract(epoch FROM clock_timestamp())::double precision")
        .fetch_one(db)
        .await?;
    Ok((rows, now))
}
