//! The token seed file, joined to records by serial, or by `upn` where a record has a token without a serial.
//!
//! Held whole, compactly: one arena for all texts, about 40 bytes a row besides. The arena is as long as the file from
//! the start, so it never moves and leaves no copy of a secret behind; it is wiped when dropped. Serials that two
//! differing rows claim belong to neither.

use crate::assemble::interval;
use crate::digest::Sha256;
use crate::error::Error;
use crate::limits::NAME_CHARS;
use crate::rows::Fields;
use crate::source::file_name;
use crate::table::Table;
use crate::usernames::fold;
use contract::{OathToken, Record, Reject, RejectCode, Secret};
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use zeroize::Zeroize;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Column {
    Upn,
    Serial,
    Secret,
    Interval,
    Manufacturer,
    Model,
    Unknown,
}

impl Column {
    /// Reads a column's name: any case, with or without the blanks between its words.
    pub(crate) fn of(name: &str) -> Self {
        let letters: String = name.chars().filter(|c| !matches!(c, ' ' | '_' | '-')).collect();
        match letters.to_lowercase().as_str() {
            "upn" => Self::Upn,
            "serialnumber" => Self::Serial,
            "secretkey" => Self::Secret,
            "timeinterval" => Self::Interval,
            "manufacturer" => Self::Manufacturer,
            "model" => Self::Model,
            _ => Self::Unknown,
        }
    }
}

/// A row: where its texts lie in the arena, one behind the other.
#[derive(Debug, Clone)]
struct Seed {
    serial_hash: u64,
    at: u32,
    line: u32,
    interval_seconds: Option<u32>,
    serial_len: u16,
    secret_len: u16,
    upn_len: u16,
    make: u16,
}

/// Manufacturer and model, shared by the rows that have the same.
type Make = (Option<String>, Option<String>);

/// The token seed file.
pub(crate) struct Seeds {
    arena: Vec<u8>,
    hasher: RandomState,
    /// In order of the serial's hash.
    rows: Vec<Seed>,
    /// Hash of the `upn` and place in `rows`, in order.
    upns: Vec<(u64, u32)>,
    makes: Vec<Make>,
}

impl std::fmt::Debug for Seeds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Seeds({} rows)", self.rows.len())
    }
}

impl Drop for Seeds {
    fn drop(&mut self) {
        self.arena.zeroize();
    }
}

/// What came of reading the file.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) seeds: Seeds,
    pub(crate) digest: Sha256,
    pub(crate) rejects: Vec<Reject>,
}

/// Reads the file.
pub(crate) fn load(path: &Path, delimiter: u8) -> Result<Loaded, Error> {
    let bytes = std::fs::metadata(path).map_err(Error::io(path))?.len();
    let too_large = || Error::SideFileTooLarge { path: path.to_path_buf() };
    let capacity = u32::try_from(bytes).map_err(|_| too_large())?;
    let (mut table, columns) = Table::open(path, delimiter, Column::of)?;
    if !(columns.contains(&Column::Serial) && columns.contains(&Column::Secret)) {
        let problem = "has no columns `serial number` and `secret key`";
        return Err(Error::Header { path: path.to_path_buf(), problem });
    }
    let mut loading = Loading {
        arena: Vec::with_capacity(capacity as usize),
        hasher: RandomState::new(),
        rows: Vec::new(),
        makes: Vec::new(),
        known_makes: HashMap::new(),
    };
    let file = Some(file_name(path));
    let mut faults = Vec::new();
    while let Some((line, row)) = table.next()? {
        let line = u32::try_from(line).map_err(|_| too_large())?;
        if let Err((field, code)) =
            row.map_err(|code| ("-", code)).and_then(|fields| loading.add(line, &columns, fields))
        {
            faults.push((line, field, code));
        }
    }
    let seeds = loading.finish(&mut faults);
    faults.sort_unstable_by_key(|fault| fault.0);
    let rejects = faults.into_iter().map(|(line, field, code)| Reject {
        file: file.clone(),
        line: u64::from(line),
        field: field.to_owned(),
        code,
    });
    Ok(Loaded { seeds, digest: table.finish(), rejects: rejects.collect() })
}

