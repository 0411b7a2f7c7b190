//! The authentication methods policy, made of the state file's list of allowed defaults.
//!
//! push is MicrosoftAuthenticator; oath is SoftwareOath and HardwareOath; sms is Sms; voiceMobile and
//! voiceAlternateMobile are Voice; voiceOffice is Voice with office phones allowed. The migration of the older
//! policies is complete. Temporary Access Passes have settings of their own in the file. A PATCH may switch one configuration on or off.

use super::answer::Answer;
use super::call::Call;
use super::passes::PassPolicy;
use super::refusal::Refusal;
use super::route::Version;
use super::state::PolicyFile;
use contract::DefaultMethod;
use serde_json::{Value, json};

const ROOT: &str = "policies/authenticationMethodsPolicy";

/// The policy; each flag is one configuration's state.
#[derive(Debug, Clone)]
pub(super) struct Policy {
    authenticator: bool,
    sms: bool,
    voice: bool,
    office: bool,
    voice_mobile: bool,
    voice_alternate: bool,
    software: bool,
    hardware: bool,
    pub(super) passes: PassPolicy,
}

impl Policy {
    /// From the state file.
    pub(super) fn new(file: &PolicyFile) -> Self {
        let has = |m: DefaultMethod| file.allowed.as_ref().is_none_or(|a| a.contains(&m));
        let (office, voice_mobile, voice_alternate) = (
            has(DefaultMethod::VoiceOffice),
            has(DefaultMethod::VoiceMobile),
            has(DefaultMethod::VoiceAlternateMobile),
        );
        Self {
            authenticator: has(DefaultMethod::Push),
            sms: has(DefaultMethod::Sms),
            voice: office || voice_mobile || voice_alternate,
            office,
            voice_mobile,
            voice_alternate,
            software: has(DefaultMethod::Oath),
            hardware: has(DefaultMethod::Oath),
            passes: file.passes.clone().unwrap_or_default(),
        }
    }

    /// As the state file would have it.
    pub(super) fn file(&self) -> PolicyFile {
        let allowed = [
            (DefaultMethod::Push, self.authenticator),
            (DefaultMethod::Oath, self.software || self.hardware),
            (DefaultMethod::Sms, self.sms),
            (DefaultMethod::VoiceMobile, self.voice && self.voice_mobile),
            (DefaultMethod::VoiceOffice, self.voice && self.office),
            (DefaultMethod::VoiceAlternateMobile, self.voice && self.voice_alternate),
        ];
        PolicyFile {
            allowed: Some(allowed.into_iter().filter(|(_, on)| *on).map(|(m, _)| m).collect()),
            passes: Some(self.passes.clone()),
        }
    }

    fn list(&self, version: Version) -> Vec<Value> {
        let target = |extra: Value| {
            let mut target =
                json!({ "targetType": "group", "id": "all_users", "isRegistrationRequired": false });
            if let (Some(target), Value::Object(extra)) = (target.as_object_mut(), extra) {
                target.extend(extra);
            }
            json!([target])
        };
        let configuration = |kind: &str, id: &str, on: bool, extra: Value, targets: Value| {
            let mut configuration = json!({
                "@odata.type": format!("#microsoft.graph.{kind}AuthenticationMethodConfiguration"),
                "id": id,
                "state": if on { "enabled" } else { "disabled" },
                "excludeTargets": [],
            });
            if let (Some(map), Value::Object(extra)) = (configuration.as_object_mut(), extra) {
                map.extend(extra);
                map.insert("includeTargets".to_owned(), targets);
            }
            configuration
        };
        let plain = || target(json!({}));
        let mut list = vec![
            configuration(
                "microsoftAuthenticator",
                "MicrosoftAuthenticator",
                self.authenticator,
                json!({ "isSoftwareOathEnabled": self.software }),
                target(json!({ "authenticationMode": "any" })),
            ),
            configuration("sms", "Sms", self.sms, json!({}), target(json!({ "isUsableForSignIn": false }))),
            configuration(
                "voice",
                "Voice",
                self.voice,
                json!({ "isOfficePhoneAllowed": self.office }),
                plain(),
            ),
            configuration("softwareOath", "SoftwareOath", self.software, json!({}), plain()),
            self.passes.configuration(),
        ];
        if version == Version::Beta {
            list.push(configuration("hardwareOath", "HardwareOath", self.hardware, json!({}), plain()));
        }
        list
    }

    pub(super) fn whole(&self, call: &Call) -> Answer {
        Answer::json(
            200,
            &json!({
                "@odata.context": call.context(&format!("{ROOT}/$entity")),
                "id": "authenticationMethodsPolicy",
                "displayName": "Authentication Methods Policy",
                "description": "The tenant-wide policy that controls which authentication methods are allowed.",
                "lastModifiedDateTime": null,
                "policyVersion": "1.5",
                "policyMigrationState": "migrationComplete",
                "reconfirmationInDays": null,
                "registrationEnforcement": null,
                "authenticationMethodConfigurations": self.list(call.version),
            }),
        )
    }

    pub(super) fn configurations(&self, call: &Call) -> Answer {
        let context = call.context(&format!("{ROOT}/authenticationMethodConfigurations"));
        Answer::json(200, &json!({ "@odata.context": context, "value": self.list(call.version) }))
    }

    pub(super) fn configuration(&self, call: &Call, id: &str) -> Result<Answer, Refusal> {
        let is_it =
            |v: &Value| v.get("id").and_then(Value::as_str).is_some_and(|i| i.eq_ignore_ascii_case(id));
        let mut found =
            self.list(call.version).into_iter().find(is_it).ok_or_else(|| Refusal::Absent(id.to_owned()))?;
        if let Some(map) = found.as_object_mut() {
            let context = format!("{ROOT}/authenticationMethodConfigurations/$entity");
            map.insert("@odata.context".to_owned(), Value::from(call.context(&context)));
        }
        Ok(Answer::json(200, &found))
    }

    pub(super) fn set_state(&mut self, call: &Call, id: &str) -> Result<Answer, Refusal> {
        self.configuration(call, id)?;
        let on = match call.object()?.get("state").map(Value::as_str) {
            None => return Ok(Answer::no_content()),
            Some(Some("enabled")) => true,
            Some(Some("disabled")) => false,
            Some(_) => return Err(Refusal::Property("state")),
        };
        match id.to_ascii_lowercase().as_str() {
            "microsoftauthenticator" => self.authenticator = on,
            "sms" => self.sms = on,
            "voice" => self.voice = on,
            "softwareoath" => self.software = on,
            "temporaryaccesspass" => self.passes.enabled = on,
            _ => self.hardware = on,
        }
        Ok(Answer::no_content())
    }
}
