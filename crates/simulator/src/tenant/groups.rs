//! Groups and who is in them, nested groups included, as readers see them.
//!
//! Nothing here changes a group (`membership` does). A group without groups in it is read off its roster; an expansion
//! of any other is walked once and kept until a membership changes or a change comes to light. A group that was deleted
//! keeps its place, so that places name the same group for ever.

use super::answer::Answer;
use super::call::Call;
use super::directory::{check_select, selection, user_view};
use super::filter::Filter;
use super::inventory_calls::{page_answer, page_until};
use super::refusal::Refusal;
use super::roster::{Member, Roster, Seen};
use super::state::GroupFile;
use super::{Now, Tenant};
use serde_json::{Map, Value, json};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

/// How many ids Graph compares with in one filter.
const IDS_MAX: usize = 15;

/// A group; `file` is without its members.
pub(crate) struct Group {
    pub(super) file: GroupFile,
    pub(super) roster: Roster,
    /// When readers stop seeing it; it is gone for writers already.
    pub(super) deleted: Option<Duration>,
}

impl Group {
    pub(super) fn is_dynamic(&self) -> bool {
        self.file.kind.as_deref() == Some("dynamic")
    }
}

/// What is below a group, and until when that is what readers see.
pub(crate) struct Expansion {
    members: Arc<Vec<Member>>,
    until: Option<Duration>,
}

