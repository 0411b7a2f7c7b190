//! Intents without an outcome: what a look at the user tells of them. Pure.
//!
//! The process that filed such an intent may be gone while its request is still under way. So a method in doubt is
//! never read as absent or unchanged before the intent is older than the horizon; being there, it is done.

use crate::compare::same;
use contract::{Change, IntentOutcome, Target, TokenStatus};
use std::time::Duration;

/// An intent without an outcome, opened.
#[derive(Debug, Clone)]
pub(crate) struct OpenIntent {
    pub(crate) slot: String,
    /// The newest of its slot. What is there answers for it; an older one can only still land.
    pub(crate) newest: bool,
    pub(crate) of_this_run: bool,
    pub(crate) change: Change,
    pub(crate) age: Duration,
}

/// What a look told of all open intents of a user.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Finding {
    /// What is known now, by slot.
    pub(crate) outcomes: Vec<(String, IntentOutcome)>,
    /// Something may still land: look again after this, plan nothing before.
    pub(crate) look_again_after: Option<Duration>,
    /// Slots of which half is there. That is no outcome to be filed: what is there is ours, and is to be found by whoever
    /// comes next, should nobody get to the other half.
    pub(crate) half_way: Vec<String>,
    /// Something was waited for until the horizon and is not there, or is only half there: trying again is an attempt.
    pub(crate) another_attempt: bool,
}

impl Finding {
    fn wait(&mut self, age: Duration, horizon: Duration) {
        let wait = poll_after(age).min(horizon.saturating_sub(age));
        self.look_again_after = Some(self.look_again_after.map_or(wait, |w| w.max(wait)));
    }
}

/// Compares each open intent with what `now` tells of its slot.
pub(crate) fn assess(
    open: &[OpenIntent],
    now: impl Fn(&Change) -> Option<String>,
    horizon: Duration,
) -> Finding {
    let mut finding = Finding::default();
    for intent in open {
        let now = now(&intent.change);
        let method = intent.change.method;
        if !intent.newest {
            let is_there = same(method, now.as_deref(), intent.change.to.as_deref());
            if !is_there && intent.age < horizon {
                finding.wait(intent.age, horizon);
            }
            continue;
        }
        let outcome = if same(method, now.as_deref(), intent.change.to.as_deref()) {
            IntentOutcome::Applied
        } else if is_half_way(intent, now.as_deref()) {
            finding.another_attempt = true;
            finding.half_way.push(intent.slot.clone());
            continue;
        } else if intent.age < horizon {
            finding.wait(intent.age, horizon);
            continue;
        } else if same(method, now.as_deref(), intent.change.from.as_deref()) || came_by_itself(intent) {
            finding.another_attempt = true;
            IntentOutcome::Failed
        } else {
            IntentOutcome::Drifted
        };
        finding.outcomes.push((intent.slot.clone(), outcome));
    }
    finding
}

/// A token that is assigned and not activated is our own half-way state: it is neither absent nor unchanged, and
/// activating what is activated meanwhile changes nothing, so nobody need wait. On the way back it is one that was taken
/// from the user and still lies in the inventory.
fn is_half_way(intent: &OpenIntent, now: Option<&str>) -> bool {
    let is = |value: Option<&str>, status: TokenStatus| value == Some(status.as_str());
    intent.change.method == Target::HardwareOath
        && match intent.change.to {
            Some(_) if is(intent.change.to.as_deref(), TokenStatus::Activated) => {
                is(now, TokenStatus::Assigned) || is(now, TokenStatus::FailedActivation)
            }
            Some(_) => false,
            None => is(now, TokenStatus::Available),
        }
}

/// A default that was unset and appeared after our own write was chosen by Graph: nobody's change.
fn came_by_itself(intent: &OpenIntent) -> bool {
    intent.change.method == Target::Default && intent.change.from.is_none()
}

