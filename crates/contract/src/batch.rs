//! A batch: whom it holds, and how its runs go about it. Both are kept in the ledger and read by other processes.
//!
//! Only what an operator said stands here, as it was said; sizes of steps and times of windows are reckoned from it by
//! the rules, anew each time.

use serde::{Deserialize, Serialize};

/// Whom a batch takes: users who meet every kind that is given, by any of its values, and nothing of `except`. Values are
/// compared without case and without blanks around them. All empty means everybody.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Selector {
    /// Whom it takes.
    #[serde(flatten)]
    pub only: Cohort,
    /// Whom it leaves out, by whatever hits first.
    #[serde(default, skip_serializing_if = "Cohort::is_empty")]
    pub except: Cohort,
}

/// Values of attributes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Cohort {
    /// Entra's `usageLocation` or `country`, or the cohort file's `region`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub region: Vec<String>,
    /// Entra's `department`, or the cohort file's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub department: Vec<String>,
    /// MFA Server's user group, or the cohort file's `group`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub group: Vec<String>,
    /// Object ids or names of groups in Entra; their transitive members.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub entra_group: Vec<String>,
    /// Lists of usernames: the names of their files, for people to read. Who stood in them is in the frozen membership.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<String>,
}

impl Cohort {
    /// Whether no value is given.
    pub fn is_empty(&self) -> bool {
        [&self.region, &self.department, &self.group, &self.entra_group, &self.users]
            .iter()
            .all(|values| values.is_empty())
    }
}

/// How a batch's migrations go about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BatchSettings {
    /// Version of this shape; 1.
    pub v: u8,
    /// Steps such as `10,100,1%,10%,100%`; absent: everybody at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<String>,
    /// Share of failures above which a step stops the run, such as `2%`.
    pub abort_at: String,
    /// Seconds between the end of a step and the next one.
    #[serde(default)]
    pub wait_s: u64,
    /// Whether a person must let each further step go on.
    #[serde(default)]
    pub approve: bool,
    /// Times at which users are released, such as `Mon-Fri 22:00-06:00`; empty: always.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<String>,
    /// The windows' time zone, by its IANA name.
    pub tz: String,
    /// Writes a second that its runs may have at most; absent: as many as the tenant takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_rate: Option<u32>,
    /// Whether the leading coordinator moves its users again by itself, as soon as a newer datafile says other things of
    /// them; with the policy of the batch's last migration.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keep_in_step: bool,
}

impl BatchSettings {
    /// The newest version of the shape.
    pub const VERSION: u8 = 1;
    /// What is borne where nothing is said.
    pub const ABORT_AT: &'static str = "2%";
}

impl Default for BatchSettings {
    fn default() -> Self {
        Self {
            v: Self::VERSION,
            canary: None,
            abort_at: Self::ABORT_AT.to_owned(),
            wait_s: 0,
            approve: false,
            windows: Vec::new(),
            tz: "UTC".to_owned(),
            max_rate: None,
            keep_in_step: false,
        }
    }
}
