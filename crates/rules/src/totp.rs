//! The code that proves a token (RFC 6238: SHA-1, six digits), computed from its secret.
//!
//! The time is an argument. Secrets are wiped after use and never shown.

use aws_lc_rs::hmac;

const DIGITS: u32 = 1_000_000;

/// The code at a time, in seconds since 1970 UTC. Nothing where the secret is no canonical base32 or the interval
/// is zero.
pub fn totp(secret_base32: &str, interval_seconds: u32, unix_s: u64) -> Option<String> {
    let secret = crate::secret::decode(secret_base32)?;
    let step = unix_s.checked_div(u64::from(interval_seconds))?;
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &secret);
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let tag = tag.as_ref();
    let offset = usize::from(tag.last()? & 0xf);
    let word: [u8; 4] = tag.get(offset..offset + 4)?.try_into().ok()?;
    let code = (u32::from_be_bytes(word) & 0x7fff_ffff) % DIGITS;
    Some(format!("{code:06}"))
}
