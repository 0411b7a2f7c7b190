//! The ledger on a real PostgreSQL: the suite of every dialect, who may open it, and who leads.

use crate::postgres_crowd::{World, record};
use contract::{Disposition, RunKind, RunState, SnapshotId};
use harness::services::postgres;
use ledger::{Error, Event, Ledger, PgLedger};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Far beyond what anything here takes; a test that waits longer has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// A database of its own and its name.
fn database() -> (String, String) {
    let url = postgres().new_database();
    let name = url.rsplit('/').next().unwrap().to_owned();
    (url, name)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_on_postgres_conforms() {
    let (url, _) = database();
    let number = AtomicU32::new(0);
    ledger::conformance(async || {
        // A schema each, which is quicker than a database.
        let number = number.fetch_add(1, Ordering::Relaxed);
        PgLedger::open(&format!("{url}?options=-c%20search_path%3Dledger_{number}")).await.unwrap()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_may_open_a_new_ledger_at_once() {
    let (url, name) = database();
    let opening: Vec<_> = (0..8)
        .map(|_| url.clone())
        .map(|url| tokio::spawn(async move { PgLedger::open(&url).await }))
        .collect();
    for opened in opening {
        opened.await.unwrap().unwrap();
    }
    let tables = "select count(*) from pg_tables where schemaname = ";
    assert_eq!(
        postgres().psql(&name, &format!("{tables}'public'")),
        "0",
        "all of it is in a schema of its own"
    );
    assert_ne!(postgres().psql(&name, &format!("{tables}'mfa_migrate'")), "0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn looking_changes_nothing() {
    let (url, name) = database();
    let none = PgLedger::open_read_only(&url).await.unwrap_err();
    assert!(matches!(none, Error::Server { .. }) && none.disposition() == Disposition::Stop, "{none}");
    assert_eq!(
        postgres().psql(&name, "select count(*) from pg_namespace where nspname = 'mfa_migrate'"),
        "0"
    );
    let writing = PgLedger::open(&url).await.unwrap();
    let looking = PgLedger::open_read_only(&url).await.unwrap();
    writing.keep_rates(&[("methods".into(), 1.0)]).await.unwrap();
    assert_eq!(looking.learned_rates().await.unwrap().len(), 1);
    assert!(matches!(looking.keep_rates(&[]).await, Err(Error::ReadOnly { .. })));
    postgres().psql(&name, "update mfa_migrate._sqlx_migrations set version = 9999 where version = (select max(version) from mfa_migrate._sqlx_migrations)");
    assert!(matches!(PgLedger::open_read_only(&url).await, Err(Error::Newer { found: 9999, .. })));
    assert!(matches!(PgLedger::open(&url).await, Err(Error::Newer { .. })));
}

/// The first shape, as an earlier version has left it, with a run in it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_shape_is_brought_up_to_date_by_writing() {
    let (url, name) = database();
    let world = World::new(&url, 2).await;
    let run = world.run(RunKind::Migrate, "all").await;
    postgres().psql(
        &name,
        "set search_path = mfa_migrate; drop view standing; drop table journal, journal_head; \
         drop function journal_append, journal_is_append_only; alter table intent drop column maybe_before; \
         drop index run_unfinished; drop table event, batch_member, batch; drop function event_is_append_only; \
         drop table forgotten, seat; alter table entry drop column forgotten, drop column place; drop index pre_image_settled; \
         drop table pass, pass_claim, pass_issue, cutover_intent, cutover; drop function cutover_is_insert_only; \
         alter table run drop column step, drop column steps, drop column step_ends, drop column waits_for; \
         delete from _sqlx_migrations where version > 1",
    );
    let older = PgLedger::open_read_only(&url).await.unwrap_err();
    assert!(matches!(older, Error::Older { found: 1, .. }), "{older}");
    let ledger = PgLedger::open(&url).await.unwrap();
    let found = ledger.run(run).await.unwrap().unwrap();
    assert_eq!((found.state, found.step, found.steps.len()), (RunState::Open, 0, 0));
    assert_eq!(ledger.release(run, 10, None, PATIENCE).await.unwrap().entries.len(), 2);
    assert!(ledger.batches().await.unwrap().is_empty());
    PgLedger::open_read_only(&url).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_done_and_decided_stays_as_it_was_told() {
    let (url, name) = database();
    let ledger = PgLedger::open(&url).await.unwrap();
    let event = Event {
        at_ms: 0,
        by: "anna@desk".into(),
        batch: "all".into(),
        run: None,
        what: "paused".into(),
        why: "a call".into(),
    };
    ledger.record_event(&event).await.unwrap();
    for change in [
        "update event set why = 'another'",
        "delete from event",
        "truncate event",
        "update journal set content = ''",
        "delete from journal",
        "truncate journal",
    ] {
        // The block says whether the server refused it.
        let refused = format!(
            "set search_path = mfa_migrate; create temp table told (refused boolean); \
             do $$ begin {change}; insert into told values (false); \
             exception when raise_exception then insert into told values (true); end $$; select refused from told"
        );
        assert_eq!(postgres().psql(&name, &refused), "t", "{change}");
    }
    assert_eq!(ledger.events(None, 10).await.unwrap()[0].why, "a call");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schema_of_another_program_is_left_alone() {
    let (url, name) = database();
    let public = format!("{url}?options=-c%20search_path%3Dpublic");
    postgres().psql(&name, "create table theirs (a int)");
    let theirs = "select count(*) from pg_tables where schemaname = 'public'";
    let refused = PgLedger::open(&public).await.unwrap_err();
    assert!(matches!(refused, Error::Server { .. }), "{refused}");
    assert_eq!(postgres().psql(&name, theirs), "1");
    // Of a program that keeps its migrations by the same library.
    postgres().psql(
        &name,
        "create table _sqlx_migrations (version bigint primary key, description text, success boolean); \
         insert into _sqlx_migrations values (1, 'theirs', true)",
    );
    let refused = PgLedger::open(&public).await.unwrap_err();
    assert!(matches!(refused, Error::Server { .. }), "{refused}");
    assert_eq!(postgres().psql(&name, theirs), "2");
    PgLedger::open(&url).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_not_let_in_is_told_so() {
    let (url, _) = database();
    let absent = PgLedger::open(&format!("{url}_absent")).await.unwrap_err();
    assert!(matches!(absent, Error::Server { .. }), "{absent}");
    let nobody = url.replace("postgres@", "nobody:geheim@");
    let refused = PgLedger::open(&nobody).await.unwrap_err();
    assert!(matches!(refused, Error::Server { .. }), "{refused}");
    assert!(!format!("{refused} {refused:?}").contains("geheim"));
    let closed = PgLedger::open("postgres://postgres:geheim@127.0.0.1:1/x").await.unwrap_err();
    assert!(matches!(closed, Error::Unreachable { .. }), "{closed}");
    assert_eq!(closed.disposition(), Disposition::Retry);
    assert!(!format!("{closed} {closed:?}").contains("geheim"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_whose_session_is_gone_changes_nothing_more() {
    let (url, name) = database();
    let world = World::new(&url, 3).await;
    let run = world.run(RunKind::Migrate, "north").await;
    let mut first = world.ledger.lead("first").await.unwrap();
    assert_eq!(first.ledger.release(run, 1, None, PATIENCE).await.unwrap().entries.len(), 1);
    let second = PgLedger::open(&url).await.unwrap();
    let waiting = tokio::spawn(async move { second.lead("second").await });
    let leads = "select name from mfa_migrate.leadership";
    assert_eq!(postgres().psql(&name, leads), "first");
    postgres().psql(
        &name,
        "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and database = \
         (select oid from pg_database where datname = current_database())",
    );
    let second = tokio::time::timeout(PATIENCE, waiting).await.expect("it leads").unwrap().unwrap();
    assert_eq!(second.term, first.term + 1);
    assert_eq!(postgres().psql(&name, leads), "second");
    // Whether it has noticed or not.
    let before = world.rows(run).await;
    let deposed = [
        first.ledger.release(run, 10, Some(Duration::ZERO), Duration::ZERO).await.unwrap_err(),
        first.ledger.settle_unchanged(run, &[1, 2, 3], "unchanged-since-last").await.unwrap_err(),
        first.ledger.set_run_state(run, RunState::Superseded).await.unwrap_err(),
        first.ledger.begin_snapshot(&SnapshotId("d".repeat(64))).await.unwrap_err(),
        first.ledger.file_records(&world.snapshot, &[record(9)]).await.unwrap_err(),
        first.ledger.checkpoint(run, "release", 1).await.unwrap_err(),
        first.ledger.open_run(&world.spec(RunKind::Migrate, "north", "another")).await.unwrap_err(),
        first.ledger.claim(run, &[1], "first", PATIENCE).await.unwrap_err(),
    ];
    for error in deposed {
        assert!(matches!(error, Error::Deposed { .. }), "{error}");
        assert_eq!(error.disposition(), Disposition::Stop);
    }
    assert_eq!(world.rows(run).await, before);
    assert!(world.ledger.checkpoints(run).await.unwrap().is_empty());
    assert!(first.ledger.learned_rates().await.is_ok(), "it may still look");
    tokio::time::timeout(PATIENCE, first.lost.wait_for(|lost| *lost)).await.expect("it is told").unwrap();
    assert!(!*second.lost.borrow());
    assert_eq!(second.ledger.release(run, 10, None, PATIENCE).await.unwrap().entries.len(), 2);
    drop(second);
    let third = tokio::time::timeout(PATIENCE, world.ledger.lead("third")).await.expect("it leads").unwrap();
    assert_eq!(third.term, first.term + 2, "who steps down makes room");
}

/// Two leaders at the same moment: the one before is in the middle of a change when the next one counts its term up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn terms_do_not_overlap() {
    let (url, name) = database();
    let world = World::new(&url, 400).await;
    let run = world.run(RunKind::Migrate, "north").await;
    let first = world.ledger.lead("first").await.unwrap();
    let releasing = tokio::spawn(async move {
        let mut released = Vec::new();
        loop {
            match first.ledger.release(run, 1, None, PATIENCE).await {
                Ok(page) if page.entries.is_empty() => return released,
                Ok(page) => released.extend(page.entries.into_iter().map(|entry| entry.ordinal)),
                Err(error) => {
                    assert!(matches!(error, Error::Deposed { .. }), "{error}");
                    return released;
                }
            }
        }
    });
    postgres().psql(&name, "update mfa_migrate.leadership set term = term + 1");
    let mut released = releasing.await.unwrap();
    let rest = world.ledger.release(run, 1000, None, PATIENCE).await.unwrap().entries;
    released.extend(rest.into_iter().map(|entry| entry.ordinal));
    released.sort_unstable();
    assert_eq!(released, (1..=400).collect::<Vec<_>>(), "what it was told of is what was done");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pre_image_cannot_be_changed_by_hand() {
    let (url, name) = database();
    let world = World::new(&url, 1).await;
    let run = world.run(RunKind::Migrate, "north").await;
    world.work_off(run, &[1], "worker").await.unwrap();
    let said = std::panic::catch_unwind(|| {
        postgres().psql(&name, "update mfa_migrate.pre_image set value = 'x'");
    });
    assert!(said.is_err());
    assert_eq!(postgres().psql(&name, "select count(*) from mfa_migrate.pre_image where value = 'x'"), "0");
}
