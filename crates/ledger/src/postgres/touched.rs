//! The users of a verification or a rollback: those whom a migration has touched.
//!
//! They come from the entries of earlier runs, not from the snapshot: whoever has left the datafile since can be taken
//! back all the same, under a negative ordinal and without a record.

use super::fault::Fault;
use super::matching::counts;
use super::run::{locked, writes};
use crate::MatchCounts;
use contract::{RunId, RunState};
use sqlx::PgConnection;

/// Every user of the source with the Entra user of its newest entry that found one, and besides with each Entra user that
/// it was matched to before and that is still touched: both are taken back. An Entra user that several users of the source
/// were matched to belongs to the newest of them. Whose values before were forgotten is left alone, and it is said.
const FREEZE: &str = "
    WITH moved AS (
        SELECT e.user_key, e.content, e.entra, e.guest, e.allowed, e.matched_by, e.directory, e.run AS by_run,
               row_number() OVER (PARTITION BY e.user_key, e.entra ORDER BY e.run DESC, e.ordinal) AS nth
          FROM entry e JOIN run m ON m.no = e.run AND m.kind = 'migrate'),
    pairs AS (
        SELECT m.*, row_number() OVER (PARTITION BY m.entra ORDER BY m.by_run DESC, m.user_key) AS same_target
          FROM moved m WHERE m.nth = 1),
    meant AS (
        SELECT p.*, row_number() OVER (PARTITION BY p.user_key ORDER BY (p.entra IS NULL), p.by_run DESC) AS turn
          FROM pairs p
         WHERE $4 = 'all' OR p.user_key IN (SELECT user_key FROM batch_member WHERE batch = $4)),
    asked AS (
        SELECT n.*, row_number() OVER (ORDER BY n.user_key, n.turn) AS place,
               n.entra IS NOT NULL AND n.same_target = 1
               AND (EXISTS (SELECT FROM pre_image p WHERE p.entra = n.entra AND p.settled_by IS NULL)
                    OR EXISTS (SELECT FROM intent i WHERE i.entra = n.entra AND i.outcome IS NULL)) AS is_touched,
               n.same_target = 1 AND EXISTS (SELECT FROM forgotten f WHERE f.entra = n.entra) AS is_forgotten
          FROM meant n)
    INSERT INTO entry (run, ordinal, snapshot, writing, user_key, content, state, outcome, codes, settled_at, entra,
                       guest, allowed, matched_by, directory)
    SELECT $1, CASE WHEN a.turn = 1 THEN coalesce(r.ordinal, -a.place) ELSE -a.place END, $2, $3, a.user_key, a.content,
           CASE WHEN a.is_touched THEN 'waiting' WHEN NOT a.is_forgotten THEN 'unchanged'
                WHEN $3 THEN 'blocked' ELSE 'skipped' END,
           CASE WHEN a.is_touched THEN NULL WHEN NOT a.is_forgotten THEN 'unchanged'
                WHEN $3 THEN 'blocked' ELSE 'skipped' END,
           CASE WHEN a.is_forgotten AND NOT a.is_touched THEN 'forgotten' ELSE '' END,
           CASE WHEN a.is_touched THEN NULL ELSE now_ms() END,
           a.entra, a.guest, a.allowed, a.matched_by, a.directory
      FROM asked a
      LEFT JOIN (SELECT user_key, min(ordinal) AS ordinal FROM record WHERE snapshot = $2 GROUP BY user_key) r
             ON r.user_key = a.user_key
     WHERE a.turn = 1 OR a.is_touched OR a.is_forgotten ORDER BY 2";

pub(super) async fn freeze(db: &mut PgConnection, id: RunId) -> Result<MatchCounts, Fault> {
    let run = locked(db, id).await?;
    match run.state {
        RunState::Preparing => {}
        RunState::Open | RunState::Done | RunState::Superseded => return counts(db, id).await,
    }
    let snapshot: i64 =
        sqlx::query_scalar("SELECT snapshot FROM run WHERE no = $1").bind(id.0).fetch_one(&mut *db).await?;
    sqlx::query(FREEZE)
        .bind(id.0)
        .bind(snapshot)
        .bind(writes(run.spec.kind))
        .bind(&run.spec.batch)
        .execute(&mut *db)
        .await?;
    sqlx::query("UPDATE run SET state = 'open' WHERE no = $1").bind(id.0).execute(&mut *db).await?;
    counts(db, id).await
}

pub(super) async fn forget_applied(db: &mut PgConnection, run: RunId, ordinals: &[i64]) -> Result<(), Fault> {
    sqlx::query(
        "DELETE FROM applied WHERE entra IN (
             SELECT entra FROM entry WHERE run = $1 AND ordinal = ANY($2))",
    )
    .bind(run.0)
    .bind(ordinals)
    .execute(db)
    .await?;
    Ok(())
}
