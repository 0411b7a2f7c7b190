//! `report --verify-journal`: walks the journal of changes and says whether it is whole.

use crate::args::Report;
use crate::config::Config;
use crate::engine::Engine;
use crate::{Exit, Usage, lines};
use anyhow::bail;
use contract::{JournalBreak, JournalChain};

/// The shortest part of a digest that names one.
const SHORTEST_HEAD: usize = 8;

/// What a walk came to.
struct Walk {
    lines: i64,
    head: String,
    /// When the last line was written, in milliseconds since 1970 UTC.
    last_at_ms: Option<i64>,
    /// The line whose digest the operator had kept.
    kept: Option<i64>,
    broken: Option<JournalBreak>,
}

pub(crate) async fn verify(verb: &Report, config: &Config, json: bool) -> anyhow::Result<Exit> {
    let kept = verb.head.as_deref().map(str::to_ascii_lowercase);
    if let Some(kept) = &kept
        && (kept.len() < SHORTEST_HEAD || !kept.bytes().all(|b| b.is_ascii_hexdigit()))
    {
        bail!(Usage(format!(
            "--head takes the digest that an earlier check printed, at least its first {SHORTEST_HEAD} digits"
        )));
    }
    let engine = Engine::look(config).await?;
    let walk = walk(&engine, kept.as_deref()).await?;
    if json {
        println!("{}", as_json(&walk, kept.as_deref()));
    } else {
        print(&walk, kept.as_deref());
    }
    if walk.broken.is_some() {
        bail!("the journal of this ledger is not what was written");
    }
    if kept.is_some() && walk.kept.is_none() {
        bail!("the journal of this ledger is not the one whose head you kept");
    }
    Ok(Exit::Done)
}

/// Lines and head of a journal that must be whole, for the demo.
pub(crate) async fn must_be_whole(engine: &Engine) -> anyhow::Result<(i64, String)> {
    let walk = walk(engine, None).await?;
    match walk.broken {
        Some(broken) => bail!("the journal is not what was written: {broken}"),
        None => Ok((walk.lines, walk.head)),
    }
}

/// Goes along the chain as it stood when it began; what is appended meanwhile is left for the next walk.
async fn walk(engine: &Engine, kept: Option<&str>) -> anyhow::Result<Walk> {
    let (last, digest) = engine.ledger.journal_head().await?;
    let mut chain = JournalChain::default();
    let mut walk = Walk { lines: 0, head: chain.head(), last_at_ms: None, kept: None, broken: None };
    'pages: while chain.lines() < last {
        let page = engine.ledger.journal(chain.lines(), lines::PAGE).await?;
        if page.is_empty() {
            break;
        }
        for line in page.iter().filter(|line| line.no <= last) {
            if let Err(broken) = chain.take(line) {
                walk.broken = Some(broken);
                break 'pages;
            }
            walk.last_at_ms = Some(line.at_ms);
            if kept.is_some_and(|kept| chain.head().starts_with(kept)) {
                walk.kept = Some(line.no);
            }
        }
        if page.last().is_some_and(|line| line.no > last) {
            break;
        }
    }
    if walk.broken.is_none() {
        walk.broken = chain.end(last, &digest).err();
    }
    (walk.lines, walk.head) = (chain.lines(), chain.head());
    Ok(walk)
}

fn as_json(walk: &Walk, kept: Option<&str>) -> serde_json::Value {
    let mut object = serde_json::json!({
        "whole": walk.broken.is_none(),
        "lines": walk.lines,
        "head": walk.head,
        "lastAt": walk.last_at_ms.map(lines::time),
        "broken": walk.broken.as_ref().map(ToString::to_string),
    });
    if kept.is_some() {
        object["keptHeadIsLine"] = walk.kept.into();
    }
    object
}

fn print(walk: &Walk, kept: Option<&str>) {
    match &walk.broken {
        None => {
            let last =
                walk.last_at_ms.map_or_else(String::new, |at| format!(", the last of {}", lines::time(at)));
            println!("the journal is whole: {} lines{last}", walk.lines);
            println!("  head {}", walk.head);
        }
        Some(broken) => {
            println!("the journal is broken: {broken}");
            println!("  whole up to line {}, whose digest is {}", walk.lines, walk.head);
            println!(
                "  somebody has changed this ledger by other means than mfa-migrate: keep it as it is, and compare it with a backup"
            );
        }
    }
    match (kept, walk.kept) {
        (Some(_), Some(no)) => println!("  the head that you kept is its line {no}"),
        (Some(_), None) => println!(
            "  the head that you kept is not in it: the journal was written anew since, or is that of another ledger"
        ),
        (None, _) if walk.broken.is_none() => println!(
            "  keep the head elsewhere: `mfa-migrate report --verify-journal --head {}` shows later that nothing before it was changed",
            walk.head.get(..16).unwrap_or(&walk.head)
        ),
        (None, _) => {}
    }
}
