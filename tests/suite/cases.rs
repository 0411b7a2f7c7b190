//! Hand-made datafiles and tenants, a folder a case: what the rules demand, change by change and code by code.
//!
//! `expected.ndjson` is written from the specification, never from output. Each case runs the real binary: rehearse,
//! migrate, then the tenant must be what it was plus exactly the expected changes, and a second look finds nothing.
//! A `?` in a serial stands for any character: those of rule M8 come from the ledger's own key.

use harness::{Site, Tenant};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/cases").join(name)
}

/// A case's folder, its expectations, and a site that is set up for it.
struct Case {
    folder: PathBuf,
    expected: Vec<Value>,
    tenant: Tenant,
    site: Site,
}

impl Case {
    fn open(name: &str) -> Self {
        let folder = folder(name);
        let expected = harness::read_lines(&folder.join("expected.ndjson"));
        assert!(!expected.is_empty(), "{name} expects nothing");
        let tenant = Tenant::start(&folder.join("tenant.json"), &[]);
        let site = Site::new(&tenant);
        let policy = std::fs::read_to_string(folder.join("policy.toml")).unwrap_or_default();
        site.configure(&format!(
            "[graph]\nrequest_timeout_s = 5\nvisibility_deadline_s = 4\nclock_skew_s = 1\n{policy}"
        ));
        Self { folder, expected, tenant, site }
    }

    fn run(&self, verb: &str, flags: &[&str]) -> harness::Outcome {
        let datafile = self.folder.join("users.ndjson");
        let seeds = self.folder.join("seeds.csv");
        let mut args = vec![verb, "--json", "--datafile", datafile.to_str().unwrap()];
        if seeds.exists() {
            args.extend(["--token-seeds", seeds.to_str().unwrap()]);
        }
        args.extend(flags);
        let blocked = self.expected.iter().any(|e| e["outcome"] == "blocked");
        self.site.run(&args).expect(&[if blocked { 3 } else { 0 }])
    }

    fn count(&self, outcome: &str) -> usize {
        self.expected.iter().filter(|e| e["outcome"] == outcome).count()
    }
}

fn check(name: &str) {
    let case = Case::open(name);
    let before = World::of(&case.tenant.state());

    let plans = case.run("rehearse", &[]).json_lines();
    let differences: Vec<String> = (0..plans.len().max(case.expected.len()))
        .filter_map(|i| difference(case.expected.get(i), plans.get(i)))
        .collect();
    assert!(differences.is_empty(), "{name}:\n{}", differences.join("\n"));
    assert!(case.tenant.journal().is_empty(), "a rehearsal writes nothing");

    let end = case.run("migrate", &[]).json();
    assert_eq!(end["entries"]["applied"], case.count("change"), "{end}");
    assert_eq!(end["entries"]["unchanged"], case.count("unchanged"), "{end}");
    assert_eq!(end["entries"]["blocked"], case.count("blocked"), "{end}");
    assert_eq!(end["entries"]["skipped"], case.count("skipped"), "{end}");
    assert_eq!(World::of(&case.tenant.state()), before.after(&plans), "{name}: the tenant afterwards");

    let effects = case.tenant.journal().len();
    for plan in case.run_again(&["--include-unchanged"]) {
        assert_eq!(plan["changes"], json!([]), "{name}: applied and planned again: {plan}");
    }
    for (plan, expected) in case.run_again(&[]).iter().zip(&case.expected) {
        let only = if is_settled_clean(expected) {
            json!([{ "code": "unchanged-since-last", "method": "user" }])
        } else {
            plan["codes"].clone()
        };
        assert_eq!((&plan["changes"], &plan["codes"]), (&json!([]), &only), "{name}: {plan}");
    }
    assert_eq!(case.tenant.journal().len(), effects);
}

impl Case {
    /// A rehearsal after the migration; what was blocked then is blocked still.
    fn run_again(&self, flags: &[&str]) -> Vec<Value> {
        let datafile = self.folder.join("users.ndjson");
        let seeds = self.folder.join("seeds.csv");
        let mut args = vec!["rehearse", "--json", "--datafile", datafile.to_str().unwrap()];
        if seeds.exists() {
            args.extend(["--token-seeds", seeds.to_str().unwrap()]);
        }
        args.extend(flags);
        self.site.run(&args).expect(&[0, 3]).json_lines()
    }
}

/// U5: the fingerprint is kept only where nothing was blocked.
fn is_settled_clean(expected: &Value) -> bool {
    let blocked = [
        "country-code-missing",
        "phone-invalid",
        "extension-unrepresentable",
        "alternate-needs-mobile",
        "app-reregister",
        "device-over-limit",
    ];
    let is_blocked =
        |code: &str| blocked.contains(&code) || (code.starts_with("oath-") && code != "oath-present");
    let codes = expected["codes"].as_array().unwrap();
    expected["outcome"] != "skipped" && !codes.iter().any(|c| is_blocked(c["code"].as_str().unwrap()))
}

fn difference(expected: Option<&Value>, got: Option<&Value>) -> Option<String> {
    let (Some(expected), Some(got)) = (expected, got) else {
        return Some(format!("  only on one side: {}", expected.or(got).unwrap_or(&Value::Null)));
    };
    let same = fits(expected, got);
    (!same).then(|| format!("  expected {expected}\n  got      {got}"))
}

