//! `batch`: users under a name, fixed when it is made, and how its runs go about it.

mod control;
mod create;
mod settings;
mod show;

pub(crate) use create::{group_of, made_of, make_of_region, of_list};
pub(crate) use settings::seconds;

use crate::args::BatchVerb;
use crate::config::Config;
use crate::engine::{ALL, Engine};
use crate::{Exit, Usage};
use anyhow::bail;
use contract::BatchSettings;
use ledger::{Batch, Event};

pub(crate) async fn run(verb: &BatchVerb, config: &Config, json: bool) -> anyhow::Result<Exit> {
    match verb {
        BatchVerb::Create(verb) => create::run(verb, config, json).await,
        BatchVerb::List => show::list(config, json).await,
        BatchVerb::Show(verb) => show::one(&verb.name, config, json).await,
        BatchVerb::Pause(verb) => control::pause(verb, config).await,
        BatchVerb::Resume(verb) => control::resume(verb, config).await,
        BatchVerb::Abort(verb) => control::abort(verb, config).await,
        BatchVerb::Set(verb) => control::set(verb, config).await,
    }
}

/// Who does it, for the record: user and host.
pub(crate) fn who() -> String {
    format!("{}@{}", user(), crate::engine::hostname())
}

#[expect(clippy::disallowed_methods, reason = "a name for people to read, no configuration")]
fn user() -> String {
    ["USER", "LOGNAME", "USERNAME"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|user| !user.is_empty()))
        .unwrap_or_else(|| "somebody".to_owned())
}

impl Engine {
    /// A frozen batch.
    pub(crate) async fn batch(&self, name: &str) -> anyhow::Result<Batch> {
        match self.ledger.batch(name).await? {
            Some(batch) if batch.frozen => Ok(batch),
            Some(_) => bail!(Usage(format!(
                "the batch \"{name}\" was not made to its end; `mfa-migrate batch create {name} …` makes it"
            ))),
            None => bail!(Usage(format!(
                "there is no batch \"{name}\"; `mfa-migrate batch list` shows those there are"
            ))),
        }
    }

    /// Its name as runs have it: that of a frozen batch, or everybody's.
    pub(crate) async fn batch_name(&self, name: Option<&str>) -> anyhow::Result<String> {
        match name {
            None | Some(ALL) => Ok(ALL.to_owned()),
            Some(name) => Ok(self.batch(name).await?.made.name),
        }
    }

    /// How a batch's runs go about it.
    pub(crate) fn settings(batch: &Batch) -> anyhow::Result<BatchSettings> {
        serde_json::from_str(&batch.made.settings).map_err(|_| {
            anyhow::anyhow!(
                "the settings of batch \"{}\" cannot be read by this version; use the version that wrote them, or a later one",
                batch.made.name
            )
        })
    }

    /// Files what this operator did.
    pub(crate) async fn note_event(
        &self,
        batch: &str,
        run: Option<contract::RunId>,
        what: &str,
        why: &str,
    ) -> anyhow::Result<()> {
        let event = Event {
            at_ms: 0,
            by: who(),
            batch: batch.to_owned(),
            run,
            what: what.to_owned(),
            why: why.to_owned(),
        };
        Ok(self.ledger.record_event(&event).await?)
    }
}
