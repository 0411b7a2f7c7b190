//! `publish`: the extractor, from its start to its end, against a bare publisher of messages of the same sizes, with the
//! same window and confirms, in turns.

use crate::bare;
use crate::figures::{Report, median};
use crate::options::Options;
use crate::rig::Servers;
use crate::synthetic::Synthetic;
use harness::Tenant;
use serde_json::json;
use std::time::Duration;

const USERS: u32 = 200_000;
/// Extractor and bare publisher take turns, so that a slow moment of the machine meets both.
const ROUNDS: usize = 3;
const LOOK: Duration = Duration::from_millis(10);

pub(crate) async fn measure(options: &Options) -> anyhow::Result<Report> {
    let synthetic = Synthetic::users(options.users(USERS))?;
    // The extractor knows no tenant; a site has one.
    let tenant = Tenant::with(&json!({ "users": [] }), &[]);
    let servers = Servers::start();
    let rig = servers.rig(&tenant);
    let datafile = synthetic.datafile.display().to_string();
    let args = ["serve", "extractor", "--datafile", &datafile, "--json"];
    let (mut ratios, mut rates, mut bare_rates) = (Vec::new(), Vec::new(), Vec::new());
    let (mut peaks, mut cpu) = (Vec::new(), Vec::new());
    // The first tells the sizes, and counts for nobody.
    rig.cost(LOOK, &args).await?;
    let shapes = bare::drain(&rig.fleet.broker).await?.shapes;
    let messages = shapes.len() as f64;
    for _ in 0..options.rounds(ROUNDS) {
        let bare = bare::publish(&rig.fleet.broker, &shapes).await?;
        bare::delete(&rig.fleet.broker).await?;
        let cost = rig.cost(LOOK, &args).await?;
        bare::delete(&rig.fleet.broker).await?;
        let product = messages / cost.wall_s;
        ratios.push(product / bare);
        rates.push(product);
        bare_rates.push(bare);
        peaks.push(cost.peak_kib / 1024.0);
        cpu.push(cost.cpu_ms / messages);
    }
    Ok(Report::new("publish")
        .at_least("ratio", median(ratios), 0.7)
        .at_most("peak_mib", peaks.into_iter().fold(0.0, f64::max), 64.0)
        .told("messages", messages)
        .told("messages_per_s", median(rates))
        .told("bare_messages_per_s", median(bare_rates))
        .told("extractor_ms_per_message", median(cpu)))
}
