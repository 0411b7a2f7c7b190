//! Batches that are kept in step with the MFA Server: as soon as a newer snapshot says other things of a batch's users,
//! its next migration is opened.
//!
//! An operator says once that a batch is to be kept in step, and a person begins: what has never been migrated is not
//! begun here. Nothing is opened over an unfinished run, a verification, a pause or an abort, and never after a rollback:
//! that ends the keeping, as a migration by a reviewed plan does. Every opening is on record with its reason. Nobody who left the datafile loses anything.

use crate::gate::{BY, JUDGED};
use crate::{Coordinator, Error};
use contract::{BatchSettings, Disposition, RunId, RunKind, RunState, SnapshotId, SnapshotManifest};
use ledger::{Event, Newer, Run, RunSpec};
use std::collections::BTreeMap;
use std::time::Duration;
use telemetry::causes;

/// How often it is asked whether something newer is on file.
const LOOK: Duration = Duration::from_secs(1);
/// How long to wait for what is away.
const AWAY: rules::Backoff = rules::Backoff { base: Duration::from_millis(250), cap: Duration::from_secs(5) };

/// What was looked at to its end and needs no second look; a successor looks again.
#[derive(Default)]
struct Looked {
    /// By batch: its last migration, and the newest snapshot that says nothing new of its users.
    unchanged: BTreeMap<String, (RunId, SnapshotId)>,
    /// By batch: its last migration, where that does not keep the next one from beginning.
    borne: BTreeMap<String, RunId>,
    /// By batch: settings that cannot be read, told once.
    unreadable: BTreeMap<String, String>,
}

