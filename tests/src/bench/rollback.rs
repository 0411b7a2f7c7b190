//! `rollback`: 5,000 users forward and back in one process, against a tenant without throttle: requests a user that was
//! written to, the way back to the way forward. Requests are the tenant's own count. Then the share of a quota that the way
//! back uses, as `fleet` measures it: see `way_back.rs`.

use crate::figures::Report;
use crate::migrate::count;
use crate::options::Options;
use crate::process;
use crate::synthetic::Synthetic;
use crate::way_back;
use anyhow::Context;
use harness::Tenant;
use serde_json::Value;

const USERS: u32 = 5_000;

pub(crate) async fn measure(options: &Options) -> anyhow::Result<Report> {
    let synthetic = Synthetic::users(options.users(USERS))?;
    let tenant = Tenant::start(&synthetic.tenant, &[]);
    let folder = tempfile::tempdir()?;
    let datafile = synthetic.datafile.display().to_string();
    let env = [("MFA_MIGRATE_GRAPH_URL", tenant.url.as_str()), ("MFA_MIGRATE_GRAPH_TOKEN", "bench")];
    let mut ways = Vec::new();
    for args in [&["migrate", "--datafile", &datafile, "--json"][..], &["rollback", "--all", "--json"]] {
        let before = tenant.stats();
        let cost = process::cost(folder.path(), args, &env, &[0, 3]).await?;
        let after = tenant.stats();
        let end: Value = serde_json::from_str(
            std::fs::read_to_string(folder.path().join("out.txt"))?.lines().last().context("no output")?,
        )?;
        let grown = |name: &str| count(&after, name) - count(&before, name);
        ways.push((grown("requests"), grown("writes"), cost, end));
    }
    let [forward, back] = &ways[..] else { anyhow::bail!("two ways were measured") };
    let quota = way_back::measure(options).await?;
    let of = |end: &Value, state: &str| end["entries"][state].as_f64().unwrap_or_default();
    // Both over the same users: those whom the way forward has written to.
    let users = of(&forward.3, "applied");
    let report = Report::new("rollback").at_most("requests_ratio", back.0 / forward.0, 1.0);
    Ok(quota
        .told_in(report)
        .told("requests_per_user_forward", forward.0 / users)
        .told("requests_per_user_back", back.0 / users)
        .told("writes_per_user_back", back.1 / users)
        .told("users_written_to", users)
        .told("reverted", of(&back.3, "reverted"))
        .told("conflict", of(&back.3, "conflict"))
        .told("cpu_ms_per_user_back", back.2.cpu_ms / users)
        .told("users_per_s_back", users / back.2.wall_s))
}
