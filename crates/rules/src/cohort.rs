//! Whether a user belongs to a batch, from what is known of them.
//!
//! Total: an attribute that is not known meets no value, and therefore neither takes nor leaves out.

use contract::{Cohort, Selector};

/// What a selector asks of a user.
#[derive(Debug, Clone, Copy, Default)]
pub struct Attributes<'a> {
    /// Region; absent where neither Entra nor the cohort file has one.
    pub region: Option<&'a str>,
    /// Department, likewise.
    pub department: Option<&'a str>,
    /// MFA Server's user group.
    pub group: Option<&'a str>,
    /// Values of `Cohort::entra_group` whose transitive member the user is.
    pub entra_groups: &'a [String],
    /// Values of `Cohort::users` whose list has the user.
    pub lists: &'a [String],
}

/// Whether a selector takes the user.
pub fn takes(selector: &Selector, user: &Attributes<'_>) -> bool {
    let only = kinds(&selector.only, user).into_iter().flatten().all(|meets| meets);
    let except = kinds(&selector.except, user).into_iter().flatten().any(|meets| meets);
    only && !except
}

/// For each kind that has values, whether the user meets one of them.
fn kinds(cohort: &Cohort, user: &Attributes<'_>) -> [Option<bool>; 5] {
    let one = |values: &[String], value: Option<&str>| {
        (!values.is_empty()).then(|| value.is_some_and(|value| values.iter().any(|v| same(v, value))))
    };
    let many = |values: &[String], given: &[String]| {
        (!values.is_empty()).then(|| given.iter().any(|value| values.contains(value)))
    };
    [
        one(&cohort.region, user.region),
        one(&cohort.department, user.department),
        one(&cohort.group, user.group),
        many(&cohort.entra_group, user.entra_groups),
        many(&cohort.users, user.lists),
    ]
}

fn same(a: &str, b: &str) -> bool {
    a.trim().to_lowercase() == b.trim().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finance_in(region: &str) -> Selector {
        Selector {
            only: Cohort {
                region: vec![region.to_owned()],
                department: vec!["Finance".to_owned(), "Sales".to_owned()],
                ..Cohort::default()
            },
            except: Cohort { group: vec!["Board".to_owned()], ..Cohort::default() },
        }
    }

    #[test]
    fn every_kind_must_be_met_by_any_of_its_values() {
        let user = Attributes { region: Some("de "), department: Some("FINANCE"), ..Attributes::default() };
        assert!(takes(&finance_in("DE"), &user));
        assert!(!takes(&finance_in("FR"), &user));
        assert!(!takes(&finance_in("DE"), &Attributes { department: None, ..user }));
    }

    #[test]
    fn whoever_is_excepted_is_left_out_whatever_else_holds() {
        let user = Attributes {
            region: Some("DE"),
            department: Some("Sales"),
            group: Some("board"),
            ..Attributes::default()
        };
        assert!(!takes(&finance_in("DE"), &user));
        assert!(takes(&Selector::default(), &user), "no value takes everybody");
    }

    #[test]
    fn groups_and_lists_are_told_by_their_names() {
        let pilot = ["pilot.txt".to_owned()];
        let selector = Selector {
            only: Cohort { users: vec!["pilot.txt".to_owned()], ..Cohort::default() },
            except: Cohort { entra_group: vec!["vip".to_owned()], ..Cohort::default() },
        };
        let listed = Attributes { lists: &pilot, ..Attributes::default() };
        assert!(takes(&selector, &listed));
        assert!(!takes(&selector, &Attributes { entra_groups: &["vip".to_owned()], ..listed }));
        assert!(!takes(&selector, &Attributes::default()));
    }
}
