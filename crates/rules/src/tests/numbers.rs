//! Numbers: what people type, and what Graph gets (rules N1 to N9).

use crate::{Extension, normalise, same_number};
use contract::{Code, RawPhone};

fn raw(cc: &str, number: &str, extension: &str) -> RawPhone {
    RawPhone { country_code: cc.into(), number: number.into(), extension: extension.into() }
}

/// `+cc number`, then R, T, D for repaired, trunk and doubtful; or the code.
fn shown(cc: &str, number: &str, default: Option<&str>) -> String {
    match normalise(&raw(cc, number, ""), default) {
        Ok(n) => {
            let mut out = n.to_graph();
            if n.extension == Some(Extension::Unrepresentable) {
                out.push_str(" ext?");
            }
            for (is, mark) in [(n.prefix_repaired, " R"), (n.trunk_removed, " T"), (n.doubtful, " D")] {
                if is {
                    out.push_str(mark);
                }
            }
            out
        }
        Err(code) => code.as_str().to_owned(),
    }
}

#[test]
fn numbers_come_out_in_the_form_that_graph_takes() {
    for (cc, number, want) in [
        // N1, and what word processors make of it.
        ("1", "(425) 555-0100", "+1 4255550100"),
        ("1", "425.555.0100", "+1 4255550100"),
        ("1", "425/555 0100", "+1 4255550100"),
        ("1", "425\u{a0}555\u{2011}0100", "+1 4255550100"),
        ("1", "４２５５５５０１００", "+1 4255550100"),
        // N2, N3.
        ("", "+14255550100", "+1 4255550100"),
        ("", "+ 48 601 234 567", "+48 601234567"),
        ("", "4255550100", "country-code-missing"),
        ("", "0048601234567", "country-code-missing"),
        (" ", "0301234567", "country-code-missing"),
        // N4.
        ("48", "0048601234567", "+48 601234567 R"),
        ("48", "+48601234567", "+48 601234567 R"),
        ("48", "48601234567", "+48 601234567 R"),
        ("48", "+4848601234567", "+48 601234567 R"),
        ("48", "+48+48601234567", "+48 601234567 R"),
        ("", "+48+48601234567", "+48 601234567 R"),
        ("", "+4848601234567", "+48 601234567 R"),
        ("48", "0048 0048 601234567", "+48 601234567 R"),
        ("1", "14255550100", "+1 4255550100 R"),
        ("1", "1-425-555-0100", "+1 4255550100 R"),
        ("49", "004915123456789", "+49 15123456789 R"),
        ("44", "4407911123456", "+44 7911123456 R T"),
        ("0048", "601234567", "+48 601234567"),
        ("+48", "601234567", "+48 601234567"),
        // The longer reading is possible too: nothing is repaired.
        ("49", "4915123456", "+49 4915123456"),
        ("20", "2012345678", "+20 2012345678 D"),
        // N5.
        ("", "+310612345678", "+31 612345678 T"),
        ("31", "0612345678", "+31 612345678 T"),
        ("49", "(0)30 1234567", "+49 301234567 T"),
        ("", "+49 (0)30 1234567", "+49 301234567 T"),
        ("44", "020 7946 0018", "+44 2079460018 T"),
        ("7", "8 916 123 45 67", "+7 9161234567 T"),
        ("36", "06 20 123 4567", "+36 201234567 T"),
        // Italy keeps its zero.
        ("39", "06 698 12345", "+39 0669812345"),
        ("39", "335 123 4567", "+39 3351234567"),
        // N6.
        ("1", "12345", "phone-invalid"),
        ("1", "555-0100", "phone-invalid"),
        ("1", "42555501001234", "phone-invalid"),
        ("48", "1", "phone-invalid"),
        ("999", "4255550100", "phone-invalid"),
        ("abc", "4255550100", "phone-invalid"),
        ("1", "call me", "phone-invalid"),
        ("1", "+", "phone-invalid"),
        // N7.
        ("1", "1234567890", "+1 1234567890 D"),
        ("1", "0612345678", "+1 0612345678 D"),
        // N8.
        ("1", "425-555-0100 x890", "+1 4255550100x890"),
        ("1", "425-555-0100 ext. 890", "+1 4255550100x890"),
        ("1", "425-555-0100 EXT890", "+1 4255550100x890"),
        ("1", "425-555-0100#890", "+1 4255550100x890"),
        ("1", "425-555-0100 x", "+1 4255550100"),
        ("1", "425-555-0100 x8,,9", "+1 4255550100 ext?"),
        // An international number is explicit.
        ("1", "+48 601 234 567", "+48 601234567 R"),
        ("1", "0048601234567", "+48 601234567 R"),
        // Absent.
        ("1", "", "phone-absent"),
        ("1", " - ", "phone-absent"),
        ("", "x890", "phone-invalid"),
        ("48", "#31#601234567", "phone-invalid"),
    ] {
        assert_eq!(shown(cc, number, None), want, "{cc:?} {number:?}");
    }
}

