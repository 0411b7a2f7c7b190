//! Lines of a file, each at most 1 MiB in memory, with the digest of every byte read.
//!
//! A longer line is reported once, by its number, and passed over without being held. A byte order mark at the start
//! and `\r` before `\n` belong to no line.

use crate::digest::{Digest, Sha256};
use crate::limits::LINE_BYTES;
use std::io::{self, Read};

/// Bytes asked of the system at once; small enough that a chunk is still in the cache when it is parsed.
const CHUNK_BYTES: usize = 256 * 1024;
const BOM: &[u8] = b"\xef\xbb\xbf";

/// A line and its number, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Line<'a> {
    /// A line without its end.
    Text(u64, &'a [u8]),
    /// A line over the limit.
    TooLong(u64),
}

/// Reads lines out of `R`.
#[derive(Debug)]
pub(crate) struct Lines<R> {
    reader: R,
    digest: Digest,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    number: u64,
    ended: bool,
}

impl<R: Read> Lines<R> {
    pub(crate) fn new(reader: R) -> Self {
        let buffer = vec![0; LINE_BYTES + CHUNK_BYTES].into_boxed_slice();
        Self { reader, digest: Digest::new(), buffer, start: 0, end: 0, number: 0, ended: false }
    }

    /// The next line; none at the end.
    pub(crate) fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        let mut searched = self.start;
        let mut too_long = false;
        loop {
            let found = memchr::memchr(b'\n', self.buffer.get(searched..self.end).unwrap_or_default());
            if let Some(offset) = found {
                let range = self.start..searched + offset;
                self.start = range.end + 1;
                self.number += 1;
                return Ok(Some(self.line(range, too_long)));
            }
            // One byte more than the limit may be the `\r` of a line that is just within it.
            if too_long || self.end - self.start > LINE_BYTES + BOM.len() + 1 {
                too_long = true;
                self.start = self.end;
            }
            if self.ended {
                let range = self.start..self.end;
                self.start = self.end;
                if range.is_empty() && !too_long {
                    return Ok(None);
                }
                self.number += 1;
                return Ok(Some(self.line(range, too_long)));
            }
            searched = self.fill()?;
        }
    }

    /// Reads on, and answers where the new bytes begin.
    fn fill(&mut self) -> io::Result<usize> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        let from = self.end;
        let to = (from + CHUNK_BYTES).min(self.buffer.len());
        let Some(space) = self.buffer.get_mut(from..to) else { return Ok(from) };
        let read = loop {
            match self.reader.read(space) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                done => break done?,
            }
        };
        self.digest.update(space.get(..read).unwrap_or_default());
        self.end += read;
        self.ended = read == 0;
        Ok(from)
    }

    fn line(&self, range: std::ops::Range<usize>, too_long: bool) -> Line<'_> {
        let mut bytes = self.buffer.get(range).unwrap_or_default();
        if self.number == 1 {
            bytes = bytes.strip_prefix(BOM).unwrap_or(bytes);
        }
        bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
        if too_long || bytes.len() > LINE_BYTES {
            Line::TooLong(self.number)
        } else {
            Line::Text(self.number, bytes)
        }
    }

    /// The digest of all bytes read; the whole file's once `next` answered none.
    pub(crate) fn finish(self) -> Sha256 {
        self.digest.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hands out a few bytes at a time, as a slow disk or a pipe would.
    struct Trickle<'a>(&'a [u8], usize);

    impl Read for Trickle<'_> {
        fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
            let n = self.1.min(space.len()).min(self.0.len());
            let (now, later) = self.0.split_at(n);
            space[..n].copy_from_slice(now);
            self.0 = later;
            Ok(n)
        }
    }

    fn all(bytes: &[u8], step: usize) -> Vec<Option<String>> {
        let mut lines = Lines::new(Trickle(bytes, step));
        let mut out = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            out.push(match line {
                Line::Text(_, text) => Some(String::from_utf8_lossy(text).into_owned()),
                Line::TooLong(_) => None,
            });
        }
        let mut digest = Digest::new();
        digest.update(bytes);
        assert_eq!(lines.finish(), digest.finish());
        out
    }

    #[test]
    fn marks_and_line_ends_belong_to_no_line() {
        for step in [1, 2, 3, 1000] {
            let lines = all(b"\xef\xbb\xbfa\r\n\nb\rc\n\r\nlast", step);
            assert_eq!(lines, ["a", "", "b\rc", "", "last"].map(|s| Some(s.to_owned())), "{step}");
            assert_eq!(all(b"", step), []);
            assert_eq!(all(b"\n", step), [Some(String::new())]);
        }
    }

    #[test]
    fn a_line_at_the_limit_is_read_and_one_beyond_is_not() {
        for (extra, step) in [(0, 100_000), (1, 100_000), (9 * LINE_BYTES, 7_777), (300_000, usize::MAX)] {
            let mut bytes = vec![b'x'; LINE_BYTES + extra];
            for end in [&b"\r\n"[..], b"\n", b""] {
                let kept = bytes.len();
                bytes.extend_from_slice(end);
                if !end.is_empty() {
                    bytes.extend_from_slice(b"next");
                }
                let lines = all(&bytes, step);
                assert_eq!(lines[0].is_some(), extra == 0, "{extra}");
                assert_eq!(lines.len(), if end.is_empty() { 1 } else { 2 });
                bytes.truncate(kept);
            }
        }
    }
}
