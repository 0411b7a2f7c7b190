//! The NDJSON reader: usernames on the first pass, records on the second.
//!
//! Blank lines are no records. The first pass parses no line whole, except those whose username may occur twice.

use crate::digest::Sha256;
use crate::error::Error;
use crate::json::{parse_line, username_of_line};
use crate::lines::{Line, Lines};
use crate::usernames::{Claims, Suspects};
use crate::wire::Entry;
use contract::RejectCode;
use std::fs::File;
use std::path::{Path, PathBuf};

/// The first pass: the digest, and every username noted.
pub(crate) fn scan(path: &Path, claims: &mut Claims) -> Result<Sha256, Error> {
    let mut lines = open(path)?;
    while let Some(line) = lines.next().map_err(Error::io(path))? {
        if let Line::Text(_, bytes) = line
            && let Some(username) = username_of_line(bytes)
        {
            claims.add(&username);
        }
    }
    Ok(lines.finish())
}

/// Counts the usernames that are suspected, of lines that are records.
pub(crate) fn recount(path: &Path, suspects: &mut Suspects) -> Result<(), Error> {
    let mut lines = open(path)?;
    while let Some(line) = lines.next().map_err(Error::io(path))? {
        let Line::Text(_, bytes) = line else { continue };
        if username_of_line(bytes).is_some_and(|username| suspects.suspects(&username))
            && let Ok(user) = parse_line(bytes)
            && let Some(username) = user.claim()
        {
            suspects.count(username);
        }
    }
    Ok(())
}

/// The second pass.
#[derive(Debug)]
pub(crate) struct Reader {
    path: PathBuf,
    lines: Lines<File>,
}

impl Reader {
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        Ok(Self { path: path.to_path_buf(), lines: open(path)? })
    }

    /// The next record with its line.
    pub(crate) fn next(&mut self) -> Result<Option<Entry>, Error> {
        loop {
            match self.line()? {
                None => return Ok(None),
                Some(line) if is_blank(line) => {}
                Some(line) => return Ok(Some(entry(line))),
            }
        }
    }

    /// The next line, whatever it holds.
    pub(crate) fn line(&mut self) -> Result<Option<Line<'_>>, Error> {
        self.lines.next().map_err(Error::io(&self.path))
    }

    pub(crate) fn finish(self) -> Sha256 {
        self.lines.finish()
    }
}

/// Blank lines are no records.
pub(crate) fn is_blank(line: Line<'_>) -> bool {
    match line {
        Line::Text(_, bytes) => bytes.trim_ascii().is_empty(),
        Line::TooLong(_) => false,
    }
}

/// Parses a line that is a record.
pub(crate) fn entry(line: Line<'_>) -> Entry {
    let (line, user) = match line {
        Line::TooLong(line) => (line, Err(("-", RejectCode::RecordTooLarge))),
        Line::Text(line, bytes) => (line, parse_line(bytes).map_err(|fault| ("-", fault.code()))),
    };
    Entry { file: None, line, user }
}

fn open(path: &Path) -> Result<Lines<File>, Error> {
    File::open(path).map(Lines::new).map_err(Error::io(path))
}
