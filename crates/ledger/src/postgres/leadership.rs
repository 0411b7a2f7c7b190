//! Leadership: an advisory lock on a session of its own, and a term that every change of the leader carries.
//!
//! The lock tells who may lead; it protects nothing by itself, for a leader learns late that its session is gone. The
//! term does: who leads next counts it up, and from then on no change of the one before finds its row.

use super::address::Address;
use super::fault::silent;
use super::open;
use crate::Error;
use contract::Disposition;
use sqlx::PgConnection;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How often a process that waits asks for the lock; the first few times at shorter intervals, since a leader that has
/// just gone may not have been noticed by the server.
const ASK_EVERY: Duration = Duration::from_millis(500);
const ASK_FIRST: Duration = Duration::from_millis(20);

/// How long asking may take, a new session and the wait for the changes of the leader before included.
const ASK_TIMEOUT: Duration = Duration::from_secs(25);

/// How often the leader looks whether its session is still there, and how long that may take.
const LOOK_EVERY: Duration = Duration::from_secs(1);
const LOOK_TIMEOUT: Duration = Duration::from_secs(3);

/// A session that says nothing for so long is ended by the server: a leader that is stopped, and not dead, makes room.
const SILENT_UNTIL: (&str, &str) = ("idle_session_timeout", "15s");

/// A leadership, for as long as it is kept; dropped, its session ends and the next one leads.
#[derive(Debug)]
pub(super) struct Leadership {
    pub(super) term: i64,
    pub(super) lost: watch::Receiver<bool>,
    watcher: JoinHandle<()>,
}

impl Drop for Leadership {
    fn drop(&mut self) {
        self.watcher.abort();
    }
}

/// Waits for the lock. A server that is away is waited for, too.
pub(super) async fn take(address: &Address, name: &str) -> Result<Leadership, Error> {
    let mut wait = ASK_FIRST;
    let mut session = None;
    loop {
        let asking = tokio::time::timeout(ASK_TIMEOUT, asked(address, session.take(), name));
        let answer = asking.await.unwrap_or_else(|_| Err(open::from_sqlx(address, silent())));
        match answer {
            Ok((connection, Some(term))) => return Ok(watched(connection, term)),
            Ok((connection, None)) => session = Some(connection),
            Err(error) if error.disposition() == Disposition::Retry => {
                tracing::debug!(%error, "waiting to lead");
            }
            Err(error) => return Err(error),
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(ASK_EVERY);
    }
}

/// Asks once; answers the session, and the term if it leads now. A session that fails is let go, and its lock with it.
async fn asked(
    address: &Address,
    session: Option<PgConnection>,
    name: &str,
) -> Result<(PgConnection, Option<i64>), Error> {
    let told = |error| open::from_sqlx(address, error);
    let mut session = match session {
        Some(session) => session,
        None => open::connect(address, &address.options.clone().options([SILENT_UNTIL])).await?,
    };
    let leads: bool = sqlx::query_scalar(
        "SELECT pg_try_advisory_lock(hashtextextended('mfa-migrate leads in ' || current_schema(), 0))",
    )
    .fetch_one(&mut session)
    .await
    .map_err(told)?;
    if !leads {
        return Ok((session, None));
    }
    // It waits for changes that the one before is in the middle of.
    let term = sqlx::query_scalar(
        "UPDATE leadership SET term = term + 1, name = $1, taken_at = clock_ms() RETURNING term",
    )
    .bind(name)
    .fetch_one(&mut session)
    .await
    .map_err(told)?;
    Ok((session, Some(term)))
}

fn watched(mut session: PgConnection, term: i64) -> Leadership {
    let (tell, lost) = watch::channel(false);
    let watcher = tokio::spawn(async move {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let look = sqlx::query("SELECT 1").execute(&mut session);
            if !matches!(tokio::time::timeout(LOOK_TIMEOUT, look).await, Ok(Ok(_))) {
                tell.send_replace(true);
                return;
            }
        }
    });
    Leadership { term, lost, watcher }
}
