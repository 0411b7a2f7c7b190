//! Sealing (AES-256-GCM) and keyed fingerprints (HMAC-SHA-256), both by aws-lc.
//!
//! An envelope says its version and which key sealed it; its context (such as snapshot and user) is authenticated,
//! so that an envelope cannot be moved to another row. Fingerprints have a key of their own that never rotates:
//! they must be comparable for as long as the ledger lives.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::{digest, hmac, rand};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

const VERSION: u8 = 1;
const KEY_ID_LEN: usize = 4;
const HEADER_LEN: usize = 1 + KEY_ID_LEN + NONCE_LEN;

/// An envelope: version, key id, nonce, ciphertext and tag.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(pub Vec<u8>);

impl std::fmt::Debug for Sealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sealed({} bytes)", self.0.len())
    }
}

/// Why something could not be sealed or opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The key is not 32 bytes.
    #[error("a sealing key is 32 bytes, this one is {0}")]
    KeyLength(usize),
    /// The envelope is cut short.
    #[error("the envelope is cut short")]
    Truncated,
    /// A version that this build does not know.
    #[error("the envelope is of version {0}, this build knows version 1")]
    Version(u8),
    /// No key of that id.
    #[error("sealed with key {0}, which is not among the keys given")]
    UnknownKey(String),
    /// The tag does not match: another context, or changed bytes.
    #[error("the envelope does not belong here or was changed")]
    Refused,
    /// What was inside is not what it should be.
    #[error("the envelope holds something else than expected")]
    Content,
    /// The system gave no randomness.
    #[error("the system gave no random numbers")]
    Random,
}

struct Key {
    id: [u8; KEY_ID_LEN],
    key: LessSafeKey,
}

/// Seals with the newest key, opens with any it was given.
#[derive(Clone)]
pub struct Sealer {
    keys: Arc<Vec<Key>>,
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sealer({} keys)", self.keys.len())
    }
}

impl Sealer {
    /// A sealer over one or more 32-byte keys; the first seals.
    pub fn new(keys: &[Vec<u8>]) -> Result<Self, SealError> {
        let mut built = Vec::with_capacity(keys.len());
        for bytes in keys {
            let unbound =
                UnboundKey::new(&AES_256_GCM, bytes).map_err(|_| SealError::KeyLength(bytes.len()))?;
            let mut named = b"mfa-migrate key id\0".to_vec();
            named.extend_from_slice(bytes);
            let digest = digest::digest(&digest::SHA256, &named);
            let mut id = [0; KEY_ID_LEN];
            id.copy_from_slice(&digest.as_ref()[..KEY_ID_LEN]);
            built.push(Key { id, key: LessSafeKey::new(unbound) });
        }
        if built.is_empty() {
            return Err(SealError::KeyLength(0));
        }
        Ok(Self { keys: Arc::new(built) })
    }

    /// A new random 32-byte key, for a key file.
    pub fn new_key() -> Result<Vec<u8>, SealError> {
        let mut key = vec![0; 32];
        rand::fill(&mut key).map_err(|_| SealError::Random)?;
        Ok(key)
    }

    /// Seals bytes under a context.
    pub fn seal(&self, context: &str, plain: &[u8]) -> Result<Sealed, SealError> {
        let key = &self.keys[0];
        let mut nonce = [0; NONCE_LEN];
        rand::fill(&mut nonce).map_err(|_| SealError::Random)?;
        let mut body = plain.to_vec();
        key.key
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(context.as_bytes()),
                &mut body,
            )
            .map_err(|_| SealError::Refused)?;
        let mut out = Vec::with_capacity(HEADER_LEN + body.len());
        out.push(VERSION);
        out.extend_from_slice(&key.id);
        out.extend_from_slice(&nonce);
        out.extend_from_slice(&body);
        Ok(Sealed(out))
    }

    /// Opens what was sealed under the same context.
    pub fn open(&self, context: &str, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        if sealed.len() < HEADER_LEN {
            return Err(SealError::Truncated);
        }
        if sealed[0] != VERSION {
            return Err(SealError::Version(sealed[0]));
        }
        let id = &sealed[1..1 + KEY_ID_LEN];
        let key =
            self.keys.iter().find(|k| k.id == id).ok_or_else(|| SealError::UnknownKey(hex::encode(id)))?;
        let mut nonce = [0; NONCE_LEN];
        nonce.copy_from_slice(&sealed[1 + KEY_ID_LEN..HEADER_LEN]);
        let mut body = sealed[HEADER_LEN..].to_vec();
        let plain = key
            .key
            .open_in_place(Nonce::assume_unique_for_key(nonce), Aad::from(context.as_bytes()), &mut body)
            .map_err(|_| SealError::Refused)?;
        Ok(plain.to_vec())
    }

    /// Seals a value as JSON.
    pub fn seal_json<T: Serialize>(&self, context: &str, value: &T) -> Result<Sealed, SealError> {
        let plain = serde_json::to_vec(value).map_err(|_| SealError::Content)?;
        self.seal(context, &plain)
    }

    /// Opens a value that was sealed as JSON.
    pub fn open_json<T: for<'de> Deserialize<'de>>(
        &self,
        context: &str,
        sealed: &[u8],
    ) -> Result<T, SealError> {
        serde_json::from_slice(&self.open(context, sealed)?).map_err(|_| SealError::Content)
    }
}

/// A keyed fingerprint: 16 bytes of HMAC-SHA-256. Equal inputs of one domain give equal fingerprints, and nothing
/// else can be learnt from it without the key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint(pub [u8; 16]);

impl Fingerprint {
    /// Lower-case hex, 32 characters.
    pub fn to_hex(self) -> String {
        hex::encode(self.0)
    }

    /// From 16 bytes, or nothing.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        Some(Self(bytes.try_into().ok()?))
    }
}

impl std::fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.to_hex())
    }
}

impl Serialize for Fingerprint {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.to_hex())
    }
}

impl<'de> Deserialize<'de> for Fingerprint {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        hex::decode(&text)
            .ok()
            .and_then(|b| Self::from_slice(&b))
            .ok_or_else(|| serde::de::Error::custom("a fingerprint is 32 hex characters"))
    }
}

/// The key of all fingerprints of one ledger.
#[derive(Clone)]
pub struct FingerprintKey(Arc<hmac::Key>);

impl std::fmt::Debug for FingerprintKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FingerprintKey([redacted])")
    }
}

impl FingerprintKey {
    /// From the key's bytes.
    pub fn new(bytes: &[u8]) -> Self {
        Self(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, bytes)))
    }

    /// The fingerprint of bytes in a domain (such as `upn` or `oath-secret`).
    pub fn of(&self, domain: &str, bytes: &[u8]) -> Fingerprint {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(domain.as_bytes());
        context.update(&[0]);
        context.update(bytes);
        let tag = context.sign();
        let mut out = [0; 16];
        out.copy_from_slice(&tag.as_ref()[..16]);
        Fingerprint(out)
    }
}
