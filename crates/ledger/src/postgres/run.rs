//! Runs: opened, resumed, superseded, ended.
//!
//! At most one writing run of a batch is unfinished. A run that has ended does not move any more.

use super::decode::Columns;
use super::fault::Fault;
use crate::{Error, OpenedRun, Run, RunSpec, RunTotals};
use contract::{RunId, RunKind, RunState};
use sqlx::PgConnection;
use sqlx::postgres::PgRow;

/// Whether a run of this kind may write to Entra.
pub(super) fn writes(kind: RunKind) -> bool {
    match kind {
        RunKind::Migrate | RunKind::Rollback | RunKind::Rollout | RunKind::RolloutRemove => true,
        RunKind::Rehearse | RunKind::Verify | RunKind::Survey | RunKind::RolloutPlan => false,
    }
}

const RUN: &str =
    "SELECT run.*, snapshot.id AS snapshot_id FROM run JOIN snapshot ON snapshot.no = run.snapshot
                    WHERE run.no = $1";

fn decode(row: &PgRow) -> Result<Run, Fault> {
    Ok(Run {
        id: row.run("no")?,
        spec: RunSpec {
            kind: row.run_kind("kind")?,
            batch: row.value("batch")?,
            snapshot: row.snapshot("snapshot_id")?,
            policy: row.value("policy")?,
            policy_hash: row.value("policy_hash")?,
            plan_hash: row.value("plan_hash")?,
            include_unchanged: row.value("include_unchanged")?,
        },
        state: row.run_state("state")?,
        opened_at_ms: row.value("opened_at")?,
        ended_at_ms: row.value("ended_at")?,
        totals: RunTotals {
            requests: row.count("requests")?,
            writes: row.count("writes")?,
            throttled: row.count("throttled")?,
            seconds: row.value("seconds")?,
        },
        halted: row.value("halted")?,
        step: row.count("step")?,
        steps: match row.value::<Option<&str>>("steps")? {
            Some(steps) => serde_json::from_str(steps).map_err(|_| Fault::Column("steps"))?,
            None => Vec::new(),
        },
        waits_for: row.value("waits_for")?,
    })
}

pub(super) async fn find(db: &mut PgConnection, id: RunId) -> Result<Option<Run>, Fault> {
    sqlx::query(RUN).bind(id.0).fetch_optional(db).await?.as_ref().map(decode).transpose()
}

async fn existing(db: &mut PgConnection, id: RunId) -> Result<Run, Fault> {
    find(db, id).await?.ok_or(Fault::Ours(Error::NoRun { run: id }))
}

/// A run that does not move while the transaction lasts.
pub(super) async fn locked(db: &mut PgConnection, id: RunId) -> Result<Run, Fault> {
    sqlx::query("SELECT 1 FROM run WHERE no = $1 FOR NO KEY UPDATE").bind(id.0).execute(&mut *db).await?;
    existing(db, id).await
}

pub(super) async fn latest(db: &mut PgConnection, kinds: &[RunKind]) -> Result<Option<Run>, Fault> {
    let row = sqlx::query(
        "SELECT run.*, snapshot.id AS snapshot_id FROM run JOIN snapshot ON snapshot.no = run.snapshot
          WHERE run.kind = ANY($1) ORDER BY run.no DESC LIMIT 1",
    )
    .bind(kinds.iter().map(|kind| kind.as_str()).collect::<Vec<_>>())
    .fetch_optional(db)
    .await?;
    row.as_ref().map(decode).transpose()
}

pub(super) async fn of_batch(db: &mut PgConnection, batch: &str) -> Result<Vec<Run>, Fault> {
    let rows = sqlx::query(
        "SELECT run.*, snapshot.id AS snapshot_id FROM run JOIN snapshot ON snapshot.no = run.snapshot
          WHERE run.batch = $1 ORDER BY run.no DESC",
    )
    .bind(batch)
    .fetch_all(db)
    .await?;
    rows.iter().map(decode).collect()
}

pub(super) async fn newest(db: &mut PgConnection, limit: u32) -> Result<Vec<Run>, Fault> {
    let rows = sqlx::query(
        "SELECT run.*, snapshot.id AS snapshot_id FROM run JOIN snapshot ON snapshot.no = run.snapshot
          WHERE run.kind <> 'survey' ORDER BY run.no DESC LIMIT $1",
    )
    .bind(i64::from(limit))
    .fetch_all(db)
    .await?;
    rows.iter().map(decode).collect()
}

