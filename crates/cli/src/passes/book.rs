//! The file that passes go to: one line a pass, readable by its owner alone, appended and on disk before anything else
//! says that a pass was issued.
//!
//! It is made anew, or it is the one that the same command has begun: an ordinary file of nobody else's, never reached
//! through a link, whose every line is of one issue of this ledger. A line that a death has cut is cut away; no line that
//! is whole is ever changed.

use crate::Usage;
use anyhow::{Context, bail};
use contract::Secret;
use std::collections::BTreeMap;
use std::fs::{File, Metadata, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use worker::{Line, PassFile};

/// The columns. The last one has two words, so that a line that was cut is told from a whole one.
const HEADER: [&str; 9] = [
    "no",
    "issue",
    "user",
    "userPrincipalName",
    "temporaryAccessPass",
    "usableFrom",
    "usableUntil",
    "passId",
    "usable",
];
const ONCE: &str = "once";
const MANY: &str = "many";

/// The file, held by this process.
pub(crate) struct Book {
    file: File,
    path: PathBuf,
    /// The issue that its lines are of; absent while it has none.
    issue: Option<String>,
    /// Graph's id of each pass, by the number of its wish.
    passes: BTreeMap<i64, String>,
}

impl Book {
    /// Opens the file that the same command has begun, or makes it.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        let file = match std::fs::symlink_metadata(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => make(path)?,
            Err(error) => {
                return Err(error).with_context(|| format!("{} cannot be looked at", path.display()));
            }
            Ok(seen) => open_own(path, &seen)?,
        };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => bail!(Usage(format!(
                "another mfa-migrate is writing passes to {}; wait for its end, or name another file with --out",
                path.display()
            ))),
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("{} cannot be locked", path.display()));
            }
        }
        let mut book = Self { file, path: path.to_owned(), issue: None, passes: BTreeMap::new() };
        book.read()?;
        Ok(book)
    }

    /// The issue that it was begun for; absent where it has no line yet.
    pub(crate) fn issue(&self) -> Option<&str> {
        self.issue.as_deref()
    }

    /// From now on its lines are of this issue.
    pub(crate) fn is_of(&mut self, issue: &str) {
        self.issue = Some(issue.to_owned());
    }

    /// Reads what is there; cuts away a line that was not finished.
    fn read(&mut self) -> anyhow::Result<()> {
        let mut text = String::new();
        let reading = self.file.seek(SeekFrom::Start(0)).and_then(|_| self.file.read_to_string(&mut text));
        let text = Secret::new(text);
        match reading {
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => bail!(self.is_foreign()),
            Err(error) => {
                return Err(error).with_context(|| format!("{} cannot be read", self.path.display()));
            }
        }
        let whole = self.understand(text.expose())?;
        let rest = text.expose().get(whole..).unwrap_or_default();
        if whole == 0 {
            // Nothing, or a head that was cut: begun, and never used.
            self.cut(0)?;
            return self.write_through(&Secret::new(HEADER.join(",") + "\n"));
        }
        if !rest.is_empty() {
            self.cut(whole)?;
        } else if !text.expose().ends_with('\n') {
            // An editor may have taken the last line's end away.
            self.write_through(&Secret::new("\n"))?;
        }
        Ok(())
    }

    /// How many bytes of it are whole lines; refuses what this verb has not written.
    fn understand(&mut self, text: &str) -> anyhow::Result<usize> {
        let head = HEADER.join(",");
        if (head.clone() + "\n").starts_with(text) && text.len() <= head.len() {
            return Ok(0);
        }
        let mut reader =
            csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
        let mut record = csv::StringRecord::new();
        let (mut whole, mut is_first, mut was_cut) = (0, true, false);
        while reader.read_record(&mut record).map_err(|_| self.is_foreign())? {
            let end = usize::try_from(reader.position().byte()).unwrap_or(usize::MAX);
            if was_cut {
                // A cut line is the last one.
                bail!(self.is_foreign());
            }
            if std::mem::take(&mut is_first) {
                if !record.iter().eq(HEADER) {
                    bail!(self.is_foreign());
                }
            } else if let Some((no, issue, pass)) = line_of(&record) {
                if self.issue.as_ref().is_some_and(|known| known != issue) {
                    bail!(self.is_foreign());
                }
                self.issue = Some(issue.to_owned());
                self.passes.insert(no, pass.to_owned());
            } else if end >= text.len() && !text.ends_with('\n') {
                was_cut = true;
                continue;
            } else {
                bail!(self.is_foreign());
            }
            whole = end.min(text.len());
        }
        Ok(whole)
    }

    fn is_foreign(&self) -> Usage {
        Usage(format!(
            "{} is there already and is not a file that this command has begun: nothing was written; name another with --out",
            self.path.display()
        ))
    }

    fn cut(&self, length: usize) -> anyhow::Result<()> {
        let length = u64::try_from(length).unwrap_or(u64::MAX);
        self.file
            .set_len(length)
            .and_then(|()| self.file.sync_all())
            .with_context(|| format!("{} cannot be written", self.path.display()))
    }

    /// Writes at the end, and waits for the disk.
    fn write_through(&mut self, text: &Secret) -> anyhow::Result<()> {
        self.append_text(text).with_context(|| format!("{} cannot be written", self.path.display()))
    }

    fn append_text(&mut self, text: &Secret) -> std::io::Result<()> {
        self.file.seek(SeekFrom::End(0))?;
        self.file.write_all(text.expose().as_bytes())?;
        self.file.sync_all()
    }
}

