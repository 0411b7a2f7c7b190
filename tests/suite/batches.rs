//! Batches as an operator uses them: made, stepped, paused, kept to their windows, verified, and taken back.

use harness::{Outcome, Site, Tenant};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Made-up users and their tenant, in regions of about a fifth each.
struct Company {
    tenant: Tenant,
    site: Site,
    data: String,
    _files: tempfile::TempDir,
}

const MOBILE: &str = "3179e48a-750b-4051-897c-87b9720928f7";

impl Company {
    fn of(users: u32, flags: &[&str]) -> Self {
        let files = tempfile::tempdir().unwrap();
        let file = |name: &str| files.path().join(name).display().to_string();
        let (data, state) = (file("users.ndjson"), file("tenant.json"));
        let users = users.to_string();
        let args = ["generate", "--users", &users, "--seed", "3", "--datafile", &data, "--tenant", &state];
        Site::at("http://127.0.0.1:9").run(&args).expect(&[0]);
        let tenant = Tenant::start(state.as_ref(), flags);
        let site = Site::new(&tenant);
        Self { tenant, site, data, _files: files }
    }

    /// Makes a batch of a region, and answers what was said of it.
    fn batch(&self, name: &str, region: &str, flags: &[&str]) -> Value {
        let mut args = vec!["batch", "create", name, "--region", region, "--datafile", &self.data, "--json"];
        args.extend(flags);
        self.site.run(&args).expect(&[0]).json()
    }

    fn migrate(&self, batch: &str) -> Outcome {
        self.site.run(&["migrate", "--batch", batch, "--json"])
    }

    fn show(&self, batch: &str) -> Value {
        self.site.run(&["batch", "show", batch, "--json"]).expect(&[0]).json()
    }

    /// The tenant's users by object id.
    fn users(&self) -> BTreeMap<String, Value> {
        by_id(&self.tenant.state())
    }
}

fn by_id(state: &Value) -> BTreeMap<String, Value> {
    let users = state["users"].as_array().unwrap();
    users.iter().map(|user| (user["id"].as_str().unwrap().to_owned(), user.clone())).collect()
}

/// What a rollback has to bring back: everything but a default that Graph cannot unset.
fn methods(user: &Value) -> Value {
    let mut authentication = user["authentication"].clone();
    authentication["signInPreferences"] = Value::Null;
    authentication
}

#[test]
fn a_batch_takes_whom_its_selector_takes_and_touches_nobody_else() {
    let company = Company::of(300, &[]);
    let before = company.users();
    let made = company.batch("de", "DE", &[]);
    let in_de = before.values().filter(|user| user["usageLocation"] == "DE").count();
    assert_eq!(made["users"], in_de);
    assert_eq!(made["regions"], json!({ "DE": in_de }));
    let end = company.migrate("de").expect(&[0, 3]).json();
    assert_eq!(end["batch"], "de");
    let entries: u64 = end["entries"].as_object().unwrap().values().map(|n| n.as_u64().unwrap()).sum();
    assert_eq!(entries, made["users"], "entries add up to the batch's users");
    for (id, user) in company.users() {
        if user["usageLocation"] != "DE" {
            assert_eq!(user, before[&id], "nobody else was touched");
        }
    }
    assert!(company.tenant.stats()["writes"].as_u64().unwrap() > 0);
}

