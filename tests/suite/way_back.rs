//! The way back after deaths: whoever dies on it, or before it, the tenant ends as it was, and nothing happens twice.
//!
//! The tenant alone is judged, by its state and its journal, never by what the product says of it. A default that was
//! unset and that Graph cannot unset may stand afterwards; everything else is what it was.

use harness::{Expected, Past, Site, Tenant, journal};
use serde_json::{Value, json};
use std::os::unix::process::ExitStatusExt;
use telemetry::{CRASH_POINTS, ROLLBACK_CRASH_POINTS};

/// Users of the batch, each of them with writes of one of four kinds.
const USERS: u32 = 40;
/// Users of the datafile and the tenant that are not in the batch.
const OTHERS: u32 = 8;
/// Ways walked at a time. They mostly wait, for horizons to end.
const AT_A_TIME: usize = 8;
/// A horizon of four seconds.
const QUICK: &str = "[graph]\nrequest_timeout_s = 2\nvisibility_deadline_s = 1\nclock_skew_s = 1\n[worker]\nlease_s = 20\n\
     [policy]\ndefault_method = \"always\"\n";
/// Faults of every kind, together with a seed.
const FAULTS: &str = "error-rate=0.05,timeout-but-applied=0.05,late-apply-ms=500,conflict-but-applied=0.05,\
     not-yet-visible-ms=1000,drop-connection=0.02";

/// A company with a batch of most of its users, in which tokens, numbers and defaults are new, spare, replaced or kept.
struct Way {
    tenant: Tenant,
    site: Site,
    before: Past,
    expected: Expected,
}

impl Way {
    fn of(flags: &[&str]) -> Self {
        let expected = Expected::dense(USERS + OTHERS);
        let mut state: Value =
            serde_json::from_slice(&std::fs::read(expected.state_file()).unwrap()).unwrap();
        let records = std::fs::read_to_string(expected.datafile()).unwrap();
        let records: Vec<Value> = records.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        state["hardwareOathDevices"] = spare_tokens(&records);
        // Every second replaced number carries a default that is to be brought back.
        for user in state["users"].as_array_mut().unwrap().iter_mut().skip(2).step_by(8) {
            let preferences = &mut user["authentication"]["signInPreferences"];
            preferences["userPreferredMethodForSecondaryAuthentication"] = json!("voiceMobile");
        }
        let tenant = Tenant::with(&state, flags);
        let site = Site::new(&tenant);
        // A fault may hide a write for a second: the deadline leaves room for that.
        let visible =
            if flags.is_empty() { "visibility_deadline_s = 1" } else { "visibility_deadline_s = 4" };
        site.configure(&QUICK.replace("visibility_deadline_s = 1", visible));
        let batch: Vec<&str> =
            records.iter().take(USERS as usize).map(|r| r["username"].as_str().unwrap()).collect();
        let list = site.path("batch.txt");
        std::fs::write(&list, batch.join("\n")).unwrap();
        let args = ["batch", "create", "b", "--users", list.to_str().unwrap(), "--datafile"];
        let made = site.run(&[&args[..], &[expected.datafile(), "--json"]].concat()).expect(&[0]).json();
        assert_eq!(made["users"], USERS);
        let before = Past::of(&tenant);
        Self { tenant, site, before, expected }
    }

    fn migrate(&self) {
        self.site.run(&["migrate", "--batch", "b", "--json"]).expect(&[0, 3]);
        let now = Past::of(&self.tenant);
        let (before, after) = (self.before.tokens(), now.tokens());
        assert!(before.iter().any(|(serial, token)| after[serial] != *token), "a spare token was given away");
        assert!(after.len() > before.len(), "tokens were created");
        let written = self.tenant.journal();
        let is_moved = |line: &Value| line["method"] == "default" && line["from"] == "voiceMobile";
        assert!(written.iter().any(is_moved), "a default was moved");
        let is_replaced = |line: &Value| line["method"] == "mobile" && line["from"].is_string();
        assert!(written.iter().any(is_replaced), "a number was replaced");
    }

    /// Dies at a point; the test fails if the process ended in another way.
    #[track_caller]
    fn crash(&mut self, verb: &str, point: &str, passage: u32) {
        self.site.env("MFA_MIGRATE_CRASH_AT", &format!("{point}:{passage}"));
        let (status, outcome) = self.site.start(&[verb, "--batch", "b", "--json"]).wait_status();
        self.site.unset("MFA_MIGRATE_CRASH_AT");
        assert_eq!(status.signal(), Some(6), "{point}:{passage} was not hit: {outcome:?}");
    }

