//! One user of a report: the rows, where the user stands after all runs, and what is in force of what runs have told.

use super::places::Places;
use super::rows::{Row, Story, of_entry, of_story};
use super::told::{Told, later, telling};
use crate::engine::Engine;
use crate::lines::{self, Opened};
use contract::{DirectoryEntry, EntryState, RunKind};
use ledger::UserResults;

/// A user.
pub(crate) struct Person {
    pub(super) user: String,
    pub(super) user_principal_name: Option<String>,
    pub(super) region: Option<String>,
    pub(super) department: Option<String>,
    /// Where the user stands after all runs.
    pub(super) standing: EntryState,
    /// At least one.
    pub(super) rows: Vec<Row>,
    /// What tells how the migration ended; in a report of one run, what that run told.
    pub(super) told: Option<Told>,
    /// A later rollback has taken it back, or found nothing to take back.
    pub(super) is_back: bool,
    /// What the last rollback since told.
    pub(super) rollback: Option<Told>,
    /// What the last verification since told, unless a rollback came after it.
    pub(super) verification: Option<Told>,
}

impl Person {
    /// From the entry of one run alone.
    pub(super) fn of_entry(entry: Opened, places: &Places) -> Self {
        let user = entry.record.username.clone();
        let told = Told::of(entry);
        let mut person = Self::known(user, told.directory.as_ref(), told.state, places);
        person.rows = of_entry(&person.blank(), &told);
        person.told = Some(told);
        person
    }

    /// From all that runs have told.
    pub(super) fn of_user(engine: &Engine, user: UserResults, places: &Places) -> anyhow::Result<Self> {
        let mut story = Story::default();
        let mut directory = None;
        for (kind, row) in user.entries {
            let told = Told::of(lines::open(engine, row)?);
            directory = directory.or_else(|| told.directory.clone());
            match kind {
                RunKind::Migrate => story.forward.push(told),
                RunKind::Rollback => story.rollbacks.push(told),
                RunKind::Verify => story.verifications.push(told),
                RunKind::Rehearse
                | RunKind::Survey
                | RunKind::RolloutPlan
                | RunKind::Rollout
                | RunKind::RolloutRemove => {}
            }
        }
        let standing = standing(&story);
        let upn = directory.as_ref().map(|entry| entry.upn.as_str());
        let record = lines::record(engine, &user.snapshot, user.ordinal, &user.record, upn)?;
        let mut person = Self::known(record.username, directory.as_ref(), standing, places);
        person.rows = of_story(&person.blank(), &story);
        person.is_back = is_back(&story);
        let newest = telling(&story.forward).map_or(0, |told| told.run);
        person.rollback = take(&mut story.rollbacks, newest);
        let since = person.rollback.as_ref().map_or(newest, |told| told.run.max(newest));
        person.verification = take(&mut story.verifications, since);
        person.told = take(&mut story.forward, 0);
        Ok(person)
    }

    fn known(
        user: String,
        directory: Option<&DirectoryEntry>,
        standing: EntryState,
        places: &Places,
    ) -> Self {
        let (region, department) = places.of(&user, directory);
        Self {
            user,
            user_principal_name: directory.map(|entry| entry.upn.clone()),
            region,
            department,
            standing,
            rows: Vec::new(),
            told: None,
            is_back: false,
            rollback: None,
            verification: None,
        }
    }

    /// What all rows of the user share.
    fn blank(&self) -> Row {
        Row {
            user: self.user.clone(),
            user_principal_name: self.user_principal_name.clone(),
            standing: self.standing.as_str(),
            state: self.standing.as_str(),
            method: contract::Subject::User.as_str(),
            region: self.region.clone(),
            department: self.department.clone(),
            ..Row::default()
        }
    }
}

/// The entry that tells most of those later than a run.
fn take(entries: &mut Vec<Told>, run: i64) -> Option<Told> {
    let count = later(entries, run).len();
    let found = entries.iter().take(count).position(Told::says_something).or((count > 0).then_some(0));
    found.map(|at| entries.swap_remove(at))
}

/// Where a user stands: as the last rollback says, where it had something to do, and else as the migration ended.
fn standing(story: &Story) -> EntryState {
    let Some(forward) = telling(&story.forward) else { return EntryState::Unchanged };
    let back = telling(later(&story.rollbacks, forward.run)).map(|told| told.state);
    match back {
        Some(state @ (EntryState::Reverted | EntryState::Conflict | EntryState::Parked)) => state,
        Some(_) | None => forward.state,
    }
}

/// Whether nothing of what the migration wrote is meant to stand any more.
fn is_back(story: &Story) -> bool {
    let Some(forward) = telling(&story.forward) else { return false };
    later(&story.rollbacks, forward.run).iter().any(|told| match told.state {
        EntryState::Reverted | EntryState::Conflict | EntryState::Unchanged => true,
        EntryState::Waiting
        | EntryState::Claimed
        | EntryState::Applied
        | EntryState::Blocked
        | EntryState::Skipped
        | EntryState::Parked
        | EntryState::Planned
        | EntryState::Confirmed
        | EntryState::Missing
        | EntryState::ChangedSince => false,
    })
}
