//! Claims: an entry in one pair of hands, under an epoch and a lease.
//!
//! A writing run cannot claim a user that another one holds: the statement asks for it, and a unique index stands behind
//! it. A run that only reads holds nobody and waits for nobody, else an unfinished migration would stop a rehearsal. Nobody
//! is taken back whose seat in the staged rollout stands: Entra would ask for what was just withdrawn.

use super::decode::{self, Columns, duration, json, milliseconds};
use super::fault::Fault;
use super::run::writes;
use crate::filing::bears_on_others;
use crate::{Claim, Intent, PreImage};
use contract::{EntraId, Fingerprint, IntentOutcome, InventoryToken, RunId, RunKind, Sealed};
use sqlx::SqliteConnection;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A claim that comes after one that ended without a word counts as a crash only if an intent filed under that earlier
/// claim has no outcome: then a write may have begun.
const CLAIM: &str = "
    UPDATE entry SET state = 'claimed', epoch = epoch + 1, owner = ?3, holds = writing,
           lease_until = (SELECT now_ms FROM clock) + ?4,
           crashes = crashes + (cut_short AND EXISTS (SELECT 1 FROM intent i
               WHERE i.entra = entry.entra AND i.run = entry.run AND i.epoch = entry.epoch AND i.outcome IS NULL)),
           attempts = attempts + (cut_short AND EXISTS (SELECT 1 FROM intent i
               WHERE i.entra = entry.entra AND i.run = entry.run AND i.epoch = entry.epoch AND i.outcome IS NULL)),
           cut_short = 0
     WHERE run = ?1 AND ordinal IN (SELECT value FROM json_each(?2)) AND state = 'waiting'
       AND (not_before IS NULL OR not_before <= (SELECT now_ms FROM clock))
       AND EXISTS (SELECT 1 FROM run WHERE run.no = ?1 AND run.state = 'open' AND run.halted IS NULL)
       AND NOT (writing AND EXISTS (SELECT 1 FROM entry other
               WHERE other.entra = entry.entra AND other.holds = 1 AND other.run <> entry.run))
       AND NOT (EXISTS (SELECT 1 FROM seat s WHERE s.entra = entry.entra AND s.ended_at IS NULL)
                AND (SELECT kind FROM run WHERE run.no = ?1) = 'rollback')
    RETURNING ordinal";

const CLAIMED: &str = "
    SELECT e.ordinal, e.epoch, e.user_key, e.entra, e.content, e.guest, e.allowed, e.attempts, e.crashes, e.snoozes,
           e.snoozed_ms, coalesce(r.sealed, x'') AS record, v.sealed AS reviewed
      FROM entry e
      LEFT JOIN record r ON r.snapshot = e.snapshot AND r.ordinal = e.ordinal
      LEFT JOIN reviewed v ON v.run = e.run AND v.ordinal = e.ordinal
     WHERE e.run = ?1 AND e.ordinal IN (SELECT value FROM json_each(?2)) ORDER BY e.ordinal";

