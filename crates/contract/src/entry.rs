//! Words for where things stand: a user's outcome, an entry, an intent, a run. All are stored by their word.

use serde::{Deserialize, Serialize};

macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident $word:literal,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum $name { $($(#[$doc])* #[serde(rename = $word)] $variant,)* }

        impl $name {
            /// Every value there is.
            pub const ALL: &'static [$name] = &[$($name::$variant),*];

            /// The word in outputs and in the ledger.
            pub fn as_str(self) -> &'static str {
                match self { $($name::$variant => $word),* }
            }

            /// Reads a word.
            pub fn parse(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|v| v.as_str() == word)
            }
        }
    };
}

words! {
    /// What a plan means for the user.
    Outcome {
        /// At least one change.
        Change "change",
        /// Left out as a whole (U2, U3, U4).
        Skipped "skipped",
        /// No change, and at least one method is blocked.
        Blocked "blocked",
        /// Nothing to do.
        Unchanged "unchanged",
    }
}

words! {
    /// Where a user stands in a run.
    EntryState {
        /// Frozen into the run; not settled, not claimed. It may carry a time before which nobody claims it.
        Waiting "waiting",
        /// A worker holds it under an epoch and a lease.
        Claimed "claimed",
        /// Settled: every change of the plan is in Entra.
        Applied "applied",
        /// Settled: there was nothing to do.
        Unchanged "unchanged",
        /// Settled: nothing could be moved, and the codes say why.
        Blocked "blocked",
        /// Settled: left out as a whole.
        Skipped "skipped",
        /// Settled: waits for a person.
        Parked "parked",
        /// Settled: taken back.
        Reverted "reverted",
        /// Settled: somebody changed it since; left alone.
        Conflict "conflict",
        /// Settled, in a rehearsal: the plan has changes and none was written.
        Planned "planned",
        /// Settled, in a verification: all that we wrote is there.
        Confirmed "confirmed",
        /// Settled, in a verification: something that we wrote is not there, and neither is anything else.
        Missing "missing",
        /// Settled, in a verification: somebody changed something since.
        ChangedSince "changed-since",
    }
}

impl EntryState {
    /// Whether the run is done with the user.
    pub fn is_settled(self) -> bool {
        match self {
            Self::Waiting | Self::Claimed => false,
            Self::Applied
            | Self::Unchanged
            | Self::Blocked
            | Self::Skipped
            | Self::Parked
            | Self::Reverted
            | Self::Conflict
            | Self::Planned
            | Self::Confirmed
            | Self::Missing
            | Self::ChangedSince => true,
        }
    }
}

words! {
    /// What became of an intent. No outcome on file means: maybe applied, maybe later.
    IntentOutcome {
        /// Seen, or answered with a clean success.
        Applied "applied",
        /// Graph answered that it will not, and the value before still stands.
        Refused "refused",
        /// Graph refused the value itself, such as a number that does not exist; the value before still stands.
        Invalid "invalid",
        /// Something else than the value before or ours is there.
        Drifted "drifted",
        /// Graph answered with an error of its own (500, 502, 503), and the value before was seen afterwards. The same
        /// value may be written again; only for writes that set a value, never for the creation of a token.
        Failed "failed",
        /// It never left, or the server had not begun with it (a throttle, a dependency that failed).
        NotSent "not-sent",
    }
}

words! {
    /// One pass over a batch.
    RunKind {
        /// Plans only.
        Rehearse "rehearse",
        /// Plans and writes.
        Migrate "migrate",
        /// Reads back and compares.
        Verify "verify",
        /// Takes back.
        Rollback "rollback",
        /// Reads the directory and matches, to select the users of a batch; looks at nobody's methods.
        Survey "survey",
        /// Decides who may be put into the groups of the staged rollout, and into which; touches nobody.
        RolloutPlan "rollout-plan",
        /// Puts users into the groups of the staged rollout: Entra does their MFA from then on.
        Rollout "rollout",
        /// Takes them out of those groups: MFA Server does it again.
        RolloutRemove "rollout-remove",
    }
}

words! {
    /// Where a run stands.
    RunState {
        /// The directory is being read, users are matched and frozen.
        Preparing "preparing",
        /// Users are released and worked on.
        Open "open",
        /// Every entry is settled.
        Done "done",
        /// A later run took over what was left.
        Superseded "superseded",
    }
}
