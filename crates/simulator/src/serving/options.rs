//! How the tenant is served: latency, quota, faults, journal. Texts of the command line are read here and refused
//! with a message that says what is accepted.
//!
//! A share is a number from 0 to 1. Everything is off by default.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// How the tenant is served.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Every answer of Graph waits this long, in milliseconds.
    pub latency_ms: u64,
    /// The quota.
    pub throttle: Throttle,
    /// What goes wrong.
    pub faults: Faults,
    /// Every effect is appended to this file as a line; none without it.
    pub journal: Option<PathBuf>,
    /// The one bearer token that is let in; without it, any that is not empty.
    pub token: Option<String>,
    /// Counts the HTTP requests to Graph that have come in and been judged, for whoever serves the tenant in the process
    /// of its client and must know what is under way.
    pub arrived: Arc<AtomicU64>,
}

/// The quota of the tenant.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Throttle {
    /// None.
    #[default]
    Off,
    /// Microsoft's published token buckets, by the number of users (`throttling-limits`, 2026-02-06).
    Published,
    /// So many writes a second, and a burst of so many seconds' worth.
    Writes {
        /// Writes a second.
        per_second: f64,
        /// Seconds' worth that the bucket holds.
        burst_seconds: f64,
    },
}

/// What goes wrong, each independent of the others but never two on one call.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Faults {
    /// Share of calls answered 500, 502 or 503 without any effect.
    pub error_rate: f64,
    /// Share of writes that are applied and answered 504.
    pub timeout_but_applied: f64,
    /// Writes answered 504 and applied this many milliseconds later.
    pub late_apply_ms: Option<u64>,
    /// Share of writes that `late_apply_ms` strikes; all of them when not given.
    pub late_apply_rate: Option<f64>,
    /// Share of phone writes that are applied and answered 409 `phoneNumberNotUnique`, and of writes to groups and
    /// rollout policies that are applied and answered 409 `Directory_ConcurrencyViolation`.
    pub conflict_but_applied: f64,
    /// Share of writes to groups that are answered 409 `Directory_ConcurrencyViolation` without any effect.
    pub group_conflict: f64,
    /// Reads show the state before a write until this many milliseconds after it.
    pub not_yet_visible_ms: u64,
    /// 429 carries no `Retry-After`.
    pub retry_after_missing: bool,
    /// `Retry-After` is fractional, as in Microsoft's sample.
    pub retry_after_fractional: bool,
    /// Share of calls after which the connection is closed without an answer; one half of them have been applied.
    pub drop_connection: f64,
    /// Graph picks a default method by itself when a user without one gets a method.
    pub auto_default: bool,
    /// Seed of all of the above.
    pub seed: u64,
}

/// A text that names no quota or no fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OptionsError {
    /// Not a quota.
    #[error(
        "throttle {0:?} is not known; accepted: off, published, writes=N/S (N writes a second, S seconds' worth at once, as in writes=50/5)"
    )]
    Throttle(String),
    /// Not the name of a fault.
    #[error(
        "fault {0:?} is not known; accepted, separated by commas: error-rate=R, timeout-but-applied=R, late-apply-ms=N, \
         late-apply-rate=R, conflict-but-applied=R, group-conflict=R, not-yet-visible-ms=N, retry-after-missing, retry-after-fractional, \
         drop-connection=R, auto-default, seed=N (R from 0 to 1)"
    )]
    Fault(String),
    /// A fault's value is not what it takes.
    #[error("fault {name} takes {wanted}, not {given:?}")]
    FaultValue {
        /// The fault.
        name: String,
        /// What it takes.
        wanted: &'static str,
        /// What was given.
        given: String,
    },
    /// Shares that add up to more than every call.
    #[error("the shares of the faults add up to more than 1; lower some of them")]
    Shares,
}

impl Throttle {
    /// Reads `off`, `published` or `writes=N/S`.
    pub fn parse(text: &str) -> Result<Self, OptionsError> {
        let unknown = || OptionsError::Throttle(text.to_owned());
        match text.trim() {
            "off" => Ok(Self::Off),
            "published" => Ok(Self::Published),
            other => {
                let (rate, burst) =
                    other.strip_prefix("writes=").and_then(|v| v.split_once('/')).ok_or_else(unknown)?;
                let per_second = positive(rate).ok_or_else(unknown)?;
                let burst_seconds = positive(burst).ok_or_else(unknown)?;
                // A bucket that never holds one whole write would refuse everything for ever.
                if per_second * burst_seconds < 1.0 {
                    return Err(unknown());
                }
                Ok(Self::Writes { per_second, burst_seconds })
            }
        }
    }
}

