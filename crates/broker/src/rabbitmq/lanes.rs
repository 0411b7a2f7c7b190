//! What waits to be published, queue by queue, and how much of each may be under way. Pure.
//!
//! A queue that is full refuses (nacks) instead of dropping. Its lane then rests for a moment and begins again with a few,
//! twice as many with every round that is taken: neither does it flood a full queue with what will be refused, nor does it
//! take the window from the others.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How long a lane rests after a refusal.
const REST: Duration = Duration::from_millis(100);

/// How many go first after a rest.
const FIRST: usize = 16;

/// The way to one queue.
pub(crate) struct Lane<T> {
    waiting: VecDeque<T>,
    under_way: usize,
    /// The most that may be under way.
    allowance: usize,
    resting_until: Option<Instant>,
    full_since: Option<Instant>,
}

impl<T> Lane<T> {
    pub(crate) fn new(window: usize) -> Self {
        Self {
            waiting: VecDeque::new(),
            under_way: 0,
            allowance: window,
            resting_until: None,
            full_since: None,
        }
    }

    /// At the end of those that wait.
    pub(crate) fn push(&mut self, item: T) {
        self.waiting.push_back(item);
    }

    /// The next one that may go now.
    pub(crate) fn next(&mut self, now: Instant) -> Option<T> {
        if self.under_way >= self.allowance || self.resting_until.is_some_and(|until| now < until) {
            return None;
        }
        let item = self.waiting.pop_front()?;
        self.resting_until = None;
        self.under_way += 1;
        Some(item)
    }

    /// One was taken by the queue.
    pub(crate) fn taken(&mut self, window: usize) {
        self.under_way = self.under_way.saturating_sub(1);
        self.allowance = (self.allowance + 1).min(window);
        self.full_since = None;
    }

    /// One came to no end that concerns the queue's room.
    pub(crate) fn dropped(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
    }

    /// The queue refused these, in the order in which they were sent: it is full.
    pub(crate) fn refused(&mut self, items: Vec<T>, now: Instant) {
        self.under_way = self.under_way.saturating_sub(items.len());
        self.put_back(items);
        self.allowance = FIRST;
        self.resting_until = Some(now + REST);
        self.full_since.get_or_insert(now);
    }

    /// The way was lost with these on it, in the order in which they were sent: they go first on the next.
    pub(crate) fn lost(&mut self, items: Vec<T>) {
        self.under_way = 0;
        self.put_back(items);
    }

    fn put_back(&mut self, items: Vec<T>) {
        for item in items.into_iter().rev() {
            self.waiting.push_front(item);
        }
    }

    /// Everything that waits, taken out.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = T> {
        self.waiting.drain(..)
    }

    /// How many wait.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Until when nothing goes, when something would.
    pub(crate) fn rests_until(&self) -> Option<Instant> {
        self.resting_until.filter(|_| !self.waiting.is_empty())
    }

    /// Since when the queue is full.
    pub(crate) fn full_since(&self) -> Option<Instant> {
        self.full_since
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn go(lane: &mut Lane<u32>, now: Instant) -> Vec<u32> {
        std::iter::from_fn(|| lane.next(now)).collect()
    }

    #[test]
    fn a_full_queue_gets_few_again_and_more_with_each_that_is_taken() {
        let start = Instant::now();
        let mut lane = Lane::new(100);
        (0..200).for_each(|n| lane.push(n));
        let sent = go(&mut lane, start);
        assert_eq!(sent.len(), 100);
        lane.refused(sent, start);
        assert!(lane.full_since().is_some());
        assert!(go(&mut lane, start).is_empty());
        let later = start + REST;
        assert_eq!(
            go(&mut lane, later),
            (0..16).collect::<Vec<_>>(),
            "first those that were refused, in order"
        );
        (0..16).for_each(|_| lane.taken(100));
        assert_eq!(go(&mut lane, later), (16..48).collect::<Vec<_>>());
        assert!(lane.full_since().is_none());
    }

    #[test]
    fn what_was_on_a_lost_way_goes_first_and_in_order() {
        let now = Instant::now();
        let mut lane = Lane::new(3);
        (0..5).for_each(|n| lane.push(n));
        let sent = go(&mut lane, now);
        lane.lost(sent);
        assert_eq!(go(&mut lane, now), [0, 1, 2]);
    }
}
