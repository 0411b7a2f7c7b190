//! Whose methods are not in place, of those who sign in to a domain: after a cut-over they may not be able to.
//!
//! A user's domain is that of the user principal name that matching found; of one whom nothing matched, that of the name in
//! the datafile. Whoever is disabled in MFA Server, or matches nobody in Entra, is told and does not stand in the way: the
//! one did no MFA there, the other has no account that a cut-over could close.

use crate::engine::Engine;
use crate::lines;
use crate::report::{Known, Scope};
use contract::{Code, DirectoryEntry, EntryState, Record, RunKind, context};
use ledger::NeverMoved;
use std::collections::BTreeMap;

/// Users of a domain, counted.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Unmigrated {
    /// Users of the domain in the datafile.
    pub(super) users: u64,
    /// Those whose methods are not in place, by where they stand.
    pub(super) standings: BTreeMap<&'static str, u64>,
    /// No migration has an entry of them: they are in no batch, or theirs was not run.
    pub(super) never_moved: u64,
    /// Disabled in MFA Server.
    pub(super) disabled: u64,
    /// Match no account in Entra.
    pub(super) unmatched: u64,
}

impl Unmigrated {
    /// How many stand in the way.
    pub(super) fn total(&self) -> u64 {
        self.never_moved + self.standings.values().sum::<u64>()
    }

    /// Counts the users of a domain, in lower case.
    pub(super) async fn count(engine: &Engine, domain: &str) -> anyhow::Result<Self> {
        let mut counted = Self::default();
        let moved = engine.ledger.latest_run(&[RunKind::Migrate]).await?;
        if let Some(run) = moved {
            let scope = Scope { run, batch: None, alone: false };
            Known::for_each(engine, scope, |known| {
                counted.add(&known, domain);
                Ok(())
            })
            .await?;
        }
        let mut after = 0;
        loop {
            let page = engine.ledger.never_moved(after, lines::PAGE).await?;
            let Some(last) = page.last() else { return Ok(counted) };
            after = last.ordinal;
            for never in &page {
                counted.add_never(engine, never, domain)?;
            }
        }
    }

    fn add(&mut self, known: &Known, domain: &str) {
        if !is_of(known.upn.as_deref().unwrap_or(&known.user), domain) {
            return;
        }
        self.users += 1;
        if known.codes.contains(&Code::SourceDisabled) {
            self.disabled += 1;
        } else if known.codes.contains(&Code::MatchNone) {
            self.unmatched += 1;
        } else if !is_in_place(known.standing) {
            *self.standings.entry(known.standing.as_str()).or_default() += 1;
        }
    }

    fn add_never(&mut self, engine: &Engine, never: &NeverMoved, domain: &str) -> anyhow::Result<()> {
        let upn = match &never.directory {
            Some((user, sealed)) => {
                let entry: DirectoryEntry = engine.sealer.open_json(&context::directory(user), &sealed.0)?;
                Some(entry.upn)
            }
            None => None,
        };
        let record: Record =
            engine.sealer.open_json(&context::record(&never.snapshot, never.ordinal), &never.record.0)?;
        if !is_of(upn.as_deref().unwrap_or(&record.username), domain) {
            return Ok(());
        }
        self.users += 1;
        if never.enabled {
            self.never_moved += 1
        } else {
            self.disabled += 1
        }
        Ok(())
    }

    /// As in JSON.
    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "users": self.users, "unmigrated": self.total(), "standings": self.standings,
            "neverMoved": self.never_moved, "disabled": self.disabled, "unmatched": self.unmatched,
        })
    }

    /// For people: `12 (parked 2, waiting 4, in no run 6)`.
    pub(super) fn words(&self) -> String {
        let mut parts: Vec<String> = self.standings.iter().map(|(word, n)| format!("{word} {n}")).collect();
        if self.never_moved > 0 {
            parts.push(format!("in no migration {}", self.never_moved));
        }
        format!("{} ({})", self.total(), parts.join(", "))
    }
}

/// Whether a user's methods are as they shall be.
fn is_in_place(standing: EntryState) -> bool {
    match standing {
        EntryState::Applied | EntryState::Unchanged | EntryState::Confirmed => true,
        EntryState::Waiting
        | EntryState::Claimed
        | EntryState::Blocked
        | EntryState::Skipped
        | EntryState::Parked
        | EntryState::Reverted
        | EntryState::Conflict
        | EntryState::Planned
        | EntryState::Missing
        | EntryState::ChangedSince => false,
    }
}

/// Whether a name is of a domain; one without a domain is of every domain, for all that is known.
fn is_of(name: &str, domain: &str) -> bool {
    name.rsplit_once('@').is_none_or(|(_, of)| of.eq_ignore_ascii_case(domain))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(upn: &str, standing: EntryState, codes: &[Code]) -> Known {
        Known {
            user: "CONTOSO\\helga".into(),
            upn: Some(upn.into()),
            id: None,
            standing,
            must_register_again: false,
            codes: codes.to_vec(),
        }
    }

    #[test]
    fn who_is_not_in_place_is_counted_by_standing() {
        let mut counted = Unmigrated::default();
        for (upn, standing, codes) in [
            ("a@Contoso.example", EntryState::Applied, &[][..]),
            ("b@contoso.example", EntryState::Unchanged, &[]),
            ("c@contoso.example", EntryState::Parked, &[]),
            ("d@contoso.example", EntryState::Skipped, &[Code::MatchAmbiguous]),
            ("e@contoso.example", EntryState::Skipped, &[Code::SourceDisabled]),
            ("f@contoso.example", EntryState::Skipped, &[Code::MatchNone]),
            ("g@sub.contoso.example", EntryState::Waiting, &[]),
            ("CONTOSO\\h", EntryState::Blocked, &[]),
        ] {
            counted.add(&known(upn, standing, codes), "contoso.example");
        }
        assert_eq!((counted.users, counted.total()), (7, 3));
        assert_eq!(counted.standings, BTreeMap::from([("blocked", 1), ("parked", 1), ("skipped", 1)]));
        assert_eq!((counted.disabled, counted.unmatched, counted.never_moved), (1, 1, 0));
        assert_eq!(counted.words(), "3 (blocked 1, parked 1, skipped 1)");
    }
}
