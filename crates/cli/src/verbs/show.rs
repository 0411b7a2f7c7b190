//! `show USER`: one user side by side: the record, Entra now, the plan, what was done and when.

use crate::args::Show;
use crate::config::Config;
use crate::engine::Engine;
use crate::lines::{self, Opened};
use crate::{Exit, Usage};
use anyhow::bail;
use contract::{Change, EntraId, RawPhone, Record, RunKind, Sealed, Target, UserMethods, context};
use ledger::UserHistory;

pub(crate) async fn run(verb: &Show, config: &Config, json: bool) -> anyhow::Result<Exit> {
    let engine = Engine::look(config).await?;
    let mut history = engine.ledger.user_history(engine.coordinator.user_key(&verb.user)).await?;
    if history.entries.is_empty()
        && let Some(username) = by_upn(&engine, &verb.user).await?
    {
        history = engine.ledger.user_history(engine.coordinator.user_key(&username)).await?;
    }
    if history.entries.is_empty() {
        bail!(Usage(format!(
            "the ledger knows no user \"{}\"; it takes the username as the datafile has it, or the user principal name (`mfa-migrate report` \
             lists them)",
            verb.user
        )));
    }
    let entries = history
        .entries
        .iter()
        .map(|row| lines::open(&engine, row.clone()))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let now = match entries.iter().find_map(|e| e.row.user.clone()) {
        Some(user) => entra_now(config, &user).await,
        None => Err("no Entra user was matched".to_owned()),
    };
    if json {
        println!("{}", as_json(&engine, &entries, &history, now.as_ref().ok())?);
    } else {
        print(&engine, &entries, &history, &now)?;
    }
    Ok(Exit::Done)
}

/// The service desk has the user principal name, the datafile may have `DOMAIN\user`: the last run knows both.
async fn by_upn(engine: &Engine, upn: &str) -> anyhow::Result<Option<String>> {
    let Some(run) = engine.ledger.latest_run(&[RunKind::Migrate, RunKind::Rehearse]).await? else {
        return Ok(None);
    };
    let mut found = None;
    lines::for_each(engine, run.id, |entry| {
        if entry.directory.as_ref().is_some_and(|d| d.upn.eq_ignore_ascii_case(upn.trim())) {
            found = Some(entry.record.username);
        }
        Ok(())
    })
    .await?;
    Ok(found)
}

/// Asks Graph, if it is configured; `show` is of use without it too.
async fn entra_now(config: &Config, user: &EntraId) -> Result<UserMethods, String> {
    let graph = config.graph().map_err(|_| "not asked: Graph is not configured here".to_owned())?;
    let reader = graph::Reader::new(graph, graph::Pace::new()).map_err(|e| e.to_string())?;
    let ask = graph::Ask { user: user.clone(), tokens: true };
    reader.observe(&[ask]).await.pop().map_or(Err("no answer".to_owned()), |r| r.map_err(|e| e.to_string()))
}

fn print(
    engine: &Engine,
    entries: &[Opened],
    history: &UserHistory,
    now: &Result<UserMethods, String>,
) -> anyhow::Result<()> {
    let Some(newest) = entries.first() else { return Ok(()) };
    let record = &newest.record;
    println!("{}", record.username);
    if let (Some(user), Some(directory)) = (&newest.row.user, &newest.directory) {
        let by = newest.row.matched_by.map_or("", |m| m.as_str());
        println!("  Entra user {} ({}), matched by {by}", directory.upn, user.0);
    }
    println!("  {:18} {:34} Entra now", "", "MFA Server");
    let entra = |target: Target| match now {
        Ok(methods) => methods.phones.get(&target).cloned().unwrap_or_else(|| "-".to_owned()),
        Err(_) => String::new(),
    };
    println!("  {:18} {:34} {}", "phone → mobile", phone(&record.phone), entra(Target::Mobile));
    println!("  {:18} {:34} {}", "backup → alternate", phone(&record.backup), entra(Target::AlternateMobile));
    println!("  {:18} {:34} {}", "extension → office", "", entra(Target::Office));
    let devices: Vec<&str> = record.devices.iter().map(|d| d.name.as_str()).collect();
    let (apps, tokens, default) = match now {
        Ok(m) => (
            m.authenticators
                .iter()
                .map(|a| a.name.clone().unwrap_or_default())
                .collect::<Vec<_>>()
                .join(", "),
            m.hardware_oath.iter().filter_map(|t| t.serial.clone()).collect::<Vec<_>>().join(", "),
            m.default.map_or("unset", |d| d.as_str()).to_owned(),
        ),
        Err(why) => (why.clone(), String::new(), String::new()),
    };
    println!("  {:18} {:34} {apps}", "app devices", devices.join(", "));
    println!("  {:18} {:34} {tokens}", "OATH token", token(record));
    println!("  {:18} {:34} {default}", "default", format!("{:?}", record.mode));
    for entry in entries {
        let at = entry.row.settled_at_ms.map_or_else(|| "not settled".to_owned(), lines::time);
        println!("  run {}: {} ({at})", entry.row.run, entry.row.state.as_str());
        for done in entry.result.iter().flat_map(|r| &r.changes) {
            let outcome = done.outcome.map_or("planned", |o| o.as_str());
            let done = if entry.row.forgotten {
                forgotten(done.change.method.as_str())
            } else {
                change(&done.change)
            };
            println!("    {outcome:10} {done}");
        }
        for note in entry.notes() {
            let device = note.device.as_deref().map(|d| format!(" ({d})")).unwrap_or_default();
            println!("    {:10} {}: {}{device}", "", note.method.as_str(), note.code.as_str());
        }
    }
    for (user, intent) in &history.intents {
        let Some(sealed) = &intent.to else { continue };
        let intended = match filed(engine, user, &intent.slot, sealed)? {
            Some(filed) => change(&filed),
            None => forgotten(method_of(&intent.slot)),
        };
        let outcome = intent.outcome.map_or("no outcome: may have landed or may still land", |o| o.as_str());
        println!("  {}  run {} intended {intended}: {outcome}", lines::time(intent.filed_at_ms), intent.run);
    }
    for (_, at_ms) in &history.forgotten {
        println!(
            "  {}  forgotten: what was there before our first write was removed, and cannot be taken back any more",
            lines::time(*at_ms)
        );
    }
    for (user, image) in &history.pre_images {
        let value: Option<String> = match &image.value {
            Some(sealed) => Some(engine.sealer.open_json(&context::value(user, &image.slot), &sealed.0)?),
            None => None,
        };
        let method = method_of(&image.slot);
        println!(
            "  {}  before our first write, {method} was {}",
            lines::time(image.filed_at_ms),
            value.as_deref().unwrap_or("not there")
        );
    }
    Ok(())
}

