//! Rows of a CSV file, each at most 1 MiB in memory, with the digest of every byte read.
//!
//! `csv-core` parses into buffers of ours, so a field of any length is passed over without being held. Quoted fields
//! may hold line ends; blank lines are no rows. Line numbers are those of a row's first byte.

use crate::digest::{Digest, Sha256};
use crate::limits::{COLUMNS, LINE_BYTES};
use csv_core::{ReadRecordResult, Reader, ReaderBuilder};
use std::io::{self, Read, Seek, SeekFrom};

const CHUNK_BYTES: usize = 64 * 1024;
const BOM: &[u8] = b"\xef\xbb\xbf";

/// A row.
#[derive(Clone, Copy)]
pub(crate) enum Row<'a> {
    /// Its fields.
    Fields(Fields<'a>),
    /// Not UTF-8.
    NotUtf8(u64),
    /// Over the limit of bytes or columns.
    TooLarge(u64),
}

/// The fields of a row.
#[derive(Clone, Copy)]
pub(crate) struct Fields<'a> {
    /// Line of its first byte, from 1; meaningless after a `seek`.
    pub(crate) line: u64,
    /// Where it begins in the file.
    pub(crate) offset: u64,
    text: &'a str,
    ends: &'a [usize],
}

impl<'a> Fields<'a> {
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let (text, mut start) = (self.text, 0);
        self.ends
            .iter()
            .map(move |&end| text.get(std::mem::replace(&mut start, end)..end).unwrap_or_default())
    }

    pub(crate) fn get(&self, index: usize) -> &'a str {
        self.iter().nth(index).unwrap_or_default()
    }
}

/// Reads rows out of `R`.
pub(crate) struct Rows<R> {
    reader: R,
    digest: Digest,
    core: Reader,
    input: Box<[u8]>,
    from: usize,
    to: usize,
    /// Where `input` begins in the file.
    base: u64,
    line: u64,
    output: Vec<u8>,
    ends: Vec<usize>,
    ended: bool,
}

impl<R> std::fmt::Debug for Rows<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Rows(line {})", self.line)
    }
}

impl<R: Read> Rows<R> {
    pub(crate) fn new(reader: R, delimiter: u8) -> Self {
        Self {
            reader,
            digest: Digest::new(),
            core: ReaderBuilder::new().delimiter(delimiter).build(),
            input: vec![0; CHUNK_BYTES].into_boxed_slice(),
            from: 0,
            to: 0,
            base: 0,
            line: 0,
            output: vec![0; 4096],
            ends: vec![0; 64],
            ended: false,
        }
    }

    /// The next row; none at the end.
    pub(crate) fn next(&mut self) -> io::Result<Option<Row<'_>>> {
        loop {
            self.skip_line_ends()?;
            let (line, offset) = (self.line + 1, self.base + self.from as u64);
            let Some((bytes, fields)) = self.read_record()? else { return Ok(None) };
            if bytes > LINE_BYTES || fields > COLUMNS {
                return Ok(Some(Row::TooLarge(line)));
            }
            let blank = |text: &[u8]| text.trim_ascii().is_empty();
            if fields <= 1 && blank(self.output.get(..bytes).unwrap_or_default()) {
                continue;
            }
            let ends = self.ends.get(..fields).unwrap_or_default();
            return Ok(Some(match std::str::from_utf8(self.output.get(..bytes).unwrap_or_default()) {
                Ok(text) => Row::Fields(Fields { line, offset, text, ends }),
                Err(_) => Row::NotUtf8(line),
            }));
        }
    }

    /// Parses one record into the buffers; answers how many bytes and fields it has, beyond the limits if either is.
    fn read_record(&mut self) -> io::Result<Option<(usize, usize)>> {
        let (mut bytes, mut fields, mut too_large) = (0, 0, false);
        loop {
            let input = self.input.get(self.from..self.to).unwrap_or_default();
            let output = self.output.get_mut(bytes..).unwrap_or_default();
            let ends = self.ends.get_mut(fields..).unwrap_or_default();
            let (result, read, wrote, ended) = self.core.read_record(input, output, ends);
            self.line += memchr::memchr_iter(b'\n', input.get(..read).unwrap_or_default()).count() as u64;
            self.from += read;
            bytes += wrote;
            fields += ended;
            match result {
                ReadRecordResult::InputEmpty => self.fill()?,
                ReadRecordResult::OutputFull if self.output.len() > LINE_BYTES => {
                    (bytes, too_large) = (0, true)
                }
                ReadRecordResult::OutputFull => self.output.resize(self.output.len() * 2, 0),
                ReadRecordResult::OutputEndsFull if self.ends.len() > COLUMNS => {
                    (fields, too_large) = (0, true)
                }
                ReadRecordResult::OutputEndsFull => self.ends.resize(self.ends.len() * 2, 0),
                ReadRecordResult::Record if too_large => return Ok(Some((usize::MAX, usize::MAX))),
                ReadRecordResult::Record => return Ok(Some((bytes, fields))),
                ReadRecordResult::End => return Ok(None),
            }
        }
    }

    fn skip_line_ends(&mut self) -> io::Result<()> {
        loop {
            while self.base == 0 && self.from == 0 && self.to < BOM.len() && !self.ended {
                self.fill()?;
            }
            if self.base == 0
                && self.from == 0
                && self.input.get(..self.to).unwrap_or_default().starts_with(BOM)
            {
                self.from = BOM.len();
            }
            match self.input.get(self.from..self.to).unwrap_or_default().first() {
                Some(b'\n') => {
                    self.line += 1;
                    self.from += 1;
                }
                Some(b'\r') => self.from += 1,
                Some(_) => return Ok(()),
                None if self.ended => return Ok(()),
                None => self.fill()?,
            }
        }
    }

    /// Reads on behind what is left of the input.
    fn fill(&mut self) -> io::Result<()> {
        self.input.copy_within(self.from..self.to, 0);
        self.base += self.from as u64;
        self.to -= self.from;
        self.from = 0;
        let Some(space) = self.input.get_mut(self.to..) else { return Ok(()) };
        let read = loop {
            match self.reader.read(space) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                done => break done?,
            }
        };
        self.digest.update(space.get(..read).unwrap_or_default());
        self.to += read;
        self.ended = read == 0;
        Ok(())
    }

    /// The digest of all bytes read; the whole file's once `next` answered none, and if nobody called `seek`.
    pub(crate) fn finish(self) -> Sha256 {
        self.digest.finish()
    }
}

