//! How much of a quota of 100 writes a second the way back uses with 1, 4 and 16 workers, whom nobody told of it.
//!
//! Everybody is moved forward in a tenant without throttle; the way back is walked in another one that begins with what the
//! first one came to, and has the quota. The window is that of `fleet`.

use crate::figures::Report;
use crate::migrate::count;
use crate::options::Options;
use crate::pace::Window;
use crate::rig::{Rig, Servers};
use crate::synthetic::Synthetic;
use anyhow::bail;
use harness::Tenant;
use std::time::{Duration, Instant};

/// Enough for the warm-up, the window and more, also where a user needs one write alone.
const USERS: u32 = 60_000;
const WORKERS: [u32; 3] = [1, 4, 16];
/// Workers of the way forward, which nobody measures.
const FORWARD: usize = 2;
const THROTTLE: [&str; 2] = ["--throttle", "writes=100/5"];
const WRITES_PER_S: f64 = 100.0;
const WARM_UP_S: u64 = 120;
const WINDOW_S: u64 = 300;
/// How often somebody is looked at who runs for minutes.
const LOOK: Duration = Duration::from_millis(200);
/// By then the first write of the way back has been seen.
const PREPARED_WITHIN: Duration = Duration::from_secs(600);

/// What the tenants counted, by workers.
pub(crate) struct Quota {
    met: Vec<(u32, Window)>,
}

impl Quota {
    /// Tells it in a report: the worst of all is judged.
    pub(crate) fn told_in(&self, mut report: Report) -> Report {
        let all = || self.met.iter().map(|(_, window)| window);
        let least = all().map(|w| w.utilisation(WRITES_PER_S)).fold(f64::INFINITY, f64::min);
        let early: f64 = all().map(|w| count(&w.after, "earlyRetries")).sum();
        report = report.at_least("utilisation", least, 0.95);
        for (workers, window) in &self.met {
            report = report
                .told(format!("utilisation_{workers}"), window.utilisation(WRITES_PER_S))
                .told(format!("rejected_share_{workers}"), window.rejected_share())
                .told(format!("window_s_{workers}"), window.seconds());
        }
        report.told("early_retries", early)
    }
}

/// Measures each number of workers with a ledger and tenants of its own.
pub(crate) async fn measure(options: &Options) -> anyhow::Result<Quota> {
    let synthetic = Synthetic::users(options.users(USERS))?;
    let servers = Servers::start();
    let window = Duration::from_secs(options.seconds(WINDOW_S));
    // Learning takes a number of onsets; a shorter window is for trying out, and shall not wait longer than it lasts.
    let warm_up = Duration::from_secs(WARM_UP_S).min(2 * window);
    let mut met = Vec::new();
    for workers in options.sizes(&WORKERS) {
        met.push((workers, one(&servers, &synthetic, workers, warm_up, window).await?));
    }
    Ok(Quota { met })
}

async fn one(
    servers: &Servers,
    synthetic: &Synthetic,
    workers: u32,
    warm_up: Duration,
    window: Duration,
) -> anyhow::Result<Window> {
    let ahead = Tenant::start(&synthetic.tenant, &[]);
    let mut rig = servers.rig(&ahead);
    let datafile = synthetic.datafile.display().to_string();
    let mut services = rig.workers(FORWARD);
    services.push(rig.fleet.coordinator());
    rig.cost(LOOK, &["migrate", "--datafile", &datafile, "--json"]).await?;
    for service in services {
        service.stop();
    }
    let tenant = Tenant::with(&ahead.state(), &THROTTLE);
    drop(ahead);
    rig.graph_by(&tenant);
    walk_back(&rig, &tenant, usize::try_from(workers)?, warm_up, window).await
}

async fn walk_back(
    rig: &Rig,
    tenant: &Tenant,
    workers: usize,
    warm_up: Duration,
    window: Duration,
) -> anyhow::Result<Window> {
    let _services = (rig.workers(workers), rig.fleet.coordinator());
    let mut operator = rig.fleet.site.start(&["rollback", "--all", "--json"]);
    let started = Instant::now();
    while count(&tenant.stats(), "writes") < 1.0 {
        if started.elapsed() > PREPARED_WITHIN || operator.has_ended() {
            let outcome = operator.kill();
            bail!(
                "no write was seen; rollback said {}; the services said:\n{}",
                outcome.err,
                rig.fleet.said()
            );
        }
        tokio::time::sleep(LOOK).await;
    }
    tokio::time::sleep(warm_up).await;
    let before = tenant.stats();
    tokio::time::sleep(window).await;
    let after = tenant.stats();
    let has_ended = operator.has_ended();
    let outcome = operator.kill();
    if has_ended {
        bail!("rollback ended within the window: {} {}", outcome.out, outcome.err);
    }
    Ok(Window { before, after })
}
