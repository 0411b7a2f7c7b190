//! A datafile as captured: its manifest, its records, and what was turned away.

use crate::{Record, SnapshotId};
use serde::{Deserialize, Serialize};

/// What a snapshot is: where it came from and what it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotManifest {
    /// Version of this shape; 1.
    pub v: u8,
    /// Named by content.
    pub id: SnapshotId,
    /// The recognised format: `ndjson`, `csv` or `soap`.
    pub format: String,
    /// Records read; `read = accepted + rejected`.
    pub read: u64,
    /// Records that went on.
    pub accepted: u64,
    /// Records turned away, each with a reason.
    pub rejected: u64,
    /// Rows of side files (devices, token seeds) that were turned away; they are no records and not in `read`.
    #[serde(default)]
    pub side_rejected: u64,
    /// Keys that no reader knows, counted.
    pub unknown_keys: u64,
}

/// An accepted record and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordRow {
    /// Position among the records read, from 1; rejected ones leave gaps. It is the order of all outputs.
    pub ordinal: i64,
    /// The record, joined with its seed row.
    pub record: Record,
}

/// Why a record was turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RejectCode {
    /// The line is not JSON, not a row of the header's width, or not the XML it should be.
    Malformed,
    /// The line is not UTF-8.
    NotUtf8,
    /// A field that must be there is not.
    FieldMissing,
    /// A field holds what it must not.
    FieldInvalid,
    /// Over a limit: 1 MiB a line, 50 devices a user, 256 characters a name.
    RecordTooLarge,
    /// Two records have this username.
    DuplicateUsername,
    /// A SOAP document without its other half, or a device row without its user.
    Incomplete,
    /// Damaged on its way: the message cannot be opened, or is of a version that this build does not know.
    Unreadable,
}

impl RejectCode {
    /// The word in outputs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::NotUtf8 => "not-utf8",
            Self::FieldMissing => "field-missing",
            Self::FieldInvalid => "field-invalid",
            Self::RecordTooLarge => "record-too-large",
            Self::DuplicateUsername => "duplicate-username",
            Self::Incomplete => "incomplete",
            Self::Unreadable => "unreadable",
        }
    }
}

/// A record that was turned away. It never quotes the value: that may be a number or a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reject {
    /// The file's name, where the source is several files; absent for a single one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Line number from 1 (for SOAP documents, 0).
    pub line: u64,
    /// The field at fault, or `-` for the record as a whole.
    pub field: String,
    /// The reason.
    pub code: RejectCode,
}

/// What a watching extractor sent last. It is kept beside the datafile, so that the next process sends nothing twice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LastSent {
    /// Version of this shape; 1.
    pub v: u8,
    /// The snapshot that the broker has whole.
    pub snapshot: SnapshotId,
}

impl LastSent {
    /// The newest version of the shape.
    pub const VERSION: u8 = 1;

    /// Of a snapshot.
    pub fn new(snapshot: SnapshotId) -> Self {
        Self { v: Self::VERSION, snapshot }
    }
}
