//! Taking one user back (§9): the steps from what stands now to what stood before.
//!
//! ```text
//! SetDefault   to what shall stand in the end, or to anything that is still there
//! PatchPhone   changed numbers get their pre-image
//! Delete…      alternateMobile, mobile, office, tokens; what is the default now goes last of all
//! ```
//!
//! The default can move first, because whatever shall carry it in the end is there already: the steps after it only
//! take away what is not meant to stay. Nothing is touched that is neither ours nor the pre-image (a conflict), and
//! no device is deleted that we did not create. Asked again in the middle, the answer is the rest of the way; asked
//! at the end, it is empty.

use crate::default::Present;
use crate::number::same_number;
use crate::slots::{self, Standing};
use contract::{Allowed, Change, Code, DefaultMethod, Mode, Note, Observed, Subject, Target, TokenStatus};

/// What a run wrote, as the ledger has it on file.
#[derive(Clone, PartialEq, Eq)]
pub struct Written {
    /// Where it landed.
    pub method: Target,
    /// The token's serial; absent for everything else.
    pub serial: Option<String>,
    /// The value before our first write, as in `Change.from`; absent where nothing was there.
    pub pre_image: Option<String>,
    /// The value that we wrote, as in `Change.to`.
    pub ours: String,
    /// Whether we put the token's device into the inventory.
    pub created_device: bool,
}

impl std::fmt::Debug for Written {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Written({})", self.method.as_str())
    }
}

impl Written {
    fn slot(&self) -> String {
        Change { method: self.method, serial: self.serial.clone(), from: None, to: None }.slot()
    }
}

/// One step of the way back.
#[derive(Clone, PartialEq, Eq)]
pub enum RevertStep {
    /// Sets the default method.
    SetDefault {
        /// To this one, which is there.
        to: DefaultMethod,
    },
    /// Gives a number its pre-image.
    PatchPhone {
        /// `mobile`, `alternateMobile` or `office`.
        target: Target,
        /// The pre-image, as Graph showed it.
        to: String,
    },
    /// Deletes a number.
    DeletePhone {
        /// `mobile`, `alternateMobile` or `office`.
        target: Target,
    },
    /// Puts a token back to being held and unproven.
    DeactivateToken {
        /// Its serial.
        serial: String,
        /// Its method on the user.
        method_id: String,
    },
    /// Takes a token from the user; its device stays in the inventory.
    UnassignToken {
        /// Its serial.
        serial: String,
        /// Its method on the user.
        method_id: String,
    },
    /// Deletes a device that we created, once nobody holds it.
    DeleteDevice {
        /// Its serial.
        serial: String,
        /// Its id; absent where it was not read, then look it up by serial.
        device_id: Option<String>,
    },
}

impl std::fmt::Debug for RevertStep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::SetDefault { to } => write!(f, "SetDefault({})", to.as_str()),
            Self::PatchPhone { target, .. } => write!(f, "PatchPhone({})", target.as_str()),
            Self::DeletePhone { target } => write!(f, "DeletePhone({})", target.as_str()),
            Self::DeactivateToken { serial, .. } => write!(f, "DeactivateToken({serial})"),
            Self::UnassignToken { serial, .. } => write!(f, "UnassignToken({serial})"),
            Self::DeleteDevice { serial, .. } => write!(f, "DeleteDevice({serial})"),
        }
    }
}

/// The way back of one user.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RevertPlan {
    /// In the order in which Graph refuses none.
    pub steps: Vec<RevertStep>,
    /// Slots (as `Change::slot`) that hold neither ours nor the pre-image; left alone.
    pub conflicts: Vec<String>,
    /// `rollback-conflict` for each of those, and `default-left`.
    pub notes: Vec<Note>,
}

/// The steps that take back what was written, given what is there now. Only for a user that is quiet: while a write
/// of ours may still land, equal to the pre-image proves nothing. `observed.inventory` holds the tokens written.
pub fn revert(written: &[Written], observed: &Observed) -> RevertPlan {
    let mut way = Way::new(observed);
    for item in written {
        match item.method {
            Target::Mobile | Target::AlternateMobile | Target::Office => way.phone(item),
            Target::HardwareOath => way.token(item),
            Target::Default => {}
        }
    }
    way.keep_mobile_under_alternate(written);
    let default = written.iter().find(|w| w.method == Target::Default);
    way.finish(default)
}

