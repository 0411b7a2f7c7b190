//! A checker in the style of Jepsen: what was planned beforehand, the tenant's own word, and the ledger's must agree.
//!
//! The plan is made by a rehearsal against a healthy tenant in a process and a folder of its own, so nothing that is
//! checked has a hand in it. The tenant is judged by its state and its journal, never by what the product says of it.

use crate::services::Guard;
use crate::{Site, Tenant};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A slot of a user and its value: `mobile`, `hardwareOath 1234567`, `default` …
type Slots = BTreeMap<String, String>;

/// A datafile, its tenant, and what a migration of the one into the other must lead to.
pub struct Expected {
    folder: TempDir,
    /// Ends whoever still reads from the folder, and removes it, when we are killed.
    guard: Guard,
    datafile: String,
    /// The lines of `rehearse --json`.
    pub plans: Vec<Value>,
    before: BTreeMap<String, (Slots, Value)>,
    after: BTreeMap<String, Slots>,
}

/// What a check found; every list is empty when all is well.
#[derive(Debug, Default)]
pub struct Verdict {
    /// Planned changes that are not there.
    pub lost: Vec<String>,
    /// Effects that happened more than once, and tokens that exist more than once.
    pub duplicated: Vec<String>,
    /// Effects and values that nobody planned.
    pub unexpected: Vec<String>,
    /// Users that are not settled, or set aside without need.
    pub stuck: Vec<String>,
    /// Where the ledger's word is another than the plan's or the tenant's.
    pub contradictions: Vec<String>,
    /// Pre-images that are not the value of the first look.
    pub overwritten: Vec<String>,
    /// Calls that came before a `Retry-After` was over.
    pub early_retries: u64,
}

impl Verdict {
    /// Fails with everything that was found.
    #[track_caller]
    pub fn must_be_clean(&self) {
        assert!(self.is_clean(), "{self:#?}");
    }

    /// Nothing was found.
    pub fn is_clean(&self) -> bool {
        let lists = [
            &self.lost,
            &self.duplicated,
            &self.unexpected,
            &self.stuck,
            &self.contradictions,
            &self.overwritten,
        ];
        lists.iter().all(|list| list.is_empty()) && self.early_retries == 0
    }
}

