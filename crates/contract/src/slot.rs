//! Slots: where the ledger files the pre-image and the intent of one method of one user.
//!
//! A token's slot names its serial by a keyed fingerprint, so that the ledger holds no serial in clear.

use crate::{Change, Fingerprint, FingerprintKey, Target};

/// The slot of a method; `serial` for tokens alone.
pub fn slot_key(method: Target, serial: Option<&str>, keys: &FingerprintKey) -> String {
    match serial {
        Some(serial) => format!("{}:{}", method.as_str(), serial_fingerprint(serial, keys).to_hex()),
        None => method.as_str().to_owned(),
    }
}

/// The slot of a change.
pub fn slot_of(change: &Change, keys: &FingerprintKey) -> String {
    slot_key(change.method, change.serial.as_deref(), keys)
}

/// The keyed fingerprint of a token's serial; blanks around it and case do not count, as in the rules.
pub fn serial_fingerprint(serial: &str, keys: &FingerprintKey) -> Fingerprint {
    keys.of("serial", serial.trim().to_ascii_lowercase().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_serial_is_the_same_in_any_case_and_between_blanks() {
        let keys = FingerprintKey::new(&[7; 32]);
        assert_eq!(serial_fingerprint(" t-2", &keys), serial_fingerprint("T-2", &keys));
        assert_ne!(serial_fingerprint("T-2", &keys), serial_fingerprint("T-3", &keys));
    }
}
