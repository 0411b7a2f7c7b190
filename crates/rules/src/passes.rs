//! Temporary Access Passes: whether the policy lets one be made, and what comes next for a user whose pass may have been
//! made already.
//!
//! Graph shows a pass once. One that was made and did not get to the operator is of no use to anybody: it is told by the
//! time of its wish, by what was asked for, and by not having been there before; and only such a one is taken away. As long
//! as it may still come, nothing is asked for again.

use std::time::Duration;

/// Graph's dates may be cut to seconds.
const CUT: Duration = Duration::from_secs(1);

/// What the tenant's policy says of passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PassBounds {
    /// They can be had at all.
    pub enabled: bool,
    /// The shortest, in minutes, where it is known.
    pub minimum_minutes: Option<u32>,
    /// The longest.
    pub maximum_minutes: Option<u32>,
    /// Every pass can be used once alone.
    pub once_only: bool,
}

/// Why the policy would refuse a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PassRefusal {
    /// Passes are off.
    #[error("the tenant's policy allows no Temporary Access Passes")]
    Disabled,
    /// Too short.
    #[error("the tenant's policy allows passes of {0} minutes or more")]
    TooShort(u32),
    /// Too long.
    #[error("the tenant's policy allows passes of {0} minutes or less")]
    TooLong(u32),
    /// Usable more than once.
    #[error("the tenant's policy allows passes that can be used once alone")]
    OnceOnly,
}

/// Whether the policy lets such a pass be made.
pub fn pass_allowed(bounds: &PassBounds, lifetime_minutes: u32, once: bool) -> Result<(), PassRefusal> {
    if !bounds.enabled {
        return Err(PassRefusal::Disabled);
    }
    // Graph's own bounds stand where the policy names none.
    let minimum = bounds.minimum_minutes.unwrap_or(10);
    let maximum = bounds.maximum_minutes.unwrap_or(43_200);
    if lifetime_minutes < minimum {
        return Err(PassRefusal::TooShort(minimum));
    }
    if lifetime_minutes > maximum {
        return Err(PassRefusal::TooLong(maximum));
    }
    if bounds.once_only && !once {
        return Err(PassRefusal::OnceOnly);
    }
    Ok(())
}

/// A pass that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PassThere<'a> {
    /// Graph's id.
    pub id: &'a str,
    /// When it was made, by Graph's clock; absent where Graph did not say.
    pub created_ms: Option<i64>,
    /// From when it can be used.
    pub start_ms: Option<i64>,
    /// How long.
    pub lifetime_minutes: Option<u32>,
    /// Once alone.
    pub once: Option<bool>,
    /// It can be used, or may come to be.
    pub of_use: bool,
}

/// A wish to make a pass of which no outcome is on file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PassWish<'a> {
    /// When it was filed, by the ledger's clock.
    pub filed_at_ms: i64,
    /// How long ago.
    pub age: Duration,
    /// The passes that were there before, by Graph's id.
    pub before: &'a [String],
    /// What was asked for.
    pub lifetime_minutes: u32,
    /// What was asked for.
    pub once: bool,
    /// What was asked for; absent means from its making.
    pub start_ms: Option<i64>,
    /// The operator's file has the pass of this wish, by Graph's id.
    pub in_file: Option<&'a str>,
    /// Graph said that it will not, so that nothing is still to come.
    pub refused: bool,
    /// Its pass was seen and was to be taken away, so that nothing is still to come.
    pub was_seen: bool,
}

/// What comes next for a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PassStep<'a> {
    /// The pass of the wish is in the file: all that is missing is the record of it.
    Record(&'a str),
    /// The pass of the wish is there and nobody has it: it is taken away.
    TakeAway(&'a str),
    /// It may still come.
    Wait,
    /// It was refused, and it is not there.
    Refused,
    /// It was seen, and it is not there any more.
    Gone,
    /// It cannot come any more, or there was no wish; a pass that may be of use is there, and stays.
    Occupied(&'a str),
    /// It cannot come any more, or there was no wish; nothing is there.
    Make,
}

/// How far clocks may be apart, and until when a request may still land.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PassClock {
    /// How far clocks may be apart.
    pub skew: Duration,
    /// The age from which a wish that shows nothing is believed to have come to nothing.
    pub horizon: Duration,
}

/// What comes next for a user with these passes.
pub fn pass_step<'a>(
    there: &[PassThere<'a>],
    wish: Option<&PassWish<'a>>,
    clock: &PassClock,
) -> PassStep<'a> {
    if let Some(wish) = wish {
        if let Some(id) = wish.in_file {
            return PassStep::Record(id);
        }
        if let Some(made) = there.iter().find(|pass| is_of(pass, wish, clock)) {
            return PassStep::TakeAway(made.id);
        }
        if wish.was_seen {
            return PassStep::Gone;
        }
        if wish.refused {
            return PassStep::Refused;
        }
        if wish.age < clock.horizon {
            return PassStep::Wait;
        }
    }
    match there.iter().find(|pass| pass.of_use) {
        Some(pass) => PassStep::Occupied(pass.id),
        None => PassStep::Make,
    }
}

/// Whether a pass is what a wish has made. In doubt it is somebody else's.
fn is_of(pass: &PassThere<'_>, wish: &PassWish<'_>, clock: &PassClock) -> bool {
    let ms = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    // Without a start of its own a pass begins when it is made.
    let made = pass.created_ms.or(pass.start_ms.filter(|_| wish.start_ms.is_none()));
    let earliest = wish.filed_at_ms.saturating_sub(ms(clock.skew + CUT));
    let latest = wish.filed_at_ms.saturating_add(ms(clock.horizon));
    let starts_right = match (wish.start_ms, pass.start_ms) {
        (Some(wanted), Some(is)) => wanted.abs_diff(is) <= u64::try_from(CUT.as_millis()).unwrap_or(u64::MAX),
        (Some(_), None) => false,
        (None, _) => true,
    };
    !wish.before.iter().any(|id| id.eq_ignore_ascii_case(pass.id))
        && made.is_some_and(|at| (earliest..=latest).contains(&at))
        && pass.lifetime_minutes.is_none_or(|minutes| minutes == wish.lifetime_minutes)
        && pass.once.is_none_or(|once| once == wish.once)
        && starts_right
}
