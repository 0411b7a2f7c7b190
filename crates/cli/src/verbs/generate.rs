//! `generate`: a synthetic datafile and the matching tenant.

use crate::Exit;
use crate::args::Generate;
use anyhow::Context;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

pub(crate) fn run(verb: &Generate, json: bool) -> anyhow::Result<Exit> {
    write(verb.users, verb.seed, &verb.datafile, &verb.tenant)?;
    if json {
        println!(
            "{}",
            serde_json::json!({ "users": verb.users, "seed": verb.seed, "datafile": verb.datafile, "tenant": verb.tenant })
        );
    } else {
        println!(
            "{} users in {}, and their tenant in {}",
            verb.users,
            verb.datafile.display(),
            verb.tenant.display()
        );
        println!(
            "next: mfa-migrate inspect {}   or: mfa-migrate simulate tenant --seed {}",
            verb.datafile.display(),
            verb.tenant.display()
        );
    }
    Ok(Exit::Done)
}

/// Writes both files.
pub(crate) fn write(users: u32, seed: u64, datafile: &Path, tenant: &Path) -> anyhow::Result<()> {
    let create = |path: &Path| {
        File::create(path)
            .map(BufWriter::new)
            .with_context(|| format!("{} cannot be written", path.display()))
    };
    let (mut data, mut state) = (create(datafile)?, create(tenant)?);
    simulator::generate(users, seed, &mut data, &mut state)?;
    data.flush()?;
    state.flush()?;
    Ok(())
}
