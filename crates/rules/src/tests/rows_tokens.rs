//! Rows of the table for mobile app devices and OATH tokens (§5, §6).

use super::case::{Case, OTHER_SECRET, SECRET, app_serial, device, token};
use super::table::{Row, row};
use contract::{AppCodes, Method, TokenStatus};

const CREATED: &str = "hardwareOath:T1 - > activated";
const OTHER: &str = "user-2";

fn tokens_only(c: &mut Case) {
    c.policy.methods = vec![Method::MobileApp, Method::OathToken];
}

fn keeps_codes(c: &mut Case) {
    tokens_only(c);
    c.policy.app_codes = AppCodes::HardwareOath;
}

pub(super) fn rows() -> Vec<Row> {
    let mut rows = devices();
    rows.extend(app_codes());
    rows.extend(oath());
    rows
}

fn devices() -> Vec<Row> {
    vec![
        row(
            "M1 M2",
            |c| {
                tokens_only(c);
                c.record.devices =
                    vec![device("a", None, None), device(" A ", Some(5), None), device("a", Some(9), None)];
            },
            &[],
            &[
                "recency-guessed mobileApp a",
                "device-same-name mobileApp  A ",
                "device-same-name mobileApp a",
                "app-reregister mobileApp a",
            ],
        ),
        row(
            "M2",
            |c| {
                tokens_only(c);
                c.record.devices = vec![
                    device("NO_DEVICE", Some(1), None),
                    device("NO_DEVICE", Some(2), None),
                    device(" ", Some(3), None),
                    device("", Some(4), None),
                ];
            },
            &[],
            &[
                "app-reregister mobileApp ",
                "app-reregister mobileApp  ",
                "app-reregister mobileApp NO_DEVICE",
                "app-reregister mobileApp NO_DEVICE",
            ],
        ),
        row(
            "M3 M7",
            |c| {
                tokens_only(c);
                c.record.devices = (1..=6).map(|n| device(&format!("d{n}"), Some(n), None)).collect();
            },
            &[],
            &[
                "device-over-limit mobileApp d1",
                "app-reregister mobileApp d6",
                "app-reregister mobileApp d5",
                "app-reregister mobileApp d4",
                "app-reregister mobileApp d3",
                "app-reregister mobileApp d2",
            ],
        ),
        row(
            "M3 M4",
            |c| {
                tokens_only(c);
                c.record.devices = (1..=5).map(|n| device(&format!("d{n}"), None, None)).collect();
                c.record.devices.push(device("d1", None, None));
                c.record.oath_token = token("T1", "");
            },
            &[],
            &[
                "recency-guessed mobileApp d1",
                "recency-guessed mobileApp d5",
                "device-same-name mobileApp d1",
                "device-over-limit mobileApp d5",
                "app-reregister mobileApp d1",
                "app-reregister mobileApp d2",
                "app-reregister mobileApp d3",
                "app-reregister mobileApp d4",
                "oath-secret-missing oathToken",
            ],
        ),
        row(
            "M5",
            |c| {
                tokens_only(c);
                c.record.devices = vec![device("a", Some(1), Some(SECRET))];
                c.wrote(SECRET, "T1");
                c.has_token("T1", TokenStatus::Activated);
            },
            &[],
            &["device-present mobileApp a"],
        ),
        row(
            "M5",
            |c| {
                tokens_only(c);
                c.record.devices = vec![device("a", Some(1), Some(SECRET))];
                c.has_token(&app_serial(SECRET), TokenStatus::Activated);
            },
            &[],
            &["device-present mobileApp a"],
        ),
        row(
            "M5 O8",
            |c| {
                keeps_codes(c);
                c.record.devices = vec![device("a", Some(1), Some(SECRET))];
                c.record.oath_token = token("T1", SECRET);
            },
            &[CREATED],
            &["device-present mobileApp a"],
        ),
        row(
            "M6",
            |c| {
                tokens_only(c);
                c.record.devices = vec![device("a", Some(1), None)];
                c.has_app();
            },
            &[],
            &["app-present mobileApp a", "app-unverified mobileApp a"],
        ),
    ]
}

fn app_codes() -> Vec<Row> {
    let own = format!("hardwareOath:{} - > activated", app_serial(SECRET));
    let other = format!("hardwareOath:{} - > activated", app_serial(OTHER_SECRET));
    let spare = format!("hardwareOath:{} - > activated", app_serial(SECRET));
    let (own, other, spare) = (own.as_str(), other.as_str(), spare.as_str());
    vec![
        row(
            "M8",
            |c| {
                keeps_codes(c);
                c.record.devices =
                    vec![device("a", Some(1), Some(SECRET)), device("b", Some(2), Some(OTHER_SECRET))];
            },
            &[other, own],
            &[],
        ),
        row(
            "M8 M6",
            |c| {
                keeps_codes(c);
                c.has_app();
                c.record.devices = vec![device("a", Some(1), Some(SECRET)), device("b", Some(2), None)];
            },
            &[own],
            &["app-present mobileApp b", "app-unverified mobileApp b"],
        ),
        row(
            "M8 M7",
            |c| {
                keeps_codes(c);
                c.observed.guest = true;
                c.record.devices = vec![device("a", Some(1), Some(SECRET))];
            },
            &[],
            &["app-reregister mobileApp a"],
        ),
        row(
            "M8 O4b",
            |c| {
                keeps_codes(c);
                c.stocks(&app_serial(SECRET), None, TokenStatus::Available);
                c.record.devices = vec![device("a", Some(1), Some(SECRET))];
            },
            &[spare],
            &[],
        ),
        row(
            "M9",
            |c| {
                keeps_codes(c);
                c.observed.methods.software_oath = 4;
                c.record.devices =
                    vec![device("a", None, Some(SECRET)), device("b", Some(2), Some(OTHER_SECRET))];
            },
            &[other],
            &["recency-guessed mobileApp a", "device-over-limit mobileApp a"],
        ),
        row(
            "M9",
            |c| {
                keeps_codes(c);
                c.observed.methods.software_oath = 4;
                c.record.devices = vec![device("a", Some(1), Some(OTHER_SECRET))];
                c.record.oath_token = token("T1", SECRET);
            },
            &[CREATED],
            &["device-over-limit mobileApp a"],
        ),
    ]
}

