//! What became of a write. Only `Done` and `Refused` are certain; after `Doubt` the state decides, by reading.

use tokio::time::Instant;

/// The answer to one write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// A clean success.
    Done {
        /// The inventory device, where the write made one.
        device_id: Option<String>,
        /// The method on the user, where Graph named it.
        method_id: Option<String>,
    },
    /// Throttled: the server had not begun with it.
    Throttled,
    /// It never left: no quota before the deadline, no token, or no connection.
    NotSent {
        /// When quota can be had, where that was the reason.
        held_until: Option<Instant>,
    },
    /// Not tried, since the item it depends on failed (424).
    DependencyFailed,
    /// Graph will not. An item that cannot be sent at all (a mixed or oversized bundle) has status 0.
    Refused {
        /// HTTP status; 0 if nothing was sent.
        status: u16,
        /// Graph's code, empty if it gave none.
        code: String,
    },
    /// It may have been applied, or may be later: a failure of the server, a time-out, a broken connection, or no
    /// answer to this item.
    Doubt {
        /// HTTP status, if there was one.
        status: Option<u16>,
    },
}
