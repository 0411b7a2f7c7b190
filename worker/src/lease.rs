//! The lease of a group of claims, measured on our own monotonic clock from before the claim.
//!
//! A Graph write starts only while the lease would outlast it: `now + request timeout + skew < lease end`.

use crate::case::Case;
use crate::shift::Shift;
use crate::{Error, Settings};
use std::time::Duration;
use tokio::time::Instant;

/// How long we may go on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lease {
    since: Instant,
    length: Duration,
    margin: Duration,
}

impl Lease {
    /// A lease that was asked for at `since`.
    pub(crate) fn new(since: Instant, settings: &Settings) -> Self {
        Self { since, length: settings.lease, margin: settings.request_timeout + settings.skew }
    }

    /// No write may start after this.
    pub(crate) fn not_after(&self) -> Instant {
        self.since + self.length.saturating_sub(self.margin)
    }
}

impl Shift {
    /// Renews a lease of which half is used up. Users that are no longer ours are dropped: another worker has them, and
    /// finds what we did by reading.
    pub(crate) async fn renew(&self, lease: &mut Lease, cases: &mut Vec<Case>) -> Result<(), Error> {
        if cases.is_empty() || lease.since.elapsed() < lease.length / 2 {
            return Ok(());
        }
        let since = Instant::now();
        let held: Vec<(i64, i64)> = cases.iter().map(|c| (c.claim.ordinal, c.claim.epoch)).collect();
        let renewing = self.ledger.renew(self.assignment.run, &held, lease.length);
        let ours = telemetry::ledger_operation("renew", renewing).await?;
        cases.retain(|c| ours.contains(&c.claim.ordinal));
        lease.since = since;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_that_could_outlast_the_lease_does_not_start() {
        let settings = Settings::default();
        let since = Instant::now();
        let lease = Lease::new(since, &settings);
        assert_eq!(lease.not_after() + settings.request_timeout + settings.skew, since + settings.lease);
    }
}
