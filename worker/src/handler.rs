//! How a user is moved. Read this first.
//!
//! Orders come in groups, and each group goes through seven steps together, so that round trips to Graph and to the
//! ledger are shared:
//!
//! ```text
//! 1 claim ──► 2 observe ──► 3 plan ──► 4 file pre-images and intents ──► 5 write ──► 6 read back ──► 7 settle, ack
//! ```
//!
//! Whatever happens between 4 and 7 (a crash, a lost answer, a lease that ran out), the next claim finds the intents on
//! file, looks at the user first, and goes on from what is there. State decides, never a status code. A user that cannot
//! be finished now goes back to waiting with its doubts on file; nothing is kept in memory that matters.

use crate::case::{Case, Progress, Work, by_slot, note};
use crate::compare::{current_of, same};
use crate::decide::Decision;
use crate::finish::{is_invalid_number, retry_delay};
use crate::lease::Lease;
use crate::refusals::Call;
use crate::shift::Shift;
use crate::{Error, Hands};
use contract::{
    Code, Disposition, EntryState, RunKind, SealError, Subject, Target, TokenStatus, TokenStep, UserMethods,
    context,
};
use graph::Ask;
use ledger::{Claim, End, Finish, NewIntent};
use std::collections::BTreeMap;
use std::time::Duration;
use telemetry::{crash_point, ledger_operation};
use tokio::time::Instant;

/// An observation older than this is made again before anything is written on its strength.
const OBSERVATION_AGE: Duration = Duration::from_secs(30);
/// Crashes after which a user is handled alone, so that one poison user does not take its group along.
const ALONE_AFTER: u32 = 2;
/// Crashes after which a user is parked.
const PARK_AFTER: u32 = 5;

impl Shift {
    /// Handles a group of orders of this run, from claim to settle; the caller acks.
    pub(crate) async fn handle(&self, ordinals: &[i64]) -> Result<(), Error> {
        // 1. Claim. The deadline is reckoned from before the claim, on our own monotonic clock.
        let mut lease = Lease::new(Instant::now(), &self.settings);
        let claiming = self.ledger.claim(self.assignment.run, ordinals, &self.owner, self.settings.lease);
        let claims = ledger_operation("claim", claiming).await?;
        crash_point(match self.assignment.kind {
            RunKind::Rollback => "rollback.claimed",
            RunKind::Rollout => "rollout.claimed",
            RunKind::RolloutRemove => "rollout-remove.claimed",
            RunKind::Migrate
            | RunKind::Rehearse
            | RunKind::Verify
            | RunKind::Survey
            | RunKind::RolloutPlan => "worker.claimed",
        });
        let (alone, together): (Vec<Claim>, Vec<Claim>) =
            claims.into_iter().partition(|c| c.crashes >= ALONE_AFTER);
        self.go_through(together, &mut lease).await?;
        for claim in alone {
            // Its turn may come late: it gets a lease of its own first, or it is no longer ours.
            let mut lease = Lease::new(Instant::now(), &self.settings);
            let held = [(claim.ordinal, claim.epoch)];
            let ours = self.ledger.renew(self.assignment.run, &held, self.settings.lease).await?;
            if ours.contains(&claim.ordinal) {
                self.go_through(vec![claim], &mut lease).await?;
            }
        }
        Ok(())
    }

    /// Steps 2 to 7 for claimed users, in the direction of the run.
    async fn go_through(&self, claims: Vec<Claim>, lease: &mut Lease) -> Result<(), Error> {
        if claims.is_empty() {
            return Ok(());
        }
        match (self.assignment.kind, &self.hands) {
            (RunKind::Rollback, Hands::Migrate(writer)) => self.take_back(writer, claims, lease).await,
            (RunKind::Rollout | RunKind::RolloutRemove, Hands::Migrate(writer)) => {
                self.seat_users(writer, claims, lease).await
            }
            (RunKind::Verify, _) => self.verify(claims).await,
            // These have no orders without the hands for them.
            (RunKind::Rollback | RunKind::Rollout | RunKind::RolloutRemove, Hands::Rehearse(_))
            | (RunKind::RolloutPlan, _) => Ok(()),
            (RunKind::Migrate | RunKind::Rehearse | RunKind::Survey, _) => {
                self.move_users(claims, lease).await
            }
        }
    }