#[test]
fn selections_combine_leave_out_and_name_who_is_unknown_and_who_overlaps() {
    let company = Company::of(300, &[]);
    let de = company.batch("de", "DE", &[])["users"].as_u64().unwrap();
    let it = company.batch("de-it", "de", &["--department", "it"]);
    let not_it = company.batch("de-not-it", "DE", &["--not-department", "IT"]);
    let (it_users, not_it_users) = (it["users"].as_u64().unwrap(), not_it["users"].as_u64().unwrap());
    assert!(it_users > 0);
    assert_eq!(it_users + not_it_users, de);
    assert_eq!(it["overlaps"], json!([{ "batch": "de", "users": it_users }]));
    let list = company.site.path("pilot.txt");
    let first = std::fs::read_to_string(&company.data).unwrap();
    let first: Value = serde_json::from_str(first.lines().next().unwrap()).unwrap();
    let name = first["username"].as_str().unwrap().to_uppercase();
    std::fs::write(&list, format!("# the pilot\n{name}\n\nnobody@contoso.example\n")).unwrap();
    let args = ["batch", "create", "pilot", "--users", list.to_str().unwrap(), "--json"];
    let pilot = company.site.run(&args).expect(&[0]).json();
    assert_eq!((&pilot["users"], &pilot["unknown"]), (&json!(1), &json!(1)));
    let taken = company.site.run(&args).expect(&[1, 2]);
    assert!(taken.err.contains("pilot") && taken.err.contains("take another name"), "{}", taken.err);
    let none = company.site.run(&["batch", "create", "x", "--region", "Atlantis"]).expect(&[2]);
    assert!(none.err.contains("nobody"), "{}", none.err);
    let listed = company.site.run(&["batch", "list", "--json"]).expect(&[0]).json();
    assert_eq!(listed.as_array().unwrap().iter().filter(|b| b["frozen"] == true).count(), 4);
}

#[test]
fn a_group_of_entra_is_taken_by_name_or_id_with_the_groups_within_it() {
    let company = Company::of(60, &[]);
    let mut state = company.tenant.state();
    let ids: Vec<String> =
        state["users"].as_array().unwrap().iter().map(|u| u["id"].as_str().unwrap().to_owned()).collect();
    let group = |n: u32| format!("00000000-0000-4000-8000-{n:012}");
    state["groups"] = json!([
        { "id": group(1), "displayName": "Pilot's friends", "members": [ids[0], ids[1], group(2)] },
        { "id": group(2), "displayName": "Inner", "members": [ids[2], ids[1], group(1)] },
        { "id": group(3), "displayName": "Twin", "members": [ids[4]] },
        { "id": group(4), "displayName": "twin", "members": [ids[5]] },
    ]);
    let tenant = Tenant::with(&state, &[]);
    let site = Site::new(&tenant);
    let create = |name: &str, flags: &[&str]| {
        site.run(&[&["batch", "create", name, "--datafile", &company.data, "--json"], flags].concat())
    };
    // Not everybody of a tenant is in the datafile.
    let by_id = create("by-id", &["--entra-group", &group(1)]).expect(&[0]).json()["users"].clone();
    assert!(by_id.as_u64().is_some_and(|n| (1..=3).contains(&n)), "{by_id}");
    let by_name = create("by-name", &["--entra-group", "pilot's friends"]).expect(&[0]).json();
    assert_eq!(by_name["users"], by_id);
    let without = create("without", &["--entra-group", "Pilot's friends", "--not-entra-group", "Inner"]);
    assert!(
        without.err.contains("nobody of the datafile") || without.json()["users"].as_u64() < by_id.as_u64()
    );
    let twins = create("twins", &["--entra-group", "Twin"]).expect(&[2]).err;
    assert!(twins.contains("2 groups") && twins.contains(&group(3)), "{twins}");
    let none = create("none", &["--entra-group", "Nobody"]).expect(&[2]).err;
    assert!(none.contains("no group called"), "{none}");
}

#[test]
fn a_canary_waits_for_a_person_where_it_proves_nothing_and_goes_on_where_it_does() {
    let company = Company::of(300, &[]);
    company.batch("de", "DE", &["--canary", "10,50%"]);
    let stopped = company.migrate("de").expect(&[4]);
    assert!(stopped.err.contains("too few to judge"), "{}", stopped.err);
    let first = company.show("de");
    assert_eq!((&first["last"]["step"], &first["last"]["steps"][0]), (&json!(1), &json!(10)));
    assert_eq!(
        company.migrate("de").expect(&[4]).json()["entries"],
        first["last"]["entries"],
        "asking again changes nothing"
    );
    company.site.run(&["batch", "resume", "de", "--why", "looks well"]).expect(&[0]);
    company.migrate("de").expect(&[0, 3]);
    let done = company.show("de");
    assert_eq!(done["last"]["state"], "done");
    let events: Vec<&str> =
        done["events"].as_array().unwrap().iter().map(|e| e["what"].as_str().unwrap()).collect();
    assert_eq!(
        events,
        ["step", "resumed", "judged", "resumed", "judged", "opened", "created"],
        "the last first"
    );
    assert_eq!(done["events"][1]["why"], "looks well");
}