pub(super) async fn open(db: &mut PgConnection, spec: &RunSpec) -> Result<OpenedRun, Fault> {
    one_at_a_time(db).await?;
    let snapshot: i64 = sqlx::query_scalar("SELECT no FROM snapshot WHERE id = $1 AND manifest IS NOT NULL")
        .bind(&spec.snapshot.0)
        .fetch_optional(&mut *db)
        .await?
        .ok_or_else(|| Fault::no_snapshot(&spec.snapshot))?;
    super::batch::must_be_frozen(db, &spec.batch).await?;
    if matches!(spec.kind, RunKind::Rehearse | RunKind::Survey | RunKind::RolloutPlan) {
        drop_looks(db, spec.kind).await?;
    } else if let Some(run) = unfinished(db, spec, snapshot).await? {
        return Ok(OpenedRun { run, resumed: true, superseded: Vec::new() });
    }
    let superseded = if writes(spec.kind) { supersede(db, spec).await? } else { Vec::new() };
    drop_readings(db).await?;
    let id = sqlx::query_scalar(
        "INSERT INTO run (kind, batch, snapshot, policy, policy_hash, plan_hash, include_unchanged, state, opened_at, halted)
         VALUES ($1, $2, $3, $4, $5, $6, $7, 'preparing', now_ms(), $8) RETURNING no",
    )
    .bind(spec.kind.as_str())
    .bind(&spec.batch)
    .bind(snapshot)
    .bind(&spec.policy)
    .bind(&spec.policy_hash)
    .bind(spec.plan_hash.as_deref())
    .bind(spec.include_unchanged)
    .bind(spec.plan_hash.as_ref().map(|_| crate::filing::PLAN_IS_FILED))
    .fetch_one(&mut *db)
    .await?;
    Ok(OpenedRun { run: existing(db, RunId(id)).await?, resumed: false, superseded })
}

/// Two processes that open the same run, or make the same batch, at the same time find one. The lock ends with the
/// transaction.
pub(super) async fn one_at_a_time(db: &mut PgConnection) -> Result<(), Fault> {
    sqlx::query(
        "SELECT pg_advisory_xact_lock(hashtextextended('mfa-migrate opens in ' || current_schema(), 0))",
    )
    .execute(db)
    .await?;
    Ok(())
}

/// The policy is told by its hash: its text may be spelt in another way.
async fn unfinished(db: &mut PgConnection, spec: &RunSpec, snapshot: i64) -> Result<Option<Run>, Fault> {
    let row = sqlx::query(
        "SELECT run.*, snapshot.id AS snapshot_id FROM run JOIN snapshot ON snapshot.no = run.snapshot
          WHERE run.batch = $1 AND run.kind = $2 AND run.state IN ('preparing', 'open') AND run.snapshot = $3
            AND run.policy_hash = $4 AND run.plan_hash IS NOT DISTINCT FROM $5 AND run.include_unchanged = $6
          ORDER BY run.no DESC LIMIT 1",
    )
    .bind(&spec.batch)
    .bind(spec.kind.as_str())
    .bind(snapshot)
    .bind(&spec.policy_hash)
    .bind(spec.plan_hash.as_deref())
    .bind(spec.include_unchanged)
    .fetch_optional(db)
    .await?;
    row.as_ref().map(decode).transpose()
}

/// Ends the unfinished writing runs of a batch. Their users are free at once, but for those that a worker still holds:
/// its lease has to end first, since a write of it may be under way.
async fn supersede(db: &mut PgConnection, spec: &RunSpec) -> Result<Vec<RunId>, Fault> {
    let mut runs: Vec<i64> = sqlx::query_scalar(
        "UPDATE run SET state = 'superseded', ended_at = now_ms()
          WHERE batch = $1 AND kind = ANY($2) AND state IN ('preparing', 'open') RETURNING no",
    )
    .bind(&spec.batch)
    .bind(crate::filing::rivals(spec.kind).map(RunKind::as_str).to_vec())
    .fetch_all(&mut *db)
    .await?;
    runs.sort_unstable();
    sqlx::query(
        "UPDATE entry SET holds = false
          WHERE holds AND run = ANY($1)
            AND NOT (state = 'claimed' AND lease_until > now_ms())",
    )
    .bind(&runs)
    .execute(db)
    .await?;
    Ok(runs.into_iter().map(RunId).collect())
}

/// The entries of a rehearsal or a survey are of use until the next one; its row stays, as a superseded run if it was not
/// done.
async fn drop_looks(db: &mut PgConnection, kind: RunKind) -> Result<(), Fault> {
    sqlx::query(
        "UPDATE run SET state = 'superseded', ended_at = now_ms()
          WHERE kind = $1 AND state IN ('preparing', 'open')",
    )
    .bind(kind.as_str())
    .execute(&mut *db)
    .await?;
    for statement in [
        "DELETE FROM entry WHERE run IN (SELECT no FROM run WHERE kind = $1)",
        "DELETE FROM reviewed WHERE run IN (SELECT no FROM run WHERE kind = $1)",
        "DELETE FROM checkpoint WHERE run IN (SELECT no FROM run WHERE kind = $1)",
    ] {
        sqlx::query(statement).bind(kind.as_str()).execute(&mut *db).await?;
    }
    Ok(())
}

