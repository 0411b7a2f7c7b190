//! Feature rollout policies, as the state file has them; read only.
//!
//! Their navigation property (`appliesTo`) lies inside its owner in the file and comes out where Graph has it.

use super::Tenant;
use super::answer::Answer;
use super::call::Call;
use super::inventory_calls::page_answer;
use super::refusal::Refusal;
use super::route::{Route, Verb};
use serde_json::Value;

pub(super) fn by_id<'v>(list: &'v [Value], id: &str) -> Result<&'v Value, Refusal> {
    list.iter()
        .find(|v| v.get("id").and_then(Value::as_str).is_some_and(|i| i.eq_ignore_ascii_case(id)))
        .ok_or_else(|| Refusal::Absent(id.to_owned()))
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
    pub(super) fn get_rollout(&self, call: &Call) -> Result<Answer, Refusal> {
        const POLICIES: &str = "policies/featureRolloutPolicies";
        let expands = call.query.expand.as_deref().is_some_and(|e| e.contains("appliesTo"));
        let rollout = |v: &Value| if expands { v.clone() } else { without(v, "appliesTo") };
        match (&call.route, call.verb) {
            (Route::Rollouts, Verb::Get) => {
                Ok(list(call, self.rollouts.iter().map(rollout).collect(), POLICIES))
            }
            (Route::Rollout(id), Verb::Get) => {
                Ok(entity(call, rollout(by_id(&self.rollouts, id)?), POLICIES))
            }
            (Route::RolloutAppliesTo(id), Verb::Get) => {
                let groups = list_in(by_id(&self.rollouts, id)?, "appliesTo");
                Ok(list(call, groups.to_vec(), "directoryObjects"))
            }
            _ => Err(Refusal::Verb),
        }
    }
}
