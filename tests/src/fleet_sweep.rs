//! `kill -9` of extractor, coordinator, worker and operator, at named points and at random moments, with real RabbitMQ and
//! PostgreSQL and a tenant with faults.
//!
//! A chain is one tenant, one virtual host and one database: a few deaths, each followed by a new process of the same
//! kind as a service manager would start it, then a fleet that is left alone, then the checker. What is drawn depends on
//! the seed alone; what stands where at such a moment is the machine's.

use crate::fleet::STUCK_AFTER;
use crate::sweep::{Dice, Sweep};
use crate::{Expected, FAULTS, Fleet, Outcome, Running, Service, until};
use std::time::{Duration, Instant};
use telemetry::CRASH_POINTS;

/// Deaths of one chain. A user that is hit in the middle of a write five times is set aside, by design.
const KILLS_A_CHAIN: u32 = 6;
/// Of them, workers.
const WORKERS_A_CHAIN: u32 = 4;
/// Users of one chain.
const USERS: u32 = 100;
/// Latest moment of a random kill after the one before.
const LATEST_MS: u64 = 2_500;
/// A named point that is not met by then is left for a kill at that moment.
const POINT_WITHIN: Duration = Duration::from_secs(12);
/// Chains at a time: most of a chain is waiting for leases.
const AT_A_TIME: u32 = 3;

/// Kills so many times, and a few more where the last chains had their kills drawn already.
pub fn sweep_fleet(kills: u32, seed: u64) -> Sweep {
    let mut whole = Sweep::default();
    let mut dice = Dice(seed ^ 0x666c_6565_7400);
    let expected = Expected::dense(USERS);
    while whole.kills < kills {
        let mut left = kills - whole.kills;
        let mut chains = Vec::new();
        while left > 0 && chains.len() < AT_A_TIME as usize {
            let share = left.min(KILLS_A_CHAIN);
            left -= share;
            chains.push((share, dice.next()));
        }
        let done: Vec<Sweep> = std::thread::scope(|scope| {
            let expected = &expected;
            let running: Vec<_> = chains
                .iter()
                .map(|(share, seed)| scope.spawn(|| Chain::run(expected, *share, *seed)))
                .collect();
            running.into_iter().map(|chain| chain.join().expect("a chain")).collect()
        });
        done.into_iter().for_each(|chain| whole.add(chain));
    }
    whole
}

/// A chain under way.
struct Chain<'a> {
    expected: &'a Expected,
    fleet: &'a Fleet,
    dice: Dice,
    coordinator: Service,
    workers: Vec<Service>,
    following: Running,
    workers_killed: u32,
}

