//! What holds for any user at all.

use super::case::{Case, OTHER_SECRET, SECRET, USER, app_serial, changes, device, keys, phone, token};
use super::tenant;
use crate::{Written, normalise, reads_tokens, record_fingerprint, revert, serials};
use contract::{
    Allowed, AppCodes, CodeKind, CompanyDefaultMode, DefaultMethod, DefaultMethodPolicy, Device, Method,
    Mode, Observed, OnExisting, Plan, RawPhone, SmsDirection, Subject, Target, TokenStatus, TokenStep,
};
use proptest::prelude::*;
use proptest::sample::{Index, select, subsequence};

const SECRETS: [&str; 5] = [SECRET, OTHER_SECRET, "a1b2c3d43267854532", "ABCDEF23", "?"];
const MODES: [Mode; 5] = [Mode::VoiceCall, Mode::SmsText, Mode::PhoneApp, Mode::OathToken, Mode::Unspecified];

fn any_phone() -> impl Strategy<Value = RawPhone> {
    let cc = select(vec!["", "1", "48", "49", "39", "+31", "999"]);
    let number = prop_oneof![
        8 => select(vec!["", "4255550100", "425-555-0111 x7", "+48601234567", "0048601234567", "48601234567",
            "0301234567", "+310612345678", "12345", "06 698 12345", "+1 4255550100"]).prop_map(str::to_owned),
        1 => any::<String>(),
        1 => "[+0-9 ()x-]{0,20}",
    ];
    let extension = select(vec!["", "", "", "4021", "x7", "8,,9"]);
    (cc, number, extension).prop_map(|(cc, number, extension)| phone(cc, &number, extension))
}

fn any_device() -> impl Strategy<Value = Device> {
    let name = select(vec!["iPhone", "iphone ", "Pixel", "Tab", "Old", "Work", "NO_DEVICE", ""]);
    (name, proptest::option::of(0_i64..5), proptest::option::of(select(SECRETS.to_vec())))
        .prop_map(|(name, at, secret)| device(name, at, secret))
}

fn set_policy(case: &mut Case) -> impl FnMut((Vec<Method>, Index, Index, u8)) + use<'_> {
    move |(methods, default, company, flags)| {
        let policy = &mut case.policy;
        policy.methods = methods;
        policy.default_method = *default.get(&[
            DefaultMethodPolicy::IfUnset,
            DefaultMethodPolicy::Always,
            DefaultMethodPolicy::MostSecureIfUnset,
        ]);
        policy.company_default_mode = *company.get(&[
            CompanyDefaultMode::VoiceCall,
            CompanyDefaultMode::SmsText,
            CompanyDefaultMode::PhoneApp,
            CompanyDefaultMode::OathToken,
        ]);
        policy.on_existing = if flags & 1 == 0 { OnExisting::Overwrite } else { OnExisting::Keep };
        policy.promote_backup_to_mobile = flags & 2 != 0;
        policy.backup_to_free_office = flags & 4 != 0;
        policy.app_codes = if flags & 8 == 0 { AppCodes::Report } else { AppCodes::HardwareOath };
        policy.default_country_code = (flags & 16 != 0).then(|| "49".to_owned());
    }
}

/// A user's side of Entra: numbers, apps, software tokens, hardware tokens, a default, what is allowed.
type Cloud = (Vec<(Target, usize)>, usize, u32, Vec<(usize, bool)>, Index, u8);

fn any_cloud() -> impl Strategy<Value = Cloud> {
    let numbers = (0_usize..4, 0_usize..4, 0_usize..4).prop_map(|(m, a, o)| {
        let mut numbers = vec![(Target::Mobile, m), (Target::AlternateMobile, a), (Target::Office, o)];
        numbers.retain(|(_, n)| *n > 0);
        // Graph has no alternate mobile without a mobile.
        if m == 0 {
            numbers.retain(|(t, _)| *t != Target::AlternateMobile);
        }
        numbers
    });
    let tokens = subsequence(vec![0_usize, 1, 2, 3], 0..3)
        .prop_flat_map(|t| (Just(t), any::<[bool; 4]>()))
        .prop_map(|(t, active)| t.into_iter().zip(active).collect());
    (numbers, 0_usize..3, 0_u32..3, tokens, any::<Index>(), any::<u8>())
}

fn serial(n: usize) -> String {
    match n {
        0 => "T1".into(),
        1 => "T2".into(),
        2 => app_serial(SECRET),
        _ => app_serial(OTHER_SECRET),
    }
}

