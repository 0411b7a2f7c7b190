//! Walks one history from its seed, and tells what was found.

mod verbs;

use super::clock::{Clock, End, Life, Wire};
use super::cloud::Cloud;
use super::company::{Company, id_of, upn};
use super::judge::{Judge, Way};
use super::office::{Office, Site};
use super::rig;
use super::steps::{self, Ending};
use super::story::{Finding, Story, Totals};
use crate::sweep::Dice;
use contract::{EntryState, OnDrift, Policy};
use graph::Pace;
use simulator::Faults;
use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;
use tempfile::TempDir;
use verbs::{Of, Verb};

/// Longest time of the history's clock for one process; whoever takes longer is stuck.
const LIMIT: Duration = Duration::from_secs(1800);
/// Everybody.
const ALL: &str = "all";
/// Some of them.
const SOME: &str = "some";

/// Walks the history of a seed. Its ledger and its journal are copied to `keep`, if that is given.
///
/// # Errors
/// Something happened that must not have, or it was not at its end after so long in real time.
pub fn walk(seed: u64, each: Duration, keep: Option<&Path>) -> Result<(Story, Totals), Box<Finding>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime");
    let walking = async {
        // The clock goes on by itself while a runtime has nothing to do, unless a thread of it is at work. That thread
        // knows real time too: whoever waits for a clock that stands, or never lets it go on, would wait for ever.
        let (release, hold) = std::sync::mpsc::channel::<()>();
        let (late, is_late) = tokio::sync::oneshot::channel::<()>();
        let holding = tokio::task::spawn_blocking(move || {
            if hold.recv_timeout(each) == Err(RecvTimeoutError::Timeout) {
                // Nobody listens any more where it has come to its end this moment.
                late.send(()).ok();
            }
        });
        let mut history = History::begin(seed).await;
        let found = tokio::select! {
            biased;
            Ok(()) = is_late => None,
            found = history.go() => Some(found),
        };
        let found = found.unwrap_or_else(|| Err(vec![history.told_late(each)]));
        drop(release);
        drop(holding.await);
        history.end(found, keep).await
    };
    let ended = std::panic::catch_unwind(AssertUnwindSafe(|| runtime.block_on(walking)));
    runtime.shutdown_background();
    // Where it panicked was told by the one that did; of which history it was, nobody would know.
    ended.unwrap_or_else(|fault| {
        let words = fault.downcast_ref::<String>().map(String::as_str);
        let words = words.or_else(|| fault.downcast_ref::<&str>().copied()).unwrap_or_default();
        let story = Story { seed, lines: Vec::new() };
        Err(Box::new(Finding { story, found: vec![format!("it panicked: {words}")] }))
    })
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
    /// The step under way.
    at: String,
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
            at: "nothing yet".to_owned(),
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

    fn told_late(&self, each: Duration) -> String {
        format!("not at its end after {each:?}, in the middle of {}; {}", self.at, self.clock.standing())
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
        self.at = format!("a batch of {}", users.join(", "));
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
        self.at = "somebody's change".to_owned();
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

    /// The end of every history: back to what was, twice; and sometimes forward and back once more.
    async fn reckoning(&mut self) -> Found {
        let rounds = 1 + self.dice.below(2);
        for round in 0..rounds {
            if let Some((verb, Of::Some)) = self.unfinished {
                // Its users could not be taken back before it ends.
                self.repeat_until_done(verb, Of::Some).await?;
            }
            let is_on_its_way_back = matches!(self.unfinished, Some((Verb::Rollback, _)));
            if (round > 0 || self.dice.percent(50)) && !is_on_its_way_back {
                self.repeat_until_done(Verb::Migrate, Of::All).await?;
            }
            let Some(back) = self.repeat_until_done(Verb::Rollback, Of::All).await? else { return Ok(()) };
            self.clock.pass(steps::until_seen(&self.faults)).await;
            self.hear(Way::Back)?;
            let lines = self.cloud.journal().len();
            let again = self.repeat_until_done(Verb::Rollback, Of::All).await?;
            let is_parked = back.counts.get(&EntryState::Parked).is_some_and(|n| *n > 0);
            let writes: Vec<_> = self.cloud.journal().split_off(lines);
            if !is_parked && !writes.is_empty() {
                return Err(vec![format!(
                    "a second rollback has written: {writes:?} {:?}",
                    again.map(|w| w.counts)
                )]);
            }
        }
        self.at = "the last look at the tenant".to_owned();
        let found = self.judge.compare(&self.cloud.state().await);
        if found.is_empty() { Ok(()) } else { Err(found) }
    }
}

/// Ids of those whom the product may change.
fn movable(company: &Company) -> BTreeSet<String> {
    company.people.iter().filter(|p| p.movable).map(|p| id_of(p.no)).collect()
}
