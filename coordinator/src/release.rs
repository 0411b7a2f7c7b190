//! Release and sweep: makes a run's orders available, page by page, until every entry is settled.
//!
//! The queue is bounded, so a page waits until the one before it is nearly done. What the ledger shows unsettled and
//! due is released again: that alone brings back what a crash, a snooze or a lost message left behind.

use crate::gate::{Gate, Pacing};
use crate::traces::tell;
use crate::{Channel, Coordinator, Error};
use broker::Message;
use contract::{Code, EntryState, Order, Policy, RunKind, RunState};
use ledger::{Counts, Run};
use std::time::Duration;
use telemetry::{Headers, Shutdown, crash_point, ledger_operation};
use tokio::time::Instant;

/// Entries of one page, at least.
const PAGE: u32 = 500;
/// Pages of a run, at most: every page is followed by a checkpoint, which counts all of the run's entries.
const PAGES: u64 = 200;
/// Orders that may lie in the queue, of all runs together: enough that workers never wait for us, few enough that little
/// is out at a time. The same for every run, so that a large one does not keep the others out.
const OUT: usize = 4_000;
/// By how much longer an order must be out to count as lost while others lie in the queue: at a few users a second a full
/// queue takes minutes.
const BACKLOG: u32 = 8;
/// How often it is asked whether users may be released.
const GATE: Duration = Duration::from_secs(1);
/// How often the ledger is asked again while nothing is due.
const IDLE: Duration = Duration::from_millis(200);

/// How a release ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Released {
    /// Every entry is settled, and the run is done.
    Done(Counts),
    /// A stop was wished for, or the run was taken over by a newer one; the same command resumes.
    Stopped(Counts),
    /// It cannot go on without a person, who reads this reason.
    Halted(String),
    /// Nothing is released before a time to come, and nothing is in flight; the same command goes on then.
    Closed {
        /// In words for the operator.
        reason: String,
        /// Milliseconds since 1970 UTC.
        opens_at_ms: i64,
    },
}

impl Coordinator {
    /// Releases a run's entries until all are settled or a stop is wished for.
    ///
    /// # Errors
    /// The ledger or the queue failed; calling it again goes on.
    pub async fn release(
        &self,
        run: &Run,
        policy: &Policy,
        channel: &Channel,
        shutdown: &Shutdown,
    ) -> Result<Released, Error> {
        let mut page = self.last_page(run).await?;
        let origin = self.origin(&run.spec.snapshot).await?;
        let entries: u64 = self.ledger.counts(run.id).await?.values().sum();
        let size = PAGE.max(u32::try_from(entries / PAGES).unwrap_or(u32::MAX));
        let mut pacing = Pacing::of(self, run).await?;
        self.assign_steps(run, &pacing).await?;
        let mut looked = Instant::now();
        let mut gate = self.gate_now(run, &pacing, channel).await?;
        loop {
            if shutdown.is_requested() {
                return Ok(Released::Stopped(self.ledger.counts(run.id).await?));
            }
            if gate != Gate::Open || looked.elapsed() > GATE {
                // Settings may be changed while it runs.
                pacing = Pacing::of(self, run).await?;
                gate = self.gate_now(run, &pacing, channel).await?;
                looked = Instant::now();
            }
            let out = channel.orders.depth().await?.ready;
            // As long as orders lie there, one that nobody has claimed yet is rather late than lost.
            let stale_after = if out == 0 { channel.stale_after } else { channel.stale_after * BACKLOG };
            // A full queue gets nothing more; leases that ran out are seen to all the same, and the run's end too.
            let room = if out < OUT && gate == Gate::Open { size } else { 0 };
            let releasing = self.ledger.release(run.id, room, Some(stale_after), channel.grace);
            let released = ledger_operation("release", releasing).await?;
            if released.expired > 0 {
                telemetry::record_leases_expired(run.id.0, released.expired);
                tracing::warn!(count = released.expired, "leases ran out; their users are released again");
            }
            if released.entries.is_empty() {
                let asked = Instant::now();
                let counts = ledger_operation("counts", self.ledger.counts(run.id)).await?;
                tell(run.id, &counts);
                // Counting half a million rows takes its time: it is done for a twentieth of the time at most.
                let idle = IDLE.max(asked.elapsed() * 20);
                match self.ledger.run(run.id).await? {
                    Some(Run { state: RunState::Superseded, .. }) => return Ok(Released::Stopped(counts)),
                    Some(Run { halted: Some(reason), .. }) => return Ok(Released::Halted(reason)),
                    Some(_) | None => {}
                }
                if counts.iter().all(|(state, n)| state.is_settled() || *n == 0) {
                    return self.end(run, counts).await;
                }
                if run.spec.kind == RunKind::Rollback {
                    // Whoever was put into the staged rollout meanwhile can never be claimed.
                    self.must_not_be_rerouted(run).await?;
                }
                if let Gate::Closed { reason, opens_at_ms } = &gate
                    && out == 0
                    && counts.get(&EntryState::Claimed).is_none_or(|n| *n == 0)
                {
                    return Ok(Released::Closed { reason: reason.clone(), opens_at_ms: *opens_at_ms });
                }
                wait(idle, shutdown).await;
                continue;
            }
            crash_point("release.page");
            let (unchanged, orders) = self.sort(run, policy, released.entries, &origin);
            if !unchanged.is_empty() {
                let word = Code::UnchangedSinceLast.as_str();
                let settling = self.ledger.settle_unchanged(run.id, &unchanged, word);
                let settled = ledger_operation("settle_unchanged", settling).await?;
                telemetry::record_settled(run.id.0, EntryState::Unchanged.as_str(), settled);
            }
            let sent = orders.len() as u64;
            tokio::select! {
                () = shutdown.requested() => {}
                published = channel.orders.publish(orders) => {
                    published?;
                    telemetry::record_released(run.id.0, sent);
                }
            }
            page += 1;
            self.checkpoint(run.id, "release", page).await?;
        }
    }

