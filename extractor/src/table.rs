//! A CSV file with a header: rows of the header's width, and why the others are none.
//!
//! The first row is the header; a file without one is refused as a whole, since a guess would put values into the
//! wrong fields.

use crate::digest::Sha256;
use crate::error::Error;
use crate::rows::{Fields, Row, Rows};
use contract::RejectCode;
use std::fs::File;
use std::path::{Path, PathBuf};

/// A row's line, and its fields or the code of its reject.
pub(crate) type Judged<'a> = (u64, Result<Fields<'a>, RejectCode>);

/// A CSV file that is being read.
#[derive(Debug)]
pub(crate) struct Table {
    path: PathBuf,
    rows: Rows<File>,
    width: usize,
}

impl Table {
    /// Opens a file and reads its header through `column`, which may refuse a column by saying what is wrong.
    pub(crate) fn open<C>(
        path: &Path,
        delimiter: u8,
        column: impl Fn(&str) -> C,
    ) -> Result<(Self, Vec<C>), Error> {
        let mut rows = Rows::new(File::open(path).map_err(Error::io(path))?, delimiter);
        let header = |problem| Error::Header { path: path.to_path_buf(), problem };
        let columns: Vec<C> = match rows.next().map_err(Error::io(path))? {
            None => return Err(Error::Empty { path: path.to_path_buf() }),
            Some(Row::TooLarge(_)) => {
                return Err(header("is longer than 1 MiB or has more than 1,024 columns"));
            }
            Some(Row::NotUtf8(_)) => return Err(header("is not UTF-8")),
            Some(Row::Fields(fields)) => {
                let mut names: Vec<String> = fields.iter().map(|name| name.trim().to_lowercase()).collect();
                let columns = names.iter().map(|name| column(name)).collect();
                names.retain(|name| !name.is_empty());
                names.sort_unstable();
                if names.windows(2).any(|pair| pair.first() == pair.last()) {
                    return Err(header("names a column twice"));
                }
                columns
            }
        };
        let width = columns.len();
        Ok((Self { path: path.to_path_buf(), rows, width }, columns))
    }

    /// The next row with its line, or the code of its reject.
    pub(crate) fn next(&mut self) -> Result<Option<Judged<'_>>, Error> {
        let width = self.width;
        Ok(self.rows.next().map_err(Error::io(&self.path))?.map(|row| match row {
            Row::Fields(fields) if fields.len() == width => (fields.line, Ok(fields)),
            Row::Fields(fields) => (fields.line, Err(RejectCode::Malformed)),
            Row::NotUtf8(line) => (line, Err(RejectCode::NotUtf8)),
            Row::TooLarge(line) => (line, Err(RejectCode::RecordTooLarge)),
        }))
    }

    /// Goes to where a row begins.
    pub(crate) fn seek(&mut self, offset: u64) -> Result<(), Error> {
        self.rows.seek(offset).map_err(Error::io(&self.path))
    }

    pub(crate) fn finish(self) -> Sha256 {
        self.rows.finish()
    }
}