impl Expected {
    /// Made by `generate`: data with the dirt of real ones.
    pub fn generated(users: u32, seed: u32) -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let (data, state) = (folder.path().join("users.ndjson"), folder.path().join("tenant.json"));
        let (users, seed) = (users.to_string(), seed.to_string());
        let text = |path: &Path| path.to_str().expect("a path of text").to_owned();
        Site::at("http://127.0.0.1:9")
            .run(&[
                "generate",
                "--users",
                &users,
                "--seed",
                &seed,
                "--datafile",
                &text(&data),
                "--tenant",
                &text(&state),
            ])
            .expect(&[0]);
        Self::planned(folder)
    }

    /// A small tenant in which every kind of write occurs often: new and replaced numbers, tokens, defaults.
    pub fn dense(users: u32) -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let (records, people): (Vec<String>, Vec<Value>) = (0..users).map(dense_user).unzip();
        std::fs::write(folder.path().join("users.ndjson"), records.concat()).expect("datafile");
        let state = serde_json::json!({ "users": people });
        std::fs::write(folder.path().join("tenant.json"), state.to_string()).expect("tenant");
        Self::planned(folder)
    }

    fn planned(folder: TempDir) -> Self {
        let tenant = Tenant::start(&folder.path().join("tenant.json"), &[]);
        let datafile = folder.path().join("users.ndjson").to_str().expect("a path of text").to_owned();
        let plans = Site::new(&tenant)
            .run(&["rehearse", "--datafile", &datafile, "--json"])
            .expect(&[0, 3])
            .json_lines();
        let before = users_of(&tenant.state());
        let mut after: BTreeMap<String, Slots> =
            before.iter().map(|(user, (slots, _))| (user.clone(), slots.clone())).collect();
        for plan in &plans {
            for (user, slot, change) in changes_of(plan) {
                let slots = after.get_mut(&user).expect("a planned user exists");
                match change["to"].as_str() {
                    Some(to) => drop(slots.insert(slot, canonical(to))),
                    None => drop(slots.remove(&slot)),
                }
            }
        }
        let guard = Guard::over(folder.path());
        let expected = Self { folder, guard, datafile, plans, before, after };
        assert!(expected.changes() > 0, "a check that expects nothing proves nothing");
        expected
    }

    /// The datafile.
    pub fn datafile(&self) -> &str {
        &self.datafile
    }

    /// The tenant's file.
    pub fn state_file(&self) -> PathBuf {
        self.folder.path().join("tenant.json")
    }

    /// Starts the tenant, with faults or a throttle.
    pub fn tenant(&self, flags: &[&str]) -> Tenant {
        Tenant::start(&self.state_file(), flags)
    }

    /// How many changes are planned.
    pub fn changes(&self) -> usize {
        self.plans.iter().map(|plan| changes_of(plan).count()).sum()
    }

    /// Compares everything after a migration that ended. `end` is the object it ended with.
    pub fn check(&self, tenant: &Tenant, site: &Site, end: &Value) -> Verdict {
        let mut verdict = Verdict::default();
        let journal = tenant.journal();
        let chosen = chosen_by_graph(&journal);
        self.check_state(&tenant.state(), &chosen, &mut verdict);
        self.check_journal(&journal, &chosen, &mut verdict);
        self.check_end(end, &mut verdict);
        let report = site.run(&["report", "--format", "json"]).expect(&[0, 3]).json();
        self.check_report(&report, &mut verdict);
        verdict.early_retries = tenant.stats()["earlyRetries"].as_u64().expect("a count");
        verdict
    }

    fn check_state(&self, state: &Value, chosen: &BTreeMap<String, String>, verdict: &mut Verdict) {
        let now = users_of(state);
        for (user, wanted) in &self.after {
            let Some((slots, rest)) = now.get(user) else {
                verdict.lost.push(format!("{user} is gone"));
                continue;
            };
            for (slot, value) in wanted {
                if slots.get(slot) != Some(value) {
                    verdict.lost.push(format!("{user} {slot}: {value} wanted, {:?} there", slots.get(slot)));
                }
            }
            for slot in slots.keys().filter(|slot| !wanted.contains_key(*slot)) {
                if *slot == "default" && slots.get(slot) == chosen.get(user) {
                    continue;
                }
                verdict
                    .unexpected
                    .push(format!("{user} {slot}: nothing wanted, {:?} there", slots.get(slot)));
            }
            if self.before.get(user).is_some_and(|(_, before)| before != rest) {
                verdict.unexpected.push(format!("{user}: what is none of our business has changed"));
            }
        }
        let mut serials = BTreeSet::new();
        for device in state["hardwareOathDevices"].as_array().into_iter().flatten() {
            if !serials.insert(device["serialNumber"].to_string()) {
                verdict.duplicated.push(format!("the token {} is there twice", device["serialNumber"]));
            }
        }
    }

    fn check_journal(&self, journal: &[Value], chosen: &BTreeMap<String, String>, verdict: &mut Verdict) {
        let planned: BTreeSet<(String, String, Option<String>)> = self
            .plans
            .iter()
            .flat_map(changes_of)
            .map(|(user, slot, change)| (user, slot, change["to"].as_str().map(canonical)))
            .collect();
        let mut seen = BTreeSet::new();
        for line in journal.iter().filter(|line| line["noop"] != true) {
            let slot = slot_of(&line["method"], &line["serial"]);
            let to = line["to"].as_str().map(canonical);
            let effect = (line["user"].as_str().unwrap_or_default().to_owned(), slot, to);
            // A token is created and assigned in one call, and activated in another.
            let half_way = effect.2.as_deref() == Some("assigned")
                && planned.contains(&(effect.0.clone(), effect.1.clone(), Some("activated".to_owned())));
            let by_graph =
                effect.1 == "default" && line["from"].is_null() && effect.2.as_ref() == chosen.get(&effect.0);
            if !half_way && !by_graph && !planned.contains(&effect) {
                verdict.unexpected.push(line.to_string());
            }
            if !seen.insert(effect) {
                verdict.duplicated.push(line.to_string());
            }
        }
    }

    fn check_end(&self, end: &Value, verdict: &mut Verdict) {
        let entries = end["entries"].as_object().expect("entries");
        let sum: u64 = entries.values().filter_map(Value::as_u64).sum();
        let lines = self.plans.len() as u64;
        if end["accepted"].as_u64() != Some(sum) || sum != lines {
            verdict.contradictions.push(format!("{sum} entries for {lines} users: {end}"));
        }
        if end["read"].as_u64()
            != Some(end["accepted"].as_u64().unwrap_or(0) + end["rejected"].as_u64().unwrap_or(0))
        {
            verdict.contradictions.push(format!("read is not accepted and rejected: {end}"));
        }
        for state in ["waiting", "claimed", "parked", "conflict"] {
            if entries.get(state).and_then(Value::as_u64) != Some(0) {
                verdict.stuck.push(format!("{state}: {end}"));
            }
        }
    }

    fn check_report(&self, report: &Value, verdict: &mut Verdict) {
        let mut rows: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
        for row in report["rows"].as_array().expect("rows") {
            rows.entry(row["user"].as_str().expect("a user")).or_default().push(row);
        }
        for plan in &self.plans {
            let user = plan["user"].as_str().expect("a user");
            let rows = rows.remove(user).unwrap_or_default();
            let state = rows.first().map_or("missing", |row| row["state"].as_str().unwrap_or_default());
            let fits = match plan["outcome"].as_str().unwrap_or_default() {
                // A run that was done when its process died is followed by one that has nothing to do.
                "change" => matches!(state, "applied" | "unchanged"),
                "unchanged" => state == "unchanged",
                other => state == other,
            };
            if !fits {
                let codes: Vec<&Value> = rows.iter().map(|row| &row["codes"]).collect();
                verdict
                    .stuck
                    .push(format!("{user}: {} planned, {state} in the report {codes:?}", plan["outcome"]));
            }
            if state != "applied" {
                continue;
            }
            let told: BTreeSet<(String, Option<String>)> = rows
                .iter()
                .filter(|row| row["result"] == "applied")
                .map(|row| (slot_of(&row["method"], &row["serial"]), row["to"].as_str().map(canonical)))
                .collect();
            let planned: BTreeSet<(String, Option<String>)> = changes_of(plan)
                .map(|(_, slot, change)| (slot, change["to"].as_str().map(canonical)))
                .collect();
            if told != planned {
                verdict
                    .contradictions
                    .push(format!("{user}: planned {planned:?}, reported {told:?}: {rows:?}"));
            }
        }
        verdict
            .contradictions
            .extend(rows.keys().map(|user| format!("{user} was reported and never planned")));
    }

    /// Asks the ledger for every user's pre-images: one for each planned change, with the value of before.
    pub fn check_pre_images(&self, site: &Site, verdict: &mut Verdict) {
        for plan in self.plans.iter().filter(|plan| changes_of(plan).next().is_some()) {
            let name = plan["user"].as_str().expect("a user");
            let shown = site.run(&["show", name, "--json"]).expect(&[0]).json();
            let mut on_file: Vec<(String, Option<String>)> = shown["preImages"]
                .as_array()
                .expect("preImages")
                .iter()
                .map(|image| {
                    (
                        image["method"].as_str().unwrap_or_default().to_owned(),
                        image["value"].as_str().map(canonical),
                    )
                })
                .collect();
            let mut wanted: Vec<(String, Option<String>)> = changes_of(plan)
                .map(|(_, slot, change)| {
                    let method = slot.split(' ').next().unwrap_or_default().to_owned();
                    (method, change["from"].as_str().map(canonical))
                })
                .collect();
            on_file.sort();
            wanted.sort();
            if on_file != wanted {
                verdict.overwritten.push(format!("{name}: {wanted:?} before, {on_file:?} on file"));
            }
        }
    }
}

