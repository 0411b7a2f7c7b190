//! Staged rollout: who may be rerouted, which group takes whom, and who must not be taken back yet.
//!
//! It writes nothing to Entra. What is decided comes from `rules` and from what was read in this call; it goes to the rows
//! before the run opens, and a crash before that begins anew.

use crate::gate::Pacing;
use crate::{Coordinator, Error, Released};
use contract::{Code, EntraId, EntryState, RolloutTerms, RunKind};
use graph::Reader;
use ledger::{Applicant, Decided, MatchCounts, Rerouted, Run};
use rules::{Admission, Membership, Moved, Past};
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;
use telemetry::crash_point;

/// Users decided on together: as many as Graph tells of in one request.
const PAGE: u32 = 1_000;

/// Who is in which of the rollout's groups. Half a million users fit into some megabytes.
#[derive(Default)]
struct Members {
    groups: Vec<String>,
    counts: Vec<u64>,
    of: HashMap<u128, u8>,
    /// Those whose id is none of Entra's form.
    odd: BTreeMap<String, u8>,
}

/// An object id as a number; nothing for what has another form than Entra's.
fn number(id: &str) -> Option<u128> {
    let digits: String = id.split('-').collect();
    (digits.len() == 32).then(|| u128::from_str_radix(&digits, 16).ok()).flatten()
}

impl Members {
    /// The group that a user is in.
    fn group_of(&self, user: &EntraId) -> Option<&str> {
        let at = match number(&user.0) {
            Some(number) => self.of.get(&number),
            None => self.odd.get(&user.0),
        };
        at.and_then(|at| self.groups.get(usize::from(*at))).map(String::as_str)
    }

    fn count(&self, group: &str) -> u64 {
        let at = self.groups.iter().position(|known| known.eq_ignore_ascii_case(group));
        at.and_then(|at| self.counts.get(at)).copied().unwrap_or(0)
    }

    fn add(&mut self, user: &EntraId, group: usize) {
        if let Some(count) = self.counts.get_mut(group) {
            *count += 1;
        }
        let at = u8::try_from(group).unwrap_or(u8::MAX);
        match number(&user.0) {
            Some(number) => drop(self.of.insert(number, at)),
            None => drop(self.odd.insert(user.0.clone(), at)),
        }
    }
}

impl Coordinator {
    /// Freezes the users of a rollout's run and decides on them. A run that is past this is left as it is.
    pub(crate) async fn prepare_rollout(
        &self,
        run: &Run,
        terms: &RolloutTerms,
        reader: &Reader,
        horizon: Duration,
    ) -> Result<(), Error> {
        if run.state != contract::RunState::Preparing {
            return Ok(());
        }
        crash_point("rollout.freezing");
        let frozen = self.ledger.freeze_rollout(run.id).await?;
        if run.spec.kind == RunKind::RolloutRemove {
            self.checkpoint(run.id, "match", 1).await?;
            return Ok(());
        }
        let members = self.members_of_rollout(terms, reader).await?;
        let waiting = self.admit_all(run, terms, reader, &members, horizon).await?;
        let taken = self.taken(run, terms, &members).await?;
        let (parts, _) = rules::pack(waiting.len() as u64, &taken);
        crash_point("rollout.admitted");
        self.place(run, terms, &waiting, &parts).await?;
        let pacing = Pacing::of(self, run).await?;
        let placed = waiting.len().min(usize::try_from(parts.iter().sum::<u64>()).unwrap_or(usize::MAX));
        let canary = pacing.step_sizes(u32::try_from(placed).unwrap_or(u32::MAX));
        crash_point("rollout.placed");
        self.ledger.open_rollout(run.id, &rules::rollout_steps(&canary, &parts, &taken)).await?;
        self.tell_frozen(run, frozen).await?;
        Ok(())
    }

    async fn tell_frozen(&self, run: &Run, frozen: MatchCounts) -> Result<(), Error> {
        tracing::debug!(run = %run.id, users = frozen.entries, "the rollout's users are decided on");
        self.checkpoint(run.id, "match", 1).await?;
        Ok(())
    }

    /// Everybody who is in a group of the rollout now: those that the policy acts on, and those that may be filled.
    async fn members_of_rollout(&self, terms: &RolloutTerms, reader: &Reader) -> Result<Members, Error> {
        let read = |what| move |source| Error::Graph { what, source };
        let policy = match terms.unseen {
            true => None,
            false => reader.rollout_policy().await.map_err(read("the policy of the staged rollout"))?,
        };
        let mut members = Members::default();
        let applied = policy.into_iter().flat_map(|policy| policy.groups).map(|group| group.0);
        for group in terms.groups.iter().map(|group| group.id.clone()).chain(applied) {
            if !members.groups.iter().any(|known| known.eq_ignore_ascii_case(&group)) {
                members.groups.push(group);
                members.counts.push(0);
            }
        }
        for at in 0..members.groups.len() {
            let group = members.groups[at].clone();
            let mut next: Option<String> = None;
            loop {
                let page = match reader.direct_members_page(&group, next.as_deref()).await {
                    Ok(page) => page,
                    // A group that was deleted since has no members; whoever was to be put there is told so then.
                    Err(graph::Error::NotFound) => break,
                    Err(source) => {
                        return Err(Error::Graph { what: "the members of a rollout group", source });
                    }
                };
                for member in &page.items {
                    members.add(&member.id, at);
                }
                next = page.next;
                if next.is_none() {
                    break;
                }
            }
        }
        Ok(members)
    }

