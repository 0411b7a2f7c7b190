//! The staged rollout of Entra's MFA, read: its policy, the groups that it applies to, and who is in them.
//!
//! One read is a POST, since its question does not fit into an address. It changes nothing, and nothing that does may
//! be added here.

use super::{Read, Reader};
use crate::client::Version;
use crate::pace::Bucket;
use crate::wire::{Page, encode};
use crate::{Error, wire};
use contract::EntraId;
use serde::Deserialize;
use serde_json::json;

/// Graph's word for the feature. It stands behind the sentinel of its enumeration, so Graph hides it from those who do
/// not say that they can take it.
pub(crate) const FEATURE: &str = "multiFactorAuthentication";
/// How they say so.
const UNKNOWN_MEMBERS: &str = "include-unknown-enum-members";
/// Most ids of one filter (Graph, `in`).
const FILTERED: usize = 15;
/// Most ids of one `getByIds`.
const BY_IDS: usize = 1_000;

/// The policy by which Entra takes over MFA group by group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolloutPolicy {
    /// Graph's id of it.
    pub id: String,
    /// Its name; empty where it has none.
    pub name: String,
    /// Whether it acts.
    pub enabled: bool,
    /// Whether it acts on every user of the tenant, whatever the groups.
    pub for_everyone: bool,
    /// Object ids of the groups that it acts on; their direct members are meant.
    pub groups: Vec<EntraId>,
}

/// What decides whether a group can be used for the rollout, and written by us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupFacts {
    /// Object id.
    pub id: EntraId,
    /// Its name; empty where it has none.
    pub name: String,
    /// Its members follow from a rule: nobody can be added or removed.
    pub dynamic: bool,
    /// It is kept on premises: Graph does not change its members.
    pub synced: bool,
    /// It can be given roles: changing its members takes a permission that we are not to have.
    pub role_assignable: bool,
}

/// What a member of a group is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberKind {
    /// A user.
    User,
    /// A group within the group.
    Group,
    /// Anything else: a device, a contact, a service principal, or what Graph does not name.
    Other,
}

/// A direct member of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupMember {
    /// Object id.
    pub id: EntraId,
    /// What it is.
    pub kind: MemberKind,
}

/// What the rollout must know of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserFacts {
    /// Object id.
    pub id: EntraId,
    /// Whether it is a guest.
    pub guest: bool,
    /// Whether it is kept on premises now; one that was once is not.
    pub synced: bool,
}

