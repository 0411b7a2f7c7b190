//! The seam between the pace and whoever keeps its rows: this crate knows no database.
//!
//! Invariant: two steps of one bucket never run at the same time, whichever processes they come from.

use super::Bucket;

/// One step: gets what is on file (absent at first) and the row's clock in seconds since 1970, and answers what is on
/// file next.
pub type PaceStep = Box<dyn FnOnce(Option<&str>, f64) -> String + Send>;

/// Where the pace of a tenant lives when several processes share it.
#[async_trait::async_trait]
pub trait SharedPace: Send + Sync + 'static {
    /// One step under the lock of the bucket's row. The clock must be read after the lock was had: it is the only clock
    /// that all processes share. A step that is lost afterwards, with a crash of the database, does no harm; one that
    /// is answered with an error gives nothing to send.
    async fn step(&self, bucket: Bucket, step: PaceStep) -> Result<(), Unavailable>;
}

/// The book cannot be reached now; nothing beyond what was granted is sent until it can.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the shared pace cannot be reached")]
pub struct Unavailable;
