//! Steps 5 and 6 of the way back: carries out the steps of a group of users in bundles, and reads back what ended in doubt.
//!
//! A user's steps keep their order: those of the two halves of the API take turns, and what did not go well holds up what
//! comes after it.

use super::standing::is_serial;
use crate::Error;
use crate::case::{Case, Progress};
use crate::compare::{current_of, same};
use crate::execute::{Next, pack};
use crate::finish::is_invalid_number;
use crate::lease::Lease;
use crate::shift::Shift;
use contract::{EntraId, InventoryToken, Target, TokenStatus, UserMethods};
use graph::{Ask, Version, WriteCall, Writer};
use rules::RevertStep;
use telemetry::crash_point;

impl Shift {
    /// Writes round by round, each user's next steps of one half of the API together. Answers what ends the run, if
    /// anything does.
    pub(super) async fn walk_back(
        &self,
        writer: &Writer,
        cases: &mut Vec<Case>,
        lease: &mut Lease,
    ) -> Result<Option<Error>, Error> {
        loop {
            self.renew(lease, cases).await?;
            let mut bundles = pack(cases, |case| next_calls(case, Version::Beta));
            bundles.extend(pack(cases, |case| next_calls(case, Version::V1)));
            if bundles.is_empty() {
                return Ok(None);
            }
            match self.send(writer, cases, lease, bundles).await {
                Next::Go => {}
                Next::TimeIsUp => return Ok(None),
                Next::Stop(error) => return Ok(Some(error)),
            }
            crash_point("rollback.between-writes");
        }
    }

    /// Reads back what ended in doubt, and only that.
    pub(super) async fn read_way_back(&self, cases: &mut [Case]) {
        let is_doubtful = |p: &Progress| matches!(p, Progress::Doubt { .. } | Progress::Refused { .. });
        let doubtful: Vec<&mut Case> =
            cases.iter_mut().filter(|c| c.work.iter().any(|w| is_doubtful(&w.progress))).collect();
        let asks: Vec<Ask> = doubtful
            .iter()
            .map(|case| Ask {
                user: case.claim.user.clone(),
                tokens: case.work.iter().any(|w| w.change.method == Target::HardwareOath),
            })
            .collect();
        if asks.is_empty() {
            return;
        }
        let seen = self.hands.reader().observe(&asks).await;
        for (case, methods) in doubtful.into_iter().zip(seen) {
            case.gone |= matches!(methods, Err(graph::Error::NotFound));
            let Ok(methods) = methods else { continue };
            let again = case.claim.attempts > 0;
            for i in 0..case.work.len() {
                let Some(step) =
                    case.work.get(i).filter(|w| is_doubtful(&w.progress)).and_then(|w| w.back.clone())
                else {
                    continue;
                };
                // A device is nobody's now: only the inventory tells of it.
                let inventory = match &step {
                    RevertStep::DeleteDevice { serial, .. } => {
                        match self.hands.reader().inventory_by_serial(serial).await {
                            Ok(inventory) => inventory,
                            Err(_) => continue,
                        }
                    }
                    RevertStep::SetDefault { .. }
                    | RevertStep::PatchPhone { .. }
                    | RevertStep::DeletePhone { .. }
                    | RevertStep::DeactivateToken { .. }
                    | RevertStep::UnassignToken { .. } => Vec::new(),
                };
                let is_done = is_done(&step, &methods, &inventory);
                let Some(work) = case.work.get_mut(i) else { continue };
                let now = current_of(&methods, &work.change);
                let stands = same(work.change.method, now.as_deref(), work.change.from.as_deref());
                work.progress = after_look(&work.progress, is_done, stands, again);
            }
        }
    }
}

/// A step that ended in doubt or was refused, after a look. All steps may be tried twice: they set or take away.
fn after_look(progress: &Progress, is_done: bool, stands: bool, again: bool) -> Progress {
    match progress {
        Progress::Doubt { .. } | Progress::Refused { .. } if is_done => Progress::Done,
        Progress::Doubt { answered: true } if stands => Progress::Failed,
        Progress::Refused { status: 404, .. } => Progress::Failed,
        Progress::Refused { status: 409, .. } => Progress::Doubt { answered: false },
        // What stands in the way may be gone after another look, once.
        Progress::Refused { status, code } if *status != 403 && !is_invalid_number(code) && !again => {
            Progress::Failed
        }
        other @ (Progress::Ready
        | Progress::Created
        | Progress::Done
        | Progress::Doubt { .. }
        | Progress::Refused { .. }
        | Progress::Failed) => other.clone(),
    }
}

/// The steps of a user that come next, as far as they are of this version.
fn next_calls(case: &Case, version: Version) -> Vec<(usize, WriteCall)> {
    let mut calls = Vec::new();
    for (i, work) in case.work.iter().enumerate() {
        if work.progress == Progress::Done {
            continue;
        }
        let call = work.back.as_ref().and_then(|step| call_of(&case.claim.user, step));
        match call.filter(|call| work.progress == Progress::Ready && call.version() == version) {
            Some(call) => calls.push((i, call)),
            None => break,
        }
    }
    calls
}

fn call_of(user: &EntraId, step: &RevertStep) -> Option<WriteCall> {
    let user = user.clone();
    Some(match step.clone() {
        RevertStep::SetDefault { to } => WriteCall::SetDefault { user, method: to },
        RevertStep::PatchPhone { target, to } => WriteCall::UpdatePhone { user, kind: target, number: to },
        RevertStep::DeletePhone { target } => WriteCall::DeletePhone { user, kind: target },
        RevertStep::DeactivateToken { method_id, .. } => WriteCall::DeactivateToken { user, method_id },
        RevertStep::UnassignToken { method_id, .. } => WriteCall::UnassignToken { user, method_id },
        RevertStep::DeleteDevice { device_id, .. } => WriteCall::DeleteDevice { device_id: device_id? },
    })
}

/// Whether a look shows that a step is done.
fn is_done(step: &RevertStep, methods: &UserMethods, inventory: &[InventoryToken]) -> bool {
    let held = |serial: &str| {
        methods.hardware_oath.iter().find(|t| t.serial.as_deref().is_some_and(|s| is_serial(s, serial)))
    };
    match step {
        RevertStep::SetDefault { to } => methods.default == Some(*to),
        RevertStep::PatchPhone { target, to } => {
            same(*target, methods.phones.get(target).map(String::as_str), Some(to))
        }
        RevertStep::DeletePhone { target } => !methods.phones.contains_key(target),
        RevertStep::DeactivateToken { serial, .. } => {
            held(serial).is_some_and(|t| t.status == Some(TokenStatus::Assigned))
        }
        RevertStep::UnassignToken { serial, .. } => held(serial).is_none(),
        RevertStep::DeleteDevice { device_id, .. } => {
            !inventory.iter().any(|t| device_id.as_ref() == Some(&t.device_id))
        }
    }
}