    /// Steps 2 to 7, forward.
    async fn move_users(&self, claims: Vec<Claim>, lease: &mut Lease) -> Result<(), Error> {
        let mut ends = Ends::default();
        let cases = self.open_records(claims, &mut ends)?;
        let mut writing = self.observe_and_plan(cases, &mut ends).await?;
        crash_point("worker.planned");

        if let Hands::Migrate(writer) = &self.hands
            && !writing.is_empty()
        {
            if self.wait_out_hold(&mut writing, lease, &mut ends).await? {
                writing = self.observe_and_plan(writing, &mut ends).await?;
            }
            self.renew(lease, &mut writing).await?;
            let mut writing = self.file_intents(writing).await?;
            crash_point("worker.intents-filed");
            let stop = self.execute(writer, &mut writing, lease).await?;
            ends.stop = ends.stop.or(stop);
            self.read_back(writer, &mut writing).await;
            for case in writing {
                ends.finishes.push(self.end_of_work(case)?);
            }
        } else {
            for case in writing {
                ends.finishes.push(self.settle(case, EntryState::Planned)?);
            }
        }

        crash_point("worker.before-finish");
        let ended = self.end_group(ends).await;
        crash_point("worker.finished");
        ended
    }

    /// Step 7: settles. A stale epoch touches nothing: another worker has that user now.
    pub(crate) async fn end_group(&self, ends: Ends) -> Result<(), Error> {
        let finishing = self.ledger.finish(self.assignment.run, &ends.finishes);
        let ours = ledger_operation("finish", finishing).await?;
        self.tell_settled(&ours, &ends.finishes);
        ends.stop.map_or(Ok(()), Err)
    }

    /// A hold would age the observation: it is waited out first, and those whom it outlasts go back. Answers whether it
    /// took so long that one must look again.
    pub(crate) async fn wait_out_hold(
        &self,
        cases: &mut Vec<Case>,
        lease: &Lease,
        ends: &mut Ends,
    ) -> Result<bool, Error> {
        if let Some(hold) = self.hold_beyond(lease.not_after()).await {
            for case in std::mem::take(cases) {
                ends.finishes.push(self.snooze(case, hold, false)?);
            }
        }
        Ok(cases.iter().any(|c| c.observed_at.elapsed() > OBSERVATION_AGE))
    }

    /// Counts those of a group that were settled, and were ours to settle.
    fn tell_settled(&self, ours: &[i64], finishes: &[Finish]) {
        if !telemetry::exports() {
            return;
        }
        let mut settled: BTreeMap<EntryState, u64> = BTreeMap::new();
        for finish in finishes.iter().filter(|f| ours.contains(&f.ordinal)) {
            match &finish.end {
                End::Settle { state, .. } => *settled.entry(*state).or_default() += 1,
                End::Snooze { .. } => {}
            }
        }
        for (state, n) in settled {
            telemetry::record_settled(self.assignment.run.0, state.as_str(), n);
        }
    }

    /// Waits until writes are not held; answers what is left of a hold that outlasts the deadline.
    async fn hold_beyond(&self, not_after: Instant) -> Option<Duration> {
        while let Some(hold) = self.pace.of(graph::Bucket::Writes).held_for {
            if Instant::now() + hold >= not_after {
                return Some(hold);
            }
            tokio::select! {
                () = tokio::time::sleep(hold) => {}
                // What waits for quota is handed back.
                () = self.ending() => return Some(hold),
            }
        }
        None
    }

    /// Opens the sealed records of claimed users.
    fn open_records(&self, claims: Vec<Claim>, ends: &mut Ends) -> Result<Vec<Case>, Error> {
        self.open_each(claims, ends, |claim| Case::open(claim, &self.assignment, &self.sealer, &self.keys))
    }

    /// Opens what is on file of claimed users; one of whom it cannot be opened, or who crashed us too often, is parked.
    pub(crate) fn open_each(
        &self,
        claims: Vec<Claim>,
        ends: &mut Ends,
        open: impl Fn(&Claim) -> Result<Case, SealError>,
    ) -> Result<Vec<Case>, Error> {
        let mut cases = Vec::with_capacity(claims.len());
        for claim in claims {
            if claim.crashes >= PARK_AFTER {
                ends.finishes.push(self.park_unread(&claim, Code::CrashLoop)?);
                continue;
            }
            match open(&claim) {
                Ok(case) => cases.push(case),
                Err(error) => {
                    tracing::warn!(user = %claim.user_key, %error, "what is on file cannot be opened; the user is parked");
                    ends.finishes.push(self.park_unread(&claim, Code::RecordUnreadable)?);
                }
            }
        }
        Ok(cases)
    }

    /// Steps 2 and 3: observes and plans. Answers the users with something to write; the others get their end.
    async fn observe_and_plan(&self, cases: Vec<Case>, ends: &mut Ends) -> Result<Vec<Case>, Error> {
        let policy = &self.assignment.policy;
        let horizon = self.settings.horizon();
        let tokens =
            |c: &Case| rules::reads_tokens(&c.record, policy) || !c.begun_serials(horizon).is_empty();
        let cases = self.look(cases, tokens, ends).await?;
        crash_point("worker.observed");
        let mut writing = Vec::new();
        for mut case in cases {
            if let Err(error) = self.refresh_inventory(&mut case).await {
                self.unobserved(case, error, ends)?;
                continue;
            }
            match case.decide(&self.assignment, &self.settings, &self.keys) {
                Decision::Wait(after) => ends.finishes.push(self.snooze(case, after, false)?),
                Decision::Settle(state) => ends.finishes.push(self.settle(case, state)?),
                Decision::Write => writing.push(case),
            }
        }
        Ok(writing)
    }

