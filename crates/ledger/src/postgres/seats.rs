//! Seats in the groups of the staged rollout: whom a run means for which group, and who was put where.
//!
//! A seat is filed before it is asked for, by the claim that holds the user. One that has ended is never touched again.

use super::decode::{Columns, duration, milliseconds};
use super::fault::Fault;
use super::matching::counts;
use super::run::{locked, writes};
use crate::seats::{
    Applicant, ClaimedSeat, Decided, GroupSeats, NewSeat, PastEntry, Rerouted, Seat, SeatFinish,
};
use crate::{Error, MatchCounts};
use contract::{EntraId, RunId, RunKind, RunState, SeatState};
use sqlx::PgConnection;
use sqlx::postgres::PgRow;
use std::collections::{BTreeMap, BTreeSet};

/// The slot of seats in the journal's lines.
const SLOT: &str = "rollout";

/// Users as `touched::FREEZE` finds them. `$5`: on the way out, where an earlier match with a seat counts too, and whoever
/// the Entra user belongs to by now.
const FREEZE: &str = "
    WITH moved AS (
        SELECT e.user_key, e.content, e.entra, e.guest, e.allowed, e.matched_by, e.directory, e.run AS by_run,
               row_number() OVER (PARTITION BY e.user_key, e.entra ORDER BY e.run DESC, e.ordinal) AS nth
          FROM entry e JOIN run m ON m.no = e.run AND m.kind = 'migrate'),
    pairs AS (
        SELECT m.*, row_number() OVER (PARTITION BY m.entra ORDER BY m.by_run DESC, m.user_key) AS same_target
          FROM moved m WHERE m.nth = 1),
    meant AS (
        SELECT p.*, row_number() OVER (PARTITION BY p.user_key ORDER BY (p.entra IS NULL), p.by_run DESC) AS turn
          FROM pairs p
         WHERE $4 = 'all' OR p.user_key IN (SELECT user_key FROM batch_member WHERE batch = $4)),
    asked AS (
        SELECT n.*, row_number() OVER (ORDER BY n.user_key, n.turn) AS nth_user,
               n.entra IS NOT NULL
               AND CASE WHEN $5 THEN EXISTS (SELECT FROM seat s WHERE s.entra = n.entra AND s.ended_at IS NULL)
                        ELSE n.same_target = 1 END AS waits
          FROM meant n)
    INSERT INTO entry (run, ordinal, snapshot, writing, user_key, content, state, outcome, codes, settled_at, entra,
                       guest, allowed, matched_by, directory)
    SELECT $1, CASE WHEN a.turn = 1 THEN coalesce(r.ordinal, -a.nth_user) ELSE -a.nth_user END, $2, $3, a.user_key,
           a.content,
           CASE WHEN a.waits THEN 'waiting' WHEN $5 THEN 'unchanged' ELSE 'blocked' END,
           CASE WHEN a.waits THEN NULL WHEN $5 THEN 'unchanged' ELSE 'blocked' END,
           CASE WHEN a.waits THEN '' WHEN $5 THEN 'rollout-not-in' ELSE 'rollout-not-moved' END,
           CASE WHEN a.waits THEN NULL ELSE now_ms() END,
           a.entra, a.guest, a.allowed, a.matched_by, a.directory
      FROM asked a
      LEFT JOIN (SELECT user_key, min(ordinal) AS ordinal FROM record WHERE snapshot = $2 GROUP BY user_key) r
             ON r.user_key = a.user_key
     WHERE a.turn = 1 OR ($5 AND a.waits) ORDER BY 2";

pub(super) async fn freeze(db: &mut PgConnection, id: RunId) -> Result<MatchCounts, Fault> {
    let run = locked(db, id).await?;
    match run.state {
        RunState::Preparing => {}
        RunState::Open | RunState::Done | RunState::Superseded => return counts(db, id).await,
    }
    let is_way_out = run.spec.kind == RunKind::RolloutRemove;
    let snapshot: i64 =
        sqlx::query_scalar("SELECT snapshot FROM run WHERE no = $1").bind(id.0).fetch_one(&mut *db).await?;
    sqlx::query("DELETE FROM entry WHERE run = $1").bind(id.0).execute(&mut *db).await?;
    sqlx::query(FREEZE)
        .bind(id.0)
        .bind(snapshot)
        .bind(writes(run.spec.kind))
        .bind(&run.spec.batch)
        .bind(is_way_out)
        .execute(&mut *db)
        .await?;
    if is_way_out {
        sqlx::query("UPDATE run SET state = 'open' WHERE no = $1").bind(id.0).execute(&mut *db).await?;
    }
    counts(db, id).await
}

