//! Which reading of an OATH secret holds: base32 or hex (rule O1).
//!
//! Nothing is guessed: where both readings are legal and the length does not tell, there is no answer. Bytes are
//! wiped when dropped and never shown.

use contract::Code;
use zeroize::Zeroizing;

const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
/// Graph takes at most 128 base32 characters.
pub(crate) const BASE32_CHARACTERS: usize = 128;

/// The bytes of a secret as the source spells it. Errors: `oath-secret-missing` (blank), `oath-secret-ambiguous`,
/// `oath-unsupported` (neither reading is legal, or too long).
pub(crate) fn read(text: &str) -> Result<Zeroizing<Vec<u8>>, Code> {
    let mut plain = Zeroizing::new(String::with_capacity(text.len()));
    plain.extend(text.chars().filter(|c| !c.is_whitespace() && *c != '=').map(|c| c.to_ascii_uppercase()));
    if plain.is_empty() {
        return Err(Code::OathSecretMissing);
    }
    let as_hex = || hex::decode(plain.as_bytes()).ok().map(Zeroizing::new);
    let as_base32 = || decode(&plain);
    let hex_only = plain.bytes().any(|b| matches!(b, b'0' | b'1' | b'8' | b'9'));
    let base32_only = plain.bytes().any(|b| b.is_ascii_alphabetic() && b > b'F');
    let bytes = match (hex_only, base32_only) {
        (true, true) => None,
        (true, false) => as_hex(),
        (false, true) => as_base32(),
        (false, false) => match (as_hex(), as_base32()) {
            (Some(hex), Some(base32)) => Some(match plain.len() {
                40 => hex,
                16 | 26 | 32 | 52 | 56 => base32,
                _ => return Err(Code::OathSecretAmbiguous),
            }),
            (hex, base32) => hex.or(base32),
        },
    };
    match bytes {
        Some(bytes) if !bytes.is_empty() && bytes.len() * 8 <= BASE32_CHARACTERS * 5 => Ok(bytes),
        _ => Err(Code::OathUnsupported),
    }
}

/// Canonical base32: upper case, no padding.
pub(crate) fn encode(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 8 / 5 + 1);
    let mut buffer: u32 = 0;
    let mut bits = 0;
    for byte in bytes {
        buffer = buffer << 8 | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            out.push(letter(buffer >> bits));
        }
        buffer &= (1 << bits) - 1;
    }
    if bits > 0 {
        out.push(letter(buffer << (5 - bits)));
    }
    out
}

/// Bytes of canonical base32; bits that do not fill a byte are dropped, as authenticators do.
pub(crate) fn decode(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    // Lengths that leave a whole character over are no base32 (RFC 4648 §6).
    if matches!(text.len() % 8, 1 | 3 | 6) {
        return None;
    }
    let mut out = Zeroizing::new(Vec::with_capacity(text.len() * 5 / 8 + 1));
    let mut buffer: u32 = 0;
    let mut bits = 0;
    for byte in text.bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'2'..=b'7' => byte - b'2' + 26,
            _ => return None,
        };
        buffer = buffer << 5 | u32::from(value);
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            out.push(u8::try_from(buffer >> bits & 0xff).ok()?);
            buffer &= (1 << bits) - 1;
        }
    }
    Some(out)
}

fn letter(value: u32) -> char {
    let index = usize::try_from(value & 31).unwrap_or(0);
    ALPHABET.get(index).copied().map_or('A', char::from)
}