fn set_cloud(case: &mut Case, (numbers, apps, software, tokens, default, allowed): Cloud) {
    for (target, n) in numbers {
        let number = ["", "+1 4255550100", "+48601234567", "+1 4255550111 X7"][n];
        case.has(target, number);
    }
    (0..apps).for_each(|_| case.has_app());
    case.observed.methods.software_oath = software;
    for (n, active) in tokens {
        let status = if active { TokenStatus::Activated } else { TokenStatus::Assigned };
        case.has_token(&serial(n), status);
        case.stocks(&serial(n), Some(USER), status);
    }
    let possible: Vec<Option<DefaultMethod>> = [
        None,
        Some(DefaultMethod::Push),
        Some(DefaultMethod::Oath),
        Some(DefaultMethod::Sms),
        Some(DefaultMethod::VoiceMobile),
        Some(DefaultMethod::VoiceOffice),
        Some(DefaultMethod::VoiceAlternateMobile),
    ]
    .into_iter()
    .filter(|d| d.is_none_or(|d| tenant::stands_on(&case.observed.methods, d)))
    .collect();
    case.observed.methods.default = *default.get(&possible);
    case.observed.allowed = if allowed & 128 == 0 { Allowed(allowed) } else { Allowed::ALL };
}

prop_compose! {
    fn any_case(devices: usize)(
        phone in any_phone(),
        backup in any_phone(),
        mode in select(MODES.to_vec()),
        two_way in any::<bool>(),
        devices in proptest::collection::vec(any_device(), 0..=devices),
        own in proptest::option::of((0_usize..2, proptest::option::of(select(SECRETS.to_vec())))),
        policy in (subsequence(vec![Method::Phone, Method::Backup, Method::MobileApp, Method::OathToken,
            Method::Default], 2..=5), any::<Index>(), any::<Index>(), any::<u8>()),
        cloud in any_cloud(),
        stock in proptest::collection::vec((0_usize..4, any::<bool>()), 0..3),
        history in proptest::collection::vec((0_usize..2, 0_usize..4), 0..3),
        guest in proptest::bool::weighted(0.1),
        contested in proptest::bool::weighted(0.1),
    ) -> Case {
        let mut case = Case::empty();
        case.record.phone = phone;
        case.record.backup = backup;
        case.record.mode = mode;
        case.record.sms_direction = if two_way { SmsDirection::TwoWay } else { SmsDirection::OneWay };
        case.record.devices = devices;
        case.record.oath_token = own.and_then(|(n, secret)| token(&serial(n), secret.unwrap_or("")));
        set_policy(&mut case)(policy);
        set_cloud(&mut case, cloud);
        for (n, taken) in stock {
            let serial = serial(n);
            if !case.observed.inventory.iter().any(|t| t.serial == serial) {
                let (holder, status) = if taken { (Some("user-2"), TokenStatus::Activated) } else { (None, TokenStatus::Available) };
                case.stocks(&serial, holder, status);
            }
        }
        for (secret, n) in history {
            case.wrote(SECRETS[secret], &serial(n));
        }
        case.observed.guest = guest;
        if contested {
            case.observed.contested_serials = vec!["T1".into()];
        }
        case
    }
}

fn devices_of(observed: &Observed) -> usize {
    let m = &observed.methods;
    m.authenticators.len() + m.software_oath as usize + m.hardware_oath.len()
}

fn on_file(plan: &Plan) -> Vec<Written> {
    let created = |serial: &Option<String>| {
        plan.tokens.iter().any(|t| Some(&t.serial) == serial.as_ref() && t.step == TokenStep::Create)
    };
    plan.changes
        .iter()
        .map(|c| Written {
            method: c.method,
            serial: c.serial.clone(),
            pre_image: c.from.clone(),
            ours: c.to.clone().unwrap_or_default(),
            created_device: c.serial.is_some() && created(&c.serial),
        })
        .collect()
}

