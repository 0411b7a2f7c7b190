//! `control`: how long after `batch pause` has ended the tenant still counts writes, with 16 workers under a throttle.
//!
//! The pause is in force when its command ends; the last write started is bracketed by looks at the tenant.

use crate::figures::Report;
use crate::migrate::count;
use crate::options::Options;
use crate::rig::Servers;
use crate::synthetic::Synthetic;
use harness::Tenant;
use std::time::{Duration, Instant};

const USERS: u32 = 5_000;
const WORKERS: usize = 16;
const THROTTLE: [&str; 2] = ["--throttle", "writes=100/5"];
/// How often the tenant is asked.
const LOOK: Duration = Duration::from_millis(20);
/// Without a write for so long, none comes any more.
const QUIET: Duration = Duration::from_secs(5);
/// Writes before the pause.
const UNDER_WAY: f64 = 1_000.0;

pub(crate) async fn measure(options: &Options) -> anyhow::Result<Report> {
    let synthetic = Synthetic::users(options.users(USERS))?;
    let tenant = Tenant::start(&synthetic.tenant, &THROTTLE);
    let servers = Servers::start();
    let rig = servers.rig(&tenant);
    let mut ledger = rig.ledger().await?;
    let datafile = synthetic.datafile.display().to_string();
    let _services = (rig.fleet.coordinator(), rig.workers(WORKERS));
    rig.cost(LOOK, &["serve", "extractor", "--datafile", &datafile, "--json"]).await?;
    rig.until_filed(&mut ledger).await?;
    // It ends with the pause, by an exit code of its own.
    let following = rig.fleet.site.start(&["migrate", "--json"]);
    let pausing = async {
        while count(&tenant.stats(), "writes") < UNDER_WAY {
            tokio::time::sleep(LOOK).await;
        }
        let begun = Instant::now();
        rig.fleet.site.run(&["batch", "pause", "all", "--why", "bench"]).expect(&[0]);
        let paused = Instant::now();
        let (mut writes, mut last) = (count(&tenant.stats(), "writes"), paused);
        while last.elapsed() < QUIET {
            tokio::time::sleep(LOOK).await;
            let now = count(&tenant.stats(), "writes");
            if now > writes {
                (writes, last) = (now, Instant::now());
            }
        }
        (paused - begun, last - paused, last - begun)
    };
    let (command, after, in_all) = pausing.await;
    following.wait().expect(&[4]);
    Ok(Report::new("control")
        .at_most("seconds", in_all.as_secs_f64(), 2.0)
        .told("seconds_of_the_command", command.as_secs_f64())
        .told("seconds_after_the_command", after.as_secs_f64())
        .told("workers", WORKERS as f64))
}