/// Looks come at a third of the intent's age: soon at first, rarely later.
pub(crate) fn poll_after(age: Duration) -> Duration {
    (age / 3).clamp(Duration::from_secs(1), Duration::from_secs(30))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::current_of;
    use contract::UserMethods;

    fn assess(open: &[OpenIntent], methods: &UserMethods, horizon: Duration) -> Finding {
        super::assess(open, |change| current_of(methods, change), horizon)
    }

    const HORIZON: Duration = Duration::from_secs(675);

    fn mobile(from: Option<&str>, to: &str, age_s: u64) -> OpenIntent {
        OpenIntent {
            slot: "mobile".into(),
            newest: true,
            of_this_run: true,
            change: Change {
                method: Target::Mobile,
                serial: None,
                from: from.map(Into::into),
                to: Some(to.into()),
            },
            age: Duration::from_secs(age_s),
        }
    }

    fn with_mobile(number: Option<&str>) -> UserMethods {
        UserMethods {
            phones: number.map(|n| (Target::Mobile, n.to_owned())).into_iter().collect(),
            ..UserMethods::default()
        }
    }

    #[test]
    fn what_is_there_is_done_at_any_age() {
        for age in [0, 10, 10_000] {
            let finding =
                assess(&[mobile(None, "+1 2065550100", age)], &with_mobile(Some("+12065550100")), HORIZON);
            assert_eq!(finding.outcomes, [("mobile".to_owned(), IntentOutcome::Applied)]);
            assert_eq!(finding.look_again_after, None);
        }
    }

    #[test]
    fn before_the_horizon_absent_means_wait() {
        let finding = assess(&[mobile(None, "+1 2065550100", 674)], &with_mobile(None), HORIZON);
        assert!(finding.outcomes.is_empty());
        assert_eq!(finding.look_again_after, Some(Duration::from_secs(1)), "never beyond the horizon");
    }

    #[test]
    fn after_the_horizon_the_value_before_means_that_it_never_landed() {
        let finding = assess(
            &[mobile(Some("+1 2065550199"), "+1 2065550100", 675)],
            &with_mobile(Some("+1 2065550199")),
            HORIZON,
        );
        assert_eq!(finding.outcomes, [("mobile".to_owned(), IntentOutcome::Failed)]);
    }

    #[test]
    fn after_the_horizon_anything_else_is_somebodys_change() {
        let finding =
            assess(&[mobile(None, "+1 2065550100", 675)], &with_mobile(Some("+1 2065550155")), HORIZON);
        assert_eq!(finding.outcomes, [("mobile".to_owned(), IntentOutcome::Drifted)]);
    }

    #[test]
    fn an_older_intent_of_the_slot_has_no_say_but_may_still_land() {
        let older = OpenIntent { newest: false, ..mobile(None, "+1 2065550100", 10) };
        let newer = mobile(None, "+1 2065550111", 5);
        let finding = assess(&[older.clone(), newer.clone()], &with_mobile(Some("+1 2065550111")), HORIZON);
        assert_eq!(finding.outcomes, [("mobile".to_owned(), IntentOutcome::Applied)]);
        assert!(finding.look_again_after.is_some(), "the older request may still be under way");
        let long_ago = OpenIntent { age: HORIZON, ..older };
        let finding = assess(&[long_ago, newer], &with_mobile(Some("+1 2065550111")), HORIZON);
        assert_eq!(finding.look_again_after, None);
    }

    #[test]
    fn a_token_that_is_only_assigned_is_gone_on_with_at_once() {
        let intent = OpenIntent {
            slot: "hardwareOath:x".into(),
            newest: true,
            of_this_run: true,
            change: Change {
                method: Target::HardwareOath,
                serial: Some("1".into()),
                from: None,
                to: Some("activated".into()),
            },
            age: Duration::ZERO,
        };
        let token = |status| contract::HardwareOath {
            method_id: "m".into(),
            device_id: None,
            serial: Some("1".into()),
            status: Some(status),
        };
        let seen = |tokens: Vec<contract::HardwareOath>| {
            let methods = UserMethods { hardware_oath: tokens, ..UserMethods::default() };
            assess(std::slice::from_ref(&intent), &methods, HORIZON)
        };
        let half = seen(vec![token(TokenStatus::Assigned)]);
        assert_eq!((half.half_way.len(), half.look_again_after), (1, None));
        assert!(
            half.outcomes.is_empty(),
            "it is on file as one of which nobody knows, until it is activated"
        );
        assert_eq!(seen(vec![token(TokenStatus::Activated)]).outcomes[0].1, IntentOutcome::Applied);
        assert!(seen(vec![]).look_again_after.is_some(), "absent is not believed before the horizon");
    }

    #[test]
    fn a_default_that_appeared_by_itself_is_not_a_drift() {
        let intent = OpenIntent {
            slot: "default".into(),
            newest: true,
            of_this_run: true,
            change: Change {
                method: Target::Default,
                serial: None,
                from: None,
                to: Some("voiceMobile".into()),
            },
            age: HORIZON,
        };
        let methods = UserMethods { default: Some(contract::DefaultMethod::Sms), ..UserMethods::default() };
        assert_eq!(
            assess(&[intent], &methods, HORIZON).outcomes,
            [("default".to_owned(), IntentOutcome::Failed)]
        );
    }
}
