//! Who is in one group: an order that pages can rely on, and a set beside it.
//!
//! Whoever joins gets a seat behind all others, and a seat is never given twice: a link to a next page names a seat, so
//! that no change between two pages hides anybody or shows anybody twice. A change costs as much in a group of 50,000 as
//! in an empty one. What readers do not see yet (the fault `not-yet-visible-ms`) is a list of single changes; the roster
//! itself is never copied for it.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

/// A member, by its position in the tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Member {
    User(u32),
    Group(u32),
    /// An organisational contact.
    Contact(u32),
    /// An id of the state file that names nothing: kept for the file, shown to nobody.
    Stranger(u32),
}

impl Member {
    /// Whether readers get to see it at all.
    pub(crate) fn is_shown(self) -> bool {
        match self {
            Self::User(_) | Self::Group(_) | Self::Contact(_) => true,
            Self::Stranger(_) => false,
        }
    }
}

/// A change that readers do not see before `from`.
#[derive(Debug, Clone, Copy)]
struct Change {
    from: Duration,
    seat: u32,
    member: Member,
    joined: bool,
}

/// The members of a group.
#[derive(Default)]
pub(crate) struct Roster {
    /// By seat; empty where somebody left.
    seats: Vec<Option<Member>>,
    seat_of: HashMap<Member, u32>,
    users: usize,
    /// Oldest first; delays are all alike, so that those in front end first.
    pending: VecDeque<Change>,
}

impl Roster {
    /// Whether somebody is a member.
    pub(crate) fn contains(&self, member: Member) -> bool {
        self.seat_of.contains_key(&member)
    }

    /// How many of the members are users.
    pub(crate) fn users(&self) -> usize {
        self.users
    }

    /// All members, in order.
    pub(crate) fn members(&self) -> impl Iterator<Item = Member> {
        self.seats.iter().copied().flatten()
    }

    /// Gives a member a seat; without effect on one who has a seat. For loading, too, with `visible` at zero.
    pub(crate) fn join(&mut self, member: Member, now: Duration, visible: Duration) {
        if self.contains(member) {
            return;
        }
        let seat = u32::try_from(self.seats.len()).unwrap_or(u32::MAX);
        self.seats.push(Some(member));
        self.seat_of.insert(member, seat);
        self.users += usize::from(matches!(member, Member::User(_)));
        self.note(Change { from: visible, seat, member, joined: true }, now);
    }

    /// Takes a member's seat away; whether there was one.
    pub(crate) fn leave(&mut self, member: Member, now: Duration, visible: Duration) -> bool {
        let Some(seat) = self.seat_of.remove(&member) else { return false };
        if let Some(place) = self.seats.get_mut(seat as usize) {
            *place = None;
        }
        self.users -= usize::from(matches!(member, Member::User(_)));
        self.note(Change { from: visible, seat, member, joined: false }, now);
        true
    }

    fn note(&mut self, change: Change, now: Duration) {
        while self.pending.front().is_some_and(|c| c.from <= now) {
            self.pending.pop_front();
        }
        if change.from > now {
            self.pending.push_back(change);
        }
    }

    /// When the next of the changes comes to light that readers do not see yet.
    pub(crate) fn next_to_show(&self, now: Duration) -> Option<Duration> {
        self.pending.iter().map(|c| c.from).find(|from| *from > now)
    }

    /// The roster as readers see it.
    pub(crate) fn seen(&self, now: Duration) -> Seen<'_> {
        let mut other = HashMap::new();
        // Undone from the newest to the oldest: what stood before the oldest one is what stays.
        for change in self.pending.iter().rev().filter(|c| c.from > now) {
            other.insert(change.seat, (!change.joined).then_some(change.member));
        }
        Seen { roster: self, other, now }
    }
}

/// What a reader sees of a roster at one moment.
pub(crate) struct Seen<'r> {
    roster: &'r Roster,
    /// Seats that look different from what is true.
    other: HashMap<u32, Option<Member>>,
    now: Duration,
}

impl Seen<'_> {
    /// Members and their seats, from a seat on, in order.
    pub(crate) fn from(&self, seat: usize) -> impl Iterator<Item = (usize, Member)> {
        let rest = self.roster.seats.iter().copied().enumerate().skip(seat);
        rest.filter_map(|(seat, true_one)| {
            let other = u32::try_from(seat).ok().and_then(|seat| self.other.get(&seat));
            Some((seat, other.copied().unwrap_or(true_one)?))
        })
    }

    /// A member's seat.
    pub(crate) fn seat_of(&self, member: Member) -> Option<usize> {
        let pending = self.roster.pending.iter().filter(|c| c.from > self.now);
        // Who left and came back sat where he sat before the oldest of these changes.
        let seat = match pending.into_iter().find(|c| c.member == member) {
            Some(Change { joined: true, .. }) => None,
            Some(change) => Some(change.seat),
            None => self.roster.seat_of.get(&member).copied(),
        };
        seat.map(|seat| seat as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEVER: Duration = Duration::ZERO;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn seen(roster: &Roster, now: u64) -> Vec<u32> {
        let number = |member| match member {
            Member::User(n) | Member::Group(n) | Member::Contact(n) | Member::Stranger(n) => n,
        };
        roster.seen(ms(now)).from(0).map(|(_, member)| number(member)).collect()
    }

    #[test]
    fn each_change_shows_in_its_turn() {
        let mut roster = Roster::default();
        for n in 0..3 {
            roster.join(Member::User(n), NEVER, NEVER);
        }
        assert!(roster.leave(Member::User(1), ms(10), ms(110)));
        roster.join(Member::User(7), ms(20), ms(120));
        roster.join(Member::User(1), ms(30), ms(130));
        assert!(roster.leave(Member::User(7), ms(40), ms(140)));
        assert_eq!(roster.members().count(), 3);
        assert_eq!(seen(&roster, 50), [0, 1, 2]);
        assert_eq!(seen(&roster, 110), [0, 2]);
        assert_eq!(seen(&roster, 120), [0, 2, 7]);
        assert_eq!(seen(&roster, 130), [0, 2, 7, 1]);
        assert_eq!(seen(&roster, 140), [0, 2, 1]);
        let seat = |now, n| roster.seen(ms(now)).seat_of(Member::User(n));
        assert_eq!((seat(50, 1), seat(115, 1), seat(130, 1)), (Some(1), None, Some(4)));
        assert_eq!((seat(50, 7), seat(125, 7), seat(140, 7)), (None, Some(3), None));
        assert_eq!(roster.next_to_show(ms(115)), Some(ms(120)));
        assert_eq!(roster.next_to_show(ms(140)), None);
        roster.join(Member::User(9), ms(500), ms(600));
        assert_eq!(roster.pending.len(), 1, "what everybody sees is not kept");
    }

    #[test]
    fn a_seat_is_never_given_twice() {
        let mut roster = Roster::default();
        for n in 0..4 {
            roster.join(Member::User(n), NEVER, NEVER);
        }
        roster.join(Member::User(2), NEVER, NEVER);
        assert!(roster.leave(Member::User(0), NEVER, NEVER));
        assert!(!roster.leave(Member::User(0), NEVER, NEVER));
        roster.join(Member::User(0), NEVER, NEVER);
        let rest: Vec<(usize, Member)> = roster.seen(NEVER).from(2).collect();
        assert_eq!(rest, [(2, Member::User(2)), (3, Member::User(3)), (4, Member::User(0))]);
        assert_eq!(roster.users(), 4);
    }
}
