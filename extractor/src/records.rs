//! The second pass: one item a record, in the source's order.
//!
//! `read = accepted + rejected` holds after every item. The last item is an error if the source is no longer the one
//! that was surveyed.

use crate::{Error, Source, Survey, assemble, ndjson};
use contract::{RecordRow, Reject, RejectCode, SnapshotManifest};

/// One record of the source.
#[derive(Debug)]
pub enum Item {
    /// It goes on.
    Accepted(Box<RecordRow>),
    /// It was turned away.
    Rejected(Reject),
}

/// The stream of records.
#[derive(Debug)]
pub struct Records {
    reader: Option<ndjson::Reader>,
    survey: Survey,
    source: Source,
    manifest: SnapshotManifest,
}

/// Starts the second pass.
///
/// # Errors
/// A file cannot be opened any more.
pub fn records(source: &Source, survey: &Survey) -> Result<Records, Error> {
    Ok(Records {
        reader: Some(ndjson::Reader::open(&source.datafile)?),
        survey: survey.clone(),
        source: source.clone(),
        manifest: SnapshotManifest {
            v: 1,
            id: survey.id(),
            format: survey.format.as_str().to_owned(),
            read: 0,
            accepted: 0,
            rejected: 0,
            unknown_keys: 0,
        },
    })
}

impl Records {
    /// The counts so far; of the whole source once the iterator has ended.
    pub fn manifest(&self) -> &SnapshotManifest {
        &self.manifest
    }

    fn step(&mut self) -> Result<Option<Item>, Error> {
        let Some(reader) = &mut self.reader else { return Ok(None) };
        let Some((line, read)) = reader.next()? else {
            let digest = self.reader.take().map(ndjson::Reader::finish);
            if digest != Some(self.survey.digests.datafile) {
                return Err(Error::SourceChanged { path: self.source.datafile.clone() });
            }
            return Ok(None);
        };
        self.manifest.read += 1;
        let judged = read.map_err(|code| ("-", code)).and_then(|user| {
            self.manifest.unknown_keys += user.unknown_keys;
            if user.claim().is_some_and(|name| self.survey.duplicates.contains(name)) {
                return Err(("username", RejectCode::DuplicateUsername));
            }
            assemble::record(user)
        });
        Ok(Some(match judged {
            Ok(record) => {
                self.manifest.accepted += 1;
                Item::Accepted(Box::new(RecordRow { ordinal: self.manifest.read.cast_signed(), record }))
            }
            Err((field, code)) => {
                self.manifest.rejected += 1;
                Item::Rejected(Reject { file: None, line, field: field.to_owned(), code })
            }
        }))
    }
}

impl Iterator for Records {
    type Item = Result<Item, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let step = self.step().transpose();
        if matches!(step, Some(Err(_))) {
            self.reader = None;
        }
        step
    }
}
