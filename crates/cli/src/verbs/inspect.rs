//! `inspect`: what a datafile holds, and every problem, by code. Nothing is written and nobody is asked.

use crate::Exit;
use crate::args::Inspect;
use crate::config::Config;
use contract::{Allowed, EntraId, FingerprintKey, History, Mode, Observed, Reject, RejectCode, UserMethods};
use extractor::{CohortRow, Seen, Source};
use std::collections::BTreeMap;
use std::path::Path;

/// What an inspection found.
pub(crate) struct Inspection {
    found: extractor::Inspection,
    /// Codes that the rules will give the records by themselves, whatever Entra holds.
    problems: BTreeMap<&'static str, u64>,
    cohorts: BTreeMap<String, BTreeMap<String, u64>>,
    /// The first of what was turned away, by file and line; a rehearsal lists all of it in a file.
    rejects: Vec<Reject>,
}

/// Rejects that are listed.
const LISTED: usize = 20;

/// What one thread saw.
#[derive(Default)]
struct Seeing {
    problems: BTreeMap<&'static str, u64>,
    rejects: Vec<Reject>,
}

fn at(reject: &Reject) -> String {
    let file = reject.file.as_deref().map(|f| format!("{f} ")).unwrap_or_default();
    format!("{file}line {}, {}: {}", reject.line, reject.field, reject.code.as_str())
}

pub(crate) fn run(verb: &Inspect, config: &Config, json: bool) -> anyhow::Result<Exit> {
    let source = Source {
        datafile: verb.file.clone(),
        devices: verb.side.devices.clone(),
        token_seeds: verb.side.token_seeds.clone(),
    };
    let mut inspection = inspect(&source, config)?;
    if let Some(path) = &verb.cohorts {
        inspection.cohorts = cohorts(path)?;
    }
    if json {
        println!("{}", inspection.as_json());
    } else {
        inspection.print(&verb.file);
        if inspection.found.manifest.accepted > 0 {
            let selection = crate::args::Selection {
                datafile: Some(verb.file.clone()),
                side: verb.side.clone(),
                batch: None,
                all: true,
                rejects: None,
            };
            println!("next: mfa-migrate rehearse {}", crate::lines::flags_of(&selection));
        }
    }
    Ok(Exit::Done)
}

/// Reads a source through, and plans every record against an empty tenant: what is wrong then is wrong in the record.
pub(crate) fn inspect(source: &Source, config: &Config) -> anyhow::Result<Inspection> {
    // Fingerprints made here are compared with nothing and kept nowhere.
    let keys = FingerprintKey::new(&[]);
    let nobody = Observed {
        user: EntraId(String::new()),
        methods: UserMethods::default(),
        guest: false,
        allowed: Allowed::ALL,
        inventory: Vec::new(),
        contested_serials: Vec::new(),
    };
    let history = History::default();
    let (found, counts) = extractor::inspect(source, Seeing::default, |seeing, seen| {
        let row = match seen {
            Seen::Accepted(row, _) => row,
            Seen::Rejected(reject) => {
                // Each thread goes forward in the file, so its first ones are the first of all among them.
                if seeing.rejects.len() < LISTED {
                    seeing.rejects.push(reject.clone());
                }
                return;
            }
        };
        let plan = rules::plan(&row.record, &nobody, &config.policy, &history, &keys);
        let mut words: Vec<&'static str> = plan.notes.iter().map(|n| n.code.as_str()).collect();
        words.sort_unstable();
        words.dedup();
        for word in words {
            *seeing.problems.entry(word).or_default() += 1;
        }
    })?;
    let mut problems = BTreeMap::new();
    let mut rejects = Vec::new();
    for seeing in counts {
        rejects.extend(seeing.rejects);
        for (word, n) in seeing.problems {
            *problems.entry(word).or_default() += n;
        }
    }
    rejects.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
    rejects.truncate(LISTED);
    Ok(Inspection { found, problems, cohorts: BTreeMap::new(), rejects })
}

impl Inspection {
    /// One line for people in a hurry.
    pub(crate) fn headline(&self) -> String {
        let (manifest, holdings) = (&self.found.manifest, &self.found.tally.holdings);
        format!(
            "{} read = {} accepted + {} rejected; {} with a phone, {} with the app, {} with a token",
            manifest.read,
            manifest.accepted,
            manifest.rejected,
            holdings.phone,
            holdings.mobile_app,
            holdings.oath_token
        )
    }

