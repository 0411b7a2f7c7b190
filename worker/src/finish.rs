//! Step 7: what becomes of a claim, from how its work went.

use crate::Error;
use crate::case::{Case, OATH_SECRET, Progress, Work, by_slot, note};
use crate::shift::Shift;
use contract::{
    Code, CodeKind, Done, EntryResult, EntryState, IntentOutcome, RunKind, Sealed, Subject, Target,
    TokenStep, context, slot_key,
};
use ledger::{End, Finish, SlotOutcome};
use std::time::Duration;

/// The first look after a doubtful answer.
const FIRST_LOOK: Duration = Duration::from_secs(1);

/// The schedule of retries after a failure that is Graph's own.
const RETRY: rules::Backoff = rules::Backoff { base: Duration::from_secs(1), cap: Duration::from_secs(60) };

/// How long to wait before an attempt. No jitter: the pace spreads what comes due together.
pub(crate) fn retry_delay(attempt: u32) -> Duration {
    RETRY.delay(attempt, 1.0)
}

impl Shift {
    /// Ends a claim whose work went as it went.
    pub(crate) fn end_of_work(&self, mut case: Case) -> Result<Finish, Error> {
        // What was learnt of an earlier intent no longer counts where a new one was filed in its place.
        let work = &case.work;
        case.outcomes.retain(|o| !work.iter().any(|w| w.slot == o.slot));
        for work in by_slot(&case.work) {
            let is_begun = case.work.iter().any(|w| w.slot == work.slot && w.progress == Progress::Done);
            let is_open_elsewhere = case.open_elsewhere.iter().any(|o| o.slot == work.slot);
            let outcome = match &work.progress {
                Progress::Done => IntentOutcome::Applied,
                Progress::Refused { code, .. } if is_invalid_number(code) => IntentOutcome::Invalid,
                Progress::Refused { .. } => IntentOutcome::Refused,
                Progress::Failed => IntentOutcome::Failed,
                Progress::Ready if !is_begun => IntentOutcome::NotSent,
                // Half-way and doubt have no outcome: the next look decides.
                Progress::Ready | Progress::Created | Progress::Doubt { .. } => continue,
            };
            // It would be recorded on the forward intent too, and what may be ours would no longer count as ours.
            let says_nothing_of_others = matches!(outcome, IntentOutcome::Applied | IntentOutcome::NotSent);
            if is_open_elsewhere && !says_nothing_of_others {
                continue;
            }
            case.outcomes.push(SlotOutcome { slot: work.slot.clone(), outcome });
        }
        let any = |is: fn(&Progress) -> bool| case.work.iter().any(|w| is(&w.progress));
        let forbidden = any(|p| matches!(p, Progress::Refused { status: 403, .. }));
        if forbidden || case.gone {
            let code = if forbidden { Code::Forbidden } else { Code::UserGone };
            case.notes.push(note(code, Subject::User));
            return self.settle(case, EntryState::Parked);
        }
        if any(|p| matches!(p, Progress::Doubt { .. } | Progress::Created)) {
            return self.snooze(case, FIRST_LOOK, false);
        }
        if any(|p| matches!(p, Progress::Failed)) {
            let delay = retry_delay(case.claim.attempts + 1);
            return self.snooze(case, delay, true);
        }
        // A refusal is planned around, and what was not sent for lack of time is planned anew: both at once.
        if any(|p| matches!(p, Progress::Refused { .. } | Progress::Ready)) {
            return self.snooze(case, Duration::ZERO, false);
        }
        match self.assignment.kind {
            RunKind::Rollback => self.settle_taken_back(case),
            RunKind::Migrate
            | RunKind::Rehearse
            | RunKind::Verify
            | RunKind::Survey
            | RunKind::RolloutPlan
            | RunKind::Rollout
            | RunKind::RolloutRemove => {
                let state = case.settled_state();
                self.settle(case, state)
            }
        }
    }

    /// Back to waiting, unless a bound is reached.
    pub(crate) fn snooze(&self, mut case: Case, after: Duration, attempt: bool) -> Result<Finish, Error> {
        let attempt = attempt || case.another_attempt;
        let attempts = case.claim.attempts + u32::from(attempt);
        let out_of_time = case.claim.snoozed > self.settings.max_snoozed;
        if attempts >= self.settings.max_attempts || out_of_time {
            let in_doubt = case.work.iter().any(|w| matches!(w.progress, Progress::Doubt { .. }));
            let code = match (in_doubt, out_of_time) {
                (true, _) => Code::NotVisible,
                (false, true) => Code::ThrottledOut,
                (false, false) => Code::GraphRefused,
            };
            case.notes.push(note(code, Subject::User));
            return self.settle(case, EntryState::Parked);
        }
        Ok(Finish {
            ordinal: case.claim.ordinal,
            epoch: case.claim.epoch,
            user: case.claim.user.clone(),
            outcomes: case.outcomes,
            end: End::Snooze { after, attempt },
        })
    }

