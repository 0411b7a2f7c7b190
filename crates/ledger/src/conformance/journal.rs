//! The journal: every change and every event in one chain, nothing else, and nobody appends beside the head.

use super::fixture::{World, entra, intent, settle, snooze};
use crate::{Event, Ledger};
use contract::{EntryState, IntentOutcome, JournalChain, JournalLine, RunId, RunKind};
use std::sync::Arc;
use std::time::Duration;

pub(super) async fn check<L: Ledger>(fresh: &impl AsyncFn() -> L) {
    what_was_changed_and_decided_is_chained(World::of(fresh().await, 2).await).await;
    who_changes_nothing_leaves_no_line(World::of(fresh().await, 2).await).await;
    many_who_append_at_once_make_one_chain(World::of(fresh().await, 40).await).await;
}

/// All lines, after their chain was found whole.
pub(super) async fn whole<L: Ledger>(ledger: &L) -> Vec<JournalLine> {
    let (last, digest) = ledger.journal_head().await.unwrap();
    let mut chain = JournalChain::default();
    let mut lines = Vec::new();
    loop {
        let page = ledger.journal(chain.lines(), 3).await.unwrap();
        if page.is_empty() {
            break;
        }
        for line in page {
            chain.take(&line).unwrap();
            lines.push(line);
        }
    }
    chain.end(last, &digest).unwrap();
    lines
}

fn event(run: Option<RunId>, what: &str) -> Event {
    Event {
        at_ms: 0,
        by: "ada@node7".into(),
        batch: "north".into(),
        run,
        what: what.into(),
        why: "a \"reason\", and ümlauts".into(),
    }
}

async fn what_was_changed_and_decided_is_chained<L: Ledger>(world: World<L>) {
    assert!(whole(&*world.ledger).await.is_empty(), "it begins empty");
    world.ledger.record_event(&event(None, "created")).await.unwrap();
    let run = world.run(RunKind::Migrate, "north").await;
    let claims = world.claim(run, &[1, 2]).await;
    let rows: Vec<_> = claims.iter().map(|claim| intent(claim, "mobile", None, Some("ours"))).collect();
    world.ledger.file_intents(run, &rows).await.unwrap();
    let ends = [
        settle(&claims[0], EntryState::Applied, &[("mobile", IntentOutcome::Applied)]),
        settle(&claims[1], EntryState::Parked, &[("mobile", IntentOutcome::Refused)]),
    ];
    world.ledger.finish(run, &ends).await.unwrap();
    world.ledger.record_event(&event(Some(run), "done")).await.unwrap();
    let lines = whole(&*world.ledger).await;
    let told: Vec<_> = lines.iter().map(|line| (line.no, line.run, line.what.as_str())).collect();
    assert_eq!(told, [(1, None, "event"), (2, Some(run.0), "changes"), (3, Some(run.0), "event")]);
    let changes: serde_json::Value = serde_json::from_str(&lines[1].content).unwrap();
    assert_eq!(
        changes,
        serde_json::json!([[entra(1).0, "mobile", "applied"], [entra(2).0, "mobile", "refused"]])
    );
    let said: serde_json::Value = serde_json::from_str(&lines[2].content).unwrap();
    assert_eq!(
        said,
        serde_json::json!({ "by": "ada@node7", "batch": "north", "what": "done",
                            "why": "a \"reason\", and ümlauts" })
    );
    assert!(lines.iter().all(|line| line.at_ms > 1_600_000_000_000));
    assert_eq!(world.ledger.journal(2, 10).await.unwrap().len(), 1);
}

async fn who_changes_nothing_leaves_no_line<L: Ledger>(world: World<L>) {
    let looked = world.run(RunKind::Rehearse, "north").await;
    let claim = world.claim_one(looked, 1).await;
    let seen = [("mobile", IntentOutcome::Applied)];
    world.ledger.finish(looked, &[settle(&claim, EntryState::Planned, &seen)]).await.unwrap();
    let run = world.run(RunKind::Migrate, "north").await;
    let claim = world.claim_one(run, 1).await;
    world.ledger.finish(run, &[snooze(&claim, Duration::ZERO, false)]).await.unwrap();
    let mut late = settle(&world.claim_one(run, 1).await, EntryState::Applied, &seen);
    late.epoch -= 1;
    assert!(world.ledger.finish(run, &[late]).await.unwrap().is_empty());
    assert!(whole(&*world.ledger).await.is_empty(), "no change, a change not ours, or a stale claim");
}

async fn many_who_append_at_once_make_one_chain<L: Ledger>(world: World<L>) {
    let run = world.run(RunKind::Migrate, "north").await;
    let world = Arc::new(world);
    let mut tasks = tokio::task::JoinSet::new();
    for ordinal in 1..=40 {
        let world = Arc::clone(&world);
        tasks.spawn(async move {
            world.migrate_one(run, ordinal, IntentOutcome::Applied).await;
            world.ledger.record_event(&event(Some(run), "set")).await.unwrap();
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    let lines = whole(&*world.ledger).await;
    let changes = lines.iter().filter(|line| line.what == "changes").count();
    assert_eq!((lines.len(), changes), (80, 40));
}
