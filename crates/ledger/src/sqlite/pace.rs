//! The pace: what was learned of the tenant, and the row a bucket that everybody who calls it shares.
//!
//! What a row holds is the pacer's affair; here it is only kept, one step after the other.

use super::fault::Fault;
use crate::PaceStep;
use sqlx::SqliteConnection;

/// The database's time in seconds since 1970.
const NOW_SECONDS: &str = "SELECT now_ms / 1000.0 FROM clock";

pub(super) async fn learned_rates(db: &mut SqliteConnection) -> Result<Vec<(String, f64)>, Fault> {
    Ok(sqlx::query_as("SELECT bucket, rate FROM learned_rate ORDER BY bucket").fetch_all(db).await?)
}

pub(super) async fn keep_rates(db: &mut SqliteConnection, rates: &[(String, f64)]) -> Result<(), Fault> {
    for (bucket, rate) in rates {
        sqlx::query("INSERT INTO learned_rate (bucket, rate) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET rate = excluded.rate")
            .bind(bucket)
            .bind(rate)
            .execute(&mut *db)
            .await?;
    }
    Ok(())
}

pub(super) async fn step(db: &mut SqliteConnection, bucket: &str, step: PaceStep) -> Result<(), Fault> {
    let state: Option<String> = sqlx::query_scalar("SELECT state FROM pace WHERE bucket = ?1")
        .bind(bucket)
        .fetch_optional(&mut *db)
        .await?;
    let now: f64 = sqlx::query_scalar(NOW_SECONDS).fetch_one(&mut *db).await?;
    let next = step(state.as_deref(), now);
    sqlx::query(
        "INSERT INTO pace (bucket, state) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET state = excluded.state",
    )
    .bind(bucket)
    .bind(next)
    .execute(db)
    .await?;
    Ok(())
}

pub(super) async fn all(db: &mut SqliteConnection) -> Result<(Vec<(String, String)>, f64), Fault> {
    let rows = sqlx::query_as("SELECT bucket, state FROM pace ORDER BY bucket").fetch_all(&mut *db).await?;
    Ok((rows, sqlx::query_scalar(NOW_SECONDS).fetch_one(db).await?))
}
