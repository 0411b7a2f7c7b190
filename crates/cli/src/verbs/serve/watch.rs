//! `serve extractor --watch`: looks at a datafile every so often, and sends it whenever it is another one and whole.
//!
//! What was sent last is kept beside the datafile, so that a process that was killed sends nothing twice; a datafile that
//! is missing, locked, damaged or being written is waited for, with the reason. The ledger is not needed: where one is
//! named, this service tells there that it is alive and what it waits for. Nothing here is unix-only.

use super::{alive, say_sent, send};
use crate::args::ServeExtractor;
use crate::config::{BrokerKind, Config, LedgerKind};
use crate::engine::{self, Surveyed};
use crate::notices::Notices;
use crate::probe::Sending;
use crate::{Exit, Usage};
use anyhow::{Context, bail};
use contract::{Disposition, LastSent, Sealer, SnapshotId};
use extractor::{Look, PublishError, Source, Watch};
use ledger::ServiceKind;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use telemetry::Shutdown;

/// A datafile that moved is looked at again after so long, or sooner where it is looked at more often anyway.
const SOON: Duration = Duration::from_secs(60);
/// How long a ledger that is away is left alone: nothing here depends on it.
const LEDGER_AGAIN: Duration = Duration::from_secs(5);

/// What is waited for, in words that name nobody; told to the operator once, and in the ledger.
#[derive(Default)]
struct Waits(Mutex<Option<String>>);

impl Waits {
    fn now(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Says it when it is something else than before.
    fn tell(&self, notices: &Notices, reason: Option<String>) {
        let mut waits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(reason) = reason.as_ref().filter(|reason| waits.as_ref() != Some(reason)) {
            notices.line(reason);
        }
        *waits = reason;
    }
}

pub(super) async fn run(
    verb: &ServeExtractor,
    datafile: &Path,
    config: &Config,
    sealer: &Sealer,
    json: bool,
    shutdown: &Shutdown,
    sending: &Sending,
) -> anyhow::Result<Exit> {
    let every = every(&verb.every)?;
    if config.broker_kind()? == BrokerKind::Embedded {
        bail!(Usage(
            "watching takes a broker that the coordinator reaches too: name it with --broker amqps://HOST"
                .to_owned()
        ));
    }
    let source = Source {
        datafile: datafile.to_owned(),
        devices: verb.side.devices.clone(),
        token_seeds: verb.side.token_seeds.clone(),
    };
    let sent_file = verb.sent_file.clone().unwrap_or_else(|| beside(datafile));
    let notices = Notices::new("watch");
    let sent = last_sent(&sent_file, &notices);
    notices.line(&match &sent {
        Some(id) => format!(
            "watching {}: snapshot {id} was sent last, as {} says",
            datafile.display(),
            sent_file.display()
        ),
        None => format!("watching {}", datafile.display()),
    });
    let waits = Waits::default();
    let site =
        Site { every, sent_file, config, sealer, json, shutdown, notices: &notices, waits: &waits, sending };
    let watched = tokio::select! {
        watched = site.watch(Watch::new(source, sent)) => watched,
        never = present(config, &waits) => match never {},
    };
    notices.end();
    watched
}

/// All that a look needs.
struct Site<'a> {
    every: Duration,
    sent_file: PathBuf,
    config: &'a Config,
    sealer: &'a Sealer,
    json: bool,
    shutdown: &'a Shutdown,
    notices: &'a Notices,
    waits: &'a Waits,
    sending: &'a Sending,
}

