//! The directory, the inventory and the reviewed plan of a run, filed page by page.
//!
//! A page and the link to the next one are one transaction: a process that dies in between reads the page again.

use super::decode::Columns;
use super::fault::Fault;
use crate::{DirectoryCursor, DirectoryRow, Error, InventoryRow};
use contract::{Allowed, EntraId, RunId, Sealed};
use sqlx::PgConnection;
use std::collections::BTreeMap;

pub(super) async fn cursor(db: &mut PgConnection, run: RunId) -> Result<DirectoryCursor, Fault> {
    let row = sqlx::query(
        "SELECT directory_pages AS pages, directory_next AS next, directory_complete AS complete,
                (SELECT count(*) FROM directory WHERE run = $1) AS users
           FROM run WHERE no = $1",
    )
    .bind(run.0)
    .fetch_optional(db)
    .await?
    .ok_or(Fault::Ours(Error::NoRun { run }))?;
    Ok(DirectoryCursor {
        pages: row.count("pages")?,
        users: row.count("users")?,
        next: row.value("next")?,
        complete: row.value("complete")?,
    })
}

/// Graph may show a user on two pages when the directory changes under the reader, or twice on one: the later look
/// counts.
pub(super) async fn file_page(
    db: &mut PgConnection,
    run: RunId,
    rows: &[DirectoryRow],
    next: Option<&str>,
) -> Result<(), Fault> {
    let moved = sqlx::query(
        "UPDATE run SET directory_pages = directory_pages + 1, directory_next = $2::text,
                        directory_complete = $2::text IS NULL
          WHERE no = $1",
    )
    .bind(run.0)
    .bind(next)
    .execute(&mut *db)
    .await?;
    if moved.rows_affected() == 0 {
        return Err(Error::NoRun { run }.into());
    }
    let latest: BTreeMap<&str, &DirectoryRow> = rows.iter().map(|row| (row.user.0.as_str(), row)).collect();
    let rows: Vec<&DirectoryRow> = latest.into_values().collect();
    let key = |stage: usize| -> Vec<Option<&[u8]>> {
        rows.iter()
            .map(|row| row.keys.get(stage).and_then(Option::as_ref).map(|key| key.0.as_slice()))
            .collect()
    };
    sqlx::query(
        "INSERT INTO directory (run, entra, guest, allowed, key_0, key_1, key_2, key_3, key_4, key_5, sealed)
         SELECT $1, r.* FROM unnest($2::text[], $3::boolean[], $4::bigint[], $5::bytea[], $6::bytea[], $7::bytea[],
                                    $8::bytea[], $9::bytea[], $10::bytea[], $11::bytea[]) r
             ON CONFLICT (run, entra) DO UPDATE SET guest = excluded.guest, allowed = excluded.allowed,
                key_0 = excluded.key_0, key_1 = excluded.key_1, key_2 = excluded.key_2, key_3 = excluded.key_3,
                key_4 = excluded.key_4, key_5 = excluded.key_5, sealed = excluded.sealed",
    )
    .bind(run.0)
    .bind(rows.iter().map(|row| row.user.0.as_str()).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.guest).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| i64::from(row.allowed.0)).collect::<Vec<_>>())
    .bind(key(0))
    .bind(key(1))
    .bind(key(2))
    .bind(key(3))
    .bind(key(4))
    .bind(key(5))
    .bind(rows.iter().map(|row| row.sealed.0.as_slice()).collect::<Vec<_>>())
    .execute(db)
    .await?;
    Ok(())
}

pub(super) async fn change_allowed(
    db: &mut PgConnection,
    run: RunId,
    users: &[EntraId],
    set: Allowed,
    clear: Allowed,
) -> Result<(), Fault> {
    sqlx::query(
        "UPDATE directory SET allowed = (allowed | $2) & ~$3::bigint WHERE run = $1 AND entra = ANY($4)",
    )
    .bind(run.0)
    .bind(i64::from(set.0))
    .bind(i64::from(clear.0))
    .bind(users.iter().map(|user| user.0.as_str()).collect::<Vec<_>>())
    .execute(db)
    .await?;
    Ok(())
}

pub(super) async fn file_inventory(
    db: &mut PgConnection,
    run: RunId,
    rows: &[InventoryRow],
) -> Result<(), Fault> {
    let latest: BTreeMap<&str, &InventoryRow> =
        rows.iter().map(|row| (row.token.device_id.as_str(), row)).collect();
    let tokens = latest
        .values()
        .map(|row| serde_json::to_string(&row.token))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| Fault::Column("token"))?;
    sqlx::query(
        "INSERT INTO inventory (run, device_id, serial, token)
         SELECT $1, r.* FROM unnest($2::text[], $3::bytea[], $4::text[]) r
             ON CONFLICT (run, device_id) DO UPDATE SET serial = excluded.serial, token = excluded.token",
    )
    .bind(run.0)
    .bind(latest.keys().copied().collect::<Vec<_>>())
    .bind(latest.values().map(|row| row.serial.0.as_slice()).collect::<Vec<_>>())
    .bind(tokens)
    .execute(db)
    .await?;
    Ok(())
}

pub(super) async fn file_reviewed(
    db: &mut PgConnection,
    run: RunId,
    rows: &[(i64, Sealed)],
) -> Result<(), Fault> {
    sqlx::query(
        "INSERT INTO reviewed (run, ordinal, sealed)
         SELECT $1, r.* FROM unnest($2::bigint[], $3::bytea[]) r ON CONFLICT DO NOTHING",
    )
    .bind(run.0)
    .bind(rows.iter().map(|(ordinal, _)| *ordinal).collect::<Vec<_>>())
    .bind(rows.iter().map(|(_, sealed)| sealed.0.as_slice()).collect::<Vec<_>>())
    .execute(db)
    .await?;
    Ok(())
}
