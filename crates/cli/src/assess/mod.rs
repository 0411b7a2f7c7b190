//! The assessment of a site: what it uses of MFA Server, whom that touches, and what to do.
//!
//! It reads a datafile and what the operator states, asks nobody, and opens no ledger. Memory does not grow with the
//! users: of every list a first part is shown, and `--list` streams all of one.

mod dependencies;
mod html;
mod json;
mod list;
mod markdown;

pub(crate) use dependencies::{Dependencies, TEMPLATE};
pub(crate) use list::write as write_list;

use contract::{FingerprintKey, Policy, RecordRow, SnapshotManifest};
use extractor::{Proof, Seen, Source, Stated};
use rules::assess::{Assessed, FEATURES, Feature, Habits, List, Nps, Section, Tally};

/// Users of a list that a page shows.
const SHOWN: usize = 200;

/// Whether a feature is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    InUse,
    NotInUse,
    /// Neither the datafile nor the operator says.
    NotKnown,
    /// It goes away, whether it was used or not.
    GoesAway,
}

impl Standing {
    fn as_str(self) -> &'static str {
        match self {
            Self::InUse => "in use",
            Self::NotInUse => "not in use",
            Self::NotKnown => "not known",
            Self::GoesAway => "goes away",
        }
    }
}

/// A line of the table.
struct Line {
    feature: Feature,
    standing: Standing,
    /// Users it touches; absent where the datafile does not tell.
    users: Option<u64>,
}

/// A user on a list.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Person {
    ordinal: i64,
    user: String,
    group: Option<String>,
    default: Option<&'static str>,
}

impl Person {
    fn of(row: &RecordRow, assessed: &Assessed) -> Self {
        Self {
            ordinal: row.ordinal,
            user: row.record.username.clone(),
            group: row.record.group.clone(),
            default: assessed.default.map(contract::DefaultMethod::as_str),
        }
    }
}

/// What an assessment found.
pub(crate) struct Assessment {
    manifest: SnapshotManifest,
    tally: Tally,
    dependencies: Dependencies,
    /// The first of every list, in the datafile's order.
    first: Vec<(List, Vec<Person>)>,
    includes_disabled: bool,
}

/// One thread's share.
struct Share {
    tally: Tally,
    first: Vec<Vec<Person>>,
}

impl Assessment {
    /// Reads a source through.
    pub(crate) fn of(source: &Source, policy: &Policy, dependencies: Dependencies) -> anyhow::Result<Self> {
        // Fingerprints made here are compared with nothing and kept nowhere.
        let keys = FingerprintKey::new(&[]);
        let new = || Share {
            tally: Tally::new(dependencies.radius.len()),
            first: vec![Vec::new(); List::ALL.len()],
        };
        let (found, shares) = extractor::inspect(source, new, |share, seen| {
            let (row, stated) = match seen {
                Seen::Accepted(row, stated) => (row, stated),
                Seen::Rejected(_) => return,
            };
            let habits = habits(stated);
            let assessed = rules::assess::assess(&row.record, &habits, policy, &keys);
            let group = row.record.group.as_deref();
            share.tally.add(&assessed, &habits, |client| {
                dependencies.radius.get(client).is_some_and(|client| client.is_used_by(group))
            });
            for (first, list) in share.first.iter_mut().zip(List::ALL) {
                // Each thread goes forward in the file, so its first ones are the first of all among them.
                if first.len() < SHOWN && assessed.is_on(*list) {
                    first.push(Person::of(row, &assessed));
                }
            }
        })?;
        let mut tally = Tally::new(dependencies.radius.len());
        let mut first: Vec<(List, Vec<Person>)> = List::ALL.iter().map(|list| (*list, Vec::new())).collect();
        for share in shares {
            tally.add_all(share.tally);
            for ((_, all), some) in first.iter_mut().zip(share.first) {
                all.extend(some);
            }
        }
        for (_, people) in &mut first {
            people.sort_by_key(|person| person.ordinal);
            people.truncate(SHOWN);
        }
        Ok(Self {
            manifest: found.manifest,
            tally,
            dependencies,
            first,
            includes_disabled: policy.include_disabled,
        })
    }

    /// The table, in order.
    fn lines(&self) -> Vec<Line> {
        FEATURES
            .iter()
            .map(|feature| {
                let (standing, users) = match feature.source() {
                    rules::assess::Source::Records => match self.tally.of(*feature) {
                        0 => (Standing::NotInUse, Some(0)),
                        users => (Standing::InUse, Some(users)),
                    },
                    rules::assess::Source::Always => (Standing::GoesAway, None),
                    rules::assess::Source::Stated => match self.dependencies.says(*feature) {
                        Some(true) => (Standing::InUse, None),
                        Some(false) => (Standing::NotInUse, None),
                        None => (Standing::NotKnown, None),
                    },
                };
                Line { feature: *feature, standing, users }
            })
            .collect()
    }

    fn lines_of(&self, section: Section) -> Vec<Line> {
        self.lines().into_iter().filter(|line| line.feature.section() == section).collect()
    }

    /// Users behind a client whom Network Policy Server cannot serve there, and all behind it.
    fn behind(&self, client: usize) -> (u64, u64) {
        let Some((radius, counts)) = self.dependencies.radius.get(client).zip(self.tally.behind.get(client))
        else {
            return (0, 0);
        };
        let of = |nps: &Nps| counts.get(nps.place()).copied().unwrap_or(0);
        (Nps::ALL.iter().filter(|nps| !radius.serves(**nps)).map(of).sum(), Nps::ALL.iter().map(of).sum())
    }

    /// For people.
    pub(crate) fn markdown(&self) -> String {
        markdown::page(self)
    }

    /// For people, as one page that needs nothing from the network.
    pub(crate) fn html(&self) -> String {
        html::page(self)
    }

    /// For scripts.
    pub(crate) fn json(&self) -> serde_json::Value {
        json::object(self)
    }
}

/// How the rules see what the source states.
fn habits(stated: &Stated) -> Habits<'_> {
    Habits {
        call_pin: stated.call == Proof::Pin,
        call_voiceprint: stated.call == Proof::Voiceprint,
        text_pin: stated.text == Proof::Pin,
        app_pin: stated.app == Proof::Pin,
        app_voiceprint: stated.app == Proof::Voiceprint,
        language: stated.language.as_deref(),
        security_questions: stated.security_questions,
    }
}
