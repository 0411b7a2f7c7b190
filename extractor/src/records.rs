//! The second pass: one item a record, in the source's order.
//!
//! `read = accepted + rejected` holds after every item. Rows of side files that were turned away come as items of
//! their own and are in neither count. The last item is an error if the source is no longer the one that was surveyed.

use crate::device_rows::DeviceRows;
use crate::digest::Sha256;
use crate::seeds::{self, Seeds};
use crate::usernames::Duplicates;
use crate::wire::Entry;
use crate::{Error, Format, Source, Stated, Survey, assemble, flat, ndjson, soap};
use contract::{RecordRow, Reject, RejectCode, SnapshotManifest};
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

/// What the second pass yields.
#[derive(Debug)]
pub enum Item {
    /// A record that goes on, and what is stated beside it.
    Accepted(Box<RecordRow>, Stated),
    /// A record that was turned away.
    Rejected(Reject),
    /// A row of the token seed file or of the devices file that was turned away. It belongs in the rejects file and
    /// is not counted in `read`, which counts users. A device row whose user is nowhere is `incomplete`.
    SideRejected(Reject),
}

#[derive(Debug)]
enum Reader {
    Ndjson(ndjson::Reader),
    Csv(Box<flat::Reader>),
    Soap(soap::Reader),
}

/// The stream of records.
#[derive(Debug)]
pub struct Records {
    reader: Option<Reader>,
    judge: Judge,
    sides: VecDeque<Reject>,
    datafile: PathBuf,
    survey: Survey,
    complete: bool,
}

/// Decides whether an entry goes on, and counts. Several of them may share the work; their counts add up.
#[derive(Debug, Clone)]
pub(crate) struct Judge {
    duplicates: Duplicates,
    seeds: Option<Arc<Seeds>>,
    manifest: SnapshotManifest,
    seeds_joined: u64,
}

impl Judge {
    /// Judges the entry at this place among those read.
    pub(crate) fn judge(&mut self, ordinal: i64, entry: Entry) -> Item {
        self.manifest.read += 1;
        let mut stated = Stated::default();
        let judged = entry.user.and_then(|user| {
            stated = Stated::of(&user);
            self.manifest.unknown_keys += user.unknown_keys;
            if user.claim().is_some_and(|name| self.duplicates.contains(name)) {
                return Err(("username", RejectCode::DuplicateUsername));
            }
            assemble::record(user)
        });
        match judged {
            Ok(mut record) => {
                self.manifest.accepted += 1;
                if self.seeds.as_ref().is_some_and(|seeds| seeds.join(&mut record)) {
                    self.seeds_joined += 1;
                }
                Item::Accepted(Box::new(RecordRow { ordinal, record }), stated)
            }
            Err((field, code)) => {
                self.manifest.rejected += 1;
                Item::Rejected(Reject { file: entry.file, line: entry.line, field: field.to_owned(), code })
            }
        }
    }

    /// One that judges alike and has counted nothing yet.
    pub(crate) fn another(&self) -> Self {
        let manifest = SnapshotManifest {
            read: 0,
            accepted: 0,
            rejected: 0,
            side_rejected: 0,
            unknown_keys: 0,
            ..self.manifest.clone()
        };
        Self { manifest, seeds_joined: 0, ..self.clone() }
    }

    /// Takes over what another one counted.
    pub(crate) fn add(&mut self, other: &Self) {
        self.manifest.read += other.manifest.read;
        self.manifest.accepted += other.manifest.accepted;
        self.manifest.rejected += other.manifest.rejected;
        self.manifest.side_rejected += other.manifest.side_rejected;
        self.manifest.unknown_keys += other.manifest.unknown_keys;
        self.seeds_joined += other.seeds_joined;
    }
}

