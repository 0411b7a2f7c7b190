//! No number, secret, PIN or token in the log, in errors, or in the ledger's files in clear; no username in the log.
//!
//! Everything that a site leaves behind is searched as raw bytes, also beside a process that died in the middle.

use harness::{Expected, Outcome, Site};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

/// Long enough to be nothing else by chance.
pub(crate) const BEARER: &str = "canary-bearer-3f9c1e77a0b84d52";
const PIN: &str = "83746152097";

/// What must not be found.
pub(crate) struct Secrets {
    /// Numbers as typed and in E.164, secrets, device tokens, PIN, bearer.
    texts: BTreeSet<String>,
    /// Digits of the numbers, without their spacing.
    digits: BTreeSet<String>,
    usernames: BTreeSet<String>,
}

impl Secrets {
    pub(crate) fn of(expected: &Expected) -> Self {
        let mut secrets = Self {
            texts: [BEARER, PIN].map(str::to_owned).into(),
            digits: BTreeSet::new(),
            usernames: BTreeSet::new(),
        };
        for line in std::fs::read_to_string(expected.datafile()).unwrap().lines() {
            let record: Value = serde_json::from_str(line).unwrap_or_default();
            secrets.user(&record["username"]);
            let settings = &record["settings"];
            for field in ["phone", "backupPhone"] {
                secrets.number(&settings[field]);
            }
            secrets.secret(&settings["oathTokenSecretKey"]);
            for device in record["devices"].as_array().into_iter().flatten() {
                secrets.secret(&device["oathTokenSecretKey"]);
                secrets.secret(&device["deviceToken"]);
            }
        }
        for plan in &expected.plans {
            secrets.user(&plan["target"]["userPrincipalName"]);
            for change in plan["changes"].as_array().unwrap() {
                secrets.number(&change["from"]);
                secrets.number(&change["to"]);
            }
        }
        assert!(secrets.digits.len() > 50 && secrets.texts.len() > 50, "too little to search for");
        secrets
    }

    fn number(&mut self, number: &Value) {
        let number = number.as_str().unwrap_or_default();
        // What stands behind an x is an extension.
        let main = number.split(['x', 'X']).next().unwrap_or_default();
        let digits: String = main.chars().filter(char::is_ascii_digit).collect();
        if digits.len() >= 7 {
            self.texts.insert(number.trim().to_owned());
            self.texts.insert(main.trim().to_owned());
            self.digits.insert(digits);
        }
    }

    fn secret(&mut self, secret: &Value) {
        let secret = secret.as_str().unwrap_or_default();
        if secret.len() >= 10 {
            self.texts.insert(secret.to_owned());
        }
    }

    fn user(&mut self, name: &Value) {
        if let Some(name) = name.as_str().filter(|name| name.len() >= 8) {
            self.usernames.insert(name.to_owned());
        }
    }

    /// Searches a log or an error.
    pub(crate) fn must_not_be_in_text(&self, text: &str, place: &str) {
        self.must_not_be_in_bytes(text.as_bytes(), place);
        let together: String =
            text.chars().filter(|c| !matches!(c, ' ' | '-' | '.' | '(' | ')' | '/')).collect();
        for digits in &self.digits {
            assert!(
                !together.contains(digits.as_str()),
                "the number {digits} is in {place}, in some spacing"
            );
        }
        // A part of a number is a number: seven digits of it, standing alone.
        let runs: Vec<&str> =
            text.split(|c: char| !c.is_ascii_digit()).filter(|run| (7..16).contains(&run.len())).collect();
        for run in runs {
            let part_of = self.digits.iter().find(|digits| digits.contains(run));
            assert!(part_of.is_none(), "{run} of {part_of:?} is in {place}");
        }
        for name in &self.usernames {
            assert!(!text.contains(name.as_str()), "the user {name} is in {place}");
        }
    }

    /// Searches a file.
    pub(crate) fn must_not_be_in_bytes(&self, bytes: &[u8], place: &str) {
        // One pass for all of them: what stands at a position is looked up by its first bytes.
        let mut by_start: std::collections::HashMap<[u8; 4], Vec<&str>> = std::collections::HashMap::new();
        for text in self.texts.iter().chain(&self.digits) {
            if let Some(start) = text.as_bytes().first_chunk::<4>() {
                by_start.entry(*start).or_default().push(text);
            }
        }
        for (at, start) in bytes.windows(4).enumerate() {
            let Some(candidates) = start.try_into().ok().and_then(|start: [u8; 4]| by_start.get(&start))
            else {
                continue;
            };
            for candidate in candidates {
                assert!(!bytes[at..].starts_with(candidate.as_bytes()), "{candidate} is in {place}");
            }
        }
    }

    /// Searches a call's standard error, and everything that it left in the site's folder.
    fn must_not_be_left(&self, site: &Site, outcome: &Outcome, after: &str) {
        self.must_not_be_in_text(&outcome.err, &format!("standard error of {after}"));
        let mut names = BTreeSet::new();
        for entry in std::fs::read_dir(site.folder()).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if name.starts_with("mfa-migrate.db") {
                self.must_not_be_in_bytes(&std::fs::read(&path).unwrap(), &format!("{name} after {after}"));
                names.insert(name);
            }
        }
        assert!(names.contains("mfa-migrate.db") && names.contains("mfa-migrate.db.lock"), "{names:?}");
    }
}

