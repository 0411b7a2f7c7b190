//! Reads datafiles: recognises the format by content, surveys a source once, then streams its records.
//!
//! A source is read twice, front to back: [`survey()`] takes the digest and finds usernames that occur twice, then
//! [`records()`] yields one [`Item`] a record. It never writes, never holds a datafile in memory, never quotes a value in
//! an error, and keeps `read = accepted + rejected`. PINs, static tokens and security answers never leave the line
//! that holds them. Nothing here is unix-only: it runs beside MFA Server.

mod assemble;
mod cohorts;
mod device_rows;
mod digest;
mod error;
mod flat;
mod format;
#[cfg(test)]
mod hostile_tests;
mod inspect;
#[cfg(test)]
mod journey_tests;
mod json;
mod keys;
mod limits;
mod lines;
mod ndjson;
mod pages;
mod publish;
mod recognise;
mod records;
mod rows;
mod seeds;
mod soap;
mod source;
mod stated;
mod survey;
mod table;
mod tally;
mod usernames;
mod vocabulary;
mod watch;
mod wire;

pub use cohorts::{Attributes, CohortRow, Cohorts, cohorts};
pub use error::Error;
pub use format::Format;
pub use inspect::{Inspection, Seen, inspect};
pub use json::{LineFault, parse_line};
pub use publish::{PublishError, publish};
pub use recognise::recognise;
pub use records::{Item, Records, records};
pub use source::Source;
pub use stated::{Proof, Stated};
pub use survey::{DevicesFile, Survey, survey};
pub use tally::{GROUPS, Holdings, Tally};
pub use watch::{Look, Watch};
pub use wire::{WireDevice, WireSettings, WireUser};
