//! The conformance suite: what every dialect must do, told by the trait alone.
//!
//! It never looks into tables and never sleeps: leases and snoozes of no length stand for those that are over. A dialect
//! passes when `conformance` returns; a promise that is broken panics where it was broken.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a suite of assertions, built for tests alone")]

mod applicants;
mod batches;
mod claims;
mod cutover;
mod endings;
pub(crate) mod fixture;
mod forget;
mod history;
mod in_step;
mod journal;
mod looking;
mod matching;
mod passes;
mod random;
mod releases;
mod rerouted;
mod rollout;
mod runs;
mod seat_ends;
mod seats;
mod sharing;
mod snapshots;
mod standing;
mod steps;
mod way_back;
mod write_ahead;

use crate::Ledger;

/// Runs every check, each on a ledger of its own that `fresh` makes.
pub async fn conformance<L: Ledger>(fresh: impl AsyncFn() -> L) {
    snapshots::check(&fresh).await;
    runs::check(&fresh).await;
    matching::check(&fresh).await;
    releases::check(&fresh).await;
    claims::check(&fresh).await;
    write_ahead::check(&fresh).await;
    endings::check(&fresh).await;
    looking::check(&fresh).await;
    standing::check(&fresh).await;
    history::check(&fresh).await;
    sharing::check(&fresh).await;
    batches::check(&fresh).await;
    steps::check(&fresh).await;
    way_back::check(&fresh).await;
    journal::check(&fresh).await;
    in_step::check(&fresh).await;
    passes::check(&fresh).await;
    cutover::check(&fresh).await;
    rollout::check(&fresh).await;
    applicants::check(&fresh).await;
    seats::check(&fresh).await;
    seat_ends::check(&fresh).await;
    rerouted::check(&fresh).await;
    forget::check(&fresh).await;
    random::check(&fresh).await;
}
