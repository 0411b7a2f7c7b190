//! `pace`: how much of a quota of 50 writes a second is used when nobody told us of it, and what a client makes of the
//! same quota where each call waits out its own `Retry-After`.
//!
//! Both run at the same time, each against a tenant of its own, and are judged by their tenant's counts over the same
//! window after the same warm-up. Early retries are counted from the first call on.

use crate::figures::Report;
use crate::migrate::count;
use crate::naive::Naive;
use crate::synthetic::Synthetic;
use anyhow::bail;
use harness::{Site, Tenant};
use serde_json::Value;
use std::time::Duration;

/// Enough for the warm-up, the window and more at 50 writes a second, also where a user needs one write alone.
const USERS: u32 = 12_000;
const THROTTLE: [&str; 2] = ["--throttle", "writes=50/5"];
const WRITES_PER_S: f64 = 50.0;
const WARM_UP: Duration = Duration::from_secs(60);
const WINDOW: Duration = Duration::from_secs(150);

pub(crate) async fn measure() -> anyhow::Result<Report> {
    let synthetic = Synthetic::users(USERS)?;
    let tenant = Tenant::start(&synthetic.tenant, &THROTTLE);
    let naive_tenant = Tenant::with(&Naive::state(), &THROTTLE);
    let site = Site::at(&tenant.url);
    let datafile = synthetic.datafile.display().to_string();
    let naive = Naive::start(&naive_tenant.url)?;
    let mut product = site.start(&["migrate", "--datafile", &datafile, "--json"]);

    tokio::time::sleep(WARM_UP).await;
    let (before, naive_before) = (tenant.stats(), naive_tenant.stats());
    tokio::time::sleep(WINDOW).await;
    let (after, naive_after) = (tenant.stats(), naive_tenant.stats());
    let has_ended = product.has_ended();
    drop(naive);
    let outcome = product.kill();
    if has_ended {
        bail!("the product ended within the window: {}", outcome.err);
    }
    let ours = Window { before, after };
    let theirs = Window { before: naive_before, after: naive_after };
    Ok(Report::new("pace")
        .at_least("utilisation", ours.utilisation(WRITES_PER_S), 0.95)
        .at_most("rejected_share", ours.rejected_share(), 0.005)
        .at_most("early_retries", count(&ours.after, "earlyRetries"), 0.0)
        .told("window_s", ours.seconds())
        .told("rejected_in_warm_up", count(&ours.before, "throttled"))
        .told("naive_utilisation", theirs.utilisation(WRITES_PER_S))
        .told("naive_rejected_share", theirs.rejected_share())
        .told("naive_early_retries", count(&theirs.after, "earlyRetries")))
}

/// A tenant's counts at both ends of the window.
pub(crate) struct Window {
    pub(crate) before: Value,
    pub(crate) after: Value,
}

impl Window {
    fn grown(&self, name: &str) -> f64 {
        count(&self.after, name) - count(&self.before, name)
    }

    /// By the tenant's own clock.
    pub(crate) fn seconds(&self) -> f64 {
        self.grown("uptimeMs") / 1000.0
    }

    /// Writes that were let in, of what the tenant gave. A window's ends may cut the bucket full or empty: 5 s of all.
    pub(crate) fn utilisation(&self, writes_per_s: f64) -> f64 {
        self.grown("writes") / (writes_per_s * self.seconds())
    }

    /// Reads are never throttled here, so what was throttled are writes.
    pub(crate) fn rejected_share(&self) -> f64 {
        let rejected = self.grown("throttled");
        rejected / (rejected + self.grown("writes")).max(1.0)
    }
}
