//! Hardware OATH tokens in users' hands: assign, activate with a real code, take back (beta alone).
//!
//! The id of a method is never the id of its device, so that no client comes to rely on their being equal. A wrong
//! code leaves the token assigned with `failedActivation`.

use super::answer::Answer;
use super::call::Call;
use super::devices::Device;
use super::effect::Effect;
use super::methods::{DEVICE_LIMIT, Held, Methods};
use super::phones::Listed;
use super::refusal::Refusal;
use super::totp::accepts;
use super::{Now, Tenant};
use contract::TokenStatus;
use serde_json::{Value, json};

/// A date in Graph's notation.
pub(super) fn date(unix_ms: i64) -> String {
    let at = time::OffsetDateTime::from_unix_timestamp(unix_ms.div_euclid(1000))
        .unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
    at.format(&time::format_description::well_known::Rfc3339).unwrap_or_default()
}

impl Tenant {
    /// Whether one of the user's tokens gives codes.
    pub(super) fn token_in_use(&self, methods: &Methods) -> bool {
        methods
            .tokens
            .iter()
            .any(|h| self.inventory.get(h.device).is_some_and(|d| d.status == TokenStatus::Activated))
    }

    fn token_context(&self, call: &Call, user: u32, tail: &str) -> Result<String, Refusal> {
        let id = self.attributes(user)?.id();
        Ok(call.context(&format!("users('{id}')/authentication/hardwareOathMethods{tail}")))
    }

    fn token_view(&self, call: &Call, held: &Held, now: Now) -> Value {
        let mut view = json!({
            "@odata.type": "#microsoft.graph.hardwareOathAuthenticationMethod",
            "id": held.method_id,
            "createdDateTime": held.created,
        });
        let wants_device =
            call.query.expand.as_deref().is_some_and(|e| {
                e.split(',').any(|p| p.split('(').next().is_some_and(|p| p.trim() == "device"))
            });
        if wants_device
            && let Some(map) = view.as_object_mut()
            && let Some(device) = self.inventory.visible(held.device, now)
        {
            map.insert("device".to_owned(), self.device_view(device));
        }
        view
    }

    pub(super) fn list_tokens(&self, call: &Call, user: &str, now: Now) -> Result<Answer, Refusal> {
        let at = self.user(user)?;
        let value = self.visible(at, now)?.tokens.iter().map(|h| self.token_view(call, h, now)).collect();
        Ok(Answer::json(200, &Listed { context: self.token_context(call, at, "")?, value }))
    }

    pub(super) fn get_token(&self, call: &Call, user: &str, id: &str, now: Now) -> Result<Answer, Refusal> {
        let at = self.user(user)?;
        let methods = self.visible(at, now)?;
        let held = methods
            .tokens
            .iter()
            .find(|h| h.method_id.eq_ignore_ascii_case(id))
            .ok_or(Refusal::MethodAbsent)?;
        let mut view = self.token_view(call, held, now);
        if let Some(map) = view.as_object_mut() {
            map.insert("@odata.context".to_owned(), Value::from(self.token_context(call, at, "/$entity")?));
        }
        Ok(Answer::json(200, &view))
    }

    /// Whether a user may hold one more.
    pub(super) fn allow_token(&self, user: u32) -> Result<(), Refusal> {
        if self.attributes(user)?.is_guest() {
            return Err(Refusal::Guest);
        }
        if self.methods(user)?.devices() >= DEVICE_LIMIT { Err(Refusal::DeviceLimit) } else { Ok(()) }
    }

    /// Puts a free device into a user's hands; the caller has asked [`Self::allow_token`].
    pub(super) fn hand_over(&mut self, user: u32, device: u32, now: Now) -> Result<Held, Refusal> {
        let held = Held {
            method_id: self.ids.fresh().into_boxed_str(),
            device,
            created: Some(date(now.unix_ms).into_boxed_str()),
        };
        let change = self.inventory.change(device, now)?;
        change.holder = Some(user);
        self.change(user, now)?.tokens.push(held.clone());
        Ok(held)
    }

    fn free_device(&self, call: &Call) -> Result<u32, Refusal> {
        let id = call
            .object()?
            .get("device")
            .and_then(|d| d.get("id"))
            .and_then(Value::as_str)
            .ok_or(Refusal::Property("device"))?;
        let device = self.inventory.find(id)?;
        match self.inventory.get(device).and_then(|d| d.holder) {
            Some(_) => Err(Refusal::TokenHeld),
            None => Ok(device),
        }
    }

    pub(super) fn assign_token(&mut self, call: &Call, user: &str, now: Now) -> Result<Answer, Refusal> {
        let at = self.user(user)?;
        let device = self.free_device(call)?;
        self.allow_token(at)?;
        let held = self.hand_over(at, device, now)?;
        self.set_status(at, device, TokenStatus::Assigned, now)?;
        let view = json!({
            "@odata.context": self.token_context(call, at, "/$entity")?,
            "@odata.type": "#microsoft.graph.hardwareOathAuthenticationMethod",
            "id": held.method_id,
            "createdDateTime": held.created,
        });
        Ok(Answer::json(201, &view))
    }

