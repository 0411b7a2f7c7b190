//! Whom passes are issued to, or taken from: users of a batch, of a list, or all.

use crate::args::PassUsers;
use crate::engine::{ALL, Engine};
use crate::report::{Known, Scope};
use crate::{Usage, lines};
use anyhow::{Context, bail};
use contract::EntraId;
use graph::Reader;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use worker::Somebody;

/// Names asked of Graph at once.
const NAMES: usize = 100;

/// The users that were selected.
#[derive(Default)]
pub(crate) struct Selected {
    /// What events are filed under.
    pub(crate) batch: String,
    /// Each once, in the order of the datafile or of the list.
    pub(crate) users: Vec<Somebody>,
    /// Names of the list that are nobody's in Entra.
    pub(crate) unknown: Vec<String>,
}

/// Who gets passes: of a batch or of all, those who must register their app again; of a list, everybody.
pub(crate) async fn select_to_issue(
    engine: &Engine,
    reader: &Reader,
    users: &PassUsers,
) -> anyhow::Result<Selected> {
    match &users.users {
        Some(path) => listed(engine, reader, path).await,
        None => known(engine, users.batch.as_deref(), |known| known.must_register_again).await,
    }
}

/// Whose passes are taken away.
pub(crate) async fn select_to_revoke(
    engine: &Engine,
    reader: &Reader,
    users: &PassUsers,
) -> anyhow::Result<Selected> {
    let mut selected = match (&users.users, &users.batch) {
        (Some(path), _) => listed(engine, reader, path).await?,
        (None, Some(batch)) => known(engine, Some(batch), |_| true).await?,
        (None, None) => Selected { batch: ALL.to_owned(), ..Selected::default() },
    };
    let mut with_passes: BTreeSet<EntraId> = BTreeSet::new();
    let mut after = 0;
    loop {
        let page = engine.ledger.passes_to_end(after, lines::PAGE).await?;
        let Some((last, _)) = page.last() else { break };
        after = *last;
        with_passes.extend(page.into_iter().map(|(_, user)| user));
    }
    if users.all {
        selected.users = with_passes.into_iter().map(|id| Somebody { name: id.0.clone(), id }).collect();
    } else {
        selected.users.retain(|user| with_passes.contains(&user.id));
    }
    Ok(selected)
}

async fn known(
    engine: &Engine,
    batch: Option<&str>,
    is_meant: impl Fn(&Known) -> bool,
) -> anyhow::Result<Selected> {
    let batch = match batch {
        Some(name) => Some(engine.batch_name(Some(name)).await?),
        None => None,
    };
    let Some(scope) = Scope::find(engine, batch.as_deref()).await? else {
        bail!(Usage(
            "no run has told yet who must register again; `mfa-migrate rehearse` does, or name users with --users FILE"
                .to_owned()
        ));
    };
    let (mut users, mut seen) = (Vec::new(), BTreeSet::new());
    Known::for_each(engine, scope, |known| {
        if is_meant(&known)
            && let Some(id) = known.id
            && seen.insert(id.clone())
        {
            users.push(Somebody { name: known.user, id });
        }
        Ok(())
    })
    .await?;
    Ok(Selected { batch: batch.unwrap_or_else(|| ALL.to_owned()), users, unknown: Vec::new() })
}

/// Names of a list: as a datafile has them, or user principal names.
async fn listed(engine: &Engine, reader: &Reader, path: &Path) -> anyhow::Result<Selected> {
    let names = names_of(path)?;
    let mut ids: BTreeMap<&str, EntraId> = BTreeMap::new();
    let mut asked: Vec<&str> = Vec::new();
    for name in &names {
        let history = engine.ledger.user_history(engine.coordinator.user_key(name)).await?;
        match history.entries.into_iter().find_map(|entry| entry.user) {
            Some(id) => drop(ids.insert(name, id)),
            None if name.contains('@') => asked.push(name),
            None => {}
        }
    }
    for group in asked.chunks(NAMES) {
        for (name, holder) in group.iter().zip(reader.pass_holders(group).await) {
            match holder {
                Ok(holder) => drop(ids.insert(name, holder.id)),
                Err(graph::Error::NotFound) => {}
                Err(error) => {
                    return Err(error).context("the users of the list could not be looked up in Entra");
                }
            }
        }
    }
    let mut selected = Selected { batch: ALL.to_owned(), ..Selected::default() };
    let mut seen = BTreeSet::new();
    for name in &names {
        match ids.get(name.as_str()) {
            Some(id) if seen.insert(id.clone()) => {
                selected.users.push(Somebody { name: name.clone(), id: id.clone() });
            }
            Some(_) => {}
            None => selected.unknown.push(name.clone()),
        }
    }
    Ok(selected)
}

fn names_of(path: &Path) -> anyhow::Result<Vec<String>> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Usage(format!("the list {} cannot be read: {error}", path.display())))?;
    let lines = text.trim_start_matches('\u{feff}').lines().map(str::trim);
    let names: Vec<String> =
        lines.filter(|name| !name.is_empty() && !name.starts_with('#')).map(str::to_owned).collect();
    if names.is_empty() {
        bail!(Usage(format!("the list {} names nobody; it takes one username a line", path.display())));
    }
    Ok(names)
}
