//! `intake`: the coordinator files a queue that is full, from the first record on file until the snapshot is complete,
//! against the slower of bare consuming and bare COPY of the same rows. Neither side's clock counts its connecting, and
//! each begins when the servers have done with what went before.

use crate::bare;
use crate::figures::{Report, median};
use crate::options::Options;
use crate::rig::{Servers, spent};
use crate::synthetic::Synthetic;
use harness::Tenant;
use serde_json::json;
use std::time::{Duration, Instant};

const USERS: u32 = 200_000;
const ROUNDS: usize = 3;
const LOOK: Duration = Duration::from_millis(10);

pub(crate) async fn measure(options: &Options) -> anyhow::Result<Report> {
    let synthetic = Synthetic::users(options.users(USERS))?;
    let tenant = Tenant::with(&json!({ "users": [] }), &[]);
    let servers = Servers::start();
    let datafile = synthetic.datafile.display().to_string();
    let args = ["serve", "extractor", "--datafile", &datafile, "--json"];
    let (mut ratios, mut rates) = (Vec::new(), Vec::new());
    let (mut consume_rates, mut copy_rates) = (Vec::new(), Vec::new());
    let (mut cpu, mut broker_cpu, mut database_cpu) = (Vec::new(), Vec::new(), Vec::new());
    let mut peak_kib: f64 = 0.0;
    for _ in 0..options.rounds(ROUNDS) {
        let rig = servers.rig(&tenant);
        rig.cost(LOOK, &args).await?;
        servers.rest().await?;
        let drained = bare::drain(&rig.fleet.broker).await?;
        let messages = drained.shapes.len() as f64;
        rig.cost(LOOK, &args).await?;
        let mut ledger = rig.ledger().await?;
        servers.rest().await?;
        let before = servers.cpu_ms()?;
        let coordinator = rig.fleet.coordinator();
        let (begun, started) = (rig.first_filed(&mut ledger).await?, Instant::now());
        rig.until_filed(&mut ledger).await?;
        let product = (messages - begun) / started.elapsed().as_secs_f64();
        let (cost, after) = (spent([&coordinator])?, servers.cpu_ms()?);
        drop(coordinator);
        servers.rest().await?;
        let copied = bare::copy(&mut ledger).await?;
        ratios.push(product / drained.per_s.min(copied));
        rates.push(product);
        consume_rates.push(drained.per_s);
        copy_rates.push(copied);
        cpu.push(cost.cpu_ms / messages);
        broker_cpu.push((after.broker - before.broker) / messages);
        database_cpu.push((after.database - before.database) / messages);
        peak_kib = peak_kib.max(cost.peak_kib);
    }
    Ok(Report::new("intake")
        .at_least("ratio", median(ratios), 0.5)
        .told("records_per_s", median(rates))
        .told("bare_consume_per_s", median(consume_rates))
        .told("bare_copy_per_s", median(copy_rates))
        .told("coordinator_ms_per_record", median(cpu))
        .told("broker_ms_per_record", median(broker_cpu))
        .told("database_ms_per_record", median(database_cpu))
        .told("peak_mib", peak_kib / 1024.0))
}
