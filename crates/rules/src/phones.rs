//! Phone and Backup Phone (rules P1 to P5, B1 to B5).
//!
//! A blocked phone holds nothing: the backup is decided as if it were absent (U6). Methods out of scope leave no
//! change and no code, but what the record says of them still counts where a rule asks about the record (B3).

use crate::number::{self, Extension, Normalised};
use contract::{
    Change, Code, Method, Mode, Note, Observed, OnExisting, Policy, Record, SmsDirection, Subject, Target,
};

/// What was decided for the two phones.
#[derive(Default)]
pub(crate) struct Phones {
    pub(crate) changes: Vec<Change>,
    pub(crate) notes: Vec<Note>,
    /// Phone's target, where its number will stand there or stands there already; for §7.
    pub(crate) holds: Option<Target>,
    /// Numbers after the plan.
    pub(crate) mobile: bool,
    pub(crate) alternate_mobile: bool,
    pub(crate) office: bool,
}

/// How Phone came out.
enum Primary {
    Absent,
    Blocked(Code),
    Placed { target: Target, number: Normalised, dropped: bool },
}

impl Phones {
    pub(crate) fn decide(record: &Record, observed: &Observed, policy: &Policy, mode: Mode) -> Self {
        let has = |target| observed.methods.phones.contains_key(&target);
        let mut phones = Self {
            mobile: has(Target::Mobile),
            alternate_mobile: has(Target::AlternateMobile),
            office: has(Target::Office),
            ..Self::default()
        };
        let primary = primary(record, policy, mode);
        phones.place_primary(&primary, record, observed, policy, mode);
        if policy.covers(Method::Backup) && !number::is_absent(&record.backup) {
            phones.place_backup(&primary, record, observed, policy, mode);
        }
        phones.changes.sort_by_key(|c| c.method);
        phones
    }

    fn place_primary(
        &mut self,
        primary: &Primary,
        record: &Record,
        observed: &Observed,
        policy: &Policy,
        mode: Mode,
    ) {
        if !policy.covers(Method::Phone) {
            if let Primary::Placed { target, number, .. } = primary
                && stands(observed, *target, number)
            {
                self.holds = Some(*target);
            }
            return;
        }
        let mut subject = Subject::Phone;
        match primary {
            Primary::Absent => self.note(Code::PhoneAbsent, Subject::Phone),
            Primary::Blocked(code) => self.note(*code, Subject::Phone),
            Primary::Placed { target, number, dropped } => {
                subject = subject_of(*target);
                for code in number.codes() {
                    self.note(code, subject);
                }
                if *dropped {
                    self.note(Code::ExtensionDropped, subject);
                }
                if self.write(*target, number, observed, policy) {
                    self.holds = Some(*target);
                }
            }
        }
        if mode == Mode::SmsText && record.sms_direction == SmsDirection::TwoWay {
            self.note(Code::TwoWaySmsBecomesOneWay, subject);
        }
    }

    fn place_backup(
        &mut self,
        primary: &Primary,
        record: &Record,
        observed: &Observed,
        policy: &Policy,
        mode: Mode,
    ) {
        let extension = number::extension_of(&record.backup);
        // B3 asks the record: neither the scope nor a number that is blocked changes what both have.
        let phone_has_extension =
            !matches!(primary, Primary::Absent) && number::extension_of(&record.phone).is_some();
        let office_is_free = mode == Mode::SmsText && policy.backup_to_free_office;
        if extension.is_some() && phone_has_extension && !office_is_free {
            return self.note(Code::BackupSkippedBothExtensions, Subject::Backup);
        }
        let number = match number::normalise(&record.backup, policy.default_country_code.as_deref()) {
            Ok(number) => number,
            Err(code) => return self.note(code, Subject::Backup),
        };
        let claimed =
            policy.covers(Method::Phone) && matches!(primary, Primary::Placed { target: Target::Mobile, .. });
        let mut promoted = false;
        let target = match extension {
            Some(Extension::Unrepresentable) => {
                return self.note(Code::ExtensionUnrepresentable, Subject::Backup);
            }
            Some(Extension::Digits(_)) => Target::Office,
            None if policy.promote_backup_to_mobile && self.may_be_mobile(claimed, &number, observed) => {
                promoted = true;
                Target::Mobile
            }
            None if self.mobile => Target::AlternateMobile,
            None => {
                for code in number.codes() {
                    self.note(code, Subject::Backup);
                }
                return self.note(Code::AlternateNeedsMobile, Subject::Backup);
            }
        };
        let subject = subject_of(target);
        for code in number.codes() {
            self.note(code, subject);
        }
        if promoted {
            self.note(Code::BackupPromotedToMobile, subject);
        }
        if let Primary::Placed { number: phone, .. } = primary
            && policy.covers(Method::Phone)
            && *phone == number
        {
            self.note(Code::BackupDuplicatesPhone, subject);
        }
        self.write(target, &number, observed, policy);
    }

    /// B4's promotion: no mobile at all, or the one that an earlier promotion wrote (else planning again after it
    /// would add the same number as alternate mobile). A mobile that Phone claims is never the backup's.
    fn may_be_mobile(&self, claimed: bool, number: &Normalised, observed: &Observed) -> bool {
        !self.mobile || (!claimed && stands(observed, Target::Mobile, number))
    }

    /// Plans a number; true where it will stand there or does so already.
    fn write(&mut self, target: Target, number: &Normalised, observed: &Observed, policy: &Policy) -> bool {
        let subject = subject_of(target);
        if stands(observed, target, number) {
            self.note(Code::Unchanged, subject);
            return true;
        }
        let from = observed.methods.phones.get(&target).cloned();
        if from.is_some() && policy.on_existing == OnExisting::Keep {
            self.note(Code::KeptExisting, subject);
            return false;
        }
        self.changes.push(Change { method: target, serial: None, from, to: Some(number.to_graph()) });
        match target {
            Target::Mobile => self.mobile = true,
            Target::AlternateMobile => self.alternate_mobile = true,
            Target::Office => self.office = true,
            Target::HardwareOath | Target::Default => {}
        }
        true
    }

    fn note(&mut self, code: Code, method: Subject) {
        self.notes.push(Note { code, method, device: None });
    }
}

fn primary(record: &Record, policy: &Policy, mode: Mode) -> Primary {
    if number::is_absent(&record.phone) {
        return Primary::Absent;
    }
    let mut number = match number::normalise(&record.phone, policy.default_country_code.as_deref()) {
        Ok(number) => number,
        Err(code) => return Primary::Blocked(code),
    };
    if number.extension.is_none() {
        return Primary::Placed { target: Target::Mobile, number, dropped: false };
    }
    if mode == Mode::SmsText {
        number.extension = None;
        return Primary::Placed { target: Target::Mobile, number, dropped: true };
    }
    if number.extension == Some(Extension::Unrepresentable) {
        return Primary::Blocked(Code::ExtensionUnrepresentable);
    }
    Primary::Placed { target: Target::Office, number, dropped: false }
}

fn stands(observed: &Observed, target: Target, number: &Normalised) -> bool {
    observed
        .methods
        .phones
        .get(&target)
        .is_some_and(|v| *v == number.to_graph() || number::observed(v).is_some_and(|n| n == *number))
}

fn subject_of(target: Target) -> Subject {
    match target {
        Target::Mobile => Subject::Mobile,
        Target::AlternateMobile => Subject::AlternateMobile,
        Target::Office => Subject::Office,
        Target::HardwareOath => Subject::HardwareOath,
        Target::Default => Subject::Default,
    }
}
