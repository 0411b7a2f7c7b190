//! Groups and who is in them, nested groups included. Memberships are read only.
//!
//! An expansion is walked once and kept: a group of 500,000 users is read in hundreds of pages.

use super::Tenant;
use super::answer::Answer;
use super::call::Call;
use super::directory::{check_select, selection, user_view};
use super::filter::Filter;
use super::inventory_calls::page_answer;
use super::refusal::Refusal;
use super::state::GroupFile;
use serde_json::{Map, Value, json};
use std::collections::HashSet;
use std::sync::Arc;

/// A member, by position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Member {
    User(u32),
    Group(u32),
}

fn group_view(group: &GroupFile, select: &[String]) -> Map<String, Value> {
    let is_dynamic = group.kind.as_deref() == Some("dynamic");
    let Value::Object(mut all) = json!({
        "id": group.id,
        "deletedDateTime": null,
        "createdDateTime": null,
        "description": null,
        "displayName": group.display_name,
        "groupTypes": if is_dynamic { vec!["DynamicMembership"] } else { Vec::new() },
        "isAssignableToRole": null,
        "mail": null,
        "mailEnabled": false,
        "mailNickname": group.id,
        "membershipRule": null,
        "membershipRuleProcessingState": is_dynamic.then_some("On"),
        "onPremisesSyncEnabled": group.on_premises_sync_enabled,
        "securityEnabled": true,
        "visibility": null,
    }) else {
        return Map::new();
    };
    if !select.is_empty() {
        all.retain(|name, _| select.iter().any(|s| s == name));
    }
    all
}

impl Tenant {
    fn group_at(&self, id: &str) -> Result<u32, Refusal> {
        self.group_by_id.get(&id.to_ascii_lowercase()).copied().ok_or_else(|| Refusal::Absent(id.to_owned()))
    }

    fn group(&self, at: u32) -> Result<&GroupFile, Refusal> {
        self.groups.get(at as usize).ok_or_else(|| Refusal::Absent(at.to_string()))
    }

    pub(super) fn list_groups(&self, call: &Call) -> Result<Answer, Refusal> {
        let filter = call.query.filter.as_deref().map(Filter::parse).transpose()?;
        if let Some(filter) = &filter {
            filter.only(&["displayName", "id"])?;
        }
        let fits = |group: &&GroupFile| {
            let property =
                |name: &str| Some(if name == "id" { group.id.clone() } else { group.display_name.clone() });
            filter.as_ref().is_none_or(|f| f.matches(property))
        };
        let found: Vec<&GroupFile> = self.groups.iter().filter(fits).collect();
        let select = &call.query.select;
        let page = found.iter().skip(call.query.skip).take(call.query.page_size());
        let page = page.map(|g| Value::from(group_view(g, select))).collect();
        Ok(page_answer(call, &selection("groups", select), page, found.len()))
    }

    pub(super) fn get_group(&self, call: &Call, id: &str) -> Result<Answer, Refusal> {
        let group = self.group(self.group_at(id)?)?;
        let mut view = Map::new();
        let context = format!("{}/$entity", selection("groups", &call.query.select));
        view.insert("@odata.context".to_owned(), Value::from(call.context(&context)));
        view.extend(group_view(group, &call.query.select));
        Ok(Answer::json(200, &Value::from(view)))
    }

    fn resolve(&self, id: &str) -> Option<Member> {
        let user = self.by_id.find(id, |i| Some(self.users.get(i as usize)?.0.id())).map(Member::User);
        user.or_else(|| self.group_by_id.get(&id.to_ascii_lowercase()).copied().map(Member::Group))
    }

    pub(super) fn list_members(&self, call: &Call, id: &str) -> Result<Answer, Refusal> {
        check_select(call)?;
        let group = self.group(self.group_at(id)?)?;
        let members: Vec<Member> = group.members.iter().filter_map(|id| self.resolve(id)).collect();
        self.member_page(call, &members, "directoryObjects")
    }

    pub(super) fn list_transitive(
        &mut self,
        call: &Call,
        id: &str,
        users_alone: bool,
    ) -> Result<Answer, Refusal> {
        check_select(call)?;
        if users_alone && !(call.eventual && call.query.count) {
            return Err(Refusal::Advanced);
        }
        let at = self.group_at(id)?;
        let members = match self.expanded.get(&at) {
            Some(known) => Arc::clone(known),
            None => {
                let walked = Arc::new(self.expand(at)?);
                self.expanded.insert(at, Arc::clone(&walked));
                walked
            }
        };
        if users_alone {
            let users: Vec<Member> =
                members.iter().copied().filter(|m| matches!(m, Member::User(_))).collect();
            self.member_page(call, &users, "users")
        } else {
            self.member_page(call, &members, "directoryObjects")
        }
    }

    /// Everybody below a group, each once, whatever circles the groups make.
    fn expand(&self, root: u32) -> Result<Vec<Member>, Refusal> {
        let mut seen = HashSet::from([Member::Group(root)]);
        let mut found = Vec::new();
        let mut open = vec![root];
        while let Some(at) = open.pop() {
            for member in self.group(at)?.members.iter().filter_map(|id| self.resolve(id)) {
                if seen.insert(member) {
                    found.push(member);
                    if let Member::Group(inner) = member {
                        open.push(inner);
                    }
                }
            }
        }
        Ok(found)
    }

    fn member_page(&self, call: &Call, members: &[Member], context: &str) -> Result<Answer, Refusal> {
        let page = members.iter().skip(call.query.skip).take(call.query.page_size());
        let page = page.map(|m| self.member_view(call, *m)).collect::<Result<Vec<_>, _>>()?;
        Ok(page_answer(call, &selection(context, &call.query.select), page, members.len()))
    }

    /// A directory object among others: it says what it is.
    pub(super) fn member_view(&self, call: &Call, member: Member) -> Result<Value, Refusal> {
        let (kind, properties) = match member {
            Member::User(at) => {
                ("#microsoft.graph.user", user_view(self.attributes(at)?, &call.query.select))
            }
            Member::Group(at) => ("#microsoft.graph.group", group_view(self.group(at)?, &call.query.select)),
        };
        let mut view = Map::new();
        view.insert("@odata.type".to_owned(), Value::from(kind));
        view.extend(properties);
        Ok(Value::from(view))
    }
}
