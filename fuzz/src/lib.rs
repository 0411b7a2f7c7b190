//! What the fuzz targets of the readers share: a folder to put the bytes in, and the reading of it to the end.
//!
//! The targets go through the public interface, files included, as an operator's file does. A panic or counts that do
//! not add up are findings; a typed refusal is none.

use extractor::{Item, Source};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Makes a file of a head, which lets the recogniser pass it on, and the bytes under test.
pub fn file(folder: &TempDir, name: &str, head: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, [head.as_bytes(), bytes].concat()).expect("the temporary folder takes a file");
    path
}

/// A folder of its own for one input.
pub fn folder() -> TempDir {
    tempfile::tempdir().expect("there is a temporary folder")
}

/// Reads a source to its end and checks the counts.
pub fn account(source: &Source) {
    let Ok(survey) = extractor::survey(source) else { return };
    let mut records = extractor::records(source, &survey).expect("the source has not changed");
    let (mut accepted, mut rejected) = (0, 0);
    for item in records.by_ref() {
        match item.expect("the source has not changed") {
            Item::Accepted(..) => accepted += 1,
            Item::Rejected(_) => rejected += 1,
            Item::SideRejected(_) => {}
        }
    }
    let manifest = records.manifest();
    assert_eq!((manifest.read, manifest.accepted, manifest.rejected), (accepted + rejected, accepted, rejected));
}

/// Reads a datafile without side files.
pub fn datafile(path: &Path) {
    account(&Source::new(path));
}
