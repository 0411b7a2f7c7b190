//! SHA-256 of what was read, taken as it is read, and the snapshot's name made of the digests.
//!
//! The same bytes give the same name on every machine; where the files lie has no part in it.

use aws_lc_rs::digest::{Context, SHA256};
use contract::SnapshotId;

/// A finished SHA-256.
pub(crate) type Sha256 = [u8; 32];

/// A running digest.
pub(crate) struct Digest(Context);

impl Digest {
    pub(crate) fn new() -> Self {
        Self(Context::new(&SHA256))
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Adds a text or a document with its length, so that no two sequences of them look alike.
    pub(crate) fn update_framed(&mut self, bytes: &[u8]) {
        self.0.update(&(bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    pub(crate) fn finish(self) -> Sha256 {
        let mut out = [0; 32];
        out.copy_from_slice(self.0.finish().as_ref());
        out
    }
}

impl std::fmt::Debug for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Digest")
    }
}

/// The digests of a source's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Digests {
    pub(crate) datafile: Sha256,
    pub(crate) devices: Option<Sha256>,
    pub(crate) token_seeds: Option<Sha256>,
}

impl Digests {
    /// The snapshot's name: SHA-256 over the digests that are there, each behind a byte that says whose it is, in
    /// lower-case hex.
    pub(crate) fn snapshot_id(&self) -> SnapshotId {
        let parts = [(b'd', Some(self.datafile)), (b'v', self.devices), (b't', self.token_seeds)];
        let mut digest = Digest::new();
        for (tag, part) in parts {
            if let Some(part) = part {
                digest.update(&[tag]);
                digest.update(&part);
            }
        }
        SnapshotId(hex::encode(digest.finish()))
    }
}
