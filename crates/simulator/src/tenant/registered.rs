//! Authenticator and software OATH registrations, which Graph can only list and delete, and the list of all methods.

use super::answer::Answer;
use super::call::Call;
use super::effect::Effect;
use super::methods::{App, Methods};
use super::phones::{Listed, PhoneView};
use super::refusal::Refusal;
use super::route::Version;
use super::{Now, Tenant};
use serde::Serialize;
use serde_json::{Value, json};

/// Graph's fixed id of everybody's password.
const PASSWORD_ID: &str = "28c10230-6103-485e-b985-444c60001490";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AppView<'a> {
    #[serde(rename = "@odata.context", skip_serializing_if = "Option::is_none")]
    context: Option<String>,
    #[serde(rename = "@odata.type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    id: &'a str,
    created_date_time: Option<&'a str>,
    display_name: Option<&'a str>,
    device_tag: Option<&'a str>,
    phone_app_version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_app_name: Option<&'static str>,
}

fn app_view(app: &App, version: Version) -> AppView<'_> {
    AppView {
        context: None,
        kind: None,
        id: &app.id,
        created_date_time: app.created.as_deref(),
        display_name: app.display_name.as_deref(),
        device_tag: app.device_tag.as_deref(),
        phone_app_version: app.phone_app_version.as_deref(),
        client_app_name: (version == Version::Beta).then_some("microsoftAuthenticator"),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SecretView<'a> {
    #[serde(rename = "@odata.context", skip_serializing_if = "Option::is_none")]
    context: Option<String>,
    #[serde(rename = "@odata.type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    id: &'a str,
    /// Always null: Graph never shows a secret.
    secret_key: Option<()>,
}

fn software_view(id: &str) -> SecretView<'_> {
    SecretView { context: None, kind: None, id, secret_key: None }
}

