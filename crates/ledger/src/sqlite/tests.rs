//! What SQLite alone promises: its file, its mode, its refusals. The rest is the conformance suite's.

use crate::conformance::conformance;
use crate::conformance::fixture::{LONG, World, intent, settle};
use crate::{Error, Ledger, SqliteLedger};
use contract::{Disposition, EntryState, RunKind, Sealed};
use sqlx::migrate::Migrate;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};
use std::path::Path;
use tempfile::TempDir;

fn sealed(text: &str) -> Sealed {
    Sealed(text.as_bytes().to_vec())
}

async fn open(path: &Path) -> SqliteLedger {
    SqliteLedger::open(path).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_in_memory_conforms() {
    conformance(async || SqliteLedger::open_in_memory().await.unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ledger_in_a_file_conforms() {
    let folder = TempDir::new().unwrap();
    let number = std::sync::atomic::AtomicU32::new(0);
    conformance(async || {
        let number = number.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        open(&folder.path().join(format!("{number}.db"))).await
    })
    .await;
}

#[tokio::test]
async fn what_was_committed_is_there_after_a_crash() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("ledger.db");
    let ledger = open(&path).await;
    ledger.keep("a", &sealed("1")).await.unwrap();
    // The files as a process that is killed here leaves them: nobody closes, the write-ahead log is not folded in.
    let copy = folder.path().join("copy.db");
    std::fs::copy(&path, &copy).unwrap();
    std::fs::copy(folder.path().join("ledger.db-wal"), folder.path().join("copy.db-wal")).unwrap();
    let looking = SqliteLedger::open_read_only(&copy).await.unwrap();
    assert!(looking.latest_run(&[contract::RunKind::Migrate]).await.unwrap().is_none());
    let reopened = open(&copy).await;
    assert_eq!(reopened.keep("a", &sealed("2")).await.unwrap(), sealed("1"));
    drop(ledger);
    let again = open(&path).await;
    assert_eq!(again.keep("a", &sealed("2")).await.unwrap(), sealed("1"));
}

#[tokio::test]
async fn a_torn_write_ahead_log_loses_whole_transactions_only() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("ledger.db");
    let ledger = open(&path).await;
    ledger.keep("a", &sealed("1")).await.unwrap();
    ledger.close().await;
    ledger.keep_rates(&[("one".into(), 1.0), ("two".into(), 2.0)]).await.unwrap();
    let whole = std::fs::read(folder.path().join("ledger.db-wal")).unwrap();
    let file = std::fs::read(&path).unwrap();
    for (number, length) in [0, 40, whole.len() / 2, whole.len() - 1, whole.len()].into_iter().enumerate() {
        let copy = folder.path().join(format!("torn-{number}.db"));
        std::fs::write(&copy, &file).unwrap();
        std::fs::write(folder.path().join(format!("torn-{number}.db-wal")), &whole[..length]).unwrap();
        let torn = open(&copy).await;
        let rates = torn.learned_rates().await.unwrap().len();
        assert!(rates == 0 || rates == 2, "{rates} of two rows");
        assert_eq!(torn.keep("a", &sealed("2")).await.unwrap(), sealed("1"));
    }
}

#[tokio::test]
async fn looking_writes_nothing() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("ledger.db");
    assert!(matches!(SqliteLedger::open_read_only(&path).await, Err(Error::Open { .. })));
    assert!(!path.exists());
    let writing = open(&path).await;
    writing.keep_rates(&[("methods".into(), 1.0)]).await.unwrap();
    let looking = SqliteLedger::open_read_only(&path).await.unwrap();
    assert_eq!(looking.learned_rates().await.unwrap().len(), 1);
    writing.keep_rates(&[("directory".into(), 1.0)]).await.unwrap();
    assert_eq!(looking.learned_rates().await.unwrap().len(), 2, "it sees what is committed meanwhile");
    assert!(matches!(looking.keep("a", &sealed("1")).await, Err(Error::ReadOnly { .. })));
}