    /// Rolls back to the end, and answers the entries.
    fn roll_back(&self) -> Value {
        self.site.run(&["rollback", "--batch", "b", "--json"]).expect(&[0, 3]).json()["entries"].clone()
    }

    /// Everything that is not as it was, and every effect that occurs twice before the line `forth` or after it.
    fn findings(&self, forth: usize) -> Vec<String> {
        let mut found = self.before.differences(&self.tenant);
        let lines = self.tenant.journal();
        let (ahead, back) = lines.split_at(forth);
        found.extend(journal::repeated(ahead).into_iter().chain(journal::repeated(back)));
        found
    }
}

/// Every second token of the records lies in the inventory already, with the same secret.
fn spare_tokens(records: &[Value]) -> Value {
    let tokens = records.iter().enumerate().step_by(8).map(|(i, record)| {
        let settings = &record["settings"];
        json!({
            "id": format!("00000000-0000-4000-9000-{i:012}"), "serialNumber": settings["oathTokenSerialNumber"],
            "manufacturer": "Contoso", "model": "T", "secretKey": settings["oathTokenSecretKey"],
            "timeIntervalInSeconds": 30, "status": "available",
        })
    });
    tokens.collect()
}

/// Walks many ways, some at a time; fails with what was found on any of them.
#[track_caller]
fn walk<T: Sync + std::fmt::Debug>(ways: &[T], way: impl Fn(&T) -> Vec<String> + Sync) {
    let next = std::sync::atomic::AtomicUsize::new(0);
    let found = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_A_TIME.min(ways.len()) {
            scope.spawn(|| {
                while let Some(it) = ways.get(next.fetch_add(1, std::sync::atomic::Ordering::SeqCst)) {
                    let found_here = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| way(it)));
                    let found_here = found_here.unwrap_or_else(|_| vec!["a panic, told above".to_owned()]);
                    found.lock().unwrap().extend(found_here.into_iter().map(|f| format!("{it:?}: {f}")));
                }
            });
        }
    });
    let found = found.into_inner().unwrap();
    assert!(found.is_empty(), "{found:#?}");
}

/// After the way was walked once to its end: walked again it changes nothing.
fn end_of_way(way: &Way, forth: usize) -> Vec<String> {
    let entries = way.roll_back();
    let mut found = way.findings(forth);
    for state in ["waiting", "claimed", "parked", "conflict"] {
        if entries[state] != 0 {
            found.push(format!("{state}: {entries}"));
        }
    }
    let lines = way.tenant.journal().len();
    let entries = way.roll_back();
    if way.tenant.journal().len() != lines || entries["reverted"] != 0 {
        found.push(format!("the third time something was done: {entries}"));
    }
    found
}

#[test]
fn dying_anywhere_on_the_way_back() {
    let ways: Vec<(&str, u32)> = ROLLBACK_CRASH_POINTS.iter().flat_map(|p| [(*p, 1), (*p, 2)]).collect();
    walk(&ways, |(point, passage)| {
        let mut way = Way::of(&[]);
        way.migrate();
        let forth = way.tenant.journal().len();
        match (*point, *passage) {
            // A run passes these once. The process after the one that died before the work passes it again; the work
            // itself is on file by then, so that only the next rollback does it again.
            ("touched.before", _) => (0..*passage).for_each(|_| way.crash("rollback", point, 1)),
            ("touched.after", 2) => {
                way.roll_back();
                way.crash("rollback", point, 1);
            }
            _ => way.crash("rollback", point, *passage),
        }
        end_of_way(&way, forth)
    });
}

#[test]
fn turning_back_after_dying_anywhere_on_the_way_forward() {
    let points: Vec<&str> = CRASH_POINTS.iter().copied().filter(|p| p.starts_with("worker.")).collect();
    walk(&points, |point| {
        let mut way = Way::of(&[]);
        way.crash("migrate", point, 1);
        let forth = way.tenant.journal().len();
        end_of_way(&way, forth)
    });
}

/// A person ends the way back in its middle and moves everybody forward again. What we had created and half taken away is
/// still ours to take away.
#[test]
fn forward_again_after_dying_on_the_way_back() {
    let ways = [
        ("rollback.intents-filed", 1),
        ("rollback.between-writes", 1),
        ("rollback.between-writes", 2),
        ("rollback.between-writes", 3),
        ("rollback.before-finish", 1),
    ];
    walk(&ways, |(point, passage)| {
        let mut way = Way::of(&[]);
        way.migrate();
        way.crash("rollback", point, *passage);
        way.site.run(&["batch", "abort", "b", "--why", "not tonight"]).expect(&[0]);
        way.migrate();
        let entries = way.roll_back();
        let mut found = way.before.differences(&way.tenant);
        if entries["conflict"] != 0 || entries["parked"] != 0 {
            found.push(entries.to_string());
        }
        found
    });
}

