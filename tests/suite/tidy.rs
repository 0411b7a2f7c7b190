//! The house rules that a machine can check: floors, who may know what, names, module docs, nothing left lying about.

use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn packages() -> Vec<Value> {
    let out = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let whole: Value = serde_json::from_slice(&out.stdout).unwrap();
    whole["packages"].as_array().unwrap().clone()
}

/// Floors of the house; imports point down.
const FLOORS: [(&str, u8); 12] = [
    ("contract", 0),
    ("telemetry", 0),
    ("rules", 1),
    ("ledger", 1),
    ("broker", 1),
    ("graph", 1),
    ("simulator", 1),
    ("extractor", 2),
    ("worker", 2),
    ("coordinator", 2),
    ("mfa-migrate", 3),
    ("suite", 4),
];

#[test]
fn imports_point_down() {
    let floors = BTreeMap::from(FLOORS);
    for package in packages() {
        let name = package["name"].as_str().unwrap();
        let floor = floors.get(name).unwrap_or_else(|| panic!("{name} has no floor"));
        for dependency in package["dependencies"].as_array().unwrap() {
            let other = dependency["name"].as_str().unwrap();
            if let Some(below) = floors.get(other) {
                assert!(below < floor, "{name} (floor {floor}) imports {other} (floor {below})");
            }
        }
    }
}

/// What only one crate may know; a test may know it where it says so.
const KNOWN_BY: [(&str, &[&str], &[&str]); 12] = [
    ("sqlx", &["ledger", "suite"], &[]),
    ("reqwest", &["graph", "suite"], &["simulator"]),
    ("axum", &["simulator", "telemetry"], &["graph", "suite"]),
    ("lapin", &["broker", "suite"], &[]),
    ("openssl", &[], &[]),
    ("opentelemetry", &["telemetry"], &[]),
    ("opentelemetry_sdk", &["telemetry"], &[]),
    ("opentelemetry-otlp", &["telemetry"], &[]),
    ("opentelemetry-prometheus", &["telemetry"], &[]),
    ("prometheus", &["telemetry"], &[]),
    ("tracing-opentelemetry", &["telemetry"], &[]),
    ("opentelemetry-proto", &["suite"], &[]),
];

#[test]
fn each_outside_is_known_by_one_crate() {
    for package in packages() {
        let name = package["name"].as_str().unwrap();
        for dependency in package["dependencies"].as_array().unwrap() {
            let other = dependency["name"].as_str().unwrap();
            let is_dev = dependency["kind"] == "dev";
            if let Some((_, always, in_tests)) = KNOWN_BY.iter().find(|(known, ..)| *known == other) {
                let may = always.contains(&name) || (is_dev && in_tests.contains(&name));
                assert!(may, "{name} must not know {other}");
            }
        }
    }
}

/// Files that git knows or would take.
fn files() -> Vec<PathBuf> {
    let out = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let names = String::from_utf8(out.stdout).unwrap();
    names.lines().map(PathBuf::from).filter(|p| root().join(p).is_file()).collect()
}

fn text(path: &Path) -> Option<String> {
    String::from_utf8(std::fs::read(root().join(path)).unwrap()).ok()
}

fn rust_files() -> Vec<(PathBuf, String)> {
    let rust = files().into_iter().filter(|p| p.extension().is_some_and(|e| e == "rs"));
    rust.filter_map(|p| text(&p).map(|t| (p, t))).collect()
}

#[test]
fn every_file_says_what_it_is_for() {
    let mute: Vec<PathBuf> =
        rust_files().into_iter().filter(|(_, t)| !t.starts_with("//!")).map(|(p, _)| p).collect();
    assert!(mute.is_empty(), "no module doc: {mute:?}");
}

#[test]
fn nothing_is_named_for_not_knowing_what_it_is() {
    let refused = ["common", "util", "utils", "helper", "helpers", "manager", "misc", "types"];
    for (path, _) in rust_files() {
        let named = path.with_extension("");
        let bad = named.iter().filter_map(|part| part.to_str()).find(|part| refused.contains(part));
        assert_eq!(bad, None, "{}", path.display());
    }
    for package in packages() {
        assert!(!refused.contains(&package["name"].as_str().unwrap()));
    }
}

#[test]
fn nothing_names_a_place_of_one_machine() {
    // Put together here, so that this file does not name them itself.
    let refused = [
        ["..", "/shared"].concat(),
        ["/wo", "rk/"].concat(),
        ["/ho", "me/"].concat(),
        ["/ro", "ot/"].concat(),
    ];
    for path in files() {
        let Some(text) = text(&path) else { continue };
        for (n, line) in text.lines().enumerate() {
            let found = refused.iter().find(|r| line.contains(r.as_str()));
            assert_eq!(found, None, "{}:{}", path.display(), n + 1);
        }
    }
}

#[test]
fn every_migration_is_there_in_each_dialect() {
    let mut dialects: BTreeMap<PathBuf, Vec<String>> = BTreeMap::new();
    for path in files().into_iter().filter(|p| p.starts_with("crates/ledger/migrations")) {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        dialects.entry(path.parent().unwrap().to_owned()).or_default().push(name);
    }
    let mut names: Vec<Vec<String>> = dialects.into_values().collect();
    names.iter_mut().for_each(|n| n.sort());
    assert!(!names.is_empty() && names.windows(2).all(|pair| pair[0] == pair[1]), "{names:?}");
}

#[test]
fn every_fixture_is_used() {
    let sources: String = rust_files().into_iter().map(|(_, t)| t).collect();
    let fixtures =
        files().into_iter().filter(|p| p.iter().any(|part| part == "fixtures" || part == "golden"));
    for path in fixtures {
        // Named itself, or below a folder that a test walks or names.
        let is_named =
            path.iter().rev().take_while(|part| *part != "fixtures" && *part != "golden").any(|part| {
                let name = part.to_str().unwrap();
                let stem = name.split('.').next().unwrap_or(name);
                let shape = stem.rsplit_once("-v").map_or(stem, |(shape, _)| shape);
                let is_versioned = sources.contains(&format!("{shape}-v{{v}}"));
                is_versioned
                    || sources.contains(&format!("{name}\""))
                    || sources.contains(&format!("{name}/"))
                    || sources.contains(&format!("/{stem}"))
            });
        assert!(is_named, "{} is read by nobody", path.display());
    }
}

#[test]
fn file_lengths_are_told() {
    let mut lengths: Vec<(usize, PathBuf)> =
        rust_files().into_iter().map(|(p, t)| (t.lines().count(), p)).collect();
    lengths.sort();
    let median = lengths[lengths.len() / 2].0;
    let ninth = lengths[lengths.len() * 9 / 10].0;
    println!("{} files, median {median} lines, nine in ten below {ninth}; the longest:", lengths.len());
    for (lines, path) in lengths.iter().rev().take(10) {
        println!("{lines:6}  {}", path.display());
    }
}
