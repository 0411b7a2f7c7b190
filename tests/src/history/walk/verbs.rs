//! One verb of a history: a process from its beginning to whatever end it is brought to, and the checks that follow.

use super::{ALL, Found, History, LIMIT, SOME};
use crate::history::clock::{End, Life, Wire};
use crate::history::judge::{Fate, Way};
use crate::history::office::{Office, Worked};
use crate::history::rig;
use crate::history::steps::Ending;
use contract::{EntryState, Policy, RunKind, RunState};
use coordinator::Released;
use graph::Pace;
use simulator::Faults;
use std::path::PathBuf;

/// Calls of one verb until it must have come to its end.
const CALLS: u32 = 6;

/// A verb.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Migrate,
    Verify,
    Rollback,
}

impl Verb {
    fn kind(self) -> RunKind {
        match self {
            Self::Migrate => RunKind::Migrate,
            Self::Verify => RunKind::Verify,
            Self::Rollback => RunKind::Rollback,
        }
    }

    fn way(self) -> Way {
        match self {
            Self::Migrate => Way::Forward,
            Self::Verify => Way::Still,
            Self::Rollback => Way::Back,
        }
    }
}

/// Whom a verb is about: everybody, or the batch of some that was made first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    All,
    Some,
}

impl Of {
    fn batch(self) -> &'static str {
        match self {
            Self::All => ALL,
            Self::Some => SOME,
        }
    }
}

impl History {
    /// One process from its beginning to whatever end it is brought to. Answers how the run stands, where it came to an
    /// end of its own.
    pub(super) async fn verb(
        &mut self,
        verb: Verb,
        of: Of,
        ending: Ending,
    ) -> Result<Option<Worked>, Vec<String>> {
        self.at = format!("{verb:?} of {} {ending:?}", of.batch());
        let (site, life, pace) = (self.site.clone(), Life::new(), Pace::new());
        let given = (self.datafile.clone(), self.policy.clone());
        let process = tokio::spawn({
            let (life, pace) = (life.clone(), pace.clone());
            async move {
                let office = Office::open(site, life, pace).await?;
                process(office, verb, of, given, ending).await
            }
        });
        let death = match ending {
            Ending::Death(death) => Some(death),
            Ending::Whole | Ending::Pause(_) | Ending::Stop(_) => None,
        };
        // What an earlier process has sent may land while this one is at work.
        let way = if self.way == verb.way() || self.way == Way::Still { verb.way() } else { Way::Either };
        let wire = Wire::new(&pace, &self.cloud.arrived);
        let end = self.clock.see_through(process, &life, &wire, death, LIMIT).await;
        self.way = verb.way();
        let line =
            format!("{verb:?} of {} {ending:?}, at {} ms", of.batch(), self.clock.now_ms() % 10_000_000);
        let worked = match end {
            End::Stuck => {
                self.tell(format!("{line}: stuck"));
                return Err(vec![format!("{verb:?} has not come to its end")]);
            }
            End::Died => {
                self.totals.deaths += 1;
                self.tell(format!("{line}: died"));
                self.leave_open(verb, of);
                None
            }
            End::Done(Err(error)) => {
                self.tell(format!("{line}: {error:#}"));
                self.leave_open(verb, of);
                if self.faults == (Faults { seed: self.faults.seed, ..Faults::default() }) {
                    return Err(vec![format!("{verb:?} failed although nothing was wrong: {error:#}")]);
                }
                None
            }
            End::Done(Ok(None)) => {
                self.tell(format!("{line}: nothing was moved yet"));
                self.unfinished = None;
                None
            }
            End::Done(Ok(Some((worked, accepted)))) => {
                self.tell(format!("{line}: {}", told(&worked)));
                self.hear(way)?;
                self.ended(verb, of, &worked, accepted)?;
                Some(worked)
            }
        };
        self.hear(way)?;
        self.check_pre_images().await?;
        Ok(worked)
    }

    fn leave_open(&mut self, verb: Verb, of: Of) {
        // The run may not even have been opened; then going on with it opens it.
        if verb != Verb::Verify {
            self.unfinished = Some((verb, of));
        }
    }

