//! The pool, and the one way in which a change reaches the database.
//!
//! Every change runs in a task of its own, so that a caller who drops the future (a `select!`, a timeout) cannot leave a
//! transaction open: sqlx 0.9.0 would hand the connection on with it. A change either is one statement that commits by
//! itself, or stands between BEGIN and COMMIT; a leader's always does, behind a look at its term.

use super::fault::{Fault, Kind};
use crate::Error;
use sqlx::{PgConnection, PgPool, Postgres, Transaction};
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

/// The steps of one operation on one connection. They may be run again from the start.
pub(super) type Steps<'c, T> = Pin<Box<dyn Future<Output = Result<T, Fault>> + Send + 'c>>;

/// Connections of one process: a worker's claims, intents and ends, the pace, the looks of `status`.
pub(super) const CONNECTIONS: u32 = 8;

/// How often transactions that collided are repeated before it is told.
const COLLISIONS: u32 = 6;

/// What stands around a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// One statement that changes something, and commits by itself; what comes after it only reads.
    Statement,
    /// Several that are kept together, or not at all.
    Together,
    /// The same, over sets of users: the planner may read whole tables, and it may take long.
    Sets,
    /// The same, small, and the commit need not wait for the disk: a crash of the server may take the last of them.
    Lazy,
}

impl Shape {
    fn begin(self) -> &'static str {
        match self {
            Self::Statement | Self::Together => "BEGIN",
            Self::Sets => {
                "BEGIN; SET LOCAL enable_seqscan = on; SET LOCAL enable_bitmapscan = on; SET LOCAL enable_hashjoin = on; SET LOCAL enable_mergejoin = on; \
                 SET LOCAL statement_timeout = '1h'; SET LOCAL lock_timeout = '60s'; SET LOCAL work_mem = '64MB'"
            }
            // Everybody waits for such a row: a process that is stopped in the middle must not hold it for long.
            Self::Lazy => {
                "BEGIN; SET LOCAL synchronous_commit = off; SET LOCAL lock_timeout = '3s'; \
                 SET LOCAL idle_in_transaction_session_timeout = '2s'"
            }
        }
    }
}

/// The connections of one ledger.
#[derive(Debug, Clone)]
pub(super) struct Connections {
    pool: PgPool,
    may_write: bool,
    /// What a leader's changes are bound to.
    term: Option<i64>,
}

impl Connections {
    /// Over a pool.
    pub(super) fn new(pool: PgPool, may_write: bool) -> Self {
        Self { pool, may_write, term: None }
    }

    /// The same, with every change bound to a term.
    pub(super) fn under(&self, term: i64) -> Self {
        Self { term: Some(term), ..self.clone() }
    }

    /// Runs steps that change something.
    pub(super) async fn write<A, T, F>(
        &self,
        operation: &'static str,
        shape: Shape,
        given: A,
        steps: F,
    ) -> Result<T, Error>
    where
        A: Send + Sync + 'static,
        T: Send + 'static,
        F: for<'c> Fn(&'c mut PgConnection, &'c A) -> Steps<'c, T> + Send + Sync + 'static,
    {
        if !self.may_write {
            return Err(Error::ReadOnly { operation, source: None });
        }
        let connections = self.clone();
        let task = tokio::spawn(async move {
            let mut collisions = 0;
            loop {
                match connections.attempt(shape, &given, &steps).await {
                    Err(fault) if fault.kind() == Some(Kind::Collision) && collisions < COLLISIONS => {
                        collisions += 1;
                        tracing::debug!(
                            operation,
                            collisions,
                            "two transactions collided; this one is repeated"
                        );
                        tokio::time::sleep(Duration::from_millis(5) * collisions).await;
                    }
                    outcome => return outcome,
                }
            }
        });
        match task.await {
            Ok(outcome) => outcome.map_err(|fault| fault.named(operation)),
            Err(_) => Err(Error::Stopped { operation }),
        }
    }

    async fn attempt<A, T, F>(&self, shape: Shape, given: &A, steps: &F) -> Result<T, Fault>
    where
        F: for<'c> Fn(&'c mut PgConnection, &'c A) -> Steps<'c, T>,
    {
        if shape == Shape::Statement && self.term.is_none() {
            let mut connection = self.pool.acquire().await?;
            return steps(&mut connection, given).await;
        }
        let mut transaction = self.begun(shape).await?;
        if let Some(term) = self.term {
            let leads = sqlx::query("SELECT 1 FROM leadership WHERE term = $1 FOR SHARE")
                .bind(term)
                .fetch_optional(&mut *transaction)
                .await?;
            if leads.is_none() {
                transaction.rollback().await?;
                return Err(Fault::Deposed);
            }
        }
        let value = steps(&mut transaction, given).await?;
        transaction.commit().await?;
        Ok(value)
    }

    /// A connection that was idle when the server went away tells so only now, when nothing has been done: the next one
    /// is taken.
    async fn begun(&self, shape: Shape) -> Result<Transaction<'static, Postgres>, Fault> {
        for _ in 0..CONNECTIONS {
            match self.pool.begin_with(shape.begin()).await {
                Err(error) if is_stale(&error) => {}
                begun => return Ok(begun?),
            }
        }
        Ok(self.pool.begin_with(shape.begin()).await?)
    }

    /// Runs steps that only read; on another connection if the first one is gone. Several statements may see different
    /// states in between.
    pub(super) async fn read<A, T, F>(&self, operation: &'static str, given: A, steps: F) -> Result<T, Error>
    where
        F: for<'c> Fn(&'c mut PgConnection, &'c A) -> Steps<'c, T>,
    {
        let mut left = CONNECTIONS;
        loop {
            let outcome = match self.pool.acquire().await {
                Ok(mut connection) => steps(&mut connection, &given).await,
                Err(error) => return Err(Fault::Sql(error).named(operation)),
            };
            match outcome {
                Err(Fault::Sql(error)) if is_stale(&error) && left > 0 => left -= 1,
                outcome => return outcome.map_err(|fault| fault.named(operation)),
            }
        }
    }

    /// Lets the statistics and the map of what all may see follow a change of very many rows at once, so that counting
    /// reads an index alone. Nothing depends on it: autovacuum does it too, later.
    pub(super) async fn tidy(&self, statement: &'static str) {
        let connections = self.clone();
        let task = tokio::spawn(async move {
            let mut connection = connections.pool.acquire().await?;
            sqlx::raw_sql("SET statement_timeout = 0").execute(&mut *connection).await?;
            let tidied = sqlx::raw_sql(statement).execute(&mut *connection).await.map(|_| ());
            sqlx::raw_sql("RESET statement_timeout").execute(&mut *connection).await?;
            tidied
        });
        if let Ok(Err(error)) = task.await {
            tracing::debug!(%error, "tables are tidied up later");
        }
    }

    /// The same, without waiting for it.
    pub(super) fn tidy_aside(&self, statement: &'static str) {
        let connections = self.clone();
        tokio::spawn(async move { connections.tidy(statement).await });
    }

    /// Closes all connections when they are idle.
    pub(super) async fn close(&self) {
        self.pool.close().await;
    }
}

/// Whether a connection of the pool turned out to be gone, as opposed to a server that lets nobody in.
fn is_stale(error: &sqlx::Error) -> bool {
    Kind::of(error) == Kind::Away && !matches!(error, sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed)
}
