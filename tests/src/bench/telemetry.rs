//! `telemetry`: what it costs to be seen. The CPU of a migration whose traces and metrics go to a collector and whose
//! `/metrics` is scraped every second, to that of one that tells nobody; pairs, one after the other, the order changing.
//!
//! The product's own process alone is counted, each time into an empty ledger and a tenant that nobody has touched. The
//! collector and the one who scrapes live in this process.

use crate::figures::{Report, median};
use crate::options::Options;
use crate::process::{self, Cost};
use crate::synthetic::Synthetic;
use anyhow::ensure;
use harness::Tenant;
use harness::collector::Collector;
use harness::page::Page;
use harness::services::free_port;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const USERS: u32 = 20_000;
const PAIRS: usize = 5;
/// Far more often than anybody scrapes, so that it is seen in the ratio.
const SCRAPE: Duration = Duration::from_secs(1);

/// What was seen of a migration that was watched.
struct Seen {
    cost: Cost,
    spans: f64,
    scrapes: f64,
}

pub(crate) async fn measure(options: &Options) -> anyhow::Result<Report> {
    let users = options.users(USERS);
    let synthetic = Synthetic::users(users)?;
    let (mut ratios, mut plain_ms, mut seen_ms) = (Vec::new(), Vec::new(), Vec::new());
    let (mut spans, mut scrapes) = (Vec::new(), Vec::new());
    for pair in 0..options.rounds(PAIRS) {
        let (plain, seen) = match pair % 2 {
            0 => {
                let plain = unseen(&synthetic).await?;
                (plain, watched(&synthetic).await?)
            }
            _ => {
                let seen = watched(&synthetic).await?;
                (unseen(&synthetic).await?, seen)
            }
        };
        ratios.push(seen.cost.cpu_ms / plain.cpu_ms);
        plain_ms.push(plain.cpu_ms / f64::from(users));
        seen_ms.push(seen.cost.cpu_ms / f64::from(users));
        spans.push(seen.spans / f64::from(users));
        scrapes.push(seen.scrapes);
    }
    Ok(Report::new("telemetry")
        .at_most("cpu_ratio", median(ratios.clone()), 1.10)
        .told("cpu_ratio_lowest", ratios.iter().copied().fold(f64::INFINITY, f64::min))
        .told("cpu_ratio_highest", ratios.iter().copied().fold(0.0, f64::max))
        .told("cpu_ms_per_user_unseen", median(plain_ms))
        .told("cpu_ms_per_user_seen", median(seen_ms))
        .told("spans_per_user", median(spans))
        .told("scrapes", median(scrapes)))
}

async fn unseen(synthetic: &Synthetic) -> anyhow::Result<Cost> {
    migrate(synthetic, &[], &[]).await
}

async fn watched(synthetic: &Synthetic) -> anyhow::Result<Seen> {
    let collector = Collector::start();
    let port = free_port();
    let answered = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&answered);
    let scraping = tokio::spawn(async move {
        loop {
            tokio::time::sleep(SCRAPE).await;
            let page = tokio::task::spawn_blocking(move || Page::get(port, "/metrics")).await;
            if page.is_ok_and(|page| page.is_some_and(|page| page.status == 200)) {
                counting.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    let listen = port.to_string();
    let cost = migrate(
        synthetic,
        &["--metrics-listen", &listen],
        &[("MFA_MIGRATE_OTLP_ENDPOINT", collector.url.as_str())],
    )
    .await;
    scraping.abort();
    let (spans, scrapes) = (collector.spans().len(), answered.load(Ordering::Relaxed));
    ensure!(spans > 0 && !collector.points().is_empty() && scrapes > 0, "nothing was told");
    Ok(Seen { cost: cost?, spans: spans as f64, scrapes: scrapes as f64 })
}

/// One migration in a folder of its own.
async fn migrate(synthetic: &Synthetic, flags: &[&str], env: &[(&str, &str)]) -> anyhow::Result<Cost> {
    let tenant = Tenant::start(&synthetic.tenant, &[]);
    let folder = tempfile::tempdir()?;
    let datafile = synthetic.datafile.display().to_string();
    let args = [&["migrate", "--datafile", &datafile, "--json"], flags].concat();
    let graph = [("MFA_MIGRATE_GRAPH_URL", tenant.url.as_str()), ("MFA_MIGRATE_GRAPH_TOKEN", "bench")];
    process::cost(folder.path(), &args, &[&graph[..], env].concat(), &[0, 3]).await
}
