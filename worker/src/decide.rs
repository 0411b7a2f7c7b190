//! Step 3: what is to be done for a user, from what is on file and what was seen. No I/O.
//!
//! It never plans on a look in which something of ours may still be missing, never writes over what somebody changed
//! since, and never does more than was reviewed.

use crate::back::standing;
use crate::case::{Case, Filed, Progress, Work, note, subject_of, takes_token_back};
use crate::compare::{current_of, same};
use crate::doubt::{assess, poll_after};
use crate::reviewed::{Known, still_fits};
use crate::{Assignment, Settings};
use contract::{
    Change, Code, CodeKind, DefaultMethod, EntryState, FingerprintKey, History, IntentOutcome, Observed,
    OnDrift, Outcome, Plan, RawPhone, Record, Subject, Target, TokenStatus, slot_of,
};
use ledger::SlotOutcome;
use std::time::Duration;

/// What the look at a user leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Something of ours may still land: look again later.
    Wait(Duration),
    /// The run is done with the user.
    Settle(EntryState),
    /// There is work.
    Write,
}

impl Case {
    /// Decides what to do, from what is on file and what was seen (steps 2 and 3 of the procedure).
    pub(crate) fn decide(
        &mut self,
        assignment: &Assignment,
        settings: &Settings,
        keys: &FingerprintKey,
    ) -> Decision {
        self.work.clear();
        self.notes.clear();
        let methods = self.methods.clone();
        let filed = self.recent.iter().map(|f| &f.change).chain(self.open.iter().map(|o| &o.change));
        let taken: Vec<(Change, Option<String>)> = filed
            .filter(|change| takes_token_back(change))
            .map(|change| (change.clone(), standing(self, &methods, change)))
            .collect();
        let now = |change: &Change| match taken.iter().find(|(taken, _)| taken == change) {
            Some((_, now)) => now.clone(),
            None => current_of(&methods, change),
        };
        if let Some(wait) = self.look_into_doubts(now, settings.horizon()) {
            return Decision::Wait(wait);
        }
        self.plan(assignment, keys)
    }

    /// Learns what a look tells of what is on file. Answers how long to wait where it may not tell everything yet.
    pub(crate) fn look_into_doubts(
        &mut self,
        now: impl Fn(&Change) -> Option<String>,
        horizon: Duration,
    ) -> Option<Duration> {
        let finding = assess(&self.open, &now, horizon);
        for (slot, outcome) in &finding.outcomes {
            for filed in self.filed.iter_mut().filter(|f| f.slot == *slot) {
                filed.outcome = Some(*outcome);
            }
            self.outcomes.push(SlotOutcome { slot: slot.clone(), outcome: *outcome });
        }
        self.open.retain(|o| {
            !finding.outcomes.iter().any(|(slot, _)| slot == &o.slot) && !finding.half_way.contains(&o.slot)
        });
        let hidden = self.hidden_for(now, horizon);
        let wait = finding.look_again_after.max(hidden);
        self.another_attempt |= wait.is_none() && finding.another_attempt;
        wait
    }

    /// Compares intents that have an outcome with the look, since state decides and not what was concluded before. One
    /// whose value is there now is done. One that was done and does not show is not visible yet: planning on such a look
    /// would write it again, and create a token twice. Answers how long to wait for that.
    fn hidden_for(&mut self, now: impl Fn(&Change) -> Option<String>, horizon: Duration) -> Option<Duration> {
        let mut wait = None;
        for Filed { change, age, .. } in self.recent.iter().filter(|f| f.age < horizon) {
            let now = now(change);
            if !same(change.method, now.as_deref(), change.to.as_deref()) {
                wait = wait.max(Some(poll_after(*age).min(horizon - *age)));
            }
        }
        for filed in &mut self.filed {
            let Some(outcome) = filed.outcome else { continue };
            let now = now(&filed.change);
            let is_there = same(filed.change.method, now.as_deref(), filed.change.to.as_deref());
            match (outcome, is_there) {
                (IntentOutcome::Applied, false) if filed.age < horizon => {
                    wait = wait.max(Some(poll_after(filed.age).min(horizon - filed.age)));
                }
                (IntentOutcome::Applied, _) | (_, false) => {}
                (_, true) => {
                    filed.outcome = Some(IntentOutcome::Applied);
                    self.outcomes
                        .push(SlotOutcome { slot: filed.slot.clone(), outcome: IntentOutcome::Applied });
                }
            }
        }
        wait
    }

