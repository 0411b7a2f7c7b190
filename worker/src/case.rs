//! One claimed user on its way through the procedure: what is on file, what was seen, what is to be done.

use crate::Assignment;
use crate::doubt::OpenIntent;
use contract::{
    Change, Code, Conflict, FingerprintKey, History, IntentOutcome, Note, Outcome, PlanLine, Record,
    SealError, Sealer, Subject, Target, Token, TokenStatus, UserMethods, context, serial_fingerprint,
};
use ledger::{Claim, SlotOutcome};
use rules::RevertStep;
use std::time::Duration;
use tokio::time::Instant;

/// Where one change stands within this claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Progress {
    /// To be written.
    Ready,
    /// A token that exists and waits for its code.
    Created,
    /// A clean success, or seen.
    Done,
    /// It may have been applied or may still be. `answered`: by a server error other than a time-out.
    Doubt { answered: bool },
    /// Graph will not.
    Refused { status: u16, code: String },
    /// Graph failed, and the value before was seen afterwards.
    Failed,
}

/// One change, with what carrying it out takes.
#[derive(Debug, Clone)]
pub(crate) struct Work {
    pub(crate) change: Change,
    pub(crate) slot: String,
    pub(crate) token: Option<Token>,
    /// On the way back, what is to be done; several steps of a token share its change and its slot.
    pub(crate) back: Option<RevertStep>,
    pub(crate) progress: Progress,
}

/// An intent, opened.
#[derive(Debug, Clone)]
pub(crate) struct Filed {
    pub(crate) slot: String,
    pub(crate) change: Change,
    pub(crate) outcome: Option<IntentOutcome>,
    pub(crate) age: Duration,
}

/// Whether a change takes a token from the user: only the inventory tells of it then.
pub(crate) fn takes_token_back(change: &Change) -> bool {
    change.method == Target::HardwareOath
        && matches!(change.to.as_deref().and_then(TokenStatus::parse), None | Some(TokenStatus::Available))
}

/// A claimed user.
pub(crate) struct Case {
    pub(crate) claim: Claim,
    pub(crate) record: Record,
    pub(crate) methods: UserMethods,
    pub(crate) observed_at: Instant,
    /// Outcomes learnt in this claim, to be recorded at its end.
    pub(crate) outcomes: Vec<SlotOutcome>,
    pub(crate) work: Vec<Work>,
    pub(crate) notes: Vec<Note>,
    pub(crate) outcome: Outcome,
    /// Intents of this run, filed by earlier claims.
    pub(crate) filed: Vec<Filed>,
    /// Something of ours never showed, or only half of it: what is tried now is another attempt.
    pub(crate) another_attempt: bool,
    /// Graph says that there is no such user.
    pub(crate) gone: bool,
    /// What other runs have put in place, or taken back, and how long ago: it may not show yet.
    pub(crate) recent: Vec<Filed>,
    /// What other runs may have put in place before somebody changed it: something else stood there when it was looked for.
    pub(crate) drifted: Vec<Filed>,
    /// Slots of tokens that a way back has begun to take from the user, whatever came of it.
    pub(crate) taken_back: Vec<String>,
    /// Methods that are neither as before nor as we left them.
    pub(crate) conflicts: Vec<Conflict>,
    /// Their slots.
    pub(crate) left_alone: Vec<String>,
    pub(crate) open: Vec<OpenIntent>,
    /// On the way back, those of other runs: past the horizon, they may have landed or not.
    pub(crate) open_elsewhere: Vec<OpenIntent>,
    /// On the way back, whether anything of ours stood.
    pub(crate) ours_stood: bool,
    pub(crate) history: History,
    pub(crate) contested: Vec<String>,
    pub(crate) pre_images: Vec<(String, Option<String>)>,
    /// The last change of each slot that we are known to have made.
    pub(crate) ours: Vec<(String, Change)>,
    pub(crate) reviewed: Option<PlanLine>,
}

impl Case {
    /// Opens what the ledger holds of a claimed user, the record with it.
    pub(crate) fn open(
        claim: &Claim,
        assignment: &Assignment,
        sealer: &Sealer,
        keys: &FingerprintKey,
    ) -> Result<Self, SealError> {
        let record: Record =
            sealer.open_json(&context::record(&assignment.snapshot, claim.ordinal), &claim.record.0)?;
        if record.v != Record::VERSION {
            return Err(SealError::Content);
        }
        let mut case = Self::without_record(claim, assignment, sealer)?;
        for (fingerprint, sealed) in &claim.secrets {
            let serial = sealer.open_json(&context::value(&claim.user, OATH_SECRET), &sealed.0)?;
            case.history.secrets.push((*fingerprint, serial));
        }
        if let Some(sealed) = &claim.reviewed {
            let at = context::reviewed(assignment.run, claim.ordinal);
            case.reviewed = Some(sealer.open_json(&at, &sealed.0)?);
        }
        case.contested = rules::serials(&record, &assignment.policy, keys)
            .into_iter()
            .filter(|s| claim.contested.contains(&serial_fingerprint(s, keys)))
            .collect();
        case.record = record;
        Ok(case)
    }

