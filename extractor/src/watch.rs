//! Watching a source: when it has become another one, and is whole.
//!
//! An export takes its time and tells nobody when it is done. A source counts as whole when two looks, some time apart,
//! found the same sizes, times and bytes; whatever moves in between is looked at again. It never decides by a time of
//! this machine's clock, and reads no byte while sizes and times stand still. Nothing here is kept: the caller tells what
//! was sent last.

use crate::{Error, Source, Survey, survey};
use contract::SnapshotId;
use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// What a look found.
#[derive(Debug)]
pub enum Look {
    /// It is what was sent last.
    Unchanged,
    /// It moves, or nobody has looked at it twice yet: look again soon.
    Moving,
    /// Another one than was sent last, and whole.
    Whole(Box<Survey>),
}

/// A source that is looked at again and again.
#[derive(Debug)]
pub struct Watch {
    source: Source,
    sent: Option<SnapshotId>,
    /// As it lay there when it was what was sent last.
    known: Option<Stamp>,
    /// As the last look found it, when it was another one.
    before: Option<(Stamp, SnapshotId)>,
}

/// Sizes and times of every file of a source, by path.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp(Vec<(PathBuf, u64, Option<SystemTime>)>);

impl Watch {
    /// Watches a source. `sent` is the snapshot that was sent last; absent where none was.
    pub fn new(source: Source, sent: Option<SnapshotId>) -> Self {
        Self { source, sent, known: None, before: None }
    }

    /// Looks at it; reads all of it when something has moved since it was last known.
    ///
    /// # Errors
    /// It is not there, cannot be read, or is no datafile; it may be at the next look.
    pub fn look(&mut self) -> Result<Look, Error> {
        let before = self.before.take();
        let stamp = Stamp::of(&self.source)?;
        if self.known.as_ref() == Some(&stamp) {
            return Ok(Look::Unchanged);
        }
        let survey = survey(&self.source)?;
        let id = survey.id();
        if Stamp::of(&self.source)? != stamp {
            return Ok(Look::Moving);
        }
        if self.sent.as_ref() == Some(&id) {
            self.known = Some(stamp);
            return Ok(Look::Unchanged);
        }
        let now = (stamp, id);
        if before.as_ref() == Some(&now) {
            self.before = Some(now);
            return Ok(Look::Whole(Box::new(survey)));
        }
        self.before = Some(now);
        Ok(Look::Moving)
    }

    /// It was sent as the last look found it.
    pub fn was_sent(&mut self) {
        if let Some((stamp, id)) = self.before.take() {
            self.known = Some(stamp);
            self.sent = Some(id);
        }
    }

    /// What is watched.
    pub fn source(&self) -> &Source {
        &self.source
    }
}

impl Stamp {
    fn of(source: &Source) -> Result<Self, Error> {
        let mut files = Vec::new();
        add(&mut files, &source.datafile)?;
        let beside = source.datafile.with_extension("devices.csv");
        for side in [source.devices.as_deref(), source.token_seeds.as_deref()].into_iter().flatten() {
            add(&mut files, side)?;
        }
        if source.devices.is_none() && beside.is_file() {
            add(&mut files, &beside)?;
        }
        files.sort_unstable();
        Ok(Self(files))
    }
}

/// A file, or the files of a folder; folders in it are no part of a datafile.
fn add(files: &mut Vec<(PathBuf, u64, Option<SystemTime>)>, path: &Path) -> Result<(), Error> {
    let found = std::fs::metadata(path).map_err(Error::io(path))?;
    if !found.is_dir() {
        files.push(entry(path.to_owned(), &found));
        return Ok(());
    }
    for file in std::fs::read_dir(path).map_err(Error::io(path))? {
        let file = file.map_err(Error::io(path))?;
        let found = file.metadata().map_err(Error::io(path))?;
        if !found.is_dir() {
            files.push(entry(file.path(), &found));
        }
    }
    Ok(())
}

