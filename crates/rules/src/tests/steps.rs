//! Canary sizes and the judgement after a step, for batches of any size.

use crate::{JUDGED_FROM_USERS, Share, StepCounts, Steps, StepsError, Verdict, judge, step_of};
use proptest::prelude::*;

fn steps(text: &str) -> Steps {
    text.parse().unwrap()
}

fn any_steps() -> impl Strategy<Value = Steps> {
    let counts = proptest::collection::vec(1_u32..600_000, 0..4);
    let shares = proptest::collection::vec(1_u16..10_000, 0..4);
    (counts, shares).prop_map(|(mut counts, mut shares)| {
        counts.sort_unstable();
        shares.sort_unstable();
        let counts = counts.into_iter().map(|n| n.to_string());
        let shares = shares.into_iter().map(|s| format!("{}.{:02}%", s / 100, s % 100));
        let words: Vec<String> = counts.chain(shares).chain(["100%".to_owned()]).collect();
        steps(&words.join(","))
    })
}

#[test]
fn sizes_add_up_to_what_was_written() {
    assert_eq!(steps("10,100,1%,10%,100%").sizes(100_000), [10, 90, 900, 9_000, 90_000]);
    assert_eq!(steps("10,100,1%,10%,100%").sizes(50), [10, 40]);
    assert_eq!(steps("1%").sizes(3), [1, 2]);
    assert_eq!(steps("1%").sizes(101), [2, 99]);
    assert_eq!(steps("10").to_string(), "10,100%");
}

#[test]
fn what_is_no_canary_is_refused_with_a_reason() {
    let error = |text: &str| text.parse::<Steps>().unwrap_err();
    for text in ["", "10,,100%", "ten", "-1", "1.%", "1.234%", "101%", "%", "99999999999"] {
        assert!(matches!(error(text), StepsError::Unreadable(_)), "{text}");
    }
    assert!(matches!(error("0"), StepsError::Zero(_)));
    assert!(matches!(error("0.00%"), StepsError::Zero(_)));
    assert!(matches!(error("100,10"), StepsError::Shrinks { .. }));
    assert!(matches!(error("10%,20,1%"), StepsError::Shrinks { .. }));
    assert!(matches!(error("100%,10"), StepsError::AfterAll(_)));
}

#[test]
fn a_pilot_of_ten_waits_for_a_person_and_the_last_step_does_not() {
    let ten = StepCounts { users: 10, processed: 10, failed: 1 };
    assert!(judge(ten, Share::ABORT_AT, false).to_string().starts_with("1 of 10 processed"));
    assert_eq!(judge(ten, Share::ABORT_AT, true), Verdict::Go);
    let none = StepCounts { users: 10, processed: 0, failed: 0 };
    assert_eq!(judge(none, Share::ABORT_AT, true), Verdict::Inconclusive { counts: none });
}

proptest! {
    #[test]
    fn every_step_holds_someone_and_together_they_are_the_batch(steps in any_steps(), users in 0_u32..=500_000) {
        let sizes = steps.sizes(users);
        prop_assert!(sizes.iter().all(|s| *s > 0));
        prop_assert_eq!(sizes.iter().sum::<u32>(), users);
        prop_assert_eq!(steps.to_string().parse::<Steps>().unwrap(), steps);
    }

    #[test]
    fn a_users_step_is_the_one_whose_size_counts_it(steps in any_steps(), users in 1_u32..2_000) {
        let mut held = vec![0; steps.sizes(users).len()];
        (0..users).for_each(|p| held[step_of(p, users, &steps) as usize] += 1);
        prop_assert_eq!(held, steps.sizes(users));
    }

    #[test]
    fn a_share_reads_back(parts in 0_u16..=10_000) {
        let share: Share = format!("{}.{:02}%", parts / 100, parts % 100).parse().unwrap();
        prop_assert_eq!(share.per_ten_thousand(), parts);
        prop_assert_eq!(share.to_string().parse::<Share>().unwrap(), share);
    }

    #[test]
    fn only_a_rate_strictly_over_the_limit_aborts(
        processed in 0_u32..=500_000, part in 0_u32..=10_000, near in -2_i64..=2, limit in 0_u16..=10_000, last: bool,
    ) {
        let abort_at: Share = format!("{}.{:02}%", limit / 100, limit % 100).parse().unwrap();
        let edge = i64::from(processed) * i64::from(if near == 2 { part } else { limit.into() }) / 10_000 + near;
        let failed = u32::try_from(edge.clamp(0, processed.into())).unwrap();
        let counts = StepCounts { users: processed, processed, failed };
        let verdict = judge(counts, abort_at, last);
        let over = i128::from(failed) * 10_000 > i128::from(processed) * i128::from(limit);
        let expected = match (processed, last) {
            (0, _) => Verdict::Inconclusive { counts },
            (p, true) if p < JUDGED_FROM_USERS => Verdict::Go,
            (p, false) if p < JUDGED_FROM_USERS => Verdict::Inconclusive { counts },
            _ if over => Verdict::Abort { counts, abort_at },
            _ => Verdict::Go,
        };
        prop_assert_eq!(verdict, expected);
    }
}
