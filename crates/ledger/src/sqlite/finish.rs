//! The end of claims: outcomes, results, and what the next run wants to know, in one transaction.
//!
//! A stale epoch touches nothing at all. A claim of a run that was superseded meanwhile may still end: what it has
//! done is done, and the ledger must know of it. Unless its user was given away after its lease: then it touches its own
//! entry alone.
//!
//! The joins are led by hand (CROSS JOIN, a list of ordinals, a plus that hides the state from the planner): from the
//! few rows given to the entries by their number. Left to itself, SQLite goes through all claimed entries for each.

use super::decode::{Columns, json, milliseconds};
use super::fault::Fault;
use crate::{End, Error, Finish};
use contract::{IntentOutcome, RunId};
use serde_json::Value;
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};
use std::collections::{BTreeMap, BTreeSet};

/// Rows a statement.
const ROWS_A_STATEMENT: usize = 500;

pub(super) async fn finish(
    db: &mut SqliteConnection,
    run: RunId,
    rows: Vec<Finish>,
) -> Result<Vec<i64>, Fault> {
    for row in &rows {
        match &row.end {
            End::Settle { state, .. } if !state.is_settled() => {
                return Err(Error::NotSettled { run, ordinal: row.ordinal }.into());
            }
            End::Settle { .. } | End::Snooze { .. } => {}
        }
    }
    let held = held(db, run, &rows).await?;
    let mut seen = BTreeSet::new();
    let rows: Vec<_> = rows
        .into_iter()
        .filter(|row| held.claims.contains_key(&(row.ordinal, row.epoch)) && seen.insert(row.ordinal))
        .collect();
    // A run that only reads holds nobody, nor does a claim whose user was given to another run: what they saw may be
    // older than what the holder knows by now. Routing changes nothing of what was applied.
    let (holding, others): (Vec<_>, Vec<_>) = rows
        .into_iter()
        .partition(|row| held.claims.get(&(row.ordinal, row.epoch)).is_some_and(|holds| *holds));
    record_outcomes(db, run, &holding).await?;
    journal_changes(db, run, &holding).await?;
    if held.rollback {
        settle_pre_images(db, run, &holding).await?;
        forget_secrets(db, &holding).await?;
    }
    for page in holding.chunks(ROWS_A_STATEMENT) {
        keep_applied(db, run, page, held.rollback).await?;
        if !held.rollback {
            keep_secrets(db, run, page).await?;
        }
    }
    for page in holding.chunks(ROWS_A_STATEMENT).chain(others.chunks(ROWS_A_STATEMENT)) {
        settle(db, run, page).await?;
        snooze(db, run, page).await?;
    }
    Ok(seen.into_iter().collect())
}

/// The claims that still stand, and what kind of run it is.
struct Held {
    /// By ordinal and epoch, whether it still holds its user's methods against all other runs.
    claims: BTreeMap<(i64, i64), bool>,
    rollback: bool,
}

async fn held(db: &mut SqliteConnection, run: RunId, rows: &[Finish]) -> Result<Held, Fault> {
    let asked =
        json(rows.iter().map(|row| {
            vec![Value::from(row.ordinal), Value::from(row.epoch), Value::from(row.user.0.as_str())]
        }));
    let found = sqlx::query(
        "SELECT e.ordinal, e.epoch,
                e.writing AND e.holds AND run.kind NOT IN ('rollout', 'rollout-remove') AS holds,
                run.kind = 'rollback' AS rollback
           FROM json_each(?2) j
          CROSS JOIN entry e ON e.run = ?1 AND e.ordinal = j.value ->> 0
          CROSS JOIN run ON run.no = e.run
          WHERE e.epoch = j.value ->> 1 AND e.entra = j.value ->> 2 AND +e.state = 'claimed'",
    )
    .bind(run.0)
    .bind(asked)
    .fetch_all(db)
    .await?;
    let mut held = Held { claims: BTreeMap::new(), rollback: false };
    for row in &found {
        held.claims.insert((row.value("ordinal")?, row.value("epoch")?), row.value("holds")?);
        held.rollback = row.value("rollback")?;
    }
    Ok(held)
}

