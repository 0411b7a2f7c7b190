//! `tap`: Temporary Access Passes for users who must register their app again, into one file and nowhere else, and the way
//! to take them away.
//!
//! Where the ledger is a file, one of these runs at a time, beside whatever else works on it; where it is a server, any
//! number: each user is in one pair of hands.

mod ask;
mod issue;
mod revoke;
mod say;

use crate::args::TapVerb;
use crate::config::{BrokerKind, Config, LedgerKind};
use crate::engine::{self, Engine};
use crate::lock::Lock;
use crate::passes::Selected;
use crate::{Exit, Usage};
use graph::{Pace, Writer};
use std::sync::Arc;
use worker::PassDesk;

const PERMISSION: &str = "takes the application permissions UserAuthenticationMethod.ReadWrite.All, Policy.Read.All and User.Read.All";

/// What both verbs work with.
struct Office {
    engine: Engine,
    writer: Writer,
    pace: Pace,
    /// Present where the ledger is a file.
    _lock: Option<Lock>,
}

pub(crate) async fn run(verb: &TapVerb, config: &Config, json: bool) -> anyhow::Result<Exit> {
    match verb {
        TapVerb::Issue(verb) => issue::run(verb, config, json).await,
        TapVerb::Revoke(verb) => revoke::run(verb, config, json).await,
    }
}

impl Office {
    async fn open(config: &Config) -> anyhow::Result<Self> {
        let graph = config.graph()?;
        let engine = Engine::beside(config).await?;
        let lock = match config.ledger_kind()? {
            LedgerKind::Sqlite(path) => {
                let lock = Lock::take(&path.with_extension("passes")).await.map_err(|error| {
                    if error.is::<Usage>() { anyhow::Error::from(Usage(BUSY.to_owned())) } else { error }
                })?;
                // Nobody else is at this file's passes: whoever was is gone.
                engine.ledger.void_pass_claims().await?;
                Some(lock)
            }
            LedgerKind::Postgres(_) => None,
        };
        let pace = match config.broker_kind()? {
            BrokerKind::Rabbit(_) => Pace::shared(Arc::new(crate::quota::Book(Arc::clone(&engine.ledger)))),
            BrokerKind::Embedded => {
                let pace = Pace::new();
                for (bucket, rate) in engine.ledger.learned_rates().await? {
                    pace.restore(&bucket, rate);
                }
                pace
            }
        };
        let writer = Writer::new(graph, pace.clone())?;
        Ok(Self { engine, writer, pace, _lock: lock })
    }

    fn desk(&self) -> PassDesk {
        let settings = self.engine.config().worker_settings();
        PassDesk::new(Arc::clone(&self.engine.ledger), self.writer.clone(), settings, engine::name())
    }

    async fn note(&self, selected: &Selected, what: &str, why: &str) -> anyhow::Result<()> {
        self.engine.note_event(&selected.batch, None, what, why).await
    }
}

const BUSY: &str = "another `mfa-migrate tap` is at the passes of this ledger; nothing was done: wait for its end, and run this again";
