//! The queue between the parts. The only crate that knows AMQP.
//!
//! A queue is a hint, never the truth: what it loses, the coordinator releases again from the ledger. A message is
//! gone only when its delivery was acked; a delivery that is dropped goes back.

mod embedded;
mod error;
mod rabbitmq;
mod seen;

pub use embedded::EmbeddedQueue;
pub use error::Error;
pub use rabbitmq::{LinkStanding, Purpose, Rabbit, RabbitQueue, Settings};
pub use telemetry::Place;

use std::collections::BTreeMap;
use std::time::Duration;

/// A message: a deterministic id, the same for every copy, and a body that says its own version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The same for every copy of the message.
    pub id: String,
    /// The body.
    pub body: Vec<u8>,
    /// `traceparent` and its like, and what a parked message says of itself.
    pub headers: BTreeMap<String, String>,
}

impl Message {
    /// A message without headers.
    pub fn new(id: String, body: Vec<u8>) -> Self {
        Self { id, body, headers: BTreeMap::new() }
    }
}

/// How much lies in a queue; both are what the queue last said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Depth {
    /// Waiting to be delivered.
    pub ready: usize,
    /// Delivered, not yet acked.
    pub unacked: usize,
}

/// What both kinds of queue do.
#[async_trait::async_trait]
pub trait Queue: Send + Sync + 'static {
    /// Puts messages in; returns when all of them are safe for this kind of queue. Waits while the queue is full.
    async fn publish(&self, messages: Vec<Message>) -> Result<(), Error>;

    /// Waits for at least one message and answers up to `max` that are there. `Error::Closed` when nothing will come.
    async fn receive(&self, max: usize) -> Result<Vec<Delivery>, Error>;

    /// Puts a message in that is delivered after at least `delay`, or a little later: delays come in steps. Returns when
    /// it is safe, so that the delivery it stands for can be acked.
    async fn publish_later(&self, message: Message, delay: Duration) -> Result<(), Error>;

    /// Sets a message aside for a person, with the reason in words. Returns when it is safe there; ack after that.
    async fn park(&self, message: Message, reason: &str) -> Result<(), Error>;

    /// How much lies in it.
    async fn depth(&self) -> Result<Depth, Error>;

    /// How many deliveries the receiver can have in hand at once; a hint, in force soon.
    fn set_prefetch(&self, deliveries: usize);

    /// What keeps the queue from working, in words ("blocked by the broker: low on memory, for 12 s"); absent when nothing
    /// does.
    fn waits_for(&self) -> Option<String>;

    /// What traces and metrics call it.
    fn place(&self) -> Place;

    /// No more is taken in; what is there may still be received.
    fn close(&self);
}

/// What a queue does with a delivery in the end.
pub(crate) trait Settle: Send + Sync {
    /// True when the queue took it as acked.
    fn ack(&mut self) -> bool;
    /// Puts the message back.
    fn hand_back(&mut self, message: Message);
}

/// A message in our hands. Dropping it hands it back.
pub struct Delivery {
    message: Option<Message>,
    settle: Box<dyn Settle>,
}

impl std::fmt::Debug for Delivery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Delivery({})", self.message.as_ref().map_or("settled", |m| &m.id))
    }
}

impl Delivery {
    /// The message, until it is settled.
    pub fn message(&self) -> Option<&Message> {
        self.message.as_ref()
    }

    /// The body; empty once settled.
    pub fn body(&self) -> &[u8] {
        self.message.as_ref().map_or(&[], |m| &m.body)
    }

    /// Done with it. `false` is not an ack: the message will come again.
    #[must_use = "an ack that answers false is not an ack"]
    pub fn ack(mut self) -> bool {
        self.message = None;
        self.settle.ack()
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if let Some(message) = self.message.take() {
            self.settle.hand_back(message);
        }
    }
}