/// The outcome goes to this run's intent, and to those of other runs that still have none: we alone hold the user, so
/// what was seen answers for them too. `not-sent` speaks of our own request, and answers for another run's only where
/// we filed none.
async fn record_outcomes(db: &mut SqliteConnection, run: RunId, rows: &[Finish]) -> Result<(), Fault> {
    let outcomes: Vec<_> = rows
        .iter()
        .flat_map(|row| row.outcomes.iter().map(|slot| (row.user.0.as_str(), slot)))
        .map(|(user, slot)| vec![user, slot.slot.as_str(), slot.outcome.as_str()])
        .collect();
    if outcomes.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "UPDATE intent SET outcome = j.outcome
           FROM (SELECT value ->> 0 AS entra, value ->> 1 AS slot, value ->> 2 AS outcome FROM json_each(?2)) j
          WHERE intent.entra = j.entra AND intent.slot = j.slot
            AND (intent.run = ?1
                 OR (intent.outcome IS NULL
                     AND (j.outcome <> 'not-sent'
                          OR NOT EXISTS (SELECT 1 FROM intent mine WHERE mine.entra = intent.entra
                                            AND mine.run = ?1 AND mine.slot = intent.slot))))",
    )
    .bind(run.0)
    .bind(json(outcomes))
    .execute(db)
    .await?;
    Ok(())
}

/// What was learnt of changes goes into the journal: one line for all that ended together.
async fn journal_changes(db: &mut SqliteConnection, run: RunId, rows: &[Finish]) -> Result<(), Fault> {
    let seen: Vec<_> = rows
        .iter()
        .flat_map(|row| row.outcomes.iter().map(|slot| (row.user.0.as_str(), slot)))
        .map(|(user, slot)| vec![user, slot.slot.as_str(), slot.outcome.as_str()])
        .collect();
    if seen.is_empty() {
        return Ok(());
    }
    super::journal::append(db, Some(run), "changes", json(seen)).await
}

/// A rollback settles pre-images: of the slots that it restored, and of users that are as they were before.
async fn settle_pre_images(db: &mut SqliteConnection, run: RunId, rows: &[Finish]) -> Result<(), Fault> {
    let mut slots = Vec::new();
    let mut users = Vec::new();
    for row in rows {
        let restored = row.outcomes.iter().filter(|slot| slot.outcome == IntentOutcome::Applied);
        slots.extend(restored.map(|slot| vec![row.user.0.as_str(), slot.slot.as_str()]));
        match &row.end {
            End::Settle { state: contract::EntryState::Reverted, .. } => users.push(row.user.0.as_str()),
            End::Settle { .. } | End::Snooze { .. } => {}
        }
    }
    sqlx::query(
        "UPDATE pre_image SET settled_by = ?1
          WHERE settled_by IS NULL AND entra IN (SELECT value FROM json_each(?2))",
    )
    .bind(run.0)
    .bind(json(users))
    .execute(&mut *db)
    .await?;
    sqlx::query(
        "UPDATE pre_image SET settled_by = ?1
          WHERE settled_by IS NULL AND entra IN (SELECT value ->> 0 FROM json_each(?2))
            AND (entra, slot) IN (SELECT value ->> 0, value ->> 1 FROM json_each(?2))",
    )
    .bind(run.0)
    .bind(json(slots))
    .execute(db)
    .await?;
    Ok(())
}

/// A later migration must not believe that a token is there which was taken back: the secrets of users that are as they were
/// before, and of those whose token went, are forgotten. A token that stays is told by its serial.
async fn forget_secrets(db: &mut SqliteConnection, rows: &[Finish]) -> Result<(), Fault> {
    let is_taken_back = |row: &&Finish| match &row.end {
        End::Settle { state: contract::EntryState::Reverted, .. } => true,
        End::Settle { .. } | End::Snooze { .. } => row.outcomes.iter().any(|slot| {
            slot.outcome == IntentOutcome::Applied && slot.slot.starts_with(crate::filing::TOKEN_SLOTS)
        }),
    };
    sqlx::query("DELETE FROM secret WHERE entra IN (SELECT value FROM json_each(?1))")
        .bind(json(rows.iter().filter(is_taken_back).map(|row| row.user.0.as_str())))
        .execute(db)
        .await?;
    Ok(())
}

