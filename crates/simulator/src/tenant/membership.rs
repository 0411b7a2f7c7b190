//! What changes groups: members in, members out, a group's end.
//!
//! A request with several members adds all of them or none. Nothing is read here as readers see it: who is a member
//! already is a question of what is true. Groups whose members come from a rule or from on-premises are not written.

use super::answer::Answer;
use super::call::Call;
use super::effect::Effect;
use super::groups::Group;
use super::refusal::Refusal;
use super::roster::Member;
use super::{Now, Tenant};
use serde_json::Value;
use std::collections::HashSet;
use std::time::Duration;

/// The bound list of a request, and Graph's longest.
const BIND: &str = "members@odata.bind";
const BIND_MAX: usize = 20;
const METHOD: &str = "group";

/// The id in a reference such as `https://graph.microsoft.com/v1.0/directoryObjects/{id}`; any host, since every cloud
/// has its own.
pub(super) fn referenced(url: &str) -> Option<&str> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"))?;
    let (host, path) = rest.split_once('/')?;
    let id = path.strip_prefix("v1.0/directoryObjects/")?;
    (!host.is_empty() && !id.is_empty() && !id.contains(['/', '?', '#'])).then_some(id)
}

/// The one reference of a body.
pub(super) fn reference(call: &Call) -> Result<&str, Refusal> {
    let body = call.object()?;
    if body.keys().any(|key| key != "@odata.id" && key != "@odata.type") {
        return Err(Refusal::Request("A reference has an @odata.id and nothing else."));
    }
    body.get("@odata.id")
        .and_then(Value::as_str)
        .and_then(referenced)
        .ok_or(Refusal::Request("Invalid object identifier or URL in @odata.id."))
}

impl Tenant {
    /// The place of a group whose members may be written.
    fn writable(&self, id: &str) -> Result<u32, Refusal> {
        let at = self.group_at(id)?;
        let group = self.group(at)?;
        if group.is_dynamic() {
            return Err(Refusal::Request("Insufficient privileges: the membership of the group is dynamic."));
        }
        may_end(group)?;
        Ok(at)
    }

    pub(super) fn add_members(&mut self, call: &Call, id: &str, now: Now) -> Result<Answer, Refusal> {
        let at = self.writable(id)?;
        let body = call.object()?;
        let list = body.get(BIND).and_then(Value::as_array);
        let list = list
            .filter(|list| !list.is_empty() && body.keys().all(|key| key == BIND || key == "@odata.type"))
            .ok_or(Refusal::Request("Of a group its members alone can be changed, by members@odata.bind."))?;
        if list.len() > BIND_MAX {
            return Err(Refusal::Request("More than 20 members were bound in one request."));
        }
        let ids = list.iter().map(|url| url.as_str().and_then(referenced)).collect::<Option<Vec<_>>>();
        let ids = ids.ok_or(Refusal::Request("Invalid object identifier or URL in members@odata.bind."))?;
        self.admit(at, &ids, now)
    }

    pub(super) fn add_member(&mut self, call: &Call, id: &str, now: Now) -> Result<Answer, Refusal> {
        let at = self.writable(id)?;
        let one = reference(call)?;
        self.admit(at, &[one], now)
    }

    /// Adds all of them, or none.
    fn admit(&mut self, at: u32, ids: &[&str], now: Now) -> Result<Answer, Refusal> {
        let found = ids.iter().map(|id| self.resolve(id).ok_or_else(|| Refusal::Absent((*id).to_owned())));
        let members: Vec<Member> = found.collect::<Result<_, _>>()?;
        let roster = &self.group(at)?.roster;
        let mut once = HashSet::new();
        if members.iter().any(|member| roster.contains(*member) || !once.insert(*member)) {
            return Err(Refusal::ReferenceExists("members"));
        }
        let users = members.iter().filter(|member| matches!(member, Member::User(_))).count();
        self.allow_growth(at, users)?;
        let visible = self.visible_at(now);
        let group = self.groups.get_mut(at as usize).ok_or_else(|| Refusal::Absent(at.to_string()))?;
        for member in &members {
            group.roster.join(*member, now.uptime, visible);
        }
        let name = group.file.id.clone();
        for member in members {
            let user = Some(self.id_of(member).to_owned());
            let to = Some(name.clone());
            self.effects.push(Effect { user, method: METHOD, serial: None, from: None, to });
        }
        self.expanded.clear();
        Ok(Answer::no_content())
    }

    pub(super) fn remove_member(&mut self, id: &str, member: &str, now: Now) -> Result<Answer, Refusal> {
        let at = self.writable(id)?;
        let absent = || Refusal::Absent(member.to_owned());
        let found = self.resolve(member).ok_or_else(absent)?;
        let visible = self.visible_at(now);
        let group = self.groups.get_mut(at as usize).ok_or_else(absent)?;
        if !group.roster.leave(found, now.uptime, visible) {
            return Err(absent());
        }
        let from = Some(group.file.id.clone());
        let user = Some(self.id_of(found).to_owned());
        self.effects.push(Effect { user, method: METHOD, serial: None, from, to: None });
        self.expanded.clear();
        Ok(Answer::no_content())
    }

    /// Ends a group. One line of the journal stands for all its memberships.
    pub(super) fn delete_group(&mut self, id: &str, now: Now) -> Result<Answer, Refusal> {
        let at = self.group_at(id)?;
        may_end(self.group(at)?)?;
        let visible = self.visible_at(now);
        let group = self.groups.get_mut(at as usize).ok_or_else(|| Refusal::Absent(id.to_owned()))?;
        group.deleted = Some(visible);
        let name = group.file.id.clone();
        self.effects.push(Effect {
            user: None,
            method: METHOD,
            serial: None,
            from: Some(name.clone()),
            to: None,
        });
        let mut left = Vec::new();
        for outer in &mut self.groups {
            if outer.deleted.is_none() && outer.roster.leave(Member::Group(at), now.uptime, visible) {
                left.push(outer.file.id.clone());
            }
        }
        for outer in left {
            let user = Some(name.clone());
            self.effects.push(Effect { user, method: METHOD, serial: None, from: Some(outer), to: None });
        }
        self.take_out_of_rollouts(&name, now);
        self.expanded.clear();
        Ok(Answer::no_content())
    }

    /// From when on readers see a change of this moment.
    fn visible_at(&self, now: Now) -> Duration {
        now.uptime + self.visible_after
    }
}

/// Refuses what is written elsewhere, or by others.
fn may_end(group: &Group) -> Result<(), Refusal> {
    if group.file.on_premises_sync_enabled == Some(true) {
        return Err(Refusal::Request(
            "Unable to update the specified properties for on-premises mastered Directory Sync objects.",
        ));
    }
    if group.file.is_assignable_to_role == Some(true) {
        return Err(Refusal::RoleGroup);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_a_whole_url_of_a_directory_object() {
        assert_eq!(referenced("https://graph.microsoft.com/v1.0/directoryObjects/u-1"), Some("u-1"));
        assert_eq!(referenced("http://127.0.0.1:80/v1.0/directoryObjects/u-1"), Some("u-1"));
        for bad in [
            "u-1",
            "/v1.0/directoryObjects/u-1",
            "https:///v1.0/directoryObjects/u-1",
            "https://graph.microsoft.com/v1.0/directoryObjects/",
            "https://graph.microsoft.com/v1.0/directoryObjects/u-1/x",
            "https://graph.microsoft.com/v1.0/users/u-1",
            "https://graph.microsoft.com/directoryObjects/u-1",
        ] {
            assert_eq!(referenced(bad), None, "{bad}");
        }
    }
}