#[test]
fn a_step_with_too_many_failures_stops_the_run_and_releases_nobody_more() {
    let company = Company::of(300, &[]);
    company.batch("de", "DE", &["--canary", "50%", "--abort-at", "5%"]);
    let plan = company.site.path("plan.ndjson").display().to_string();
    company.site.run(&["rehearse", "--batch", "de", "--out", &plan]).expect(&[0, 3]);
    // After the review somebody gives everybody of the plan another mobile number: they are held back as stale.
    for line in std::fs::read_to_string(&plan).unwrap().lines().skip(1) {
        let line: Value = serde_json::from_str(line).unwrap();
        let Some(change) = line["changes"].as_array().unwrap().iter().find(|c| c["method"] == "mobile")
        else {
            continue;
        };
        let phones =
            format!("/v1.0/users/{}/authentication/phoneMethods", line["target"]["id"].as_str().unwrap());
        let (method, path) =
            if change["from"].is_null() { ("POST", phones) } else { ("PATCH", format!("{phones}/{MOBILE}")) };
        let other = json!({ "phoneType": "mobile", "phoneNumber": "+1 2065550199" });
        assert!((200..300).contains(&company.tenant.call(method, &path, &other)));
    }
    let stopped = company.site.run(&["migrate", "--batch", "de", "--plan", &plan]).expect(&[4]);
    assert!(stopped.err.contains("more than 5%"), "{}", stopped.err);
    let shown = company.show("de");
    let waiting = shown["last"]["entries"]["waiting"].as_u64().unwrap();
    assert!(waiting >= 20, "the second half was not released: {shown}");
    assert_eq!(shown["events"][0]["what"], "judged");
}

#[test]
fn outside_its_window_nothing_is_released_and_the_same_command_goes_on_within() {
    let company = Company::of(60, &[]);
    company.batch("de", "DE", &[]);
    // A minute twelve hours from now, by the ledger's own word of when the batch was made.
    let made = company.show("de")["madeAt"].as_str().unwrap().to_owned();
    let hour = (made[11..13].parse::<u32>().unwrap() + 12) % 24;
    company.site.run(&["batch", "set", "de", &format!("window={hour:02}:30-{hour:02}:31")]).expect(&[0]);
    let closed = company.migrate("de").expect(&[4]);
    assert!(closed.err.contains("outside window") && closed.err.contains("opens at"), "{}", closed.err);
    assert_eq!(company.tenant.stats()["writes"], 0);
    let status = company.site.run(&["status", "--json"]).expect(&[0]).json();
    assert!(status["waits"].as_str().unwrap().contains("outside window"), "{status}");
    company.site.run(&["batch", "set", "de", "window=none"]).expect(&[0]);
    company.migrate("de").expect(&[0, 3]);
    assert!(company.tenant.stats()["writes"].as_u64().unwrap() > 0);
}

