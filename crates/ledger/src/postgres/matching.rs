//! Matching, and the freezing of a run's entries (rules U1 to U4), as sets.
//!
//! Each stage joins the fingerprints of the records that no earlier stage has hit with those of the directory, and
//! leaves pairs of a record and an Entra user. A pair's user that another record has too, or a record with two pairs,
//! is ambiguous. Which rule decides: U2, then U3, then U4, so that a record that is left out as disabled still counts
//! as the second one of U3.

use super::decode::Columns;
use super::fault::Fault;
use super::run::{locked, writes};
use crate::MatchCounts;
use contract::{Match, RunId, RunKind, RunState};
use sqlx::{AssertSqlSafe, PgConnection};

/// What the stages leave behind while a transaction lasts; fingerprints and numbers only. A pair comes up once, since a
/// stage only looks at records without one.
const PREPARE: [&str; 3] = [
    "ANALYZE record",
    "ANALYZE directory",
    "CREATE TEMP TABLE pair (ordinal bigint NOT NULL, no bigint NOT NULL, stage bigint NOT NULL) ON COMMIT DROP",
];

/// How many records hit each user, and from it what every record has found.
const DECIDE: [&str; 2] = [
    "CREATE TEMP TABLE found ON COMMIT DROP AS
     SELECT p.ordinal, min(p.no) AS no, min(p.stage) AS stage, count(*) > 1 OR max(s.records) > 1 AS ambiguous
       FROM pair p JOIN (SELECT no, count(*) AS records FROM pair GROUP BY no) s ON s.no = p.no
      GROUP BY p.ordinal",
    "ANALYZE found",
];

/// `$4`: disabled users are moved too. `$5`: the batch; matching itself was over everybody. `$6`: a survey, of which nobody
/// is worked on. An ambiguous entry has no target. A record that was forgotten moves nobody.
const FREEZE: &str = "INSERT INTO entry (run, ordinal, snapshot, writing, user_key, content, state, outcome, codes,
                       settled_at, entra, guest, allowed, matched_by, directory)
    SELECT $1, r.ordinal, r.snapshot, $3, r.user_key, r.content,
           CASE WHEN d.no IS NULL OR NOT (r.enabled OR $4) OR octet_length(r.sealed) = 0 THEN 'skipped' WHEN $6 THEN 'planned' ELSE 'waiting' END,
           CASE WHEN d.no IS NULL OR NOT (r.enabled OR $4) OR octet_length(r.sealed) = 0 THEN 'skipped' END,
           CASE WHEN f.ordinal IS NULL THEN 'match-none' WHEN f.ambiguous THEN 'match-ambiguous'
                WHEN NOT (r.enabled OR $4) THEN 'source-disabled' WHEN octet_length(r.sealed) = 0 THEN 'forgotten' ELSE '' END,
           CASE WHEN $6 OR d.no IS NULL OR NOT (r.enabled OR $4) OR octet_length(r.sealed) = 0 THEN now_ms() END,
           d.entra, coalesce(d.guest, false), coalesce(d.allowed, 0), CASE WHEN d.no IS NOT NULL THEN f.stage END,
           d.sealed
      FROM record r
      LEFT JOIN found f ON f.ordinal = r.ordinal
      LEFT JOIN directory d ON d.no = f.no AND NOT f.ambiguous
     WHERE r.snapshot = $2
       AND ($5 = 'all' OR r.user_key IN (SELECT user_key FROM batch_member WHERE batch = $5))
     ORDER BY r.ordinal";

pub(super) async fn match_users(
    db: &mut PgConnection,
    id: RunId,
    stages: &[Match],
    include_disabled: bool,
) -> Result<MatchCounts, Fault> {
    let run = locked(db, id).await?;
    match run.state {
        RunState::Preparing => {}
        RunState::Open | RunState::Done | RunState::Superseded => return counts(db, id).await,
    }
    let snapshot: i64 =
        sqlx::query_scalar("SELECT snapshot FROM run WHERE no = $1").bind(id.0).fetch_one(&mut *db).await?;
    for statement in PREPARE {
        sqlx::raw_sql(statement).execute(&mut *db).await?;
    }
    for stage in stages {
        hit(db, id, snapshot, *stage).await?;
    }
    for statement in DECIDE {
        sqlx::raw_sql(statement).execute(&mut *db).await?;
    }
    // The temporary tables are others each time, so the statements over them are not kept prepared.
    sqlx::query(FREEZE)
        .bind(id.0)
        .bind(snapshot)
        .bind(writes(run.spec.kind))
        .bind(include_disabled)
        .bind(&run.spec.batch)
        .bind(run.spec.kind == RunKind::Survey)
        .persistent(false)
        .execute(&mut *db)
        .await?;
    sqlx::query("UPDATE run SET state = 'open' WHERE no = $1").bind(id.0).execute(&mut *db).await?;
    counts(db, id).await
}

/// One stage.
async fn hit(db: &mut PgConnection, run: RunId, snapshot: i64, stage: Match) -> Result<(), Fault> {
    let position = Match::ALL.iter().position(|s| *s == stage).ok_or(Fault::Column("matched_by"))?;
    // The only text that is put together here is the number of a column.
    sqlx::query(AssertSqlSafe(format!(
        "INSERT INTO pair SELECT r.ordinal, d.no, $3
           FROM record r JOIN directory d ON d.run = $1 AND d.key_{position} = r.key_{position}
          WHERE r.snapshot = $2 AND NOT EXISTS (SELECT FROM pair p WHERE p.ordinal = r.ordinal)"
    )))
    .bind(run.0)
    .bind(snapshot)
    .bind(i64::try_from(position).unwrap_or_default())
    .persistent(false)
    .execute(&mut *db)
    .await?;
    sqlx::raw_sql("ANALYZE pair").execute(db).await?;
    Ok(())
}

/// Left-out users are settled at once and stay so, with one code: they can be counted at any time.
pub(super) async fn counts(db: &mut PgConnection, run: RunId) -> Result<MatchCounts, Fault> {
    let row = sqlx::query(
        "SELECT count(*) AS entries,
                count(*) FILTER (WHERE codes = 'match-none') AS none,
                count(*) FILTER (WHERE codes = 'match-ambiguous') AS ambiguous,
                count(*) FILTER (WHERE codes = 'source-disabled') AS disabled,
                count(*) FILTER (WHERE codes = 'forgotten') AS forgotten
           FROM entry WHERE run = $1",
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
