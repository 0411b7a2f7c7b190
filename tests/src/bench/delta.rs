//! `delta`: 100,000 users moved by one process, then a second and a third datafile of the same site, each with other
//! numbers for one user in a hundred.
//!
//! The second is timed; the third goes through a recorder that tells whom a request was about. Nothing is asked about a user
//! whose record is as it was, with one exception that rule U5 makes itself: of whom something was blocked, the cloud may
//! by now allow it. Those requests are told apart and not judged. The users have no apps, since with them every
//! fourth one would have to register again and so be blocked.

use crate::figures::Report;
use crate::migrate::count;
use crate::options::Options;
use crate::process::{self, Cost};
use crate::synthetic::Synthetic;
use anyhow::Context;
use harness::{Exchange, Recorder, Tenant};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

const USERS: u32 = 100_000;
/// One in so many is changed.
const EVERY: usize = 100;

pub(crate) async fn measure(options: &Options) -> anyhow::Result<Report> {
    let users = options.users(USERS);
    let synthetic = Synthetic::users(users)?;
    let site = Site::new(&synthetic)?;
    let tenant = Tenant::start(&synthetic.tenant, &[]);
    site.migrate(&tenant.url, "first.ndjson").await?;

    let before = tenant.stats();
    let cost = site.migrate(&tenant.url, "second.ndjson").await?;
    let after = tenant.stats();
    let end = site.printed()?;
    let unchanged = end["entries"]["unchanged"].as_f64().unwrap_or_default();
    let grown = |name: &str| count(&after, name) - count(&before, name);

    // Once more: who was written to and yet something was blocked is told from who was written to.
    site.migrate(&tenant.url, "second.ndjson").await?;
    let run = site.printed()?["run"].to_string();
    let Told { blocked, changed } = site.told(&tenant.url, &run).await?;

    let recorder = Recorder::before(&tenant.url);
    site.migrate(&recorder.url, "third.ndjson").await?;
    let asked = Asked::of(&recorder.unfolded(), &changed, &blocked);
    Ok(Report::new("delta")
        .at_most("extra_requests", asked.extra, 0.0)
        .at_most("ms_per_unchanged_user", cost.wall_s * 1_000.0 / unchanged, 0.2)
        .told("cpu_ms_per_unchanged_user", cost.cpu_ms / unchanged)
        .told("users", f64::from(users))
        .told("users_unchanged", unchanged)
        .told("users_changed", changed.len() as f64)
        .told("requests_per_changed_user", asked.changed / changed.len() as f64)
        .told("directory_requests", asked.directory)
        .told("users_blocked_before", blocked.len() as f64)
        .told("requests_for_blocked_before", asked.blocked)
        .told("requests_second", grown("requests"))
        .told("writes_second", grown("writes"))
        .told("seconds_second", cost.wall_s)
        .told("peak_mib_second", cost.peak_kib / 1024.0))
}

/// A folder with the datafiles and the ledger.
struct Site {
    folder: tempfile::TempDir,
    /// Entra ids by lower-cased user principal name.
    ids: BTreeMap<String, String>,
    /// Those whom the third datafile changes, by the names it has for them, in lower case.
    changed: BTreeSet<String>,
}

/// Entra ids, as the product's report tells them.
#[derive(Default)]
struct Told {
    /// Of those of whom something was blocked, or who wait for a person.
    blocked: BTreeSet<String>,
    /// Of those whom the third datafile changes.
    changed: BTreeSet<String>,
}

