//! The end of claims: outcomes, results, and what the next run wants to know, in one statement.
//!
//! A stale epoch touches nothing at all. A claim of a run that was superseded meanwhile may still end: what it has
//! done is done, and the ledger must know of it.

use super::decode::milliseconds;
use super::fault::Fault;
use crate::{End, Error, Finish};
use contract::{EntryState, RunId};
use sqlx::PgConnection;

/// Its parts, in order:
/// the claims that still hold, locked in the order that all use;
/// outcomes, to this run's intent and to those of other runs that still have none: we alone hold the user, so what was
/// seen answers for them too. `not-sent` speaks of our own request, and answers for another run's only where we filed
/// none. A run that only reads holds nobody, nor does a claim whose user was given to another run after its lease: what
/// they saw may be older than what the holder knows by now, and touches their own entry alone. So does the end of a claim
/// of a rollout: routing changes nothing of what was applied;
/// the pre-images that a rollback settles: of the slots that it restored, and of users that are as they were before;
/// the entries; what was last applied, kept or cleared, after a rollback always; and the secrets, which a rollback forgets
/// of users that are as they were before, and of those whose token went (one that stays is told by its serial);
/// the journal's line of all that ended together, last: its lock is everybody's.
const FINISH: &str = "
    WITH asked AS MATERIALIZED (
        SELECT * FROM unnest($2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bytea[],
                             $9::bytea[], $10::bigint[], $11::bigint[])
                      a (ordinal, epoch, entra, state, outcome, codes, result, applied, after_ms, attempt)),
    locked AS MATERIALIZED (
        SELECT e.ordinal, e.epoch, e.entra, e.writing AND e.holds AS writing FROM entry e
         WHERE e.run = $1 AND e.ordinal = ANY($2) AND e.state = 'claimed' ORDER BY e.entra FOR NO KEY UPDATE OF e),
    held AS MATERIALIZED (
        SELECT a.*, l.writing AND run.kind NOT IN ('rollout', 'rollout-remove') AS writing,
               l.writing AND run.kind = 'rollback' AS rollback
          FROM asked a JOIN locked l ON l.ordinal = a.ordinal AND l.epoch = a.epoch AND l.entra = a.entra
          JOIN run ON run.no = $1),
    seen AS MATERIALIZED (
        SELECT h.entra, o.slot, o.outcome, h.rollback
          FROM unnest($12::bigint[], $13::text[], $14::text[]) o (ordinal, slot, outcome)
          JOIN held h ON h.ordinal = o.ordinal AND h.writing),
    line AS MATERIALIZED (
        SELECT json_agg(json_build_array(s.entra, s.slot, s.outcome) ORDER BY s.entra, s.slot)::text AS content
          FROM seen s HAVING count(*) > 0),
    outcomes AS (
        UPDATE intent i SET outcome = s.outcome FROM seen s
         WHERE i.entra = s.entra AND i.slot = s.slot
           AND (i.run = $1
                OR (i.outcome IS NULL
                    AND (s.outcome <> 'not-sent'
                         OR NOT EXISTS (SELECT FROM intent mine
                                         WHERE mine.entra = s.entra AND mine.run = $1 AND mine.slot = s.slot))))
         RETURNING 1),
    restored AS (
        UPDATE pre_image p SET settled_by = $1 FROM held h
         WHERE h.rollback AND p.entra = h.entra AND p.settled_by IS NULL
           AND (h.state = 'reverted'
                OR p.slot IN (SELECT s.slot FROM seen s WHERE s.entra = h.entra AND s.outcome = 'applied'))
         RETURNING 1),
    ended AS (
        UPDATE entry e
           SET state = coalesce(h.state, 'waiting'), owner = NULL, lease_until = NULL,
               outcome = coalesce(h.outcome, e.outcome), codes = coalesce(h.codes, e.codes),
               result = coalesce(h.result, e.result),
               settled_at = CASE WHEN h.state IS NOT NULL THEN now_ms() END,
               holds = e.holds AND h.state IS NULL,
               released_at = CASE WHEN h.state IS NOT NULL THEN e.released_at END,
               not_before = now_ms() + h.after_ms,
               attempts = e.attempts + coalesce(h.attempt, 0),
               snoozes = e.snoozes + (h.state IS NULL)::int,
               snoozed_ms = e.snoozed_ms + coalesce(h.after_ms, 0)
          FROM held h WHERE e.run = $1 AND e.ordinal = h.ordinal RETURNING 1),
    kept AS (
        INSERT INTO applied (entra, fingerprint, run)
        SELECT h.entra, h.applied, $1 FROM held h
         WHERE h.writing AND NOT h.rollback AND h.applied IS NOT NULL ORDER BY h.entra
            ON CONFLICT (entra) DO UPDATE SET fingerprint = excluded.fingerprint, run = excluded.run RETURNING 1),
    cleared AS (
        DELETE FROM applied p USING held h
         WHERE h.writing AND h.state IS NOT NULL AND (h.applied IS NULL OR h.rollback) AND p.entra = h.entra
         RETURNING 1),
    forgotten AS (
        DELETE FROM secret w USING held h
         WHERE h.rollback AND w.entra = h.entra
           AND (h.state = 'reverted'
                OR EXISTS (SELECT FROM seen s WHERE s.entra = h.entra AND s.outcome = 'applied'
                              AND starts_with(s.slot, $18)))
         RETURNING 1),
    secrets AS (
        INSERT INTO secret (entra, fingerprint, serial, run)
        SELECT DISTINCT ON (h.entra, w.fingerprint) h.entra, w.fingerprint, w.serial, $1
          FROM unnest($15::bigint[], $16::bytea[], $17::bytea[]) WITH ORDINALITY w (ordinal, fingerprint, serial, nth)
          JOIN held h ON h.ordinal = w.ordinal AND h.writing AND NOT h.rollback
         ORDER BY h.entra, w.fingerprint, w.nth DESC
            ON CONFLICT (entra, fingerprint) DO UPDATE SET serial = excluded.serial, run = excluded.run
         RETURNING 1),
    journalled AS MATERIALIZED (
        SELECT journal_append($1, 'changes', l.content) FROM line l
         WHERE (SELECT count(*) FROM outcomes) + (SELECT count(*) FROM restored) + (SELECT count(*) FROM ended)
             + (SELECT count(*) FROM kept) + (SELECT count(*) FROM cleared) + (SELECT count(*) FROM forgotten)
             + (SELECT count(*) FROM secrets) >= 0)
    SELECT ordinal FROM held WHERE (SELECT count(*) FROM journalled) >= 0 ORDER BY ordinal";

