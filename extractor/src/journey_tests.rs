//! The fixtures, read from end to end: what is accepted, what is turned away, and that the counts hold.
//!
//! Rejects are written as `line field code`, as an operator would read them.

use crate::{CohortRow, Error, Inspection, Item, Source, cohorts, inspect, records, survey};
use contract::{Mode, RecordRow, Reject, SmsDirection};
use std::path::{Path, PathBuf};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

struct Seen {
    rows: Vec<RecordRow>,
    rejects: Vec<String>,
    inspection: Inspection,
}

fn word(reject: &Reject) -> String {
    let file = reject.file.as_deref().map(|file| format!("{file}:")).unwrap_or_default();
    format!("{file}{} {} {}", reject.line, reject.field, reject.code.as_str())
}

fn look(source: &Source) -> Seen {
    let (inspection, seen) =
        inspect(source, Vec::new, |seen: &mut Vec<Result<RecordRow, Reject>>, one| match one {
            crate::Seen::Accepted(row, _) => seen.push(Ok(row.clone())),
            crate::Seen::Rejected(reject) => seen.push(Err(reject.clone())),
        })
        .unwrap();
    let (mut rows, mut rejected) = (Vec::new(), Vec::new());
    // Threads see lines in any order; rejects of side files come with the last and stand first when streamed.
    let threads = seen.len() > 1;
    for one in seen.into_iter().rev().flatten() {
        match one {
            Ok(row) => rows.push(row),
            Err(reject) => rejected.push(reject),
        }
    }
    if threads {
        rows.sort_by_key(|row| row.ordinal);
        rejected.sort_by_key(|reject| (reject.file.is_none(), reject.file.is_none().then_some(reject.line)));
    }
    let rejects: Vec<String> = rejected.iter().map(word).collect();
    let manifest = &inspection.manifest;
    assert_eq!(manifest.read, manifest.accepted + manifest.rejected);
    assert_eq!(manifest.accepted, rows.len() as u64);
    assert_eq!(inspection.tally.rejects.values().sum::<u64>(), manifest.rejected);
    Seen { rows, rejects, inspection }
}

fn write(folder: &tempfile::TempDir, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn the_example_of_the_specification_reads_whole_and_takes_its_seed() {
    let mut source = Source::new(fixture("example.ndjson"));
    source.token_seeds = Some(fixture("seeds.csv"));
    let seen = look(&source);
    let record = &seen.rows[0].record;
    assert_eq!((seen.rows[0].ordinal, record.username.as_str()), (1, "helga@contoso.example"));
    assert_eq!((record.group.as_deref(), record.mode, record.enabled), (Some("EMEA"), Mode::VoiceCall, true));
    assert_eq!(record.phone.extension, "4021");
    assert_eq!(record.backup.extension, "");
    assert_eq!(record.devices[0].activated_at_ms, Some(1_614_834_367_000));
    let token = record.oath_token.as_ref().unwrap();
    assert_eq!(token.secret.as_ref().unwrap().expose(), "2234567abcdef2234567abcdef");
    assert_eq!((token.interval_seconds, token.model.as_deref()), (Some(60), Some("HardwareKey")));
    assert_eq!((seen.inspection.seeds_joined, seen.inspection.manifest.unknown_keys), (1, 0));
    assert_eq!(
        seen.rejects,
        [
            "seeds.csv:3 serial number field-invalid",
            "seeds.csv:4 serial number field-invalid",
            "seeds.csv:6 serial number field-missing",
            "seeds.csv:7 secret key field-missing",
            "seeds.csv:8 time interval field-invalid",
        ]
    );
}

#[test]
fn dirt_is_read_or_turned_away_by_line_field_and_code() {
    let seen = look(&Source::new(fixture("dirt.ndjson")));
    let record = &seen.rows[0].record;
    assert_eq!(record.username, "CONTOSO\\olaf");
    assert_eq!((record.phone.country_code.as_str(), record.phone.number.as_str()), ("1", "4255550199"));
    assert_eq!((record.mode, record.sms_direction), (Mode::SmsText, SmsDirection::TwoWay));
    assert_eq!((record.oath_token.as_ref(), record.backup.number.as_str()), (None, ""));
    assert_eq!((seen.rows.len(), seen.inspection.manifest.unknown_keys), (1, 1));
    assert_eq!(
        seen.rejects,
        [
            "3 username field-missing",
            "4 settings field-missing",
            "5 enabled field-missing",
            "6 mode field-invalid",
            "7 phone field-invalid",
            "8 activatedAt field-invalid",
            "9 username duplicate-username",
            "10 username duplicate-username",
            "11 oathTokenTimeInterval field-invalid",
            "12 - malformed",
            "13 - malformed",
        ]
    );
}

#[test]
fn a_broken_line_with_a_username_makes_no_duplicate_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let text =
        "{\"username\":\"a\",\"settings\":{\"enabled\":true}}\n{\"username\":\"A\",\"settings\":{\"ena";
    let seen = look(&Source::new(write(&folder, "cut", text)));
    assert_eq!((seen.rows.len(), seen.rejects), (1, vec!["2 - malformed".to_owned()]));
}

