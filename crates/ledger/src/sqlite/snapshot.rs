//! Snapshots: their records, their rejects, and the count that makes them complete.
//!
//! A row that is there already is never changed, so filing a page twice (a crash in between) is harmless.

use super::decode::{Columns, json};
use super::fault::Fault;
use crate::filing::{MESSAGE, OnFile};
use crate::{FiledRecord, SnapshotFiling};
use contract::{Reject, RejectCode, Sealed, SnapshotId, SnapshotManifest};
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};

/// Rows a statement: SQLite takes 32,766 parameters, and longer statements gain nothing.
const ROWS_A_STATEMENT: usize = 500;

pub(super) async fn keep(db: &mut SqliteConnection, name: &str, candidate: &Sealed) -> Result<Sealed, Fault> {
    sqlx::query("INSERT INTO kept (name, value) VALUES (?1, ?2) ON CONFLICT DO NOTHING")
        .bind(name)
        .bind(candidate.0.as_slice())
        .execute(&mut *db)
        .await?;
    let value = sqlx::query_scalar("SELECT value FROM kept WHERE name = ?1").bind(name).fetch_one(db).await?;
    Ok(Sealed(value))
}

pub(super) async fn kept(db: &mut SqliteConnection, name: &str) -> Result<Option<Sealed>, Fault> {
    let value =
        sqlx::query_scalar("SELECT value FROM kept WHERE name = ?1").bind(name).fetch_optional(db).await?;
    Ok(value.map(Sealed))
}

pub(super) async fn begin(db: &mut SqliteConnection, id: &SnapshotId) -> Result<SnapshotFiling, Fault> {
    sqlx::query("INSERT INTO snapshot (id) VALUES (?1) ON CONFLICT DO NOTHING")
        .bind(&id.0)
        .execute(&mut *db)
        .await?;
    filing(db, id).await?.ok_or_else(|| Fault::no_snapshot(id))
}

pub(super) async fn filing(
    db: &mut SqliteConnection,
    id: &SnapshotId,
) -> Result<Option<SnapshotFiling>, Fault> {
    let row = sqlx::query(
        "SELECT manifest IS NOT NULL AS complete,
                (SELECT count(*) FROM record WHERE snapshot = snapshot.no) AS filed
           FROM snapshot WHERE id = ?1",
    )
    .bind(&id.0)
    .fetch_optional(db)
    .await?;
    row.map(|row| Ok(SnapshotFiling { complete: row.value("complete")?, filed: row.count("filed")? }))
        .transpose()
}

/// The number of a snapshot that rows may still be added to; absent when it is complete.
async fn open_number(db: &mut SqliteConnection, id: &SnapshotId) -> Result<Option<i64>, Fault> {
    let row = sqlx::query("SELECT no, manifest IS NULL AS open FROM snapshot WHERE id = ?1")
        .bind(&id.0)
        .fetch_optional(db)
        .await?
        .ok_or_else(|| Fault::no_snapshot(id))?;
    Ok(if row.value("open")? { Some(row.value("no")?) } else { None })
}

pub(super) async fn file_records(
    db: &mut SqliteConnection,
    id: &SnapshotId,
    rows: Vec<FiledRecord>,
) -> Result<(), Fault> {
    let Some(snapshot) = open_number(db, id).await? else { return Ok(()) };
    let serials: Vec<_> = rows
        .iter()
        .flat_map(|row| row.serials.iter().map(|serial| (row.ordinal, serial.0.to_vec())))
        .collect();
    let mut rows = rows.into_iter().peekable();
    while rows.peek().is_some() {
        let mut insert = QueryBuilder::<Sqlite>::new(
            "INSERT INTO record (snapshot, ordinal, enabled, user_key, content,
                                 key_0, key_1, key_2, key_3, key_4, key_5, sealed) ",
        );
        insert.push_values(rows.by_ref().take(ROWS_A_STATEMENT), |mut values, row| {
            values.push_bind(snapshot).push_bind(row.ordinal).push_bind(row.enabled);
            values.push_bind(row.user_key.0.0.to_vec()).push_bind(row.content.0.to_vec());
            for key in row.keys {
                values.push_bind(key.map(|key| key.0.to_vec()));
            }
            values.push_bind(row.sealed.0);
        });
        insert.push(" ON CONFLICT DO NOTHING").build().execute(&mut *db).await?;
    }
    for page in serials.chunks(ROWS_A_STATEMENT) {
        let mut insert =
            QueryBuilder::<Sqlite>::new("INSERT INTO record_serial (snapshot, serial, ordinal) ");
        insert.push_values(page, |mut values, (ordinal, serial)| {
            values.push_bind(snapshot).push_bind(serial.as_slice()).push_bind(*ordinal);
        });
        insert.push(" ON CONFLICT DO NOTHING").build().execute(&mut *db).await?;
    }
    Ok(())
}

