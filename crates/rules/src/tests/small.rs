//! The small parts: codes of tokens, secrets, keys of matching, fingerprints, states, schedules, speed.

use super::case::{Case, SECRET, app_serial, device, keys, token};
use crate::{
    Backoff, EntryEvent, applied_fingerprint, directory_key, policy_hash, progress, reads_tokens,
    record_fingerprint, record_key, secret, serials, totp, transition,
};
use contract::{Allowed, AppCodes, Code, EntraId, EntryState, Match, Method, Policy};
use std::time::Duration;

#[test]
fn codes_of_tokens_are_those_of_rfc_6238() {
    // Appendix B, SHA-1, the last six of eight digits.
    for (unix_s, code) in [
        (59, "287082"),
        (1_111_111_109, "081804"),
        (1_111_111_111, "050471"),
        (1_234_567_890, "005924"),
        (2_000_000_000, "279037"),
        (20_000_000_000, "353130"),
    ] {
        assert_eq!(totp(SECRET, 30, unix_s).as_deref(), Some(code));
    }
    assert_eq!(totp(SECRET, 60, 59), totp(SECRET, 30, 29));
    assert_eq!(totp(SECRET, 0, 59), None);
    assert_eq!(totp("1", 30, 59), None);
}

#[test]
fn secrets_are_read_by_characters_and_then_by_length() {
    let read = |text: &str| secret::read(text).map(|b| secret::encode(&b));
    let base32 = |text: &str| Ok(text.to_owned());
    assert_eq!(read("gezd gnbv gy3t qojq gezd gnbv gy3t qojq===="), base32(SECRET));
    assert_eq!(read("3132333435363738393031323334353637383930"), base32(SECRET));
    // Bits that fill no byte are dropped: the sample of Microsoft's own page.
    assert_eq!(read("2234567abcdef2234567abcdef"), base32("2234567ABCDEF2234567ABCDEE"));
    // Both readings are legal: the length decides, or nothing does.
    assert_eq!(read(&"A2".repeat(20)).unwrap().len(), 32);
    for n in [16, 26, 32, 52, 56] {
        assert_eq!(read(&"A2".repeat(n / 2)).unwrap().len(), n);
    }
    for n in [8, 24, 64] {
        assert_eq!(read(&"A2".repeat(n / 2)), Err(Code::OathSecretAmbiguous));
    }
    for text in ["0Z", "GEZDGNBVG1", "GEZ-DGNB", "é", "abc1d", "GGG"] {
        assert_eq!(read(text), Err(Code::OathUnsupported), "{text}");
    }
    for text in ["", "  ", "==="] {
        assert_eq!(read(text), Err(Code::OathSecretMissing), "{text:?}");
    }
    assert_eq!(read(&"GEZDGNBV".repeat(16)).unwrap().len(), 128);
    assert_eq!(read(&"GEZDGNBV".repeat(17)), Err(Code::OathUnsupported));
}

#[test]
fn a_record_has_a_key_only_at_the_stages_that_fit_it() {
    let mut record = Case::empty().record;
    let keys =
        |record: &contract::Record| Match::ALL.map(|stage| record_key(record, stage).unwrap_or_default());
    record.username = " Helga@Contoso.Example ".into();
    assert_eq!(
        keys(&record),
        [
            "helga@contoso.example",
            "",
            "",
            "helga@contoso.example",
            "helga@contoso.example",
            "helga@contoso.example"
        ]
    );
    record.username = "CONTOSO\\Helga".into();
    record.sid = Some("s-1-5-21".into());
    record.email = Some("H@contoso.example".into());
    assert_eq!(
        keys(&record),
        ["", "s-1-5-21", "helga", "h@contoso.example", "contoso\\helga", "contoso\\helga"]
    );
    record.username = " ".into();
    record.email = None;
    record.sid = Some(" ".into());
    assert_eq!(keys(&record), ["", "", "", "", "", ""]);
    assert_eq!(directory_key(" S-1-5-21 ").as_deref(), Some("s-1-5-21"));
    assert_eq!(directory_key("  "), None);
}

