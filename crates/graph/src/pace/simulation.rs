//! The estimator against a simulated server, in virtual time: a token bucket of unknown rate and burst, bundles that
//! arrive at once, several under way. A rejected call costs a token, down to two seconds' worth below empty.

use super::estimator::Estimator;
use rand::{Rng, SeedableRng};
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

struct Server {
    rate: f64,
    burst: f64,
    tokens: f64,
    last: f64,
    penalty: f64,
}

impl Server {
    fn hit(&mut self, now: f64) -> Result<(), f64> {
        self.tokens = (self.tokens + (now - self.last) * self.rate).min(self.burst);
        self.last = now;
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            return Ok(());
        }
        self.tokens = (self.tokens - self.penalty).max(-2.0 * self.rate);
        let wait = ((1.0 - self.tokens) / self.rate).ceil().max(1.0);
        Err(wait)
    }
}

#[derive(PartialEq)]
enum Event {
    Gate,
    Arrive { n: u32, sent: f64, back: f64 },
    Answer { accepted: u32, rejected: u32, wait: Option<f64>, sent: f64 },
}

struct At(f64, u64, Event);

impl PartialEq for At {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}
impl Eq for At {}
impl PartialOrd for At {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for At {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        other.0.total_cmp(&self.0).then(other.1.cmp(&self.1))
    }
}

/// A scene: the server, the load, how long.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scene {
    pub(super) rate: f64,
    pub(super) burst: f64,
    /// Share of the burst that is there at the start.
    pub(super) tokens: f64,
    pub(super) penalty: f64,
    pub(super) bundle: (u32, u32),
    pub(super) in_flight: usize,
    pub(super) seed: u64,
    pub(super) warm_up_s: f64,
    pub(super) measured_s: f64,
    /// From half of the measured time on the server's rate is multiplied by this.
    pub(super) change: f64,
}

impl Default for Scene {
    fn default() -> Self {
        Self {
            rate: 50.0,
            burst: 250.0,
            tokens: 1.0,
            penalty: 1.0,
            bundle: (20, 20),
            in_flight: 8,
            seed: 1,
            warm_up_s: 60.0,
            measured_s: 120.0,
            change: 1.0,
        }
    }
}

#[derive(Debug)]
pub(super) struct Figures {
    /// Accepted ÷ what the server could give.
    pub(super) utilisation: f64,
    /// Rejected ÷ all.
    pub(super) rejected: f64,
    /// Bundles sent while a hold was known to the estimator.
    pub(super) early: u32,
    pub(super) rate: f64,
    pub(super) learned: Option<f64>,
}

fn d(s: f64) -> Duration {
    Duration::from_secs_f64(s)
}

/// Plays a scene with a saturating load.
pub(super) fn play(scene: Scene) -> Figures {
    play_with(scene, Estimator::new(20.0))
}

