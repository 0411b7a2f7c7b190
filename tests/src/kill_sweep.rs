//! `kill-sweep --kills N --seed S`: kills the product at random moments and prints what was lost, as one line of JSON.
//!
//! Exit code 0 only if nothing was.

use std::process::ExitCode;

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "a command")]
fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| {
        let at = args.iter().position(|a| a == name)?;
        args.get(at + 1)?.parse::<u64>().ok()
    };
    let known =
        args.chunks(2).all(|pair| pair.len() == 2 && matches!(pair[0].as_str(), "--kills" | "--seed"));
    let kills = value("--kills").or((!args.iter().any(|a| a == "--kills")).then_some(20));
    let seed = value("--seed").or((!args.iter().any(|a| a == "--seed")).then_some(1));
    let (Some(kills), Some(seed), true) = (kills.and_then(|k| u32::try_from(k).ok()), seed, known) else {
        eprintln!("usage: kill-sweep [--kills N] [--seed S]");
        return ExitCode::from(2);
    };
    let sweep = harness::sweep(kills, seed);
    for verdict in &sweep.verdicts {
        eprintln!("{verdict:#?}");
    }
    println!(
        "{{\"kills\":{},\"lost\":{},\"duplicated\":{},\"overwritten\":{},\"stuck\":{},\"seed\":{seed}}}",
        sweep.kills, sweep.lost, sweep.duplicated, sweep.overwritten, sweep.stuck
    );
    if sweep.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
