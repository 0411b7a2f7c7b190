//! The times at which users may be released, in the operator's own time zone.
//!
//! Pure: `now` is an argument, and the zones come with the program (jiff's bundled database), so that every machine says
//! the same. A window belongs to the day on which it begins. Where clocks go forward over one of its ends, it begins or
//! ends at that moment; where they go back, the first of the two times counts.

use jiff::civil::{Date, DateTime};
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};
use jiff::{Span, Timestamp, ToSpan};
use std::fmt::Write;

/// Days that are looked at: a weekly window comes again within eight, whatever the clocks do.
const AHEAD_DAYS: i64 = 16;
/// A window that began the day before yesterday has ended.
const BEHIND_DAYS: i64 = 2;
/// So often the days ahead are looked at: years.
const LOOKS: usize = 100;
/// A time so near is told to the second.
const MOMENTS_MS: u64 = 10 * 60 * 1000;
/// A time so near is told without its day.
const NEAR_MS: u64 = 18 * 3600 * 1000;
/// Minutes of a day without a change of the clocks.
const DAY_MINUTES: u16 = 24 * 60;
/// As people write them, Monday first.
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// A text that is no window.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WindowsError {
    /// Not days and times.
    #[error("\"{0}\" is no window; write 22:00-06:00, Mon-Fri 22:00-06:00 or Sat,Sun 00:00-24:00")]
    Window(String),
    /// No time zone of that name.
    #[error("there is no time zone \"{0}\"; take a name such as Europe/Berlin")]
    Zone(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Window {
    /// By `Weekday::to_monday_zero_offset`.
    days: [bool; 7],
    /// Minutes after midnight.
    from: u16,
    /// Minutes after midnight; not later than `from` means the next day.
    to: u16,
}

/// All windows of a batch; none means always.
#[derive(Debug, Clone)]
pub struct Windows {
    windows: Vec<Window>,
    texts: Vec<String>,
    zone: TimeZone,
    zone_name: String,
}

/// Whether a window is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WindowState {
    /// It is.
    Open {
        /// When it ends, in milliseconds since 1970 UTC; absent where no end is in sight.
        until_ms: Option<i64>,
    },
    /// It is not.
    Closed {
        /// When the next one begins, in milliseconds since 1970 UTC.
        opens_at_ms: i64,
        /// In words for the operator.
        reason: String,
    },
}

impl Windows {
    /// Reads windows and the name of their zone.
    ///
    /// # Errors
    /// A window or the zone is not readable.
    pub fn parse(windows: &[String], zone: &str) -> Result<Self, WindowsError> {
        let found = TimeZoneDatabase::bundled().get(zone).map_err(|_| WindowsError::Zone(zone.to_owned()))?;
        let read = windows
            .iter()
            .map(|text| window(text).ok_or_else(|| WindowsError::Window(text.clone())))
            .collect::<Result<_, _>>()?;
        Ok(Self { windows: read, texts: windows.to_vec(), zone: found, zone_name: zone.to_owned() })
    }

    /// How it stands at a time in milliseconds since 1970 UTC.
    pub fn state(&self, now_ms: i64) -> WindowState {
        if self.windows.is_empty() {
            return WindowState::Open { until_ms: None };
        }
        let now = Timestamp::from_millisecond(now_ms).unwrap_or(Timestamp::UNIX_EPOCH);
        let spans = self.spans(now);
        let open = spans.iter().find(|(from, to)| *from <= now && now < *to);
        if let Some((_, to)) = open {
            let in_sight = spans.last().is_some_and(|(_, last)| to < last);
            return WindowState::Open { until_ms: in_sight.then(|| to.as_millisecond()) };
        }
        let opens = spans.iter().map(|(from, _)| *from).find(|from| *from > now).unwrap_or(Timestamp::MAX);
        let mut reason = format!("outside window {} ({})", self.texts.join("; "), self.zone_name);
        let local = self.zone.to_datetime(opens);
        // Writing to a string cannot fail.
        let written = write!(reason, "; opens at {}", local.strftime("%Y-%m-%d %H:%M"));
        debug_assert!(written.is_ok());
        WindowState::Closed { opens_at_ms: opens.as_millisecond(), reason }
    }

    /// Milliseconds between two times in which a window was open; zero where the second is not later.
    pub fn open_between(&self, from_ms: i64, to_ms: i64) -> i64 {
        if self.windows.is_empty() {
            return to_ms.saturating_sub(from_ms).max(0);
        }
        let mut open_ms = 0;
        self.each_open(from_ms, |from, to| {
            open_ms += to.min(to_ms).saturating_sub(from).max(0);
            to < to_ms
        });
        open_ms
    }

    /// The time at which a window will have been open for so long since another time; absent where that is years away.
    pub fn after_open(&self, now_ms: i64, open_ms: i64) -> Option<i64> {
        if self.windows.is_empty() {
            return now_ms.checked_add(open_ms);
        }
        let mut left_ms = open_ms;
        let mut at_ms = None;
        self.each_open(now_ms, |from, to| {
            let length_ms = to.saturating_sub(from);
            if left_ms <= length_ms {
                at_ms = Some(from.saturating_add(left_ms));
            }
            left_ms = left_ms.saturating_sub(length_ms);
            at_ms.is_none()
        });
        at_ms
    }

