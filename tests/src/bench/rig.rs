//! What the benches of the services stand on: a broker and a database of their own, and services between them.
//!
//! The services run with the product's own settings, not with the short limits of the tests.

use crate::process::{self, Cost};
use anyhow::{Context, bail};
use harness::services::{Postgres, Rabbit};
use harness::{Fleet, Service, Tenant};
use sqlx::{Connection, Executor, PgConnection, SqlSafeStr};
use std::time::{Duration, Instant};

/// Something that should happen has not, by then.
const PATIENCE: Duration = Duration::from_secs(600);
/// SQLSTATE of a table that the product has not made yet.
const NO_SUCH_TABLE: &str = "42P01";
/// How often the ledger is asked for what gives no signal.
const LOOK: Duration = Duration::from_millis(100);
/// The same, where a clock starts.
const CLOSE_LOOK: Duration = Duration::from_millis(5);
/// Servers rest when they use less than this share of a core for so long; it is waited for so often.
const REST: Duration = Duration::from_millis(500);
const IDLE_SHARE: f64 = 0.1;
const MOMENTS_OF_REST: u32 = 120;

/// A private broker and a private database server.
pub(crate) struct Servers {
    pub(crate) broker: Rabbit,
    pub(crate) database: Postgres,
}

/// CPU milliseconds of both servers, with everything they forked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ServersCpu {
    pub(crate) broker: f64,
    pub(crate) database: f64,
}

impl Servers {
    pub(crate) fn start() -> Self {
        Self { broker: Rabbit::start(), database: Postgres::start() }
    }

    pub(crate) fn cpu_ms(&self) -> anyhow::Result<ServersCpu> {
        Ok(ServersCpu {
            broker: process::tree_cpu_ms(self.broker.id())?,
            database: process::tree_cpu_ms(self.database.id())?,
        })
    }

    /// Waits until both servers have as good as nothing to do.
    pub(crate) async fn rest(&self) -> anyhow::Result<()> {
        let mut before = self.cpu_ms()?;
        for _ in 0..MOMENTS_OF_REST {
            tokio::time::sleep(REST).await;
            let now = self.cpu_ms()?;
            let spent = now.broker + now.database - before.broker - before.database;
            if spent < REST.as_secs_f64() * 1_000.0 * IDLE_SHARE {
                return Ok(());
            }
            before = now;
        }
        bail!("the servers do not come to rest")
    }

    /// A virtual host and a database that nobody used, with nothing started yet.
    pub(crate) fn rig(&self, tenant: &Tenant) -> Rig {
        let fleet = Fleet::on(tenant, &self.broker.new_vhost(), &self.database.new_database());
        fleet.site.configure("");
        Rig { graph_url: tenant.url.clone(), fleet }
    }
}

/// Services that share a virtual host and a database.
pub(crate) struct Rig {
    pub(crate) graph_url: String,
    pub(crate) fleet: Fleet,
}

impl Rig {
    /// Runs a verb to its end and answers what it cost; its output is in `out.txt` of the site.
    pub(crate) async fn cost(&self, look: Duration, args: &[&str]) -> anyhow::Result<Cost> {
        let key = self.fleet.site.path("sealing.key").display().to_string();
        let env = [
            ("MFA_MIGRATE_BROKER", self.fleet.broker.as_str()),
            ("MFA_MIGRATE_LEDGER", self.fleet.ledger.as_str()),
            ("MFA_MIGRATE_KEY_FILE", key.as_str()),
            ("MFA_MIGRATE_GRAPH_URL", self.graph_url.as_str()),
            ("MFA_MIGRATE_GRAPH_TOKEN", "bench"),
        ];
        let cost = process::cost_by(look, self.fleet.site.folder(), args, &env, &[0, 3]).await;
        cost.with_context(|| format!("the services said:\n{}", self.fleet.said()))
    }

    /// What the last verb printed last, as JSON.
    pub(crate) fn printed(&self) -> anyhow::Result<serde_json::Value> {
        let text = std::fs::read_to_string(self.fleet.site.path("out.txt"))?;
        let line = text.lines().rev().find_map(|line| serde_json::from_str(line).ok());
        line.with_context(|| format!("no JSON among: {text}"))
    }

    /// Whoever is started from now on reaches Graph there.
    pub(crate) fn graph_by(&mut self, tenant: &Tenant) {
        self.graph_url.clone_from(&tenant.url);
        self.fleet.site.env("MFA_MIGRATE_GRAPH_URL", &tenant.url);
    }

    /// Starts workers.
    pub(crate) fn workers(&self, count: usize) -> Vec<Service> {
        self.fleet.workers(count)
    }

    /// A connection to the ledger's database, looking at the product's tables.
    pub(crate) async fn ledger(&self) -> anyhow::Result<PgConnection> {
        let mut ledger = PgConnection::connect(&self.fleet.ledger).await?;
        ledger.execute("SET search_path TO mfa_migrate, public").await?;
        Ok(ledger)
    }

    /// Waits until a query answers at least that much; a table that is not there yet is none.
    pub(crate) async fn until_at_least(
        &self,
        ledger: &mut PgConnection,
        least: i64,
        query: impl SqlSafeStr + Copy,
    ) -> anyhow::Result<()> {
        self.until_at_least_every(ledger, LOOK, least, query).await
    }

    async fn until_at_least_every(
        &self,
        ledger: &mut PgConnection,
        look: Duration,
        least: i64,
        query: impl SqlSafeStr + Copy,
    ) -> anyhow::Result<()> {
        let started = Instant::now();
        loop {
            match sqlx::query_scalar::<_, i64>(query).fetch_one(&mut *ledger).await {
                Ok(found) if found >= least => return Ok(()),
                Ok(_) => {}
                Err(sqlx::Error::Database(error)) if error.code().is_some_and(|c| c == NO_SUCH_TABLE) => {}
                Err(error) => return Err(error.into()),
            }
            if started.elapsed() > PATIENCE {
                bail!("not seen in {} s; the services said:\n{}", PATIENCE.as_secs(), self.fleet.said());
            }
            tokio::time::sleep(look).await;
        }
    }

    /// Waits until a record is on file, and answers how many are.
    pub(crate) async fn first_filed(&self, ledger: &mut PgConnection) -> anyhow::Result<f64> {
        let found = "SELECT count(*) FROM (SELECT FROM record LIMIT 1) one";
        self.until_at_least_every(ledger, CLOSE_LOOK, 1, found).await?;
        let filed: i64 = sqlx::query_scalar("SELECT count(*) FROM record").fetch_one(ledger).await?;
        Ok(filed as f64)
    }

    /// Waits until a snapshot is on file whole.
    pub(crate) async fn until_filed(&self, ledger: &mut PgConnection) -> anyhow::Result<()> {
        let whole = "SELECT count(*) FROM snapshot WHERE completed_at IS NOT NULL";
        self.until_at_least_every(ledger, CLOSE_LOOK, 1, whole).await
    }
}

/// What services that run have cost since they began: the sum of their CPU and the largest of their peaks.
pub(crate) fn spent<'a>(services: impl IntoIterator<Item = &'a Service>) -> anyhow::Result<Cost> {
    let mut sum = Cost { wall_s: 0.0, cpu_ms: 0.0, peak_kib: 0.0 };
    for service in services {
        let cost = process::so_far(service.id()).with_context(|| service.said())?;
        sum.cpu_ms += cost.cpu_ms;
        sum.peak_kib = sum.peak_kib.max(cost.peak_kib);
    }
    Ok(sum)
}
