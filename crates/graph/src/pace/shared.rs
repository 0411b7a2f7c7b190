//! Where the pace of a tenant lives when several processes share it.

use super::{Bucket, BucketStatus, Pace};
use std::sync::Arc;

/// A step of the shared pace: what is on file (absent at first) and the row's clock in seconds since 1970 give what is
/// on file next.
pub type PaceStep = Box<dyn FnOnce(Option<&str>, f64) -> String + Send>;

/// The shared pace cannot be reached now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the shared pace cannot be reached")]
pub struct Unavailable;

/// The rows of the shared pace, one a bucket.
#[async_trait::async_trait]
pub trait SharedPace: Send + Sync + 'static {
    /// One step under the lock of the bucket's row.
    async fn step(&self, bucket: Bucket, step: PaceStep) -> Result<(), Unavailable>;
}

impl Pace {
    /// STAND-IN until the shared pace is there (the lead's, for the others to go on; to be replaced whole).
    pub fn shared(_book: Arc<dyn SharedPace>) -> Self {
        Self::new()
    }

    /// STAND-IN, as above.
    pub fn read(_state: &str, _now_s: f64, _bucket: Bucket) -> Option<BucketStatus> {
        None
    }
}
