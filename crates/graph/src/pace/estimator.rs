//! One bucket's schedule and rate: when the next calls may go, and how fast that is. Pure: state, event and the time
//! of the event (since the start) give the next state.
//!
//! ```text
//! unknown ──first 429──► search ──bounds close──► refine ──baseline ≥ 30 s──► run
//!  doubles every          middle of the bounds,    4 % above the estimate,     0.98 of it; after each clean
//!  second of use          growing                  so that an onset is near    minute +1 %, +2 %, +4 % …
//! ```
//!
//! It never grows while nobody waits: a rate that is not used is not tested. One cut an episode: throttles of calls
//! that were sent before the hold ended say nothing new.

use super::evidence::{Evidence, Onset, Totals};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Rate after a first throttle before which hardly anything was accepted, in calls a second.
const EMPTY_START_PER_S: f64 = 2.5;
/// No rate above this; a bound on arithmetic, not on the server.
const MOST_PER_S: f64 = 1e6;
/// No rate below this: two calls a minute still show when the server has recovered.
const LEAST_PER_S: f64 = 0.03;
/// Calls that may go at once after a pause: one full bundle.
const BURST: f64 = 20.0;
/// Timers are this coarse; the schedule makes up for it.
const TIMER_S: f64 = 0.01;
/// Fraction of the estimate that is used.
const UTILISATION: f64 = 0.98;
/// The same where reports come late.
const UTILISATION_SHARED: f64 = 0.975;
/// How far above the estimate the refinement runs.
const REFINE_ABOVE: f64 = 1.04;
/// A baseline of this length is good enough to run on.
const BASELINE_S: f64 = 30.0;
/// So many calls must lie in it, since single calls blur its ends.
const BASELINE_CALLS: f64 = 200.0;
/// So many onsets may be spent on growing fast.
const SEARCHES: usize = 5;
/// At low rates growth goes by calls, since time alone would outrun what is measured.
const CALLS_PER_GROWTH_S: f64 = 10.0;
/// Bounds closer than this are good enough to run on, whatever the baseline.
const CLOSE: f64 = 1.01;
/// Bounds wider than this are searched by growing fast.
const WIDE: f64 = 1.25;
/// A probe this far above what was known means that the server has grown.
const OUTGROWN: f64 = 1.05;
/// Where the search begins then: the throttle says that the rate itself is too high.
const AFTER_OUTGROWN: f64 = 0.85;
/// Time of clean use before a probe.
const PROBE_EVERY_S: f64 = 60.0;
/// The same for several processes: an onset costs the calls of all that are under way, so it is provoked less often.
const PROBE_EVERY_SHARED_S: f64 = 150.0;
/// The first probe; doubled after each clean one.
const PROBE_FIRST: f64 = 0.01;
/// The largest probe.
const PROBE_MOST: f64 = 0.5;
/// The longest hold of a server that throttles without saying for how long.
const BARE_HOLD_MAX_S: f64 = 64.0;
/// No time further than this from the start, in seconds: a century; a bound on arithmetic.
const FURTHEST_S: f64 = 3e9;

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
enum Phase {
    /// No throttle yet.
    Unknown,
    /// The rate is known within a factor.
    Search,
    /// The rate is known roughly.
    Refine,
    /// The rate is known.
    Run {
        /// Use since the last probe, in seconds.
        clean_s: f64,
        /// The next probe.
        probe: f64,
    },
}

/// The state of one bucket.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Estimator {
    rate: f64,
    phase: Phase,
    hold: f64,
    /// The schedule: calls up to this time are paid for.
    paid: f64,
    released: f64,
    totals: Totals,
    evidence: Evidence,
    /// Episodes in a row whose throttles did not say for how long.
    bare: i32,
    /// How late releases and reports may be, in seconds: nothing within one process, a little between several.
    lag_s: f64,
    /// A wish of the operator, in calls a second. It is no figure of the server's, and never on file: who asks brings it.
    #[serde(skip)]
    cap: Option<f64>,
}

