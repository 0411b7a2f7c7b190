//! The coordinator: files a snapshot in the ledger, reads the directory, freezes a run's users, releases their orders,
//! keeps checkpoints, and knows when a run is done.
//!
//! It never touches Entra itself beyond reading the directory, and keeps no count beside the rows: after a crash the
//! same calls go on where the ledger says they stopped.

mod batches;
mod directory;
mod error;
mod forecast;
mod gate;
mod in_step;
mod intake;
mod overview;
mod release;
mod rollout;
mod serve;
mod traces;

pub use batches::{Selected, Sources};
pub use error::Error;
pub use forecast::{Forecast, buckets, settled_of};
pub use overview::{Watch, Watched};
pub use release::Released;

use broker::Queue;
use contract::{FingerprintKey, Sealer, SnapshotId};
use ledger::Ledger;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

/// A coordinator over one ledger. Clones are the same coordinator.
#[derive(Clone)]
pub struct Coordinator {
    ledger: Arc<dyn Ledger>,
    sealer: Sealer,
    keys: FingerprintKey,
    /// Snapshots whose filing this process has begun: a page more of them need not ask again.
    begun: Arc<Mutex<BTreeSet<SnapshotId>>>,
}

impl Coordinator {
    /// A coordinator.
    pub fn new(ledger: Arc<dyn Ledger>, sealer: Sealer, keys: FingerprintKey) -> Self {
        Self { ledger, sealer, keys, begun: Arc::default() }
    }
}

/// What a run is driven with: where orders go, and how long a page may take before it is released again.
#[derive(Clone)]
pub struct Channel {
    /// The work queue.
    pub orders: Arc<dyn Queue>,
    /// Age at which a released entry that nobody claimed is released again.
    pub stale_after: std::time::Duration,
    /// How long after its end a lease is still respected: the holder may have a request under way.
    pub grace: std::time::Duration,
    /// How long a request of the staged rollout may still land, or not show.
    pub horizon: std::time::Duration,
    /// The wall clock, in milliseconds since 1970 UTC: windows are about people's nights, not about leases.
    pub now_ms: fn() -> i64,
}
