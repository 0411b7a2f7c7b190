//! Passes: one pair of hands a user, nobody asks twice in doubt, and what is known is known for good.

use super::fixture::{LONG, entra};
use crate::{Ledger, NewPassIntent, PassClaim, PassFinish, PassIssue, PassKnown};
use contract::{PassEnding, PassOutcome};
use std::sync::Arc;
use std::time::Duration;

const NOW: Duration = Duration::ZERO;

pub(super) async fn check<L: Ledger>(fresh: &impl AsyncFn() -> L) {
    an_issue_is_kept_as_it_was_begun(fresh().await).await;
    a_user_is_in_one_pair_of_hands(fresh().await).await;
    a_wish_without_an_outcome_stands_in_the_way_of_another(fresh().await).await;
    a_claim_that_moved_on_touches_nothing(fresh().await).await;
    what_was_issued_is_told_until_its_end(fresh().await).await;
    what_was_made_and_lost_is_told(fresh().await).await;
    many_hands_at_once_file_one_wish(fresh().await).await;
}

fn issue() -> PassIssue {
    PassIssue { id: "0b1c".into(), lifetime_minutes: 60, once: true, start_ms: None, by: "anna@node7".into() }
}

async fn claim_one<L: Ledger>(ledger: &L, number: i64, lease: Duration) -> Option<PassClaim> {
    ledger.claim_passes(&[entra(number)], "us", lease, NOW).await.unwrap().pop()
}

fn wish(claim: &PassClaim, before: &[&str]) -> NewPassIntent {
    let before = before.iter().map(|id| (*id).to_owned()).collect();
    NewPassIntent { user: claim.user.clone(), epoch: claim.epoch, before }
}

fn finish(claim: &PassClaim, known: Option<(i64, PassOutcome, Option<&str>)>) -> PassFinish {
    let outcome =
        known.map(|(no, outcome, method)| PassKnown { no, outcome, method: method.map(str::to_owned) });
    PassFinish { user: claim.user.clone(), epoch: claim.epoch, outcome, ended: Vec::new(), release: true }
}

async fn an_issue_is_kept_as_it_was_begun<L: Ledger>(ledger: L) {
    assert_eq!(ledger.pass_issue("0b1c").await.unwrap(), None);
    ledger.begin_pass_issue(&issue()).await.unwrap();
    ledger.begin_pass_issue(&PassIssue { lifetime_minutes: 90, ..issue() }).await.unwrap();
    assert_eq!(ledger.pass_issue("0b1c").await.unwrap(), Some(issue()));
    let later = PassIssue { id: "0b1d".into(), once: false, start_ms: Some(7), ..issue() };
    ledger.begin_pass_issue(&later).await.unwrap();
    assert_eq!(ledger.pass_issue("0b1d").await.unwrap(), Some(later));
}

async fn a_user_is_in_one_pair_of_hands<L: Ledger>(ledger: L) {
    let first = ledger.claim_passes(&[entra(1), entra(2), entra(1)], "us", LONG, NOW).await.unwrap();
    assert_eq!(first.len(), 2);
    let theirs = ledger.claim_passes(&[entra(2), entra(3)], "they", LONG, NOW).await.unwrap();
    assert_eq!(theirs.iter().map(|claim| claim.user.clone()).collect::<Vec<_>>(), [entra(3)]);
    ledger.finish_passes(&[finish(&first[1], None)]).await.unwrap();
    let again = claim_one(&ledger, 2, NOW).await.expect("it was given back");
    assert!(again.epoch > first[1].epoch);
    assert!(ledger.claim_passes(&[entra(2)], "us", LONG, LONG).await.unwrap().is_empty(), "grace counts");
    assert!(claim_one(&ledger, 2, LONG).await.is_some(), "a lease that is over holds nobody");
    ledger.void_pass_claims().await.unwrap();
    assert!(claim_one(&ledger, 1, LONG).await.is_some());
}

async fn a_wish_without_an_outcome_stands_in_the_way_of_another<L: Ledger>(ledger: L) {
    ledger.begin_pass_issue(&issue()).await.unwrap();
    let claim = claim_one(&ledger, 1, LONG).await.unwrap();
    let filed = ledger.file_pass_intents("0b1c", &[wish(&claim, &["old"])]).await.unwrap();
    assert_eq!(filed.len(), 1);
    assert!(ledger.file_pass_intents("0b1c", &[wish(&claim, &[])]).await.unwrap().is_empty());
    ledger.finish_passes(&[finish(&claim, None)]).await.unwrap();
    let claim = claim_one(&ledger, 1, LONG).await.unwrap();
    let open = claim.open.clone().expect("nothing is known of it");
    assert_eq!((open.no, &open.before, &open.issue), (filed[0].1, &vec!["old".to_owned()], &issue()));
    assert!(open.filed_at_ms > 0 && open.age < LONG);
    assert_eq!(ledger.passes_to_end(0, 9).await.unwrap(), [(open.no, entra(1))]);
    ledger.finish_passes(&[finish(&claim, Some((open.no, PassOutcome::Absent, None)))]).await.unwrap();
    let claim = claim_one(&ledger, 1, LONG).await.unwrap();
    assert_eq!((claim.open.clone(), claim.issued.clone()), (None, Vec::new()));
    assert_eq!(ledger.passes_to_end(0, 9).await.unwrap(), []);
    assert_eq!(ledger.file_pass_intents("0b1c", &[wish(&claim, &[])]).await.unwrap().len(), 1);
}

