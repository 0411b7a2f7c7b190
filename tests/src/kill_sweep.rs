//! `kill-sweep --kills N --seed S [--kind both|embedded|fleet]`: kills the product at named points and at random moments,
//! half of the times in one process and half across processes, and prints what was lost, as one line of JSON.
//!
//! Exit code 0 only if nothing was.

use std::process::ExitCode;

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "a command")]
fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let Some(asked) = Asked::read(&args) else {
        eprintln!("usage: kill-sweep [--kills N] [--seed S] [--kind both|embedded|fleet]");
        return ExitCode::from(2);
    };
    let Asked { embedded, fleet, seed } = asked;
    // Most of a sweep is waiting, so the two kinds wait together.
    let sweep = std::thread::scope(|scope| {
        let in_one_process = scope.spawn(|| harness::sweep(embedded, seed));
        let across_processes = harness::sweep_fleet(fleet, seed);
        across_processes.and(in_one_process.join().unwrap_or_else(|fault| std::panic::resume_unwind(fault)))
    });
    for verdict in &sweep.verdicts {
        eprintln!("{verdict:#?}");
    }
    for story in &sweep.stories {
        eprintln!("{story}");
    }
    println!(
        "{{\"kills\":{},\"lost\":{},\"duplicated\":{},\"overwritten\":{},\"stuck\":{},\"seed\":{seed}}}",
        sweep.kills, sweep.lost, sweep.duplicated, sweep.overwritten, sweep.stuck
    );
    if sweep.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What the command line asks for.
struct Asked {
    /// Kills of the kind in one process.
    embedded: u32,
    /// Kills of the kind across processes.
    fleet: u32,
    seed: u64,
}

impl Asked {
    /// Nothing where a word is not known or its value cannot be read.
    fn read(args: &[String]) -> Option<Self> {
        let (mut kills, mut seed, mut kind) = (20_u32, 1_u64, "both");
        for pair in args.chunks(2) {
            let [name, value] = pair else { return None };
            match name.as_str() {
                "--kills" => kills = value.parse().ok()?,
                "--seed" => seed = value.parse().ok()?,
                "--kind" => kind = value,
                _ => return None,
            }
        }
        let (embedded, fleet) = match kind {
            "both" => (kills / 2, kills - kills / 2),
            "embedded" => (kills, 0),
            "fleet" => (0, kills),
            _ => return None,
        };
        Some(Self { embedded, fleet, seed })
    }
}