fn positive(text: &str) -> Option<f64> {
    text.trim().parse::<f64>().ok().filter(|v| v.is_finite() && *v > 0.0)
}

impl Faults {
    /// Reads a list such as `error-rate=0.01,not-yet-visible-ms=2000,seed=7`; an empty text is no fault.
    pub fn parse(text: &str) -> Result<Self, OptionsError> {
        let mut faults = Self::default();
        for part in text.split(',').map(str::trim).filter(|p| !p.is_empty()) {
            let (name, value) = part.split_once('=').map_or((part, None), |(n, v)| (n, Some(v)));
            match name {
                "error-rate" => faults.error_rate = share(name, value)?,
                "timeout-but-applied" => faults.timeout_but_applied = share(name, value)?,
                "late-apply-ms" => faults.late_apply_ms = Some(whole(name, value)?),
                "late-apply-rate" => faults.late_apply_rate = Some(share(name, value)?),
                "conflict-but-applied" => faults.conflict_but_applied = share(name, value)?,
                "group-conflict" => faults.group_conflict = share(name, value)?,
                "not-yet-visible-ms" => faults.not_yet_visible_ms = whole(name, value)?,
                "retry-after-missing" => faults.retry_after_missing = flag(name, value)?,
                "retry-after-fractional" => faults.retry_after_fractional = flag(name, value)?,
                "drop-connection" => faults.drop_connection = share(name, value)?,
                "auto-default" => faults.auto_default = flag(name, value)?,
                "seed" => faults.seed = whole(name, value)?,
                _ => return Err(OptionsError::Fault(name.to_owned())),
            }
        }
        let shares = faults.error_rate
            + faults.timeout_but_applied
            + faults.conflict_but_applied
            + faults.group_conflict
            + faults.drop_connection;
        if shares > 1.0 + 1e-9 { Err(OptionsError::Shares) } else { Ok(faults) }
    }
}

fn share(name: &str, value: Option<&str>) -> Result<f64, OptionsError> {
    let given = value.unwrap_or_default();
    given.parse::<f64>().ok().filter(|v| (0.0..=1.0).contains(v)).ok_or_else(|| OptionsError::FaultValue {
        name: name.to_owned(),
        wanted: "a share from 0 to 1",
        given: given.to_owned(),
    })
}

fn whole(name: &str, value: Option<&str>) -> Result<u64, OptionsError> {
    let given = value.unwrap_or_default();
    given.parse::<u64>().map_err(|_| OptionsError::FaultValue {
        name: name.to_owned(),
        wanted: "a whole number",
        given: given.to_owned(),
    })
}

fn flag(name: &str, value: Option<&str>) -> Result<bool, OptionsError> {
    match value {
        None => Ok(true),
        Some(given) => given.parse::<bool>().map_err(|_| OptionsError::FaultValue {
            name: name.to_owned(),
            wanted: "no value, or true or false",
            given: given.to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn throttle_reads_each_form_and_refuses_the_rest_with_what_is_accepted() {
        assert_eq!(Throttle::parse("off"), Ok(Throttle::Off));
        assert_eq!(Throttle::parse("published"), Ok(Throttle::Published));
        assert_eq!(
            Throttle::parse("writes=50/5"),
            Ok(Throttle::Writes { per_second: 50.0, burst_seconds: 5.0 })
        );
        for bad in
            ["", "on", "writes=", "writes=5", "writes=0/5", "writes=5/-1", "writes=nan/1", "writes=0.1/1"]
        {
            let error = Throttle::parse(bad).unwrap_err();
            assert!(error.to_string().contains("writes=N/S"), "{bad}: {error}");
        }
    }

    #[test]
    fn faults_combine_and_unknown_ones_are_refused() {
        let faults = Faults::parse("error-rate=0.01, late-apply-ms=500,retry-after-missing,seed=9").unwrap();
        assert_eq!(faults.error_rate, 0.01);
        assert_eq!(faults.late_apply_ms, Some(500));
        assert!(faults.retry_after_missing);
        assert_eq!(faults.seed, 9);
        assert_eq!(Faults::parse("").unwrap(), Faults::default());
        assert!(Faults::parse("eror-rate=1").unwrap_err().to_string().contains("error-rate=R"));
        assert!(Faults::parse("error-rate=2").is_err());
        assert!(Faults::parse("error-rate").is_err());
        assert!(Faults::parse("late-apply-ms=x").is_err());
        assert_eq!(Faults::parse("group-conflict=0.25").unwrap().group_conflict, 0.25);
        assert_eq!(Faults::parse("error-rate=0.6,drop-connection=0.6"), Err(OptionsError::Shares));
        assert_eq!(Faults::parse("error-rate=0.6,group-conflict=0.6"), Err(OptionsError::Shares));
    }
}
