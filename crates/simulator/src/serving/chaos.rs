//! What fate strikes a call: one draw a call, by the seed, in the order in which calls come.
//!
//! At most one fate a call. Reads can only fail or be cut off; a fate that is about effects strikes writes alone.

use super::options::Faults;
use crate::tenant::Kind;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// What Graph would do.
    Normal,
    /// This status, and no effect.
    Fail(u16),
    /// 504 and the effect.
    TimeoutButApplied,
    /// 504 now and the effect later.
    ApplyLate,
    /// 409 and the effect.
    ConflictButApplied,
    /// 409 and no effect.
    Conflict,
    /// No answer; the effect or not.
    Drop {
        /// Whether it is applied first.
        applied: bool,
    },
}

/// The dice.
pub(super) struct Chaos {
    faults: Faults,
    dice: SmallRng,
}

impl Chaos {
    /// Dice of the faults' own seed.
    pub(super) fn new(faults: Faults) -> Self {
        Self { faults, dice: SmallRng::seed_from_u64(faults.seed) }
    }

    /// The fate of the next call.
    pub(super) fn draw(&mut self, kind: Kind) -> Fate {
        let faults = &self.faults;
        let mut point: f64 = self.dice.random();
        let mut within = |share: f64| {
            point -= share;
            point < 0.0
        };
        if within(faults.error_rate) {
            let status = [500, 502, 503].get(self.dice.random_range(0..3_usize)).copied();
            return Fate::Fail(status.unwrap_or(500));
        }
        if within(faults.drop_connection) {
            return Fate::Drop { applied: self.dice.random() };
        }
        // Every draw takes its share of the line, so that a read does not fall into a write's.
        let timeout = within(faults.timeout_but_applied);
        let conflict = !timeout && within(faults.conflict_but_applied);
        let group = !timeout && !conflict && within(faults.group_conflict);
        match kind {
            Kind::Read => return Fate::Normal,
            _ if timeout => return Fate::TimeoutButApplied,
            Kind::PhoneWrite | Kind::GroupWrite | Kind::RolloutWrite if conflict => {
                return Fate::ConflictButApplied;
            }
            Kind::GroupWrite if group => return Fate::Conflict,
            Kind::PhoneWrite | Kind::GroupWrite | Kind::RolloutWrite | Kind::OtherWrite => {}
        }
        match faults.late_apply_ms {
            Some(_) if self.dice.random::<f64>() < faults.late_apply_rate.unwrap_or(1.0) => Fate::ApplyLate,
            _ => Fate::Normal,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draws_of(text: &str, kind: Kind) -> Vec<Fate> {
        let mut chaos = Chaos::new(Faults::parse(text).unwrap());
        (0..10_000).map(|_| chaos.draw(kind)).collect()
    }

    fn draws(text: &str, is_write: bool) -> Vec<Fate> {
        draws_of(text, if is_write { Kind::PhoneWrite } else { Kind::Read })
    }

    #[test]
    fn a_conflict_without_effect_strikes_groups_alone() {
        let text = "timeout-but-applied=0.1,conflict-but-applied=0.1,group-conflict=0.2,seed=5";
        let fates = draws_of(text, Kind::GroupWrite);
        let share = |wanted: Fate| fates.iter().filter(|fate| **fate == wanted).count();
        assert!((1800..2200).contains(&share(Fate::Conflict)), "{}", share(Fate::Conflict));
        assert!((800..1200).contains(&share(Fate::ConflictButApplied)));
        assert!((800..1200).contains(&share(Fate::TimeoutButApplied)));
        for kind in [Kind::Read, Kind::PhoneWrite, Kind::RolloutWrite, Kind::OtherWrite] {
            assert!(!draws_of(text, kind).contains(&Fate::Conflict), "{kind:?}");
        }
        assert!(!draws_of(text, Kind::OtherWrite).contains(&Fate::ConflictButApplied));
        assert!(draws_of(text, Kind::RolloutWrite).contains(&Fate::ConflictButApplied));
    }

    #[test]
    fn shares_come_out_and_the_seed_repeats_them() {
        let text =
            "error-rate=0.1,timeout-but-applied=0.1,conflict-but-applied=0.1,drop-connection=0.1,seed=5";
        let fates = draws(text, true);
        let share = |f: fn(&Fate) -> bool| fates.iter().filter(|x| f(x)).count();
        for count in [
            share(|f| matches!(f, Fate::Fail(_))),
            share(|f| matches!(f, Fate::TimeoutButApplied)),
            share(|f| matches!(f, Fate::ConflictButApplied)),
            share(|f| matches!(f, Fate::Drop { .. })),
        ] {
            assert!((800..1200).contains(&count), "{count}");
        }
        let applied = share(|f| matches!(f, Fate::Drop { applied: true }));
        assert!((400..600).contains(&applied), "{applied}");
        assert_eq!(fates, draws(text, true));
    }

    #[test]
    fn reads_have_no_fate_of_writes() {
        let text = "timeout-but-applied=0.5,conflict-but-applied=0.5,late-apply-ms=5";
        assert!(draws(text, false).iter().all(|f| *f == Fate::Normal));
    }

    #[test]
    fn late_strikes_every_write_unless_a_share_is_given() {
        assert!(draws("late-apply-ms=5", true).iter().all(|f| *f == Fate::ApplyLate));
        let some = draws("late-apply-ms=5,late-apply-rate=0.1", true);
        let count = some.iter().filter(|f| **f == Fate::ApplyLate).count();
        assert!((800..1200).contains(&count), "{count}");
    }
}
