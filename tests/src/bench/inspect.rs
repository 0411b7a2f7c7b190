//! `inspect`: the product's `inspect` over 500,000 users against a bare loop that parses the same lines into the same
//! record type, and what it holds in memory.

use crate::figures::{Report, median};
use crate::process;
use crate::synthetic::Synthetic;
use std::fs::File;
use std::hint::black_box;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::time::Instant;

const USERS: u32 = 500_000;
const FEWER_USERS: u32 = 50_000;
/// Product and loop take turns, so that a slow moment of the machine meets both.
const ROUNDS: usize = 5;

pub(crate) async fn measure() -> anyhow::Result<Report> {
    let folder = tempfile::tempdir()?;
    let many = Synthetic::users(USERS)?;
    let few = Synthetic::users(FEWER_USERS)?;
    let (mut ratios, mut bare_rates, mut product_rates) = (Vec::new(), Vec::new(), Vec::new());
    let (mut peaks, mut fewer_peaks) = (Vec::new(), Vec::new());
    // The first reading fetches the file from disk, and counts for nobody.
    bare_loop(&many.datafile)?;
    for _ in 0..ROUNDS {
        let bare = bare_loop(&many.datafile)?;
        let cost = inspect(folder.path(), &many.datafile).await?;
        let product = f64::from(USERS) / cost.wall_s;
        ratios.push(product / bare);
        bare_rates.push(bare);
        product_rates.push(product);
        peaks.push(cost.peak_kib);
        fewer_peaks.push(inspect(folder.path(), &few.datafile).await?.peak_kib);
    }
    let peak_kib = peaks.iter().copied().fold(0.0, f64::max);
    let further_bytes = (median(peaks) - median(fewer_peaks)) * 1024.0;
    Ok(Report::new("inspect")
        .at_least("ratio", median(ratios), 0.5)
        .at_most("peak_mib", peak_kib / 1024.0, 64.0)
        .at_most("bytes_per_further_user", further_bytes / f64::from(USERS - FEWER_USERS), 24.0)
        .told("records_per_s", median(product_rates))
        .told("bare_records_per_s", median(bare_rates)))
}

async fn inspect(folder: &Path, datafile: &Path) -> anyhow::Result<process::Cost> {
    let datafile = datafile.display().to_string();
    process::cost(folder, &["inspect", &datafile, "--json"], &[], &[0, 3]).await
}

/// Records a second of reading lines and parsing them by serde_json, and nothing else.
fn bare_loop(datafile: &Path) -> anyhow::Result<f64> {
    let started = Instant::now();
    let mut lines = BufReader::with_capacity(1 << 16, File::open(datafile)?);
    let mut line = Vec::new();
    let mut records = 0_u32;
    while lines.read_until(b'\n', &mut line)? > 0 {
        // What is no record costs its parsing too.
        let parsed = black_box(extractor::parse_line(&line));
        records += u32::from(parsed.is_ok() || !line.trim_ascii().is_empty());
        line.clear();
    }
    Ok(f64::from(records) / started.elapsed().as_secs_f64())
}
