//! The figures by which the product is judged, measured on the machine at hand: `tests/bench NAME [--json]`.
//!
//! It drives the built product as a process and looks at simulated tenants over HTTP. It asserts nothing: a missed
//! target is `"met":false` and exit code 0, since machines differ; only a measurement that could not be made fails.
//! Ratios and shares are always taken within one run.

mod figures;
mod inspect;
mod migrate;
mod naive;
mod pace;
mod plan;
mod process;
mod synthetic;

use anyhow::{Context, bail};
use figures::Report;
use std::io::Write;

/// The benches and what they are about.
const BENCHES: [(&str, &str); 4] = [
    ("plan", "users planned a second on one core, normalising included"),
    ("inspect", "inspect over 500,000 users: speed against a bare loop of serde_json, and memory"),
    ("migrate", "20,000 users into a tenant without throttle: requests, round trips and CPU a user"),
    (
        "pace",
        "use of a quota that nobody told us, beside a client that knows only Retry-After (about four minutes)",
    ),
];

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut name = None;
    let mut json = false;
    for word in std::env::args().skip(1) {
        match word.as_str() {
            "--json" => json = true,
            _ if name.is_none() => name = Some(word),
            _ => bail!("too many words; run: tests/bench NAME [--json]"),
        }
    }
    let mut out = std::io::stdout().lock();
    let Some(name) = name else {
        for (name, about) in BENCHES {
            writeln!(out, "{name:8} {about}")?;
        }
        return Ok(());
    };
    let product =
        std::env::current_exe()?.with_file_name(format!("mfa-migrate{}", std::env::consts::EXE_SUFFIX));
    if !product.exists() {
        bail!("{} is not built; run tests/bench, which builds it", product.display());
    }
    harness::use_binary(product);
    let report: Report = match name.as_str() {
        "plan" => plan::measure()?,
        "inspect" => inspect::measure().await?,
        "migrate" => migrate::measure().await?,
        "pace" => pace::measure().await?,
        _ => bail!("there is no bench {name}; run tests/bench without a name for a list"),
    };
    let text = if json { report.line() } else { report.table() };
    writeln!(out, "{text}").context("standard output is closed")
}