pub(super) async fn claim(
    db: &mut SqliteConnection,
    run: RunId,
    ordinals: &[i64],
    owner: &str,
    lease: Duration,
) -> Result<Vec<Claim>, Fault> {
    let claimed: Vec<i64> = sqlx::query_scalar(CLAIM)
        .bind(run.0)
        .bind(json(ordinals.iter().copied()))
        .bind(owner)
        .bind(milliseconds(lease))
        .fetch_all(&mut *db)
        .await?;
    if claimed.is_empty() {
        return Ok(Vec::new());
    }
    let claimed = json(claimed);
    let rows = sqlx::query(CLAIMED).bind(run.0).bind(&claimed).fetch_all(&mut *db).await?;
    let mut claims = Vec::with_capacity(rows.len());
    for row in &rows {
        claims.push(Claim {
            ordinal: row.value("ordinal")?,
            epoch: row.value("epoch")?,
            user_key: row.user_key("user_key")?,
            user: row.entra("entra")?,
            record: row.sealed("record")?,
            content: row.fingerprint("content")?,
            guest: row.value("guest")?,
            allowed: row.allowed("allowed")?,
            attempts: row.count("attempts")?,
            crashes: row.count("crashes")?,
            snoozes: row.count("snoozes")?,
            snoozed: duration(row.value("snoozed_ms")?),
            intents: Vec::new(),
            pre_images: Vec::new(),
            ours: Vec::new(),
            secrets: Vec::new(),
            inventory: Vec::new(),
            contested: Vec::new(),
            reviewed: row.maybe_sealed("reviewed")?,
        });
    }
    let users = json(claims.iter().map(|claim| claim.user.0.as_str()));
    let mut intents = intents_by_user(db, run, &users).await?;
    let mut pre_images = pre_images_by_user(db, &users).await?;
    let mut secrets = secrets_by_user(db, &users).await?;
    let mut serials = serials_by_ordinal(db, run, &claimed).await?;
    for claim in &mut claims {
        (claim.intents, claim.ours) = intents.remove(&claim.user).unwrap_or_default();
        claim.pre_images = pre_images.remove(&claim.user).unwrap_or_default();
        claim.secrets = secrets.remove(&claim.user).unwrap_or_default();
        (claim.inventory, claim.contested) = serials.remove(&claim.ordinal).unwrap_or_default();
    }
    Ok(claims)
}

type Ours = Vec<(String, Option<Sealed>)>;

/// The intents that bear on the future, oldest first, and what we are known to have written. The newest applied intent
/// of a slot tells: one of a rollback means that the value before stands again, and nothing there is ours. Nor is anything
/// from before the pre-image that stands: a rollback found it gone, and had nothing to write.
async fn intents_by_user(
    db: &mut SqliteConnection,
    run: RunId,
    users: &str,
) -> Result<BTreeMap<EntraId, (Vec<Intent>, Ours)>, Fault> {
    let rows = sqlx::query(
        "SELECT i.entra, i.run, i.slot, i.value, i.filed_at, i.outcome, run.kind,
                (SELECT now_ms FROM clock) - i.filed_at AS age,
                EXISTS (SELECT 1 FROM pre_image p WHERE p.entra = i.entra AND p.slot = i.slot AND p.settled_by IS NULL
                           AND (p.run = i.run OR p.filed_at < i.filed_at
                                OR (p.filed_at = i.filed_at AND p.run < i.run))) AS stands
           FROM intent i JOIN run ON run.no = i.run
          WHERE i.entra IN (SELECT value FROM json_each(?1)) ORDER BY i.filed_at DESC, i.run DESC, i.slot DESC",
    )
    .bind(users)
    .fetch_all(db)
    .await?;
    let mut found: BTreeMap<EntraId, (Vec<Intent>, Ours)> = BTreeMap::new();
    let mut decided: BTreeSet<(EntraId, String)> = BTreeSet::new();
    for row in &rows {
        let user = row.entra("entra")?;
        let kind = row.run_kind("kind")?;
        let intent = decode::intent(row)?;
        let (intents, ours) = found.entry(user.clone()).or_default();
        let applied = intent.outcome == Some(IntentOutcome::Applied) && writes(kind);
        let stands: bool = row.value("stands")?;
        let is_newest = applied && decided.insert((user, intent.slot.clone()));
        let is_ours = is_newest && kind != RunKind::Rollback && stands;
        if is_ours {
            ours.push((intent.slot.clone(), intent.to.clone()));
        }
        let is_known_to_stand = is_newest && (stands || kind == RunKind::Rollback);
        if intent.run == run || bears_on_others(intent.outcome, is_known_to_stand, stands) {
            intents.push(intent);
        }
    }
    for (intents, ours) in found.values_mut() {
        intents.reverse();
        ours.sort_by(|a, b| a.0.cmp(&b.0));
    }
    Ok(found)
}

