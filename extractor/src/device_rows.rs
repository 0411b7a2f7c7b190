//! The CSV of devices: an index in memory, the rows on disk.
//!
//! The file may be in any order. The index holds 24 bytes a row and nothing of a row's content; a user's rows are read
//! again from their places when the user comes by. A row whose user never comes is reported at the end.

use crate::digest::Sha256;
use crate::error::Error;
use crate::keys::{DeviceField, UserField};
use crate::limits;
use crate::source::file_name;
use crate::table::Table;
use crate::usernames::fold;
use crate::wire::{Misplaced, Scalar, WireDevice, WireUser};
use contract::{Reject, RejectCode};
use std::hash::{BuildHasher, RandomState};
use std::path::Path;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Column {
    Username,
    Device(DeviceField),
}

impl Column {
    pub(crate) fn of(name: &str) -> Self {
        if UserField::of(name) == UserField::Username {
            Self::Username
        } else {
            Self::Device(DeviceField::of(name))
        }
    }
}

/// Where a row is, whose it is, and whether its user came by.
#[derive(Debug)]
struct Place {
    hash: u64,
    offset: u64,
    line: u32,
    used: bool,
}

/// The devices file.
#[derive(Debug)]
pub(crate) struct DeviceRows {
    file: String,
    table: Table,
    columns: Vec<Column>,
    username: usize,
    hasher: RandomState,
    places: Vec<Place>,
}

/// Opens the file and reads its header.
fn open(path: &Path, delimiter: u8) -> Result<(Table, Vec<Column>, usize), Error> {
    let (table, columns) = Table::open(path, delimiter, Column::of)?;
    let problem = "has no column `username`";
    let username = columns.iter().position(|column| *column == Column::Username);
    Ok((table, columns, username.ok_or_else(|| Error::Header { path: path.to_path_buf(), problem })?))
}

impl DeviceRows {
    /// Reads the file once, and answers its digest and the rows that can be nobody's.
    pub(crate) fn index(path: &Path, delimiter: u8) -> Result<(Self, Sha256, Vec<Reject>), Error> {
        let (mut table, columns, username) = open(path, delimiter)?;
        let (hasher, file) = (RandomState::new(), file_name(path));
        let (mut places, mut rejects) = (Vec::new(), Vec::new());
        while let Some((line, row)) = table.next()? {
            let judged = row.map_err(|code| ("-", code)).and_then(|fields| {
                let name = fold(fields.get(username));
                if name.is_empty() {
                    Err(("username", RejectCode::FieldMissing))
                } else {
                    Ok((name, fields.offset))
                }
            });
            match judged {
                Ok((name, offset)) => {
                    let hash = hasher.hash_one(name.as_ref());
                    places.push(Place {
                        hash,
                        offset,
                        line: u32::try_from(line).unwrap_or(u32::MAX),
                        used: false,
                    });
                }
                Err((field, code)) => {
                    rejects.push(Reject { file: Some(file.clone()), line, field: field.to_owned(), code });
                }
            }
        }
        let digest = table.finish();
        places.sort_unstable_by_key(|place| (place.hash, place.offset));
        let (table, _, _) = open(path, delimiter)?;
        Ok((Self { file, table, columns, username, hasher, places }, digest, rejects))
    }

    /// Gives a user its devices, in the file's order.
    pub(crate) fn join(&mut self, user: &mut WireUser) -> Result<(), Error> {
        let Some(name) = user.username.as_deref().map(|name| fold(name).into_owned()) else { return Ok(()) };
        let hash = self.hasher.hash_one(name.as_str());
        let first = self.places.partition_point(|place| place.hash < hash);
        let places = self.places.get_mut(first..).unwrap_or_default();
        for place in places.iter_mut().take_while(|place| place.hash == hash) {
            self.table.seek(place.offset)?;
            // The row was well-formed when it was indexed; if it is not now, the file changed, and its place stays unused.
            let Some((_, Ok(fields))) = self.table.next()? else { continue };
            if fold(fields.get(self.username)) != name {
                continue;
            }
            place.used = true;
            if user.devices.len() == limits::DEVICES {
                user.too_many_devices = true;
                continue;
            }
            let mut device = WireDevice::default();
            for (column, text) in self.columns.iter().zip(fields.iter()) {
                match *column {
                    Column::Username => {}
                    Column::Device(DeviceField::Unknown) => user.unknown_keys += 1,
                    Column::Device(field) => {
                        if device.put(field, Scalar::Text(text.to_owned())) == Err(Misplaced) {
                            user.blame(field.word());
                        }
                    }
                }
            }
            user.devices.push(device);
        }
        Ok(())
    }

    /// The rows whose user never came, in the file's order.
    pub(crate) fn left_over(mut self) -> impl Iterator<Item = Reject> {
        self.places.retain(|place| !place.used);
        self.places.sort_unstable_by_key(|place| place.line);
        let file = self.file;
        self.places.into_iter().map(move |place| Reject {
            file: Some(file.clone()),
            line: u64::from(place.line),
            field: "username".to_owned(),
            code: RejectCode::Incomplete,
        })
    }
}