#[test]
fn a_rolled_back_region_is_what_it_was_and_the_other_one_stays() {
    let company = Company::of(300, &[]);
    let before = company.users();
    company.batch("de", "DE", &[]);
    company.batch("nl", "NL", &[]);
    company.migrate("de").expect(&[0, 3]);
    let moved_de = company.users();
    company.migrate("nl").expect(&[0, 3]);
    let moved = company.users();
    let end = company.site.run(&["rollback", "--batch", "de", "--json"]).expect(&[0, 3]).json();
    assert!(end["entries"]["reverted"].as_u64().unwrap() > 0, "{end}");
    assert_eq!(end["entries"]["conflict"], 0, "{end}");
    for (id, user) in company.users() {
        if user["usageLocation"] == "DE" {
            assert_eq!(methods(&user), methods(&before[&id]), "{id} is what it was");
        } else {
            assert_eq!(user, moved[&id], "nobody else was touched");
        }
    }
    let effects = company.tenant.journal().len();
    let again = company.site.run(&["rollback", "--batch", "de", "--json"]).expect(&[0, 3]).json();
    assert_eq!(again["entries"]["reverted"], 0, "rolling back twice changes nothing: {again}");
    assert_eq!(company.tenant.journal().len(), effects);
    // And forward again: the same users end as before.
    company.migrate("de").expect(&[0, 3]);
    for (id, user) in company.users() {
        if user["usageLocation"] == "DE" {
            assert_eq!(
                user["authentication"]["phoneMethods"],
                moved_de[&id]["authentication"]["phoneMethods"]
            );
        }
    }
}

#[test]
fn what_somebody_changed_since_is_left_alone_and_listed_with_three_values() {
    let company = Company::of(120, &[]);
    let before = company.users();
    company.batch("de", "DE", &[]);
    company.migrate("de").expect(&[0, 3]);
    // Somebody registers another mobile number for one whom we gave one.
    let moved = company.users();
    let mobile = |user: &Value| {
        let phones = user["authentication"]["phoneMethods"].as_array().into_iter().flatten();
        phones.filter(|phone| phone["phoneType"] == "mobile").map(|p| p["phoneNumber"].clone()).next()
    };
    let (id, ours) = moved
        .iter()
        .filter(|(id, user)| mobile(user).is_some() && mobile(user) != mobile(&before[*id]))
        .map(|(id, user)| (id.clone(), mobile(user).unwrap()))
        .next()
        .expect("somebody got a mobile number");
    let path = format!("/v1.0/users/{id}/authentication/phoneMethods/{MOBILE}");
    let change = json!({ "phoneType": "mobile", "phoneNumber": "+1 2065550199" });
    assert!((200..300).contains(&company.tenant.call("PATCH", &path, &change)));
    let end = company.site.run(&["rollback", "--batch", "de", "--json"]).expect(&[3]).json();
    assert_eq!(end["entries"]["conflict"], 1, "{end}");
    assert_eq!(mobile(&company.users()[&id]), Some(json!("+1 2065550199")), "it was left alone");
    let report = company.site.run(&["report", "--batch", "de", "--format", "json"]).expect(&[0]);
    let said = report.out;
    for value in ["+1 2065550199", ours.as_str().unwrap(), "rollback-conflict"] {
        assert!(said.contains(value), "the report names {value}: {said}");
    }
}

#[test]
fn nobody_is_taken_back_while_another_unfinished_run_may_hold_them() {
    let company = Company::of(120, &["--throttle", "writes=10/1"]);
    company.batch("de", "DE", &[]);
    let mut all = company.site.start(&["migrate", "--datafile", &company.data]);
    assert!(harness::until(std::time::Duration::from_secs(60), || {
        company.tenant.stats()["writes"].as_u64().unwrap() > 5 || all.has_ended()
    }));
    all.terminate();
    all.wait().expect(&[4]);
    let refused = company.site.run(&["rollback", "--batch", "de"]).expect(&[2]);
    assert!(refused.err.contains("batch abort all"), "{}", refused.err);
    company.site.run(&["batch", "abort", "all"]).expect(&[0]);
    company.site.run(&["rollback", "--batch", "de"]).expect(&[0, 3]);
}