async fn a_claim_that_moved_on_touches_nothing<L: Ledger>(ledger: L) {
    ledger.begin_pass_issue(&issue()).await.unwrap();
    let stale = claim_one(&ledger, 1, NOW).await.unwrap();
    let fresh = claim_one(&ledger, 1, LONG).await.unwrap();
    assert!(ledger.file_pass_intents("0b1c", &[wish(&stale, &[])]).await.unwrap().is_empty());
    let filed = ledger.file_pass_intents("0b1c", &[wish(&fresh, &[])]).await.unwrap();
    let no = filed[0].1;
    let known = Some((no, PassOutcome::Lost, None));
    assert!(ledger.finish_passes(&[finish(&stale, known)]).await.unwrap().is_empty());
    assert_eq!(ledger.finish_passes(&[finish(&fresh, None)]).await.unwrap(), [entra(1)]);
    assert!(ledger.finish_passes(&[finish(&fresh, known)]).await.unwrap().is_empty(), "it was given back");
    assert_eq!(claim_one(&ledger, 1, LONG).await.unwrap().open.map(|open| open.no), Some(no));
}

async fn what_was_issued_is_told_until_its_end<L: Ledger>(ledger: L) {
    ledger.begin_pass_issue(&issue()).await.unwrap();
    let claim = claim_one(&ledger, 1, LONG).await.unwrap();
    let no = ledger.file_pass_intents("0b1c", &[wish(&claim, &[])]).await.unwrap()[0].1;
    let issued = Some((no, PassOutcome::Issued, Some("m-1")));
    ledger.finish_passes(&[finish(&claim, issued)]).await.unwrap();
    let claim = claim_one(&ledger, 1, LONG).await.unwrap();
    let pass = claim.issued.first().expect("it was issued").clone();
    assert_eq!((pass.no, pass.issue.as_str(), pass.method.as_str(), pass.ending), (no, "0b1c", "m-1", None));
    assert_eq!(ledger.passes_to_end(0, 9).await.unwrap(), [(no, entra(1))]);
    assert_eq!(ledger.passes_to_end(no, 9).await.unwrap(), []);
    let end = |ending| PassFinish { ended: vec![(no, ending)], release: false, ..finish(&claim, None) };
    ledger.finish_passes(&[end(PassEnding::Revoked)]).await.unwrap();
    ledger.finish_passes(&[end(PassEnding::Gone)]).await.unwrap();
    ledger.finish_passes(&[finish(&claim, Some((no, PassOutcome::Lost, None)))]).await.unwrap();
    let lost = ledger.file_pass_intents("0b1c", &[wish(&claim, &[])]).await.unwrap();
    assert!(lost.is_empty(), "the claim was given back");
    let claim = claim_one(&ledger, 1, LONG).await.unwrap();
    assert_eq!(claim.lost, Vec::<String>::new());
    assert_eq!(claim.issued.first().unwrap().ending, Some(PassEnding::Revoked), "what is known stays");
    assert_eq!(ledger.passes_to_end(0, 9).await.unwrap(), []);
    let lines = ledger.journal(0, 99).await.unwrap();
    let told: Vec<&str> = lines.iter().map(|line| line.content.as_str()).collect();
    assert_eq!(lines.len(), 2, "{told:?}");
    assert!(told[0].contains("issued") && told[1].contains("revoked"), "{told:?}");
    assert!(told.iter().all(|line| line.contains("temporaryAccessPass")));
}

async fn what_was_made_and_lost_is_told<L: Ledger>(ledger: L) {
    ledger.begin_pass_issue(&issue()).await.unwrap();
    for (outcome, method) in
        [(PassOutcome::Lost, Some("m-1")), (PassOutcome::Refused, None), (PassOutcome::Lost, None)]
    {
        let claim = claim_one(&ledger, 1, LONG).await.unwrap();
        let no = ledger.file_pass_intents("0b1c", &[wish(&claim, &[])]).await.unwrap()[0].1;
        ledger.finish_passes(&[finish(&claim, Some((no, outcome, method)))]).await.unwrap();
    }
    let claim = claim_one(&ledger, 1, LONG).await.unwrap();
    assert_eq!((claim.lost, claim.open, claim.issued), (vec!["m-1".to_owned()], None, Vec::new()));
}

async fn many_hands_at_once_file_one_wish<L: Ledger>(ledger: L) {
    ledger.begin_pass_issue(&issue()).await.unwrap();
    let ledger = Arc::new(ledger);
    let mut tasks = tokio::task::JoinSet::new();
    for hand in 0..8 {
        let ledger = Arc::clone(&ledger);
        tasks.spawn(async move {
            let users: Vec<_> = (1..=20).map(entra).collect();
            let claims = ledger.claim_passes(&users, &format!("hand {hand}"), LONG, NOW).await.unwrap();
            let wishes: Vec<_> = claims.iter().map(|claim| wish(claim, &[])).collect();
            ledger.file_pass_intents("0b1c", &wishes).await.unwrap().len()
        });
    }
    let mut filed = 0;
    while let Some(ended) = tasks.join_next().await {
        filed += ended.unwrap();
    }
    assert_eq!(filed, 20);
}
