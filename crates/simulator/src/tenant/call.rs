//! One call of Graph, on its own or as an item of a bundle, and the place where it is handed to its rules.

use super::answer::Answer;
use super::query::Query;
use super::refusal::Refusal;
use super::route::{Route, Verb, Version};
use super::{Now, Tenant};
use serde_json::Value;

/// The body of a call.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Content {
    /// None was sent.
    Empty,
    /// JSON.
    Json(Value),
    /// It cannot be used, and why.
    Unusable(&'static str),
}

/// A call that names something that exists.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) version: Version,
    pub(crate) verb: Verb,
    pub(crate) route: Route,
    /// The path as sent, with its version, for links.
    pub(crate) path: String,
    pub(crate) query: Query,
    pub(crate) content: Content,
    /// `ConsistencyLevel: eventual` was sent.
    pub(crate) eventual: bool,
    /// `Prefer: include-unknown-enum-members` was sent.
    pub(crate) unknown_members: bool,
    /// Scheme and host as the client sees them.
    pub(crate) base: String,
}

/// What a call is about, as far as fate cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Read,
    /// Of a phone number.
    PhoneWrite,
    /// Of a group: its members, or its end.
    GroupWrite,
    /// Of a rollout policy.
    RolloutWrite,
    /// Of anything else.
    OtherWrite,
}

/// What a call costs (`throttling-limits`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cost {
    pub(crate) resource_units: u32,
    pub(crate) is_write: bool,
}

impl Call {
    /// Base cost by path; `$select` makes it one cheaper, `$expand` one dearer, a page below 20 one cheaper.
    pub(crate) fn cost(&self) -> Cost {
        let is_lookup = matches!(self.route, Route::GetByIds);
        let is_write = self.verb != Verb::Get && !is_lookup;
        let base: i32 = match (&self.route, self.verb) {
            (Route::GetByIds, _) => 5,
            (Route::Users, Verb::Get) => 2,
            (Route::Members(_), Verb::Get) => 3,
            (Route::TransitiveMembers(_) | Route::TransitiveUsers(_), Verb::Get) => 5,
            _ => 1,
        };
        // The table gives getByIds with $select as 2, not as one less.
        let select = if self.query.select.is_empty() {
            0
        } else if is_lookup {
            -3
        } else {
            -1
        };
        let expand = i32::from(self.query.expand.is_some());
        let small = if self.query.top.is_some_and(|n| n < 20) { -1 } else { 0 };
        let units = (base + select + expand + small).max(1);
        Cost { resource_units: u32::try_from(units).unwrap_or(1), is_write }
    }

    /// What it is about.
    pub(crate) fn kind(&self) -> Kind {
        let is_phone = matches!(self.route, Route::Phones(_) | Route::Phone(..))
            && matches!(self.verb, Verb::Post | Verb::Patch);
        let is_rollout = matches!(
            self.route,
            Route::Rollouts | Route::Rollout(_) | Route::RolloutRefs(_) | Route::RolloutRef(..)
        );
        match self.cost().is_write {
            false => Kind::Read,
            true if is_phone => Kind::PhoneWrite,
            true if self.route.written_group(self.verb).is_some() => Kind::GroupWrite,
            true if is_rollout => Kind::RolloutWrite,
            true => Kind::OtherWrite,
        }
    }

    /// `@odata.context` of an answer.
    pub(crate) fn context(&self, of: &str) -> String {
        format!("{}/{}/$metadata#{of}", self.base, self.version.as_str())
    }

    /// The body as an object.
    pub(super) fn object(&self) -> Result<&serde_json::Map<String, Value>, Refusal> {
        match &self.content {
            Content::Json(Value::Object(map)) => Ok(map),
            Content::Json(_) => Err(Refusal::Body("The body is not a JSON object.")),
            Content::Empty => Err(Refusal::Body("Empty Payload. JSON content expected.")),
            Content::Unusable(why) => Err(Refusal::Body(why)),
        }
    }

    /// A text property of the body that must be there.
    pub(super) fn text(&self, name: &'static str) -> Result<&str, Refusal> {
        self.object()?.get(name).and_then(Value::as_str).ok_or(Refusal::Property(name))
    }
}

impl Tenant {
    /// Answers a call; a refusal has changed nothing.
    pub(crate) fn answer(&mut self, call: &Call, now: Now) -> Answer {
        self.dispatch(call, now).unwrap_or_else(|refusal| Answer::from(&refusal))
    }

