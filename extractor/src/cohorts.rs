//! The cohort file: attributes of users that batches select on.
//!
//! Streams; a username that occurs twice is rejected both times, as in a datafile. Attribute names are those of the
//! header in lower case; blank values are absent.

use crate::error::Error;
use crate::format::Format;
use crate::limits;
use crate::recognise::expect;
use crate::table::Table;
use crate::usernames::{Claims, Duplicates};
use contract::{Reject, RejectCode};
use std::collections::BTreeMap;
use std::path::Path;

/// A user's attributes, by name.
pub type Attributes = BTreeMap<String, String>;

/// One row of a cohort file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CohortRow {
    /// A username exactly as given, and its attributes.
    User(String, Attributes),
    /// A row that was turned away.
    Rejected(Reject),
}

/// The rows of a cohort file.
#[derive(Debug)]
pub struct Cohorts {
    table: Option<Table>,
    columns: Vec<String>,
    username: usize,
    duplicates: Duplicates,
}

/// Opens a cohort file and finds the usernames that occur twice.
///
/// # Errors
/// The file cannot be read, or is no cohort file.
pub fn cohorts(path: &Path) -> Result<Cohorts, Error> {
    let delimiter = match expect(path, "a cohort file", |format| matches!(format, Format::Cohorts { .. }))? {
        Format::Cohorts { delimiter } | Format::Csv { delimiter } => delimiter,
        Format::Ndjson | Format::Soap | Format::Devices { .. } | Format::TokenSeeds { .. } => b',',
    };
    let mut claims = Claims::default();
    each_username(path, delimiter, |name| claims.add(name))?;
    let mut suspects = claims.into_repeated();
    if !suspects.is_empty() {
        each_username(path, delimiter, |name| suspects.count(name))?;
    }
    let (table, columns, username) = open(path, delimiter)?;
    Ok(Cohorts { table: Some(table), columns, username, duplicates: suspects.into_duplicates() })
}

fn open(path: &Path, delimiter: u8) -> Result<(Table, Vec<String>, usize), Error> {
    let (table, columns) = Table::open(path, delimiter, str::to_owned)?;
    let problem = "has no column `username`";
    let username = columns.iter().position(|name| name == "username");
    Ok((table, columns, username.ok_or_else(|| Error::Header { path: path.to_path_buf(), problem })?))
}

fn each_username(path: &Path, delimiter: u8, mut note: impl FnMut(&str)) -> Result<(), Error> {
    let (mut table, _, username) = open(path, delimiter)?;
    while let Some((_, row)) = table.next()? {
        if let Ok(fields) = row {
            note(fields.get(username));
        }
    }
    Ok(())
}

impl Cohorts {
    /// The attributes that the header names, in its order.
    pub fn attribute_names(&self) -> impl Iterator<Item = &str> {
        let names = self.columns.iter().map(String::as_str);
        names.filter(|name| !name.is_empty() && *name != "username")
    }

    fn step(&mut self) -> Result<Option<CohortRow>, Error> {
        let Some(table) = &mut self.table else { return Ok(None) };
        let Some((line, row)) = table.next()? else { return Ok(None) };
        let judged = row.map_err(|code| ("-", code)).and_then(|fields| {
            let username = fields.get(self.username);
            if username.trim().is_empty() {
                return Err(("username", RejectCode::FieldMissing));
            }
            if username.chars().count() > limits::NAME_CHARS {
                return Err(("username", RejectCode::RecordTooLarge));
            }
            if self.duplicates.contains(username) {
                return Err(("username", RejectCode::DuplicateUsername));
            }
            let named = self.columns.iter().zip(fields.iter());
            let filled = named
                .filter(|(name, text)| !name.is_empty() && *name != "username" && !text.trim().is_empty());
            let attributes = filled.map(|(name, text)| (name.clone(), text.trim().to_owned())).collect();
            Ok(CohortRow::User(username.to_owned(), attributes))
        });
        Ok(Some(judged.unwrap_or_else(|(field, code)| {
            CohortRow::Rejected(Reject { file: None, line, field: field.to_owned(), code })
        })))
    }
}

impl Iterator for Cohorts {
    type Item = Result<CohortRow, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let step = self.step().transpose();
        if !matches!(step, Some(Ok(_))) {
            self.table = None;
        }
        step
    }
}