async fn pre_images_by_user(
    db: &mut SqliteConnection,
    users: &str,
) -> Result<BTreeMap<EntraId, Vec<PreImage>>, Fault> {
    let rows = sqlx::query(
        "SELECT entra, slot, value, run, filed_at, maybe_landed FROM standing
          WHERE entra IN (SELECT value FROM json_each(?1)) ORDER BY entra, slot",
    )
    .bind(users)
    .fetch_all(db)
    .await?;
    let mut found: BTreeMap<EntraId, Vec<PreImage>> = BTreeMap::new();
    for row in &rows {
        found.entry(row.entra("entra")?).or_default().push(decode::pre_image(row)?);
    }
    Ok(found)
}

async fn secrets_by_user(
    db: &mut SqliteConnection,
    users: &str,
) -> Result<BTreeMap<EntraId, Vec<(Fingerprint, Sealed)>>, Fault> {
    let rows = sqlx::query(
        "SELECT entra, fingerprint, serial FROM secret
          WHERE entra IN (SELECT value FROM json_each(?1)) ORDER BY entra, fingerprint",
    )
    .bind(users)
    .fetch_all(db)
    .await?;
    let mut found: BTreeMap<EntraId, Vec<(Fingerprint, Sealed)>> = BTreeMap::new();
    for row in &rows {
        found
            .entry(row.entra("entra")?)
            .or_default()
            .push((row.fingerprint("fingerprint")?, row.sealed("serial")?));
    }
    Ok(found)
}

async fn serials_by_ordinal(
    db: &mut SqliteConnection,
    run: RunId,
    ordinals: &str,
) -> Result<BTreeMap<i64, (Vec<InventoryToken>, Vec<Fingerprint>)>, Fault> {
    let rows = sqlx::query(
        "SELECT s.ordinal, s.serial, t.token,
                EXISTS (SELECT 1 FROM record_serial o
                         WHERE o.snapshot = s.snapshot AND o.serial = s.serial AND o.ordinal <> s.ordinal) AS contested
           FROM run JOIN record_serial s ON s.snapshot = run.snapshot
           LEFT JOIN inventory t ON t.run = run.no AND t.serial = s.serial
          WHERE run.no = ?1 AND s.ordinal IN (SELECT value FROM json_each(?2))
          ORDER BY s.ordinal, s.serial, t.device_id",
    )
    .bind(run.0)
    .bind(ordinals)
    .fetch_all(db)
    .await?;
    let mut found: BTreeMap<i64, (Vec<InventoryToken>, Vec<Fingerprint>)> = BTreeMap::new();
    for row in &rows {
        let (tokens, contested) = found.entry(row.value("ordinal")?).or_default();
        let serial = row.fingerprint("serial")?;
        if row.value("contested")? && !contested.contains(&serial) {
            contested.push(serial);
        }
        if let Some(token) = row.value::<Option<&str>>("token")? {
            tokens.push(serde_json::from_str(token).map_err(|_| Fault::Column("token"))?);
        }
    }
    Ok(found)
}

pub(super) async fn renew(
    db: &mut SqliteConnection,
    run: RunId,
    held: &[(i64, i64)],
    lease: Duration,
) -> Result<Vec<i64>, Fault> {
    let mut renewed: Vec<i64> = sqlx::query_scalar(
        "UPDATE entry SET lease_until = (SELECT now_ms FROM clock) + ?3
          WHERE run = ?1 AND state = 'claimed'
            AND (ordinal, epoch) IN (SELECT value ->> 0, value ->> 1 FROM json_each(?2))
            AND EXISTS (SELECT 1 FROM run WHERE run.no = ?1 AND run.state = 'open')
          RETURNING ordinal",
    )
    .bind(run.0)
    .bind(json(held.iter().map(|(ordinal, epoch)| vec![*ordinal, *epoch])))
    .bind(milliseconds(lease))
    .fetch_all(db)
    .await?;
    renewed.sort_unstable();
    Ok(renewed)
}
