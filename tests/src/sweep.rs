//! `kill -9` at random moments, by a seed, with faults on, until the same command has come to its end.
//!
//! A chain is one tenant and one ledger: a few kills, then a run that is left alone, then the checker. The moments are
//! drawn from the seed, but what stands where at such a moment is the machine's; a finding names its chain.

use crate::{Expected, Site, Verdict};
use std::time::{Duration, Instant};

/// Kills of one chain. A user that is hit in the middle of a write five times is set aside, by design.
const KILLS_A_CHAIN: u32 = 4;
/// Users of one chain.
const USERS: u32 = 120;
/// Latest moment of a kill after the start.
const LATEST_MS: u64 = 3_000;
/// A run that is left alone and has not ended by then is stuck.
const STUCK_AFTER: Duration = Duration::from_secs(180);
/// Every fault at one percent.
pub const FAULTS: &str = "error-rate=0.01,timeout-but-applied=0.01,late-apply-ms=500,late-apply-rate=0.01,\
     conflict-but-applied=0.01,not-yet-visible-ms=500,drop-connection=0.01,auto-default";

/// What a sweep found, over all its chains.
#[derive(Debug, Default)]
pub struct Sweep {
    /// Kills that met a running process.
    pub kills: u32,
    /// Planned changes that are not there.
    pub lost: usize,
    /// Effects that happened twice, or that nobody planned.
    pub duplicated: usize,
    /// Pre-images that are lost or not the value before.
    pub overwritten: usize,
    /// Users that are not settled as planned, and runs that did not end.
    pub stuck: usize,
    /// The verdicts that were not clean.
    pub verdicts: Vec<Verdict>,
    /// What happened in the chains in which something was found.
    pub stories: Vec<String>,
}

impl Sweep {
    /// Nothing was found.
    pub fn is_clean(&self) -> bool {
        self.verdicts.is_empty() && self.lost + self.duplicated + self.overwritten + self.stuck == 0
    }

    /// Both together.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.add(other);
        self
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.kills += other.kills;
        self.lost += other.lost;
        self.duplicated += other.duplicated;
        self.overwritten += other.overwritten;
        self.stuck += other.stuck;
        self.verdicts.extend(other.verdicts);
        self.stories.extend(other.stories);
    }

    /// Counts what a check found.
    pub(crate) fn count(&mut self, verdict: Verdict) {
        self.lost += verdict.lost.len();
        self.duplicated += verdict.duplicated.len() + verdict.unexpected.len();
        self.overwritten += verdict.overwritten.len();
        self.stuck += verdict.stuck.len();
        if !verdict.is_clean() {
            self.verdicts.push(verdict);
        }
    }
}

/// Kills so many times.
pub fn sweep(kills: u32, seed: u64) -> Sweep {
    let mut sweep = Sweep::default();
    let mut dice = Dice(seed);
    let expected = Expected::dense(USERS);
    while sweep.kills < kills {
        let faults = format!("{FAULTS},seed={}", dice.next() % 1_000_000);
        let tenant = expected.tenant(&["--faults", &faults, "--latency-ms", "20"]);
        let site = Site::new(&tenant);
        let migrate = ["migrate", "--datafile", expected.datafile(), "--json"];
        for _ in 0..KILLS_A_CHAIN.min(kills - sweep.kills) {
            let mut running = site.start(&migrate);
            wait(Duration::from_millis(dice.next() % LATEST_MS));
            let had_ended = running.has_ended();
            drop(running.kill());
            if had_ended {
                break;
            }
            sweep.kills += 1;
        }
        let mut last = site.start(&migrate);
        let started = Instant::now();
        while !last.has_ended() && started.elapsed() < STUCK_AFTER {
            wait(Duration::from_millis(50));
        }
        if !last.has_ended() {
            sweep.stuck += 1;
            drop(last.kill());
            continue;
        }
        let end = last.wait().expect(&[0, 3]).json();
        let mut verdict = expected.check(&tenant, &site, &end);
        expected.check_pre_images(&site, &mut verdict);
        sweep.count(verdict);
    }
    sweep
}

#[expect(clippy::disallowed_methods, reason = "the moment is what is drawn; there is no runtime to block")]
fn wait(time: Duration) {
    std::thread::sleep(time);
}

/// SplitMix64: a seed gives the same moments everywhere.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
