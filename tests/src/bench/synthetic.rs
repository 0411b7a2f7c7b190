//! Synthetic users for a bench, made by the product's own `generate` in a folder that goes away.

use anyhow::bail;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// Seed of every bench: the same users each time.
const SEED: &str = "20261122";

/// A datafile and its tenant.
pub(crate) struct Synthetic {
    pub(crate) datafile: PathBuf,
    pub(crate) tenant: PathBuf,
    _folder: TempDir,
}

impl Synthetic {
    pub(crate) fn users(users: u32) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let datafile = folder.path().join("users.ndjson");
        let tenant = folder.path().join("tenant.json");
        let made = Command::new(harness::binary())
            .args(["generate", "--users", &users.to_string(), "--seed", SEED, "--datafile"])
            .arg(&datafile)
            .arg("--tenant")
            .arg(&tenant)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status()?;
        if !made.success() {
            bail!("generate ended with {made}");
        }
        Ok(Self { datafile, tenant, _folder: folder })
    }
}
