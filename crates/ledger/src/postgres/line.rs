//! One connection of the pool, for as long as one operation has it.
//!
//! sqlx 0.9.0 sets neither keepalive nor `TCP_USER_TIMEOUT` and leaves no way to set them, so a line that has gone silent
//! would be listened to for ever. Every operation therefore has a limit here. A line whose limit has passed must never see
//! another statement: nobody knows how far it came. It is thrown away whole, and its transaction ends with its session.
//! The way back to the pool has a limit too, for sqlx asks the server there once more.

use super::fault::Fault;
use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, PgPool, Postgres};
use std::ops::{Deref, DerefMut};
use std::time::Duration;

/// How long a server may take to say that a connection is still there.
pub(super) const PING_TIMEOUT: Duration = Duration::from_secs(3);

/// How long a connection may take on its way back, a rollback of what failed included.
const RETURN_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection; dropped, it goes back to the pool.
pub(super) struct Line {
    connection: PoolConnection<Postgres>,
    is_cut: bool,
}

impl Line {
    /// The next one that is free; the pool has a limit of its own for that.
    pub(super) async fn of(pool: &PgPool) -> Result<Self, sqlx::Error> {
        Ok(Self { connection: pool.acquire().await?, is_cut: false })
    }

    /// Throws it away.
    pub(super) fn cut(mut self) -> Fault {
        self.is_cut = true;
        Fault::Silent
    }
}

impl Deref for Line {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.connection
    }
}

impl DerefMut for Line {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.connection
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        // Whoever drops this future, unasked or in the middle, closes the connection and makes room for another one.
        let returning = self.connection.return_to_pool();
        if !self.is_cut
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(tokio::time::timeout(RETURN_TIMEOUT, returning));
        }
    }
}