#[test]
fn a_csv_of_users_finds_its_devices_beside_it_in_any_order() {
    let seen = look(&Source::new(fixture("users.csv")));
    assert!(seen.inspection.survey.devices.as_ref().unwrap().found_beside);
    let [helga, olaf] = &seen.rows[..] else { panic!("{} rows", seen.rows.len()) };
    assert_eq!(helga.record.group.as_deref(), Some("EM;EA"));
    assert_eq!(helga.record.phone.number, "425 555\n0100");
    let ids: Vec<_> = helga.record.devices.iter().map(|d| d.id.as_str()).collect();
    assert_eq!((ids, helga.record.oath_token.is_some()), (vec!["1", "2"], true));
    assert_eq!((olaf.record.enabled, olaf.record.mode), (false, Mode::Unspecified));
    assert_eq!(olaf.record.devices[0].name, "Pixel");
    assert_eq!(seen.inspection.manifest.unknown_keys, 2);
    assert_eq!(
        seen.rejects,
        [
            "users.devices.csv:6 username field-missing",
            "6 - malformed",
            "users.devices.csv:4 username incomplete"
        ]
    );
}

#[test]
fn a_folder_of_responses_pairs_by_name_and_by_stem() {
    let seen = look(&Source::new(fixture("soap")));
    let names: Vec<_> =
        seen.rows.iter().map(|row| (row.record.username.as_str(), row.record.devices.len())).collect();
    assert_eq!(names, [("CONTOSO\\olaf", 0), ("helga@contoso.example", 2)]);
    assert_eq!(seen.rows[0].record.mode, Mode::PhoneApp);
    assert_eq!(seen.rejects, ["alone.settings.xml:0 - incomplete", "broken.settings.xml:0 - malformed"]);
    assert_eq!((seen.inspection.survey.ignored_files, seen.inspection.manifest.read), (1, 4));
}

#[test]
fn responses_that_name_one_user_twice_are_both_duplicates() {
    let folder = tempfile::tempdir().unwrap();
    for stem in ["1", "2"] {
        for half in ["settings", "devices"] {
            let text = std::fs::read_to_string(fixture(&format!("soap/helga.{half}.xml"))).unwrap();
            write(&folder, &format!("{stem}.{half}.xml"), text);
        }
    }
    let seen = look(&Source::new(folder.path()));
    let wanted =
        ["1.settings.xml:0 username duplicate-username", "2.settings.xml:0 username duplicate-username"];
    assert_eq!(seen.rejects, wanted);
}

#[test]
fn a_token_without_serial_takes_the_one_seed_of_its_user() {
    let folder = tempfile::tempdir().unwrap();
    let text = "username,enabled,oathTokenExists\nOlaf@contoso.example,true,true\nhelga,true,true\n";
    let mut source = Source::new(write(&folder, "users.csv", text));
    source.token_seeds = Some(fixture("seeds.csv"));
    let seen = look(&source);
    let token = seen.rows[0].record.oath_token.as_ref().unwrap();
    assert_eq!(
        (token.serial.as_deref(), token.secret.is_some(), token.interval_seconds),
        (Some("77"), true, None)
    );
    assert_eq!(seen.rows[1].record.oath_token.as_ref().unwrap().secret, None);
}

