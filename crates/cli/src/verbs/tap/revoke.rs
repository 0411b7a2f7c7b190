//! `tap revoke`: takes away what this ledger has issued and what is still there, and says how the rest has ended.

use super::Office;
use super::say::{common, exit, print_refused, tell};
use crate::Exit;
use crate::args::TapRevoke;
use crate::config::Config;
use crate::notices::Notices;
use crate::passes::select_to_revoke;
use contract::PassEnding;
use std::collections::BTreeMap;
use std::time::Instant;
use telemetry::{Shutdown, shutdown_on_signal};
use worker::Ended;

pub(super) async fn run(verb: &TapRevoke, config: &Config, json: bool) -> anyhow::Result<Exit> {
    let began = Instant::now();
    let shutdown = Shutdown::new();
    shutdown_on_signal(shutdown.clone());
    let notices = Notices::new("tap");
    let office = Office::open(config).await?;
    let reader = office.writer.reader().clone();
    let selected = select_to_revoke(&office.engine, &reader, &verb.users).await?;
    office.note(&selected, "tap-revoke", &format!("{} users with passes", selected.users.len())).await?;
    let desk = office.desk();
    let ended = desk.revoke(selected.users.clone(), &shutdown, &mut |p| tell(&notices, p)).await;
    notices.end();
    let ended = ended?;
    let counts = counts(&ended);
    let told: Vec<String> = counts.iter().map(|(word, n)| format!("{n} {word}")).collect();
    office.note(&selected, "tap-revoked", &told.join(", ")).await?;
    if json {
        let mut object = common(&office, &selected, &ended.refused, began);
        for (word, n) in &counts {
            object[*word] = (*n).into();
        }
        object["left"] = ended.left.into();
        println!("{object}");
    } else {
        let told = if told.is_empty() { "no pass of ours was there".to_owned() } else { told.join(", ") };
        println!("passes of {} users: {told}", selected.users.len());
        print_refused(&selected, &ended.refused);
        if ended.left > 0 {
            println!("stopped; {} users are left. The same command goes on with them", ended.left);
        }
    }
    Ok(exit(ended.left, &ended.refused, &selected))
}

/// Passes by how they ended, every word that occurred.
fn counts(ended: &Ended) -> BTreeMap<&'static str, u64> {
    let mut counts: BTreeMap<&'static str, u64> = BTreeMap::new();
    for (_, ending) in &ended.endings {
        *counts.entry(PassEnding::as_str(*ending)).or_default() += 1;
    }
    if ended.lost > 0 {
        counts.insert("lost", ended.lost);
    }
    counts
}
