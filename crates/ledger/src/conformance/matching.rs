//! Matching: a stage at a time, ambiguity both ways, and which rule decides.

use super::fixture::{World, entra, print, record, sealed, user};
use crate::{DirectoryRow, FiledRecord, Ledger, MatchCounts, ResultRow};
use contract::{Allowed, EntryState, Match, Outcome, RunId, RunKind, RunState};

pub(super) async fn check<L: Ledger>(fresh: &impl AsyncFn() -> L) {
    the_first_stage_that_hits_decides(fresh().await).await;
    every_stage_uses_its_own_column(fresh().await).await;
    ambiguity_goes_both_ways(fresh().await).await;
    left_out_users_are_settled_by_the_first_rule(fresh().await).await;
    matching_again_changes_nothing(fresh().await).await;
    what_the_policy_allows_is_copied(fresh().await).await;
}

fn keyed(ordinal: i64, keys: &[(usize, i64)]) -> FiledRecord {
    let mut row = record(ordinal);
    row.keys = [None; 6];
    for (stage, number) in keys {
        row.keys[*stage] = Some(print("key", *number));
    }
    row
}

fn known(number: i64, keys: &[(usize, i64)]) -> DirectoryRow {
    let mut row = user(number);
    row.keys = [None; 6];
    for (stage, number) in keys {
        row.keys[*stage] = Some(print("key", *number));
    }
    row
}

struct Matched<L> {
    world: World<L>,
    run: RunId,
    counts: MatchCounts,
    rows: Vec<ResultRow>,
}

async fn matched<L: Ledger>(
    ledger: L,
    records: Vec<FiledRecord>,
    users: &[DirectoryRow],
    stages: &[Match],
    include_disabled: bool,
) -> Matched<L> {
    let world = World::with(ledger, records).await;
    let run = world.ledger.open_run(&world.spec(RunKind::Migrate, "north")).await.unwrap().run.id;
    world.ledger.file_directory_page(run, users, None).await.unwrap();
    let counts = world.ledger.match_users(run, stages, include_disabled).await.unwrap();
    let rows = world.ledger.results(run, 0, 1000).await.unwrap();
    Matched { world, run, counts, rows }
}

fn codes(rows: &[ResultRow]) -> Vec<&str> {
    rows.iter().map(|row| row.codes.as_str()).collect()
}

async fn the_first_stage_that_hits_decides<L: Ledger>(ledger: L) {
    // 1 hits A by upn (and B by sid, which is not asked any more); 2 hits B by sid alone; 3 hits nobody; 4 only by a
    // stage that is not among those asked.
    let records = vec![
        keyed(1, &[(0, 10), (1, 20)]),
        keyed(2, &[(0, 11), (1, 20)]),
        keyed(3, &[(0, 12)]),
        keyed(4, &[(3, 30)]),
    ];
    let users = [known(1, &[(0, 10)]), known(2, &[(1, 20), (3, 30)])];
    let found = matched(ledger, records, &users, &[Match::Upn, Match::Sid], false).await;
    assert_eq!(codes(&found.rows), ["", "", "match-none", "match-none"]);
    assert_eq!(found.rows[0].user, Some(entra(1)));
    assert_eq!(found.rows[0].matched_by, Some(Match::Upn));
    assert_eq!(found.rows[0].directory, Some(sealed("directory 1")));
    assert_eq!(found.rows[0].outcome, None);
    assert_eq!(found.rows[1].user, Some(entra(2)));
    assert_eq!(found.rows[1].matched_by, Some(Match::Sid));
    assert_eq!(found.rows[2].state, EntryState::Skipped);
    assert_eq!(found.rows[2].outcome, Some(Outcome::Skipped));
    assert_eq!(found.rows[2].user, None);
    assert!(found.rows[2].settled_at_ms.is_some());
    assert_eq!(found.counts, MatchCounts { entries: 4, matched: 2, none: 2, ambiguous: 0, disabled: 0 });
    assert_eq!(found.world.ledger.run(found.run).await.unwrap().unwrap().state, RunState::Open);
}

async fn every_stage_uses_its_own_column<L: Ledger>(ledger: L) {
    let numbers = 0..6usize;
    let of = |stage: usize| i64::try_from(stage).unwrap() + 1;
    let records = numbers.clone().map(|stage| keyed(of(stage), &[(stage, 100)])).collect();
    let users: Vec<_> = numbers.map(|stage| known(of(stage), &[(stage, 100)])).collect();
    let mut stages = Match::ALL;
    stages.reverse();
    let found = matched(ledger, records, &users, &stages, false).await;
    for (row, stage) in found.rows.iter().zip(Match::ALL) {
        assert_eq!((row.user.clone(), row.matched_by), (Some(entra(row.ordinal)), Some(stage)));
    }
}

