//! Opening a server: is the schema ours, is its shape known.
//!
//! It must never change a schema that holds something else, nor migrate one that is opened for reading alone.

use super::address::Address;
use super::connection::{CONNECTIONS, Connections};
use super::fault::{Kind, silent};
use super::line::PING_TIMEOUT;
use crate::Error;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, PgConnection, SqlSafeStr};
use std::time::Duration;

/// How long a first connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a server may take to tell what is in our schema.
const LOOK_TIMEOUT: Duration = Duration::from_secs(30);

/// How long the schema may take to be brought to the newest shape, another process that is at it included.
const MIGRATE_TIMEOUT: Duration = Duration::from_secs(3600);

/// How long an operation waits for a connection of the pool, a restart of the server included.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(15);

/// A connection that lay idle for longer is asked whether it is still there before it is used.
const TRUSTED_IDLE: Duration = Duration::from_secs(1);

/// What sqlx keeps of the first shape; another program's migrations are called something else.
const FIRST_SHAPE: &str = "create ledger";

/// The shapes of the schema, oldest first. The names are those of the SQLite migrations too.
fn migrator() -> Migrator {
    let shape = |version, name: &'static str, sql: &'static str| {
        Migration::new(version, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
    };
    Migrator::with_migrations(vec![
        shape(1, FIRST_SHAPE, include_str!("../../migrations/postgres/0001_create_ledger.sql")),
        shape(2, "batches", include_str!("../../migrations/postgres/0002_batches.sql")),
        shape(3, "journal", include_str!("../../migrations/postgres/0003_journal.sql")),
        shape(4, "whose is later", include_str!("../../migrations/postgres/0004_whose_is_later.sql")),
        shape(5, "passes and cutover", include_str!("../../migrations/postgres/0005_passes_and_cutover.sql")),
        shape(6, "forget", include_str!("../../migrations/postgres/0006_forget.sql")),
        shape(7, "rollout", include_str!("../../migrations/postgres/0007_rollout.sql")),
    ])
}

fn newest_shape() -> i64 {
    migrator().iter().map(|m| m.version).max().unwrap_or(0)
}

/// Opens for writing; makes the schema if it is not there, and brings it to the newest shape.
pub(super) async fn for_writing(address: &Address) -> Result<Connections, Error> {
    // Another process may be migrating: it is waited for.
    let patient = address.options.clone().options([("lock_timeout", "0"), ("statement_timeout", "0")]);
    let mut connection = connect(address, &patient).await?;
    let found = answered(address, LOOK_TIMEOUT, found(address, &mut connection)).await?;
    if found.is_strange {
        return Err(strange(address));
    }
    let known = newest_shape();
    if found.shape > known {
        return Err(Error::Newer { place: address.place.clone(), found: found.shape, known });
    }
    if !found.may_change {
        // Somebody else owns it. As it is, it is what we need, or that somebody has to bring it there.
        closed(address, connection).await?;
        return match found.shape.cmp(&known) {
            std::cmp::Ordering::Less => Err(not_ours(address, found.shape, known)),
            std::cmp::Ordering::Equal | std::cmp::Ordering::Greater => {
                Ok(Connections::new(pool(&address.options), true))
            }
        };
    }
    let mut migrator = migrator();
    if !found.has_schema {
        migrator.create_schema(address.schema.clone());
    }
    answered(address, MIGRATE_TIMEOUT, async {
        let migrated = migrator.run_direct(None, &mut connection, false).await;
        migrated.map_err(|source| Error::Migrate { place: address.place.clone(), source })
    })
    .await?;
    closed(address, connection).await?;
    Ok(Connections::new(pool(&address.options), true))
}

/// Opens beside processes that write: no migration, no write.
pub(super) async fn for_reading(address: &Address) -> Result<Connections, Error> {
    let options = address.options.clone().options([("default_transaction_read_only", "on")]);
    let mut connection = connect(address, &options).await?;
    let found = answered(address, LOOK_TIMEOUT, found(address, &mut connection)).await?;
    closed(address, connection).await?;
    let (place, known) = (address.place.clone(), newest_shape());
    if found.is_strange {
        return Err(strange(address));
    }
    match found.shape.cmp(&known) {
        std::cmp::Ordering::Greater => Err(Error::Newer { place, found: found.shape, known }),
        std::cmp::Ordering::Less if found.shape == 0 => {
            let reason = format!(
                "there is no ledger in its schema {}; run a migrate or rehearse, which makes one",
                address.schema
            );
            Err(Error::Server { place, reason })
        }
        std::cmp::Ordering::Less => Err(Error::Older { place, found: found.shape, known }),
        std::cmp::Ordering::Equal => Ok(Connections::new(pool(&options), false)),
    }
}

/// What a server answers within a limit.
async fn answered<T>(
    address: &Address,
    limit: Duration,
    asked: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    tokio::time::timeout(limit, asked).await.unwrap_or_else(|_| Err(from_sqlx(address, silent())))
}

async fn closed(address: &Address, connection: PgConnection) -> Result<(), Error> {
    let closing = async { connection.close().await.map_err(|error| from_sqlx(address, error)) };
    answered(address, CONNECT_TIMEOUT, closing).await
}

/// One connection, outside the pool.
pub(super) async fn connect(address: &Address, options: &PgConnectOptions) -> Result<PgConnection, Error> {
    match tokio::time::timeout(CONNECT_TIMEOUT, options.connect()).await {
        Ok(connected) => connected.map_err(|error| from_sqlx(address, error)),
        Err(_) => Err(from_sqlx(address, sqlx::Error::PoolTimedOut)),
    }
}

/// Opens connections as they are needed.
fn pool(options: &PgConnectOptions) -> sqlx::PgPool {
    PgPoolOptions::new()
        .max_connections(CONNECTIONS)
        .min_connections(0)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .idle_timeout(Duration::from_secs(300))
        .test_before_acquire(false)
        .before_acquire(|connection, meta| {
            Box::pin(async move {
                if meta.idle_for < TRUSTED_IDLE {
                    return Ok(true);
                }
                // What says nothing at all is dropped without a farewell, which would wait too.
                let there = tokio::time::timeout(PING_TIMEOUT, connection.ping()).await;
                there.map(|there| there.is_ok()).map_err(|_| silent())
            })
        })
        .connect_lazy_with(options.clone())
}

/// What there is in our schema.
struct Found {
    has_schema: bool,
    /// Whether our user may bring it to another shape: make the schema, or tables in the one there is.
    may_change: bool,
    /// The newest migration; 0 where there is none.
    shape: i64,
    /// Tables that are not ours.
    is_strange: bool,
}

async fn found(address: &Address, connection: &mut PgConnection) -> Result<Found, Error> {
    let told = |error| from_sqlx(address, error);
    let (has_schema, may_change, tables, is_migrated): (bool, bool, i64, bool) = sqlx::query_as(
        "SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1),
                coalesce((SELECT has_schema_privilege(oid, 'CREATE') FROM pg_namespace WHERE nspname = $1),
                         has_database_privilege(current_database(), 'CREATE')),
                count(c.oid),
                coalesce(bool_or(c.relname = '_sqlx_migrations'), false)
           FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
          WHERE n.nspname = $1 AND c.relkind IN ('r', 'p', 'v', 'm', 'f')",
    )
    .bind(&address.schema)
    .fetch_one(&mut *connection)
    .await
    .map_err(told)?;
    if !is_migrated {
        return Ok(Found { has_schema, may_change, shape: 0, is_strange: tables > 0 });
    }
    let migrations: Vec<(i64, String)> =
        sqlx::query_as("SELECT version, description FROM _sqlx_migrations WHERE success ORDER BY version")
            .fetch_all(connection)
            .await
            .map_err(told)?;
    let is_ours = migrations.first().map_or(tables == 1, |(_, description)| description == FIRST_SHAPE);
    let shape = migrations.last().map_or(0, |(version, _)| *version);
    Ok(Found { has_schema, may_change, shape, is_strange: !is_ours })
}

/// A schema that another user owns, and that is not as this build needs it.
fn not_ours(address: &Address, found: i64, known: i64) -> Error {
    let reason = format!(
        "its schema {} has the shape {found}, this build needs {known}, and this user may not change it: run `mfa-migrate \
         ledger prepare` with the user that owns it",
        address.schema
    );
    Error::Server { place: address.place.clone(), reason }
}

fn strange(address: &Address) -> Error {
    let reason = format!(
        "its schema {} holds tables of another program; nothing was changed in it: name another database, or another \
         schema by options=-c search_path=NAME",
        address.schema
    );
    Error::Server { place: address.place.clone(), reason }
}

/// What is said of a server that could not be opened. Its own words name the user and the database at most.
pub(super) fn from_sqlx(address: &Address, error: sqlx::Error) -> Error {
    let place = address.place.clone();
    match Kind::of(&error) {
        Kind::Away | Kind::Busy | Kind::Collision => Error::Unreachable { place, source: error },
        Kind::Denied | Kind::Full | Kind::Corrupt | Kind::ReadOnly | Kind::Other => {
            Error::Server { place, reason: format!("{error}{}", advice(&error)) }
        }
    }
}

/// What to do where TLS does not come about: without this, the words of rustls stand alone.
fn advice(error: &sqlx::Error) -> &'static str {
    if matches!(error, sqlx::Error::Tls(_)) {
        return "; see that it offers TLS (ssl = on) and that the files of the address's sslrootcert, sslcert and sslkey can be read";
    }
    // What rustls refuses, or is refused by the other side, comes as damaged data.
    if matches!(error, sqlx::Error::Io(error) if error.kind() == std::io::ErrorKind::InvalidData) {
        return "; see that sslrootcert=FILE names the authority of its certificate and the address the host that is in it, and, \
                if it asks for a certificate of ours, that sslcert=FILE and sslkey=FILE name one that it accepts";
    }
    ""
}
