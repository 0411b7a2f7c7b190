//! Turns at a group: one write at a time from this process, since Graph answers 409 to parallel ones.
//!
//! Other processes are not kept out: theirs are refused by Graph or ours are, and whoever was asks again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::OwnedMutexGuard;

/// Groups that are remembered; a rollout has ten.
const KNOWN: usize = 64;

/// Who is at which group.
#[derive(Default)]
pub(crate) struct Turns(Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<()>>>>);

impl Turns {
    /// Waits for its turn at a group, which lasts as long as what is answered.
    pub(crate) async fn at(&self, group: &str) -> OwnedMutexGuard<()> {
        let turn = {
            let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if known.len() >= KNOWN {
                known.retain(|_, turn| Arc::strong_count(turn) > 1);
            }
            Arc::clone(known.entry(group.to_owned()).or_default())
        };
        turn.lock_owned().await
    }
}