    fn sections(&self) -> Vec<(String, Vec<(String, u64)>)> {
        let tally = &self.found.tally;
        let held = &tally.holdings;
        let word = |mode: &Mode| serde_json::to_value(mode).ok().and_then(|v| v.as_str().map(str::to_owned));
        let mut groups: Vec<(String, u64)> = tally.by_group.iter().map(|(g, n)| (g.clone(), *n)).collect();
        groups.push(("(no group)".to_owned(), tally.without_group));
        groups.push(("(further groups)".to_owned(), tally.in_further_groups));
        let rejects = |map: &BTreeMap<RejectCode, u64>| {
            map.iter().map(|(code, n)| (code.as_str().to_owned(), *n)).collect::<Vec<_>>()
        };
        let mut sections = vec![
            (
                "mode".to_owned(),
                tally.by_mode.iter().map(|(m, n)| (word(m).unwrap_or_default(), *n)).collect(),
            ),
            (
                "account".to_owned(),
                vec![("enabled".to_owned(), tally.enabled), ("disabled".to_owned(), tally.disabled)],
            ),
            (
                "method".to_owned(),
                [
                    ("phone", held.phone),
                    ("phone with extension", held.phone_with_extension),
                    ("backup phone", held.backup),
                    ("backup phone with extension", held.backup_with_extension),
                    ("mobile app", held.mobile_app),
                    ("app devices", held.devices),
                    ("app devices with their secret", held.devices_with_secret),
                    ("OATH token", held.oath_token),
                    ("OATH token with its secret", held.oath_token_with_secret),
                    ("nothing at all", held.nothing),
                ]
                .map(|(name, n)| (name.to_owned(), n))
                .to_vec(),
            ),
            ("group".to_owned(), groups),
            ("rejected, by code".to_owned(), rejects(&tally.rejects)),
            ("rejected in side files, by code".to_owned(), rejects(&tally.side_rejects)),
            (
                "what the rules will say, by code (users, against an empty tenant)".to_owned(),
                self.problems.iter().map(|(code, n)| ((*code).to_owned(), *n)).collect(),
            ),
        ];
        for (name, values) in &self.cohorts {
            sections.push((name.clone(), values.iter().map(|(v, n)| (v.clone(), *n)).collect()));
        }
        for (_, rows) in &mut sections {
            rows.retain(|(_, n)| *n > 0);
        }
        sections.retain(|(_, rows)| !rows.is_empty());
        sections
    }

    fn print(&self, file: &Path) {
        let manifest = &self.found.manifest;
        println!("{} ({})", file.display(), manifest.format);
        println!(
            "  {} read = {} accepted + {} rejected",
            manifest.read, manifest.accepted, manifest.rejected
        );
        if manifest.unknown_keys > 0 {
            println!("  {} keys that no reader knows were ignored", manifest.unknown_keys);
        }
        if self.found.seeds_joined > 0 {
            println!("  {} tokens were completed from the token seed file", self.found.seeds_joined);
        }
        for (title, rows) in self.sections() {
            println!("  {title}");
            for (name, n) in rows {
                println!("  {n:>9}  {name}");
            }
        }
        for reject in &self.rejects {
            println!("  rejected: {}", at(reject));
        }
    }

    fn as_json(&self) -> serde_json::Value {
        let manifest = &self.found.manifest;
        let sections: serde_json::Map<String, serde_json::Value> = self
            .sections()
            .into_iter()
            .map(|(title, rows)| {
                let key = title.split([',', '(']).next().unwrap_or(&title).trim().to_owned();
                let key = match key.as_str() {
                    "rejected" => "rejectsByCode".to_owned(),
                    "rejected in side files" => "sideRejectsByCode".to_owned(),
                    "what the rules will say" => "usersByCode".to_owned(),
                    "mode" | "account" | "method" | "group" => {
                        format!("by{}{}", key[..1].to_uppercase(), &key[1..])
                    }
                    _ => key,
                };
                (
                    key,
                    rows.into_iter()
                        .map(|(name, n)| (name, n.into()))
                        .collect::<serde_json::Map<_, _>>()
                        .into(),
                )
            })
            .collect();
        let mut object = serde_json::json!({
            "snapshot": manifest.id, "format": manifest.format, "read": manifest.read,
            "accepted": manifest.accepted, "rejected": manifest.rejected, "unknownKeys": manifest.unknown_keys,
            "seedsJoined": self.found.seeds_joined, "firstRejects": self.rejects,
        });
        if let Some(map) = object.as_object_mut() {
            map.extend(sections);
        }
        object
    }
}

fn cohorts(path: &Path) -> anyhow::Result<BTreeMap<String, BTreeMap<String, u64>>> {
    let mut counts: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
    for row in extractor::cohorts(path)? {
        let CohortRow::User(_, attributes) = row? else { continue };
        for (name, value) in attributes {
            *counts.entry(name).or_default().entry(value).or_default() += 1;
        }
    }
    Ok(counts)
}
