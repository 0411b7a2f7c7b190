//! The forecast against a slow reckoning, minute by minute, and what must hold whatever the rate and the windows.

use crate::{Calls, Demand, Windows, calls, span};
use contract::{Change, Target};
use jiff::Timestamp;
use proptest::prelude::*;

const ZONES: [&str; 4] = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"];

fn windows(texts: &[&str], zone: &str) -> Windows {
    Windows::parse(&texts.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>(), zone).unwrap()
}

fn at(text: &str) -> i64 {
    text.parse::<Timestamp>().unwrap().as_millisecond()
}

fn said(at_ms: i64) -> String {
    Timestamp::from_millisecond(at_ms).unwrap().to_string()
}

fn writes(writes: u64) -> Demand {
    Demand { reads: 0, writes, rehearsed_s: 0.0 }
}

fn change(method: Target) -> Change {
    Change { method, serial: None, from: None, to: Some(String::new()) }
}

#[test]
fn a_created_token_takes_two_writes_and_a_look() {
    let plan = [change(Target::Mobile), change(Target::HardwareOath), change(Target::Default)];
    assert_eq!(calls(&plan, 0), Calls { writes: 3, reads: 0 });
    assert_eq!(calls(&plan, 1), Calls { writes: 4, reads: 3 });
    assert_eq!(calls(&plan, 9), Calls { writes: 4, reads: 3 }, "no more tokens than there are");
    assert_eq!(calls(&plan[..1], 1), Calls { writes: 1, reads: 0 });
    assert_eq!(calls(&[], 0), Calls::default());
}

#[test]
fn the_slower_of_reading_and_writing_tells() {
    let demand = Demand { reads: 10, writes: 100, rehearsed_s: 30.0 };
    assert_eq!((demand.working_s(20.0), demand.working_s(1.0)), (Some(30.0), Some(100.0)));
    assert_eq!([0.0, -1.0, f64::NAN, f64::INFINITY].map(|rate| demand.working_s(rate)), [None; 4]);
}

#[test]
fn nights_are_counted_as_they_are_and_not_by_the_length_of_the_first() {
    let nights = windows(&["22:00-06:00"], "Europe/Berlin");
    // Begun at 04:00 of the shortest night of the year: one hour of clock time is missing.
    let found = span(&writes(3 * 3600), 1.0, at("2026-03-28T23:00:00Z"), &nights).unwrap();
    assert_eq!((found.nights, said(found.done_at_ms)), (Some(1), "2026-03-29T02:00:00Z".to_owned()));
    let found = span(&writes(6 * 3600), 1.0, at("2026-03-28T23:00:00Z"), &nights).unwrap();
    assert_eq!((found.nights, said(found.done_at_ms)), (Some(2), "2026-03-29T21:00:00Z".to_owned()));
    // The night of nine hours takes what any other would not.
    let longest = |now| span(&writes(9 * 3600), 1.0, at(now), &nights).unwrap().nights;
    assert_eq!(longest("2026-10-24T20:00:00Z"), Some(1));
    assert_eq!(longest("2026-10-25T21:00:00Z"), Some(2));
    // By day it waits for the evening.
    let found = span(&writes(60), 1.0, at("2026-11-23T12:00:00Z"), &nights).unwrap();
    assert_eq!(said(found.begins_at_ms), "2026-11-23T21:00:00Z");
    // Weekends that reach over midnight are one window.
    let weekend = windows(&["Sat,Sun 00:00-24:00"], "UTC");
    let found = span(&writes(30 * 3600), 1.0, at("2026-11-23T12:00:00Z"), &weekend).unwrap();
    assert_eq!((found.nights, said(found.done_at_ms)), (Some(1), "2026-11-29T06:00:00Z".to_owned()));
}

#[test]
fn nothing_to_write_is_done_in_the_first_window_and_what_takes_years_is_not_told() {
    let nights = windows(&["22:00-06:00"], "UTC");
    let found = span(&writes(0), 1.0, at("2026-11-23T12:00:00Z"), &nights).unwrap();
    assert_eq!((found.nights, found.begins_at_ms), (Some(1), found.done_at_ms));
    let minute = windows(&["Mon 22:00-22:01"], "UTC");
    assert_eq!(span(&writes(60 * 500), 1.0, 0, &minute), None);
    assert_eq!(span(&writes(u64::MAX), 1e-9, 0, &windows(&[], "UTC")), None);
}

/// Open minutes one by one.
fn slowly(windows: &Windows, now_ms: i64, work_minutes: u32) -> (i64, u32) {
    let is_open = |at_ms| matches!(windows.state(at_ms), crate::WindowState::Open { .. });
    let (mut at_ms, mut left, mut nights, mut was_open) = (now_ms, work_minutes, 0, false);
    loop {
        let open = is_open(at_ms);
        nights += u32::from(open && !was_open);
        left -= u32::from(open);
        was_open = open;
        at_ms += 60_000;
        if left == 0 {
            return (at_ms, nights);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn it_is_what_a_person_with_a_calendar_would_say(
        day in 0_i64..730, minute in 0_i64..1440, from in 0_u32..24, length in 1_u32..10, work in 1_u32..3000,
        zone in 0_usize..ZONES.len(),
    ) {
        let text = format!("{from:02}:00-{:02}:00", (from + length) % 24);
        let windows = windows(&[&text], ZONES[zone]);
        let now_ms = at("2026-01-01T00:00:00Z") + (day * 1440 + minute) * 60_000;
        let found = span(&writes(u64::from(work) * 60), 1.0, now_ms, &windows).unwrap();
        let (done_at_ms, nights) = slowly(&windows, now_ms, work);
        prop_assert_eq!((found.done_at_ms, found.nights), (done_at_ms, Some(nights)));
    }

    #[test]
    fn faster_is_never_later_and_more_is_never_sooner(
        writes_a in 0_u64..1_000_000, more in 0_u64..1_000_000, rate in 0.5_f64..20.0, faster in 1.0_f64..4.0,
        now in 0_i64..2_000_000_000_000, windowed in any::<bool>(),
    ) {
        let windows = if windowed { windows(&["22:00-06:00"], "Europe/Berlin") } else { windows(&[], "UTC") };
        let of = |writes, rate| span(&Demand { reads: 0, writes, rehearsed_s: 0.0 }, rate, now, &windows);
        let Some(all) = of(writes_a + more, rate) else { return Ok(()) };
        let (fewer, quicker) = (of(writes_a, rate).unwrap(), of(writes_a + more, rate * faster).unwrap());
        prop_assert!(fewer.done_at_ms <= all.done_at_ms && quicker.done_at_ms <= all.done_at_ms);
        prop_assert!(fewer.nights <= all.nights && quicker.nights <= all.nights);
        prop_assert!(now <= all.begins_at_ms && all.begins_at_ms <= all.done_at_ms);
        prop_assert_eq!(all.nights.is_some(), windowed);
    }
}
