//! Small pieces of Graph's wire format: the error envelope, `Retry-After`, percent-encoding, pages.
//!
//! Tolerant in what it reads: an error body that cannot be read gives an empty code, never a failure of its own.

use crate::Error;
use serde::Deserialize;
use std::time::Duration;

/// Longest `Retry-After` that is believed: a larger one is a broken clock at the other end, not a plan.
const RETRY_AFTER_MAX_S: f64 = 3600.0;

#[derive(Deserialize, Default)]
#[serde(default)]
struct Envelope {
    error: Inner,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Inner {
    code: String,
}

/// Graph's error code in a body; empty where there is none.
pub(crate) fn error_code(body: &[u8]) -> String {
    serde_json::from_slice::<Envelope>(body).map(|e| e.error.code).unwrap_or_default()
}

/// The same, of an item's body in a bundle.
pub(crate) fn error_code_of(body: Option<&serde_json::Value>) -> String {
    body.and_then(|b| b.pointer("/error/code")).and_then(|c| c.as_str()).unwrap_or_default().to_owned()
}

/// Reads `Retry-After` in seconds, whole or fractional; dates and nonsense count as absent.
pub(crate) fn retry_after(text: &str) -> Option<Duration> {
    let seconds: f64 = text.trim().parse().ok()?;
    (seconds.is_finite() && seconds >= 0.0).then(|| Duration::from_secs_f64(seconds.min(RETRY_AFTER_MAX_S)))
}

/// Percent-encodes everything but RFC 3986's unreserved characters.
pub(crate) fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// A page of a collection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// What the page holds, in Graph's order.
    pub items: Vec<T>,
    /// Where the next page is; absent on the last one. Opaque: hand it back as it is.
    pub next: Option<String>,
}

/// A collection as Graph sends it.
#[derive(Deserialize)]
pub(crate) struct Collection<T> {
    pub(crate) value: Vec<T>,
    #[serde(rename = "@odata.nextLink")]
    pub(crate) next: Option<String>,
}

/// Reads a JSON body.
pub(crate) fn read<'a, T: Deserialize<'a>>(body: &'a [u8], what: &'static str) -> Result<T, Error> {
    serde_json::from_slice(body).map_err(|_| Error::Shape { what })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_takes_whole_and_fractional_seconds_and_nothing_else() {
        assert_eq!(retry_after("2.128"), Some(Duration::from_secs_f64(2.128)));
        assert_eq!(retry_after(" 10 "), Some(Duration::from_secs(10)));
        for nonsense in ["", "-1", "NaN", "inf", "Wed, 21 Oct 2026 07:28:00 GMT"] {
            assert_eq!(retry_after(nonsense), None, "{nonsense}");
        }
        assert_eq!(retry_after("1e30"), Some(Duration::from_secs(3600)));
    }

    #[test]
    fn encoding_leaves_nothing_that_could_end_a_segment_or_a_filter() {
        assert_eq!(encode("a/b?c#d'e f&g"), "a%2Fb%3Fc%23d%27e%20f%26g");
    }
}
