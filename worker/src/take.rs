//! From deliveries to users and back: which run each order belongs to, what cannot be read is set aside, and the ack that
//! comes last.

use crate::refusals::Call;
use crate::{Error, Worker};
use broker::Delivery;
use contract::{Disposition, Order, RunId, RunState};
use ledger::Event;
use std::collections::BTreeMap;
use std::sync::Arc;
use telemetry::{Instrument, Processing, Shutdown, causes};

/// The queue's word in the list of messages set aside.
const QUEUE: &str = "work";
/// The word for it in the record of a batch.
const HALTED: &str = "halted";

impl Worker {
    /// Handles what was received together: each run's orders as one group. A delivery that is not acked comes again.
    pub(crate) async fn handle(
        self: Arc<Self>,
        deliveries: Vec<Delivery>,
        stopping: &Shutdown,
    ) -> Result<(), Error> {
        let mut runs: BTreeMap<RunId, (Vec<i64>, Vec<Delivery>)> = BTreeMap::new();
        for delivery in deliveries {
            match Order::decode(delivery.body()) {
                Ok(order) => {
                    let (ordinals, deliveries) = runs.entry(order.run).or_default();
                    ordinals.push(order.ordinal);
                    deliveries.push(delivery);
                }
                Err(error) => self.set_aside(delivery, &error.to_string()).await?,
            }
        }
        for (run, (ordinals, deliveries)) in runs {
            let headers = deliveries.iter().filter_map(|d| d.message()).map(|m| &m.headers);
            let processing = Processing::begin(|| self.orders.place(), deliveries.len(), headers);
            let worked = self.work_on(run, ordinals, stopping).instrument(processing.span()).await;
            let failed = worked.as_ref().err().map(Error::word);
            if let Err(error) = worked {
                match &error {
                    Error::Ledger(_) | Error::Broker(_) => {
                        processing.end(failed);
                        return Err(error);
                    }
                    Error::Graph(_)
                    | Error::PermissionMissing { .. }
                    | Error::ForbiddenStreak(_)
                    | Error::Seal(_)
                    | Error::Policy(_)
                    | Error::Group(_) => self.halt(run, &error).await?,
                }
            }
            // Ack last. What was not claimed is settled, held by another, or not due: it needs no second delivery. Of a
            // halted run nothing is released until it goes on, and then all of it is.
            for delivery in deliveries {
                if !delivery.ack() {
                    tracing::debug!("an ack was not taken; the order will come again and claim nothing");
                }
            }
            processing.end(failed);
        }
        Ok(())
    }

    /// A group in a task of its own, so that a defect ends this group and its run, and not the worker.
    async fn work_on(&self, run: RunId, ordinals: Vec<i64>, stopping: &Shutdown) -> Result<(), Error> {
        let Some(shift) = self.shift(run, stopping).await? else {
            tracing::warn!(%run, "orders of a run that this worker cannot serve are dropped");
            return Ok(());
        };
        let at_work = Arc::clone(&shift);
        let handling = async move { at_work.handle(&ordinals).await }.in_current_span();
        let ended = tokio::spawn(handling).await.map_err(Error::Group)?;
        if let Err(Error::PermissionMissing { what, .. }) = &ended {
            // Others may have succeeded meanwhile: then it is about this user.
            let proven = Call::proven_by(&self.ledger.proven(run).await?);
            if let Some(call) = proven.into_iter().find(|call| call.what() == *what) {
                shift.refusals.allowed(call);
                return Ok(());
            }
        }
        ended
    }

    /// What stops one run stops it for every worker, until a person has seen to it.
    async fn halt(&self, run: RunId, error: &Error) -> Result<(), Error> {
        let why = causes(error);
        tracing::error!(%run, error = %why, "the run is halted");
        self.shifts.forget(run);
        let Some(found) = self.ledger.run(run).await? else { return Ok(()) };
        if found.halted.is_some() || !matches!(found.state, RunState::Preparing | RunState::Open) {
            // Whoever halted it first has said why, an operator perhaps; it will fail again if it goes on.
            return Ok(());
        }
        // The word first: whoever sees the halt asks why.
        let event = Event {
            at_ms: 0,
            by: self.owner.clone(),
            batch: found.spec.batch,
            run: Some(run),
            what: HALTED.to_owned(),
            why: why.clone(),
        };
        self.ledger.record_event(&event).await?;
        self.ledger.halt_run(run, &why).await?;
        Ok(())
    }

    /// A message that cannot be read is kept for a person and stops nobody else; its user is released again.
    async fn set_aside(&self, delivery: Delivery, reason: &str) -> Result<(), Error> {
        let Some(message) = delivery.message().cloned() else { return Ok(()) };
        self.ledger.file_parked_message(QUEUE, &message.id, reason).await?;
        match self.orders.park(message, reason).await {
            Ok(()) => {}
            Err(error) if error.disposition() == Disposition::Retry => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        if !delivery.ack() {
            tracing::debug!("a message that was set aside will come again");
        }
        Ok(())
    }
}
