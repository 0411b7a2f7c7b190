//! `migrate`: 20,000 users into an empty ledger and a tenant without throttle or faults, in a process of its own.
//!
//! Requests, writes and round trips are the tenant's own count, so that the product's word is not needed.

use crate::figures::Report;
use crate::process;
use crate::synthetic::Synthetic;
use harness::Tenant;
use serde_json::Value;

const USERS: u32 = 20_000;

pub(crate) async fn measure() -> anyhow::Result<Report> {
    let synthetic = Synthetic::users(USERS)?;
    let tenant = Tenant::start(&synthetic.tenant, &[]);
    let folder = tempfile::tempdir()?;
    let datafile = synthetic.datafile.display().to_string();
    let before = tenant.stats();
    let cost = process::cost(
        folder.path(),
        &["migrate", "--datafile", &datafile, "--json"],
        &[("MFA_MIGRATE_GRAPH_URL", &tenant.url), ("MFA_MIGRATE_GRAPH_TOKEN", "bench")],
        &[0, 3],
    )
    .await?;
    let after = tenant.stats();
    let grown = |name: &str| count(&after, name) - count(&before, name);
    let users = f64::from(USERS);
    let writes_per_user = grown("writes") / users;
    Ok(Report::new("migrate")
        .at_most("round_trips_per_user", grown("roundTrips") / users, 0.5)
        .at_most("requests_per_user", grown("requests") / users, 2.2 + writes_per_user)
        .told("writes_per_user", writes_per_user)
        .told("requests_per_user_over_writes", grown("requests") / users - writes_per_user)
        .at_most("cpu_ms_per_user", cost.cpu_ms / users, 0.5)
        .told("users_per_s", users / cost.wall_s)
        .told("tenant_idle_share", 1.0 - grown("busyMs") / 1000.0 / cost.wall_s)
        .told("peak_mib", cost.peak_kib / 1024.0))
}

/// A counter of the tenant's statistics.
pub(crate) fn count(stats: &Value, name: &str) -> f64 {
    stats[name].as_f64().unwrap_or_default()
}
