//! What the operator reads while a verb runs: bars on a terminal, plain lines otherwise, always on standard error.
//!
//! Whenever something waits, the reason is in the line.

use broker::Queue;
use contract::RunId;
use graph::{BucketStatus, Pace};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use ledger::{Counts, Ledger, OpenedRun};
use std::convert::Infallible;
use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};
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
    last_line: Mutex<Instant>,
}

/// A run to follow.
pub(crate) struct Watched<'a> {
    pub(crate) ledger: &'a dyn Ledger,
    pub(crate) run: RunId,
    /// The pace of this process, where it is the one that works; otherwise the pace is in the ledger.
    pub(crate) pace: Option<&'a Pace>,
    pub(crate) horizon: Duration,
}

impl Watched<'_> {
    async fn buckets(&self) -> Vec<BucketStatus> {
        match self.pace {
            Some(pace) => pace.status(),
            None => crate::services::buckets(self.ledger).await,
        }
    }

    /// Why nothing moves, if nothing does.
    async fn waits(&self, counts: &Counts) -> Option<String> {
        let users = crate::lines::waits(self.ledger, self.run, counts, self.horizon).await;
        match (self.pace, users) {
            (Some(_), reason) => reason,
            (None, Some(reason)) => Some(reason),
            (None, None) => crate::services::hindrance(self.ledger).await,
        }
    }
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
        let last_line = Mutex::new(Instant::now());
        Self { bar, terminal, last_line }
    }

    /// Something begins.
    pub(crate) fn step(&self, what: &str) {
        if self.terminal {
            self.bar.set_message(format!("{what} …"));
            self.bar.tick();
        } else {
            say!("{what}");
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

    /// Records of a snapshot that others file.
    pub(crate) fn filing(&self, filed: u64, of: u64, waits: Option<String>) {
        let why = waits.map(|reason| format!(", waits: {reason}")).unwrap_or_default();
        if self.terminal {
            self.bar.set_length(of);
            self.bar.set_position(filed);
            self.bar.set_message(format!("records filed{why}"));
        } else if self.is_time_for_a_line() {
            say!("{filed} of {of} records filed{why}");
        }
    }

    /// Says what keeps a queue from taking messages, until it is dropped.
    pub(crate) async fn hindrance(&self, queue: &dyn Queue) -> Infallible {
        loop {
            tokio::time::sleep(KEEP).await;
            if let Some(reason) = queue.waits_for() {
                if self.terminal {
                    self.bar.set_message(format!("waits: {reason}"));
                } else if self.is_time_for_a_line() {
                    say!("waits: {reason}");
                }
            }
        }
    }

    /// Follows a run until it is dropped.
    pub(crate) async fn follow(&self, watched: &Watched<'_>) -> Infallible {
        let started = Instant::now();
        let mut first = None;
        let mut last_kept = Instant::now();
        loop {
            if let Some(pace) = watched.pace
                && last_kept.elapsed() >= KEEP
            {
                last_kept = Instant::now();
                // Only for `status` beside us; what fails here fails louder elsewhere.
                drop(watched.ledger.keep_rates(&kept(pace)).await);
            }
            let asked = Instant::now();
            if let Ok(counts) = watched.ledger.counts(watched.run).await {
                let total: u64 = counts.values().sum();
                let settled: u64 = counts.iter().filter(|(s, _)| s.is_settled()).map(|(_, n)| n).sum();
                let begun = *first.get_or_insert(settled);
                let buckets = watched.buckets().await;
                let mut message = message(settled - begun, total - begun, started.elapsed(), &buckets);
                if let Some(reason) = watched.waits(&counts).await {
                    message = reason;
                }
                self.bar.set_length(total);
                self.bar.set_position(settled);
                self.bar.set_message(message.clone());
                if !self.terminal && self.is_time_for_a_line() {
                    say!(
                        "{settled} of {total} users settled{}{message}",
                        if message.is_empty() { "" } else { ", " }
                    );
                }
            }
            // Counting half a million rows takes its time: it is done for a twentieth of the time at most.
            tokio::time::sleep(TICK.max(asked.elapsed() * 20)).await;
        }
    }

    /// Users whose passes are made or taken away.
    pub(crate) fn passes(&self, done: u64, of: u64, later: u64) {
        let why = match later {
            0 => String::new(),
            n => format!(", {n} wait for an answer of Graph, or are in another operator's hands"),
        };
        if self.terminal {
            self.bar.set_length(of);
            self.bar.set_position(done);
            self.bar.set_message(format!("users{why}"));
        } else if self.is_time_for_a_line() {
            eprintln!("{done} of {of} users{why}");
        }
    }

    /// A wait that is told now and then.
    pub(crate) fn waits(&self, why: &str) {
        if self.terminal {
            self.bar.set_message(why.to_owned());
            self.bar.tick();
        } else if self.is_time_for_a_line() {
            eprintln!("{why}");
        }
    }

    fn is_time_for_a_line(&self) -> bool {
        let mut last = self.last_line.lock().unwrap_or_else(PoisonError::into_inner);
        let due = last.elapsed() >= LINE;
        if due {
            *last = Instant::now();
        }
        due
    }

    /// A line that stays.
    pub(crate) fn line(&self, text: &str) {
        if self.terminal {
            self.bar.println(text);
        } else {
            say!("{text}");
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
fn message(done: u64, total: u64, elapsed: Duration, buckets: &[BucketStatus]) -> String {
    let mut parts = Vec::new();
    let progress = rules::progress(done, total, elapsed);
    if let Some(rate) = progress.users_per_s {
        parts.push(format!("{rate:.0} users/s"));
    }
    if let Some(eta) = progress.eta {
        parts.push(format!("{} to go", crate::lines::duration(eta)));
    }
    let learned = |b: &&BucketStatus| b.learned && b.bucket == graph::Bucket::Writes;
    if let Some(writes) = buckets.iter().find(learned) {
        parts.push(format!("Graph takes {:.1} writes/s", writes.rate_per_s));
    }
    for bucket in buckets {
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
