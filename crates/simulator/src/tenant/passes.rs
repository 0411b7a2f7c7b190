//! Temporary Access Passes: one a user, within the policy's bounds, shown once and never again.
//!
//! The pass itself is made for the answer to its creation and kept nowhere, so that neither a reading, the state, nor the
//! journal can show it. A pass that can still be used is not replaced unless the policy says so (`replaces`): Graph's
//! pages say both, and a client has to live with either.

use super::answer::Answer;
use super::call::Call;
use super::effect::Effect;
use super::refusal::Refusal;
use super::roster::Member;
use super::{Now, Tenant};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Bounds of Graph itself, in minutes.
const LIFETIMES: std::ops::RangeInclusive<u32> = 10..=43_200;
/// What Graph's passes may be made of; some of it means something to spreadsheets and to CSV.
const LETTERS: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnpqrstuvwxyz23456789+=-*@,\"";

/// What the methods policy says of passes, as in the state file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct PassPolicy {
    pub(crate) enabled: bool,
    pub(crate) minimum_lifetime_in_minutes: u32,
    pub(crate) maximum_lifetime_in_minutes: u32,
    pub(crate) default_lifetime_in_minutes: u32,
    pub(crate) default_length: u32,
    /// Every pass can be used once alone.
    pub(crate) is_usable_once: bool,
    /// Ids of groups; empty for everybody.
    pub(crate) include_groups: Vec<String>,
    /// A pass that can still be used gives way to a new one.
    pub(crate) replaces: bool,
}

impl Default for PassPolicy {
    /// What Microsoft's own defaults are.
    fn default() -> Self {
        Self {
            enabled: true,
            minimum_lifetime_in_minutes: 60,
            maximum_lifetime_in_minutes: 480,
            default_lifetime_in_minutes: 60,
            default_length: 8,
            is_usable_once: false,
            include_groups: Vec::new(),
            replaces: false,
        }
    }
}

impl PassPolicy {
    /// As Graph serves it.
    pub(super) fn configuration(&self) -> Value {
        let target = |id: &str| json!({ "targetType": "group", "id": id, "isRegistrationRequired": false });
        let mut targets: Vec<Value> = self.include_groups.iter().map(|id| target(id)).collect();
        if targets.is_empty() {
            targets.push(target("all_users"));
        }
        json!({
            "@odata.type": "#microsoft.graph.temporaryAccessPassAuthenticationMethodConfiguration",
            "id": "TemporaryAccessPass",
            "state": if self.enabled { "enabled" } else { "disabled" },
            "defaultLifetimeInMinutes": self.default_lifetime_in_minutes,
            "defaultLength": self.default_length,
            "minimumLifetimeInMinutes": self.minimum_lifetime_in_minutes,
            "maximumLifetimeInMinutes": self.maximum_lifetime_in_minutes,
            "isUsableOnce": self.is_usable_once,
            "excludeTargets": [],
            "includeTargets": targets,
        })
    }
}

/// A pass of a user, without the pass.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Pass {
    id: String,
    created_date_time: String,
    start_date_time: String,
    lifetime_in_minutes: u32,
    is_usable_once: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    used: bool,
}

fn unix_ms(text: &str) -> Option<i64> {
    let at = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    i64::try_from(at.unix_timestamp_nanos() / 1_000_000).ok()
}

fn date(unix_ms: i64) -> String {
    let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(unix_ms) * 1_000_000);
    at.ok().and_then(|at| at.format(&Rfc3339).ok()).unwrap_or_default()
}

impl Pass {
    /// Graph's word for why it can or cannot be used, apart from the policy.
    fn reason(&self, now: Now) -> &'static str {
        let start = unix_ms(&self.start_date_time).unwrap_or_default();
        let end = start + i64::from(self.lifetime_in_minutes) * 60_000;
        match now.unix_ms {
            _ if self.used && self.is_usable_once => "OneTimeUsed",
            at if at >= end => "Expired",
            at if at < start => "NotYetValid",
            _ => "EnabledByPolicy",
        }
    }

    /// Whether it stands in the way of another.
    fn is_of_use(&self, now: Now) -> bool {
        matches!(self.reason(now), "EnabledByPolicy" | "NotYetValid")
    }
}

impl Tenant {
    /// As Graph shows it.
    pub(super) fn pass_view(&self, pass: &Pass, now: Now) -> Value {
        let reason = match pass.reason(now) {
            "EnabledByPolicy" if !self.policy.passes.enabled => "DisabledByPolicy",
            reason => reason,
        };
        json!({
            "id": pass.id,
            "createdDateTime": pass.created_date_time,
            "startDateTime": pass.start_date_time,
            "lifetimeInMinutes": pass.lifetime_in_minutes,
            "isUsableOnce": pass.is_usable_once,
            "isUsable": reason == "EnabledByPolicy",
            "methodUsabilityReason": reason,
            "temporaryAccessPass": null,
        })
    }

    fn pass_context(&self, call: &Call, user: u32, tail: &str) -> Result<String, Refusal> {
        let id = self.attributes(user)?.id();
        Ok(call.context(&format!("users('{id}')/authentication/temporaryAccessPassMethods{tail}")))
    }

    pub(super) fn list_passes(&self, call: &Call, user: &str, now: Now) -> Result<Answer, Refusal> {
        let at = self.user(user)?;
        let seen = self.visible(at, now)?.pass.as_deref();
        let value: Vec<Value> = seen.map(|pass| self.pass_view(pass, now)).into_iter().collect();
        Ok(Answer::json(200, &json!({ "@odata.context": self.pass_context(call, at, "")?, "value": value })))
    }