    fn dispatch(&mut self, call: &Call, now: Now) -> Result<Answer, Refusal> {
        if let Content::Unusable(why) = &call.content {
            return Err(Refusal::Body(why));
        }
        match (&call.route, call.verb) {
            (Route::Users, Verb::Get) => self.list_users(call),
            (Route::User(user), Verb::Get) => self.get_user(call, user),
            (Route::GetByIds, Verb::Post) => self.get_by_ids(call),
            (Route::Methods(user), Verb::Get) => self.list_methods(call, user, now),
            (Route::Method(user, id), Verb::Get) => self.get_method(call, user, id, now),
            (Route::Phones(user), Verb::Get) => self.list_phones(call, user, now),
            (Route::Phones(user), Verb::Post) => self.create_phone(call, user, now),
            (Route::Phone(user, id), Verb::Get) => self.get_phone(call, user, id, now),
            (Route::Phone(user, id), Verb::Patch) => self.update_phone(call, user, id, now),
            (Route::Phone(user, id), Verb::Delete) => self.delete_phone(user, id, now),
            (Route::EnableSmsSignIn(user, _), Verb::Post) => self.user(user).and(Err(Refusal::SmsSignIn)),
            (Route::DisableSmsSignIn(user, _), Verb::Post) => self.user(user).map(|_| Answer::no_content()),
            (Route::Apps(user), Verb::Get) => self.list_apps(call, user, now),
            (Route::App(user, id), Verb::Get) => self.get_app(call, user, id, now),
            (Route::App(user, id), Verb::Delete) => self.delete_app(user, id, now),
            (Route::Softwares(user), Verb::Get) => self.list_software(call, user, now),
            (Route::Software(user, id), Verb::Get) => self.get_software(call, user, id, now),
            (Route::Software(user, id), Verb::Delete) => self.delete_software(user, id, now),
            (
                Route::Tokens(_)
                | Route::Token(..)
                | Route::Activate(..)
                | Route::Deactivate(..)
                | Route::AssignAndActivate(_)
                | Route::AssignAndActivateBySerial(_)
                | Route::Devices
                | Route::Device(_),
                _,
            ) => self.dispatch_tokens(call, now),
            (Route::Preferences(user), Verb::Get) => self.get_preferences(call, user, now),
            (Route::Preferences(user), Verb::Patch) => self.update_preferences(call, user, now),
            (Route::Requirements(user), Verb::Get) => self.get_requirements(call, user, now),
            (Route::Requirements(user), Verb::Patch) => self.update_requirements(call, user, now),
            (Route::Passes(user), Verb::Get) => self.list_passes(call, user, now),
            (Route::Passes(user), Verb::Post) => self.create_pass(call, user, now),
            (Route::Pass(user, id), Verb::Get) => self.get_pass(call, user, id, now),
            (Route::Pass(user, id), Verb::Delete) => self.delete_pass(user, id, now),
            (
                Route::Groups
                | Route::Group(_)
                | Route::Members(_)
                | Route::MemberRefs(_)
                | Route::Member(..)
                | Route::MemberRef(..)
                | Route::TransitiveMembers(_)
                | Route::TransitiveUsers(_),
                _,
            ) => self.dispatch_groups(call, now),
            (Route::Policy, Verb::Get) => Ok(self.policy.whole(call)),
            (Route::PolicyConfigurations, Verb::Get) => Ok(self.policy.configurations(call)),
            (Route::PolicyConfiguration(id), Verb::Get) => self.policy.configuration(call, id),
            (Route::PolicyConfiguration(id), Verb::Patch) => self.policy.set_state(call, id),
            (
                Route::Rollouts
                | Route::Rollout(_)
                | Route::RolloutAppliesTo(_)
                | Route::RolloutRefs(_)
                | Route::RolloutRef(..),
                _,
            ) => self.dispatch_rollouts(call, now),
            (Route::Domains | Route::Domain(_) | Route::Federations(_) | Route::Federation(..), _) => {
                self.dispatch_domains(call, now)
            }
            _ => Err(Refusal::Verb),
        }
    }

