//! Temporary Access Passes: who has a user in hand, what was about to be asked for, and what became of it.
//!
//! No statement here ever holds a pass. A claim that has moved on touches nothing.

use super::decode::{Columns, duration, json, milliseconds};
use super::fault::Fault;
use crate::{IssuedPass, NewPassIntent, PassClaim, PassFinish, PassIntent, PassIssue};
use contract::{EntraId, PassEnding, PassOutcome};
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;
use std::collections::BTreeMap;
use std::time::Duration;

/// The slot of passes in the journal's lines.
pub(super) const SLOT: &str = "temporaryAccessPass";

pub(super) async fn begin(db: &mut SqliteConnection, issue: &PassIssue) -> Result<(), Fault> {
    sqlx::query(
        "INSERT OR IGNORE INTO pass_issue (id, lifetime_minutes, once, start_ms, by_whom, made_at)
         VALUES (?1, ?2, ?3, ?4, ?5, (SELECT now_ms FROM clock))",
    )
    .bind(&issue.id)
    .bind(i64::from(issue.lifetime_minutes))
    .bind(issue.once)
    .bind(issue.start_ms)
    .bind(&issue.by)
    .execute(db)
    .await?;
    Ok(())
}

pub(super) async fn issue(db: &mut SqliteConnection, id: &str) -> Result<Option<PassIssue>, Fault> {
    let row = sqlx::query(
        "SELECT id AS issue, lifetime_minutes, once, start_ms, by_whom FROM pass_issue WHERE id = ?1",
    )
    .bind(id)
    .fetch_optional(db)
    .await?;
    row.as_ref().map(decode_issue).transpose()
}

fn decode_issue(row: &SqliteRow) -> Result<PassIssue, Fault> {
    Ok(PassIssue {
        id: row.value("issue")?,
        lifetime_minutes: row.count("lifetime_minutes")?,
        once: row.value("once")?,
        start_ms: row.value("start_ms")?,
        by: row.value("by_whom")?,
    })
}

fn decode_issued(row: &SqliteRow) -> Result<IssuedPass, Fault> {
    Ok(IssuedPass {
        no: row.value("no")?,
        issue: row.value("issue")?,
        user: row.entra("entra")?,
        method: row.value::<Option<String>>("method")?.unwrap_or_default(),
        age: duration(row.value("age")?),
        ending: row.maybe_word("ending", PassEnding::parse)?,
    })
}

pub(super) async fn claim(
    db: &mut SqliteConnection,
    users: &[EntraId],
    owner: &str,
    lease: Duration,
    grace: Duration,
) -> Result<Vec<PassClaim>, Fault> {
    let rows = sqlx::query(
        "INSERT INTO pass_claim (entra, owner, epoch, lease_until)
         SELECT DISTINCT value, ?2, 1, (SELECT now_ms FROM clock) + ?3 FROM json_each(?1) WHERE true
             ON CONFLICT (entra) DO UPDATE
                SET owner = excluded.owner, epoch = pass_claim.epoch + 1, lease_until = excluded.lease_until
              WHERE pass_claim.lease_until + ?4 <= (SELECT now_ms FROM clock)
         RETURNING entra, epoch",
    )
    .bind(json(users.iter().map(|user| user.0.as_str())))
    .bind(owner)
    .bind(milliseconds(lease))
    .bind(milliseconds(grace))
    .fetch_all(&mut *db)
    .await?;
    let mut claims: BTreeMap<EntraId, PassClaim> = BTreeMap::new();
    for row in &rows {
        let user = row.entra("entra")?;
        let epoch = row.value("epoch")?;
        claims.insert(
            user.clone(),
            PassClaim { user, epoch, open: None, issued: Vec::new(), lost: Vec::new() },
        );
    }
    let held = json(claims.keys().map(|user| user.0.as_str()));
    let rows = sqlx::query(
        "SELECT p.*, i.lifetime_minutes, i.once, i.start_ms, i.by_whom,
                (SELECT now_ms FROM clock) - p.filed_at AS age
           FROM pass p JOIN pass_issue i ON i.id = p.issue
          WHERE p.entra IN (SELECT value FROM json_each(?1)) AND (p.outcome IS NULL OR p.outcome IN ('issued', 'lost'))
          ORDER BY p.no",
    )
    .bind(held)
    .fetch_all(db)
    .await?;
    for row in &rows {
        let Some(claim) = claims.get_mut(&row.entra("entra")?) else { continue };
        match row.maybe_word("outcome", PassOutcome::parse)? {
            None => claim.open = Some(decode_intent(row)?),
            Some(PassOutcome::Lost) => claim.lost.extend(row.value::<Option<String>>("method")?),
            Some(_) => claim.issued.push(decode_issued(row)?),
        }
    }
    Ok(claims.into_values().collect())
}