impl Estimator {
    /// A bucket of which nothing is known, begun at this many calls a second.
    pub(super) fn new(start_per_s: f64) -> Self {
        Self {
            rate: start_per_s,
            phase: Phase::Unknown,
            hold: 0.0,
            paid: -BURST / start_per_s,
            released: 0.0,
            totals: Totals::default(),
            evidence: Evidence::default(),
            bare: 0,
            lag_s: 0.0,
            cap: None,
        }
    }

    /// The same for several processes, whose releases and reports may be late by this much.
    pub(super) fn lagging(start_per_s: f64, lag_s: f64) -> Self {
        Self { lag_s, ..Self::new(start_per_s) }
    }

    /// Whether its figures can be reckoned with: what comes from a row may be anything.
    pub(super) fn is_sound(&self) -> bool {
        (LEAST_PER_S..=MOST_PER_S).contains(&self.rate)
            && (0.0..=1.0).contains(&self.lag_s)
            && [self.hold, self.paid, self.released].iter().all(|t| t.abs() < FURTHEST_S)
    }

    /// When `n` calls may go, as things stand. Calls are paid for beforehand, so that bundles of any size keep the
    /// rate.
    pub(super) fn release_at(&self, n: u32) -> Duration {
        seconds((self.paid + f64::from(n) / self.rate()).max(self.hold))
    }

    /// `n` calls go now; their caller stood first in line for `waited`.
    pub(super) fn released(&mut self, now: Duration, n: u32, waited: Duration) {
        let now = now.as_secs_f64();
        let since = self.released.max(self.hold);
        if self.released < self.hold {
            self.evidence.resumed(self.totals);
        }
        if let Some(known) = self.evidence.known() {
            self.totals.spilled += (known.high * (now - since) - f64::from(n)).max(0.0);
        }
        let rate = self.rate();
        self.paid = (self.paid + f64::from(n) / rate).max(now - (BURST / rate).max(TIMER_S).max(self.lag_s));
        self.released = self.released.max(now);
        // Who waits for the cap tests nothing of the server.
        if rate >= self.rate {
            self.grow(waited.as_secs_f64().min((now - since).max(0.0)), n);
        }
    }

    /// The answers to calls that went at `sent`. If they were throttled: the end of the hold.
    pub(super) fn settled(
        &mut self,
        now: Duration,
        sent: Duration,
        accepted: u32,
        rejected: u32,
        retry_after: Option<Duration>,
    ) -> Option<Duration> {
        let (now, sent) = (now.as_secs_f64(), sent.as_secs_f64());
        self.totals.accepted += f64::from(accepted);
        let new_episode = sent >= self.hold;
        if rejected == 0 {
            if new_episode && accepted > 0 {
                self.bare = 0;
            }
            return None;
        }
        let wait = match retry_after {
            Some(wait) => wait.as_secs_f64(),
            None if new_episode => {
                let wait = 2f64.powi(self.bare).min(BARE_HOLD_MAX_S);
                self.bare += 1;
                wait
            }
            None => 0.0,
        };
        let rounded = if retry_after.is_none_or(|w| w.subsec_nanos() == 0) { 1.0 } else { 0.0 };
        let until = (now + wait).max(self.hold);
        if new_episode {
            let noise = (self.rate() * (now - sent + self.lag_s)).max(1.0);
            let hold = (until, rounded);
            self.onset(
                now,
                Onset { at: now, totals: self.totals, noise, rate: self.rate, hold, resumed: None },
            );
        } else {
            self.evidence.extend_hold(until, rounded);
        }
        self.totals.rejected += f64::from(rejected);
        self.totals.held_s += until - self.hold.max(now).min(until);
        self.hold_until(seconds(until));
        Some(seconds(until))
    }

    /// Nothing goes before that, and nothing is saved up meanwhile.
    pub(super) fn hold_until(&mut self, until: Duration) {
        self.hold = self.hold.max(until.as_secs_f64());
        self.paid = self.paid.max(self.hold);
    }

    /// End of the last hold.
    pub(super) fn held_until(&self) -> Duration {
        seconds(self.hold)
    }

    /// Calls a second that go now.
    pub(super) fn rate(&self) -> f64 {
        self.cap.map_or(self.rate, |cap| cap.min(self.rate))
    }