    /// Looks at users, at their tokens' devices where `tokens` says so. Those who could not be looked at get their end.
    pub(crate) async fn look(
        &self,
        cases: Vec<Case>,
        tokens: impl Fn(&Case) -> bool,
        ends: &mut Ends,
    ) -> Result<Vec<Case>, Error> {
        let asks: Vec<Ask> =
            cases.iter().map(|c| Ask { user: c.claim.user.clone(), tokens: tokens(c) }).collect();
        let observed_at = Instant::now();
        let mut seen = self.hands.reader().observe(&asks).await;
        self.look_closer(&asks, &mut seen).await;
        if seen.iter().any(Result::is_ok) {
            self.refusals.allowed(Call::Read);
        }
        let mut looked_at = Vec::with_capacity(cases.len());
        for (mut case, methods) in cases.into_iter().zip(seen) {
            case.observed_at = observed_at;
            match methods {
                Ok(methods) => {
                    case.methods = methods;
                    looked_at.push(case);
                }
                Err(error) => self.unobserved(case, error, ends)?,
            }
        }
        Ok(looked_at)
    }

    /// Users who turn out to hold tokens are asked for those too: one that no code has proven serves nobody, and only its
    /// device tells.
    async fn look_closer(&self, asks: &[Ask], seen: &mut [Result<UserMethods, graph::Error>]) {
        let blind = |methods: &UserMethods| methods.hardware_oath.iter().any(|t| t.status.is_none());
        let again: Vec<usize> =
            (0..asks.len()).filter(|i| !asks[*i].tokens && seen[*i].as_ref().is_ok_and(blind)).collect();
        if again.is_empty() {
            return;
        }
        let closer: Vec<Ask> =
            again.iter().map(|i| Ask { user: asks[*i].user.clone(), tokens: true }).collect();
        for (i, methods) in again.into_iter().zip(self.hands.reader().observe(&closer).await) {
            seen[i] = methods;
        }
    }

    /// A user that could not be looked at. What ends the run ends it after the group: this user just goes back.
    pub(crate) fn unobserved(
        &self,
        mut case: Case,
        error: graph::Error,
        ends: &mut Ends,
    ) -> Result<(), Error> {
        if matches!(error, graph::Error::Forbidden { .. })
            && let Err(stop) = self.refusals.forbidden(Call::Read)
        {
            ends.stop.get_or_insert(stop);
            ends.finishes.push(self.snooze(case, Duration::ZERO, false)?);
            return Ok(());
        }
        // Only an answer about this user is an attempt at it. That Graph cannot be reached says nothing of anybody.
        let answered = matches!(error, graph::Error::Server { .. });
        let finish = match error.disposition() {
            Disposition::Stop => {
                ends.stop.get_or_insert(Error::Graph(error));
                self.snooze(case, Duration::ZERO, false)?
            }
            Disposition::Park { code } => {
                case.notes.push(note(code, Subject::User));
                self.settle(case, EntryState::Parked)?
            }
            Disposition::Snooze { after } => self.snooze(case, after, false)?,
            Disposition::Retry => {
                tracing::warn!(user = %case.claim.user_key, %error, "a user could not be looked at; it is tried again");
                let delay = retry_delay(case.claim.snoozes + 1);
                self.snooze(case, delay, answered)?
            }
        };
        ends.finishes.push(finish);
        Ok(())
    }

    /// Tokens that this run has begun with are looked up again: the run's inventory was read before.
    async fn refresh_inventory(&self, case: &mut Case) -> Result<(), graph::Error> {
        for serial in case.begun_serials(self.settings.horizon()) {
            let fresh = self.hands.reader().inventory_by_serial(&serial).await?;
            case.claim.inventory.retain(|t| t.serial != serial);
            case.claim.inventory.extend(fresh);
        }
        Ok(())
    }