async fn ambiguity_goes_both_ways<L: Ledger>(ledger: L) {
    // 1: two users by one stage. 2 and 3: one user by different stages. 4: a user that 1 hits too. 5: alone. 6: would
    // be found by the second stage, but the first hits two.
    let records = vec![
        keyed(1, &[(3, 1)]),
        keyed(2, &[(0, 2)]),
        keyed(3, &[(1, 3)]),
        keyed(4, &[(0, 4)]),
        keyed(5, &[(0, 5)]),
        keyed(6, &[(0, 6), (1, 7)]),
    ];
    let users = [
        known(1, &[(3, 1)]),
        known(4, &[(3, 1), (0, 4)]),
        known(2, &[(0, 2), (1, 3)]),
        known(5, &[(0, 5)]),
        known(6, &[(0, 6)]),
        known(7, &[(0, 6), (1, 7)]),
    ];
    let found = matched(ledger, records, &users, &[Match::Upn, Match::Sid, Match::Mail], false).await;
    let a = "match-ambiguous";
    assert_eq!(codes(&found.rows), [a, a, a, a, "", a]);
    for row in found.rows.iter().filter(|row| row.codes == a) {
        assert_eq!((row.user.as_ref(), row.directory.as_ref(), row.matched_by), (None, None, None));
        assert_eq!(row.state, EntryState::Skipped);
    }
    assert_eq!(found.counts, MatchCounts { entries: 6, matched: 1, none: 0, ambiguous: 5, disabled: 0 });
    assert!(found.world.claim(found.run, &[1, 2, 3, 4, 6]).await.is_empty());
}

async fn left_out_users_are_settled_by_the_first_rule<L: Ledger>(ledger: L) {
    let disabled = |ordinal, keys: &[(usize, i64)]| FiledRecord { enabled: false, ..keyed(ordinal, keys) };
    // 1: disabled and matched. 2: disabled and not found. 3 and 4 on one user, one of them disabled.
    let records = vec![
        disabled(1, &[(0, 1)]),
        disabled(2, &[(0, 2)]),
        disabled(3, &[(0, 3)]),
        keyed(4, &[(0, 3)]),
        keyed(5, &[(0, 5)]),
    ];
    let users = [known(1, &[(0, 1)]), known(3, &[(0, 3)]), known(5, &[(0, 5)])];
    let found = matched(ledger, records, &users, &[Match::Upn], false).await;
    assert_eq!(
        codes(&found.rows),
        ["source-disabled", "match-none", "match-ambiguous", "match-ambiguous", ""]
    );
    assert_eq!(found.rows[0].user, Some(entra(1)), "a disabled user has a target");
    assert_eq!(found.rows[0].matched_by, Some(Match::Upn));
    assert_eq!(found.counts, MatchCounts { entries: 5, matched: 1, none: 1, ambiguous: 2, disabled: 1 });
    let mut spec = found.world.spec(RunKind::Migrate, "south");
    spec.policy_hash = "disabled too".into();
    let run = found.world.ledger.open_run(&spec).await.unwrap().run.id;
    found.world.ledger.file_directory_page(run, &users, None).await.unwrap();
    let counts = found.world.ledger.match_users(run, &[Match::Upn], true).await.unwrap();
    assert_eq!(counts, MatchCounts { entries: 5, matched: 2, none: 1, ambiguous: 2, disabled: 0 });
}

async fn matching_again_changes_nothing<L: Ledger>(ledger: L) {
    let found = matched(ledger, vec![record(1), record(2)], &[user(1)], &[Match::Upn], false).await;
    found.world.migrate_one(found.run, 1, contract::IntentOutcome::Applied).await;
    found.world.ledger.file_directory_page(found.run, &[user(2)], None).await.unwrap();
    let again = found.world.ledger.match_users(found.run, &[Match::Sid], true).await.unwrap();
    assert_eq!(again, found.counts);
    let rows = found.world.ledger.results(found.run, 0, 10).await.unwrap();
    assert_eq!(rows[0].state, EntryState::Applied);
    assert_eq!(codes(&rows)[1], "match-none");
}

async fn what_the_policy_allows_is_copied<L: Ledger>(ledger: L) {
    let world = World::of(ledger, 2).await;
    let run = world.ledger.open_run(&world.spec(RunKind::Migrate, "north")).await.unwrap().run.id;
    let bare = DirectoryRow { allowed: Allowed::PUSH.with(Allowed::SMS), guest: true, ..user(1) };
    world.ledger.file_directory_page(run, &[bare, user(2)], None).await.unwrap();
    let both = Allowed::SMS.with(Allowed::VOICE_MOBILE);
    world.ledger.change_allowed(run, &[entra(1)], both, Allowed::SMS).await.unwrap();
    world.ledger.match_users(run, &[Match::Upn], false).await.unwrap();
    let claims = world.claim(run, &[1, 2]).await;
    assert_eq!(claims[0].allowed, Allowed::PUSH.with(Allowed::VOICE_MOBILE), "first set, then clear");
    assert_eq!(claims[1].allowed, Allowed::ALL);
    assert!(claims[0].guest && !claims[1].guest);
}
