//! All users with what all runs have told of them, a page at a time: in the order of the newest snapshot that a run has
//! an entry of them in. Nothing is sorted that an index does not have in order already.

use super::decode::Columns;
use super::fault::Fault;
use super::look::decode_result;
use crate::{ResultRow, UserCursor, UserResults};
use contract::{Fingerprint, RunKind};
use sqlx::PgConnection;
use std::collections::BTreeMap;

/// Users of one snapshot who are in no newer one, as far as runs have entries of them. A user who has left the datafile has
/// a negative ordinal in a rollback over a newer snapshot. `OFFSET 0` keeps the questions to the user at hand: as joins, they
/// would be answered for all users, for every page.
const USERS: &str = "
    SELECT r.ordinal, r.user_key, r.sealed AS record, s.id AS snapshot_id FROM record r JOIN snapshot s ON s.no = r.snapshot
     WHERE r.snapshot = $1 AND r.ordinal > $2
       AND ($3::text IS NULL OR EXISTS (SELECT 1 FROM batch_member b WHERE b.batch = $3 AND b.user_key = r.user_key OFFSET 0))
       AND EXISTS (SELECT 1 FROM entry e JOIN run m ON m.no = e.run
                    WHERE e.user_key = r.user_key AND e.snapshot = r.snapshot AND e.ordinal = r.ordinal
                      AND m.kind IN ('migrate', 'verify', 'rollback') OFFSET 0)
       AND NOT EXISTS (SELECT 1 FROM entry e JOIN run m ON m.no = e.run
                        WHERE e.user_key = r.user_key AND e.snapshot > r.snapshot AND e.ordinal > 0
                          AND m.kind IN ('migrate', 'verify', 'rollback') OFFSET 0)
     ORDER BY r.ordinal LIMIT $4";

pub(super) async fn page(
    db: &mut PgConnection,
    batch: Option<&str>,
    after: Option<UserCursor>,
    limit: u32,
) -> Result<Vec<UserResults>, Fault> {
    let snapshots: Vec<i64> = sqlx::query_scalar(
        "SELECT DISTINCT snapshot FROM run WHERE kind IN ('migrate', 'verify', 'rollback')
            AND ($1::bigint IS NULL OR snapshot <= $1) ORDER BY snapshot DESC",
    )
    .bind(after.map(|cursor| cursor.snapshot))
    .fetch_all(&mut *db)
    .await?;
    let mut users = Vec::new();
    for snapshot in snapshots {
        let room = usize::try_from(limit).unwrap_or(usize::MAX).saturating_sub(users.len());
        if room == 0 {
            break;
        }
        let behind = after.filter(|cursor| cursor.snapshot == snapshot).map_or(0, |cursor| cursor.ordinal);
        let rows = sqlx::query(USERS)
            .bind(snapshot)
            .bind(behind)
            .bind(batch)
            .bind(i64::try_from(room).unwrap_or(i64::MAX))
            .fetch_all(&mut *db)
            .await?;
        for row in &rows {
            let ordinal = row.value("ordinal")?;
            users.push(UserResults {
                cursor: UserCursor { snapshot, ordinal },
                user: row.user_key("user_key")?,
                snapshot: row.snapshot("snapshot_id")?,
                ordinal,
                record: row.sealed("record")?,
                entries: Vec::new(),
            });
        }
    }
    let mut entries = entries(db, &users).await?;
    for user in &mut users {
        user.entries = entries.remove(&user.user.0).unwrap_or_default();
    }
    Ok(users)
}

/// What was told of these users, newest run first.
async fn entries(
    db: &mut PgConnection,
    users: &[UserResults],
) -> Result<BTreeMap<Fingerprint, Vec<(RunKind, ResultRow)>>, Fault> {
    let rows = sqlx::query(
        "SELECT e.*, s.id AS snapshot_id, ''::bytea AS record, m.kind FROM entry e
           JOIN run m ON m.no = e.run AND m.kind IN ('migrate', 'verify', 'rollback')
           JOIN snapshot s ON s.no = e.snapshot
          WHERE e.user_key = ANY($1) AND NOT (e.state = 'unchanged' AND e.result IS NULL AND e.codes <> '')
          ORDER BY e.run DESC, e.ordinal",
    )
    .bind(users.iter().map(|user| user.user.0.0.as_slice()).collect::<Vec<_>>())
    .fetch_all(db)
    .await?;
    let mut found: BTreeMap<Fingerprint, Vec<(RunKind, ResultRow)>> = BTreeMap::new();
    for row in &rows {
        let told = (row.run_kind("kind")?, decode_result(row)?);
        found.entry(row.user_key("user_key")?.0).or_default().push(told);
    }
    Ok(found)
}
