//! Snapshots: their records, their rejects, and the count that makes them complete.
//!
//! A row that is there already is never changed, so filing a page twice (a crash in between) is harmless.

use super::decode::Columns;
use super::fault::Fault;
use crate::filing::{MESSAGE, OnFile};
use crate::{FiledRecord, SnapshotFiling};
use contract::{Reject, RejectCode, Sealed, SnapshotId, SnapshotManifest};
use sqlx::PgConnection;

pub(super) async fn keep(db: &mut PgConnection, name: &str, candidate: &Sealed) -> Result<Sealed, Fault> {
    sqlx::query("INSERT INTO kept (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING")
        .bind(name)
        .bind(candidate.0.as_slice())
        .execute(&mut *db)
        .await?;
    let value = sqlx::query_scalar("SELECT value FROM kept WHERE name = $1").bind(name).fetch_one(db).await?;
    Ok(Sealed(value))
}

pub(super) async fn kept(db: &mut PgConnection, name: &str) -> Result<Option<Sealed>, Fault> {
    let value =
        sqlx::query_scalar("SELECT value FROM kept WHERE name = $1").bind(name).fetch_optional(db).await?;
    Ok(value.map(Sealed))
}

pub(super) async fn begin(db: &mut PgConnection, id: &SnapshotId) -> Result<SnapshotFiling, Fault> {
    sqlx::query("INSERT INTO snapshot (id) VALUES ($1) ON CONFLICT DO NOTHING")
        .bind(&id.0)
        .execute(&mut *db)
        .await?;
    filing(db, id).await?.ok_or_else(|| Fault::no_snapshot(id))
}

pub(super) async fn filing(db: &mut PgConnection, id: &SnapshotId) -> Result<Option<SnapshotFiling>, Fault> {
    let row = sqlx::query(
        "SELECT manifest IS NOT NULL AS complete,
                (SELECT count(*) FROM record WHERE snapshot = snapshot.no) AS filed
           FROM snapshot WHERE id = $1",
    )
    .bind(&id.0)
    .fetch_optional(db)
    .await?;
    row.map(|row| Ok(SnapshotFiling { complete: row.value("complete")?, filed: row.count("filed")? }))
        .transpose()
}

/// The number of a snapshot that rows may still be added to; absent when it is complete. It cannot be completed
/// before the transaction ends, so that no row comes after the count.
async fn open_number(db: &mut PgConnection, id: &SnapshotId) -> Result<Option<i64>, Fault> {
    let row = sqlx::query("SELECT no, manifest IS NULL AS open FROM snapshot WHERE id = $1 FOR SHARE")
        .bind(&id.0)
        .fetch_optional(db)
        .await?
        .ok_or_else(|| Fault::no_snapshot(id))?;
    Ok(if row.value("open")? { Some(row.value("no")?) } else { None })
}

/// Records as columns, for one statement.
#[derive(Default)]
struct Records<'r> {
    ordinals: Vec<i64>,
    enabled: Vec<bool>,
    user_keys: Vec<&'r [u8]>,
    contents: Vec<&'r [u8]>,
    keys: [Vec<Option<&'r [u8]>>; 6],
    sealed: Vec<&'r [u8]>,
    serials: Vec<&'r [u8]>,
    claimants: Vec<i64>,
}

impl<'r> Records<'r> {
    fn of(rows: &'r [FiledRecord]) -> Self {
        let mut columns = Self::default();
        for row in rows {
            columns.ordinals.push(row.ordinal);
            columns.enabled.push(row.enabled);
            columns.user_keys.push(&row.user_key.0.0);
            columns.contents.push(&row.content.0);
            columns.sealed.push(&row.sealed.0);
            for (column, key) in columns.keys.iter_mut().zip(&row.keys) {
                column.push(key.as_ref().map(|key| key.0.as_slice()));
            }
            for serial in &row.serials {
                columns.serials.push(&serial.0);
                columns.claimants.push(row.ordinal);
            }
        }
        columns
    }
}

