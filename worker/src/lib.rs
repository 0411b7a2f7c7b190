//! The worker: takes orders, moves one user after the other through the safe write procedure. Read `handler.rs` first.
//!
//! It never writes without a pre-image and an intent on file, never reads a method in doubt as absent, and acks last.
//! Any number of workers may share a ledger; the claim makes each user one worker's at a time.

mod case;
mod compare;
mod decide;
mod doubt;
mod error;
mod execute;
mod finish;
mod handler;
mod lease;
mod refusals;
mod reviewed;

pub use error::Error;

use broker::Queue;
use contract::{FingerprintKey, Policy, RunId, Sealer, SnapshotId};
use ledger::Ledger;
use refusals::Refusals;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use telemetry::Shutdown;
use tokio::task::JoinSet;

/// Users handled together. Twenty users are two full bundles of reads, and at the published 20 writes a second about
/// one second of quota.
const GROUP: usize = 20;
/// Writes a user that the number of groups in flight is reckoned with.
const WRITES_PER_USER: f64 = 1.5;
/// Seconds of quota that groups in flight may hold: an observation must not grow old while it waits for its turn.
const IN_FLIGHT_S: f64 = 6.0;
/// Seconds of quota that one group may take: two groups in flight keep an observation below its half minute.
const FRESH_S: f64 = 12.0;
/// Bounds of the groups in flight.
const GROUPS: (usize, usize) = (2, 16);

/// What a worker may do in Entra. A rehearsal holds a client that has no write method.
#[derive(Clone)]
pub enum Hands {
    /// Reads alone.
    Rehearse(graph::Reader),
    /// Reads and writes.
    Migrate(graph::Writer),
}

impl Hands {
    /// The half that reads.
    pub fn reader(&self) -> &graph::Reader {
        match self {
            Self::Rehearse(reader) => reader,
            Self::Migrate(writer) => writer.reader(),
        }
    }
}

/// Limits of the procedure (`architecture.md`, invariants 4, 6 and 7).
#[derive(Debug, Clone)]
pub struct Settings {
    /// How long a claim lasts.
    pub lease: Duration,
    /// Time limit of one Graph request.
    pub request_timeout: Duration,
    /// How far clocks may be apart.
    pub skew: Duration,
    /// How late Graph may show a write.
    pub visibility_deadline: Duration,
    /// Attempts before a user is parked.
    pub max_attempts: u32,
    /// How long a user may be snoozed in all before it is parked.
    pub max_snoozed: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(180),
            request_timeout: Duration::from_secs(70),
            skew: Duration::from_secs(5),
            visibility_deadline: Duration::from_secs(600),
            max_attempts: 8,
            max_snoozed: Duration::from_secs(24 * 3600),
        }
    }
}

impl Settings {
    /// The age below which an intent without an outcome may still land.
    pub fn horizon(&self) -> Duration {
        self.request_timeout + self.skew + self.visibility_deadline
    }
}

/// What the run is about, as far as workers need it.
#[derive(Debug, Clone)]
pub struct Assignment {
    /// The run.
    pub run: RunId,
    /// Its snapshot.
    pub snapshot: SnapshotId,
    /// Its policy.
    pub policy: Policy,
    /// Users carry a reviewed plan, and nothing else may be done to them.
    pub reviewed: bool,
    /// Methods that were written in this run before (`Ledger::proven`): a 403 there is about one user.
    pub proven: Vec<String>,
}

/// A worker.
pub struct Worker {
    ledger: Arc<dyn Ledger>,
    orders: Arc<dyn Queue>,
    hands: Hands,
    pace: graph::Pace,
    sealer: Sealer,
    keys: FingerprintKey,
    settings: Settings,
    assignment: Assignment,
    owner: String,
    refusals: Refusals,
    /// Nothing new is begun once this is wished for.
    stopping: OnceLock<Shutdown>,
}

impl Worker {
    /// A worker; `owner` names it in claims.
    #[expect(clippy::too_many_arguments, reason = "its world, given once, in one place")]
    pub fn new(
        ledger: Arc<dyn Ledger>,
        orders: Arc<dyn Queue>,
        hands: Hands,
        pace: graph::Pace,
        sealer: Sealer,
        keys: FingerprintKey,
        settings: Settings,
        assignment: Assignment,
        owner: String,
    ) -> Self {
        let refusals = Refusals::new(&refusals::Call::proven_by(&assignment.proven));
        let stopping = OnceLock::new();
        Self { ledger, orders, hands, pace, sealer, keys, settings, assignment, owner, refusals, stopping }
    }

    /// Works until the queue is closed or a stop is wished for, then finishes what is in flight.
    ///
    /// # Errors
    /// What ends the run: the ledger cannot be written, a permission is missing, Graph refuses sign-in.
    pub async fn run(self: Arc<Self>, shutdown: Shutdown) -> Result<(), Error> {
        // A second call would hear the first one's wish, and there is none.
        drop(self.stopping.set(shutdown.clone()));
        let mut groups: JoinSet<Result<(), Error>> = JoinSet::new();
        let mut failed = None;
        while failed.is_none() {
            while groups.len() >= self.groups_in_flight() {
                note_failure(groups.join_next().await, &mut failed);
            }
            if failed.is_some() {
                break;
            }
            tokio::select! {
                biased;
                () = shutdown.requested() => break,
                Some(joined) = groups.join_next(), if !groups.is_empty() => note_failure(Some(joined), &mut failed),
                received = self.orders.receive(self.group()) => match received {
                    Ok(deliveries) => {
                        let worker = Arc::clone(&self);
                        groups.spawn(async move { worker.handle(deliveries).await });
                    }
                    Err(broker::Error::Closed) => break,
                },
            }
        }
        while let Some(joined) = groups.join_next().await {
            note_failure(Some(joined), &mut failed);
        }
        failed.map_or(Ok(()), Err)
    }

    /// How the bucket of writes stands.
    fn writes(&self) -> graph::BucketStatus {
        self.pace.of(graph::Bucket::Writes)
    }

    /// Users of the next group: no more than the learned rate of writes serves while the look at them is fresh.
    fn group(&self) -> usize {
        let users = self.writes().rate_per_s * FRESH_S / WRITES_PER_USER;
        (users.min(GROUP as f64) as usize).max(1)
    }

    /// As many as the learned rate of writes can serve soon.
    fn groups_in_flight(&self) -> usize {
        let groups = self.writes().rate_per_s * IN_FLIGHT_S / (GROUP as f64 * WRITES_PER_USER);
        (groups.min(GROUPS.1 as f64) as usize).max(GROUPS.0)
    }
}

/// Keeps the first failure; a panic in a group is one too.
fn note_failure(
    joined: Option<Result<Result<(), Error>, tokio::task::JoinError>>,
    failed: &mut Option<Error>,
) {
    let error = match joined {
        None | Some(Ok(Ok(()))) => return,
        Some(Ok(Err(error))) => error,
        Some(Err(error)) => Error::Group(error),
    };
    failed.get_or_insert(error);
}
