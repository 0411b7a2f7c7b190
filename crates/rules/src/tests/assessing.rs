//! The assessment: what one user's record says, and that shares add up to the whole.

use crate::assess::{FEATURES, Feature, Habits, List, Nps, Tally, assess};
use contract::{Device, FingerprintKey, Mode, OathToken, Policy, RawPhone, Record, Secret, SmsDirection};
use proptest::prelude::*;

fn record(mode: Mode) -> Record {
    let phone = RawPhone { country_code: "1".into(), number: "4255550100".into(), extension: String::new() };
    Record { mode, phone, ..Record::nothing_but("helga@contoso.example".into()) }
}

fn look(record: &Record, habits: &Habits<'_>, policy: &Policy) -> crate::assess::Assessed {
    assess(record, habits, policy, &FingerprintKey::new(&[]))
}

#[test]
fn the_method_in_use_is_counted_with_its_proof_and_no_other() {
    let pin = Habits { call_pin: true, text_pin: true, app_pin: true, ..Habits::default() };
    let voice = Habits { call_voiceprint: true, app_voiceprint: true, ..Habits::default() };
    let none = Habits::default();
    for (mode, habits, wanted) in [
        (Mode::VoiceCall, none, Feature::CallStandard),
        (Mode::VoiceCall, pin, Feature::CallPin),
        (Mode::VoiceCall, voice, Feature::CallVoiceprint),
        (Mode::Unspecified, pin, Feature::CallPin),
        (Mode::SmsText, none, Feature::TextOneTimeCode),
        (Mode::SmsText, pin, Feature::TextPin),
        (Mode::PhoneApp, none, Feature::AppStandard),
        (Mode::PhoneApp, pin, Feature::AppPin),
        (Mode::PhoneApp, voice, Feature::AppVoiceprint),
        (Mode::OathToken, pin, Feature::OathToken),
    ] {
        let found = look(&record(mode), &habits, &Policy::default());
        let methods = &FEATURES[..FEATURES.iter().position(|f| *f == Feature::CompanyDefault).unwrap()];
        let used: Vec<_> = methods.iter().filter(|f| found.uses(**f)).collect();
        assert_eq!(used, [&wanted], "{mode:?}");
        assert_eq!(
            found.is_on(List::Pin),
            matches!(wanted, Feature::CallPin | Feature::TextPin | Feature::AppPin)
        );
    }
}

#[test]
fn an_app_or_a_token_that_is_held_counts_beside_the_method_in_use() {
    let held = Record {
        devices: vec![Device::default()],
        oath_token: Some(OathToken::default()),
        ..record(Mode::VoiceCall)
    };
    let found = look(&held, &Habits::default(), &Policy::default());
    for feature in [Feature::CallStandard, Feature::AppStandard, Feature::OathToken] {
        assert!(found.uses(feature), "{feature:?}");
    }
    let pin = look(&held, &Habits { app_pin: true, ..Habits::default() }, &Policy::default());
    assert!(pin.uses(Feature::AppPin) && !pin.uses(Feature::AppStandard) && pin.is_on(List::Pin));
}

#[test]
fn network_policy_server_serves_calls_and_no_codes() {
    let nps = |record: &Record| look(record, &Habits::default(), &Policy::default()).nps;
    assert_eq!(nps(&record(Mode::VoiceCall)), Some(Nps::Served));
    assert_eq!(nps(&record(Mode::SmsText)), Some(Nps::Typed));
    let token = OathToken {
        serial: Some("1234567".into()),
        secret: Some(Secret::new("JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP".to_owned())),
        ..OathToken::default()
    };
    assert_eq!(nps(&Record { oath_token: Some(token), ..record(Mode::OathToken) }), Some(Nps::Typed));
    assert_eq!(nps(&Record { phone: RawPhone::default(), ..record(Mode::VoiceCall) }), Some(Nps::Nothing));
    let app =
        Record { devices: vec![Device::default()], phone: RawPhone::default(), ..record(Mode::PhoneApp) };
    let found = look(&app, &Habits::default(), &Policy::default());
    assert!(
        found.nps == Some(Nps::Nothing) && found.is_on(List::RegisterAgain) && found.is_on(List::Nothing)
    );
}

#[test]
fn whoever_is_disabled_is_counted_as_that_alone_unless_they_are_moved_too() {
    let disabled = Record { enabled: false, ..record(Mode::VoiceCall) };
    let pin = Habits { call_pin: true, ..Habits::default() };
    let found = look(&disabled, &pin, &Policy::default());
    assert!(found.is_on(List::Disabled) && !found.is_on(List::Pin) && found.nps.is_none());
    assert_eq!(FEATURES.iter().filter(|f| found.uses(**f)).count(), 1);
    let moved = look(&disabled, &pin, &Policy { include_disabled: true, ..Policy::default() });
    assert!(moved.is_on(List::Disabled) && moved.is_on(List::Pin) && moved.nps == Some(Nps::Served));
}

fn habits<'a>(bits: u8, languages: &'a [String]) -> Habits<'a> {
    Habits {
        call_pin: bits & 1 != 0,
        text_pin: bits & 2 != 0,
        app_pin: bits & 4 != 0,
        security_questions: bits & 8 != 0,
        language: (bits & 16 != 0).then(|| languages[usize::from(bits) % languages.len()].as_str()),
        ..Habits::default()
    }
}

proptest! {
    #[test]
    fn shares_add_up_to_the_whole(users in prop::collection::vec((0_u8..5, any::<u8>(), any::<bool>()), 0..60), cut in any::<prop::sample::Index>()) {
        let languages: Vec<String> = (0..130).map(|n| format!("x-{n}")).collect();
        let modes = [Mode::VoiceCall, Mode::SmsText, Mode::PhoneApp, Mode::OathToken, Mode::Unspecified];
        let count = |tally: &mut Tally, user: &(u8, u8, bool)| {
            let (mode, bits, two_way) = *user;
            let direction = if two_way { SmsDirection::TwoWay } else { SmsDirection::OneWay };
            let one = Record { sms_direction: direction, enabled: bits < 250, ..record(modes[usize::from(mode)]) };
            let habits = habits(bits, &languages);
            let found = look(&one, &habits, &Policy::default());
            tally.add(&found, &habits, |client| client == usize::from(bits % 2));
        };
        let mut whole = Tally::new(2);
        users.iter().for_each(|user| count(&mut whole, user));
        let (mut first, mut second) = (Tally::new(2), Tally::new(2));
        let at = if users.is_empty() { 0 } else { cut.index(users.len()) };
        users[..at].iter().for_each(|user| count(&mut first, user));
        users[at..].iter().for_each(|user| count(&mut second, user));
        first.add_all(second);
        prop_assert_eq!(&first, &whole);
        prop_assert_eq!(whole.users, users.len() as u64);
        let behind: u64 = whole.behind.iter().flatten().sum();
        prop_assert_eq!(behind, whole.nps.iter().sum::<u64>(), "everybody is behind one of the two");
        prop_assert_eq!(whole.nps.iter().sum::<u64>() + whole.on(List::Disabled), whole.users);
        prop_assert_eq!(whole.on(List::NpsCannotServe), whole.nps[1] + whole.nps[2]);
    }
}
