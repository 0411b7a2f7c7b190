//! Users and groups of the directory, by page.

use super::Reader;
use crate::Error;
use crate::client::Version;
use crate::pace::Bucket;
use crate::wire::{Page, encode};
use contract::EntraId;
use serde::Deserialize;

/// The attributes that matching and cohorts need; with `$select` a page costs one unit instead of two.
const SELECT: &str = "id,userPrincipalName,userType,accountEnabled,mail,onPremisesSamAccountName,\
onPremisesSecurityIdentifier,employeeId,onPremisesImmutableId,department,usageLocation,country";

/// A user of the directory, as matching needs it. Absent attributes are empty in Entra.
#[derive(Clone, PartialEq, Eq)]
pub struct DirectoryUser {
    /// Object id.
    pub id: EntraId,
    /// User principal name.
    pub upn: String,
    /// Mail address.
    pub mail: Option<String>,
    /// The on-premises `sAMAccountName`.
    pub sam_account_name: Option<String>,
    /// The on-premises security identifier.
    pub sid: Option<String>,
    /// Employee number.
    pub employee_id: Option<String>,
    /// The on-premises immutable id.
    pub immutable_id: Option<String>,
    /// Whether it is a guest.
    pub guest: bool,
    /// Whether it may sign in.
    pub account_enabled: Option<bool>,
    /// Department.
    pub department: Option<String>,
    /// Two-letter country of use.
    pub usage_location: Option<String>,
    /// Country, as text.
    pub country: Option<String>,
}

impl std::fmt::Debug for DirectoryUser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DirectoryUser").field("id", &self.id).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireUser {
    id: String,
    user_principal_name: Option<String>,
    user_type: Option<String>,
    account_enabled: Option<bool>,
    mail: Option<String>,
    on_premises_sam_account_name: Option<String>,
    on_premises_security_identifier: Option<String>,
    employee_id: Option<String>,
    on_premises_immutable_id: Option<String>,
    department: Option<String>,
    usage_location: Option<String>,
    country: Option<String>,
}

impl From<WireUser> for DirectoryUser {
    fn from(user: WireUser) -> Self {
        Self {
            id: EntraId(user.id),
            upn: user.user_principal_name.unwrap_or_default(),
            mail: user.mail,
            sam_account_name: user.on_premises_sam_account_name,
            sid: user.on_premises_security_identifier,
            employee_id: user.employee_id,
            immutable_id: user.on_premises_immutable_id,
            guest: user.user_type.is_some_and(|t| t.eq_ignore_ascii_case("guest")),
            account_enabled: user.account_enabled,
            department: user.department,
            usage_location: user.usage_location,
            country: user.country,
        }
    }
}

#[derive(Deserialize)]
struct WireId {
    id: String,
}

impl Reader {
    /// A page of all users; `next` is the link of the page before.
    pub async fn users_page(&self, next: Option<&str>) -> Result<Page<DirectoryUser>, Error> {
        let first = self.client.url(Version::V1, &format!("users?$select={SELECT}&$top=999"))?;
        let page =
            self.collection::<WireUser>(Bucket::Directory, first, next, false, "a page of users").await?;
        Ok(Page { items: page.value.into_iter().map(Into::into).collect(), next: page.next })
    }

    /// The groups that are called so; names are not unique. The index that answers compares without case.
    pub async fn groups_called(&self, name: &str) -> Result<Vec<EntraId>, Error> {
        let filter = encode(&format!("displayName eq '{}'", name.replace('\'', "''")));
        let first = self.client.url(Version::V1, &format!("groups?$filter={filter}&$select=id"))?;
        let mut groups = Vec::new();
        let mut next: Option<String> = None;
        loop {
            let page = self
                .collection::<WireId>(
                    Bucket::Directory,
                    first.clone(),
                    next.as_deref(),
                    false,
                    "groups of a name",
                )
                .await?;
            groups.extend(page.value.into_iter().map(|group| EntraId(group.id)));
            next = page.next;
            if next.is_none() {
                return Ok(groups);
            }
        }
    }

    /// A page of the users in a group, and in the groups within it. The index that answers may lag a little.
    pub async fn group_members_page(&self, group: &str, next: Option<&str>) -> Result<Page<EntraId>, Error> {
        let path = format!(
            "groups/{}/transitiveMembers/microsoft.graph.user?$count=true&$select=id&$top=999",
            encode(group)
        );
        let first = self.client.url(Version::V1, &path)?;
        let page =
            self.collection::<WireId>(Bucket::Directory, first, next, true, "a page of members").await?;
        Ok(Page { items: page.value.into_iter().map(|m| EntraId(m.id)).collect(), next: page.next })
    }
}
