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

/// What `simulate` says to standard error, and fails with, under limits of real time that nothing can keep.
fn said_under(limit: &str, seeds: &str) -> String {
    let walked = Command::new(env!("CARGO_BIN_EXE_simulate"))
        .args(["--seeds", seeds, "--from", "7", limit, "0", "--keep-going"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&walked.stderr).into_owned();
    assert_eq!(walked.status.code(), Some(1), "{said}");
    said
}

#[test]
fn a_history_that_does_not_end_fails_with_its_seed_and_where_it_stood_and_the_next_one_is_walked() {
    let said = said_under("--each", "2");
    for seed in ["seed 7", "seed 8"] {
        assert!(said.lines().any(|line| line == seed), "{said}");
    }
    assert_eq!(said.matches("FOUND not at its end after 0ns, in the middle of ").count(), 2, "{said}");
    assert_eq!(said.matches("tests/simulate --seed").count(), 2, "{said}");
}

#[test]
fn histories_that_do_not_end_in_time_together_are_told_and_no_more_are_begun() {
    let said = said_under("--within", "1000000");
    assert!(said.contains("1000000 histories, each within 120s, all within 0ns"), "{said}");
    assert!(said.contains("under way for"), "{said}");
    assert!(said.contains("not at the end after"), "{said}");
}

#[test]
fn what_is_not_understood_is_refused() {
    let walked = Command::new(env!("CARGO_BIN_EXE_simulate")).arg("--sedes").output().unwrap();
    assert_eq!(walked.status.code(), Some(2));
}
