//! Seats in the groups of the staged rollout: whom a run means for which group, and who was put where.
//!
//! A seat is filed before it is asked for, by the claim that holds the user. One that has ended is never touched again.

use super::decode::{Columns, duration, json, milliseconds};
use super::fault::Fault;
use super::matching::counts;
use super::run::{find, writes};
use crate::seats::{
    Applicant, ClaimedSeat, Decided, GroupSeats, NewSeat, PastEntry, Rerouted, Seat, SeatFinish,
};
use crate::{Error, MatchCounts};
use contract::{EntraId, RunId, RunKind, RunState, SeatState};
use serde_json::Value;
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;
use std::collections::{BTreeMap, BTreeSet};

/// The slot of seats in the journal's lines.
const SLOT: &str = "rollout";

/// Users as `touched::FREEZE` finds them. `?5`: on the way out, where an earlier match with a seat counts too, and whoever
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
         WHERE ?4 = 'all' OR p.user_key IN (SELECT user_key FROM batch_member WHERE batch = ?4)),
    asked AS (
        SELECT n.*, row_number() OVER (ORDER BY n.user_key, n.turn) AS nth_user,
               n.entra IS NOT NULL
               AND CASE WHEN ?5 THEN EXISTS (SELECT 1 FROM seat s WHERE s.entra = n.entra AND s.ended_at IS NULL)
                        ELSE n.same_target = 1 END AS waits
          FROM meant n)
    INSERT INTO entry (run, ordinal, snapshot, writing, user_key, content, state, outcome, codes, settled_at, entra,
                       guest, allowed, matched_by, directory)
    SELECT ?1, CASE WHEN a.turn = 1 THEN coalesce(r.ordinal, -a.nth_user) ELSE -a.nth_user END, ?2, ?3, a.user_key,
           a.content,
           CASE WHEN a.waits THEN 'waiting' WHEN ?5 THEN 'unchanged' ELSE 'blocked' END,
           CASE WHEN a.waits THEN NULL WHEN ?5 THEN 'unchanged' ELSE 'blocked' END,
           CASE WHEN a.waits THEN '' WHEN ?5 THEN 'rollout-not-in' ELSE 'rollout-not-moved' END,
           CASE WHEN a.waits THEN NULL ELSE (SELECT now_ms FROM clock) END,
           a.entra, a.guest, a.allowed, a.matched_by, a.directory
      FROM asked a
      LEFT JOIN (SELECT user_key, min(ordinal) AS ordinal FROM record WHERE snapshot = ?2 GROUP BY user_key) r
             ON r.user_key = a.user_key
     WHERE a.turn = 1 OR (?5 AND a.waits) ORDER BY 2";

pub(super) async fn freeze(db: &mut SqliteConnection, id: RunId) -> Result<MatchCounts, Fault> {
    let run = find(db, id).await?.ok_or(Fault::Ours(Error::NoRun { run: id }))?;
    match run.state {
        RunState::Preparing => {}
        RunState::Open | RunState::Done | RunState::Superseded => return counts(db, id).await,
    }
    let is_way_out = run.spec.kind == RunKind::RolloutRemove;
    let snapshot: i64 =
        sqlx::query_scalar("SELECT snapshot FROM run WHERE no = ?1").bind(id.0).fetch_one(&mut *db).await?;
    sqlx::query("DELETE FROM entry WHERE run = ?1").bind(id.0).execute(&mut *db).await?;
    sqlx::query(FREEZE)
        .bind(id.0)
        .bind(snapshot)
        .bind(writes(run.spec.kind))
        .bind(&run.spec.batch)
        .bind(is_way_out)
        .execute(&mut *db)
        .await?;
    if is_way_out {
        sqlx::query("UPDATE run SET state = 'open' WHERE no = ?1").bind(id.0).execute(&mut *db).await?;
    }
    counts(db, id).await
}

fn seat(row: &SqliteRow) -> Result<Seat, Fault> {
    Ok(Seat {
        group: row.value("grp")?,
        state: row.word("state", SeatState::parse)?,
        asked: duration(row.value("asked")?),
        doubt: row.value::<Option<i64>>("doubt")?.map(duration),
        age: duration(row.value("age")?),
    })
}

