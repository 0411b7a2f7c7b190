//! An index of users by a text, case-insensitive, of twelve bytes a user instead of the text again.
//!
//! The map goes from a hash to a position; a clash of hashes is resolved by the next free key, and a look-up always
//! compares the text itself.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, DefaultHasher, Hash, Hasher};

/// Keys are hashes already.
#[derive(Default)]
struct Keep(u64);

impl Hasher for Keep {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 << 8) | u64::from(*byte);
        }
    }
    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

/// Positions by text.
#[derive(Default)]
pub(crate) struct Index(HashMap<u64, u32, BuildHasherDefault<Keep>>);

impl Index {
    /// Adds a text; of equal texts the first stays.
    pub(crate) fn add<'t>(&mut self, text: &str, at: u32, text_of: impl Fn(u32) -> Option<&'t str>) {
        let mut key = hash(text);
        while let Some(other) = self.0.get(&key) {
            if text_of(*other).is_some_and(|t| same(t, text)) {
                return;
            }
            key = key.wrapping_add(1);
        }
        self.0.insert(key, at);
    }

    /// The position of a text.
    pub(crate) fn find<'t>(&self, text: &str, text_of: impl Fn(u32) -> Option<&'t str>) -> Option<u32> {
        let mut key = hash(text);
        loop {
            let at = *self.0.get(&key)?;
            if text_of(at).is_some_and(|t| same(t, text)) {
                return Some(at);
            }
            key = key.wrapping_add(1);
        }
    }
}

/// Whether two texts are the same to Graph.
pub(crate) fn same(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b) || (!(a.is_ascii() && b.is_ascii()) && a.to_lowercase() == b.to_lowercase())
}

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    if text.is_ascii() {
        for byte in text.bytes() {
            hasher.write_u8(byte.to_ascii_lowercase());
        }
    } else {
        hasher.write(text.to_lowercase().as_bytes());
    }
    0xff_u8.hash(&mut hasher);
    hasher.finish()
}
