//! Forgetting: values before, intents, results and records, a page of users or of records a transaction.
//!
//! A page is refused while a run may need what it takes, whatever was found before. Of a user all goes in one transaction:
//! the values before, and the word that they are gone. Counts, codes, outcomes and the journal stay as they are.

use super::decode::Columns;
use super::fault::Fault;
use super::run;
use crate::{Error, Forget, ForgetPage, Forgettable, Forgotten, RecordCursor, Run};
use contract::{RunId, Sealed, SnapshotId, UserKey};
use sqlx::PgConnection;

/// `$1`: the batch; `$2`: the number of the snapshot. One of them is null.
const MINE: &str = "
    mine AS (SELECT DISTINCT e.user_key FROM entry e
              WHERE CASE WHEN $2::bigint IS NOT NULL THEN e.snapshot = $2
                         ELSE $1::text = 'all' OR e.user_key IN (SELECT user_key FROM batch_member WHERE batch = $1) END)";

/// The Entra users of `mine`; `lost`: whose values before go.
const TARGETS: &str = "
    targets AS (SELECT DISTINCT e.entra,
                       $2::bigint IS NULL OR NOT EXISTS (
                           SELECT 1 FROM entry o JOIN run m ON m.no = o.run
                            WHERE o.user_key = e.user_key AND m.kind IN ('migrate', 'rollback') AND o.snapshot <> $2) AS lost
                  FROM mine JOIN entry e ON e.user_key = mine.user_key WHERE e.entra IS NOT NULL)";

pub(super) async fn snapshots(db: &mut PgConnection) -> Result<Vec<SnapshotId>, Fault> {
    let found: Vec<String> =
        sqlx::query_scalar("SELECT id FROM snapshot WHERE manifest IS NOT NULL ORDER BY no")
            .fetch_all(db)
            .await?;
    Ok(found.into_iter().map(SnapshotId).collect())
}

async fn number(db: &mut PgConnection, what: &Forget) -> Result<Option<i64>, Fault> {
    let Some(id) = what.snapshot() else { return Ok(None) };
    let found: Option<i64> =
        sqlx::query_scalar("SELECT no FROM snapshot WHERE id = $1 AND manifest IS NOT NULL")
            .bind(&id.0)
            .fetch_optional(db)
            .await?;
    found.map(Some).ok_or_else(|| Fault::no_snapshot(&SnapshotId(id.0.clone())))
}

/// Runs that are not over and may need what is to be forgotten, oldest first. A run that only rehearses or surveys needs
/// nothing: it finds the record empty and leaves the user out.
async fn unfinished(db: &mut PgConnection, batch: Option<&str>) -> Result<Vec<RunId>, Fault> {
    let found: Vec<i64> = sqlx::query_scalar(
        "SELECT r.no FROM run r
          WHERE r.state IN ('preparing', 'open') AND r.kind IN ('migrate', 'rollback', 'verify')
            AND ($1::text IS NULL OR $1 = 'all' OR r.batch IN ('all', $1) OR EXISTS (
                 SELECT 1 FROM batch_member mine JOIN batch_member theirs ON theirs.user_key = mine.user_key
                  WHERE mine.batch = $1 AND theirs.batch = r.batch))
          ORDER BY r.no",
    )
    .bind(batch)
    .fetch_all(db)
    .await?;
    Ok(found.into_iter().map(RunId).collect())
}

/// Openings wait for the end of the transaction, so that no run comes in between the question and the removal.
async fn must_be_free(db: &mut PgConnection, what: &Forget) -> Result<(), Fault> {
    run::one_at_a_time(db).await?;
    match unfinished(db, what.batch()).await?.first() {
        Some(run) => Err(Error::Needed { run: *run }.into()),
        None => Ok(()),
    }
}

