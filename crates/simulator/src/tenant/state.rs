//! The state file: read as a stream into packed users, written back whole.
//!
//! Every part but `users` may be missing. What is written is accepted again: a tenant can be stopped and started
//! from its own answer. Unknown keys are ignored.

use super::attributes::{Attributes, FLAGS, TEXTS};
use super::methods::{App, Methods, PhoneType};
use contract::DefaultMethod;
use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use std::fmt;
use std::io::Read;

/// A tenant as a state file describes it. Read it with serde or with [`State::read`]; `serve` takes it.
#[derive(Default, Deserialize)]
pub struct State {
    #[serde(deserialize_with = "users")]
    pub(super) users: Users,
    #[serde(default)]
    pub(super) groups: Vec<GroupFile>,
    #[serde(default, rename = "hardwareOathDevices")]
    pub(super) devices: Vec<DeviceFile>,
    #[serde(default, rename = "featureRolloutPolicies")]
    pub(super) rollouts: Vec<Value>,
    #[serde(default)]
    pub(super) domains: Vec<Value>,
    #[serde(default, rename = "authenticationMethodsPolicy")]
    pub(super) policy: PolicyFile,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "State({} users, {} groups)", self.users.list.len(), self.groups.len())
    }
}

impl State {
    /// Reads a state file as a stream; only the packed users stay in memory.
    ///
    /// # Errors
    /// The text is not JSON, is not of this shape, or cannot be read.
    pub fn read(reader: impl Read) -> Result<Self, serde_json::Error> {
        serde_json::from_reader(std::io::BufReader::with_capacity(1 << 20, reader))
    }

    /// How many users there are.
    pub fn user_count(&self) -> usize {
        self.users.list.len()
    }
}

/// The users, and the tokens that the file puts into their hands (the inventory is known only afterwards).
#[derive(Default)]
pub(super) struct Users {
    pub(super) list: Vec<(Attributes, Methods)>,
    /// Index of the user, and the token.
    pub(super) tokens: Vec<(u32, TokenFile)>,
}

/// A group; `members` are ids of users, of groups, and of those that `contacts` names as organisational contacts.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct GroupFile {
    pub(crate) id: String,
    pub(crate) display_name: String,
    /// `assigned` or `dynamic`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub(crate) kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) on_premises_sync_enabled: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) is_assignable_to_role: Option<bool>,
    pub(crate) members: Vec<String>,
    /// Ids that are neither users nor groups and are members all the same, whether `members` lists them or not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) contacts: Vec<String>,
}

/// A device of the inventory.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct DeviceFile {
    pub(super) id: String,
    pub(super) serial_number: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) status: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) display_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) manufacturer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) model: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) secret_key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) time_interval_in_seconds: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) hash_function: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) assigned_to: Option<IdFile>,
}

/// A reference by id.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct IdFile {
    pub(super) id: String,
}

/// A token in a user's hands.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct TokenFile {
    pub(super) id: String,
    pub(super) serial_number: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) status: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) device_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) secret_key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) time_interval_in_seconds: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) created_date_time: Option<String>,
}

