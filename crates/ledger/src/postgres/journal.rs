//! The journal of changes: lines in one chain, appended in the transaction that files what they tell.

use super::decode::Columns;
use super::fault::Fault;
use contract::{JournalLine, RunId};
use sqlx::PgConnection;

/// Appends a line. Whoever does holds the head until the transaction ends: nothing slow may come after it.
pub(super) async fn append(
    db: &mut PgConnection,
    run: Option<RunId>,
    what: &str,
    content: &str,
) -> Result<(), Fault> {
    sqlx::query("SELECT journal_append($1, $2, $3)")
        .bind(run.map(|run| run.0))
        .bind(what)
        .bind(content)
        .execute(db)
        .await?;
    Ok(())
}

pub(super) async fn head(db: &mut PgConnection) -> Result<(i64, Vec<u8>), Fault> {
    let row = sqlx::query("SELECT no, digest FROM journal_head").fetch_one(db).await?;
    Ok((row.value("no")?, row.value("digest")?))
}

pub(super) async fn lines(db: &mut PgConnection, after: i64, limit: u32) -> Result<Vec<JournalLine>, Fault> {
    let rows = sqlx::query(
        "SELECT no, at_ms, run, what, content, digest FROM journal WHERE no > $1 ORDER BY no LIMIT $2",
    )
    .bind(after)
    .bind(i64::from(limit))
    .fetch_all(db)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(JournalLine {
                no: row.value("no")?,
                at_ms: row.value("at_ms")?,
                run: row.value("run")?,
                what: row.value("what")?,
                content: row.value("content")?,
                digest: row.value("digest")?,
            })
        })
        .collect()
}
