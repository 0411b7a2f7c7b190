//! `growth`: the same journey with ever more users, against a tenant whose throttle is scaled up in time. What a user costs
//! in CPU and what a process holds in memory must not depend on how many there are.

use crate::figures::Report;
use crate::move_all::{Outlay, move_all};
use crate::options::Options;
use crate::rig::Servers;
use crate::synthetic::Synthetic;
use anyhow::Context;
use harness::Tenant;

const SIZES: [u32; 4] = [10_000, 50_000, 200_000, 500_000];
const WORKERS: usize = 2;
/// Graph's 3,000 writes in 150 s, 250 times as fast.
const THROTTLE: [&str; 2] = ["--throttle", "writes=5000/5"];
/// What a process may hold more with the largest size than with the smallest: so many MiB, or such a share.
const GROWTH_MIB: f64 = 16.0;
const GROWTH_SHARE: f64 = 0.15;

pub(crate) async fn measure(options: &Options) -> anyhow::Result<Report> {
    let mut all: Vec<(u32, Outlay)> = Vec::new();
    for users in options.sizes(&SIZES) {
        let synthetic = Synthetic::users(users)?;
        let tenant = Tenant::start(&synthetic.tenant, &THROTTLE);
        // Of its own, so that nothing of the size before is left to tidy up.
        let servers = Servers::start();
        all.push((users, move_all(&servers, &tenant, &synthetic, users, WORKERS).await?));
    }
    let (_, first) = all.first().context("no sizes")?;
    let (_, last) = all.last().context("no sizes")?;
    let worst = first
        .peak_mib
        .iter()
        .zip(&last.peak_mib)
        .map(|((_, small), (_, large))| (large - small, GROWTH_MIB.max(small * GROWTH_SHARE)))
        .max_by(|(a, may_a), (b, may_b)| (a - may_a).total_cmp(&(b - may_b)))
        .context("no processes")?;
    let mut report = Report::new("growth")
        .at_most("cpu_ratio", last.cpu_ms_per_user() / first.cpu_ms_per_user(), 1.15)
        .at_most("peak_mib_growth", worst.0, worst.1)
        .at_least("settled", last.settled, last.accepted)
        .told("users", last.users);
    for (users, outlay) in &all {
        report = report
            .told(format!("cpu_ms_per_user_{users}"), outlay.cpu_ms_per_user())
            .told(format!("users_per_s_{users}"), outlay.users / outlay.wall_s);
        for (name, ms) in outlay.by_process() {
            report = report.told(format!("{name}_ms_per_user_{users}"), ms);
        }
        for (name, mib) in &outlay.peak_mib {
            report = report.told(format!("{name}_peak_mib_{users}"), *mib);
        }
    }
    Ok(report)
}
