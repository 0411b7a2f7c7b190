//! The default method (§7, rules D1 to D5), decided last, over what will then be present.
//!
//! Never names a method that will not be there or that the tenant's policy refuses. Where D1 leaves a default
//! alone, nothing is said of it: `unchanged` speaks of numbers (§3).

use contract::{
    Allowed, Change, Code, DefaultMethod, DefaultMethodPolicy, Mode, Note, Observed, Policy, Subject, Target,
};

/// What the user has.
#[derive(Clone, Copy)]
pub(crate) struct Present {
    pub(crate) authenticator: bool,
    pub(crate) software_oath: bool,
    pub(crate) hardware_oath: bool,
    pub(crate) mobile: bool,
    pub(crate) alternate_mobile: bool,
    pub(crate) office: bool,
}

const ALL: [DefaultMethod; 6] = [
    DefaultMethod::Push,
    DefaultMethod::Oath,
    DefaultMethod::Sms,
    DefaultMethod::VoiceMobile,
    DefaultMethod::VoiceOffice,
    DefaultMethod::VoiceAlternateMobile,
];

impl Present {
    /// Whether a default method has something to stand on.
    pub(crate) fn has(self, method: DefaultMethod) -> bool {
        match method {
            DefaultMethod::Push => self.authenticator,
            DefaultMethod::Oath => self.software_oath || self.hardware_oath,
            DefaultMethod::Sms | DefaultMethod::VoiceMobile => self.mobile,
            DefaultMethod::VoiceOffice => self.office,
            DefaultMethod::VoiceAlternateMobile => self.alternate_mobile,
        }
    }

    /// Whether it is present and allowed; of the OATH kinds, the one that is present must be.
    pub(crate) fn offers(self, method: DefaultMethod, allowed: Allowed) -> bool {
        self.has(method)
            && match method {
                DefaultMethod::Push => allowed.has(Allowed::PUSH),
                DefaultMethod::Oath => {
                    (self.software_oath && allowed.has(Allowed::SOFTWARE_OATH))
                        || (self.hardware_oath && allowed.has(Allowed::HARDWARE_OATH))
                }
                DefaultMethod::Sms => allowed.has(Allowed::SMS),
                DefaultMethod::VoiceMobile => allowed.has(Allowed::VOICE_MOBILE),
                DefaultMethod::VoiceOffice => allowed.has(Allowed::VOICE_OFFICE),
                DefaultMethod::VoiceAlternateMobile => allowed.has(Allowed::VOICE_ALTERNATE),
            }
    }

    /// D2's order: push, oath, the mode's own transport, then what is left.
    pub(crate) fn most_secure(self, allowed: Allowed, mode: Mode) -> Option<DefaultMethod> {
        let own: &[DefaultMethod] = match mode {
            Mode::VoiceCall => {
                &[DefaultMethod::VoiceMobile, DefaultMethod::VoiceOffice, DefaultMethod::VoiceAlternateMobile]
            }
            Mode::SmsText | Mode::PhoneApp | Mode::OathToken | Mode::Unspecified => &[],
        };
        let (strong, rest) = ALL.split_at(2);
        strong.iter().chain(own).chain(rest).copied().find(|m| self.offers(*m, allowed))
    }

    /// Whether there is anything at all (D4).
    pub(crate) fn any(self) -> bool {
        ALL.into_iter().any(|m| self.has(m))
    }

    /// Phones and nothing else (U8).
    pub(crate) fn phone_only(self) -> bool {
        (self.mobile || self.alternate_mobile || self.office)
            && !(self.authenticator || self.software_oath || self.hardware_oath)
    }
}

/// Decides the default: at most one change, and the notes that go with it. `phone` is the target where Phone's
/// number will stand or stands, `mode` the record's with `unspecified` resolved.
pub(crate) fn decide(
    mode: Mode,
    phone: Option<Target>,
    present: Present,
    observed: &Observed,
    policy: &Policy,
) -> (Option<Change>, Vec<Note>) {
    let current = observed.methods.default;
    let leave = current.is_some() && policy.default_method != DefaultMethodPolicy::Always;
    let wanted = match policy.default_method {
        DefaultMethodPolicy::MostSecureIfUnset => present.most_secure(observed.allowed, mode),
        DefaultMethodPolicy::IfUnset | DefaultMethodPolicy::Always => wanted(mode, phone, present),
    };
    let usable = wanted.filter(|m| present.offers(*m, observed.allowed));
    let Some(chosen) = usable.or_else(|| present.most_secure(observed.allowed, mode)) else {
        let unavailable = present.any() && !leave;
        return (None, unavailable.then(|| note(Code::DefaultUnavailable)).into_iter().collect());
    };
    let mut notes = Vec::new();
    if usable.is_none() && !leave {
        notes.push(note(Code::DefaultSubstituted));
    }
    if leave || current == Some(chosen) {
        return (None, notes);
    }
    if observed.methods.system_preferred {
        notes.push(note(Code::SystemPreferredOn));
    }
    let change = Change {
        method: Target::Default,
        serial: None,
        from: current.map(|m| m.as_str().to_owned()),
        to: Some(chosen.as_str().to_owned()),
    };
    (Some(change), notes)
}

fn wanted(mode: Mode, phone: Option<Target>, present: Present) -> Option<DefaultMethod> {
    match mode {
        Mode::VoiceCall => match phone? {
            Target::Mobile => Some(DefaultMethod::VoiceMobile),
            Target::Office => Some(DefaultMethod::VoiceOffice),
            Target::AlternateMobile | Target::HardwareOath | Target::Default => None,
        },
        Mode::SmsText => Some(DefaultMethod::Sms),
        Mode::PhoneApp if present.authenticator => Some(DefaultMethod::Push),
        Mode::PhoneApp => present.has(DefaultMethod::Oath).then_some(DefaultMethod::Oath),
        Mode::OathToken => Some(DefaultMethod::Oath),
        Mode::Unspecified => None,
    }
}

fn note(code: Code) -> Note {
    Note { code, method: Subject::Default, device: None }
}
