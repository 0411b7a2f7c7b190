//! The CSV of users: the same names as NDJSON, flat, with the devices joined from their own file.
//!
//! Every column that no table knows counts once a row.

use crate::device_rows::DeviceRows;
use crate::digest::Sha256;
use crate::error::Error;
use crate::keys::{SettingsField, UserField};
use crate::limits;
use crate::table::Table;
use crate::usernames::{Claims, Suspects};
use crate::wire::{Entry, Misplaced, Scalar, WireSettings, WireUser};
use std::path::Path;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Column {
    User(UserField),
    Settings(SettingsField),
    Ignored,
    Unknown,
}

impl Column {
    pub(crate) fn of(name: &str) -> Self {
        match (UserField::of(name), SettingsField::of(name)) {
            // In a flat file these two would be lists; there is no such thing.
            (UserField::Settings | UserField::Devices, _) => Self::Unknown,
            (UserField::Ignored, SettingsField::Question) => Self::Settings(SettingsField::Question),
            (UserField::Ignored, _) | (UserField::Unknown, SettingsField::Ignored) => Self::Ignored,
            (UserField::Unknown, SettingsField::Unknown) => Self::Unknown,
            (UserField::Unknown, field) => Self::Settings(field),
            (field, _) => Self::User(field),
        }
    }
}

fn open(path: &Path, delimiter: u8) -> Result<(Table, Vec<Column>, usize), Error> {
    let (table, columns) = Table::open(path, delimiter, Column::of)?;
    let username = columns.iter().position(|c| *c == Column::User(UserField::Username));
    let problem = "has no column `username`";
    let username = username.ok_or_else(|| Error::Header { path: path.to_path_buf(), problem })?;
    Ok((table, columns, username))
}

/// The first pass: the digest, and every username noted.
pub(crate) fn scan(path: &Path, delimiter: u8, claims: &mut Claims) -> Result<Sha256, Error> {
    let (mut table, _, username) = open(path, delimiter)?;
    while let Some((_, row)) = table.next()? {
        if let Ok(fields) = row {
            claims.add(fields.get(username));
        }
    }
    Ok(table.finish())
}

/// Counts the usernames that are suspected, of rows that are records.
pub(crate) fn recount(path: &Path, delimiter: u8, suspects: &mut Suspects) -> Result<(), Error> {
    let (mut table, _, username) = open(path, delimiter)?;
    while let Some((_, row)) = table.next()? {
        if let Ok(fields) = row
            && fields.get(username).chars().count() <= limits::NAME_CHARS
        {
            suspects.count(fields.get(username));
        }
    }
    Ok(())
}

/// The second pass.
#[derive(Debug)]
pub(crate) struct Reader {
    table: Table,
    columns: Vec<Column>,
    devices: Option<DeviceRows>,
}

impl Reader {
    pub(crate) fn open(path: &Path, delimiter: u8, devices: Option<DeviceRows>) -> Result<Self, Error> {
        let (table, columns, _) = open(path, delimiter)?;
        Ok(Self { table, columns, devices })
    }

    /// The next record with its line.
    pub(crate) fn next(&mut self) -> Result<Option<Entry>, Error> {
        let Some((line, row)) = self.table.next()? else { return Ok(None) };
        let mut user = match row {
            Ok(fields) => read(&self.columns, fields.iter()),
            Err(code) => return Ok(Some(Entry { file: None, line, user: Err(("-", code)) })),
        };
        if let Some(devices) = &mut self.devices {
            devices.join(&mut user)?;
        }
        Ok(Some(Entry { file: None, line, user: Ok(user) }))
    }

    /// The digest, and the devices file with the rows that nobody asked for.
    pub(crate) fn finish(self) -> (Sha256, Option<DeviceRows>) {
        (self.table.finish(), self.devices)
    }
}

fn read<'a>(columns: &[Column], fields: impl Iterator<Item = &'a str>) -> WireUser {
    let mut user = WireUser::default();
    let mut settings = WireSettings::default();
    for (column, text) in columns.iter().zip(fields) {
        match *column {
            Column::User(field) => user.put(field, Scalar::Text(text.to_owned())),
            Column::Settings(field) => {
                if settings.put(field, Scalar::Text(text.to_owned())) == Err(Misplaced) {
                    user.blame(field.word());
                }
            }
            Column::Ignored => {}
            Column::Unknown => user.unknown_keys += 1,
        }
    }
    user.settings = Some(settings);
    user
}
