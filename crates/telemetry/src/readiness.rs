//! What a process needs to do its work, and whether it is there: the answer of `/readyz`.
//!
//! It is told by whoever looks, again and again; what nobody has told for a while is taken for absent, so that a look
//! that is stuck is no good word. The words are ours and name nobody.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A word that is older than this says nothing any more: five times what lies between two looks, and a slow one.
const STALE: Duration = Duration::from_secs(20);

/// Something that a process needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// Both connections to the broker.
    Broker,
    /// The ledger answers.
    Database,
    /// A coordinator leads, or stands by for the one that does.
    Leadership,
}

impl Need {
    fn as_str(self) -> &'static str {
        match self {
            Self::Broker => "broker",
            Self::Database => "database",
            Self::Leadership => "leadership",
        }
    }
}

/// What was told last, and when; nothing yet at first.
type Told = BTreeMap<Need, Option<(Instant, Result<&'static str, &'static str>)>>;

static TOLD: Mutex<Told> = Mutex::new(BTreeMap::new());

/// From now on the process is ready only when these are there.
pub fn needs(needs: &[Need]) {
    let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
    for need in needs {
        told.entry(*need).or_default();
    }
}

/// Tells of something that is needed: a word for how it is there, or one for why it is not.
pub fn tell_need(need: Need, how: Result<&'static str, &'static str>) {
    let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
    told.insert(need, Some((Instant::now(), how)));
}

/// Whether all is there, and a line for each.
pub(crate) fn told() -> (bool, String) {
    let told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
    answer(&told, Instant::now())
}

fn answer(told: &Told, now: Instant) -> (bool, String) {
    if told.is_empty() {
        return (false, "starting\n".to_owned());
    }
    let mut is_ready = true;
    let mut text = String::new();
    for (need, last) in told {
        let word = match last {
            None => Err("not looked at yet"),
            Some((at, _)) if now.saturating_duration_since(*at) > STALE => Err("not heard of for a while"),
            Some((_, how)) => *how,
        };
        is_ready &= word.is_ok();
        let mark = if word.is_ok() { "ok " } else { "no " };
        // Writing to a string cannot fail.
        let _written = writeln!(text, "{mark}{}: {}", need.as_str(), word.unwrap_or_else(|why| why));
    }
    (is_ready, text)
}

#[cfg(test)]
mod tests {
    use super::{Need, STALE, Told, answer};
    use std::time::{Duration, Instant};

    #[test]
    fn ready_is_who_has_heard_of_all_it_needs_and_lately() {
        let now = Instant::now();
        let mut told = Told::new();
        assert_eq!(answer(&told, now), (false, "starting\n".to_owned()));
        told.insert(Need::Broker, None);
        told.insert(Need::Database, Some((now, Ok("answers"))));
        assert_eq!(
            answer(&told, now),
            (false, "no broker: not looked at yet\nok database: answers\n".to_owned())
        );
        told.insert(Need::Broker, Some((now, Err("away"))));
        assert!(!answer(&told, now).0);
        told.insert(Need::Broker, Some((now, Ok("connected"))));
        assert!(answer(&told, now).0);
        assert!(!answer(&told, now + STALE + Duration::from_secs(1)).0, "an old word is none");
    }
}
