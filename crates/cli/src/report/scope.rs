//! What a report is about: all users, those of a batch, or one run; and a pass over them, a page in memory at a time.

use super::Report;
use super::person::Person;
use crate::engine::{ALL, Engine};
use crate::lines;
use contract::RunKind;
use ledger::Run;

/// Users read at once: each comes with all that runs have told of it.
const PAGE: u32 = 500;

/// What a report is about.
#[derive(Debug, Clone)]
pub(crate) struct Scope {
    /// The newest run of it: what the head of the report speaks of.
    pub(crate) run: Run,
    /// The batch whose users it is about; absent for everybody.
    pub(crate) batch: Option<String>,
    /// That run alone, and nothing that came before or after it.
    pub(crate) alone: bool,
}

impl Scope {
    /// One run alone.
    pub(crate) fn of_run(run: Run) -> Self {
        Self { run, batch: None, alone: true }
    }

    /// All users of the ledger or of a batch; absent where nothing has run yet. Where there was nothing but rehearsals, it is
    /// the newest of those.
    pub(crate) async fn find(engine: &Engine, batch: Option<&str>) -> anyhow::Result<Option<Self>> {
        let ledger = engine.ledger.as_ref();
        let moved = ledger.latest_run(&[RunKind::Migrate]).await?;
        let last = match batch {
            Some(batch) => {
                let runs = ledger.runs_of(batch).await?;
                runs.into_iter().find(|run| run.spec.kind != RunKind::Survey)
            }
            None => match &moved {
                Some(run) => Some(run.clone()),
                None => ledger.latest_run(&[RunKind::Rehearse]).await?,
            },
        };
        let Some(run) = last else { return Ok(None) };
        let alone = run.spec.kind == RunKind::Rehearse
            && match batch {
                Some(batch) => !is_moved(engine, batch).await?,
                None => true,
            };
        let batch = batch.filter(|name| *name != ALL).map(str::to_owned);
        Ok(Some(Self { run, batch, alone }))
    }

    /// What it is about, for people.
    pub(crate) fn title(&self) -> String {
        match (&self.batch, self.alone) {
            (_, true) => format!("{} (run {})", self.run.spec.kind.as_str(), self.run.id),
            (Some(batch), false) => format!("batch {batch}"),
            (None, false) => "everybody".to_owned(),
        }
    }

    /// As in JSON: `{"run":3}`, `{"batch":"de"}` or `{"all":true}`.
    pub(super) fn json(&self) -> serde_json::Value {
        match (&self.batch, self.alone) {
            (_, true) => serde_json::json!({ "run": self.run.id }),
            (Some(batch), false) => serde_json::json!({ "batch": batch }),
            (None, false) => serde_json::json!({ "all": true }),
        }
    }
}

/// Whether somebody of a batch was moved, by whatever run.
async fn is_moved(engine: &Engine, batch: &str) -> anyhow::Result<bool> {
    let of = Some(batch).filter(|name| *name != ALL);
    Ok(!engine.ledger.users(of, None, 1).await?.is_empty())
}

impl Report<'_> {
    /// Calls `each` for every user, until it answers false.
    pub(super) async fn for_each(
        &self,
        mut each: impl FnMut(Person) -> anyhow::Result<bool>,
    ) -> anyhow::Result<()> {
        let ledger = self.engine.ledger.as_ref();
        if self.scope.alone {
            let mut after = i64::MIN;
            loop {
                let page = ledger.results(self.scope.run.id, after, lines::PAGE).await?;
                let Some(last) = page.last() else { return Ok(()) };
                after = last.ordinal;
                for row in page {
                    let entry = lines::open(self.engine, row)?;
                    let person = Person::of_entry(entry, &self.places);
                    if !each(person)? {
                        return Ok(());
                    }
                }
            }
        }
        let mut after = None;
        loop {
            let page = ledger.users(self.scope.batch.as_deref(), after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.cursor);
            for user in page {
                if !each(Person::of_user(self.engine, user, &self.places)?)? {
                    return Ok(());
                }
            }
        }
    }
}
