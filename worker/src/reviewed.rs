//! A reviewed plan binds: the user gets exactly what was looked at, or is held back. Pure.

use crate::compare::{current_of, same};
use contract::{Change, EntraId, PlanLine, Target, UserMethods};

/// What this run knows of a reviewed change's slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    /// Nothing was begun.
    Nothing,
    /// An intent of ours is on file.
    Begun,
    /// Graph refused it, so it is planned around.
    LeftOut,
}

/// Whether what the rules demand now is what was reviewed, for the user it was reviewed for. Of our own doing may be: a
/// reviewed change that is in place, one that starts from where we left it, and one that Graph refused, with the
/// default that then falls to another method.
pub(crate) fn still_fits(
    reviewed: &PlanLine,
    user: &EntraId,
    planned: &[Change],
    methods: &UserMethods,
    known: impl Fn(&Change) -> Known,
) -> bool {
    if reviewed.target.as_ref().is_none_or(|target| target.id != *user) {
        return false;
    }
    let slot = |c: &Change| (c.method, c.serial.clone());
    let something_left_out = reviewed.changes.iter().any(|r| known(r) == Known::LeftOut);
    let fits = |p: &Change| {
        reviewed.changes.iter().any(|r| {
            let begun_by_us = || known(r) == Known::Begun && is_where_we_left_it(r, p, methods);
            slot(r) == slot(p) && r.to == p.to && (r.from == p.from || begun_by_us())
        })
    };
    let falls_back = |p: &Change| something_left_out && p.method == Target::Default;
    let done_or_refused = |r: &Change| match known(r) {
        Known::LeftOut => true,
        Known::Begun => same(r.method, current_of(methods, r).as_deref(), r.to.as_deref()),
        Known::Nothing => something_left_out && r.method == Target::Default,
    };
    planned.iter().all(|p| fits(p) || falls_back(p))
        && reviewed.changes.iter().all(|r| planned.iter().any(|p| slot(p) == slot(r)) || done_or_refused(r))
}

/// A token that is half-way, a default that appeared by itself: ours to go on with. A number is not.
fn is_where_we_left_it(reviewed: &Change, planned: &Change, methods: &UserMethods) -> bool {
    match reviewed.method {
        Target::HardwareOath => true,
        Target::Default => reviewed.from.is_none() || planned.from.is_none(),
        Target::Mobile | Target::AlternateMobile | Target::Office => {
            let now = current_of(methods, reviewed);
            same(reviewed.method, now.as_deref(), reviewed.from.as_deref())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::{Outcome, PlanTarget};

    fn change(method: Target, from: Option<&str>, to: &str) -> Change {
        Change { method, serial: None, from: from.map(Into::into), to: Some(to.into()) }
    }

    fn me() -> EntraId {
        EntraId("me".into())
    }

    fn line(changes: Vec<Change>) -> PlanLine {
        PlanLine {
            user: "u".into(),
            target: Some(PlanTarget { id: me(), user_principal_name: "u".into() }),
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
        let fits = |planned: &[Change]| still_fits(&reviewed, &me(), planned, &none, |_| Known::Nothing);
        assert!(fits(&[change(Target::Mobile, None, "+1 2")]));
        assert!(!fits(&[change(Target::Mobile, Some("+1 9"), "+1 2")]));
        assert!(!fits(&[]), "gone, and not by us");
        assert!(
            !fits(&[change(Target::Mobile, None, "+1 2"), change(Target::Office, None, "+1 3")]),
            "more than was looked at"
        );
    }

    #[test]
    fn another_account_under_the_same_name_does_not_fit() {
        let reviewed = line(vec![change(Target::Mobile, None, "+1 2")]);
        let planned = [change(Target::Mobile, None, "+1 2")];
        let other = EntraId("other".into());
        assert!(!still_fits(&reviewed, &other, &planned, &UserMethods::default(), |_| Known::Nothing));
    }

    #[test]
    fn our_own_work_of_before_a_crash_fits() {
        let reviewed = line(vec![change(Target::Mobile, None, "+1 2")]);
        let there =
            UserMethods { phones: [(Target::Mobile, "+1 2".to_owned())].into(), ..UserMethods::default() };
        assert!(still_fits(&reviewed, &me(), &[], &there, |_| Known::Begun));
        let none = UserMethods::default();
        assert!(
            !still_fits(&reviewed, &me(), &[], &none, |_| Known::Begun),
            "an intent, but nothing is there"
        );
        let over_another = [change(Target::Mobile, Some("+1 9"), "+1 2")];
        let other =
            UserMethods { phones: [(Target::Mobile, "+1 9".to_owned())].into(), ..UserMethods::default() };
        assert!(!still_fits(&reviewed, &me(), &over_another, &other, |_| Known::Begun), "somebody's value");
    }

    #[test]
    fn what_graph_refused_is_planned_around_and_the_default_falls_elsewhere() {
        let reviewed =
            line(vec![change(Target::Mobile, None, "+1 2"), change(Target::Default, None, "voiceMobile")]);
        let known = |c: &Change| if c.method == Target::Mobile { Known::LeftOut } else { Known::Nothing };
        let planned = [change(Target::Default, None, "oath")];
        assert!(still_fits(&reviewed, &me(), &planned, &UserMethods::default(), known));
    }
}
