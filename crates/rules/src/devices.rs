//! Mobile app devices (rules M1 to M9): sort, de-duplicate, cap, match, and last the target's limit.
//!
//! Graph cannot create a registration, so the only thing ever written here is a hardware token that keeps an
//! app's codes (M8). The cap of M3 asks whether the record has a token in scope, also when that token is blocked:
//! so the table says.

use crate::secret;
use crate::slots::{self, Slots, Standing, Wish};
use crate::token::{self, Fate};
use contract::{
    Change, Code, Device, Fingerprint, FingerprintKey, History, Method, Note, Observed, Policy, Record,
    Subject, Token,
};
use std::cmp::Reverse;

const CAP: usize = 5;
const CAP_WITH_TOKEN: usize = 4;
/// What MFA Server calls a device without a name.
const NO_NAME: &str = "NO_DEVICE";
/// Model of a token for a device without a name.
const MODEL: &str = "Mobile app";

/// What was decided for the devices.
#[derive(Default)]
pub(crate) struct Devices {
    pub(crate) written: Vec<(Change, Token)>,
    pub(crate) notes: Vec<Note>,
}

/// What the matching of each device looks at.
pub(crate) struct Matching<'a> {
    pub(crate) observed: &'a Observed,
    pub(crate) history: &'a History,
    pub(crate) keys: &'a FingerprintKey,
    pub(crate) slots: &'a mut Slots,
    /// Secrets that the user has, or will have by what is planned already.
    pub(crate) held: Vec<Fingerprint>,
    /// Whether M8 is switched on.
    pub(crate) keeps_codes: bool,
}

enum Found {
    Codes(&'static [Code]),
    Written(Box<(Change, Token)>),
}

impl Devices {
    /// M1 to M9 for the devices of a record; nothing when they are out of scope.
    pub(crate) fn decide(record: &Record, policy: &Policy, mut matching: Matching<'_>) -> Self {
        let mut devices = Self::default();
        if !policy.covers(Method::MobileApp) {
            return devices;
        }
        let kept = devices.choose(record, policy);
        let mut guesses = Vec::new();
        for device in kept {
            match matching.find(device) {
                Found::Codes(codes) => {
                    if codes == [Code::DeviceOverLimit] && !devices.written.is_empty() {
                        guesses.extend(guess(device));
                    }
                    devices.notes.extend(codes.iter().map(|code| note(*code, device)));
                }
                Found::Written(pair) => devices.written.push(*pair),
            }
        }
        devices.notes.splice(0..0, guesses);
        devices
    }

    /// M1 to M3. A guess decided where a device without a date lost.
    fn choose<'a>(&mut self, record: &'a Record, policy: &Policy) -> Vec<&'a Device> {
        let mut sorted: Vec<&Device> = record.devices.iter().collect();
        sorted.sort_by_key(|d| (d.activated_at_ms.is_none(), Reverse(d.activated_at_ms)));
        let mut seen: Vec<String> = Vec::new();
        let (mut kept, mut lost) = (Vec::new(), Vec::new());
        for device in sorted {
            let name = device.name.trim().to_lowercase();
            let nameless = name.is_empty() || name.eq_ignore_ascii_case(NO_NAME);
            if !nameless && seen.contains(&name) {
                lost.push((Code::DeviceSameName, device));
            } else {
                seen.push(name);
                kept.push(device);
            }
        }
        let with_token = record.oath_token.is_some() && policy.covers(Method::OathToken);
        let cap = if with_token { CAP_WITH_TOKEN } else { CAP };
        let over = kept.split_off(cap.min(kept.len()));
        lost.extend(over.into_iter().map(|d| (Code::DeviceOverLimit, d)));
        self.notes.extend(lost.iter().filter_map(|(_, d)| guess(d)));
        self.notes.extend(lost.iter().map(|(code, d)| note(*code, d)));
        kept
    }
}

impl Matching<'_> {
    fn find(&mut self, device: &Device) -> Found {
        let secret = device.oath_secret.as_ref().and_then(|s| secret::read(s.expose()).ok());
        let Some(secret) = secret else {
            return Found::Codes(self.without_codes());
        };
        let fingerprint = token::fingerprint(&secret, self.keys);
        if self.held.contains(&fingerprint) {
            return Found::Codes(&[Code::DevicePresent]);
        }
        let own = token::app_serial(fingerprint);
        let by_secret = token::known(fingerprint, self.observed, self.history);
        let (serial, standing) = by_secret.unwrap_or_else(|| {
            let at = slots::standing(self.observed, &own);
            (own, at)
        });
        if matches!(standing, Standing::InUse) {
            self.held.push(fingerprint);
            return Found::Codes(&[Code::DevicePresent]);
        }
        if !self.keeps_codes {
            return Found::Codes(self.without_codes());
        }
        let wish = Wish {
            serial: &serial,
            secret: &secret,
            interval_seconds: token::INTERVAL_SECONDS,
            manufacturer: token::MANUFACTURER,
            model: token::named(Some(&device.name), MODEL),
        };
        match token::place(&wish, standing, self.observed.guest, self.slots) {
            Fate::Written(pair) => {
                self.held.push(fingerprint);
                Found::Written(pair)
            }
            Fate::Noted(Code::OathOverLimit) => Found::Codes(&[Code::DeviceOverLimit]),
            // The codes cannot be kept (a guest, a serial that somebody else has): M6 or M7, as without M8.
            Fate::Noted(_) | Fate::Nothing => Found::Codes(self.without_codes()),
        }
    }

    fn without_codes(&self) -> &'static [Code] {
        if self.observed.methods.authenticators.is_empty() {
            &[Code::AppReregister]
        } else {
            &[Code::AppPresent, Code::AppUnverified]
        }
    }
}

fn note(code: Code, device: &Device) -> Note {
    Note { code, method: Subject::MobileApp, device: Some(device.name.clone()) }
}

fn guess(device: &Device) -> Option<Note> {
    device.activated_at_ms.is_none().then(|| note(Code::RecencyGuessed, device))
}