    /// Runs the rules, leaving out what Graph refused and what somebody changed since.
    fn plan(&mut self, assignment: &Assignment, keys: &FingerprintKey) -> Decision {
        let mut methods = self.methods.clone();
        if self.default_came_by_itself() {
            methods.default = None;
        }
        let observed = Observed {
            user: self.claim.user.clone(),
            methods,
            guest: self.claim.guest,
            allowed: self.claim.allowed,
            inventory: self.claim.inventory.clone(),
            contested_serials: self.contested.clone(),
        };
        let mut record = self.record.clone();
        let mut left_out = Vec::new();
        let mut skip_default = false;
        let plan = loop {
            let mut plan = rules::plan(&record, &observed, &assignment.policy, &self.history, keys);
            if skip_default {
                plan.changes.retain(|c| c.method != Target::Default);
            }
            let Some((change, reason)) = plan
                .changes
                .iter()
                .find_map(|c| self.reason_to_leave_out(c, assignment, keys).map(|why| (c.clone(), why)))
            else {
                break plan;
            };
            left_out.push(note(reason, subject_of(change.method)));
            match change.method {
                Target::Default => skip_default = true,
                Target::Mobile | Target::AlternateMobile | Target::Office | Target::HardwareOath => {
                    strip_source(&mut record, &observed, assignment, &self.history, keys, &change);
                }
            }
        };
        let as_found = self.as_found(observed, assignment, keys);
        self.outcome = as_found.outcome;
        self.notes = as_found.notes;
        self.notes.extend(left_out);
        if assignment.reviewed && !self.is_as_reviewed(&plan.changes, keys) {
            self.notes.push(note(Code::PlanStale, Subject::User));
            return Decision::Settle(EntryState::Parked);
        }
        let mut tokens = plan.tokens.into_iter();
        self.work = plan
            .changes
            .into_iter()
            .map(|change| {
                let token = (change.method == Target::HardwareOath).then(|| tokens.next()).flatten();
                Work { slot: slot_of(&change, keys), change, token, back: None, progress: Progress::Ready }
            })
            .collect();
        if self.work.is_empty() { Decision::Settle(self.settled_state()) } else { Decision::Write }
    }

    /// The plan as it would be had this run not begun yet: what the operator reads must not depend on how many claims it
    /// took. Its changes are not used, its notes and its outcome are.
    fn as_found(&self, mut observed: Observed, assignment: &Assignment, keys: &FingerprintKey) -> Plan {
        for done in self.filed.iter().filter(|f| f.outcome == Some(IntentOutcome::Applied)) {
            put_back(&mut observed, &done.change);
        }
        rules::plan(&self.record, &observed, &assignment.policy, &self.history, keys)
    }

    /// Whether a person has reviewed just this. A user whom nobody reviewed may have nothing to do, and nothing else.
    fn is_as_reviewed(&self, planned: &[Change], keys: &FingerprintKey) -> bool {
        let Some(reviewed) = &self.reviewed else { return planned.is_empty() };
        still_fits(reviewed, &self.claim.user, planned, &self.methods, |change| {
            let slot = slot_of(change, keys);
            let is_ours = || self.ours.iter().any(|(s, done)| *s == slot && done.to == change.to);
            match self.filed.iter().find(|f| f.slot == slot).map(|f| f.outcome) {
                // An earlier run of the same plan has put it there.
                None if is_ours() => Known::Begun,
                None => Known::Nothing,
                Some(Some(IntentOutcome::Refused | IntentOutcome::Invalid)) => Known::LeftOut,
                Some(
                    None
                    | Some(
                        IntentOutcome::Applied
                        | IntentOutcome::Drifted
                        | IntentOutcome::Failed
                        | IntentOutcome::NotSent,
                    ),
                ) => Known::Begun,
            }
        })
    }