    /// How full each group is, or will be: who is in it, whose seat stands although Graph does not show it yet, and whom other
    /// runs mean for it.
    async fn taken(&self, run: &Run, terms: &RolloutTerms, members: &Members) -> Result<Vec<u64>, Error> {
        let seats = self.ledger.group_seats().await?;
        let meant = self.ledger.meant_elsewhere(run.id).await?;
        let taken = terms.groups.iter().map(|group| {
            let is_it = |id: &str| id.eq_ignore_ascii_case(&group.id);
            let seats = seats.iter().filter(|known| is_it(&known.group)).flat_map(|known| &known.standing);
            let meant = meant.iter().filter(|(id, _)| is_it(id)).map(|(_, users)| users);
            members.count(&group.id).max(seats.map(|(_, users)| users).sum()) + meant.sum::<u64>()
        });
        Ok(taken.collect())
    }

    /// Decides on everybody but for the group: settles who stays out and who is in, keeps whose seat stands where it is, and
    /// answers the others by ordinal.
    async fn admit_all(
        &self,
        run: &Run,
        terms: &RolloutTerms,
        reader: &Reader,
        members: &Members,
        horizon: Duration,
    ) -> Result<Vec<i64>, Error> {
        let mut waiting = Vec::new();
        let mut after = i64::MIN;
        loop {
            let page = self.ledger.applicants(run.id, after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(waiting) };
            after = last.ordinal;
            let ids: Vec<EntraId> = page.iter().map(|applicant| applicant.user.clone()).collect();
            let facts = reader
                .users_by_ids(&ids)
                .await
                .map_err(|source| Error::Graph { what: "the users of the rollout", source })?;
            let facts: BTreeMap<&str, (bool, bool)> =
                facts.iter().map(|user| (user.id.0.as_str(), (user.guest, user.synced))).collect();
            let mut decided = Vec::new();
            for applicant in page {
                let fact = facts.get(applicant.user.0.as_str()).copied();
                let asks = of(&applicant, fact, members, terms, horizon);
                match rules::admit(&asks) {
                    Admission::Out(code) => {
                        let state = state_of(code);
                        decided.push((applicant.ordinal, Decided::Settled(state, code.as_str())));
                    }
                    Admission::Seated => {
                        let word = Code::Unchanged.as_str();
                        decided.push((applicant.ordinal, Decided::Settled(EntryState::Unchanged, word)));
                    }
                    Admission::In => match applicant.seat.filter(|seat| seat.state.stands()) {
                        // What may still land in one group is seen to there.
                        Some(seat) => decided.push((applicant.ordinal, Decided::Placed(seat.group))),
                        None => waiting.push(applicant.ordinal),
                    },
                }
            }
            self.ledger.decide_applicants(run.id, &decided).await?;
        }
    }

    /// Puts those who may come in into groups, in the order of their ordinals; who finds no room is told so.
    async fn place(
        &self,
        run: &Run,
        terms: &RolloutTerms,
        waiting: &[i64],
        parts: &[u64],
    ) -> Result<(), Error> {
        let mut left = waiting;
        let file = async |ordinals: &[i64], decided: &Decided| -> Result<(), Error> {
            for page in ordinals.chunks(PAGE as usize) {
                let rows: Vec<_> = page.iter().map(|ordinal| (*ordinal, decided.clone())).collect();
                self.ledger.decide_applicants(run.id, &rows).await?;
            }
            Ok(())
        };
        for (group, part) in terms.groups.iter().zip(parts) {
            let part = usize::try_from(*part).unwrap_or(usize::MAX).min(left.len());
            let (here, rest) = left.split_at(part);
            file(here, &Decided::Placed(group.id.clone())).await?;
            left = rest;
        }
        file(left, &Decided::Settled(EntryState::Blocked, Code::RolloutFull.as_str())).await
    }

