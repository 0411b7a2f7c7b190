//! One queue at the broker, as the parts see it.

use super::Shared;
use super::consumer::Consumer;
use super::publisher::Wanted;
use super::topology::{self, QueueSpec};
use super::wire;
use crate::{Delivery, Depth, Error, Message, Place, Queue, seen};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{oneshot, watch};

/// The most bytes a message may have. A record is below 64 KiB, sealed.
const LIMIT_BYTES: usize = 1024 * 1024;

/// How long what is being published may take after `close`.
const GRACE: Duration = Duration::from_secs(5);

/// How long a question of the depth may take.
const ANSWER: Duration = Duration::from_secs(5);

/// A queue at the broker. Clones are the same queue.
#[derive(Clone)]
pub struct RabbitQueue {
    shared: Arc<Shared>,
    spec: Arc<QueueSpec>,
    parked: Arc<QueueSpec>,
    consumer: Arc<Consumer>,
    closed: Arc<watch::Sender<bool>>,
}

impl RabbitQueue {
    pub(super) fn new(
        shared: Arc<Shared>,
        spec: Arc<QueueSpec>,
        parked: Arc<QueueSpec>,
        consumer: Arc<Consumer>,
    ) -> Self {
        Self { shared, spec, parked, consumer, closed: Arc::new(watch::Sender::new(false)) }
    }

    /// Its name at the broker.
    pub fn name(&self) -> &str {
        &self.spec.name
    }

    async fn publish_to(&self, queue: Arc<QueueSpec>, messages: Vec<Message>) -> Result<(), Error> {
        let mut closed = self.closed.subscribe();
        if *closed.borrow() {
            return Err(Error::Closed);
        }
        for message in &messages {
            if message.body.len() > LIMIT_BYTES || wire::properties(message).is_none() {
                let (id, bytes) = (message.id.clone(), message.body.len());
                return Err(Error::TooLarge { id, bytes, limit: LIMIT_BYTES });
            }
        }
        let (done, answer) = oneshot::channel();
        let wanted = Wanted { queue, messages, done };
        let asked = async {
            self.shared.wanted.send(wanted).await.map_err(|_| Error::Closed)?;
            answer.await.map_err(|_| Error::Closed)?
        };
        let given_up = async {
            closed.wait_for(|closed| *closed).await.ok();
            tokio::time::sleep(GRACE).await;
        };
        tokio::select! {
            answer = asked => answer,
            () = given_up => Err(Error::Closed),
        }
    }
}

#[async_trait::async_trait]
impl Queue for RabbitQueue {
    async fn publish(&self, messages: Vec<Message>) -> Result<(), Error> {
        let publish = |messages| self.publish_to(Arc::clone(&self.spec), messages);
        seen::publishing(|| self.place(), messages, publish).await
    }

    async fn receive(&self, max: usize) -> Result<Vec<Delivery>, Error> {
        let deliveries = self.consumer.receive(max).await?;
        seen::received(|| self.place(), &deliveries);
        Ok(deliveries)
    }

    async fn publish_later(&self, message: Message, delay: Duration) -> Result<(), Error> {
        let publish = |messages| self.publish_to(Arc::new(self.spec.rung(delay)), messages);
        seen::publishing(|| self.place(), vec![message], publish).await
    }

    async fn park(&self, mut message: Message, reason: &str) -> Result<(), Error> {
        message.headers.insert("x-reason".to_owned(), reason.to_owned());
        message.headers.insert("x-queue".to_owned(), self.spec.name.clone());
        if message.body.len() > LIMIT_BYTES {
            // What is too large for any queue of ours would come again and again: its reason is kept without it.
            message.headers.insert("x-bytes".to_owned(), message.body.len().to_string());
            message.body.clear();
        }
        self.publish_to(Arc::clone(&self.parked), vec![message]).await?;
        telemetry::record_parked_message(&self.place());
        Ok(())
    }

    async fn depth(&self) -> Result<Depth, Error> {
        let connection = self.shared.consuming.now().ok_or(Error::Away)?;
        let asked = topology::depth(&connection, &self.spec.name);
        let ready = match tokio::time::timeout(ANSWER, asked).await {
            Ok(Ok(ready)) => ready,
            // Somebody deleted it. It is declared again with the next message, and what lay in it is released again.
            Ok(Err(error)) if error.is_amqp_soft_error() => 0,
            Ok(Err(_)) | Err(_) => return Err(Error::Away),
        };
        Ok(Depth { ready: usize::try_from(ready).unwrap_or(usize::MAX), unacked: self.consumer.unacked() })
    }

    fn set_prefetch(&self, deliveries: usize) {
        self.consumer.set_prefetch(deliveries);
    }

    fn waits_for(&self) -> Option<String> {
        self.shared
            .publishing
            .waits_for()
            .or_else(|| self.shared.consuming.waits_for())
            .or_else(|| self.consumer.fault())
            .or_else(|| self.shared.progress.waits_for(&self.spec.name))
    }

    fn place(&self) -> Place {
        // The default exchange has no name of its own, so the destination is the queue alone.
        Place { system: "rabbitmq", destination: self.spec.name.clone() }
    }

    fn close(&self) {
        self.closed.send_replace(true);
        self.consumer.close();
    }
}