impl Site {
    fn new(synthetic: &Synthetic) -> anyhow::Result<Self> {
        let state: Value = serde_json::from_reader(BufReader::new(File::open(&synthetic.tenant)?))?;
        let word = |user: &Value, key: &str| user[key].as_str().unwrap_or_default().to_lowercase();
        let users = || state["users"].as_array().into_iter().flatten();
        let ids = users().map(|user| (word(user, "userPrincipalName"), word(user, "id"))).collect();
        let mut site = Self { folder: tempfile::tempdir()?, ids, changed: BTreeSet::new() };
        let first = site.path("first.ndjson");
        rewrite(&synthetic.datafile, &first, |_, user| {
            user["devices"] = json!([]);
            false
        })?;
        rewrite(&first, &site.path("second.ndjson"), |place, user| place == 0 && other_number(user))?;
        site.changed = rewrite(&site.path("second.ndjson"), &site.path("third.ndjson"), |place, user| {
            place == EVERY / 2 && other_number(user)
        })?;
        Ok(site)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn migrate(&self, graph_url: &str, datafile: &str) -> anyhow::Result<Cost> {
        self.run(graph_url, &["migrate", "--datafile", datafile, "--json"]).await
    }

    async fn run(&self, graph_url: &str, args: &[&str]) -> anyhow::Result<Cost> {
        let env = [("MFA_MIGRATE_GRAPH_URL", graph_url), ("MFA_MIGRATE_GRAPH_TOKEN", "bench")];
        process::cost(self.folder.path(), args, &env, &[0, 3]).await
    }

    fn printed(&self) -> anyhow::Result<Value> {
        let text = std::fs::read_to_string(self.path("out.txt"))?;
        serde_json::from_str(text.lines().last().context("no output")?).context("no JSON at the end")
    }

    async fn told(&self, graph_url: &str, run: &str) -> anyhow::Result<Told> {
        let args = ["report", "--run", run, "--format", "csv", "--out", "report.csv"];
        self.run(graph_url, &args).await?;
        let text = std::fs::read_to_string(self.path("report.csv"))?;
        let mut lines = text.lines();
        let head: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
        let place =
            |name: &str| head.iter().position(|column| *column == name).context("a column is missing");
        let (user, upn, state) = (place("user")?, place("userPrincipalName")?, place("state")?);
        let mut told = Told::default();
        for line in lines {
            let row: Vec<&str> = line.split(',').collect();
            let [user, upn, state] =
                [user, upn, state].map(|place| row.get(place).copied().unwrap_or_default());
            // Who matched nobody is nobody in the tenant.
            let Some(id) = self.ids.get(&upn.to_lowercase()) else { continue };
            if ["blocked", "parked", "conflict"].contains(&state) {
                told.blocked.insert(id.clone());
            }
            if self.changed.contains(&user.to_lowercase()) {
                told.changed.insert(id.clone());
            }
        }
        Ok(told)
    }
}

/// Copies a datafile. `change` gets the place of each line within its hundred and its user, and says whether the user was
/// changed; answers the names of those.
fn rewrite(
    from: &Path,
    to: &Path,
    change: impl Fn(usize, &mut Value) -> bool,
) -> anyhow::Result<BTreeSet<String>> {
    let mut out = BufWriter::new(File::create(to)?);
    let mut changed = BTreeSet::new();
    for (place, line) in BufReader::new(File::open(from)?).lines().enumerate() {
        let line = line?;
        // What is no JSON is dirt of the generator's, and stays as it is.
        let Ok(mut user) = serde_json::from_str::<Value>(&line) else {
            writeln!(out, "{line}")?;
            continue;
        };
        if change(place % EVERY, &mut user) {
            changed.insert(user["username"].as_str().unwrap_or_default().to_lowercase());
        }
        writeln!(out, "{user}")?;
    }
    out.flush()?;
    Ok(changed)
}

/// Another last digit; a user without a number stays as they are.
fn other_number(user: &mut Value) -> bool {
    let phone = user["settings"]["phone"].as_str().unwrap_or_default();
    let Some((rest, last)) = phone.split_at_checked(phone.len().saturating_sub(1)) else { return false };
    let Some(digit) = last.parse::<u32>().ok() else { return false };
    user["settings"]["phone"] = json!(format!("{rest}{}", (digit + 1) % 10));
    true
}

/// Requests by what they were about.
#[derive(Default)]
struct Asked {
    directory: f64,
    changed: f64,
    blocked: f64,
    extra: f64,
}

impl Asked {
    fn of(calls: &[Exchange], changed: &BTreeSet<String>, blocked: &BTreeSet<String>) -> Self {
        let mut asked = Self::default();
        // A bundle is an envelope; its items are what is counted.
        for call in calls.iter().filter(|call| call.path != "/$batch") {
            let path = call.path.to_lowercase();
            let user = path.strip_prefix("/users/").and_then(|rest| rest.split('/').next());
            let kind = match user {
                Some(user) if changed.contains(user) => &mut asked.changed,
                Some(user) if blocked.contains(user) => &mut asked.blocked,
                Some(_) => &mut asked.extra,
                None if is_directory(&call.method, &path) => &mut asked.directory,
                None => &mut asked.extra,
            };
            *kind += 1.0;
        }
        asked
    }
}

/// The pages of users, the inventory's pages, and the methods policy.
fn is_directory(method: &str, path: &str) -> bool {
    let pages = ["/users", "/policies/authenticationmethodspolicy"];
    let inventory = "/directory/authenticationmethoddevices/hardwareoathdevices";
    method == "GET" && (pages.contains(&path) || path == inventory)
}
