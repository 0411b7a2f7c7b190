//! What every process needs to be seen and stopped: the log, the shutdown signal, and in test builds crash points.
//!
//! Logs go to standard error. Nothing here ever takes a number, a secret or a token.

mod crash;
mod shutdown;

pub use crash::{CRASH_POINTS, crash_point};
pub use shutdown::{Shutdown, shutdown_on_signal};

use tracing_subscriber::EnvFilter;

/// Installs the log for this process: `filter` as in `RUST_LOG` (such as `info` or `worker=debug`). Calling it twice
/// leaves the first.
pub fn install_log(filter: &str) {
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("warn"));
    // A second installation (tests in one process) is refused by the library, and that is fine.
    drop(
        tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(std::io::stderr)
            .with_target(false)
            .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
            .try_init(),
    );
}
