//! The two passes over a folder of SOAP responses.
//!
//! The index holds names and digests, never a document. A document is read whole, up to 1 MiB, and compared with its
//! digest of the first pass.

use super::document::{self, Document, Half};
use super::pairs::{Noted, Unit, pair, stem};
use crate::digest::{Digest, Sha256};
use crate::error::Error;
use crate::limits::LINE_BYTES;
use crate::usernames::{Claims, Suspects, fold};
use crate::wire::{Entry, WireUser};
use contract::RejectCode;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What the first pass found in a folder.
#[derive(Debug, Clone)]
pub(crate) struct Folder {
    noted: Arc<[Noted]>,
    units: Arc<[Unit]>,
    /// Files that are no XML documents by their name; they were not opened.
    pub(crate) ignored_files: u64,
}

impl Folder {
    /// Counts the usernames that are suspected; without `suspects`, notes them all.
    fn usernames(&self) -> impl Iterator<Item = String> {
        let named = self
            .units
            .iter()
            .filter(|unit| !matches!(unit.fault, Some((_, code)) if code != RejectCode::Incomplete));
        named.filter_map(|unit| {
            let first = self.noted.get(unit.first)?;
            if first.half != Ok(Half::Settings) {
                return None;
            }
            let second = unit.devices.and_then(|n| self.noted.get(n));
            let stated = first.username.as_deref().or(second.and_then(|s| s.username.as_deref()));
            Some(stated.map_or_else(|| username_of(&first.file), str::to_owned))
        })
    }

    pub(crate) fn claim(&self, claims: &mut Claims) {
        self.usernames().for_each(|name| claims.add(&name));
    }

    pub(crate) fn recount(&self, suspects: &mut Suspects) {
        self.usernames().for_each(|name| suspects.count(&name));
    }
}

/// The username that a file name states.
fn username_of(file: &str) -> String {
    decode(stem(file))
}

/// Decodes `%5C` and the like, which names of files cannot hold otherwise; anything else stays as it is.
fn decode(stem: &str) -> String {
    let mut out = Vec::with_capacity(stem.len());
    let mut rest = stem.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let decoded =
            (byte == b'%').then(|| after.get(..2)).flatten().and_then(|digits| hex::decode(digits).ok());
        match (decoded.as_deref(), after.get(2..)) {
            (Some([value]), Some(behind)) => {
                out.push(*value);
                rest = behind;
            }
            _ => {
                out.push(byte);
                rest = after;
            }
        }
    }
    String::from_utf8(out).unwrap_or_else(|_| stem.to_owned())
}

/// The names of a folder's documents, sorted, and how many other files there are.
pub(crate) fn list(path: &Path) -> Result<(Vec<String>, u64), Error> {
    let (mut names, mut ignored) = (Vec::new(), 0);
    for entry in std::fs::read_dir(path).map_err(Error::io(path))? {
        let entry = entry.map_err(Error::io(path))?;
        let name = entry.file_name().into_string();
        match name {
            Ok(name) if name.to_ascii_lowercase().ends_with(".xml") && !entry.path().is_dir() => {
                names.push(name)
            }
            Ok(_) | Err(_) => ignored += 1,
        }
    }
    names.sort_unstable();
    Ok((names, ignored))
}

/// Reads a document: its bytes where they are within the limit, and the digest of what was read.
fn read(path: &Path) -> Result<(Option<Vec<u8>>, Sha256), Error> {
    let file = File::open(path).map_err(Error::io(path))?;
    let mut bytes = Vec::new();
    // One byte beyond the limit tells that there are more.
    file.take(LINE_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(Error::io(path))?;
    let mut digest = Digest::new();
    digest.update_framed(&bytes);
    let fits = bytes.len() <= LINE_BYTES;
    Ok((fits.then_some(bytes), digest.finish()))
}

fn parse(bytes: Option<&[u8]>) -> Result<Document, (&'static str, RejectCode)> {
    document::parse(bytes.ok_or(("-", RejectCode::RecordTooLarge))?)
}

/// The first pass: the digest of names and documents, and which documents are one user.
pub(crate) fn scan(path: &Path) -> Result<(Folder, Sha256), Error> {
    let (names, ignored_files) = list(path)?;
    let mut whole = Digest::new();
    let mut noted = Vec::with_capacity(names.len());
    for file in names {
        let (bytes, digest) = read(&path.join(&file))?;
        whole.update_framed(file.as_bytes());
        whole.update(&digest);
        let document = parse(bytes.as_deref());
        let stem = stem(&file).to_lowercase();
        let claim = document.as_ref().ok().and_then(|d| d.user.claim());
        let username = claim.map(|name| fold(name).into());
        noted.push(Noted { file, stem, username, half: document.map(|d| d.half), digest });
    }
    let units = pair(&noted).into();
    Ok((Folder { noted: noted.into(), units, ignored_files }, whole.finish()))
}

/// The second pass.
#[derive(Debug)]
pub(crate) struct Reader {
    path: PathBuf,
    folder: Folder,
    next: usize,
}

impl Reader {
    pub(crate) fn new(path: &Path, folder: Folder) -> Self {
        Self { path: path.to_path_buf(), folder, next: 0 }
    }

    /// The next user.
    pub(crate) fn next(&mut self) -> Result<Option<Entry>, Error> {
        let folder = self.folder.clone();
        let Some(unit) = folder.units.get(self.next) else {
            let (names, _) = list(&self.path)?;
            if !names.iter().eq(folder.noted.iter().map(|noted| &noted.file)) {
                return Err(self.changed());
            }
            return Ok(None);
        };
        self.next += 1;
        let Some(first) = folder.noted.get(unit.first) else { return Ok(None) };
        let user = match (unit.fault, unit.devices.and_then(|n| folder.noted.get(n))) {
            (Some(fault), _) => Err(fault),
            (None, None) => Err(("-", RejectCode::Incomplete)),
            (None, Some(second)) => {
                let (settings, devices) = (self.document(first)?, self.document(second)?);
                settings.and_then(|settings| Ok(merge(settings, devices?, &first.file)))
            }
        };
        Ok(Some(Entry { file: Some(first.file.clone()), line: 0, user }))
    }

    fn document(&self, noted: &Noted) -> Result<Result<WireUser, (&'static str, RejectCode)>, Error> {
        let (bytes, digest) = read(&self.path.join(&noted.file))?;
        if digest != noted.digest {
            return Err(self.changed());
        }
        Ok(parse(bytes.as_deref()).map(|document| document.user))
    }

    fn changed(&self) -> Error {
        Error::SourceChanged { path: self.path.clone() }
    }
}

/// Joins the two halves; what the settings document states wins.
fn merge(mut user: WireUser, devices: WireUser, file: &str) -> WireUser {
    user.username = user.username.or(devices.username).or_else(|| Some(username_of(file)));
    user.sid = user.sid.or(devices.sid);
    user.email = user.email.or(devices.email);
    user.group = user.group.or(devices.group);
    user.devices = devices.devices;
    user.too_many_devices = devices.too_many_devices;
    user.unknown_keys += devices.unknown_keys;
    user.fault = user.fault.or(devices.fault);
    user
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn only_whole_escapes_are_decoded() {
        assert_eq!(decode("ACME%5Chelga"), "ACME\\helga");
        assert_eq!(decode("100%"), "100%");
        assert_eq!(decode("a%zz%4"), "a%zz%4");
        assert_eq!(decode("%ff"), "%ff");
    }
}