#[test]
fn what_the_record_states_wins_over_its_seed() {
    let folder = tempfile::tempdir().unwrap();
    let text = r#"{"username":"a","settings":{"enabled":true,"oathTokenExists":true,"oathTokenSerialNumber":" 1234567","oathTokenSecretKey":"MINE","oathTokenTimeInterval":"30"}}"#;
    let mut source = Source::new(write(&folder, "dump", text));
    source.token_seeds = Some(fixture("seeds.csv"));
    let seen = look(&source);
    let token = seen.rows[0].record.oath_token.as_ref().unwrap();
    assert_eq!(token.secret.as_ref().unwrap().expose(), "MINE");
    assert_eq!((token.interval_seconds, token.manufacturer.as_deref()), (Some(30), Some("Contoso")));
}

#[test]
fn limits_turn_a_record_away_and_the_next_one_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let user = |name: &str, rest: &str| {
        format!("{{\"username\":\"{name}\",\"settings\":{{\"enabled\":true}}{rest}}}\n")
    };
    let devices = |n: usize| format!(",\"devices\":[{}]", vec!["{}"; n].join(","));
    let mut text = user("ok", &devices(50));
    text += &user("many", &devices(51));
    text += &user("long-device", &format!(",\"devices\":[{{\"deviceName\":\"{}\"}}]", "n".repeat(257)));
    text += &user(&"ü".repeat(256), "");
    text += &user(&"ü".repeat(257), "");
    text += &user("long-group", &format!(",\"userGroup\":\"{}\"", "g".repeat(257)));
    text += &user("huge", &format!(",\"x\":\"{}\"", "y".repeat(10 << 20)));
    text += "\0\0\0\n";
    text += &user("deep", &format!(",\"x\":{}", "[".repeat(100_000)));
    let mut bytes = text.into_bytes();
    bytes.extend_from_slice(b"{\"username\":\"\xff\",\"settings\":{\"enabled\":true}}\n");
    bytes.extend_from_slice(user("last", "").trim_end().as_bytes());
    let seen = look(&Source::new(write(&folder, "dump", bytes)));
    let names: Vec<_> = seen.rows.iter().map(|r| (r.ordinal, r.record.username.chars().count())).collect();
    assert_eq!(names, [(1, 2), (4, 256), (11, 4)]);
    assert_eq!(
        seen.rejects,
        [
            "2 devices record-too-large",
            "3 deviceName record-too-large",
            "5 username record-too-large",
            "6 userGroup record-too-large",
            "7 - record-too-large",
            "8 - malformed",
            "9 - malformed",
            "10 - not-utf8",
        ]
    );
}

#[test]
fn limits_hold_in_the_other_formats_too() {
    let folder = tempfile::tempdir().unwrap();
    let users =
        format!("username;enabled;phone\na;true;\n\"b\";true;\"{}\"\nc;true;\n", "4".repeat(10 << 20));
    let source = Source::new(write(&folder, "users.csv", users));
    write(&folder, "users.devices.csv", format!("username;userDeviceId\n{}", "A;1\n".repeat(51)));
    let seen = look(&source);
    assert_eq!(seen.rejects, ["2 devices record-too-large", "3 - record-too-large"]);
    assert_eq!(seen.rows[0].record.username, "c");

    let folder = tempfile::tempdir().unwrap();
    for half in ["settings", "devices"] {
        let text = std::fs::read_to_string(fixture(&format!("soap/helga.{half}.xml"))).unwrap();
        write(&folder, &format!("a.{half}.xml"), &text);
    }
    write(&folder, "b.settings.xml", "<a>".repeat(1 << 20));
    let seen = look(&Source::new(folder.path()));
    assert_eq!((seen.rows.len(), seen.rejects), (1, vec!["b.settings.xml:0 - record-too-large".to_owned()]));
}

