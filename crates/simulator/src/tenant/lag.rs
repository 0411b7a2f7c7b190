//! What readers still see: the state before a write, until its delay is over (the fault `not-yet-visible-ms`).
//!
//! Writes always work on the true state; only reads go through here. Without the fault nothing is kept.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

/// Earlier values by index, each with the moment from which the next one is visible.
pub(crate) struct Lag<T> {
    delay: Duration,
    hidden: HashMap<u32, VecDeque<(Duration, T)>>,
}

impl<T> Lag<T> {
    /// With a delay of zero nothing is ever kept.
    pub(crate) fn new(delay: Duration) -> Self {
        Self { delay, hidden: HashMap::new() }
    }

    /// To be called before each change: keeps the value that is about to go.
    pub(crate) fn keep(&mut self, index: u32, now: Duration, before: impl FnOnce() -> T) {
        if self.delay.is_zero() {
            return;
        }
        self.forget(index, now);
        self.hidden.entry(index).or_default().push_back((now + self.delay, before()));
    }

    /// The value that a reader sees instead of the true one; `None` when the true one is visible.
    pub(crate) fn seen(&self, index: u32, now: Duration) -> Option<&T> {
        if self.delay.is_zero() {
            return None;
        }
        self.hidden.get(&index)?.iter().find(|(until, _)| *until > now).map(|(_, before)| before)
    }

    fn forget(&mut self, index: u32, now: Duration) {
        if let Some(queue) = self.hidden.get_mut(&index) {
            while queue.front().is_some_and(|(until, _)| *until <= now) {
                queue.pop_front();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_write_becomes_visible_in_its_turn() {
        let ms = Duration::from_millis;
        let mut lag = Lag::new(ms(100));
        lag.keep(7, ms(0), || "first");
        lag.keep(7, ms(50), || "second");
        assert_eq!(lag.seen(7, ms(60)), Some(&"first"));
        assert_eq!(lag.seen(7, ms(120)), Some(&"second"));
        assert_eq!(lag.seen(7, ms(150)), None);
        assert_eq!(lag.seen(8, ms(60)), None);
    }
}
