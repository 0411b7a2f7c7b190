//! Golden samples of what crosses a process or a restart: what an older build stored or sent must go on being read.
//!
//! A sample is never edited. A new version of a shape gets a new sample beside the old one, and both must decode.

use contract::{
    BatchSettings, Change, DirectoryEntry, EntryResult, FingerprintKey, LastSent, Order, PlanLine, Record,
    RejectCode, Sealer, SnapshotId, SnapshotMessage, context,
};
use harness::{Site, Tenant};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/contract/golden").join(name)
}

fn sample(name: &str) -> String {
    std::fs::read_to_string(path(name))
        .unwrap_or_else(|e| panic!("golden sample {name}: {e}"))
        .trim()
        .to_owned()
}

/// Reads a sample and writes it again: nothing is lost, nothing is added.
fn round<T: DeserializeOwned + Serialize>(name: &str) -> T {
    let text = sample(name);
    let read: T = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
    let again = serde_json::to_value(&read).unwrap();
    assert_eq!(again, serde_json::from_str::<Value>(&text).unwrap(), "{name}");
    read
}

#[test]
fn records_orders_and_results_of_every_version_are_read() {
    for v in 1..=Record::VERSION {
        let record: Record = round(&format!("record-v{v}.json"));
        assert_eq!((record.v, record.username.as_str()), (v, "helga@contoso.example"));
    }
    for v in 1..=Order::VERSION {
        let text = sample(&format!("order-v{v}.json"));
        let order = Order::decode(text.as_bytes()).unwrap();
        assert_eq!((order.v, order.run.0, order.ordinal), (v, 7, 42));
        assert_eq!(order.encode(), text.as_bytes());
    }
    for v in 1..=EntryResult::VERSION {
        let result: EntryResult = round(&format!("entry-result-v{v}.json"));
        assert_eq!((result.v, result.changes.len(), result.notes.len()), (v, 3, 2));
    }
    let taken_back: EntryResult = round("entry-result-v1-conflicts.json");
    assert_eq!((taken_back.v, taken_back.conflicts.len()), (1, 2));
    let rehearsed: EntryResult = round("entry-result-v1-created.json");
    assert_eq!((rehearsed.v, rehearsed.created_tokens), (1, 1));
    let entry: DirectoryEntry = round("directory-entry-v1.json");
    assert_eq!((entry.v, entry.upn.as_str()), (1, "helga@contoso.example"));
}

#[test]
fn settings_of_batches_are_read_also_those_of_before_they_could_be_kept_in_step() {
    for v in 1..=BatchSettings::VERSION {
        let settings: BatchSettings = round(&format!("batch-settings-v{v}.json"));
        assert_eq!((settings.v, settings.keep_in_step, settings.max_rate), (v, true, Some(10)));
    }
    let before: BatchSettings = round("batch-settings-v1-before-in-step.json");
    assert_eq!(before, BatchSettings::default());
}

#[test]
fn what_an_extractor_sent_last_is_read() {
    for v in 1..=LastSent::VERSION {
        let last: LastSent = round(&format!("last-sent-v{v}.json"));
        assert_eq!((last.v, last.snapshot.0.len()), (v, 64));
    }
}

#[test]
fn plan_lines_are_as_scripts_know_them() {
    let line: PlanLine = round("plan-line.json");
    assert_eq!(line.changes.len(), 5);
    let skipped: PlanLine = round("plan-line-skipped.json");
    assert!(skipped.target.is_none() && skipped.matched_by.is_none());
    let change: Change = round("change.json");
    assert_eq!(change.from.as_deref(), Some("available"));
}

#[test]
fn snapshot_messages_of_version_1_are_read_byte_for_byte() {
    let framed = |kind: u8, body: &[u8]| [&[1, kind], body].concat();
    let mut record = framed(1, "ab".repeat(32).as_bytes());
    record.extend(7_i64.to_be_bytes());
    record.extend([1, 2, 3]);
    let read = SnapshotMessage::decode(&record).unwrap();
    let SnapshotMessage::Record { snapshot, ordinal, sealed } = &read else { panic!("{read:?}") };
    assert_eq!(
        (snapshot, *ordinal, sealed.0.as_slice()),
        (&SnapshotId("ab".repeat(32)), 7, &[1_u8, 2, 3][..])
    );
    assert_eq!(read.encode(), record);

    let reject = framed(2, sample("snapshot-message-reject-v1.json").as_bytes());
    let read = SnapshotMessage::decode(&reject).unwrap();
    assert!(
        matches!(&read, SnapshotMessage::Reject { snapshot, reject: r } if r.code == RejectCode::FieldInvalid && r.line == 3 && snapshot.0 == "ab".repeat(32))
    );
    assert_eq!(read.encode(), reject);

    let end = framed(3, sample("snapshot-message-end-v1.json").as_bytes());
    let read = SnapshotMessage::decode(&end).unwrap();
    // Fields may have been added since, each with a value that stands in for it.
    assert!(matches!(&read, SnapshotMessage::End(m) if m.read == 10 && m.read == m.accepted + m.rejected));
    assert!(SnapshotMessage::decode(&[2, 1]).is_err(), "a version of the future is refused");
}

#[test]
fn an_envelope_of_version_1_opens_with_its_key_and_in_its_place_alone() {
    let sealer = Sealer::new(&[vec![7; 32]]).unwrap();
    let bytes: Vec<u8> = sample("sealed-v1.hex")
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect();
    let place = context::record(&SnapshotId("ab".repeat(32)), 7);
    assert_eq!(sealer.open_json::<Value>(&place, &bytes).unwrap(), json!({ "golden": "sample" }));
    assert!(sealer.open(&context::record(&SnapshotId("ab".repeat(32)), 8), &bytes).is_err());
    assert!(Sealer::new(&[vec![8; 32]]).unwrap().open(&place, &bytes).is_err());
}

#[test]
fn fingerprints_stay_as_they_are_for_as_long_as_a_ledger_lives() {
    let keys = FingerprintKey::new(&[7; 32]);
    let expected = sample("fingerprints.json");
    let found = json!({
        "upn helga@contoso.example": keys.of("upn", b"helga@contoso.example").to_hex(),
        "serial T-1": contract::serial_fingerprint("T-1", &keys).to_hex(),
        "policy of defaults": rules::policy_hash(&contract::Policy::default()),
    });
    assert_eq!(found, serde_json::from_str::<Value>(&expected).unwrap());
}

#[test]
fn a_saved_plan_of_version_1_is_still_one() {
    let tenant = Tenant::with(&json!({ "users": [] }), &[]);
    let site = Site::new(&tenant);
    let data = site.path("users.ndjson");
    std::fs::write(&data, "{\"username\":\"x@y\",\"settings\":{\"enabled\":true}}\n").unwrap();
    let plan = path("plan-file-v1.ndjson");
    let outcome = site
        .run(&["migrate", "--datafile", data.to_str().unwrap(), "--plan", plan.to_str().unwrap()])
        .expect(&[2]);
    // It is read to its end, and refused for what it is about.
    assert!(outcome.err.contains("was made from another datafile"), "{}", outcome.err);
}

#[test]
fn a_configuration_with_every_setting_is_understood() {
    let site = Site::at("http://127.0.0.1:9");
    site.configure(&sample("mfa-migrate.toml"));
    let rows = site.run(&["config", "show", "--json"]).expect(&[0]).json();
    for row in rows.as_array().unwrap() {
        let from = row["from"].as_str().unwrap();
        assert!(from.contains("mfa-migrate.toml") || from.contains("environment"), "the sample lacks {row}");
    }
}
