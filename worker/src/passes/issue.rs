//! Issuing passes. Per group: claim, look, take away what nobody has, file the wishes, send them, put the passes into the
//! operator's file and on disk, and only then say so in the ledger.
//!
//! A death in between leaves a wish without an outcome: the next look finds its pass in the file, or finds it in Entra and
//! in nobody's hands, or waits until it cannot come any more.

use super::round::{Case, Group, Hand, InLine, Unseen};
use super::{Issued, Line, PassDesk, PassError, PassFile, PassWord, Progress, Refused, Somebody, pause};
use contract::{EntraId, PassOutcome};
use graph::{Answer, NewPass, PassAnswer, PassHolder};
use ledger::{NewPassIntent, PassFinish, PassIssue};
use rules::PassStep;
use std::collections::BTreeMap;
use telemetry::Shutdown;
use tokio::time::Instant;

/// What is issued, and where it goes.
struct Order<'a> {
    issue: &'a PassIssue,
    /// Whether the policy's groups include a user.
    includes: &'a (dyn Fn(&EntraId) -> bool + Sync),
    shutdown: &'a Shutdown,
}

impl Order<'_> {
    /// Why a user gets no pass, before Graph is asked.
    fn refuses(&self, hand: &Hand, holder: &PassHolder, attempts: u32) -> Option<PassWord> {
        if holder.guest {
            Some(PassWord::Guest)
        } else if !(self.includes)(&hand.claim.user) {
            Some(PassWord::NotInPolicy)
        } else if hand.case.attempts >= attempts {
            Some(PassWord::Unanswered)
        } else {
            None
        }
    }
}

/// What is to be sent for a group.
#[derive(Default)]
struct ToSend {
    take_away: Vec<(Hand, i64, String)>,
    make: Vec<(Hand, PassHolder)>,
}