fn seat(row: &PgRow) -> Result<Seat, Fault> {
    Ok(Seat {
        group: row.value("grp")?,
        state: row.word("state", SeatState::parse)?,
        asked: duration(row.value("asked")?),
        doubt: row.value::<Option<i64>>("doubt")?.map(duration),
        age: duration(row.value("age")?),
    })
}

pub(super) async fn applicants(
    db: &mut PgConnection,
    run: RunId,
    after: i64,
    limit: u32,
) -> Result<Vec<Applicant>, Fault> {
    let rows = sqlx::query(
        "SELECT e.ordinal, e.entra,
                EXISTS (SELECT FROM intent i WHERE i.entra = e.entra AND i.outcome IS NULL) AS in_doubt
           FROM entry e WHERE e.run = $1 AND e.state = 'waiting' AND e.ordinal > $2 AND e.place IS NULL
          ORDER BY e.ordinal LIMIT $3",
    )
    .bind(run.0)
    .bind(after)
    .bind(i64::from(limit))
    .fetch_all(&mut *db)
    .await?;
    let mut found = Vec::with_capacity(rows.len());
    for row in &rows {
        found.push(Applicant {
            ordinal: row.value("ordinal")?,
            user: row.entra("entra")?,
            in_doubt: row.value("in_doubt")?,
            past: Vec::new(),
            seat: None,
        });
    }
    let ordinals: Vec<i64> = found.iter().map(|a| a.ordinal).collect();
    let users: Vec<&str> = found.iter().map(|a| a.user.0.as_str()).collect();
    let mut past = past(db, run, &ordinals).await?;
    let mut seats = last_seats(db, &users).await?;
    for applicant in &mut found {
        applicant.past = past.remove(&applicant.ordinal).unwrap_or_default();
        applicant.seat = seats.remove(&applicant.user);
    }
    Ok(found)
}

async fn past(
    db: &mut PgConnection,
    run: RunId,
    ordinals: &[i64],
) -> Result<BTreeMap<i64, Vec<PastEntry>>, Fault> {
    let rows = sqlx::query(
        "SELECT e.ordinal, m.kind, p.state, p.codes, m.state IN ('preparing', 'open') AS is_open, p.epoch > 0 AS begun
           FROM entry e
           JOIN entry p ON p.user_key = e.user_key AND p.entra = e.entra
           JOIN run m ON m.no = p.run AND m.kind IN ('migrate', 'verify', 'rollback')
          WHERE e.run = $1 AND e.ordinal = ANY($2)
          ORDER BY e.ordinal, coalesce(p.settled_at, m.ended_at) DESC NULLS LAST, p.run DESC",
    )
    .bind(run.0)
    .bind(ordinals)
    .fetch_all(db)
    .await?;
    let mut found: BTreeMap<i64, Vec<PastEntry>> = BTreeMap::new();
    for row in &rows {
        found.entry(row.value("ordinal")?).or_default().push(PastEntry {
            kind: row.run_kind("kind")?,
            state: row.entry_state("state")?,
            codes: row.value("codes")?,
            open: row.value("is_open")?,
            begun: row.value("begun")?,
        });
    }
    Ok(found)
}

async fn last_seats(db: &mut PgConnection, users: &[&str]) -> Result<BTreeMap<EntraId, Seat>, Fault> {
    let rows = sqlx::query(
        "SELECT entra, grp, state, now_ms() - asked_at AS asked, now_ms() - doubt_at AS doubt,
                now_ms() - filed_at AS age FROM seat WHERE entra = ANY($1) AND state <> 'refused' ORDER BY no",
    )
    .bind(users)
    .fetch_all(db)
    .await?;
    rows.iter().map(|row| Ok((row.entra("entra")?, seat(row)?))).collect()
}

