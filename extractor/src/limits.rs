//! The limits of one record. Beyond them a record is turned away as `record-too-large`; no file can lift them.
//!
//! They bound what one record may hold in memory, so that a hostile or broken file cannot.

/// Bytes of a line, of a CSV row's fields together, and of a SOAP document: 1 MiB.
pub(crate) const LINE_BYTES: usize = 1024 * 1024;

/// Devices of one user.
pub(crate) const DEVICES: usize = 50;

/// Characters of a name: of a user, a group, a device.
pub(crate) const NAME_CHARS: usize = 256;

/// Columns of a CSV file. The widest known one has below fifty; more means that the file is something else.
pub(crate) const COLUMNS: usize = 1024;
