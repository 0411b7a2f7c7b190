//! Write-ahead: pre-images and intents, on file before anything is sent.
//!
//! A pre-image is insert-only; one on which nothing of ours ever stood may be settled, and another filed in its place. A row whose epoch no longer holds files nothing, and neither does its entry.

use super::decode::json;
use super::fault::Fault;
use crate::NewIntent;
use contract::RunId;
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};
use std::collections::BTreeSet;

/// Rows a statement.
const ROWS_A_STATEMENT: usize = 500;

pub(super) async fn file_intents(
    db: &mut SqliteConnection,
    run: RunId,
    rows: Vec<NewIntent>,
) -> Result<Vec<i64>, Fault> {
    let held = held(db, run, &rows).await?;
    let fenced: BTreeSet<i64> =
        rows.iter().filter(|row| !held.contains(&(row.ordinal, row.epoch))).map(|row| row.ordinal).collect();
    let rows: Vec<_> = rows.into_iter().filter(|row| !fenced.contains(&row.ordinal)).collect();
    forget_applied(db, &rows).await?;
    for page in rows.chunks(ROWS_A_STATEMENT) {
        settle_outdated(db, run, page).await?;
        file_pre_images(db, run, page).await?;
        file_page(db, run, page).await?;
    }
    Ok(rows.iter().map(|row| row.ordinal).collect::<BTreeSet<_>>().into_iter().collect())
}

/// What was last applied whole no longer stands once something else is begun (rule U5): a run that is stopped half-way
/// must not leave a user who looks unchanged.
async fn forget_applied(db: &mut SqliteConnection, rows: &[NewIntent]) -> Result<(), Fault> {
    let users: BTreeSet<&str> = rows.iter().map(|row| row.user.0.as_str()).collect();
    sqlx::query("DELETE FROM applied WHERE entra IN (SELECT value FROM json_each(?1))")
        .bind(json(users))
        .execute(db)
        .await?;
    Ok(())
}

/// The claims that still hold: the epoch, the user, and a writing run that is open.
async fn held(
    db: &mut SqliteConnection,
    run: RunId,
    rows: &[NewIntent],
) -> Result<BTreeSet<(i64, i64)>, Fault> {
    let asked: BTreeSet<_> = rows.iter().map(|row| (row.ordinal, row.epoch, row.user.0.as_str())).collect();
    let asked = json(asked.into_iter().map(|(ordinal, epoch, user)| {
        vec![serde_json::Value::from(ordinal), serde_json::Value::from(epoch), serde_json::Value::from(user)]
    }));
    let held: Vec<(i64, i64)> = sqlx::query_as(
        "SELECT e.ordinal, e.epoch FROM json_each(?2) j
          CROSS JOIN entry e ON e.run = ?1 AND e.ordinal = j.value ->> 0
          WHERE e.epoch = j.value ->> 1 AND e.entra = j.value ->> 2 AND +e.state = 'claimed' AND e.writing
            AND EXISTS (SELECT 1 FROM run WHERE run.no = ?1 AND run.state = 'open')",
    )
    .bind(run.0)
    .bind(asked)
    .fetch_all(db)
    .await?;
    Ok(held.into_iter().collect())
}

/// A pre-image on which nothing of ours ever stood gives way to what is there now, where the caller says so.
async fn settle_outdated(db: &mut SqliteConnection, run: RunId, page: &[NewIntent]) -> Result<(), Fault> {
    let outdated: Vec<_> = page
        .iter()
        .filter(|row| row.afresh)
        .map(|row| vec![row.user.0.as_str(), row.slot.as_str()])
        .collect();
    if outdated.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "UPDATE pre_image SET settled_by = ?1
          WHERE settled_by IS NULL AND entra IN (SELECT value ->> 0 FROM json_each(?2))
            AND (entra, slot) IN (SELECT value ->> 0, value ->> 1 FROM json_each(?2))",
    )
    .bind(run.0)
    .bind(json(outdated))
    .execute(db)
    .await?;
    Ok(())
}

async fn file_pre_images(db: &mut SqliteConnection, run: RunId, page: &[NewIntent]) -> Result<(), Fault> {
    let mut insert =
        QueryBuilder::<Sqlite>::new("INSERT INTO pre_image (entra, slot, value, run, filed_at) ");
    insert.push_values(page, |mut values, row| {
        values.push_bind(row.user.0.as_str()).push_bind(row.slot.as_str());
        values.push_bind(row.pre_image.as_ref().map(|value| value.0.as_slice()));
        values.push_bind(run.0).push("(SELECT now_ms FROM clock)");
    });
    insert.push(" ON CONFLICT (entra, slot) WHERE settled_by IS NULL DO NOTHING").build().execute(db).await?;
    Ok(())
}

async fn file_page(db: &mut SqliteConnection, run: RunId, page: &[NewIntent]) -> Result<(), Fault> {
    let mut insert =
        QueryBuilder::<Sqlite>::new("INSERT INTO intent (entra, run, slot, epoch, filed_at, value) ");
    insert.push_values(page, |mut values, row| {
        values.push_bind(row.user.0.as_str()).push_bind(run.0).push_bind(row.slot.as_str());
        values.push_bind(row.epoch).push("(SELECT now_ms FROM clock)");
        values.push_bind(row.to.as_ref().map(|value| value.0.as_slice()));
    });
    insert.push(
        " ON CONFLICT (entra, run, slot) DO UPDATE SET epoch = excluded.epoch, filed_at = excluded.filed_at,
            value = excluded.value, outcome = NULL,
            maybe_before = maybe_before OR outcome IS NULL OR outcome NOT IN ('not-sent', 'refused', 'invalid')
                           OR (outcome <> 'not-sent' AND slot LIKE 'hardwareOath:%')",
    );
    insert.build().execute(db).await?;
    Ok(())
}
