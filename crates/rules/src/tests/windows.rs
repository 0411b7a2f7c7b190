//! Windows against a slow reckoning by the local clock, and the nights on which clocks change.

use crate::{WindowState, Windows};
use jiff::tz::TimeZone;
use jiff::{Timestamp, civil};
use proptest::prelude::*;

const ZONES: [&str; 6] =
    ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Australia/Sydney", "Asia/Kathmandu"];

fn windows(texts: &[&str], zone: &str) -> Windows {
    Windows::parse(&texts.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>(), zone).unwrap()
}

fn at(text: &str) -> i64 {
    text.parse::<Timestamp>().unwrap().as_millisecond()
}

/// Open until, or closed until.
#[track_caller]
fn until(windows: &Windows, now: &str) -> (bool, String) {
    let said = |ms| Timestamp::from_millisecond(ms).unwrap().to_string();
    match windows.state(at(now)) {
        WindowState::Open { until_ms } => (true, until_ms.map(said).unwrap_or_default()),
        WindowState::Closed { opens_at_ms, .. } => (false, said(opens_at_ms)),
    }
}

#[test]
fn a_night_begins_on_one_day_and_ends_on_the_next() {
    let nights = windows(&["Mon-Fri 22:00-06:00"], "Europe/Berlin");
    assert_eq!(until(&nights, "2026-11-23T20:59:59Z"), (false, "2026-11-23T21:00:00Z".into()));
    assert_eq!(until(&nights, "2026-11-23T21:00:00Z"), (true, "2026-11-24T05:00:00Z".into()));
    assert_eq!(until(&nights, "2026-11-24T05:00:00Z"), (false, "2026-11-24T21:00:00Z".into()));
    // Friday's night ends on Saturday, and the next one is Monday's.
    assert_eq!(until(&nights, "2026-11-28T04:59:00Z"), (true, "2026-11-28T05:00:00Z".into()));
    assert_eq!(until(&nights, "2026-11-28T05:00:00Z"), (false, "2026-11-30T21:00:00Z".into()));
}

#[test]
fn the_reason_says_when_it_opens_by_the_operators_clock() {
    let nights = windows(&["22:00-06:00"], "Europe/Berlin");
    let WindowState::Closed { reason, .. } = nights.state(at("2026-11-23T12:00:00Z")) else {
        panic!("closed")
    };
    assert_eq!(reason, "outside window 22:00-06:00 (Europe/Berlin); opens at 2026-11-23 22:00");
}

#[test]
fn nights_on_which_the_clocks_change_are_shorter_or_longer_and_never_twice() {
    let nights = windows(&["22:00-06:00"], "Europe/Berlin");
    // 28 to 29 March 2026: seven hours. 24 to 25 October 2026: nine.
    assert_eq!(until(&nights, "2026-03-28T21:00:00Z"), (true, "2026-03-29T04:00:00Z".into()));
    assert_eq!(until(&nights, "2026-10-24T20:00:00Z"), (true, "2026-10-25T05:00:00Z".into()));
    // 02:00 to 03:00 does not exist on 29 March: half past two is the moment of the change.
    let early = windows(&["02:30-03:30"], "Europe/Berlin");
    assert_eq!(until(&early, "2026-03-29T00:00:00Z"), (false, "2026-03-29T01:00:00Z".into()));
    assert_eq!(until(&early, "2026-03-29T01:00:00Z"), (true, "2026-03-29T01:30:00Z".into()));
    // It exists twice on 25 October: the first one counts.
    assert_eq!(until(&early, "2026-10-25T00:30:00Z"), (true, "2026-10-25T02:30:00Z".into()));
    let before = windows(&["01:00-02:30"], "Europe/Berlin");
    assert_eq!(until(&before, "2026-10-25T00:29:00Z"), (true, "2026-10-25T00:30:00Z".into()));
    assert!(!until(&before, "2026-10-25T01:00:00Z").0, "half past two comes again, the window does not");
    // A window wholly inside the hour that is skipped falls away that night.
    let gone = windows(&["02:10-02:50"], "Europe/Berlin");
    assert_eq!(until(&gone, "2026-03-28T12:00:00Z"), (false, "2026-03-30T00:10:00Z".into()));
}

