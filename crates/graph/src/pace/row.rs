//! What a bucket's row holds: the estimator's state, and the line of processes that wait for quota. Pure.
//!
//! A process has at most one place in the line, for the bundle at the head of its own queue; so one with a single
//! caller gets its turn beside one with fifty. Quota is granted when its time has come and not before, so a hold or a
//! new rate holds for everybody at once. Who is not there when its turn comes is passed over and keeps its place for a
//! while: a process that died blocks nobody, and what it was granted is at most what was about to be sent.
//!
//! Times are seconds of the row's clock since the row began. Nothing here may trust what is on file.

use super::{Bucket, BucketStatus, Estimator};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The shape of the state. Another one is begun anew.
const VERSION: u32 = 1;
/// How late reports and releases of a process may usually be.
const LAG_S: f64 = 0.1;
/// Who is later than this at its turn is passed over.
const PATIENCE_S: f64 = 0.06;
/// Who is later than this is taken for gone.
const GONE_S: f64 = 5.0;
/// Longest time between two looks of a process that waits in line.
const LOOK_S: f64 = 1.0;
/// A turn nearer than this is waited for without another look.
const NEAR_S: f64 = 0.06;
/// More places than this mean that the row is broken.
const LINE_MOST: usize = 1_000;
/// A clock that went back further than this was set; the row's time goes on from where it was.
const SET_BACK_S: f64 = 2.0;

/// A process in the line.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Place {
    who: u64,
    /// Calls of the bundle at the head of its queue.
    n: u32,
    /// Since when it has stood here.
    since: f64,
    /// When it was told to look again.
    back: f64,
}

/// What the server said to calls of one process. Times are the row's clock, in seconds since 1970.
#[derive(Debug, Clone, Copy)]
pub(super) struct Report {
    pub(super) sent: f64,
    pub(super) answered: f64,
    pub(super) accepted: u32,
    pub(super) rejected: u32,
    pub(super) retry_after: Option<Duration>,
}

/// What a process brings to a step. Times are the row's clock, in seconds since 1970.
#[derive(Debug, Default)]
pub(super) struct Ask {
    pub(super) who: u64,
    pub(super) reports: Vec<Report>,
    /// Nothing goes before that, whatever the reason.
    pub(super) hold_until: Option<f64>,
    /// Bundles in its own queue, as calls, the head first.
    pub(super) line: Vec<u32>,
    /// Calls wanted beyond them, for those who come soon.
    pub(super) stock: u32,
    /// How long before its time quota is granted: as long as a step takes, so that its answer is in time.
    pub(super) ahead_s: f64,
    /// No more than this many calls a second are granted to anybody in this step; absent: no such wish.
    pub(super) cap: Option<f64>,
}

/// Calls that may go.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Lot {
    pub(super) n: u32,
    /// When the first of them may go, seconds since 1970.
    pub(super) from: f64,
    /// How fast the others follow, in calls a second.
    pub(super) per_s: f64,
}

/// What a step answers. Times are the row's clock, in seconds since 1970.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) lot: Option<Lot>,
    /// When to look again; absent when nothing is left to wait for.
    pub(super) back: Option<f64>,
    /// Earliest time for the head of the queue, as things stand.
    pub(super) due: Option<f64>,
    pub(super) hold: f64,
    pub(super) rate_per_s: f64,
    pub(super) learned: Option<f64>,
}

/// The state of one bucket, for all processes.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Row {
    v: u32,
    /// When the row began, in seconds since 1970.
    epoch: f64,
    /// The latest time seen, since then.
    latest: f64,
    estimator: Estimator,
    line: Vec<Place>,
}

impl Row {
    /// A row that knows nothing yet, or a rate from elsewhere.
    pub(super) fn new(start_per_s: f64, restored: Option<f64>, now_s: f64) -> Self {
        let mut estimator = Estimator::lagging(start_per_s, LAG_S);
        if let Some(rate) = restored {
            estimator.restore(rate);
        }
        Self { v: VERSION, epoch: now_s, latest: 0.0, estimator, line: Vec::new() }
    }

    /// Reads a row; absent if it is of another version or makes no sense.
    pub(super) fn parse(state: &str) -> Option<Self> {
        let row: Self = serde_json::from_str(state).ok()?;
        let sound = row.v == VERSION
            && row.epoch.is_finite()
            && row.latest.is_finite()
            && row.estimator.is_sound()
            && row.line.len() <= LINE_MOST;
        sound.then_some(row)
    }