impl Drop for Expected {
    fn drop(&mut self) {
        self.guard.dismiss();
    }
}

fn changes_of(plan: &Value) -> impl Iterator<Item = (String, String, &Value)> {
    let user = plan["target"]["id"].as_str().unwrap_or_default();
    plan["changes"]
        .as_array()
        .into_iter()
        .flatten()
        .map(move |change| (user.to_owned(), slot_of(&change["method"], &change["serial"]), change))
}

fn slot_of(method: &Value, serial: &Value) -> String {
    let method = method.as_str().unwrap_or_default();
    serial.as_str().map_or_else(|| method.to_owned(), |serial| format!("{method} {serial}"))
}

/// Defaults that Graph chose by itself (the fault `auto-default`): effects of a request that was about another method.
fn chosen_by_graph(journal: &[Value]) -> BTreeMap<String, String> {
    let mut others = BTreeSet::new();
    for line in journal.iter().filter(|line| line["method"] != "default") {
        others.insert(line["requestId"].to_string());
    }
    journal
        .iter()
        .filter(|line| line["method"] == "default" && others.contains(&line["requestId"].to_string()))
        .filter_map(|line| Some((line["user"].as_str()?.to_owned(), line["to"].as_str()?.to_owned())))
        .collect()
}

/// Graph stores `+1 2065550100` and may show `+12065550100`; words stay as they are.
fn canonical(value: &str) -> String {
    if value.starts_with('+') { value.replace(' ', "") } else { value.to_owned() }
}

