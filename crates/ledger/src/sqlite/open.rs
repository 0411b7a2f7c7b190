//! Opening the file: is it ours, is its shape known, may only its owner read it.
//!
//! It must never change a file that is not a ledger, nor migrate one that is opened for reading alone.

use super::connection::Connections;
use super::fault::{NOT_A_DATABASE, primary_code};
use crate::Error;
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, SqlSafeStr, SqliteConnection};
use std::path::Path;
use std::time::Duration;

/// "mfam" in ASCII; set by the first migration.
const APPLICATION_ID: i64 = 1_835_426_157;

/// How long a statement waits for another process's lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// `status`, `report` and the run's own look-ups, at once.
const READERS: u32 = 3;

/// Statements kept prepared on a connection: the fixed ones, and multi-row ones of the usual lengths.
const PREPARED_STATEMENTS: usize = 200;

/// The shapes of the file, oldest first. The names are those of the PostgreSQL migrations too.
pub(super) fn migrator() -> Migrator {
    let shape = |version, name: &'static str, sql: &'static str| {
        Migration::new(version, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
    };
    Migrator::with_migrations(vec![
        shape(1, "create ledger", include_str!("../../migrations/sqlite/0001_create_ledger.sql")),
        shape(2, "batches", include_str!("../../migrations/sqlite/0002_batches.sql")),
        shape(3, "journal", include_str!("../../migrations/sqlite/0003_journal.sql")),
        shape(4, "whose is later", include_str!("../../migrations/sqlite/0004_whose_is_later.sql")),
        shape(5, "passes and cutover", include_str!("../../migrations/sqlite/0005_passes_and_cutover.sql")),
        shape(6, "forget", include_str!("../../migrations/sqlite/0006_forget.sql")),
        shape(7, "rollout", include_str!("../../migrations/sqlite/0007_rollout.sql")),
    ])
}

fn newest_shape() -> i64 {
    migrator().iter().map(|m| m.version).max().unwrap_or(0)
}

/// Opens for writing; makes the file if it is not there, and brings it to the newest shape.
pub(super) async fn for_writing(path: &Path) -> Result<Connections, Error> {
    make_private(path)?;
    let options =
        file_options(path).journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Full);
    let mut probe = connect(path, &file_options(path)).await?;
    check_ours(path, &mut probe, true).await?;
    probe.close().await.map_err(|error| from_sqlx(path, error))?;
    keep_private(path)?;
    let mut writer = connect(path, &options).await?;
    migrate(path, &mut writer).await?;
    let readers = read_pool(path).await?;
    Ok(Connections::new(Some(writer), Some(readers)))
}

/// Opens beside a process that writes: no migration, no write. The file itself is opened for writing, since the first
/// to open a ledger after a crash has to recover its write-ahead log; `query_only` keeps every statement to reading.
pub(super) async fn for_reading(path: &Path) -> Result<Connections, Error> {
    if !path.is_file() {
        let reason = if path.exists() { "it is not a file" } else { "there is no such file" };
        return Err(open_error(path, reason));
    }
    let mut probe = connect(path, &file_options(path).pragma("query_only", "ON")).await?;
    check_ours(path, &mut probe, false).await?;
    probe.close().await.map_err(|error| from_sqlx(path, error))?;
    Ok(Connections::new(None, Some(read_pool(path).await?)))
}

/// A ledger that is gone with the process.
pub(super) async fn in_memory() -> Result<Connections, Error> {
    let path = Path::new(":memory:");
    let options = tuned(SqliteConnectOptions::new().in_memory(true));
    let mut writer = connect(path, &options).await?;
    migrate(path, &mut writer).await?;
    Ok(Connections::new(Some(writer), None))
}

fn file_options(path: &Path) -> SqliteConnectOptions {
    tuned(SqliteConnectOptions::new().filename(path).create_if_missing(false))
}

fn tuned(options: SqliteConnectOptions) -> SqliteConnectOptions {
    options
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT)
        .statement_cache_capacity(PREPARED_STATEMENTS)
        .disable_statement_logging()
}

