//! The writes there are, and how each looks on the wire. Nothing else can be written through this crate.
//!
//! Debug shows no number, secret or code.

use crate::bundle::Item;
use crate::client::Version;
use crate::wire::encode;
use contract::{DefaultMethod, EntraId, Secret, Target};
use serde_json::{Value, json};
use std::sync::Arc;

/// Makes a token's code when it is needed. Two of them are never equal: nothing compares codes.
#[derive(Clone)]
pub struct CodeNow(Arc<dyn Fn() -> String + Send + Sync>);

impl CodeNow {
    /// From a function of the clock.
    pub fn new(make: impl Fn() -> String + Send + Sync + 'static) -> Self {
        Self(Arc::new(make))
    }
}

/// One write.
#[derive(Clone)]
pub enum WriteCall {
    /// Registers a number that is not there; 201.
    CreatePhone {
        /// The user.
        user: EntraId,
        /// Which number: mobile, alternate mobile or office.
        kind: Target,
        /// The number as Graph takes it.
        number: String,
    },
    /// Changes a number that is there; 200 or 204.
    UpdatePhone {
        /// The user.
        user: EntraId,
        /// Which number.
        kind: Target,
        /// The number as Graph takes it.
        number: String,
    },
    /// Removes a number; 204.
    DeletePhone {
        /// The user.
        user: EntraId,
        /// Which number.
        kind: Target,
    },
    /// Creates a token in the inventory, assigned to the user; 201 with the device.
    CreateToken {
        /// The user.
        user: EntraId,
        /// Serial number.
        serial: String,
        /// Canonical base32, at most 128 characters.
        secret: Secret,
        /// 30 or 60.
        interval_seconds: u32,
        /// Manufacturer.
        manufacturer: String,
        /// Model.
        model: String,
    },
    /// Proves a token that the user holds; 204.
    ActivateToken {
        /// The user.
        user: EntraId,
        /// The method on the user.
        method_id: String,
        /// Makes the code of the moment of sending: one made earlier could be out of date by then.
        code: CodeNow,
    },
    /// Assigns a token of the inventory and proves it; 204.
    AssignToken {
        /// The user.
        user: EntraId,
        /// The device in the inventory.
        device_id: String,
        /// Makes the code of the moment of sending: one made earlier could be out of date by then.
        code: CodeNow,
    },
    /// Takes a token from the user; it returns to the inventory; 204.
    UnassignToken {
        /// The user.
        user: EntraId,
        /// The method on the user.
        method_id: String,
    },
    /// Puts a token that is in use back to being held and unproven; 204.
    DeactivateToken {
        /// The user.
        user: EntraId,
        /// The method on the user.
        method_id: String,
    },
    /// Removes an unassigned token from the inventory; 204.
    DeleteDevice {
        /// The device.
        device_id: String,
    },
    /// Sets the user's default method; 204.
    SetDefault {
        /// The user.
        user: EntraId,
        /// The method.
        method: DefaultMethod,
    },
}

impl std::fmt::Debug for WriteCall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::CreatePhone { .. } => "CreatePhone",
            Self::UpdatePhone { .. } => "UpdatePhone",
            Self::DeletePhone { .. } => "DeletePhone",
            Self::CreateToken { .. } => "CreateToken",
            Self::ActivateToken { .. } => "ActivateToken",
            Self::AssignToken { .. } => "AssignToken",
            Self::UnassignToken { .. } => "UnassignToken",
            Self::DeactivateToken { .. } => "DeactivateToken",
            Self::DeleteDevice { .. } => "DeleteDevice",
            Self::SetDefault { .. } => "SetDefault",
        })
    }
}

const DEVICES: &str = "/directory/authenticationMethodDevices/hardwareOathDevices";

impl WriteCall {
    /// The half of the API it belongs to: phones are in v1.0, the rest is in beta alone.
    pub fn version(&self) -> Version {
        match self {
            Self::CreatePhone { .. } | Self::UpdatePhone { .. } | Self::DeletePhone { .. } => Version::V1,
            Self::CreateToken { .. }
            | Self::ActivateToken { .. }
            | Self::AssignToken { .. }
            | Self::UnassignToken { .. }
            | Self::DeactivateToken { .. }
            | Self::DeleteDevice { .. }
            | Self::SetDefault { .. } => Version::Beta,
        }
    }

    /// The request at a position of a bundle; `None` for a phone that is no phone.
    pub(crate) fn item(&self, position: usize) -> Option<Item> {
        let (method, url, body) = self.request()?;
        Some(Item::new(position, method, url, body))
    }

    fn request(&self) -> Option<(&'static str, String, Option<Value>)> {
        Some(match self {
            Self::CreatePhone { user, kind, number } => {
                phone_id(*kind)?;
                let body = json!({ "phoneNumber": number, "phoneType": kind.as_str() });
                ("POST", of_user(user, "phoneMethods"), Some(body))
            }
            Self::UpdatePhone { user, kind, number } => {
                let body = json!({ "phoneNumber": number, "phoneType": kind.as_str() });
                ("PATCH", of_user(user, &format!("phoneMethods/{}", phone_id(*kind)?)), Some(body))
            }
            Self::DeletePhone { user, kind } => {
                ("DELETE", of_user(user, &format!("phoneMethods/{}", phone_id(*kind)?)), None)
            }
            Self::CreateToken { user, serial, secret, interval_seconds, manufacturer, model } => {
                let body = json!({
                    "serialNumber": serial, "manufacturer": manufacturer, "model": model,
                    "secretKey": secret.expose(), "timeIntervalInSeconds": interval_seconds,
                    "hashFunction": "hmacsha1", "assignTo": { "id": user.0 },
                });
                ("POST", DEVICES.to_owned(), Some(body))
            }
            Self::ActivateToken { user, method_id, code } => {
                let path = format!("hardwareOathMethods/{}/activate", encode(method_id));
                ("POST", of_user(user, &path), Some(json!({ "verificationCode": (code.0)() })))
            }
            Self::AssignToken { user, device_id, code } => {
                let body = json!({ "verificationCode": (code.0)(), "device": { "id": device_id } });
                ("POST", of_user(user, "hardwareOathMethods/assignAndActivate"), Some(body))
            }
            Self::UnassignToken { user, method_id } => {
                ("DELETE", of_user(user, &format!("hardwareOathMethods/{}", encode(method_id))), None)
            }
            Self::DeactivateToken { user, method_id } => {
                let path = format!("hardwareOathMethods/{}/deactivate", encode(method_id));
                ("POST", of_user(user, &path), None)
            }
            Self::DeleteDevice { device_id } => ("DELETE", format!("{DEVICES}/{}", encode(device_id)), None),
            Self::SetDefault { user, method } => {
                let body = json!({ "userPreferredMethodForSecondaryAuthentication": method.as_str() });
                ("PATCH", of_user(user, "signInPreferences"), Some(body))
            }
        })
    }
}

fn of_user(user: &EntraId, tail: &str) -> String {
    format!("/users/{}/authentication/{tail}", encode(&user.0))
}

/// The fixed method id of each kind of phone (Graph, phoneAuthenticationMethod).
fn phone_id(kind: Target) -> Option<&'static str> {
    match kind {
        Target::Mobile => Some("3179e48a-750b-4051-897c-87b9720928f7"),
        Target::AlternateMobile => Some("b6332ec1-7057-4abe-9331-3d72feddfe41"),
        Target::Office => Some("e37fc753-ff3b-4958-9484-eaa9425c82bc"),
        Target::HardwareOath | Target::Default => None,
    }
}
