//! The steps of a history, drawn one after the other: the verbs with the ways in which a process may come to its end, and
//! other people's changes.

use super::clock::Death;
use super::cloud::Call;
use super::company::{base32_of, id_of, number};
use super::judge::{Judge, Key};
use crate::sweep::Dice;
use contract::{DefaultMethodPolicy, OnDrift, OnExisting, Policy};
use simulator::Faults;
use std::time::Duration;

/// How a process is brought to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// By itself.
    Whole,
    /// It dies.
    Death(Death),
    /// The run is paused after so long.
    Pause(Duration),
    /// It is asked to stop after so long.
    Stop(Duration),
}

impl Ending {
    /// One of them; mostly by itself.
    pub(super) fn draw(dice: &mut Dice) -> Self {
        let soon = |dice: &mut Dice| Duration::from_millis(50 * dice.below(30));
        match dice.below(20) {
            0..=3 => Self::Death(Death::Call(1 + dice.below(70))),
            4..=6 => {
                Self::Death(Death::Request(1 + dice.below(12), u32::try_from(dice.below(8)).unwrap_or(0)))
            }
            7 => Self::Pause(soon(dice)),
            8 => Self::Stop(soon(dice)),
            _ => Self::Whole,
        }
    }
}

/// A policy of which every setting that bears on writes is drawn.
pub(super) fn policy(dice: &mut Dice) -> Policy {
    let defaults = [
        DefaultMethodPolicy::IfUnset,
        DefaultMethodPolicy::Always,
        DefaultMethodPolicy::Always,
        DefaultMethodPolicy::MostSecureIfUnset,
    ];
    Policy {
        default_method: dice.one_of(&defaults),
        on_existing: if dice.percent(80) { OnExisting::Overwrite } else { OnExisting::Keep },
        on_drift: if dice.percent(85) { OnDrift::Hold } else { OnDrift::Overwrite },
        promote_backup_to_mobile: dice.percent(30),
        backup_to_free_office: dice.percent(30),
        app_codes: if dice.percent(25) {
            contract::AppCodes::HardwareOath
        } else {
            contract::AppCodes::Report
        },
        ..Policy::default()
    }
}

/// Faults of the tenant: none in some histories, several at once in others.
pub(super) fn faults(dice: &mut Dice) -> Faults {
    let mut faults = Faults { seed: dice.next(), ..Faults::default() };
    if dice.percent(40) {
        return faults;
    }
    let share = [0.02, 0.05, 0.15];
    let some = |dice: &mut Dice| if dice.percent(50) { dice.one_of(&share) } else { 0.0 };
    faults.error_rate = some(dice);
    faults.timeout_but_applied = some(dice);
    faults.conflict_but_applied = some(dice);
    faults.drop_connection = some(dice) / 3.0;
    let late = some(dice);
    if late > 0.0 {
        faults.late_apply_ms = Some(100 + dice.below(800));
        faults.late_apply_rate = Some(late);
    }
    if dice.percent(40) {
        faults.not_yet_visible_ms = 100 + dice.below(900);
    }
    faults.auto_default = dice.percent(25);
    faults
}

/// How long after a change of somebody's it is there for everybody to see.
pub(super) fn until_seen(faults: &Faults) -> Duration {
    Duration::from_millis(faults.late_apply_ms.unwrap_or(0) + faults.not_yet_visible_ms + 100)
}

/// Somebody's change of a user's methods; in words, and as a call.
pub(super) fn somebodys_change(no: u32, judge: &Judge, dice: &mut Dice) -> (String, Call) {
    let user = id_of(no);
    let stands = |method: &str| {
        let key = Key::Method(user.clone(), method.to_owned());
        judge.slot(&key).and_then(|slot| slot.value.clone())
    };
    // A number of ours once more, now and then: what equals ours is ours.
    let wanted = |method: &str, dice: &mut Dice| {
        let key = Key::Method(user.clone(), method.to_owned());
        let era = judge.slot(&key).and_then(|slot| slot.era.clone());
        let known =
            era.map(|era| if dice.percent(50) { era.before } else { era.ours.last().cloned().flatten() });
        match known
            .flatten()
            .filter(|_| dice.percent(30))
            .and_then(|n| n.strip_prefix("+1").map(str::to_owned))
        {
            Some(number) => format!("+1 {number}"),
            None => format!("+1 {}", number(dice)),
        }
    };
    match dice.below(10) {
        0..=4 => {
            let kind = dice.one_of(&["mobile", "mobile", "alternateMobile", "office"]);
            let number = wanted(kind, dice);
            (
                format!("somebody sets {kind} of user {no} to {number}"),
                Call::phone(&user, kind, stands(kind).is_some(), Some(&number)),
            )
        }
        5 | 6 => {
            let kind = dice.one_of(&["mobile", "alternateMobile", "office"]);
            (format!("somebody takes {kind} of user {no} away"), Call::phone(&user, kind, true, None))
        }
        7 | 8 => {
            let to =
                dice.one_of(&["sms", "voiceMobile", "voiceAlternateMobile", "voiceOffice", "oath", "push"]);
            (format!("somebody sets the default of user {no} to {to}"), Call::default(&user, to))
        }
        _ => {
            let serial = format!("90{no:05}");
            if judge.slot(&Key::Token(serial.clone())).is_some_and(|slot| slot.value.is_some()) {
                (
                    format!("somebody takes the token of user {no} away"),
                    Call::unassign(&user, &format!("00000000-0000-4000-9000-{no:012}")),
                )
            } else {
                let holder = dice.percent(50).then_some(user.as_str());
                (
                    format!(
                        "somebody makes the token of user {no}, in the user's hands: {}",
                        holder.is_some()
                    ),
                    Call::create_token(&serial, &base32_of(no), holder),
                )
            }
        }
    }
}
