//! A saved plan: what a person has looked at, bound to the snapshot and the policy it was made from.
//!
//! One header line, then a line a user as `rehearse --json` prints it, with its position. It holds numbers in clear, so
//! it is made readable by its owner alone.

use crate::engine::Engine;
use crate::{Usage, lines};
use anyhow::{Context, bail};
use aws_lc_rs::digest::{Context as Digest, SHA256};
use contract::{PlanLine, RunId, SnapshotId, context};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

const PAGE: usize = 500;

/// The first line.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Header {
    /// Says what the file is.
    pub(crate) mfa_migrate_plan: u8,
    pub(crate) snapshot: SnapshotId,
    pub(crate) policy_hash: String,
    pub(crate) rules_version: u32,
    /// Where not so, users that did not change since they were last applied have no line of their own content.
    pub(crate) include_unchanged: bool,
    /// Lines that follow; fewer or more mean that the file is damaged.
    pub(crate) users: u64,
}

/// A line of a user.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SavedLine {
    pub(crate) ordinal: i64,
    #[serde(flatten)]
    pub(crate) line: PlanLine,
}

/// A saved plan, opened.
pub(crate) struct PlanFile {
    path: PathBuf,
    pub(crate) header: Header,
    pub(crate) hash: String,
}

/// The version of the file's shape.
pub(crate) const VERSION: u8 = 1;

impl PlanFile {
    /// Opens a plan and takes its hash.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        let unusable = |why: &str| {
            Usage(format!("{} {why}; `mfa-migrate rehearse --out FILE` saves a plan", path.display()))
        };
        let mut file = File::open(path).map_err(|e| unusable(&format!("cannot be opened ({e})")))?;
        let mut digest = Digest::new(&SHA256);
        let mut buffer = vec![0; 1 << 16];
        loop {
            let read = file.read(&mut buffer).map_err(|e| unusable(&format!("cannot be read ({e})")))?;
            if read == 0 {
                break;
            }
            digest.update(&buffer[..read]);
        }
        let mut lines = BufReader::new(File::open(path)?);
        let mut first = String::new();
        (&mut lines).take(1 << 16).read_line(&mut first).map_err(|_| unusable("is not a saved plan"))?;
        let header: Header = serde_json::from_str(&first).map_err(|_| unusable("is not a saved plan"))?;
        if header.mfa_migrate_plan != VERSION {
            bail!(unusable(&format!(
                "is of version {}, this build knows version {VERSION}",
                header.mfa_migrate_plan
            )));
        }
        // Every line is read before anything is made: a damaged plan is refused as a whole.
        let mut users: u64 = 0;
        for line in lines.lines() {
            users += 1;
            if !line.is_ok_and(|l| serde_json::from_str::<SavedLine>(&l).is_ok()) {
                bail!(unusable(&format!("is damaged at line {}", users + 1)));
            }
        }
        if users != header.users {
            bail!(unusable(&format!("is damaged: it has {users} users and was saved with {}", header.users)));
        }
        Ok(Self { path: path.to_owned(), header, hash: hex::encode(digest.finish()) })
    }

    /// Refuses the plan as a whole when what it was made from has moved.
    pub(crate) fn must_fit(&self, snapshot: &SnapshotId, policy_hash: &str) -> Result<(), Usage> {
        let moved = if self.header.snapshot != *snapshot {
            "it was made from another datafile"
        } else if self.header.policy_hash != policy_hash {
            "it was made under another policy"
        } else if self.header.rules_version != rules::RULES_VERSION {
            "it was made by another version of the rules"
        } else {
            return Ok(());
        };
        Err(Usage(format!(
            "the plan {} does not fit: {moved}; nothing was written. Rehearse again and review the new plan",
            self.path.display()
        )))
    }

    /// Files the reviewed lines with a run.
    pub(crate) async fn file(&self, engine: &Engine, run: RunId) -> anyhow::Result<()> {
        let mut lines = BufReader::new(File::open(&self.path)?).lines();
        // The header was read when the plan was opened.
        lines.next();
        let mut page = Vec::with_capacity(PAGE);
        for line in lines {
            let saved: SavedLine = serde_json::from_str(&line?)
                .with_context(|| format!("a line of {} is damaged", self.path.display()))?;
            let at = context::reviewed(run, saved.ordinal);
            page.push((saved.ordinal, engine.sealer.seal_json(&at, &saved.line)?));
            if page.len() == PAGE {
                engine.ledger.file_reviewed(run, &page).await?;
                page.clear();
            }
        }
        engine.ledger.file_reviewed(run, &page).await?;
        Ok(())
    }
}

/// Tells beforehand whether a plan can be saved there; a file that is there is left as it is.
pub(crate) fn must_be_writable(path: &Path) -> Result<(), Usage> {
    let existed = path.exists();
    match File::options().append(true).create(true).open(path) {
        Ok(_) if existed => Ok(()),
        Ok(_) => std::fs::remove_file(path).map_err(|e| unwritable(path, &e)),
        Err(error) => Err(unwritable(path, &error)),
    }
}

fn unwritable(path: &Path, error: &std::io::Error) -> Usage {
    Usage(format!("the plan cannot be written to {} ({error}); nothing was begun", path.display()))
}

/// Begins a plan file: made anew, readable by its owner alone.
pub(crate) fn create(path: &Path, header: &Header) -> anyhow::Result<File> {
    let mut file = lines::private_file(path)
        .with_context(|| format!("the plan cannot be written to {}", path.display()))?;
    writeln!(file, "{}", serde_json::to_string(header)?)?;
    Ok(file)
}
