//! One group of users in hand: who they are, what is there, what comes next for each.
//!
//! Nothing is written here. Whoever is in somebody else's hands comes again; a wish of which nothing is known is judged by
//! what is there now, by `rules::pass_step`, and by nothing else.

use super::{AGAIN, GROUP, PassDesk, PassError, PassWord, Somebody, as_there};
use contract::{Disposition, EntraId, PassEnding, PassOutcome};
use graph::PassHolder;
use ledger::{PassClaim, PassFinish, PassKnown};
use rules::{PassStep, PassThere, PassWish};
use std::collections::{BTreeMap, VecDeque};
use tokio::time::{Duration, Instant};

/// Longest time between two looks at a user in doubt.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A user on the way to an end.
#[derive(Debug, Clone)]
pub(super) struct Case {
    pub(super) user: Somebody,
    /// Since when it is in line.
    pub(super) begun: Instant,
    /// Not before.
    pub(super) due: Instant,
    /// Graph refused the last request: status and code.
    pub(super) refusal: Option<(u16, String)>,
    /// Requests that Graph took on.
    pub(super) attempts: u32,
    /// The pass of the open wish was seen, and was to be taken away.
    pub(super) was_seen: bool,
    /// Looks in vain, since the last request.
    pub(super) looks: u32,
}

impl Case {
    pub(super) fn new(user: Somebody, now: Instant) -> Self {
        Self { user, begun: now, due: now, refusal: None, attempts: 0, was_seen: false, looks: 0 }
    }

    /// Comes again after a while that grows.
    pub(super) fn again(mut self) -> Self {
        self.looks += 1;
        self.due = Instant::now() + (AGAIN * self.looks.min(5)).min(LONGEST_PAUSE);
        self
    }

    /// Comes again at once.
    pub(super) fn at_once(mut self) -> Self {
        self.due = Instant::now();
        self
    }
}

/// Those who are not done with: nobody has looked at the first, and the others come again.
#[derive(Debug)]
pub(super) struct InLine {
    fresh: VecDeque<Case>,
    later: Vec<Case>,
}

impl InLine {
    pub(super) fn of(users: Vec<Somebody>) -> Self {
        let now = Instant::now();
        Self { fresh: users.into_iter().map(|user| Case::new(user, now)).collect(), later: Vec::new() }
    }

    pub(super) fn len(&self) -> u64 {
        (self.fresh.len() + self.later.len()) as u64
    }

    pub(super) fn later(&self) -> u64 {
        self.later.len() as u64
    }

    pub(super) fn is_empty(&self) -> bool {
        self.fresh.is_empty() && self.later.is_empty()
    }

    /// When the next one comes again.
    pub(super) fn next_due(&self) -> Instant {
        self.later.iter().map(|case| case.due).min().unwrap_or_else(Instant::now)
    }

    pub(super) fn comes_again(&mut self, cases: Vec<Case>) {
        self.later.extend(cases);
    }

    /// Takes out up to a group of those who are due: who comes again first, then new ones.
    pub(super) fn due(&mut self) -> Vec<Case> {
        let now = Instant::now();
        let (mut group, mut rest) = (Vec::with_capacity(GROUP), Vec::with_capacity(self.later.len()));
        for case in self.later.drain(..) {
            if group.len() < GROUP && case.due <= now { group.push(case) } else { rest.push(case) }
        }
        self.later = rest;
        while group.len() < GROUP
            && let Some(case) = self.fresh.pop_front()
        {
            group.push(case);
        }
        group
    }
}

/// A user in our hands, with what is on file and what is there.
#[derive(Debug)]
pub(super) struct Hand {
    pub(super) case: Case,
    pub(super) claim: PassClaim,
}

impl Hand {
    /// The end of the claim, with nothing to tell.
    pub(super) fn release(&self) -> PassFinish {
        PassFinish {
            user: self.claim.user.clone(),
            epoch: self.claim.epoch,
            outcome: None,
            ended: Vec::new(),
            release: true,
        }
    }

    /// The end of the claim, with what became of a wish.
    pub(super) fn known(&self, no: i64, outcome: PassOutcome, method: Option<&str>) -> PassFinish {
        let method = method.map(str::to_owned);
        PassFinish { outcome: Some(PassKnown { no, outcome, method }), ..self.release() }
    }
}

/// A group of users at a time.
pub(super) struct Group {
    /// When they were asked for.
    pub(super) since: Instant,
    /// Those that are in our hands.
    pub(super) hands: Vec<Hand>,
}

impl PassDesk {
    /// Takes a group in hand; whoever is in somebody else's comes again.
    pub(super) async fn take(
        &self,
        cases: Vec<Case>,
        again: &mut Vec<Case>,
        held: &mut Vec<(EntraId, i64)>,
    ) -> Result<Group, PassError> {
        let since = Instant::now();
        let users: Vec<EntraId> = cases.iter().map(|case| case.user.id.clone()).collect();
        let claims = self.claim(&users).await?;
        held.extend(claims.iter().map(|claim| (claim.user.clone(), claim.epoch)));
        let mut claims: BTreeMap<EntraId, PassClaim> =
            claims.into_iter().map(|claim| (claim.user.clone(), claim)).collect();
        telemetry::crash_point("tap.claimed");
        let mut hands = Vec::with_capacity(cases.len());
        for case in cases {
            match claims.remove(&case.user.id) {
                Some(claim) => hands.push(Hand { case, claim }),
                None => again.push(case.again()),
            }
        }
        Ok(Group { since, hands })
    }

