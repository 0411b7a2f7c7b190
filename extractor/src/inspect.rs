//! Looks through a source: every accepted record and every reject is seen and counted, and nothing is kept.
//!
//! What numbers are worth is for `rules` to say: the caller sees every accepted record and counts more. The lines of
//! NDJSON are judged by several threads, since parsing and judging is nearly all of the work; other formats come one
//! after the other. Invariant: the counts are those of reading the source record by record.

use crate::{Error, Item, Records, Source, Stated, Survey, Tally, pages, records, survey};
use contract::{RecordRow, Reject, SnapshotManifest};

/// Threads beyond this would only wait for the one that reads.
const MOST_THREADS: usize = 8;

/// What came of looking through a source.
#[derive(Debug, Clone)]
pub struct Inspection {
    /// The first pass.
    pub survey: Survey,
    /// The counts of the second pass.
    pub manifest: SnapshotManifest,
    /// The counts by kind.
    pub tally: Tally,
    /// Accepted records whose token was completed from the token seed file.
    pub seeds_joined: u64,
}

/// One thread's share of the look, with what its caller makes of it.
pub(crate) struct Look<S> {
    tally: Tally,
    state: S,
}

impl<S> Look<S> {
    pub(crate) fn take(&mut self, item: &Item, seen: &impl Fn(&mut S, Seen<'_>)) {
        match item {
            Item::Accepted(row, stated) => {
                self.tally.add(&row.record);
                seen(&mut self.state, Seen::Accepted(row, stated));
            }
            Item::Rejected(reject) => {
                self.tally.add_reject(reject);
                seen(&mut self.state, Seen::Rejected(reject));
            }
            Item::SideRejected(reject) => {
                self.tally.add_side_reject(reject);
                seen(&mut self.state, Seen::Rejected(reject));
            }
        }
    }
}

/// What a look sees.
#[derive(Debug, Clone, Copy)]
pub enum Seen<'a> {
    /// An accepted record, and what is stated beside it.
    Accepted(&'a RecordRow, &'a Stated),
    /// A reject, those of side files included.
    Rejected(&'a Reject),
}

/// Looks through a source without keeping anything of it. `seen` is told of every record, in any order, with one of the
/// states that `new` makes: one a thread, all of which are answered.
///
/// # Errors
/// The source cannot be read, or changed while it was read.
pub fn inspect<S: Send>(
    source: &Source,
    new: impl Fn() -> S,
    seen: impl Fn(&mut S, Seen<'_>) + Sync,
) -> Result<(Inspection, Vec<S>), Error> {
    let survey = survey(source)?;
    let mut records = records(source, &survey)?;
    let look = || Look { tally: Tally::default(), state: new() };
    let mut rest = look();
    let mut looks = judge_lines(&mut records, look, &seen)?;
    // Everything for other formats; rejects of side files, and the comparison of the digests, for all.
    for item in records.by_ref() {
        rest.take(&item?, &seen);
    }
    looks.push(rest);
    let mut tally = Tally::default();
    let mut states = Vec::with_capacity(looks.len());
    for look in looks {
        tally.add_all(look.tally);
        states.push(look.state);
    }
    let found = Inspection {
        manifest: records.manifest().clone(),
        seeds_joined: records.seeds_joined(),
        survey,
        tally,
    };
    Ok((found, states))
}

/// Judges the lines of NDJSON, if that is what the source is, and counts them with the records.
fn judge_lines<S: Send>(
    records: &mut Records,
    look: impl Fn() -> Look<S>,
    seen: &(impl Fn(&mut S, Seen<'_>) + Sync),
) -> Result<Vec<Look<S>>, Error> {
    let Some((lines, judge)) = records.lines() else { return Ok(Vec::new()) };
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get().min(MOST_THREADS));
    let shares = (0..threads).map(|_| (judge.another(), look())).collect();
    let shares = pages::share_out(lines, shares, |(judge, look), ordinal, entry| {
        look.take(&judge.judge(ordinal, entry), seen);
    })?;
    let mut looks = Vec::with_capacity(shares.len());
    for (share, look) in shares {
        judge.add(&share);
        looks.push(look);
    }
    Ok(looks)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write;

    #[test]
    fn threads_see_and_count_what_reading_one_after_the_other_does() {
        let mut text = String::new();
        for n in 0..20_000 {
            match n % 50 {
                7 => text.push('\n'),
                8 => text.push_str("{\"broken\n"),
                // Everybody of these is there twice, far apart.
                9 => writeln!(text, r#"{{"username":"twice{}","settings":{{"enabled":true}}}}"#, n % 10_000).unwrap(),
                _ => writeln!(
                    text,
                    r#"{{"username":"user{n}","userGroup":"g{}","settings":{{"enabled":true,"phone":"{n}"}},"odd":1}}"#,
                    n % 3
                )
                .unwrap(),
            }
        }
        let folder = tempfile::tempdir().unwrap();
        let source = Source::new(folder.path().join("users.ndjson"));
        std::fs::write(&source.datafile, text).unwrap();

        let mut streamed = Look { tally: Tally::default(), state: Vec::new() };
        let note = |seen: &mut Vec<String>, one: Seen<'_>| match one {
            Seen::Accepted(row, _) => seen.push(format!("{:07} {}", row.ordinal, row.record.username)),
            Seen::Rejected(reject) => seen.push(format!("{:07} {}", reject.line, reject.code.as_str())),
        };
        let mut records = records(&source, &survey(&source).unwrap()).unwrap();
        for item in records.by_ref() {
            streamed.take(&item.unwrap(), &note);
        }
        let (found, seen) = inspect(&source, Vec::new, note).unwrap();
        let mut seen: Vec<String> = seen.into_iter().flatten().collect();
        seen.sort();
        streamed.state.sort();
        assert_eq!(seen, streamed.state);
        assert_eq!(found.tally, streamed.tally);
        assert_eq!(&found.manifest, records.manifest());
        assert_eq!((found.manifest.rejected, found.manifest.unknown_keys > 0), (800, true));
    }
}
