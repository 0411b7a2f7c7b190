//! Consumes one queue: as many deliveries as the prefetch allows are fetched ahead, and everything is made again after a
//! loss. What lay ready from a lost channel is thrown away, for the broker delivers it again.

use super::link::Link;
use super::receipts::{Receipt, Receipts};
use super::topology::{self, Failure, QueueSpec};
use super::wire;
use crate::{Delivery, Error, Message};
use futures_util::{FutureExt, StreamExt};
use lapin::options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Connection};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// Enough to fill two bundles of twenty.
const FIRST_PREFETCH: u16 = 40;

/// How often a channel is looked at although it told nothing.
const LOOK: Duration = Duration::from_secs(1);

#[derive(Default)]
struct Ready {
    deliveries: VecDeque<(u64, Message)>,
    /// The channel of all of them.
    receipts: Option<Arc<Receipts>>,
    /// Channels that no longer deliver, with deliveries still in hand.
    former: Vec<Arc<Receipts>>,
    /// Why it does not consume although the broker is there.
    fault: Option<Error>,
    started: bool,
}

struct Shared {
    ready: Mutex<Ready>,
    came: Notify,
    prefetch: watch::Sender<u16>,
    closed: watch::Sender<bool>,
}

impl Shared {
    fn ready(&self) -> MutexGuard<'_, Ready> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The receiving side of a queue; it starts with the first `receive`.
pub(crate) struct Consumer {
    link: Arc<Link>,
    spec: Arc<QueueSpec>,
    shared: Arc<Shared>,
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.close();
    }
}

impl Consumer {
    pub(crate) fn new(link: Arc<Link>, spec: Arc<QueueSpec>) -> Self {
        let shared = Shared {
            ready: Mutex::default(),
            came: Notify::new(),
            prefetch: watch::Sender::new(FIRST_PREFETCH),
            closed: watch::Sender::new(false),
        };
        Self { link, spec, shared: Arc::new(shared) }
    }

    /// See `Queue::receive`.
    pub(crate) async fn receive(&self, max: usize) -> Result<Vec<Delivery>, Error> {
        loop {
            let came = self.shared.came.notified();
            if *self.shared.closed.borrow() {
                // The next receiver must learn it too.
                self.shared.came.notify_one();
                return Err(Error::Closed);
            }
            if let Some(deliveries) = self.take(max.max(1)) {
                return Ok(deliveries);
            }
            came.await;
        }
    }

    fn take(&self, max: usize) -> Option<Vec<Delivery>> {
        let mut ready = self.shared.ready();
        if !ready.started {
            ready.started = true;
            let (link, spec, shared) =
                (Arc::clone(&self.link), Arc::clone(&self.spec), Arc::clone(&self.shared));
            tokio::spawn(consume(link, spec, shared));
        }
        let receipts = ready.receipts.clone()?;
        let count = max.min(ready.deliveries.len());
        if count == 0 {
            return None;
        }
        let taken = ready
            .deliveries
            .drain(..count)
            .map(|(tag, message)| Delivery {
                message: Some(message),
                settle: Box::new(Receipt { receipts: Arc::clone(&receipts), tag }),
            })
            .collect();
        if !ready.deliveries.is_empty() {
            self.shared.came.notify_one();
        }
        Some(taken)
    }

    /// A new prefetch; taken up when it is worth consuming anew.
    pub(crate) fn set_prefetch(&self, deliveries: usize) {
        let wanted = u16::try_from(deliveries.max(1)).unwrap_or(u16::MAX);
        self.shared.prefetch.send_if_modified(|now| {
            let (low, high) = (u32::from(wanted.min(*now)), u32::from(wanted.max(*now)));
            let worth_it = high * 2 >= low * 3;
            if worth_it {
                *now = wanted;
            }
            worth_it
        });
    }

    /// Delivered to us and not settled.
    pub(crate) fn unacked(&self) -> usize {
        let mut ready = self.shared.ready();
        ready.former.retain(|r| !r.is_lost());
        ready.former.iter().chain(&ready.receipts).map(|r| r.unacked()).sum()
    }

    /// Why it does not consume although the broker is there.
    pub(crate) fn fault(&self) -> Option<String> {
        self.shared.ready().fault.as_ref().map(ToString::to_string)
    }

    /// Ends receiving; what lies ready goes back, what is in hand may still be settled.
    pub(crate) fn close(&self) {
        self.shared.closed.send_replace(true);
        self.shared.came.notify_one();
    }

    /// Waits until the broker was told of all that is settled.
    pub(crate) async fn flushed(&self) {
        let all: Vec<_> = {
            let ready = self.shared.ready();
            ready.former.iter().chain(&ready.receipts).cloned().collect()
        };
        for receipts in all {
            receipts.flushed().await;
        }
    }
}

/// Why consuming on one channel ended.
enum Ended {
    Lost,
    Closed,
    Fault(Error),
}

