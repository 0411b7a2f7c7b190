//! The decision for one user: what to write, in which order, and why the rest is left.
//!
//! Pure and total. Methods are decided one by one and none stops another (U6); what the record does not mention is
//! never removed (U7); the default comes last, over what will then be present. Applying a plan and planning again,
//! with the written secrets in the history, gives no change.

use crate::default::{self, Present};
use crate::devices::{Devices, Matching};
use crate::phones::Phones;
use crate::slots::Slots;
use crate::token::{self, Fate};
use contract::{
    Code, CodeKind, FingerprintKey, History, Method, Mode, Note, Observed, Outcome, Plan, Policy, Record,
    Subject, TokenStatus,
};

/// Plans one user that was matched (U1 to U3 and U5 are decided before a user is observed). `keys` is the ledger's
/// fingerprint key; the secrets of `history` were fingerprinted with it.
pub fn plan(
    record: &Record,
    observed: &Observed,
    policy: &Policy,
    history: &History,
    keys: &FingerprintKey,
) -> Plan {
    if !record.enabled && !policy.include_disabled {
        let notes = vec![note(Code::SourceDisabled, Subject::User)];
        return Plan { changes: vec![], notes, tokens: vec![], outcome: Outcome::Skipped };
    }
    let mode = match record.mode {
        Mode::Unspecified => policy.company_default_mode.mode(),
        stated @ (Mode::VoiceCall | Mode::SmsText | Mode::PhoneApp | Mode::OathToken) => stated,
    };
    let phones = Phones::decide(record, observed, policy, mode);
    let (written, mut notes) = tokens(record, observed, policy, history, keys);
    let present = Present {
        authenticator: !observed.methods.authenticators.is_empty(),
        software_oath: observed.methods.software_oath > 0,
        // A token that no code has proven serves nobody. Where the status was not asked for, it is taken to be in use.
        hardware_oath: !written.is_empty()
            || observed
                .methods
                .hardware_oath
                .iter()
                .any(|t| t.status.is_none_or(|s| s == TokenStatus::Activated)),
        mobile: phones.mobile,
        alternate_mobile: phones.alternate_mobile,
        office: phones.office,
    };
    notes.splice(0..0, phones.notes);
    let mut changes = phones.changes;
    let mut tokens = Vec::with_capacity(written.len());
    for (change, token) in written {
        changes.push(change);
        tokens.push(token);
    }
    if policy.covers(Method::Default) {
        if record.mode == Mode::Unspecified {
            notes.push(note(Code::ModeUnspecified, Subject::Default));
        }
        let (change, why) = default::decide(mode, phones.holds, present, observed, policy);
        changes.extend(change);
        notes.extend(why);
    }
    if present.phone_only() {
        notes.push(note(Code::PhoneOnly, Subject::User));
    }
    let outcome = if !changes.is_empty() {
        Outcome::Change
    } else if notes.iter().any(|n| n.code.kind() == CodeKind::Blocked) {
        Outcome::Blocked
    } else {
        Outcome::Unchanged
    };
    Plan { changes, notes, tokens, outcome }
}

/// The token, then the devices: decided in this order, told in the order of the rules (devices first).
fn tokens(
    record: &Record,
    observed: &Observed,
    policy: &Policy,
    history: &History,
    keys: &FingerprintKey,
) -> (Vec<(contract::Change, contract::Token)>, Vec<Note>) {
    let mut slots = Slots::of(observed);
    let fate = token::decide(record, observed, policy, history, keys, &mut slots);
    let stands = matches!(fate, Fate::Written(_) | Fate::Noted(Code::OathPresent));
    let secret = token::readable_secret(record, policy).filter(|_| stands);
    let matching = Matching {
        observed,
        history,
        keys,
        slots: &mut slots,
        held: secret.iter().map(|s| token::fingerprint(s, keys)).collect(),
        keeps_codes: token::keeps_app_codes(policy),
    };
    let devices = Devices::decide(record, policy, matching);
    let mut notes = devices.notes;
    let mut written = Vec::with_capacity(devices.written.len() + 1);
    match fate {
        Fate::Nothing => {}
        Fate::Noted(code) => notes.push(note(code, Subject::OathToken)),
        Fate::Written(pair) => written.push(*pair),
    }
    written.extend(devices.written);
    (written, notes)
}

fn note(code: Code, method: Subject) -> Note {
    Note { code, method, device: None }
}
