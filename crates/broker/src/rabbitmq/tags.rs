//! Which deliveries of a channel are settled, and what has to be said about it. Pure.
//!
//! Tags count from one on a channel. A run of acked ones at the front is acked at once (`multiple`), the others one by one.
//! The tag of a multiple ack is always one that is still open at the broker: RabbitMQ looks for that very tag.

use std::collections::VecDeque;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// In somebody's hands.
    Open,
    /// To be acked.
    Acked,
    /// To be handed back.
    Back,
    /// The broker was told.
    Told,
}

/// Something to tell the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Say {
    /// This one, and with `multiple` all before it.
    Ack { tag: u64, multiple: bool },
    /// Deliver it again.
    Back { tag: u64 },
}

/// The deliveries of one channel that the broker holds as unacked, or that we believe so.
#[derive(Debug)]
pub(crate) struct Tags {
    /// The tag of the first in `standing`.
    first: u64,
    standing: VecDeque<Standing>,
    open: usize,
    unsaid: usize,
}

impl Tags {
    pub(crate) fn new() -> Self {
        Self { first: 1, standing: VecDeque::new(), open: 0, unsaid: 0 }
    }

    /// A delivery came. One whose tag does not follow the last is impossible on a sound channel.
    pub(crate) fn came(&mut self, tag: u64) {
        if self.standing.is_empty() {
            self.first = tag;
        }
        self.standing.push_back(Standing::Open);
        self.open += 1;
    }

    pub(crate) fn ack(&mut self, tag: u64) {
        self.set(tag, Standing::Acked);
    }

    pub(crate) fn hand_back(&mut self, tag: u64) {
        self.set(tag, Standing::Back);
    }

    fn set(&mut self, tag: u64, to: Standing) {
        let at = tag.checked_sub(self.first).and_then(|n| usize::try_from(n).ok());
        if let Some(standing) = at.and_then(|n| self.standing.get_mut(n))
            && *standing == Standing::Open
        {
            *standing = to;
            self.open -= 1;
            self.unsaid += 1;
        }
    }

    /// Deliveries in hand.
    pub(crate) fn open(&self) -> usize {
        self.open
    }

    /// The broker was told of so many settlements.
    pub(crate) fn told(&mut self, count: usize) {
        self.unsaid = self.unsaid.saturating_sub(count);
    }

    /// Settled, and not `told`.
    pub(crate) fn unsaid(&self) -> usize {
        self.unsaid
    }

    /// All there is to say now, in the order in which it must be said.
    pub(crate) fn say(&mut self) -> Vec<Say> {
        let mut said = Vec::new();
        let mut last_acked = None;
        while let Some(&front) = self.standing.front() {
            match front {
                Standing::Open => break,
                Standing::Acked => last_acked = Some(self.first),
                // Before the multiple ack, which would cover it.
                Standing::Back => said.push(Say::Back { tag: self.first }),
                Standing::Told => {}
            }
            self.standing.pop_front();
            self.first += 1;
        }
        said.extend(last_acked.map(|tag| Say::Ack { tag, multiple: true }));
        if self.standing.len() > self.open {
            for (tag, standing) in (self.first..).zip(self.standing.iter_mut()) {
                match *standing {
                    Standing::Acked => said.push(Say::Ack { tag, multiple: false }),
                    Standing::Back => said.push(Say::Back { tag }),
                    Standing::Open | Standing::Told => continue,
                }
                *standing = Standing::Told;
            }
        }
        said
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RabbitMQ's own reading of an ack, over the tags that it holds.
    fn broker_hears(unacked: &mut Vec<u64>, say: Say) -> Vec<u64> {
        let (tag, multiple) = match say {
            Say::Ack { tag, multiple } => (tag, multiple),
            Say::Back { tag } => (tag, false),
        };
        let at = unacked.iter().position(|t| *t == tag).expect("the broker closes the channel: unknown tag");
        let from = if multiple { 0 } else { at };
        unacked.drain(from..=at).collect()
    }

    #[test]
    fn every_order_of_settling_tells_the_broker_exactly_what_was_settled() {
        // Every order of five settlements, every choice of ack or hand back, and a word to the broker after any of them.
        let orders: Vec<Vec<u64>> = permutations(&[1, 2, 3, 4, 5]);
        for order in &orders {
            for choice in 0u32..32 {
                for speak in 0u32..32 {
                    let mut tags = Tags::new();
                    (1..=5).for_each(|t| tags.came(t));
                    let mut unacked: Vec<u64> = (1..=5).collect();
                    let (mut acked, mut back) = (Vec::new(), Vec::new());
                    for (n, tag) in order.iter().enumerate() {
                        if choice & (1 << tag >> 1) == 0 {
                            tags.ack(*tag)
                        } else {
                            tags.hand_back(*tag)
                        }
                        if speak & (1 << n) != 0 || n == 4 {
                            tags.told(tags.unsaid());
                            for say in tags.say() {
                                let heard = broker_hears(&mut unacked, say);
                                match say {
                                    Say::Ack { .. } => acked.extend(heard),
                                    Say::Back { .. } => back.extend(heard),
                                }
                            }
                        }
                    }
                    assert!(unacked.is_empty() && tags.open() == 0 && tags.unsaid() == 0);
                    assert!(acked.iter().all(|t| choice & (1 << t >> 1) == 0), "acked what was handed back");
                    assert!(back.iter().all(|t| choice & (1 << t >> 1) != 0));
                    assert_eq!(acked.len() + back.len(), 5);
                }
            }
        }
    }

    fn permutations(of: &[u64]) -> Vec<Vec<u64>> {
        if of.is_empty() {
            return vec![vec![]];
        }
        of.iter()
            .flat_map(|first| {
                let rest: Vec<u64> = of.iter().copied().filter(|x| x != first).collect();
                permutations(&rest).into_iter().map(move |mut tail| {
                    tail.insert(0, *first);
                    tail
                })
            })
            .collect()
    }

    #[test]
    fn a_run_at_the_front_is_one_ack() {
        let mut tags = Tags::new();
        (1..=500).for_each(|t| tags.came(t));
        (1..=500).filter(|t| *t != 400).for_each(|t| tags.ack(t));
        let said = tags.say();
        assert_eq!(said.first(), Some(&Say::Ack { tag: 399, multiple: true }));
        assert_eq!(said.len(), 101);
        tags.ack(400);
        assert_eq!(tags.say(), [Say::Ack { tag: 400, multiple: true }]);
    }

    #[test]
    fn a_tag_is_settled_once() {
        let mut tags = Tags::new();
        tags.came(1);
        tags.ack(1);
        tags.hand_back(1);
        tags.ack(7);
        assert_eq!(tags.say(), [Say::Ack { tag: 1, multiple: true }]);
        tags.ack(1);
        assert!(tags.say().is_empty());
    }
}
