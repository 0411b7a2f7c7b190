//! `rollout`: 20,000 users moved and verified by one process, then put into the groups of a staged rollout and taken out
//! again, against a tenant without throttle: requests a user that was put in, the diff with them. Requests are the tenant's
//! own count. `--users 500000` fills ten groups.

use crate::figures::Report;
use crate::migrate::count;
use crate::options::Options;
use crate::process::{self, Cost};
use crate::synthetic::Synthetic;
use anyhow::{Context, bail};
use harness::Tenant;
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

const USERS: u32 = 20_000;
/// As many as Microsoft allows, and users of each.
const GROUPS: usize = 10;
const OF_A_GROUP: f64 = 50_000.0;
/// How often somebody is looked at who runs for minutes.
const LOOK: Duration = Duration::from_millis(100);

pub(crate) async fn measure(options: &Options) -> anyhow::Result<Report> {
    let synthetic = Synthetic::users(options.users(USERS))?;
    add_groups(&synthetic.tenant)?;
    let tenant = Tenant::start(&synthetic.tenant, &[]);
    let site = Site { folder: tempfile::tempdir()?, url: tenant.url.clone() };
    let datafile = synthetic.datafile.display().to_string();
    site.run(&["migrate", "--datafile", &datafile, "--json"]).await?;
    site.run(&["verify", "--json"]).await?;

    let before = tenant.stats();
    let (there, end) = site.run(&["rollout", "apply", "--all", "--json"]).await?;
    let between = tenant.stats();
    let (_, status) = site.run(&["rollout", "status", "--json"]).await?;
    let looked = tenant.stats();
    let (back, out) = site.run(&["rollout", "remove", "--all", "--json"]).await?;
    let after = tenant.stats();
    let grown = |from: &Value, to: &Value, name: &str| count(to, name) - count(from, name);
    let put_in = end["entries"]["applied"].as_f64().unwrap_or_default();
    let filled: Vec<f64> = status["groups"].as_array().context("no groups")?.iter().map(users_of).collect();
    if (filled.iter().sum::<f64>() - put_in).abs() > 0.5
        || out["entries"]["reverted"].as_f64() != Some(put_in)
    {
        bail!("not everybody who was put in was there, or came out: {end} {status} {out}");
    }
    Ok(Report::new("rollout")
        .at_most("requests_per_user", grown(&before, &between, "requests") / put_in, 0.06)
        .at_most("users_of_the_fullest_group", filled.iter().copied().fold(0.0, f64::max), OF_A_GROUP)
        .told("users_put_in", put_in)
        .told("groups_filled", filled.iter().filter(|users| **users > 0.0).count() as f64)
        .told("writes_per_user", grown(&before, &between, "writes") / put_in)
        .told("requests_per_user_out", grown(&looked, &after, "requests") / put_in)
        .told("cpu_ms_per_user", there.cpu_ms / put_in)
        .told("users_per_s", put_in / there.wall_s)
        .told("users_per_s_out", put_in / back.wall_s)
        .told("peak_mib", there.peak_kib / 1024.0))
}

fn users_of(group: &Value) -> f64 {
    group["users"].as_f64().unwrap_or_default()
}

/// Empty groups into a tenant that is too large to be taken apart.
fn add_groups(tenant: &Path) -> anyhow::Result<()> {
    let text = std::fs::read_to_string(tenant)?;
    let groups: Vec<String> = (0..GROUPS)
        .map(|n| {
            let id = format!("0000000a-0000-4000-8000-{n:012}");
            json!({ "id": id, "displayName": name(n), "members": [] }).to_string()
        })
        .collect();
    let with = match text.find("\"groups\":") {
        Some(at) => {
            let open = at + text[at..].find('[').context("the tenant's groups are no list")? + 1;
            let is_empty = text[open..].trim_start().starts_with(']');
            format!(
                "{}{}{}{}",
                &text[..open],
                groups.join(","),
                if is_empty { "" } else { "," },
                &text[open..]
            )
        }
        None => text.replacen('{', &format!("{{\"groups\":[{}],", groups.join(",")), 1),
    };
    Ok(std::fs::write(tenant, with)?)
}

fn name(n: usize) -> String {
    format!("MFA rollout {n}")
}

/// A folder with the ledger.
struct Site {
    folder: tempfile::TempDir,
    url: String,
}

impl Site {
    async fn run(&self, args: &[&str]) -> anyhow::Result<(Cost, Value)> {
        let groups: Vec<String> = (0..GROUPS).map(name).collect();
        let groups = groups.join(",");
        let env = [
            ("MFA_MIGRATE_GRAPH_URL", self.url.as_str()),
            ("MFA_MIGRATE_GRAPH_TOKEN", "bench"),
            ("MFA_MIGRATE_ROLLOUT_GROUPS", groups.as_str()),
            ("MFA_MIGRATE_ROLLOUT_STAY_S", "0"),
        ];
        let cost = process::cost_by(LOOK, self.folder.path(), args, &env, &[0, 3]).await?;
        let text = std::fs::read_to_string(self.folder.path().join("out.txt"))?;
        let line = text.lines().rev().find_map(|line| serde_json::from_str(line).ok());
        Ok((cost, line.with_context(|| format!("no JSON among: {text}"))?))
    }
}