#[tokio::test]
async fn another_file_is_refused_and_left_alone() {
    let folder = TempDir::new().unwrap();
    let text = folder.path().join("users.csv");
    std::fs::write(&text, "Username,Phone\n".repeat(100)).unwrap();
    let before = std::fs::read(&text).unwrap();
    assert!(matches!(SqliteLedger::open(&text).await, Err(Error::NotALedger { .. })));
    assert!(matches!(SqliteLedger::open_read_only(&text).await, Err(Error::NotALedger { .. })));
    assert_eq!(std::fs::read(&text).unwrap(), before);

    let foreign = folder.path().join("foreign.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&foreign).create_if_missing(true);
    let mut connection = sqlx::ConnectOptions::connect(&options).await.unwrap();
    sqlx::query("CREATE TABLE theirs (a INTEGER)").execute(&mut connection).await.unwrap();
    sqlx::Connection::close(connection).await.unwrap();
    let before = std::fs::read(&foreign).unwrap();
    let error = SqliteLedger::open(&foreign).await.unwrap_err();
    assert!(matches!(error, Error::NotALedger { .. }));
    assert_eq!(error.disposition(), Disposition::Stop);
    assert_eq!(std::fs::read(&foreign).unwrap(), before);
}

/// A process that dies between sqlx's own table and the first migration leaves an empty ledger, not a stranger's file.
#[tokio::test]
async fn a_death_before_the_first_migration_leaves_a_ledger_to_be() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("ledger.db");
    let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
    let mut connection = options.connect().await.unwrap();
    connection.ensure_migrations_table("_sqlx_migrations").await.unwrap();
    connection.close().await.unwrap();
    open(&path).await;
    SqliteLedger::open_read_only(&path).await.unwrap();
}

#[tokio::test]
async fn a_folder_and_a_missing_folder_say_so() {
    let folder = TempDir::new().unwrap();
    let said = SqliteLedger::open(folder.path()).await.unwrap_err().to_string();
    assert!(said.contains("is a folder"), "{said}");
    let said = SqliteLedger::open(&folder.path().join("no/ledger.db")).await.unwrap_err().to_string();
    assert!(said.contains("does not exist"), "{said}");
    assert!(matches!(SqliteLedger::open_read_only(folder.path()).await, Err(Error::Open { .. })));
}

#[tokio::test]
async fn a_newer_shape_is_refused() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("ledger.db");
    open(&path).await.close().await;
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&path);
    let mut connection = sqlx::ConnectOptions::connect(&options).await.unwrap();
    sqlx::query("INSERT INTO _sqlx_migrations VALUES (9999, 'later', '2030-01-01', 1, x'00', 0)")
        .execute(&mut connection)
        .await
        .unwrap();
    sqlx::Connection::close(connection).await.unwrap();
    assert!(matches!(SqliteLedger::open(&path).await, Err(Error::Newer { found: 9999, .. })));
    assert!(matches!(SqliteLedger::open_read_only(&path).await, Err(Error::Newer { .. })));
}

/// The first shape, as an earlier version has left it, with a run in it.
#[tokio::test]
async fn an_older_shape_is_brought_up_to_date_by_writing() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("ledger.db");
    let options = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
    let mut connection = options.connect().await.unwrap();
    let first = super::open::migrator().iter().take(1).cloned().collect();
    sqlx::migrate::Migrator::with_migrations(first).run_direct(None, &mut connection, false).await.unwrap();
    for statement in [
        "INSERT INTO snapshot (no, id, manifest) VALUES (1, 'old', '{}')",
        "INSERT INTO run (kind, batch, snapshot, policy, policy_hash, include_unchanged, state, opened_at)
         VALUES ('migrate', 'all', 1, '{}', 'hash', 0, 'open', 1)",
        "INSERT INTO entry (run, ordinal, snapshot, writing, state, user_key, content, entra)
         VALUES (1, 1, 1, 1, 'waiting', zeroblob(16), zeroblob(16), 'user')",
    ] {
        sqlx::query(statement).execute(&mut connection).await.unwrap();
    }
    connection.close().await.unwrap();
    assert!(matches!(SqliteLedger::open_read_only(&path).await, Err(Error::Older { found: 1, .. })));
    let ledger = open(&path).await;
    let run = ledger.latest_run(&[RunKind::Migrate]).await.unwrap().unwrap();
    assert_eq!((run.step, run.steps.len(), run.waits_for.clone()), (0, 0, None));
    let released = ledger.release(run.id, 10, None, std::time::Duration::ZERO).await.unwrap();
    assert_eq!(released.entries.len(), 1);
    assert!(ledger.batches().await.unwrap().is_empty());
    SqliteLedger::open_read_only(&path).await.unwrap();
}

