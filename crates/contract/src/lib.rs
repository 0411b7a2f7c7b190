//! What crosses a process or a restart: ids, records, observations, plans, orders, sealed envelopes, reason codes.
//!
//! Plain values and their versioned shapes; no I/O, no clock, no decision. Everything here that is stored or
//! sent has a golden sample under `golden/`, and a change of shape is a new version, never an edit of an old one.

mod batch;
mod code;
pub mod context;
mod disposition;
mod entry;
mod ids;
mod journal;
mod observed;
mod order;
mod pass;
mod plan;
mod policy;
mod record;
mod result;
mod rollout;
mod seal;
mod secret;
mod slot;
mod snapshot;
mod snapshot_message;

pub use batch::{BatchSettings, Cohort, Selector};
pub use code::{Code, CodeKind, Subject};
pub use disposition::Disposition;
pub use entry::{EntryState, IntentOutcome, Outcome, RunKind, RunState};
pub use ids::{EntraId, RunId, SnapshotId, UserKey};
pub use journal::{JOURNAL_START, JournalBreak, JournalChain, JournalDigest, JournalLine};
pub use observed::{
    Allowed, Authenticator, DefaultMethod, DirectoryEntry, HardwareOath, InventoryToken, Observed,
    TokenStatus, UserMethods,
};
pub use order::{Order, OrderError};
pub use pass::{PassEnding, PassOutcome};
pub use plan::{Change, History, Note, Plan, PlanLine, PlanTarget, Target, Token, TokenStep};
pub use policy::{
    AppCodes, CompanyDefaultMode, DefaultMethodPolicy, Match, Method, OnDrift, OnExisting, Policy,
    PolicyError,
};
pub use record::{Device, Mode, OathToken, RawPhone, Record, SmsDirection};
pub use result::{Conflict, Done, EntryResult};
pub use rollout::{RolloutGroup, RolloutTerms, SeatState};
pub use seal::{Fingerprint, FingerprintKey, SealError, Sealed, Sealer};
pub use secret::Secret;
pub use slot::{serial_fingerprint, slot_key, slot_of};
pub use snapshot::{LastSent, RecordRow, Reject, RejectCode, SnapshotManifest};
pub use snapshot_message::{MessageError, SnapshotMessage};
