//! A shift: what a worker knows of one run whose orders it gets. It is looked up once, by the run's number, and carries
//! nothing that must outlive the process.

use crate::refusals::{Call, Refusals};
use crate::seats::Turns;
use crate::{Assignment, Error, Hands, Settings, Worker};
use contract::{FingerprintKey, Policy, RolloutTerms, RunId, RunKind, Sealer};
use ledger::Ledger;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use telemetry::Shutdown;

/// Runs known at a time; the oldest is looked up again should an order of it still come.
const KNOWN: usize = 16;

/// One worker at one run. The seven steps are its methods.
pub(crate) struct Shift {
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) hands: Hands,
    pub(crate) pace: graph::Pace,
    pub(crate) sealer: Sealer,
    pub(crate) keys: FingerprintKey,
    pub(crate) settings: Settings,
    pub(crate) assignment: Assignment,
    pub(crate) owner: String,
    pub(crate) refusals: Refusals,
    /// Of all runs of this worker.
    pub(crate) turns: Arc<Turns>,
    /// Nothing new is begun once one of these is wished for: that the worker stops, that the run does.
    pub(crate) stops: [Shutdown; 2],
}

impl Shift {
    /// Whether nothing new may be begun.
    pub(crate) fn is_ending(&self) -> bool {
        self.stops.iter().any(Shutdown::is_requested)
    }

    /// Waits until nothing new may be begun.
    pub(crate) async fn ending(&self) {
        let [worker, run] = &self.stops;
        tokio::select! {
            () = worker.requested() => {}
            () = run.requested() => {}
        }
    }
}

/// The shifts of one worker.
#[derive(Default)]
pub(crate) struct Shifts {
    known: Mutex<BTreeMap<RunId, Arc<Shift>>>,
    /// Number of the run that was worked on last; 0 before the first.
    latest: AtomicI64,
}

impl Shifts {
    /// The run that was worked on last.
    pub(crate) fn latest(&self) -> Option<RunId> {
        Some(self.latest.load(Ordering::Relaxed)).filter(|no| *no != 0).map(RunId)
    }

    /// Forgets what is known of a run, so that it begins anew when it goes on.
    pub(crate) fn forget(&self, run: RunId) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(&run);
    }

    /// Ends what is known of a run: whoever is at it begins nothing new.
    pub(crate) fn end(&self, run: RunId) {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(&run);
        if let Some(shift) = known {
            let [_, of_run] = &shift.stops;
            of_run.request();
        }
    }

    /// The runs that are known.
    pub(crate) fn runs(&self) -> Vec<RunId> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).keys().copied().collect()
    }

    fn get(&self, run: RunId) -> Option<Arc<Shift>> {
        self.latest.store(run.0, Ordering::Relaxed);
        self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&run).cloned()
    }

    fn keep(&self, shift: Arc<Shift>) -> Arc<Shift> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= KNOWN {
            known.pop_first();
        }
        // Two groups may have looked it up at once: the first one's counts of refusals stand.
        Arc::clone(known.entry(shift.assignment.run).or_insert(shift))
    }
}

impl Worker {
    /// The shift at a run; nothing where the run is not on file, or asks for writes that these hands cannot do.
    pub(crate) async fn shift(&self, run: RunId, stopping: &Shutdown) -> Result<Option<Arc<Shift>>, Error> {
        if let Some(shift) = self.shifts.get(run) {
            return Ok(Some(shift));
        }
        let Some(found) = self.ledger.run(run).await? else { return Ok(None) };
        let hands = match (found.spec.kind, &self.hands) {
            (RunKind::Rehearse | RunKind::Verify, hands) => Hands::Rehearse(hands.reader().clone()),
            (
                RunKind::Migrate | RunKind::Rollback | RunKind::Rollout | RunKind::RolloutRemove,
                Hands::Migrate(writer),
            ) => Hands::Migrate(writer.clone()),
            // A survey has no orders, nor has a plan.
            (
                RunKind::Migrate | RunKind::Rollback | RunKind::Rollout | RunKind::RolloutRemove,
                Hands::Rehearse(_),
            )
            | (RunKind::Survey | RunKind::RolloutPlan, _) => return Ok(None),
        };
        let (policy, stay) = match found.spec.kind {
            RunKind::Rollout | RunKind::RolloutRemove | RunKind::RolloutPlan => {
                let terms = RolloutTerms::read(&found.spec.policy).ok_or(Error::Policy(run))?;
                (Policy::default(), Duration::from_secs(terms.stay_s))
            }
            RunKind::Migrate | RunKind::Rehearse | RunKind::Verify | RunKind::Rollback | RunKind::Survey => {
                let policy = serde_json::from_str(&found.spec.policy).map_err(|_| Error::Policy(run))?;
                (policy, Duration::ZERO)
            }
        };
        let proven = self.ledger.proven(run).await?;
        Ok(Some(self.shifts.keep(Arc::new(Shift {
            ledger: Arc::clone(&self.ledger),
            hands,
            pace: self.pace.clone(),
            sealer: self.sealer.clone(),
            keys: self.keys.clone(),
            settings: self.settings.clone(),
            assignment: Assignment {
                run,
                kind: found.spec.kind,
                snapshot: found.spec.snapshot,
                policy,
                stay,
                reviewed: found.spec.plan_hash.is_some(),
            },
            owner: self.owner.clone(),
            refusals: Refusals::new(&Call::proven_by(&proven)),
            turns: Arc::clone(&self.turns),
            stops: [stopping.clone(), Shutdown::new()],
        }))))
    }
}
