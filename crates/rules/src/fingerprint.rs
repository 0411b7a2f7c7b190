//! Fingerprints of a record and of a plan's whole input (rule U5), and the hash of a policy.
//!
//! Equal inputs give equal values for as long as the shapes keep their version; a change of the rules must raise
//! `RULES_VERSION`. Plain text of a record is wiped once it is hashed.

use aws_lc_rs::digest;
use contract::{Allowed, EntraId, Fingerprint, FingerprintKey, Policy, Record};
use std::fmt::Write;
use zeroize::Zeroizing;

/// Fingerprint of a record with its joined seed row.
pub fn record_fingerprint(record: &Record, keys: &FingerprintKey) -> Fingerprint {
    // Every key of a record is a string, so that it can always be written as JSON.
    let bytes = Zeroizing::new(serde_json::to_vec(record).unwrap_or_default());
    keys.of("record", &bytes)
}

/// Fingerprint of everything that decides a plan but the cloud's state: equal to the one last applied, the user
/// needs no look (U5).
pub fn applied_fingerprint(
    record: Fingerprint,
    policy: &Policy,
    target: &EntraId,
    allowed: Allowed,
    keys: &FingerprintKey,
) -> Fingerprint {
    let mut text = format!("{}\n{}\n", crate::RULES_VERSION, record.to_hex());
    text.push_str(&policy_hash(policy));
    // Writing to a string cannot fail; an id is compared without case.
    let written = write!(text, "\n{}\n{}", target.0.to_lowercase(), allowed.0);
    debug_assert!(written.is_ok());
    keys.of("applied", text.as_bytes())
}

/// Lower-case hex SHA-256 of a policy. The order of its methods does not count, the order of its stages does.
pub fn policy_hash(policy: &Policy) -> String {
    let mut policy = policy.clone();
    policy.methods.sort_unstable();
    let bytes = serde_json::to_vec(&policy).unwrap_or_default();
    hex::encode(digest::digest(&digest::SHA256, &bytes))
}
