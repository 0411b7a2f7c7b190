//! Ids: derived ones for what a state file left unnamed, and fresh ones for what is created.
//!
//! Both are UUIDs in shape, as Graph's are; neither is random, so that a seeded run can be repeated.

use std::hash::{DefaultHasher, Hash, Hasher};
use uuid::Builder;

/// An id that follows from its owner, kind and position.
pub(crate) fn derived(owner: &str, kind: &str, n: usize) -> String {
    from_hash((owner, kind, n))
}

fn from_hash(of: impl Hash) -> String {
    let mut bytes = [0; 16];
    for (salt, half) in [1_u8, 2].into_iter().zip(bytes.chunks_exact_mut(8)) {
        let mut hasher = DefaultHasher::new();
        salt.hash(&mut hasher);
        of.hash(&mut hasher);
        half.copy_from_slice(&hasher.finish().to_be_bytes());
    }
    Builder::from_random_bytes(bytes).into_uuid().to_string()
}

/// Fresh ids of one run.
pub(crate) struct Ids {
    run: u64,
    next: u64,
}

impl Ids {
    /// `run` sets two runs apart; within one no id comes twice.
    pub(crate) fn new(run: u64) -> Self {
        Self { run, next: 0 }
    }

    /// The next one.
    pub(crate) fn fresh(&mut self) -> String {
        self.next += 1;
        from_hash((self.run, self.next))
    }
}
