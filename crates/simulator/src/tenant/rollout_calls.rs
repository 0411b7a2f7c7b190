//! What changes feature rollout policies: made, renamed, switched, ended, groups in and out.
//!
//! Microsoft's limits hold here and nowhere else: one policy a feature, ten groups a feature, two hundred users in a group
//! when it is taken in, fifty thousand ever after; no group with a rule, a group, or a contact in it. A refusal changes
//! nothing, and a group that is gone is in no policy.

use super::answer::Answer;
use super::call::Call;
use super::effect::Effect;
use super::membership::reference;
use super::refusal::Refusal;
use super::rollout::{APPLIES_TO, FEATURES, POLICIES, entity, is_it, list_in, without};
use super::roster::Member;
use super::{Now, Tenant};
use serde_json::{Map, Value, json};

const METHOD: &str = "rolloutPolicy";
const GROUPS_MAX: usize = 10;
const USERS_AT_FIRST: usize = 200;
const USERS_MAX: usize = 50_000;

fn feature_of(policy: &Value) -> &str {
    policy.get("feature").and_then(Value::as_str).unwrap_or_default()
}

fn word(enabled: bool) -> String {
    if enabled { "enabled" } else { "disabled" }.to_owned()
}

/// A flag of a body; an error where it is something else.
fn flag(body: &Map<String, Value>, name: &'static str) -> Result<Option<bool>, Refusal> {
    body.get(name).map(|value| value.as_bool().ok_or(Refusal::Property(name))).transpose()
}

/// A name of a body; an error where it is empty or something else.
fn name(body: &Map<String, Value>) -> Result<Option<&str>, Refusal> {
    const NAME: &str = "displayName";
    let text = |value: &'_ Value| value.as_str().is_some_and(|text| !text.is_empty());
    match body.get(NAME) {
        None => Ok(None),
        Some(value) if text(value) => Ok(value.as_str()),
        Some(_) => Err(Refusal::Property(NAME)),
    }
}

/// A description of a body: a text, or null.
fn description(body: &Map<String, Value>) -> Result<Option<&Value>, Refusal> {
    match body.get("description") {
        Some(value) if !(value.is_string() || value.is_null()) => Err(Refusal::Property("description")),
        other => Ok(other),
    }
}

fn only(body: &Map<String, Value>, known: &[&str]) -> Result<(), Refusal> {
    if body.keys().all(|key| known.contains(&key.as_str()) || key == "@odata.type") {
        Ok(())
    } else {
        Err(Refusal::Request("A property of the rollout policy cannot be set."))
    }
}

impl Tenant {
    fn rollout_at(&self, id: &str) -> Result<usize, Refusal> {
        let at = self.rollouts.iter().position(|policy| policy.as_ref().is_some_and(|p| is_it(p, id)));
        at.ok_or_else(|| Refusal::Absent(id.to_owned()))
    }

    /// A policy for a change that nothing refuses any more.
    fn change_rollout_at(&mut self, at: usize, now: Now) -> Result<&mut Option<Value>, Refusal> {
        let policy = self.rollouts.get_mut(at).ok_or_else(|| Refusal::Absent(at.to_string()))?;
        if let Ok(index) = u32::try_from(at) {
            self.hidden_rollouts.keep(index, now.uptime, || policy.clone());
        }
        Ok(policy)
    }

    fn note_rollout(&mut self, from: Option<String>, to: Option<String>) {
        self.effects.push(Effect { user: None, method: METHOD, serial: None, from, to });
    }

    pub(super) fn create_rollout(&mut self, call: &Call, now: Now) -> Result<Answer, Refusal> {
        let body = call.object()?;
        only(body, &["displayName", "description", "feature", "isEnabled", "isAppliedToOrganization"])?;
        let display_name = name(body)?.ok_or(Refusal::Property("displayName"))?.to_owned();
        let description = description(body)?.cloned().unwrap_or_default();
        let feature = body.get("feature").and_then(Value::as_str).filter(|word| FEATURES.contains(word));
        let feature = feature.ok_or(Refusal::Property("feature"))?.to_owned();
        let enabled = flag(body, "isEnabled")?.ok_or(Refusal::Property("isEnabled"))?;
        let everybody = flag(body, "isAppliedToOrganization")?.unwrap_or(false);
        if self.rollouts.iter().flatten().any(|policy| feature_of(policy) == feature) {
            return Err(Refusal::Request("A rollout policy for this feature is there already."));
        }
        let policy = json!({
            "id": self.ids.fresh(),
            "displayName": display_name,
            "description": description,
            "feature": feature,
            "isEnabled": enabled,
            "isAppliedToOrganization": everybody,
            "appliesTo": [],
        });
        let mut answer = entity(call, without(&policy, APPLIES_TO), POLICIES);
        answer.status = 201;
        self.rollouts.push(None);
        *self.change_rollout_at(self.rollouts.len() - 1, now)? = Some(policy);
        self.note_rollout(None, Some("created".to_owned()));
        Ok(answer)
    }