/// What the methods policy allows; a missing list allows everything.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct PolicyFile {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) allowed: Option<Vec<DefaultMethod>>,
    #[serde(default, rename = "temporaryAccessPass", skip_serializing_if = "Option::is_none")]
    pub(crate) passes: Option<super::passes::PassPolicy>,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct AuthenticationFile {
    pub(super) phone_methods: Vec<PhoneFile>,
    pub(super) microsoft_authenticator_methods: Vec<AppFile>,
    pub(super) software_oath_methods: Vec<IdFile>,
    pub(super) hardware_oath_methods: Vec<TokenFile>,
    pub(super) sign_in_preferences: PreferencesFile,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) temporary_access_pass_methods: Vec<super::passes::Pass>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) requirements: Option<RequirementsFile>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PhoneFile {
    pub(super) phone_type: String,
    pub(super) phone_number: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AppFile {
    #[serde(default)]
    pub(super) id: String,
    #[serde(default)]
    pub(super) display_name: Option<String>,
    #[serde(default)]
    pub(super) phone_app_version: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) device_tag: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) created_date_time: Option<String>,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct PreferencesFile {
    pub(super) is_system_preferred_authentication_method_enabled: Option<bool>,
    pub(super) user_preferred_method_for_secondary_authentication: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RequirementsFile {
    #[serde(default)]
    pub(super) per_user_mfa_state: Option<String>,
}

fn users<'de, D: Deserializer<'de>>(from: D) -> Result<Users, D::Error> {
    struct List;
    impl<'de> Visitor<'de> for List {
        type Value = Users;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of users")
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Users, A::Error> {
            let mut users = Users::default();
            while let Some((attributes, file)) = seq.next_element_seed(OneUser)? {
                let index = u32::try_from(users.list.len()).map_err(A::Error::custom)?;
                let methods = methods(&attributes, file, |token| users.tokens.push((index, token)))
                    .map_err(A::Error::custom)?;
                users.list.push((attributes, methods));
            }
            users.list.shrink_to_fit();
            Ok(users)
        }
    }
    from.deserialize_seq(List)
}

struct OneUser;

impl<'de> DeserializeSeed<'de> for OneUser {
    type Value = (Attributes, AuthenticationFile);

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for OneUser {
    type Value = (Attributes, AuthenticationFile);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a user")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut texts: Vec<(u8, String)> = Vec::with_capacity(12);
        let mut flags = [None; 2];
        let mut authentication = AuthenticationFile::default();
        while let Some(key) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            if key == "authentication" {
                authentication = map.next_value::<Option<AuthenticationFile>>()?.unwrap_or_default();
            } else if let Some(code) = TEXTS.iter().position(|n| *n == key) {
                if let Some(value) = map.next_value::<Option<String>>()? {
                    texts.push((u8::try_from(code).map_err(A::Error::custom)?, value));
                }
            } else if let Some(flag) = FLAGS.iter().zip(&mut flags).find(|(n, _)| **n == key) {
                *flag.1 = map.next_value::<Option<bool>>()?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        let mut attributes = Attributes::pack(&texts);
        let [enabled, synced] = flags;
        attributes.account_enabled = enabled;
        attributes.on_premises_sync_enabled = synced;
        if attributes.id().is_empty() {
            return Err(A::Error::missing_field("id"));
        }
        Ok((attributes, authentication))
    }
}

fn methods(
    user: &Attributes,
    file: AuthenticationFile,
    mut token: impl FnMut(TokenFile),
) -> Result<Methods, String> {
    let mut methods = Methods::default();
    for phone in file.phone_methods {
        let of = PhoneType::parse(&phone.phone_type)
            .ok_or_else(|| format!("user {}: phoneType {:?} is not known", user.id(), phone.phone_type))?;
        methods.phones.set(of, Some(phone.phone_number.into_boxed_str()));
    }
    for (n, app) in file.microsoft_authenticator_methods.into_iter().enumerate() {
        methods.apps.push(App {
            id: id_or(app.id, || super::ids::derived(user.id(), "app", n)),
            display_name: app.display_name.map(String::into_boxed_str),
            phone_app_version: app.phone_app_version.map(String::into_boxed_str),
            device_tag: app.device_tag.map(String::into_boxed_str),
            created: app.created_date_time.map(String::into_boxed_str),
        });
    }
    for (n, software) in file.software_oath_methods.into_iter().enumerate() {
        methods.software.push(id_or(software.id, || super::ids::derived(user.id(), "software", n)));
    }
    for (n, mut held) in file.hardware_oath_methods.into_iter().enumerate() {
        held.id = id_or(held.id, || super::ids::derived(user.id(), "hardware", n)).into();
        token(held);
    }
    let preferences = file.sign_in_preferences;
    methods.system_preferred = preferences.is_system_preferred_authentication_method_enabled.unwrap_or(false);
    methods.default = preferences
        .user_preferred_method_for_secondary_authentication
        .as_deref()
        .and_then(DefaultMethod::parse);
    methods.pass = file.temporary_access_pass_methods.into_iter().next().map(Box::new);
    methods.per_user_mfa = file.requirements.and_then(|r| r.per_user_mfa_state).map(String::into_boxed_str);
    Ok(methods)
}

fn id_or(id: String, make: impl FnOnce() -> String) -> Box<str> {
    if id.is_empty() { make().into_boxed_str() } else { id.into_boxed_str() }
}
