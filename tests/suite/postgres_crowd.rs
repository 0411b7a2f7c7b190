//! Many workers on one ledger of PostgreSQL at the same time, and a server that goes away under them: every entry is
//! claimed by one, no two write to one user, nobody fails because of somebody else.

use contract::{
    Allowed, Disposition, EntraId, EntryState, Fingerprint, IntentOutcome, Match, Outcome, RunId, RunKind,
    RunState, Sealed, SnapshotId, SnapshotManifest, UserKey,
};
use harness::Proxy;
use harness::services::{Postgres, postgres};
use ledger::{
    Claim, DirectoryRow, End, Error, FiledRecord, Finish, Ledger, Member, NewBatch, NewIntent, PgLedger,
    ResultRow, RunSpec, SlotOutcome,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A lease that does not end within a test.
const LONG: Duration = Duration::from_secs(3600);

const WORKERS: usize = 8;

fn print(word: u8, number: i64) -> Fingerprint {
    let mut bytes = [word; 16];
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    Fingerprint(bytes)
}

fn entra(number: i64) -> EntraId {
    EntraId(format!("00000000-0000-0000-0000-{number:012}"))
}

/// A record whose UPN is its number.
pub(crate) fn record(ordinal: i64) -> FiledRecord {
    FiledRecord {
        ordinal,
        user_key: UserKey(print(1, ordinal)),
        sealed: Sealed(vec![1; 600]),
        keys: [Some(print(2, ordinal)), None, None, None, None, None],
        content: print(3, ordinal),
        enabled: true,
        serials: Vec::new(),
    }
}

/// A ledger with a snapshot in it, whose records all have a user.
pub(crate) struct World {
    pub(crate) ledger: Arc<PgLedger>,
    pub(crate) snapshot: SnapshotId,
    users: i64,
}

impl World {
    pub(crate) async fn new(url: &str, users: i64) -> Self {
        let ledger = Arc::new(PgLedger::open(url).await.unwrap());
        let snapshot = SnapshotId("5".repeat(64));
        ledger.begin_snapshot(&snapshot).await.unwrap();
        ledger.file_records(&snapshot, &(1..=users).map(record).collect::<Vec<_>>()).await.unwrap();
        let count = users.unsigned_abs();
        let manifest = SnapshotManifest {
            v: 1,
            id: snapshot.clone(),
            format: "ndjson".into(),
            read: count,
            accepted: count,
            rejected: 0,
            side_rejected: 0,
            unknown_keys: 0,
        };
        ledger.complete_snapshot(&manifest).await.unwrap();
        let members: Vec<_> =
            (1..=users).map(|n| Member { user: record(n).user_key, matched: true }).collect();
        for name in ["north", "south"] {
            let batch = NewBatch {
                name: name.into(),
                snapshot: snapshot.clone(),
                selector: "{}".into(),
                settings: "{}".into(),
                by: "crowd".into(),
            };
            ledger.create_batch(&batch).await.unwrap();
            ledger.add_members(name, &members).await.unwrap();
            ledger.freeze_batch(name).await.unwrap();
        }
        Self { ledger, snapshot, users }
    }

    pub(crate) fn spec(&self, kind: RunKind, batch: &str, policy: &str) -> RunSpec {
        RunSpec {
            kind,
            batch: batch.into(),
            snapshot: self.snapshot.clone(),
            policy: "{}".into(),
            policy_hash: policy.into(),
            plan_hash: None,
            include_unchanged: false,
        }
    }

    /// A run that is open, its users matched.
    pub(crate) async fn run(&self, kind: RunKind, batch: &str) -> RunId {
        let run = self.ledger.open_run(&self.spec(kind, batch, "policy")).await.unwrap().run.id;
        let users: Vec<_> = (1..=self.users)
            .map(|number| DirectoryRow {
                user: entra(number),
                sealed: Sealed(vec![2; 250]),
                keys: [Some(print(2, number)), None, None, None, None, None],
                guest: false,
                allowed: Allowed::ALL,
            })
            .collect();
        self.ledger.file_directory_page(run, &users, None).await.unwrap();
        let counts = self.ledger.match_users(run, &[Match::Upn], false).await.unwrap();
        assert_eq!(counts.matched, self.users.unsigned_abs());
        run
    }

    /// What can be seen of every entry.
    pub(crate) async fn rows(&self, run: RunId) -> Vec<(i64, EntryState, Option<i64>)> {
        let rows = self.ledger.results(run, 0, u32::MAX).await.unwrap();
        rows.into_iter().map(|row: ResultRow| (row.ordinal, row.state, row.settled_at_ms)).collect()
    }

    /// Claims what can be claimed, files and finishes it; answers what it settled.
    pub(crate) async fn work_off(
        &self,
        run: RunId,
        ordinals: &[i64],
        owner: &str,
    ) -> Result<Vec<i64>, Error> {
        let claims = self.ledger.claim(run, ordinals, owner, LONG).await?;
        self.settle(run, &claims).await
    }

    async fn settle(&self, run: RunId, claims: &[Claim]) -> Result<Vec<i64>, Error> {
        let rows: Vec<_> = claims.iter().map(intent).collect();
        self.ledger.file_intents(run, &rows).await?;
        let ends: Vec<_> = claims.iter().map(end).collect();
        self.ledger.finish(run, &ends).await
    }
}

fn intent(claim: &Claim) -> NewIntent {
    NewIntent {
        ordinal: claim.ordinal,
        epoch: claim.epoch,
        user: claim.user.clone(),
        slot: "mobile".into(),
        pre_image: None,
        afresh: false,
        to: Some(Sealed(vec![4; 60])),
    }
}

fn end(claim: &Claim) -> Finish {
    Finish {
        ordinal: claim.ordinal,
        epoch: claim.epoch,
        user: claim.user.clone(),
        outcomes: vec![SlotOutcome { slot: "mobile".into(), outcome: IntentOutcome::Applied }],
        end: End::Settle {
            state: EntryState::Applied,
            outcome: Outcome::Change,
            codes: "phone-only".into(),
            result: Sealed(vec![5; 300]),
            applied: Some(claim.content),
            secrets: Vec::new(),
        },
    }
}

/// Groups of twenty, each worker's in another order, and backwards every other time.
fn groups(users: i64, worker: usize) -> Vec<Vec<i64>> {
    let mut all: Vec<i64> = (1..=users).collect();
    let start = worker * 7 % all.len();
    all.rotate_left(start);
    if worker % 2 == 1 {
        all.reverse();
    }
    all.chunks(20).map(<[i64]>::to_vec).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_entry_is_claimed_by_one() {
    let world = Arc::new(World::new(&postgres().new_database(), 400).await);
    let run = world.run(RunKind::Migrate, "north").await;
    let workers: Vec<_> = (0..WORKERS)
        .map(|worker| {
            let world = Arc::clone(&world);
            tokio::spawn(async move {
                let mut mine = Vec::new();
                for group in groups(400, worker) {
                    let claims =
                        world.ledger.claim(run, &group, &format!("worker {worker}"), LONG).await.unwrap();
                    mine.extend(claims.into_iter().map(|claim| (claim.ordinal, claim.epoch)));
                }
                mine
            })
        })
        .collect();
    let mut all = Vec::new();
    for worker in workers {
        all.extend(worker.await.unwrap());
    }
    all.sort_unstable();
    assert_eq!(all, (1..=400).map(|ordinal| (ordinal, 1)).collect::<Vec<_>>());
}

/// Two batches with the same users: at any moment one of them holds a user, and the other one finds nothing to claim.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_batches_share_their_users_without_a_quarrel() {
    let world = Arc::new(World::new(&postgres().new_database(), 200).await);
    let runs = [world.run(RunKind::Migrate, "north").await, world.run(RunKind::Migrate, "south").await];
    let workers: Vec<_> = (0..WORKERS)
        .map(|worker| {
            let (world, run) = (Arc::clone(&world), runs[worker % 2]);
            tokio::spawn(async move {
                let mut settled = 0;
                for group in groups(200, worker).iter().chain(&groups(200, worker + 3)) {
                    settled += world.work_off(run, group, &format!("worker {worker}")).await.unwrap().len();
                }
                settled
            })
        })
        .collect();
    for worker in workers {
        worker.await.unwrap();
    }
    let mut by_user: BTreeMap<i64, usize> = BTreeMap::new();
    for run in runs {
        for (ordinal, state, _) in world.rows(run).await {
            assert_ne!(state, EntryState::Claimed, "nothing was left behind");
            *by_user.entry(ordinal).or_default() += usize::from(state == EntryState::Applied);
        }
    }
    assert!(by_user.values().all(|moved| *moved > 0), "each was moved by one of them at least");
    for run in runs {
        world.work_off(run, &(1..=200).collect::<Vec<_>>(), "last").await.unwrap();
        world.ledger.set_run_state(run, RunState::Done).await.unwrap();
    }
}

/// Somebody begins to make a batch again while it is being fixed: it is either fixed and stays, or begun anew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_was_fixed_is_not_made_again() {
    let world = World::new(&postgres().new_database(), 40).await;
    let ledger = &world.ledger;
    for round in 0..40 {
        let batch = NewBatch {
            name: format!("pilot {round}"),
            snapshot: world.snapshot.clone(),
            selector: "{}".into(),
            settings: "{}".into(),
            by: "first".into(),
        };
        let again = NewBatch { by: "second".into(), ..batch.clone() };
        let members = [Member { user: record(1).user_key, matched: true }];
        ledger.create_batch(&batch).await.unwrap();
        let (begun, added, fixed) = tokio::join!(
            ledger.create_batch(&again),
            ledger.add_members(&batch.name, &members),
            ledger.freeze_batch(&batch.name)
        );
        fixed.unwrap();
        assert!(matches!(begun, Ok(()) | Err(Error::BatchExists { .. })));
        assert!(matches!(added, Ok(()) | Err(Error::BatchExists { .. })));
        let found = ledger.batch(&batch.name).await.unwrap().expect("it is there");
        assert!(found.frozen);
        assert_eq!(found.made.by, if begun.is_ok() { "second" } else { "first" });
    }
}