    /// The state of a user with nothing left to write.
    pub(crate) fn settled_state(&self) -> EntryState {
        if self.notes.iter().any(|n| n.code.kind() == CodeKind::Held) {
            EntryState::Parked
        } else if self.applied_something() {
            EntryState::Applied
        } else if self.outcome == Outcome::Blocked
            || self.notes.iter().any(|n| n.code.kind() == CodeKind::Blocked)
        {
            EntryState::Blocked
        } else {
            EntryState::Unchanged
        }
    }

    /// Whether this run has put something in place for the user, in this claim or an earlier one.
    fn applied_something(&self) -> bool {
        self.work.iter().any(|w| w.progress == Progress::Done)
            || self.filed.iter().any(|f| f.outcome == Some(IntentOutcome::Applied))
    }

    /// A default that was unset when we began, and appeared after our own write, counts as unset (invariant 3).
    fn default_came_by_itself(&self) -> bool {
        let slot = Target::Default.as_str();
        let was_unset = self.pre_images.iter().any(|(s, before)| s == slot && before.is_none());
        let is_ours = self.filed.iter().any(|f| {
            f.slot == slot
                && same(
                    Target::Default,
                    f.change.to.as_deref(),
                    current_of(&self.methods, &f.change).as_deref(),
                )
        });
        let begun_here = self.filed.iter().any(|f| f.slot == slot);
        was_unset && begun_here && !is_ours
    }

    /// Compare before write (invariant 3), and what Graph has refused in this run already.
    fn reason_to_leave_out(
        &self,
        change: &Change,
        assignment: &Assignment,
        keys: &FingerprintKey,
    ) -> Option<Code> {
        let slot = slot_of(change, keys);
        let now = current_of(&self.methods, change);
        let filed = self.filed.iter().find(|f| f.slot == slot);
        if let Some(filed) = filed {
            match filed.outcome {
                Some(IntentOutcome::Refused) if filed.change.to == change.to => {
                    return Some(Code::GraphRefused);
                }
                Some(IntentOutcome::Invalid) if filed.change.to == change.to => {
                    return Some(Code::PhoneInvalid);
                }
                Some(IntentOutcome::Drifted) if assignment.policy.on_drift == OnDrift::Hold => {
                    return Some(Code::CloudChanged);
                }
                None
                | Some(
                    IntentOutcome::Applied
                    | IntentOutcome::Refused
                    | IntentOutcome::Invalid
                    | IntentOutcome::Drifted
                    | IntentOutcome::Failed
                    | IntentOutcome::NotSent,
                ) => {}
            }
        }
        if assignment.policy.on_drift == OnDrift::Overwrite {
            return None;
        }
        let (_, before) = self.pre_images.iter().find(|(s, _)| *s == slot)?;
        if change.method != Target::Default && self.never_landed(&slot) {
            // Nothing of ours was ever there that somebody could have changed.
            return None;
        }
        let is = |value: Option<&str>| same(change.method, now.as_deref(), value);
        let ours = self.ours.iter().find(|(s, _)| *s == slot).and_then(|(_, c)| c.to.as_deref());
        let known = is(before.as_deref()) || (ours.is_some() && is(ours)) || is(change.to.as_deref());
        let known = known || is_token_underway(change, now.as_deref(), before.as_deref());
        let by_itself = change.method == Target::Default && self.default_came_by_itself();
        (!known && !by_itself).then_some(Code::CloudChanged)
    }
}

