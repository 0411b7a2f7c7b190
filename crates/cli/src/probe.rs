//! What a service stands on, looked at every two seconds and told to `/readyz` and to metrics: the broker's connections and
//! queues, the database, and whether a coordinator leads.
//!
//! It only looks, and what is away keeps nobody from looking at the rest.

use broker::{Queue, Rabbit};
use ledger::Ledger;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
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
    /// Whether this process leads; absent where it has no wish to.
    pub(crate) leads: Option<Arc<AtomicBool>>,
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
            let standing = rabbit.standing();
            for link in standing {
                telemetry::set_broker(link.role, link.is_up, link.is_blocked);
            }
            let is_up = standing.iter().all(|link| link.is_up);
            telemetry::tell_need(Need::Broker, if is_up { Ok("connected") } else { Err("away") });
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
