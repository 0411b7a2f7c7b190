//! The pace's book, kept in the ledger: one row a bucket, for all processes that draw on the tenant's quota.

use graph::{Bucket, PaceStep, SharedPace, Unavailable};
use ledger::Ledger;
use std::sync::Arc;

/// The ledger as the pace sees it.
pub(crate) struct Book(pub(crate) Arc<dyn Ledger>);

#[async_trait::async_trait]
impl SharedPace for Book {
    async fn step(&self, bucket: Bucket, step: PaceStep) -> Result<(), Unavailable> {
        self.0.step_pace(bucket.as_str(), step).await.map_err(|error| {
            tracing::debug!(%error, "the shared pace cannot be read");
            Unavailable
        })
    }
}
