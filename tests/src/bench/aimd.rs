//! Workers that share a quota and know nothing of each other: each goes faster step by step, halves its rate at a 429, and
//! waits its own `Retry-After` (additive increase, multiplicative decrease, as TCP does it).
//!
//! It is what is built where no worker can ask for a grant, and what `fleet` is measured beside.

use crate::naive;
use reqwest::Client;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Writes a second at the start, of each worker.
const FIRST_RATE: f64 = 1.0;
/// Writes a second that a second without a 429 adds.
const STEP: f64 = 1.0;
/// The slowest a worker gets.
const LEAST_RATE: f64 = 0.2;
/// Calls of one worker under way at a time.
const IN_FLIGHT: usize = 32;

/// The running workers; they end with this value.
pub(crate) struct Aimd {
    _workers: JoinSet<()>,
}

/// What one worker knows.
struct Rate {
    per_s: f64,
    held_until: Instant,
}

impl Aimd {
    /// Starts workers against a tenant with the state of `Naive`.
    pub(crate) fn start(url: &str, count: usize) -> anyhow::Result<Self> {
        let client = Client::builder().timeout(Duration::from_secs(60)).build()?;
        let mut workers = JoinSet::new();
        for number in 0..count {
            workers.spawn(work(client.clone(), naive::phone_of(url, number)));
        }
        Ok(Self { _workers: workers })
    }
}

async fn work(client: Client, url: String) {
    let rate = Arc::new(Mutex::new(Rate { per_s: FIRST_RATE, held_until: Instant::now() }));
    let places = Arc::new(Semaphore::new(IN_FLIGHT));
    let mut next = Instant::now();
    // Those under way end with the worker.
    let mut calls = JoinSet::new();
    loop {
        let (per_s, held_until) = {
            let rate = rate.lock().unwrap_or_else(PoisonError::into_inner);
            (rate.per_s, rate.held_until)
        };
        next = next.max(held_until).max(Instant::now() - Duration::from_millis(100));
        tokio::time::sleep_until(next).await;
        next += Duration::from_secs_f64(1.0 / per_s);
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let (client, url, rate) = (client.clone(), url.clone(), Arc::clone(&rate));
        calls.spawn(async move {
            let wait = naive::write(&client, &url).await;
            let mut rate = rate.lock().unwrap_or_else(PoisonError::into_inner);
            match wait {
                None => rate.per_s += STEP / rate.per_s,
                Some(wait) => {
                    // What was under way at the first 429 is no further reason.
                    if rate.held_until <= Instant::now() {
                        rate.per_s = (rate.per_s / 2.0).max(LEAST_RATE);
                    }
                    rate.held_until = rate.held_until.max(Instant::now() + wait);
                }
            }
            drop(place);
        });
        while calls.try_join_next().is_some() {}
    }
}
