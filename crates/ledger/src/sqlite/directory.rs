//! The directory, the inventory and the reviewed plan of a run, filed page by page.
//!
//! A page and the link to the next one are one transaction: a process that dies in between reads the page again.

use super::decode::{Columns, json};
use super::fault::Fault;
use crate::{DirectoryCursor, DirectoryRow, Error, InventoryRow};
use contract::{Allowed, EntraId, RunId, Sealed};
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};

/// Rows a statement.
const ROWS_A_STATEMENT: usize = 500;

pub(super) async fn cursor(db: &mut SqliteConnection, run: RunId) -> Result<DirectoryCursor, Fault> {
    let row = sqlx::query(
        "SELECT directory_pages AS pages, directory_next AS next, directory_complete AS complete,
                (SELECT count(*) FROM directory WHERE run = ?1) AS users
           FROM run WHERE no = ?1",
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

pub(super) async fn file_page(
    db: &mut SqliteConnection,
    run: RunId,
    rows: Vec<DirectoryRow>,
    next: Option<&str>,
) -> Result<(), Fault> {
    let moved = sqlx::query(
        "UPDATE run SET directory_pages = directory_pages + 1, directory_next = ?2, directory_complete = ?2 IS NULL
          WHERE no = ?1",
    )
    .bind(run.0)
    .bind(next)
    .execute(&mut *db)
    .await?;
    if moved.rows_affected() == 0 {
        return Err(Error::NoRun { run }.into());
    }
    let mut rows = rows.into_iter().peekable();
    while rows.peek().is_some() {
        let mut insert = QueryBuilder::<Sqlite>::new(
            "INSERT INTO directory (run, entra, guest, allowed, key_0, key_1, key_2, key_3, key_4, key_5, sealed) ",
        );
        insert.push_values(rows.by_ref().take(ROWS_A_STATEMENT), |mut values, row| {
            values
                .push_bind(run.0)
                .push_bind(row.user.0)
                .push_bind(row.guest)
                .push_bind(i64::from(row.allowed.0));
            for key in row.keys {
                values.push_bind(key.map(|key| key.0.to_vec()));
            }
            values.push_bind(row.sealed.0);
        });
        // Graph may show a user on two pages when the directory changes under the reader: the later look counts.
        insert.push(
            " ON CONFLICT (run, entra) DO UPDATE SET guest = excluded.guest, allowed = excluded.allowed,
                key_0 = excluded.key_0, key_1 = excluded.key_1, key_2 = excluded.key_2, key_3 = excluded.key_3,
                key_4 = excluded.key_4, key_5 = excluded.key_5, sealed = excluded.sealed",
        );
        insert.build().execute(&mut *db).await?;
    }
    Ok(())
}

pub(super) async fn change_allowed(
    db: &mut SqliteConnection,
    run: RunId,
    users: &[EntraId],
    set: Allowed,
    clear: Allowed,
) -> Result<(), Fault> {
    sqlx::query(
        "UPDATE directory SET allowed = (allowed | ?2) & ~?3
          WHERE run = ?1 AND entra IN (SELECT value FROM json_each(?4))",
    )
    .bind(run.0)
    .bind(i64::from(set.0))
    .bind(i64::from(clear.0))
    .bind(json(users.iter().map(|user| user.0.as_str())))
    .execute(db)
    .await?;
    Ok(())
}

pub(super) async fn file_inventory(
    db: &mut SqliteConnection,
    run: RunId,
    rows: &[InventoryRow],
) -> Result<(), Fault> {
    for page in rows.chunks(ROWS_A_STATEMENT) {
        let tokens = page
            .iter()
            .map(|row| serde_json::to_string(&row.token).map(|token| (row, token)))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| Fault::Column("token"))?;
        let mut insert =
            QueryBuilder::<Sqlite>::new("INSERT INTO inventory (run, device_id, serial, token) ");
        insert.push_values(tokens, |mut values, (row, token)| {
            values.push_bind(run.0).push_bind(row.token.device_id.as_str());
            values.push_bind(row.serial.0.to_vec()).push_bind(token);
        });
        insert.push(
            " ON CONFLICT (run, device_id) DO UPDATE SET serial = excluded.serial, token = excluded.token",
        );
        insert.build().execute(&mut *db).await?;
    }
    Ok(())
}

pub(super) async fn file_reviewed(
    db: &mut SqliteConnection,
    run: RunId,
    rows: &[(i64, Sealed)],
) -> Result<(), Fault> {
    for page in rows.chunks(ROWS_A_STATEMENT) {
        let mut insert = QueryBuilder::<Sqlite>::new("INSERT INTO reviewed (run, ordinal, sealed) ");
        insert.push_values(page, |mut values, (ordinal, sealed)| {
            values.push_bind(run.0).push_bind(*ordinal).push_bind(sealed.0.as_slice());
        });
        insert.push(" ON CONFLICT DO NOTHING").build().execute(&mut *db).await?;
    }
    Ok(())
}
