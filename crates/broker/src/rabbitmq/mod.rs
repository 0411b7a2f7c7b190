//! RabbitMQ. It must never report as safe what was not confirmed, and never ack for a delivery whose channel is gone. What
//! it keeps: every message of a `publish` that answered well is in its queue, once or more; nothing leaves a queue but by
//! an ack that the caller gave.
//!
//! Two connections, one that publishes and one that consumes: a broker that is short of memory stops reading from whoever
//! publishes, and acks must still get through.

mod address;
mod connect;
mod consumer;
mod lanes;
mod link;
mod progress;
mod publisher;
mod queue;
mod receipts;
mod settings;
mod tags;
mod topology;
mod wire;

pub use link::LinkStanding;
pub use queue::RabbitQueue;
pub use settings::{Purpose, Settings};

use crate::Error;
use consumer::Consumer;
use link::Link;
use progress::Progress;
use publisher::Wanted;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::mpsc;
use topology::{Failure, QueueSpec};

/// What all queues of one process share.
struct Shared {
    settings: Settings,
    publishing: Arc<Link>,
    consuming: Arc<Link>,
    wanted: mpsc::Sender<Wanted>,
    progress: Arc<Progress>,
    /// For `shut_down`.
    consumers: Mutex<Vec<Weak<Consumer>>>,
}

/// The broker: two connections that are kept up. Clones are the same; the last one, and the last queue of it, close them.
#[derive(Clone)]
pub struct Rabbit {
    shared: Arc<Shared>,
}

impl Rabbit {
    /// Connects. From then on a broker that goes away is waited for, without end.
    ///
    /// Fails when the address, the certificates or the login are wrong, and when the broker cannot be reached now.
    pub async fn connect(url: &str, settings: &Settings) -> Result<Self, Error> {
        let address = address::read(url, settings.heartbeat_s, settings.allow_clear)?;
        let route = connect::Route::new(address, settings)?;
        let publishing = Arc::new(Link::open(route.clone(), "publish").await?);
        let consuming = Arc::new(Link::open(route, "consume").await?);
        let (wanted, progress) = publisher::Publisher::start(Arc::clone(&publishing), settings.window);
        Ok(Self {
            shared: Arc::new(Shared {
                settings: settings.clone(),
                publishing,
                consuming,
                wanted,
                progress,
                consumers: Mutex::default(),
            }),
        })
    }

    /// The queue of a purpose, declared or found to be as we want it. It consumes from the first `receive` on.
    pub async fn queue(&self, purpose: Purpose) -> Result<RabbitQueue, Error> {
        let settings = &self.shared.settings;
        let spec = Arc::new(QueueSpec::of(&settings.prefix, purpose, settings.queue_limit));
        let parked = Arc::new(QueueSpec::of(&settings.prefix, Purpose::Parked, settings.queue_limit));
        for spec in [&parked, &spec] {
            loop {
                // The connection may be lost just now; it comes again.
                let connection = self.shared.consuming.up().await.ok_or(Error::Closed)?;
                let declared = tokio::select! {
                    declared = topology::declare(&connection, spec) => declared,
                    () = self.shared.consuming.lost(&connection) => Err(Failure::Lost),
                };
                match declared {
                    Ok(()) => break,
                    Err(Failure::Wrong(error)) => return Err(error),
                    Err(Failure::Lost) => tokio::time::sleep(Duration::from_millis(100)).await,
                }
            }
        }
        let consumer = Arc::new(Consumer::new(Arc::clone(&self.shared.consuming), Arc::clone(&spec)));
        self.consumers().push(Arc::downgrade(&consumer));
        Ok(RabbitQueue::new(Arc::clone(&self.shared), spec, parked, consumer))
    }

    /// How the connections stand, that which publishes and that which consumes.
    pub fn standing(&self) -> [LinkStanding; 2] {
        [self.shared.publishing.standing(), self.shared.consuming.standing()]
    }

    /// The orderly end: all queues are closed, what was settled is told to the broker, the connections are closed. What
    /// takes longer than `deadline` is left: the broker delivers again what it was not told of.
    pub async fn shut_down(&self, deadline: Duration) {
        let consumers: Vec<_> = self.consumers().iter().filter_map(Weak::upgrade).collect();
        consumers.iter().for_each(|c| c.close());
        let orderly = async {
            for consumer in &consumers {
                consumer.flushed().await;
            }
            for link in [&self.shared.consuming, &self.shared.publishing] {
                if let Some(connection) = link.now() {
                    link.close();
                    connection.close(200, "done".into()).await.ok();
                }
            }
        };
        if tokio::time::timeout(deadline, orderly).await.is_err() {
            tracing::warn!("the broker could not be told of everything; it delivers that again");
        }
        self.shared.consuming.close();
        self.shared.publishing.close();
    }

    fn consumers(&self) -> std::sync::MutexGuard<'_, Vec<Weak<Consumer>>> {
        self.shared.consumers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
