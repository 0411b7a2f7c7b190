//! A reviewed plan binds: the user gets exactly what was looked at, or is held back. Pure.

use crate::compare::{current_of, same};
use contract::{Change, PlanLine, UserMethods};

/// Whether what the rules demand now is what was reviewed. A reviewed change that is gone from the plan is fine only if
/// its value is there and we have an intent on file for it: then it is our own work of before a crash.
pub(crate) fn still_fits(
    reviewed: &PlanLine,
    planned: &[Change],
    methods: &UserMethods,
    has_intent: impl Fn(&Change) -> bool,
) -> bool {
    let slot = |c: &Change| (c.method, c.serial.clone());
    let all_planned_were_reviewed = planned.iter().all(|p| {
        reviewed
            .changes
            .iter()
            .any(|r| slot(r) == slot(p) && r.to == p.to && (r.from == p.from || has_intent(r)))
    });
    let all_reviewed_are_planned_or_done = reviewed.changes.iter().all(|r| {
        planned.iter().any(|p| slot(p) == slot(r))
            || (has_intent(r) && same(r.method, current_of(methods, r).as_deref(), r.to.as_deref()))
    });
    all_planned_were_reviewed && all_reviewed_are_planned_or_done
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::{Outcome, Target};

    fn change(method: Target, from: Option<&str>, to: &str) -> Change {
        Change { method, serial: None, from: from.map(Into::into), to: Some(to.into()) }
    }

    fn line(changes: Vec<Change>) -> PlanLine {
        PlanLine {
            user: "u".into(),
            target: None,
            matched_by: None,
            outcome: Outcome::Change,
            changes,
            codes: vec![],
        }
    }

    #[test]
    fn the_same_changes_fit_and_another_from_does_not() {
        let reviewed = line(vec![change(Target::Mobile, None, "+1 2")]);
        let none = UserMethods::default();
        assert!(still_fits(&reviewed, &[change(Target::Mobile, None, "+1 2")], &none, |_| false));
        assert!(!still_fits(&reviewed, &[change(Target::Mobile, Some("+1 9"), "+1 2")], &none, |_| false));
        assert!(!still_fits(&reviewed, &[], &none, |_| false), "gone, and not by us");
        let extra = [change(Target::Mobile, None, "+1 2"), change(Target::Office, None, "+1 3")];
        assert!(!still_fits(&reviewed, &extra, &none, |_| false), "more than was looked at");
    }

    #[test]
    fn our_own_work_of_before_a_crash_fits() {
        let reviewed = line(vec![change(Target::Mobile, None, "+1 2")]);
        let there =
            UserMethods { phones: [(Target::Mobile, "+1 2".to_owned())].into(), ..UserMethods::default() };
        assert!(still_fits(&reviewed, &[], &there, |_| true));
        assert!(
            !still_fits(&reviewed, &[], &UserMethods::default(), |_| true),
            "an intent, but nothing is there"
        );
    }
}