    /// What is put on file.
    pub(super) fn encode(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// How the bucket stands.
    pub(super) fn status(&self, now_s: f64, bucket: Bucket) -> BucketStatus {
        let held_s = self.epoch + self.estimator.held_until().as_secs_f64() - now_s;
        BucketStatus {
            bucket,
            rate_per_s: self.estimator.rate(),
            learned: self.estimator.learned().is_some(),
            held_for: (held_s > 0.0).then(|| seconds(held_s)),
        }
    }

    /// One step of one process.
    pub(super) fn step(&mut self, now_s: f64, ask: Ask) -> Told {
        let now = self.tick(now_s);
        self.estimator.cap(ask.cap);
        for report in &ask.reports {
            self.report(report, now);
        }
        if let Some(until) = ask.hold_until {
            self.estimator.hold_until(seconds(until - self.epoch));
        }
        let own = self.line.iter().position(|place| place.who == ask.who);
        let held = self.estimator.held_until().as_secs_f64();
        let own_since = own.and_then(|own| self.line.get(own)).map(|place| place.since);
        let before = self.line.iter().take(own.unwrap_or(usize::MAX));
        let stays = |p: &Place| p.who != ask.who && now <= p.back.max(held) + GONE_S;
        let place = before.filter(|p| stays(p)).count();
        self.line.retain(stays);
        let (lot, left) = self.grant(now, place, own_since.unwrap_or(now), &ask);
        let waits = left.map(|(n, due)| {
            let back = self.back(now, due, ask.ahead_s);
            let (place, since) =
                if lot.is_some() { (self.line.len(), now) } else { (place, own_since.unwrap_or(now)) };
            self.line.insert(place, Place { who: ask.who, n, since, back });
            (back, due)
        });
        Told {
            lot,
            back: waits.map(|(back, _)| self.epoch + back),
            due: waits.map(|(_, due)| self.epoch + due),
            hold: self.epoch + self.estimator.held_until().as_secs_f64(),
            rate_per_s: self.estimator.rate(),
            learned: self.estimator.learned(),
        }
    }

    /// The row's time, which never goes back.
    fn tick(&mut self, now_s: f64) -> f64 {
        let now = now_s - self.epoch;
        if now < self.latest - SET_BACK_S {
            self.epoch = now_s - self.latest;
        }
        self.latest = self.latest.max(now);
        self.latest
    }

    fn report(&mut self, report: &Report, now: f64) {
        let answered = (report.answered - self.epoch).clamp(0.0, now);
        let sent = (report.sent - self.epoch).clamp(0.0, answered);
        // The end of a hold is told by the row; the report needs no answer.
        let _ = self.estimator.settled(
            seconds(answered),
            seconds(sent),
            report.accepted,
            report.rejected,
            report.retry_after,
        );
    }

    /// Grants what is due within the time ahead, in turn with all others; answers what is left at the head, if
    /// anything, and when it is due.
    fn grant(
        &mut self,
        now: f64,
        mut place: usize,
        since: f64,
        ask: &Ask,
    ) -> (Option<Lot>, Option<(u32, f64)>) {
        let mut granted: Option<(Lot, f64)> = None;
        let stock = (ask.stock > 0).then_some(ask.stock);
        let line = ask.line.iter().copied();
        // Stock is granted in bundles too, since what is due is reckoned by them.
        let chunk = ask.stock.div_ceil(50).max(20);
        let chunks = stock
            .into_iter()
            .flat_map(|all| (0..all.div_ceil(chunk)).map(move |i| chunk.min(all - i * chunk)));
        let hungry = !ask.line.is_empty();
        let in_line = ask.line.len();
        for (i, n) in line.chain(chunks).enumerate() {
            let due = self.due(now, place, n);
            if due > now + ask.ahead_s {
                return (finished(granted, self.epoch), (i < in_line).then_some((n, due)));
            }
            let at = due.max(now);
            let waited = if hungry { at - since } else { 0.0 };
            self.estimator.released(seconds(at), n, seconds(waited));
            granted = Some(match granted {
                None => (Lot { n, from: at, per_s: self.estimator.rate() }, at),
                Some((lot, _)) => (Lot { n: lot.n + n, ..lot }, at),
            });
            place = self.line.len();
        }
        (finished(granted, self.epoch), None)
    }

    /// When `n` calls may go from this place, if all before it who come in time go first.
    fn due(&self, now: f64, place: usize, n: u32) -> f64 {
        let mut before = 0u32;
        for other in self.line.iter().take(place) {
            let due = self.estimator.release_at(before.saturating_add(other.n)).as_secs_f64();
            let comes = other.back <= due + PATIENCE_S && now <= other.back.max(due) + PATIENCE_S;
            if comes {
                before = u32::saturating_add(before, other.n);
            }
        }
        self.estimator.release_at(before.saturating_add(n)).as_secs_f64()
    }

    /// When to look again: at the turn, or half-way there, since the line may shorten and the rate may grow.
    fn back(&self, now: f64, due: f64, ahead_s: f64) -> f64 {
        let wait = (due - ahead_s - now).max(0.0);
        let held = self.estimator.held_until().as_secs_f64() - ahead_s - now;
        now + if wait < NEAR_S { wait } else { (wait / 2.0).max(held).min(LOOK_S) }
    }
}

fn finished(granted: Option<(Lot, f64)>, epoch: f64) -> Option<Lot> {
    granted.map(|(lot, last)| {
        let per_s = f64::from(lot.n) / (last - lot.from).max(1e-3);
        Lot { from: epoch + lot.from, per_s: per_s.min(lot.per_s * 4.0).max(lot.per_s), ..lot }
    })
}

fn seconds(s: f64) -> Duration {
    Duration::try_from_secs_f64(s.max(0.0)).unwrap_or_default()
}