    pub(super) fn change_rollout(&mut self, call: &Call, id: &str, now: Now) -> Result<Answer, Refusal> {
        let at = self.rollout_at(id)?;
        let body = call.object()?;
        only(body, &["displayName", "description", "isEnabled"])?;
        let enabled = flag(body, "isEnabled")?;
        let display_name = name(body)?;
        let description = description(body)?;
        if enabled.is_none() && display_name.is_none() && description.is_none() {
            return Err(Refusal::Request("Nothing of the rollout policy is to be changed."));
        }
        let policy = self.change_rollout_at(at, now)?;
        let map = policy.as_mut().and_then(Value::as_object_mut);
        let map = map.ok_or_else(|| Refusal::Absent(id.to_owned()))?;
        let mut effects = Vec::new();
        let mut set =
            |method: &'static str, property: &str, value: Value, say: fn(&Value) -> Option<String>| {
                let to = say(&value);
                let before = map.insert(property.to_owned(), value);
                let from = before.as_ref().and_then(say);
                effects.push(Effect { user: None, method, serial: None, from, to });
            };
        let text: fn(&Value) -> Option<String> = |value| value.as_str().map(str::to_owned);
        if let Some(enabled) = enabled {
            set(METHOD, "isEnabled", Value::from(enabled), |value| value.as_bool().map(word));
        }
        if let Some(name) = display_name {
            set("rolloutPolicyName", "displayName", Value::from(name), text);
        }
        if let Some(value) = description {
            set("rolloutPolicyDescription", "description", value.clone(), text);
        }
        self.effects.extend(effects);
        Ok(Answer::no_content())
    }

    pub(super) fn delete_rollout(&mut self, id: &str, now: Now) -> Result<Answer, Refusal> {
        let at = self.rollout_at(id)?;
        let policy = self.change_rollout_at(at, now)?.take().unwrap_or_default();
        for group in list_in(&policy, APPLIES_TO) {
            self.note_rollout(group.get("id").and_then(Value::as_str).map(str::to_owned), None);
        }
        self.note_rollout(Some("created".to_owned()), None);
        Ok(Answer::no_content())
    }

    pub(super) fn apply_rollout(&mut self, call: &Call, id: &str, now: Now) -> Result<Answer, Refusal> {
        let at = self.rollout_at(id)?;
        let wanted = reference(call)?;
        let group = self.group(self.group_at(wanted)?)?;
        let name = group.file.id.clone();
        let policy = self.rollouts.get(at).and_then(Option::as_ref);
        let policy = policy.ok_or_else(|| Refusal::Absent(id.to_owned()))?;
        if list_in(policy, APPLIES_TO).iter().any(|there| is_it(there, &name)) {
            return Err(Refusal::ReferenceExists(APPLIES_TO));
        }
        let of_feature = self.rollouts.iter().flatten().filter(|p| feature_of(p) == feature_of(policy));
        if of_feature.map(|policy| list_in(policy, APPLIES_TO).len()).sum::<usize>() >= GROUPS_MAX {
            return Err(Refusal::Request("A feature can be rolled out to ten groups and no more."));
        }
        if group.is_dynamic() {
            return Err(Refusal::Request("Dynamic groups are not supported for staged rollout."));
        }
        // A stranger is nobody.
        let is_odd = |member: Member| matches!(member, Member::Group(_) | Member::Contact(_));
        if group.roster.members().any(is_odd) {
            return Err(Refusal::Request(
                "A group with groups or contacts in it is not supported for staged rollout.",
            ));
        }
        if group.roster.users() > USERS_AT_FIRST {
            return Err(Refusal::Request(
                "A group of more than 200 users cannot be added to a rollout at once.",
            ));
        }
        let policy = self.change_rollout_at(at, now)?.as_mut().and_then(Value::as_object_mut);
        let policy = policy.ok_or_else(|| Refusal::Absent(id.to_owned()))?;
        let list = policy.entry(APPLIES_TO).or_insert_with(|| json!([]));
        if let Some(list) = list.as_array_mut() {
            list.push(json!({ "@odata.type": "#microsoft.graph.group", "id": name }));
        } else {
            *list = json!([{ "@odata.type": "#microsoft.graph.group", "id": name }]);
        }
        self.note_rollout(None, Some(name));
        Ok(Answer::no_content())
    }

    pub(super) fn unapply_rollout(&mut self, id: &str, group: &str, now: Now) -> Result<Answer, Refusal> {
        let at = self.rollout_at(id)?;
        self.take_out(at, group, now)?;
        Ok(Answer::no_content())
    }

    /// Takes a group out of a policy.
    fn take_out(&mut self, at: usize, group: &str, now: Now) -> Result<(), Refusal> {
        let absent = || Refusal::Absent(group.to_owned());
        let policy = self.rollouts.get(at).and_then(Option::as_ref).ok_or_else(absent)?;
        let place = list_in(policy, APPLIES_TO).iter().position(|there| is_it(there, group));
        let place = place.ok_or_else(absent)?;
        let policy = self.change_rollout_at(at, now)?.as_mut();
        let list = policy.and_then(|policy| policy.get_mut(APPLIES_TO)).and_then(Value::as_array_mut);
        let gone = list.ok_or_else(absent)?.remove(place);
        self.note_rollout(gone.get("id").and_then(Value::as_str).map(str::to_owned), None);
        Ok(())
    }

    /// Takes a group that is gone out of every policy.
    pub(super) fn take_out_of_rollouts(&mut self, group: &str, now: Now) {
        for at in 0..self.rollouts.len() {
            // Where it is not, there is nothing to do.
            self.take_out(at, group, now).ok();
        }
    }

    /// Whether so many users more may join a group.
    pub(super) fn allow_growth(&self, at: u32, users: usize) -> Result<(), Refusal> {
        let group = self.group(at)?;
        let is_bound = |policy: &Value| {
            feature_of(policy) == "multiFactorAuthentication"
                && list_in(policy, APPLIES_TO).iter().any(|there| is_it(there, &group.file.id))
        };
        let is_full = users > 0 && group.roster.users() + users > USERS_MAX;
        if is_full && self.rollouts.iter().flatten().any(is_bound) {
            return Err(Refusal::Request("A group of a rollout policy can have 50,000 users and no more."));
        }
        Ok(())
    }
}
