//! Several processes at one virtual server, over rows in memory with latency, in paused time.
//!
//! The server is the simulated tenant's: a token bucket whose rejected calls cost too, down to two seconds' worth below
//! empty, and a `Retry-After` of whole seconds until one token is there.

use super::*;
use rand::{Rng, SeedableRng};
use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// The row clock at the start, in seconds since 1970.
const EPOCH_S: f64 = 1.79e9;

fn s(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// Rows in memory; the clock is read under the lock.
struct Book {
    rows: tokio::sync::Mutex<HashMap<Bucket, String>>,
    random: Mutex<rand::rngs::SmallRng>,
    started: Instant,
    latency: (f64, f64),
    is_away: AtomicBool,
    steps: AtomicU64,
    seed: u64,
}

impl Book {
    fn new(seed: u64, latency: (f64, f64)) -> Arc<Self> {
        Arc::new(Self {
            rows: tokio::sync::Mutex::default(),
            random: Mutex::new(rand::rngs::SmallRng::seed_from_u64(seed)),
            started: Instant::now(),
            latency,
            is_away: AtomicBool::new(false),
            steps: AtomicU64::new(0),
            seed,
        })
    }

    fn delay(&self) -> Duration {
        let (least, most) = self.latency;
        s(self.random.lock().unwrap().random_range(least..=most) / 2.0)
    }
}

#[async_trait::async_trait]
impl SharedPace for Book {
    async fn step(&self, bucket: Bucket, step: PaceStep) -> Result<(), Unavailable> {
        sleep(self.delay()).await;
        if self.is_away.load(Ordering::SeqCst) {
            return Err(Unavailable);
        }
        let mut rows = self.rows.lock().await;
        self.steps.fetch_add(1, Ordering::SeqCst);
        let now_s = EPOCH_S + self.started.elapsed().as_secs_f64();
        let next = step(rows.get(&bucket).map(String::as_str), now_s);
        rows.insert(bucket, next);
        drop(rows);
        sleep(self.delay()).await;
        Ok(())
    }
}

struct Tenant {
    rate: f64,
    burst: f64,
    tokens: f64,
    at: Instant,
    counting: bool,
    accepted: f64,
    rejected: f64,
    early: u32,
    told: Vec<(Instant, Instant)>,
    by_process: HashMap<usize, f64>,
}

impl Tenant {
    fn new(rate: f64, burst: f64) -> Arc<Mutex<Self>> {
        let at = Instant::now();
        Arc::new(Mutex::new(Self {
            rate,
            burst,
            tokens: burst,
            at,
            counting: false,
            accepted: 0.0,
            rejected: 0.0,
            early: 0,
            told: Vec::new(),
            by_process: HashMap::new(),
        }))
    }

    fn hit(&mut self, process: usize, n: u32) -> Verdict {
        let now = Instant::now();
        self.tokens = (self.tokens + (now - self.at).as_secs_f64() * self.rate).min(self.burst);
        self.at = now;
        // Who could have known of a hold for a second is early; the simulated tenant gives as much.
        self.early += u32::from(self.told.iter().any(|(told, until)| *told + s(1.0) < now && now < *until));
        let mut verdict = Verdict::default();
        for _ in 0..n {
            if self.tokens >= 1.0 {
                self.tokens -= 1.0;
                verdict.accepted += 1;
                continue;
            }
            self.tokens = (self.tokens - 1.0).max(-2.0 * self.rate);
            let wait = s(((1.0 - self.tokens) / self.rate).ceil().max(1.0));
            verdict.rejected += 1;
            verdict.retry_after = verdict.retry_after.max(Some(wait));
            self.told.push((now, now + wait));
        }
        self.told.retain(|(_, until)| *until > now);
        if self.counting {
            self.accepted += f64::from(verdict.accepted);
            self.rejected += f64::from(verdict.rejected);
            *self.by_process.entry(process).or_default() += f64::from(verdict.accepted);
        }
        verdict
    }
}

/// One process: callers that always have something to send.
fn process(
    book: &Arc<Book>,
    tenant: &Arc<Mutex<Tenant>>,
    name: usize,
    callers: usize,
    bundle: (u32, u32),
) -> (Pace, JoinSet<()>) {
    let pace = Pace::shared(Arc::clone(book) as Arc<dyn SharedPace>);
    let mut tasks = JoinSet::new();
    for caller in 0..callers {
        let (pace, tenant) = (pace.clone(), Arc::clone(tenant));
        let mut random =
            rand::rngs::SmallRng::seed_from_u64(book.seed * 1_000_000 + (name * 1000 + caller) as u64);
        tasks.spawn(async move {
            loop {
                let n = random.random_range(bundle.0..=bundle.1);
                let Ok(grant) = pace.acquire(Bucket::Writes, n, Instant::now() + s(120.0)).await else {
                    sleep(s(0.2)).await;
                    continue;
                };
                let latency = random.random_range(0.01..0.05);
                sleep(s(latency)).await;
                let verdict = tenant.lock().unwrap().hit(name, n);
                sleep(s(latency)).await;
                pace.settled(grant, &verdict);
            }
        });
    }
    (pace, tasks)
}

#[derive(Debug)]
struct Fleet {
    utilisation: f64,
    rejected: f64,
    early: u32,
    steps_per_s: f64,
    least_share: f64,
    bytes: usize,
}

struct Scene {
    processes: usize,
    rate: f64,
    burst: f64,
    bundle: (u32, u32),
    callers: usize,
    change: f64,
    churn: bool,
    seed: u64,
}

const SCENE: Scene = Scene {
    processes: 4,
    rate: 100.0,
    burst: 500.0,
    bundle: (1, 20),
    callers: 6,
    change: 1.0,
    churn: false,
    seed: 1,
};

const WARM_UP_S: f64 = 120.0;
const MEASURED_S: f64 = 300.0;

async fn play(scene: Scene) -> Fleet {
    let book = Book::new(scene.seed, (0.002, 0.02));
    let tenant = Tenant::new(scene.rate, scene.burst);
    let start = |name| process(&book, &tenant, name, scene.callers, scene.bundle);
    let mut fleet: Vec<_> = (0..scene.processes).map(start).collect();
    let began = Instant::now();
    let (mut name, mut changed) = (scene.processes, false);
    while began.elapsed().as_secs_f64() < WARM_UP_S + MEASURED_S {
        sleep(s(2.0)).await;
        let elapsed = began.elapsed().as_secs_f64();
        if elapsed >= WARM_UP_S && !tenant.lock().unwrap().counting {
            tenant.lock().unwrap().counting = true;
            book.steps.store(0, Ordering::SeqCst);
        }
        if elapsed >= WARM_UP_S + MEASURED_S / 2.0 && !changed {
            changed = true;
            tenant.lock().unwrap().rate *= scene.change;
        }
        if scene.churn {
            // The oldest dies with whatever it had asked for, and another comes.
            drop(fleet.remove(0));
            fleet.push(start(name));
            name += 1;
        }
    }
    let bytes = book.rows.lock().await.get(&Bucket::Writes).map_or(0, String::len);
    let tenant = tenant.lock().unwrap();
    let capacity = scene.rate * MEASURED_S * (1.0 + scene.change) / 2.0;
    let least = tenant.by_process.values().copied().fold(f64::INFINITY, f64::min);
    Fleet {
        utilisation: tenant.accepted / capacity,
        rejected: tenant.rejected / (tenant.accepted + tenant.rejected),
        early: tenant.early,
        steps_per_s: book.steps.load(Ordering::SeqCst) as f64 / MEASURED_S,
        least_share: least * scene.processes as f64 / tenant.accepted,
        bytes,
    }
}

fn check(figures: &Fleet, what: &str, most_rejected: f64) {
    println!("{what}: {figures:?}");
    assert!(figures.utilisation >= 0.95, "{what}: {figures:?}");
    assert!(figures.rejected <= most_rejected, "{what}: {figures:?}");
    assert_eq!(figures.early, 0, "{what}: {figures:?}");
    assert!(figures.steps_per_s < 400.0, "{what}: {figures:?}");
    assert!(figures.bytes < 8_000, "a row stays small: {what}: {figures:?}");
}

#[tokio::test(start_paused = true)]
async fn one_four_and_sixteen_processes_use_one_quota_to_95_percent() {
    for processes in [1, 4, 16] {
        for bundle in [(1, 20), (20, 20), (1, 1)] {
            for seed in 1..=3 {
                let callers = if bundle.1 == 1 { 30 } else { 6 };
                let figures = play(Scene { processes, bundle, callers, seed, ..SCENE }).await;
                check(&figures, &format!("{processes} processes, bundles {bundle:?}, seed {seed}"), 0.001);
                assert!(figures.least_share > 0.5, "nobody starves: {figures:?}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_large_burst_is_no_rate() {
    for processes in [1, 16] {
        let figures = play(Scene { processes, rate: 20.0, burst: 3000.0, ..SCENE }).await;
        check(&figures, &format!("{processes} processes, burst 3000"), 0.005);
    }
}

#[tokio::test(start_paused = true)]
async fn half_the_capacity_is_followed_by_all() {
    for processes in [1, 4, 16] {
        let figures = play(Scene { processes, change: 0.5, ..SCENE }).await;
        check(&figures, &format!("{processes} processes, half the capacity"), 0.005);
    }
}

#[tokio::test(start_paused = true)]
async fn processes_that_come_and_die_every_two_seconds_cost_nothing() {
    let figures = play(Scene { churn: true, ..SCENE }).await;
    check(&figures, "churn", 0.001);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_while_the_book_is_away_and_work_goes_on_after_it() {
    let book = Book::new(1, (0.002, 0.02));
    let tenant = Tenant::new(100.0, 500.0);
    let (pace, _tasks) = process(&book, &tenant, 0, 6, (20, 20));
    sleep(s(60.0)).await;
    book.is_away.store(true, Ordering::SeqCst);
    sleep(s(2.0)).await;
    tenant.lock().unwrap().counting = true;
    let asked = Instant::now();
    let held = pace.acquire(Bucket::Writes, 1, asked + s(5.0)).await.expect_err("nothing is granted");
    assert!(held.until >= asked + s(5.0));
    sleep(s(53.0)).await;
    assert_eq!(tenant.lock().unwrap().accepted, 0.0);
    book.is_away.store(false, Ordering::SeqCst);
    sleep(s(30.0)).await;
    assert!(tenant.lock().unwrap().accepted > 2_000.0);
}

#[tokio::test(start_paused = true)]
async fn a_hold_that_one_process_learns_of_holds_the_other_too() {
    let book = Book::new(1, (0.002, 0.02));
    let one = Pace::shared(Arc::clone(&book) as Arc<dyn SharedPace>);
    let other = Pace::shared(Arc::clone(&book) as Arc<dyn SharedPace>);
    let far = Instant::now() + s(600.0);
    let grant = one.acquire(Bucket::Writes, 1, far).await.expect("quota");
    let told = Instant::now();
    one.settled(grant, &Verdict { rejected: 1, retry_after: Some(s(30.0)), ..Verdict::default() });
    sleep(s(0.1)).await;
    let held = other.acquire(Bucket::Writes, 1, told + s(20.0)).await.expect_err("held");
    assert!(held.until >= told + s(30.0));
    assert!(told.elapsed() < s(2.0), "told at once");
    assert!(other.acquire(Bucket::Writes, 1, far).await.is_ok());
    assert!(told.elapsed() >= s(30.0), "{:?}", told.elapsed());
    let rows = book.rows.lock().await;
    let row = rows.get(&Bucket::Writes).expect("a row");
    let now_s = EPOCH_S + (told - book.started).as_secs_f64() + 10.0;
    let held_for = Pace::read(row, now_s, Bucket::Writes).and_then(|status| status.held_for);
    assert!(held_for.is_some_and(|held| held > s(19.0)), "{held_for:?}");
    assert_eq!(Pace::read("{\"v\":7}", now_s, Bucket::Writes), None);
}

#[tokio::test(start_paused = true)]
async fn a_cap_holds_for_all_processes_together_and_the_row_forgets_it() {
    let book = Book::new(1, (0.002, 0.02));
    let paces = [0, 1].map(|_| Pace::shared(Arc::clone(&book) as Arc<dyn SharedPace>));
    for pace in &paces {
        pace.restore("auth-writes", 100.0);
        pace.cap(Bucket::Writes, Some(10.0));
    }
    let end = Instant::now() + s(60.0);
    let mut callers = tokio::task::JoinSet::new();
    for pace in paces.clone() {
        callers.spawn(async move {
            let mut calls = 0;
            while let Ok(grant) = pace.acquire(Bucket::Writes, 5, end).await {
                pace.settled(grant, &Verdict { accepted: 5, ..Verdict::default() });
                calls += 5;
            }
            calls
        });
    }
    let calls: u32 = callers.join_all().await.into_iter().sum();
    assert!((540..=640).contains(&calls), "{calls}");
    let rows = book.rows.lock().await;
    let row = rows.get(&Bucket::Writes).expect("a row");
    let status = Pace::read(row, EPOCH_S + 60.0, Bucket::Writes).expect("a status");
    assert!(
        status.learned && status.rate_per_s > 90.0,
        "what the server can do is still on file: {status:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn one_caller_has_its_turn_beside_fifty() {
    let book = Book::new(1, (0.002, 0.02));
    let tenant = Tenant::new(100.0, 500.0);
    let _many = process(&book, &tenant, 0, 50, (20, 20));
    let _few = process(&book, &tenant, 1, 1, (20, 20));
    sleep(s(120.0)).await;
    tenant.lock().unwrap().counting = true;
    sleep(s(100.0)).await;
    let counts = tenant.lock().unwrap().by_process.clone();
    let share = counts.get(&1).copied().unwrap_or_default() / counts.values().sum::<f64>();
    assert!(share > 0.25, "{counts:?}");
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_gives_up_and_a_broken_row_block_nobody() {
    let book = Book::new(1, (0.002, 0.02));
    book.rows.lock().await.insert(Bucket::Writes, "no row".to_owned());
    let pace = Pace::shared(Arc::clone(&book) as Arc<dyn SharedPace>);
    let far = Instant::now() + s(600.0);
    let _first = pace.acquire(Bucket::Writes, 20, far).await.expect("quota");
    assert!(tokio::time::timeout(s(0.1), pace.acquire(Bucket::Writes, 20, far)).await.is_err());
    let asked = Instant::now();
    assert!(pace.acquire(Bucket::Writes, 20, far).await.is_ok());
    assert!(asked.elapsed() < s(3.0));
}

#[tokio::test(start_paused = true)]
async fn a_server_without_limit_is_used_without_one() {
    let book = Book::new(1, (0.002, 0.02));
    let tenant = Tenant::new(1e9, 1e9);
    let (pace, _tasks) = process(&book, &tenant, 0, 100, (20, 20));
    let _other = process(&book, &tenant, 1, 100, (20, 20));
    sleep(s(30.0)).await;
    tenant.lock().unwrap().counting = true;
    book.steps.store(0, Ordering::SeqCst);
    sleep(s(10.0)).await;
    let accepted = tenant.lock().unwrap().accepted;
    let steps = book.steps.load(Ordering::SeqCst);
    println!(
        "without limit: {} calls/s, {} steps/s, {:?}",
        accepted / 10.0,
        steps / 10,
        pace.of(Bucket::Writes)
    );
    assert!(accepted / 10.0 > 20_000.0, "{accepted}");
}
