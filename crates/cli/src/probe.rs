//! What a service stands on, looked at every two seconds and told to `/readyz` and to metrics: the broker's connections and
//! queues, the database, and whether a coordinator leads.
//!
//! It only looks, and what is away keeps nobody from looking at the rest.

use broker::{Queue, Rabbit};
use graph::Pace;
use ledger::Ledger;
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use telemetry::Need;

/// How often it is looked.
const EVERY: Duration = Duration::from_secs(2);
/// What has not answered by then does not answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is looked at.
#[derive(Default)]
pub(crate) struct Probe {
    /// The broker's connections.
    pub(crate) rabbit: Option<Rabbit>,
    /// Queues whose depth is told.
    pub(crate) queues: Vec<Arc<dyn Queue>>,
    /// The ledger.
    pub(crate) ledger: Option<Arc<dyn Ledger>>,
    /// The pace that this process goes by: a hold that is over is told to be, also by who makes no call any more.
    pub(crate) pace: Option<Pace>,
    /// Whether this process leads; absent where it has no wish to.
    pub(crate) leads: Option<Arc<AtomicBool>>,
}

/// What an extractor is at: it needs the broker only while it sends.
#[derive(Default)]
pub(crate) struct Sending(Mutex<At>);

#[derive(Default)]
enum At {
    /// Nothing is to be sent.
    #[default]
    Rest,
    /// It tries to reach the broker.
    Door,
    /// It sends.
    Work(Rabbit),
}

/// A datafile on its way; with this value it is not any more.
pub(crate) struct OnItsWay<'a>(&'a Sending);

impl Sending {
    /// Something is to be sent, and the broker to be reached.
    pub(crate) fn begin(&self) -> OnItsWay<'_> {
        self.set(At::Door);
        OnItsWay(self)
    }

    /// Looks until it is dropped.
    pub(crate) async fn keep(&self) -> Infallible {
        loop {
            let how = match &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
                At::Rest => Ok("not needed until there is something to send"),
                At::Door => Err("away"),
                At::Work(rabbit) => tell_links(rabbit),
            };
            telemetry::tell_need(Need::Broker, how);
            tokio::time::sleep(EVERY).await;
        }
    }

    fn set(&self, at: At) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = at;
    }
}

impl OnItsWay<'_> {
    /// The broker was reached.
    pub(crate) fn reached(&self, rabbit: &Rabbit) {
        self.0.set(At::Work(rabbit.clone()));
    }
}

impl Drop for OnItsWay<'_> {
    fn drop(&mut self) {
        self.0.set(At::Rest);
    }
}

/// Tells how the connections stand, and answers whether both are up.
fn tell_links(rabbit: &Rabbit) -> Result<&'static str, &'static str> {
    let standing = rabbit.standing();
    for link in standing {
        telemetry::set_broker(link.role, link.is_up, link.is_blocked);
    }
    if standing.iter().all(|link| link.is_up) { Ok("connected") } else { Err("away") }
}

/// Nothing of what a service needs was seen yet.
pub(crate) fn begin(needs: &[Need]) {
    telemetry::needs(needs);
    for need in needs {
        match need {
            Need::Broker => {
                ["publish", "consume"].iter().for_each(|role| telemetry::set_broker(role, false, false))
            }
            Need::Database => telemetry::set_database(None),
            Need::Leadership => telemetry::set_leads(false),
        }
    }
}

impl Probe {
    /// Looks until it is dropped.
    pub(crate) async fn keep(&self) -> Infallible {
        loop {
            tokio::join!(self.broker(), self.database());
            for bucket in self.pace.iter().flat_map(Pace::status) {
                telemetry::set_quota(bucket.bucket.as_str(), bucket.rate_per_s, bucket.held_for);
            }
            if let Some(leads) = &self.leads {
                let leads = leads.load(Ordering::Relaxed);
                telemetry::set_leads(leads);
                telemetry::tell_need(Need::Leadership, Ok(if leads { "leads" } else { "stands by" }));
            }
            tokio::time::sleep(EVERY).await;
        }
    }

    async fn broker(&self) {
        if let Some(rabbit) = &self.rabbit {
            telemetry::tell_need(Need::Broker, tell_links(rabbit));
        }
        if !telemetry::exports() {
            return;
        }
        for queue in &self.queues {
            if let Ok(Ok(depth)) = tokio::time::timeout(PATIENCE, queue.depth()).await {
                telemetry::set_queue(&queue.place(), depth.ready, depth.unacked);
            }
        }
    }

    async fn database(&self) {
        let Some(ledger) = &self.ledger else { return };
        let began = Instant::now();
        // One row by its key, which every ledger has.
        let answered = tokio::time::timeout(PATIENCE, ledger.journal_head()).await;
        let took = matches!(answered, Ok(Ok(_))).then(|| began.elapsed());
        telemetry::set_database(took);
        telemetry::tell_need(Need::Database, if took.is_some() { Ok("answers") } else { Err("away") });
    }
}
