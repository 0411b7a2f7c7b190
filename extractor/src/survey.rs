//! The first pass over a source: its format, its name, and the usernames that occur twice.
//!
//! It holds eight bytes a user while it runs. Every refusal of a whole file is raised here or in `recognise`, before
//! anything is written.

use crate::device_rows::DeviceRows;
use crate::digest::Digests;
use crate::recognise::expect;
use crate::usernames::{Claims, Duplicates};
use crate::{Error, Format, Source, flat, ndjson, recognise, seeds, soap};
use contract::SnapshotId;
use std::path::{Path, PathBuf};

/// The devices file of a CSV of users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DevicesFile {
    /// Where it is.
    pub path: PathBuf,
    /// True where nobody named it and it was found beside the datafile; the operator should be told.
    pub found_beside: bool,
    pub(crate) delimiter: u8,
}

/// What the first pass found; the second one needs it.
#[derive(Debug, Clone)]
pub struct Survey {
    /// The datafile's format.
    pub format: Format,
    /// The devices file that will be joined; absent for formats that carry their devices themselves, and for a CSV
    /// without one.
    pub devices: Option<DevicesFile>,
    /// Rows of the token seed file that can be joined; absent without such a file.
    pub token_seeds: Option<u64>,
    /// Files of a folder that were passed over because they are no `.xml`; 0 for other formats.
    pub ignored_files: u64,
    pub(crate) seeds_delimiter: u8,
    pub(crate) digests: Digests,
    pub(crate) duplicates: Duplicates,
    pub(crate) folder: Option<soap::Folder>,
}

impl Survey {
    /// The snapshot's name.
    pub fn id(&self) -> SnapshotId {
        self.digests.snapshot_id()
    }

    /// Usernames that occur more than once; each of their records will be rejected.
    pub fn duplicate_usernames(&self) -> usize {
        self.duplicates.len()
    }
}

/// Reads the source once.
///
/// # Errors
/// Any file of the source cannot be read, or is not what it has to be.
pub fn survey(source: &Source) -> Result<Survey, Error> {
    let path = &source.datafile;
    let format = datafile_format(path)?;
    let devices = devices_file(source, format)?;
    let devices_digest = match &devices {
        None => None,
        Some(file) => Some(DeviceRows::index(&file.path, file.delimiter)?.1),
    };
    let (mut seeds_delimiter, mut seeds_digest, mut token_seeds) = (b',', None, None);
    if let Some(path) = &source.token_seeds {
        let wanted = "a token seed file";
        if let Format::TokenSeeds { delimiter } =
            expect(path, wanted, |f| matches!(f, Format::TokenSeeds { .. }))?
        {
            seeds_delimiter = delimiter;
        }
        let loaded = seeds::load(path, seeds_delimiter)?;
        seeds_digest = Some(loaded.digest);
        token_seeds = Some(loaded.seeds.len() as u64);
    }
    let mut claims = Claims::default();
    let mut folder = None;
    let datafile = match format {
        Format::Csv { delimiter } => flat::scan(path, delimiter, &mut claims)?,
        Format::Soap => {
            let (found, digest) = soap::scan(path)?;
            found.claim(&mut claims);
            folder = Some(found);
            digest
        }
        Format::Ndjson | Format::Devices { .. } | Format::TokenSeeds { .. } | Format::Cohorts { .. } => {
            ndjson::scan(path, &mut claims)?
        }
    };
    let mut suspects = claims.into_repeated();
    if !suspects.is_empty() {
        match (format, &folder) {
            (_, Some(folder)) => folder.recount(&mut suspects),
            (Format::Csv { delimiter }, None) => flat::recount(path, delimiter, &mut suspects)?,
            (_, None) => ndjson::recount(path, &mut suspects)?,
        }
    }
    Ok(Survey {
        format,
        devices,
        token_seeds,
        ignored_files: folder.as_ref().map_or(0, |folder| folder.ignored_files),
        seeds_delimiter,
        digests: Digests { datafile, devices: devices_digest, token_seeds: seeds_digest },
        duplicates: suspects.into_duplicates(),
        folder,
    })
}

fn datafile_format(path: &Path) -> Result<Format, Error> {
    let format = recognise(path)?;
    let wanted = "a datafile (NDJSON, CSV of users, folder of SOAP responses)";
    match format {
        Format::Ndjson | Format::Csv { .. } | Format::Soap => Ok(format),
        Format::Devices { .. } | Format::TokenSeeds { .. } | Format::Cohorts { .. } => {
            Err(Error::WrongRole { path: path.to_path_buf(), saw: format.describe(), wanted })
        }
    }
}

/// The devices file: the one that was named, or `<stem>.devices.csv` beside a CSV of users.
fn devices_file(source: &Source, format: Format) -> Result<Option<DevicesFile>, Error> {
    let is_csv = matches!(format, Format::Csv { .. });
    let (path, found_beside) = match &source.devices {
        Some(path) if is_csv => (path.clone(), false),
        Some(_) => {
            return Err(Error::DevicesNotWanted { path: source.datafile.clone(), saw: format.describe() });
        }
        None if is_csv => (source.datafile.with_extension("devices.csv"), true),
        None => return Ok(None),
    };
    if found_beside && !path.is_file() {
        return Ok(None);
    }
    match expect(&path, "a CSV of devices", |format| matches!(format, Format::Devices { .. }))? {
        Format::Devices { delimiter } => Ok(Some(DevicesFile { path, found_beside, delimiter })),
        Format::Ndjson
        | Format::Csv { .. }
        | Format::Soap
        | Format::TokenSeeds { .. }
        | Format::Cohorts { .. } => Ok(None),
    }
}