/// A page of records: their snapshot, then what `Records` holds. What is there already is an error.
const NEW_RECORDS: &str = "WITH records AS (
        INSERT INTO record (snapshot, ordinal, enabled, user_key, content,
                            key_0, key_1, key_2, key_3, key_4, key_5, sealed)
        SELECT $1, r.* FROM unnest($2::bigint[], $3::boolean[], $4::bytea[], $5::bytea[], $6::bytea[], $7::bytea[],
                                   $8::bytea[], $9::bytea[], $10::bytea[], $11::bytea[], $12::bytea[]) r)
    INSERT INTO record_serial (snapshot, serial, ordinal)
    SELECT $1, s.* FROM unnest($13::bytea[], $14::bigint[]) s";

/// The same; what is there already is left.
const RECORDS_AGAIN: &str = "WITH records AS (
        INSERT INTO record (snapshot, ordinal, enabled, user_key, content,
                            key_0, key_1, key_2, key_3, key_4, key_5, sealed)
        SELECT $1, r.* FROM unnest($2::bigint[], $3::boolean[], $4::bytea[], $5::bytea[], $6::bytea[], $7::bytea[],
                                   $8::bytea[], $9::bytea[], $10::bytea[], $11::bytea[], $12::bytea[]) r
            ON CONFLICT DO NOTHING)
    INSERT INTO record_serial (snapshot, serial, ordinal)
    SELECT $1, s.* FROM unnest($13::bytea[], $14::bigint[]) s
        ON CONFLICT DO NOTHING";

/// Files a page of records. Asking of every row whether it is there costs the server a third more, and hardly ever one
/// is: a page that comes again (a crash, a lost connection) is refused whole, and then filed with that question. COPY
/// would be cheaper still, but sqlx 0.9.0 leaves Nagle's delay on: each COPY waits 40 ms for its end to be sent.
pub(super) async fn file_records(
    db: &mut PgConnection,
    id: &SnapshotId,
    rows: &[FiledRecord],
) -> Result<(), Fault> {
    let Some(snapshot) = open_number(db, id).await? else { return Ok(()) };
    sqlx::query("SAVEPOINT page").execute(&mut *db).await?;
    match insert_records(db, NEW_RECORDS, snapshot, rows).await {
        // Unique violation.
        Err(sqlx::Error::Database(error)) if error.is_unique_violation() => {
            sqlx::query("ROLLBACK TO SAVEPOINT page").execute(&mut *db).await?;
            Ok(insert_records(db, RECORDS_AGAIN, snapshot, rows).await?)
        }
        inserted => Ok(inserted?),
    }
}

async fn insert_records(
    db: &mut PgConnection,
    statement: &'static str,
    snapshot: i64,
    rows: &[FiledRecord],
) -> Result<(), sqlx::Error> {
    let columns = Records::of(rows);
    let [key_0, key_1, key_2, key_3, key_4, key_5] = columns.keys;
    sqlx::query(statement)
        .bind(snapshot)
        .bind(columns.ordinals)
        .bind(columns.enabled)
        .bind(columns.user_keys)
        .bind(columns.contents)
        .bind(key_0)
        .bind(key_1)
        .bind(key_2)
        .bind(key_3)
        .bind(key_4)
        .bind(key_5)
        .bind(columns.sealed)
        .bind(columns.serials)
        .bind(columns.claimants)
        .execute(db)
        .await?;
    Ok(())
}

pub(super) async fn file_rejects(
    db: &mut PgConnection,
    id: &SnapshotId,
    rows: &[Reject],
) -> Result<(), Fault> {
    let Some(snapshot) = open_number(db, id).await? else { return Ok(()) };
    sqlx::query(
        "INSERT INTO reject (snapshot, file, line, field, code)
         SELECT $1, r.* FROM unnest($2::text[], $3::bigint[], $4::text[], $5::text[]) r
             ON CONFLICT DO NOTHING",
    )
    .bind(snapshot)
    .bind(rows.iter().map(|row| row.file.as_deref().unwrap_or_default()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| i64::try_from(row.line).unwrap_or(i64::MAX)).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.field.as_str()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.code.as_str()).collect::<Vec<_>>())
    .execute(db)
    .await?;
    Ok(())
}

