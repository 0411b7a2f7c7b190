//! Any bytes at all: no reader panics, and every reader accounts for what it read or refuses the file.
//!
//! The stored corpus is the one that the fuzz targets start from; each reader is met behind a line that makes the
//! file recognisable, so that the bytes reach the reader and not only the recogniser.

use crate::{CohortRow, Error, Item, Source, cohorts, parse_line, recognise, records, survey};
use contract::SnapshotManifest;
use proptest::prelude::*;
use std::path::{Path, PathBuf};

const DUMP: &str = "{\"username\":\"first\",\"settings\":{\"enabled\":true,\"oathTokenExists\":true,\"oathTokenSerialNumber\":\"1\"}}\n";
const USERS: &str = "username,enabled,phone,mode\n";
const DEVICES: &str = "username,userDeviceId,deviceName,phoneAppVersion,activatedAt\n";
const SEEDS: &str = "upn,serial number,secret key,time interval,manufacturer,model\n";
const COHORTS: &str = "username,region,department\n";

/// Reads a source to its end; the counts must hold at every step.
fn account(source: &Source) -> Result<SnapshotManifest, Error> {
    let survey = survey(source)?;
    let mut records = records(source, &survey)?;
    let (mut accepted, mut rejected) = (0, 0);
    while let Some(item) = records.next() {
        match item? {
            Item::Accepted(row, _) => {
                accepted += 1;
                assert!(row.record.username.chars().count() <= 256 && row.record.devices.len() <= 50);
                assert!(!row.record.username.trim().is_empty());
            }
            Item::Rejected(reject) => {
                rejected += 1;
                assert!(reject.field.len() < 40, "a field's name and never its value");
            }
            Item::SideRejected(reject) => assert!(reject.file.is_some()),
        }
        let manifest = records.manifest();
        assert_eq!(
            (manifest.read, manifest.accepted, manifest.rejected),
            (accepted + rejected, accepted, rejected)
        );
    }
    assert!(records.is_complete() && records.next().is_none());
    Ok(records.manifest().clone())
}

struct Room(tempfile::TempDir);

impl Room {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, head: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, [head.as_bytes(), bytes].concat()).unwrap();
        path
    }
}

fn ndjson(bytes: &[u8]) {
    let room = Room::new();
    let read = account(&Source::new(room.write("dump", DUMP, bytes))).unwrap().read;
    let lines = bytes.split(|b| *b == b'\n').filter(|line| !line.trim_ascii().is_empty()).count();
    assert_eq!(read, 1 + lines as u64, "every line that is not blank is a record");
}

fn csv(bytes: &[u8]) {
    let room = Room::new();
    account(&Source::new(room.write("users.csv", USERS, bytes))).unwrap();
}

fn devices(bytes: &[u8]) {
    let room = Room::new();
    room.write("users.devices.csv", DEVICES, bytes);
    let read = account(&Source::new(room.write("users.csv", USERS, b"a,true,,\nb,true,,\n"))).unwrap().read;
    assert_eq!(read, 2);
}

fn soap(bytes: &[u8]) {
    let room = Room::new();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/soap");
    for name in ["helga.settings.xml", "helga.devices.xml"] {
        room.write(name, "", &std::fs::read(fixtures.join(name)).unwrap());
    }
    room.write("any.settings.xml", "", bytes);
    let read = account(&Source::new(room.0.path())).unwrap().read;
    assert!((2..=3).contains(&read), "{read}");
}

fn token_seeds(bytes: &[u8]) {
    let room = Room::new();
    let mut source = Source::new(room.write("dump", DUMP, b""));
    source.token_seeds = Some(room.write("seeds.csv", SEEDS, bytes));
    assert_eq!(account(&source).unwrap().accepted, 1);
}

fn cohort(bytes: &[u8]) {
    let room = Room::new();
    for row in cohorts(&room.write("cohorts.csv", COHORTS, bytes)).unwrap() {
        if let CohortRow::User(username, attributes) = row.unwrap() {
            assert!(!username.trim().is_empty() && attributes.len() <= 2);
        }
    }
}