fn decode_intent(row: &SqliteRow) -> Result<PassIntent, Fault> {
    Ok(PassIntent {
        no: row.value("no")?,
        issue: decode_issue(row)?,
        filed_at_ms: row.value("filed_at")?,
        age: duration(row.value("age")?),
        before: serde_json::from_str(row.value("before")?).map_err(|_| Fault::Column("before"))?,
    })
}

pub(super) async fn file_intents(
    db: &mut SqliteConnection,
    issue: &str,
    rows: &[NewPassIntent],
) -> Result<Vec<(EntraId, i64)>, Fault> {
    let mut filed = Vec::with_capacity(rows.len());
    for row in rows {
        let no: Option<i64> = sqlx::query_scalar(
            "INSERT INTO pass (issue, entra, epoch, before, filed_at)
             SELECT ?1, entra, epoch, ?4, (SELECT now_ms FROM clock) FROM pass_claim c
              WHERE c.entra = ?2 AND c.epoch = ?3 AND c.lease_until > 0
                AND NOT EXISTS (SELECT 1 FROM pass p WHERE p.entra = c.entra AND p.outcome IS NULL)
             RETURNING no",
        )
        .bind(issue)
        .bind(&row.user.0)
        .bind(row.epoch)
        .bind(json(row.before.iter().map(String::as_str)))
        .fetch_optional(&mut *db)
        .await?;
        filed.extend(no.map(|no| (row.user.clone(), no)));
    }
    Ok(filed)
}

pub(super) async fn finish(db: &mut SqliteConnection, rows: &[PassFinish]) -> Result<Vec<EntraId>, Fault> {
    let mut held = Vec::with_capacity(rows.len());
    let mut seen: Vec<serde_json::Value> = Vec::new();
    for row in rows {
        let holds = sqlx::query(
            "UPDATE pass_claim SET lease_until = CASE WHEN ?3 THEN 0 ELSE lease_until END
              WHERE entra = ?1 AND epoch = ?2 AND lease_until > 0",
        )
        .bind(&row.user.0)
        .bind(row.epoch)
        .bind(row.release)
        .execute(&mut *db)
        .await?;
        if holds.rows_affected() == 0 {
            continue;
        }
        held.push(row.user.clone());
        if let Some(known) = &row.outcome {
            let done = sqlx::query(
                "UPDATE pass SET outcome = ?3, method = ?4, outcome_at = (SELECT now_ms FROM clock)
                  WHERE no = ?1 AND entra = ?2 AND outcome IS NULL",
            )
            .bind(known.no)
            .bind(&row.user.0)
            .bind(known.outcome.as_str())
            .bind(known.method.as_deref())
            .execute(&mut *db)
            .await?;
            if done.rows_affected() > 0 {
                seen.push(serde_json::json!([row.user.0, SLOT, known.outcome.as_str()]));
            }
        }
        for (no, ending) in &row.ended {
            let done = sqlx::query(
                "UPDATE pass SET ending = ?3, ended_at = (SELECT now_ms FROM clock)
                  WHERE no = ?1 AND entra = ?2 AND outcome = 'issued' AND ending IS NULL",
            )
            .bind(no)
            .bind(&row.user.0)
            .bind(ending.as_str())
            .execute(&mut *db)
            .await?;
            if done.rows_affected() > 0 {
                seen.push(serde_json::json!([row.user.0, SLOT, ending.as_str()]));
            }
        }
    }
    if !seen.is_empty() {
        super::journal::append(db, None, "changes", json(seen)).await?;
    }
    Ok(held)
}

pub(super) async fn to_end(
    db: &mut SqliteConnection,
    after: i64,
    limit: u32,
) -> Result<Vec<(i64, EntraId)>, Fault> {
    let rows = sqlx::query(
        "SELECT no, entra FROM pass
          WHERE no > ?1 AND (outcome IS NULL OR (outcome = 'issued' AND ending IS NULL)) ORDER BY no LIMIT ?2",
    )
    .bind(after)
    .bind(i64::from(limit))
    .fetch_all(db)
    .await?;
    rows.iter().map(|row| Ok((row.value("no")?, row.entra("entra")?))).collect()
}

pub(super) async fn void_claims(db: &mut SqliteConnection) -> Result<(), Fault> {
    sqlx::query("UPDATE pass_claim SET lease_until = 0 WHERE lease_until > 0").execute(db).await?;
    Ok(())
}
