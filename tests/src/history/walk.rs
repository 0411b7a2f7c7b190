//! Walks one history from its seed, and tells what was found.

use super::clock::{Clock, End};
use super::cloud::Cloud;
use super::company::{Company, id_of};
use super::judge::{Fate, Judge, Way};
use super::office::{Office, Site, Worked};
use super::rig;
use super::steps::{self, Ending};
use crate::sweep::Dice;
use contract::{EntryState, OnDrift, Policy, RunKind, RunState, SnapshotId};
use coordinator::Released;
use graph::Pace;
use simulator::Faults;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;

/// Longest time of the history's clock for one process; whoever takes longer is stuck.
const LIMIT: Duration = Duration::from_secs(240);
/// Everybody.
const ALL: &str = "all";

/// What happened, in words, one line a step.
#[derive(Debug, Clone, Default)]
pub struct Story {
    /// The seed.
    pub seed: u64,
    /// The steps.
    pub lines: Vec<String>,
}

/// Why a history failed.
#[derive(Debug, Clone)]
pub struct Finding {
    /// What happened until then.
    pub story: Story,
    /// What must not have been.
    pub found: Vec<String>,
}

/// What histories were made of.
#[derive(Debug, Clone, Copy, Default)]
pub struct Totals {
    /// Histories.
    pub histories: u64,
    /// Steps.
    pub steps: u64,
    /// Processes that died.
    pub deaths: u64,
    /// Effects of the product in the tenant.
    pub writes: u64,
    /// Rollbacks that came to their end.
    pub rollbacks: u64,
    /// Users whom a rollback left in conflict.
    pub conflicts: u64,
    /// Users who were set aside.
    pub parked: u64,
}

impl Totals {
    /// Adds another's.
    pub fn add(&mut self, other: &Self) {
        self.histories += other.histories;
        self.steps += other.steps;
        self.deaths += other.deaths;
        self.writes += other.writes;
        self.rollbacks += other.rollbacks;
        self.conflicts += other.conflicts;
        self.parked += other.parked;
    }
}

/// Walks the history of a seed.
///
/// # Errors
/// Something happened that must not have.
pub fn walk(seed: u64) -> Result<(Story, Totals), Box<Finding>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime");
    let ended = runtime.block_on(async {
        // The clock goes on by itself while a runtime has nothing to do, unless a thread of it is at work.
        let (release, hold) = std::sync::mpsc::channel::<()>();
        let holding = tokio::task::spawn_blocking(move || hold.recv());
        let mut history = History::begin(seed).await;
        let found = history.go().await;
        drop(release);
        drop(holding.await);
        history.end(found)
    });
    runtime.shutdown_background();
    ended
}

/// A verb.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
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

/// A history under way.
struct History {
    dice: Dice,
    company: Company,
    policy: Policy,
    faults: Faults,
    clock: Clock,
    cloud: Cloud,
    site: Site,
    judge: Judge,
    datafile: PathBuf,
    /// The snapshot of the last migration; absent before the first.
    moved: Option<SnapshotId>,
    /// A run that is not over: it goes on before anything else writes.
    unfinished: Option<Verb>,
    totals: Totals,
    story: Story,
    folder: TempDir,
}

type Found = Result<(), Vec<String>>;