#[test]
fn the_default_country_code_helps_where_nothing_else_says() {
    assert_eq!(shown("", "0601 234567", Some("49")), "+49 601234567 T D");
    assert_eq!(shown("", "601234567", Some("48")), "+48 601234567");
    assert_eq!(shown("", "0048601234567", Some("48")), "+48 601234567 R");
    assert_eq!(shown("", "+48601234567", Some("49")), "+48 601234567");
    assert_eq!(shown("48", "601234567", Some("49")), "+48 601234567");
}

#[test]
fn extensions_are_trimmed_and_never_guessed() {
    for (text, want) in [
        ("4021", "+1 4255550100x4021"),
        (" x4021 ", "+1 4255550100x4021"),
        ("ext. 4021", "+1 4255550100x4021"),
        ("Ext4021", "+1 4255550100x4021"),
        ("#4021", "+1 4255550100x4021"),
        ("0042", "+1 4255550100x0042"),
        ("", "+1 4255550100"),
        ("x", "+1 4255550100"),
        ("none", "+1 4255550100"),
    ] {
        let n = normalise(&raw("1", "4255550100", text), None).unwrap();
        assert_eq!(n.to_graph(), want, "{text:?}");
    }
    for text in ["4021,,1", "40p21", "4021w", "12 34", "1234567890123456"] {
        let n = normalise(&raw("1", "4255550100", text), None).unwrap();
        assert_eq!(n.extension, Some(Extension::Unrepresentable), "{text:?}");
    }
}

#[test]
fn the_extension_field_stands_before_one_within_the_number() {
    let n = normalise(&raw("1", "4255550100 x1", "2"), None).unwrap();
    assert_eq!(n.to_graph(), "+1 4255550100x2");
}

#[test]
fn the_same_number_is_known_in_any_spelling() {
    for (a, b) in [
        ("+1 4255550100", "+14255550100"),
        ("+1 4255550100x4021", "+1 4255550100X4021"),
        ("+1 4255550100x4021", "+1 (425) 555-0100  x4021"),
        ("+31 612345678", "+31 0612345678"),
        ("garbage", "garbage"),
    ] {
        assert!(same_number(a, b), "{a} {b}");
    }
    for (a, b) in [
        ("+1 4255550100", "+1 4255550101"),
        ("+1 4255550100", "+1 4255550100x1"),
        ("4255550100", "+1 4255550100"),
        ("", "garbage"),
    ] {
        assert!(!same_number(a, b), "{a} {b}");
    }
}

#[test]
fn every_country_has_a_numbering_plan_that_compiles() {
    for code in 1..1000 {
        if phonenumber::metadata::DATABASE.by_code(&code).is_some() {
            let country = crate::country::Country::of(code).unwrap();
            assert!((4..=15).any(|n| country.is_possible(&"1".repeat(n))), "+{code} has no possible length");
            assert!(country.has_plan(), "+{code} has a pattern that does not compile");
        }
    }
}

#[test]
fn the_example_of_every_country_is_valid_and_left_as_it_is() {
    for meta in phonenumber::metadata::DATABASE.iter() {
        let d = meta.descriptors();
        let examples = [d.fixed_line(), d.mobile()].into_iter().flatten().filter_map(|d| d.example());
        for example in examples {
            let cc = meta.country_code().to_string();
            let number = normalise(&raw(&cc, example, ""), None).unwrap();
            assert_eq!(number.to_graph(), format!("+{cc} {example}"), "{}", meta.id());
            assert!(!number.doubtful, "{} +{cc} {example}", meta.id());
            let international = normalise(&raw("", &format!("+{cc}{example}"), ""), None).unwrap();
            assert_eq!(international, number, "{}", meta.id());
        }
    }
}

#[test]
fn debug_shows_no_number() {
    let shown = format!("{:?}", normalise(&raw("1", "4255550100", "4021"), None));
    assert!(!shown.contains("555") && !shown.contains("4021"), "{shown}");
}

#[test]
fn hostile_numbers_get_an_answer_and_stay_what_they_are() {
    for line in include_str!("hostile_numbers.txt").lines().filter(|l| !l.starts_with("//")) {
        let text: String = serde_json::from_str(&format!("\"{line}\"")).expect("the corpus is JSON strings");
        for cc in ["", "1", "49", "39", "+", "00", &text] {
            for extension in ["", "x12", &text] {
                if let Ok(n) = normalise(&raw(cc, &text, extension), Some("1")) {
                    assert!(n.national.len() <= 17 && n.national.bytes().all(|b| b.is_ascii_digit()));
                    assert!(same_number(&n.to_graph(), &n.to_graph()));
                }
            }
        }
    }
    let long = "9".repeat(1 << 20);
    assert_eq!(normalise(&raw(&long, &long, &long), None), Err(Code::PhoneInvalid));
}
