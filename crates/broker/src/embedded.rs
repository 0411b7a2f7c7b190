//! The queue of one process: in memory, bounded, and lost with the process, which loses nothing (see the crate's head).

use crate::{Delivery, Depth, Error, Message, Place, Queue, Settle, seen};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

#[derive(Default)]
struct Inner {
    ready: VecDeque<Message>,
    unacked: usize,
    closed: bool,
}

struct Shared {
    inner: Mutex<Inner>,
    /// Something came in, or the queue was closed.
    came: Notify,
    /// Something went out.
    left: Notify,
    limit: usize,
    name: &'static str,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A bounded queue in memory. Clones are the same queue.
#[derive(Clone)]
pub struct EmbeddedQueue {
    shared: Arc<Shared>,
}

impl EmbeddedQueue {
    /// A queue that holds at most `limit` messages; a publisher waits while it is full.
    pub fn new(limit: usize) -> Self {
        Self::named("queue", limit)
    }

    /// As `new`, with the name that traces and metrics know it by.
    pub fn named(name: &'static str, limit: usize) -> Self {
        let shared = Shared {
            inner: Mutex::default(),
            came: Notify::new(),
            left: Notify::new(),
            limit: limit.max(1),
            name,
        };
        Self { shared: Arc::new(shared) }
    }

    async fn put(&self, messages: Vec<Message>) -> Result<(), Error> {
        for message in messages {
            let mut message = Some(message);
            loop {
                // Interest is registered before the look, so that a wake-up in between is not missed.
                let left = self.shared.left.notified();
                {
                    let mut inner = self.shared.lock();
                    if inner.closed {
                        return Err(Error::Closed);
                    }
                    if inner.ready.len() < self.shared.limit
                        && let Some(message) = message.take()
                    {
                        inner.ready.push_back(message);
                    }
                }
                if message.is_none() {
                    self.shared.came.notify_one();
                    break;
                }
                left.await;
            }
        }
        Ok(())
    }
}

struct InMemory(Arc<Shared>);

impl Settle for InMemory {
    fn ack(&mut self) -> bool {
        let mut inner = self.0.lock();
        inner.unacked -= 1;
        true
    }

    fn hand_back(&mut self, message: Message) {
        let mut inner = self.0.lock();
        inner.unacked -= 1;
        inner.ready.push_front(message);
        drop(inner);
        self.0.came.notify_one();
    }
}

#[async_trait::async_trait]
impl Queue for EmbeddedQueue {
    async fn publish(&self, messages: Vec<Message>) -> Result<(), Error> {
        seen::publishing(|| self.place(), messages, |messages| self.put(messages)).await
    }

    async fn receive(&self, max: usize) -> Result<Vec<Delivery>, Error> {
        loop {
            let came = self.shared.came.notified();
            {
                let mut inner = self.shared.lock();
                let count = max.max(1).min(inner.ready.len());
                if count > 0 {
                    let taken: Vec<Message> = inner.ready.drain(..count).collect();
                    inner.unacked += count;
                    let more = !inner.ready.is_empty();
                    drop(inner);
                    self.shared.left.notify_waiters();
                    if more {
                        self.shared.came.notify_one();
                    }
                    let deliveries: Vec<Delivery> = taken
                        .into_iter()
                        .map(|m| Delivery {
                            message: Some(m),
                            settle: Box::new(InMemory(Arc::clone(&self.shared))),
                        })
                        .collect();
                    seen::received(|| self.place(), &deliveries);
                    return Ok(deliveries);
                }
                if inner.closed {
                    drop(inner);
                    // The next receiver must learn it too.
                    self.shared.came.notify_one();
                    return Err(Error::Closed);
                }
            }
            came.await;
        }
    }

    async fn publish_later(&self, message: Message, delay: Duration) -> Result<(), Error> {
        let queue = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            // Closed meanwhile: what a queue in memory loses is released again from the ledger.
            queue.publish(vec![message]).await.ok();
        });
        Ok(())
    }

    async fn park(&self, message: Message, reason: &str) -> Result<(), Error> {
        tracing::warn!(id = message.id, reason, "a message is set aside");
        telemetry::record_parked_message(&self.place());
        Ok(())
    }

    async fn depth(&self) -> Result<Depth, Error> {
        let inner = self.shared.lock();
        Ok(Depth { ready: inner.ready.len(), unacked: inner.unacked })
    }

    fn set_prefetch(&self, _deliveries: usize) {}

    fn waits_for(&self) -> Option<String> {
        None
    }

    fn place(&self) -> Place {
        Place { system: "embedded", destination: self.shared.name.to_owned() }
    }

    fn close(&self) {
        self.shared.lock().closed = true;
        self.shared.came.notify_one();
        self.shared.left.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(n: usize) -> Message {
        Message::new(n.to_string(), vec![])
    }

    #[tokio::test]
    async fn a_dropped_delivery_comes_again_and_an_acked_one_does_not() {
        let queue = EmbeddedQueue::new(10);
        queue.publish(vec![message(1), message(2)]).await.unwrap();
        let mut got = queue.receive(2).await.unwrap();
        assert_eq!(queue.depth().await.unwrap(), Depth { ready: 0, unacked: 2 });
        assert!(got.remove(0).ack());
        drop(got);
        assert_eq!(queue.depth().await.unwrap(), Depth { ready: 1, unacked: 0 });
        assert_eq!(format!("{:?}", queue.receive(9).await.unwrap()), "[Delivery(2)]");
    }

    #[tokio::test]
    async fn a_publisher_waits_while_the_queue_is_full() {
        let queue = EmbeddedQueue::new(2);
        let publisher = {
            let queue = queue.clone();
            tokio::spawn(async move { queue.publish((0..100).map(message).collect()).await })
        };
        let mut seen = 0;
        while seen < 100 {
            for delivery in queue.receive(3).await.unwrap() {
                assert!(delivery.ack());
                seen += 1;
            }
            assert!(queue.depth().await.unwrap().ready <= 2);
        }
        publisher.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_closed_queue_gives_what_it_has_and_then_says_so() {
        let queue = EmbeddedQueue::new(2);
        queue.publish(vec![message(1)]).await.unwrap();
        queue.close();
        assert!(matches!(queue.publish(vec![message(2)]).await, Err(Error::Closed)));
        assert!(queue.receive(1).await.unwrap().remove(0).ack());
        for _ in 0..3 {
            assert!(matches!(queue.receive(1).await, Err(Error::Closed)));
        }
    }
}
