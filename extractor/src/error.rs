//! Why a source cannot be read at all. A bad record is no error: it is a [`contract::Reject`].
//!
//! Every message names the file, what was seen and the way out, and never a value out of the file.

use contract::Disposition;
use std::path::PathBuf;

/// The way out for every file that is no datafile.
const WAY_OUT: &str = "export the users through the Web Service SDK as NDJSON, CSV or SOAP responses: README, \"Getting the data out\"";

/// A source that cannot be read. Nothing was written when it is raised by a first pass.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system refused to open or read it.
    #[error("cannot read {path}: {source}; check the path and the rights, then run the command again")]
    Io {
        /// What was read.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The file, or all of it but blanks, is empty.
    #[error("{path} is empty: no user can come from it; {WAY_OUT}")]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// Text, but not UTF-8.
    #[error(
        "{path} is {saw} text and only UTF-8 is read: save it again as UTF-8, with or without a byte order mark"
    )]
    Encoding {
        /// The file.
        path: PathBuf,
        /// The encoding, by its signature.
        saw: &'static str,
    },
    /// MFA Server's own datafile.
    #[error(
        "{path} is MFA Server's own datafile (PhoneFactor.pfdata): its format is not public and it is not read; {WAY_OUT}"
    )]
    Pfdata {
        /// The file.
        path: PathBuf,
    },
    /// Not a text.
    #[error(
        "{path} is {saw}, not a dump of users; if it is MFA Server's PhoneFactor.pfdata or comes out of it: that format is not public; {WAY_OUT}"
    )]
    Binary {
        /// The file.
        path: PathBuf,
        /// What its signature says.
        saw: &'static str,
    },
    /// A text that is something else.
    #[error("{path} is {saw}; {hint}")]
    NotADump {
        /// The file.
        path: PathBuf,
        /// What it looks like.
        saw: &'static str,
        /// The way out.
        hint: &'static str,
    },
    /// A folder without the documents.
    #[error(
        "the folder {path} holds no GetUserSettings_3Response or GetUserDevicesResponse document; {WAY_OUT}"
    )]
    NoDocuments {
        /// The folder.
        path: PathBuf,
    },
    /// A file that is fine, in the wrong place.
    #[error("{path} is {saw}, where {wanted} was expected: give each file by its own option")]
    WrongRole {
        /// The file.
        path: PathBuf,
        /// What it is.
        saw: &'static str,
        /// What was asked for.
        wanted: &'static str,
    },
    /// A header that cannot be used.
    #[error("the header of {path} {problem}: correct the first line and run the command again")]
    Header {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A devices file that has no place to go.
    #[error(
        "a devices file belongs to a CSV of users, and {path} is {saw}, which carries its devices itself: leave the devices file out"
    )]
    DevicesNotWanted {
        /// The datafile.
        path: PathBuf,
        /// What it is.
        saw: &'static str,
    },
    /// The side file is larger than its index can address.
    #[error(
        "{path} is larger than 4 GiB, which no side file needs: split it or check that it is the right file"
    )]
    SideFileTooLarge {
        /// The file.
        path: PathBuf,
    },
    /// The two passes saw different bytes.
    #[error(
        "{path} changed while it was read: the records read so far are of no use; let the export finish, then run the command again"
    )]
    SourceChanged {
        /// The file or folder.
        path: PathBuf,
    },
}

impl Error {
    /// Always `Stop`: no attempt of ours makes a file readable, and a source that moved must be read from its start.
    pub fn disposition(&self) -> Disposition {
        match self {
            Self::Io { .. }
            | Self::Empty { .. }
            | Self::Encoding { .. }
            | Self::Pfdata { .. }
            | Self::Binary { .. }
            | Self::NotADump { .. }
            | Self::NoDocuments { .. }
            | Self::WrongRole { .. }
            | Self::Header { .. }
            | Self::DevicesNotWanted { .. }
            | Self::SideFileTooLarge { .. }
            | Self::SourceChanged { .. } => Disposition::Stop,
        }
    }

    /// Wraps a system's refusal with the path it was about.
    pub(crate) fn io(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io { path, source }
    }
}