impl PassDesk {
    /// Issues passes to users; goes on where an earlier call of the same issue ended. It ends early when a stop is wished
    /// for: what was sent is seen to its end.
    ///
    /// # Errors
    /// The ledger, Graph or the file cannot be used. The same call goes on later.
    pub async fn issue(
        &self,
        issue: &PassIssue,
        users: Vec<Somebody>,
        includes: &(dyn Fn(&EntraId) -> bool + Sync),
        file: &mut dyn PassFile,
        shutdown: &Shutdown,
        tell: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<Issued, PassError> {
        let order = Order { issue, includes, shutdown };
        let of = users.len() as u64;
        let mut line = InLine::of(users);
        let mut issued = Issued::default();
        while !line.is_empty() && !shutdown.is_requested() {
            let group = line.due();
            if group.is_empty() {
                pause(line.next_due(), shutdown).await;
                continue;
            }
            let (mut held, mut round) = (Vec::new(), Issued::default());
            let has_worked = issued.issued + issued.before > 0;
            match self.issue_round(&order, group.clone(), has_worked, &mut round, file, &mut held).await {
                Ok(again) => {
                    issued.add(round);
                    line.comes_again(again);
                }
                Err(error) => self.after(error, &held, group, &mut line).await?,
            }
            tell(Progress { done: of - line.len(), of, in_doubt: line.later() });
        }
        issued.left = line.len();
        Ok(issued)
    }

    /// One group; answers those who come again.
    async fn issue_round(
        &self,
        order: &Order<'_>,
        group: Vec<Case>,
        has_worked: bool,
        issued: &mut Issued,
        file: &mut dyn PassFile,
        held: &mut Vec<(EntraId, i64)>,
    ) -> Result<Vec<Case>, PassError> {
        let mut again = Vec::new();
        let Group { since, hands } = self.take(group, &mut again, held).await?;
        let is_done = |hand: &Hand| hand.claim.issued.iter().any(|pass| pass.issue == order.issue.id);
        let (done, hands): (Vec<Hand>, Vec<Hand>) = hands.into_iter().partition(is_done);
        self.finish(&done.iter().map(Hand::release).collect::<Vec<_>>()).await?;
        issued.before += done.len() as u64;
        let looks = self.look(&hands).await?;
        let mut ends = Vec::new();
        let mut to_send = ToSend::default();
        for (hand, look) in hands.into_iter().zip(looks) {
            match look {
                Ok(holder) => {
                    let end = self.judge(order, hand, holder, file, issued, &mut to_send, &mut again);
                    ends.extend(end);
                }
                Err(Unseen::Passing) => {
                    ends.push(hand.release());
                    again.push(hand.case.again());
                }
                Err(Unseen::Never(PassWord::Forbidden, _)) if !has_worked => {
                    return Err(PassError::PermissionMissing { what: "read Temporary Access Passes" });
                }
                Err(Unseen::Never(word, graph_code)) => {
                    ends.push(hand.release());
                    issued.refused.push(Refused { user: hand.case.user, word, graph_code });
                }
            }
        }
        self.finish(&ends).await?;
        let is_forbidden = issued.refused.iter().any(|refused| refused.word == PassWord::Forbidden);
        if is_forbidden && !has_worked && issued.issued + issued.before == 0 {
            return Err(PassError::PermissionMissing { what: "create Temporary Access Passes" });
        }
        self.take_away(to_send.take_away, since, order.shutdown, &mut issued.lost, &mut again).await?;
        self.make(order, to_send.make, since, issued, file, &mut again).await?;
        Ok(again)
    }

    /// What comes next for one user; answers what can be recorded at once.
    #[expect(clippy::too_many_arguments, reason = "a user, and the piles that the user may go to")]
    fn judge(
        &self,
        order: &Order<'_>,
        hand: Hand,
        holder: PassHolder,
        file: &dyn PassFile,
        issued: &mut Issued,
        to_send: &mut ToSend,
        again: &mut Vec<Case>,
    ) -> Option<PassFinish> {
        let open = hand.claim.open.as_ref().map(|open| open.no);
        let in_file = open.and_then(|no| file.pass_of(no)).map(str::to_owned);
        let (outcome, word) = match self.step(&hand, &holder, in_file.as_deref()) {
            PassStep::Record(id) => {
                issued.before += 1;
                return open.map(|no| hand.known(no, PassOutcome::Issued, Some(id)));
            }
            PassStep::TakeAway(_) if hand.case.attempts >= self.settings.max_attempts => {
                let end = hand.release();
                let (user, word) = (hand.case.user, PassWord::Unanswered);
                issued.refused.push(Refused { user, word, graph_code: None });
                return Some(end);
            }
            PassStep::TakeAway(id) => {
                if let Some(no) = open {
                    let id = id.to_owned();
                    to_send.take_away.push((hand, no, id));
                }
                return None;
            }
            PassStep::Wait => {
                let end = hand.release();
                again.push(hand.case.again());
                return Some(end);
            }
            PassStep::Gone => {
                issued.lost += 1;
                let case = Case { was_seen: false, ..hand.case };
                let hand = Hand { case, ..hand };
                let end = open.map(|no| hand.known(no, PassOutcome::Lost, None));
                again.push(hand.case.at_once());
                return end;
            }
            PassStep::Refused => {
                let is_forbidden = hand.case.refusal.as_ref().is_some_and(|(status, _)| *status == 403);
                let word = if is_forbidden { PassWord::Forbidden } else { PassWord::GraphRefused };
                (PassOutcome::Refused, Some(word))
            }
            PassStep::Occupied(id) => {
                let is_ours = hand.claim.issued.iter().any(|pass| pass.method.eq_ignore_ascii_case(id));
                (PassOutcome::Absent, Some(if is_ours { PassWord::Earlier } else { PassWord::Foreign }))
            }
            PassStep::Make => {
                (PassOutcome::Absent, order.refuses(&hand, &holder, self.settings.max_attempts))
            }
        };
        let end = match open {
            Some(no) => PassFinish { release: word.is_some(), ..hand.known(no, outcome, None) },
            None => PassFinish { release: word.is_some(), ..hand.release() },
        };
        match word {
            None => to_send.make.push((hand, holder)),
            Some(word) => {
                let graph_code = hand.case.refusal.map(|(_, code)| code).filter(|code| !code.is_empty());
                issued.refused.push(Refused { user: hand.case.user, word, graph_code });
            }
        }
        Some(end)
    }

    /// Takes away passes that were made and that nobody has; their users come again.
    pub(super) async fn take_away(
        &self,
        lost: Vec<(Hand, i64, String)>,
        since: Instant,
        shutdown: &Shutdown,
        count: &mut u64,
        again: &mut Vec<Case>,
    ) -> Result<(), PassError> {
        if lost.is_empty() {
            return Ok(());
        }
        let passes: Vec<(EntraId, String)> =
            lost.iter().map(|(hand, _, id)| (hand.claim.user.clone(), id.clone())).collect();
        let stops = [shutdown.clone()];
        let answers = self.writer.delete_passes(&passes, self.not_after(since), &stops).await;
        telemetry::crash_point("tap.deleted");
        let mut ends = Vec::with_capacity(lost.len());
        for ((hand, no, id), answer) in lost.into_iter().zip(answers) {
            if matches!(answer, Answer::Done { .. }) {
                ends.push(hand.known(no, PassOutcome::Lost, Some(&id)));
                *count += 1;
                again.push(Case { refusal: None, was_seen: false, ..hand.case.at_once() });
            } else {
                // Whatever was said: the next look decides.
                ends.push(hand.release());
                let is_taken = matches!(answer, Answer::Refused { .. } | Answer::Doubt { .. });
                let attempts = hand.case.attempts + u32::from(is_taken);
                again.push(Case { was_seen: true, attempts, ..hand.case.again() });
            }
        }
        self.finish(&ends).await?;
        Ok(())
    }

    /// Files the wishes, sends them, and keeps what comes back.
    async fn make(
        &self,
        order: &Order<'_>,
        users: Vec<(Hand, PassHolder)>,
        since: Instant,
        issued: &mut Issued,
        file: &mut dyn PassFile,
        again: &mut Vec<Case>,
    ) -> Result<(), PassError> {
        if users.is_empty() {
            return Ok(());
        }
        let wishes: Vec<NewPassIntent> = users.iter().map(|(hand, holder)| wish(hand, holder)).collect();
        let filing = self.ledger.file_pass_intents(&order.issue.id, &wishes);
        let filed = telemetry::ledger_operation("file-pass-intents", filing).await?;
        telemetry::crash_point("tap.intents-filed");
        let mut filed: BTreeMap<EntraId, i64> = filed.into_iter().collect();
        let mut sending = Vec::with_capacity(users.len());
        for (hand, holder) in users {
            match filed.remove(&hand.claim.user) {
                Some(no) => sending.push((hand, holder, no)),
                // Somebody else has the user by now.
                None => again.push(hand.case.again()),
            }
        }
        if sending.is_empty() {
            return Ok(());
        }
        let wanted: Vec<NewPass> = sending.iter().map(|(hand, ..)| new_pass(order.issue, hand)).collect();
        let stops = [order.shutdown.clone()];
        let answers = self.writer.create_passes(&wanted, self.not_after(since), &stops).await;
        telemetry::crash_point("tap.sent");
        let is_ours = since.elapsed() < self.settings.lease;
        let mut ends = Vec::with_capacity(sending.len());
        let mut kept = Vec::new();
        for ((hand, holder, no), answer) in sending.into_iter().zip(answers) {
            match answer {
                // Whoever has taken over has looked already, and may have taken the pass away.
                PassAnswer::Made(_) if !is_ours => again.push(hand.case.again()),
                PassAnswer::Made(pass) => kept.push((hand, holder, no, pass)),
                PassAnswer::Not(answer) => {
                    let (end, case) = unmade(hand, no, answer);
                    ends.push(end);
                    again.push(case);
                }
            }
        }
        let lines: Vec<Line<'_>> = kept
            .iter()
            .map(|(hand, holder, no, pass)| Line {
                no: *no,
                user: &hand.case.user,
                upn: &holder.upn,
                secret: &pass.secret,
                seen: &pass.seen,
            })
            .collect();
        if !lines.is_empty() {
            file.append(&lines).map_err(PassError::File)?;
        }
        telemetry::crash_point("tap.file-written");
        ends.extend(
            kept.iter().map(|(hand, _, no, pass)| hand.known(*no, PassOutcome::Issued, Some(&pass.seen.id))),
        );
        let ours = self.finish(&ends).await?;
        telemetry::crash_point("tap.finished");
        for (hand, ..) in kept {
            if ours.contains(&hand.claim.user) {
                issued.issued += 1;
            } else {
                let (user, word) = (hand.case.user, PassWord::TakenOver);
                issued.refused.push(Refused { user, word, graph_code: None });
            }
        }
        Ok(())
    }
}

fn wish(hand: &Hand, holder: &PassHolder) -> NewPassIntent {
    NewPassIntent {
        user: hand.claim.user.clone(),
        epoch: hand.claim.epoch,
        before: holder.passes.iter().map(|pass| pass.id.clone()).collect(),
    }
}

fn new_pass(issue: &PassIssue, hand: &Hand) -> NewPass {
    NewPass {
        user: hand.claim.user.clone(),
        lifetime_minutes: issue.lifetime_minutes,
        once: issue.once,
        start_ms: issue.start_ms,
    }
}

/// What an answer without a pass means: a wish that never left is over, everything else is looked at.
fn unmade(hand: Hand, no: i64, answer: Answer) -> (PassFinish, Case) {
    match answer {
        Answer::Throttled | Answer::DependencyFailed | Answer::NotSent { held_until: None } => {
            (hand.known(no, PassOutcome::NotSent, None), hand.case.again())
        }
        Answer::NotSent { held_until: Some(until) } => {
            let end = hand.known(no, PassOutcome::NotSent, None);
            (end, Case { due: until, ..hand.case })
        }
        Answer::Refused { status, code } => {
            let end = hand.release();
            let attempts = hand.case.attempts + 1;
            (end, Case { refusal: Some((status, code)), attempts, ..hand.case.at_once() })
        }
        Answer::Done { .. } | Answer::Doubt { .. } => {
            let end = hand.release();
            let attempts = hand.case.attempts + 1;
            (end, Case { refusal: None, attempts, ..hand.case.again() })
        }
    }
}