/// Puts a PIN into every record, where MFA Server keeps it.
pub(crate) fn add_pins(datafile: &Path) {
    let with: String = std::fs::read_to_string(datafile)
        .unwrap()
        .lines()
        .map(|line| line.replacen("\"settings\":{", &format!("\"settings\":{{\"pin\":\"{PIN}\","), 1) + "\n")
        .collect();
    assert!(with.contains(PIN));
    std::fs::write(datafile, with).unwrap();
}

fn journey(expected: &Expected, flags: &[&str]) {
    add_pins(Path::new(expected.datafile()));
    let secrets = Secrets::of(expected);
    let tenant = expected.tenant(flags);
    let mut site = Site::new(&tenant);
    site.env("MFA_MIGRATE_GRAPH_TOKEN", BEARER);
    let data = expected.datafile();
    for verb in ["inspect", "rehearse"] {
        let args: &[&str] = match verb {
            "inspect" => &["inspect", data, "--json", "--log", "trace"],
            _ => &["rehearse", "--datafile", data, "--json", "--log", "trace"],
        };
        let outcome = site.run(args).expect(&[0, 3]);
        secrets.must_not_be_in_text(&outcome.err, verb);
    }
    // A death in the middle leaves the write-ahead log beside the ledger.
    site.env("MFA_MIGRATE_CRASH_AT", "worker.default-sent:2");
    let migrate = ["migrate", "--datafile", data, "--json", "--log", "trace"];
    let crashed = site.run(&migrate);
    assert_eq!(crashed.code, None, "it did not die: {}", crashed.err);
    assert!(site.path("mfa-migrate.db-wal").exists());
    secrets.must_not_be_left(&site, &crashed, "a crash");
    site.unset("MFA_MIGRATE_CRASH_AT");
    let ended = site.run(&migrate).expect(&[0, 3]);
    assert!(ended.err.lines().count() > 20, "trace says nothing: {}", ended.err);
    secrets.must_not_be_left(&site, &ended, "migrate");
    for args in [
        &["status", "--log", "trace"][..],
        &["check", "--log", "trace"],
        &["config", "show", "--log", "trace"],
        &["report", "--log", "trace", "--format", "json"],
    ] {
        let outcome = site.run(args);
        secrets.must_not_be_left(&site, &outcome, args[0]);
        assert!(!outcome.out.contains(BEARER) && !outcome.out.contains(PIN), "{args:?} shows a secret");
    }
}

#[test]
fn a_journey_with_every_kind_of_method_leaks_nothing() {
    journey(&Expected::dense(80), &[]);
}

#[test]
fn a_journey_over_dirty_data_and_faults_leaks_nothing() {
    let faults =
        "error-rate=0.05,timeout-but-applied=0.03,conflict-but-applied=0.03,drop-connection=0.02,seed=3";
    journey(&Expected::generated(120, 31), &["--faults", faults]);
}

#[test]
fn errors_name_no_number_and_no_token() {
    let expected = Expected::dense(60);
    let secrets = Secrets::of(&expected);
    let tenant = expected.tenant(&[]);
    let url = tenant.url.clone();
    drop(tenant);
    // Nobody is there any more: the call fails, and says so without a word of whom or with what.
    let mut site = Site::at(&url);
    site.env("MFA_MIGRATE_GRAPH_TOKEN", BEARER);
    let failed = site.run(&["migrate", "--datafile", expected.datafile(), "--json", "--log", "trace"]);
    assert_eq!(failed.code, Some(1), "{}", failed.err);
    secrets.must_not_be_left(&site, &failed, "a failure");
    // A record that cannot be read is told by its line and field, never by its value.
    let broken = site.path("broken.ndjson");
    let line = std::fs::read_to_string(expected.datafile()).unwrap().lines().next().unwrap().to_owned();
    std::fs::write(&broken, format!("{}\n{}\n", &line[..line.len() / 2], &line[..line.len() - 20])).unwrap();
    let refused = site.run(&["inspect", broken.to_str().unwrap(), "--json", "--log", "trace"]);
    secrets.must_not_be_in_text(&refused.err, "a refusal");
}

#[test]
#[should_panic(expected = "in some spacing")]
fn a_number_in_another_spacing_is_found() {
    let secrets = Secrets::of(&Expected::dense(60));
    secrets.must_not_be_in_text("called (206) 555-0100 today", "a sentence");
}

#[test]
#[should_panic(expected = "is in a file")]
fn a_secret_among_bytes_is_found() {
    let secrets = Secrets::of(&Expected::dense(60));
    let secret = secrets.texts.iter().find(|text| text.len() == 32 && !text.contains('-')).unwrap().clone();
    secrets.must_not_be_in_bytes(&[b"\x00\xff".as_slice(), secret.as_bytes(), b"\x00"].concat(), "a file");
}
