//! The account of a run: what went over the wire for it, written down in the ledger as it goes, so that it outlives the
//! process.

use contract::RunId;
use graph::{Counts, Pace};
use ledger::{Ledger, RunTotals};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often the account is written: what a crash loses of it.
const EVERY: Duration = Duration::from_secs(2);

/// What was counted when the account was last written.
struct Written {
    counts: Counts,
    at: Instant,
}

/// The account of one process.
pub(crate) struct Meter {
    ledger: Arc<dyn Ledger>,
    pace: Pace,
    written: Mutex<Written>,
}

impl Meter {
    /// An account that begins now.
    pub(crate) fn new(ledger: Arc<dyn Ledger>, pace: Pace) -> Self {
        let written = Written { counts: pace.counts(), at: Instant::now() };
        Self { ledger, pace, written: Mutex::new(written) }
    }

    /// Writes down, on this run's account, what came since the last time. `seconds` are those of the process that drives
    /// the run; workers beside it take the same time and not more of it.
    pub(crate) async fn account(&self, run: RunId) -> Result<(), ledger::Error> {
        self.write(run, true).await
    }

    /// As `account`, for a worker beside the one that drives.
    pub(crate) async fn account_calls(&self, run: RunId) -> Result<(), ledger::Error> {
        self.write(run, false).await
    }

    async fn write(&self, run: RunId, with_time: bool) -> Result<(), ledger::Error> {
        let counts = self.pace.counts();
        let now = Instant::now();
        let add = {
            let written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
            RunTotals {
                requests: counts.requests.saturating_sub(written.counts.requests),
                writes: counts.writes.saturating_sub(written.counts.writes),
                throttled: counts.throttled.saturating_sub(written.counts.throttled),
                seconds: if with_time { (now - written.at).as_secs_f64() } else { 0.0 },
            }
        };
        if add != RunTotals::default() {
            self.ledger.add_totals(run, &add).await?;
        }
        *self.written.lock().unwrap_or_else(PoisonError::into_inner) = Written { counts, at: now };
        Ok(())
    }

    /// Keeps the account of a run until it is dropped.
    pub(crate) async fn keep_account(&self, run: RunId) -> Infallible {
        loop {
            tokio::time::sleep(EVERY).await;
            if let Err(error) = self.account(run).await {
                tracing::warn!(%error, "the account of the run lags behind");
            }
        }
    }
}