fn oath() -> Vec<Row> {
    vec![
        row(
            "O8",
            |c| {
                tokens_only(c);
                c.record.oath_token = token(" T1 ", SECRET);
            },
            &[CREATED],
            &[],
        ),
        row(
            "O1",
            |c| {
                tokens_only(c);
                c.record.oath_token = token("T1", "ABCDEF23");
            },
            &[],
            &["oath-secret-ambiguous oathToken"],
        ),
        row(
            "O1",
            |c| {
                tokens_only(c);
                c.record.oath_token = token("T1", "a1b2 c3d4 3267 8545 32");
            },
            &[CREATED],
            &[],
        ),
        row(
            "O1 O3",
            |c| {
                tokens_only(c);
                c.record.oath_token = token("T1", "a1b2z");
            },
            &[],
            &["oath-unsupported oathToken"],
        ),
        row(
            "O2",
            |c| {
                tokens_only(c);
                c.record.oath_token = token("T1", "");
            },
            &[],
            &["oath-secret-missing oathToken"],
        ),
        row(
            "O3",
            |c| {
                tokens_only(c);
                c.record.oath_token = token("T1", SECRET);
                c.record.oath_token.as_mut().unwrap().interval_seconds = Some(45);
            },
            &[],
            &["oath-unsupported oathToken"],
        ),
        row(
            "O3",
            |c| {
                tokens_only(c);
                c.record.oath_token = token("T1", &"GEZDGNBV".repeat(17));
            },
            &[],
            &["oath-unsupported oathToken"],
        ),
        row(
            "O3",
            |c| {
                tokens_only(c);
                c.record.oath_token = token(" ", SECRET);
            },
            &[],
            &["oath-unsupported oathToken"],
        ),
        row(
            "O4",
            |c| {
                tokens_only(c);
                c.record.oath_token = token("T1", "");
                c.has_token("T1", TokenStatus::Activated);
            },
            &[],
            &["oath-present oathToken"],
        ),
        row(
            "O4",
            |c| {
                tokens_only(c);
                c.record.oath_token = token("T1", SECRET);
                c.wrote(SECRET, "T0");
                c.has_token("T0", TokenStatus::Activated);
            },
            &[],
            &["oath-present oathToken"],
        ),
        row(
            "O4a",
            |c| {
                tokens_only(c);
                c.record.oath_token = token("T1", SECRET);
                c.has_token("T1", TokenStatus::Assigned);
                c.observed.methods.software_oath = 4;
            },
            &["hardwareOath:T1 assigned > activated"],
            &[],
        ),
        row(
            "O4a",
            |c| {
                tokens_only(c);
                c.record.oath_token = token("T1", SECRET);
                c.has_token("T1", TokenStatus::FailedActivation);
            },
            &["hardwareOath:T1 failedActivation > activated"],
            &[],
        ),
        row(
            "O4b",
            |c| {
                tokens_only(c);
                c.record.oath_token = token("T1", SECRET);
                c.stocks("T1", None, TokenStatus::Available);
            },
            &["hardwareOath:T1 - > activated"],
            &[],
        ),
        row(
            "O5",
            |c| {
                tokens_only(c);
                c.record.oath_token = token("T1", SECRET);
                c.stocks("T1", Some(OTHER), TokenStatus::Activated);
            },
            &[],
            &["oath-serial-taken oathToken"],
        ),
        row(
            "O5",
            |c| {
                tokens_only(c);
                c.record.oath_token = token("T1", SECRET);
                c.observed.contested_serials = vec!["T1".into()];
            },
            &[],
            &["oath-serial-taken oathToken"],
        ),
        row(
            "O5 O4",
            |c| {
                tokens_only(c);
                c.record.oath_token = token("T1", SECRET);
                c.observed.contested_serials = vec!["T1".into()];
                c.has_token("T1", TokenStatus::Activated);
            },
            &[],
            &["oath-present oathToken"],
        ),
        row(
            "O6",
            |c| {
                tokens_only(c);
                c.record.oath_token = token("T1", SECRET);
                c.observed.methods.software_oath = 5;
            },
            &[],
            &["oath-over-limit oathToken"],
        ),
        row(
            "O7",
            |c| {
                tokens_only(c);
                c.record.oath_token = token("T1", SECRET);
                c.observed.guest = true;
            },
            &[],
            &["oath-guest-unsupported oathToken"],
        ),
    ]
}
