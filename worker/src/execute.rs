//! Step 5: carries out the work of a group of users in bundles. It never sends without quota, never starts a write that
//! could outlast the lease, and never judges a status code: it only sorts answers for the read-back.

use crate::Error;
use crate::case::{Case, Progress, Work};
use crate::compare::current_of;
use crate::lease::Lease;
use crate::refusals::Call;
use crate::shift::Shift;
use contract::{DefaultMethod, Target, TokenStep};
use graph::{Answer, Ask, CodeNow, WriteCall, WriteItem, Writer};
use std::collections::BTreeSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use telemetry::crash_point;

/// Items of one bundle (Graph's limit).
const BUNDLE: usize = 20;

/// Where an item's answer goes.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    case: usize,
    work: usize,
}

/// A look at a user is good for this long; what is not sent by then is looked at again. Architecture's half minute, and
/// as much again for the items that wait for their quota behind others of the same group.
const LOOK_IS_GOOD_FOR: Duration = Duration::from_secs(60);

impl Shift {
    /// Writes phones, then tokens, then the default, each stage over all users of the group. Answers what ends the run,
    /// if anything does; the group is then still read back and settled, so that nothing that is known is lost.
    pub(crate) async fn execute(
        &self,
        writer: &Writer,
        cases: &mut Vec<Case>,
        lease: &mut Lease,
    ) -> Result<Option<Error>, Error> {
        let stages: [(CallFor, &'static str); 4] = [
            (phone_call, "worker.phones-sent"),
            (create_call, "worker.tokens-created"),
            (activate_call, "worker.tokens-activated"),
            (default_call, "worker.default-sent"),
        ];
        for (call_for, done) in stages {
            let stop = self.stage(writer, cases, lease, call_for).await?;
            crash_point(done);
            if stop.is_some() {
                return Ok(stop);
            }
            self.find_created(writer, cases).await;
        }
        Ok(None)
    }

    /// Sends what a stage has until nothing of it is ready or time is up. A throttled item simply stays ready: the pace
    /// holds everybody, and it is no attempt.
    async fn stage(
        &self,
        writer: &Writer,
        cases: &mut Vec<Case>,
        lease: &mut Lease,
        call_for: CallFor,
    ) -> Result<Option<Error>, Error> {
        loop {
            self.renew(lease, cases).await?;
            let bundles = pack(cases, |case| {
                case.work.iter().enumerate().filter_map(|(i, w)| Some((i, call_for(case, w)?))).collect()
            });
            if bundles.is_empty() {
                return Ok(None);
            }
            match self.send(writer, cases, lease, bundles).await {
                Next::Go => {}
                Next::TimeIsUp => return Ok(None),
                Next::Stop(error) => return Ok(Some(error)),
            }
        }
    }

    /// Sends bundles one after the other, while the lease and the look at the users are good for it.
    pub(crate) async fn send(
        &self,
        writer: &Writer,
        cases: &mut [Case],
        lease: &Lease,
        bundles: Vec<Bundle>,
    ) -> Next {
        let Some(looked_at) = cases.iter().map(|c| c.observed_at).min() else { return Next::Go };
        let not_after = lease.not_after().min(looked_at + LOOK_IS_GOOD_FOR);
        for (items, places) in bundles {
            if self.is_ending() {
                return Next::TimeIsUp;
            }
            let answers = writer.write_unless(&items, not_after, &self.stops).await;
            match self.sort(cases, &places, answers) {
                Next::Go => {}
                end @ (Next::TimeIsUp | Next::Stop(_)) => return end,
            }
        }
        Next::Go
    }

    /// Files answers with their work.
    fn sort(&self, cases: &mut [Case], places: &[Place], answers: Vec<Answer>) -> Next {
        for (place, answer) in places.iter().zip(&answers) {
            let work = cases.get(place.case).and_then(|case| case.work.get(place.work));
            if let (Some(work), Answer::Done { .. }) = (work, answer) {
                self.refusals.allowed(Call::of(work.change.method));
            }
        }
        let mut next = Next::Go;
        let mut forbidden = BTreeSet::new();
        for (place, answer) in places.iter().zip(answers) {
            let Some(case) = cases.get_mut(place.case) else { continue };
            let mobile_failed = case.work.iter().any(|w| {
                w.change.method == Target::Mobile && !matches!(w.progress, Progress::Done | Progress::Ready)
            });
            let Some(work) = case.work.get_mut(place.work) else { continue };
            match answer {
                Answer::Done { .. } => {
                    let created = matches!(work.token.as_ref().map(|t| &t.step), Some(TokenStep::Create))
                        && work.progress == Progress::Ready;
                    work.progress = if created { Progress::Created } else { Progress::Done };
                }
                Answer::Throttled => {}
                Answer::NotSent { .. } => next = next.or(Next::TimeIsUp),
                // Another item of this user failed. What truly needs it waits for a new plan, the rest is sent again.
                Answer::DependencyFailed => {
                    if work.change.method == Target::AlternateMobile && mobile_failed {
                        work.progress = Progress::Failed;
                    }
                }
                Answer::Refused { status, code } => {
                    let first = status == 403 && forbidden.insert(place.case);
                    let kind = Call::of(work.change.method);
                    match if first { self.refusals.forbidden(kind) } else { Ok(()) } {
                        Ok(()) => work.progress = Progress::Refused { status, code },
                        // Nothing was applied, and nothing is wrong with this user: it stays to be written.
                        Err(error) => next = next.or(Next::Stop(error)),
                    }
                }
                Answer::Doubt { status } => {
                    work.progress = Progress::Doubt { answered: matches!(status, Some(500 | 502 | 503)) };
                }
            }
        }
        next
    }

    /// Reads the method ids of tokens that were just created: an id is never guessed from the device's.
    async fn find_created(&self, writer: &Writer, cases: &mut [Case]) {
        let created: Vec<usize> = (0..cases.len())
            .filter(|i| cases[*i].work.iter().any(|w| w.progress == Progress::Created))
            .collect();
        if created.is_empty() {
            return;
        }
        let asks: Vec<Ask> =
            created.iter().map(|i| Ask { user: cases[*i].claim.user.clone(), tokens: true }).collect();
        let seen = writer.reader().observe(&asks).await;
        for (i, methods) in created.into_iter().zip(seen) {
            let Some(case) = cases.get_mut(i) else { continue };
            for work in case.work.iter_mut().filter(|w| w.progress == Progress::Created) {
                let method_id = methods.as_ref().ok().and_then(|m| {
                    m.hardware_oath
                        .iter()
                        .find(|t| t.serial.is_some() && t.serial == work.change.serial)
                        .map(|t| t.method_id.clone())
                });
                match (method_id, work.token.as_mut()) {
                    (Some(method_id), Some(token)) => token.step = TokenStep::Activate { method_id },
                    // Not visible yet: the next claim finds it assigned and activates it.
                    _ => work.progress = Progress::Doubt { answered: false },
                }
            }
        }
    }
}

/// What is done after a bundle.
pub(crate) enum Next {
    Go,
    TimeIsUp,
    Stop(Error),
}

impl Next {
    /// The graver of the two.
    fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Stop(error), _) | (_, Self::Stop(error)) => Self::Stop(error),
            (Self::TimeIsUp, _) | (_, Self::TimeIsUp) => Self::TimeIsUp,
            (Self::Go, Self::Go) => Self::Go,
        }
    }
}

