//! What the ledger knows of users that were just claimed, in one question.
//!
//! The rows of four kinds come under common names; a kind leaves those empty that it has no use for.

use super::decode::{Columns, duration};
use super::fault::Fault;
use super::run::writes;
use crate::filing::bears_on_others;
use crate::{Claim, Intent, PreImage};
use contract::{IntentOutcome, RunId, RunKind};
use sqlx::PgConnection;
use sqlx::postgres::PgRow;
use std::collections::BTreeSet;

/// Intents come newest first: the newest applied one of a slot tells what is ours. `told` is, of an intent, whether a
/// pre-image stands that is no newer; of a pre-image, whether something of ours may have landed since; of a serial, whether
/// another record claims it too.
const KNOWN: &str = "
    SELECT * FROM (
    SELECT 'intent' AS what, i.entra, NULL::bigint AS ordinal, i.run, i.slot, i.value, i.filed_at,
           now_ms() - i.filed_at AS age, i.outcome, run.kind, NULL::bytea AS fingerprint, NULL::bytea AS serial,
           NULL AS token, EXISTS (SELECT FROM pre_image p WHERE p.entra = i.entra AND p.slot = i.slot
                                     AND p.settled_by IS NULL AND (p.run = i.run OR p.filed_at < i.filed_at
                                          OR (p.filed_at = i.filed_at AND p.run < i.run))) AS told
      FROM intent i JOIN run ON run.no = i.run WHERE i.entra = ANY($2)
    UNION ALL
    SELECT 'pre-image', p.entra, NULL, p.run, p.slot, p.value, p.filed_at, NULL, NULL, NULL, NULL, NULL, NULL,
           p.maybe_landed
      FROM standing p WHERE p.entra = ANY($2)
    UNION ALL
    SELECT 'secret', s.entra, NULL, NULL, NULL, s.serial, NULL, NULL, NULL, NULL, s.fingerprint, NULL, NULL, false
      FROM secret s WHERE s.entra = ANY($2)
    UNION ALL
    SELECT 'serial', t.device_id, s.ordinal, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, s.serial, t.token,
           EXISTS (SELECT FROM record_serial o
                    WHERE o.snapshot = s.snapshot AND o.serial = s.serial AND o.ordinal <> s.ordinal)
      FROM run JOIN record_serial s ON s.snapshot = run.snapshot AND s.ordinal = ANY($3)
      LEFT JOIN inventory t ON t.run = run.no AND t.serial = s.serial
     WHERE run.no = $1
    ) known
    ORDER BY what, filed_at DESC, run DESC, slot COLLATE \"C\" DESC, fingerprint, serial, entra COLLATE \"C\"";

/// Adds to claims what is known of their users.
pub(super) async fn tell(db: &mut PgConnection, run: RunId, claims: &mut [Claim]) -> Result<(), Fault> {
    let rows = sqlx::query(KNOWN)
        .bind(run.0)
        .bind(claims.iter().map(|claim| claim.user.0.as_str()).collect::<Vec<_>>())
        .bind(claims.iter().map(|claim| claim.ordinal).collect::<Vec<_>>())
        .fetch_all(db)
        .await?;
    let mut decided: BTreeSet<(i64, String)> = BTreeSet::new();
    for row in &rows {
        let what: &str = row.value("what")?;
        let ordinal: Option<i64> = row.value("ordinal")?;
        let entra: Option<&str> = row.value("entra")?;
        let is_meant = |claim: &&mut Claim| {
            ordinal.map_or_else(|| entra == Some(claim.user.0.as_str()), |ordinal| ordinal == claim.ordinal)
        };
        let Some(claim) = claims.iter_mut().find(is_meant) else { continue };
        match what {
            "intent" => add_intent(claim, row, run, &mut decided)?,
            "pre-image" => claim.pre_images.push(PreImage {
                slot: row.value("slot")?,
                value: row.maybe_sealed("value")?,
                run: row.run("run")?,
                filed_at_ms: row.value("filed_at")?,
                maybe_landed: row.value("told")?,
            }),
            "secret" => claim.secrets.push((row.fingerprint("fingerprint")?, row.sealed("value")?)),
            "serial" => add_serial(claim, row)?,
            _ => return Err(Fault::Column("what")),
        }
    }
    for claim in claims {
        claim.intents.reverse();
        claim.ours.sort_by(|a, b| a.0.cmp(&b.0));
        claim.pre_images.sort_by(|a, b| a.slot.cmp(&b.slot));
    }
    Ok(())
}

/// Keeps the intents that bear on the future, and what we are known to have written. One of a rollback means that the
/// value before stands again, and nothing there is ours. Nor is anything from before the pre-image that stands: a
/// rollback found it gone, and had nothing to write.
fn add_intent(
    claim: &mut Claim,
    row: &PgRow,
    run: RunId,
    decided: &mut BTreeSet<(i64, String)>,
) -> Result<(), Fault> {
    let kind = row.run_kind("kind")?;
    let intent = Intent {
        run: row.run("run")?,
        slot: row.value("slot")?,
        to: row.maybe_sealed("value")?,
        age: duration(row.value("age")?),
        filed_at_ms: row.value("filed_at")?,
        outcome: row.maybe_word("outcome", IntentOutcome::parse)?,
    };
    let applied = intent.outcome == Some(IntentOutcome::Applied) && writes(kind);
    let stands: bool = row.value("told")?;
    let is_newest = applied && decided.insert((claim.ordinal, intent.slot.clone()));
    let is_ours = is_newest && kind != RunKind::Rollback && stands;
    if is_ours {
        claim.ours.push((intent.slot.clone(), intent.to.clone()));
    }
    let is_known_to_stand = is_newest && (stands || kind == RunKind::Rollback);
    if intent.run == run || bears_on_others(intent.outcome, is_known_to_stand, stands) {
        claim.intents.push(intent);
    }
    Ok(())
}

fn add_serial(claim: &mut Claim, row: &PgRow) -> Result<(), Fault> {
    let serial = row.fingerprint("serial")?;
    if row.value("told")? && !claim.contested.contains(&serial) {
        claim.contested.push(serial);
    }
    if let Some(token) = row.value::<Option<&str>>("token")? {
        claim.inventory.push(serde_json::from_str(token).map_err(|_| Fault::Column("token"))?);
    }
    Ok(())
}
