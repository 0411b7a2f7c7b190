//! What the operator reads while a verb runs: bars on a terminal, plain lines otherwise, always on standard error.
//!
//! Whenever something waits, the reason is in the line.

use contract::RunId;
use graph::Pace;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use ledger::{Ledger, OpenedRun};
use std::convert::Infallible;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// How often a bar moves.
const TICK: Duration = Duration::from_millis(250);
/// How often the pace is written down for `status`.
const KEEP: Duration = Duration::from_secs(1);
/// How often a plain line is printed.
const LINE: Duration = Duration::from_secs(10);

/// Where notices go.
pub(crate) struct Notices {
    bar: ProgressBar,
    terminal: bool,
}

impl Notices {
    /// Notices of one verb, such as `rehearse`.
    pub(crate) fn new(verb: &'static str) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let bar = ProgressBar::with_draw_target(
            Some(0),
            if terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() },
        );
        if let Ok(style) = ProgressStyle::with_template("{prefix:>9} [{bar:32}] {pos}/{len}  {msg}") {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_prefix(verb);
        Self { bar, terminal }
    }

    /// Something begins.
    pub(crate) fn step(&self, what: &str) {
        if self.terminal {
            self.bar.set_message(format!("{what} …"));
            self.bar.tick();
        } else {
            eprintln!("{what}");
        }
    }

    /// A run was opened or found.
    pub(crate) fn opened(&self, opened: &OpenedRun) {
        let id = opened.run.id;
        if opened.resumed {
            self.line(&format!("resuming run {id}: what is settled stays as it is"));
        }
        for old in &opened.superseded {
            self.line(&format!(
                "run {old} was unfinished and is taken over by run {id}: its unsettled users are planned anew"
            ));
        }
    }

    /// Users of the directory read so far.
    pub(crate) fn directory(&self, users: u64) {
        if self.terminal {
            self.bar.set_message(format!("reading the directory … {users} users"));
            self.bar.tick();
        }
    }

    /// Follows a run until it is dropped.
    pub(crate) async fn follow(
        &self,
        ledger: &dyn Ledger,
        run: RunId,
        pace: &Pace,
        horizon: Duration,
    ) -> Infallible {
        let started = Instant::now();
        let mut first = None;
        let mut last_line = Instant::now();
        let mut last_kept = Instant::now();
        loop {
            if last_kept.elapsed() >= KEEP {
                last_kept = Instant::now();
                // Only for `status` beside us; what fails here fails louder elsewhere.
                drop(ledger.keep_rates(&kept(pace)).await);
            }
            if let Ok(counts) = ledger.counts(run).await {
                let total: u64 = counts.values().sum();
                let settled: u64 = counts.iter().filter(|(s, _)| s.is_settled()).map(|(_, n)| n).sum();
                let begun = *first.get_or_insert(settled);
                let mut message = message(settled - begun, total - begun, started.elapsed(), pace);
                if let Some(reason) = crate::lines::waits(ledger, run, &counts, horizon).await {
                    message = reason;
                }
                self.bar.set_length(total);
                self.bar.set_position(settled);
                self.bar.set_message(message.clone());
                if !self.terminal && last_line.elapsed() >= LINE {
                    last_line = Instant::now();
                    eprintln!(
                        "{settled} of {total} users settled{}{message}",
                        if message.is_empty() { "" } else { ", " }
                    );
                }
            }
            tokio::time::sleep(TICK).await;
        }
    }

    /// A line that stays.
    pub(crate) fn line(&self, text: &str) {
        if self.terminal {
            self.bar.println(text);
        } else {
            eprintln!("{text}");
        }
    }

    /// The bar is done with.
    pub(crate) fn end(&self) {
        self.bar.finish_and_clear();
    }
}

/// The pace as `status` reads it: what was learned, and what is held until when.
fn kept(pace: &Pace) -> Vec<(String, f64)> {
    let now_s = time::OffsetDateTime::now_utc().unix_timestamp() as f64;
    let learned = pace.learned().into_iter().map(|(bucket, rate)| (bucket.to_owned(), rate));
    let held = pace.status().into_iter().map(|bucket| {
        let until_s = bucket.held_for.map_or(0.0, |hold| now_s + hold.as_secs_f64());
        (format!("{}{}", crate::lines::HELD_UNTIL, bucket.bucket.as_str()), until_s)
    });
    learned.chain(held).collect()
}

/// Rate, time to go, and why it waits.
fn message(done: u64, total: u64, elapsed: Duration, pace: &Pace) -> String {
    let mut parts = Vec::new();
    let progress = rules::progress(done, total, elapsed);
    if let Some(rate) = progress.users_per_s {
        parts.push(format!("{rate:.0} users/s"));
    }
    if let Some(eta) = progress.eta {
        parts.push(format!("{} to go", crate::lines::duration(eta)));
    }
    let writes = pace.of(graph::Bucket::Writes);
    if writes.learned {
        parts.push(format!("Graph takes {:.1} writes/s", writes.rate_per_s));
    }
    for bucket in pace.status() {
        if let Some(hold) = bucket.held_for {
            parts.push(format!(
                "throttled by Graph ({}), {} s left",
                bucket.bucket.as_str(),
                hold.as_secs() + 1
            ));
        }
    }
    parts.join(", ")
}
