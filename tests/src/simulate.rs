//! `simulate --seeds N [--from S]`: walks the random histories of so many seeds, one on each core at a time.
//!
//! Prints one line of totals at the end. Exit code 1 with the seed, its history and what was found, where something was.
//! A history that is not at its end after `--each` seconds of real time has failed, and the next one is walked; all of them
//! together have `--within` seconds, after which no new one is begun and the seeds that were under way are told.

use harness::history::{Finding, Totals, walk};
use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Seeds between two lines of progress.
const TELL_EVERY: u64 = 500;
/// Real time of one history, unless told otherwise: most take a fifth of a second.
const EACH: Duration = Duration::from_secs(120);
/// Real time of all histories, unless told otherwise: so much, and a second for each.
const WITHIN: Duration = Duration::from_secs(300);
/// So long after its limit, a history that has not broken itself off never will: its thread is stuck.
const GRACE: Duration = Duration::from_secs(60);
/// Looks at the limits.
const LOOK_EVERY: Duration = Duration::from_millis(500);

#[expect(clippy::print_stderr, reason = "a command")]
fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let Some(asked) = Asked::read(&args) else {
        eprintln!(
            "usage: simulate [--seeds N] [--from S] [--seed S] [--keep DIR] [--keep-going] [--each SECONDS] [--within SECONDS]"
        );
        return ExitCode::from(2);
    };
    let (course, is_in_time) = asked.walk_all();
    tell(&course);
    if is_in_time && course.findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What the command line asks for.
struct Asked {
    seeds: u64,
    from: u64,
    /// All seeds are walked, whatever is found.
    keep_going: bool,
    /// Where the ledger and the journal go.
    keep: Option<PathBuf>,
    /// The history is told even where nothing was found.
    tell: bool,
    /// Real time of one history.
    each: Duration,
    /// Real time of all of them.
    within: Option<Duration>,
}

/// How far the histories are.
#[derive(Default)]
struct Course {
    totals: Totals,
    findings: Vec<Finding>,
    /// The seeds that are walked at this moment, and since when.
    under_way: BTreeMap<u64, Instant>,
    walked: u64,
}

/// A thread that panicked has left nothing half done in it.
fn lock(course: &Mutex<Course>) -> MutexGuard<'_, Course> {
    course.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Asked {
    /// Nothing where a word is not known or its value cannot be read.
    fn read(args: &[String]) -> Option<Self> {
        let mut asked = Self {
            seeds: 1000,
            from: 1,
            keep_going: false,
            keep: None,
            tell: false,
            each: EACH,
            within: None,
        };
        let seconds = |word: &String| word.parse().ok().map(Duration::from_secs);
        let mut args = args.iter();
        while let Some(name) = args.next() {
            match name.as_str() {
                "--seeds" => asked.seeds = args.next()?.parse().ok()?,
                "--from" => asked.from = args.next()?.parse().ok()?,
                "--seed" => (asked.from, asked.seeds, asked.tell) = (args.next()?.parse().ok()?, 1, true),
                "--keep" => asked.keep = Some(args.next()?.into()),
                "--keep-going" => asked.keep_going = true,
                "--each" => asked.each = seconds(args.next()?)?,
                "--within" => asked.within = Some(seconds(args.next()?)?),
                _ => return None,
            }
        }
        Some(asked)
    }

    #[expect(clippy::print_stderr, reason = "progress of a command")]
    fn walk_all(&self) -> (Course, bool) {
        let within = self.within.unwrap_or(WITHIN + Duration::from_secs(self.seeds));
        eprintln!("{} histories, each within {:?}, all within {within:?}", self.seeds, self.each);
        let (next, stop, course) = (AtomicU64::new(0), AtomicBool::new(false), Mutex::default());
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let is_in_time = std::thread::scope(|scope| {
            let (under_way, all_ended) = std::sync::mpsc::channel::<()>();
            for _ in 0..cores {
                let under_way = under_way.clone();
                let (next, stop, course) = (&next, &stop, &course);
                scope.spawn(move || {
                    self.walk_some(next, stop, course);
                    drop(under_way);
                });
            }
            drop(under_way);
            self.watch(&all_ended, within, &stop, &course)
        });
        (course.into_inner().unwrap_or_else(PoisonError::into_inner), is_in_time)
    }

    /// Walks one seed after the other until there is none left.
    #[expect(clippy::print_stderr, clippy::print_stdout, reason = "progress of a command")]
    fn walk_some(&self, next: &AtomicU64, stop: &AtomicBool, course: &Mutex<Course>) {
        while !stop.load(Ordering::SeqCst) {
            let at = next.fetch_add(1, Ordering::SeqCst);
            if at >= self.seeds {
                return;
            }
            let seed = self.from + at;
            lock(course).under_way.insert(seed, Instant::now());
            let walked = walk(seed, self.each, self.keep.as_deref());
            let mut course = lock(course);
            course.under_way.remove(&seed);
            course.walked += 1;
            let so_far = course.walked;
            if so_far.is_multiple_of(TELL_EVERY)
                || std::io::stderr().is_terminal() && so_far.is_multiple_of(20)
            {
                eprintln!("{so_far} of {}", self.seeds);
            }
            match walked {
                Ok((story, totals)) => {
                    course.totals.add(&totals);
                    if self.tell {
                        println!("{story}");
                    }
                }
                Err(finding) => {
                    course.findings.push(*finding);
                    // Never taken back: the time of all may be over.
                    stop.fetch_or(!self.keep_going, Ordering::SeqCst);
                }
            }
        }
    }

    /// Until all have ended; false where no new ones were begun because the time of all was over. Ends the process where one
    /// heeds no limit: there is no other way to end a thread that is stuck.
    #[expect(clippy::print_stderr, reason = "what a command has found")]
    fn watch(
        &self,
        all_ended: &Receiver<()>,
        within: Duration,
        stop: &AtomicBool,
        course: &Mutex<Course>,
    ) -> bool {
        let began = Instant::now();
        let mut is_in_time = true;
        while all_ended.recv_timeout(LOOK_EVERY) == Err(RecvTimeoutError::Timeout) {
            let course = lock(course);
            let is_stuck = course.under_way.values().any(|since| since.elapsed() > self.each + GRACE);
            let is_late = is_in_time && began.elapsed() > within;
            if is_stuck || is_late {
                for (seed, since) in &course.under_way {
                    let for_so_long = since.elapsed();
                    eprintln!("under way for {for_so_long:?}: tests/simulate --seed {seed}");
                }
                eprintln!("not at the end after {:?}: {} of {}", began.elapsed(), course.walked, self.seeds);
            }
            if is_stuck {
                tell(&course);
                std::process::exit(1);
            }
            if is_late {
                // Those under way come to their own end, or to their limit.
                is_in_time = false;
                stop.store(true, Ordering::SeqCst);
            }
        }
        is_in_time
    }
}

/// What was found, and the totals.
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "a command")]
fn tell(course: &Course) {
    for finding in &course.findings {
        eprintln!("{finding}");
    }
    println!("{}, {} failed", course.totals, course.findings.len());
}
