//! What is said of what is forgotten: beforehand, in the journal, and at the end. It names no user and no value.

use super::writing_runs;
use crate::engine::{ALL, Engine};
use crate::report::html::text::number;
use ledger::{Forget, Forgettable, Forgotten};
use rules::Obstacle;

/// What was asked for, and what it comes to.
pub(super) struct Said {
    /// What must be typed.
    pub(super) name: String,
    /// The batch that events are filed under.
    pub(super) batch: String,
    pub(super) of: String,
    stands: Forgettable,
    /// Other batches that share users, with how many.
    others: Vec<(String, u64)>,
    is_snapshot: bool,
}

impl Said {
    pub(super) async fn of(engine: &Engine, what: &Forget, stands: &Forgettable) -> anyhow::Result<Self> {
        let (name, batch, of, others, is_snapshot) = match what {
            Forget::Batch(name) => {
                let of = if name == ALL { "everybody".to_owned() } else { format!("batch {name}") };
                (name.clone(), name.clone(), of, overlapping(engine, name).await?, false)
            }
            Forget::Snapshot(id) => {
                let mut over = Vec::new();
                for name in names(engine).await? {
                    let runs = writing_runs(engine, &name).await?;
                    if runs.iter().any(|run| run.spec.snapshot == *id) {
                        let users = engine.ledger.batch(&name).await?.map_or(0, |batch| batch.users);
                        over.push((name, users));
                    }
                }
                (id.0.clone(), ALL.to_owned(), format!("snapshot {}", id.0), over, true)
            }
        };
        Ok(Self { name, batch, of, stands: stands.clone(), others, is_snapshot })
    }

    /// Before anything is done.
    pub(super) fn lines(&self) -> Vec<String> {
        let stands = &self.stands;
        let mut said = vec![format!(
            "to be forgotten of {}: {} records, {} values before our first write, {} values that we meant to write, {} results",
            self.of,
            number(stands.records),
            number(stands.pre_images),
            number(stands.intents),
            number(stands.results)
        )];
        said.push(if stands.way_back == 0 {
            "nobody of them can be taken back now, so no way back is lost".to_owned()
        } else {
            format!(
                "{} users can be taken back now and cannot afterwards: `rollback` will say `forgotten` of them. `verify --repair` cannot \
                 write theirs again, and a later migration meets them as if for the first time: what stands in Entra then is the value \
                 before",
                number(stands.way_back)
            )
        });
        let named: Vec<String> = self
            .others
            .iter()
            .map(|(name, users)| {
                if name == ALL {
                    "everybody (all)".to_owned()
                } else {
                    format!("{name} ({} users)", number(*users))
                }
            })
            .collect();
        if !named.is_empty() {
            let why = if self.is_snapshot { "moved from it" } else { "sharing users, and touched in those" };
            said.push(format!("batches {why}: {}", named.join(", ")));
        }
        if stands.stays > 0 {
            said.push(format!(
                "{} users were written to by runs over other snapshots too: their values before stay, and `forget --batch` removes those",
                number(stands.stays)
            ));
        }
        said
    }

    /// For the journal, before the first removal.
    pub(super) fn begun(&self, why: &str) -> String {
        let stands = &self.stands;
        let mut said = format!(
            "{}: {} records, {} values before, {} intents, {} results; {} users lose the way back",
            self.of, stands.records, stands.pre_images, stands.intents, stands.results, stands.way_back
        );
        if !why.is_empty() {
            said += &format!("; {why}");
        }
        said
    }

    /// For the journal, after the last one.
    pub(super) fn ended(&self, done: &Forgotten) -> String {
        format!(
            "{}: {} records, {} values before, {} intents, {} results removed; {} users lost the way back",
            self.of, done.records, done.pre_images, done.intents, done.results, done.way_back
        )
    }

    /// For people, at the end.
    pub(super) fn done(&self, done: &Forgotten, reclaimed: bool) -> String {
        format!(
            "forgotten: {}\n  {}\nnext: mfa-migrate report --verify-journal; delete saved plans, reports and rejects of it yourself",
            self.ended(done),
            if reclaimed {
                "the ledger was written anew; nothing of it is left in the file"
            } else {
                "PostgreSQL gives the room back by VACUUM; its write-ahead log and backups keep what they have"
            }
        )
    }

    pub(super) fn json(&self, done: &Forgotten, reclaimed: bool) -> serde_json::Value {
        serde_json::json!({
            "forgotten": self.name, "records": done.records, "preImages": done.pre_images, "intents": done.intents,
            "results": done.results, "usersWithoutWayBack": done.way_back, "usersKept": self.stands.stays,
            "reclaimed": reclaimed,
        })
    }
}

async fn names(engine: &Engine) -> anyhow::Result<Vec<String>> {
    let frozen = engine.ledger.batch_settings().await?.into_iter().map(|(name, _)| name);
    Ok(std::iter::once(ALL.to_owned()).chain(frozen).collect())
}

/// Batches that share users with one; everybody's, where a run of it has moved somebody.
async fn overlapping(engine: &Engine, name: &str) -> anyhow::Result<Vec<(String, u64)>> {
    if name == ALL {
        let mut found = Vec::new();
        for name in names(engine).await?.into_iter().filter(|name| name != ALL) {
            let users = engine.ledger.batch(&name).await?.map_or(0, |batch| batch.users);
            found.push((name, users));
        }
        return Ok(found);
    }
    let mut found = engine.ledger.overlaps(name).await?;
    if !writing_runs(engine, ALL).await?.is_empty() {
        found.push((ALL.to_owned(), 0));
    }
    Ok(found)
}

/// Why not yet, and what to run.
pub(super) fn obstacle(obstacle: &Obstacle) -> String {
    match obstacle {
        Obstacle::Unfinished { run, kind, batch } => format!(
            "run {run} ({kind} of {batch}) is not over; let it end, or end it with `mfa-migrate batch abort {batch}`"
        ),
        Obstacle::InDoubt(users) => format!(
            "of {users} users nobody knows yet whether the last write was made; `mfa-migrate migrate` or `mfa-migrate rollback` of their \
             batch looks at them and settles that"
        ),
        Obstacle::Unsettled(users) => format!(
            "{users} users were begun with and not settled; `mfa-migrate migrate` of their batch goes on with them, `mfa-migrate \
             rollback` takes them back"
        ),
        Obstacle::KeptInStep(batch) => format!(
            "batch {batch} is kept in step and needs it; `mfa-migrate batch set {batch} keep-in-step=off` ends that"
        ),
        Obstacle::Unmoved(batch) => format!(
            "batch {batch} was never migrated, and is moved from these records; `mfa-migrate migrate --batch {batch}` does that"
        ),
    }
}