pub(super) async fn decide(db: &mut PgConnection, run: RunId, rows: &[(i64, Decided)]) -> Result<(), Fault> {
    let (mut ordinals, mut places, mut states, mut codes) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (ordinal, decided) in rows {
        ordinals.push(*ordinal);
        let (place, state, code) = match decided {
            Decided::Placed(group) => (Some(group.as_str()), None, None),
            Decided::Settled(state, code) => (None, Some(state.as_str()), Some(*code)),
        };
        places.push(place);
        states.push(state);
        codes.push(code);
    }
    sqlx::query(
        "WITH j AS MATERIALIZED (
             SELECT a.ordinal, a.place, a.code,
                    CASE WHEN a.state IS NOT NULL THEN a.state
                         WHEN m.kind = 'rollout-plan' THEN 'planned' ELSE 'waiting' END AS state
               FROM unnest($2::bigint[], $3::text[], $4::text[], $5::text[]) a (ordinal, place, state, code)
               JOIN run m ON m.no = $1 AND m.state = 'preparing')
         UPDATE entry e SET place = j.place, state = j.state, codes = coalesce(j.code, ''),
                outcome = CASE j.state WHEN 'waiting' THEN NULL WHEN 'planned' THEN 'change'
                                       WHEN 'unchanged' THEN 'unchanged' ELSE 'blocked' END,
                settled_at = CASE WHEN j.state <> 'waiting' THEN now_ms() END
           FROM j WHERE e.run = $1 AND e.ordinal = j.ordinal AND e.state = 'waiting'",
    )
    .bind(run.0)
    .bind(ordinals)
    .bind(places)
    .bind(states)
    .bind(codes)
    .execute(db)
    .await?;
    Ok(())
}

pub(super) async fn open(db: &mut PgConnection, run: RunId, steps: &[u64]) -> Result<(), Fault> {
    let undecided: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM entry WHERE run = $1 AND state = 'waiting' AND place IS NULL",
    )
    .bind(run.0)
    .fetch_one(&mut *db)
    .await?;
    if let Ok(found @ 1..) = u64::try_from(undecided) {
        let what = format!("run {run} (users of whom nothing is decided)");
        return Err(Error::Incomplete { what, expected: 0, found }.into());
    }
    sqlx::query("UPDATE run SET state = 'open' WHERE no = $1 AND state = 'preparing'")
        .bind(run.0)
        .execute(&mut *db)
        .await?;
    super::steps::assign(db, run, steps).await
}

pub(super) async fn placed(db: &mut PgConnection, run: RunId) -> Result<Vec<(String, u64)>, Fault> {
    let rows = sqlx::query(
        "SELECT place, count(*) AS users, min(ordinal) AS first FROM entry WHERE run = $1 AND place IS NOT NULL
          GROUP BY place ORDER BY first",
    )
    .bind(run.0)
    .fetch_all(db)
    .await?;
    rows.iter().map(|row| Ok((row.value("place")?, row.count("users")?))).collect()
}

pub(super) async fn claimed(
    db: &mut PgConnection,
    run: RunId,
    ordinals: &[i64],
) -> Result<Vec<ClaimedSeat>, Fault> {
    let rows = sqlx::query(
        "SELECT e.ordinal, e.place, s.grp, s.state, now_ms() - s.asked_at AS asked, now_ms() - s.doubt_at AS doubt,
                now_ms() - s.filed_at AS age
           FROM entry e LEFT JOIN seat s ON s.entra = e.entra AND s.ended_at IS NULL
          WHERE e.run = $1 AND e.ordinal = ANY($2) ORDER BY e.ordinal",
    )
    .bind(run.0)
    .bind(ordinals)
    .fetch_all(db)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(ClaimedSeat {
                ordinal: row.value("ordinal")?,
                place: row.value("place")?,
                seat: match row.value::<Option<&str>>("grp")? {
                    Some(_) => Some(seat(row)?),
                    None => None,
                },
            })
        })
        .collect()
}