/// What somebody else put into the inventory after our creation was lost is theirs, though its serial is on file as one
/// that was not there.
#[test]
fn a_token_that_somebody_brought_in_after_a_crash_stays() {
    let mut way = Way::of(&[]);
    way.crash("migrate", "worker.intents-filed", 1);
    let now = Past::of(&way.tenant);
    let held = now.tokens();
    let records = std::fs::read_to_string(way.expected.datafile()).unwrap();
    let mut brought = 0;
    for record in records.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
        let settings = &record["settings"];
        let Some(serial) = settings["oathTokenSerialNumber"].as_str().filter(|s| !s.is_empty()) else {
            continue;
        };
        if held.contains_key(&json!(serial).to_string()) {
            continue;
        }
        let device = json!({
            "serialNumber": serial, "manufacturer": "Contoso", "model": "T",
            "secretKey": settings["oathTokenSecretKey"], "timeIntervalInSeconds": 30,
        });
        let path = "/beta/directory/authenticationMethodDevices/hardwareOathDevices";
        assert_eq!(way.tenant.call("POST", path, &device), 201);
        brought += 1;
    }
    assert!(brought > 0);
    way.before = Past::of(&way.tenant);
    way.site.run(&["migrate", "--batch", "b", "--json"]).expect(&[0, 3]);
    assert_ne!(Past::of(&way.tenant).tokens(), way.before.tokens(), "they were given away");
    way.roll_back();
    assert_eq!(way.before.differences(&way.tenant), [""; 0]);
}

#[test]
fn forward_and_back_through_faults() {
    let seeds: Vec<u32> = (11..17).collect();
    walk(&seeds, |seed| {
        let way = Way::of(&["--faults", &format!("{FAULTS},seed={seed}")]);
        way.migrate();
        let forth = way.tenant.journal().len();
        way.roll_back();
        way.findings(forth)
    });
}

/// A default that we set and that Graph lets nobody move: the only other method is a token that was never activated, of
/// which Graph says that it is no default.
#[test]
fn a_default_that_graph_refuses_to_move_ends_the_way_back_with_a_result() {
    let user = json!({
        "id": "00000000-0000-4000-8000-000000000001", "userPrincipalName": "ada@contoso.example", "userType": "Member",
        "accountEnabled": true,
        "authentication": {
            "phoneMethods": [], "hardwareOathMethods": [{ "id": "00000000-0000-4000-9000-000000000001", "serialNumber": "77" }],
            "signInPreferences": { "isSystemPreferredAuthenticationMethodEnabled": false,
                "userPreferredMethodForSecondaryAuthentication": null } },
    });
    let token = json!({
        "id": "00000000-0000-4000-9000-000000000001", "serialNumber": "77", "manufacturer": "Contoso", "model": "T",
        "secretKey": "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", "timeIntervalInSeconds": 30, "status": "assigned",
        "assignedTo": { "id": "00000000-0000-4000-8000-000000000001" },
    });
    let tenant = Tenant::with(&json!({ "users": [user], "hardwareOathDevices": [token] }), &[]);
    let site = Site::new(&tenant);
    site.configure(QUICK);
    let record = json!({ "username": "ada@contoso.example", "email": "ada@contoso.example", "userGroup": "EMEA", "devices": [],
        "settings": { "enabled": true, "countryCode": "1", "phone": "2065550100", "mode": "smsText", "pinMode": "standard",
            "smsDirection": "oneWay", "smsMode": "otp" } });
    let data = site.path("users.ndjson");
    std::fs::write(&data, format!("{record}\n")).unwrap();
    site.run(&["migrate", "--datafile", data.to_str().unwrap()]).expect(&[0, 3]);
    let preferences = tenant.user("ada@contoso.example")["authentication"]["signInPreferences"].clone();
    assert_eq!(preferences["userPreferredMethodForSecondaryAuthentication"], "sms");
    let back = site.start(&["rollback", "--all", "--json"]);
    let ended = back.wait_within(std::time::Duration::from_secs(60)).expect("it ends").expect(&[3]);
    assert_eq!(ended.json()["entries"]["parked"], 1, "{}", ended.out);
    let run = ended.json()["run"].to_string();
    let report = site.run(&["report", "--run", &run, "--format", "json"]).expect(&[0, 3]);
    assert!(report.out.contains("graph-refused"), "{}", report.out);
}
