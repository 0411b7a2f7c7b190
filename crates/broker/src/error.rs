//! Why the queue could not do it. No error carries a password: a broker is named as `scheme://user@host:port/vhost`.

use contract::Disposition;

/// Why the queue could not do it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The queue was closed: the process is stopping.
    #[error("the queue is closed")]
    Closed,
    /// The broker's address cannot be read.
    #[error(
        "the broker's address cannot be used: {why}; it has the form amqps://user:password@host:5671/vhost"
    )]
    Address {
        /// What is wrong with it, without quoting it.
        why: String,
    },
    /// In clear over a network: the password and the records' order would be readable on the way.
    #[error(
        "{broker} is in clear and not on this machine, so the password would cross the network readable; \
         use amqps://, or allow it in clear if something else encrypts that way"
    )]
    Clear {
        /// The broker, without its password.
        broker: String,
    },
    /// A certificate or a key cannot be used.
    #[error("{file} cannot be used for TLS: {why}")]
    Certificate {
        /// The file, or `the system's certificates`.
        file: String,
        /// Why.
        why: String,
    },
    /// The first connection did not come about.
    #[error("the broker {broker} cannot be reached: {why}; see that it runs and that the address is right")]
    Unreachable {
        /// The broker, without its password.
        broker: String,
        /// What the network or TLS said.
        why: String,
    },
    /// TLS with it does not come about; the password was not sent.
    #[error(
        "no TLS with the broker {broker}: {why}; see that the port is the one for amqps, that tls.ca_file names the authority \
         of its certificate and the address the host that is in it, and, if it asks for a certificate of ours, that \
         tls.certificate_file and tls.key_file name one that it accepts"
    )]
    Untrusted {
        /// The broker, without its password.
        broker: String,
        /// What TLS said.
        why: String,
    },
    /// The broker knows neither this user nor this password.
    #[error("the broker {broker} refuses the user or the password; see rabbitmqctl authenticate_user")]
    Refused {
        /// The broker, without its password.
        broker: String,
    },
    /// The user may not use the virtual host, or there is none of that name.
    #[error(
        "the broker {broker} does not let this user into the virtual host; \
         see rabbitmqctl list_vhosts and rabbitmqctl list_permissions"
    )]
    VirtualHost {
        /// The broker, without its password.
        broker: String,
    },
    /// A queue is there with other settings, or cannot be declared.
    #[error("the queue {queue} cannot be used as it is: {why}")]
    Topology {
        /// Its name.
        queue: String,
        /// What is wrong and what to do.
        why: String,
    },
    /// The queue was gone when the message came.
    #[error(
        "the queue {queue} was deleted while in use: messages came back, and what was in it is lost; \
         it is declared again with the next message"
    )]
    Unroutable {
        /// Its name.
        queue: String,
        /// The ids of the messages that came back.
        ids: Vec<String>,
    },
    /// More than a message may have.
    #[error("the message {id} has {bytes} bytes, more than the {limit} that a message may have")]
    TooLarge {
        /// The message's id.
        id: String,
        /// Its size.
        bytes: usize,
        /// The most it may have.
        limit: usize,
    },
    /// Not now: the broker is away, and this question does not wait.
    #[error("the broker is away")]
    Away,
}

impl Error {
    /// The word for it in traces and metrics.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Address { .. } => "address",
            Self::Clear { .. } => "clear",
            Self::Certificate { .. } => "certificate",
            Self::Unreachable { .. } => "unreachable",
            Self::Untrusted { .. } => "untrusted",
            Self::Refused { .. } => "refused",
            Self::VirtualHost { .. } => "virtual-host",
            Self::Topology { .. } => "topology",
            Self::Unroutable { .. } => "unroutable",
            Self::TooLarge { .. } => "too-large",
            Self::Away => "away",
        }
    }

    /// What to do about it.
    pub fn disposition(&self) -> Disposition {
        match self {
            Self::Unreachable { .. } | Self::Unroutable { .. } | Self::Away => Disposition::Retry,
            // None gets better by itself. A message that is too large is an error of ours: sizes are bounded before.
            Self::Closed
            | Self::Address { .. }
            | Self::Clear { .. }
            | Self::Certificate { .. }
            | Self::Untrusted { .. }
            | Self::Refused { .. }
            | Self::VirtualHost { .. }
            | Self::Topology { .. }
            | Self::TooLarge { .. } => Disposition::Stop,
        }
    }
}
