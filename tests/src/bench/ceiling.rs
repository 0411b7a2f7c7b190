//! `ceiling`: two workers and a tenant without throttle. CPU a user of all processes together, broker and database
//! included and the tenant not, and how many users a second that makes on this machine.

use crate::figures::Report;
use crate::migrate::count;
use crate::move_all::move_all;
use crate::options::Options;
use crate::rig::Servers;
use crate::synthetic::Synthetic;
use harness::Tenant;

const USERS: u32 = 20_000;
const WORKERS: usize = 2;

pub(crate) async fn measure(options: &Options) -> anyhow::Result<Report> {
    let users = options.users(USERS);
    let synthetic = Synthetic::users(users)?;
    let tenant = Tenant::start(&synthetic.tenant, &[]);
    let servers = Servers::start();
    let outlay = move_all(&servers, &tenant, &synthetic, users, WORKERS).await?;
    let mut report = Report::new("ceiling")
        .at_most("cpu_ms_per_user", outlay.cpu_ms_per_user(), 1.5)
        .at_least("settled", outlay.settled, outlay.accepted)
        .told("users_per_s", outlay.users / outlay.wall_s)
        .told("writes_per_user", count(&outlay.stats, "writes") / outlay.users)
        .told("round_trips_per_user", count(&outlay.stats, "roundTrips") / outlay.users);
    for (name, ms) in outlay.by_process() {
        report = report.told(format!("{name}_ms_per_user"), ms);
    }
    for (name, mib) in outlay.peak_mib {
        report = report.told(format!("{name}_peak_mib"), mib);
    }
    Ok(report)
}
