//! Walks one history from its seed, and tells what was found.

use super::clock::{Clock, End, Life, Wire};
use super::cloud::Cloud;
use super::company::{Company, id_of, upn};
use super::judge::{Fate, Judge, Way};
use super::office::{Office, Site, Worked};
use super::rig;
use super::steps::{self, Ending};
use crate::sweep::Dice;
use contract::{EntryState, OnDrift, Policy, RunKind, RunState};
use coordinator::Released;
use graph::Pace;
use simulator::Faults;
use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tempfile::TempDir;

/// Longest time of the history's clock for one process; whoever takes longer is stuck.
const LIMIT: Duration = Duration::from_secs(1800);
/// Calls of one verb until it must have come to its end.
const CALLS: u32 = 6;
/// Everybody.
const ALL: &str = "all";
/// Some of them.
const SOME: &str = "some";

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

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}", self.seed)?;
        self.lines.iter().try_for_each(|line| writeln!(f, "  {line}"))
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.story)?;
        self.found.iter().try_for_each(|found| writeln!(f, "  FOUND {found}"))?;
        write!(f, "again: tests/simulate --seed {}", self.story.seed)
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} histories, {} steps, {} deaths, {} writes, {} rollbacks, {} conflicts, {} parked",
            self.histories, self.steps, self.deaths, self.writes, self.rollbacks, self.conflicts, self.parked
        )
    }
}

