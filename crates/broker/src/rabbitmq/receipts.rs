//! The deliveries of one channel: in hand, to be acked, to be handed back. `ack()` never waits; one task tells the broker,
//! many at a time. When the channel is lost nothing of it can be acked: the broker delivers all of it again.

use super::tags::{Say, Tags};
use crate::{Message, Settle};
use futures_util::FutureExt;
use lapin::options::{BasicAckOptions, BasicNackOptions};
use lapin::{Channel, Connection};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// How long the first of some acks waits for others.
const GATHER: Duration = Duration::from_millis(2);

/// How long the closing of a channel may take.
const FAREWELL: Duration = Duration::from_secs(5);

/// The deliveries of one channel.
pub(crate) struct Receipts {
    channel: Channel,
    /// A channel does not outlive its connection's last handle.
    _connection: Arc<Connection>,
    tags: Mutex<Tags>,
    /// So many settled ones wait for no others.
    gather_most: AtomicUsize,
    settled: Notify,
    enough: Notify,
    /// Nothing is left to say; may be waited for by many.
    quiet: Notify,
    lost: watch::Sender<bool>,
    /// No more deliveries will come.
    ending: AtomicBool,
}

impl Receipts {
    /// Starts the task that tells the broker. It ends with the channel, or after `end` with the last delivery.
    pub(crate) fn start(connection: Arc<Connection>, channel: Channel) -> Arc<Self> {
        let receipts = Arc::new(Self {
            channel,
            _connection: connection,
            tags: Mutex::new(Tags::new()),
            gather_most: AtomicUsize::new(1),
            settled: Notify::new(),
            enough: Notify::new(),
            quiet: Notify::new(),
            lost: watch::Sender::new(false),
            ending: AtomicBool::new(false),
        });
        tokio::spawn(Arc::clone(&receipts).tell());
        receipts
    }

    fn tags(&self) -> MutexGuard<'_, Tags> {
        self.tags.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The channel these deliveries are of.
    pub(crate) fn channel(&self) -> &Channel {
        &self.channel
    }

    /// How many may be out: half of them settled are told at once, so that more come while the rest is in hand.
    pub(crate) fn expect(&self, prefetch: u16) {
        self.gather_most.store(usize::from(prefetch / 2).max(1), Ordering::Relaxed);
    }

    /// A delivery came in.
    pub(crate) fn came(&self, tag: u64) {
        self.tags().came(tag);
    }

    /// Delivered and not told to be settled.
    pub(crate) fn unacked(&self) -> usize {
        let tags = self.tags();
        tags.open() + tags.unsaid()
    }

    /// The channel is gone.
    pub(crate) fn lose(&self) {
        self.lost.send_replace(true);
        self.settled.notify_one();
        self.enough.notify_one();
        self.quiet.notify_waiters();
    }

    /// No more deliveries come; those in hand may still be settled.
    pub(crate) fn end(&self) {
        self.ending.store(true, Ordering::Release);
        self.settled.notify_one();
    }

    pub(crate) fn is_lost(&self) -> bool {
        *self.lost.borrow() || !self.channel.status().connected()
    }

    /// Settles a delivery; false when its channel is gone.
    pub(crate) fn settle(&self, tag: u64, ack: bool) -> bool {
        if self.is_lost() {
            return false;
        }
        let unsaid = {
            let mut tags = self.tags();
            if ack {
                tags.ack(tag)
            } else {
                tags.hand_back(tag)
            }
            tags.unsaid()
        };
        if unsaid == 1 {
            self.settled.notify_one();
        } else if unsaid >= self.gather_most.load(Ordering::Relaxed) {
            self.enough.notify_one();
        }
        true
    }

    /// Waits until the broker was told all that is settled, or cannot be told.
    pub(crate) async fn flushed(&self) {
        loop {
            let quiet = self.quiet.notified();
            if self.is_lost() || self.tags().unsaid() == 0 {
                return;
            }
            quiet.await;
        }
    }

    async fn tell(self: Arc<Self>) {
        while !self.is_lost() {
            let (open, unsaid) = {
                let tags = self.tags();
                (tags.open(), tags.unsaid())
            };
            if unsaid == 0 {
                self.quiet.notify_waiters();
                if self.ending.load(Ordering::Acquire) && open == 0 {
                    break;
                }
                self.settled.notified().await;
                continue;
            }
            if unsaid < self.gather_most.load(Ordering::Relaxed) {
                tokio::select! {
                    () = tokio::time::sleep(GATHER) => {}
                    () = self.enough.notified() => {}
                }
            }
            let (count, said) = {
                let mut tags = self.tags();
                (tags.unsaid(), tags.say())
            };
            let mut lost = self.lost.subscribe();
            let sent = tokio::select! {
                sent = self.send(said) => sent.is_ok(),
                _ = lost.wait_for(|lost| *lost) => false,
            };
            if !sent {
                break;
            }
            self.tags().told(count);
        }
        self.lose();
        // What is not settled goes back with the channel. On a connection that fell there may be no answer.
        tokio::time::timeout(FAREWELL, self.channel.close(200, "done".into())).await.ok();
    }

    async fn send(&self, said: Vec<Say>) -> lapin::Result<()> {
        let mut under_way = Vec::with_capacity(said.len());
        for say in said {
            let sending = match say {
                Say::Ack { tag, multiple } => {
                    self.channel.basic_ack(tag, BasicAckOptions { multiple }).left_future()
                }
                Say::Back { tag } => {
                    let options = BasicNackOptions { requeue: true, ..BasicNackOptions::default() };
                    self.channel.basic_nack(tag, options).right_future()
                }
            };
            // The first look hands the frame over, in this order.
            let mut sending = Box::pin(sending);
            match (&mut sending).now_or_never() {
                Some(result) => result?,
                None => under_way.push(sending),
            }
        }
        for sending in under_way {
            sending.await?;
        }
        Ok(())
    }
}

/// One delivery in hand.
pub(crate) struct Receipt {
    pub(crate) receipts: Arc<Receipts>,
    pub(crate) tag: u64,
}

impl Settle for Receipt {
    fn ack(&mut self) -> bool {
        self.receipts.settle(self.tag, true)
    }

    fn hand_back(&mut self, _message: Message) {
        // A lost channel's deliveries go back by themselves.
        self.receipts.settle(self.tag, false);
    }
}