/// Whether a token stands as it does on the way from its value before to ours: on the user and not proven yet, or still in
/// nobody's hands.
fn is_token_underway(change: &Change, now: Option<&str>, before: Option<&str>) -> bool {
    change.method == Target::HardwareOath
        && match now {
            None => before.and_then(TokenStatus::parse) == Some(TokenStatus::Available),
            Some(now) => TokenStatus::parse(now) != Some(TokenStatus::Activated),
        }
}

/// Undoes, in an observation, a change that this run has made.
fn put_back(observed: &mut Observed, change: &Change) {
    let methods = &mut observed.methods;
    match change.method {
        Target::Mobile | Target::AlternateMobile | Target::Office => match &change.from {
            Some(before) => drop(methods.phones.insert(change.method, before.clone())),
            None => drop(methods.phones.remove(&change.method)),
        },
        Target::HardwareOath => {
            // As it was: on nobody, or on the user and not yet in use.
            let is_it =
                |serial: Option<&str>| serial.map(str::trim) == change.serial.as_deref().map(str::trim);
            let before = change.from.as_deref().and_then(TokenStatus::parse);
            match before {
                None | Some(TokenStatus::Available) => {
                    methods.hardware_oath.retain(|t| !is_it(t.serial.as_deref()));
                    observed.inventory.retain(|t| !(is_it(Some(&t.serial)) && before.is_none()));
                    for token in observed.inventory.iter_mut().filter(|t| is_it(Some(&t.serial))) {
                        token.holder = None;
                        token.status = TokenStatus::Available;
                    }
                }
                Some(status) => {
                    for token in methods.hardware_oath.iter_mut().filter(|t| is_it(t.serial.as_deref())) {
                        token.status = Some(status);
                    }
                }
            }
        }
        Target::Default => methods.default = change.from.as_deref().and_then(DefaultMethod::parse),
    }
}

/// Takes out of the record what leads to a change, so that the rules decide the rest as if it had never been there.
fn strip_source(
    record: &mut Record,
    observed: &Observed,
    assignment: &Assignment,
    history: &History,
    keys: &FingerprintKey,
    change: &Change,
) {
    let leads_to_it = |candidate: &Record| {
        rules::plan(candidate, observed, &assignment.policy, history, keys)
            .changes
            .iter()
            .any(|c| c.method == change.method && c.serial == change.serial && c.to == change.to)
    };
    let mut tries: Vec<Record> = Vec::new();
    if change.method == Target::HardwareOath {
        tries.push(Record { oath_token: None, ..record.clone() });
        for i in 0..record.devices.len() {
            let mut without = record.clone();
            if let Some(device) = without.devices.get_mut(i) {
                device.oath_secret = None;
            }
            tries.push(without);
        }
    } else {
        tries.push(Record { backup: RawPhone::default(), ..record.clone() });
        tries.push(Record { phone: RawPhone::default(), ..record.clone() });
        tries.push(Record { phone: RawPhone::default(), backup: RawPhone::default(), ..record.clone() });
    }
    // The last one always ends the search: without any source there is no such change.
    tries.push(Record {
        phone: RawPhone::default(),
        backup: RawPhone::default(),
        devices: Vec::new(),
        oath_token: None,
        ..record.clone()
    });
    if let Some(found) = tries.into_iter().find(|candidate| !leads_to_it(candidate)) {
        *record = found;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_somebody_took_away_is_not_on_its_way() {
        let change =
            |method| Change { method, serial: Some("1".into()), from: None, to: Some("activated".into()) };
        let token = change(Target::HardwareOath);
        // Ours, half-way; and one of the inventory that was not handed over yet.
        assert!(is_token_underway(&token, Some("assigned"), None));
        assert!(is_token_underway(&token, Some("failedActivation"), Some("assigned")));
        assert!(is_token_underway(&token, None, Some("available")));
        // It was on the user when we came, and is no more.
        assert!(!is_token_underway(&token, None, Some("assigned")));
        assert!(!is_token_underway(&change(Target::Mobile), Some("assigned"), None));
    }
}