/// What ended runs have read of the tenant is old, and their entries have copied what they need.
async fn drop_readings(db: &mut PgConnection) -> Result<(), Fault> {
    for statement in [
        "DELETE FROM directory WHERE run IN (SELECT no FROM run WHERE state IN ('done', 'superseded'))",
        "DELETE FROM inventory WHERE run IN (SELECT no FROM run WHERE state IN ('done', 'superseded'))",
    ] {
        sqlx::query(statement).execute(&mut *db).await?;
    }
    Ok(())
}

pub(super) async fn set_state(db: &mut PgConnection, id: RunId, state: RunState) -> Result<(), Fault> {
    let run = locked(db, id).await?;
    if run.state == state {
        return Ok(());
    }
    if ended(run.state) {
        return Err(Error::Ended { run: id, state: run.state }.into());
    }
    if state == RunState::Done {
        refuse_unsettled(db, id).await?;
    }
    sqlx::query("UPDATE run SET state = $2, ended_at = CASE WHEN $3 THEN now_ms() END WHERE no = $1")
        .bind(id.0)
        .bind(state.as_str())
        .bind(ended(state))
        .execute(&mut *db)
        .await?;
    if state == RunState::Superseded {
        sqlx::query(
            "UPDATE entry SET holds = false
              WHERE holds AND run = $1 AND NOT (state = 'claimed' AND lease_until > now_ms())",
        )
        .bind(id.0)
        .execute(db)
        .await?;
    }
    Ok(())
}

fn ended(state: RunState) -> bool {
    match state {
        RunState::Preparing | RunState::Open => false,
        RunState::Done | RunState::Superseded => true,
    }
}

async fn refuse_unsettled(db: &mut PgConnection, id: RunId) -> Result<(), Fault> {
    let row = sqlx::query(
        "SELECT count(*) AS entries,
                count(*) FILTER (WHERE state NOT IN ('waiting', 'claimed')) AS settled
           FROM entry WHERE run = $1",
    )
    .bind(id.0)
    .fetch_one(db)
    .await?;
    let (expected, found): (u64, u64) = (row.count("entries")?, row.count("settled")?);
    if expected == found {
        return Ok(());
    }
    Err(Error::Incomplete { what: format!("run {id} (settled users)"), expected, found }.into())
}

pub(super) async fn to_drive(db: &mut PgConnection) -> Result<Vec<Run>, Fault> {
    let rows = sqlx::query(
        "SELECT run.*, snapshot.id AS snapshot_id FROM run JOIN snapshot ON snapshot.no = run.snapshot
          WHERE run.state IN ('preparing', 'open') AND run.halted IS NULL ORDER BY run.no",
    )
    .fetch_all(db)
    .await?;
    rows.iter().map(decode).collect()
}

pub(super) async fn halt(db: &mut PgConnection, id: RunId, reason: &str) -> Result<(), Fault> {
    locked(db, id).await?;
    sqlx::query("UPDATE run SET halted = $2 WHERE no = $1 AND state IN ('preparing', 'open')")
        .bind(id.0)
        .bind(reason)
        .execute(db)
        .await?;
    Ok(())
}

pub(super) async fn add_totals(db: &mut PgConnection, id: RunId, add: &RunTotals) -> Result<(), Fault> {
    let counted = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    let done = sqlx::query(
        "UPDATE run SET requests = requests + $2, writes = writes + $3, throttled = throttled + $4,
                        seconds = seconds + $5 WHERE no = $1",
    )
    .bind(id.0)
    .bind(counted(add.requests))
    .bind(counted(add.writes))
    .bind(counted(add.throttled))
    .bind(add.seconds)
    .execute(db)
    .await?;
    if done.rows_affected() == 1 { Ok(()) } else { Err(Error::NoRun { run: id }.into()) }
}

pub(super) async fn resume(db: &mut PgConnection, id: RunId) -> Result<(), Fault> {
    existing(db, id).await?;
    for statement in [
        "UPDATE entry SET released_at = NULL
          WHERE run = $1 AND state = 'waiting' AND released_at IS NOT NULL
            AND EXISTS (SELECT 1 FROM run WHERE no = $1 AND halted IS NOT NULL)",
        "UPDATE run SET halted = NULL, waits_for = NULL WHERE no = $1",
    ] {
        sqlx::query(statement).bind(id.0).execute(&mut *db).await?;
    }
    Ok(())
}
