//! The canary steps of a batch: how many users go first, how many next, and to which step a user belongs.
//!
//! Must never make a step that adds nobody, or leave a user without a step. Invariant: the sizes of a batch's steps
//! are each at least one and add up to its users.

use std::fmt;
use std::str::FromStr;

/// Parts of a whole, in ten-thousandths: `2%` is 200, `0.5%` is 50. Never above 10,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(u16);

/// The whole, in [`Share`]'s unit.
const WHOLE: u16 = 10_000;

impl Share {
    /// All of it.
    pub const ALL: Share = Share(WHOLE);
    /// What a step may fail by default before it aborts: 2 %.
    pub const ABORT_AT: Share = Share(200);

    /// The share in ten-thousandths, 0 to 10,000.
    #[must_use]
    pub fn per_ten_thousand(self) -> u16 {
        self.0
    }
}

/// A text is not a share such as `2%` or `0.5%`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a share; write a percentage from 0% to 100% with at most two decimals, such as 2% or 0.5%"
)]
pub struct ShareError(String);

impl FromStr for Share {
    type Err = ShareError;

    fn from_str(text: &str) -> Result<Self, ShareError> {
        share(text.trim()).ok_or_else(|| ShareError(text.trim().to_owned()))
    }
}

fn share(text: &str) -> Option<Share> {
    let number = text.strip_suffix('%')?;
    let (whole, decimals) = match number.split_once('.') {
        Some((_, "")) => return None,
        Some(parts) => parts,
        None => (number, ""),
    };
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || whole.len() > 3 || decimals.len() > 2 || !digits(whole) || !digits(decimals) {
        return None;
    }
    let hundredths: u32 = format!("{decimals:0<2}").parse().ok()?;
    let parts = whole.parse::<u32>().ok()? * 100 + hundredths;
    u16::try_from(parts).ok().filter(|parts| *parts <= WHOLE).map(Share)
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / 100, self.0 % 100);
        match (rest, rest % 10) {
            (0, _) => write!(f, "{whole}%"),
            (_, 0) => write!(f, "{whole}.{}%", rest / 10),
            (_, _) => write!(f, "{whole}.{rest:02}%"),
        }
    }
}

/// Up to where a step reaches, counted from the batch's first user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bound {
    Users(u32),
    Share(Share),
}

/// The steps of a canary, as written: `10,100,1%,10%,100%`. The last is always the whole batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Steps(Vec<Bound>);

/// A text is not a canary.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StepsError {
    /// A step is neither a count nor a percentage.
    #[error(
        "canary step `{0}` is neither a number of users nor a percentage; write for example 10,100,1%,10%,100%"
    )]
    Unreadable(String),
    /// A step of no users.
    #[error("canary step `{0}` would hold no users; leave it out or give at least 1 or 0.01%")]
    Zero(String),
    /// A step reaches less far than the one of its kind before it.
    #[error(
        "canary step `{step}` is less than `{before}` before it; steps count from the first user on, so each must reach further"
    )]
    Shrinks {
        /// The step, as written.
        step: String,
        /// The one of its kind before it, as written.
        before: String,
    },
    /// Something follows 100 %.
    #[error("canary step `{0}` comes after 100%, where nobody is left; 100% must be the last step")]
    AfterAll(String),
}

impl FromStr for Steps {
    type Err = StepsError;

    fn from_str(text: &str) -> Result<Self, StepsError> {
        let mut bounds: Vec<Bound> = Vec::new();
        for word in text.split(',').map(str::trim) {
            let bound = bound(word)?;
            if bounds.last() == Some(&Bound::Share(Share::ALL)) {
                return Err(StepsError::AfterAll(word.to_owned()));
            }
            // A count and a percentage can be compared only once the batch is known; `sizes` does.
            let shrinks = |before: &&Bound| match (**before, bound) {
                (Bound::Users(before), Bound::Users(now)) => now < before,
                (Bound::Share(before), Bound::Share(now)) => now < before,
                (Bound::Users(_), Bound::Share(_)) | (Bound::Share(_), Bound::Users(_)) => false,
            };
            if let Some(before) = bounds.iter().find(shrinks) {
                return Err(StepsError::Shrinks { step: word.to_owned(), before: before.to_string() });
            }
            bounds.push(bound);
        }
        if bounds.last() != Some(&Bound::Share(Share::ALL)) {
            bounds.push(Bound::Share(Share::ALL));
        }
        Ok(Steps(bounds))
    }
}

fn bound(word: &str) -> Result<Bound, StepsError> {
    let unreadable = || StepsError::Unreadable(word.to_owned());
    let bound = if word.ends_with('%') {
        Bound::Share(share(word).ok_or_else(unreadable)?)
    } else if word.bytes().all(|b| b.is_ascii_digit()) {
        Bound::Users(word.parse().map_err(|_| unreadable())?)
    } else {
        return Err(unreadable());
    };
    match bound {
        Bound::Users(0) | Bound::Share(Share(0)) => Err(StepsError::Zero(word.to_owned())),
        Bound::Users(_) | Bound::Share(_) => Ok(bound),
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Bound::Users(users) => write!(f, "{users}"),
            Bound::Share(share) => write!(f, "{share}"),
        }
    }
}

impl fmt::Display for Steps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, bound) in self.0.iter().enumerate() {
            let comma = if n == 0 { "" } else { "," };
            write!(f, "{comma}{bound}")?;
        }
        Ok(())
    }
}

impl Steps {
    /// How many users each step adds, in a batch of `users`. Percentages are rounded up; a step that adds nobody is
    /// left out. Empty only for an empty batch.
    #[must_use]
    pub fn sizes(&self, users: u32) -> Vec<u32> {
        let mut reached = 0;
        let mut sizes = Vec::new();
        for bound in &self.0 {
            let reaches = bound.reaches(users);
            if reaches > reached {
                sizes.push(reaches - reached);
                reached = reaches;
            }
        }
        sizes
    }
}

impl Bound {
    /// The users up to this bound, never more than there are.
    fn reaches(self, users: u32) -> u32 {
        match self {
            Bound::Users(count) => count.min(users),
            Bound::Share(share) => {
                let parts = u64::from(users) * u64::from(share.0);
                u32::try_from(parts.div_ceil(u64::from(WHOLE))).unwrap_or(users)
            }
        }
    }
}

/// The step, from 0, of the user at `position` (from 0) in a batch of `users`. A position beyond the batch belongs
/// to its last step.
#[must_use]
pub fn step_of(position: u32, users: u32, steps: &Steps) -> u32 {
    let mut reached = 0_u32;
    let mut step = 0;
    for (n, size) in (0..).zip(steps.sizes(users)) {
        step = n;
        reached = reached.saturating_add(size);
        if position < reached {
            break;
        }
    }
    step
}