#[test]
fn a_source_that_changes_between_the_passes_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let line = "{\"username\":\"a\",\"settings\":{\"enabled\":true}}\n";
    let source = Source::new(write(&folder, "dump", line));
    let before = survey(&source).unwrap();
    write(&folder, "dump", line.replace('a', "b"));
    let last = records(&source, &before).unwrap().last().unwrap();
    assert!(matches!(last, Err(Error::SourceChanged { .. })));

    let folder = tempfile::tempdir().unwrap();
    for half in ["settings", "devices"] {
        std::fs::copy(
            fixture(&format!("soap/helga.{half}.xml")),
            folder.path().join(format!("h.{half}.xml")),
        )
        .unwrap();
    }
    let source = Source::new(folder.path());
    let before = survey(&source).unwrap();
    write(&folder, "late.settings.xml", "<a/>");
    let items: Vec<_> = records(&source, &before).unwrap().collect();
    assert!(matches!(items[..], [Ok(Item::Accepted(..)), Err(Error::SourceChanged { .. })]));
}

#[test]
fn a_snapshot_is_named_by_its_content_and_not_by_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let text = std::fs::read(fixture("example.ndjson")).unwrap();
    let moved = Source::new(write(&folder, "elsewhere", &text));
    let here = Source::new(fixture("example.ndjson"));
    assert_eq!(survey(&here).unwrap().id(), survey(&moved).unwrap().id());
    assert_eq!(survey(&here).unwrap().id().0.len(), 64);
    let mut with_seeds = here.clone();
    with_seeds.token_seeds = Some(fixture("seeds.csv"));
    assert_ne!(survey(&here).unwrap().id(), survey(&with_seeds).unwrap().id());
}

#[test]
fn files_in_the_wrong_place_are_refused() {
    assert!(matches!(survey(&Source::new(fixture("seeds.csv"))), Err(Error::WrongRole { .. })));
    assert!(matches!(survey(&Source::new(fixture("users.devices.csv"))), Err(Error::WrongRole { .. })));
    let mut source = Source::new(fixture("example.ndjson"));
    source.token_seeds = Some(fixture("cohorts.csv"));
    assert!(matches!(survey(&source), Err(Error::WrongRole { .. })));
    source.token_seeds = None;
    source.devices = Some(fixture("users.devices.csv"));
    assert!(matches!(survey(&source), Err(Error::DevicesNotWanted { .. })));
    let folder = tempfile::tempdir().unwrap();
    let twice = Source::new(write(&folder, "twice.csv", "username,phone,Phone\n"));
    assert!(matches!(survey(&twice), Err(Error::Header { .. })));
}

#[test]
fn cohort_rows_carry_their_attributes() {
    let mut open = cohorts(&fixture("cohorts.csv")).unwrap();
    assert_eq!(open.attribute_names().collect::<Vec<_>>(), ["region", "department"]);
    let rows: Vec<String> = open
        .by_ref()
        .map(|row| match row.unwrap() {
            CohortRow::User(name, attributes) => format!("{name} {attributes:?}"),
            CohortRow::Rejected(reject) => word(&reject),
        })
        .collect();
    assert_eq!(
        rows,
        [
            r#"helga@contoso.example {"department": "Finance", "region": "EMEA"}"#,
            r#"CONTOSO\olaf {"department": "IT"}"#,
            "4 username field-missing",
            "5 username duplicate-username",
            "6 username duplicate-username",
        ]
    );
}

#[test]
fn nothing_that_is_never_read_shows_up_anywhere() {
    let seen = look(&Source::new(fixture("dirt.ndjson")));
    let record = serde_json::to_string(&seen.rows[0].record).unwrap();
    let debug = format!("{:?} {:?} {:?}", seen.rows, seen.rejects, seen.inspection);
    for never in ["9999", "Rex"] {
        assert!(!record.contains(never) && !debug.contains(never));
    }
    assert!(!debug.contains("4255550199"));
}