async fn settle(db: &mut SqliteConnection, run: RunId, page: &[Finish]) -> Result<(), Fault> {
    let settled: Vec<_> = page
        .iter()
        .filter_map(|row| match &row.end {
            End::Settle { state, outcome, codes, result, .. } => Some((row, state, outcome, codes, result)),
            End::Snooze { .. } => None,
        })
        .collect();
    if settled.is_empty() {
        return Ok(());
    }
    let ordinals = json(settled.iter().map(|(row, ..)| row.ordinal));
    let mut update =
        QueryBuilder::<Sqlite>::new("WITH done (ordinal, epoch, state, outcome, codes, result) AS (");
    update.push_values(settled, |mut values, (row, state, outcome, codes, result)| {
        values
            .push_bind(row.ordinal)
            .push_bind(row.epoch)
            .push_bind(state.as_str())
            .push_bind(outcome.as_str());
        values.push_bind(codes.as_str()).push_bind(result.0.as_slice());
    });
    update.push(
        ") UPDATE entry SET state = done.state, outcome = done.outcome, codes = done.codes, result = done.result,
                  settled_at = (SELECT now_ms FROM clock), owner = NULL, lease_until = NULL, holds = 0
             FROM done WHERE entry.ordinal = done.ordinal AND entry.epoch = done.epoch AND +entry.state = 'claimed'
              AND entry.ordinal IN (SELECT value FROM json_each(",
    );
    update.push_bind(ordinals).push(")) AND entry.run = ");
    update.push_bind(run.0);
    update.build().execute(db).await?;
    Ok(())
}

async fn snooze(db: &mut SqliteConnection, run: RunId, page: &[Finish]) -> Result<(), Fault> {
    let snoozed: Vec<_> = page
        .iter()
        .filter_map(|row| match &row.end {
            End::Snooze { after, attempt } => {
                Some(vec![row.ordinal, row.epoch, milliseconds(*after), i64::from(*attempt)])
            }
            End::Settle { .. } => None,
        })
        .collect();
    if snoozed.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "WITH j AS MATERIALIZED (
             SELECT value ->> 0 AS ordinal, value ->> 1 AS epoch, value ->> 2 AS after_ms, value ->> 3 AS attempt
               FROM json_each(?2))
         UPDATE entry SET state = 'waiting', owner = NULL, lease_until = NULL, released_at = NULL,
                not_before = (SELECT now_ms FROM clock) + j.after_ms, attempts = attempts + j.attempt,
                snoozes = snoozes + 1, snoozed_ms = snoozed_ms + j.after_ms
           FROM j
          WHERE entry.run = ?1 AND entry.ordinal = j.ordinal AND entry.epoch = j.epoch AND +entry.state = 'claimed'
            AND entry.ordinal IN (SELECT value ->> 0 FROM json_each(?2))",
    )
    .bind(run.0)
    .bind(json(snoozed))
    .execute(db)
    .await?;
    Ok(())
}

/// After a rollback nothing is applied any more, whatever it found.
async fn keep_applied(
    db: &mut SqliteConnection,
    run: RunId,
    page: &[Finish],
    rollback: bool,
) -> Result<(), Fault> {
    let mut kept = Vec::new();
    let mut cleared = Vec::new();
    for row in page {
        match &row.end {
            End::Settle { applied: Some(fingerprint), .. } if !rollback => {
                kept.push((row.user.0.as_str(), fingerprint));
            }
            End::Settle { .. } => cleared.push(row.user.0.as_str()),
            End::Snooze { .. } => {}
        }
    }
    if !kept.is_empty() {
        let mut insert = QueryBuilder::<Sqlite>::new("INSERT INTO applied (entra, fingerprint, run) ");
        insert.push_values(kept, |mut values, (user, fingerprint)| {
            values.push_bind(user).push_bind(fingerprint.0.to_vec()).push_bind(run.0);
        });
        insert.push(
            " ON CONFLICT (entra) DO UPDATE SET fingerprint = excluded.fingerprint, run = excluded.run",
        );
        insert.build().execute(&mut *db).await?;
    }
    if !cleared.is_empty() {
        sqlx::query("DELETE FROM applied WHERE entra IN (SELECT value FROM json_each(?1))")
            .bind(json(cleared))
            .execute(db)
            .await?;
    }
    Ok(())
}

async fn keep_secrets(db: &mut SqliteConnection, run: RunId, page: &[Finish]) -> Result<(), Fault> {
    let mut secrets = Vec::new();
    for row in page {
        match &row.end {
            End::Settle { secrets: written, .. } => {
                secrets.extend(
                    written.iter().map(|(fingerprint, serial)| (row.user.0.as_str(), fingerprint, serial)),
                );
            }
            End::Snooze { .. } => {}
        }
    }
    if secrets.is_empty() {
        return Ok(());
    }
    let mut insert = QueryBuilder::<Sqlite>::new("INSERT INTO secret (entra, fingerprint, serial, run) ");
    insert.push_values(secrets, |mut values, (user, fingerprint, serial)| {
        values.push_bind(user).push_bind(fingerprint.0.to_vec());
        values.push_bind(serial.0.as_slice()).push_bind(run.0);
    });
    insert
        .push(" ON CONFLICT (entra, fingerprint) DO UPDATE SET serial = excluded.serial, run = excluded.run");
    insert.build().execute(db).await?;
    Ok(())
}
