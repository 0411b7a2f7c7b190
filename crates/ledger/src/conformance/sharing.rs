//! What processes share: who leads, who is alive, which messages were set aside, and the pace.

use crate::{Ledger, Presence, ServiceKind};
use std::sync::Arc;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 3600);

pub(super) async fn check<L: Ledger>(fresh: &impl AsyncFn() -> L) {
    a_leader_changes_the_same_rows(fresh().await).await;
    a_service_is_seen_by_its_last_word(fresh().await).await;
    a_message_is_set_aside_once(fresh().await).await;
    a_pace_goes_step_by_step(fresh().await).await;
    steps_at_once_lose_none(fresh().await).await;
}

async fn a_leader_changes_the_same_rows<L: Ledger>(ledger: L) {
    let lead = ledger.lead("one").await.unwrap();
    assert!(!*lead.lost.borrow());
    lead.ledger.keep_rates(&[("methods".into(), 1.0)]).await.unwrap();
    assert_eq!(ledger.learned_rates().await.unwrap().len(), 1);
    assert!(!lead.lost.has_changed().unwrap(), "whoever watches is not told that it ended");
    let term = lead.term;
    drop(lead);
    let next = ledger.lead("two").await.unwrap();
    assert!(next.term > term || term == 0, "terms grow where somebody can compete");
}

async fn a_service_is_seen_by_its_last_word<L: Ledger>(ledger: L) {
    assert!(ledger.presences(DAY).await.unwrap().is_empty());
    let presence = |name: &str, kind, waits_for: Option<&str>| Presence {
        name: name.into(),
        kind,
        waits_for: waits_for.map(str::to_owned),
    };
    let worker_b = presence("b-1", ServiceKind::Worker, None);
    let worker_a = presence("a-9", ServiceKind::Worker, None);
    let coordinator = presence("z-1", ServiceKind::Coordinator, Some("the broker"));
    for one in
        [&worker_b, &coordinator, &worker_a, &presence("b-1", ServiceKind::Worker, Some("x")), &worker_b]
    {
        ledger.report_presence(one).await.unwrap();
    }
    let seen = ledger.presences(DAY).await.unwrap();
    assert!(seen.iter().all(|seen| seen.ago < DAY));
    let seen: Vec<_> = seen.into_iter().map(|seen| seen.presence).collect();
    assert_eq!(seen, [coordinator, worker_a, worker_b]);
}

async fn a_message_is_set_aside_once<L: Ledger>(ledger: L) {
    assert_eq!(ledger.parked_messages(10).await.unwrap(), (Vec::new(), 0));
    for (queue, id, reason) in [
        ("work", "1", "unreadable"),
        ("work", "2", "unreadable"),
        ("snapshot", "1", "other"),
        ("work", "1", "again"),
    ] {
        ledger.file_parked_message(queue, id, reason).await.unwrap();
    }
    let (messages, total) = ledger.parked_messages(2).await.unwrap();
    let told: Vec<_> =
        messages.iter().map(|m| (m.queue.as_str(), m.id.as_str(), m.reason.as_str())).collect();
    assert_eq!((told, total), (vec![("snapshot", "1", "other"), ("work", "2", "unreadable")], 3));
    let (all, _) = ledger.parked_messages(10).await.unwrap();
    assert_eq!(all[2].reason, "unreadable", "what is on file is left");
}

async fn a_pace_goes_step_by_step<L: Ledger>(ledger: L) {
    let (paces, start) = ledger.paces().await.unwrap();
    assert!(paces.is_empty() && start > 1.0e9);
    let (told, tell) = std::sync::mpsc::channel();
    for next in ["one", "two"] {
        let told = told.clone();
        let step = move |before: Option<&str>, now: f64| {
            told.send((before.map(str::to_owned), now)).unwrap();
            next.to_owned()
        };
        ledger.step_pace("methods", Box::new(step)).await.unwrap();
    }
    ledger.step_pace("directory", Box::new(|_, _| "three".to_owned())).await.unwrap();
    let told: Vec<_> = tell.try_iter().collect();
    assert_eq!(told.iter().map(|(before, _)| before.as_deref()).collect::<Vec<_>>(), [None, Some("one")]);
    let (paces, end) = ledger.paces().await.unwrap();
    let expected = [("directory", "three"), ("methods", "two")];
    assert_eq!(paces, expected.map(|(bucket, state)| (bucket.to_owned(), state.to_owned())));
    assert!(start <= told[0].1 && told[0].1 <= told[1].1 && told[1].1 <= end, "one clock, which goes on");
}

async fn steps_at_once_lose_none<L: Ledger>(ledger: L) {
    let ledger = Arc::new(ledger);
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let ledger = Arc::clone(&ledger);
            tokio::spawn(async move {
                for _ in 0..10 {
                    let count = |before: Option<&str>, _| {
                        (before.map_or(0, |text| text.parse::<u32>().unwrap()) + 1).to_string()
                    };
                    ledger.step_pace("methods", Box::new(count)).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(ledger.paces().await.unwrap().0, [("methods".to_owned(), "80".to_owned())]);
}
