//! Batches: whom a selector takes, fixed once and for all.
//!
//! The users come from a survey: a run that read the directory and matched everybody. Nobody's methods are looked at. A
//! user who matched nobody is a member too, where the record itself or a list says so: the operator wants to see them.

use crate::{Coordinator, Error};
use contract::{DirectoryEntry, EntraId, Record, RunId, Selector, SnapshotId, context};
use ledger::Member;
use rules::Attributes;
use std::collections::{BTreeMap, BTreeSet};

/// Entries looked at together.
const PAGE: u32 = 1_000;

/// What a selection needs beside the ledger.
#[derive(Debug, Default)]
pub struct Sources {
    /// Transitive members of the groups that the selector names, by the name it has there.
    pub groups: BTreeMap<String, BTreeSet<EntraId>>,
    /// Usernames of the lists that the selector names, in lower case, by the name it has there.
    pub lists: BTreeMap<String, BTreeSet<String>>,
    /// Attributes by username in lower case, from a cohort file: they go before those of the directory.
    pub attributes: BTreeMap<String, BTreeMap<String, String>>,
}

/// What a selection found.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Selected {
    /// Entries of the survey that were looked at: all of them, unless another survey has begun meanwhile.
    pub seen: u64,
    /// Users of the batch.
    pub users: u64,
    /// Of them, those that matched no Entra user.
    pub unmatched: u64,
    /// Users by region; `-` where none is known.
    pub regions: BTreeMap<String, u64>,
    /// Users by department, likewise.
    pub departments: BTreeMap<String, u64>,
    /// Listed names that are in no record.
    pub unknown: BTreeSet<String>,
    /// Records that were forgotten: nobody can tell any more whether the selector takes them.
    pub forgotten: u64,
}

impl Coordinator {
    /// Adds to a batch whom its selector takes among the users of a survey.
    ///
    /// # Errors
    /// The ledger failed, or a record cannot be opened with this key.
    pub async fn select(
        &self,
        batch: &str,
        survey: RunId,
        selector: &Selector,
        sources: &Sources,
    ) -> Result<Selected, Error> {
        let listed = sources.lists.values().flatten().cloned();
        let mut found = Selected { unknown: listed.collect(), ..Selected::default() };
        let mut after = 0;
        loop {
            let page = self.ledger.results(survey, after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(found) };
            after = last.ordinal;
            found.seen += page.len() as u64;
            let mut members = Vec::new();
            for row in page {
                if row.record.0.is_empty() {
                    found.forgotten += 1;
                    continue;
                }
                let record = self.record(&row.snapshot, row.ordinal, &row.record.0)?;
                let directory: Option<DirectoryEntry> = match (&row.user, &row.directory) {
                    (Some(user), Some(sealed)) => {
                        Some(self.sealer.open_json(&context::directory(user), &sealed.0)?)
                    }
                    (Some(_) | None, _) => None,
                };
                let name = record.username.trim().to_lowercase();
                found.unknown.remove(&name);
                let said = sources.attributes.get(&name);
                let said = |what: &str| said.and_then(|s| s.get(what)).map(String::as_str);
                let region = said("region").or_else(|| directory.as_ref()?.region.as_deref());
                let department = said("department").or_else(|| directory.as_ref()?.department.as_deref());
                let entra_groups = names(&sources.groups, |members| {
                    row.user.as_ref().is_some_and(|user| members.contains(user))
                });
                let lists = names(&sources.lists, |list| list.contains(&name));
                let user = Attributes {
                    region,
                    department,
                    group: said("group").or(record.group.as_deref()),
                    entra_groups: &entra_groups,
                    lists: &lists,
                };
                if !rules::takes(selector, &user) {
                    continue;
                }
                found.users += 1;
                found.unmatched += u64::from(row.user.is_none());
                *found.regions.entry(region.unwrap_or("-").to_owned()).or_default() += 1;
                *found.departments.entry(department.unwrap_or("-").to_owned()).or_default() += 1;
                members.push(Member { user: self.user_key(&record.username), matched: row.user.is_some() });
            }
            if !members.is_empty() {
                self.ledger.add_members(batch, &members).await?;
            }
        }
    }

    fn record(&self, snapshot: &SnapshotId, ordinal: i64, sealed: &[u8]) -> Result<Record, Error> {
        Ok(self.sealer.open_json(&context::record(snapshot, ordinal), sealed)?)
    }
}

/// The names of the sets that hold it.
fn names<T>(sets: &BTreeMap<String, T>, holds: impl Fn(&T) -> bool) -> Vec<String> {
    sets.iter().filter(|(_, set)| holds(set)).map(|(name, _)| name.clone()).collect()
}