pub(super) async fn applicants(
    db: &mut SqliteConnection,
    run: RunId,
    after: i64,
    limit: u32,
) -> Result<Vec<Applicant>, Fault> {
    let rows = sqlx::query(
        "SELECT e.ordinal, e.entra, e.user_key,
                EXISTS (SELECT 1 FROM intent i WHERE i.entra = e.entra AND i.outcome IS NULL) AS in_doubt
           FROM entry e WHERE e.run = ?1 AND e.state = 'waiting' AND e.ordinal > ?2 AND e.place IS NULL
          ORDER BY e.ordinal LIMIT ?3",
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
    let ordinals = json(found.iter().map(|a| a.ordinal));
    let mut past = past(db, run, &ordinals).await?;
    let users = json(found.iter().map(|a| a.user.0.as_str()));
    let mut seats = last_seats(db, &users).await?;
    for applicant in &mut found {
        applicant.past = past.remove(&applicant.ordinal).unwrap_or_default();
        applicant.seat = seats.remove(&applicant.user);
    }
    Ok(found)
}

async fn past(
    db: &mut SqliteConnection,
    run: RunId,
    ordinals: &str,
) -> Result<BTreeMap<i64, Vec<PastEntry>>, Fault> {
    let rows = sqlx::query(
        "SELECT e.ordinal, m.kind, p.state, p.codes, m.state IN ('preparing', 'open') AS is_open, p.epoch > 0 AS begun
           FROM json_each(?2) j
          CROSS JOIN entry e ON e.run = ?1 AND e.ordinal = j.value
          CROSS JOIN entry p ON p.user_key = e.user_key AND p.entra = e.entra
          CROSS JOIN run m ON m.no = p.run AND m.kind IN ('migrate', 'verify', 'rollback')
          ORDER BY e.ordinal, coalesce(p.settled_at, m.ended_at) DESC, p.run DESC",
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

async fn last_seats(db: &mut SqliteConnection, users: &str) -> Result<BTreeMap<EntraId, Seat>, Fault> {
    let rows = sqlx::query(
        "SELECT entra, grp, state, (SELECT now_ms FROM clock) - asked_at AS asked,
                (SELECT now_ms FROM clock) - doubt_at AS doubt,
                (SELECT now_ms FROM clock) - filed_at AS age FROM seat
          WHERE entra IN (SELECT value FROM json_each(?1)) AND state <> 'refused' ORDER BY no",
    )
    .bind(users)
    .fetch_all(db)
    .await?;
    rows.iter().map(|row| Ok((row.entra("entra")?, seat(row)?))).collect()
}

pub(super) async fn decide(
    db: &mut SqliteConnection,
    run: RunId,
    rows: &[(i64, Decided)],
) -> Result<(), Fault> {
    let decided = json(rows.iter().map(|(ordinal, decided)| {
        let (place, state, code) = match decided {
            Decided::Placed(group) => (Some(group.as_str()), None, None),
            Decided::Settled(state, code) => (None, Some(state.as_str()), Some(*code)),
        };
        vec![Value::from(*ordinal), Value::from(place), Value::from(state), Value::from(code)]
    }));
    sqlx::query(
        "WITH j AS MATERIALIZED (
             SELECT value ->> 0 AS ordinal, value ->> 1 AS place, value ->> 3 AS code,
                    coalesce(value ->> 2, CASE WHEN m.kind = 'rollout-plan' THEN 'planned' ELSE 'waiting' END) AS state
               FROM json_each(?2) JOIN run m ON m.no = ?1 AND m.state = 'preparing')
         UPDATE entry SET place = j.place, state = j.state, codes = coalesce(j.code, ''),
                outcome = CASE j.state WHEN 'waiting' THEN NULL WHEN 'planned' THEN 'change'
                                       WHEN 'unchanged' THEN 'unchanged' ELSE 'blocked' END,
                settled_at = CASE WHEN j.state <> 'waiting' THEN (SELECT now_ms FROM clock) END
           FROM j
          WHERE entry.run = ?1 AND entry.ordinal = j.ordinal AND +entry.state = 'waiting'
            AND entry.ordinal IN (SELECT value ->> 0 FROM json_each(?2))",
    )
    .bind(run.0)
    .bind(decided)
    .execute(db)
    .await?;
    Ok(())
}

pub(super) async fn open(db: &mut SqliteConnection, run: RunId, steps: &[u64]) -> Result<(), Fault> {
    let undecided: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM entry WHERE run = ?1 AND state = 'waiting' AND place IS NULL",
    )
    .bind(run.0)
    .fetch_one(&mut *db)
    .await?;
    if let Ok(found @ 1..) = u64::try_from(undecided) {
        let what = format!("run {run} (users of whom nothing is decided)");
        return Err(Error::Incomplete { what, expected: 0, found }.into());
    }
    sqlx::query("UPDATE run SET state = 'open' WHERE no = ?1 AND state = 'preparing'")
        .bind(run.0)
        .execute(&mut *db)
        .await?;
    super::steps::assign(db, run, steps).await
}

pub(super) async fn placed(db: &mut SqliteConnection, run: RunId) -> Result<Vec<(String, u64)>, Fault> {
    let rows = sqlx::query(
        "SELECT place, count(*) AS users, min(ordinal) AS first FROM entry WHERE run = ?1 AND place IS NOT NULL
          GROUP BY place ORDER BY first",
    )
    .bind(run.0)
    .fetch_all(db)
    .await?;
    rows.iter().map(|row| Ok((row.value("place")?, row.count("users")?))).collect()
}

pub(super) async fn claimed(
    db: &mut SqliteConnection,
    run: RunId,
    ordinals: &[i64],
) -> Result<Vec<ClaimedSeat>, Fault> {
    let rows = sqlx::query(
        "SELECT e.ordinal, e.place, s.grp, s.state, (SELECT now_ms FROM clock) - s.asked_at AS asked,
                (SELECT now_ms FROM clock) - s.doubt_at AS doubt,
                (SELECT now_ms FROM clock) - s.filed_at AS age
           FROM entry e LEFT JOIN seat s ON s.entra = e.entra AND s.ended_at IS NULL
          WHERE e.run = ?1 AND e.ordinal IN (SELECT value FROM json_each(?2)) ORDER BY e.ordinal",
    )
    .bind(run.0)
    .bind(json(ordinals.iter().copied()))
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

/// The claims that still hold, by ordinal and epoch, of a run that is open. On the way in not those of whom anything was
/// learnt or begun since it was opened that admission would have asked about: nights may lie between.
async fn held(
    db: &mut SqliteConnection,
    run: RunId,
    rows: &[&NewSeat],
) -> Result<BTreeSet<(i64, i64)>, Fault> {
    let asked =
        json(rows.iter().map(|row| {
            vec![Value::from(row.ordinal), Value::from(row.epoch), Value::from(row.user.0.as_str())]
        }));
    let held: Vec<(i64, i64)> = sqlx::query_as(
        "SELECT e.ordinal, e.epoch FROM json_each(?2) j
          CROSS JOIN entry e ON e.run = ?1 AND e.ordinal = j.value ->> 0
          CROSS JOIN run ON run.no = e.run
          WHERE e.epoch = j.value ->> 1 AND e.entra = j.value ->> 2 AND +e.state = 'claimed' AND e.writing AND e.holds
            AND run.state = 'open'
            AND NOT (run.kind = 'rollout'
                     AND (EXISTS (SELECT 1 FROM entry b JOIN run o ON o.no = b.run
                                   WHERE b.user_key = e.user_key AND o.kind IN ('migrate', 'rollback', 'verify')
                                     AND ((b.state IN ('waiting', 'claimed') AND o.kind <> 'verify'
                                           AND o.state IN ('preparing', 'open'))
                                          OR (b.settled_at >= run.opened_at
                                              AND b.state NOT IN ('confirmed', 'unchanged'))))
                          OR EXISTS (SELECT 1 FROM intent i WHERE i.entra = e.entra AND i.filed_at >= run.opened_at)))",
    )
    .bind(run.0)
    .bind(asked)
    .fetch_all(db)
    .await?;
    Ok(held.into_iter().collect())
}

pub(super) async fn file(db: &mut SqliteConnection, run: RunId, rows: &[NewSeat]) -> Result<Vec<i64>, Fault> {
    let rows = crate::seats::first_of_each(rows, |row| (row.ordinal, row.epoch));
    let held = held(db, run, &rows).await?;
    let filing: Vec<_> = rows
        .iter()
        .filter(|row| held.contains(&(row.ordinal, row.epoch)))
        .map(|row| {
            vec![Value::from(row.user.0.as_str()), Value::from(row.group.as_str()), Value::from(row.epoch)]
        })
        .collect();
    sqlx::query(
        "INSERT INTO seat (entra, grp, run, epoch, state, asked_at, filed_at)
         SELECT value ->> 0, value ->> 1, ?1, value ->> 2,
                CASE (SELECT kind FROM run WHERE no = ?1) WHEN 'rollout-remove' THEN 'leaving' ELSE 'asked' END,
                (SELECT now_ms FROM clock), (SELECT now_ms FROM clock)
           FROM json_each(?2) WHERE true
             ON CONFLICT (entra) WHERE ended_at IS NULL DO UPDATE SET grp = excluded.grp, run = excluded.run,
                epoch = excluded.epoch, state = excluded.state, filed_at = excluded.filed_at,
                asked_at = CASE excluded.state WHEN 'asked' THEN excluded.asked_at ELSE asked_at END,
                doubt_at = CASE WHEN excluded.state = 'asked' AND state = 'asked' THEN asked_at ELSE doubt_at END",
    )
    .bind(run.0)
    .bind(json(filing))
    .execute(db)
    .await?;
    Ok(held.into_iter().map(|(ordinal, _)| ordinal).collect())
}

pub(super) async fn finish(
    db: &mut SqliteConnection,
    run: RunId,
    rows: &[SeatFinish],
) -> Result<Vec<i64>, Fault> {
    let rows = crate::seats::first_of_each(rows, |row| (row.finish.ordinal, row.finish.epoch));
    let holding = {
        let asked = json(rows.iter().map(|row| {
            let f = &row.finish;
            vec![Value::from(f.ordinal), Value::from(f.epoch), Value::from(f.user.0.as_str())]
        }));
        let holding: Vec<(i64, i64)> = sqlx::query_as(
            "SELECT e.ordinal, e.epoch FROM json_each(?2) j
              CROSS JOIN entry e ON e.run = ?1 AND e.ordinal = j.value ->> 0
              WHERE e.epoch = j.value ->> 1 AND e.entra = j.value ->> 2 AND +e.state = 'claimed' AND e.holds",
        )
        .bind(run.0)
        .bind(asked)
        .fetch_all(&mut *db)
        .await?;
        holding.into_iter().collect::<BTreeSet<_>>()
    };
    let ended = super::finish::finish(db, run, rows.iter().map(|row| row.finish.clone()).collect()).await?;
    let known: Vec<_> = rows
        .iter()
        .filter(|row| holding.contains(&(row.finish.ordinal, row.finish.epoch)))
        .filter_map(|row| Some((row.finish.user.0.as_str(), row.seat?, milliseconds(row.acts_after))))
        .collect();
    if known.is_empty() {
        return Ok(ended);
    }
    sqlx::query(
        "WITH j AS MATERIALIZED (
             SELECT value ->> 0 AS entra, value ->> 1 AS state, value ->> 2 AS is_over, value ->> 3 AS acts_after
               FROM json_each(?1))
         UPDATE seat SET state = j.state,
                ended_at = CASE WHEN j.is_over THEN (SELECT now_ms FROM clock) END,
                acts_at = CASE WHEN j.is_over AND j.state IN ('left', 'gone')
                               THEN (SELECT now_ms FROM clock) + j.acts_after END
           FROM j
          WHERE seat.entra = j.entra AND seat.ended_at IS NULL
            AND seat.entra IN (SELECT value ->> 0 FROM json_each(?1))",
    )
    .bind(json(known.iter().map(|(user, state, after)| {
        vec![
            Value::from(*user),
            Value::from(state.as_str()),
            Value::from(i64::from(!state.stands())),
            Value::from(*after),
        ]
    })))
    .execute(&mut *db)
    .await?;
    let lines = known.iter().map(|(user, state, _)| vec![*user, SLOT, state.as_str()]);
    super::journal::append(db, Some(run), "changes", json(lines)).await?;
    Ok(ended)
}

pub(super) async fn rerouted(db: &mut SqliteConnection, run: RunId) -> Result<Rerouted, Fault> {
    let row = sqlx::query(
        "SELECT count(*) FILTER (WHERE s.ended_at IS NULL) AS seated,
                max(s.acts_at) - (SELECT now_ms FROM clock) AS acts_in
           FROM entry e CROSS JOIN seat s ON s.entra = e.entra
          WHERE e.run = ?1 AND e.state IN ('waiting', 'claimed')",
    )
    .bind(run.0)
    .fetch_one(db)
    .await?;
    let acts_in: Option<i64> = row.value("acts_in")?;
    Ok(Rerouted { seated: row.count("seated")?, acts_in: acts_in.filter(|ms| *ms > 0).map(duration) })
}

pub(super) async fn hold_rerouted(
    db: &mut SqliteConnection,
    run: RunId,
    users: &[EntraId],
) -> Result<u64, Fault> {
    let held = sqlx::query(
        "UPDATE entry SET state = 'parked', outcome = 'blocked', codes = 'rollout-still-in', holds = 0,
                settled_at = (SELECT now_ms FROM clock)
          WHERE run = ?1 AND state = 'waiting' AND +entra IN (SELECT value FROM json_each(?2))
            AND EXISTS (SELECT 1 FROM run WHERE no = ?1 AND kind = 'rollback' AND state = 'open')",
    )
    .bind(run.0)
    .bind(json(users.iter().map(|user| user.0.as_str())))
    .execute(db)
    .await?;
    Ok(held.rows_affected())
}

pub(super) async fn seated(db: &mut SqliteConnection, batch: &str) -> Result<u64, Fault> {
    let seated: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM seat s WHERE s.ended_at IS NULL
            AND (?1 = 'all'
                 OR s.entra IN (SELECT e.entra FROM batch_member b
                                 CROSS JOIN entry e ON e.user_key = b.user_key
                                 CROSS JOIN run m ON m.no = e.run AND m.kind = 'migrate'
                                 WHERE b.batch = ?1 AND e.entra IS NOT NULL))",
    )
    .bind(batch)
    .fetch_one(db)
    .await?;
    u64::try_from(seated).map_err(|_| Fault::Column("count"))
}

pub(super) async fn meant_elsewhere(
    db: &mut SqliteConnection,
    run: RunId,
) -> Result<Vec<(String, u64)>, Fault> {
    let rows = sqlx::query(
        "SELECT e.place, count(*) AS users FROM run m CROSS JOIN entry e ON e.run = m.no
          WHERE m.kind = 'rollout' AND m.state = 'open' AND m.no <> ?1 AND e.state IN ('waiting', 'claimed')
            AND e.place IS NOT NULL
          GROUP BY e.place ORDER BY e.place",
    )
    .bind(run.0)
    .fetch_all(db)
    .await?;
    rows.iter().map(|row| Ok((row.value("place")?, row.count("users")?))).collect()
}

pub(super) async fn groups(db: &mut SqliteConnection) -> Result<Vec<String>, Fault> {
    Ok(sqlx::query_scalar("SELECT DISTINCT grp FROM seat ORDER BY grp").fetch_all(db).await?)
}

pub(super) async fn by_group(db: &mut SqliteConnection) -> Result<Vec<GroupSeats>, Fault> {
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