#[test]
fn a_list_is_taken_back_and_who_was_never_moved_is_told() {
    let company = Company::of(120, &[]);
    let before = company.users();
    company.migrate_all();
    let moved = company.users();
    // Their names are those of Entra where the datafile has an address; one is made up.
    let changed: Vec<&Value> = moved
        .iter()
        .filter(|(id, user)| methods(user) != methods(&before[*id]))
        .map(|(_, user)| user)
        .take(2)
        .collect();
    let names: Vec<&str> = changed.iter().map(|user| user["userPrincipalName"].as_str().unwrap()).collect();
    let list = company.site.path("back.txt");
    std::fs::write(&list, format!("{}\n{}\nnobody@contoso.example\n", names[0], names[1].to_uppercase()))
        .unwrap();
    let args = ["rollback", "--users", list.to_str().unwrap(), "--json"];
    let back = company.site.run(&args).expect(&[3]);
    assert!(back.err.contains("1 of the listed names"), "{}", back.err);
    assert_eq!((&back.json()["entries"]["reverted"], &back.json()["neverMoved"]), (&json!(2), &json!(1)));
    let after = company.users();
    for (id, user) in &moved {
        let is_listed = changed.iter().any(|c| c["id"] == user["id"]);
        assert_eq!(methods(&after[id]), methods(if is_listed { &before[id] } else { user }), "{id}");
    }
}

#[test]
fn who_is_on_the_way_back_is_not_moved_or_verified_and_a_pause_means_the_run_that_writes() {
    let mut company = Company::of(120, &[]);
    company.batch("de", "DE", &[]);
    company.migrate("de").expect(&[0, 3]);
    let died = |company: &mut Company, verb: &str, point: &str| {
        company.site.env("MFA_MIGRATE_CRASH_AT", point);
        assert_eq!(company.site.run(&[verb, "--batch", "de"]).code, None, "{verb} dies at {point}");
        company.site.unset("MFA_MIGRATE_CRASH_AT");
    };
    died(&mut company, "verify", "touched.after:1");
    died(&mut company, "rollback", "rollback.planned:1");
    for verb in ["migrate", "verify"] {
        let refused = company.site.run(&[verb, "--batch", "de"]).expect(&[2]);
        assert!(refused.err.contains("on their way back"), "{}", refused.err);
    }
    let paused = company.site.run(&["batch", "pause", "de"]).expect(&[0]);
    assert!(paused.out.contains("rollback") && paused.out.contains("is paused"), "{}", paused.out);
    company.site.run(&["rollback", "--batch", "de"]).expect(&[0, 3]);
    company.site.run(&["verify", "--batch", "de"]).expect(&[0, 3]);
    // A verification that was opened later is not what a pause means.
    died(&mut company, "migrate", "worker.planned:1");
    died(&mut company, "verify", "touched.after:1");
    let paused = company.site.run(&["batch", "pause", "de"]).expect(&[0]);
    assert!(paused.out.contains("migrate"), "{}", paused.out);
    company.migrate("de").expect(&[0, 3]);
    let events = company.show("de")["events"].clone();
    assert_eq!((&events[0]["what"], &events[0]["why"]), (&json!("resumed"), &json!("by the same command")));
}

#[test]
fn a_verification_finds_what_is_missing_and_repairs_that_alone() {
    let company = Company::of(120, &[]);
    let before = company.users();
    company.migrate_all();
    let fine = company.site.run(&["verify", "--json"]).expect(&[0]).json();
    assert_eq!(
        (&fine["entries"]["missing"], &fine["entries"]["changed-since"]),
        (&json!(0), &json!(0)),
        "{fine}"
    );
    assert!(fine["entries"]["confirmed"].as_u64().unwrap() > 0);
    // Somebody deletes an office number that we had put there.
    let office = |user: &Value| {
        let phones = user["authentication"]["phoneMethods"].as_array().into_iter().flatten();
        phones.filter(|phone| phone["phoneType"] == "office").count()
    };
    let moved = company.users();
    let found = moved.iter().find(|(id, user)| {
        let default =
            &user["authentication"]["signInPreferences"]["userPreferredMethodForSecondaryAuthentication"];
        office(user) == 1 && office(&before[*id]) == 0 && default != "voiceOffice"
    });
    let (id, _) = found.expect("somebody got an office number");
    let path = format!("/v1.0/users/{id}/authentication/phoneMethods/e37fc753-ff3b-4958-9484-eaa9425c82bc");
    assert!((200..300).contains(&company.tenant.call("DELETE", &path, &Value::Null)));
    // It looks again until Graph must have shown it.
    let missing = company.site.run(&["verify", "--json"]).expect(&[3]).json();
    assert_eq!(missing["entries"]["missing"], 1, "{missing}");
    let writes = company.tenant.stats()["writes"].as_u64().unwrap();
    company.site.run(&["verify", "--repair", "--json"]).expect(&[0, 3]);
    assert_eq!(office(&company.users()[id]), 1, "it is there again");
    assert_eq!(
        company.tenant.stats()["writes"].as_u64().unwrap(),
        writes + 1,
        "and nothing else was written"
    );
}

