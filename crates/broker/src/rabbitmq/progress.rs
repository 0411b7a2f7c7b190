//! How publishing gets on, for whoever asks what is waited for.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// So long without a confirm, while some are due, is worth a word. Confirms take milliseconds.
const SILENCE: Duration = Duration::from_secs(10);

#[derive(Default)]
struct Inner {
    full_since: HashMap<String, Instant>,
    /// The last confirm, or the first message that was sent after all were confirmed; absent when none is due.
    due_since: Option<Instant>,
}

/// Written by the publisher, read by all queues.
#[derive(Default)]
pub(crate) struct Progress(Mutex<Inner>);

impl Progress {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The queue refused a message.
    pub(crate) fn full(&self, queue: &str, now: Instant) {
        self.lock().full_since.entry(queue.to_owned()).or_insert(now);
    }

    /// The queue takes messages again.
    pub(crate) fn roomy(&self, queue: &str) {
        self.lock().full_since.remove(queue);
    }

    /// Some were sent.
    pub(crate) fn sent(&self, now: Instant) {
        self.lock().due_since.get_or_insert(now);
    }

    /// Some were answered, or none can be any more.
    pub(crate) fn answered(&self, more_are_due: bool, now: Instant) {
        self.lock().due_since = more_are_due.then_some(now);
    }

    /// What publishing to this queue waits for.
    pub(crate) fn waits_for(&self, queue: &str) -> Option<String> {
        let inner = self.lock();
        if let Some(since) = inner.full_since.get(queue) {
            return Some(format!("the queue {queue} is full for {} s", since.elapsed().as_secs()));
        }
        // A quorum queue without a leader answers nothing: 3.10.8 leaves one so that was killed within half a second of
        // the queue's first declaration.
        let silent = inner.due_since.map(|since| since.elapsed()).filter(|silent| *silent > SILENCE)?;
        Some(format!(
            "the broker confirms nothing for {} s; see rabbitmq-queues quorum_status {queue}",
            silent.as_secs()
        ))
    }
}
