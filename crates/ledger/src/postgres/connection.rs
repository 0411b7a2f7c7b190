//! The pool, and the one way in which a change reaches the database.
//!
//! Every change runs in a task of its own, so that a caller who drops the future (a `select!`, a timeout) cannot leave a
//! transaction open: sqlx 0.9.0 would hand the connection on with it. A change either is one statement that commits by
//! itself, or stands between BEGIN and COMMIT; a leader's always does, behind a look at its term.
//!
//! Nothing here waits without a limit of our own. The server's limits are the shorter ones, and tell what was wrong; ours
//! is met by a line that has gone silent, and answers what an unreachable server answers: try again.

use super::fault::{Fault, Kind};
use super::line::Line;
use crate::Error;
use sqlx::{Connection, PgConnection, PgPool};
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

/// The steps of one operation on one connection. They may be run again from the start.
pub(super) type Steps<'c, T> = Pin<Box<dyn Future<Output = Result<T, Fault>> + Send + 'c>>;

/// Connections of one process: a worker's claims, intents and ends, the pace, the looks of `status`.
pub(super) const CONNECTIONS: u32 = 8;

/// How often transactions that collided are repeated before it is told.
const COLLISIONS: u32 = 6;

/// How long steps that only read may take; the server ends a statement of theirs after 60 s.
const READ_TIMEOUT: Duration = Duration::from_secs(75);

/// How long sets of users, or the tidying of tables, may take; the server ends such a statement after an hour.
const TIDY_TIMEOUT: Duration = Duration::from_secs(3900);

/// How long the connections may take to end.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

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

    /// How long all of it may take before the line counts as silent. A worker's claims, intents and ends are single
    /// statements of milliseconds, whose locks are waited for for 10 s: they get the least that is surely too long.
    fn limit(self) -> Duration {
        match self {
            Self::Lazy => Duration::from_secs(10),
            Self::Statement => Duration::from_secs(30),
            Self::Together => Duration::from_secs(75),
            Self::Sets => TIDY_TIMEOUT,
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

    /// A connection that was idle when the server went away tells so only now, when nothing has been done: the next one
    /// is taken.
    async fn attempt<A, T, F>(&self, shape: Shape, given: &A, steps: &F) -> Result<T, Fault>
    where
        F: for<'c> Fn(&'c mut PgConnection, &'c A) -> Steps<'c, T>,
    {
        let mut left = CONNECTIONS;
        loop {
            let mut line = Line::of(&self.pool).await?;
            let changing = self.change(&mut line, shape, given, steps);
            let Ok(changed) = tokio::time::timeout(shape.limit(), changing).await else {
                return Err(line.cut());
            };
            match changed {
                Ok(outcome) => return outcome,
                Err(NotBegun(error)) if is_stale(&error) && left > 0 => left -= 1,
                Err(NotBegun(error)) => return Err(error.into()),
            }
        }
    }

    async fn change<A, T, F>(
        &self,
        line: &mut PgConnection,
        shape: Shape,
        given: &A,
        steps: &F,
    ) -> Result<Result<T, Fault>, NotBegun>
    where
        F: for<'c> Fn(&'c mut PgConnection, &'c A) -> Steps<'c, T>,
    {
        if shape == Shape::Statement && self.term.is_none() {
            return Ok(steps(line, given).await);
        }
        let mut transaction = line.begin_with(shape.begin()).await.map_err(NotBegun)?;
        let stepped = async {
            if let Some(term) = self.term {
                let leads = sqlx::query("SELECT 1 FROM leadership WHERE term = $1 FOR SHARE")
                    .bind(term)
                    .fetch_optional(&mut *transaction)
                    .await?;
                if leads.is_none() {
                    return Err(Fault::Deposed);
                }
            }
            let value = steps(&mut transaction, given).await?;
            transaction.commit().await?;
            Ok(value)
        };
        Ok(stepped.await)
    }

    /// Runs steps that only read; on another connection if the first one is gone. Several statements may see different
    /// states in between.
    pub(super) async fn read<A, T, F>(&self, operation: &'static str, given: A, steps: F) -> Result<T, Error>
    where
        F: for<'c> Fn(&'c mut PgConnection, &'c A) -> Steps<'c, T>,
    {
        let mut left = CONNECTIONS;
        loop {
            let mut line = Line::of(&self.pool).await.map_err(|error| Fault::Sql(error).named(operation))?;
            let Ok(outcome) = tokio::time::timeout(READ_TIMEOUT, steps(&mut line, &given)).await else {
                return Err(line.cut().named(operation));
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
            let mut line = Line::of(&connections.pool).await?;
            let tidying = async {
                sqlx::raw_sql("SET statement_timeout = '1h'").execute(&mut *line).await?;
                let tidied = sqlx::raw_sql(statement).execute(&mut *line).await.map(|_| ());
                sqlx::raw_sql("RESET statement_timeout").execute(&mut *line).await?;
                tidied
            };
            match tokio::time::timeout(TIDY_TIMEOUT, tidying).await {
                Ok(tidied) => Ok(tidied?),
                Err(_) => Err(line.cut()),
            }
        });
        if let Ok(Err(fault)) = task.await {
            tracing::debug!(error = %fault.named("tidying up tables"), "tables are tidied up later");
        }
    }

    /// The same, without waiting for it.
    pub(super) fn tidy_aside(&self, statement: &'static str) {
        let connections = self.clone();
        tokio::spawn(async move { connections.tidy(statement).await });
    }

    /// Closes all connections when they are idle; what hangs ends with the process.
    pub(super) async fn close(&self) {
        drop(tokio::time::timeout(CLOSE_TIMEOUT, self.pool.close()).await);
    }
}

/// The transaction was not begun, and nothing was done.
struct NotBegun(sqlx::Error);

/// Whether a connection of the pool turned out to be gone, as opposed to a server that lets nobody in.
fn is_stale(error: &sqlx::Error) -> bool {
    Kind::of(error) == Kind::Away && !matches!(error, sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed)
}
