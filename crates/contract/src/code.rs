//! Reason codes: why something was or was not done, one word an outcome, as the operator's scripts know them.

use serde::{Deserialize, Serialize};

/// What a code does to a user's outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodeKind {
    /// Tells something; changes no outcome.
    Note,
    /// A method could not be moved.
    Blocked,
    /// The whole user was left out.
    Skipped,
    /// A run set the user aside for a person.
    Held,
}

/// What a code speaks of: a method of the source, a target in Entra, or the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Subject {
    /// The primary phone of the source.
    Phone,
    /// The backup phone of the source.
    Backup,
    /// A mobile app device of the source.
    MobileApp,
    /// The OATH token of the source.
    OathToken,
    /// The default method.
    Default,
    /// The user as a whole.
    User,
    /// The mobile number in Entra.
    Mobile,
    /// The alternate mobile number in Entra.
    AlternateMobile,
    /// The office number in Entra.
    Office,
    /// A hardware token in Entra.
    HardwareOath,
}

impl Subject {
    /// The word in outputs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Phone => "phone",
            Self::Backup => "backup",
            Self::MobileApp => "mobileApp",
            Self::OathToken => "oathToken",
            Self::Default => "default",
            Self::User => "user",
            Self::Mobile => "mobile",
            Self::AlternateMobile => "alternateMobile",
            Self::Office => "office",
            Self::HardwareOath => "hardwareOath",
        }
    }
}

macro_rules! codes {
    ($(#[doc = $doc:literal] $(#[doc = $more:literal])* $name:ident $word:literal $kind:ident,)*) => {
        /// A reason code. The doc of each names the rule it comes from.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum Code { $(#[doc = $doc] $(#[doc = $more])* #[serde(rename = $word)] $name,)* }

        impl Code {
            /// Every code there is.
            pub const ALL: &'static [Code] = &[$(Code::$name),*];

            /// The word in outputs and in the ledger.
            pub fn as_str(self) -> &'static str {
                match self { $(Code::$name => $word),* }
            }

            /// What it says, in a sentence, with the rule it comes from.
            pub fn meaning(self) -> &'static str {
                match self { $(Code::$name => $doc.trim_ascii()),* }
            }

            /// What it does to the outcome.
            pub fn kind(self) -> CodeKind {
                match self { $(Code::$name => CodeKind::$kind),* }
            }

            /// Reads a word.
            pub fn parse(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|c| c.as_str() == word)
            }
        }
    };
}