pub(super) fn play_with(scene: Scene, mut pace: Estimator) -> Figures {
    let mut random = rand::rngs::SmallRng::seed_from_u64(scene.seed);
    let mut server = Server {
        rate: scene.rate,
        burst: scene.burst,
        tokens: scene.burst * scene.tokens,
        last: 0.0,
        penalty: scene.penalty,
    };
    let (mut heap, mut count) = (BinaryHeap::new(), 0);
    let mut push = |heap: &mut BinaryHeap<At>, at: f64, event| {
        count += 1;
        heap.push(At(at, count, event));
    };
    let mut queue: VecDeque<u32> =
        (0..scene.in_flight).map(|_| random.random_range(scene.bundle.0..=scene.bundle.1)).collect();
    let mut front_since = 0.0;
    let (mut accepted_n, mut rejected_n, mut early) = (0.0, 0.0, 0);
    let end = scene.warm_up_s + scene.measured_s;
    let changes_at = scene.warm_up_s + scene.measured_s / 2.0;
    push(&mut heap, 0.0, Event::Gate);
    while let Some(At(now, _, event)) = heap.pop() {
        if now > end {
            break;
        }
        if now >= changes_at {
            server.rate = scene.rate * scene.change;
        }
        match event {
            Event::Gate => {
                let Some(n) = queue.front().copied() else { continue };
                let at = pace.release_at(n).as_secs_f64();
                if at > now + 1e-9 {
                    push(&mut heap, at, Event::Gate);
                    continue;
                }
                queue.pop_front();
                early += u32::from(pace.held_until().as_secs_f64() > now + 1e-9);
                pace.released(d(now), n, d(now - front_since));
                front_since = now;
                let latency: f64 = random.random_range(0.02..0.1);
                let arrive = Event::Arrive { n, sent: now, back: latency / 2.0 };
                push(&mut heap, now + latency / 2.0, arrive);
                push(&mut heap, now, Event::Gate);
            }
            Event::Arrive { n, sent, back } => {
                let mut wait: Option<f64> = None;
                let mut rejected = 0;
                for _ in 0..n {
                    if let Err(w) = server.hit(now) {
                        wait = Some(wait.unwrap_or(0.0).max(w));
                        rejected += 1;
                    }
                }
                let accepted = n - rejected;
                if now >= scene.warm_up_s {
                    accepted_n += f64::from(accepted);
                    rejected_n += f64::from(rejected);
                }
                push(&mut heap, now + back, Event::Answer { accepted, rejected, wait, sent });
            }
            Event::Answer { accepted, rejected, wait, sent } => {
                pace.settled(d(now), d(sent), accepted, rejected, wait.map(d));
                queue.push_back(random.random_range(scene.bundle.0..=scene.bundle.1));
                if queue.len() == 1 {
                    front_since = now;
                    push(&mut heap, now, Event::Gate);
                }
            }
        }
    }
    let capacity = scene.rate * scene.measured_s * (1.0 + scene.change) / 2.0;
    Figures {
        utilisation: accepted_n / capacity,
        rejected: rejected_n / (accepted_n + rejected_n),
        early,
        rate: pace.rate(),
        learned: pace.learned(),
    }
}

/// Plays the scene with several loads, penalties and seeds, and hands each result to the check.
fn for_all(scene: Scene, check: impl Fn(&Figures, &Scene)) {
    for bundle in [(20, 20), (1, 20), (1, 1), (3, 3)] {
        for penalty in [0.0, 1.0] {
            for seed in 1..=6 {
                let scene = Scene { bundle, penalty, seed, ..scene };
                let figures = play(scene);
                assert_eq!(figures.early, 0, "a hold was not kept: {scene:?}");
                check(&figures, &scene);
            }
        }
    }
}

#[test]
fn a_server_of_unknown_rate_is_used_to_97_percent_after_a_minute() {
    for (rate, burst) in [(50.0, 250.0), (20.0, 3000.0), (100.0, 500.0), (35.0, 350.0)] {
        for_all(Scene { rate, burst, ..Scene::default() }, |figures, scene| {
            assert!(figures.utilisation >= 0.97, "{figures:?} {scene:?}");
            assert!(figures.rejected <= 0.002, "{figures:?} {scene:?}");
            let learned = figures.learned.expect("the rate is known by now");
            assert!((learned / scene.rate - 1.0).abs() < 0.08, "{figures:?} {scene:?}");
        });
    }
}

#[test]
fn a_bucket_that_was_found_empty_at_the_start_is_still_learned() {
    for_all(Scene { tokens: 0.0, warm_up_s: 90.0, ..Scene::default() }, |figures, scene| {
        assert!(figures.utilisation >= 0.95, "{figures:?} {scene:?}");
        assert!(figures.rejected <= 0.005, "{figures:?} {scene:?}");
    });
}

#[test]
fn an_hour_stays_near_capacity_with_few_rejections() {
    let hour = Scene { warm_up_s: 600.0, measured_s: 3600.0, ..Scene::default() };
    for (rate, burst) in [(50.0, 250.0), (20.0, 3000.0), (5.0, 50.0)] {
        for_all(Scene { rate, burst, ..hour }, |figures, scene| {
            assert!(figures.utilisation >= 0.98, "{figures:?} {scene:?}");
            assert!(figures.rejected <= 0.005, "{figures:?} {scene:?}");
        });
    }
}

