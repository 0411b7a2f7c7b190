//! One connection that is kept up. When it is lost it is made again, without end, until the link is closed. What was open
//! on a lost connection is gone: channels are made again by who uses them.
//!
//! lapin could recover by itself; it would not recover channels, and it hides when a delivery became a stranger's.

use super::connect::Route;
use backon::{BackoffBuilder, ExponentialBuilder};
use futures_util::{Stream, StreamExt};
use lapin::{Connection, Event};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How often a connection is looked at although it told nothing.
const LOOK: Duration = Duration::from_secs(1);

#[derive(Clone)]
enum State {
    Up(Arc<Connection>),
    Away { since: Instant },
    Closed,
}

struct Shared {
    role: &'static str,
    state: watch::Sender<State>,
    /// Since when the broker takes nothing from us, and what it says about it.
    blocked: Mutex<Option<(Instant, String)>>,
}

/// How one of the two connections stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkStanding {
    /// `publish` or `consume`.
    pub role: &'static str,
    /// It is up.
    pub is_up: bool,
    /// The broker takes nothing over it, by an alarm of its own.
    pub is_blocked: bool,
}

/// A connection that is kept up. The last handle closes it.
pub(crate) struct Link {
    shared: Arc<Shared>,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.close();
    }
}

/// Delays between attempts, up to about 5 s.
pub(crate) fn backoff() -> impl Iterator<Item = Duration> + Send {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(100))
        .with_max_delay(Duration::from_secs(4))
        .with_jitter()
        .without_max_times()
        .build()
}

impl Link {
    /// Connects, and keeps the connection up from then on.
    pub(crate) async fn open(route: Route, role: &'static str) -> Result<Self, crate::Error> {
        let first = Arc::new(route.connect(role).await?);
        let shared = Arc::new(Shared {
            role,
            state: watch::Sender::new(State::Up(first.clone())),
            blocked: Mutex::default(),
        });
        tokio::spawn(keep(Arc::clone(&shared), route, first));
        Ok(Self { shared })
    }

    /// The connection, as soon as there is one; absent when the link is closed.
    pub(crate) async fn up(&self) -> Option<Arc<Connection>> {
        let mut state = self.shared.state.subscribe();
        loop {
            match &*state.borrow_and_update() {
                State::Up(connection) if connection.status().connected() => {
                    return Some(Arc::clone(connection));
                }
                // `keep` is about to see it.
                State::Up(_) | State::Away { .. } => {}
                State::Closed => return None,
            }
            state.changed().await.ok()?;
        }
    }

    /// Ends when this connection is no longer the present one. Whoever waits for an answer on it waits for this too: lapin
    /// leaves a call without an answer that was made in the moment in which the connection fell.
    pub(crate) async fn lost(&self, connection: &Arc<Connection>) {
        let is_it = |state: &State| matches!(state, State::Up(present) if Arc::ptr_eq(present, connection));
        // The sender lives as long as the link.
        self.shared.state.subscribe().wait_for(|state| !is_it(state)).await.ok();
    }

    /// The connection if it is there now.
    pub(crate) fn now(&self) -> Option<Arc<Connection>> {
        match &*self.shared.state.borrow() {
            State::Up(connection) if connection.status().connected() => Some(Arc::clone(connection)),
            State::Up(_) | State::Away { .. } | State::Closed => None,
        }
    }

    /// Whether it is up, and whether the broker takes nothing over it.
    pub(crate) fn standing(&self) -> LinkStanding {
        let blocked = self.shared.blocked.lock().unwrap_or_else(PoisonError::into_inner);
        LinkStanding { role: self.shared.role, is_up: self.now().is_some(), is_blocked: blocked.is_some() }
    }

    /// What keeps it from working.
    pub(crate) fn waits_for(&self) -> Option<String> {
        match &*self.shared.state.borrow() {
            State::Away { since } => {
                return Some(format!("the broker is away for {} s", since.elapsed().as_secs()));
            }
            State::Up(_) | State::Closed => {}
        }
        let blocked = self.shared.blocked.lock().unwrap_or_else(PoisonError::into_inner);
        blocked.as_ref().map(|(since, reason)| {
            format!(
                "blocked by the broker for {} s ({reason}; a memory or disk alarm)",
                since.elapsed().as_secs()
            )
        })
    }

    /// No more connections are made; the last user of the present one closes it.
    pub(crate) fn close(&self) {
        self.shared.state.send_replace(State::Closed);
    }
}

/// Watches the connection and makes it again.
async fn keep(shared: Arc<Shared>, route: Route, first: Arc<Connection>) {
    let role = shared.role;
    let mut connection = first;
    let mut state = shared.state.subscribe();
    loop {
        let events = connection.events_listener();
        tokio::select! {
            () = lost(&shared, &connection, events) => {}
            _ = state.wait_for(|s| matches!(s, State::Closed)) => return,
        }
        set_blocked(&shared, None);
        let since = Instant::now();
        if !replace(&shared, State::Away { since }) {
            return;
        }
        tracing::warn!(role, broker = %route.address.shown, "the connection to the broker is lost");
        drop(connection);
        tokio::select! {
            made = again(&route, role) => connection = Arc::new(made),
            _ = state.wait_for(|s| matches!(s, State::Closed)) => return,
        }
        if !replace(&shared, State::Up(Arc::clone(&connection))) {
            return;
        }
        tracing::info!(role, after_s = since.elapsed().as_secs(), "connected to the broker again");
    }
}

/// Sets the state unless the link was closed meanwhile.
fn replace(shared: &Shared, new: State) -> bool {
    shared.state.send_if_modified(|state| {
        if matches!(state, State::Closed) {
            return false;
        }
        *state = new;
        true
    })
}

fn set_blocked(shared: &Shared, reason: Option<String>) {
    let mut blocked = shared.blocked.lock().unwrap_or_else(PoisonError::into_inner);
    *blocked = reason.map(|reason| (Instant::now(), reason));
}

/// Ends when the connection is gone.
async fn lost(shared: &Shared, connection: &Connection, events: impl Stream<Item = Event>) {
    let mut events = pin!(events);
    let mut look = tokio::time::interval(LOOK);
    while connection.status().connected() {
        let event = tokio::select! {
            event = events.next() => event,
            _ = look.tick() => continue,
        };
        match event {
            Some(Event::ConnectionBlocked(reason)) => {
                tracing::warn!(role = shared.role, reason, "the broker takes no more messages for now");
                set_blocked(shared, Some(reason));
            }
            Some(Event::ConnectionUnblocked) => {
                tracing::info!(role = shared.role, "the broker takes messages again");
                set_blocked(shared, None);
            }
            None => return,
            // An error of a channel comes here too; whether the connection fell is asked above.
            Some(_) => {}
        }
    }
}

async fn again(route: &Route, role: &str) -> Connection {
    let mut delays = backoff();
    loop {
        match route.connect(role).await {
            Ok(connection) => return connection,
            Err(error) => tracing::debug!(role, %error, "the broker is still away"),
        }
        tokio::time::sleep(delays.next().unwrap_or(Duration::from_secs(5))).await;
    }
}