    pub(super) fn set_status(
        &mut self,
        user: u32,
        device: u32,
        to: TokenStatus,
        now: Now,
    ) -> Result<(), Refusal> {
        let id = self.attributes(user)?.id().to_owned();
        let device = self.inventory.change(device, now)?;
        let from = std::mem::replace(&mut device.status, to);
        let serial = Some(device.serial.to_string());
        self.effects.push(Effect {
            user: Some(id),
            method: "hardwareOath",
            serial,
            from: Some(from.as_str().to_owned()),
            to: Some(to.as_str().to_owned()),
        });
        Ok(())
    }

    fn held(&self, user: u32, id: &str) -> Result<Held, Refusal> {
        let methods = self.methods(user)?;
        methods
            .tokens
            .iter()
            .find(|h| h.method_id.eq_ignore_ascii_case(id))
            .cloned()
            .ok_or(Refusal::MethodAbsent)
    }

    /// Proves a token by its code.
    fn prove(&mut self, call: &Call, user: u32, device: u32, now: Now) -> Result<Answer, Refusal> {
        let code = call.text("verificationCode")?;
        if code_is_right(self.inventory.get(device).ok_or(Refusal::DeviceAbsent)?, code, now) {
            self.set_status(user, device, TokenStatus::Activated, now)?;
            if let Some(name) = call.object()?.get("displayName").and_then(Value::as_str) {
                self.inventory.change(device, now)?.display_name = Some(Box::from(name));
            }
            return Ok(Answer::no_content());
        }
        // The one refusal that changes something. A token in use stays in use.
        if self.inventory.get(device).is_some_and(|d| d.status != TokenStatus::Activated) {
            self.set_status(user, device, TokenStatus::FailedActivation, now)?;
        }
        Err(Refusal::Code)
    }

    pub(super) fn activate_token(
        &mut self,
        call: &Call,
        user: &str,
        id: &str,
        now: Now,
    ) -> Result<Answer, Refusal> {
        let at = self.user(user)?;
        let held = self.held(at, id)?;
        self.prove(call, at, held.device, now)
    }

    pub(super) fn deactivate_token(&mut self, user: &str, id: &str, now: Now) -> Result<Answer, Refusal> {
        let at = self.user(user)?;
        let held = self.held(at, id)?;
        match self.inventory.get(held.device).map(|d| d.status) {
            Some(TokenStatus::Activated | TokenStatus::FailedActivation) => {
                self.set_status(at, held.device, TokenStatus::Assigned, now)?;
                Ok(Answer::no_content())
            }
            Some(TokenStatus::Assigned | TokenStatus::Available) | None => Err(Refusal::TokenState),
        }
    }

    pub(super) fn assign_and_activate(
        &mut self,
        call: &Call,
        user: &str,
        now: Now,
    ) -> Result<Answer, Refusal> {
        let at = self.user(user)?;
        let device = self.free_device(call)?;
        self.assign_then_prove(call, at, device, now)
    }

    pub(super) fn assign_and_activate_by_serial(
        &mut self,
        call: &Call,
        user: &str,
        now: Now,
    ) -> Result<Answer, Refusal> {
        let at = self.user(user)?;
        let known = self.inventory.of_serial(call.text("serialNumber")?);
        let free = known.iter().find(|i| self.inventory.get(**i).is_some_and(|d| d.holder.is_none()));
        let device = match free {
            Some(device) => *device,
            None if known.is_empty() => return Err(Refusal::DeviceAbsent),
            None => return Err(Refusal::TokenHeld),
        };
        self.assign_then_prove(call, at, device, now)
    }

    fn assign_then_prove(
        &mut self,
        call: &Call,
        user: u32,
        device: u32,
        now: Now,
    ) -> Result<Answer, Refusal> {
        call.text("verificationCode")?;
        self.allow_token(user)?;
        self.hand_over(user, device, now)?;
        self.set_status(user, device, TokenStatus::Assigned, now)?;
        self.prove(call, user, device, now)
    }

    pub(super) fn unassign_token(&mut self, user: &str, id: &str, now: Now) -> Result<Answer, Refusal> {
        let at = self.user(user)?;
        let held = self.held(at, id)?;
        let mut after = self.methods(at)?.clone();
        after.tokens.retain(|h| h.device != held.device);
        self.allow_removal(at, &after, id)?;
        *self.change(at, now)? = after;
        self.set_status(at, held.device, TokenStatus::Available, now)?;
        self.inventory.change(held.device, now)?.holder = None;
        self.drop_default_without_ground(at, now)?;
        Ok(Answer::no_content())
    }
}

fn code_is_right(device: &Device, code: &str, now: Now) -> bool {
    match &device.secret {
        Some(secret) => accepts(secret, device.sha256, device.interval_seconds, now.unix_ms, code),
        None => code.len() == 6 && code.bytes().all(|b| b.is_ascii_digit()),
    }
}
