//! A look at users and their Temporary Access Passes, in v1.0 bundles of ten users, and the policy for passes.

use super::Reader;
use crate::client::Version;
use crate::pace::Bucket;
use crate::passes::{self, PassHolder, PassPolicy, SeenPass};
use crate::wire::encode;
use crate::{Error, wire};
use contract::EntraId;
use serde::Deserialize;
use serde_json::Value;

/// Users of one bundle: two questions each.
const USERS: usize = 10;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireUser {
    id: String,
    user_principal_name: Option<String>,
    user_type: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WirePolicy {
    state: Option<String>,
    minimum_lifetime_in_minutes: Option<u32>,
    maximum_lifetime_in_minutes: Option<u32>,
    default_lifetime_in_minutes: Option<u32>,
    is_usable_once: Option<bool>,
    #[serde(default)]
    include_targets: Option<Vec<WireTarget>>,
    #[serde(default)]
    exclude_targets: Option<Vec<WireTarget>>,
}

#[derive(Deserialize)]
struct WireTarget {
    id: String,
}

impl Reader {
    /// Looks at users, each named by object id or user principal name; answers stand in the order of the names. One that is
    /// not there is `Error::NotFound`.
    pub async fn pass_holders(&self, names: &[&str]) -> Vec<Result<PassHolder, Error>> {
        let mut found = Vec::with_capacity(names.len());
        for group in names.chunks(USERS) {
            let paths = group.iter().flat_map(|name| {
                let user = format!("/users/{}?$select=id,userPrincipalName,userType", encode(name));
                [user, passes::path(name)]
            });
            let mut answers = self.bundle(Version::V1, paths.collect()).await.into_iter();
            for _ in group {
                let (user, passes) = (answers.next(), answers.next());
                found.push(match (user, passes) {
                    (Some(Ok(user)), Some(Ok(passes))) => holder(user, passes),
                    (Some(Err(error)), _) | (_, Some(Err(error))) => Err(error),
                    (None, _) | (_, None) => Err(Error::Broken(None)),
                });
            }
        }
        found
    }

    /// What the tenant's policy says of passes; one that is not there allows none.
    pub async fn pass_policy(&self) -> Result<PassPolicy, Error> {
        const PATH: &str =
            "policies/authenticationMethodsPolicy/authenticationMethodConfigurations/TemporaryAccessPass";
        let url = self.client.url(Version::V1, PATH)?;
        let policy: Option<WirePolicy> = match self.get(Bucket::Directory, url, false).await {
            Ok(body) => Some(wire::read(&body, "the policy for Temporary Access Passes")?),
            Err(Error::NotFound) => None,
            Err(error) => return Err(error),
        };
        let ids = |targets: Option<Vec<WireTarget>>| -> Vec<String> {
            targets.into_iter().flatten().map(|target| target.id).collect()
        };
        Ok(match policy {
            None => PassPolicy {
                enabled: false,
                minimum_minutes: None,
                maximum_minutes: None,
                default_minutes: None,
                once_only: false,
                groups: None,
                except_groups: Vec::new(),
            },
            Some(policy) => {
                let included = policy.include_targets.map(|targets| ids(Some(targets)));
                PassPolicy {
                    enabled: policy.state.as_deref() == Some("enabled"),
                    minimum_minutes: policy.minimum_lifetime_in_minutes,
                    maximum_minutes: policy.maximum_lifetime_in_minutes,
                    default_minutes: policy.default_lifetime_in_minutes,
                    once_only: policy.is_usable_once.unwrap_or(false),
                    groups: included.filter(|ids| !ids.iter().any(|id| id == "all_users")),
                    except_groups: ids(policy.exclude_targets),
                }
            }
        })
    }
}

fn holder(user: Option<Value>, passes: Option<Value>) -> Result<PassHolder, Error> {
    const WHAT: &str = "a user and the user's passes";
    let user: WireUser =
        serde_json::from_value(user.unwrap_or_default()).map_err(|_| Error::Shape { what: WHAT })?;
    let listed = passes.as_ref().and_then(|body| body.get("value")).and_then(Value::as_array);
    let listed = listed.ok_or(Error::Shape { what: WHAT })?;
    let passes = listed.iter().map(SeenPass::read).collect::<Option<Vec<_>>>();
    Ok(PassHolder {
        id: EntraId(user.id),
        upn: user.user_principal_name.unwrap_or_default(),
        guest: user.user_type.is_some_and(|kind| kind.eq_ignore_ascii_case("guest")),
        passes: passes.ok_or(Error::Shape { what: WHAT })?,
    })
}
