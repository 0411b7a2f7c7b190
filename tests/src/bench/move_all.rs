//! One whole migration by the services, from the datafile to the end of the run, and what each process spent on it.

use crate::rig::{Servers, spent};
use crate::synthetic::Synthetic;
use anyhow::{Context, ensure};
use harness::Tenant;
use serde_json::Value;
use sqlx::PgConnection;
use std::time::{Duration, Instant};

/// The extractor's few seconds are looked at closely, the minutes of the run are not.
const CLOSE_LOOK: Duration = Duration::from_millis(10);
const FAR_LOOK: Duration = Duration::from_millis(100);

/// What a migration took.
pub(crate) struct Outlay {
    pub(crate) users: f64,
    pub(crate) wall_s: f64,
    /// By process, the servers among them: CPU milliseconds, workers together.
    pub(crate) cpu_ms: Vec<(&'static str, f64)>,
    /// By process of the product: peak memory, of the largest worker.
    pub(crate) peak_mib: Vec<(&'static str, f64)>,
    /// Records that were accepted.
    pub(crate) accepted: f64,
    /// Entries in a final state, counted from the rows.
    pub(crate) settled: f64,
    /// The tenant's own counts.
    pub(crate) stats: Value,
}

impl Outlay {
    /// CPU milliseconds a user of everything but the tenant.
    pub(crate) fn cpu_ms_per_user(&self) -> f64 {
        self.cpu_ms.iter().map(|(_, ms)| ms).sum::<f64>() / self.users
    }

    /// CPU milliseconds a user of one process.
    pub(crate) fn by_process(&self) -> impl Iterator<Item = (&'static str, f64)> {
        self.cpu_ms.iter().map(|(name, ms)| (*name, ms / self.users))
    }
}

/// Moves everybody of a synthetic datafile by one coordinator and some workers.
pub(crate) async fn move_all(
    servers: &Servers,
    tenant: &Tenant,
    synthetic: &Synthetic,
    users: u32,
    workers: usize,
) -> anyhow::Result<Outlay> {
    let rig = servers.rig(tenant);
    let datafile = synthetic.datafile.display().to_string();
    let mut ledger = rig.ledger().await?;
    let before = servers.cpu_ms()?;
    let started = Instant::now();
    let coordinator = rig.fleet.coordinator();
    let workers = rig.workers(workers);
    let extractor = rig.cost(CLOSE_LOOK, &["serve", "extractor", "--datafile", &datafile, "--json"]).await?;
    rig.until_filed(&mut ledger).await?;
    let operator = rig.cost(FAR_LOOK, &["migrate", "--json"]).await?;
    let wall_s = started.elapsed().as_secs_f64();
    let (coordinating, working) = (spent([&coordinator])?, spent(&workers)?);
    let after = servers.cpu_ms()?;
    let end = rig.printed()?;
    let settled = settled(&mut ledger).await?;
    let accepted = end["accepted"].as_f64().context("the end of migrate")?;
    let counted: f64 = end["entries"].as_object().into_iter().flatten().filter_map(|(_, n)| n.as_f64()).sum();
    ensure!(counted == accepted, "migrate's entries do not add up: {end}");
    Ok(Outlay {
        users: f64::from(users),
        wall_s,
        cpu_ms: vec![
            ("extractor", extractor.cpu_ms),
            ("operator", operator.cpu_ms),
            ("coordinator", coordinating.cpu_ms),
            ("workers", working.cpu_ms),
            ("broker", after.broker - before.broker),
            ("database", after.database - before.database),
        ],
        peak_mib: [
            ("extractor", extractor.peak_kib),
            ("operator", operator.peak_kib),
            ("coordinator", coordinating.peak_kib),
            ("worker", working.peak_kib),
        ]
        .map(|(name, kib)| (name, kib / 1024.0))
        .to_vec(),
        accepted,
        settled,
        stats: tenant.stats(),
    })
}

/// Entries in a final state.
async fn settled(ledger: &mut PgConnection) -> anyhow::Result<f64> {
    let settled: i64 =
        sqlx::query_scalar("SELECT count(*) FROM entry WHERE state NOT IN ('waiting', 'claimed')")
            .fetch_one(ledger)
            .await?;
    Ok(settled as f64)
}