#[test]
fn a_server_that_slows_down_is_followed_at_once() {
    let scene = Scene { rate: 20.0, burst: 40.0, change: 0.6, measured_s: 3600.0, ..Scene::default() };
    for_all(scene, |figures, scene| {
        assert!(figures.utilisation >= 0.97, "{figures:?} {scene:?}");
        assert!(figures.rejected <= 0.002, "{figures:?} {scene:?}");
    });
}

#[test]
fn a_server_that_gets_faster_is_found_by_probing() {
    let scene = Scene { rate: 20.0, burst: 40.0, change: 1.5, measured_s: 3600.0, ..Scene::default() };
    for_all(scene, |figures, scene| {
        assert!(figures.utilisation >= 0.92, "{figures:?} {scene:?}");
        assert!(figures.rate > 26.0, "{figures:?} {scene:?}");
    });
}

#[test]
fn a_restored_rate_is_used_from_the_first_second() {
    let mut pace = Estimator::new(20.0);
    pace.restore(50.0);
    let figures = play_with(Scene { warm_up_s: 0.0, burst: 250.0, ..Scene::default() }, pace);
    assert!(figures.utilisation >= 0.97, "{figures:?}");
    assert!(figures.rejected <= 0.001, "{figures:?}");
}

#[test]
fn without_a_throttle_the_rate_reaches_tens_of_thousands_within_twelve_seconds_of_use() {
    let mut pace = Estimator::new(20.0);
    let mut now = Duration::ZERO;
    while now < d(12.0) {
        let at = pace.release_at(20).max(now);
        pace.released(at, 20, at - now);
        now = at;
    }
    assert!(pace.rate() > 30_000.0, "{}", pace.rate());
}

#[test]
fn a_rate_that_is_not_used_does_not_grow() {
    let mut pace = Estimator::new(20.0);
    for second in 1..=100 {
        pace.released(d(f64::from(second)), 5, Duration::ZERO);
        assert_eq!(pace.settled(d(f64::from(second) + 0.1), d(f64::from(second)), 5, 0, None), None);
    }
    assert_eq!(pace.rate(), 20.0);
    assert_eq!(pace.learned(), None);
}

#[test]
fn throttles_of_calls_under_way_extend_the_hold_and_cut_nothing_again() {
    let mut pace = Estimator::new(20.0);
    for at in [1.0, 2.0, 3.0] {
        pace.released(d(at), 20, d(1.0));
    }
    assert_eq!(pace.settled(d(3.1), d(1.0), 10, 10, Some(d(2.0))), Some(d(5.1)));
    let rate = pace.rate();
    assert_eq!(pace.settled(d(3.2), d(2.0), 0, 20, Some(d(3.5))), Some(d(6.7)));
    assert_eq!(pace.settled(d(3.3), d(3.0), 0, 20, Some(d(1.0))), Some(d(6.7)), "the longest hold stands");
    assert_eq!(pace.rate(), rate);
    assert!(pace.release_at(1) >= d(6.7));
}

#[test]
fn throttles_that_do_not_say_for_how_long_hold_for_1_2_4_seconds() {
    let mut pace = Estimator::new(20.0);
    let mut now = 1.0;
    for expected in [1.0, 2.0, 4.0, 8.0] {
        let until = pace.settled(d(now), d(now), 0, 1, None).expect("a hold");
        assert!((until.as_secs_f64() - now - expected).abs() < 1e-6, "{until:?} {now}");
        now = until.as_secs_f64() + 0.1;
    }
    pace.settled(d(now), d(now), 1, 0, None);
    let until = pace.settled(d(now), d(now), 0, 1, None).expect("a hold");
    assert!((until.as_secs_f64() - now - 1.0).abs() < 1e-6, "a success in between starts over");
}
