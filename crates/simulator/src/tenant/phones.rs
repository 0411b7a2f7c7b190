//! Phone methods: one number a type, a mobile before an alternate mobile, no delete of what a default stands on.
//!
//! Source: Graph's pages on `phoneAuthenticationMethod` (2025-12-22). Numbers are kept as written.

use super::answer::Answer;
use super::call::Call;
use super::effect::Effect;
use super::methods::PhoneType;
use super::refusal::Refusal;
use super::{Now, Tenant};
use contract::DefaultMethod;
use serde::Serialize;

/// A phone as Graph shows it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PhoneView<'p> {
    #[serde(rename = "@odata.context", skip_serializing_if = "Option::is_none")]
    pub(super) context: Option<String>,
    #[serde(rename = "@odata.type", skip_serializing_if = "Option::is_none")]
    pub(super) kind: Option<&'static str>,
    id: &'static str,
    phone_number: &'p str,
    phone_type: &'static str,
    sms_sign_in_state: &'static str,
}

impl<'p> PhoneView<'p> {
    pub(super) fn of(phone_type: PhoneType, number: &'p str) -> Self {
        // SMS sign-in is switched off in this tenant, and only a mobile could have it.
        let sms_sign_in_state = match phone_type {
            PhoneType::Mobile => "notAllowedByPolicy",
            PhoneType::AlternateMobile | PhoneType::Office => "notSupported",
        };
        Self {
            context: None,
            kind: None,
            id: phone_type.id(),
            phone_number: number,
            phone_type: phone_type.as_str(),
            sms_sign_in_state,
        }
    }
}

/// A list as Graph wraps it.
#[derive(Serialize)]
pub(super) struct Listed<T> {
    #[serde(rename = "@odata.context")]
    pub(super) context: String,
    pub(super) value: Vec<T>,
}

/// Whether a number is in Graph's notation: `+{country code} {number}`, then maybe `x{extension}`.
fn is_phone_number(text: &str) -> bool {
    let digits = |part: &str, lengths: std::ops::RangeInclusive<usize>| {
        lengths.contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit())
    };
    let Some((country, rest)) = text.strip_prefix('+').and_then(|t| t.split_once(' ')) else { return false };
    let (number, extension) =
        rest.split_once(['x', 'X']).map_or((rest, None), |(number, extension)| (number, Some(extension)));
    digits(country, 1..=3)
        && !country.starts_with('0')
        && digits(number, 4..=15)
        && extension.is_none_or(|e| digits(e, 1..=15))
}

impl Tenant {
    pub(super) fn list_phones(&self, call: &Call, user: &str, now: Now) -> Result<Answer, Refusal> {
        let at = self.user(user)?;
        let methods = self.visible(at, now)?;
        let value = methods.phones.present().map(|(t, n)| PhoneView::of(t, n)).collect();
        Ok(Answer::json(200, &Listed { context: self.phone_context(call, at, "")?, value }))
    }

    fn phone_context(&self, call: &Call, user: u32, tail: &str) -> Result<String, Refusal> {
        Ok(call
            .context(&format!("users('{}')/authentication/phoneMethods{tail}", self.attributes(user)?.id())))
    }

    pub(super) fn get_phone(&self, call: &Call, user: &str, id: &str, now: Now) -> Result<Answer, Refusal> {
        let at = self.user(user)?;
        let phone_type = PhoneType::by_id(id).ok_or(Refusal::MethodAbsent)?;
        let number = self.visible(at, now)?.phones.get(phone_type).ok_or(Refusal::MethodAbsent)?;
        let mut view = PhoneView::of(phone_type, number);
        view.context = Some(self.phone_context(call, at, "/$entity")?);
        Ok(Answer::json(200, &view))
    }

