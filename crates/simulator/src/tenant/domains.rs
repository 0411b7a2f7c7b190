//! Domains and their federation settings: listed, read, and the one setting that a cut-over changes.
//!
//! `federationConfiguration` lies inside its domain in the file and comes out where Graph has it. A change shows to readers
//! only after the delay that the faults ask for; in the real service it takes up to a day to act, which nothing here shows.

use super::answer::Answer;
use super::call::Call;
use super::effect::Effect;
use super::refusal::Refusal;
use super::rollout::{by_id, entity, list, list_in, without};
use super::route::{Route, Verb};
use super::{Now, Tenant};
use serde_json::Value;

const NAVIGATION: &str = "federationConfiguration";
const BEHAVIOR: &str = "federatedIdpMfaBehavior";
/// The values that can be set; `unknownFutureValue` stands for others when read and cannot.
const BEHAVIORS: [&str; 3] =
    ["acceptIfMfaDoneByFederatedIdp", "enforceMfaByFederatedIdp", "rejectMfaByFederatedIdp"];

impl Tenant {
    pub(super) fn dispatch_domains(&mut self, call: &Call, now: Now) -> Result<Answer, Refusal> {
        let context = |domain: &str| format!("domains('{domain}')/{NAVIGATION}");
        match (&call.route, call.verb) {
            (Route::Domains, Verb::Get) => {
                let all = self.domains.iter().map(|domain| without(domain, NAVIGATION)).collect();
                Ok(list(call, all, "domains"))
            }
            (Route::Domain(id), Verb::Get) => {
                Ok(entity(call, without(by_id(&self.domains, id)?, NAVIGATION), "domains"))
            }
            (Route::Federations(id), Verb::Get) => {
                Ok(list(call, list_in(self.seen_domain(id, now)?, NAVIGATION).to_vec(), &context(id)))
            }
            (Route::Federation(id, federation), Verb::Get) => {
                let all = list_in(self.seen_domain(id, now)?, NAVIGATION);
                Ok(entity(call, by_id(all, federation)?.clone(), &context(id)))
            }
            (Route::Federation(id, federation), Verb::Patch) => {
                let changed = self.set_behavior(call, id, federation, now)?;
                Ok(entity(call, changed, &context(id)))
            }
            _ => Err(Refusal::Verb),
        }
    }

    fn domain_at(&self, id: &str) -> Result<usize, Refusal> {
        let is_it =
            |d: &Value| d.get("id").and_then(Value::as_str).is_some_and(|i| i.eq_ignore_ascii_case(id));
        self.domains.iter().position(is_it).ok_or_else(|| Refusal::Absent(id.to_owned()))
    }

    /// What a reader sees of a domain.
    fn seen_domain(&self, id: &str, now: Now) -> Result<&Value, Refusal> {
        let at = self.domain_at(id)?;
        let hidden = u32::try_from(at).ok().and_then(|at| self.hidden_domains.seen(at, now.uptime));
        hidden.or_else(|| self.domains.get(at)).ok_or_else(|| Refusal::Absent(id.to_owned()))
    }

    /// The federation as it is then.
    fn set_behavior(&mut self, call: &Call, id: &str, federation: &str, now: Now) -> Result<Value, Refusal> {
        let at = self.domain_at(id)?;
        let true_one = self.domains.get(at).ok_or_else(|| Refusal::Absent(id.to_owned()))?;
        by_id(list_in(true_one, NAVIGATION), federation)?;
        let body = call.object()?;
        if body.keys().any(|key| key != BEHAVIOR && key != "@odata.type") {
            return Err(Refusal::Property("internalDomainFederation"));
        }
        let wanted = body.get(BEHAVIOR).and_then(Value::as_str).filter(|word| BEHAVIORS.contains(word));
        let wanted = wanted.ok_or(Refusal::Property(BEHAVIOR))?.to_owned();
        let before = true_one.clone();
        if let Ok(index) = u32::try_from(at) {
            self.hidden_domains.keep(index, now.uptime, || before);
        }
        let domain = self.domains.get_mut(at).ok_or_else(|| Refusal::Absent(id.to_owned()))?;
        let name = domain.get("id").and_then(Value::as_str).unwrap_or(id).to_owned();
        let all = domain.get_mut(NAVIGATION).and_then(Value::as_array_mut);
        let is_it = |f: &&mut Value| {
            f.get("id").and_then(Value::as_str).is_some_and(|i| i.eq_ignore_ascii_case(federation))
        };
        let found = all.and_then(|all| all.iter_mut().find(is_it));
        let found = found.ok_or_else(|| Refusal::Absent(federation.to_owned()))?;
        let from = found.get(BEHAVIOR).and_then(Value::as_str).map(str::to_owned);
        found[BEHAVIOR] = Value::from(wanted.as_str());
        let changed = found.clone();
        let to = Some(wanted);
        self.effects.push(Effect { user: Some(name), method: BEHAVIOR, serial: None, from, to });
        Ok(changed)
    }
}