pub(super) async fn stands(db: &mut PgConnection, what: &Forget) -> Result<Forgettable, Fault> {
    let (batch, snapshot) = (what.batch(), number(db, what).await?);
    let mut open: Vec<Run> = Vec::new();
    for id in unfinished(db, batch).await? {
        open.extend(run::find(db, id).await?);
    }
    let counted = sqlx::query(sqlx::AssertSqlSafe(format!(
        "WITH {MINE}, {TARGETS}
         SELECT (SELECT count(*) FROM targets t
                  WHERE EXISTS (SELECT 1 FROM intent i WHERE i.entra = t.entra AND i.outcome IS NULL)) AS in_doubt,
                (SELECT count(*) FROM run m JOIN entry e ON e.run = m.no AND e.state IN ('waiting', 'claimed')
                  WHERE m.kind IN ('migrate', 'rollback') AND e.user_key IN (SELECT user_key FROM mine)
                    AND NOT EXISTS (SELECT 1 FROM entry o JOIN run n ON n.no = o.run
                                     WHERE o.user_key = e.user_key AND o.run > e.run
                                       AND n.kind IN ('migrate', 'rollback'))) AS unsettled,
                (SELECT count(*) FROM record r
                  WHERE octet_length(r.sealed) > 0
                    AND CASE WHEN $2::bigint IS NOT NULL THEN r.snapshot = $2
                             ELSE $1::text = 'all' OR r.user_key IN (SELECT user_key FROM batch_member WHERE batch = $1) END) AS records,
                (SELECT count(*) FROM pre_image p WHERE p.entra IN (SELECT entra FROM targets WHERE lost)) AS pre_images,
                (SELECT count(*) FROM targets t JOIN intent i ON i.entra = t.entra
                  WHERE t.lost AND octet_length(i.value) > 0) AS intents,
                (SELECT count(*) FROM mine JOIN entry e ON e.user_key = mine.user_key
                  WHERE e.result IS NOT NULL AND NOT e.forgotten AND ($2::bigint IS NULL OR e.snapshot = $2)) AS results,
                (SELECT count(DISTINCT s.entra) FROM targets t JOIN standing s ON s.entra = t.entra
                  WHERE t.lost AND s.maybe_landed) AS way_back,
                (SELECT count(DISTINCT s.entra) FROM targets t JOIN standing s ON s.entra = t.entra
                  WHERE NOT t.lost) AS stays"
    )))
    .bind(batch)
    .bind(snapshot)
    .fetch_one(db)
    .await?;
    Ok(Forgettable {
        unfinished: open,
        in_doubt: counted.count("in_doubt")?,
        unsettled: counted.count("unsettled")?,
        records: counted.count("records")?,
        pre_images: counted.count("pre_images")?,
        intents: counted.count("intents")?,
        results: counted.count("results")?,
        way_back: counted.count("way_back")?,
        stays: counted.count("stays")?,
    })
}

pub(super) async fn next(
    db: &mut PgConnection,
    what: &Forget,
    after: Option<UserKey>,
    limit: u32,
) -> Result<ForgetPage, Fault> {
    let snapshot = number(db, what).await?;
    let after = after.map(|key| key.0.0.to_vec()).unwrap_or_default();
    let statement = match what {
        Forget::Batch(name) if name != "all" => {
            "SELECT user_key FROM batch_member
              WHERE batch = $1 AND user_key > $3 AND $2::bigint IS NULL ORDER BY user_key LIMIT $4"
        }
        Forget::Batch(_) | Forget::Snapshot(_) => {
            "SELECT DISTINCT user_key FROM entry
              WHERE user_key > $3 AND ($2::bigint IS NULL OR snapshot = $2) AND ($1::text IS NULL OR $1 = 'all')
              ORDER BY user_key LIMIT $4"
        }
    };
    let rows = sqlx::query(statement)
        .bind(what.batch())
        .bind(snapshot)
        .bind(after)
        .bind(i64::from(limit))
        .fetch_all(&mut *db)
        .await?;
    let users = rows.iter().map(|row| row.user_key("user_key")).collect::<Result<Vec<_>, _>>()?;
    let rows = sqlx::query(
        "SELECT e.run, e.ordinal, e.result FROM entry e
          WHERE e.user_key = ANY($1) AND e.result IS NOT NULL AND NOT e.forgotten
            AND ($2::bigint IS NULL OR e.snapshot = $2)",
    )
    .bind(keys(&users))
    .bind(snapshot)
    .fetch_all(db)
    .await?;
    let results = rows
        .iter()
        .map(|row| Ok((row.run("run")?, row.value("ordinal")?, row.sealed("result")?)))
        .collect::<Result<_, Fault>>()?;
    Ok(ForgetPage { users, results })
}

fn keys(users: &[UserKey]) -> Vec<&[u8]> {
    users.iter().map(|user| user.0.0.as_slice()).collect()
}