/// The slots of every user by id, and what else there is of them.
fn users_of(state: &Value) -> BTreeMap<String, (Slots, Value)> {
    let mut users = BTreeMap::new();
    for user in state["users"].as_array().expect("users") {
        let mut slots = Slots::new();
        let mut rest = user.clone();
        let authentication = &user["authentication"];
        for phone in authentication["phoneMethods"].as_array().into_iter().flatten() {
            let number = phone["phoneNumber"].as_str().expect("a number");
            slots.insert(phone["phoneType"].as_str().expect("a type").to_owned(), canonical(number));
        }
        for token in authentication["hardwareOathMethods"].as_array().into_iter().flatten() {
            let status = token["status"].as_str().unwrap_or("activated").to_owned();
            slots.insert(slot_of(&Value::from("hardwareOath"), &token["serialNumber"]), status);
        }
        let default = &authentication["signInPreferences"]["userPreferredMethodForSecondaryAuthentication"];
        if let Some(default) = default.as_str() {
            slots.insert("default".to_owned(), default.to_owned());
        }
        let rest_of = rest["authentication"].as_object_mut().expect("authentication");
        rest_of.remove("phoneMethods");
        rest_of.remove("hardwareOathMethods");
        rest["authentication"]["signInPreferences"]
            .as_object_mut()
            .map(|preferences| preferences.remove("userPreferredMethodForSecondaryAuthentication"));
        users.insert(user["id"].as_str().expect("an id").to_owned(), (slots, rest));
    }
    users
}

/// A user of the dense tenant: the record's line, and the user of Entra.
fn dense_user(i: u32) -> (String, Value) {
    let upn = format!("user{i:04}@contoso.example");
    let number = |of: u32| format!("206555{:04}", 100 + of);
    let (phone, backup) = (number(2 * i), number(2 * i + 1));
    let kind = i % 4;
    let mode = ["oathToken", "voiceCall", "smsText", "voiceCall"][kind as usize];
    let settings = serde_json::json!({
        "enabled": true, "countryCode": "1", "phone": phone,
        "extension": if kind == 1 { "4021" } else { "" },
        "backupCountryCode": "1", "backupPhone": if kind == 3 { backup.as_str() } else { "" }, "backupExtension": "",
        "mode": mode, "pinMode": "standard", "smsDirection": "oneWay", "smsMode": "otp", "phoneAppMode": "standard",
        "oathTokenExists": kind == 0,
        "oathTokenSerialNumber": if kind == 0 { format!("90{i:05}") } else { String::new() },
        "oathTokenSecretKey": if kind == 0 { base32_of(i) } else { String::new() },
        "oathTokenTimeInterval": 30,
    });
    let record = serde_json::json!({
        "username": upn, "email": upn, "userGroup": "EMEA", "settings": settings, "devices": []
    });
    let phones = match kind {
        2 => {
            serde_json::json!([{ "phoneType": "mobile", "phoneNumber": format!("+1 425555{:04}", 100 + i) }])
        }
        _ => serde_json::json!([]),
    };
    let user = serde_json::json!({
        "id": format!("00000000-0000-4000-8000-{i:012}"), "userPrincipalName": upn, "userType": "Member",
        "accountEnabled": true,
        "authentication": { "phoneMethods": phones, "signInPreferences": {
            "isSystemPreferredAuthenticationMethodEnabled": false,
            "userPreferredMethodForSecondaryAuthentication": null } },
    });
    (format!("{record}\n"), user)
}

/// Twenty bytes of a secret in base32, another one a user.
fn base32_of(i: u32) -> String {
    const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    (0..32_u32)
        .map(|at| LETTERS[((i.wrapping_mul(2_654_435_761).rotate_left(at) >> 3) & 31) as usize] as char)
        .collect()
}