/// An element of the list of all methods.
#[derive(Serialize)]
#[serde(untagged)]
enum AnyView<'a> {
    Phone(PhoneView<'a>),
    App(AppView<'a>),
    Software(SecretView<'a>),
    Other(Value),
}

impl Tenant {
    fn all(&self, call: &Call, methods: &Methods, now: Now) -> Vec<(String, Value)> {
        let plain = |view: &AnyView<'_>| serde_json::to_value(view).unwrap_or_default();
        let mut all: Vec<(String, Value)> = self
            .views(call, methods, now)
            .iter()
            .map(plain)
            .map(|v| (v.get("id").and_then(Value::as_str).unwrap_or_default().to_owned(), v))
            .collect();
        all.retain(|(id, _)| !id.is_empty());
        all
    }

    fn views<'m>(&self, call: &Call, methods: &'m Methods, now: Now) -> Vec<AnyView<'m>> {
        let mut all = vec![AnyView::Other(json!({
            "@odata.type": "#microsoft.graph.passwordAuthenticationMethod",
            "id": PASSWORD_ID,
            "password": null,
            "createdDateTime": null,
        }))];
        for (phone_type, number) in methods.phones.present() {
            let mut view = PhoneView::of(phone_type, number);
            view.kind = Some("#microsoft.graph.phoneAuthenticationMethod");
            all.push(AnyView::Phone(view));
        }
        for app in &methods.apps {
            let mut view = app_view(app, call.version);
            view.kind = Some("#microsoft.graph.microsoftAuthenticatorAuthenticationMethod");
            all.push(AnyView::App(view));
        }
        for id in &methods.software {
            let mut view = software_view(id);
            view.kind = Some("#microsoft.graph.softwareOathAuthenticationMethod");
            all.push(AnyView::Software(view));
        }
        if let Some(pass) = methods.pass.as_deref() {
            let mut view = self.pass_view(pass, now);
            view["@odata.type"] = Value::from("#microsoft.graph.temporaryAccessPassAuthenticationMethod");
            all.push(AnyView::Other(view));
        }
        if call.version == Version::Beta {
            for held in &methods.tokens {
                all.push(AnyView::Other(json!({
                    "@odata.type": "#microsoft.graph.hardwareOathAuthenticationMethod",
                    "id": held.method_id,
                    "createdDateTime": held.created,
                })));
            }
        }
        all
    }

    pub(super) fn list_methods(&self, call: &Call, user: &str, now: Now) -> Result<Answer, Refusal> {
        let at = self.user(user)?;
        let value = self.views(call, self.visible(at, now)?, now);
        let context = call.context(&format!("users('{}')/authentication/methods", self.attributes(at)?.id()));
        Ok(Answer::json(200, &Listed { context, value }))
    }

    pub(super) fn get_method(&self, call: &Call, user: &str, id: &str, now: Now) -> Result<Answer, Refusal> {
        let at = self.user(user)?;
        let found =
            self.all(call, self.visible(at, now)?, now).into_iter().find(|(i, _)| i.eq_ignore_ascii_case(id));
        let (_, mut value) = found.ok_or(Refusal::MethodAbsent)?;
        let context = format!("users('{}')/authentication/methods/$entity", self.attributes(at)?.id());
        if let Some(map) = value.as_object_mut() {
            map.insert("@odata.context".to_owned(), Value::from(call.context(&context)));
        }
        Ok(Answer::json(200, &value))
    }

    pub(super) fn list_apps(&self, call: &Call, user: &str, now: Now) -> Result<Answer, Refusal> {
        let at = self.user(user)?;
        let value = self.visible(at, now)?.apps.iter().map(|a| app_view(a, call.version)).collect();
        Ok(Answer::json(200, &Listed { context: self.app_context(call, at, "")?, value }))
    }

    fn app_context(&self, call: &Call, user: u32, tail: &str) -> Result<String, Refusal> {
        let id = self.attributes(user)?.id();
        Ok(call.context(&format!("users('{id}')/authentication/microsoftAuthenticatorMethods{tail}")))
    }

    pub(super) fn get_app(&self, call: &Call, user: &str, id: &str, now: Now) -> Result<Answer, Refusal> {
        let at = self.user(user)?;
        let methods = self.visible(at, now)?;
        let app = methods.apps.iter().find(|a| a.id.eq_ignore_ascii_case(id)).ok_or(Refusal::MethodAbsent)?;
        let mut view = app_view(app, call.version);
        view.context = Some(self.app_context(call, at, "/$entity")?);
        Ok(Answer::json(200, &view))
    }

    pub(super) fn delete_app(&mut self, user: &str, id: &str, now: Now) -> Result<Answer, Refusal> {
        let at = self.user(user)?;
        let mut after = self.methods(at)?.clone();
        let place =
            after.apps.iter().position(|a| a.id.eq_ignore_ascii_case(id)).ok_or(Refusal::MethodAbsent)?;
        let gone = after.apps.remove(place);
        self.remove(at, after, id, "microsoftAuthenticator", &gone.id, now)
    }

    pub(super) fn list_software(&self, call: &Call, user: &str, now: Now) -> Result<Answer, Refusal> {
        let at = self.user(user)?;
        let value = self.visible(at, now)?.software.iter().map(|id| software_view(id)).collect();
        Ok(Answer::json(200, &Listed { context: self.software_context(call, at, "")?, value }))
    }

    fn software_context(&self, call: &Call, user: u32, tail: &str) -> Result<String, Refusal> {
        let id = self.attributes(user)?.id();
        Ok(call.context(&format!("users('{id}')/authentication/softwareOathMethods{tail}")))
    }

    pub(super) fn get_software(
        &self,
        call: &Call,
        user: &str,
        id: &str,
        now: Now,
    ) -> Result<Answer, Refusal> {
        let at = self.user(user)?;
        let methods = self.visible(at, now)?;
        let found =
            methods.software.iter().find(|i| i.eq_ignore_ascii_case(id)).ok_or(Refusal::MethodAbsent)?;
        let mut view = software_view(found);
        view.context = Some(self.software_context(call, at, "/$entity")?);
        Ok(Answer::json(200, &view))
    }

    pub(super) fn delete_software(&mut self, user: &str, id: &str, now: Now) -> Result<Answer, Refusal> {
        let at = self.user(user)?;
        let mut after = self.methods(at)?.clone();
        let place =
            after.software.iter().position(|i| i.eq_ignore_ascii_case(id)).ok_or(Refusal::MethodAbsent)?;
        let gone = after.software.remove(place);
        self.remove(at, after, id, "softwareOath", &gone, now)
    }

    fn remove(
        &mut self,
        user: u32,
        after: Methods,
        id: &str,
        method: &'static str,
        gone: &str,
        now: Now,
    ) -> Result<Answer, Refusal> {
        self.allow_removal(user, &after, id)?;
        let holder = self.attributes(user)?.id().to_owned();
        *self.change(user, now)? = after;
        let from = Some(gone.to_owned());
        self.effects.push(Effect { user: Some(holder), method, serial: None, from, to: None });
        self.drop_default_without_ground(user, now)?;
        Ok(Answer::no_content())
    }
}
