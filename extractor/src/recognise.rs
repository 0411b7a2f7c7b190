//! Tells what a file or folder is, by its content alone.
//!
//! Nothing is guessed: a file that fits no reader is refused with what it looks like and the way out. The first 64 KiB
//! decide; a name matters in one case only, to call MFA Server's own datafile by its name.

mod header;
mod signature;

use crate::error::Error;
use crate::format::Format;
use crate::json::parse_line;
use crate::limits::LINE_BYTES;
use crate::soap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Bytes that are looked at.
const HEAD_BYTES: u64 = 64 * 1024;

/// What one should do with JSON that is not one object a line.
const ONE_OBJECT_A_LINE: &str =
    "an NDJSON dump has one object a line: convert it, for example with `jq -c '.[]' FILE > dump.ndjson`";
const ONE_LINE: &str =
    "an NDJSON dump has one object a line: convert it, for example with `jq -c . FILE > dump.ndjson`";
const WAY_OUT: &str = "known are NDJSON dumps, CSV with a header and folders of SOAP responses, all from the Web Service SDK: README, \"Getting the data out\"";
const GIVE_THE_FOLDER: &str = "give the folder that holds the responses of all users, not one of them";

/// Recognises a file or a folder.
///
/// # Errors
/// It cannot be read, or no reader knows it; the message says what it looks like and what to do.
pub fn recognise(path: &Path) -> Result<Format, Error> {
    let metadata = std::fs::metadata(path).map_err(Error::io(path))?;
    if metadata.is_dir() {
        return folder(path);
    }
    if !metadata.is_file() {
        // A pipe would be empty on the second pass.
        return Err(not_a_dump(path, "no regular file", "save the dump to a file first: it is read twice"));
    }
    let mut head = Vec::new();
    let file = File::open(path).map_err(Error::io(path))?;
    file.take(HEAD_BYTES).read_to_end(&mut head).map_err(Error::io(path))?;
    let whole = (head.len() as u64) < HEAD_BYTES;
    of_bytes(path, &head, whole)
}

/// Recognises the start of a file; `whole` says that there is no more of it.
pub(crate) fn of_bytes(path: &Path, head: &[u8], whole: bool) -> Result<Format, Error> {
    if let Some(saw) = signature::encoding(head) {
        return Err(Error::Encoding { path: path.to_path_buf(), saw });
    }
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    let visible = text.trim_ascii();
    if visible.is_empty() {
        return Err(if whole {
            Error::Empty { path: path.to_path_buf() }
        } else {
            not_a_dump(path, "a text that begins with 64 KiB of blanks", WAY_OUT)
        });
    }
    let is_pfdata = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("pfdata"));
    if let Some(saw) = signature::binary(head) {
        return Err(binary(path, is_pfdata, saw));
    }
    match visible.first() {
        Some(b'[') => return Err(not_a_dump(path, "a JSON array, not one object a line", ONE_OBJECT_A_LINE)),
        Some(b'<') => return Err(markup(path, visible)),
        Some(b'{') => return ndjson(path, text, whole),
        Some(_) | None => {}
    }
    if let Some(format) = header::recognise(text) {
        return Ok(format);
    }
    // A dump whose first line is broken is still a dump: that line is rejected, the others are read.
    let object_line = |line: &&[u8]| line.trim_ascii().starts_with(b"{\"") && parse_line(line).is_ok();
    if text.split(|b| *b == b'\n').find(object_line).is_some() {
        return ndjson(path, text, whole);
    }
    if is_pfdata {
        return Err(Error::Pfdata { path: path.to_path_buf() });
    }
    if head.contains(&0) || std::str::from_utf8(head).is_err_and(|error| !whole_but_for_its_end(head, &error))
    {
        return Err(binary(path, false, "a file of an unknown binary format or another encoding"));
    }
    Err(not_a_dump(path, "a text of an unknown kind, without a known header", WAY_OUT))
}

/// Whether the only fault of a head is that it was cut within a character.
fn whole_but_for_its_end(head: &[u8], error: &std::str::Utf8Error) -> bool {
    error.error_len().is_none() && head.len() as u64 == HEAD_BYTES
}

/// JSON that begins with an object: a dump, unless the object goes on over many lines or speaks of no user.
fn ndjson(path: &Path, text: &[u8], whole: bool) -> Result<Format, Error> {
    let lines: Vec<&[u8]> =
        text.split(|b| *b == b'\n').map(<[u8]>::trim_ascii).filter(|l| !l.is_empty()).collect();
    if lines.first().is_some_and(|line| *line == b"{") && lines.len() > 1 {
        return Err(not_a_dump(path, "JSON spread over many lines", ONE_LINE));
    }
    let complete = if whole { lines.len() } else { lines.len().saturating_sub(1) };
    let parsed = lines.iter().take(complete).filter_map(|line| parse_line(line).ok());
    let (mut objects, mut of_users) = (0_u32, false);
    for user in parsed {
        objects += 1;
        of_users |= user.known_keys > 0;
    }
    if objects > 0 && !of_users {
        return Err(not_a_dump(path, "JSON lines that name no user", WAY_OUT));
    }
    Ok(Format::Ndjson)
}

fn folder(path: &Path) -> Result<Format, Error> {
    let (names, _) = soap::list(path)?;
    for name in names {
        let mut head = Vec::new();
        let file = path.join(name);
        let open = File::open(&file).map_err(Error::io(&file))?;
        open.take(LINE_BYTES as u64).read_to_end(&mut head).map_err(Error::io(&file))?;
        if soap::is_response(&head) {
            return Ok(Format::Soap);
        }
    }
    Err(Error::NoDocuments { path: path.to_path_buf() })
}

fn markup(path: &Path, text: &[u8]) -> Error {
    let lower = text.get(..4096).unwrap_or(text).to_ascii_lowercase();
    let has = |needle: &[u8]| memchr::memmem::find(&lower, needle).is_some();
    if soap::is_response(text) {
        not_a_dump(path, "one SOAP response", GIVE_THE_FOLDER)
    } else if has(b"<plist") || has(b"<!doctype plist") {
        not_a_dump(path, "an XML property list", WAY_OUT)
    } else if has(b"<html") {
        not_a_dump(path, "an HTML page", WAY_OUT)
    } else {
        not_a_dump(path, "an XML document of another kind", WAY_OUT)
    }
}

fn binary(path: &Path, is_pfdata: bool, saw: &'static str) -> Error {
    let path = path.to_path_buf();
    if is_pfdata { Error::Pfdata { path } } else { Error::Binary { path, saw } }
}

fn not_a_dump(path: &Path, saw: &'static str, hint: &'static str) -> Error {
    Error::NotADump { path: path.to_path_buf(), saw, hint }
}

/// Recognises a file and refuses it where its kind is not the one that belongs there.
pub(crate) fn expect(
    path: &Path,
    wanted: &'static str,
    fits: impl Fn(Format) -> bool,
) -> Result<Format, Error> {
    let format = recognise(path)?;
    if fits(format) {
        return Ok(format);
    }
    Err(Error::WrongRole { path: path.to_path_buf(), saw: format.describe(), wanted })
}

#[cfg(test)]
mod tests;
