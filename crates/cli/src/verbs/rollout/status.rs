//! `rollout status`: the policy, its groups, how full they are, and which of their members we put there.

use super::PERMISSION;
use super::groups::users_of;
use crate::Exit;
use crate::config::Config;
use crate::engine::Engine;
use anyhow::Context;
use contract::SeatState;
use graph::{Pace, Reader};
use ledger::GroupSeats;
use rules::{ROLLOUT_GROUP_USERS, ROLLOUT_GROUPS};

/// A group as it is shown.
struct Shown {
    id: String,
    /// Absent where the group is gone.
    found: Option<(String, u64)>,
    applied: bool,
    seats: Vec<(SeatState, u64)>,
}

impl Shown {
    fn of(&self, state: SeatState) -> u64 {
        self.seats.iter().find(|(known, _)| *known == state).map_or(0, |(_, n)| *n)
    }
}

pub(super) async fn run(config: &Config, json: bool) -> anyhow::Result<Exit> {
    let reader = Reader::new(config.graph()?, Pace::new())?;
    let engine = Engine::look(config).await?;
    let (policy, is_seen) = match reader.rollout_policy().await {
        Ok(policy) => (policy, true),
        // Its seats and their groups are told all the same.
        Err(graph::Error::Forbidden { .. }) => (None, false),
        Err(error) => return Err(error).context(PERMISSION),
    };
    let seats = engine.ledger.group_seats().await?;
    let mut ids: Vec<String> =
        policy.iter().flat_map(|policy| &policy.groups).map(|id| id.0.clone()).collect();
    let applied = ids.len();
    for group in &seats {
        if !ids.iter().any(|id| id.eq_ignore_ascii_case(&group.group)) {
            ids.push(group.group.clone());
        }
    }
    let mut groups = Vec::new();
    for (at, id) in ids.into_iter().enumerate() {
        let found = match users_of(&reader, &id).await? {
            Some(users) => Some((reader.group(&id).await.map_or_else(|_| id.clone(), |g| g.name), users)),
            None => None,
        };
        let is_it = |group: &&GroupSeats| group.group.eq_ignore_ascii_case(&id);
        let seats = seats.iter().find(is_it).map(|group| group.standing.clone()).unwrap_or_default();
        groups.push(Shown { id, found, applied: at < applied, seats });
    }
    let users: u64 =
        groups.iter().filter(|group| group.applied).filter_map(|group| Some(group.found.as_ref()?.1)).sum();
    let most = ROLLOUT_GROUP_USERS * ROLLOUT_GROUPS as u64;
    if json {
        let groups = groups.iter().map(|group| {
            serde_json::json!({
                "id": group.id,
                "name": group.found.as_ref().map(|(name, _)| name),
                "users": group.found.as_ref().map(|(_, users)| users),
                "applied": group.applied,
                "ours": { "seated": group.of(SeatState::Seated), "asked": group.of(SeatState::Asked), "leaving": group.of(SeatState::Leaving) },
            })
        });
        println!(
            "{}",
            serde_json::json!({
                "policySeen": is_seen,
                "policy": policy.as_ref().map(|policy| serde_json::json!({
                    "id": policy.id, "name": policy.name, "enabled": policy.enabled, "forEveryone": policy.for_everyone,
                })),
                "groups": groups.collect::<Vec<_>>(),
                "tenant": { "users": users, "ofUsers": most, "groups": applied, "ofGroups": ROLLOUT_GROUPS },
            })
        );
        return Ok(Exit::Done);
    }
    match &policy {
        None if !is_seen => println!("staged rollout: the application may not see the policy; {PERMISSION}"),
        None => println!("staged rollout: there is no policy for MFA; `mfa-migrate rollout apply` makes it"),
        Some(policy) => println!(
            "staged rollout: policy \"{}\" is {}{}",
            policy.name,
            if policy.enabled { "enabled" } else { "not enabled: nobody is rerouted" },
            if policy.for_everyone { " for the whole organization" } else { "" }
        ),
    }
    for group in &groups {
        let (seated, asked, leaving) =
            (group.of(SeatState::Seated), group.of(SeatState::Asked), group.of(SeatState::Leaving));
        let doubt = if asked + leaving > 0 {
            format!("; {asked} may be on their way in, {leaving} on their way out")
        } else {
            String::new()
        };
        match &group.found {
            Some((name, users)) => println!(
                "  group {name}: {users} of at most {ROLLOUT_GROUP_USERS} users, {seated} by our doing{doubt}{}",
                if group.applied { "" } else { "; the rollout is not applied to it" }
            ),
            None => {
                println!("  group {}: gone from Entra, {seated} were in it by our doing{doubt}", group.id)
            }
        }
    }
    println!("  tenant: {users} of at most {most} users in {applied} of at most {ROLLOUT_GROUPS} groups");
    Ok(Exit::Done)
}