#[test]
fn a_fingerprint_moves_with_everything_that_decides_a_plan() {
    let case = Case::empty();
    let record = record_fingerprint(&case.record, &keys());
    let of = |record, policy: &Policy, target: &str, allowed| {
        applied_fingerprint(record, policy, &EntraId(target.into()), allowed, &keys())
    };
    let base = of(record, &case.policy, "u", Allowed::ALL);
    let mut other = case.record.clone();
    other.oath_token = token("T1", SECRET);
    assert_ne!(base, of(record_fingerprint(&other, &keys()), &case.policy, "u", Allowed::ALL));
    let keep = Policy { include_disabled: true, ..Policy::default() };
    assert_ne!(base, of(record, &keep, "u", Allowed::ALL));
    assert_ne!(base, of(record, &case.policy, "v", Allowed::ALL));
    assert_ne!(base, of(record, &case.policy, "u", Allowed::PUSH));
    assert_eq!(base, of(record, &case.policy, "U", Allowed::ALL));
}

#[test]
fn the_order_of_methods_is_no_part_of_a_policys_hash() {
    let forth = Policy { methods: vec![Method::Phone, Method::Default], ..Policy::default() };
    let back = Policy { methods: vec![Method::Default, Method::Phone], ..Policy::default() };
    assert_eq!(policy_hash(&forth), policy_hash(&back));
    assert_ne!(policy_hash(&forth), policy_hash(&Policy::default()));
    let stages = Policy { match_stages: vec![Match::Sid, Match::Upn], ..Policy::default() };
    assert_ne!(policy_hash(&stages), policy_hash(&Policy::default()));
    assert_eq!(policy_hash(&forth).len(), 64);
}

#[test]
fn only_what_a_plan_may_touch_is_asked_for() {
    let mut case = Case::empty();
    case.record.devices = vec![device("a", None, Some(SECRET))];
    assert!(!reads_tokens(&case.record, &case.policy));
    assert!(serials(&case.record, &case.policy, &keys()).is_empty());
    case.policy.app_codes = AppCodes::HardwareOath;
    case.record.oath_token = token(" T1 ", "");
    assert!(reads_tokens(&case.record, &case.policy));
    assert_eq!(serials(&case.record, &case.policy, &keys()), ["T1".to_owned(), app_serial(SECRET)]);
    case.policy.methods = vec![Method::Phone];
    assert!(!reads_tokens(&case.record, &case.policy));
    assert!(serials(&case.record, &case.policy, &keys()).is_empty());
    assert!(app_serial(SECRET).strip_prefix("MFAS-").is_some_and(|s| s.len() == 12));
}

#[test]
fn every_pair_of_state_and_event_answers() {
    let events = [EntryEvent::Claim, EntryEvent::HandBack]
        .into_iter()
        .chain(EntryState::ALL.iter().map(|s| EntryEvent::Settle(*s)));
    let mut legal = Vec::new();
    for event in events {
        for from in EntryState::ALL {
            match transition(*from, event) {
                Ok(to) => legal.push((*from, to)),
                Err(illegal) => assert_eq!((illegal.from, illegal.event), (*from, event)),
            }
        }
    }
    assert!(legal.iter().all(|(from, _)| !from.is_settled()), "settled is final");
    let settled = EntryState::ALL.iter().filter(|s| s.is_settled()).count();
    assert_eq!(legal.iter().filter(|(from, _)| *from == EntryState::Claimed).count(), settled + 2);
    let straight = [EntryState::Claimed, EntryState::Unchanged, EntryState::Skipped, EntryState::Parked];
    assert_eq!(
        legal.iter().filter(|(from, _)| *from == EntryState::Waiting).map(|(_, to)| *to).collect::<Vec<_>>(),
        straight
    );
}

#[test]
fn delays_double_up_to_the_cap_and_jitter_stays_within_half() {
    let backoff = Backoff { base: Duration::from_secs(1), cap: Duration::from_secs(60) };
    assert_eq!(backoff.delay(1, 1.0), Duration::from_secs(1));
    assert_eq!(backoff.delay(4, 1.0), Duration::from_secs(8));
    assert_eq!(backoff.delay(4, 0.0), Duration::from_secs(4));
    assert_eq!(backoff.delay(u32::MAX, 1.0), Duration::from_secs(60));
    assert_eq!(backoff.delay(0, f64::NAN), Duration::from_secs(1));
}

#[test]
fn an_estimate_needs_one_hundredth_of_the_way() {
    assert_eq!(progress(9, 1000, Duration::from_secs(9)).eta, None);
    let tenth = progress(100, 1000, Duration::from_secs(10));
    assert_eq!(tenth.eta, Some(Duration::from_secs(90)));
    assert_eq!(tenth.users_per_s, Some(10.0));
    assert_eq!(progress(0, 0, Duration::ZERO).eta, Some(Duration::ZERO));
    assert_eq!(progress(0, 10, Duration::ZERO).users_per_s, None);
}
