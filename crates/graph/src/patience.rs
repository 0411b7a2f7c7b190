//! How long a read is tried: the one place where reads are retried, so that no other crate does.
//!
//! A throttle is no attempt (the pace holds the caller), but waiting for throttles has an end too.

use crate::{Error, Held};
use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use contract::Disposition;
use std::time::Duration;
use tokio::time::Instant;

/// Attempts that fail for other reasons than a throttle: the first and seven more.
const RETRIES: usize = 7;
/// Longest wait between them.
const LONGEST_WAIT: Duration = Duration::from_secs(20);
/// Longest time that throttles may delay one read.
const THROTTLED_AT_MOST: Duration = Duration::from_secs(600);

pub(crate) struct Patience {
    waits: ExponentialBackoff,
    ends: Instant,
    /// The operator knows that Graph cannot be reached.
    told: bool,
}

impl Patience {
    pub(crate) fn new() -> Self {
        let waits = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(200))
            .with_max_delay(LONGEST_WAIT)
            .with_max_times(RETRIES)
            .with_jitter()
            .build();
        Self { waits, ends: Instant::now() + THROTTLED_AT_MOST, told: false }
    }

    /// When the pace must have let the read go at the latest.
    pub(crate) fn ends(&self) -> Instant {
        self.ends
    }

    /// The error of quota that cannot be had in time.
    pub(crate) fn held(held: Held) -> Error {
        Error::Throttled { after: held.until.saturating_duration_since(Instant::now()) }
    }

    /// Waits before the next attempt; gives the error back when there shall be none.
    pub(crate) async fn after(&mut self, error: Error) -> Result<(), Error> {
        match error.disposition() {
            // Quota that comes after the end is not waited for by asking until then: the answer would come at once each time.
            Disposition::Snooze { after } => {
                let left = self.ends.saturating_duration_since(Instant::now());
                if !left.is_zero() && after <= left { Ok(()) } else { Err(error) }
            }
            Disposition::Retry => match self.waits.next() {
                Some(wait) => {
                    if matches!(error, Error::Connect(_)) && !self.told {
                        self.told = true;
                        tracing::warn!(%error, "graph cannot be reached; it is tried again for half a minute");
                    }
                    tokio::time::sleep(wait).await;
                    Ok(())
                }
                None => Err(error),
            },
            Disposition::Park { .. } | Disposition::Stop => Err(error),
        }
    }
}