    pub(super) fn create_phone(&mut self, call: &Call, user: &str, now: Now) -> Result<Answer, Refusal> {
        let at = self.user(user)?;
        let number = call.text("phoneNumber")?;
        let phone_type = PhoneType::parse(call.text("phoneType")?).ok_or(Refusal::Property("phoneType"))?;
        if call.object()?.get("smsSignInState").is_some_and(|v| !v.is_null()) {
            return Err(Refusal::Property("smsSignInState"));
        }
        if !is_phone_number(number) {
            return Err(Refusal::PhoneNumber);
        }
        let phones = &self.methods(at)?.phones;
        if phones.get(phone_type).is_some() {
            return Err(Refusal::PhoneExists);
        }
        if phone_type == PhoneType::AlternateMobile && phones.get(PhoneType::Mobile).is_none() {
            return Err(Refusal::AlternateNeedsMobile);
        }
        self.set_phone(at, phone_type, Some(number), now)?;
        let mut view = PhoneView::of(phone_type, number);
        view.context = Some(self.phone_context(call, at, "/$entity")?);
        let answer = Answer::json(201, &view);
        if self.auto_default {
            self.choose_default(at, phone_type, now)?;
        }
        Ok(answer)
    }

    fn choose_default(&mut self, user: u32, added: PhoneType, now: Now) -> Result<(), Refusal> {
        let default = match added {
            PhoneType::Mobile => DefaultMethod::Sms,
            PhoneType::AlternateMobile => DefaultMethod::VoiceAlternateMobile,
            PhoneType::Office => DefaultMethod::VoiceOffice,
        };
        if self.methods(user)?.default.is_none() {
            self.set_default(user, Some(default), now)
        } else {
            Ok(())
        }
    }

    pub(super) fn update_phone(
        &mut self,
        call: &Call,
        user: &str,
        id: &str,
        now: Now,
    ) -> Result<Answer, Refusal> {
        let at = self.user(user)?;
        let phone_type = PhoneType::by_id(id).ok_or(Refusal::MethodAbsent)?;
        if self.methods(at)?.phones.get(phone_type).is_none() {
            return Err(Refusal::MethodAbsent);
        }
        if let Some(wanted) = call.object()?.get("phoneType").and_then(serde_json::Value::as_str)
            && PhoneType::parse(wanted) != Some(phone_type)
        {
            return Err(Refusal::PhoneTypeFixed);
        }
        let number = call.text("phoneNumber")?;
        if !is_phone_number(number) {
            return Err(Refusal::PhoneNumber);
        }
        self.set_phone(at, phone_type, Some(number), now)?;
        Ok(Answer::no_content())
    }

    pub(super) fn delete_phone(&mut self, user: &str, id: &str, now: Now) -> Result<Answer, Refusal> {
        let at = self.user(user)?;
        let phone_type = PhoneType::by_id(id).ok_or(Refusal::MethodAbsent)?;
        let methods = self.methods(at)?;
        if methods.phones.get(phone_type).is_none() {
            return Err(Refusal::MethodAbsent);
        }
        if phone_type == PhoneType::Mobile && methods.phones.get(PhoneType::AlternateMobile).is_some() {
            return Err(Refusal::MobileHasAlternate);
        }
        let mut after = methods.clone();
        after.phones.set(phone_type, None);
        self.allow_removal(at, &after, id)?;
        self.set_phone(at, phone_type, None, now)?;
        self.drop_default_without_ground(at, now)?;
        Ok(Answer::no_content())
    }

    fn set_phone(
        &mut self,
        user: u32,
        phone_type: PhoneType,
        number: Option<&str>,
        now: Now,
    ) -> Result<(), Refusal> {
        let id = self.attributes(user)?.id().to_owned();
        let methods = self.change(user, now)?;
        let from = methods.phones.get(phone_type).map(str::to_owned);
        methods.phones.set(phone_type, number.map(Box::from));
        let to = number.map(str::to_owned);
        self.effects.push(Effect { user: Some(id), method: phone_type.as_str(), serial: None, from, to });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::is_phone_number;

    #[test]
    fn numbers_are_taken_in_graphs_notation_alone() {
        for good in ["+1 4255550100", "+1 4255550100x4021", "+49 1512", "+358 401234567X1"] {
            assert!(is_phone_number(good), "{good}");
        }
        for bad in [
            "",
            "+14255550100",
            "1 4255550100",
            "+0 4255550100",
            "+1  4255550100",
            "+1 (425) 5550100",
            "+1 4255550100 x4021",
            "+1 4255550100x",
            "+1 4255550100xa",
            "+1234 5550100",
            "+1 123",
        ] {
            assert!(!is_phone_number(bad), "{bad}");
        }
    }
}