    /// Checks what a process says that has come to its end.
    fn ended(&mut self, verb: Verb, of: Of, worked: &Worked, accepted: u64) -> Found {
        let Released::Done(_) = worked.released else {
            self.leave_open(verb, of);
            return Ok(());
        };
        if verb != Verb::Verify {
            self.unfinished = None;
        }
        let mut found = Vec::new();
        let sum: u64 = worked.counts.values().sum();
        if worked.run.state != RunState::Done || worked.counts.iter().any(|(s, n)| !s.is_settled() && *n > 0)
        {
            found.push(format!("a run is done and is not: {:?} {:?}", worked.run.state, worked.counts));
        }
        if verb == Verb::Migrate && of == Of::All && sum != accepted {
            found.push(format!("{sum} entries for {accepted} records"));
        }
        let count = |state| worked.counts.get(&state).copied().unwrap_or(0);
        self.totals.parked += count(EntryState::Parked);
        match verb {
            Verb::Migrate => found.extend(self.judge.after_the_way_forward(&worked.left)),
            Verb::Rollback => {
                self.totals.rollbacks += 1;
                self.totals.conflicts += count(EntryState::Conflict);
                let fate: Fate = worked.left.iter().map(|left| (left.user.clone(), left.state)).collect();
                found.extend(self.judge.after_the_way_back(&fate, of == Of::All));
            }
            Verb::Verify => {}
        }
        if found.is_empty() { Ok(()) } else { Err(found) }
    }

    /// No write without its pre-image, and none that holds a value of ours.
    async fn check_pre_images(&mut self) -> Found {
        let Some((standing, keys)) = rig::standing(&self.site).await else { return Ok(()) };
        let found = self.judge.check_pre_images(&standing, &keys, self.way);
        if found.is_empty() { Ok(()) } else { Err(found) }
    }

    /// Repeats a verb until it has come to its end; nothing where nothing was ever moved.
    pub(super) async fn repeat_until_done(
        &mut self,
        verb: Verb,
        of: Of,
    ) -> Result<Option<Worked>, Vec<String>> {
        for _ in 0..CALLS {
            match self.verb(verb, of, Ending::Whole).await? {
                Some(worked) if matches!(worked.released, Released::Done(_)) => return Ok(Some(worked)),
                None if self.unfinished.is_none() => return Ok(None),
                Some(_) | None => {}
            }
        }
        Err(vec![format!("{verb:?} has not come to its end in {CALLS} calls")])
    }
}

/// What a process does for a verb. Answers how the run stands and the records of its snapshot; nothing where nothing was
/// ever moved.
async fn process(
    office: Office,
    verb: Verb,
    of: Of,
    (datafile, policy): (PathBuf, Policy),
    ending: Ending,
) -> anyhow::Result<Option<(Worked, u64)>> {
    let manifest = match verb {
        Verb::Migrate => office.file(&datafile).await?,
        Verb::Verify | Verb::Rollback => match office.ledger.latest_run(&[RunKind::Migrate]).await? {
            Some(run) => office.filed(&run.spec.snapshot).await?,
            None => return Ok(None),
        },
    };
    let spec = Office::spec(verb.kind(), of.batch(), &manifest.id, &policy, verb != Verb::Migrate)?;
    Ok(Some((office.work(&spec, ending).await?, manifest.accepted)))
}

fn ended_as(released: &Released) -> String {
    match released {
        Released::Done(_) => "done".to_owned(),
        Released::Stopped(_) => "stopped".to_owned(),
        Released::Halted(reason) => format!("halted ({reason})"),
        Released::Closed { reason, .. } => format!("closed ({reason})"),
    }
}

/// How a run stands, in words.
fn told(worked: &Worked) -> String {
    let counts = worked.counts.iter().filter(|(_, n)| **n > 0);
    let counts: Vec<String> = counts.map(|(state, n)| format!("{} {n}", state.as_str())).collect();
    format!("run {} {}: {}", worked.run.id, ended_as(&worked.released), counts.join(", "))
}