pub(super) async fn file_rejects(
    db: &mut SqliteConnection,
    id: &SnapshotId,
    rows: &[Reject],
) -> Result<(), Fault> {
    let Some(snapshot) = open_number(db, id).await? else { return Ok(()) };
    for page in rows.chunks(ROWS_A_STATEMENT) {
        let mut insert =
            QueryBuilder::<Sqlite>::new("INSERT INTO reject (snapshot, file, line, field, code) ");
        insert.push_values(page, |mut values, row| {
            values.push_bind(snapshot).push_bind(row.file.as_deref().unwrap_or_default());
            values.push_bind(i64::try_from(row.line).unwrap_or(i64::MAX)).push_bind(row.field.as_str());
            values.push_bind(row.code.as_str());
        });
        insert.push(" ON CONFLICT DO NOTHING").build().execute(&mut *db).await?;
    }
    Ok(())
}

/// An ordinal whose record is on file came whole another time.
pub(super) async fn file_unreadable(
    db: &mut SqliteConnection,
    id: &SnapshotId,
    ordinals: &[i64],
) -> Result<(), Fault> {
    let Some(snapshot) = open_number(db, id).await? else { return Ok(()) };
    sqlx::query(
        "INSERT INTO reject (snapshot, file, line, field, code)
         SELECT ?1, '', j.value, ?3, ?4 FROM json_each(?2) j
          WHERE NOT EXISTS (SELECT 1 FROM record r WHERE r.snapshot = ?1 AND r.ordinal = j.value)
             ON CONFLICT DO NOTHING",
    )
    .bind(snapshot)
    .bind(json(ordinals.iter().copied()))
    .bind(MESSAGE)
    .bind(RejectCode::Unreadable.as_str())
    .execute(db)
    .await?;
    Ok(())
}

pub(super) async fn complete(db: &mut SqliteConnection, manifest: &SnapshotManifest) -> Result<(), Fault> {
    let Some(snapshot) = open_number(db, &manifest.id).await? else { return Ok(()) };
    sqlx::query(
        "DELETE FROM reject WHERE snapshot = ?1 AND field = ?2 AND code = ?3
            AND EXISTS (SELECT 1 FROM record r WHERE r.snapshot = ?1 AND r.ordinal = reject.line)",
    )
    .bind(snapshot)
    .bind(MESSAGE)
    .bind(RejectCode::Unreadable.as_str())
    .execute(&mut *db)
    .await?;
    let row = sqlx::query(
        "SELECT (SELECT count(*) FROM record WHERE snapshot = ?1) AS records,
                (SELECT count(*) FROM reject WHERE snapshot = ?1) AS rejects,
                (SELECT count(*) FROM reject WHERE snapshot = ?1 AND field = ?2 AND code = ?3) AS unreadable",
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
    sqlx::query("UPDATE snapshot SET manifest = ?2, completed_at = (SELECT now_ms FROM clock) WHERE no = ?1")
        .bind(snapshot)
        .bind(text)
        .execute(db)
        .await?;
    Ok(())
}

pub(super) async fn manifest(
    db: &mut SqliteConnection,
    id: &SnapshotId,
) -> Result<Option<SnapshotManifest>, Fault> {
    let text: Option<Option<String>> = sqlx::query_scalar("SELECT manifest FROM snapshot WHERE id = ?1")
        .bind(&id.0)
        .fetch_optional(db)
        .await?;
    match text.flatten() {
        Some(text) => serde_json::from_str(&text).map(Some).map_err(|_| Fault::Column("manifest")),
        None => Ok(None),
    }
}

pub(super) async fn latest(db: &mut SqliteConnection) -> Result<Option<(SnapshotManifest, i64)>, Fault> {
    let found: Option<(String, i64)> = sqlx::query_as(
        "SELECT manifest, completed_at FROM snapshot WHERE manifest IS NOT NULL ORDER BY completed_at DESC, no DESC LIMIT 1",
    )
    .fetch_optional(db)
    .await?;
    found
        .map(|(text, at)| Ok((serde_json::from_str(&text).map_err(|_| Fault::Column("manifest"))?, at)))
        .transpose()
}

pub(super) async fn rejects(db: &mut SqliteConnection, id: &SnapshotId) -> Result<Vec<Reject>, Fault> {
    let rows = sqlx::query(
        "SELECT j.file, j.line, j.field, j.code FROM reject j JOIN snapshot s ON s.no = j.snapshot
          WHERE s.id = ?1 ORDER BY j.line, j.file, j.field",
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
