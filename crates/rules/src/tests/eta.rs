//! When a run will be done: never in the past, nothing from nothing, and no surer than what was seen.

use crate::{Eta, Sample, WindowState, Windows, eta};
use proptest::prelude::*;

/// 2026-11-23T21:00:00Z, which is 22:00 in Berlin.
const TEN_PM: i64 = 1_795_467_600_000;
const HOUR: i64 = 3_600_000;

fn always() -> Windows {
    Windows::parse(&[], "UTC").unwrap()
}

fn nights() -> Windows {
    Windows::parse(&["22:00-06:00".to_owned()], "Europe/Berlin").unwrap()
}

/// So many users in every minute, up to `now`.
fn steady(users_per_min: u64, minutes: u64, now_ms: i64) -> Vec<Sample> {
    let minutes = i64::try_from(minutes).unwrap();
    (0..=minutes)
        .map(|m| Sample {
            at_ms: now_ms - (minutes - m) * 60_000,
            settled: users_per_min * u64::try_from(m).unwrap(),
        })
        .collect()
}

fn spread(eta: &Eta, now_ms: i64) -> f64 {
    #[allow(clippy::cast_precision_loss)]
    let share = (eta.latest_ms - eta.earliest_ms) as f64 / (eta.at_ms - now_ms) as f64;
    share
}

#[test]
fn nothing_is_said_before_there_is_enough_to_tell_from() {
    let windows = always();
    let from = |history: &[Sample], left| eta(history, left, TEN_PM, &windows, None);
    assert_eq!(from(&[], 100), None);
    assert_eq!(from(&[Sample { at_ms: TEN_PM, settled: 50 }], 100), None, "one look tells no speed");
    assert_eq!(from(&steady(1, 10, TEN_PM), 100), None, "ten users tell nothing");
    assert_eq!(from(&steady(60, 20, TEN_PM), 500_000), None, "less than one hundredth");
    assert_eq!(from(&steady(0, 20, TEN_PM), 100), None, "nothing moves");
    assert_eq!(from(&steady(60, 20, TEN_PM), 0), None, "nothing is left");
    let blink = [Sample { at_ms: TEN_PM - 900, settled: 0 }, Sample { at_ms: TEN_PM, settled: 90 }];
    assert_eq!(from(&blink, 100), None, "less than a moment");
    assert!(from(&steady(60, 20, TEN_PM), 1_000).is_some());
}

#[test]
fn a_steady_run_is_told_nearly_to_the_minute_and_a_short_look_with_doubt() {
    let long = eta(&steady(60, 60, TEN_PM), 3_600, TEN_PM, &always(), None).unwrap();
    assert_eq!(long.at_ms, TEN_PM + HOUR);
    assert!((long.users_per_s - 1.0).abs() < 1e-9);
    assert!(spread(&long, TEN_PM) < 0.12, "{long:?}");
    let short = eta(&steady(60, 1, TEN_PM), 3_600, TEN_PM, &always(), None).unwrap();
    assert_eq!(short.at_ms, long.at_ms);
    assert!(spread(&short, TEN_PM) > 3.0 * spread(&long, TEN_PM), "{short:?}");
    // A speed that goes up and down is doubted more than one that does not.
    let mut uneven = steady(60, 60, TEN_PM);
    for (minute, sample) in uneven.iter_mut().enumerate() {
        sample.settled += if minute % 10 < 5 { 0 } else { 200 };
    }
    let uneven = eta(&uneven, 3_600, TEN_PM, &always(), None).unwrap();
    assert!(spread(&uneven, TEN_PM) > 1.5 * spread(&long, TEN_PM), "{uneven:?}");
}

#[test]
fn hours_in_which_nobody_worked_do_not_count() {
    let mut history = steady(60, 10, TEN_PM - 20 * HOUR);
    let begun = history.last().unwrap().settled;
    history.extend(steady(60, 10, TEN_PM).iter().map(|s| Sample { settled: s.settled + begun, ..*s }));
    let on = eta(&history, 600, TEN_PM, &always(), None).unwrap();
    assert_eq!(on.at_ms, TEN_PM + 10 * 60_000);
    // Within the time that counts, too.
    let mut history = steady(60, 8, TEN_PM - 20 * 60_000);
    let begun = history.last().unwrap().settled;
    history.extend(steady(60, 8, TEN_PM).iter().map(|s| Sample { settled: s.settled + begun, ..*s }));
    let on = eta(&history, 600, TEN_PM, &always(), None).unwrap();
    assert!((on.users_per_s - 1.0).abs() < 0.01, "{on:?}");
}

#[test]
fn it_stops_with_the_window_and_goes_on_with_the_next() {
    let now = TEN_PM + 6 * HOUR;
    let ten_hours = eta(&steady(600, 30, now), 36_000, now, &nights(), None).unwrap();
    assert_eq!((ten_hours.at_ms, ten_hours.stops_at_ms), (now + HOUR, None), "an hour is left to the night");
    let over = eta(&steady(600, 30, now), 3 * 36_000, now, &nights(), None).unwrap();
    assert_eq!(over.stops_at_ms, Some(TEN_PM + 8 * HOUR), "six in the morning");
    assert_eq!(over.goes_on_at_ms, Some(TEN_PM + 24 * HOUR));
    assert_eq!(over.at_ms, TEN_PM + 25 * HOUR, "two hours tonight, one tomorrow");
    // By day it waits for the night. The speed is that of the night before.
    let noon = TEN_PM + 15 * HOUR;
    let history = steady(600, 30, TEN_PM + 8 * HOUR);
    let waiting = eta(&history, 36_000, noon, &nights(), None).unwrap();
    assert_eq!((waiting.stops_at_ms, waiting.goes_on_at_ms), (None, Some(TEN_PM + 24 * HOUR)));
    assert_eq!(waiting.at_ms, TEN_PM + 25 * HOUR);
}