fn group_view(group: &Group, select: &[String]) -> Map<String, Value> {
    let (file, is_dynamic) = (&group.file, group.is_dynamic());
    let Value::Object(mut all) = json!({
        "id": file.id,
        "deletedDateTime": null,
        "createdDateTime": null,
        "description": null,
        "displayName": file.display_name,
        "groupTypes": if is_dynamic { vec!["DynamicMembership"] } else { Vec::new() },
        "isAssignableToRole": file.is_assignable_to_role,
        "mail": null,
        "mailEnabled": false,
        "mailNickname": file.id,
        "membershipRule": null,
        "membershipRuleProcessingState": is_dynamic.then_some("On"),
        "onPremisesSyncEnabled": file.on_premises_sync_enabled,
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

fn contact_view(id: &str) -> Map<String, Value> {
    let mut view = Map::new();
    view.insert("id".to_owned(), Value::from(id));
    view
}

impl Tenant {
    /// The place of a group that is there, for writers.
    pub(super) fn group_at(&self, id: &str) -> Result<u32, Refusal> {
        let at = self.group_by_id.get(&id.to_ascii_lowercase()).copied();
        let is_there = |at: &u32| self.group(*at).is_ok_and(|group| group.deleted.is_none());
        at.filter(is_there).ok_or_else(|| Refusal::Absent(id.to_owned()))
    }

    /// The place of a group that readers see.
    fn seen_group_at(&self, id: &str, now: Now) -> Result<u32, Refusal> {
        let at = self.group_by_id.get(&id.to_ascii_lowercase()).copied();
        let is_seen = |at: &u32| self.group(*at).is_ok_and(|g| g.deleted.is_none_or(|t| t > now.uptime));
        at.filter(is_seen).ok_or_else(|| Refusal::Absent(id.to_owned()))
    }

    /// A group by its place, whether it is there or not.
    pub(super) fn group(&self, at: u32) -> Result<&Group, Refusal> {
        self.groups.get(at as usize).ok_or_else(|| Refusal::Absent(at.to_string()))
    }

    pub(super) fn list_groups(&self, call: &Call, now: Now) -> Result<Answer, Refusal> {
        let filter = call.query.filter.as_deref().map(Filter::parse).transpose()?;
        if let Some(filter) = &filter {
            filter.only(&["displayName", "id"])?;
        }
        let fits = |group: &&Group| {
            let file = &group.file;
            let property =
                |name: &str| Some(if name == "id" { file.id.clone() } else { file.display_name.clone() });
            group.deleted.is_none_or(|at| at > now.uptime)
                && filter.as_ref().is_none_or(|f| f.matches(property))
        };
        let found: Vec<&Group> = self.groups.iter().filter(fits).collect();
        let select = &call.query.select;
        let page = found.iter().skip(call.query.skip).take(call.query.page_size());
        let page = page.map(|g| Value::from(group_view(g, select))).collect();
        Ok(page_answer(call, &selection("groups", select), page, found.len()))
    }

    pub(super) fn get_group(&self, call: &Call, id: &str, now: Now) -> Result<Answer, Refusal> {
        let group = self.group(self.seen_group_at(id, now)?)?;
        let mut view = Map::new();
        let context = format!("{}/$entity", selection("groups", &call.query.select));
        view.insert("@odata.context".to_owned(), Value::from(call.context(&context)));
        view.extend(group_view(group, &call.query.select));
        Ok(Answer::json(200, &Value::from(view)))
    }

    /// What an id stands for among users, groups that are there, and contacts.
    pub(super) fn resolve(&self, id: &str) -> Option<Member> {
        let user = self.by_id.find(id, |i| Some(self.users.get(i as usize)?.0.id())).map(Member::User);
        let group = || self.group_at(id).ok().map(Member::Group);
        let contact = || self.contact_by_id.get(&id.to_ascii_lowercase()).copied().map(Member::Contact);
        user.or_else(group).or_else(contact)
    }

    /// A member's id.
    pub(super) fn id_of(&self, member: Member) -> &str {
        match member {
            Member::User(at) => self.users.get(at as usize).map(|u| u.0.id()),
            Member::Group(at) => self.groups.get(at as usize).map(|g| g.file.id.as_str()),
            Member::Contact(at) | Member::Stranger(at) => self.others.get(at as usize).map(|id| &**id),
        }
        .unwrap_or_default()
    }

    pub(super) fn list_members(&self, call: &Call, id: &str, now: Now) -> Result<Answer, Refusal> {
        check_select(call)?;
        let seen = self.group(self.seen_group_at(id, now)?)?.roster.seen(now.uptime);
        match &call.query.filter {
            None => self.roster_page(call, &seen, "directoryObjects", Member::is_shown),
            Some(filter) => self.some_members(call, &seen, &Filter::parse(filter)?),
        }
    }

    /// Those of the named ids that are members.
    fn some_members(&self, call: &Call, seen: &Seen<'_>, filter: &Filter) -> Result<Answer, Refusal> {
        if !(call.eventual && call.query.count) {
            return Err(Refusal::Advanced);
        }
        filter.only(&["id"])?;
        let ids = filter
            .any_of("id")
            .ok_or_else(|| Refusal::Query("Invalid or unsupported filter clause.".to_owned()))?;
        if ids.len() > IDS_MAX {
            return Err(Refusal::Query(format!(
                "Too many child clauses specified in search filter expression containing 'OR' operators: {}. Max \
                 allowed: {IDS_MAX}.",
                ids.len()
            )));
        }
        // A member that was a group may have been deleted and be seen still: its place is asked, not whether it is there.
        let place = |id: &&str| {
            let group = || self.group_by_id.get(&id.to_ascii_lowercase()).copied().map(Member::Group);
            let member = self.resolve(id).or_else(group)?;
            Some((seen.seat_of(member)?, member))
        };
        let mut found: Vec<(usize, Member)> = ids.iter().filter_map(place).collect();
        found.sort_unstable_by_key(|(seat, _)| *seat);
        found.dedup();
        let total = found.len();
        let rest = found.into_iter().filter(|(seat, _)| *seat >= call.query.skip);
        self.seats_page(call, rest, "directoryObjects", total)
    }

    fn roster_page(
        &self,
        call: &Call,
        seen: &Seen<'_>,
        context: &str,
        wanted: fn(Member) -> bool,
    ) -> Result<Answer, Refusal> {
        // Only who asks for the count pays for it.
        let total = if call.query.count { seen.from(0).filter(|(_, m)| wanted(*m)).count() } else { 0 };
        let rest = seen.from(call.query.skip).filter(|(_, member)| wanted(*member));
        self.seats_page(call, rest, context, total)
    }

    /// A page of members; the next one begins at a seat.
    fn seats_page(
        &self,
        call: &Call,
        mut rest: impl Iterator<Item = (usize, Member)>,
        context: &str,
        total: usize,
    ) -> Result<Answer, Refusal> {
        let page: Vec<Value> = rest
            .by_ref()
            .take(call.query.page_size())
            .map(|(_, member)| self.member_view(call, member))
            .collect::<Result<_, _>>()?;
        let next = rest.next().map(|(seat, _)| seat);
        Ok(page_until(call, &selection(context, &call.query.select), page, total, next))
    }

    pub(super) fn list_transitive(
        &mut self,
        call: &Call,
        id: &str,
        users_alone: bool,
        now: Now,
    ) -> Result<Answer, Refusal> {
        check_select(call)?;
        if call.query.filter.is_some() {
            return Err(Refusal::Query("The query option '$filter' is not supported here.".to_owned()));
        }
        if users_alone && !(call.eventual && call.query.count) {
            return Err(Refusal::Advanced);
        }
        let at = self.seen_group_at(id, now)?;
        let (context, wanted): (_, fn(Member) -> bool) = if users_alone {
            ("users", |member| matches!(member, Member::User(_)))
        } else {
            ("directoryObjects", Member::is_shown)
        };
        let seen = self.group(at)?.roster.seen(now.uptime);
        if !seen.from(0).any(|(_, member)| matches!(member, Member::Group(_))) {
            return self.roster_page(call, &seen, context, wanted);
        }
        let members: Vec<Member> = self.below(at, now)?.iter().copied().filter(|m| wanted(*m)).collect();
        let page = members.iter().skip(call.query.skip).take(call.query.page_size());
        let page = page.map(|m| self.member_view(call, *m)).collect::<Result<Vec<_>, _>>()?;
        Ok(page_answer(call, &selection(context, &call.query.select), page, members.len()))
    }

    /// Everybody below a group, walked or remembered.
    fn below(&mut self, at: u32, now: Now) -> Result<Arc<Vec<Member>>, Refusal> {
        if let Some(known) = self.expanded.get(&at)
            && known.until.is_none_or(|until| now.uptime < until)
        {
            return Ok(Arc::clone(&known.members));
        }
        let members = Arc::new(self.expand(at, now)?);
        let until = self.groups.iter().filter_map(|g| g.roster.next_to_show(now.uptime)).min();
        self.expanded.insert(at, Expansion { members: Arc::clone(&members), until });
        Ok(members)
    }

    /// Everybody below a group, each once, whatever circles the groups make.
    fn expand(&self, root: u32, now: Now) -> Result<Vec<Member>, Refusal> {
        let mut met = HashSet::from([Member::Group(root)]);
        let mut found = Vec::new();
        let mut open = vec![root];
        while let Some(at) = open.pop() {
            for (_, member) in self.group(at)?.roster.seen(now.uptime).from(0) {
                if met.insert(member) {
                    found.push(member);
                    if let Member::Group(inner) = member {
                        open.push(inner);
                    }
                }
            }
        }
        Ok(found)
    }

    /// A directory object among others: it says what it is.
    pub(super) fn member_view(&self, call: &Call, member: Member) -> Result<Value, Refusal> {
        let select = &call.query.select;
        let (kind, properties) = match member {
            Member::User(at) => ("#microsoft.graph.user", user_view(self.attributes(at)?, select)),
            Member::Group(at) => ("#microsoft.graph.group", group_view(self.group(at)?, select)),
            Member::Contact(_) | Member::Stranger(_) => {
                ("#microsoft.graph.orgContact", contact_view(self.id_of(member)))
            }
        };
        let mut view = Map::new();
        view.insert("@odata.type".to_owned(), Value::from(kind));
        view.extend(properties);
        Ok(Value::from(view))
    }

    /// A group as a directory object, whatever is selected of the object around it.
    pub(super) fn whole_group(&self, at: u32) -> Result<Map<String, Value>, Refusal> {
        let mut view = Map::new();
        view.insert("@odata.type".to_owned(), Value::from("#microsoft.graph.group"));
        view.extend(group_view(self.group(at)?, &[]));
        Ok(view)
    }
}
