//! The default method and per-user MFA (beta alone), and what a removal means for the default.
//!
//! Invariant: a default stands on a method that is there. It can only be set to one, what it stands on cannot be
//! removed while other methods remain, and with the last method it goes too.

use super::answer::Answer;
use super::call::Call;
use super::effect::Effect;
use super::methods::Methods;
use super::refusal::Refusal;
use super::{Now, Tenant};
use contract::DefaultMethod;
use serde_json::{Value, json};

impl Tenant {
    pub(super) fn get_preferences(&self, call: &Call, user: &str, now: Now) -> Result<Answer, Refusal> {
        let at = self.user(user)?;
        let methods = self.visible(at, now)?;
        let context = format!("users('{}')/authentication/signInPreferences", self.attributes(at)?.id());
        Ok(Answer::json(
            200,
            &json!({
                "@odata.context": call.context(&context),
                "isSystemPreferredAuthenticationMethodEnabled": methods.system_preferred,
                "userPreferredMethodForSecondaryAuthentication": methods.default.map(DefaultMethod::as_str),
            }),
        ))
    }

    pub(super) fn update_preferences(
        &mut self,
        call: &Call,
        user: &str,
        now: Now,
    ) -> Result<Answer, Refusal> {
        const PREFERRED: &str = "userPreferredMethodForSecondaryAuthentication";
        const SYSTEM: &str = "isSystemPreferredAuthenticationMethodEnabled";
        let at = self.user(user)?;
        let body = call.object()?;
        let preferred = match body.get(PREFERRED) {
            None => None,
            Some(value) => {
                let wanted =
                    value.as_str().and_then(DefaultMethod::parse).ok_or(Refusal::Property(PREFERRED))?;
                let methods = self.methods(at)?;
                if !methods.supports(wanted, self.token_in_use(methods)) {
                    return Err(Refusal::DefaultAbsent);
                }
                Some(wanted)
            }
        };
        let system = match body.get(SYSTEM) {
            None => None,
            Some(value) => Some(value.as_bool().ok_or(Refusal::Property(SYSTEM))?),
        };
        if preferred.is_none() && system.is_none() {
            return Err(Refusal::Property(PREFERRED));
        }
        if let Some(wanted) = preferred {
            self.set_default(at, Some(wanted), now)?;
        }
        if let Some(enabled) = system {
            let id = self.attributes(at)?.id().to_owned();
            let methods = self.change(at, now)?;
            let from = std::mem::replace(&mut methods.system_preferred, enabled);
            self.effects.push(Effect {
                user: Some(id),
                method: "systemPreferred",
                serial: None,
                from: Some(from.to_string()),
                to: Some(enabled.to_string()),
            });
        }
        Ok(Answer::no_content())
    }

    pub(super) fn get_requirements(&self, call: &Call, user: &str, now: Now) -> Result<Answer, Refusal> {
        let at = self.user(user)?;
        let state = self.visible(at, now)?.per_user_mfa.as_deref().unwrap_or("disabled");
        let context = format!("users('{}')/authentication/requirements", self.attributes(at)?.id());
        Ok(Answer::json(200, &json!({ "@odata.context": call.context(&context), "perUserMfaState": state })))
    }

    pub(super) fn update_requirements(
        &mut self,
        call: &Call,
        user: &str,
        now: Now,
    ) -> Result<Answer, Refusal> {
        let at = self.user(user)?;
        let wanted = call.object()?.get("perUserMfaState").and_then(Value::as_str);
        let has_method = self.methods(at)?.count() > 0;
        // `enabled` becomes `enforced` by itself for a user that has a method.
        let state = match wanted {
            Some("enabled") if has_method => "enforced",
            Some(word @ ("disabled" | "enabled" | "enforced")) => word,
            _ => return Err(Refusal::Property("perUserMfaState")),
        };
        let id = self.attributes(at)?.id().to_owned();
        let methods = self.change(at, now)?;
        let from = methods.per_user_mfa.replace(Box::from(state)).map_or("disabled".into(), String::from);
        self.effects.push(Effect {
            user: Some(id),
            method: "perUserMfaState",
            serial: None,
            from: Some(from),
            to: Some(state.to_owned()),
        });
        Ok(Answer::no_content())
    }

    pub(super) fn set_default(
        &mut self,
        user: u32,
        to: Option<DefaultMethod>,
        now: Now,
    ) -> Result<(), Refusal> {
        let id = self.attributes(user)?.id().to_owned();
        let methods = self.change(user, now)?;
        let from = std::mem::replace(&mut methods.default, to);
        let word = |m: DefaultMethod| m.as_str().to_owned();
        self.effects.push(Effect {
            user: Some(id),
            method: "default",
            serial: None,
            from: from.map(word),
            to: to.map(word),
        });
        Ok(())
    }

    /// Whether a user may come to look like `after`, by the removal of the method `id`.
    pub(super) fn allow_removal(&self, user: u32, after: &Methods, id: &str) -> Result<(), Refusal> {
        let before = self.methods(user)?;
        let Some(default) = before.default else { return Ok(()) };
        let stood = before.supports(default, self.token_in_use(before));
        let stands = after.supports(default, self.token_in_use(after));
        if stood && !stands && after.count() > 0 { Err(Refusal::IsDefault(id.to_owned())) } else { Ok(()) }
    }

    /// After a removal: a default that stands on nothing goes.
    pub(super) fn drop_default_without_ground(&mut self, user: u32, now: Now) -> Result<(), Refusal> {
        let methods = self.methods(user)?;
        match methods.default {
            Some(_) if methods.count() == 0 => self.set_default(user, None, now),
            _ => Ok(()),
        }
    }
}