    /// Rule U5 here, once a page, so that no order goes out and no Graph call is made for users that did not change.
    fn sort(
        &self,
        run: &Run,
        policy: &Policy,
        entries: Vec<ledger::Candidate>,
        origin: &Headers,
    ) -> (Vec<i64>, Vec<Message>) {
        let moves = match run.spec.kind {
            RunKind::Migrate | RunKind::Rehearse => true,
            // What was applied last is what these are about.
            RunKind::Verify
            | RunKind::Rollback
            | RunKind::Survey
            | RunKind::RolloutPlan
            | RunKind::Rollout
            | RunKind::RolloutRemove => false,
        };
        let mut unchanged = Vec::new();
        let mut orders = Vec::with_capacity(entries.len());
        for entry in entries {
            let as_before = moves
                && entry.applied.is_some_and(|applied| {
                    applied
                        == rules::applied_fingerprint(
                            entry.content,
                            policy,
                            &entry.user,
                            entry.allowed,
                            &self.keys,
                        )
                });
            if as_before && !run.spec.include_unchanged && !entry.in_doubt {
                unchanged.push(entry.ordinal);
            } else {
                let order = Order::new(run.id, entry.ordinal);
                let (id, body) = (order.message_id(), order.encode());
                orders.push(Message { id, body, headers: origin.clone() });
            }
        }
        (unchanged, orders)
    }

    /// The gate as it stands now.
    async fn gate_now(&self, run: &Run, pacing: &Pacing, channel: &Channel) -> Result<Gate, Error> {
        match self.ledger.run(run.id).await? {
            Some(run) if run.halted.is_none() && run.state == RunState::Open => {
                self.gate(&run, pacing, (channel.now_ms)()).await
            }
            Some(_) | None => Ok(Gate::Wait),
        }
    }

    /// Ends a run: every entry is settled.
    pub(crate) async fn end(&self, run: &Run, counts: Counts) -> Result<Released, Error> {
        self.checkpoint(run.id, "done", 1).await?;
        crash_point("run.before-done");
        self.ledger.set_run_state(run.id, RunState::Done).await?;
        crash_point("run.done");
        Ok(Released::Done(counts))
    }

    async fn last_page(&self, run: &Run) -> Result<u32, Error> {
        let checkpoints = self.ledger.checkpoints(run.id).await?;
        Ok(checkpoints.iter().filter(|c| c.step == "release").map(|c| c.page).max().unwrap_or(0))
    }
}

async fn wait(time: Duration, shutdown: &Shutdown) {
    tokio::select! {
        () = shutdown.requested() => {}
        () = tokio::time::sleep(time) => {}
    }
}
