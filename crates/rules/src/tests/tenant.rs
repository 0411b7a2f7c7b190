//! A tenant in memory that refuses what Graph refuses, so that an order of steps can be wrong.
//!
//! It never repairs anything: a step that does not fit is an error.

use crate::{RevertStep, apply};
use contract::{
    DefaultMethod, EntraId, InventoryToken, Observed, Plan, Target, TokenStatus, TokenStep, UserMethods,
};

/// What Graph shows of one user after a plan was written, inventory included.
pub(super) fn written(plan: &Plan, before: &Observed) -> Observed {
    let mut after = before.clone();
    after.methods = apply(plan, &before.methods);
    for token in &plan.tokens {
        let device_id = match &token.step {
            TokenStep::Create => format!("new:{}", token.serial),
            TokenStep::Assign { device_id } => device_id.clone(),
            TokenStep::Activate { .. } => String::new(),
        };
        let held = after.inventory.iter_mut().find(|t| t.device_id == device_id || t.serial == token.serial);
        match held {
            Some(held) => {
                held.holder = Some(before.user.clone());
                held.status = TokenStatus::Activated;
            }
            None => after.inventory.push(InventoryToken {
                device_id,
                serial: token.serial.clone(),
                holder: Some(before.user.clone()),
                status: TokenStatus::Activated,
            }),
        }
    }
    after
}

/// Takes one step, or says why Graph would not.
pub(super) fn take(step: &RevertStep, at: &mut Observed) -> Result<(), String> {
    let user = at.user.clone();
    let refuse = |why: &str| Err(format!("{step:?}: {why}"));
    match step {
        RevertStep::SetDefault { to } if !stands_on(&at.methods, *to) => {
            return refuse("the method is not there");
        }
        RevertStep::SetDefault { to } => at.methods.default = Some(*to),
        RevertStep::PatchPhone { target, to } => match at.methods.phones.get_mut(target) {
            Some(number) => number.clone_from(to),
            None => return refuse("there is no such number"),
        },
        RevertStep::DeletePhone { target } => {
            if *target == Target::Mobile && at.methods.phones.contains_key(&Target::AlternateMobile) {
                return refuse("an alternate mobile needs a mobile");
            }
            if at.methods.phones.remove(target).is_none() {
                return refuse("there is no such number");
            }
            return lose(&mut at.methods).map_err(|why| format!("{step:?}: {why}"));
        }
        RevertStep::DeactivateToken { method_id, serial } => {
            set_status(at, serial, TokenStatus::Assigned);
            if !at.methods.hardware_oath.iter().any(|t| t.method_id == *method_id) {
                return refuse("the user has no such token");
            }
        }
        RevertStep::UnassignToken { method_id, serial } => {
            let before = at.methods.hardware_oath.len();
            at.methods.hardware_oath.retain(|t| t.method_id != *method_id);
            if at.methods.hardware_oath.len() == before {
                return refuse("the user has no such token");
            }
            for token in
                at.inventory.iter_mut().filter(|t| t.serial == *serial && t.holder == Some(user.clone()))
            {
                token.holder = None;
                token.status = TokenStatus::Available;
            }
            return lose(&mut at.methods).map_err(|why| format!("{step:?}: {why}"));
        }
        RevertStep::DeleteDevice { serial, device_id } => {
            let found = at
                .inventory
                .iter()
                .position(|t| t.serial == *serial && device_id.as_ref().is_none_or(|id| *id == t.device_id));
            match found {
                Some(n) if at.inventory[n].holder.is_none() => {
                    at.inventory.remove(n);
                }
                Some(_) => return refuse("somebody holds it"),
                None => return refuse("there is no such device"),
            }
        }
    }
    Ok(())
}

fn set_status(at: &mut Observed, serial: &str, status: TokenStatus) {
    for token in at.methods.hardware_oath.iter_mut().filter(|t| t.serial.as_deref() == Some(serial)) {
        token.status = Some(status);
    }
    for token in at.inventory.iter_mut().filter(|t| t.serial == serial) {
        token.status = status;
    }
}

/// After something went: the default must still stand on something, or everything must be gone.
fn lose(methods: &mut UserMethods) -> Result<(), String> {
    let Some(default) = methods.default else { return Ok(()) };
    if stands_on(methods, default) {
        return Ok(());
    }
    let empty = methods.phones.is_empty()
        && methods.authenticators.is_empty()
        && methods.software_oath == 0
        && methods.hardware_oath.is_empty();
    if empty {
        methods.default = None;
        return Ok(());
    }
    Err("it is the default, and other methods are there".into())
}

/// Whether a default has something under it.
pub(super) fn stands_on(methods: &UserMethods, default: DefaultMethod) -> bool {
    let has = |t| methods.phones.contains_key(&t);
    match default {
        DefaultMethod::Push => !methods.authenticators.is_empty(),
        DefaultMethod::Oath => methods.software_oath > 0 || !methods.hardware_oath.is_empty(),
        DefaultMethod::Sms | DefaultMethod::VoiceMobile => has(Target::Mobile),
        DefaultMethod::VoiceOffice => has(Target::Office),
        DefaultMethod::VoiceAlternateMobile => has(Target::AlternateMobile),
    }
}

/// Everything but the default, in an order that does not depend on the way there.
pub(super) fn picture(observed: &Observed) -> Vec<String> {
    let mut out: Vec<String> =
        observed.methods.phones.iter().map(|(t, n)| format!("{} {n}", t.as_str())).collect();
    out.push(format!(
        "{} apps, {} software",
        observed.methods.authenticators.len(),
        observed.methods.software_oath
    ));
    let tokens =
        observed.methods.hardware_oath.iter().map(|t| format!("token {:?} {:?}", t.serial, t.status));
    let devices = observed.inventory.iter().map(|t| {
        format!("device {} {} {:?}", t.serial, t.status.as_str(), t.holder.as_ref().map(|EntraId(id)| id))
    });
    let mut rest: Vec<String> = tokens.chain(devices).collect();
    rest.sort();
    out.extend(rest);
    out
}
