//! What a plan or a rollout came to, in words and as JSON.

use super::Ground;
use super::groups::users_of;
use crate::engine::{ALL, Engine};
use crate::work::Finished;
use crate::{Exit, lines};
use contract::{Code, EntryState};
use graph::Reader;
use rules::{ROLLOUT_GROUP_USERS, ROLLOUT_GROUPS};
use std::collections::BTreeMap;

/// One group of the rollout.
struct Filled {
    name: String,
    id: String,
    /// Users in it before; absent where the group is gone.
    users: Option<u64>,
    /// Users of this run that are placed in it.
    placed: u64,
    applied: bool,
    /// It was named for this run.
    named: bool,
}

/// All that is told.
pub(super) struct Told<'g> {
    ground: &'g Ground,
    groups: Vec<Filled>,
    codes: BTreeMap<String, u64>,
    entries: u64,
    placed: u64,
    never_moved: u64,
    put_in: u64,
    run: contract::RunId,
}

impl<'g> Told<'g> {
    pub(super) async fn of(ground: &'g Ground, reader: &Reader, finished: &Finished) -> anyhow::Result<Self> {
        let engine = &ground.engine;
        let placed: BTreeMap<String, u64> =
            engine.ledger.placed(finished.run.id).await?.into_iter().collect();
        let mut groups: Vec<Filled> = ground
            .groups
            .iter()
            .map(|known| Filled {
                name: known.group.name.clone(),
                id: known.group.id.clone(),
                users: Some(known.users),
                placed: placed.get(&known.group.id).copied().unwrap_or(0),
                applied: known.applied,
                named: true,
            })
            .collect();
        for group in ground.policy.iter().flat_map(|policy| &policy.groups) {
            if !groups.iter().any(|known| known.id.eq_ignore_ascii_case(&group.0)) {
                let name = reader.group(&group.0).await.map_or_else(|_| group.0.clone(), |facts| facts.name);
                groups.push(Filled {
                    name,
                    users: users_of(reader, &group.0).await?,
                    placed: placed.get(&group.0).copied().unwrap_or(0),
                    id: group.0.clone(),
                    applied: true,
                    named: false,
                });
            }
        }
        let entries = finished.counts.values().sum();
        let never_moved = match ground.batch.as_str() {
            ALL => 0,
            batch => engine.batch(batch).await?.users.saturating_sub(entries),
        };
        Ok(Self {
            ground,
            placed: groups.iter().map(|group| group.placed).sum(),
            groups,
            codes: engine.ledger.code_counts(finished.run.id).await?.into_iter().collect(),
            entries,
            never_moved,
            put_in: ground.put_in.filter(|(run, _)| *run == finished.run.id).map_or(0, |(_, users)| users),
            run: finished.run.id,
        })
    }

    /// Users in the rollout of the tenant, those of this run among them. A run that goes on has put some of its own in before
    /// the groups were looked at: `put_in` says how many.
    fn tenant(&self) -> u64 {
        let all: u64 = self.groups.iter().map(|group| group.users.unwrap_or(0) + group.placed).sum();
        all.saturating_sub(self.put_in)
    }

    pub(super) fn exit(&self) -> Exit {
        let out = self.codes.keys().any(|word| {
            Code::parse(word).is_some_and(|code| match code.kind() {
                contract::CodeKind::Blocked | contract::CodeKind::Held => true,
                contract::CodeKind::Note | contract::CodeKind::Skipped => false,
            })
        });
        if out || self.never_moved > 0 { Exit::Remainder } else { Exit::Done }
    }

    pub(super) fn json(&self) -> serde_json::Value {
        let most = ROLLOUT_GROUP_USERS * ROLLOUT_GROUPS as u64;
        let policy = self.ground.policy.as_ref();
        let applied = self.groups.iter().filter(|group| group.applied).count();
        serde_json::json!({
            "batch": self.ground.batch,
            "run": self.run,
            "users": self.entries,
            "in": self.placed,
            "codes": self.codes,
            "neverMoved": self.never_moved,
            "policy": policy.map(|policy| serde_json::json!({
                "id": policy.id, "name": policy.name, "enabled": policy.enabled,
            })),
            "groups": self.groups.iter().map(|group| serde_json::json!({
                "id": group.id, "name": group.name, "users": group.users, "adds": group.placed, "applied": group.applied,
            })).collect::<Vec<_>>(),
            "tenant": { "users": self.tenant(), "ofUsers": most, "groups": applied, "ofGroups": ROLLOUT_GROUPS },
        })
    }

    pub(super) fn print_plan(&self) {
        let batch = &self.ground.batch;
        println!("rollout of {batch}: {} of {} users would be rerouted to Entra", self.placed, self.entries);
        match &self.ground.policy {
            Some(policy) if policy.enabled => println!("  policy \"{}\": enabled", policy.name),
            Some(policy) => println!(
                "  policy \"{}\": not enabled; `rollout apply` enables it if its groups are empty",
                policy.name
            ),
            None => println!("  policy: none yet; `rollout apply` makes it"),
        }
        self.print_groups("would be added");
        self.print_out();
        let of = if batch == ALL { " --all".to_owned() } else { format!(" --batch {batch}") };
        println!(
            "next: mfa-migrate rollout apply{of}   and for each user: mfa-migrate report --run {}",
            self.run
        );
    }