#[derive(Deserialize)]
struct WireId {
    id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WirePolicy {
    id: String,
    display_name: Option<String>,
    feature: Option<String>,
    is_enabled: Option<bool>,
    is_applied_to_organization: Option<bool>,
    applies_to: Option<Vec<WireId>>,
    #[serde(rename = "appliesTo@odata.nextLink")]
    more: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireGroup {
    id: String,
    display_name: Option<String>,
    group_types: Option<Vec<String>>,
    on_premises_sync_enabled: Option<bool>,
    is_assignable_to_role: Option<bool>,
}

#[derive(Deserialize)]
struct WireMember {
    id: String,
    #[serde(rename = "@odata.type")]
    kind: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireUser {
    id: String,
    user_type: Option<String>,
    on_premises_sync_enabled: Option<bool>,
}

impl From<WireGroup> for GroupFacts {
    fn from(group: WireGroup) -> Self {
        let is_dynamic = |word: &String| word.eq_ignore_ascii_case("DynamicMembership");
        Self {
            id: EntraId(group.id),
            name: group.display_name.unwrap_or_default(),
            dynamic: group.group_types.is_some_and(|words| words.iter().any(is_dynamic)),
            synced: group.on_premises_sync_enabled.unwrap_or(false),
            role_assignable: group.is_assignable_to_role.unwrap_or(false),
        }
    }
}

impl From<WireMember> for GroupMember {
    fn from(member: WireMember) -> Self {
        let kind = match member.kind.as_deref() {
            Some("#microsoft.graph.user") => MemberKind::User,
            Some("#microsoft.graph.group") => MemberKind::Group,
            Some(_) | None => MemberKind::Other,
        };
        Self { id: EntraId(member.id), kind }
    }
}

impl From<WireUser> for UserFacts {
    fn from(user: WireUser) -> Self {
        Self {
            id: EntraId(user.id),
            guest: user.user_type.is_some_and(|kind| kind.eq_ignore_ascii_case("guest")),
            synced: user.on_premises_sync_enabled.unwrap_or(false),
        }
    }
}

impl Reader {
    /// The policy for the rollout of MFA; `None` where the tenant has none.
    ///
    /// # Errors
    /// As for any read; `Shape` where there are several, since Graph keeps one for each feature.
    pub async fn rollout_policy(&self) -> Result<Option<RolloutPolicy>, Error> {
        const WHAT: &str = "the policies for a feature's rollout";
        let url = self.client.url(Version::V1, "policies/featureRolloutPolicies?$expand=appliesTo")?;
        let read = Read { prefer: Some(UNKNOWN_MEMBERS), ..Read::plain(Bucket::Directory, url) };
        let all = self.all::<WirePolicy>(read, WHAT).await?;
        let mut found = all.into_iter().filter(|policy| policy.feature.as_deref() == Some(FEATURE));
        let policy = match (found.next(), found.next()) {
            (None, _) => return Ok(None),
            (Some(policy), None) => policy,
            // Which of two is meant is nothing to guess.
            (Some(_), Some(_)) => return Err(Error::Shape { what: WHAT }),
        };
        let mut groups = policy.applies_to.unwrap_or_default();
        // Graph cuts long expansions. A group that is left out would look as if the policy did not act on it.
        if let Some(more) = policy.more {
            let read = Read::plain(Bucket::Directory, self.client.link(&more)?);
            groups.extend(self.all::<WireId>(read, WHAT).await?);
        }
        Ok(Some(RolloutPolicy {
            id: policy.id,
            name: policy.display_name.unwrap_or_default(),
            enabled: policy.is_enabled.unwrap_or(false),
            for_everyone: policy.is_applied_to_organization.unwrap_or(false),
            groups: groups.into_iter().map(|group| EntraId(group.id)).collect(),
        }))
    }

    /// A group, by object id.
    ///
    /// # Errors
    /// As for any read; `NotFound` where there is no such group.
    pub async fn group(&self, id: &str) -> Result<GroupFacts, Error> {
        const SELECT: &str = "id,displayName,groupTypes,onPremisesSyncEnabled,isAssignableToRole";
        let url = self.client.url(Version::V1, &format!("groups/{}?$select={SELECT}", encode(id)))?;
        let body = self.get(Bucket::Directory, url, false).await?;
        wire::read::<WireGroup>(&body, "a group").map(Into::into)
    }

    /// A page of what is in a group itself, not in the groups within it; `next` is the link of the page before.
    ///
    /// # Errors
    /// As for any read; `NotFound` where there is no such group.
    pub async fn direct_members_page(
        &self,
        group: &str,
        next: Option<&str>,
    ) -> Result<Page<GroupMember>, Error> {
        let path = format!("groups/{}/members?$select=id&$top=999", encode(group));
        let first = self.client.url(Version::V1, &path)?;
        let page = self
            .collection::<WireMember>(Bucket::Directory, first, next, false, "a page of direct members")
            .await?;
        Ok(Page { items: page.value.into_iter().map(Into::into).collect(), next: page.next })
    }

    /// Which of these users, named once each, are in a group itself; in no order. The index that answers may lag a
    /// little behind a write.
    ///
    /// # Errors
    /// As for any read; `NotFound` where there is no such group.
    pub async fn members_among(&self, group: &str, users: &[EntraId]) -> Result<Vec<EntraId>, Error> {
        let mut members = Vec::new();
        for some in users.chunks(FILTERED) {
            let ids: Vec<String> =
                some.iter().map(|user| format!("'{}'", user.0.replace('\'', "''"))).collect();
            let filter = encode(&format!("id in ({})", ids.join(",")));
            let path = format!("groups/{}/members?$filter={filter}&$count=true&$select=id", encode(group));
            let url = self.client.url(Version::V1, &path)?;
            let read = Read { eventual: true, ..Read::plain(Bucket::Directory, url) };
            let found = self.all::<WireId>(read, "members among users").await?;
            members.extend(found.into_iter().map(|member| EntraId(member.id)));
        }
        Ok(members)
    }

    /// These users, named once each, as they are; in no order. Who is gone is not among the answers.
    ///
    /// # Errors
    /// As for any read.
    pub async fn users_by_ids(&self, users: &[EntraId]) -> Result<Vec<UserFacts>, Error> {
        const WHAT: &str = "users by their ids";
        const PATH: &str = "directoryObjects/getByIds?$select=id,userType,onPremisesSyncEnabled";
        let mut facts = Vec::with_capacity(users.len());
        for some in users.chunks(BY_IDS) {
            let body = json!({ "ids": some, "types": ["user"] });
            let body = serde_json::to_vec(&body).map_err(|_| Error::Shape { what: WHAT })?;
            let url = self.client.url(Version::V1, PATH)?;
            let read = Read { body: Some(body), ..Read::plain(Bucket::Directory, url) };
            facts.extend(self.all::<WireUser>(read, WHAT).await?.into_iter().map(UserFacts::from));
        }
        Ok(facts)
    }
}