#[test]
fn a_repair_writes_as_it_was_written_and_moves_nobody_who_was_taken_back() {
    let company = Company::of(120, &[]);
    let before = company.users();
    company.migrate_all();
    let moved = company.users();
    let has = |user: &Value, kind: &str| {
        let phones = user["authentication"]["phoneMethods"].as_array().into_iter().flatten();
        phones.filter(|phone| phone["phoneType"] == kind).count()
    };
    let changed = |id: &str| methods(&moved[id]) != methods(&before[id]);
    let default = |user: &Value| {
        user["authentication"]["signInPreferences"]["userPreferredMethodForSecondaryAuthentication"].clone()
    };
    let lost: Vec<&String> = moved
        .iter()
        .filter(|(id, user)| {
            has(user, "office") == 1 && has(&before[*id], "office") == 0 && default(user) != "voiceOffice"
        })
        .map(|(id, _)| id)
        .collect();
    let back: Vec<&str> = moved
        .iter()
        .filter(|(id, _)| changed(id) && !lost.contains(id))
        .map(|(_, user)| user["userPrincipalName"].as_str().unwrap())
        .take(3)
        .collect();
    let list = company.site.path("back.txt");
    std::fs::write(&list, back.join("\n")).unwrap();
    company.site.run(&["rollback", "--users", list.to_str().unwrap(), "--json"]).expect(&[0]);
    for id in &lost {
        let path =
            format!("/v1.0/users/{id}/authentication/phoneMethods/e37fc753-ff3b-4958-9484-eaa9425c82bc");
        assert!((200..300).contains(&company.tenant.call("DELETE", &path, &Value::Null)));
    }
    // By now the configuration would move no phone at all.
    company.site.configure(
        "[graph]\nrequest_timeout_s = 2\nvisibility_deadline_s = 1\nclock_skew_s = 1\n[policy]\nmethods = [\"oathToken\"]\n",
    );
    let lines = company.tenant.journal().len();
    let repaired = company.site.run(&["verify", "--repair", "--json"]).expect(&[0, 3]).json();
    assert_eq!(repaired["entries"]["missing"], lost.len(), "{repaired}");
    assert_eq!(repaired["repair"]["runs"][0]["entries"]["applied"], lost.len(), "{repaired}");
    let written = company.tenant.journal().split_off(lines);
    assert!(written.iter().all(|line| line["method"] == "office"), "{written:#?}");
    assert_eq!(written.len(), lost.len());
    let after = company.users();
    for (id, user) in &moved {
        let is_back = back.contains(&user["userPrincipalName"].as_str().unwrap());
        assert_eq!(methods(&after[id]), methods(if is_back { &before[id] } else { user }), "{id}");
    }
    // Once more there is nothing to repair.
    let lines = company.tenant.journal().len();
    let again = company.site.run(&["verify", "--repair", "--json"]).expect(&[0, 3]).json();
    assert_eq!((&again["entries"]["missing"], &again["repair"]), (&json!(0), &Value::Null));
    assert_eq!(company.tenant.journal().len(), lines);
}

impl Company {
    fn migrate_all(&self) -> Value {
        self.site.run(&["migrate", "--datafile", &self.data, "--json"]).expect(&[0, 3]).json()
    }
}
