//! Time-based one-time codes (RFC 6238) and base32 (RFC 4648), as Entra checks them when a token is activated.
//!
//! The secret stays in bytes and never leaves this crate except in the tenant's own state answer.

use aws_lc_rs::hmac;

/// Decodes base32 in Graph's spelling: `A` to `Z`, `2` to `7`, at most 128 characters, padding tolerated.
/// `None` for anything else, lower case and blanks included.
pub(crate) fn base32(text: &str) -> Option<Box<[u8]>> {
    let text = text.trim_end_matches('=');
    if text.is_empty() || text.len() > 128 {
        return None;
    }
    let mut out = Vec::with_capacity(text.len() * 5 / 8);
    let mut bits = 0_u32;
    let mut held = 0_u32;
    for byte in text.bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'2'..=b'7' => byte - b'2' + 26,
            _ => return None,
        };
        held = (held << 5) | u32::from(value);
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            out.push((held >> bits).to_le_bytes()[0]);
            held &= (1 << bits) - 1;
        }
    }
    Some(out.into_boxed_slice())
}

/// Encodes base32 without padding.
pub(crate) fn to_base32(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut out = String::with_capacity(bytes.len() * 8 / 5 + 1);
    let mut push = |value: u32| {
        if let Some(c) = ALPHABET.get((value & 31) as usize) {
            out.push(char::from(*c));
        }
    };
    let mut held = 0_u32;
    let mut bits = 0;
    for byte in bytes {
        held = (held << 8) | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            push(held >> bits);
        }
        held &= (1 << bits) - 1;
    }
    if bits > 0 {
        push(held << (5 - bits));
    }
    out
}

/// The six digits of one time step.
pub(crate) fn code(secret: &[u8], sha256: bool, step: u64) -> String {
    let algorithm = if sha256 { hmac::HMAC_SHA256 } else { hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY };
    let tag = hmac::sign(&hmac::Key::new(algorithm, secret), &step.to_be_bytes());
    let tag = tag.as_ref();
    let offset = usize::from(tag.last().copied().unwrap_or_default() & 0x0f);
    let word = tag.get(offset..offset + 4).and_then(|w| w.try_into().ok()).map_or(0, u32::from_be_bytes);
    format!("{:06}", (word & 0x7fff_ffff) % 1_000_000)
}

/// Whether a code is right now, one step early or one step late.
pub(crate) fn accepts(secret: &[u8], sha256: bool, interval_seconds: u32, unix_ms: i64, given: &str) -> bool {
    let step = u64::try_from(unix_ms).unwrap_or_default() / 1000 / u64::from(interval_seconds.max(1));
    (step.saturating_sub(1)..=step + 1).any(|s| code(secret, sha256, s) == given)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238, appendix B, cut to six digits.
    #[test]
    fn codes_are_those_of_the_rfc() {
        let sha1 = b"12345678901234567890";
        let sha256 = b"12345678901234567890123456789012";
        assert_eq!(code(sha1, false, 59 / 30), "287082");
        assert_eq!(code(sha1, false, 1_111_111_109 / 30), "081804");
        assert_eq!(code(sha256, true, 59 / 30), "119246");
        assert_eq!(code(sha256, true, 20_000_000_000 / 30), "737706");
    }

    #[test]
    fn one_step_of_drift_is_accepted_and_two_are_not() {
        let secret = b"12345678901234567890";
        let at = 1_111_111_109_000;
        let of = |seconds: i64| code(secret, false, u64::try_from((at / 1000 + seconds) / 30).unwrap());
        assert!(accepts(secret, false, 30, at, &of(0)));
        assert!(accepts(secret, false, 30, at, &of(-30)));
        assert!(accepts(secret, false, 30, at, &of(30)));
        assert!(!accepts(secret, false, 30, at, &of(-60)));
        assert!(!accepts(secret, false, 30, at, &of(60)));
    }

    #[test]
    fn base32_goes_both_ways_and_takes_only_graphs_alphabet() {
        assert_eq!(base32("MZXW6YTBOI").as_deref(), Some(&b"foobar"[..]));
        assert_eq!(base32("MZXW6YTBOI======").as_deref(), Some(&b"foobar"[..]));
        assert_eq!(to_base32(b"foobar"), "MZXW6YTBOI");
        for bad in ["", "mzxw6", "MZ XW", "MZX1", &"A".repeat(129)] {
            assert!(base32(bad).is_none(), "{bad}");
        }
    }
}