impl Site<'_> {
    async fn watch(&self, mut watch: Watch) -> anyhow::Result<Exit> {
        loop {
            let looking = tokio::task::spawn_blocking(move || {
                let looked = watch.look();
                (watch, looked)
            });
            let looked;
            (watch, looked) = tokio::select! {
                () = self.shutdown.requested() => return Ok(Exit::Done),
                looked = looking => looked?,
            };
            let file = watch.source().datafile.display().to_string();
            let soon = SOON.min(self.every);
            let wait = match looked {
                Ok(Look::Unchanged) => {
                    tracing::debug!("the datafile is what was sent last");
                    self.waits.tell(self.notices, None);
                    self.every
                }
                Ok(Look::Moving) => {
                    let reason = format!("{file} is another one; it is sent when it lies still");
                    self.waits.tell(self.notices, Some(reason));
                    soon
                }
                Ok(Look::Whole(survey)) => {
                    self.waits.tell(self.notices, Some(format!("{file} is on its way to the broker")));
                    let surveyed = Surveyed::of(watch.source().clone(), *survey);
                    match self.send(surveyed).await? {
                        Some(()) => watch.was_sent(),
                        None if self.shutdown.is_requested() => return Ok(Exit::Stopped),
                        None => {}
                    }
                    soon
                }
                Err(error) => {
                    self.waits.tell(self.notices, Some(format!("{error}; it is looked at again")));
                    soon
                }
            };
            tokio::select! {
                () = self.shutdown.requested() => return Ok(Exit::Done),
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Sends it; nothing where it has to be tried again.
    async fn send(&self, surveyed: Surveyed) -> anyhow::Result<Option<()>> {
        let id = surveyed.id();
        let error =
            match send(surveyed, self.config, self.sealer, self.notices, self.shutdown, self.sending).await {
                Ok(Some(manifest)) => {
                    keep(&self.sent_file, id, self.notices);
                    say_sent(&manifest, self.json)?;
                    return Ok(Some(()));
                }
                Ok(None) => return Ok(None),
                Err(error) => error,
            };
        match error.downcast_ref::<PublishError>() {
            Some(PublishError::Source(moved)) => {
                self.waits.tell(self.notices, Some(format!("{moved}; it is looked at again")));
                Ok(None)
            }
            Some(PublishError::Queue(away)) if away.disposition() == Disposition::Retry => {
                self.waits.tell(self.notices, Some(format!("{away}; it is sent again")));
                Ok(None)
            }
            Some(PublishError::Queue(_) | PublishError::Seal(_)) | None => Err(error),
        }
    }
}

fn every(text: &str) -> anyhow::Result<Duration> {
    match crate::verbs::batch::seconds(text) {
        Some(seconds) if seconds > 0 => Ok(Duration::from_secs(seconds)),
        Some(_) | None => {
            bail!(Usage(format!("--every {text}: a time is like 90s, 15m or 2h, a second at least")))
        }
    }
}

fn beside(datafile: &Path) -> PathBuf {
    // Not in a folder that is named with a slash at its end, but beside it.
    let mut name = datafile.components().as_path().as_os_str().to_owned();
    name.push(".sent");
    PathBuf::from(name)
}

/// What was sent last. Where that cannot be told, it is sent once more, and nothing is filed twice.
fn last_sent(path: &Path, notices: &Notices) -> Option<SnapshotId> {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
        Err(error) => {
            notices.line(&format!("{} cannot be read ({error}): the datafile is sent anew", path.display()));
            return None;
        }
    };
    match serde_json::from_slice::<LastSent>(&text) {
        Ok(last) if last.v <= LastSent::VERSION => Some(last.snapshot),
        Ok(_) | Err(_) => {
            notices.line(&format!("{} is not of this version's: the datafile is sent anew", path.display()));
            None
        }
    }
}

/// Writes it under another name first, so that whoever dies in between leaves what was there.
fn keep(path: &Path, snapshot: SnapshotId, notices: &Notices) {
    let written = || -> anyhow::Result<()> {
        let mut name = path.as_os_str().to_owned();
        name.push(".new");
        let unfinished = PathBuf::from(name);
        std::fs::write(&unfinished, serde_json::to_vec(&LastSent::new(snapshot))?)?;
        std::fs::rename(&unfinished, path).context("it cannot be put in its place")
    };
    if let Err(error) = written() {
        notices.line(&format!(
            "{} cannot be written ({error:#}): after a restart the datafile is sent once more, and nothing is filed twice",
            path.display()
        ));
    }
}

/// Says in a ledger that is named that this service is alive. It must be there and of this build's shape: a machine beside
/// the MFA Server makes and migrates nothing.
async fn present(config: &Config, waits: &Waits) -> Infallible {
    loop {
        if let Ok(LedgerKind::Postgres(_)) = config.ledger_kind()
            && engine::open_ledger(config, false).await.is_ok()
            && let Ok(ledger) = engine::open_ledger(config, true).await
        {
            alive(ledger.as_ref(), ServiceKind::Extractor, || waits.now()).await;
        }
        tokio::time::sleep(LEDGER_AGAIN).await;
    }
}
