//! Matching, and the freezing of a run's entries (rules U1 to U4), as sets.
//!
//! Each stage joins the fingerprints of the records that no earlier stage has hit with those of the directory, and
//! leaves pairs of a record and an Entra user. A pair's user that another record has too, or a record with two pairs,
//! is ambiguous. Which rule decides: U2, then U3, then U4, so that a record that is left out as disabled still counts
//! as the second one of U3.

use super::decode::Columns;
use super::fault::Fault;
use super::run::{find, writes};
use crate::{Error, MatchCounts};
use contract::{Match, RunId, RunKind, RunState};
use sqlx::{AssertSqlSafe, SqliteConnection};

/// What the stages leave behind while a transaction lasts; fingerprints and numbers only.
const PREPARE: [&str; 4] = [
    "DROP TABLE IF EXISTS temp.pair",
    "DROP TABLE IF EXISTS temp.sharers",
    "DROP TABLE IF EXISTS temp.found",
    "CREATE TEMP TABLE pair (ordinal INTEGER NOT NULL, no INTEGER NOT NULL, stage INTEGER NOT NULL,
                             PRIMARY KEY (ordinal, no)) WITHOUT ROWID",
];

/// How many records hit each user, and from it what every record has found.
const DECIDE: [&str; 3] = [
    "CREATE TEMP TABLE sharers (no INTEGER PRIMARY KEY, records INTEGER NOT NULL)",
    "INSERT INTO temp.sharers SELECT no, count(*) FROM temp.pair GROUP BY no",
    "CREATE TEMP TABLE found (ordinal INTEGER PRIMARY KEY, no INTEGER NOT NULL, stage INTEGER NOT NULL,
                              ambiguous INTEGER NOT NULL)",
];

const FIND: &str = "INSERT INTO temp.found
    SELECT p.ordinal, min(p.no), min(p.stage), count(*) > 1 OR max(s.records) > 1
      FROM temp.pair p CROSS JOIN temp.sharers s ON s.no = p.no GROUP BY p.ordinal";

/// `?4`: disabled users are moved too. `?5`: the batch; matching itself was over everybody. `?6`: a survey, of which nobody
/// is worked on. An ambiguous entry has no target. A record that was forgotten moves nobody.
const FREEZE: &str = "INSERT INTO entry (run, ordinal, snapshot, writing, user_key, content, state, outcome, codes,
                       settled_at, entra, guest, allowed, matched_by, directory)
    SELECT ?1, r.ordinal, r.snapshot, ?3, r.user_key, r.content,
           CASE WHEN d.no IS NULL OR NOT (r.enabled OR ?4) OR length(r.sealed) = 0 THEN 'skipped' WHEN ?6 THEN 'planned' ELSE 'waiting' END,
           CASE WHEN d.no IS NULL OR NOT (r.enabled OR ?4) OR length(r.sealed) = 0 THEN 'skipped' END,
           CASE WHEN f.ordinal IS NULL THEN 'match-none' WHEN f.ambiguous THEN 'match-ambiguous'
                WHEN NOT (r.enabled OR ?4) THEN 'source-disabled' WHEN length(r.sealed) = 0 THEN 'forgotten' ELSE '' END,
           CASE WHEN ?6 OR d.no IS NULL OR NOT (r.enabled OR ?4) OR length(r.sealed) = 0 THEN (SELECT now_ms FROM clock) END,
           d.entra, coalesce(d.guest, 0), coalesce(d.allowed, 0), CASE WHEN d.no IS NOT NULL THEN f.stage END, d.sealed
      FROM record r
      LEFT JOIN temp.found f ON f.ordinal = r.ordinal
      LEFT JOIN directory d ON d.no = f.no AND NOT f.ambiguous
     WHERE r.snapshot = ?2
       AND (?5 = 'all' OR r.user_key IN (SELECT user_key FROM batch_member WHERE batch = ?5))
     ORDER BY r.ordinal";