codes! {
    /// U2: no stage hits.
    MatchNone "match-none" Skipped,
    /// U3: more than one Entra user, or two records for one.
    MatchAmbiguous "match-ambiguous" Skipped,
    /// U4: disabled in MFA Server.
    SourceDisabled "source-disabled" Skipped,
    /// U5: nothing has changed since it was last applied.
    UnchangedSinceLast "unchanged-since-last" Note,
    /// U8: only telephone methods after the plan.
    PhoneOnly "phone-only" Note,
    /// N3: no country code, and no default helps.
    CountryCodeMissing "country-code-missing" Blocked,
    /// N4: the number repeated its own country code.
    PrefixRepaired "prefix-repaired" Note,
    /// N5: a trunk prefix was removed.
    TrunkPrefixRemoved "trunk-prefix-removed" Note,
    /// N6: not a possible number; also when Graph refuses it as invalid.
    PhoneInvalid "phone-invalid" Blocked,
    /// N7: possible, not valid by the numbering plan.
    PhoneDoubtful "phone-doubtful" Note,
    /// N9: pauses or letters in the extension.
    ExtensionUnrepresentable "extension-unrepresentable" Blocked,
    /// Equal to what is there: no change.
    Unchanged "unchanged" Note,
    /// `on_existing = keep`: another value is there and stays.
    KeptExisting "kept-existing" Note,
    /// P1: no phone in the record.
    PhoneAbsent "phone-absent" Note,
    /// P4: text mode drops the extension.
    ExtensionDropped "extension-dropped" Note,
    /// P5: two-way text messages become one-way.
    TwoWaySmsBecomesOneWay "two-way-sms-becomes-one-way" Note,
    /// B3: both phones have an extension.
    BackupSkippedBothExtensions "backup-skipped-both-extensions" Note,
    /// B4: an alternate mobile needs a mobile.
    AlternateNeedsMobile "alternate-needs-mobile" Blocked,
    /// B4: the backup phone became the mobile.
    BackupPromotedToMobile "backup-promoted-to-mobile" Note,
    /// B5: the backup phone equals the phone.
    BackupDuplicatesPhone "backup-duplicates-phone" Note,
    /// M1: the order of devices had to be guessed.
    RecencyGuessed "recency-guessed" Note,
    /// M2: a newer device has the same name.
    DeviceSameName "device-same-name" Note,
    /// M3, M9: no slot for this device.
    DeviceOverLimit "device-over-limit" Blocked,
    /// M5: the device's secret is there already.
    DevicePresent "device-present" Note,
    /// M6: an Authenticator registration is there already.
    AppPresent "app-present" Note,
    /// M6: whether it is the same phone cannot be told.
    AppUnverified "app-unverified" Note,
    /// M7: Graph cannot create a push registration; the user must register again.
    AppReregister "app-reregister" Blocked,
    /// O1: base32 or hex, and nothing tells which.
    OathSecretAmbiguous "oath-secret-ambiguous" Blocked,
    /// O2: no secret in the record and none in the seed file.
    OathSecretMissing "oath-secret-missing" Blocked,
    /// O3: an interval, a length or a serial that Graph does not take.
    OathUnsupported "oath-unsupported" Blocked,
    /// O4: this token is there already and in use.
    OathPresent "oath-present" Note,
    /// O5: the serial is someone else's.
    OathSerialTaken "oath-serial-taken" Blocked,
    /// O6: no slot for the token.
    OathOverLimit "oath-over-limit" Blocked,
    /// O7: guests cannot hold tokens.
    OathGuestUnsupported "oath-guest-unsupported" Blocked,
    /// §7: the company's default mode was used.
    ModeUnspecified "mode-unspecified" Note,
    /// D2: another default than the wanted one.
    DefaultSubstituted "default-substituted" Note,
    /// D3: something is present, nothing of it is allowed.
    DefaultUnavailable "default-unavailable" Note,
    /// D5: system-preferred authentication is on.
    SystemPreferredOn "system-preferred-on" Note,
    /// §9: the default was unset before and stays set.
    DefaultLeft "default-left" Note,
    /// A reviewed plan no longer fits the cloud.
    PlanStale "plan-stale" Held,
    /// Somebody changed the method after we wrote it.
    CloudChanged "cloud-changed" Held,
    /// On the way back: somebody changed the method since.
    RollbackConflict "rollback-conflict" Held,
    /// Graph refuses this user.
    Forbidden "forbidden" Held,
    /// Throttled beyond the bound.
    ThrottledOut "throttled-out" Held,
    /// Written, and not shown within the deadline.
    NotVisible "not-visible" Held,
    /// Graph refused a write for a reason that the rules do not know; the reason is in the report.
    GraphRefused "graph-refused" Held,
    /// The user is gone from Entra since the directory was read.
    UserGone "user-gone" Held,
    /// Too many crashes while this user was being written.
    CrashLoop "crash-loop" Held,
    /// The record cannot be opened or understood.
    RecordUnreadable "record-unreadable" Held,
    /// What was there before us, or the record itself, was removed by `forget`.
    Forgotten "forgotten" Held,
    /// Staged rollout: a guest keeps the MFA of the home tenant.
    RolloutGuest "rollout-guest" Blocked,
    /// Staged rollout: a user who lives in the cloud alone signs in there already.
    RolloutCloudOnly "rollout-cloud-only" Blocked,
    /// Staged rollout: no migration of the user is settled with the methods in place, or it was taken back.
    RolloutNotMoved "rollout-not-moved" Blocked,
    /// Staged rollout: no verification since the last write has confirmed the user.
    RolloutNotVerified "rollout-not-verified" Blocked,
    /// Staged rollout: as far as is known the user has no method in Entra, and could not sign in there.
    RolloutNoMethod "rollout-no-method" Blocked,
    /// Staged rollout: the groups have no room left.
    RolloutFull "rollout-full" Blocked,
    /// Staged rollout: somebody took the user out of the group that we had put them into.
    RolloutTakenOut "rollout-taken-out" Blocked,
    /// Staged rollout: somebody else has put the user into one of its groups; that is left alone.
    RolloutAlreadyIn "rollout-already-in" Note,
    /// Staged rollout, on the way out: we have not put the user into a group.
    RolloutNotIn "rollout-not-in" Note,
    /// Staged rollout: the group is gone.
    RolloutGroupGone "rollout-group-gone" Held,
    /// Taking back: the user is in a group of the staged rollout, and would be left without a method there.
    RolloutStillIn "rollout-still-in" Held,
}