    /// The run is done with the user.
    pub(crate) fn settle(&self, case: Case, state: EntryState) -> Result<Finish, Error> {
        debug_assert!(
            rules::transition(EntryState::Claimed, rules::EntryEvent::Settle(state)).is_ok(),
            "a claim ends settled"
        );
        let user = case.claim.user.clone();
        let result = EntryResult {
            v: EntryResult::VERSION,
            changes: changes_of(&case),
            notes: case.notes.clone(),
            conflicts: case.conflicts.clone(),
            created_tokens: if state == EntryState::Planned { created_tokens(&case) } else { 0 },
        };
        let in_order = state == EntryState::Applied || state == EntryState::Unchanged;
        let clean = !case.notes.iter().any(|n| matches!(n.code.kind(), CodeKind::Blocked | CodeKind::Held));
        let forward = self.assignment.kind == RunKind::Migrate;
        let applied = (forward && in_order && clean).then(|| {
            let policy = &self.assignment.policy;
            rules::applied_fingerprint(case.claim.content, policy, &user, case.claim.allowed, &self.keys)
        });
        Ok(Finish {
            ordinal: case.claim.ordinal,
            epoch: case.claim.epoch,
            end: End::Settle {
                state,
                outcome: case.outcome,
                codes: code_words(case.notes.iter().map(|n| n.code)),
                result: self
                    .sealer
                    .seal_json(&context::result(self.assignment.run, case.claim.ordinal), &result)?,
                applied,
                secrets: self.written_secrets(&case)?,
            },
            outcomes: case.outcomes,
            user,
        })
    }

    /// Parks a user of whom nothing else is known, such as one whose record cannot be opened.
    pub(crate) fn park_unread(&self, claim: &ledger::Claim, code: Code) -> Result<Finish, Error> {
        let result = EntryResult {
            v: EntryResult::VERSION,
            changes: Vec::new(),
            notes: vec![note(code, Subject::User)],
            conflicts: Vec::new(),
            created_tokens: 0,
        };
        Ok(Finish {
            ordinal: claim.ordinal,
            epoch: claim.epoch,
            user: claim.user.clone(),
            outcomes: Vec::new(),
            end: End::Settle {
                state: EntryState::Parked,
                outcome: contract::Outcome::Skipped,
                codes: code.as_str().to_owned(),
                result: self
                    .sealer
                    .seal_json(&context::result(self.assignment.run, claim.ordinal), &result)?,
                applied: None,
                secrets: Vec::new(),
            },
        })
    }

    /// Fingerprints of the secrets that are in Entra now by our hand, for rules M5 and O4 of later runs. What claims before
    /// this one activated counts too: it is nowhere else on file.
    fn written_secrets(&self, case: &Case) -> Result<Vec<(contract::Fingerprint, Sealed)>, Error> {
        let done = case.work.iter().filter(|w| w.progress == Progress::Done).map(|w| &w.slot);
        let before = case.filed.iter().filter(|f| f.outcome == Some(IntentOutcome::Applied)).map(|f| &f.slot);
        let slots: Vec<&String> = done.chain(before).collect();
        let at = context::value(&case.claim.user, OATH_SECRET);
        let mut secrets = Vec::new();
        for (serial, fingerprint) in rules::written_secrets(&case.record, &self.assignment.policy, &self.keys)
        {
            if slots.contains(&&slot_key(Target::HardwareOath, Some(&serial), &self.keys)) {
                secrets.push((fingerprint, self.sealer.seal_json(&at, &serial)?));
            }
        }
        Ok(secrets)
    }
}

/// Graph's code for a number that it will not take.
pub(crate) fn is_invalid_number(code: &str) -> bool {
    code.eq_ignore_ascii_case("invalidPhoneNumber")
}

/// Every change of this run for the user: those of earlier claims, then those of this one.
/// Tokens of a plan that are not in the inventory.
fn created_tokens(case: &Case) -> u32 {
    let is_created = |work: &&Work| work.token.as_ref().is_some_and(|t| t.step == TokenStep::Create);
    u32::try_from(case.work.iter().filter(is_created).count()).unwrap_or(u32::MAX)
}

fn changes_of(case: &Case) -> Vec<Done> {
    let mut changes: Vec<Done> = case
        .filed
        .iter()
        .filter(|f| f.outcome != Some(IntentOutcome::NotSent) && !case.work.iter().any(|w| w.slot == f.slot))
        .map(|f| Done { change: f.change.clone(), outcome: f.outcome, graph_code: None })
        .collect();
    for work in by_slot(&case.work) {
        let (outcome, graph_code) = match &work.progress {
            Progress::Ready | Progress::Created | Progress::Doubt { .. } => (None, None),
            Progress::Done => (Some(IntentOutcome::Applied), None),
            Progress::Refused { code, .. } if is_invalid_number(code) => {
                (Some(IntentOutcome::Invalid), Some(code.clone()))
            }
            Progress::Refused { code, .. } => (Some(IntentOutcome::Refused), Some(code.clone())),
            Progress::Failed => (Some(IntentOutcome::Failed), None),
        };
        changes.push(Done { change: work.change.clone(), outcome, graph_code });
    }
    changes.sort_by_key(|d| d.change.method);
    changes
}

/// Code words, each once, in order of appearance.
fn code_words(codes: impl Iterator<Item = Code>) -> String {
    let mut words: Vec<&'static str> = Vec::new();
    for code in codes {
        if !words.contains(&code.as_str()) {
            words.push(code.as_str());
        }
    }
    words.join(" ")
}
