//! The figures by which the product is judged, measured on the machine at hand: `tests/bench NAME [--json]`.
//!
//! It drives the built product as a process and looks at simulated tenants over HTTP. It asserts nothing: a missed
//! target is `"met":false` and exit code 0, since machines differ; only a measurement that could not be made fails.
//! Ratios and shares are always taken within one run.

mod aimd;
mod bare;
mod ceiling;
mod control;
mod delta;
mod figures;
mod fleet;
mod growth;
mod inspect;
mod intake;
mod migrate;
mod move_all;
mod naive;
mod options;
mod pace;
mod plan;
mod process;
mod publish;
mod resume;
mod rig;
mod rollback;
mod rollout;
mod synthetic;
mod telemetry;
mod way_back;

use anyhow::{Context, bail};
use figures::Report;
use options::{FLAGS, Options};
use std::io::Write;

/// The benches and what they are about.
const BENCHES: [(&str, &str); 15] = [
    ("plan", "users planned a second on one core, normalising included"),
    ("inspect", "inspect over 500,000 users: speed against a bare loop of serde_json, and memory"),
    ("migrate", "20,000 users into a tenant without throttle: requests, round trips and CPU a user"),
    (
        "pace",
        "use of a quota that nobody told us, beside a client that knows only Retry-After (about four minutes)",
    ),
    ("publish", "200,000 users from the extractor into a quorum queue, against a bare publisher"),
    ("intake", "200,000 users from the queue into PostgreSQL, against bare consuming and bare COPY"),
    (
        "fleet",
        "one quota used by 1, 4 and 16 workers, beside AIMD and Retry-After by themselves (half an hour)",
    ),
    ("ceiling", "two workers and a tenant without throttle: CPU a user of all processes, servers included"),
    (
        "resume",
        "worker and coordinator killed in the middle of 20,000 users, and started again (two minutes)",
    ),
    (
        "rollback",
        "requests of the way back to those of the way forward; a quota's use by 1, 4 and 16 workers (half an hour)",
    ),
    (
        "rollout",
        "20,000 users into the groups of a staged rollout and out again: requests a user (a minute; 500,000: half an hour)",
    ),
    (
        "delta",
        "a second datafile of 100,000 users with 1 % changed: requests beyond, and time a user (two minutes)",
    ),
    ("control", "from `batch pause` to the last write, with 16 workers (two minutes)"),
    (
        "telemetry",
        "CPU of a migration with traces and metrics on to that of one without, five pairs (five minutes)",
    ),
    ("growth", "10,000 to 500,000 users through broker and PostgreSQL: CPU a user and memory (half an hour)"),
];

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::read(std::env::args().skip(1))?;
    let mut out = std::io::stdout().lock();
    let Some(name) = &options.name else {
        for (name, about) in BENCHES {
            writeln!(out, "{name:8} {about}")?;
        }
        writeln!(out, "flags: {FLAGS}; figures with other numbers than the usual are for trying out")?;
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
        "publish" => publish::measure(&options).await?,
        "intake" => intake::measure(&options).await?,
        "fleet" => fleet::measure(&options).await?,
        "ceiling" => ceiling::measure(&options).await?,
        "resume" => resume::measure(&options).await?,
        "rollback" => rollback::measure(&options).await?,
        "rollout" => rollout::measure(&options).await?,
        "delta" => delta::measure(&options).await?,
        "control" => control::measure(&options).await?,
        "telemetry" => telemetry::measure(&options).await?,
        "growth" => growth::measure(&options).await?,
        _ => bail!("there is no bench {name}; run tests/bench without a name for a list"),
    };
    let text = if options.json { report.line() } else { report.table() };
    writeln!(out, "{text}").context("standard output is closed")
}
