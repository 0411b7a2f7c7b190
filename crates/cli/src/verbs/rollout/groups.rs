//! The groups that a rollout may fill: found by name or id, and looked at before anything is written.

use crate::Usage;
use crate::engine::Engine;
use crate::verbs::batch::group_of;
use anyhow::{Context, bail};
use contract::{EntraId, RolloutGroup, Selector};
use graph::{MemberKind, Reader};
use rules::{GroupRefusal, GroupStanding, ROLLOUT_GROUPS};

/// A group that may be filled.
#[derive(Debug, Clone)]
pub(super) struct Fillable {
    pub(super) group: RolloutGroup,
    /// Users in it now.
    pub(super) users: u64,
    /// The rollout is applied to it already.
    pub(super) applied: bool,
}

/// Which groups the rollout is applied to.
pub(super) enum Applied<'a> {
    /// To these.
    To(&'a [EntraId]),
    /// To whatever is named, as an administrator says.
    ToAll,
}

impl Applied<'_> {
    fn is_to(&self, id: &str) -> bool {
        match self {
            Self::To(groups) => groups.iter().any(|known| known.0.eq_ignore_ascii_case(id)),
            Self::ToAll => true,
        }
    }
}

/// Finds the groups and refuses those that cannot be used, all of them at once, each by its code.
pub(super) async fn fillable(
    engine: &Engine,
    reader: &Reader,
    given: &[String],
    applied: &Applied<'_>,
) -> anyhow::Result<Vec<Fillable>> {
    if given.is_empty() {
        bail!(Usage(
            "no group was named: --group GROUP, or `groups = [\"…\"]` under [rollout] in mfa-migrate.toml, takes names or object \
             ids of groups for the staged rollout alone"
                .to_owned()
        ));
    }
    let scope = scope_of(engine).await?;
    let mut found: Vec<Fillable> = Vec::new();
    let mut refused: Vec<(String, GroupRefusal)> = Vec::new();
    for name in given {
        let id = group_of(reader, name, "--group").await?;
        let facts = match reader.group(&id).await {
            Ok(facts) => facts,
            Err(graph::Error::NotFound) => bail!(Usage(format!(
                "there is no group {name} in Entra; --group takes its name or its object id"
            ))),
            Err(error) => return Err(error).context(format!("the group {name} could not be read")),
        };
        if found.iter().any(|other| other.group.id.eq_ignore_ascii_case(&facts.id.0)) {
            continue;
        }
        let is_scope = scope.iter().any(|s| {
            s.eq_ignore_ascii_case(&facts.id.0)
                || (!facts.name.is_empty() && s.eq_ignore_ascii_case(&facts.name))
        });
        let mut standing = GroupStanding {
            dynamic: facts.dynamic,
            synced: facts.synced,
            role_assignable: facts.role_assignable,
            applied: applied.is_to(&facts.id.0),
            is_scope,
            ..GroupStanding::default()
        };
        if rules::group_refusal(&standing).is_none() {
            count_members(reader, &facts.id.0, &mut standing).await?;
        }
        match rules::group_refusal(&standing) {
            Some(why) => refused.push((name.clone(), why)),
            None => found.push(Fillable {
                group: RolloutGroup { id: facts.id.0, name: facts.name },
                users: standing.users,
                applied: standing.applied,
            }),
        }
    }
    if !refused.is_empty() {
        let lines =
            refused.iter().map(|(name, why)| format!("\n  {name}: {}: {}", why.as_str(), why.meaning()));
        bail!(Usage(format!(
            "these groups cannot be used for the staged rollout; nothing was written:{}",
            lines.collect::<String>()
        )));
    }
    let fresh = found.iter().filter(|group| !group.applied).count();
    let there = match applied {
        Applied::To(groups) => groups.len(),
        Applied::ToAll => found.len(),
    };
    if there + fresh > ROLLOUT_GROUPS {
        bail!(Usage(format!(
            "rollout-too-many-groups: the staged rollout takes at most {ROLLOUT_GROUPS} groups; it is applied to {there}, and {fresh} more \
             were named; nothing was written"
        )));
    }
    Ok(found)
}

/// Counts whom a group holds, by kind.
async fn count_members(reader: &Reader, group: &str, standing: &mut GroupStanding) -> anyhow::Result<()> {
    let mut next: Option<String> = None;
    loop {
        let page = reader
            .direct_members_page(group, next.as_deref())
            .await
            .with_context(|| format!("the members of group {group} could not be read"))?;
        for member in page.items {
            match member.kind {
                MemberKind::User => standing.users += 1,
                MemberKind::Group => standing.groups += 1,
                MemberKind::Other => standing.others += 1,
            }
        }
        next = page.next;
        if next.is_none() {
            return Ok(());
        }
    }
}

/// Users of a group; nothing where it is gone.
pub(super) async fn users_of(reader: &Reader, group: &str) -> anyhow::Result<Option<u64>> {
    let mut standing = GroupStanding::default();
    match reader.direct_members_page(group, None).await {
        Err(graph::Error::NotFound) => return Ok(None),
        Err(error) => return Err(error).context(format!("the members of group {group} could not be read")),
        Ok(page) if page.next.is_none() => {
            let users = page.items.iter().filter(|member| member.kind == MemberKind::User).count();
            return Ok(Some(users as u64));
        }
        Ok(_) => {}
    }
    count_members(reader, group, &mut standing).await?;
    Ok(Some(standing.users))
}

/// The Entra groups that batches were selected by, as they were given.
async fn scope_of(engine: &Engine) -> anyhow::Result<Vec<String>> {
    let mut scope = Vec::new();
    for batch in engine.ledger.batches().await? {
        let selector: Selector = serde_json::from_str(&batch.made.selector).with_context(|| {
            format!("the selector of batch {} cannot be read by this version", batch.made.name)
        })?;
        scope.extend(selector.only.entra_group);
        scope.extend(selector.except.entra_group);
    }
    Ok(scope)
}