    /// No more than this many calls a second go, whatever the server would take; absent: no limit but the server's.
    /// What is no rate counts as the least one: a limit that cannot be read must not lift itself.
    pub(super) fn cap(&mut self, cap: Option<f64>) {
        self.cap = cap.map(|cap| if cap >= LEAST_PER_S { cap } else { LEAST_PER_S });
    }

    /// The server's rate as estimated, in calls a second.
    pub(super) fn learned(&self) -> Option<f64> {
        match self.phase {
            Phase::Unknown | Phase::Search => None,
            Phase::Refine | Phase::Run { .. } => self.evidence.estimate(),
        }
    }

    /// Begins with a rate from elsewhere.
    pub(super) fn restore(&mut self, rate: f64) {
        let rate = rate.clamp(LEAST_PER_S, MOST_PER_S);
        self.evidence.trust(rate);
        self.enter(Phase::Run { clean_s: 0.0, probe: PROBE_FIRST }, rate * self.utilisation());
    }

    /// A new onset: weigh it, and go on from there.
    fn onset(&mut self, now: f64, onset: Onset) {
        let outgrown = matches!(self.phase, Phase::Run { .. })
            && self.evidence.known().is_some_and(|known| self.rate > known.high * OUTGROWN);
        if outgrown {
            // Probes went far above what was known, and long without a throttle: old onsets would drag the figure.
            self.evidence.forget();
            self.evidence.onset(onset);
            return self.enter(Phase::Search, self.rate * AFTER_OUTGROWN);
        }
        self.evidence.onset(onset);
        let (Some(known), Some(estimate)) = (self.evidence.known(), self.evidence.estimate()) else {
            // What the server gave since the start, its full bucket included, is more than its rate; but it says
            // nothing where an earlier process had emptied the bucket before us.
            let given = self.totals.accepted / now.max(1.0);
            return self.enter(Phase::Search, (given.min(self.rate) / 2.0).max(EMPTY_START_PER_S));
        };
        let long =
            self.evidence.baseline_s() >= BASELINE_S && self.evidence.baseline_calls() >= BASELINE_CALLS;
        if known.width() > WIDE && self.evidence.onsets() <= SEARCHES {
            self.enter(Phase::Search, estimate);
        } else if !long && known.width() > CLOSE {
            self.enter(Phase::Refine, estimate * REFINE_ABOVE);
        } else {
            self.enter(Phase::Run { clean_s: 0.0, probe: PROBE_FIRST }, estimate * self.utilisation());
        }
    }

    /// Fraction of the estimate that is used: reports that come late blur the figures, so several processes keep a
    /// little more away from the brink.
    fn utilisation(&self) -> f64 {
        if self.lag_s > 0.0 { UTILISATION_SHARED } else { UTILISATION }
    }

    fn enter(&mut self, phase: Phase, rate: f64) {
        self.phase = phase;
        self.rate = rate.clamp(LEAST_PER_S, MOST_PER_S);
        self.evidence.went_on_at(self.rate);
    }

    /// Grows by the time for which the pace, and nothing else, was what limited.
    fn grow(&mut self, used_s: f64, n: u32) {
        let measured_s = used_s.min(f64::from(n) / CALLS_PER_GROWTH_S);
        let factor = match &mut self.phase {
            Phase::Unknown => 2f64.powf(used_s),
            Phase::Search => 2f64.powf(measured_s / 4.0),
            Phase::Refine => 1.005f64.powf(measured_s),
            Phase::Run { clean_s, probe } => {
                *clean_s += used_s;
                if *clean_s < if self.lag_s > 0.0 { PROBE_EVERY_SHARED_S } else { PROBE_EVERY_S } {
                    return;
                }
                *clean_s = 0.0;
                let factor = 1.0 + *probe;
                *probe = (*probe * 2.0).min(PROBE_MOST);
                factor
            }
        };
        self.rate = (self.rate * factor).min(MOST_PER_S);
    }
}

fn seconds(s: f64) -> Duration {
    Duration::try_from_secs_f64(s.max(0.0)).unwrap_or(Duration::MAX / 4)
}
