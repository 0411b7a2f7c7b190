//! Users as directory objects: one, pages of all, by filter, by ids.
//!
//! The order of users is that of the state file and never changes, so that pages neither overlap nor miss anybody.

use super::Tenant;
use super::answer::Answer;
use super::attributes::{Attributes, DEFAULT_SELECT, is_collection, is_known};
use super::call::Call;
use super::filter::Filter;
use super::inventory_calls::page_answer;
use super::refusal::Refusal;
use super::roster::Member;
use serde_json::{Map, Value};

/// Properties by which Graph filters users; the other `onPremises` ones it refuses.
const FILTERABLE: &[&str] = &[
    "id",
    "userPrincipalName",
    "mail",
    "onPremisesSamAccountName",
    "onPremisesSecurityIdentifier",
    "onPremisesImmutableId",
    "onPremisesUserPrincipalName",
    "employeeId",
    "department",
    "usageLocation",
    "userType",
    "displayName",
    "givenName",
    "surname",
    "country",
    "accountEnabled",
    "onPremisesSyncEnabled",
];

/// A user with the selected properties.
pub(super) fn user_view(user: &Attributes, select: &[String]) -> Map<String, Value> {
    let property = |name: &str| -> Value {
        match name {
            "accountEnabled" => user.account_enabled.into(),
            "onPremisesSyncEnabled" => user.on_premises_sync_enabled.into(),
            "userType" => user.get("userType").unwrap_or("Member").into(),
            _ if is_collection(name) => Value::Array(Vec::new()),
            _ => user.get(name).into(),
        }
    };
    if select.is_empty() {
        DEFAULT_SELECT.iter().map(|name| ((*name).to_owned(), property(name))).collect()
    } else {
        select.iter().map(|name| (name.clone(), property(name))).collect()
    }
}

/// Refuses a selection of what users do not have.
pub(super) fn check_select(call: &Call) -> Result<(), Refusal> {
    match call.query.select.iter().find(|s| !is_known(s)) {
        Some(name) => Err(Refusal::UnknownProperty(name.clone())),
        None => Ok(()),
    }
}

fn property_text(user: &Attributes, name: &str) -> Option<String> {
    match name {
        "accountEnabled" => user.account_enabled.map(|b| b.to_string()),
        "onPremisesSyncEnabled" => user.on_premises_sync_enabled.map(|b| b.to_string()),
        "userType" => Some(user.get("userType").unwrap_or("Member").to_owned()),
        _ => user.get(name).map(str::to_owned),
    }
}

/// What stands behind `#` in the context of users, with a selection.
pub(super) fn selection(of: &str, select: &[String]) -> String {
    if select.is_empty() { of.to_owned() } else { format!("{of}({})", select.join(",")) }
}

impl Tenant {
    pub(super) fn get_user(&self, call: &Call, key: &str) -> Result<Answer, Refusal> {
        check_select(call)?;
        let at = self.user(key)?;
        let mut view = Map::new();
        let context = format!("{}/$entity", selection("users", &call.query.select));
        view.insert("@odata.context".to_owned(), Value::from(call.context(&context)));
        view.extend(user_view(self.attributes(at)?, &call.query.select));
        Ok(Answer::json(200, &Value::from(view)))
    }

    pub(super) fn list_users(&self, call: &Call) -> Result<Answer, Refusal> {
        check_select(call)?;
        let context = selection("users", &call.query.select);
        let size = call.query.page_size();
        let view = |at: &u32| self.attributes(*at).map(|u| Value::from(user_view(u, &call.query.select)));
        let Some(filter) = call.query.filter.as_deref().map(Filter::parse).transpose()? else {
            let total = self.users.len();
            let end = call.query.skip.saturating_add(size).min(total);
            let page = (call.query.skip.min(end)..end)
                .filter_map(|i| u32::try_from(i).ok())
                .map(|i| view(&i))
                .collect::<Result<_, _>>()?;
            return Ok(page_answer(call, &context, page, total));
        };
        filter.only(FILTERABLE)?;
        let found = self.find_users(&filter);
        let page = found.iter().skip(call.query.skip).take(size).map(view).collect::<Result<Vec<_>, _>>()?;
        Ok(page_answer(call, &context, page, found.len()))
    }

    fn find_users(&self, filter: &Filter) -> Vec<u32> {
        for (name, index) in [("userPrincipalName", &self.by_upn), ("id", &self.by_id)] {
            if let Some(texts) = filter.any_of(name) {
                let text_of = |i: u32| self.users.get(i as usize)?.0.get(name);
                let mut found: Vec<u32> = texts.iter().filter_map(|t| index.find(t, text_of)).collect();
                found.sort_unstable();
                found.dedup();
                return found;
            }
        }
        let fits = |u: &Attributes| filter.matches(|name| property_text(u, name));
        (0_u32..).zip(&self.users).filter(|(_, (u, _))| fits(u)).map(|(i, _)| i).collect()
    }

    pub(super) fn get_by_ids(&self, call: &Call) -> Result<Answer, Refusal> {
        let ids = call.object()?.get("ids").and_then(Value::as_array).ok_or(Refusal::Property("ids"))?;
        if ids.len() > 1000 {
            return Err(Refusal::Property("ids"));
        }
        let types: Vec<&str> = call
            .object()?
            .get("types")
            .and_then(Value::as_array)
            .map(|t| t.iter().filter_map(Value::as_str).collect())
            .unwrap_or_default();
        let wants = |kind: &str| {
            types.is_empty() || types.iter().any(|t| t.eq_ignore_ascii_case(kind) || *t == "directoryObject")
        };
        let mut value = Vec::new();
        for id in ids.iter().filter_map(Value::as_str) {
            let Some(member) = self.resolve(id) else { continue };
            let kind = match member {
                Member::User(_) => "user",
                Member::Group(_) => "group",
                Member::Contact(_) | Member::Stranger(_) => "orgContact",
            };
            if wants(kind) {
                value.push(self.member_view(call, member)?);
            }
        }
        let total = value.len();
        Ok(page_answer(call, "directoryObjects", value, total))
    }
}
