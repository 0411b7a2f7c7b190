//! The first pass over a source: its format, its name, and the usernames that occur twice.
//!
//! It holds eight bytes a user while it runs. Every refusal of a whole file is raised here or in `recognise`, before
//! anything is written.

use crate::digest::Digests;
use crate::usernames::{Claims, Duplicates};
use crate::{Error, Format, Source, ndjson};
use contract::SnapshotId;

/// What the first pass found; the second one needs it.
#[derive(Debug, Clone)]
pub struct Survey {
    /// The datafile's format.
    pub format: Format,
    pub(crate) digests: Digests,
    pub(crate) duplicates: Duplicates,
}

impl Survey {
    /// The snapshot's name.
    pub fn id(&self) -> SnapshotId {
        self.digests.snapshot_id()
    }

    /// Usernames that occur more than once; each of their records will be rejected.
    pub fn duplicate_usernames(&self) -> usize {
        self.duplicates.len()
    }
}

/// Reads the source once.
///
/// # Errors
/// Any file of the source cannot be read, or is not what it has to be.
pub fn survey(source: &Source) -> Result<Survey, Error> {
    let path = &source.datafile;
    let mut claims = Claims::default();
    let datafile = ndjson::scan(path, &mut claims)?;
    let mut suspects = claims.into_repeated();
    if !suspects.is_empty() {
        ndjson::recount(path, &mut suspects)?;
    }
    Ok(Survey {
        format: Format::Ndjson,
        digests: Digests { datafile, devices: None, token_seeds: None },
        duplicates: suspects.into_duplicates(),
    })
}