impl<R: Read + Seek> Rows<R> {
    /// Goes to where a row begins. Free of charge where it is the next one, cheap where it is in the buffer.
    pub(crate) fn seek(&mut self, offset: u64) -> io::Result<()> {
        let within =
            offset.checked_sub(self.base).and_then(|n| usize::try_from(n).ok()).filter(|n| *n <= self.to);
        if within == Some(self.from) {
            return Ok(());
        }
        self.core.reset();
        if let Some(within) = within {
            self.from = within;
            return Ok(());
        }
        self.reader.seek(SeekFrom::Start(offset))?;
        (self.from, self.to, self.base, self.ended) = (0, 0, offset, false);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    type Seen = (u64, Option<Vec<String>>);

    fn all(text: &[u8]) -> Vec<Seen> {
        let mut rows = Rows::new(Cursor::new(text), b',');
        let mut out = Vec::new();
        while let Some(row) = rows.next().unwrap() {
            out.push(match row {
                Row::Fields(fields) => (fields.line, Some(fields.iter().map(str::to_owned).collect())),
                Row::NotUtf8(line) | Row::TooLarge(line) => (line, None),
            });
        }
        let mut digest = Digest::new();
        digest.update(text);
        assert_eq!(rows.finish(), digest.finish());
        out
    }

    fn row(line: u64, fields: &[&str]) -> Seen {
        (line, Some(fields.iter().map(|s| (*s).to_owned()).collect()))
    }

    #[test]
    fn rows_know_the_line_of_their_first_byte() {
        let text = b"\xef\xbb\xbfa,b\r\n\r\n\"x\ny\",\"q\"\"q\"\n  \n,\nlast,";
        let wanted =
            [row(1, &["a", "b"]), row(3, &["x\ny", "q\"q"]), row(6, &["", ""]), row(7, &["last", ""])];
        assert_eq!(all(text), wanted);
        assert_eq!(all(b""), []);
        assert_eq!(all(b"\xef\xbb"), [(1, None)]);
    }

    #[test]
    fn an_endless_field_and_an_endless_row_are_passed_over() {
        let field = format!("a\n\"{}\"\nb\n", "x,\n".repeat(3 << 20));
        assert_eq!(all(field.as_bytes()), [row(1, &["a"]), (2, None), row(2 + 3 * (1 << 20) + 1, &["b"])]);
        let wide = format!("a\n{}\nb\n", ",".repeat(70_000));
        assert_eq!(all(wide.as_bytes()), [row(1, &["a"]), (2, None), row(3, &["b"])]);
    }

    #[test]
    fn a_row_is_found_again_by_its_offset() {
        let text: String = (0..50_000).map(|n| format!("user{n},x\n")).collect();
        let mut rows = Rows::new(Cursor::new(text), b',');
        let mut offsets = Vec::new();
        while let Some(Row::Fields(fields)) = rows.next().unwrap() {
            offsets.push(fields.offset);
        }
        for n in [49_999, 0, 1, 3, 2, 40_000, 40_001] {
            rows.seek(offsets[n]).unwrap();
            let Some(Row::Fields(fields)) = rows.next().unwrap() else { panic!("no row {n}") };
            assert_eq!(fields.get(0), format!("user{n}"));
        }
    }
}
