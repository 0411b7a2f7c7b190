//! The wish to stop: given once, by a signal or by a failure, and heard by every task.

use tokio::sync::watch;

/// A wish to stop. Clones are the same wish.
#[derive(Debug, Clone)]
pub struct Shutdown {
    sender: std::sync::Arc<watch::Sender<bool>>,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self { sender: std::sync::Arc::new(watch::Sender::new(false)) }
    }
}

impl Shutdown {
    /// Nobody wishes to stop yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Stop, please.
    pub fn request(&self) {
        self.sender.send_replace(true);
    }

    /// Whether somebody wished to stop.
    pub fn is_requested(&self) -> bool {
        *self.sender.borrow()
    }

    /// Waits for the wish.
    pub async fn requested(&self) {
        let mut receiver = self.sender.subscribe();
        // The sender lives as long as we do, so this ends only with the wish.
        drop(receiver.wait_for(|wished| *wished).await);
    }
}

/// Hears SIGTERM and SIGINT: the first asks for a graceful stop, the second ends the process at once with code 4
/// (stopped and resumable: that is what the ledger is for).
pub fn shutdown_on_signal(shutdown: Shutdown) {
    tokio::spawn(async move {
        next_signal().await;
        shutdown.request();
        next_signal().await;
        std::process::exit(4);
    });
}

#[cfg(unix)]
async fn next_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

#[cfg(not(unix))]
async fn next_signal() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