/// The coordinator releases, puts back and counts while workers claim, renew, file and finish.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_and_the_coordinator_do_not_block_each_other() {
    let world = Arc::new(World::new(&postgres().new_database(), 600).await);
    let run = world.run(RunKind::Migrate, "north").await;
    let done = Arc::new(AtomicBool::new(false));
    let coordinating = tokio::spawn({
        let (world, done) = (Arc::clone(&world), Arc::clone(&done));
        async move {
            let lead = world.ledger.lead("coordinator").await.unwrap();
            let mut page = 0;
            while !done.load(Ordering::Relaxed) {
                page += 1;
                // Nothing was lost, yet leases of no length are put back at once.
                lead.ledger.release(run, 50, Some(Duration::ZERO), Duration::ZERO).await.unwrap();
                lead.ledger.checkpoint(run, "release", page).await.unwrap();
            }
        }
    });
    let workers: Vec<_> = (0..WORKERS)
        .map(|worker| {
            let world = Arc::clone(&world);
            tokio::spawn(async move {
                for (nth, group) in groups(600, worker).into_iter().enumerate() {
                    let lease = if nth % 3 == 0 { Duration::ZERO } else { LONG };
                    let claims =
                        world.ledger.claim(run, &group, &format!("worker {worker}"), lease).await.unwrap();
                    let held: Vec<_> = claims.iter().map(|claim| (claim.ordinal, claim.epoch)).collect();
                    world.ledger.renew(run, &held, lease).await.unwrap();
                    world.settle(run, &claims).await.unwrap();
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await.unwrap();
    }
    done.store(true, Ordering::Relaxed);
    coordinating.await.unwrap();
    world.ledger.release(run, 0, None, Duration::ZERO).await.unwrap();
    world.work_off(run, &(1..=600).collect::<Vec<_>>(), "last").await.unwrap();
    assert_eq!(world.ledger.counts(run).await.unwrap()[&EntryState::Applied], 600);
    world.ledger.set_run_state(run, RunState::Done).await.unwrap();
}

/// An error that goes away by itself is waited out; every step may be done again, whatever became of it.
async fn patiently<T, F: Future<Output = Result<T, Error>>>(mut step: impl FnMut() -> F) -> T {
    loop {
        match step().await {
            Ok(value) => return value,
            Err(error) => {
                assert_eq!(error.disposition(), Disposition::Retry, "{error}: {error:?}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_goes_away_loses_nothing() {
    let server = Arc::new(Postgres::start());
    let world = Arc::new(World::new(&server.new_database(), 1000).await);
    let run = world.run(RunKind::Migrate, "north").await;
    let mut lead = world.ledger.lead("coordinator").await.unwrap();
    let workers: Vec<_> = (0..WORKERS)
        .map(|worker| {
            let world = Arc::clone(&world);
            tokio::spawn(async move {
                let groups = groups(1000, worker);
                let mut settled = 0;
                for group in groups.iter().cycle().take(groups.len() * 2) {
                    let owner = format!("worker {worker}");
                    let claims = patiently(|| world.ledger.claim(run, group, &owner, LONG)).await;
                    settled += patiently(|| world.settle(run, &claims)).await.len();
                }
                settled
            })
        })
        .collect();
    let outage = {
        let server = Arc::clone(&server);
        tokio::task::spawn_blocking(move || {
            server.kill_dash_nine();
            server.start_again();
            server.stop_fast();
            server.start_again();
        })
    };
    outage.await.unwrap();
    lead.lost.wait_for(|lost| *lost).await.unwrap();
    for worker in workers {
        worker.await.unwrap();
    }
    // What was claimed when the answer was cut off waits for its lease to end; here it is over.
    server.psql("test0", "update mfa_migrate.entry set lease_until = 0 where state = 'claimed'");
    let next = world.ledger.lead("coordinator").await.unwrap();
    assert!(next.term > lead.term);
    next.ledger.release(run, 0, None, Duration::ZERO).await.unwrap();
    world.work_off(run, &(1..=1000).collect::<Vec<_>>(), "last").await.unwrap();
    world.ledger.set_run_state(run, RunState::Done).await.unwrap();
    let rows = world.rows(run).await;
    assert_eq!(rows.iter().filter(|(_, state, _)| *state == EntryState::Applied).count(), 1000);
    let told = "select count(*), count(distinct entra), count(outcome) from mfa_migrate.intent";
    assert_eq!(server.psql("test0", told), "1000|1000|1000", "an intent a user, each with its outcome");
    assert_eq!(server.psql("test0", "select count(*) from mfa_migrate.pre_image"), "1000");
}

/// A cable is pulled twice in the middle of everything, and nobody is told: whoever waited for an answer tries again on
/// a new connection, and the pool has room for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_that_goes_silent_loses_nothing() {
    let url = postgres().new_database();
    let database = url.rsplit('/').next().unwrap().to_owned();
    let proxy = Arc::new(Proxy::to(postgres().port));
    let world = Arc::new(World::new(&proxy.instead_of(postgres().port, &url), 600).await);
    let run = world.run(RunKind::Migrate, "north").await;
    let workers: Vec<_> = (0..WORKERS)
        .map(|worker| {
            let (world, proxy) = (Arc::clone(&world), Arc::clone(&proxy));
            tokio::spawn(async move {
                for (nth, group) in groups(600, worker).iter().enumerate() {
                    if worker == 0 && matches!(nth, 2 | 20) {
                        proxy.silence_after_bytes(2_000);
                    }
                    let owner = format!("worker {worker}");
                    let claims = patiently(|| world.ledger.claim(run, group, &owner, LONG)).await;
                    patiently(|| world.settle(run, &claims)).await;
                    patiently(|| world.ledger.counts(run)).await;
                }
            })
        })
        .collect();
    for worker in workers {
        // Far beyond our limits, and far below those of TCP, if it has one at all here.
        tokio::time::timeout(Duration::from_secs(300), worker).await.expect("a call hangs").unwrap();
    }
    assert_eq!(proxy.cuts(), 2);
    let held = "update mfa_migrate.entry set lease_until = 0 where state = 'claimed'";
    postgres().psql(&database, held);
    world.ledger.release(run, 0, None, Duration::ZERO).await.unwrap();
    world.work_off(run, &(1..=600).collect::<Vec<_>>(), "last").await.unwrap();
    world.ledger.set_run_state(run, RunState::Done).await.unwrap();
    let told = "select count(*), count(distinct entra), count(outcome) from mfa_migrate.intent";
    assert_eq!(postgres().psql(&database, told), "600|600|600", "an intent a user, each with its outcome");
    let is_open = format!(
        "select count(*) from pg_stat_activity where datname = '{database}' and state like 'idle in transaction%'"
    );
    assert_eq!(postgres().psql(&database, &is_open), "0", "no transaction was left open");
    world.ledger.close().await;
}

/// What waits for a lock is filed when it has it: an intent never looks older than it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_intent_is_as_old_as_its_filing() {
    let url = postgres().new_database();
    let database = url.rsplit('/').next().unwrap().to_owned();
    let world = World::new(&url, 2).await;
    let run = world.run(RunKind::Migrate, "north").await;
    let claims = world.ledger.claim(run, &[1, 2], "worker", LONG).await.unwrap();
    let holding = tokio::task::spawn_blocking({
        let database = database.clone();
        move || {
            postgres().psql(
                &database,
                "begin; select from mfa_migrate.entry where ordinal = 2 for update; select pg_sleep(1); \
                 select (extract(epoch from clock_timestamp()) * 1000)::bigint; commit",
            )
        }
    });
    let sleeps = format!(
        "select count(*) from pg_stat_activity where datname = '{database}' and wait_event = 'PgSleep'"
    );
    while postgres().psql(&database, &sleeps) != "1" {
        assert!(!holding.is_finished(), "it was too quick for us");
    }
    let rows: Vec<_> = claims.iter().map(intent).collect();
    assert_eq!(world.ledger.file_intents(run, &rows).await.unwrap(), [1, 2]);
    let released_at_ms: i64 = holding.await.unwrap().trim().parse().unwrap();
    for claim in &claims {
        let history = world.ledger.user_history(claim.user_key).await.unwrap();
        assert!(history.intents[0].1.filed_at_ms >= released_at_ms, "filed before the lock was had");
    }
}