impl PassFile for Book {
    fn pass_of(&self, wish: i64) -> Option<&str> {
        self.passes.get(&wish).map(String::as_str)
    }

    fn append(&mut self, lines: &[Line<'_>]) -> std::io::Result<()> {
        let issue = self.issue.clone().unwrap_or_default();
        let fields = lines.iter().map(|line| fields_of(line, &issue));
        let rows: Vec<[String; 9]> = fields.collect();
        // One piece, reserved at once: growing would leave copies behind.
        let length = rows.iter().flatten().map(|field| 2 * field.len() + 3).sum();
        let mut text = String::with_capacity(length);
        for row in &rows {
            for (at, field) in row.iter().enumerate() {
                text.push_str(if at == 0 { "" } else { "," });
                push_field(&mut text, field);
            }
            text.push('\n');
        }
        let text = Secret::new(text);
        for row in rows {
            // The pass among them is wiped with the rest.
            drop(row.map(Secret::new));
        }
        self.append_text(&text)?;
        self.passes.extend(lines.iter().map(|line| (line.no, line.seen.id.clone())));
        Ok(())
    }
}

fn fields_of(line: &Line<'_>, issue: &str) -> [String; 9] {
    let time = |ms: Option<i64>| ms.map(crate::lines::time).unwrap_or_default();
    [
        line.no.to_string(),
        issue.to_owned(),
        // Names are made harmless for spreadsheets; the pass has to be what it is.
        crate::report::harmless(&line.user.name).into_owned(),
        crate::report::harmless(line.upn).into_owned(),
        line.secret.expose().to_owned(),
        time(line.seen.start_ms),
        time(line.seen.ends_ms()),
        line.seen.id.clone(),
        if line.seen.once == Some(false) { MANY } else { ONCE }.to_owned(),
    ]
}

/// A field as RFC 4180 has it; quoted wherever a reader could take it for something else.
fn push_field(text: &mut String, field: &str) {
    let is_plain = field.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '.' | '@' | ':' | '_'));
    if is_plain {
        text.push_str(field);
        return;
    }
    text.push('"');
    for c in field.chars() {
        if c == '"' {
            text.push('"');
        }
        text.push(c);
    }
    text.push('"');
}

/// Number, issue and pass id of a whole line.
fn line_of(record: &csv::StringRecord) -> Option<(i64, &str, &str)> {
    let is_whole = record.len() == HEADER.len() && matches!(record.get(8)?, ONCE | MANY);
    let (issue, pass) = (record.get(1)?, record.get(7)?);
    let is_ours = is_whole && !issue.is_empty() && !pass.is_empty();
    Some((record.get(0)?.parse().ok()?, issue, pass)).filter(|_| is_ours)
}

/// A file that was not there. Making one never follows a link.
fn make(path: &Path) -> anyhow::Result<File> {
    let mut options = File::options();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let file = options
        .open(path)
        .map_err(|error| Usage(format!("the file {} cannot be made: {error}", path.display())))?;
    #[cfg(unix)]
    {
        // Its name is on disk too.
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .with_context(|| format!("the folder of {} cannot be written", path.display()))?;
    }
    Ok(file)
}

/// A file that is there: an ordinary one, ours alone, and the very one that was looked at.
fn open_own(path: &Path, seen: &Metadata) -> anyhow::Result<File> {
    let refuse = |why: &str| {
        Usage(format!("{} {why}: passes are not written there; name another file with --out", path.display()))
    };
    if seen.file_type().is_symlink() {
        bail!(refuse("is a link"));
    }
    if !seen.is_file() {
        bail!(refuse("is no ordinary file"));
    }
    let file = File::options()
        .read(true)
        .write(true)
        .open(path)
        .map_err(|error| Usage(format!("the file {} cannot be opened: {error}", path.display())))?;
    let opened = file.metadata().with_context(|| format!("{} cannot be looked at", path.display()))?;
    must_be_ours(seen, &opened).map_err(refuse)?;
    Ok(file)
}

#[cfg(unix)]
fn must_be_ours(seen: &Metadata, opened: &Metadata) -> Result<(), &'static str> {
    use std::os::unix::fs::MetadataExt;
    if (seen.dev(), seen.ino()) != (opened.dev(), opened.ino()) || !opened.is_file() {
        return Err("was replaced while it was opened");
    }
    if opened.mode() & 0o077 != 0 {
        return Err("can be read by others than its owner");
    }
    // The system tells who we are by what is ours.
    if std::fs::metadata("/proc/self").is_ok_and(|me| me.uid() != opened.uid()) {
        return Err("belongs to somebody else");
    }
    if opened.nlink() != 1 {
        return Err("has another name, too");
    }
    Ok(())
}

#[cfg(not(unix))]
fn must_be_ours(_seen: &Metadata, opened: &Metadata) -> Result<(), &'static str> {
    if opened.is_file() { Ok(()) } else { Err("is no ordinary file") }
}
