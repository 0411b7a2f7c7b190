//! `fleet`: how much of a quota of 100 writes a second is used by 1, 4 and 16 workers together, whom nobody told of it.
//!
//! Beside each, in the same minutes and against tenants of their own: as many workers each with AIMD for itself, and calls
//! that each wait out their own `Retry-After`. The window begins at most two minutes after the first write; early retries
//! are counted from the first call on.

use crate::aimd::Aimd;
use crate::figures::Report;
use crate::migrate::count;
use crate::naive::Naive;
use crate::options::Options;
use crate::pace::Window;
use crate::rig::{Servers, spent};
use crate::synthetic::Synthetic;
use anyhow::bail;
use harness::Tenant;
use std::time::{Duration, Instant};

/// Enough for the warm-up, the window and more, also where a user needs one write alone.
const USERS: u32 = 60_000;
const WORKERS: [u32; 3] = [1, 4, 16];
const THROTTLE: [&str; 2] = ["--throttle", "writes=100/5"];
const WRITES_PER_S: f64 = 100.0;
const WARM_UP_S: u64 = 120;
const WINDOW_S: u64 = 300;
/// By then the users are on file and the first write has been seen.
const PREPARED_WITHIN: Duration = Duration::from_secs(600);

pub(crate) async fn measure(options: &Options) -> anyhow::Result<Report> {
    let synthetic = Synthetic::users(options.users(USERS))?;
    let servers = Servers::start();
    let window = Duration::from_secs(options.seconds(WINDOW_S));
    // Learning takes a number of onsets; a shorter window is for trying out, and shall not wait longer than it lasts.
    let warm_up = Duration::from_secs(WARM_UP_S).min(2 * window);
    let mut report =
        Report::new("fleet").told("window_s", window.as_secs_f64()).told("warm_up_s", warm_up.as_secs_f64());
    let mut worst_share: f64 = 0.0;
    let mut early = 0.0;
    for workers in options.sizes(&WORKERS) {
        let met = one(&servers, &synthetic, workers, warm_up, window).await?;
        worst_share = worst_share.max(met.ours.rejected_share());
        early += count(&met.ours.after, "earlyRetries");
        report = report
            .at_least(format!("utilisation_{workers}"), met.ours.utilisation(WRITES_PER_S), 0.95)
            .told(format!("rejected_share_{workers}"), met.ours.rejected_share())
            .told(format!("rejected_in_warm_up_{workers}"), count(&met.ours.before, "throttled"))
            .told(format!("worker_cpu_share_{workers}"), met.cpu_share)
            .told(format!("aimd_utilisation_{workers}"), met.aimd.utilisation(WRITES_PER_S))
            .told(format!("aimd_rejected_share_{workers}"), met.aimd.rejected_share())
            .told(format!("aimd_early_retries_{workers}"), count(&met.aimd.after, "earlyRetries"))
            .told(format!("naive_utilisation_{workers}"), met.naive.utilisation(WRITES_PER_S))
            .told(format!("naive_rejected_share_{workers}"), met.naive.rejected_share())
            .told(format!("naive_early_retries_{workers}"), count(&met.naive.after, "earlyRetries"));
    }
    Ok(report.at_most("rejected_share", worst_share, 0.001).at_most("early_retries", early, 0.0))
}

/// What three tenants counted in the same window.
struct Met {
    ours: Window,
    aimd: Window,
    naive: Window,
    /// CPU of all workers and the coordinator, of one core.
    cpu_share: f64,
}

async fn one(
    servers: &Servers,
    synthetic: &Synthetic,
    workers: u32,
    warm_up: Duration,
    window: Duration,
) -> anyhow::Result<Met> {
    let tenant = Tenant::start(&synthetic.tenant, &THROTTLE);
    let aimd_tenant = Tenant::with(&Naive::state(), &THROTTLE);
    let naive_tenant = Tenant::with(&Naive::state(), &THROTTLE);
    let rig = servers.rig(&tenant);
    let workers = usize::try_from(workers)?;
    let mut services = rig.workers(workers);
    services.push(rig.fleet.coordinator());
    let datafile = synthetic.datafile.display().to_string();
    let mut operator = rig.fleet.site.start(&["migrate", "--datafile", &datafile, "--json"]);

    let started = Instant::now();
    while count(&tenant.stats(), "writes") < 1.0 {
        if started.elapsed() > PREPARED_WITHIN || operator.has_ended() {
            let outcome = operator.kill();
            bail!(
                "no write was seen; migrate said {}; the services said:\n{}",
                outcome.err,
                rig.fleet.said()
            );
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let aimd = Aimd::start(&aimd_tenant.url, workers)?;
    let naive = Naive::start(&naive_tenant.url)?;
    tokio::time::sleep(warm_up).await;
    let before = [&tenant, &aimd_tenant, &naive_tenant].map(Tenant::stats);
    let spent_before = spent(&services)?;
    tokio::time::sleep(window).await;
    let after = [&tenant, &aimd_tenant, &naive_tenant].map(Tenant::stats);
    let cpu_ms = spent(&services)?.cpu_ms - spent_before.cpu_ms;
    drop((aimd, naive));
    let has_ended = operator.has_ended();
    let outcome = operator.kill();
    if has_ended {
        bail!("migrate ended within the window: {} {}", outcome.out, outcome.err);
    }
    let [ours, aimd, naive] = pairs(before, after);
    Ok(Met { ours, aimd, naive, cpu_share: cpu_ms / window.as_secs_f64() / 1000.0 })
}

fn pairs<const N: usize>(before: [serde_json::Value; N], after: [serde_json::Value; N]) -> [Window; N] {
    let mut after = after.into_iter();
    before.map(|before| Window { before, after: after.next().unwrap_or_default() })
}
