//! The OATH token (rules O1 to O8), decided before the app devices so that its slot is held.
//!
//! A token that works already is left alone whatever the record lacks: a missing secret blocks a write, and there
//! is none to make. Where the source names no manufacturer or model, `MFA Server` and `OATH token` stand in,
//! because Graph wants both.

use crate::secret;
use crate::slots::{self, Slots, Standing, Wish};
use contract::{
    AppCodes, Change, Code, Fingerprint, FingerprintKey, History, Method, Observed, Policy, Record, Token,
    TokenStep,
};
use zeroize::Zeroizing;

/// Manufacturer where the source names none, and of the tokens that keep an app's codes (M8).
pub(crate) const MANUFACTURER: &str = "MFA Server";
const MODEL: &str = "OATH token";
/// Domain of the fingerprints of OATH secrets.
const SECRET_DOMAIN: &str = "oath-secret";
/// Seconds a code lives where nothing is said (O3).
pub(crate) const INTERVAL_SECONDS: u32 = 30;

/// What becomes of one token.
pub(crate) enum Fate {
    /// Nothing in scope.
    Nothing,
    /// A code and no change.
    Noted(Code),
    /// Written.
    Written(Box<(Change, Token)>),
}

/// Fingerprint of a decoded secret.
pub(crate) fn fingerprint(secret: &[u8], keys: &FingerprintKey) -> Fingerprint {
    keys.of(SECRET_DOMAIN, secret)
}

/// The serials that a plan of this record may write, each with the fingerprint of its secret: what the history keeps
/// once such a token is in place.
pub fn written_secrets(
    record: &Record,
    policy: &Policy,
    keys: &FingerprintKey,
) -> Vec<(String, Fingerprint)> {
    let mut found = Vec::new();
    let serial = record.oath_token.as_ref().and_then(|token| token.serial.as_deref());
    if let (Some(serial), Some(bytes)) = (serial, readable_secret(record, policy)) {
        found.push((serial.trim().to_owned(), fingerprint(&bytes, keys)));
    }
    if policy.covers(Method::MobileApp) && policy.app_codes == AppCodes::HardwareOath {
        let secrets =
            record.devices.iter().filter_map(|d| secret::read(d.oath_secret.as_ref()?.expose()).ok());
        found.extend(secrets.map(|bytes| fingerprint(&bytes, keys)).map(|fp| (app_serial(fp), fp)));
    }
    found
}

/// Serial of the token that keeps an app's codes (M8): `MFAS-` and twelve upper-case hex characters.
pub(crate) fn app_serial(fingerprint: Fingerprint) -> String {
    let hex = fingerprint.to_hex().to_ascii_uppercase();
    format!("MFAS-{}", hex.get(..12).unwrap_or(&hex))
}

/// The secret of the record's token when it is in scope and can be read; for M5.
pub(crate) fn readable_secret(record: &Record, policy: &Policy) -> Option<Zeroizing<Vec<u8>>> {
    let token = record.oath_token.as_ref().filter(|_| policy.covers(Method::OathToken))?;
    secret::read(token.secret.as_ref()?.expose()).ok()
}

/// Decides the record's token.
pub(crate) fn decide(
    record: &Record,
    observed: &Observed,
    policy: &Policy,
    history: &History,
    keys: &FingerprintKey,
    slots: &mut Slots,
) -> Fate {
    let Some(token) = record.oath_token.as_ref().filter(|_| policy.covers(Method::OathToken)) else {
        return Fate::Nothing;
    };
    let serial = token.serial.as_deref().map(str::trim).filter(|s| !s.is_empty());
    let secret = token.secret.as_ref().map_or(Err(Code::OathSecretMissing), |s| secret::read(s.expose()));
    let by_secret = secret.as_ref().ok().and_then(|s| known(fingerprint(s, keys), observed, history));
    let by_serial = || serial.map(|s| (s.to_owned(), slots::standing(observed, s)));
    let found = by_secret.or_else(by_serial);
    if let Some((_, Standing::InUse)) = found {
        return Fate::Noted(Code::OathPresent);
    }
    let secret = match secret {
        Ok(secret) => secret,
        Err(code) => return Fate::Noted(code),
    };
    let interval_seconds = token.interval_seconds.unwrap_or(INTERVAL_SECONDS);
    let (Some(_), Some((serial, standing)), 30 | 60) = (serial, found, interval_seconds) else {
        return Fate::Noted(Code::OathUnsupported);
    };
    let wish = Wish {
        serial: &serial,
        secret: &secret,
        interval_seconds,
        manufacturer: named(token.manufacturer.as_deref(), MANUFACTURER),
        model: named(token.model.as_deref(), MODEL),
    };
    place(&wish, standing, observed.guest, slots)
}