type Fault = (u32, &'static str, RejectCode);

/// The file while it is being read.
struct Loading {
    arena: Vec<u8>,
    hasher: RandomState,
    rows: Vec<Seed>,
    makes: Vec<Make>,
    known_makes: HashMap<Make, u16>,
}

impl Loading {
    fn add(
        &mut self,
        line: u32,
        columns: &[Column],
        fields: Fields<'_>,
    ) -> Result<(), (&'static str, RejectCode)> {
        let of = |wanted| columns.iter().position(|c| *c == wanted).map_or("", |n| fields.get(n).trim());
        let (serial, secret, upn) = (of(Column::Serial), of(Column::Secret), of(Column::Upn));
        for (field, text) in [("serial number", serial), ("secret key", secret)] {
            if text.is_empty() {
                return Err((field, RejectCode::FieldMissing));
            }
        }
        let named = [
            ("upn", upn),
            ("serial number", serial),
            ("manufacturer", of(Column::Manufacturer)),
            ("model", of(Column::Model)),
        ];
        for (field, text) in named {
            if text.chars().count() > NAME_CHARS {
                return Err((field, RejectCode::RecordTooLarge));
            }
        }
        let interval_seconds =
            interval(of(Column::Interval)).ok_or(("time interval", RejectCode::FieldInvalid))?;
        let make = self.make(of(Column::Manufacturer), of(Column::Model))?;
        let length =
            |text: &str| u16::try_from(text.len()).map_err(|_| ("secret key", RejectCode::RecordTooLarge));
        let seed = Seed {
            serial_hash: self.hasher.hash_one(fold(serial).as_ref()),
            at: u32::try_from(self.arena.len()).map_err(|_| ("-", RejectCode::RecordTooLarge))?,
            line,
            interval_seconds,
            serial_len: length(serial)?,
            secret_len: length(secret)?,
            upn_len: length(upn)?,
            make,
        };
        for text in [serial, secret, upn] {
            self.arena.extend_from_slice(text.as_bytes());
        }
        self.rows.push(seed);
        Ok(())
    }

    fn make(&mut self, manufacturer: &str, model: &str) -> Result<u16, (&'static str, RejectCode)> {
        let filled = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let make = (filled(manufacturer), filled(model));
        if let Some(known) = self.known_makes.get(&make) {
            return Ok(*known);
        }
        let new = u16::try_from(self.makes.len()).map_err(|_| ("model", RejectCode::RecordTooLarge))?;
        self.makes.push(make.clone());
        self.known_makes.insert(make, new);
        Ok(new)
    }

    /// Sorts the rows and takes out those whose serial is claimed twice: all of them where they differ, all but the
    /// first where they say the same.
    fn finish(self, faults: &mut Vec<Fault>) -> Seeds {
        let mut seeds = Seeds {
            arena: self.arena,
            hasher: self.hasher,
            rows: self.rows,
            upns: Vec::new(),
            makes: self.makes,
        };
        let mut rows = std::mem::take(&mut seeds.rows);
        rows.sort_by(|a, b| {
            let serial = |seed| fold(seeds.serial(seed)).into_owned();
            a.serial_hash
                .cmp(&b.serial_hash)
                .then_with(|| serial(a).cmp(&serial(b)))
                .then(a.line.cmp(&b.line))
        });
        let mut kept: Vec<Seed> = Vec::with_capacity(rows.len());
        for group in rows
            .chunk_by(|a, b| a.serial_hash == b.serial_hash && fold(seeds.serial(a)) == fold(seeds.serial(b)))
        {
            let Some((first, others)) = group.split_first() else { continue };
            let same = others.iter().all(|other| seeds.says_the_same(first, other));
            if same {
                kept.push(first.clone());
            }
            let refused = if same { others } else { group };
            faults.extend(refused.iter().map(|seed| (seed.line, "serial number", RejectCode::FieldInvalid)));
        }
        let with_upn = kept.iter().enumerate().filter(|(_, seed)| seed.upn_len > 0);
        let mut upns: Vec<(u64, u32)> = with_upn
            .filter_map(|(n, seed)| {
                Some((seeds.hasher.hash_one(fold(seeds.upn(seed)).as_ref()), u32::try_from(n).ok()?))
            })
            .collect();
        upns.sort_unstable();
        seeds.rows = kept;
        seeds.upns = upns;
        seeds
    }
}

impl Seeds {
    fn text(&self, from: usize, len: u16) -> &str {
        let bytes = self.arena.get(from..from + usize::from(len)).unwrap_or_default();
        std::str::from_utf8(bytes).unwrap_or_default()
    }

    fn serial(&self, seed: &Seed) -> &str {
        self.text(seed.at as usize, seed.serial_len)
    }

    fn secret(&self, seed: &Seed) -> &str {
        self.text(seed.at as usize + usize::from(seed.serial_len), seed.secret_len)
    }

    fn upn(&self, seed: &Seed) -> &str {
        let from = seed.at as usize + usize::from(seed.serial_len) + usize::from(seed.secret_len);
        self.text(from, seed.upn_len)
    }

    fn says_the_same(&self, a: &Seed, b: &Seed) -> bool {
        self.secret(a) == self.secret(b)
            && a.interval_seconds == b.interval_seconds
            && a.make == b.make
            && fold(self.upn(a)) == fold(self.upn(b))
    }

    fn by_serial(&self, serial: &str) -> Option<&Seed> {
        let folded = fold(serial);
        let hash = self.hasher.hash_one(folded.as_ref());
        let first = self.rows.partition_point(|seed| seed.serial_hash < hash);
        let same = self.rows.get(first..)?.iter().take_while(|seed| seed.serial_hash == hash);
        same.into_iter().find(|seed| fold(self.serial(seed)) == folded)
    }

    /// The one row of a user; none where there are several, since nothing says which.
    fn by_upn(&self, username: &str) -> Option<&Seed> {
        let folded = fold(username);
        let hash = self.hasher.hash_one(folded.as_ref());
        let first = self.upns.partition_point(|entry| entry.0 < hash);
        let same = self.upns.get(first..)?.iter().take_while(|entry| entry.0 == hash);
        let mut seeds = same.filter_map(|entry| self.rows.get(entry.1 as usize));
        let mut seeds = seeds.by_ref().filter(|seed| fold(self.upn(seed)) == folded);
        let only = seeds.next()?;
        seeds.next().is_none().then_some(only)
    }

    /// Fills what the record's token lacks from its seed row; answers whether there was one. What the record states
    /// itself stays.
    pub(crate) fn join(&self, record: &mut Record) -> bool {
        let Some(token) = &mut record.oath_token else { return false };
        let seed = match &token.serial {
            Some(serial) => self.by_serial(serial),
            None if token.secret.is_none() => self.by_upn(&record.username),
            None => None,
        };
        let Some(seed) = seed else { return false };
        let (manufacturer, model) = self.makes.get(usize::from(seed.make)).cloned().unwrap_or_default();
        let OathToken { serial, secret, interval_seconds, manufacturer: own_manufacturer, model: own_model } =
            token;
        serial.get_or_insert_with(|| self.serial(seed).to_owned());
        secret.get_or_insert_with(|| Secret::new(self.secret(seed)));
        *interval_seconds = interval_seconds.or(seed.interval_seconds);
        *own_manufacturer = own_manufacturer.take().or(manufacturer);
        *own_model = own_model.take().or(model);
        true
    }

    /// Rows that can be joined.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }
}