    /// Looks at the users in hand, each with what is there or why it cannot be said.
    pub(super) async fn look(&self, hands: &[Hand]) -> Result<Vec<Result<PassHolder, Unseen>>, PassError> {
        let names: Vec<&str> = hands.iter().map(|hand| hand.claim.user.0.as_str()).collect();
        let looks = self.writer.reader().pass_holders(&names).await;
        looks.into_iter().map(|look| look.map_or_else(unseen, |holder| Ok(Ok(holder)))).collect()
    }

    /// What comes after a round that failed: users come again where the ledger was away for a while, and the failure goes
    /// on otherwise. Whatever was done of the round is found by looking.
    pub(super) async fn after(
        &self,
        error: PassError,
        held: &[(EntraId, i64)],
        group: Vec<Case>,
        line: &mut InLine,
    ) -> Result<(), PassError> {
        self.let_go(held).await;
        match error {
            PassError::Ledger(error) if error.disposition() == Disposition::Retry => {
                tracing::warn!(error = %telemetry::causes(&error), "the ledger is away; who was in hand comes again");
                line.comes_again(group.into_iter().map(Case::again).collect());
                Ok(())
            }
            error @ (PassError::Ledger(_)
            | PassError::Graph(_)
            | PassError::PermissionMissing { .. }
            | PassError::File(_)) => Err(error),
        }
    }

    /// Gives back what a round that failed had in hand; where that fails too, the leases end by themselves.
    async fn let_go(&self, held: &[(EntraId, i64)]) {
        let ends: Vec<PassFinish> = held
            .iter()
            .map(|(user, epoch)| PassFinish {
                user: user.clone(),
                epoch: *epoch,
                outcome: None,
                ended: Vec::new(),
                release: true,
            })
            .collect();
        if let Err(error) = self.ledger.finish_passes(&ends).await {
            tracing::debug!(%error, "users in hand are free when their leases end");
        }
    }

    /// Records what is known, and ends the claims.
    pub(super) async fn finish(&self, ends: &[PassFinish]) -> Result<Vec<EntraId>, PassError> {
        if ends.is_empty() {
            return Ok(Vec::new());
        }
        Ok(telemetry::ledger_operation("finish-passes", self.ledger.finish_passes(ends)).await?)
    }

    /// What comes next for a user, by what is there. `in_file`: the pass that the operator's file has for the open wish.
    pub(super) fn step<'a>(
        &self,
        hand: &'a Hand,
        holder: &'a PassHolder,
        in_file: Option<&'a str>,
    ) -> PassStep<'a> {
        // What was taken away with a clean answer may show for a while: it is not there.
        let is_gone = |id: &str| {
            let revoked = hand.claim.issued.iter().filter(|pass| pass.ending == Some(PassEnding::Revoked));
            let mut gone = hand.claim.lost.iter().chain(revoked.map(|pass| &pass.method));
            gone.any(|known| known.eq_ignore_ascii_case(id))
        };
        let there: Vec<PassThere<'a>> =
            holder.passes.iter().filter(|pass| !is_gone(&pass.id)).map(as_there).collect();
        let wish = hand.claim.open.as_ref().map(|open| PassWish {
            filed_at_ms: open.filed_at_ms,
            age: open.age,
            before: &open.before,
            lifetime_minutes: open.issue.lifetime_minutes,
            once: open.issue.once,
            start_ms: open.issue.start_ms,
            in_file,
            refused: hand.case.refusal.is_some(),
            was_seen: hand.case.was_seen,
        });
        rules::pass_step(&there, wish.as_ref(), &self.clock())
    }
}

/// Why a user could not be looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unseen {
    /// It passes: the user comes again.
    Passing,
    /// It does not.
    Never(PassWord, Option<String>),
}

fn unseen(error: graph::Error) -> Result<Result<PassHolder, Unseen>, PassError> {
    match error.disposition() {
        Disposition::Snooze { .. } => Ok(Err(Unseen::Passing)),
        // It was tried for a good while already.
        Disposition::Retry | Disposition::Stop => Err(PassError::Graph(error)),
        Disposition::Park { .. } => Ok(Err(match error {
            graph::Error::NotFound => Unseen::Never(PassWord::UserGone, None),
            graph::Error::Forbidden { code } => Unseen::Never(PassWord::Forbidden, Some(code)),
            graph::Error::Refused { code, .. } => Unseen::Never(PassWord::GraphRefused, Some(code)),
            graph::Error::Throttled { .. }
            | graph::Error::Unauthorized
            | graph::Error::Server { .. }
            | graph::Error::Timeout
            | graph::Error::Connect(_)
            | graph::Error::Broken(_)
            | graph::Error::Shape { .. }
            | graph::Error::SignIn { .. }
            | graph::Error::SignInUnreachable { .. }
            | graph::Error::ForeignLink
            | graph::Error::Config { .. } => Unseen::Passing,
        })),
    }
}