/// Walks the history of a seed. Its ledger and its journal are copied to `keep`, if that is given.
///
/// # Errors
/// Something happened that must not have.
pub fn walk(seed: u64, keep: Option<&Path>) -> Result<(Story, Totals), Box<Finding>> {
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
        history.end(found, keep).await
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

/// Whom a verb is about: everybody, or the batch of some that was made first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
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
    /// A run that is not over: it goes on before anything else writes.
    unfinished: Option<(Verb, Of)>,
    /// Whether the batch of some was made.
    has_batch: bool,
    /// The way that the last process went: what it has sent may still land.
    way: Way,
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
            dice,
            company,
            policy,
            faults,
            clock,
            cloud,
            site,
            judge,
            datafile,
            unfinished: None,
            has_batch: false,
            way: Way::Still,
            totals,
            story,
            folder,
        }
    }

    async fn end(mut self, found: Found, keep: Option<&Path>) -> Result<(Story, Totals), Box<Finding>> {
        self.totals.writes = self.judge.ours as u64;
        if let Some(keep) = keep {
            rig::keep(&self.site, self.folder.path(), keep).await;
        }
        drop(self.folder);
        match found {
            Ok(()) => Ok((self.story, self.totals)),
            Err(found) => Err(Box::new(Finding { story: self.story, found })),
        }
    }

    async fn go(&mut self) -> Found {
        if self.dice.percent(50) {
            self.make_batch().await?;
        }
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

    /// Some users under a name, before anything was moved.
    async fn make_batch(&mut self) -> Found {
        let mut users: Vec<String> = Vec::new();
        for person in &self.company.people {
            if users.is_empty() || self.dice.percent(50) {
                users.push(upn(person.no));
            }
        }
        let (site, life, pace) = (self.site.clone(), Life::new(), Pace::new());
        let (datafile, names) = (self.datafile.clone(), users.clone());
        let making = tokio::spawn({
            let (life, pace) = (life.clone(), pace.clone());
            async move {
                let office = Office::open(site, life, pace).await?;
                let manifest = office.file(&datafile).await?;
                office.make_batch(SOME, &names, &manifest.id).await
            }
        });
        let wire = Wire::new(&pace, &self.cloud.arrived);
        match self.clock.see_through(making, &life, &wire, None, LIMIT).await {
            End::Done(Ok(())) => {}
            End::Done(Err(error)) => return Err(vec![format!("no batch: {error:#}")]),
            End::Died | End::Stuck => return Err(vec!["the batch was not made".to_owned()]),
        }
        self.has_batch = true;
        self.tell(format!("a batch of {}", users.join(", ")));
        Ok(())
    }

    async fn step(&mut self) -> Found {
        let ending = Ending::draw(&mut self.dice);
        let some = self.has_batch && self.dice.percent(50);
        // What has been begun goes on, or back, before others are begun with.
        let of = match self.unfinished {
            Some((_, of)) => of,
            None if some => Of::Some,
            None => Of::All,
        };
        let is_on_its_way_back = matches!(self.unfinished, Some((Verb::Rollback, _)));
        if is_on_its_way_back && self.dice.percent(60) {
            return self.verb(Verb::Rollback, of, ending).await.map(drop);
        }
        match self.dice.below(10) {
            // Nobody goes forward who is on the way back.
            0..=3 if !is_on_its_way_back => self.verb(Verb::Migrate, of, ending).await.map(drop),
            4..=6 => self.somebody().await,
            7 if self.unfinished.is_none() => self.verb(Verb::Verify, of, ending).await.map(drop),
            8 => self.verb(Verb::Rollback, of, ending).await.map(drop),
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
        // Nothing of ours is under way any more when it comes, and it is there for everybody before we go on.
        self.clock.pass(steps::until_seen(&self.faults)).await;
        self.hear(self.way)?;
        self.way = Way::Still;
        let no = self.dice.one_of(&known);
        let (line, call) = steps::somebodys_change(no, &self.judge, &mut self.dice);
        self.cloud.call(&call).await;
        self.clock.pass(steps::until_seen(&self.faults)).await;
        self.tell(line);
        self.hear(Way::Still)
    }

    fn hear(&mut self, way: Way) -> Found {
        let found = self.judge.hear(&self.cloud.journal(), way);
        if found.is_empty() { Ok(()) } else { Err(found) }
    }

    /// One process from its beginning to whatever end it is brought to. Answers how the run stands, where it came to an
    /// end of its own.
    async fn verb(&mut self, verb: Verb, of: Of, ending: Ending) -> Result<Option<Worked>, Vec<String>> {
        let (site, life, pace) = (self.site.clone(), Life::new(), Pace::new());
        let (datafile, policy) = (self.datafile.clone(), self.policy.clone());
        let process = tokio::spawn({
            let (life, pace) = (life.clone(), pace.clone());
            async move {
                let office = Office::open(site, life, pace).await?;
                let manifest = match verb {
                    Verb::Migrate => office.file(&datafile).await?,
                    Verb::Verify | Verb::Rollback => {
                        match office.ledger.latest_run(&[RunKind::Migrate]).await? {
                            Some(run) => office.filed(&run.spec.snapshot).await?,
                            None => return Ok(None),
                        }
                    }
                };
                let spec =
                    Office::spec(verb.kind(), of.batch(), &manifest.id, &policy, verb != Verb::Migrate)?;
                anyhow::Ok(Some((office.work(&spec, ending).await?, manifest.accepted)))
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
                let counts: Vec<String> = worked
                    .counts
                    .iter()
                    .filter(|(_, n)| **n > 0)
                    .map(|(s, n)| format!("{} {n}", s.as_str()))
                    .collect();
                self.tell(format!(
                    "{line}: run {} {}: {}",
                    worked.run.id,
                    ended_as(&worked.released),
                    counts.join(", ")
                ));
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

    /// The end of every history: back to what was, twice; and sometimes forward and back once more.
    async fn reckoning(&mut self) -> Found {
        let rounds = 1 + self.dice.below(2);
        for round in 0..rounds {
            if let Some((verb, Of::Some)) = self.unfinished {
                // Its users could not be taken back before it ends.
                self.to_the_end(verb, Of::Some).await?;
            }
            let is_on_its_way_back = matches!(self.unfinished, Some((Verb::Rollback, _)));
            if (round > 0 || self.dice.percent(50)) && !is_on_its_way_back {
                self.to_the_end(Verb::Migrate, Of::All).await?;
            }
            let Some(back) = self.to_the_end(Verb::Rollback, Of::All).await? else { return Ok(()) };
            self.clock.pass(steps::until_seen(&self.faults)).await;
            self.hear(Way::Back)?;
            let lines = self.cloud.journal().len();
            let again = self.to_the_end(Verb::Rollback, Of::All).await?;
            let is_parked = back.counts.get(&EntryState::Parked).is_some_and(|n| *n > 0);
            let writes: Vec<_> = self.cloud.journal().split_off(lines);
            if !is_parked && !writes.is_empty() {
                return Err(vec![format!(
                    "a second rollback has written: {writes:?} {:?}",
                    again.map(|w| w.counts)
                )]);
            }
        }
        let found = self.judge.compare(&self.cloud.state().await);
        if found.is_empty() { Ok(()) } else { Err(found) }
    }

    /// Repeats a verb until it has come to its end; nothing where nothing was ever moved.
    async fn to_the_end(&mut self, verb: Verb, of: Of) -> Result<Option<Worked>, Vec<String>> {
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

fn ended_as(released: &Released) -> String {
    match released {
        Released::Done(_) => "done".to_owned(),
        Released::Stopped(_) => "stopped".to_owned(),
        Released::Halted(reason) => format!("halted ({reason})"),
        Released::Closed { reason, .. } => format!("closed ({reason})"),
    }
}

/// Ids of those whom the product may change.
fn movable(company: &Company) -> BTreeSet<String> {
    company.people.iter().filter(|p| p.movable).map(|p| id_of(p.no)).collect()
}
