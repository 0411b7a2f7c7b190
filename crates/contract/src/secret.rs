//! A string that must not be seen: an OATH secret, a token, a key.
//!
//! It is wiped when dropped and prints as `[redacted]`; it is only ever serialised into something that gets sealed.

use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

/// A secret text. `Debug` shows nothing of it; `expose` is the only way to read it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Takes ownership of the text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that needs it (decoding a seed, an HTTP header).
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}
