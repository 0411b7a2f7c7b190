//! What throttles say about the server's rate; pure arithmetic over counts and times.
//!
//! Model: a token bucket. At the *onset* of a throttle it is empty, so between two onsets the server gave what it
//! earned: rate = accepted ÷ time. What is not known widens the answer instead of bending it, so each pair of onsets
//! gives an interval, and intervals are intersected:
//!
//! - rejected calls may cost a token each, or none: the upper bound assumes that they do, but never more than the
//!   server earns until the time that its `Retry-After` named;
//! - calls under way at an onset may be counted on the wrong side of it: both bounds give way by as many;
//! - while we ran slower than the server, its bucket may have been full and spilled: the upper bound assumes it was;
//! - `Retry-After` names the moment of the next token, rounded up to whole seconds: a second origin, after which the
//!   bucket holds between none and one second's worth.

use serde::{Deserialize, Serialize};

/// Onsets kept: the oldest gives the longest baseline, the newest the freshest word.
const KEPT: usize = 12;
/// Evidence that is further apart than this is a change of the server, not an error of measurement.
const CONTRADICTION: f64 = 1.10;
/// Error in the time of an onset beside the latency of its call.
const TIMING_SLACK_S: f64 = 0.15;
/// No interval is wider than this, so that its middle means something.
const WIDEST: f64 = 16.0;

/// Running totals; differences between two moments are what counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Totals {
    /// Calls that were not throttled.
    pub(super) accepted: f64,
    /// Calls that were.
    pub(super) rejected: f64,
    /// Tokens that the server may have spilled while we ran slower than it earned.
    pub(super) spilled: f64,
    /// Seconds for which we were held.
    pub(super) held_s: f64,
}

/// The moment at which the bucket was found empty. On file it is a plain list of figures, for the row to stay small.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(into = "Vec<f64>", try_from = "Vec<f64>")]
pub(super) struct Onset {
    /// When the answer came, in seconds.
    pub(super) at: f64,
    /// Totals up to and without the first rejected call.
    pub(super) totals: Totals,
    /// Calls that may have been under way.
    pub(super) noise: f64,
    /// The rate at which we ran into it; later, the rate at which we went on. In calls a second.
    pub(super) rate: f64,
    /// End of the hold, and by how much `Retry-After` may have been rounded up.
    pub(super) hold: (f64, f64),
    /// Totals when the first call after the hold was let go.
    pub(super) resumed: Option<Totals>,
}

impl From<Onset> for Vec<f64> {
    fn from(onset: Onset) -> Self {
        let totals = |t: Totals| [t.accepted, t.rejected, t.spilled, t.held_s];
        let mut list = vec![onset.at, onset.noise, onset.rate, onset.hold.0, onset.hold.1];
        list.extend(totals(onset.totals));
        list.extend(onset.resumed.into_iter().flat_map(totals));
        // Microseconds and millionths of a call are more than is known.
        list.into_iter().map(|figure| (figure * 1e6).round() / 1e6).collect()
    }
}

impl TryFrom<Vec<f64>> for Onset {
    type Error = &'static str;

    fn try_from(list: Vec<f64>) -> Result<Self, Self::Error> {
        let totals = |list: &[f64]| match *list {
            [accepted, rejected, spilled, held_s] => Some(Totals { accepted, rejected, spilled, held_s }),
            _ => None,
        };
        let [at, noise, rate, until, rounded, counts @ ..] = list.as_slice() else {
            return Err("an onset has more figures");
        };
        let (before, resumed) = counts.split_at_checked(4).ok_or("an onset has its totals")?;
        Ok(Self {
            at: *at,
            totals: totals(before).ok_or("an onset has four totals")?,
            noise: *noise,
            rate: *rate,
            hold: (*until, *rounded),
            resumed: totals(resumed),
        })
    }
}

/// A rate lies between the two, in calls a second.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Bounds {
    pub(super) low: f64,
    pub(super) high: f64,
}

impl Bounds {
    /// How many times the upper bound is the lower one.
    pub(super) fn width(self) -> f64 {
        self.high / self.low
    }

    fn checked(low: f64, high: f64) -> Option<Self> {
        let low = low.max(high / WIDEST).max(0.01);
        (low.is_finite() && high.is_finite() && low <= high).then_some(Self { low, high })
    }

    fn and(self, other: Self) -> Option<Self> {
        Self::checked(self.low.max(other.low), self.high.min(other.high))
    }
}

/// All that was seen of one bucket.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Evidence {
    onsets: Vec<Onset>,
    known: Option<Bounds>,
    baseline_s: f64,
    baseline_calls: f64,
}

impl Evidence {
    /// How many onsets speak of the present rate.
    pub(super) fn onsets(&self) -> usize {
        self.onsets.len()
    }

    /// Calls that were accepted over the longest baseline.
    pub(super) fn baseline_calls(&self) -> f64 {
        self.baseline_calls
    }

