//! `resume`: worker and coordinator are killed in the middle of a migration and started again. How soon is a user written
//! whom nobody had claimed, and is anybody looked at again who was settled?
//!
//! A recorder stands before the tenant and tells who was observed; the tenant's journal tells when a user was written.

use crate::figures::Report;
use crate::options::Options;
use crate::rig::{Rig, Servers};
use crate::synthetic::Synthetic;
use anyhow::{Context, bail};
use harness::{Exchange, Recorder, Tenant};
use sqlx::PgConnection;
use std::collections::BTreeSet;
use std::time::Duration;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

const USERS: u32 = 20_000;
/// The first write after the restart has come by then, or something is broken.
const PATIENCE: Duration = Duration::from_secs(120);
const END_WITHIN: Duration = Duration::from_secs(600);
/// What has to be waited out for users who were claimed or in doubt ends within a minute, and is still longer than the
/// target: a restart that waits for any of it misses.
const CONFIGURATION: &str = "[graph]\nrequest_timeout_s = 10\nvisibility_deadline_s = 10\nclock_skew_s = 1\n\
     [worker]\nlease_s = 20\n";

pub(crate) async fn measure(options: &Options) -> anyhow::Result<Report> {
    let users = options.users(USERS);
    let synthetic = Synthetic::users(users)?;
    let tenant = Tenant::start(&synthetic.tenant, &[]);
    let recorder = Recorder::before(&tenant.url);
    let servers = Servers::start();
    let mut rig = servers.rig(&tenant);
    rig.fleet.site.configure(CONFIGURATION);
    rig.graph_url.clone_from(&recorder.url);
    rig.fleet.site.env("MFA_MIGRATE_GRAPH_URL", &recorder.url);
    let mut ledger = rig.ledger().await?;
    let (coordinator, worker) = (rig.fleet.coordinator(), rig.workers(1));
    let datafile = synthetic.datafile.display().to_string();
    let operator = rig.fleet.site.start(&["migrate", "--datafile", &datafile, "--json"]);

    let middle = i64::from(users) * 2 / 5;
    let moved = "SELECT count(*) FROM entry WHERE state NOT IN ('waiting', 'claimed') AND epoch > 0";
    rig.until_at_least(&mut ledger, middle, moved).await?;
    for service in worker {
        service.kill();
    }
    coordinator.kill();
    let left = Left::read(&mut ledger).await?;
    let exchanges = recorder.calls().len();
    let began = OffsetDateTime::now_utc();
    let (_coordinator, _worker) = (rig.fleet.coordinator(), rig.workers(1));

    let first = first_write(&tenant, &left, began, &rig).await?;
    let Some(outcome) = tokio::task::spawn_blocking(move || operator.wait_within(END_WITHIN)).await? else {
        bail!("the run does not end; the services said:\n{}", rig.fleet.said());
    };
    let ended = OffsetDateTime::now_utc();
    if !matches!(outcome.code, Some(0 | 3)) {
        bail!("migrate ended with {:?}: {} {}", outcome.code, outcome.out, outcome.err);
    }
    let calls = recorder.unfolded_from(exchanges);
    let observed: BTreeSet<&str> = calls.iter().filter_map(observed_user).collect();
    let again = left.settled.iter().filter(|user| observed.contains(user.as_str())).count();
    Ok(Report::new("resume")
        .at_most("seconds_to_first_write", (first - began).as_seconds_f64(), 5.0)
        .at_most("settled_observed_again", again as f64, 0.0)
        .told("settled_at_kill", left.settled.len() as f64)
        .told("claimed_at_kill", left.claimed.len() as f64)
        .told("unclaimed_at_kill", left.unclaimed.len() as f64)
        .told("observed_after", observed.len() as f64)
        .told("seconds_to_end", (ended - began).as_seconds_f64()))
}

/// The Entra users of the run as the killed processes left them.
struct Left {
    settled: BTreeSet<String>,
    claimed: BTreeSet<String>,
    unclaimed: BTreeSet<String>,
}

impl Left {
    async fn read(ledger: &mut PgConnection) -> anyhow::Result<Self> {
        let rows: Vec<(String, String)> =
            sqlx::query_as("SELECT entra, state FROM entry WHERE entra IS NOT NULL")
                .fetch_all(ledger)
                .await?;
        let of = |wanted: fn(&str) -> bool| {
            rows.iter().filter(|(_, state)| wanted(state)).map(|(user, _)| user.clone()).collect()
        };
        Ok(Self {
            settled: of(|state| state != "waiting" && state != "claimed"),
            claimed: of(|state| state == "claimed"),
            unclaimed: of(|state| state == "waiting"),
        })
    }
}

/// When a user whom nobody had claimed was first written after the restart, by the tenant's journal.
async fn first_write(
    tenant: &Tenant,
    left: &Left,
    began: OffsetDateTime,
    rig: &Rig,
) -> anyhow::Result<OffsetDateTime> {
    loop {
        // A look at the whole journal takes part of a second; the moment itself stands in it.
        for line in tenant.journal() {
            let user = line["user"].as_str().unwrap_or_default();
            let at = OffsetDateTime::parse(line["at"].as_str().unwrap_or_default(), &Rfc3339)
                .context("the journal's clock")?;
            if at >= began && left.unclaimed.contains(user) {
                return Ok(at);
            }
        }
        if OffsetDateTime::now_utc() - began > PATIENCE {
            bail!("nobody was written after the restart; the services said:\n{}", rig.fleet.said());
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// The user whose methods a call asked for.
fn observed_user(call: &Exchange) -> Option<&str> {
    let rest = call.path.strip_prefix("/users/")?;
    let (user, what) = rest.split_once('/')?;
    (call.method == "GET" && what.starts_with("authentication")).then_some(user)
}
