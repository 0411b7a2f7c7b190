//! The kinds of file that can be told apart by their content.
//!
//! A name here promises that a reader exists; everything else is an [`crate::Error`] that says what was seen.

/// What a file or folder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// One JSON object a line.
    Ndjson,
    /// A flat CSV of users.
    Csv {
        /// `,` or `;`.
        delimiter: u8,
    },
    /// A folder of SOAP responses.
    Soap,
    /// The second CSV of a flat CSV: devices, keyed by `username`.
    Devices {
        /// `,` or `;`.
        delimiter: u8,
    },
    /// A token seed file.
    TokenSeeds {
        /// `,` or `;`.
        delimiter: u8,
    },
    /// A cohort file: `username` and attributes.
    Cohorts {
        /// `,` or `;`.
        delimiter: u8,
    },
}

impl Format {
    /// The word in manifests: `ndjson`, `csv` or `soap` for datafiles; the other kinds have words of their own.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ndjson => "ndjson",
            Self::Csv { .. } => "csv",
            Self::Soap => "soap",
            Self::Devices { .. } => "devices",
            Self::TokenSeeds { .. } => "token-seeds",
            Self::Cohorts { .. } => "cohorts",
        }
    }

    /// What an operator would call it.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Ndjson => "an NDJSON dump",
            Self::Csv { .. } => "a CSV of users",
            Self::Soap => "a folder of SOAP responses",
            Self::Devices { .. } => "a CSV of devices",
            Self::TokenSeeds { .. } => "a token seed file",
            Self::Cohorts { .. } => "a cohort file",
        }
    }
}