    /// What is known of the rate; absent before the second onset.
    pub(super) fn known(&self) -> Option<Bounds> {
        self.known
    }

    /// The longest time between two onsets that speak of the same rate, in seconds.
    pub(super) fn baseline_s(&self) -> f64 {
        self.baseline_s
    }

    /// The best single figure: within the bounds, and nearer to the lower one the more onsets there were, since a
    /// figure that is too high brings throttles whose cost alone keeps the upper bound up.
    pub(super) fn estimate(&self) -> Option<f64> {
        let known = self.known?;
        let pairs = self.onsets.len().saturating_sub(1).clamp(1, 3);
        let lean = 1.0 / (1.0 + f64::from(u8::try_from(pairs).unwrap_or(3)));
        Some(known.low * known.width().powf(lean))
    }

    /// The server is no longer what it was.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// Takes a figure from elsewhere on trust.
    pub(super) fn trust(&mut self, rate: f64) {
        self.onsets.clear();
        self.known = Some(Bounds { low: rate * 0.99, high: rate * 1.01 });
    }

    /// The newest onset's hold is over and calls flow again.
    pub(super) fn resumed(&mut self, totals: Totals) {
        if let Some(last) = self.onsets.last_mut()
            && last.resumed.is_none()
        {
            last.resumed = Some(totals);
        }
    }

    /// A further hold in the same episode.
    pub(super) fn extend_hold(&mut self, until: f64, rounded: f64) {
        if let Some(last) = self.onsets.last_mut()
            && last.resumed.is_none()
            && until > last.hold.0
        {
            last.hold = (until, rounded);
        }
    }

    /// The rate at which we went on after the newest onset.
    pub(super) fn went_on_at(&mut self, rate: f64) {
        if let Some(last) = self.onsets.last_mut() {
            last.rate = rate;
        }
    }

    /// Adds an onset and weighs everything anew.
    pub(super) fn onset(&mut self, new: Onset) {
        let latest = self.onsets.last().and_then(|before| between(before, &new));
        let contradicted = match (self.known, latest) {
            (Some(known), Some(latest)) => {
                known.low > latest.high * CONTRADICTION || latest.low > known.high * CONTRADICTION
            }
            _ => false,
        };
        if contradicted {
            let before = self.onsets.pop();
            self.onsets.clear();
            self.onsets.extend(before);
            self.known = None;
            (self.baseline_s, self.baseline_calls) = (0.0, 0.0);
        }
        if self.known.is_none()
            && let (Some(before), Some(latest)) = (self.onsets.last(), latest)
            && before.rate < latest.high
        {
            // We grew towards the server's rate, and nothing tells what it spilled meanwhile: the counts bound it from
            // below, the rate at which it gave in from above, and the time before this onset is no baseline.
            self.known = Bounds::checked(latest.low, latest.high.max(new.rate));
            self.onsets.clear();
        }
        for before in &self.onsets {
            let Some(bounds) = between(before, &new) else { continue };
            self.baseline_s = self.baseline_s.max(new.at - before.at);
            self.baseline_calls = self.baseline_calls.max(new.totals.accepted - before.totals.accepted);
            self.known = match self.known {
                None => Some(bounds),
                // Both cannot be right; the narrower was measured longer.
                Some(known) => {
                    known.and(bounds).or(Some(if bounds.width() < known.width() { bounds } else { known }))
                }
            };
        }
        if self.onsets.len() >= KEPT {
            // The first stays, for the baseline.
            self.onsets.remove(1);
        }
        self.onsets.push(new);
    }
}

/// What two onsets say together.
fn between(from: &Onset, to: &Onset) -> Option<Bounds> {
    let time = to.at - from.at;
    if time <= 0.0 {
        return None;
    }
    let noise = from.noise + to.noise;
    let accepted = to.totals.accepted - from.totals.accepted;
    let spilled = to.totals.spilled - from.totals.spilled;
    let most = accepted + spilled + noise + 1.0;
    let every_rejection_cost = (most + to.totals.rejected - from.totals.rejected) / time;
    let flowing = time - (to.totals.held_s - from.totals.held_s);
    let every_hold_was_debt = if flowing > 0.0 { most / flowing } else { f64::INFINITY };
    let whole = Bounds::checked((accepted - noise) / time, every_rejection_cost.min(every_hold_was_debt))?;
    let after_hold = from.resumed.and_then(|resumed| {
        let (since, rounded) = from.hold;
        let time = to.at - since;
        let accepted = to.totals.accepted - resumed.accepted;
        let doubtful = to.totals.rejected - resumed.rejected + to.totals.spilled - resumed.spilled;
        let high = (accepted + doubtful + to.noise + 1.0) / time.max(1e-3);
        Bounds::checked((accepted - to.noise) / (time + rounded + TIMING_SLACK_S), high)
    });
    // A `Retry-After` that is no forecast of the next token contradicts the counts; the counts stand.
    Some(after_hold.and_then(|bounds| whole.and(bounds)).unwrap_or(whole))
}
