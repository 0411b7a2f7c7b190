//! One connection that writes, a few that read.
//!
//! Every transaction runs in a task of its own, so that a caller who drops the future (a `select!`, a timeout) cannot
//! leave it open: sqlx would hand the connection on with the transaction still in it. BEGIN and COMMIT are plain
//! statements here, because SQLite may end a transaction by itself (a full disk) and sqlx would go on counting it.

use super::fault::Fault;
use crate::Error;
use sqlx::{Connection, SqliteConnection, SqlitePool};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use tokio::sync::Mutex;

/// The steps of one operation on one connection.
pub(super) type Steps<'c, T> = Pin<Box<dyn Future<Output = Result<T, Fault>> + Send + 'c>>;

/// The connection that writes.
#[derive(Debug)]
struct Writer {
    connection: SqliteConnection,
    /// A transaction was begun and not ended; true at the start of an operation only if the one before it panicked.
    open: bool,
    /// What the connection is set to.
    durability: Durability,
}

/// Whether a commit waits for the disk (`PRAGMA synchronous`, sqlite.org/pragma.html#pragma_synchronous).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Durability {
    Full,
    Lazy,
}

impl Durability {
    fn pragma(self) -> &'static str {
        match self {
            Self::Full => "PRAGMA synchronous = FULL",
            Self::Lazy => "PRAGMA synchronous = NORMAL",
        }
    }
}

/// The connections of one ledger.
#[derive(Debug, Clone)]
pub(super) struct Connections {
    /// Absent when the ledger is open for reading alone.
    writer: Option<Arc<Mutex<Writer>>>,
    /// Absent in memory, where the writer is the only one that sees the rows.
    readers: Option<SqlitePool>,
}

impl Connections {
    /// From connections that are open.
    pub(super) fn new(writer: Option<SqliteConnection>, readers: Option<SqlitePool>) -> Self {
        let writer = writer.map(|connection| {
            Arc::new(Mutex::new(Writer { connection, open: false, durability: Durability::Full }))
        });
        Self { writer, readers }
    }

    /// Runs steps in one immediate transaction: all of them are kept, or none.
    pub(super) async fn write<T, F>(&self, operation: &'static str, steps: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> Steps<'c, T> + Send + 'static,
    {
        self.commit(operation, Durability::Full, steps).await
    }

    /// The same, but a loss of power may take the last of these transactions; never others, nor a part of one.
    pub(super) async fn write_lazily<T, F>(&self, operation: &'static str, steps: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> Steps<'c, T> + Send + 'static,
    {
        self.commit(operation, Durability::Lazy, steps).await
    }

    async fn commit<T, F>(
        &self,
        operation: &'static str,
        durability: Durability,
        steps: F,
    ) -> Result<T, Error>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> Steps<'c, T> + Send + 'static,
    {
        let Some(writer) = self.writer.clone() else {
            return Err(Error::ReadOnly { operation, source: None });
        };
        let task = tokio::spawn(async move {
            let mut writer = writer.lock_owned().await;
            writer.transaction(durability, steps).await
        });
        match task.await {
            Ok(outcome) => outcome.map_err(|fault| fault.named(operation)),
            Err(_) => Err(Error::Stopped { operation }),
        }
    }

    /// Runs steps that only read. Several statements may see different states in between.
    pub(super) async fn read<T, F>(&self, operation: &'static str, steps: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> Steps<'c, T> + Send,
    {
        let outcome = match (&self.readers, &self.writer) {
            (Some(pool), _) => match pool.acquire().await {
                Ok(mut connection) => steps(&mut connection).await,
                Err(error) => Err(Fault::Sql(error)),
            },
            (None, Some(writer)) => steps(&mut writer.lock().await.connection).await,
            (None, None) => return Err(Error::Stopped { operation }),
        };
        outcome.map_err(|fault| fault.named(operation))
    }

    /// Writes the file anew without what was removed, and empties the write-ahead log. Free pages and the slack of pages
    /// that were split keep old bytes whatever is deleted, so nothing less will do. Answers whether the log could be
    /// emptied: another process that reads may keep it.
    pub(super) async fn reclaim(&self) -> Result<bool, Error> {
        let operation = "writing the file anew";
        let Some(writer) = self.writer.clone() else {
            return Err(Error::ReadOnly { operation, source: None });
        };
        let readers = self.readers.clone();
        let task = tokio::spawn(async move {
            let mut writer = writer.lock_owned().await;
            if writer.open {
                writer.roll_back().await;
                writer.open = false;
            }
            sqlx::query("VACUUM").execute(&mut writer.connection).await?;
            if readers.is_none() {
                return Ok(true);
            }
            let busy: i64 = sqlx::query_scalar("PRAGMA wal_checkpoint(TRUNCATE)")
                .fetch_one(&mut writer.connection)
                .await?;
            Ok(busy == 0)
        });
        match task.await {
            Ok(outcome) => outcome.map_err(|error: sqlx::Error| Fault::Sql(error).named(operation)),
            Err(_) => Err(Error::Stopped { operation }),
        }
    }

    /// Closes all connections; the write-ahead log goes into the file.
    pub(super) async fn close(&self) {
        if let Some(pool) = &self.readers {
            pool.close().await;
        }
        if let Some(writer) = &self.writer {
            let mut writer = writer.lock().await;
            if let Err(error) =
                sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut writer.connection).await
            {
                tracing::warn!(%error, "the write-ahead log stays beside the ledger");
            }
            writer.connection.clear_cached_statements().await.ok();
        }
    }
}

impl Writer {
    async fn transaction<T, F>(&mut self, durability: Durability, steps: F) -> Result<T, Fault>
    where
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> Steps<'c, T>,
    {
        if self.open {
            self.roll_back().await;
        }
        if self.durability != durability {
            sqlx::query(durability.pragma()).execute(&mut self.connection).await?;
            self.durability = durability;
        }
        sqlx::query("BEGIN IMMEDIATE").execute(&mut self.connection).await?;
        self.open = true;
        let outcome = match steps(&mut self.connection).await {
            Ok(value) => {
                sqlx::query("COMMIT").execute(&mut self.connection).await.map(|_| value).map_err(Fault::Sql)
            }
            Err(fault) => Err(fault),
        };
        if outcome.is_err() {
            self.roll_back().await;
        }
        self.open = false;
        outcome
    }

    /// SQLite may have rolled back by itself already; then this fails and there is nothing to do.
    async fn roll_back(&mut self) {
        if let Err(error) = sqlx::query("ROLLBACK").execute(&mut self.connection).await {
            tracing::debug!(%error, "no transaction to roll back");
        }
    }
}
