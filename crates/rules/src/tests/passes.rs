//! What comes next for a user whose pass may have been made already, and what a policy refuses.

use crate::{PassBounds, PassClock, PassRefusal, PassStep, PassThere, PassWish, pass_allowed, pass_step};
use proptest::prelude::*;
use std::time::Duration;

const CLOCK: PassClock = PassClock { skew: Duration::from_secs(5), horizon: Duration::from_secs(600) };
const FILED: i64 = 1_790_000_000_000;

fn there(id: &str, created_ms: i64) -> PassThere<'_> {
    PassThere {
        id,
        created_ms: Some(created_ms),
        start_ms: Some(created_ms),
        lifetime_minutes: Some(60),
        once: Some(true),
        of_use: true,
    }
}

fn wish(age_s: u64, before: &[String]) -> PassWish<'_> {
    PassWish {
        filed_at_ms: FILED,
        age: Duration::from_secs(age_s),
        before,
        lifetime_minutes: 60,
        once: true,
        start_ms: None,
        in_file: None,
        refused: false,
        was_seen: false,
    }
}

#[test]
fn nobody_is_asked_twice_while_a_wish_may_still_come_true() {
    assert_eq!(pass_step(&[], None, &CLOCK), PassStep::Make);
    assert_eq!(pass_step(&[], Some(&wish(0, &[])), &CLOCK), PassStep::Wait);
    assert_eq!(pass_step(&[], Some(&wish(599, &[])), &CLOCK), PassStep::Wait);
    assert_eq!(pass_step(&[], Some(&wish(600, &[])), &CLOCK), PassStep::Make);
    let refused = PassWish { refused: true, ..wish(0, &[]) };
    assert_eq!(pass_step(&[], Some(&refused), &CLOCK), PassStep::Refused);
    let seen = PassWish { was_seen: true, ..wish(0, &[]) };
    assert_eq!(pass_step(&[], Some(&seen), &CLOCK), PassStep::Gone);
    assert_eq!(pass_step(&[there("p", FILED)], Some(&seen), &CLOCK), PassStep::TakeAway("p"));
    let in_file = PassWish { in_file: Some("p"), ..wish(0, &[]) };
    assert_eq!(pass_step(&[there("p", FILED)], Some(&in_file), &CLOCK), PassStep::Record("p"));
}

#[test]
fn only_what_the_wish_has_made_is_taken_away() {
    let lost = |pass: PassThere<'static>, before: &[String]| {
        pass_step(&[pass], Some(&wish(30, before)), &CLOCK) == PassStep::TakeAway("p")
    };
    assert!(lost(there("p", FILED + 1000), &[]));
    assert!(lost(there("p", FILED - 5_500), &[]), "clocks may be apart, and dates are cut");
    assert!(lost(PassThere { created_ms: None, ..there("p", FILED) }, &[]), "it begins when it is made");
    assert!(!lost(there("p", FILED + 1000), &["P".to_owned()]), "it was there before");
    assert!(!lost(there("p", FILED - 6_500), &[]), "it is older than the wish");
    assert!(!lost(there("p", FILED + 600_001), &[]), "it is younger than anything that could come");
    assert!(!lost(PassThere { lifetime_minutes: Some(90), ..there("p", FILED) }, &[]));
    assert!(!lost(PassThere { once: Some(false), ..there("p", FILED) }, &[]));
    assert!(!lost(PassThere { created_ms: None, start_ms: None, ..there("p", FILED) }, &[]));
    let later = PassWish { start_ms: Some(FILED + 60_000), ..wish(30, &[]) };
    assert_eq!(pass_step(&[there("p", FILED)], Some(&later), &CLOCK), PassStep::Wait);
}

#[test]
fn a_pass_that_may_be_of_use_stays() {
    assert_eq!(pass_step(&[there("p", 0)], None, &CLOCK), PassStep::Occupied("p"));
    assert_eq!(pass_step(&[PassThere { of_use: false, ..there("p", 0) }], None, &CLOCK), PassStep::Make);
    assert_eq!(pass_step(&[there("p", 0)], Some(&wish(600, &[])), &CLOCK), PassStep::Occupied("p"));
}

#[test]
fn a_policy_is_asked_before_graph_is() {
    let bounds =
        PassBounds { enabled: true, minimum_minutes: Some(60), maximum_minutes: Some(480), once_only: true };
    assert_eq!(pass_allowed(&bounds, 60, true), Ok(()));
    assert_eq!(pass_allowed(&bounds, 480, true), Ok(()));
    assert_eq!(pass_allowed(&bounds, 59, true), Err(PassRefusal::TooShort(60)));
    assert_eq!(pass_allowed(&bounds, 481, true), Err(PassRefusal::TooLong(480)));
    assert_eq!(pass_allowed(&bounds, 60, false), Err(PassRefusal::OnceOnly));
    let off = PassBounds { enabled: false, ..bounds };
    assert_eq!(pass_allowed(&off, 60, true), Err(PassRefusal::Disabled));
    let unknown = PassBounds { minimum_minutes: None, maximum_minutes: None, once_only: false, ..bounds };
    assert_eq!(pass_allowed(&unknown, 10, false), Ok(()));
    assert_eq!(pass_allowed(&unknown, 9, false), Err(PassRefusal::TooShort(10)));
    assert_eq!(pass_allowed(&unknown, 43_201, false), Err(PassRefusal::TooLong(43_200)));
}

proptest! {
    #[test]
    fn what_was_there_before_is_never_taken_away(
        created in FILED - 10_000..FILED + 10_000, age_s in 0_u64..1200, of_use: bool, refused: bool
    ) {
        let before = ["p".to_owned()];
        let pass = PassThere { of_use, ..there("p", created) };
        let wish = PassWish { refused, ..wish(age_s, &before) };
        prop_assert!(!matches!(pass_step(&[pass], Some(&wish), &CLOCK), PassStep::TakeAway(_)));
    }

    #[test]
    fn nothing_is_made_beside_a_pass_of_use(created in any::<i64>(), age_s in 0_u64..1200) {
        let pass = there("p", created);
        prop_assert_ne!(pass_step(&[pass], Some(&wish(age_s, &[])), &CLOCK), PassStep::Make);
        prop_assert_ne!(pass_step(&[pass], None, &CLOCK), PassStep::Make);
    }
}