/// The claims that still hold, of a run that is open and stays so meanwhile. On the way in not those of whom anything was learnt
/// or begun since it was opened that admission would have asked about: nights may lie between. Then the time, which must
/// not be that of before a wait for their locks; then the seats.
const FILE: &str = "
    WITH asked AS MATERIALIZED (
        SELECT * FROM unnest($2::bigint[], $3::bigint[], $4::text[], $5::text[]) a (ordinal, epoch, entra, grp)),
    me AS MATERIALIZED (
        SELECT kind, opened_at FROM run WHERE no = $1 AND state = 'open' FOR KEY SHARE),
    held AS MATERIALIZED (
        SELECT e.ordinal, a.epoch, e.entra, a.grp
          FROM entry e JOIN asked a ON a.ordinal = e.ordinal AND a.epoch = e.epoch AND a.entra = e.entra
         CROSS JOIN me
         WHERE e.run = $1 AND e.ordinal = ANY($2) AND e.state = 'claimed' AND e.writing AND e.holds
           AND NOT (me.kind = 'rollout'
                    AND (EXISTS (SELECT FROM entry b JOIN run o ON o.no = b.run
                                  WHERE b.user_key = e.user_key AND o.kind IN ('migrate', 'rollback', 'verify')
                                    AND ((b.state IN ('waiting', 'claimed') AND o.kind <> 'verify'
                                          AND o.state IN ('preparing', 'open'))
                                         OR (b.settled_at >= me.opened_at
                                             AND b.state NOT IN ('confirmed', 'unchanged'))))
                         OR EXISTS (SELECT FROM intent i WHERE i.entra = e.entra AND i.filed_at >= me.opened_at)))
         ORDER BY e.entra FOR NO KEY UPDATE OF e),
    filed AS MATERIALIZED (SELECT clock_ms() AS at_ms FROM (SELECT count(*) FROM held) every_lock),
    seats AS (
        INSERT INTO seat (entra, grp, run, epoch, state, asked_at, filed_at)
        SELECT h.entra, h.grp, $1, h.epoch,
               CASE (SELECT kind FROM run WHERE no = $1) WHEN 'rollout-remove' THEN 'leaving' ELSE 'asked' END, f.at_ms,
               f.at_ms
          FROM held h CROSS JOIN filed f ORDER BY h.entra
            ON CONFLICT (entra) WHERE ended_at IS NULL DO UPDATE SET grp = excluded.grp, run = excluded.run,
               epoch = excluded.epoch, state = excluded.state, filed_at = excluded.filed_at,
               asked_at = CASE excluded.state WHEN 'asked' THEN excluded.asked_at ELSE seat.asked_at END,
               doubt_at = CASE WHEN excluded.state = 'asked' AND seat.state = 'asked' THEN seat.asked_at
                               ELSE seat.doubt_at END
        RETURNING 1)
    SELECT ordinal FROM held WHERE (SELECT count(*) FROM seats) >= 0 ORDER BY ordinal";

pub(super) async fn file(db: &mut PgConnection, run: RunId, rows: &[NewSeat]) -> Result<Vec<i64>, Fault> {
    let rows = crate::seats::first_of_each(rows, |row| (row.ordinal, row.epoch));
    let filed = sqlx::query_scalar(FILE)
        .bind(run.0)
        .bind(rows.iter().map(|row| row.ordinal).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.epoch).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.user.0.as_str()).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.group.as_str()).collect::<Vec<_>>())
        .fetch_all(db)
        .await?;
    Ok(filed)
}

pub(super) async fn finish(
    db: &mut PgConnection,
    run: RunId,
    rows: &[SeatFinish],
) -> Result<Vec<i64>, Fault> {
    let rows = crate::seats::first_of_each(rows, |row| (row.finish.ordinal, row.finish.epoch));
    let holding: BTreeSet<(i64, i64)> = sqlx::query_as(
        "SELECT e.ordinal, e.epoch FROM entry e
           JOIN unnest($2::bigint[], $3::bigint[], $4::text[]) a (ordinal, epoch, entra)
             ON a.ordinal = e.ordinal AND a.epoch = e.epoch AND a.entra = e.entra
          WHERE e.run = $1 AND e.ordinal = ANY($2) AND e.state = 'claimed' AND e.holds
          ORDER BY e.entra FOR NO KEY UPDATE OF e",
    )
    .bind(run.0)
    .bind(rows.iter().map(|row| row.finish.ordinal).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.finish.epoch).collect::<Vec<_>>())
    .bind(rows.iter().map(|row| row.finish.user.0.as_str()).collect::<Vec<_>>())
    .fetch_all(&mut *db)
    .await?
    .into_iter()
    .collect();
    let finishes: Vec<crate::Finish> = rows.iter().map(|row| row.finish.clone()).collect();
    let ended = super::finish::finish(db, run, &finishes).await?;
    let known: Vec<_> = rows
        .iter()
        .filter(|row| holding.contains(&(row.finish.ordinal, row.finish.epoch)))
        .filter_map(|row| Some((row.finish.user.0.as_str(), row.seat?, milliseconds(row.acts_after))))
        .collect();
    if known.is_empty() {
        return Ok(ended);
    }
    sqlx::query(
        "UPDATE seat s SET state = j.state, ended_at = CASE WHEN j.is_over THEN now_ms() END,
                acts_at = CASE WHEN j.is_over AND j.state IN ('left', 'gone') THEN now_ms() + j.acts_after END
           FROM unnest($1::text[], $2::text[], $3::boolean[], $4::bigint[]) j (entra, state, is_over, acts_after)
          WHERE s.entra = j.entra AND s.ended_at IS NULL",
    )
    .bind(known.iter().map(|(user, ..)| *user).collect::<Vec<_>>())
    .bind(known.iter().map(|(_, state, _)| state.as_str()).collect::<Vec<_>>())
    .bind(known.iter().map(|(_, state, _)| !state.stands()).collect::<Vec<_>>())
    .bind(known.iter().map(|(.., after)| *after).collect::<Vec<_>>())
    .execute(&mut *db)
    .await?;
    let lines: Vec<_> = known.iter().map(|(user, state, _)| [*user, SLOT, state.as_str()]).collect();
    super::journal::append(db, Some(run), "changes", &serde_json::json!(lines).to_string()).await?;
    Ok(ended)
}

