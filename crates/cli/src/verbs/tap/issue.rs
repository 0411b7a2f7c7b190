//! `tap issue`: asks the policy first, finds out who is meant, opens the file, and has the passes made.

use super::ask::{begin, includes, wanted};
use super::say::{common, exit, print_issued, print_refused, tell};
use super::{Office, PERMISSION};
use crate::Exit;
use crate::args::TapIssue;
use crate::config::Config;
use crate::notices::Notices;
use crate::passes::{Book, Selected, select_to_issue};
use anyhow::Context;
use contract::EntraId;
use std::time::Instant;
use telemetry::{Shutdown, shutdown_on_signal};

pub(super) async fn run(verb: &TapIssue, config: &Config, json: bool) -> anyhow::Result<Exit> {
    let began = Instant::now();
    let shutdown = Shutdown::new();
    shutdown_on_signal(shutdown.clone());
    let notices = Notices::new("tap");
    let office = Office::open(config).await?;
    let reader = office.writer.reader().clone();
    let policy = reader.pass_policy().await.context(PERMISSION)?;
    let wanted = wanted(verb, &policy)?;
    let includes = includes(&reader, &policy).await?;
    notices.step("reading who is meant");
    let selected = select_to_issue(&office.engine, &reader, &verb.users).await?;
    if selected.users.is_empty() {
        return nobody(&office, &selected, began, json);
    }
    let mut book = Book::open(&verb.out)?;
    let issue = begin(&office.engine, &mut book, wanted, verb).await?;
    let (n, minutes) = (selected.users.len(), issue.lifetime_minutes);
    let once = if issue.once { "once" } else { "many times" };
    office
        .note(&selected, "tap-issue", &format!("{n} users, {minutes} min, usable {once}, issue {}", issue.id))
        .await?;
    telemetry::crash_point("tap.begun");
    let users = selected.users.clone();
    let is_included = |user: &EntraId| includes.has(user);
    let desk = office.desk();
    let issued =
        desk.issue(&issue, users, &is_included, &mut book, &shutdown, &mut |p| tell(&notices, p)).await;
    notices.end();
    let issued = issued?;
    let why = format!(
        "{} issued, {} issued before, {} left, issue {}",
        issued.issued,
        issued.before,
        issued.refused.len(),
        issue.id
    );
    office.note(&selected, "tap-issued", &why).await?;
    if json {
        let mut object = common(&office, &selected, &issued.refused, began);
        object["issue"] = issue.id.as_str().into();
        object["file"] = verb.out.display().to_string().into();
        object["lifetimeMinutes"] = minutes.into();
        object["once"] = issue.once.into();
        object["issued"] = issued.issued.into();
        object["issuedBefore"] = issued.before.into();
        object["lost"] = issued.lost.into();
        object["left"] = issued.left.into();
        println!("{object}");
    } else {
        print_issued(verb, &selected, &issued);
    }
    Ok(exit(issued.left, &issued.refused, &selected))
}

/// No file is made for nobody.
fn nobody(office: &Office, selected: &Selected, began: Instant, json: bool) -> anyhow::Result<Exit> {
    if json {
        println!("{}", common(office, selected, &[], began));
    } else {
        println!("nobody is meant: no pass was issued, and no file was written");
        print_refused(selected, &[]);
    }
    Ok(exit(0, &[], selected))
}
