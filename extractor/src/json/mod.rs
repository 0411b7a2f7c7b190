//! One line of NDJSON into a [`WireUser`], and the username of a line without reading the rest.
//!
//! Keys are met in any case. What is not kept is skipped by the parser and never copied. Both functions are total on
//! any bytes, and every username that [`parse_line`] finds, [`username_of_line`] finds too.

mod objects;
mod values;

use crate::keys::UserField;
use crate::wire::WireUser;
use contract::RejectCode;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use std::borrow::Cow;
use std::fmt;
use values::Key;

/// Why a line holds no user at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineFault {
    /// Not UTF-8.
    NotUtf8,
    /// Not one JSON object.
    Malformed,
}

impl LineFault {
    /// The code of the reject.
    pub fn code(self) -> RejectCode {
        match self {
            Self::NotUtf8 => RejectCode::NotUtf8,
            Self::Malformed => RejectCode::Malformed,
        }
    }
}

/// Parses one line, without its line end.
///
/// # Errors
/// The line is not UTF-8, or not exactly one JSON object.
pub fn parse_line(line: &[u8]) -> Result<WireUser, LineFault> {
    let text = std::str::from_utf8(line).map_err(|_| LineFault::NotUtf8)?;
    serde_json::from_str(text).map_err(|_| LineFault::Malformed)
}

/// The username of a line, found without parsing all of it where `username` is the first key and plain.
///
/// It may find one in a line that [`parse_line`] refuses; whoever acts on it parses that line.
pub(crate) fn username_of_line(line: &[u8]) -> Option<Cow<'_, str>> {
    leading_username(line).map(Cow::Borrowed).or_else(|| {
        let found: UsernameOnly = serde_json::from_slice(line).ok()?;
        found.0.map(Cow::Owned)
    })
}

/// Takes `{ "username" : "plain"` from the start of the line.
fn leading_username(line: &[u8]) -> Option<&str> {
    let rest = line.trim_ascii_start().strip_prefix(b"{")?.trim_ascii_start();
    let (key, rest) = rest.split_at_checked(br#""username""#.len())?;
    if !key.eq_ignore_ascii_case(br#""username""#) {
        return None;
    }
    let rest = rest.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start().strip_prefix(b"\"")?;
    let value = rest.get(..memchr::memchr2(b'"', b'\\', rest)?)?;
    if rest.get(value.len()) == Some(&b'\\') {
        return None;
    }
    std::str::from_utf8(value).ok()
}

/// The username alone, of the first key that is one.
struct UsernameOnly(Option<String>);

impl<'de> Deserialize<'de> for UsernameOnly {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Only;
        impl<'de> Visitor<'de> for Only {
            type Value = UsernameOnly;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<UsernameOnly, A::Error> {
                let mut user = WireUser::default();
                while let Some(Key(field)) = map.next_key::<Key<UserField>>()? {
                    if field == UserField::Username {
                        user.put(field, map.next_value()?);
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(UsernameOnly(user.username))
            }
        }
        deserializer.deserialize_map(Only)
    }
}