impl Coordinator {
    /// Keeps batches in step for as long as this process leads.
    ///
    /// # Errors
    /// Another process leads now, or the ledger cannot be read by this version.
    pub(crate) async fn stay_in_step(&self) -> Result<(), Error> {
        let mut looked = Looked::default();
        let mut attempt = 1;
        loop {
            match self.look_at_batches(&mut looked).await {
                Ok(()) => attempt = 1,
                Err(error) if error.disposition() == Disposition::Retry => {
                    tracing::warn!(error = %causes(&error), "whether batches are in step is asked again");
                    tokio::time::sleep(AWAY.delay(attempt, 1.0)).await;
                    attempt += 1;
                }
                Err(error) => return Err(error),
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn look_at_batches(&self, looked: &mut Looked) -> Result<(), Error> {
        let mut kept = Vec::new();
        for (batch, text) in self.ledger.batch_settings().await? {
            match serde_json::from_str::<BatchSettings>(&text) {
                Ok(settings) if settings.keep_in_step => kept.push((batch, text, settings)),
                Ok(_) => {}
                Err(_) if looked.unreadable.get(&batch) == Some(&text) => {}
                Err(_) => {
                    tracing::error!(batch, "the settings of a batch cannot be read by this version");
                    looked.unreadable.insert(batch, text);
                }
            }
        }
        if kept.is_empty() {
            return Ok(());
        }
        let newest = self.ledger.latest_snapshot().await?;
        for (batch, text, settings) in kept {
            match self.look_at(&batch, &text, settings, newest.as_ref(), looked).await {
                // One batch's trouble is its own; its runs are halted with this reason.
                Err(Error::Settings(_)) => tracing::warn!(batch, "the settings of a batch cannot be read"),
                other => other?,
            }
        }
        Ok(())
    }

    async fn look_at(
        &self,
        batch: &str,
        text: &str,
        settings: BatchSettings,
        newest: Option<&(SnapshotManifest, i64)>,
        looked: &mut Looked,
    ) -> Result<(), Error> {
        // What was never migrated is begun by a person.
        let Some(last) = self.ledger.last_written(batch).await? else { return Ok(()) };
        if let Some(back) = self.way_back_since(&last).await? {
            let why = format!(
                "since run {back} takes users of it back; `mfa-migrate migrate --batch {batch}` moves it forward again"
            );
            return self.let_go(batch, text, settings, &why).await;
        }
        if last.spec.plan_hash.is_some() {
            let why = format!(
                "since run {} moved it by a reviewed plan, and what comes next is to be reviewed too: `mfa-migrate rehearse \
                 --batch {batch} --out FILE`, then `mfa-migrate migrate --batch {batch} --plan FILE`",
                last.id
            );
            return self.let_go(batch, text, settings, &why).await;
        }
        if last.state != RunState::Done || self.is_held(&last, &settings, looked).await? {
            return Ok(());
        }
        let Some((newest, completed_at_ms)) = newest else { return Ok(()) };
        // A datafile that was named when a newer one was there was meant so.
        let is_newer = newest.id != last.spec.snapshot && *completed_at_ms > last.opened_at_ms;
        let known = (last.id, newest.id.clone());
        if !is_newer || looked.unchanged.get(batch) == Some(&known) {
            return Ok(());
        }
        let newer = self.ledger.newer(batch, &last.spec.snapshot, &newest.id).await?;
        if newer.changed == 0 {
            looked.unchanged.insert(batch.to_owned(), known);
            return Ok(());
        }
        let spec = RunSpec { snapshot: newest.id.clone(), include_unchanged: false, ..last.spec.clone() };
        let event = event(batch, "opened", &why(&newer, &newest.id));
        if let Some(run) = self.ledger.open_next_run(&spec, last.id, &event).await? {
            tracing::info!(batch, run = %run.id, changed = newer.changed, "a newer datafile is moved");
        }
        Ok(())
    }

    /// The rollback that came after a batch's last migration, its own or one that shares users.
    async fn way_back_since(&self, last: &Run) -> Result<Option<RunId>, Error> {
        match last.spec.kind {
            RunKind::Rollback => Ok(Some(last.id)),
            RunKind::Migrate
            | RunKind::Rehearse
            | RunKind::Verify
            | RunKind::Survey
            | RunKind::RolloutPlan
            | RunKind::Rollout
            | RunKind::RolloutRemove => Ok(self.ledger.taken_back(&last.spec.batch, last.id).await?),
        }
    }

    /// Ends the keeping. The word comes first, so that nothing is changed without one. Settings that somebody has changed
    /// meanwhile are looked at again.
    async fn let_go(&self, batch: &str, was: &str, settings: BatchSettings, why: &str) -> Result<(), Error> {
        self.ledger.record_event(&event(batch, "set", &format!("keep-in-step=off, {why}"))).await?;
        let settings = BatchSettings { keep_in_step: false, ..settings };
        let text = serde_json::to_string(&settings).map_err(|_| Error::Settings(batch.to_owned()))?;
        if !self.ledger.set_batch(batch, was, &text).await? {
            tracing::info!(batch, "the settings of a batch were changed meanwhile; they are looked at again");
        }
        Ok(())
    }

    /// Whether the last migration went so badly that a person has to see it before the next one begins; told once. It
    /// may have been over before anybody could stop it. One that stood and was let go on is answered for.
    async fn is_held(
        &self,
        last: &Run,
        settings: &BatchSettings,
        looked: &mut Looked,
    ) -> Result<bool, Error> {
        let batch = &last.spec.batch;
        if looked.borne.get(batch) == Some(&last.id) {
            return Ok(false);
        }
        if self.was_judged(last).await? {
            return Ok(self.last_word(last).await?.as_deref() == Some(JUDGED));
        }
        if let Some(before) = self.ledger.moved_before(last.id).await? {
            let abort_at = settings.abort_at.parse().map_err(|_| Error::Settings(batch.clone()))?;
            if let Some(failed) = self.too_many_failed(last, before, abort_at).await? {
                let why = format!(
                    "{failed}; newer datafiles wait until `mfa-migrate migrate --batch {batch}` goes on with them"
                );
                self.note(last, BY, JUDGED, &why).await?;
                return Ok(true);
            }
        }
        looked.borne.insert(batch.clone(), last.id);
        Ok(false)
    }
}

/// Something decided here about a batch.
fn event(batch: &str, what: &str, why: &str) -> Event {
    Event {
        at_ms: 0,
        by: BY.to_owned(),
        batch: batch.to_owned(),
        run: None,
        what: what.to_owned(),
        why: why.to_owned(),
    }
}

fn why(newer: &Newer, snapshot: &SnapshotId) -> String {
    let short = snapshot.0.get(..12).unwrap_or(&snapshot.0);
    let mut said = format!(
        "migrate: the newer datafile {short} says other things of {} users of the batch",
        newer.changed
    );
    if newer.gone > 0 {
        said.push_str(&format!("; {} users are not in it and keep what they have", newer.gone));
    }
    if newer.in_no_batch > 0 {
        said.push_str(&format!("; {} users in it are in no batch", newer.in_no_batch));
    }
    said
}
