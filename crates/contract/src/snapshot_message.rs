//! What the extractor sends to the coordinator: sealed records, rejects, and at the end the manifest.
//!
//! One byte of version, one of kind, then for records the snapshot, the ordinal and the envelope; the rest is JSON, for
//! it names nobody.

use crate::{Reject, Sealed, SnapshotId, SnapshotManifest};

const VERSION: u8 = 1;
const RECORD: u8 = 1;
const REJECT: u8 = 2;
const END: u8 = 3;
const ID_LEN: usize = 64;

/// A message of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SnapshotMessage {
    /// An accepted record.
    Record {
        /// The snapshot.
        snapshot: SnapshotId,
        /// Position in it.
        ordinal: i64,
        /// The record, sealed under `context::record`.
        sealed: Sealed,
    },
    /// A record that was turned away.
    Reject {
        /// The snapshot.
        snapshot: SnapshotId,
        /// What was turned away, and why.
        reject: Reject,
    },
    /// All was sent.
    End(SnapshotManifest),
}

/// A message that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum MessageError {
    /// Cut short, or not ours.
    #[error("the snapshot message is not readable")]
    Malformed,
    /// A version or kind that this build does not know.
    #[error("the snapshot message is of version {0}, this build knows version 1")]
    Version(u8),
}

impl SnapshotMessage {
    /// The message's body.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Record { snapshot, ordinal, sealed } => {
                let mut out = Vec::with_capacity(2 + ID_LEN + 8 + sealed.0.len());
                out.extend_from_slice(&[VERSION, RECORD]);
                out.extend_from_slice(format!("{:0>ID_LEN$}", snapshot.0).as_bytes());
                out.extend_from_slice(&ordinal.to_be_bytes());
                out.extend_from_slice(&sealed.0);
                out
            }
            Self::Reject { snapshot, reject } => json(REJECT, &(snapshot, reject)),
            Self::End(manifest) => json(END, manifest),
        }
    }

    /// Reads a body.
    pub fn decode(body: &[u8]) -> Result<Self, MessageError> {
        let [version, kind, rest @ ..] = body else { return Err(MessageError::Malformed) };
        if *version != VERSION {
            return Err(MessageError::Version(*version));
        }
        match *kind {
            RECORD => {
                let (id, rest) = rest.split_at_checked(ID_LEN).ok_or(MessageError::Malformed)?;
                let (ordinal, sealed) = rest.split_first_chunk::<8>().ok_or(MessageError::Malformed)?;
                let id = std::str::from_utf8(id).map_err(|_| MessageError::Malformed)?;
                Ok(Self::Record {
                    snapshot: named(SnapshotId(id.to_owned()))?,
                    ordinal: i64::from_be_bytes(*ordinal),
                    sealed: Sealed(sealed.to_vec()),
                })
            }
            REJECT => {
                let (snapshot, reject): (SnapshotId, Reject) =
                    serde_json::from_slice(rest).map_err(|_| MessageError::Malformed)?;
                let texts = [reject.file.as_deref().unwrap_or_default(), reject.field.as_str()];
                if texts.iter().any(|text| text.contains('\0')) {
                    return Err(MessageError::Malformed);
                }
                Ok(Self::Reject { snapshot: named(snapshot)?, reject })
            }
            END => {
                let manifest: SnapshotManifest =
                    serde_json::from_slice(rest).map_err(|_| MessageError::Malformed)?;
                named(manifest.id.clone())?;
                Ok(Self::End(manifest))
            }
            _ => Err(MessageError::Malformed),
        }
    }
}

/// A snapshot's name is what its digest looks like; anything else never came from an extractor.
fn named(id: SnapshotId) -> Result<SnapshotId, MessageError> {
    let is_digest = id.0.len() == ID_LEN && id.0.bytes().all(|b| b.is_ascii_hexdigit());
    if is_digest { Ok(id) } else { Err(MessageError::Malformed) }
}

fn json(kind: u8, value: &impl serde::Serialize) -> Vec<u8> {
    let mut out = vec![VERSION, kind];
    // These shapes have no map with other keys than text, so they always serialise.
    out.extend(serde_json::to_vec(value).unwrap_or_default());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_comes_back_as_it_went() {
        let record = SnapshotMessage::Record {
            snapshot: SnapshotId("ab".repeat(32)),
            ordinal: 7,
            sealed: Sealed(vec![1, 2, 3]),
        };
        assert_eq!(SnapshotMessage::decode(&record.encode()).unwrap(), record);
    }

    #[test]
    fn rubbish_is_an_error_and_never_a_panic() {
        let nameless = [&[1, 1][..], &[0; ID_LEN + 8 + 40]].concat();
        for body in
            [&nameless[..], &b""[..], b"\x01", b"\x01\x01short", b"\x02\x01", b"\x01\x09", b"\x01\x02{"]
        {
            assert!(SnapshotMessage::decode(body).is_err());
        }
    }
}