pub(super) async fn rerouted(db: &mut PgConnection, run: RunId) -> Result<Rerouted, Fault> {
    let row = sqlx::query(
        "SELECT count(*) FILTER (WHERE s.ended_at IS NULL) AS seated, max(s.acts_at) - now_ms() AS acts_in
           FROM entry e JOIN seat s ON s.entra = e.entra
          WHERE e.run = $1 AND e.state IN ('waiting', 'claimed')",
    )
    .bind(run.0)
    .fetch_one(db)
    .await?;
    let acts_in: Option<i64> = row.value("acts_in")?;
    Ok(Rerouted { seated: row.count("seated")?, acts_in: acts_in.filter(|ms| *ms > 0).map(duration) })
}

pub(super) async fn hold_rerouted(
    db: &mut PgConnection,
    run: RunId,
    users: &[EntraId],
) -> Result<u64, Fault> {
    let held = sqlx::query(
        "UPDATE entry SET state = 'parked', outcome = 'blocked', codes = 'rollout-still-in', holds = false,
                settled_at = now_ms()
          WHERE run = $1 AND state = 'waiting' AND entra = ANY($2)
            AND EXISTS (SELECT FROM run WHERE no = $1 AND kind = 'rollback' AND state = 'open')",
    )
    .bind(run.0)
    .bind(users.iter().map(|user| user.0.as_str()).collect::<Vec<_>>())
    .execute(db)
    .await?;
    Ok(held.rows_affected())
}

pub(super) async fn seated(db: &mut PgConnection, batch: &str) -> Result<u64, Fault> {
    let seated: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM seat s WHERE s.ended_at IS NULL
            AND ($1 = 'all'
                 OR s.entra IN (SELECT e.entra FROM batch_member b
                                  JOIN entry e ON e.user_key = b.user_key
                                  JOIN run m ON m.no = e.run AND m.kind = 'migrate'
                                 WHERE b.batch = $1 AND e.entra IS NOT NULL))",
    )
    .bind(batch)
    .fetch_one(db)
    .await?;
    u64::try_from(seated).map_err(|_| Fault::Column("count"))
}

pub(super) async fn meant_elsewhere(db: &mut PgConnection, run: RunId) -> Result<Vec<(String, u64)>, Fault> {
    let rows = sqlx::query(
        "SELECT e.place, count(*) AS users FROM run m JOIN entry e ON e.run = m.no
          WHERE m.kind = 'rollout' AND m.state = 'open' AND m.no <> $1 AND e.state IN ('waiting', 'claimed')
            AND e.place IS NOT NULL
          GROUP BY e.place ORDER BY e.place",
    )
    .bind(run.0)
    .fetch_all(db)
    .await?;
    rows.iter().map(|row| Ok((row.value("place")?, row.count("users")?))).collect()
}

pub(super) async fn groups(db: &mut PgConnection) -> Result<Vec<String>, Fault> {
    Ok(sqlx::query_scalar("SELECT DISTINCT grp FROM seat ORDER BY grp").fetch_all(db).await?)
}

pub(super) async fn by_group(db: &mut PgConnection) -> Result<Vec<GroupSeats>, Fault> {
    let rows = sqlx::query(
        "SELECT grp, state, count(*) AS seats FROM seat WHERE ended_at IS NULL GROUP BY grp, state ORDER BY grp, state",
    )
    .fetch_all(db)
    .await?;
    let mut found: Vec<GroupSeats> = Vec::new();
    for row in &rows {
        let group: String = row.value("grp")?;
        let seats = (row.word("state", SeatState::parse)?, row.count("seats")?);
        match found.last_mut().filter(|last| last.group == group) {
            Some(last) => last.standing.push(seats),
            None => found.push(GroupSeats { group, standing: vec![seats] }),
        }
    }
    Ok(found)
}
