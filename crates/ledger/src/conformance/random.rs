//! Random legal sequences of operations: whatever the order, the invariants hold after every step.

use super::fixture::{LONG, World, entra, intent, settle, snooze};
use super::looking::recount;
use crate::{Claim, Ledger};
use contract::{EntraId, EntryState, IntentOutcome, RunId, RunKind, Sealed};
use std::collections::BTreeMap;
use std::time::Duration;

const USERS: i64 = 6;
const STEPS: u32 = 120;

pub(super) async fn check<L: Ledger>(fresh: &impl AsyncFn() -> L) {
    for seed in 1..=6 {
        walk(World::of(fresh().await, USERS).await, seed).await;
    }
}

/// Xorshift: the same seed walks the same way.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }

    fn user(&mut self) -> i64 {
        i64::try_from(self.roll(USERS.unsigned_abs())).unwrap() + 1
    }
}

/// What the walk has seen and the ledger must keep.
#[derive(Default)]
struct Seen {
    settled: BTreeMap<(RunId, i64), EntryState>,
    pre_images: BTreeMap<(EntraId, String), Option<Sealed>>,
    /// Claims by entry; the newest is the only one that may still count.
    claims: Vec<(RunId, Claim)>,
}

async fn walk<L: Ledger>(world: World<L>, seed: u64) {
    let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let runs = [world.run(RunKind::Migrate, "north").await, world.run(RunKind::Migrate, "south").await];
    let mut seen = Seen::default();
    for step in 0..STEPS {
        let run = runs[usize::try_from(dice.roll(2)).unwrap()];
        one_step(&world, &mut dice, &mut seen, run, step).await;
        look(&world, &mut seen, &runs).await;
    }
}

async fn one_step<L: Ledger>(world: &World<L>, dice: &mut Dice, seen: &mut Seen, run: RunId, step: u32) {
    let ledger = &world.ledger;
    match dice.roll(10) {
        0 => {
            ledger.release(run, 3, Some(Duration::ZERO), Duration::ZERO).await.unwrap();
        }
        1 if dice.roll(4) == 0 => {
            ledger.lead("walker").await.unwrap();
        }
        1..=3 => {
            let lease = if dice.roll(3) == 0 { Duration::ZERO } else { LONG };
            let claims = ledger.claim(run, &[dice.user(), dice.user()], "walker", lease).await.unwrap();
            for claim in &claims {
                let before = seen.claims.iter().filter(|(r, c)| *r == run && c.ordinal == claim.ordinal);
                assert!(before.map(|(_, c)| c.epoch).max().unwrap_or(0) < claim.epoch, "epochs only grow");
            }
            seen.claims.extend(claims.into_iter().map(|claim| (run, claim)));
        }
        roll => {
            let Some(pick) = (dice.roll(64) as usize).checked_rem(seen.claims.len()) else { return };
            let (run, claim) = seen.claims[pick].clone();
            match roll {
                4 | 5 => {
                    let value = format!("before {step}");
                    let rows = [intent(&claim, "mobile", Some(&value), Some(&format!("ours {step}")))];
                    ledger.file_intents(run, &rows).await.unwrap();
                }
                6 => {
                    ledger.renew(run, &[(claim.ordinal, claim.epoch)], LONG).await.unwrap();
                }
                7 => {
                    ledger.finish(run, &[snooze(&claim, Duration::ZERO, true)]).await.unwrap();
                }
                _ => {
                    let outcome = IntentOutcome::ALL[usize::try_from(dice.roll(4)).unwrap()];
                    let end = settle(&claim, EntryState::Applied, &[("mobile", outcome)]);
                    let newest = seen.claims.iter().filter(|(r, c)| *r == run && c.ordinal == claim.ordinal);
                    let newest = newest.map(|(_, c)| c.epoch).max();
                    let held = ledger.finish(run, &[end]).await.unwrap();
                    assert!(held.is_empty() || newest == Some(claim.epoch), "a stale epoch was let through");
                }
            }
        }
    }
}

async fn look<L: Ledger>(world: &World<L>, seen: &mut Seen, runs: &[RunId]) {
    let mut claimed: BTreeMap<EntraId, RunId> = BTreeMap::new();
    for run in runs {
        assert_eq!(world.ledger.counts(*run).await.unwrap(), recount(world, *run).await);
        for row in world.ledger.results(*run, 0, 100).await.unwrap() {
            if let Some(state) = seen.settled.get(&(*run, row.ordinal)) {
                assert_eq!(*state, row.state, "settled stays settled");
            }
            if row.state.is_settled() {
                seen.settled.insert((*run, row.ordinal), row.state);
            }
            if row.state == EntryState::Claimed {
                let other = claimed.insert(row.user.clone().unwrap(), *run);
                assert_eq!(other, None, "one writer a user");
            }
        }
    }
    for number in 1..=USERS {
        let key = contract::UserKey(super::fixture::print("user", number));
        let history = world.ledger.user_history(key).await.unwrap();
        for (user, pre_image) in history.pre_images {
            assert_eq!(user, entra(number));
            let first =
                seen.pre_images.entry((user, pre_image.slot)).or_insert_with(|| pre_image.value.clone());
            assert_eq!(*first, pre_image.value, "a pre-image is insert-only");
        }
    }
}
