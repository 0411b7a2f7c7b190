//! The cut-over of domains: the value before, insert-only until it was brought back, and each change that was begun. And
//! whom no migration has reached.

use super::decode::{Columns, duration};
use super::fault::Fault;
use crate::{Cutover, CutoverIntent, Event, NeverMoved, NewCutover};
use contract::IntentOutcome;
use sqlx::SqliteConnection;

/// What events of a cut-over are filed under: they are nobody's batch.
const BATCH: &str = "all";

pub(super) async fn find(db: &mut SqliteConnection, domain: &str) -> Result<Option<Cutover>, Fault> {
    let row = sqlx::query("SELECT * FROM cutover WHERE domain = ?1 AND settled_at IS NULL")
        .bind(domain)
        .fetch_optional(&mut *db)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let no: i64 = row.value("no")?;
    let intents = sqlx::query(
        "SELECT *, (SELECT now_ms FROM clock) - filed_at AS age FROM cutover_intent WHERE cutover = ?1 ORDER BY no",
    )
    .bind(no)
    .fetch_all(db)
    .await?;
    let intents = intents.iter().map(|row| {
        Ok(CutoverIntent {
            no: row.value("no")?,
            to: row.value("value")?,
            back: row.value("back")?,
            by: row.value("by_whom")?,
            filed_at_ms: row.value("filed_at")?,
            age: duration(row.value("age")?),
            outcome: row.maybe_word("outcome", IntentOutcome::parse)?,
        })
    });
    Ok(Some(Cutover {
        no,
        domain: row.value("domain")?,
        federation: row.value("federation")?,
        before: row.value("before")?,
        by: row.value("by_whom")?,
        filed_at_ms: row.value("filed_at")?,
        intents: intents.collect::<Result<_, Fault>>()?,
    }))
}

pub(super) async fn file(db: &mut SqliteConnection, new: &NewCutover) -> Result<i64, Fault> {
    sqlx::query(
        "INSERT OR IGNORE INTO cutover (domain, federation, before, by_whom, filed_at)
         VALUES (?1, ?2, ?3, ?4, (SELECT now_ms FROM clock))",
    )
    .bind(&new.domain)
    .bind(&new.federation)
    .bind(new.before.as_deref())
    .bind(&new.by)
    .execute(&mut *db)
    .await?;
    let no = sqlx::query_scalar(
        "INSERT INTO cutover_intent (cutover, value, back, by_whom, filed_at)
         SELECT no, ?2, ?3, ?4, (SELECT now_ms FROM clock) FROM cutover WHERE domain = ?1 AND settled_at IS NULL
         RETURNING no",
    )
    .bind(&new.domain)
    .bind(&new.to)
    .bind(new.back)
    .bind(&new.by)
    .fetch_one(&mut *db)
    .await?;
    tell(db, &new.by, "cutover-begun", &format!("{}: federatedIdpMfaBehavior to {}", new.domain, new.to))
        .await?;
    Ok(no)
}

pub(super) async fn end(
    db: &mut SqliteConnection,
    no: i64,
    outcome: IntentOutcome,
    by: &str,
) -> Result<(), Fault> {
    let ended = sqlx::query(
        "UPDATE cutover_intent SET outcome = ?2, outcome_at = (SELECT now_ms FROM clock)
          WHERE no = ?1 AND outcome IS NULL RETURNING cutover, value, back",
    )
    .bind(no)
    .bind(outcome.as_str())
    .fetch_optional(&mut *db)
    .await?;
    let Some(ended) = ended else { return Ok(()) };
    let (cutover, value, back): (i64, String, bool) =
        (ended.value("cutover")?, ended.value("value")?, ended.value("back")?);
    if back && outcome == IntentOutcome::Applied {
        sqlx::query(
            "UPDATE cutover SET settled_at = (SELECT now_ms FROM clock) WHERE no = ?1 AND settled_at IS NULL",
        )
        .bind(cutover)
        .execute(&mut *db)
        .await?;
    }
    let domain: String = sqlx::query_scalar("SELECT domain FROM cutover WHERE no = ?1")
        .bind(cutover)
        .fetch_one(&mut *db)
        .await?;
    let why = format!("{domain}: federatedIdpMfaBehavior to {value}: {}", outcome.as_str());
    tell(db, by, "cutover-ended", &why).await
}

async fn tell(db: &mut SqliteConnection, by: &str, what: &str, why: &str) -> Result<(), Fault> {
    let event = Event {
        at_ms: 0,
        by: by.to_owned(),
        batch: BATCH.to_owned(),
        run: None,
        what: what.to_owned(),
        why: why.to_owned(),
    };
    super::batch::record_event(db, &event).await
}

pub(super) async fn never_moved(
    db: &mut SqliteConnection,
    after: i64,
    limit: u32,
) -> Result<Vec<NeverMoved>, Fault> {
    let rows = sqlx::query(
        "WITH newest AS (SELECT no, id FROM snapshot WHERE manifest IS NOT NULL
                          ORDER BY completed_at DESC, no DESC LIMIT 1),
              left_out AS (SELECT r.* FROM record r
                            WHERE r.snapshot = (SELECT no FROM newest) AND r.ordinal > ?1
                              AND NOT EXISTS (SELECT 1 FROM entry e JOIN run m ON m.no = e.run
                                               WHERE e.user_key = r.user_key AND m.kind = 'migrate')
                            ORDER BY r.ordinal LIMIT ?2)
         SELECT l.ordinal, l.user_key, l.enabled, l.sealed, (SELECT id FROM newest) AS snapshot_id, e.entra, e.directory
           FROM left_out l
           LEFT JOIN entry e ON e.rowid = (SELECT f.rowid FROM entry f
                                            WHERE f.user_key = l.user_key AND f.directory IS NOT NULL
                                            ORDER BY f.run DESC LIMIT 1)
          ORDER BY l.ordinal",
    )
    .bind(after)
    .bind(i64::from(limit))
    .fetch_all(db)
    .await?;
    rows.iter()
        .map(|row| {
            let entra: Option<String> = row.value("entra")?;
            Ok(NeverMoved {
                snapshot: row.snapshot("snapshot_id")?,
                ordinal: row.value("ordinal")?,
                user: row.user_key("user_key")?,
                enabled: row.value("enabled")?,
                record: row.sealed("sealed")?,
                directory: entra.map(contract::EntraId).zip(row.maybe_sealed("directory")?),
            })
        })
        .collect()
}
