//! What can be set. Everything that becomes an argument of a queue must be the same in all processes that share it.

use std::path::PathBuf;
use std::time::Duration;

/// What travels in a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Sealed records, from the extractor to the coordinator.
    Snapshot,
    /// Orders, from the coordinator to the workers.
    Work,
    /// What was set aside, of every queue, with `x-reason` and `x-queue` in its headers: for a person who looks.
    Parked,
}

impl Purpose {
    /// The word in a queue's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Snapshot => "snapshot",
            Self::Work => "work",
            Self::Parked => "parked",
        }
    }
}

/// How to reach the broker and how to behave there.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The first part of every queue's name: two installations on one virtual host differ in it.
    pub prefix: String,
    /// The name of this process in the broker's list of connections.
    pub process: String,
    /// The most messages published and not yet confirmed. The gain ends at about 1,000 (rabbitmq.com/docs/confirms).
    pub window: usize,
    /// The most messages a queue takes, `x-max-length`; a publisher waits at it. An argument of the queues.
    pub queue_limit: u32,
    /// Seconds between heartbeats; a broker that was silent for twice as long is taken as gone.
    pub heartbeat_s: u16,
    /// How long one attempt to connect may take.
    pub connect_timeout: Duration,
    /// A file of CA certificates in PEM; when given, it alone is trusted, else what the system trusts.
    pub ca_file: Option<PathBuf>,
    /// The client's certificate with its chain, in PEM.
    pub certificate_file: Option<PathBuf>,
    /// The client certificate's key, in PEM.
    pub key_file: Option<PathBuf>,
    /// Allows `amqp://` to another machine.
    pub allow_clear: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            prefix: "mfa-migrate".to_owned(),
            process: "mfa-migrate".to_owned(),
            window: 1_000,
            // Twice the users of the largest tenant: 32 bytes of memory a message in a quorum queue.
            queue_limit: 1_000_000,
            heartbeat_s: 10,
            connect_timeout: Duration::from_secs(10),
            ca_file: None,
            certificate_file: None,
            key_file: None,
            allow_clear: false,
        }
    }
}