struct Way<'a> {
    observed: &'a Observed,
    patches: Vec<RevertStep>,
    deletes: Vec<Target>,
    deactivations: Vec<RevertStep>,
    unassigned: Vec<RevertStep>,
    devices: Vec<RevertStep>,
    out: RevertPlan,
}

impl<'a> Way<'a> {
    fn new(observed: &'a Observed) -> Self {
        Self {
            observed,
            patches: vec![],
            deletes: vec![],
            deactivations: vec![],
            unassigned: vec![],
            devices: vec![],
            out: RevertPlan::default(),
        }
    }

    fn phone(&mut self, item: &Written) {
        let current = self.observed.methods.phones.get(&item.method);
        match (current, &item.pre_image) {
            (Some(now), Some(before)) if same_number(now, &item.ours) => {
                if now != before {
                    self.patches.push(RevertStep::PatchPhone { target: item.method, to: before.clone() });
                }
            }
            (Some(now), None) if same_number(now, &item.ours) => self.deletes.push(item.method),
            (Some(now), Some(before)) if same_number(now, before) => {}
            (None, None) => {}
            (Some(_) | None, Some(_) | None) => self.conflict(item),
        }
    }

    fn token(&mut self, item: &Written) {
        let Some(serial) = item.serial.clone() else {
            return self.conflict(item);
        };
        let inventory = self.observed.inventory.iter().find(|t| slots::same_serial(&t.serial, &serial));
        let held = self.held(&serial);
        let ours_to_take = match item.pre_image.as_deref().and_then(TokenStatus::parse) {
            None | Some(TokenStatus::Available) => true,
            Some(TokenStatus::Assigned | TokenStatus::FailedActivation | TokenStatus::Activated) => false,
        };
        match held {
            Some((status, method_id, _)) if !ours_to_take => {
                if status == TokenStatus::Activated {
                    self.deactivations.push(RevertStep::DeactivateToken { serial, method_id });
                }
            }
            Some((_, method_id, device_id)) => {
                let device_id = device_id.or_else(|| inventory.map(|t| t.device_id.clone()));
                self.unassigned.push(RevertStep::UnassignToken { serial: serial.clone(), method_id });
                if item.created_device && item.pre_image.is_none() {
                    self.devices.push(RevertStep::DeleteDevice { serial, device_id });
                }
            }
            None if !ours_to_take => self.conflict(item),
            None => match inventory {
                Some(token) if token.holder.is_some() => self.conflict(item),
                Some(token) if item.created_device && item.pre_image.is_none() => {
                    let device_id = Some(token.device_id.clone());
                    self.devices.push(RevertStep::DeleteDevice { serial, device_id });
                }
                Some(_) | None => {}
            },
        }
    }

    /// Status, method id and device id of a token on the user.
    fn held(&self, serial: &str) -> Option<(TokenStatus, String, Option<String>)> {
        let listed = self
            .observed
            .methods
            .hardware_oath
            .iter()
            .find(|t| t.serial.as_deref().is_some_and(|s| slots::same_serial(s, serial)));
        if let Some(token) = listed {
            let status = token.status.unwrap_or(TokenStatus::Activated);
            return Some((status, token.method_id.clone(), token.device_id.clone()));
        }
        match slots::standing(self.observed, serial) {
            Standing::Held { status, method_id, .. } => Some((status, method_id.clone(), Some(method_id))),
            // In use by the inventory, not on the user's list: the method's id equals the device's.
            Standing::InUse => {
                let token = self.observed.inventory.iter().find(|t| slots::same_serial(&t.serial, serial))?;
                Some((token.status, token.device_id.clone(), Some(token.device_id.clone())))
            }
            Standing::Taken | Standing::Spare { .. } | Standing::Nowhere => None,
        }
    }

    /// Graph refuses to delete a mobile under an alternate mobile: where that one stays, so does the mobile.
    fn keep_mobile_under_alternate(&mut self, written: &[Written]) {
        let alternate_stays = self.observed.methods.phones.contains_key(&Target::AlternateMobile)
            && !self.deletes.contains(&Target::AlternateMobile);
        if alternate_stays && self.deletes.contains(&Target::Mobile) {
            self.deletes.retain(|t| *t != Target::Mobile);
            if let Some(item) = written.iter().find(|w| w.method == Target::Mobile) {
                self.conflict(item);
            }
        }
    }