/// Equality, but that a `?` of an expected text stands for any character.
fn fits(expected: &Value, got: &Value) -> bool {
    match (expected, got) {
        (Value::String(e), Value::String(g)) => {
            e.chars().count() == g.chars().count()
                && e.chars().zip(g.chars()).all(|(e, g)| e == '?' || e == g)
        }
        (Value::Array(e), Value::Array(g)) => e.len() == g.len() && e.iter().zip(g).all(|(e, g)| fits(e, g)),
        (Value::Object(e), Value::Object(g)) => {
            e.len() == g.len() && e.iter().all(|(k, e)| g.get(k).is_some_and(|g| fits(e, g)))
        }
        _ => expected == got,
    }
}

/// What of a tenant a migration may change, by user id; and the tokens by serial.
#[derive(Debug, PartialEq)]
struct World {
    users: BTreeMap<String, BTreeMap<String, Value>>,
    tokens: BTreeMap<String, (Value, Value)>,
}

impl World {
    fn of(state: &Value) -> Self {
        let mut users = BTreeMap::new();
        for user in state["users"].as_array().unwrap() {
            let methods = &user["authentication"];
            let mut all = BTreeMap::new();
            for phone in methods["phoneMethods"].as_array().unwrap() {
                all.insert(phone["phoneType"].as_str().unwrap().to_owned(), phone["phoneNumber"].clone());
            }
            for token in methods["hardwareOathMethods"].as_array().unwrap() {
                all.insert(
                    format!("token {}", token["serialNumber"].as_str().unwrap()),
                    token["status"].clone(),
                );
            }
            all.insert("apps".to_owned(), methods["microsoftAuthenticatorMethods"].clone());
            all.insert("software".to_owned(), methods["softwareOathMethods"].clone());
            let preferences = &methods["signInPreferences"];
            all.insert(
                "default".to_owned(),
                preferences["userPreferredMethodForSecondaryAuthentication"].clone(),
            );
            all.insert(
                "system".to_owned(),
                preferences["isSystemPreferredAuthenticationMethodEnabled"].clone(),
            );
            users.insert(user["id"].as_str().unwrap().to_owned(), all);
        }
        let tokens = state["hardwareOathDevices"].as_array().unwrap().iter();
        let tokens = tokens
            .map(|d| {
                (
                    d["serialNumber"].as_str().unwrap().to_owned(),
                    (d["status"].clone(), d["assignedTo"]["id"].clone()),
                )
            })
            .collect();
        Self { users, tokens }
    }

    /// With the changes of these plans and nothing else.
    fn after(mut self, plans: &[Value]) -> Self {
        for plan in plans {
            for change in plan["changes"].as_array().unwrap() {
                let id = plan["target"]["id"].as_str().unwrap();
                let user = self.users.get_mut(id).unwrap();
                let method = change["method"].as_str().unwrap();
                match change["serial"].as_str() {
                    None => user.insert(method.to_owned(), change["to"].clone()),
                    Some(serial) => {
                        self.tokens.insert(serial.to_owned(), (change["to"].clone(), json!(id)));
                        user.insert(format!("token {serial}"), change["to"].clone())
                    }
                };
            }
        }
        self
    }
}

macro_rules! cases {
    ($($test:ident $folder:literal,)*) => {
        const LISTED: &[&str] = &[$($folder),*];
        $(#[test] fn $test() { check($folder); })*
    };
}

#[test]
fn every_folder_of_a_case_is_run() {
    let mut folders: Vec<String> = std::fs::read_dir(folder(""))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    folders.sort();
    let mut listed: Vec<&str> = LISTED.to_vec();
    listed.sort_unstable();
    assert_eq!(folders, listed);
}

cases! {
    app_codes_kept "app-codes-kept",
    backup_promoted "backup-promoted",
    backup_targets "backup-targets",
    backup_to_free_office "backup-to-free-office",
    cloud_methods_stay "cloud-methods-stay",
    company_default_mode "company-default-mode",
    default_always "default-always",
    default_if_unset "default-if-unset",
    default_most_secure "default-most-secure",
    default_not_allowed "default-not-allowed",
    default_nothing_allowed "default-nothing-allowed",
    default_office_not_allowed "default-office-not-allowed",
    default_system_preferred "default-system-preferred",
    devices_beside_a_token "devices-beside-a-token",
    devices_chosen "devices-chosen",
    devices_reported "devices-reported",
    disabled "disabled",
    disabled_included "disabled-included",
    existing_kept "existing-kept",
    guests "guests",
    match_ambiguous "match-ambiguous",
    match_mail_employee_immutable "match-mail-employee-immutable",
    match_sam_account_name "match-sam-account-name",
    match_upn_then_sid "match-upn-then-sid",
    methods_are_independent "methods-are-independent",
    methods_default_alone "methods-default-alone",
    methods_subset "methods-subset",
    mode_unspecified "mode-unspecified",
    numbers_compared "numbers-compared",
    numbers_default_country "numbers-default-country",
    numbers_extension "numbers-extension",
    numbers_formatting_and_country "numbers-formatting-and-country",
    numbers_possible_and_valid "numbers-possible-and-valid",
    numbers_repeated_prefix "numbers-repeated-prefix",
    numbers_trunk_prefix "numbers-trunk-prefix",
    phone_targets "phone-targets",
    phone_text_mode "phone-text-mode",
    token_claimed_twice "token-claimed-twice",
    token_secrets "token-secrets",
    token_seed_file "token-seed-file",
    token_slots "token-slots",
    token_standing "token-standing",
}
