//! Who is at work, and which messages were set aside: what `status` shows beside the runs.
//!
//! Nothing is decided by these rows; losing one loses a line on a screen.

use super::decode::{Columns, duration, milliseconds};
use super::fault::Fault;
use crate::{ParkedMessage, Presence, Seen, ServiceKind};
use sqlx::PgConnection;
use std::time::Duration;

/// Every process has a name of its own, so the rows of those that are long gone are taken away.
const FORGET_AFTER: Duration = Duration::from_secs(24 * 3600);

pub(super) async fn report(db: &mut PgConnection, presence: &Presence) -> Result<(), Fault> {
    sqlx::query(
        "DELETE FROM presence p USING (SELECT kind, name FROM presence WHERE seen_at < now_ms() - $1
                                          FOR UPDATE SKIP LOCKED) gone
          WHERE p.kind = gone.kind AND p.name = gone.name",
    )
    .bind(milliseconds(FORGET_AFTER))
    .execute(&mut *db)
    .await?;
    sqlx::query(
        "INSERT INTO presence (kind, name, waits_for, seen_at) VALUES ($1, $2, $3, now_ms())
             ON CONFLICT (kind, name) DO UPDATE SET waits_for = excluded.waits_for, seen_at = excluded.seen_at",
    )
    .bind(presence.kind.as_str())
    .bind(&presence.name)
    .bind(presence.waits_for.as_deref())
    .execute(db)
    .await?;
    Ok(())
}

pub(super) async fn seen(db: &mut PgConnection, within: Duration) -> Result<Vec<Seen>, Fault> {
    let rows = sqlx::query(
        "SELECT kind, name, waits_for, now_ms() - seen_at AS ago FROM presence
          WHERE seen_at >= now_ms() - $1 ORDER BY name",
    )
    .bind(milliseconds(within))
    .fetch_all(db)
    .await?;
    let mut seen = rows
        .iter()
        .map(|row| {
            let presence = Presence {
                name: row.value("name")?,
                kind: row.word("kind", ServiceKind::parse)?,
                waits_for: row.value("waits_for")?,
            };
            Ok(Seen { presence, ago: duration(row.value("ago")?) })
        })
        .collect::<Result<Vec<_>, Fault>>()?;
    seen.sort_by_key(|seen| seen.presence.kind);
    Ok(seen)
}

pub(super) async fn park_message(
    db: &mut PgConnection,
    queue: &str,
    id: &str,
    reason: &str,
) -> Result<(), Fault> {
    sqlx::query(
        "INSERT INTO parked_message (queue, id, reason, parked_at) VALUES ($1, $2, $3, now_ms())
             ON CONFLICT DO NOTHING",
    )
    .bind(queue)
    // A stranger's message may be called anything; a text of PostgreSQL holds no zero byte.
    .bind(id.replace('\0', "\u{fffd}"))
    .bind(reason.replace('\0', "\u{fffd}"))
    .execute(db)
    .await?;
    Ok(())
}

pub(super) async fn parked_messages(
    db: &mut PgConnection,
    limit: u32,
) -> Result<(Vec<ParkedMessage>, u64), Fault> {
    let rows =
        sqlx::query("SELECT queue, id, reason, parked_at FROM parked_message ORDER BY no DESC LIMIT $1")
            .bind(i64::from(limit))
            .fetch_all(&mut *db)
            .await?;
    let messages = rows
        .iter()
        .map(|row| {
            Ok(ParkedMessage {
                queue: row.value("queue")?,
                id: row.value("id")?,
                reason: row.value("reason")?,
                parked_at_ms: row.value("parked_at")?,
            })
        })
        .collect::<Result<_, Fault>>()?;
    let total = sqlx::query("SELECT count(*) AS total FROM parked_message").fetch_one(db).await?;
    Ok((messages, total.count("total")?))
}
