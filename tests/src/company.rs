//! Companies of made-up users, whose tenant tells what really happened, and batches of them in a fleet.
//!
//! It drives the operator's verbs and reads the tenant; what a test asserts is the test's.

use crate::{Fleet, Past, Site, Tenant, journal};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A datafile of made-up users in regions of about a fifth each, and their tenant.
pub struct Company {
    /// Where they live.
    pub tenant: Tenant,
    /// What the tenant was at first.
    pub before: Past,
    data: String,
    _files: TempDir,
}

impl Company {
    /// So many users; the same number makes the same users. The flags are the tenant's.
    pub fn of(users: u32, flags: &[&str]) -> Self {
        let files = tempfile::tempdir().expect("folder");
        let file = |name: &str| files.path().join(name).display().to_string();
        let (data, state) = (file("users.ndjson"), file("tenant.json"));
        let users = users.to_string();
        let args = ["generate", "--users", &users, "--seed", "3", "--datafile", &data, "--tenant", &state];
        Site::at("http://127.0.0.1:9").run(&args).expect(&[0]);
        let tenant = Tenant::start(state.as_ref(), flags);
        Self { before: Past::of(&tenant), tenant, data, _files: files }
    }

    /// The datafile.
    pub fn datafile(&self) -> &str {
        &self.data
    }

    /// The arguments that make a batch of a region.
    pub fn create<'a>(&'a self, name: &'a str, region: &'a str, flags: &[&'a str]) -> Vec<&'a str> {
        let args = ["batch", "create", name, "--region", region, "--datafile", &self.data, "--json"];
        [&args[..], flags].concat()
    }

    /// Makes a batch of a region, and answers what was said of it.
    #[track_caller]
    pub fn make(&self, fleet: &Fleet, name: &str, region: &str, flags: &[&str]) -> Value {
        fleet.end_of(fleet.site.start(&self.create(name, region, flags))).json()
    }

    /// What the tenant's clock says now. The journal itself tells, by a write of somebody else to somebody of no region.
    pub fn clock_ms(&self) -> i64 {
        let write = json!({ "isSystemPreferredAuthenticationMethodEnabled": false });
        let path = format!("/beta/users/{}/authentication/signInPreferences", self.outsider());
        let status = self.tenant.call("PATCH", &path, &write);
        assert!((200..300).contains(&status), "the tenant answered {status}");
        let lines = self.tenant.journal();
        let mark =
            lines.iter().rfind(|line| line["user"] == self.outsider() && line["method"] == "systemPreferred");
        journal::at_ms(mark.expect("its line"))
    }

    /// Somebody whom no batch of a region takes: whoever lives nowhere, or else in the smallest region.
    fn outsider(&self) -> &str {
        let size =
            |user: &Value| self.before.of_region(user["usageLocation"].as_str().unwrap_or_default()).len();
        let loneliest = self.before.users().iter().min_by_key(|(_, user)| size(user));
        loneliest.map_or("", |(id, _)| id.as_str())
    }

    /// Lines of the journal from one on, that are about users of a region.
    pub fn journal_of(&self, region: &str, from: usize) -> Vec<Value> {
        let ids = self.before.of_region(region);
        let mut lines = self.tenant.journal().split_off(from);
        lines.retain(|line| line["user"].as_str().is_some_and(|user| ids.contains(&user)));
        lines
    }
}

/// What `batch` verbs say in a fleet.
impl Fleet {
    /// `batch show`, as JSON.
    pub fn shown(&self, batch: &str) -> Value {
        self.site.run(&["batch", "show", batch, "--json"]).expect(&[0]).json()
    }

    /// How many users of a batch's last run are in one of these states.
    pub fn counted(&self, batch: &str, states: &[&str]) -> u64 {
        let entries = &self.shown(batch)["last"]["entries"];
        states.iter().map(|state| entries[state].as_u64().unwrap_or(0)).sum()
    }

    /// How many users of the last runs of all batches are in one of these states.
    pub fn counted_in_all(&self, states: &[&str]) -> u64 {
        let batches = self.site.run(&["batch", "list", "--json"]).expect(&[0]).json();
        let runs = batches.as_array().expect("batches").iter().map(|batch| &batch["last"]["entries"]);
        runs.flat_map(|entries| states.iter().map(|state| entries[state].as_u64().unwrap_or(0))).sum()
    }

    /// Changes a setting of a batch.
    #[track_caller]
    pub fn set(&self, batch: &str, setting: &str) {
        self.site.run(&["batch", "set", batch, setting]).expect(&[0]);
    }
}

/// The sum of the counts by state that a verb's last object carries.
pub fn entries_of(end: &Value) -> u64 {
    let entries = end["entries"].as_object().expect("entries");
    entries.values().filter_map(Value::as_u64).sum()
}
