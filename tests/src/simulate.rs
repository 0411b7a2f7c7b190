//! `simulate --seeds N [--from S]`: walks the random histories of so many seeds, one after the other on each core.
//!
//! Prints one line of totals at the end. Exit code 1 with the seed, its history and what was found, where something was.

use harness::history;
use std::process::ExitCode;

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "a command")]
fn main() -> ExitCode {
    let seed: u64 = std::env::args().nth(1).and_then(|s| s.parse().ok()).unwrap_or(1);
    match history::walk(seed) {
        Ok((story, totals)) => {
            for line in &story.lines { println!("{line}"); }
            println!("{totals:?}");
            ExitCode::SUCCESS
        }
        Err(finding) => {
            eprintln!("{finding:#?}");
            ExitCode::FAILURE
        }
    }
}
