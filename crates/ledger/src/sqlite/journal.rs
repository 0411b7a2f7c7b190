//! The journal of changes: lines in one chain, appended in the transaction that files what they tell.

use super::decode::Columns;
use super::fault::Fault;
use contract::{JournalDigest, JournalLine, RunId};
use sqlx::SqliteConnection;

/// Appends a line. There is one writer a file, so nobody else reads the same head.
pub(super) async fn append(
    db: &mut SqliteConnection,
    run: Option<RunId>,
    what: &str,
    content: String,
) -> Result<(), Fault> {
    let (no, before) = head(db).await?;
    let before = JournalDigest::try_from(before).map_err(|_| Fault::Column("digest"))?;
    let at_ms: i64 = sqlx::query_scalar("SELECT now_ms FROM clock").fetch_one(&mut *db).await?;
    let mut line = JournalLine {
        no: no + 1,
        at_ms,
        run: run.map(|run| run.0),
        what: what.to_owned(),
        content,
        digest: Vec::new(),
    };
    line.digest = line.digest_after(&before).to_vec();
    sqlx::query(
        "INSERT INTO journal (no, at_ms, run, what, content, digest) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )
    .bind(line.no)
    .bind(line.at_ms)
    .bind(line.run)
    .bind(&line.what)
    .bind(&line.content)
    .bind(&line.digest)
    .execute(&mut *db)
    .await?;
    sqlx::query("UPDATE journal_head SET no = ?1, digest = ?2")
        .bind(line.no)
        .bind(&line.digest)
        .execute(db)
        .await?;
    Ok(())
}

pub(super) async fn head(db: &mut SqliteConnection) -> Result<(i64, Vec<u8>), Fault> {
    let row = sqlx::query("SELECT no, digest FROM journal_head").fetch_one(db).await?;
    Ok((row.value("no")?, row.value("digest")?))
}

pub(super) async fn lines(
    db: &mut SqliteConnection,
    after: i64,
    limit: u32,
) -> Result<Vec<JournalLine>, Fault> {
    let rows = sqlx::query(
        "SELECT no, at_ms, run, what, content, digest FROM journal WHERE no > ?1 ORDER BY no LIMIT ?2",
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
