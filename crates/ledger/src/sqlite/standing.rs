//! How a run stands, from the rows: a handful of statements that each go by an index and end early.

use super::decode::{Columns, json};
use super::fault::Fault;
use super::look;
use crate::standing::{FAILED, InDoubt, LOOKED_AT, Standing, by_code};
use contract::RunId;
use sqlx::{Row, SqliteConnection};
use std::time::Duration;

pub(super) async fn of(db: &mut SqliteConnection, run: RunId) -> Result<Standing, Fault> {
    let counts = look::counts(&mut *db, run).await?;
    let out = sqlx::query(
        "SELECT count(*) FILTER (WHERE released_at IS NOT NULL) AS released,
                (SELECT now_ms FROM clock) - min(released_at) AS oldest,
                (SELECT count(*) FROM entry
                  WHERE run = ?1 AND not_before IS NOT NULL AND state = 'waiting' AND released_at IS NULL) AS snoozed,
                (SELECT (SELECT now_ms FROM clock) - min(lease_until) FROM entry WHERE run = ?1 AND state = 'claimed') AS overdue
           FROM (SELECT released_at FROM entry WHERE run = ?1 AND state = 'waiting' ORDER BY ordinal LIMIT ?2) head",
    )
    .bind(run.0)
    .bind(LOOKED_AT)
    .fetch_one(&mut *db)
    .await?;
    let failed = sqlx::query(
        "SELECT state, codes, count(*) AS entries FROM entry WHERE run = ?1 AND state IN (SELECT value FROM json_each(?2)) AND codes <> ''
          GROUP BY state, codes",
    )
    .bind(run.0)
    .bind(json(FAILED.map(|state| state.as_str())))
    .fetch_all(&mut *db)
    .await?;
    let failed = failed
        .iter()
        .map(|row| Ok((row.entry_state("state")?, row.value("codes")?, row.count("entries")?)))
        .collect::<Result<Vec<_>, Fault>>()?;
    Ok(Standing {
        counts,
        released: out.count("released")?,
        snoozed: out.count("snoozed")?,
        oldest_order: since(out.value("oldest")?),
        lease_overdue: since(out.value("overdue")?),
        failed: by_code(failed),
        in_doubt: in_doubt(db, run).await?,
    })
}

/// Users first, by the indices of their states, then their intents by key: no index holds what has no outcome.
async fn in_doubt(db: &mut SqliteConnection, run: RunId) -> Result<Vec<InDoubt>, Fault> {
    let rows = sqlx::query(
        "WITH unsure AS MATERIALIZED (
             SELECT entra FROM entry WHERE run = ?1 AND state IN ('claimed', 'parked', 'conflict')
             UNION
             SELECT entra FROM entry WHERE run = ?1 AND not_before IS NOT NULL
             UNION
             SELECT entra FROM (SELECT entra, cut_short FROM entry
                                 WHERE run = ?1 AND state = 'waiting' ORDER BY ordinal LIMIT ?2) head WHERE cut_short)
         SELECT substr(i.slot, 1, instr(i.slot || ':', ':') - 1) AS method, count(*) AS intents, (SELECT now_ms FROM clock) - min(i.filed_at) AS age
           FROM unsure u JOIN intent i ON i.entra = u.entra AND i.outcome IS NULL
          GROUP BY 1 ORDER BY 1",
    )
    .bind(run.0)
    .bind(LOOKED_AT)
    .fetch_all(db)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(InDoubt {
                method: row.try_get("method").map_err(|_| Fault::Column("method"))?,
                intents: row.count("intents")?,
                age: since(row.value("age")?).unwrap_or_default(),
            })
        })
        .collect()
}

/// Milliseconds that have passed; absent where the time is still to come.
fn since(ms: Option<i64>) -> Option<Duration> {
    u64::try_from(ms?).ok().map(Duration::from_millis)
}