/// Keeps consuming until the queue is closed.
async fn consume(link: Arc<Link>, spec: Arc<QueueSpec>, shared: Arc<Shared>) {
    let mut closed = shared.closed.subscribe();
    let mut delays = super::link::backoff();
    loop {
        let connection = tokio::select! {
            biased;
            _ = closed.wait_for(|closed| *closed) => None,
            connection = link.up() => connection,
        };
        let Some(connection) = connection else {
            return;
        };
        let ended = tokio::select! {
            ended = on(&connection, &spec, &shared) => ended,
            () = link.lost(&connection) => Ended::Lost,
        };
        match ended {
            Ended::Closed => return give_back(&shared),
            Ended::Lost => delays = super::link::backoff(),
            Ended::Fault(error) => {
                tracing::warn!(queue = spec.name, %error, "the queue cannot be consumed");
                shared.ready().fault = Some(error);
            }
        }
        drop(connection);
        forget(&shared);
        let pause = delays.next().unwrap_or_default();
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = closed.wait_for(|closed| *closed) => return,
        }
    }
}

/// After a loss: nothing of that channel can be settled.
fn forget(shared: &Shared) {
    let mut ready = shared.ready();
    ready.deliveries.clear();
    if let Some(receipts) = ready.receipts.take() {
        receipts.lose();
    }
}

/// After closing: what nobody took goes back, and the channel stays for what is in hand.
fn give_back(shared: &Shared) {
    let mut ready = shared.ready();
    let left: Vec<_> = ready.deliveries.drain(..).collect();
    if let Some(receipts) = ready.receipts.take() {
        for (tag, _) in left {
            receipts.settle(tag, false);
        }
        receipts.end();
        ready.former.push(receipts);
    }
}

/// Consumes on one channel until it is lost or the queue is closed.
async fn on(connection: &Arc<Connection>, spec: &QueueSpec, shared: &Arc<Shared>) -> Ended {
    match topology::declare(connection, spec).await {
        Ok(()) => {}
        Err(Failure::Wrong(error)) => return Ended::Fault(error),
        Err(Failure::Lost) => return Ended::Lost,
    }
    let Ok(channel) = connection.create_channel().await else {
        return Ended::Lost;
    };
    let receipts = Receipts::start(Arc::clone(connection), channel);
    {
        let mut ready = shared.ready();
        ready.fault = None;
        ready.receipts = Some(Arc::clone(&receipts));
    }
    let mut prefetch = shared.prefetch.subscribe();
    let mut closed = shared.closed.subscribe();
    let mut look = tokio::time::interval(LOOK);
    loop {
        let wanted = *prefetch.borrow_and_update();
        receipts.expect(wanted);
        let Ok(mut consumer) = begin(receipts.channel(), spec, wanted).await else {
            return Ended::Lost;
        };
        let closing = loop {
            tokio::select! {
                next = consumer.next() => match next {
                    Some(Ok(delivery)) => {
                        lay_ready(shared, &receipts, delivery);
                        // What came with it is woken for once. The end, if there is one, is told again by the next call.
                        while let Some(Some(Ok(delivery))) = consumer.next().now_or_never() {
                            lay_ready(shared, &receipts, delivery);
                        }
                        shared.came.notify_one();
                    }
                    // Lost, or cancelled by the broker because the queue was deleted.
                    Some(Err(_)) | None => return Ended::Lost,
                },
                _ = prefetch.changed() => break false,
                _ = look.tick() => if receipts.is_lost() {
                    return Ended::Lost;
                },
                _ = closed.wait_for(|closed| *closed) => break true,
            }
        };
        let tag = consumer.tag();
        if receipts.channel().basic_cancel(tag, BasicCancelOptions::default()).await.is_err() {
            return Ended::Lost;
        }
        // What was sent to the old consumer before it was cancelled is ours.
        while let Some(Some(Ok(delivery))) = consumer.next().now_or_never() {
            lay_ready(shared, &receipts, delivery);
        }
        shared.came.notify_one();
        if closing {
            return Ended::Closed;
        }
        tracing::debug!(queue = spec.name, prefetch = *prefetch.borrow(), "another prefetch");
    }
}

async fn begin(channel: &Channel, spec: &QueueSpec, prefetch: u16) -> lapin::Result<lapin::Consumer> {
    // For each consumer begun from here on, never for the channel as a whole: quorum queues refuse that.
    channel.basic_qos(prefetch, BasicQosOptions { global: false }).await?;
    let (queue, options) = (spec.name.as_str().into(), BasicConsumeOptions::default());
    channel.basic_consume(queue, "".into(), options, FieldTable::default()).await
}

/// Puts a delivery where receivers find it; they are woken by who calls this.
fn lay_ready(shared: &Shared, receipts: &Receipts, delivery: lapin::message::Delivery) {
    receipts.came(delivery.delivery_tag);
    let message = wire::message(&delivery.properties, delivery.data);
    shared.ready().deliveries.push_back((delivery.delivery_tag, message));
}
