//! Taking passes away: those that this ledger knows to have issued, and those that were made and that nobody has. What
//! somebody else has made stays.

use super::round::{Case, Group, Hand, InLine, Unseen};
use super::{ATTEMPTS, Ended, PassDesk, PassError, PassWord, Progress, Refused, Somebody, pause};
use contract::{EntraId, PassEnding, PassOutcome};
use graph::{Answer, PassHolder, Usability};
use ledger::{IssuedPass, PassFinish};
use rules::PassStep;
use telemetry::Shutdown;
use tokio::time::Instant;

/// A pass that is to go, and whether it was seen.
struct Going {
    hand: Hand,
    pass: IssuedPass,
    was_seen: bool,
}

impl PassDesk {
    /// Takes away the passes of these users that are still there. It ends early when a stop is wished for; called again,
    /// it goes on.
    ///
    /// # Errors
    /// The ledger or Graph cannot be used. The same call goes on later.
    pub async fn revoke(
        &self,
        users: Vec<Somebody>,
        shutdown: &Shutdown,
        tell: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<Ended, PassError> {
        let of = users.len() as u64;
        let mut line = InLine::of(users);
        let mut ended = Ended::default();
        while !line.is_empty() && !shutdown.is_requested() {
            let group = line.due();
            if group.is_empty() {
                pause(line.next_due(), shutdown).await;
                continue;
            }
            let (mut held, mut round) = (Vec::new(), Ended::default());
            match self.revoke_round(group.clone(), &mut round, shutdown, &mut held).await {
                Ok(again) => {
                    ended.add(round);
                    line.comes_again(again);
                }
                Err(error) => self.after(error, &held, group, &mut line).await?,
            }
            tell(Progress { done: of - line.len(), of, in_doubt: line.later() });
        }
        ended.left = line.len();
        Ok(ended)
    }

    async fn revoke_round(
        &self,
        group: Vec<Case>,
        ended: &mut Ended,
        shutdown: &Shutdown,
        held: &mut Vec<(EntraId, i64)>,
    ) -> Result<Vec<Case>, PassError> {
        let mut again = Vec::new();
        let Group { since, hands } = self.take(group, &mut again, held).await?;
        let looks = self.look(&hands).await?;
        let (mut ends, mut lost, mut going) = (Vec::new(), Vec::new(), Vec::new());
        for (mut hand, look) in hands.into_iter().zip(looks) {
            match look {
                Ok(holder) => {
                    if hand.case.user.name == hand.case.user.id.0 {
                        hand.case.user.name.clone_from(&holder.upn);
                    }
                    match self.step(&hand, &holder, None) {
                        PassStep::TakeAway(id) => {
                            let (id, no) =
                                (id.to_owned(), hand.claim.open.as_ref().map_or(0, |open| open.no));
                            lost.push((hand, no, id));
                        }
                        PassStep::Wait => {
                            ends.push(hand.release());
                            again.push(hand.case.again());
                        }
                        PassStep::Gone => {
                            ended.lost += 1;
                            if let Some(open) = &hand.claim.open {
                                ends.push(hand.known(open.no, PassOutcome::Lost, None));
                            }
                            again.push(Case { was_seen: false, ..hand.case.at_once() });
                        }
                        PassStep::Record(_) | PassStep::Refused | PassStep::Occupied(_) | PassStep::Make => {
                            self.end_known(hand, &holder, ended, &mut ends, &mut going);
                        }
                    }
                }
                Err(Unseen::Passing) => {
                    ends.push(hand.release());
                    again.push(hand.case.again());
                }
                Err(Unseen::Never(PassWord::UserGone, _)) => {
                    // With the user, the passes are gone.
                    let gone = standing(&hand).map(|pass| (pass.no, PassEnding::Gone)).collect();
                    ended.endings.extend(standing(&hand).map(|_| (hand.case.user.clone(), PassEnding::Gone)));
                    ends.push(PassFinish { ended: gone, ..absent(&hand) });
                }
                Err(Unseen::Never(word, graph_code)) => {
                    ends.push(hand.release());
                    ended.refused.push(Refused { user: hand.case.user, word, graph_code });
                }
            }
        }
        self.finish(&ends).await?;
        self.take_away(lost, since, shutdown, &mut ended.lost, &mut again).await?;
        self.delete(going, since, shutdown, ended, &mut again).await?;
        Ok(again)
    }

    /// Sorts a user's issued passes: those that have ended by themselves, and the one that is to go.
    fn end_known(
        &self,
        hand: Hand,
        holder: &PassHolder,
        ended: &mut Ended,
        ends: &mut Vec<PassFinish>,
        going: &mut Vec<Going>,
    ) {
        let mut over = Vec::new();
        let mut to_go = None;
        for pass in standing(&hand) {
            let seen = holder.passes.iter().find(|seen| seen.id.eq_ignore_ascii_case(&pass.method));
            match seen.map(|seen| seen.usability) {
                Some(Usability::Expired) => over.push((pass.no, PassEnding::Expired)),
                Some(Usability::Used) => over.push((pass.no, PassEnding::Used)),
                Some(Usability::Usable | Usability::NotYet | Usability::Otherwise) => {
                    to_go = Some((pass.clone(), true));
                }
                // A young one may be there and not show yet.
                None if pass.age < self.settings.visibility_deadline => to_go = Some((pass.clone(), false)),
                None => over.push((pass.no, PassEnding::Gone)),
            }
        }
        ended.endings.extend(over.iter().map(|(_, ending)| (hand.case.user.clone(), *ending)));
        ends.push(PassFinish { ended: over, release: to_go.is_none(), ..absent(&hand) });
        if let Some((pass, was_seen)) = to_go {
            going.push(Going { hand, pass, was_seen });
        }
    }

    async fn delete(
        &self,
        going: Vec<Going>,
        since: Instant,
        shutdown: &Shutdown,
        ended: &mut Ended,
        again: &mut Vec<Case>,
    ) -> Result<(), PassError> {
        if going.is_empty() {
            return Ok(());
        }
        let passes: Vec<(EntraId, String)> =
            going.iter().map(|going| (going.hand.claim.user.clone(), going.pass.method.clone())).collect();
        let stops = [shutdown.clone()];
        let answers = self.writer.delete_passes(&passes, self.not_after(since), &stops).await;
        telemetry::crash_point("tap.deleted");
        let mut ends = Vec::with_capacity(going.len());
        for (Going { hand, pass, was_seen }, answer) in going.into_iter().zip(answers) {
            let ending = match &answer {
                Answer::Done { .. } => Some(PassEnding::Revoked),
                Answer::Refused { status: 404, .. } if !was_seen => Some(PassEnding::Gone),
                Answer::Refused { .. }
                | Answer::Throttled
                | Answer::NotSent { .. }
                | Answer::DependencyFailed
                | Answer::Doubt { .. } => None,
            };
            let over = ending.map(|ending| (pass.no, ending)).into_iter().collect();
            ends.push(PassFinish { ended: over, ..hand.release() });
            match (ending, answer) {
                (Some(ending), _) => ended.endings.push((hand.case.user, ending)),
                (None, Answer::Refused { status, code }) => {
                    // It is gone already, and shows for a while.
                    let shows =
                        status == 404 && hand.case.begun.elapsed() < self.settings.visibility_deadline;
                    let attempts = hand.case.attempts + u32::from(!shows);
                    if attempts < ATTEMPTS {
                        again.push(Case { attempts, ..hand.case.again() });
                    } else {
                        let word = if status == 403 { PassWord::Forbidden } else { PassWord::GraphRefused };
                        ended.refused.push(Refused { user: hand.case.user, word, graph_code: Some(code) });
                    }
                }
                (None, _) => again.push(hand.case.again()),
            }
        }
        self.finish(&ends).await?;
        let is_forbidden = ended.refused.iter().any(|refused| refused.word == PassWord::Forbidden);
        if is_forbidden && !ended.endings.iter().any(|(_, ending)| *ending == PassEnding::Revoked) {
            return Err(PassError::PermissionMissing { what: "delete Temporary Access Passes" });
        }
        Ok(())
    }
}

/// The issued passes of a user that may be there.
fn standing(hand: &Hand) -> impl Iterator<Item = &IssuedPass> {
    hand.claim.issued.iter().filter(|pass| pass.ending.is_none())
}

/// The end of a claim whose open wish, if there is one, has come to nothing.
fn absent(hand: &Hand) -> PassFinish {
    match &hand.claim.open {
        Some(open) => hand.known(open.no, PassOutcome::Absent, None),
        None => hand.release(),
    }
}
