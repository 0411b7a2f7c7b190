//! `simulate --seeds N [--from S]`: walks the random histories of so many seeds, one on each core at a time.
//!
//! Prints one line of totals at the end. Exit code 1 with the seed, its history and what was found, where something was.

use harness::history::{Finding, Totals, walk};
use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Seeds between two lines of progress.
const TELL_EVERY: u64 = 500;

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "a command")]
fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let Some(asked) = Asked::read(&args) else {
        eprintln!("usage: simulate [--seeds N] [--from S] [--seed S] [--keep DIR] [--keep-going]");
        return ExitCode::from(2);
    };
    let (totals, findings) = asked.walk_all();
    for finding in &findings {
        eprintln!("{finding}");
    }
    println!("{totals}, {} failed", findings.len());
    if findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
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
}

impl Asked {
    /// Nothing where a word is not known or its value cannot be read.
    fn read(args: &[String]) -> Option<Self> {
        let mut asked = Self { seeds: 1000, from: 1, keep_going: false, keep: None, tell: false };
        let mut args = args.iter();
        while let Some(name) = args.next() {
            match name.as_str() {
                "--seeds" => asked.seeds = args.next()?.parse().ok()?,
                "--from" => asked.from = args.next()?.parse().ok()?,
                "--seed" => (asked.from, asked.seeds, asked.tell) = (args.next()?.parse().ok()?, 1, true),
                "--keep" => asked.keep = Some(args.next()?.into()),
                "--keep-going" => asked.keep_going = true,
                _ => return None,
            }
        }
        Some(asked)
    }

    #[expect(clippy::print_stderr, clippy::print_stdout, reason = "progress of a command")]
    fn walk_all(&self) -> (Totals, Vec<Finding>) {
        let (next, done, stop) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
        let sum = Mutex::new((Totals::default(), Vec::new()));
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        std::thread::scope(|scope| {
            for _ in 0..cores {
                scope.spawn(|| {
                    while !stop.load(Ordering::SeqCst) {
                        let at = next.fetch_add(1, Ordering::SeqCst);
                        if at >= self.seeds {
                            return;
                        }
                        let walked = walk(self.from + at, self.keep.as_deref());
                        let so_far = done.fetch_add(1, Ordering::SeqCst) + 1;
                        if so_far % TELL_EVERY == 0 || std::io::stderr().is_terminal() && so_far % 20 == 0 {
                            eprintln!("{so_far} of {}", self.seeds);
                        }
                        let Ok(mut sum) = sum.lock() else { return };
                        match walked {
                            Ok((story, totals)) => {
                                sum.0.add(&totals);
                                if self.tell {
                                    println!("{story}");
                                }
                            }
                            Err(finding) => {
                                sum.1.push(*finding);
                                stop.store(!self.keep_going, Ordering::SeqCst);
                            }
                        }
                    }
                });
            }
        });
        sum.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
