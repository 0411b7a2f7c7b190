//! The history of a user: the entries of all runs, and what the ledger knows of the Entra user.

use super::fixture::{World, entra, print};
use crate::Ledger;
use contract::{IntentOutcome, RunKind, RunState, UserKey};

pub(super) async fn check<L: Ledger>(fresh: &impl AsyncFn() -> L) {
    it_spans_all_runs(World::of(fresh().await, 2).await).await;
}

async fn it_spans_all_runs<L: Ledger>(world: World<L>) {
    let first = world.run(RunKind::Migrate, "north").await;
    for ordinal in [1, 2] {
        world.migrate_one(first, ordinal, IntentOutcome::Applied).await;
    }
    world.ledger.set_run_state(first, RunState::Done).await.unwrap();
    let second = world.run(RunKind::Migrate, "north").await;
    world.migrate_one(second, 1, IntentOutcome::Drifted).await;
    let history = world.ledger.user_history(UserKey(print("user", 1))).await.unwrap();
    assert_eq!(history.entries.iter().map(|e| e.run).collect::<Vec<_>>(), [second, first], "newest first");
    assert!(history.entries.iter().all(|e| e.user == Some(entra(1)) && e.directory.is_some()));
    assert_eq!(
        history.intents.iter().map(|(_, i)| i.run).collect::<Vec<_>>(),
        [first, second],
        "oldest first"
    );
    assert_eq!(history.pre_images.len(), 1);
    let nobody = world.ledger.user_history(UserKey(print("user", 77))).await.unwrap();
    assert!(nobody.entries.is_empty() && nobody.pre_images.is_empty() && nobody.intents.is_empty());
}