proptest! {
    // What fails once becomes a row of the table, not a file of seeds.
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn planning_again_after_applying_gives_no_change(mut case in any_case(7)) {
        let plan = case.plan();
        for token in &plan.tokens {
            case.wrote(token.secret.expose(), &token.serial);
        }
        case.observed = tenant::written(&plan, &case.observed);
        let again = case.plan();
        prop_assert!(again.changes.is_empty(), "{:?} after {:?}", changes(&again), changes(&plan));
    }

    #[test]
    fn reverting_restores_what_was_there(case in any_case(7)) {
        let plan = case.plan();
        let mut now = tenant::written(&plan, &case.observed);
        let written = on_file(&plan);
        let way = revert(&written, &now);
        prop_assert!(way.conflicts.is_empty(), "{:?} {:?}", way, changes(&plan));
        for step in &way.steps {
            let taken = tenant::take(step, &mut now);
            prop_assert!(taken.is_ok(), "{:?} of {:?} after {:?}", taken, way.steps, changes(&plan));
        }
        prop_assert_eq!(tenant::picture(&now), tenant::picture(&case.observed));
        let left = way.notes.iter().any(|n| n.code == contract::Code::DefaultLeft);
        if left {
            prop_assert_eq!(case.observed.methods.default, None);
        } else {
            prop_assert_eq!(now.methods.default, case.observed.methods.default);
        }
        let again = revert(&written, &now);
        prop_assert!(again.steps.is_empty() && again.conflicts.is_empty(), "{:?}", again);
    }

    #[test]
    fn a_way_back_that_was_cut_short_goes_on_from_there(case in any_case(7), cut in any::<Index>()) {
        let plan = case.plan();
        let mut now = tenant::written(&plan, &case.observed);
        let written = on_file(&plan);
        let way = revert(&written, &now);
        for step in way.steps.iter().take(cut.index(way.steps.len() + 1)) {
            tenant::take(step, &mut now).unwrap();
        }
        let rest = revert(&written, &now);
        prop_assert!(rest.conflicts.is_empty(), "{:?}", rest);
        for step in &rest.steps {
            let taken = tenant::take(step, &mut now);
            prop_assert!(taken.is_ok(), "{:?}", taken);
        }
        prop_assert_eq!(tenant::picture(&now), tenant::picture(&case.observed));
    }

    #[test]
    fn no_plan_exceeds_five_devices(case in any_case(9)) {
        let plan = case.plan();
        let before = devices_of(&case.observed);
        let after = devices_of(&tenant::written(&plan, &case.observed));
        prop_assert!(after <= before.max(5), "{before} to {after}");
    }

    #[test]
    fn a_blocked_method_blocks_no_other(case in any_case(4)) {
        let plan = case.plan();
        let others = |plan: &Plan, without: Subject| -> Vec<String> {
            let own = |c: &&contract::Change| c.method != Target::Default
                && !(without == Subject::OathToken && c.method == Target::HardwareOath);
            let kept: Vec<_> = plan.changes.iter().filter(own).cloned().collect();
            changes(&Plan { changes: kept, ..plan.clone() })
        };
        // B3 asks what both phones have, blocked or not: that is no other method's being blocked.
        let by_extension = plan.notes.iter().any(|n| n.code == contract::Code::BackupSkippedBothExtensions);
        let blocked = plan.notes.iter().filter(|n| n.code.kind() == CodeKind::Blocked);
        for note in blocked.filter(|n| !(by_extension && n.method == Subject::Phone)) {
            let mut less = case.clone();
            match note.method {
                Subject::Phone => less.record.phone = RawPhone::default(),
                Subject::Backup => less.record.backup = RawPhone::default(),
                Subject::OathToken => less.record.oath_token = None,
                Subject::MobileApp
                | Subject::Default
                | Subject::User
                | Subject::Mobile
                | Subject::AlternateMobile
                | Subject::Office
                | Subject::HardwareOath => continue,
            }
            prop_assert_eq!(others(&less.plan(), note.method), others(&plan, note.method), "{:?}", note);
        }
    }

    #[test]
    fn any_text_gets_a_plan(
        texts in proptest::collection::vec(any::<String>(), 16),
        dates in proptest::collection::vec(proptest::option::of(any::<i64>()), 3),
        interval in any::<Option<u32>>(),
        base in any_case(2),
    ) {
        let mut case = base;
        let raw = |a: usize| phone(&texts[a], &texts[a + 1], &texts[a + 2]);
        case.record.username.clone_from(&texts[0]);
        case.record.phone = raw(1);
        case.record.backup = raw(4);
        case.record.devices = dates.iter().enumerate()
            .map(|(n, at)| device(&texts[7 + n], *at, Some(&texts[10 + n]))).collect();
        case.record.oath_token = token(&texts[13], &texts[14]);
        case.record.oath_token.as_mut().unwrap().interval_seconds = interval;
        case.observed.methods.phones.insert(Target::Mobile, texts[15].clone());
        case.observed.methods.software_oath = interval.unwrap_or(u32::MAX);
        case.observed.contested_serials = texts.clone();
        case.policy.default_country_code = Some(texts[2].clone());
        let plan = case.plan();
        prop_assert!(plan.changes.is_sorted_by_key(|c| c.method));
        prop_assert_eq!(serials(&case.record, &case.policy, &keys()).is_empty() || reads_tokens(&case.record, &case.policy), true);
        prop_assert_eq!(record_fingerprint(&case.record, &keys()), record_fingerprint(&case.record, &keys()));
        for stage in contract::Match::ALL {
            if let Some(key) = crate::record_key(&case.record, stage) {
                prop_assert!(!key.is_empty());
            }
        }
    }

    #[test]
    fn a_number_that_was_written_is_known_again(raw in any_phone()) {
        if let Ok(number) = normalise(&raw, Some("49")) {
            prop_assert!(crate::same_number(&number.to_graph(), &number.to_graph().replace(' ', "")));
        }
    }
}