pub(super) async fn users(
    db: &mut PgConnection,
    what: &Forget,
    users: &[UserKey],
    results: &[(RunId, i64, Sealed)],
) -> Result<Forgotten, Fault> {
    must_be_free(db, what).await?;
    let snapshot = number(db, what).await?;
    let lost: Vec<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(format!(
        "WITH mine AS (SELECT unnest($1::bytea[]) AS user_key), {TARGETS} SELECT entra FROM targets WHERE lost"
    )))
    .bind(keys(users))
    .bind(snapshot)
    .fetch_all(&mut *db)
    .await?;
    let mut done = Forgotten::default();
    let told = sqlx::query(
        "INSERT INTO forgotten (entra, at_ms)
         SELECT DISTINCT s.entra, now_ms() FROM standing s
          WHERE s.entra = ANY($1) AND s.maybe_landed
             ON CONFLICT (entra) DO UPDATE SET at_ms = excluded.at_ms",
    );
    done.way_back = told.bind(&lost).execute(&mut *db).await?.rows_affected();
    for settled in ["settled_by IS NULL", "settled_by IS NOT NULL"] {
        let removed = sqlx::query(sqlx::AssertSqlSafe(format!(
            "DELETE FROM pre_image WHERE {settled} AND entra = ANY($1)"
        )));
        done.pre_images += removed.bind(&lost).execute(&mut *db).await?.rows_affected();
    }
    let emptied =
        sqlx::query("UPDATE intent SET value = '' WHERE octet_length(value) > 0 AND entra = ANY($1)");
    done.intents = emptied.bind(&lost).execute(&mut *db).await?.rows_affected();
    sqlx::query(
        "DELETE FROM reviewed WHERE (run, ordinal) IN (
             SELECT e.run, e.ordinal FROM entry e
              WHERE e.user_key = ANY($1) AND ($2::bigint IS NULL OR e.snapshot = $2))",
    )
    .bind(keys(users))
    .bind(snapshot)
    .execute(&mut *db)
    .await?;
    for (run, ordinal, result) in results {
        let emptied = sqlx::query(
            "UPDATE entry SET result = $3, forgotten = true WHERE run = $1 AND ordinal = $2 AND NOT forgotten",
        );
        let emptied = emptied.bind(run.0).bind(ordinal).bind(&result.0).execute(&mut *db).await?;
        done.results += emptied.rows_affected();
    }
    Ok(done)
}

pub(super) async fn records(
    db: &mut PgConnection,
    what: &Forget,
    after: Option<RecordCursor>,
    limit: u32,
) -> Result<(Forgotten, Option<RecordCursor>), Fault> {
    must_be_free(db, what).await?;
    let only = number(db, what).await?;
    let after = after.unwrap_or(RecordCursor { snapshot: 0, ordinal: 0 });
    let snapshot: Option<i64> = sqlx::query_scalar(
        "SELECT snapshot FROM record WHERE (snapshot, ordinal) > ($1, $2) AND ($3::bigint IS NULL OR snapshot = $3)
          ORDER BY snapshot, ordinal LIMIT 1",
    )
    .bind(after.snapshot)
    .bind(after.ordinal)
    .bind(only)
    .fetch_optional(&mut *db)
    .await?;
    let Some(snapshot) = snapshot else { return Ok((Forgotten::default(), None)) };
    let first = if snapshot == after.snapshot { after.ordinal } else { 0 };
    // The last of so many records, whosever they are: pages are of one length, however few of them are the batch's.
    let last: Option<i64> = sqlx::query_scalar(
        "SELECT max(ordinal) FROM (SELECT ordinal FROM record WHERE snapshot = $1 AND ordinal > $2 ORDER BY ordinal LIMIT $3) page",
    )
    .bind(snapshot)
    .bind(first)
    .bind(i64::from(limit))
    .fetch_one(&mut *db)
    .await?;
    let Some(last) = last else { return Ok((Forgotten::default(), None)) };
    let emptied = sqlx::query(
        "UPDATE record SET sealed = ''
          WHERE snapshot = $2 AND ordinal > $3 AND ordinal <= $4 AND octet_length(sealed) > 0
            AND ($1::text IS NULL OR $1 = 'all' OR user_key IN (SELECT user_key FROM batch_member WHERE batch = $1))",
    )
    .bind(what.batch())
    .bind(snapshot)
    .bind(first)
    .bind(last)
    .execute(db)
    .await?;
    let done = Forgotten { records: emptied.rows_affected(), ..Forgotten::default() };
    Ok((done, Some(RecordCursor { snapshot, ordinal: last })))
}
