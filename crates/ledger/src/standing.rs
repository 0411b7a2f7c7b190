//! How a run stands, for those who watch it: more than its counts, and cheap enough to be asked for every few seconds.

use crate::Counts;
use contract::EntryState;
use std::time::Duration;

/// Waiting entries that are looked at one by one, in the order of their ordinals: more than are ever released at once, and
/// few enough that a run of half a million is looked at in milliseconds.
pub(crate) const LOOKED_AT: i64 = 10_000;

/// States in which a person wants to know the codes.
pub(crate) const FAILED: [EntryState; 5] = [
    EntryState::Blocked,
    EntryState::Parked,
    EntryState::Conflict,
    EntryState::Missing,
    EntryState::ChangedSince,
];

/// How a run stands, from the rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// Entries by state; every state is there.
    pub counts: Counts,
    /// Waiting entries whose order is out and was claimed by nobody, among the first ten thousand that wait.
    pub released: u64,
    /// Waiting entries that are looked at again at a time to come, or were due and are not released yet.
    pub snoozed: u64,
    /// How long ago the oldest of the released was released; absent while none is.
    pub oldest_order: Option<Duration>,
    /// For how long the lease that ended first is over; absent while all hold.
    pub lease_overdue: Option<Duration>,
    /// Users who were blocked, parked, found in conflict, missing or changed, by state and code word. A user counts under
    /// each of its codes.
    pub failed: Vec<(EntryState, String, u64)>,
    /// Intents without an outcome.
    pub in_doubt: Vec<InDoubt>,
}

/// Writes of which nobody knows whether they were applied, of users who are claimed, set aside, snoozed, or were left behind
/// by whoever had them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InDoubt {
    /// The method's word, `mobile` or `hardwareOath`.
    pub method: String,
    /// How many.
    pub intents: u64,
    /// How long ago the oldest was filed.
    pub age: Duration,
}

/// Combinations of words are few: they are told apart here.
pub(crate) fn by_code(
    rows: impl IntoIterator<Item = (EntryState, String, u64)>,
) -> Vec<(EntryState, String, u64)> {
    let mut counts = std::collections::BTreeMap::<(EntryState, String), u64>::new();
    for (state, codes, entries) in rows {
        for code in codes.split_ascii_whitespace().collect::<std::collections::BTreeSet<_>>() {
            let count = counts.entry((state, code.to_owned())).or_default();
            *count = count.saturating_add(entries);
        }
    }
    counts.into_iter().map(|((state, code), n)| (state, code, n)).collect()
}
