//! The worker: takes orders, moves one user after the other through the safe write procedure. Read `handler.rs` first.
//!
//! It never writes without a pre-image and an intent on file, never reads a method in doubt as absent, and acks last.
//! Any number of workers may share a ledger; the claim makes each user one worker's at a time.

mod back;
mod case;
mod compare;
mod controls;
mod cutover;
mod decide;
mod doubt;
mod error;
mod execute;
mod finish;
mod handler;
mod lease;
mod passes;
mod refusals;
mod reviewed;
mod rollout_desk;
mod seats;
mod shift;
mod take;
mod verify;

pub use cutover::{CutoverDesk, CutoverError, CutoverWish, Found, Reached};
pub use error::Error;
pub use passes::{Ended, Issued, Line, PassDesk, PassError, PassFile, PassWord, Progress, Refused, Somebody};
pub use rollout_desk::{RolloutDesk, RolloutDeskError};

use broker::Queue;
use contract::{Disposition, FingerprintKey, Policy, RunId, RunKind, Sealer, SnapshotId};
use ledger::Ledger;
use seats::Turns;
use shift::Shifts;
use std::sync::Arc;
use std::time::Duration;
use telemetry::{Shutdown, causes};
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
/// Deliveries in hand at least: two groups, so that bundles are full.
const LEAST_IN_HAND: usize = 40;
/// How often a ledger that is away is asked again.
const AWAY: rules::Backoff = rules::Backoff { base: Duration::from_millis(200), cap: Duration::from_secs(3) };

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

/// What a run is about, as far as workers need it.
#[derive(Debug, Clone)]
pub(crate) struct Assignment {
    /// The run.
    pub(crate) run: RunId,
    /// What it does.
    pub(crate) kind: RunKind,
    /// Its snapshot.
    pub(crate) snapshot: SnapshotId,
    /// Its policy.
    pub(crate) policy: Policy,
    /// Of a rollout: how long it may take until the end of a seat acts.
    pub(crate) stay: Duration,
    /// Users carry a reviewed plan, and nothing else may be done to them.
    pub(crate) reviewed: bool,
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
    owner: String,
    /// What this worker knows of the runs whose orders it gets.
    shifts: Shifts,
    /// One write at a time to each group of the rollout.
    turns: Arc<Turns>,
}

impl Worker {
    /// A worker; `owner` names it in claims. It is told of its runs by the orders alone.
    #[expect(clippy::too_many_arguments, reason = "its world, given once, in one place")]
    pub fn new(
        ledger: Arc<dyn Ledger>,
        orders: Arc<dyn Queue>,
        hands: Hands,
        pace: graph::Pace,
        sealer: Sealer,
        keys: FingerprintKey,
        settings: Settings,
        owner: String,
    ) -> Self {
        let (shifts, turns) = (Shifts::default(), Arc::default());
        Self { ledger, orders, hands, pace, sealer, keys, settings, owner, shifts, turns }
    }

    /// Works until the queue is closed or a stop is wished for, then finishes what is in flight. What stops one run halts
    /// that run in the ledger, with its reason, and the work on others goes on. A ledger that is away is waited for.
    ///
    /// # Errors
    /// The ledger or the queue cannot be used, and waiting would not mend it.
    pub async fn run(self: Arc<Self>, shutdown: Shutdown) -> Result<(), Error> {
        let over = Shutdown::new();
        let working = async {
            let ended = Arc::clone(&self).work(shutdown).await;
            over.request();
            ended
        };
        let (ended, ()) = tokio::join!(working, self.heed(&over));
        ended
    }

    /// Takes groups on, one after the other.
    async fn work(self: Arc<Self>, shutdown: Shutdown) -> Result<(), Error> {
        let mut groups: JoinSet<Result<(), Error>> = JoinSet::new();
        let mut ended = Ok(());
        while ended.is_ok() {
            self.orders.set_prefetch(self.in_hand());
            if groups.len() >= self.groups_in_flight() {
                ended = self.after(groups.join_next().await, &shutdown).await;
                continue;
            }
            ended = tokio::select! {
                biased;
                () = shutdown.requested() => break,
                Some(joined) = groups.join_next(), if !groups.is_empty() => self.after(Some(joined), &shutdown).await,
                received = self.orders.receive(self.group()) => match received {
                    Ok(deliveries) => {
                        let (worker, stopping) = (Arc::clone(&self), shutdown.clone());
                        groups.spawn(async move { worker.handle(deliveries, &stopping).await });
                        Ok(())
                    }
                    Err(broker::Error::Closed) => break,
                    Err(error) => Err(error.into()),
                },
            };
        }
        while let Some(joined) = groups.join_next().await {
            let last = self.after(Some(joined), &shutdown).await;
            ended = ended.and(last);
        }
        ended
    }

    /// The run that was worked on last, for those who account for its requests.
    pub fn latest_run(&self) -> Option<RunId> {
        self.shifts.latest()
    }

    /// What comes after a group: a ledger that is away is waited for before more is taken on.
    async fn after(
        &self,
        joined: Option<Result<Result<(), Error>, tokio::task::JoinError>>,
        shutdown: &Shutdown,
    ) -> Result<(), Error> {
        match joined {
            None | Some(Ok(Ok(()))) => Ok(()),
            Some(Ok(Err(error))) if error.disposition() == Disposition::Retry => {
                tracing::warn!(error = %causes(&error), "the ledger is away; what was in hand comes again");
                tokio::select! {
                    () = shutdown.requested() => {}
                    () = self.ledger_again() => {}
                }
                Ok(())
            }
            Some(Ok(Err(error))) => Err(error),
            Some(Err(error)) => Err(Error::Group(error)),
        }
    }

    /// Waits until the ledger answers.
    async fn ledger_again(&self) {
        let mut attempt = 1;
        while self.ledger.paces().await.is_err() {
            tokio::time::sleep(AWAY.delay(attempt, 1.0)).await;
            attempt += 1;
        }
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

    /// Deliveries that this worker can have in hand: those it works on and as many to fill the next groups with.
    fn in_hand(&self) -> usize {
        (2 * GROUP * self.groups_in_flight()).max(LEAST_IN_HAND)
    }
}