/// Where a file system keeps no times, sizes alone tell.
fn entry(path: PathBuf, found: &Metadata) -> (PathBuf, u64, Option<SystemTime>) {
    (path, found.len(), found.modified().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{FileTimes, OpenOptions};
    use std::time::Duration;

    const ONE: &str = r#"{"username":"helga@contoso.example","enabled":true}"#;
    const TWO: &str = r#"{"username":"hans@contoso.example","enabled":true}"#;

    const SEEDS: &str = "upn,serial number,secret key,time interval,manufacturer,model\n";

    struct Site(tempfile::TempDir, u64);

    impl Site {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap(), 0)
        }

        fn path(&self) -> PathBuf {
            self.0.path().join("users.ndjson")
        }

        /// Every writing has a time of its own, whatever the file system's clock can tell apart.
        fn write(&mut self, lines: &[&str]) {
            self.1 += 1;
            std::fs::write(self.path(), lines.join("\n")).unwrap();
            let file = OpenOptions::new().write(true).open(self.path()).unwrap();
            let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 + self.1);
            file.set_times(FileTimes::new().set_modified(at)).unwrap();
        }

        fn watch(&self, sent: Option<SnapshotId>) -> Watch {
            Watch::new(Source { datafile: self.path(), devices: None, token_seeds: None }, sent)
        }
    }

    fn whole(look: Result<Look, Error>) -> Option<SnapshotId> {
        match look.unwrap() {
            Look::Whole(survey) => Some(survey.id()),
            Look::Unchanged | Look::Moving => None,
        }
    }

    #[test]
    fn it_is_whole_when_two_looks_agree_and_sent_once() {
        let mut site = Site::new();
        let mut watch = site.watch(None);
        assert!(watch.look().is_err(), "it is not there yet");
        site.write(&[ONE]);
        assert!(matches!(watch.look().unwrap(), Look::Moving));
        site.write(&[ONE, TWO]);
        assert!(matches!(watch.look().unwrap(), Look::Moving), "it was written in between");
        let id = whole(watch.look()).unwrap();
        assert_eq!(whole(watch.look()), Some(id.clone()), "not sent yet");
        watch.was_sent();
        assert!(matches!(watch.look().unwrap(), Look::Unchanged));
        site.write(&[ONE, TWO]);
        assert!(matches!(watch.look().unwrap(), Look::Unchanged), "the same bytes, written again");
        let mut next = site.watch(Some(id));
        assert!(matches!(next.look().unwrap(), Look::Unchanged), "another process that was told of it");
    }

    #[test]
    fn a_file_that_cannot_be_read_is_forgotten_and_then_looked_at_twice() {
        let mut site = Site::new();
        site.write(&[ONE]);
        let mut watch = site.watch(None);
        assert!(matches!(watch.look().unwrap(), Look::Moving));
        std::fs::write(site.path(), "").unwrap();
        assert!(matches!(watch.look(), Err(Error::Empty { .. })));
        site.write(&[ONE]);
        assert!(matches!(watch.look().unwrap(), Look::Moving));
        assert!(whole(watch.look()).is_some());
    }

    #[test]
    fn the_files_beside_count_too() {
        let mut site = Site::new();
        site.write(&[ONE]);
        let seeds = site.0.path().join("seeds.csv");
        let mut watch = site.watch(None);
        watch.source.token_seeds = Some(seeds.clone());
        assert!(watch.look().is_err(), "one of them is missing");
        std::fs::write(&seeds, format!("{SEEDS}a@contoso.example,1234567,JBSWY3DPEHPK3PXP,30,Contoso,K1\n"))
            .unwrap();
        assert!(matches!(watch.look().unwrap(), Look::Moving));
        assert!(whole(watch.look()).is_some());
        watch.was_sent();
        std::fs::write(&seeds, SEEDS).unwrap();
        assert!(matches!(watch.look().unwrap(), Look::Moving));
    }
}
