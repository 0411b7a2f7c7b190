//! Which usernames occur twice, found in eight bytes a user.
//!
//! The first pass keeps a 64-bit keyed hash of each username. Only where two hashes are equal are the names themselves
//! compared, in a further pass that runs only then, so a collision turns nobody away. Names are equal without case and
//! without blanks around them.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

/// The form in which usernames are compared: trimmed, lower case.
pub(crate) fn fold(username: &str) -> Cow<'_, str> {
    let trimmed = username.trim();
    if trimmed.bytes().all(|b| b.is_ascii() && !b.is_ascii_uppercase()) {
        Cow::Borrowed(trimmed)
    } else {
        Cow::Owned(trimmed.to_lowercase())
    }
}

/// The hashes of all usernames seen.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    hasher: RandomState,
    hashes: Vec<u64>,
}

impl Claims {
    /// Notes a username; a blank one is nobody's.
    pub(crate) fn add(&mut self, username: &str) {
        let folded = fold(username);
        if !folded.is_empty() {
            self.hashes.push(self.hasher.hash_one(folded.as_ref()));
        }
    }

    /// The hashes that occur more than once; everything else is forgotten.
    pub(crate) fn into_repeated(mut self) -> Suspects {
        self.hashes.sort_unstable();
        let hashes = self.hashes.windows(2).filter_map(|w| match w {
            [a, b] if a == b => Some(*a),
            _ => None,
        });
        Suspects { hashes: hashes.collect(), hasher: self.hasher, counts: HashMap::new() }
    }
}

/// Usernames that may occur twice, until the names themselves have been counted.
#[derive(Debug)]
pub(crate) struct Suspects {
    hasher: RandomState,
    hashes: HashSet<u64>,
    counts: HashMap<Box<str>, bool>,
}

impl Suspects {
    pub(crate) fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// Whether a username has to be looked at closely.
    pub(crate) fn suspects(&self, username: &str) -> bool {
        self.hashes.contains(&self.hasher.hash_one(fold(username).as_ref()))
    }

    /// Counts a username that is suspected.
    pub(crate) fn count(&mut self, username: &str) {
        if self.suspects(username) {
            self.counts.entry(fold(username).into()).and_modify(|twice| *twice = true).or_insert(false);
        }
    }

    /// The names that do occur twice, and none that merely share a hash.
    pub(crate) fn into_duplicates(self) -> Duplicates {
        let twice = self.counts.into_iter().filter_map(|(name, twice)| twice.then_some(name));
        Duplicates(Arc::new(twice.collect()))
    }
}

/// The usernames that occur more than once, in their compared form.
#[derive(Debug, Clone, Default)]
pub(crate) struct Duplicates(Arc<HashSet<Box<str>>>);

impl Duplicates {
    pub(crate) fn contains(&self, username: &str) -> bool {
        !self.0.is_empty() && self.0.contains(fold(username).as_ref())
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_differing_in_case_or_blanks_are_one() {
        let names = ["Helga@contoso.example", "b", " helga@CONTOSO.example ", "ÅSA", "åsa", "", " "];
        let mut claims = Claims::default();
        names.iter().for_each(|n| claims.add(n));
        let mut suspects = claims.into_repeated();
        names.iter().for_each(|n| suspects.count(n));
        let duplicates = suspects.into_duplicates();
        assert_eq!(duplicates.len(), 2);
        assert!(duplicates.contains("HELGA@contoso.example") && duplicates.contains("Åsa"));
        assert!(!duplicates.contains("b") && !duplicates.contains(""));
    }

    #[test]
    fn a_shared_hash_turns_nobody_away() {
        let mut suspects = Claims::default().into_repeated();
        let hash = |s: &Suspects, n: &str| s.hasher.hash_one(n);
        suspects.hashes = HashSet::from([hash(&suspects, "a"), hash(&suspects, "b")]);
        suspects.count("a");
        suspects.count("b");
        assert_eq!(suspects.into_duplicates().len(), 0);
    }
}