/// Makes the call of a stage for a piece of work; nothing where the stage has none for it.
type CallFor = fn(&Case, &Work) -> Option<WriteCall>;

/// Writes that are sent together, and where their answers go.
pub(crate) type Bundle = (Vec<WriteItem>, Vec<Place>);

/// Packs users' calls into bundles; a user's items stay together and go one after the other. `calls` names the work that
/// each is for; all of one packing are of one version.
pub(crate) fn pack(cases: &[Case], calls: impl Fn(&Case) -> Vec<(usize, WriteCall)>) -> Vec<Bundle> {
    let mut bundles: Vec<Bundle> = Vec::new();
    for (case_index, case) in cases.iter().enumerate() {
        let calls = calls(case);
        if calls.is_empty() {
            continue;
        }
        let fits = bundles.last().is_some_and(|(items, _)| items.len() + calls.len() <= BUNDLE);
        if !fits {
            bundles.push((Vec::with_capacity(BUNDLE), Vec::with_capacity(BUNDLE)));
        }
        let Some((items, places)) = bundles.last_mut() else { continue };
        let mut after = None;
        for (work, call) in calls {
            items.push(WriteItem { call, after });
            places.push(Place { case: case_index, work });
            after = Some(items.len() - 1);
        }
    }
    bundles
}

