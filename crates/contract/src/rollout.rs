//! Staged rollout: what a run of it is about, and where a user stands in it. Stored, so versioned.
//!
//! A *seat* is a user's place in one of the rollout's groups that we asked for: whoever was put there by somebody else has
//! none, and is never taken out by us.

use serde::{Deserialize, Serialize};

/// What a run of the staged rollout is about. It stands where the other kinds of run have their policy; equal terms are
/// the same run, resumed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RolloutTerms {
    /// Version of this shape; 1.
    pub v: u8,
    /// The groups that may be filled, in the order in which they are; empty on the way out.
    pub groups: Vec<RolloutGroup>,
    /// Graph's id of the featureRolloutPolicy; empty on the way out.
    pub policy: String,
    /// How long it may take until a user who was taken out is routed to MFA Server again, in seconds: methods are not
    /// withdrawn before.
    pub stay_s: u64,
    /// Users whom somebody took out since are put in again.
    pub put_back: bool,
    /// The policy cannot be seen by who does this: an administrator answers for it acting on these groups and no others.
    pub unseen: bool,
}

/// A group of the staged rollout.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RolloutGroup {
    /// Object id.
    pub id: String,
    /// Its name, for people.
    pub name: String,
}

impl RolloutTerms {
    /// The newest version of the shape.
    pub const VERSION: u8 = 1;

    /// Reads terms; nothing where they are of another version or no terms at all.
    pub fn read(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok().filter(|terms: &Self| terms.v == Self::VERSION)
    }
}

/// Where a seat stands. The first three stand; the others are over, and another may be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SeatState {
    /// Asked for: maybe in the group, maybe later.
    Asked,
    /// In the group by our doing.
    Seated,
    /// Asked to leave: maybe out, maybe later.
    Leaving,
    /// Taken out by us.
    Left,
    /// The request for it did not land.
    Refused,
    /// Somebody else had put the user there before us.
    Theirs,
    /// Somebody else took the user out, or the group or the user is gone.
    Gone,
}

impl SeatState {
    /// Every value there is.
    pub const ALL: [Self; 7] =
        [Self::Asked, Self::Seated, Self::Leaving, Self::Left, Self::Refused, Self::Theirs, Self::Gone];

    /// The word in the ledger and in the journal.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Seated => "seated",
            Self::Leaving => "leaving",
            Self::Left => "left",
            Self::Refused => "refused",
            Self::Theirs => "theirs",
            Self::Gone => "gone",
        }
    }

    /// Reads a word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }

    /// Whether the user is, or may be, in the group by our doing.
    pub fn stands(self) -> bool {
        match self {
            Self::Asked | Self::Seated | Self::Leaving => true,
            Self::Left | Self::Refused | Self::Theirs | Self::Gone => false,
        }
    }
}