#[tokio::test]
async fn what_was_done_and_decided_stays_as_it_was_told() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("ledger.db");
    let ledger = open(&path).await;
    let event = crate::Event {
        at_ms: 0,
        by: "anna@desk".into(),
        batch: "all".into(),
        run: None,
        what: "paused".into(),
        why: "a call".into(),
    };
    ledger.record_event(&event).await.unwrap();
    let mut connection = SqliteConnectOptions::new().filename(&path).connect().await.unwrap();
    for change in [
        "UPDATE event SET why = 'another'",
        "DELETE FROM event",
        "UPDATE journal SET content = ''",
        "DELETE FROM journal",
    ] {
        assert!(sqlx::query(change).execute(&mut connection).await.is_err(), "{change}");
    }
    connection.close().await.unwrap();
    assert_eq!(ledger.events(None, 10).await.unwrap()[0].why, "a call");
}

#[cfg(unix)]
#[tokio::test]
async fn only_its_owner_may_read_it() {
    use std::os::unix::fs::PermissionsExt;
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("ledger.db");
    let ledger = open(&path).await;
    ledger.keep("a", &sealed("1")).await.unwrap();
    let mode = |name: &str| std::fs::metadata(folder.path().join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("ledger.db"), mode("ledger.db-wal")), (0o600, 0o600));
    drop(ledger);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    open(&path).await;
    assert_eq!(mode("ledger.db"), 0o600);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_locked_ledger_is_busy_and_not_broken() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("ledger.db");
    let ledger = open(&path).await;
    let error = super::fault::Fault::Sql(locked(&path, &ledger).await).named("testing");
    assert!(matches!(error, Error::Busy { .. }));
    assert_eq!(error.disposition(), Disposition::Retry);
    ledger.keep("a", &sealed("1")).await.unwrap();
}

/// The error of a second writer that does not wait.
async fn locked(path: &Path, ledger: &SqliteLedger) -> sqlx::Error {
    let options =
        sqlx::sqlite::SqliteConnectOptions::new().filename(path).busy_timeout(std::time::Duration::ZERO);
    let mut second = sqlx::ConnectOptions::connect(&options).await.unwrap();
    let (locked, is_locked) = tokio::sync::oneshot::channel::<()>();
    let (tried, was_tried) = tokio::sync::oneshot::channel::<()>();
    let connections = ledger.connections.clone();
    let holder = tokio::spawn(async move {
        connections
            .write("holding the lock", move |_| {
                Box::pin(async move {
                    locked.send(()).unwrap();
                    was_tried.await.unwrap();
                    Ok(())
                })
            })
            .await
    });
    is_locked.await.unwrap();
    let error = sqlx::query("BEGIN IMMEDIATE").execute(&mut second).await.unwrap_err();
    tried.send(()).unwrap();
    holder.await.unwrap().unwrap();
    error
}

/// The process that wrote before is gone, since we hold the file's lock.
#[tokio::test]
async fn leading_voids_claims_and_releases() {
    let world = World::of(SqliteLedger::open_in_memory().await.unwrap(), 3).await;
    let run = world.run(RunKind::Migrate, "north").await;
    assert_eq!(world.release(run).await.0, [1, 2, 3]);
    assert!(world.release(run).await.0.is_empty());
    let held = world.claim(run, &[1, 2]).await;
    world.ledger.lead("next").await.unwrap();
    assert!(world.ledger.renew(run, &[(1, held[0].epoch)], LONG).await.unwrap().is_empty());
    assert!(
        world.ledger.finish(run, &[settle(&held[1], EntryState::Applied, &[])]).await.unwrap().is_empty()
    );
    assert_eq!(world.release(run).await.0, [1, 2, 3], "what was released is released again");
    world.ledger.lead("next").await.unwrap();
    let writing = world.claim_one(run, 1).await;
    world.ledger.file_intents(run, &[intent(&writing, "mobile", None, Some("ours"))]).await.unwrap();
    world.claim_one(run, 2).await;
    world.ledger.lead("next").await.unwrap();
    let south = world.run(RunKind::Migrate, "south").await;
    let got: Vec<_> = world.claim(south, &[1, 2, 3]).await.iter().map(|c| c.ordinal).collect();
    assert_eq!(got, [2, 3], "a user whose write is in doubt stays with its run");
}
