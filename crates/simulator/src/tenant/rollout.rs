//! Feature rollout policies, as readers see them.
//!
//! Their navigation property (`appliesTo`) lies inside its owner in the file and comes out where Graph has it. A
//! feature that came after `unknownFutureValue` shows by its name only to who asks for such members.

use super::answer::Answer;
use super::call::Call;
use super::inventory_calls::page_answer;
use super::refusal::Refusal;
use super::route::{Route, Verb};
use super::{Now, Tenant};
use serde_json::Value;

pub(super) const APPLIES_TO: &str = "appliesTo";
pub(super) const POLICIES: &str = "policies/featureRolloutPolicies";
/// The features of v1.0, in the order of the enumeration; those from `LATER` on come after `unknownFutureValue`.
pub(super) const FEATURES: [&str; 6] = [
    "passthroughAuthentication",
    "seamlessSso",
    "passwordHashSync",
    "emailAsAlternateId",
    "certificateBasedAuthentication",
    "multiFactorAuthentication",
];
const LATER: usize = 4;

pub(super) fn by_id<'v>(list: &'v [Value], id: &str) -> Result<&'v Value, Refusal> {
    list.iter().find(|v| is_it(v, id)).ok_or_else(|| Refusal::Absent(id.to_owned()))
}

/// Whether an object has an id.
pub(super) fn is_it(value: &Value, id: &str) -> bool {
    value.get("id").and_then(Value::as_str).is_some_and(|i| i.eq_ignore_ascii_case(id))
}

pub(super) fn without(value: &Value, navigation: &str) -> Value {
    let mut value = value.clone();
    if let Some(map) = value.as_object_mut() {
        map.remove(navigation);
    }
    value
}

pub(super) fn list_in<'v>(value: &'v Value, navigation: &str) -> &'v [Value] {
    value.get(navigation).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

pub(super) fn entity(call: &Call, mut value: Value, context: &str) -> Answer {
    if let Some(map) = value.as_object_mut() {
        map.insert("@odata.context".to_owned(), Value::from(call.context(&format!("{context}/$entity"))));
    }
    Answer::json(200, &value)
}

pub(super) fn list(call: &Call, values: Vec<Value>, context: &str) -> Answer {
    let total = values.len();
    let page = values.into_iter().skip(call.query.skip).take(call.query.page_size()).collect();
    page_answer(call, context, page, total)
}

impl Tenant {
    pub(super) fn dispatch_rollouts(&mut self, call: &Call, now: Now) -> Result<Answer, Refusal> {
        match (&call.route, call.verb) {
            (Route::Rollouts, Verb::Get) => {
                let all = (0..self.rollouts.len()).filter_map(|at| self.seen_rollout(at, now));
                Ok(list(call, all.map(|policy| self.rollout_view(call, policy)).collect(), POLICIES))
            }
            (Route::Rollout(id), Verb::Get) => {
                let policy = self.rollout_view(call, self.seen_rollout_by_id(id, now)?);
                Ok(entity(call, policy, POLICIES))
            }
            (Route::RolloutAppliesTo(id), Verb::Get) => {
                let groups = list_in(self.seen_rollout_by_id(id, now)?, APPLIES_TO);
                let groups = groups.iter().map(|group| self.applied_view(group)).collect();
                Ok(list(call, groups, "directoryObjects"))
            }
            (Route::Rollouts, Verb::Post) => self.create_rollout(call, now),
            (Route::Rollout(id), Verb::Patch) => self.change_rollout(call, id, now),
            (Route::Rollout(id), Verb::Delete) => self.delete_rollout(id, now),
            (Route::RolloutRefs(id), Verb::Post) => self.apply_rollout(call, id, now),
            (Route::RolloutRef(id, group), Verb::Delete) => self.unapply_rollout(id, group, now),
            _ => Err(Refusal::Verb),
        }
    }

    /// What a reader sees at a place.
    fn seen_rollout(&self, at: usize, now: Now) -> Option<&Value> {
        let hidden = u32::try_from(at).ok().and_then(|at| self.hidden_rollouts.seen(at, now.uptime));
        hidden.or_else(|| self.rollouts.get(at))?.as_ref()
    }

    fn seen_rollout_by_id(&self, id: &str, now: Now) -> Result<&Value, Refusal> {
        let mut all = (0..self.rollouts.len()).filter_map(|at| self.seen_rollout(at, now));
        all.find(|policy| is_it(policy, id)).ok_or_else(|| Refusal::Absent(id.to_owned()))
    }

    fn rollout_view(&self, call: &Call, policy: &Value) -> Value {
        let mut view = without(policy, APPLIES_TO);
        let Some(map) = view.as_object_mut() else { return view };
        if let Some(feature) = map.get_mut("feature")
            && !call.unknown_members
            && FEATURES.iter().skip(LATER).any(|later| feature == later)
        {
            *feature = Value::from("unknownFutureValue");
        }
        if call.query.expand.as_deref().is_some_and(|e| e.contains(APPLIES_TO)) {
            let groups = list_in(policy, APPLIES_TO).iter().map(|group| self.applied_view(group));
            map.insert(APPLIES_TO.to_owned(), groups.collect());
        }
        view
    }

    /// What the file says of a group, and what the tenant knows of it besides.
    fn applied_view(&self, stored: &Value) -> Value {
        let id = stored.get("id").and_then(Value::as_str).unwrap_or_default();
        let known = self.group_at(id).and_then(|at| self.whole_group(at));
        match (known, stored) {
            (Ok(mut known), Value::Object(stored)) => {
                known.extend(stored.clone());
                Value::from(known)
            }
            _ => stored.clone(),
        }
    }
}