    pub(super) fn get_pass(&self, call: &Call, user: &str, id: &str, now: Now) -> Result<Answer, Refusal> {
        let at = self.user(user)?;
        let seen = self.visible(at, now)?.pass.as_deref();
        let pass = seen.filter(|pass| pass.id.eq_ignore_ascii_case(id)).ok_or(Refusal::MethodAbsent)?;
        let mut view = self.pass_view(pass, now);
        view["@odata.context"] = Value::from(self.pass_context(call, at, "/$entity")?);
        Ok(Answer::json(200, &view))
    }

    pub(super) fn create_pass(&mut self, call: &Call, user: &str, now: Now) -> Result<Answer, Refusal> {
        let at = self.user(user)?;
        let wanted = self.wanted_pass(call, at, now)?;
        let before = self.methods(at)?.pass.as_deref();
        if before.is_some_and(|pass| pass.is_of_use(now)) && !self.policy.passes.replaces {
            return Err(Refusal::PassExists);
        }
        let from = before.map(|pass| pass.id.clone());
        let mut view = self.pass_view(&wanted, now);
        view["@odata.context"] = Value::from(self.pass_context(call, at, "/$entity")?);
        view["temporaryAccessPass"] = Value::from(self.made_up());
        let to = Some(wanted.id.clone());
        let holder = self.attributes(at)?.id().to_owned();
        self.change(at, now)?.pass = Some(Box::new(wanted));
        let method = "temporaryAccessPass";
        self.effects.push(Effect { user: Some(holder), method, serial: None, from, to });
        Ok(Answer::json(201, &view))
    }

    /// What a creation asks for, if the policy allows it.
    fn wanted_pass(&mut self, call: &Call, user: u32, now: Now) -> Result<Pass, Refusal> {
        const KNOWN: [&str; 4] = ["lifetimeInMinutes", "isUsableOnce", "startDateTime", "@odata.type"];
        let empty = Map::new();
        let body = if call.content == super::Content::Empty { &empty } else { call.object()? };
        if body.keys().any(|key| !KNOWN.contains(&key.as_str())) {
            return Err(Refusal::Property("temporaryAccessPass"));
        }
        let is_guest =
            self.attributes(user)?.get("userType").is_some_and(|t| t.eq_ignore_ascii_case("guest"));
        if is_guest {
            return Err(Refusal::PassGuest);
        }
        let policy = &self.policy.passes;
        if !policy.enabled || !self.gets_passes(user) {
            return Err(Refusal::PassPolicy);
        }
        let lifetime = match body.get("lifetimeInMinutes").filter(|v| !v.is_null()) {
            None => policy.default_lifetime_in_minutes,
            Some(value) => value
                .as_u64()
                .and_then(|n| u32::try_from(n).ok())
                .ok_or(Refusal::Property("lifetimeInMinutes"))?,
        };
        let allowed = policy.minimum_lifetime_in_minutes..=policy.maximum_lifetime_in_minutes;
        if !LIFETIMES.contains(&lifetime) || !allowed.contains(&lifetime) {
            return Err(Refusal::PassSettings("lifetime"));
        }
        let once = match body.get("isUsableOnce").filter(|v| !v.is_null()) {
            None => policy.is_usable_once,
            Some(value) => value.as_bool().ok_or(Refusal::Property("isUsableOnce"))?,
        };
        if policy.is_usable_once && !once {
            return Err(Refusal::PassSettings("repeated use"));
        }
        let start = match body.get("startDateTime").filter(|v| !v.is_null()) {
            None => now.unix_ms,
            Some(value) => value.as_str().and_then(unix_ms).ok_or(Refusal::Property("startDateTime"))?,
        };
        Ok(Pass {
            id: self.ids.fresh(),
            created_date_time: date(now.unix_ms),
            start_date_time: date(start),
            lifetime_in_minutes: lifetime,
            is_usable_once: once,
            used: false,
        })
    }

    fn gets_passes(&self, user: u32) -> bool {
        let groups = &self.policy.passes.include_groups;
        let is_in = |id: &String| {
            let group = self.group_at(id).and_then(|at| self.group(at));
            group.is_ok_and(|group| group.roster.contains(Member::User(user)))
        };
        groups.is_empty() || groups.iter().any(is_in)
    }

    /// A pass that nobody guesses and nothing keeps.
    fn made_up(&mut self) -> String {
        let length = usize::try_from(self.policy.passes.default_length).unwrap_or(8).clamp(8, 48);
        let source: String = (0..4).map(|_| self.ids.fresh().replace('-', "")).collect();
        let bytes = source.as_bytes().chunks_exact(2);
        let letter = |pair: &[u8]| {
            let value = std::str::from_utf8(pair).ok().and_then(|hex| usize::from_str_radix(hex, 16).ok());
            LETTERS.get(value.unwrap_or_default() % LETTERS.len()).copied().map_or('A', char::from)
        };
        bytes.take(length).map(letter).collect()
    }

    pub(super) fn delete_pass(&mut self, user: &str, id: &str, now: Now) -> Result<Answer, Refusal> {
        let at = self.user(user)?;
        let pass = self.methods(at)?.pass.as_deref();
        let gone = pass.filter(|pass| pass.id.eq_ignore_ascii_case(id)).ok_or(Refusal::MethodAbsent)?;
        let from = Some(gone.id.clone());
        let holder = self.attributes(at)?.id().to_owned();
        self.change(at, now)?.pass = None;
        let method = "temporaryAccessPass";
        self.effects.push(Effect { user: Some(holder), method, serial: None, from, to: None });
        Ok(Answer::no_content())
    }
}
