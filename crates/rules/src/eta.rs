//! When a run will be done, and how sure that is.
//!
//! Pure: the history and the moment are arguments. It says nothing before there is enough to tell from, and never a time
//! in the past. Only time in which users may be released counts, so that a run that waits for the night gets slower by
//! nothing.

use crate::Windows;

/// Speed is taken over so much working time at most: what was long ago says little of now.
const RECENT_MS: i64 = 30 * 60 * 1000;
/// Stretches that the history is cut into, at most.
const STRETCHES: i64 = 20;
/// A stretch is so long at least: below it, a page more or less is all there is to see.
const SHORTEST_MS: i64 = 5_000;
/// So many users must have been settled.
const ENOUGH_USERS: u64 = 20;
/// A stretch of so many times the usual length and one so-manieth of the usual speed is a standstill: nobody worked.
const STANDSTILL: f64 = 4.0;
/// Doubt that remains with a single stretch, as a share of the speed; it shrinks with the stretches.
const DOUBT: f64 = 0.3;
/// More than this share of the speed is never doubted, or there would be no latest time.
const MOST_DOUBT: f64 = 0.8;

/// How many users were settled at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// Milliseconds since 1970 UTC.
    pub at_ms: i64,
    /// Users settled by then.
    pub settled: u64,
}

/// When a run will be done. The three times are in order and not in the past, in milliseconds since 1970 UTC.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Eta {
    /// The likeliest.
    pub at_ms: i64,
    /// If it goes as well as may be.
    pub earliest_ms: i64,
    /// If it goes badly.
    pub latest_ms: i64,
    /// When the window ends that is open now, where that is before the likeliest time.
    pub stops_at_ms: Option<i64>,
    /// When the next window begins, where one must be waited for.
    pub goes_on_at_ms: Option<i64>,
    /// Users settled a second of working time.
    pub users_per_s: f64,
}

/// When what is left will be settled, from what was settled when; `ceiling_per_s` is the most users a second that the quota
/// lets through, if it is known. Absent where nothing is left, where too little was seen, and where nothing moves.
pub fn eta(
    history: &[Sample],
    left: u64,
    now_ms: i64,
    windows: &Windows,
    ceiling_per_s: Option<f64>,
) -> Option<Eta> {
    let stretches = working(stretches(history, windows));
    let speed = speed(&stretches, left, ceiling_per_s).filter(|_| left > 0)?;
    let at = |users_per_s: f64| windows.after_open(now_ms, milliseconds(left, users_per_s)?);
    let at_ms = at(speed.likely)?;
    let (stops_at_ms, goes_on_at_ms) = interruption(now_ms, at_ms, windows);
    Some(Eta {
        at_ms,
        earliest_ms: at(speed.high)?.min(at_ms),
        latest_ms: at(speed.low)?.max(at_ms),
        stops_at_ms,
        goes_on_at_ms,
        users_per_s: speed.likely,
    })
}

/// Working time, and users settled in it.
#[derive(Debug, Clone, Copy)]
struct Stretch {
    ms: i64,
    users: u64,
}

#[allow(clippy::cast_precision_loss)]
impl Stretch {
    fn users_per_s(&self) -> f64 {
        self.users as f64 * 1000.0 / self.ms as f64
    }
}

/// The recent history as stretches of about the same length.
fn stretches(history: &[Sample], windows: &Windows) -> Vec<Stretch> {
    let mut samples = history.to_vec();
    samples.sort_by_key(|sample| (sample.at_ms, sample.settled));
    let (Some(first), Some(last)) = (samples.first(), samples.last()) else { return Vec::new() };
    let begins = last.at_ms.saturating_sub(RECENT_MS).max(first.at_ms);
    let recent = samples.iter().rposition(|sample| sample.at_ms <= begins).unwrap_or(0);
    let Some(mut since) = samples.get(recent).copied() else { return Vec::new() };
    let shortest = (windows.open_between(begins, last.at_ms) / STRETCHES).max(SHORTEST_MS);
    let mut found = Vec::new();
    for sample in samples.iter().skip(recent + 1) {
        let ms = windows.open_between(since.at_ms, sample.at_ms);
        if ms >= shortest {
            found.push(Stretch { ms, users: sample.settled.saturating_sub(since.settled) });
            since = *sample;
        }
    }
    found
}

/// The stretches in which somebody worked: a process that was away for hours says nothing of its speed.
fn working(mut stretches: Vec<Stretch>) -> Vec<Stretch> {
    let (Some(usual_ms), Some(usual_speed)) = (
        median(stretches.iter().map(|s| s.ms as f64).collect()),
        median(stretches.iter().map(Stretch::users_per_s).collect()),
    ) else {
        return stretches;
    };
    if stretches.len() >= 3 {
        stretches.retain(|s| {
            (s.ms as f64) <= usual_ms * STANDSTILL || s.users_per_s() * STANDSTILL >= usual_speed
        });
    }
    stretches
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// Users a second.
struct Speed {
    low: f64,
    likely: f64,
    high: f64,
}

/// The speed of all stretches together. They differ among themselves, few users prove little, and so do few stretches.
#[allow(clippy::cast_precision_loss)]
fn speed(stretches: &[Stretch], left: u64, ceiling_per_s: Option<f64>) -> Option<Speed> {
    let users: u64 = stretches.iter().map(|s| s.users).sum();
    let ms: i64 = stretches.iter().map(|s| s.ms).sum();
    if users < ENOUGH_USERS || users.saturating_mul(100) < left.saturating_add(users) {
        return None;
    }
    let likely = Stretch { ms, users }.users_per_s();
    let count = stretches.len() as f64;
    let square = |s: &Stretch| (s.users_per_s() - likely).powi(2) * s.ms as f64;
    let variance = stretches.iter().map(square).sum::<f64>() / ms as f64;
    let doubt = 2.0 * (variance / count).sqrt() / likely + 1.0 / (users as f64).sqrt() + DOUBT / count;
    let doubt = doubt.min(MOST_DOUBT);
    // What the quota has not let through so far it will not let through later; unless it did.
    let ceiling = ceiling_per_s.filter(|ceiling| *ceiling > 0.0).map_or(f64::INFINITY, |c| c.max(likely));
    (likely > 0.0 && likely.is_finite()).then(|| Speed {
        low: likely * (1.0 - doubt),
        likely,
        high: (likely * (1.0 + doubt)).min(ceiling),
    })
}

#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
fn milliseconds(users: u64, users_per_s: f64) -> Option<i64> {
    let ms = users as f64 * 1000.0 / users_per_s;
    (ms.is_finite() && ms < i64::MAX as f64 / 2.0).then_some(ms as i64)
}

/// When the open window ends, if that is before the time; and when the next one begins.
fn interruption(now_ms: i64, at_ms: i64, windows: &Windows) -> (Option<i64>, Option<i64>) {
    let opens = |at_ms| match windows.state(at_ms) {
        crate::WindowState::Closed { opens_at_ms, .. } => Some(opens_at_ms),
        crate::WindowState::Open { .. } => None,
    };
    match windows.state(now_ms) {
        crate::WindowState::Open { until_ms: Some(until) } if until < at_ms => (Some(until), opens(until)),
        crate::WindowState::Open { .. } => (None, None),
        crate::WindowState::Closed { opens_at_ms, .. } => (None, Some(opens_at_ms)),
    }
}