    /// What is there in the end.
    fn remaining(&self) -> Present {
        let methods = &self.observed.methods;
        let stays = |t| methods.phones.contains_key(&t) && !self.deletes.contains(&t);
        Present {
            authenticator: !methods.authenticators.is_empty(),
            software_oath: methods.software_oath > 0,
            hardware_oath: methods.hardware_oath.len() > self.unassigned.len(),
            mobile: stays(Target::Mobile),
            alternate_mobile: stays(Target::AlternateMobile),
            office: stays(Target::Office),
        }
    }

    fn finish(mut self, default: Option<&Written>) -> RevertPlan {
        let last = self.settle_default(default);
        let mut out = std::mem::take(&mut self.out);
        out.steps.append(&mut self.patches);
        out.steps.append(&mut self.deactivations);
        let mut order = [Target::AlternateMobile, Target::Mobile, Target::Office, Target::HardwareOath];
        order.sort_by_key(|t| Some(*t) == last);
        for group in order {
            if group == Target::HardwareOath {
                out.steps.append(&mut self.unassigned);
                out.steps.append(&mut self.devices);
            } else if self.deletes.contains(&group) {
                out.steps.push(RevertStep::DeletePhone { target: group });
            }
        }
        out
    }

    /// Moves the default where it shall stand; answers what carries it while the deletes go on.
    fn settle_default(&mut self, written: Option<&Written>) -> Option<Target> {
        let remaining = self.remaining();
        let safest = remaining
            .most_secure(self.observed.allowed, Mode::Unspecified)
            .or_else(|| remaining.most_secure(Allowed::ALL, Mode::Unspecified));
        let Some(current) = self.observed.methods.default else {
            // Somebody took away what carried it. Unset is neither ours nor what was before, where that could be had.
            let before = written.and_then(|w| w.pre_image.as_deref()).and_then(DefaultMethod::parse);
            if before.is_some_and(|before| remaining.has(before)) {
                self.conflict_default();
            }
            return None;
        };
        let before = written.map(|w| w.pre_image.as_deref().and_then(DefaultMethod::parse));
        let goal = match before {
            // Never written by us: it stays where it can.
            None => Some(current),
            Some(before) => before,
        }
        .filter(|m| remaining.has(*m));
        let end = goal.or(safest);
        let ours = written.is_some_and(|w| w.ours == current.as_str());
        if written.is_some() && !ours && end.is_some() && end != Some(current) {
            // Somebody chose another one since. It stays, unless what it stands on goes.
            if remaining.has(current) {
                self.conflict_default();
                return carrier(current);
            }
        }
        if goal.is_none() && end.is_some() {
            self.out.notes.push(Note { code: Code::DefaultLeft, method: Subject::Default, device: None });
        }
        let carries = match end {
            Some(end) => end,
            // Everything goes. An alternate mobile cannot outlive its mobile, so the mobile carries the default.
            None if current == DefaultMethod::VoiceAlternateMobile
                && self.deletes.contains(&Target::Mobile) =>
            {
                DefaultMethod::VoiceMobile
            }
            None => current,
        };
        if carries != current {
            self.out.steps.push(RevertStep::SetDefault { to: carries });
        }
        carrier(carries)
    }

    fn conflict_default(&mut self) {
        self.out.conflicts.push(Target::Default.as_str().to_owned());
        self.out.notes.push(Note { code: Code::RollbackConflict, method: Subject::Default, device: None });
    }

    fn conflict(&mut self, item: &Written) {
        let method = match item.method {
            Target::Mobile => Subject::Mobile,
            Target::AlternateMobile => Subject::AlternateMobile,
            Target::Office => Subject::Office,
            Target::HardwareOath => Subject::HardwareOath,
            Target::Default => Subject::Default,
        };
        self.out.conflicts.push(item.slot());
        self.out.notes.push(Note { code: Code::RollbackConflict, method, device: None });
    }
}

fn carrier(method: DefaultMethod) -> Option<Target> {
    match method {
        DefaultMethod::Push => None,
        DefaultMethod::Oath => Some(Target::HardwareOath),
        DefaultMethod::Sms | DefaultMethod::VoiceMobile => Some(Target::Mobile),
        DefaultMethod::VoiceOffice => Some(Target::Office),
        DefaultMethod::VoiceAlternateMobile => Some(Target::AlternateMobile),
    }
}