async fn read_pool(path: &Path) -> Result<sqlx::SqlitePool, Error> {
    SqlitePoolOptions::new()
        .max_connections(READERS)
        .min_connections(0)
        .connect_with(file_options(path).pragma("query_only", "ON"))
        .await
        .map_err(|error| from_sqlx(path, error))
}

async fn connect(path: &Path, options: &SqliteConnectOptions) -> Result<SqliteConnection, Error> {
    options.connect().await.map_err(|error| from_sqlx(path, error))
}

/// A database of ours carries our number; an empty one may become ours.
async fn check_ours(path: &Path, connection: &mut SqliteConnection, may_be_empty: bool) -> Result<(), Error> {
    let id: i64 = sqlx::query_scalar("PRAGMA application_id")
        .fetch_one(&mut *connection)
        .await
        .map_err(|error| from_sqlx(path, error))?;
    if id == APPLICATION_ID {
        return check_shape(path, connection, may_be_empty).await;
    }
    // What a process leaves that died before the first migration: sqlx's table and the index that comes with it.
    let others: i64 =
        sqlx::query_scalar("SELECT count(*) FROM sqlite_schema WHERE tbl_name <> '_sqlx_migrations'")
            .fetch_one(&mut *connection)
            .await
            .map_err(|error| from_sqlx(path, error))?;
    if id == 0 && others == 0 && may_be_empty {
        Ok(())
    } else {
        Err(Error::NotALedger { path: path.to_owned() })
    }
}

async fn check_shape(
    path: &Path,
    connection: &mut SqliteConnection,
    may_be_older: bool,
) -> Result<(), Error> {
    let found: i64 =
        sqlx::query_scalar("SELECT coalesce(max(version), 0) FROM _sqlx_migrations WHERE success")
            .fetch_one(connection)
            .await
            .map_err(|error| from_sqlx(path, error))?;
    let known = newest_shape();
    match found.cmp(&known) {
        std::cmp::Ordering::Greater => Err(Error::Newer { place: path.display().to_string(), found, known }),
        std::cmp::Ordering::Less if !may_be_older => {
            Err(Error::Older { place: path.display().to_string(), found, known })
        }
        std::cmp::Ordering::Less | std::cmp::Ordering::Equal => Ok(()),
    }
}

async fn migrate(path: &Path, connection: &mut SqliteConnection) -> Result<(), Error> {
    migrator().run_direct(None, connection, false).await.map_err(|source| migrate_error(path, source))
}

fn migrate_error(path: &Path, source: MigrateError) -> Error {
    Error::Migrate { place: path.display().to_string(), source }
}

fn open_error(path: &Path, reason: impl Into<String>) -> Error {
    Error::Open { path: path.to_owned(), reason: reason.into() }
}

fn from_sqlx(path: &Path, error: sqlx::Error) -> Error {
    if primary_code(&error) == Some(NOT_A_DATABASE) {
        return Error::NotALedger { path: path.to_owned() };
    }
    open_error(path, error.to_string())
}

/// Makes the file if it is not there. An existing one is not touched: closing a second handle on it would take away the
/// locks that SQLite holds in this process.
fn make_private(path: &Path) -> Result<(), Error> {
    if path.is_dir() {
        return Err(open_error(path, "it is a folder"));
    }
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    };
    if !folder.is_dir() {
        return Err(open_error(path, format!("the folder {} does not exist", folder.display())));
    }
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(open_error(path, error.to_string())),
    }
}

/// Takes everybody else's rights from a ledger that has them; SQLite gives the files beside it the same mode.
#[cfg(unix)]
fn keep_private(path: &Path) -> Result<(), Error> {
    use std::os::unix::fs::PermissionsExt;
    let metadata = std::fs::metadata(path).map_err(|error| open_error(path, error.to_string()))?;
    if metadata.permissions().mode() & 0o077 == 0 {
        return Ok(());
    }
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
        .map_err(|error| open_error(path, format!("it cannot be made readable by its owner alone: {error}")))
}

/// Access lists are inherited from the folder there.
#[cfg(not(unix))]
fn keep_private(_path: &Path) -> Result<(), Error> {
    Ok(())
}
