//! Temporary Access Passes: who has a user in hand, what was about to be asked for, and what became of it.
//!
//! No statement here ever holds a pass. A claim that has moved on touches nothing.

use super::decode::{Columns, duration, milliseconds};
use super::fault::Fault;
use crate::{IssuedPass, NewPassIntent, PassClaim, PassFinish, PassIntent, PassIssue};
use contract::{EntraId, PassEnding, PassOutcome};
use sqlx::PgConnection;
use sqlx::postgres::PgRow;
use std::collections::BTreeMap;
use std::time::Duration;

/// The slot of passes in the journal's lines.
pub(super) const SLOT: &str = "temporaryAccessPass";

pub(super) async fn begin(db: &mut PgConnection, issue: &PassIssue) -> Result<(), Fault> {
    sqlx::query(
        "INSERT INTO pass_issue (id, lifetime_minutes, once, start_ms, by_whom, made_at)
         VALUES ($1, $2, $3, $4, $5, now_ms()) ON CONFLICT DO NOTHING",
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

pub(super) async fn issue(db: &mut PgConnection, id: &str) -> Result<Option<PassIssue>, Fault> {
    let row = sqlx::query(
        "SELECT id AS issue, lifetime_minutes, once, start_ms, by_whom FROM pass_issue WHERE id = $1",
    )
    .bind(id)
    .fetch_optional(db)
    .await?;
    row.as_ref().map(decode_issue).transpose()
}

/// Users are locked in one order by all.
fn in_order<T>(rows: &[T], user: impl Fn(&T) -> &EntraId) -> Vec<&T> {
    let mut rows: Vec<&T> = rows.iter().collect();
    rows.sort_by(|a, b| user(a).cmp(user(b)));
    rows
}

fn decode_issue(row: &PgRow) -> Result<PassIssue, Fault> {
    Ok(PassIssue {
        id: row.value("issue")?,
        lifetime_minutes: row.count("lifetime_minutes")?,
        once: row.value("once")?,
        start_ms: row.value("start_ms")?,
        by: row.value("by_whom")?,
    })
}

fn decode_issued(row: &PgRow) -> Result<IssuedPass, Fault> {
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
    db: &mut PgConnection,
    users: &[EntraId],
    owner: &str,
    lease: Duration,
    grace: Duration,
) -> Result<Vec<PassClaim>, Fault> {
    let rows = sqlx::query(
        "INSERT INTO pass_claim (entra, owner, epoch, lease_until)
         SELECT user_id, $2, 1, now_ms() + $3 FROM (SELECT DISTINCT unnest($1::text[]) AS user_id) u ORDER BY user_id
             ON CONFLICT (entra) DO UPDATE
                SET owner = excluded.owner, epoch = pass_claim.epoch + 1, lease_until = excluded.lease_until
              WHERE pass_claim.lease_until + $4 <= now_ms()
         RETURNING entra, epoch",
    )
    .bind(users.iter().map(|user| user.0.as_str()).collect::<Vec<_>>())
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
    let held: Vec<String> = claims.keys().map(|user| user.0.clone()).collect();
    let rows = sqlx::query(
        "SELECT p.*, i.lifetime_minutes, i.once, i.start_ms, i.by_whom,
                now_ms() - p.filed_at AS age
           FROM pass p JOIN pass_issue i ON i.id = p.issue
          WHERE p.entra = ANY($1) AND (p.outcome IS NULL OR p.outcome IN ('issued', 'lost'))
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

fn decode_intent(row: &PgRow) -> Result<PassIntent, Fault> {
    Ok(PassIntent {
        no: row.value("no")?,
        issue: decode_issue(row)?,
        filed_at_ms: row.value("filed_at")?,
        age: duration(row.value("age")?),
        before: serde_json::from_str(row.value("before")?).map_err(|_| Fault::Column("before"))?,
    })
}

pub(super) async fn file_intents(
    db: &mut PgConnection,
    issue: &str,
    rows: &[NewPassIntent],
) -> Result<Vec<(EntraId, i64)>, Fault> {
    let mut filed = Vec::with_capacity(rows.len());
    for row in in_order(rows, |row| &row.user) {
        let no: Option<i64> = sqlx::query_scalar(
            "INSERT INTO pass (issue, entra, epoch, before, filed_at)
             SELECT $1, entra, epoch, $4, clock_ms() FROM (SELECT * FROM pass_claim WHERE entra = $2 FOR NO KEY UPDATE) c
              WHERE c.entra = $2 AND c.epoch = $3 AND c.lease_until > 0
                AND NOT EXISTS (SELECT 1 FROM pass p WHERE p.entra = c.entra AND p.outcome IS NULL)
             RETURNING no",
        )
        .bind(issue)
        .bind(&row.user.0)
        .bind(row.epoch)
        .bind(serde_json::Value::from(row.before.clone()).to_string())
        .fetch_optional(&mut *db)
        .await?;
        filed.extend(no.map(|no| (row.user.clone(), no)));
    }
    Ok(filed)
}

pub(super) async fn finish(db: &mut PgConnection, rows: &[PassFinish]) -> Result<Vec<EntraId>, Fault> {
    let mut held = Vec::with_capacity(rows.len());
    let mut seen: Vec<serde_json::Value> = Vec::new();
    for row in in_order(rows, |row| &row.user) {
        let holds = sqlx::query(
            "UPDATE pass_claim SET lease_until = CASE WHEN $3::boolean THEN 0 ELSE lease_until END
              WHERE entra = $1 AND epoch = $2 AND lease_until > 0",
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
                "UPDATE pass SET outcome = $3, method = $4, outcome_at = now_ms()
                  WHERE no = $1 AND entra = $2 AND outcome IS NULL",
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
                "UPDATE pass SET ending = $3, ended_at = now_ms()
                  WHERE no = $1 AND entra = $2 AND outcome = 'issued' AND ending IS NULL",
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
        super::journal::append(db, None, "changes", &serde_json::Value::from(seen).to_string()).await?;
    }
    Ok(held)
}

pub(super) async fn to_end(
    db: &mut PgConnection,
    after: i64,
    limit: u32,
) -> Result<Vec<(i64, EntraId)>, Fault> {
    let rows = sqlx::query(
        "SELECT no, entra FROM pass
          WHERE no > $1 AND (outcome IS NULL OR (outcome = 'issued' AND ending IS NULL)) ORDER BY no LIMIT $2",
    )
    .bind(after)
    .bind(i64::from(limit))
    .fetch_all(db)
    .await?;
    rows.iter().map(|row| Ok((row.value("no")?, row.entra("entra")?))).collect()
}

pub(super) async fn void_claims(db: &mut PgConnection) -> Result<(), Fault> {
    sqlx::query("UPDATE pass_claim SET lease_until = 0 WHERE lease_until > 0").execute(db).await?;
    Ok(())
}