impl Chain<'_> {
    fn run(expected: &Expected, kills: u32, seed: u64) -> Sweep {
        let mut dice = Dice(seed);
        let mut found = Sweep::default();
        let faults = format!("{FAULTS},seed={}", dice.next() % 1_000_000);
        let tenant =
            expected.tenant(&["--faults", &faults, "--latency-ms", "20", "--throttle", "writes=40/2"]);
        let fleet = Fleet::new(&tenant);
        let mut chain = Chain {
            expected,
            coordinator: fleet.coordinator(),
            workers: fleet.workers(2),
            following: fleet.start_migrate(expected),
            fleet: &fleet,
            dice,
            workers_killed: 0,
        };
        let mut story = Vec::new();
        for _ in 0..kills {
            if chain.following.has_ended() {
                break;
            }
            if let Some(death) = chain.kill() {
                found.kills += 1;
                story.push(death);
            }
        }
        // Left alone from here on. One that ended by another's death is begun again, as an operator would.
        let Chain { following, coordinator, workers, .. } = chain;
        let is_done = |outcome: &Outcome| matches!(outcome.code, Some(0 | 3));
        let followed = following.wait_within(STUCK_AFTER).filter(is_done);
        let Some(outcome) = followed.or_else(|| fleet.start_migrate(expected).wait_within(STUCK_AFTER))
        else {
            found.stuck += 1;
            found.stories.push(format!(
                "seed {seed}: {story:?}, then stuck: {}\n{}",
                fleet.status_text(),
                fleet.said()
            ));
            return found;
        };
        drop((coordinator, workers));
        if !is_done(&outcome) {
            found.stuck += 1;
            found.stories.push(format!("seed {seed}: {story:?}, then {outcome:?}\n{}", fleet.said()));
            return found;
        }
        let verdict = fleet.verdict(expected, &tenant, &outcome.json());
        if !verdict.is_clean() {
            found.stories.push(format!("seed {seed}: {story:?}\n{}", fleet.said()));
        }
        found.count(verdict);
        found
    }

    /// One death, and the next process of that kind. What died, if anything did.
    fn kill(&mut self) -> Option<String> {
        match self.dice.next() % 10 {
            0..=2 => self.kill_coordinator(),
            3..=6 if self.workers_killed < WORKERS_A_CHAIN => self.kill_worker(),
            7 => self.kill_extractor(),
            _ => self.kill_operator(),
        }
    }

    fn kill_coordinator(&mut self) -> Option<String> {
        if let Some(point) = self.point(&["intake.", "directory.", "match.", "release.", "run."]) {
            let doomed = self.fleet.serve_until("coordinator", &[], point);
            let healthy = std::mem::replace(&mut self.coordinator, doomed);
            // It leads only when the one before is gone.
            drop(healthy);
            self.within(|chain| chain.coordinator.has_ended());
            let doomed = std::mem::replace(&mut self.coordinator, self.fleet.coordinator());
            return Some(told("coordinator", point, doomed));
        }
        let after = self.moment();
        let dead = std::mem::replace(&mut self.coordinator, self.fleet.coordinator());
        dead.kill().then(|| format!("coordinator {after:?}"))
    }

    fn kill_worker(&mut self) -> Option<String> {
        self.workers_killed += 1;
        if let Some(point) = self.point(&["worker."]) {
            self.workers.push(self.fleet.serve_until("worker", &[], point));
            self.within(|chain| chain.workers.last_mut().is_none_or(Service::has_ended));
            let doomed = self.workers.pop()?;
            return Some(told("worker", point, doomed));
        }
        let after = self.moment();
        let dead = self.workers.remove(0);
        self.workers.push(self.fleet.serve("worker", &[]));
        dead.kill().then(|| format!("worker {after:?}"))
    }

    fn kill_extractor(&mut self) -> Option<String> {
        let more = ["--datafile", self.expected.datafile()];
        if let Some(point) = self.point(&["extract."]) {
            let mut doomed = self.fleet.serve_until("extractor", &more, point);
            self.within(|_| doomed.has_ended());
            return Some(told("extractor", point, doomed));
        }
        let doomed = self.fleet.serve("extractor", &more);
        let after = Duration::from_millis(self.dice.next() % 400);
        wait(after);
        doomed.kill().then(|| format!("extractor {after:?}"))
    }

    fn kill_operator(&mut self) -> Option<String> {
        let after = self.moment();
        let mut dead = std::mem::replace(&mut self.following, self.fleet.start_migrate(self.expected));
        let was_alive = !dead.has_ended();
        drop(dead.kill());
        was_alive.then(|| format!("operator {after:?}"))
    }

    /// Half of the deaths are at a named point, in its first or second passage.
    fn point(&mut self, prefixes: &[&str]) -> Option<(&'static str, u32)> {
        let points: Vec<&'static str> = CRASH_POINTS
            .iter()
            .copied()
            .filter(|p| prefixes.iter().any(|prefix| p.starts_with(prefix)))
            .collect();
        let (is_named, which, passage) =
            (self.dice.next().is_multiple_of(2), self.dice.next(), 1 + self.dice.next() % 2);
        let which = usize::try_from(which % points.len().max(1) as u64).ok()?;
        points.get(which).filter(|_| is_named).map(|point| (*point, u32::try_from(passage).unwrap_or(1)))
    }

    fn moment(&mut self) -> Duration {
        let after = Duration::from_millis(self.dice.next() % LATEST_MS);
        wait(after);
        after
    }

    fn within(&mut self, mut has_ended: impl FnMut(&mut Self) -> bool) {
        until(POINT_WITHIN, || has_ended(self));
    }
}

/// A death at a point, or where the point was not met in time, by a kill; either way it is dead now.
fn told(kind: &str, (point, passage): (&str, u32), doomed: Service) -> String {
    let was_alive = doomed.kill();
    format!("{kind} {point}:{passage}{}", if was_alive { " (not met, killed)" } else { "" })
}

fn wait(time: Duration) {
    let started = Instant::now();
    until(time, || started.elapsed() >= time);
}
