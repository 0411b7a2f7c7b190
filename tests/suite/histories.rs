//! Thousands of seeded histories of a small company, judged by its tenant (`harness::history`).
//!
//! They run in a process of their own, the one that `tests/simulate` runs. A seed that fails prints itself, its history and
//! what was found; `tests/simulate --seed N` walks it again.

use std::process::Command;

/// Histories of one run of the suite.
const SEEDS: u32 = 2_000;

#[test]
fn nothing_is_lost_doubled_or_trampled_on_in_any_history() {
    let folder = tempfile::tempdir().unwrap();
    let none = folder.path().join("no-certificates.pem");
    std::fs::write(&none, "").unwrap();
    let walked = Command::new(env!("CARGO_BIN_EXE_simulate"))
        .args(["--seeds", &SEEDS.to_string(), "--from", "1", "--keep-going"])
        // Every client would read the machine's certificates, for a tenant that has none.
        .env("SSL_CERT_FILE", &none)
        .output()
        .unwrap();
    let (out, err) = (String::from_utf8_lossy(&walked.stdout), String::from_utf8_lossy(&walked.stderr));
    assert!(walked.status.success(), "{out}{err}");
    assert!(out.contains(&format!("{SEEDS} histories")), "{out}");
}

#[test]
fn what_is_not_understood_is_refused() {
    let walked = Command::new(env!("CARGO_BIN_EXE_simulate")).arg("--sedes").output().unwrap();
    assert_eq!(walked.status.code(), Some(2));
}
