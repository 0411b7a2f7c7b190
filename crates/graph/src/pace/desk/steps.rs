//! The task that does a process's steps on a bucket's row: one at a time, with everything that is to be said.
//!
//! Invariant: a step is never cut off in the middle, and nothing counts as granted or reported before it was answered.

use super::{Ask, COMPANY, Counter, FURTHEST, Owed, Report, STOCK_S, Seen, State, Told};
use crate::pace::row::Row;
use crate::pace::shared::{SharedPace, Unavailable};
use crate::pace::smooth::Block;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// Steps of one process and bucket are no nearer to each other than this, throttles excepted.
const SPACING: Duration = Duration::from_millis(10);
/// How long before its time quota is asked for, at least and at most.
const AHEAD_S: (f64, f64) = (0.004, 0.06);
/// Waits while the book is away, the first and the longest.
const AWAY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// What one step was told, with the clocks side by side.
struct Heard {
    told: Told,
    row_s: f64,
    at: Instant,
}

type Outcome = Result<Option<Heard>, Unavailable>;
type Running = Pin<Box<dyn Future<Output = Outcome> + Send>>;

struct Steps {
    counter: Arc<Counter>,
    book: Arc<dyn SharedPace>,
    /// How long a step takes, in seconds, and when the last one began.
    takes_s: f64,
    began: Option<Instant>,
    /// The wait before the next attempt while the book is away, and when that is.
    away: Option<(Duration, Instant)>,
}

/// Serves until the desk is closed; then reports what is owed, once.
pub(super) async fn serve(counter: Arc<Counter>, book: Arc<dyn SharedPace>) {
    let mut steps =
        Steps { counter: Arc::clone(&counter), book, takes_s: AHEAD_S.0, began: None, away: None };
    let mut running: Option<Running> = None;
    loop {
        // A change after the look leaves a permit, so that it is not missed.
        let changed = counter.changed.notified();
        let now = Instant::now();
        let (next, wanted, is_closed) = {
            let mut state = counter.state();
            let next = state.hand_out(now);
            (next, steps.wanted(&state, now), state.is_closed)
        };
        if running.is_none() && (is_closed || wanted.is_some_and(|at| at <= now)) {
            running = Some(steps.begin(now));
        }
        let wake = next.into_iter().chain(wanted.filter(|_| running.is_none())).min();
        tokio::select! {
            outcome = async { match running.as_mut() { Some(step) => step.await, None => std::future::pending().await } } => {
                running = None;
                steps.ended(outcome);
                if is_closed {
                    return;
                }
            }
            () = async { match wake { Some(at) => sleep_until(at).await, None => std::future::pending().await } } => {}
            () = changed => {}
        }
    }
}

impl Steps {
    /// When the next step is wanted, if anything is to be said or asked.
    fn wanted(&self, state: &State, now: Instant) -> Option<Instant> {
        let spaced = self.began.map_or(now, |began| began + SPACING);
        let reports = state.owed_since.map(|since| since + COMPANY);
        let line = if state.uncovered().0.is_empty() {
            state.wants_stock().then_some(now)
        } else {
            Some(state.seen.and_then(|seen| seen.back).unwrap_or(now))
        };
        let usual = reports.into_iter().chain(line).min().map(|at| at.max(spaced));
        let at = if state.is_urgent { Some(now) } else { usual };
        match self.away {
            Some((_, until)) => at.map(|at| at.max(until)),
            None => at,
        }
    }

    /// Begins a step. What it says and asks is looked up when the row is held, which may be much later.
    fn begin(&mut self, now: Instant) -> Running {
        self.began = Some(now);
        let (counter, book) = (Arc::clone(&self.counter), Arc::clone(&self.book));
        let ahead_s = (self.takes_s * 1.5 + 0.002).clamp(AHEAD_S.0, AHEAD_S.1);
        Box::pin(async move {
            let heard: Arc<Mutex<Option<Heard>>> = Arc::default();
            let saying: Arc<Mutex<Vec<Owed>>> = Arc::default();
            let (slot, said, desk) = (Arc::clone(&heard), Arc::clone(&saying), Arc::clone(&counter));
            let step = Box::new(move |on_file: Option<&str>, row_s: f64| {
                let at = Instant::now();
                let mut state = desk.state();
                let mut row = desk.row(&state, on_file, row_s);
                let owed = state.say();
                let ask = desk.ask(&mut state, &owed, ahead_s, (row_s, at));
                drop(state);
                *said.lock().unwrap_or_else(PoisonError::into_inner) = owed;
                let told = row.step(row_s, ask);
                *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(Heard { told, row_s, at });
                row.encode()
            });
            match book.step(counter.bucket, step).await {
                Ok(()) => Ok(heard.lock().unwrap_or_else(PoisonError::into_inner).take()),
                Err(away) => {
                    let unsaid = std::mem::take(&mut *saying.lock().unwrap_or_else(PoisonError::into_inner));
                    counter.state().say_again(unsaid);
                    Err(away)
                }
            }
        })
    }