/// An ordinal whose record is on file came whole another time.
pub(super) async fn file_unreadable(
    db: &mut PgConnection,
    id: &SnapshotId,
    ordinals: &[i64],
) -> Result<(), Fault> {
    let Some(snapshot) = open_number(db, id).await? else { return Ok(()) };
    sqlx::query(
        "INSERT INTO reject (snapshot, file, line, field, code)
         SELECT $1, '', o.ordinal, $3, $4 FROM unnest($2::bigint[]) o (ordinal)
          WHERE NOT EXISTS (SELECT FROM record r WHERE r.snapshot = $1 AND r.ordinal = o.ordinal)
             ON CONFLICT DO NOTHING",
    )
    .bind(snapshot)
    .bind(ordinals)
    .bind(MESSAGE)
    .bind(RejectCode::Unreadable.as_str())
    .execute(db)
    .await?;
    Ok(())
}

pub(super) async fn complete(db: &mut PgConnection, manifest: &SnapshotManifest) -> Result<(), Fault> {
    // Pages that are being filed are waited for, and none comes after.
    sqlx::query("SELECT 1 FROM snapshot WHERE id = $1 FOR NO KEY UPDATE")
        .bind(&manifest.id.0)
        .execute(&mut *db)
        .await?;
    let Some(snapshot) = open_number(db, &manifest.id).await? else { return Ok(()) };
    sqlx::query(
        "DELETE FROM reject WHERE snapshot = $1 AND field = $2 AND code = $3
            AND EXISTS (SELECT 1 FROM record r WHERE r.snapshot = $1 AND r.ordinal = reject.line)",
    )
    .bind(snapshot)
    .bind(MESSAGE)
    .bind(RejectCode::Unreadable.as_str())
    .execute(&mut *db)
    .await?;
    let row = sqlx::query(
        "SELECT (SELECT count(*) FROM record WHERE snapshot = $1) AS records,
                (SELECT count(*) FROM reject WHERE snapshot = $1) AS rejects,
                (SELECT count(*) FROM reject WHERE snapshot = $1 AND field = $2 AND code = $3) AS unreadable",
    )
    .bind(snapshot)
    .bind(MESSAGE)
    .bind(RejectCode::Unreadable.as_str())
    .fetch_one(&mut *db)
    .await?;
    let on_file = OnFile {
        records: row.count("records")?,
        rejects: row.count("rejects")?,
        unreadable: row.count("unreadable")?,
    };
    let manifest = on_file.check(manifest)?;
    let text = serde_json::to_string(&manifest).map_err(|_| Fault::Column("manifest"))?;
    sqlx::query("UPDATE snapshot SET manifest = $2, completed_at = now_ms() WHERE no = $1")
        .bind(snapshot)
        .bind(text)
        .execute(db)
        .await?;
    Ok(())
}

pub(super) async fn manifest(
    db: &mut PgConnection,
    id: &SnapshotId,
) -> Result<Option<SnapshotManifest>, Fault> {
    let text: Option<Option<String>> = sqlx::query_scalar("SELECT manifest FROM snapshot WHERE id = $1")
        .bind(&id.0)
        .fetch_optional(db)
        .await?;
    match text.flatten() {
        Some(text) => serde_json::from_str(&text).map(Some).map_err(|_| Fault::Column("manifest")),
        None => Ok(None),
    }
}

pub(super) async fn latest(db: &mut PgConnection) -> Result<Option<(SnapshotManifest, i64)>, Fault> {
    let found: Option<(String, i64)> = sqlx::query_as(
        "SELECT manifest, completed_at FROM snapshot WHERE manifest IS NOT NULL ORDER BY completed_at DESC, no DESC LIMIT 1",
    )
    .fetch_optional(db)
    .await?;
    found
        .map(|(text, at)| Ok((serde_json::from_str(&text).map_err(|_| Fault::Column("manifest"))?, at)))
        .transpose()
}

pub(super) async fn rejects(db: &mut PgConnection, id: &SnapshotId) -> Result<Vec<Reject>, Fault> {
    let rows = sqlx::query(
        "SELECT j.file, j.line, j.field, j.code FROM reject j JOIN snapshot s ON s.no = j.snapshot
          WHERE s.id = $1 ORDER BY j.line, j.file, j.field",
    )
    .bind(&id.0)
    .fetch_all(db)
    .await?;
    rows.iter()
        .map(|row| {
            let file: String = row.value("file")?;
            let code: String = row.value("code")?;
            Ok(Reject {
                file: if file.is_empty() { None } else { Some(file) },
                line: row.count("line")?,
                field: row.value("field")?,
                code: serde_json::from_value(code.into()).map_err(|_| Fault::Column("code"))?,
            })
        })
        .collect()
}