/// The rows as columns. What is meant for settling is null where a claim is snoozed, and the other way round.
#[derive(Default)]
struct Ends<'r> {
    ordinals: Vec<i64>,
    epochs: Vec<i64>,
    users: Vec<&'r str>,
    states: Vec<Option<&'static str>>,
    outcomes: Vec<Option<&'static str>>,
    codes: Vec<Option<&'r str>>,
    results: Vec<Option<&'r [u8]>>,
    applied: Vec<Option<&'r [u8]>>,
    after_ms: Vec<Option<i64>>,
    attempts: Vec<Option<i64>>,
    seen: (Vec<i64>, Vec<&'r str>, Vec<&'static str>),
    secrets: (Vec<i64>, Vec<&'r [u8]>, Vec<&'r [u8]>),
}

impl<'r> Ends<'r> {
    fn add(&mut self, row: &'r Finish) {
        self.ordinals.push(row.ordinal);
        self.epochs.push(row.epoch);
        self.users.push(&row.user.0);
        for slot in &row.outcomes {
            self.seen.0.push(row.ordinal);
            self.seen.1.push(&slot.slot);
            self.seen.2.push(slot.outcome.as_str());
        }
        let (mut settled, mut snoozed) = (None, None);
        match &row.end {
            End::Settle { state, outcome, codes, result, applied, secrets } => {
                settled = Some((state, outcome, codes, result, applied));
                for (fingerprint, serial) in secrets {
                    self.secrets.0.push(row.ordinal);
                    self.secrets.1.push(&fingerprint.0);
                    self.secrets.2.push(&serial.0);
                }
            }
            End::Snooze { after, attempt } => snoozed = Some((milliseconds(*after), i64::from(*attempt))),
        }
        self.states.push(settled.map(|(state, ..)| state.as_str()));
        self.outcomes.push(settled.map(|(_, outcome, ..)| outcome.as_str()));
        self.codes.push(settled.map(|(_, _, codes, ..)| codes.as_str()));
        self.results.push(settled.map(|(_, _, _, result, _)| result.0.as_slice()));
        self.applied.push(settled.and_then(|(.., applied)| applied.as_ref().map(|print| print.0.as_slice())));
        self.after_ms.push(snoozed.map(|(after, _)| after));
        self.attempts.push(snoozed.map(|(_, attempt)| attempt));
    }
}

pub(super) async fn finish(db: &mut PgConnection, run: RunId, rows: &[Finish]) -> Result<Vec<i64>, Fault> {
    let mut ends = Ends::default();
    let mut claims = std::collections::BTreeSet::new();
    for row in rows {
        match &row.end {
            End::Settle { state, .. } => refuse_unsettled(run, row.ordinal, *state)?,
            End::Snooze { .. } => {}
        }
        // A claim ends once: what is said of it first.
        if claims.insert((row.ordinal, row.epoch, &row.user)) {
            ends.add(row);
        }
    }
    let ended = sqlx::query_scalar(FINISH)
        .bind(run.0)
        .bind(ends.ordinals)
        .bind(ends.epochs)
        .bind(ends.users)
        .bind(ends.states)
        .bind(ends.outcomes)
        .bind(ends.codes)
        .bind(ends.results)
        .bind(ends.applied)
        .bind(ends.after_ms)
        .bind(ends.attempts)
        .bind(ends.seen.0)
        .bind(ends.seen.1)
        .bind(ends.seen.2)
        .bind(ends.secrets.0)
        .bind(ends.secrets.1)
        .bind(ends.secrets.2)
        .bind(crate::filing::TOKEN_SLOTS)
        .fetch_all(db)
        .await?;
    Ok(ended)
}

fn refuse_unsettled(run: RunId, ordinal: i64, state: EntryState) -> Result<(), Fault> {
    if state.is_settled() { Ok(()) } else { Err(Error::NotSettled { run, ordinal }.into()) }
}