fn phone_call(case: &Case, work: &Work) -> Option<WriteCall> {
    if work.progress != Progress::Ready {
        return None;
    }
    let user = case.claim.user.clone();
    let kind = match work.change.method {
        Target::Mobile | Target::AlternateMobile | Target::Office => work.change.method,
        Target::HardwareOath | Target::Default => return None,
    };
    match (current_of(&case.methods, &work.change), work.change.to.clone()) {
        (None, Some(number)) => Some(WriteCall::CreatePhone { user, kind, number }),
        (Some(_), Some(number)) => Some(WriteCall::UpdatePhone { user, kind, number }),
        (Some(_), None) => Some(WriteCall::DeletePhone { user, kind }),
        (None, None) => None,
    }
}

fn create_call(case: &Case, work: &Work) -> Option<WriteCall> {
    let token = work.token.as_ref()?;
    if work.progress != Progress::Ready || token.step != TokenStep::Create {
        return None;
    }
    Some(WriteCall::CreateToken {
        user: case.claim.user.clone(),
        serial: token.serial.clone(),
        secret: token.secret.clone(),
        interval_seconds: token.interval_seconds,
        manufacturer: token.manufacturer.clone(),
        model: token.model.clone(),
    })
}

fn activate_call(case: &Case, work: &Work) -> Option<WriteCall> {
    let token = work.token.as_ref()?;
    if !matches!(work.progress, Progress::Ready | Progress::Created) {
        return None;
    }
    // A secret that gives no code would have been blocked by the rules; made at the moment of sending, see `CodeNow`.
    let (secret, interval_s) = (token.secret.clone(), token.interval_seconds);
    let code = CodeNow::new(move || rules::totp(secret.expose(), interval_s, unix_s()).unwrap_or_default());
    let user = case.claim.user.clone();
    match &token.step {
        TokenStep::Create => None,
        TokenStep::Assign { device_id } => {
            Some(WriteCall::AssignToken { user, device_id: device_id.clone(), code })
        }
        TokenStep::Activate { method_id } => {
            Some(WriteCall::ActivateToken { user, method_id: method_id.clone(), code })
        }
    }
}

/// The default comes last, and only where everything before it is in place: else the next plan decides it anew.
fn default_call(case: &Case, work: &Work) -> Option<WriteCall> {
    if work.progress != Progress::Ready || work.change.method != Target::Default {
        return None;
    }
    let rest_done =
        case.work.iter().all(|w| w.change.method == Target::Default || w.progress == Progress::Done);
    let method = work.change.to.as_deref().and_then(DefaultMethod::parse)?;
    rest_done.then(|| WriteCall::SetDefault { user: case.claim.user.clone(), method })
}

/// The time that a token's code is computed from; the one clock that must be right.
#[expect(clippy::disallowed_methods, reason = "a TOTP code is a function of the wall clock")]
fn unix_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}