    /// When work of so many milliseconds begins and ends if it is done within the windows alone, from a time on, and how many
    /// of them it takes (absent where nothing bounds it); absent where its end is years away.
    pub(crate) fn work_through(&self, now_ms: i64, work_ms: i64) -> Option<(i64, i64, Option<u32>)> {
        if self.windows.is_empty() {
            return Some((now_ms, now_ms.checked_add(work_ms)?, None));
        }
        let (mut begins_ms, mut ends_ms, mut opened, mut left_ms) = (None, None, 0_u32, work_ms);
        self.each_open(now_ms, |from, to| {
            opened = opened.saturating_add(1);
            begins_ms.get_or_insert(from);
            if left_ms <= to.saturating_sub(from) {
                ends_ms = Some(from.saturating_add(left_ms));
            }
            left_ms = left_ms.saturating_sub(to.saturating_sub(from));
            ends_ms.is_none()
        });
        Some((begins_ms?, ends_ms?, Some(opened)))
    }

    /// Calls `each` with the open times from a time on, in order, until it answers false or years are gone.
    fn each_open(&self, from_ms: i64, mut each: impl FnMut(i64, i64) -> bool) {
        let mut now_ms = from_ms;
        for _ in 0..LOOKS {
            let now = Timestamp::from_millisecond(now_ms).unwrap_or(Timestamp::MAX);
            let mut spans = self.spans(now);
            // One that reaches the end of what is looked at may go on behind it.
            let end = spans.pop().map(|(from, _)| from.as_millisecond());
            for (from, to) in spans {
                let (from, to) = (from.as_millisecond().max(now_ms), to.as_millisecond());
                if from < to && !each(from, to) {
                    return;
                }
            }
            match end {
                Some(end) if end > now_ms => now_ms = end,
                // Never closed, as far as one can see.
                Some(_) => {
                    each(now_ms, i64::MAX);
                    return;
                }
                None => return,
            }
        }
    }

    /// A time by the operator's clock: `02:40`, to the second where another time is minutes away, with its day where that
    /// is far.
    pub fn clock(&self, at_ms: i64, now_ms: i64) -> String {
        let local = self.zone.to_datetime(Timestamp::from_millisecond(at_ms).unwrap_or(Timestamp::MAX));
        let form = match at_ms.abs_diff(now_ms) {
            0..MOMENTS_MS => "%H:%M:%S",
            MOMENTS_MS..NEAR_MS => "%H:%M",
            _ => "%a %Y-%m-%d %H:%M",
        };
        local.strftime(form).to_string()
    }

    /// The name of the zone.
    pub fn zone(&self) -> &str {
        &self.zone_name
    }

    /// The windows around a time, in order; adjoining ones are one.
    fn spans(&self, now: Timestamp) -> Vec<(Timestamp, Timestamp)> {
        let today = self.zone.to_datetime(now).date();
        let mut spans: Vec<(Timestamp, Timestamp)> = (-BEHIND_DAYS..=AHEAD_DAYS)
            .filter_map(|days| today.checked_add(Span::new().try_days(days).ok()?).ok())
            .flat_map(|day| self.windows.iter().filter_map(move |window| self.on(day, window)))
            .filter(|(from, to)| from < to)
            .collect();
        spans.sort_unstable();
        let mut joined: Vec<(Timestamp, Timestamp)> = Vec::new();
        for (from, to) in spans {
            match joined.last_mut() {
                Some((_, end)) if from <= *end => *end = (*end).max(to),
                Some(_) | None => joined.push((from, to)),
            }
        }
        joined
    }

    /// The window that begins on a day, if one does.
    fn on(&self, day: Date, window: &Window) -> Option<(Timestamp, Timestamp)> {
        let weekday = usize::try_from(day.weekday().to_monday_zero_offset()).ok()?;
        if !window.days.get(weekday).copied().unwrap_or(false) {
            return None;
        }
        let until = if window.to > window.from { day } else { day.tomorrow().ok()? };
        Some((self.moment(day, window.from)?, self.moment(until, window.to)?))
    }

    /// The moment of a local time. One that the clocks skip is the moment at which they do.
    fn moment(&self, day: Date, minutes: u16) -> Option<Timestamp> {
        let local: DateTime =
            day.to_datetime(jiff::civil::Time::midnight()).checked_add(i64::from(minutes).minutes()).ok()?;
        let ambiguous = self.zone.to_ambiguous_timestamp(local);
        match ambiguous.offset() {
            AmbiguousOffset::Gap { after, .. } => {
                // Reckoned with the offset that comes, it is before the change.
                let before = after.to_timestamp(local).ok()?;
                self.zone.following(before).next().map(|change| change.timestamp())
            }
            AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Fold { .. } => ambiguous.earlier().ok(),
        }
    }
}

/// `[DAYS] HH:MM-HH:MM`.
fn window(text: &str) -> Option<Window> {
    let (days, times) = match text.trim().rsplit_once(char::is_whitespace) {
        Some((days, times)) => (days_of(days)?, times),
        None => ([true; 7], text.trim()),
    };
    let (from, to) = times.split_once('-')?;
    let (from, to) = (minutes(from)?, minutes(to)?);
    (from < DAY_MINUTES).then_some(Window { days, from, to })
}

/// `Mon-Fri`, `Sat,Sun`, or both.
fn days_of(text: &str) -> Option<[bool; 7]> {
    let number = |name: &str| DAYS.iter().position(|word| name.trim().eq_ignore_ascii_case(word));
    let mut days = [false; 7];
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (mut day, last) = (number(first)?, number(last)?);
        loop {
            *days.get_mut(day)? = true;
            if day == last {
                break;
            }
            day = (day + 1) % 7;
        }
    }
    Some(days)
}

fn minutes(text: &str) -> Option<u16> {
    let (hours, minutes) = text.trim().split_once(':')?;
    let digits = |text: &str| (text.len() == 2).then(|| text.parse::<u16>().ok()).flatten();
    let (hours, minutes) = (digits(hours)?, digits(minutes)?);
    let all = hours * 60 + minutes;
    (minutes < 60 && all <= DAY_MINUTES).then_some(all)
}