pub(super) async fn match_users(
    db: &mut SqliteConnection,
    id: RunId,
    stages: &[Match],
    include_disabled: bool,
) -> Result<MatchCounts, Fault> {
    let run = find(db, id).await?.ok_or(Fault::Ours(Error::NoRun { run: id }))?;
    match run.state {
        RunState::Preparing => {}
        RunState::Open | RunState::Done | RunState::Superseded => return counts(db, id).await,
    }
    let snapshot: i64 =
        sqlx::query_scalar("SELECT snapshot FROM run WHERE no = ?1").bind(id.0).fetch_one(&mut *db).await?;
    for statement in PREPARE {
        sqlx::query(statement).execute(&mut *db).await?;
    }
    for stage in stages {
        hit(db, id, snapshot, *stage).await?;
    }
    for statement in DECIDE {
        sqlx::query(statement).execute(&mut *db).await?;
    }
    sqlx::query(FIND).execute(&mut *db).await?;
    sqlx::query(FREEZE)
        .bind(id.0)
        .bind(snapshot)
        .bind(writes(run.spec.kind))
        .bind(include_disabled)
        .bind(&run.spec.batch)
        .bind(run.spec.kind == RunKind::Survey)
        .execute(&mut *db)
        .await?;
    for table in ["DROP TABLE temp.pair", "DROP TABLE temp.sharers", "DROP TABLE temp.found"] {
        sqlx::query(table).execute(&mut *db).await?;
    }
    sqlx::query("UPDATE run SET state = 'open' WHERE no = ?1").bind(id.0).execute(&mut *db).await?;
    counts(db, id).await
}

/// One stage. Its keys of the directory are sorted into a table of their own first: an index over all six columns
/// would cost more on every page that is filed than this does once.
async fn hit(db: &mut SqliteConnection, run: RunId, snapshot: i64, stage: Match) -> Result<(), Fault> {
    let position = Match::ALL.iter().position(|s| *s == stage).ok_or(Fault::Column("matched_by"))?;
    sqlx::query("DROP TABLE IF EXISTS temp.stage_key").execute(&mut *db).await?;
    sqlx::query("CREATE TEMP TABLE stage_key (key BLOB NOT NULL, no INTEGER NOT NULL, PRIMARY KEY (key, no)) WITHOUT ROWID")
        .execute(&mut *db)
        .await?;
    // The only text that is put together here is the number of a column.
    sqlx::query(AssertSqlSafe(format!(
        "INSERT INTO temp.stage_key SELECT key_{position}, no FROM directory
          WHERE run = ?1 AND key_{position} IS NOT NULL ORDER BY 1, 2"
    )))
    .bind(run.0)
    .execute(&mut *db)
    .await?;
    sqlx::query(AssertSqlSafe(format!(
        "INSERT INTO temp.pair SELECT r.ordinal, k.no, ?2
           FROM record r CROSS JOIN temp.stage_key k ON k.key = r.key_{position}
          WHERE r.snapshot = ?1 AND NOT EXISTS (SELECT 1 FROM temp.pair p WHERE p.ordinal = r.ordinal)"
    )))
    .bind(snapshot)
    .bind(i64::try_from(position).unwrap_or_default())
    .execute(&mut *db)
    .await?;
    sqlx::query("DROP TABLE temp.stage_key").execute(db).await?;
    Ok(())
}

/// Left-out users are settled at once and stay so, with one code: they can be counted at any time.
pub(super) async fn counts(db: &mut SqliteConnection, run: RunId) -> Result<MatchCounts, Fault> {
    let row = sqlx::query(
        "SELECT count(*) AS entries,
                count(*) FILTER (WHERE codes = 'match-none') AS none,
                count(*) FILTER (WHERE codes = 'match-ambiguous') AS ambiguous,
                count(*) FILTER (WHERE codes = 'source-disabled') AS disabled,
                count(*) FILTER (WHERE codes = 'forgotten') AS forgotten
           FROM entry WHERE run = ?1",
    )
    .bind(run.0)
    .fetch_one(db)
    .await?;
    let entries: u64 = row.count("entries")?;
    let (none, ambiguous, disabled): (u64, u64, u64) =
        (row.count("none")?, row.count("ambiguous")?, row.count("disabled")?);
    let left_out =
        none.saturating_add(ambiguous).saturating_add(disabled).saturating_add(row.count("forgotten")?);
    Ok(MatchCounts { entries, matched: entries.saturating_sub(left_out), none, ambiguous, disabled })
}
