//! The cut-over of a domain: the value before stands until it was brought back; and whom no migration has reached.

use super::fixture::{World, entra};
use crate::{Ledger, NewCutover};
use contract::{IntentOutcome, RunKind};

pub(super) async fn check<L: Ledger>(fresh: &impl AsyncFn() -> L) {
    the_value_before_stands_until_it_was_brought_back(fresh().await).await;
    whom_no_migration_has_reached_is_told(World::of(fresh().await, 5).await).await;
}

fn change(before: Option<&str>, to: &str, back: bool) -> NewCutover {
    NewCutover {
        domain: "contoso.example".into(),
        federation: "f-1".into(),
        before: before.map(str::to_owned),
        to: to.into(),
        back,
        by: "anna@node7".into(),
    }
}

async fn the_value_before_stands_until_it_was_brought_back<L: Ledger>(ledger: L) {
    assert_eq!(ledger.cutover("contoso.example").await.unwrap(), None);
    let first = ledger.file_cutover(&change(Some("enforce"), "reject", false)).await.unwrap();
    let second = ledger.file_cutover(&change(Some("reject"), "reject", false)).await.unwrap();
    let standing = ledger.cutover("contoso.example").await.unwrap().unwrap();
    assert_eq!((standing.before.as_deref(), standing.federation.as_str()), (Some("enforce"), "f-1"));
    assert_eq!(standing.intents.iter().map(|i| i.no).collect::<Vec<_>>(), [first, second]);
    assert!(standing.intents.iter().all(|i| i.outcome.is_none() && !i.back && i.to == "reject"));
    ledger.end_cutover(first, IntentOutcome::Applied, "anna").await.unwrap();
    ledger.end_cutover(first, IntentOutcome::Refused, "anna").await.unwrap();
    let back = ledger.file_cutover(&change(None, "enforce", true)).await.unwrap();
    ledger.end_cutover(back, IntentOutcome::Refused, "anna").await.unwrap();
    let standing = ledger.cutover("contoso.example").await.unwrap().unwrap();
    let outcomes: Vec<_> = standing.intents.iter().map(|i| i.outcome).collect();
    assert_eq!(outcomes, [Some(IntentOutcome::Applied), None, Some(IntentOutcome::Refused)]);
    let back = ledger.file_cutover(&change(None, "enforce", true)).await.unwrap();
    ledger.end_cutover(back, IntentOutcome::Applied, "anna").await.unwrap();
    assert_eq!(ledger.cutover("contoso.example").await.unwrap(), None);
    let anew = ledger.file_cutover(&change(None, "reject", false)).await.unwrap();
    assert!(anew > back);
    assert_eq!(ledger.cutover("contoso.example").await.unwrap().unwrap().before, None);
    let events = ledger.events(Some("all"), 99).await.unwrap();
    assert_eq!(events.iter().filter(|event| event.what == "cutover-begun").count(), 5);
    assert_eq!(events.iter().filter(|event| event.what == "cutover-ended").count(), 3);
    assert_eq!(ledger.journal_head().await.unwrap().0, 8);
}

async fn whom_no_migration_has_reached_is_told<L: Ledger>(world: World<L>) {
    let never = world.ledger.never_moved(0, 99).await.unwrap();
    assert_eq!(never.iter().map(|n| n.ordinal).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    assert!(never.iter().all(|n| n.directory.is_none() && n.enabled));
    world.run(RunKind::Survey, "all").await;
    let never = world.ledger.never_moved(3, 1).await.unwrap();
    assert_eq!(never.len(), 1);
    let (user, sealed) = never[0].directory.clone().expect("the survey found the user");
    assert_eq!((user, sealed.0), (entra(4), b"sealed:directory 4".to_vec()));
    world.run(RunKind::Migrate, "all").await;
    assert!(world.ledger.never_moved(0, 99).await.unwrap().is_empty());
}