    /// Opens what the ledger holds of our own doing alone: whoever has left the snapshot has no record any more.
    pub(crate) fn without_record(
        claim: &Claim,
        assignment: &Assignment,
        sealer: &Sealer,
    ) -> Result<Self, SealError> {
        let value = |slot: &str, sealed: &contract::Sealed| -> Result<Change, SealError> {
            sealer.open_json(&context::value(&claim.user, slot), &sealed.0)
        };
        let mut open = Vec::new();
        let mut filed = Vec::new();
        let mut recent = Vec::new();
        let mut drifted = Vec::new();
        let mut taken_back = Vec::new();
        for intent in &claim.intents {
            let Some(sealed) = &intent.to else { continue };
            let change = value(&intent.slot, sealed)?;
            if takes_token_back(&change) {
                taken_back.push(intent.slot.clone());
            }
            if intent.outcome.is_none() {
                open.push(OpenIntent {
                    slot: intent.slot.clone(),
                    newest: false,
                    of_this_run: intent.run == assignment.run,
                    change: change.clone(),
                    age: intent.age,
                });
            }
            let opened =
                Filed { slot: intent.slot.clone(), change, outcome: intent.outcome, age: intent.age };
            if intent.run == assignment.run {
                filed.push(opened);
            } else {
                match intent.outcome {
                    Some(IntentOutcome::Applied) => recent.push(opened),
                    Some(IntentOutcome::Drifted) => drifted.push(opened),
                    None
                    | Some(
                        IntentOutcome::Refused
                        | IntentOutcome::Invalid
                        | IntentOutcome::Failed
                        | IntentOutcome::NotSent,
                    ) => {}
                }
            }
        }
        for i in 0..open.len() {
            open[i].newest = !open.iter().any(|other| other.slot == open[i].slot && other.age < open[i].age);
        }
        let mut pre_images = Vec::new();
        for image in &claim.pre_images {
            let before = match &image.value {
                Some(sealed) => {
                    Some(sealer.open_json::<String>(&context::value(&claim.user, &image.slot), &sealed.0)?)
                }
                None => None,
            };
            pre_images.push((image.slot.clone(), before));
        }
        let mut ours = Vec::new();
        for (slot, sealed) in &claim.ours {
            if let Some(sealed) = sealed {
                ours.push((slot.clone(), value(slot, sealed)?));
            }
        }
        Ok(Self {
            claim: claim.clone(),
            record: Record::nothing_but(String::new()),
            methods: UserMethods::default(),
            observed_at: Instant::now(),
            outcomes: Vec::new(),
            work: Vec::new(),
            notes: Vec::new(),
            outcome: Outcome::Unchanged,
            filed,
            recent,
            drifted,
            taken_back,
            conflicts: Vec::new(),
            left_alone: Vec::new(),
            another_attempt: false,
            gone: false,
            open,
            open_elsewhere: Vec::new(),
            ours_stood: false,
            history: History::default(),
            contested: Vec::new(),
            pre_images,
            ours,
            reviewed: None,
        })
    }

    /// Whether a value before is on file for a slot in which nothing of ours ever stood: it is what was there when we first
    /// looked, and no more.
    pub(crate) fn never_landed(&self, slot: &str) -> bool {
        self.claim.pre_images.iter().any(|image| image.slot == slot && !image.maybe_landed)
    }

    /// Whether it is on file that nothing was in a slot before.
    pub(crate) fn stands_as_absent(&self, slot: &str) -> bool {
        self.pre_images.iter().any(|(on_file, before)| on_file == slot && before.is_none())
    }

    /// Whether a token of ours may lie in the inventory: it stood on the user, and a way back may have unassigned it.
    pub(crate) fn may_lie_there_by_us(&self, slot: &str) -> bool {
        self.taken_back.iter().any(|taken| taken == slot) || self.ours.iter().any(|(ours, _)| ours == slot)
    }

    /// Serials of tokens that we may have begun with, or have just taken back: the inventory of the run's start is too old
    /// for them.
    pub(crate) fn begun_serials(&self, horizon: Duration) -> Vec<String> {
        let filed = self.filed.iter().map(|f| &f.change);
        let back =
            self.recent.iter().filter(|f| f.age < horizon && takes_token_back(&f.change)).map(|f| &f.change);
        let open = self.open.iter().map(|o| &o.change);
        let mut serials: Vec<String> =
            filed.chain(open).chain(back).filter_map(|c| c.serial.clone()).collect();
        serials.sort_unstable();
        serials.dedup();
        serials
    }
}

/// One piece of work for each slot: where there are several steps, the first that is not done.
pub(crate) fn by_slot(work: &[Work]) -> Vec<&Work> {
    let mut slots: Vec<&Work> = Vec::with_capacity(work.len());
    for work in work {
        match slots.iter_mut().find(|other| other.slot == work.slot) {
            Some(other) if other.progress == Progress::Done => *other = work,
            Some(_) => {}
            None => slots.push(work),
        }
    }
    slots
}

/// The context word for sealed serials of written secrets.
pub(crate) const OATH_SECRET: &str = "oath-secret";

/// A note about a subject.
pub(crate) fn note(code: Code, method: Subject) -> Note {
    Note { code, method, device: None }
}

/// A target as the subject of a code.
pub(crate) fn subject_of(target: Target) -> Subject {
    match target {
        Target::Mobile => Subject::Mobile,
        Target::AlternateMobile => Subject::AlternateMobile,
        Target::Office => Subject::Office,
        Target::HardwareOath => Subject::HardwareOath,
        Target::Default => Subject::Default,
    }
}