    fn dispatch_groups(&mut self, call: &Call, now: Now) -> Result<Answer, Refusal> {
        match (&call.route, call.verb) {
            (Route::Groups, Verb::Get) => self.list_groups(call, now),
            (Route::Group(id), Verb::Get) => self.get_group(call, id, now),
            (Route::Group(id), Verb::Patch) => self.add_members(call, id, now),
            (Route::Group(id), Verb::Delete) => self.delete_group(id, now),
            (Route::Members(id), Verb::Get) => self.list_members(call, id, now),
            (Route::MemberRefs(id), Verb::Post) => self.add_member(call, id, now),
            (Route::MemberRef(id, member), Verb::Delete) => self.remove_member(id, member, now),
            (Route::TransitiveMembers(id), Verb::Get) => self.list_transitive(call, id, false, now),
            (Route::TransitiveUsers(id), Verb::Get) => self.list_transitive(call, id, true, now),
            _ => Err(Refusal::Verb),
        }
    }

    fn dispatch_tokens(&mut self, call: &Call, now: Now) -> Result<Answer, Refusal> {
        match (&call.route, call.verb) {
            (Route::Tokens(user), Verb::Get) => self.list_tokens(call, user, now),
            (Route::Tokens(user), Verb::Post) => self.assign_token(call, user, now),
            (Route::Token(user, id), Verb::Get) => self.get_token(call, user, id, now),
            (Route::Token(user, id), Verb::Delete) => self.unassign_token(user, id, now),
            (Route::Activate(user, id), Verb::Post) => self.activate_token(call, user, id, now),
            (Route::Deactivate(user, id), Verb::Post) => self.deactivate_token(user, id, now),
            (Route::AssignAndActivate(user), Verb::Post) => self.assign_and_activate(call, user, now),
            (Route::AssignAndActivateBySerial(user), Verb::Post) => {
                self.assign_and_activate_by_serial(call, user, now)
            }
            (Route::Devices, Verb::Get) => self.list_devices(call, now),
            (Route::Devices, Verb::Post) => self.create_device(call, now),
            (Route::Devices, Verb::Patch) => self.create_devices(call, now),
            (Route::Device(id), Verb::Get) => self.get_device(call, id, now),
            (Route::Device(id), Verb::Patch) => self.update_device(call, id, now),
            (Route::Device(id), Verb::Delete) => self.delete_device(id, now),
            _ => Err(Refusal::Verb),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::route::parse;
    use super::*;

    fn cost(verb: Verb, path: &str, query: &str) -> (u32, bool) {
        let call = Call {
            version: Version::V1,
            verb,
            route: parse(Version::V1, path).unwrap(),
            path: path.to_owned(),
            query: Query::parse(query).unwrap(),
            content: Content::Empty,
            eventual: false,
            unknown_members: false,
            base: String::new(),
        };
        let cost = call.cost();
        (cost.resource_units, cost.is_write)
    }

    /// The table of `throttling-limits`.
    #[test]
    fn calls_cost_what_microsoft_publishes() {
        assert_eq!(cost(Verb::Get, "/users", ""), (2, false));
        assert_eq!(cost(Verb::Get, "/users", "$select=id"), (1, false));
        assert_eq!(cost(Verb::Get, "/users/x", "$select=id"), (1, false));
        assert_eq!(cost(Verb::Get, "/users/x", "$expand=manager"), (2, false));
        assert_eq!(cost(Verb::Get, "/groups/x/members", ""), (3, false));
        assert_eq!(cost(Verb::Get, "/groups/x/transitiveMembers", ""), (5, false));
        assert_eq!(cost(Verb::Get, "/groups/x/transitiveMembers", "$select=id"), (4, false));
        assert_eq!(cost(Verb::Get, "/groups/x/transitiveMembers", "$select=id&$top=10"), (3, false));
        assert_eq!(cost(Verb::Post, "/directoryObjects/getByIds", ""), (5, false));
        assert_eq!(cost(Verb::Post, "/directoryObjects/getByIds", "$select=id"), (2, false));
        assert_eq!(cost(Verb::Post, "/users/x/authentication/phoneMethods", ""), (1, true));
        assert_eq!(cost(Verb::Patch, "/groups/x", ""), (1, true));
        assert_eq!(cost(Verb::Delete, "/groups/x/members/y/$ref", ""), (1, true));
        assert_eq!(cost(Verb::Post, "/policies/featureRolloutPolicies/x/appliesTo/$ref", ""), (1, true));
    }
}