fn any_file(bytes: &[u8]) {
    let room = Room::new();
    let path = room.write("any", "", bytes);
    match recognise(&path) {
        Ok(_) => drop(account(&Source::new(path))),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

#[test]
fn the_stored_corpus_is_accounted_for() {
    type Reader = fn(&[u8]);
    let readers: [(&str, Reader); 7] = [
        ("ndjson", ndjson),
        ("csv", csv),
        ("devices", devices),
        ("soap", soap),
        ("token_seeds", token_seeds),
        ("cohort", cohort),
        ("recognise", any_file),
    ];
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for (name, read) in readers {
        let files: Vec<_> =
            std::fs::read_dir(corpus.join(name)).unwrap().map(|f| f.unwrap().path()).collect();
        assert!(!files.is_empty(), "{name}");
        for file in files {
            let bytes = std::fs::read(&file).unwrap();
            read(&bytes);
            any_file(&bytes);
        }
    }
}

/// Bytes in which what parsers care about is frequent.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => prop::sample::select(vec![
            "\n", "\r\n", "\r", "\"", "\"\"", ",", ";", "{", "}", "[", "]", ":", "\\", "\\u0000", "\\ud800", "\0", "\u{feff}",
            "null", "true", "1e999", "<", ">", "</", "/>", "&amp;", "&#0;", "&x;", "<![CDATA[", "]]>", "<!--", "<?",
            "username", "\"username\":\"a\"", "\"settings\":{", "\"enabled\":true", "\"devices\":[", "A,true,1,pin\n", "a,1,x,,\n",
            "a,1,SEED,60,m,n\n", "<GetUserSettings_3Response xmlns=\"http://www.phonefactor.com/PfWsSdk\">",
            "</GetUserSettings_3Response>", "<username>", "</username>", "{\"username\":\"A\",\"settings\":{\"enabled\":true}}\n",
        ])
        .prop_map(|s| s.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..8),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

/// The example of the specification with bytes exchanged, inserted, taken out, or its end cut off.
fn bent_example() -> impl Strategy<Value = Vec<u8>> {
    let example =
        std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/example.ndjson")).unwrap();
    let bends = prop::collection::vec((any::<prop::sample::Index>(), 0..4_u8, any::<u8>()), 0..6);
    bends.prop_map(move |bends| {
        let mut bytes = example.clone();
        for (index, kind, byte) in bends {
            if bytes.is_empty() {
                break;
            }
            let at = index.index(bytes.len());
            match kind {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                2 => drop(bytes.remove(at)),
                _ => bytes.truncate(at),
            }
        }
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn any_bytes_are_accounted_for_by_every_reader(bytes in hostile()) {
        ndjson(&bytes);
        csv(&bytes);
        devices(&bytes);
        soap(&bytes);
        token_seeds(&bytes);
        cohort(&bytes);
        any_file(&bytes);
    }

    #[test]
    fn a_bent_example_is_accounted_for(bytes in bent_example()) {
        ndjson(&bytes);
        any_file(&bytes);
    }

    #[test]
    fn both_passes_see_the_same_username(bytes in bent_example(), other in hostile()) {
        for bytes in [bytes, other] {
            if let Ok(user) = parse_line(&bytes)
                && let Some(claim) = user.claim()
            {
                let seen = crate::json::username_of_line(&bytes).unwrap();
                prop_assert_eq!(crate::usernames::fold(&seen), crate::usernames::fold(claim));
            }
        }
    }

    #[test]
    fn keys_are_met_in_any_case(flips in prop::collection::vec(any::<bool>(), 8..64)) {
        let mut flips = flips.iter().cycle();
        let mut flip = |text: &str| -> String {
            let turn = |c: char| if *flips.next().unwrap() { c.to_ascii_uppercase() } else { c };
            text.chars().map(turn).collect()
        };
        let line = format!(
            r#"{{"{}":"a","{}":{{"{}":true,"{}":"12"}}}}"#,
            flip("username"), flip("settings"), flip("enabled"), flip("backupCountryCode")
        );
        let record = crate::assemble::record(parse_line(line.as_bytes()).unwrap()).unwrap();
        prop_assert_eq!(record.backup.country_code, "12");
    }
}