/// Starts the second pass: loads the token seed file, indexes the devices file, opens the datafile.
///
/// # Errors
/// A file cannot be opened any more, or a side file is no longer the one that was surveyed.
pub fn records(source: &Source, survey: &Survey) -> Result<Records, Error> {
    let mut sides = VecDeque::new();
    let seeds = match &source.token_seeds {
        None => None,
        Some(path) => {
            let loaded = seeds::load(path, survey.seeds_delimiter)?;
            same(survey.digests.token_seeds, loaded.digest, path)?;
            sides.extend(loaded.rejects);
            Some(loaded.seeds)
        }
    };
    let devices = match &survey.devices {
        None => None,
        Some(file) => {
            let (devices, digest, rejects) = DeviceRows::index(&file.path, file.delimiter)?;
            same(survey.digests.devices, digest, &file.path)?;
            sides.extend(rejects);
            Some(devices)
        }
    };
    let path = &source.datafile;
    let reader = match (survey.format, &survey.folder) {
        (_, Some(folder)) => Reader::Soap(soap::Reader::new(path, folder.clone())),
        (Format::Csv { delimiter }, None) => {
            Reader::Csv(Box::new(flat::Reader::open(path, delimiter, devices)?))
        }
        (_, None) => Reader::Ndjson(ndjson::Reader::open(path)?),
    };
    let format = survey.format.as_str().to_owned();
    let manifest = SnapshotManifest {
        v: 1,
        id: survey.id(),
        format,
        read: 0,
        accepted: 0,
        rejected: 0,
        side_rejected: 0,
        unknown_keys: 0,
    };
    Ok(Records {
        reader: Some(reader),
        judge: Judge {
            duplicates: survey.duplicates.clone(),
            seeds: seeds.map(Arc::new),
            manifest,
            seeds_joined: 0,
        },
        sides,
        datafile: path.clone(),
        survey: survey.clone(),
        complete: false,
    })
}

fn same(surveyed: Option<Sha256>, now: Sha256, path: &std::path::Path) -> Result<(), Error> {
    if surveyed == Some(now) { Ok(()) } else { Err(Error::SourceChanged { path: path.to_path_buf() }) }
}

impl Records {
    /// The counts so far; of the whole source once [`Records::is_complete`].
    pub fn manifest(&self) -> &SnapshotManifest {
        &self.judge.manifest
    }

    /// Whether the source was read to its end and is the one that was surveyed. Until then nothing that came out of
    /// it may be taken for the snapshot.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// Accepted records whose token was completed from the token seed file.
    pub fn seeds_joined(&self) -> u64 {
        self.judge.seeds_joined
    }

    fn step(&mut self) -> Result<Option<Item>, Error> {
        if let Some(reject) = self.sides.pop_front() {
            self.judge.manifest.side_rejected += 1;
            return Ok(Some(Item::SideRejected(reject)));
        }
        let entry = match &mut self.reader {
            None => return Ok(None),
            Some(Reader::Ndjson(reader)) => reader.next()?,
            Some(Reader::Csv(reader)) => reader.next()?,
            Some(Reader::Soap(reader)) => reader.next()?,
        };
        match entry {
            Some(entry) => {
                let ordinal = self.judge.manifest.read.cast_signed() + 1;
                Ok(Some(self.judge.judge(ordinal, entry)))
            }
            None => self.end(),
        }
    }

    /// The lines of NDJSON, and the judge of them, for whoever reads them another way; the stream itself then has
    /// nothing left but the end. `None` for other formats.
    pub(crate) fn lines(&mut self) -> Option<(&mut ndjson::Reader, &mut Judge)> {
        match &mut self.reader {
            Some(Reader::Ndjson(reader)) => Some((reader, &mut self.judge)),
            None | Some(Reader::Csv(_) | Reader::Soap(_)) => None,
        }
    }

    /// Compares the digests, and brings up what is left of the devices file.
    fn end(&mut self) -> Result<Option<Item>, Error> {
        match self.reader.take() {
            // A folder compares each document as it is read.
            None | Some(Reader::Soap(_)) => {}
            Some(Reader::Ndjson(reader)) => {
                same(Some(self.survey.digests.datafile), reader.finish(), &self.datafile)?;
            }
            Some(Reader::Csv(reader)) => {
                let (digest, devices) = reader.finish();
                same(Some(self.survey.digests.datafile), digest, &self.datafile)?;
                self.sides.extend(devices.into_iter().flat_map(DeviceRows::left_over));
            }
        }
        self.complete = true;
        let left = self.sides.pop_front();
        self.judge.manifest.side_rejected += u64::from(left.is_some());
        Ok(left.map(Item::SideRejected))
    }
}

impl Iterator for Records {
    type Item = Result<Item, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let step = self.step().transpose();
        if matches!(step, Some(Err(_))) {
            self.reader = None;
            self.sides.clear();
        }
        step
    }
}