impl History {
    async fn begin(seed: u64) -> Self {
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5eed);
        let company = Company::draw(&mut dice);
        let policy = steps::policy(&mut dice);
        let faults = steps::faults(&mut dice);
        let folder = rig::folder();
        let clock = Clock::new();
        let cloud = Cloud::serve(&company.state(), faults, folder.path()).await;
        let site = rig::site(folder.path(), &cloud.url(), &clock).await;
        let judge = Judge::new(&company.state(), movable(&company), policy.on_drift == OnDrift::Hold);
        let datafile = folder.path().join("users.ndjson");
        std::fs::write(&datafile, company.datafile()).expect("a datafile");
        let lines = vec![
            format!("policy {}", serde_json::to_string(&policy).expect("a policy")),
            format!("faults {faults:?}"),
            format!("tenant {}", company.state()),
            format!("datafile {}", company.datafile().replace('\n', " ")),
        ];
        let (totals, story) = (Totals { histories: 1, ..Totals::default() }, Story { seed, lines });
        Self {
            dice, company, policy, faults, clock, cloud, site, judge, datafile, moved: None, unfinished: None, totals, story, folder,
        }
    }

    fn end(mut self, found: Found) -> Result<(Story, Totals), Box<Finding>> {
        self.totals.writes = self.judge.ours as u64;
        drop(self.folder);
        match found {
            Ok(()) => Ok((self.story, self.totals)),
            Err(found) => Err(Box::new(Finding { story: self.story, found })),
        }
    }

    async fn go(&mut self) -> Found {
        let steps = 2 + self.dice.below(7);
        for _ in 0..steps {
            self.step().await?;
        }
        self.reckoning().await
    }

    fn tell(&mut self, line: String) {
        self.totals.steps += 1;
        self.story.lines.push(line);
    }

    async fn step(&mut self) -> Found {
        let ending = Ending::draw(&mut self.dice);
        if let Some(Verb::Rollback) = self.unfinished
            && self.dice.percent(60)
        {
            return self.verb(Verb::Rollback, ending).await;
        }
        match self.dice.below(10) {
            0..=3 => {
                if self.unfinished == Some(Verb::Rollback) {
                    return self.verb(Verb::Rollback, ending).await;
                }
                self.verb(Verb::Migrate, ending).await
            }
            4..=6 => self.somebody().await,
            7 if self.moved.is_some() && self.unfinished.is_none() => self.verb(Verb::Verify, ending).await,
            8 if self.moved.is_some() => self.verb(Verb::Rollback, ending).await,
            9 => {
                self.company.change_records(&mut self.dice);
                self.judge.may_move(movable(&self.company));
                std::fs::write(&self.datafile, self.company.datafile()).expect("a datafile");
                self.tell(format!("another datafile {}", self.company.datafile().replace('\n', " ")));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    async fn somebody(&mut self) -> Found {
        let known: Vec<u32> = self.company.people.iter().filter(|p| p.user.is_some()).map(|p| p.no).collect();
        if known.is_empty() {
            return Ok(());
        }
        let no = self.dice.one_of(&known);
        let (line, call) = steps::somebodys_change(no, &self.judge, &mut self.dice);
        // Nothing of ours is under way any more when it comes, and it is there for everybody before we go on.
        self.clock.pass(steps::until_seen(&self.faults)).await;
        self.cloud.call(&call).await;
        self.clock.pass(steps::until_seen(&self.faults)).await;
        self.tell(line);
        self.hear(Way::Still)
    }

    fn hear(&mut self, way: Way) -> Found {
        let found = self.judge.hear(&self.cloud.journal(), way);
        if found.is_empty() { Ok(()) } else { Err(found) }
    }

    /// One process from its beginning to whatever end it is brought to.
    async fn verb(&mut self, verb: Verb, ending: Ending) -> Found {
        let (site, pace) = (self.site.clone(), Pace::new());
        let (datafile, policy, moved) = (self.datafile.clone(), self.policy.clone(), self.moved.clone());
        let process = tokio::spawn({
            let pace = pace.clone();
            async move {
                let office = Office::open(site, pace).await?;
                let manifest = match (verb, moved) {
                    (Verb::Migrate, _) | (_, None) => office.file(&datafile).await?,
                    (Verb::Verify | Verb::Rollback, Some(id)) => office.filed(&id).await?,
                };
                let include = verb != Verb::Migrate;
                let spec = Office::spec(verb.kind(), ALL, &manifest.id, &policy, include)?;
                let worked = office.work(&spec, ending).await?;
                let results = office.results(worked.run.id).await?;
                anyhow::Ok((worked, results))
            }
        });
        let death = match ending {
            Ending::Death(death) => Some(death),
            Ending::Whole | Ending::Pause(_) | Ending::Stop(_) => None,
        };
        let requests = || pace.counts().round_trips;
        let end = self.clock.see_through(process, requests, death, LIMIT).await;
        let line = format!("{verb:?} {ending:?} at {}", self.clock.now_ms() % 1_000_000);
        let found = match end {
            End::Stuck => {
                self.tell(format!("{line}: stuck"));
                Err(vec![format!("{verb:?} has not come to its end")])
            }
            End::Died => {
                self.totals.deaths += 1;
                self.tell(format!("{line}: died"));
                Ok(())
            }
            End::Done(Err(error)) => {
                self.tell(format!("{line}: {error:#}"));
                Ok(())
            }
            End::Done(Ok((worked, fate))) => {
                self.tell(format!("{line}: {:?} {:?}", worked.released, fate));
                self.ended(verb, &worked, fate)
            }
        };
        let _ = found;
        found
    }

    fn ended(&mut self, verb: Verb, worked: &Worked, fate: Fate) -> Found {
        self.hear(verb.way())?;
        let _ = (worked, fate);
        Ok(())
    }

    async fn reckoning(&mut self) -> Found {
        Ok(())
    }
}

/// Ids of those whom the product may change.
fn movable(company: &Company) -> BTreeSet<String> {
    company.people.iter().filter(|p| p.movable).map(|p| id_of(p.no)).collect()
}
