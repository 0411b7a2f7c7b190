//! What is to be read: the datafile and the files that belong to it.
//!
//! Paths only; nothing is opened here.

use std::path::PathBuf;

/// A datafile with its side files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// An NDJSON dump, a CSV of users, or a folder of SOAP responses.
    pub datafile: PathBuf,
    /// The CSV of devices, for a CSV of users alone. Absent: `<stem>.devices.csv` beside the datafile is taken where
    /// it exists, and [`crate::Survey::devices`] says so.
    pub devices: Option<PathBuf>,
    /// The token seed file; absent means that secrets come from the records alone.
    pub token_seeds: Option<PathBuf>,
}

impl Source {
    /// A datafile alone.
    pub fn new(datafile: impl Into<PathBuf>) -> Self {
        Self { datafile: datafile.into(), devices: None, token_seeds: None }
    }
}

/// The last part of a path, for messages and rejects.
pub(crate) fn file_name(path: &std::path::Path) -> String {
    path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}