fn as_json(
    engine: &Engine,
    entries: &[Opened],
    history: &UserHistory,
    now: Option<&UserMethods>,
) -> anyhow::Result<serde_json::Value> {
    let runs: Vec<_> = entries
        .iter()
        .map(|e| {
            serde_json::json!({
                "run": e.row.run, "state": e.row.state, "settledAt": e.row.settled_at_ms.map(lines::time),
                "plan": e.plan_line(), "result": e.result, "forgotten": e.row.forgotten,
            })
        })
        .collect();
    let mut intents = Vec::new();
    for (user, intent) in &history.intents {
        let Some(sealed) = &intent.to else { continue };
        let filed = filed(engine, user, &intent.slot, sealed)?;
        intents.push(serde_json::json!({
            "run": intent.run, "filedAt": lines::time(intent.filed_at_ms), "method": method_of(&intent.slot),
            "change": filed, "outcome": intent.outcome,
        }));
    }
    let mut pre_images = Vec::new();
    for (user, image) in &history.pre_images {
        let value: Option<String> = match &image.value {
            Some(sealed) => Some(engine.sealer.open_json(&context::value(user, &image.slot), &sealed.0)?),
            None => None,
        };
        let method = method_of(&image.slot);
        pre_images.push(serde_json::json!({
            "run": image.run, "filedAt": lines::time(image.filed_at_ms), "method": method, "value": value,
        }));
    }
    let record = entries.first().map(|e| redacted(&e.record));
    Ok(serde_json::json!({
        "record": record, "entra": now, "runs": runs, "intents": intents, "preImages": pre_images,
        "forgottenAt": history.forgotten.iter().map(|(_, at_ms)| *at_ms).max().map(lines::time),
    }))
}

/// What was intended; absent where the value was forgotten.
fn filed(engine: &Engine, user: &EntraId, slot: &str, sealed: &Sealed) -> anyhow::Result<Option<Change>> {
    if sealed.0.is_empty() {
        return Ok(None);
    }
    Ok(Some(engine.sealer.open_json(&context::value(user, slot), &sealed.0)?))
}

fn forgotten(method: &str) -> String {
    format!("{method} (the value was forgotten)")
}

fn method_of(slot: &str) -> &str {
    slot.split(':').next().unwrap_or(slot)
}

/// The record without its secrets: operators see numbers, nobody sees a secret.
fn redacted(record: &Record) -> Record {
    let mut record = record.clone();
    if let Some(token) = &mut record.oath_token {
        token.secret = None;
    }
    for device in &mut record.devices {
        device.oath_secret = None;
    }
    record
}

fn change(change: &Change) -> String {
    let serial = change.serial.as_deref().map(|s| format!(" {s}")).unwrap_or_default();
    format!(
        "{}{serial}: {} → {}",
        change.method.as_str(),
        change.from.as_deref().unwrap_or("nothing"),
        change.to.as_deref().unwrap_or("nothing")
    )
}

fn phone(phone: &RawPhone) -> String {
    if phone.number.trim().is_empty() {
        return "-".to_owned();
    }
    let country =
        if phone.country_code.is_empty() { String::new() } else { format!("+{} ", phone.country_code) };
    let extension = if phone.extension.is_empty() { String::new() } else { format!(" x{}", phone.extension) };
    format!("{country}{}{extension}", phone.number)
}

fn token(record: &Record) -> String {
    match &record.oath_token {
        None => "-".to_owned(),
        Some(token) => format!(
            "{} ({} s)",
            token.serial.as_deref().unwrap_or("no serial"),
            token.interval_seconds.unwrap_or(30)
        ),
    }
}
