//! Whether what is on file of a snapshot is what its manifest counts; the same for every dialect.
//!
//! A manifest is written at the source, before anything was sent. Records that came damaged are what it cannot know of:
//! they are moved from its accepted to its rejected, so that `read` stays the sum of both.

use crate::Error;
use contract::{IntentOutcome, RunId, RunKind, SnapshotManifest};

/// The field of a reject that stands for a record whose message came damaged; no field of a source is called so.
pub(crate) const MESSAGE: &str = "(message)";

/// Why a run with a reviewed plan is not driven at first.
pub(crate) const PLAN_IS_FILED: &str = "its reviewed plan is still being filed";

/// How the slots of tokens begin.
pub(crate) const TOKEN_SLOTS: &str = "hardwareOath:";

/// The rows of a snapshot, counted.
pub(crate) struct OnFile {
    /// Records.
    pub(crate) records: u64,
    /// Rejects of every kind.
    pub(crate) rejects: u64,
    /// Of them, records that came damaged.
    pub(crate) unreadable: u64,
}

impl OnFile {
    /// The manifest as it is to be kept; `Error::Incomplete` where the rows are not what it counts.
    pub(crate) fn check(&self, manifest: &SnapshotManifest) -> Result<SnapshotManifest, Error> {
        let refused = manifest.rejected.saturating_add(manifest.side_rejected);
        let checks = [
            ("accepted records", manifest.accepted, self.records.saturating_add(self.unreadable)),
            ("rejects", refused, self.rejects.saturating_sub(self.unreadable)),
            (
                "rows read",
                manifest.read.saturating_add(manifest.side_rejected),
                self.records.saturating_add(self.rejects),
            ),
        ];
        for (what, expected, found) in checks {
            if expected != found {
                let what = format!("snapshot {} ({what})", manifest.id);
                return Err(Error::Incomplete { what, expected, found });
            }
        }
        Ok(SnapshotManifest {
            accepted: self.records,
            rejected: manifest.rejected.saturating_add(self.unreadable),
            ..manifest.clone()
        })
    }
}

/// The kinds of run of which one of a batch may be unfinished: opening one ends the others. Methods and routing are apart:
/// neither writes what the other does.
pub(crate) fn rivals(kind: RunKind) -> [RunKind; 2] {
    match kind {
        RunKind::Rollout | RunKind::RolloutRemove => [RunKind::Rollout, RunKind::RolloutRemove],
        RunKind::Migrate
        | RunKind::Rollback
        | RunKind::Rehearse
        | RunKind::Verify
        | RunKind::Survey
        | RunKind::RolloutPlan => [RunKind::Migrate, RunKind::Rollback],
    }
}

/// What has to do with the users of a run comes after they are fixed.
pub(crate) fn no_users_yet(run: RunId) -> Error {
    Error::Incomplete { what: format!("run {run} (its users)"), expected: 1, found: 0 }
}

/// Writes a second that the settings of a batch allow (`contract::BatchSettings`). Only this one is looked at: whatever else
/// there is wrong with them, a limit that a person has set is kept.
pub(crate) fn max_rate(settings: &str) -> Option<u32> {
    let settings: serde_json::Value = serde_json::from_str(settings).ok()?;
    settings.get("maxRate")?.as_u64().map(|rate| u32::try_from(rate).unwrap_or(u32::MAX))
}

/// Whether an intent of an earlier run bears on what comes: nobody knows whether it landed; it is what is known to stand
/// there, ours or taken back, and may not show yet; or something else stood there when it was asked for last, so that it may
/// have landed and been changed since. `pre_image_stands`: one that is no newer than the intent.
pub(crate) fn bears_on_others(
    outcome: Option<IntentOutcome>,
    is_known_to_stand: bool,
    pre_image_stands: bool,
) -> bool {
    match outcome {
        None => true,
        Some(IntentOutcome::Applied) => is_known_to_stand,
        Some(IntentOutcome::Drifted) => pre_image_stands,
        Some(
            IntentOutcome::Failed | IntentOutcome::NotSent | IntentOutcome::Refused | IntentOutcome::Invalid,
        ) => false,
    }
}