    fn ended(&mut self, outcome: Outcome) {
        let now = Instant::now();
        let bucket = self.counter.bucket.as_str();
        if let Ok(Some(heard)) = outcome {
            if self.away.take().is_some() {
                tracing::info!(bucket, "the shared pace can be reached again");
            }
            let took_s = self.began.map_or(0.0, |began| (now - began).as_secs_f64());
            self.takes_s += (took_s.min(1.0) - self.takes_s) / 8.0;
            self.counter.state().hear(&heard);
            return;
        }
        if self.away.is_none() {
            tracing::warn!(bucket, "the shared pace cannot be reached; nothing is sent until it can");
        }
        let wait = self.away.map_or(AWAY.0, |(wait, _)| (wait * 2).min(AWAY.1));
        self.away = Some((wait, now + wait));
    }
}

impl Counter {
    /// The row that is on file, or a new one.
    fn row(&self, state: &State, on_file: Option<&str>, row_s: f64) -> Row {
        let row = on_file.and_then(Row::parse);
        if row.is_none() && on_file.is_some() {
            let bucket = self.bucket.as_str();
            tracing::warn!(
                bucket,
                "the shared pace on file is broken or of another version; it is learned anew"
            );
        }
        let restored = state.seen.and_then(|seen| seen.learned).or(state.restored);
        row.unwrap_or_else(|| Row::new(self.bucket.start_per_s(), restored, row_s))
    }

    fn ask(&self, state: &mut State, owed: &[Owed], ahead_s: f64, (row_s, at): (f64, Instant)) -> Ask {
        state.measure(at);
        let row_time = |t: Instant| {
            let past_s = at.saturating_duration_since(t).as_secs_f64();
            row_s - past_s + t.saturating_duration_since(at).as_secs_f64()
        };
        let reports = owed.iter().map(|owed| Report {
            sent: row_time(owed.sent),
            answered: row_time(owed.answered),
            accepted: owed.accepted,
            rejected: owed.rejected,
            retry_after: owed.retry_after,
        });
        let (line, left) = state.uncovered();
        let stock = state.stock();
        Ask {
            who: self.who,
            reports: reports.collect(),
            hold_until: state.pause.map(row_time),
            line: if state.is_closed { Vec::new() } else { line },
            stock: if state.is_closed { 0 } else { stock.saturating_sub(left) },
            ahead_s: if stock > 0 { ahead_s.max(STOCK_S) } else { ahead_s },
            cap: state.cap,
        }
    }
}

impl State {
    /// Takes what is owed, to be said now.
    fn say(&mut self) -> Vec<Owed> {
        self.owed_since = None;
        self.is_urgent = false;
        std::mem::take(&mut self.owed)
    }

    /// It was not heard: it is owed still, and in the same order.
    fn say_again(&mut self, unsaid: Vec<Owed>) {
        let since = std::mem::take(&mut self.owed);
        for owed in unsaid.into_iter().chain(since) {
            self.is_urgent |= owed.rejected > 0;
            self.owe(owed);
        }
        self.is_urgent |= self.pause.is_some();
    }

    /// Takes up what a step answered.
    fn hear(&mut self, heard: &Heard) {
        let told = &heard.told;
        let local = |row_s: f64| {
            let ahead = Duration::try_from_secs_f64((row_s - heard.row_s).max(0.0)).unwrap_or(FURTHEST);
            heard.at + ahead.min(FURTHEST)
        };
        let hold = local(told.hold);
        let known = self.hold.map(|known| known + SPACING);
        if hold > heard.at && known.is_none_or(|known| known < hold) {
            self.hold = Some(hold);
            self.blocks.clear();
        }
        self.pause = self.pause.filter(|until| *until > hold + SPACING);
        if let Some(lot) = told.lot {
            self.blocks.push_back(Block::new(lot.n, local(lot.from), lot.per_s));
        }
        self.seen = Some(Seen {
            rate_per_s: told.rate_per_s,
            learned: told.learned,
            back: told.back.map(local),
            due: told.due.map(local),
        });
    }
}