#[test]
fn windows_that_adjoin_are_one_and_none_is_always() {
    let both = windows(&["22:00-24:00", "00:00-06:00"], "UTC");
    assert_eq!(until(&both, "2026-11-23T23:00:00Z"), (true, "2026-11-24T06:00:00Z".into()));
    assert_eq!(until(&windows(&["00:00-24:00"], "UTC"), "2026-11-23T23:00:00Z"), (true, String::new()));
    assert_eq!(until(&windows(&[], "UTC"), "2026-11-23T23:00:00Z"), (true, String::new()));
}

#[test]
fn what_is_no_window_is_refused() {
    for text in [
        "",
        "22-06",
        "22:00",
        "24:00-06:00",
        "22:60-06:00",
        "2:00-06:00",
        "Foo 22:00-06:00",
        "22:00-25:00",
        "Mon- 22:00-23:00",
    ] {
        assert!(Windows::parse(&[text.to_owned()], "UTC").is_err(), "{text}");
    }
    assert!(Windows::parse(&["22:00-06:00".to_owned()], "Berlin").is_err());
}

fn minutes(text: &str) -> i64 {
    let (hours, minutes) = text.split_once(':').unwrap();
    hours.parse::<i64>().unwrap() * 60 + minutes.parse::<i64>().unwrap()
}

/// By the local clock alone: right wherever no clock changed in the two days before.
fn by_the_clock(from: i64, to: i64, weekday: i8, zone: &TimeZone, now: Timestamp) -> bool {
    let local = zone.to_datetime(now);
    let minute = i64::from(local.hour()) * 60 + i64::from(local.minute());
    let is = |date: civil::Date| date.weekday().to_monday_zero_offset() == weekday;
    let (today, before) = (is(local.date()), is(local.date().yesterday().unwrap()));
    if from < to {
        today && (from..to).contains(&minute)
    } else {
        today && minute >= from || before && minute < to
    }
}

proptest! {
    #[test]
    fn it_is_as_the_local_clock_says(
        zone in prop::sample::select(&ZONES[..]), day in 0_i8..7, from in 0_i64..1440, to in 1_i64..=1440,
        minute in 29_800_000_i64..31_000_000,
    ) {
        let names = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
        let clock = |m: i64| format!("{:02}:{:02}", m / 60, m % 60);
        let text = format!("{} {}-{}", names[usize::try_from(day).unwrap()], clock(from), clock(to));
        prop_assert_eq!(minutes(&clock(from)), from);
        let found = windows(&[&text], zone);
        let tz = TimeZone::get(zone).or_else(|_| jiff::tz::TimeZoneDatabase::bundled().get(zone)).unwrap();
        let now = Timestamp::from_second(minute * 60).unwrap();
        let two_days_ago = now.checked_sub(jiff::SignedDuration::from_hours(50)).unwrap();
        let changed = tz.following(two_days_ago).next().is_some_and(|change| change.timestamp() <= now);
        if !changed {
            let open = matches!(found.state(now.as_millisecond()), WindowState::Open { .. });
            prop_assert_eq!(open, by_the_clock(from, to, day, &tz, now), "{} at {}", text, now);
        }
    }

    #[test]
    fn what_is_said_to_come_next_comes_then_and_not_before(
        zone in prop::sample::select(&ZONES[..]), from in 0_i64..1440, to in 1_i64..=1440,
        minute in 29_800_000_i64..31_000_000,
    ) {
        let clock = |m: i64| format!("{:02}:{:02}", m / 60, m % 60);
        let found = windows(&[&format!("{}-{}", clock(from), clock(to))], zone);
        let is_open = |ms| matches!(found.state(ms), WindowState::Open { .. });
        match found.state(minute * 60_000) {
            WindowState::Open { until_ms: Some(until) } => {
                prop_assert!(is_open(until - 1) && !is_open(until));
            }
            WindowState::Open { until_ms: None } => prop_assert_eq!(from, to % 1440),
            WindowState::Closed { opens_at_ms, .. } => {
                prop_assert!(opens_at_ms > minute * 60_000);
                prop_assert!(is_open(opens_at_ms) && !is_open(opens_at_ms - 1));
            }
        }
    }
}