    /// Step 4: no pre-image on file, no write. Users whose epoch is stale are dropped without a word: they are another's.
    pub(crate) async fn file_intents(&self, cases: Vec<Case>) -> Result<Vec<Case>, Error> {
        let mut rows = Vec::new();
        for case in &cases {
            for work in by_slot(&case.work) {
                let at = context::value(&case.claim.user, &work.slot);
                // A token that lies in the inventory is given back, not deleted, when it is taken back.
                let assigned = matches!(work.token.as_ref().map(|t| &t.step), Some(TokenStep::Assign { .. }));
                let spare = assigned.then(|| TokenStatus::Available.as_str().to_owned());
                let pre_image = match work.change.from.as_ref().or(spare.as_ref()) {
                    Some(before) => Some(self.sealer.seal_json(&at, before)?),
                    None => None,
                };
                // What is there now is the value before, where nothing of ours ever stood.
                let afresh = match work.change.method {
                    // A device that we create is assigned in the same breath: one that lies there is not ours, unless a
                    // way back has begun to take it away.
                    Target::HardwareOath => {
                        assigned && case.stands_as_absent(&work.slot) && !case.may_lie_there_by_us(&work.slot)
                    }
                    Target::Mobile | Target::AlternateMobile | Target::Office => {
                        case.never_landed(&work.slot)
                    }
                    // One that Graph chose by itself upon our write must not pass for the value before.
                    Target::Default => false,
                };
                rows.push(NewIntent {
                    ordinal: case.claim.ordinal,
                    epoch: case.claim.epoch,
                    user: case.claim.user.clone(),
                    slot: work.slot.clone(),
                    pre_image,
                    afresh,
                    to: Some(self.sealer.seal_json(&at, &work.change)?),
                });
            }
        }
        if rows.is_empty() {
            return Ok(cases);
        }
        let filing = self.ledger.file_intents(self.assignment.run, &rows);
        let held = ledger_operation("file_intents", filing).await?;
        Ok(cases.into_iter().filter(|c| held.contains(&c.claim.ordinal)).collect())
    }

    /// Step 6: reads back what ended in doubt, and only that. What is seen is done; what is not stays in doubt, except where
    /// Graph's own error and the value before, seen now, agree that a set value may simply be set again.
    async fn read_back(&self, writer: &graph::Writer, cases: &mut [Case]) {
        let doubtful: Vec<usize> = (0..cases.len())
            .filter(|i| {
                cases[*i]
                    .work
                    .iter()
                    .any(|w| matches!(w.progress, Progress::Doubt { .. } | Progress::Refused { .. }))
            })
            .collect();
        if doubtful.is_empty() {
            return;
        }
        let asks: Vec<Ask> = doubtful
            .iter()
            .map(|i| Ask {
                user: cases[*i].claim.user.clone(),
                tokens: cases[*i].work.iter().any(|w| w.token.is_some()),
            })
            .collect();
        let seen = writer.reader().observe(&asks).await;
        for (i, methods) in doubtful.into_iter().zip(seen) {
            let Some(case) = cases.get_mut(i) else { continue };
            case.gone |= matches!(methods, Err(graph::Error::NotFound));
            let Ok(methods) = methods else { continue };
            let waited_before = case.another_attempt;
            for work in &mut case.work {
                let now = current_of(&methods, &work.change);
                let is = |value: &Option<String>| same(work.change.method, now.as_deref(), value.as_deref());
                let progress = match &work.progress {
                    Progress::Doubt { .. } | Progress::Refused { .. } if is(&work.change.to) => {
                        Progress::Done
                    }
                    Progress::Doubt { answered: true }
                        if work.change.method != Target::HardwareOath && is(&work.change.from) =>
                    {
                        Progress::Failed
                    }
                    Progress::Refused { status, code } => {
                        sort_refusal(*status, code, work, now.is_some(), waited_before)
                    }
                    other @ (Progress::Ready
                    | Progress::Created
                    | Progress::Done
                    | Progress::Doubt { .. }
                    | Progress::Failed) => other.clone(),
                };
                work.progress = progress;
            }
        }
    }
}

/// What a refusal means when the user is there and our value is not. A conflict, and a refused creation where we saw
/// nothing, may be our own write that Graph does not show yet: those wait, once. A wrong code of a token is tried again
/// with the next one, a default with the methods as they are then, and so is what hung on a method that is gone.
fn sort_refusal(status: u16, code: &str, work: &Work, is_there: bool, waited_before: bool) -> Progress {
    let refused = Progress::Refused { status, code: code.to_owned() };
    let needs_a_code = work.token.as_ref().is_some_and(|t| t.step != TokenStep::Create);
    match status {
        403 => refused,
        404 => Progress::Failed,
        409 => Progress::Doubt { answered: false },
        _ if is_invalid_number(code) => refused,
        _ if needs_a_code || work.change.method == Target::Default => Progress::Failed,
        _ if !is_there && !waited_before => Progress::Doubt { answered: false },
        _ => refused,
    }
}

/// What a group comes to.
#[derive(Default)]
pub(crate) struct Ends {
    /// The end of each claim.
    pub(crate) finishes: Vec<Finish>,
    /// What ends the run, once the group is settled.
    pub(crate) stop: Option<Error>,
}