/// O4a to O8, in the order in which nothing is promised that Graph would refuse.
pub(crate) fn place(wish: &Wish<'_>, standing: Standing, guest: bool, slots: &mut Slots) -> Fate {
    let (from, step, slot) = match standing {
        Standing::InUse => return Fate::Noted(Code::OathPresent),
        Standing::Held { status, method_id, listed } => {
            (Some(status), TokenStep::Activate { method_id }, !listed)
        }
        Standing::Taken => return Fate::Noted(Code::OathSerialTaken),
        Standing::Spare { .. } | Standing::Nowhere if guest => {
            return Fate::Noted(Code::OathGuestUnsupported);
        }
        Standing::Spare { device_id } => (None, TokenStep::Assign { device_id }, true),
        Standing::Nowhere => (None, TokenStep::Create, true),
    };
    if slot && !slots.take() {
        return Fate::Noted(Code::OathOverLimit);
    }
    Fate::Written(Box::new(wish.change(from, step)))
}

/// A token that we wrote with this secret and that the user has: its serial and its standing. Where the user's
/// tokens were read without their devices, the history alone is believed.
pub(crate) fn known(
    secret: Fingerprint,
    observed: &Observed,
    history: &History,
) -> Option<(String, Standing)> {
    let tokens = &observed.methods.hardware_oath;
    let serials: Vec<&String> =
        history.secrets.iter().filter(|(fp, _)| *fp == secret).map(|(_, serial)| serial).collect();
    if let Some(found) = serials.iter().find_map(|s| slots::on_user(observed, s).map(|at| ((*s).clone(), at)))
    {
        return Some(found);
    }
    let blind = tokens.iter().any(|t| t.serial.is_none());
    serials.first().filter(|_| blind).map(|s| ((*s).clone(), Standing::InUse))
}

/// Serials that a plan of this record may touch, for the look-up in the inventory: the token's own, and those of
/// the tokens that would keep the codes of app devices (M8).
pub fn serials(record: &Record, policy: &Policy, keys: &FingerprintKey) -> Vec<String> {
    let mut out = Vec::new();
    if let Some(token) = record.oath_token.as_ref().filter(|_| policy.covers(Method::OathToken))
        && let Some(serial) = token.serial.as_deref().map(str::trim).filter(|s| !s.is_empty())
    {
        out.push(serial.to_owned());
    }
    if keeps_app_codes(policy) {
        let secrets = record.devices.iter().filter_map(|d| d.oath_secret.as_ref());
        out.extend(
            secrets
                .filter_map(|s| secret::read(s.expose()).ok())
                .map(|bytes| app_serial(fingerprint(&bytes, keys))),
        );
    }
    out
}

/// Whether a plan of this record needs the user's hardware tokens with their devices (serial and status), which is
/// one request more.
pub fn reads_tokens(record: &Record, policy: &Policy) -> bool {
    let token = policy.covers(Method::OathToken) && record.oath_token.is_some();
    token || (keeps_app_codes(policy) && record.devices.iter().any(|d| d.oath_secret.is_some()))
}

/// Whether M8 is switched on.
pub(crate) fn keeps_app_codes(policy: &Policy) -> bool {
    policy.app_codes == AppCodes::HardwareOath && policy.covers(Method::MobileApp)
}

/// A trimmed text, or what stands in for a blank one.
pub(crate) fn named<'a>(text: Option<&'a str>, instead: &'a str) -> &'a str {
    text.map(str::trim).filter(|t| !t.is_empty()).unwrap_or(instead)
}
