//! What a pass over the users counts, and the first part of every list.
//!
//! Bounded whatever the number of users: of a list so many lines are kept, of regions and departments so many values.

use super::Report;
use super::lists::{Duty, List};
use super::person::Person;
use contract::EntryState;
use std::collections::BTreeMap;

/// Lines of a list that are kept.
const KEPT: usize = 2_000;
/// Names of a list that are kept: they are short, and a pass over all users takes longer.
const KEPT_NAMES: usize = 500_000;
/// Regions, and departments, that are told apart; all further ones are one.
const PLACES: usize = 5_000;
/// What all further ones are called.
const OTHERS: &str = "(others)";
/// What stands where no region or department is known.
pub(super) const UNKNOWN: &str = "-";

/// Users of a region or a department.
#[derive(Debug, Default, Clone)]
pub(super) struct Place {
    pub(super) users: u64,
    pub(super) standings: BTreeMap<EntryState, u64>,
    pub(super) must_register_again: u64,
    pub(super) phone_only: u64,
}

/// A list of which the first part is kept.
#[derive(Debug)]
pub(super) struct Kept<T> {
    pub(super) first: Vec<T>,
    pub(super) total: u64,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self { first: Vec::new(), total: 0 }
    }
}

impl<T> Kept<T> {
    fn add(&mut self, item: T, limit: usize) {
        self.total += 1;
        if self.first.len() < limit {
            self.first.push(item);
        }
    }

    /// Whether the first part is all of it.
    pub(super) fn is_whole(&self) -> bool {
        self.total == self.first.len() as u64
    }
}

/// What was counted.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) users: u64,
    pub(super) rows: u64,
    pub(super) standings: BTreeMap<EntryState, u64>,
    /// Users by reason, the reasons of what came later among them.
    pub(super) codes: BTreeMap<&'static str, u64>,
    pub(super) regions: BTreeMap<String, Place>,
    pub(super) departments: BTreeMap<String, Place>,
    pub(super) lists: BTreeMap<List, Kept<Duty>>,
    /// The lists of names that reports had first; empty where nobody asked for them.
    pub(super) names: BTreeMap<Names, Kept<String>>,
}

/// A list of names as reports had them first, under the key in JSON; scripts read them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Names {
    MustRegisterAgain,
    PhoneOnly,
    /// Those who match more than one among them.
    Unmatched,
    /// Parked, or in conflict.
    Conflicts,
}

impl Names {
    pub(super) const ALL: [Self; 4] =
        [Self::MustRegisterAgain, Self::PhoneOnly, Self::Unmatched, Self::Conflicts];

    pub(super) fn key(self) -> &'static str {
        match self {
            Self::MustRegisterAgain => "mustRegisterAgain",
            Self::PhoneOnly => "phoneOnly",
            Self::Unmatched => "unmatched",
            Self::Conflicts => "conflicts",
        }
    }

    pub(super) fn has(self, person: &Person) -> bool {
        match self {
            Self::MustRegisterAgain => List::MustRegisterAgain.line(person).is_some(),
            Self::PhoneOnly => List::PhoneOnly.line(person).is_some(),
            Self::Unmatched => {
                [List::Unmatched, List::Ambiguous].iter().any(|list| list.line(person).is_some())
            }
            Self::Conflicts => matches!(person.standing, EntryState::Parked | EntryState::Conflict),
        }
    }
}

impl Gathered {
    /// Counts a user in.
    pub(super) fn add(&mut self, person: &Person) {
        self.users += 1;
        self.rows += person.rows.len() as u64;
        *self.standings.entry(person.standing).or_default() += 1;
        let mut codes: Vec<&'static str> = person.rows.iter().flat_map(|row| &row.codes).copied().collect();
        codes.sort_unstable();
        codes.dedup();
        for code in codes {
            *self.codes.entry(code).or_default() += 1;
        }
        let mut lines: BTreeMap<List, Duty> = BTreeMap::new();
        for list in List::ALL {
            lines.extend(list.line(person).map(|line| (list, line)));
        }
        for (places, value) in
            [(&mut self.regions, &person.region), (&mut self.departments, &person.department)]
        {
            let place = place(places, value.as_deref());
            place.users += 1;
            *place.standings.entry(person.standing).or_default() += 1;
            place.must_register_again += u64::from(lines.contains_key(&List::MustRegisterAgain));
            place.phone_only += u64::from(lines.contains_key(&List::PhoneOnly));
        }
        for (list, line) in lines {
            self.lists.entry(list).or_default().add(line, KEPT);
        }
    }

    /// Adds a user to the lists of names.
    pub(super) fn add_names(&mut self, person: &Person) {
        for names in Names::ALL.into_iter().filter(|names| names.has(person)) {
            self.names.entry(names).or_default().add(person.user.clone(), KEPT_NAMES);
        }
    }
}

/// Regions are told apart as batches do it: without case, and without blanks around them.
fn place<'a>(places: &'a mut BTreeMap<String, Place>, value: Option<&str>) -> &'a mut Place {
    let value = value.map(str::trim).filter(|value| !value.is_empty()).unwrap_or(UNKNOWN);
    let known = if places.contains_key(value) {
        value.to_owned()
    } else if places.len() >= PLACES {
        OTHERS.to_owned()
    } else {
        value.to_owned()
    };
    places.entry(known).or_default()
}

impl Report<'_> {
    /// A pass that counts and keeps, and nothing else.
    pub(super) async fn gather(&self) -> anyhow::Result<Gathered> {
        let mut gathered = Gathered::default();
        self.for_each(|person| {
            gathered.add(&person);
            Ok(true)
        })
        .await?;
        Ok(gathered)
    }
}