#[test]
fn what_the_quota_never_let_through_is_not_hoped_for() {
    let history = steady(60, 5, TEN_PM);
    let free = eta(&history, 3_600, TEN_PM, &always(), None).unwrap();
    let capped = eta(&history, 3_600, TEN_PM, &always(), Some(1.0)).unwrap();
    assert!(free.earliest_ms < free.at_ms);
    assert_eq!(
        (capped.earliest_ms, capped.at_ms, capped.latest_ms),
        (free.at_ms, free.at_ms, free.latest_ms)
    );
    let outrun = eta(&history, 3_600, TEN_PM, &always(), Some(0.1)).unwrap();
    assert_eq!(outrun.at_ms, free.at_ms, "what was done was possible");
}

#[test]
fn a_time_is_told_by_the_operators_clock() {
    assert_eq!(nights().clock(TEN_PM + 4 * HOUR, TEN_PM), "02:00");
    assert_eq!(nights().clock(TEN_PM + 28 * HOUR, TEN_PM), "Wed 2026-11-25 02:00");
    assert_eq!(nights().clock(TEN_PM + 90_000, TEN_PM), "22:01:30");
    assert_eq!((always().clock(TEN_PM, TEN_PM + HOUR).as_str(), always().zone()), ("21:00", "UTC"));
}

fn some_windows() -> impl Strategy<Value = Windows> {
    let texts: &[&[&str]] = &[
        &[],
        &["22:00-06:00"],
        &["Mon-Fri 22:00-06:00", "Sat,Sun 00:00-24:00"],
        &["Wed 03:00-03:10"],
        &["00:00-24:00"],
        &["12:00-13:00", "02:00-03:00"],
    ];
    const ZONES: [&str; 4] = ["UTC", "Europe/Berlin", "Australia/Lord_Howe", "America/New_York"];
    (prop::sample::select(texts), prop::sample::select(&ZONES[..])).prop_map(|(texts, zone)| {
        let texts: Vec<String> = texts.iter().map(|t| (*t).to_owned()).collect();
        Windows::parse(&texts, zone).unwrap()
    })
}

proptest! {
    #[test]
    fn whatever_was_seen_the_times_are_in_order_and_to_come(
        seen in prop::collection::vec((-100 * HOUR..HOUR, 0_u64..1_000_000), 0..40),
        left in 0_u64..2_000_000,
        ceiling in prop::option::of(prop::num::f64::ANY),
        windows in some_windows(),
    ) {
        let history: Vec<Sample> =
            seen.iter().map(|(at, settled)| Sample { at_ms: TEN_PM + at, settled: *settled }).collect();
        if let Some(eta) = eta(&history, left, TEN_PM, &windows, ceiling) {
            prop_assert!(TEN_PM <= eta.earliest_ms, "{eta:?}");
            prop_assert!(eta.earliest_ms <= eta.at_ms && eta.at_ms <= eta.latest_ms, "{eta:?}");
            prop_assert!(eta.users_per_s > 0.0 && eta.users_per_s.is_finite());
            prop_assert!(history.len() > 1 && left > 0);
            if let Some(stops) = eta.stops_at_ms {
                prop_assert!(TEN_PM < stops && stops < eta.at_ms);
            }
            if let Some(on) = eta.goes_on_at_ms {
                prop_assert!(TEN_PM < on && on <= eta.at_ms);
                let is_open = matches!(windows.state(on), WindowState::Open { .. });
                prop_assert!(is_open, "{eta:?}");
            }
        }
    }

    #[test]
    fn a_steady_speed_is_found_whatever_it_is(
        users_per_min in 5_u64..10_000,
        minutes in 20_u64..500,
        left in 1_u64..100_000,
    ) {
        let history = steady(users_per_min, minutes, TEN_PM);
        if let Some(eta) = eta(&history, left, TEN_PM, &always(), None) {
            let exact = i64::try_from(left * 60_000 / users_per_min).unwrap();
            prop_assert!((eta.at_ms - TEN_PM - exact).abs() <= 1 + exact / 1_000, "{eta:?} {exact}");
            prop_assert!(eta.latest_ms - eta.earliest_ms <= 2 + exact / 2, "{eta:?}");
        }
    }

    #[test]
    fn open_time_is_reckoned_the_same_in_both_directions(
        windows in some_windows(),
        from in 0_i64..400 * 24 * HOUR,
        open_ms in 0_i64..20 * HOUR,
        to in 0_i64..60 * 24 * HOUR,
    ) {
        let from = TEN_PM + from;
        let then = windows.after_open(from, open_ms).unwrap();
        prop_assert!(then >= from);
        prop_assert_eq!(windows.open_between(from, then), open_ms);
        let open = windows.open_between(from, from + to);
        prop_assert!((0..=to).contains(&open));
        prop_assert_eq!(windows.open_between(from + to, from), 0, "nothing lies before");
        // Cut anywhere, the parts are the whole.
        let half = from + to / 2;
        prop_assert_eq!(windows.open_between(from, half) + windows.open_between(half, from + to), open);
    }
}
