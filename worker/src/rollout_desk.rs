//! The policy of the staged rollout: made where there is none, let act, and applied to groups.
//!
//! Each write is sent once and then looked for: state decides, never a status code. It moves nobody: a group that it is
//! applied to is empty, and a policy is let act while its groups are.

use crate::Settings;
use graph::{Answer, RolloutPolicy, Writer};
use std::time::Duration;
use telemetry::crash_point;
use tokio::time::Instant;

/// Between two looks.
const LOOK: Duration = Duration::from_secs(1);

/// Why the policy could not be brought to where it has to be. The same call goes on.
#[derive(Debug, thiserror::Error)]
pub enum RolloutDeskError {
    /// It could not be read.
    #[error("the policy of the staged rollout could not be read")]
    Graph(#[source] graph::Error),
    /// Graph will not.
    #[error("Microsoft Graph refused to {what} ({status} {code})")]
    Refused {
        /// What was asked for.
        what: &'static str,
        /// HTTP status.
        status: u16,
        /// Graph's code.
        code: String,
    },
    /// It was asked for and does not show.
    #[error("it was asked to {what}, and Microsoft Graph does not show it yet; run the same command again")]
    NotVisible {
        /// What was asked for.
        what: &'static str,
    },
}

/// Whoever sees to the policy.
pub struct RolloutDesk {
    writer: Writer,
    settings: Settings,
}

impl RolloutDesk {
    /// A desk with these hands.
    pub fn new(writer: Writer, settings: Settings) -> Self {
        Self { writer, settings }
    }

    /// The policy, if there is one.
    ///
    /// # Errors
    /// It could not be read.
    pub async fn policy(&self) -> Result<Option<RolloutPolicy>, RolloutDeskError> {
        self.writer.reader().rollout_policy().await.map_err(RolloutDeskError::Graph)
    }

    /// Makes the policy, which acts on nobody yet.
    ///
    /// # Errors
    /// Graph refuses, or does not show it in time.
    pub async fn make(&self, name: &str) -> Result<RolloutPolicy, RolloutDeskError> {
        let what = "make the policy of the staged rollout";
        self.until(what, async || self.writer.create_rollout_policy(name, self.not_after()).await.0, |_| true)
            .await
    }

    /// Lets it act. Its groups must be empty.
    ///
    /// # Errors
    /// Graph refuses, or does not show it in time.
    pub async fn enable(&self, policy: &str) -> Result<RolloutPolicy, RolloutDeskError> {
        let what = "enable the policy of the staged rollout";
        let ask = async || self.writer.enable_rollout_policy(policy, self.not_after()).await;
        self.until(what, ask, |policy| policy.enabled).await
    }

    /// Applies it to a group, which must be empty.
    ///
    /// # Errors
    /// Graph refuses, or does not show it in time.
    pub async fn apply(&self, policy: &str, group: &str) -> Result<RolloutPolicy, RolloutDeskError> {
        let what = "apply the staged rollout to a group";
        let ask = async || self.writer.apply_rollout_to(policy, group, self.not_after()).await;
        let is_applied =
            |policy: &RolloutPolicy| policy.groups.iter().any(|known| known.0.eq_ignore_ascii_case(group));
        self.until(what, ask, is_applied).await
    }

    fn not_after(&self) -> Instant {
        Instant::now() + self.settings.lease
    }

    /// Asks once, again where nothing was sent or the server had not begun, and looks until it shows.
    async fn until(
        &self,
        what: &'static str,
        ask: impl AsyncFn() -> Answer,
        is_there: impl Fn(&RolloutPolicy) -> bool,
    ) -> Result<RolloutPolicy, RolloutDeskError> {
        let patience = Instant::now() + self.settings.seat_horizon();
        let mut asked: Option<Answer> = None;
        loop {
            if let Some(policy) = self.policy().await?.filter(&is_there) {
                return Ok(policy);
            }
            if Instant::now() >= patience {
                return Err(RolloutDeskError::NotVisible { what });
            }
            match &asked {
                Some(Answer::Refused { status, code }) if *status != 409 => {
                    return Err(RolloutDeskError::Refused { what, status: *status, code: code.clone() });
                }
                Some(Answer::Done { .. } | Answer::Doubt { .. }) => {}
                Some(
                    Answer::Refused { .. }
                    | Answer::Throttled
                    | Answer::NotSent { .. }
                    | Answer::DependencyFailed,
                )
                | None => {
                    let pause = asked.is_some();
                    if pause {
                        tokio::time::sleep(LOOK).await;
                    }
                    crash_point("rollout.policy-asked");
                    asked = Some(ask().await);
                    continue;
                }
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}