    /// Before a rollback releases anybody: nobody of it may be in the staged rollout, and whoever was taken out must have
    /// been routed back. Answers how the call ends where it is too early.
    pub(crate) async fn see_to_rerouted(
        &self,
        run: &Run,
        reader: &Reader,
        now_ms: i64,
    ) -> Result<Option<Released>, Error> {
        let rerouted = self.must_not_be_rerouted(run).await?;
        if let Some(acts_in) = rerouted.acts_in {
            let minutes = acts_in.as_secs().div_ceil(60);
            let reason = format!(
                "users were taken out of the staged rollout; methods are withdrawn once they are routed back for certain, in {} h {} min",
                minutes / 60,
                minutes % 60
            );
            self.ledger.tell_waits(run.id, Some(&reason)).await?;
            let opens_at_ms = now_ms.saturating_add(i64::try_from(acts_in.as_millis()).unwrap_or(i64::MAX));
            return Ok(Some(Released::Closed { reason, opens_at_ms }));
        }
        self.hold_those_of_others(run, reader).await?;
        Ok(None)
    }

    /// Nobody of a rollback has a seat that stands.
    pub(crate) async fn must_not_be_rerouted(&self, run: &Run) -> Result<Rerouted, Error> {
        let rerouted = self.ledger.rerouted(run.id).await?;
        if rerouted.seated > 0 {
            return Err(Error::Rerouted { users: rerouted.seated, batch: run.spec.batch.clone() });
        }
        Ok(rerouted)
    }

    /// Whom somebody else has put into the rollout is set aside: without methods they could not sign in there.
    async fn hold_those_of_others(&self, run: &Run, reader: &Reader) -> Result<(), Error> {
        let mut groups: Vec<String> = match reader.rollout_policy().await {
            Ok(Some(policy)) if policy.enabled && policy.for_everyone => {
                return Err(Error::EverybodyRerouted);
            }
            Ok(Some(policy)) if policy.enabled => policy.groups.into_iter().map(|group| group.0).collect(),
            Ok(Some(_) | None) | Err(graph::Error::NotFound) => return Ok(()),
            // Whoever takes back need not have the right to see the policy, and not every cloud has one. The groups that we
            // have filled are known all the same.
            Err(error @ (graph::Error::Forbidden { .. } | graph::Error::Refused { .. })) => {
                tracing::warn!(
                    run = %run.id, %error,
                    "the policy of the staged rollout cannot be seen, so nobody knows whether it acts on users of this rollback in \
                     groups that are not ours; without methods they could not sign in"
                );
                Vec::new()
            }
            Err(source) => return Err(Error::Graph { what: "the policy of the staged rollout", source }),
        };
        for group in self.ledger.seat_groups().await? {
            if !groups.iter().any(|known| known.eq_ignore_ascii_case(&group)) {
                groups.push(group);
            }
        }
        let mut held = 0;
        for group in &groups {
            let mut next: Option<String> = None;
            loop {
                let page = match reader.direct_members_page(group, next.as_deref()).await {
                    Ok(page) => page,
                    Err(graph::Error::NotFound) => break,
                    Err(source) => {
                        return Err(Error::Graph { what: "the members of a rollout group", source });
                    }
                };
                let users: Vec<EntraId> = page.items.into_iter().map(|member| member.id).collect();
                if !users.is_empty() {
                    held += self.ledger.hold_rerouted(run.id, &users).await?;
                }
                next = page.next;
                if next.is_none() {
                    break;
                }
            }
        }
        if held > 0 {
            tracing::warn!(run = %run.id, users = held, "users are in the staged rollout by somebody else's doing; they are not taken back");
        }
        Ok(())
    }
}

/// All that decides about an applicant. `fact`: whether it is a guest, and comes from on premises; absent where it is gone.
fn of(
    applicant: &Applicant,
    fact: Option<(bool, bool)>,
    members: &Members,
    terms: &RolloutTerms,
    horizon: Duration,
) -> rules::Applicant {
    let past: Vec<Past> = applicant
        .past
        .iter()
        .map(|p| Past { kind: p.kind, state: p.state, codes: p.codes.clone(), open: p.open, begun: p.begun })
        .collect();
    let moved: Moved = rules::moved(&past, applicant.in_doubt);
    let seat = applicant.seat.as_ref();
    let standing = seat.filter(|seat| seat.state.stands());
    let is_fresh = seat.is_some_and(|seat| seat.age < horizon);
    let membership = match (members.group_of(&applicant.user), seat) {
        (None, _) => Membership::None,
        (Some(group), Some(seat)) if seat.group.eq_ignore_ascii_case(group) => match standing {
            Some(_) => Membership::Seat,
            // That they are out may not show yet.
            None if is_fresh => Membership::None,
            None => Membership::Theirs,
        },
        (Some(_), _) => Membership::Theirs,
    };
    let (guest, synced) = fact.unwrap_or((false, false));
    rules::Applicant {
        gone: fact.is_none(),
        guest,
        synced,
        moved,
        seat: seat.map(|seat| seat.state),
        seat_is_fresh: is_fresh,
        membership,
        put_back: terms.put_back,
    }
}

/// What a code leaves a user as.
fn state_of(code: Code) -> EntryState {
    if code == Code::RolloutAlreadyIn { EntryState::Unchanged } else { EntryState::Blocked }
}