    fn print_groups(&self, added: &str) {
        for group in &self.groups {
            let users =
                group.users.map_or_else(|| "gone".to_owned(), |users| format!("{users} users before"));
            let new = if group.applied { "" } else { ", new to the rollout" };
            let what = if group.named { format!(", {} {added}", group.placed) } else { String::new() };
            println!("  group {}: {users}{what}{new}", group.name);
        }
        let most = ROLLOUT_GROUP_USERS * ROLLOUT_GROUPS as u64;
        println!("  tenant: {} of at most {most} users of a staged rollout", self.tenant());
    }

    fn print_out(&self) {
        let mut codes: Vec<_> = self.codes.iter().collect();
        codes.sort_by(|a, b| b.1.cmp(a.1).then_with(|| a.0.cmp(b.0)));
        if !codes.is_empty() {
            println!("  users by reason");
        }
        for (word, n) in codes {
            let code = Code::parse(word);
            let meaning = match code {
                Some(Code::Unchanged) => "in a group of the rollout by our doing already",
                Some(code) => code.meaning().trim_start_matches("Staged rollout: "),
                None => "",
            };
            println!("  {n:>9}  {word}: {meaning}");
        }
        if self.never_moved > 0 {
            println!("  {:>9}  users of the batch were never migrated", self.never_moved);
        }
        if self.codes.contains_key(Code::RolloutNotVerified.as_str()) {
            let batch = &self.ground.batch;
            let of = if batch == ALL { String::new() } else { format!(" --batch {batch}") };
            println!("  mfa-migrate verify{of} confirms what was written; then run this again");
        }
    }

    pub(super) async fn print_applied(&self, finished: &Finished) -> anyhow::Result<()> {
        let (run, batch) = (&finished.run, &self.ground.batch);
        if finished.done {
            println!("rollout of {batch} (run {}): every user is settled", run.id);
        } else {
            println!("rollout of {batch} (run {}): stopped before the end; the same command resumes", run.id);
        }
        for (state, n) in finished.counts.iter().filter(|(_, n)| **n > 0) {
            let word = match state {
                EntryState::Applied => "are in their group by this run",
                EntryState::Unchanged => "were in a group of the rollout already",
                EntryState::Blocked => "stay out",
                EntryState::Waiting
                | EntryState::Claimed
                | EntryState::Skipped
                | EntryState::Parked
                | EntryState::Reverted
                | EntryState::Conflict
                | EntryState::Planned
                | EntryState::Confirmed
                | EntryState::Missing
                | EntryState::ChangedSince => state.as_str(),
            };
            println!("  {n:>9}  {word}");
        }
        self.print_out();
        self.print_groups("by this run");
        print_totals(finished);
        println!("Entra may take up to 24 hours to act on a change of groups");
        Ok(())
    }
}

fn print_totals(finished: &Finished) {
    let totals = finished.run.totals;
    println!(
        "  {} requests to Graph, {} of them writes, {} throttled, in {:.1} s",
        totals.requests, totals.writes, totals.throttled, totals.seconds
    );
}

pub(super) async fn print_removed(engine: &Engine, finished: &Finished) -> anyhow::Result<()> {
    let (run, batch) = (&finished.run, &finished.run.spec.batch);
    let parked = finished.counts.get(&EntryState::Parked).copied().unwrap_or(0);
    if finished.done && parked > 0 {
        println!(
            "rollout of {batch} (run {}): {parked} users could not be taken out and are still in",
            run.id
        );
    } else if finished.done {
        println!("rollout of {batch} (run {}): everybody whom we had put in is out", run.id);
    } else {
        println!("rollout of {batch} (run {}): stopped before the end; the same command resumes", run.id);
    }
    for (state, n) in finished.counts.iter().filter(|(_, n)| **n > 0) {
        let word = match state {
            EntryState::Reverted => "were taken out by this run",
            EntryState::Unchanged => "were not in a group by our doing",
            EntryState::Waiting
            | EntryState::Claimed
            | EntryState::Applied
            | EntryState::Blocked
            | EntryState::Skipped
            | EntryState::Parked
            | EntryState::Conflict
            | EntryState::Planned
            | EntryState::Confirmed
            | EntryState::Missing
            | EntryState::ChangedSince => state.as_str(),
        };
        println!("  {n:>9}  {word}");
    }
    super::super::report::print_codes(engine, run.id).await?;
    print_totals(finished);
    let stay = std::time::Duration::from_secs(engine.config().rollout.stay_s);
    println!(
        "they are routed back to MFA Server within {}; `mfa-migrate rollback` withdraws methods no earlier",
        lines::duration(stay)
    );
    Ok(())
}
