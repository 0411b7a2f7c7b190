//! Reports over real runs: two regions forward, somebody's changes in between, one region back; and every list of the day.

use harness::{Site, Tenant, until};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

const MOBILE: &str = "3179e48a-750b-4051-897c-87b9720928f7";
/// A name that a spreadsheet would run and a browser would obey.
const HOSTILE: &str = "=cmd|'/c calc'!a0<script>alert(1)</script>@contoso.example";
const DEPARTMENT: &str = "@SUM(1+1)<img onerror=alert(1)>";
const DEVICE: &str = "=2+5<b>\"'&";
/// The columns that scripts have known from the first.
const FIRST_COLUMNS: &str =
    "user,userPrincipalName,state,method,serial,from,to,result,graphCode,codes,device,before,ours,now,";

/// A company whose users have names that tell what will become of them.
struct Company {
    tenant: Tenant,
    site: Site,
    data: String,
}

fn upn(name: &str) -> String {
    if name == "hostile" { HOSTILE.to_owned() } else { format!("{name}@contoso.example") }
}

fn record(name: &str, phone: u32, sid: &str, devices: &[&str]) -> Value {
    let devices = devices.iter().map(|name| json!({ "deviceName": name, "phoneAppVersion": "6.2" }));
    json!({
        "username": upn(name), "sid": sid,
        "settings": {
            "enabled": true, "countryCode": "1", "phone": format!("425555{phone:04}"), "mode": "voiceCall",
            "smsDirection": "oneWay", "backupCountryCode": "1", "backupPhone": "",
        },
        "devices": devices.collect::<Vec<_>>(),
    })
}

fn user(name: &str, id: u32, region: &str, department: &str, sid: &str) -> Value {
    json!({
        "id": format!("00000000-0000-4000-8000-{id:012}"), "userPrincipalName": upn(name),
        "usageLocation": region, "department": department, "userType": "Member", "accountEnabled": true,
        "onPremisesSecurityIdentifier": sid,
        "authentication": { "phoneMethods": [], "microsoftAuthenticatorMethods": [], "softwareOathMethods": [], "hardwareOathMethods": [] },
    })
}

impl Company {
    fn new() -> Self {
        let people = [
            ("de.one", "DE", "Finance"),
            ("de.changed", "DE", "Finance"),
            ("de.app", "DE", "IT"),
            ("hostile", "DE", DEPARTMENT),
            ("nl.one", "NL", "Finance"),
            ("nl.two", "NL", "IT"),
            ("nl.changed", "NL", "IT"),
            ("stale", "FR", "IT"),
            ("twice", "FR", "IT"),
        ];
        let mut users: Vec<Value> = Vec::new();
        let mut records: Vec<Value> = Vec::new();
        for (id, (name, region, department)) in (1_u32..).zip(people) {
            let sid = format!("S-1-5-21-1-2-3-{id}");
            users.push(user(name, id, region, department, &sid));
            let devices: &[&str] = match name {
                "hostile" => &[DEVICE],
                "de.app" => &["iPhone", "Pixel"],
                _ => &[],
            };
            // Two records say that they are the same account.
            let names = if name == "twice" { vec!["twice.a", "twice.b"] } else { vec![name] };
            records.extend(names.iter().map(|name| record(name, id, &sid, devices)));
        }
        records.push(record("nobody", 90, "", &[]));
        let tenant = Tenant::with(&json!({ "users": users }), &[]);
        let site = Site::new(&tenant);
        let data = site.path("users.ndjson");
        let lines: Vec<String> = records.iter().map(Value::to_string).collect();
        std::fs::write(&data, lines.join("\n")).unwrap();
        let data = data.display().to_string();
        Self { tenant, site, data }
    }

    /// Somebody else gives a user this number.
    fn call(&self, name: &str, number: &str) {
        let id = self.tenant.user(&upn(name))["id"].as_str().unwrap().to_owned();
        let path = format!("/v1.0/users/{id}/authentication/phoneMethods");
        let body = json!({ "phoneType": "mobile", "phoneNumber": number });
        let status = match name {
            "stale" => self.tenant.call("POST", &path, &body),
            _ => self.tenant.call("PATCH", &format!("{path}/{MOBILE}"), &body),
        };
        assert!((200..300).contains(&status), "{status}");
    }

    /// Everything that is reported on.
    fn live(&self) {
        let run = |args: &[&str], codes: &[i32]| self.site.run(args).expect(codes);
        for (name, region) in [("de", "DE"), ("nl", "NL")] {
            run(&["batch", "create", name, "--region", region, "--datafile", &self.data], &[0]);
        }
        let list = self.site.path("rest.txt");
        std::fs::write(&list, ["stale", "twice.a", "twice.b", "nobody"].map(upn).join("\n")).unwrap();
        run(&["batch", "create", "rest", "--users", list.to_str().unwrap()], &[0]);
        run(&["migrate", "--batch", "de"], &[0, 3]);
        run(&["migrate", "--batch", "nl"], &[0, 3]);
        let plan = self.site.path("plan.ndjson").display().to_string();
        run(&["rehearse", "--batch", "rest", "--out", &plan], &[0, 3]);
        self.call("stale", "+1 2065550101");
        run(&["migrate", "--batch", "rest", "--plan", &plan], &[3]);
        self.call("de.changed", "+1 2065550102");
        self.call("nl.changed", "+1 2065550103");
        run(&["verify", "--batch", "de"], &[3]);
        run(&["rollback", "--batch", "nl"], &[3]);
    }

    fn report(&self, args: &[&str]) -> Value {
        self.site.run(&[&["report", "--format", "json"], args].concat()).expect(&[0]).json()
    }

    fn csv(&self, args: &[&str]) -> String {
        self.site.run(&[&["report"], args].concat()).expect(&[0]).out
    }
}

/// The rows of a user, by method.
fn rows_of(report: &Value, name: &str) -> BTreeMap<String, Value> {
    let rows = report["rows"].as_array().unwrap().iter().filter(|row| row["user"] == upn(name));
    rows.map(|row| (row["method"].as_str().unwrap().to_owned(), row.clone())).collect()
}

fn names(list: &Value) -> Vec<String> {
    list.as_array().unwrap().iter().map(|line| line["user"].as_str().unwrap().to_owned()).collect()
}

/// These fields of a row.
fn fields(row: &Value, names: &[&str]) -> Vec<Value> {
    names.iter().map(|name| row[*name].clone()).collect()
}

#[test]
fn a_row_tells_what_was_done_to_a_method_forward_and_back() {
    let company = Company::new();
    company.live();
    let report = company.report(&[]);
    let mobile = |name: &str| rows_of(&report, name)["mobile"].clone();
    let told = ["state", "standing", "from", "to", "result", "verify", "rollback", "rollbackResult"];

    let stays = mobile("de.one");
    let expected = json!(["applied", "applied", null, "+1 4255550001", "applied", "confirmed", "", ""]);
    assert_eq!(Value::from(fields(&stays, &told)), expected);
    let back = mobile("nl.one");
    let expected =
        json!(["applied", "reverted", null, "+1 4255550005", "applied", "", "reverted", "taken-back"]);
    assert_eq!(Value::from(fields(&back, &told)), expected);
    assert_eq!(fields(&back, &["run", "rollbackRun", "verifyRun"])[2], Value::Null);
    assert!(back["run"].as_i64().unwrap() < back["rollbackRun"].as_i64().unwrap());
    assert!(back["at"].as_str().unwrap() <= back["rolledBackAt"].as_str().unwrap());
    assert_eq!(fields(&back, &["region", "department"]), [json!("NL"), json!("Finance")]);

    // What somebody changed since has its three values, on the way back and in a verification.
    let values = ["before", "ours", "now"];
    let conflict = mobile("nl.changed");
    let expected =
        json!(["applied", "conflict", null, "+1 4255550007", "applied", "", "conflict", "left-alone"]);
    assert_eq!(Value::from(fields(&conflict, &told)), expected);
    assert_eq!(Value::from(fields(&conflict, &values)), json!([null, "+1 4255550007", "+1 2065550103"]));
    assert!(conflict["codes"].as_array().unwrap().contains(&json!("rollback-conflict")));
    let changed = mobile("de.changed");
    assert_eq!(fields(&changed, &["verify", "standing"]), [json!("changed-since"), json!("applied")]);
    assert_eq!(Value::from(fields(&changed, &values)), json!([null, "+1 4255550002", "+1 2065550102"]));
    assert_eq!(rows_of(&report, "stale").values().next().unwrap()["standing"], "parked");

    // A batch has its own users, a run only itself.
    let nl = company.report(&["--batch", "nl"]);
    assert_eq!((&nl["scope"], &nl["users"]), (&json!({ "batch": "nl" }), &json!(3)));
    assert_eq!(rows_of(&nl, "nl.one")["mobile"], back);
    let run = back["run"].to_string();
    let alone = company.report(&["--run", &run]);
    assert_eq!(alone["standings"], json!({ "applied": 3 }));
    assert_eq!(rows_of(&alone, "nl.one")["mobile"]["rollback"], "");
    assert_eq!(alone["history"]["runs"].as_array().unwrap().len(), 1);

    // Forward again: what was taken back before is past.
    company.site.run(&["migrate", "--batch", "nl"]).expect(&[0, 3]);
    let report = company.report(&[]);
    let again = rows_of(&report, "nl.one")["mobile"].clone();
    let expected = json!(["applied", "applied", null, "+1 4255550005", "applied", "", "", ""]);
    assert_eq!(Value::from(fields(&again, &told)), expected);
    assert!(again["run"].as_i64() > back["run"].as_i64());
    // And once more, with nothing to do: what was done is told all the same.
    company.site.run(&["migrate", "--batch", "nl"]).expect(&[0, 3]);
    assert_eq!(rows_of(&company.report(&[]), "nl.one")["mobile"], again);
}

#[test]
fn the_lists_of_the_day_name_everybody_once_with_what_to_do() {
    let company = Company::new();
    company.live();
    let report = company.report(&[]);
    let lists = &report["workLists"];
    let expected = [
        ("must-register-again", vec!["de.app", "hostile"], "app-reregister"),
        ("unmatched", vec!["nobody"], "match-none"),
        ("ambiguous", vec!["twice.a", "twice.b"], "match-ambiguous"),
        ("conflicts", vec!["nl.changed"], "rollback-conflict"),
        ("parked", vec!["stale"], "plan-stale"),
        ("not-as-left", vec!["de.changed"], "changed-since"),
    ];
    for (list, users, code) in expected {
        let users: Vec<String> = users.into_iter().map(upn).collect();
        assert_eq!(names(&lists[list]), users, "{list}");
        for line in lists[list].as_array().unwrap() {
            assert_eq!(line["code"], code, "{line}");
            assert!(line["whatToDo"].as_str().unwrap().len() > 20, "{line}");
        }
        // The same as CSV, for the service desk.
        let csv = company.csv(&["--list", list]);
        let (head, lines) = csv.split_once('\n').unwrap();
        assert!(head.starts_with("user,userPrincipalName,code,whatToDo,detail"), "{head}");
        assert_eq!(lines.lines().count(), users.len(), "{csv}");
        assert!(lines.lines().all(|line| line.contains(code)), "{csv}");
        assert_eq!(company.site.run(&["report", "--list", list, "--json"]).json(), lists[list]);
    }
    assert_eq!(lists["must-register-again"][0]["detail"], "iPhone, Pixel");
    let detail = lists["conflicts"][0]["detail"].as_str().unwrap();
    assert_eq!(detail, "mobile: before nothing, ours +1 4255550007, now +1 2065550103");
    // Those of the region that was taken back need not do anything; all others who were moved have a phone alone.
    let phone_only = names(&lists["phone-only"]);
    assert!(phone_only.contains(&upn("de.one")) && !phone_only.contains(&upn("nl.one")), "{phone_only:?}");
    // The lists of names are as they were.
    let short = &report["lists"];
    assert_eq!(short["mustRegisterAgain"], json!([upn("de.app"), upn("hostile")]));
    assert_eq!(short["unmatched"], json!([upn("twice.a"), upn("twice.b"), upn("nobody")]));
    assert_eq!(short["conflicts"], json!([upn("nl.changed"), upn("stale")]));
    assert_eq!(company.csv(&["--batch", "nl", "--list", "parked"]).lines().count(), 1, "a head and nobody");
    let refused = company.site.run(&["report", "--list", "parked", "--format", "html"]).expect(&[2]);
    assert!(refused.err.contains("csv or json"), "{}", refused.err);
}

#[test]
fn users_are_counted_by_region_and_department_and_the_history_says_who_and_when() {
    let company = Company::new();
    company.live();
    let report = company.report(&[]);
    assert_eq!(report["users"], 11);
    let regions = &report["regions"];
    assert_eq!(regions["NL"]["standings"], json!({ "reverted": 2, "conflict": 1 }));
    assert_eq!((&regions["DE"]["users"], &regions["DE"]["mustRegisterAgain"]), (&json!(4), &json!(2)));
    assert_eq!(regions["-"]["standings"], json!({ "skipped": 3 }), "nobody knows where they are");
    assert_eq!(report["departments"][DEPARTMENT]["users"], 1);
    let counted: u64 = regions.as_object().unwrap().values().map(|r| r["users"].as_u64().unwrap()).sum();
    assert_eq!(counted, 11);
    // A cohort file knows what the directory does not, and goes before it.
    let file = company.site.path("cohorts.csv");
    let rows =
        format!("username,region,department\n{},BE,Sales\n{},BE,Sales\n", upn("nobody"), upn("de.one"));
    std::fs::write(&file, rows).unwrap();
    let joined = company.report(&["--cohorts", file.to_str().unwrap()]);
    assert_eq!(joined["regions"]["BE"]["standings"], json!({ "skipped": 1, "applied": 1 }));
    assert_eq!(joined["departments"]["Sales"]["users"], 2);

    let history = &report["history"];
    let kinds: Vec<&str> =
        history["runs"].as_array().unwrap().iter().map(|run| run["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["rollback", "verify", "migrate", "rehearse", "migrate", "migrate"]);
    let rollback = &history["runs"][0];
    assert_eq!((&rollback["state"], &rollback["batch"]), (&json!("done"), &json!("nl")));
    assert_eq!(rollback["entries"]["reverted"], 2);
    assert!(rollback["by"].as_str().unwrap().contains('@'), "{rollback}");
    assert!(rollback["openedAt"].as_str().unwrap() <= rollback["endedAt"].as_str().unwrap());
    let events = history["events"].as_array().unwrap();
    assert_eq!(events[0]["what"], "opened");
    assert_eq!(events.iter().filter(|event| event["what"] == "created").count(), 3);
    let nl = company.report(&["--batch", "nl"]);
    assert!(nl["history"]["events"].as_array().unwrap().iter().all(|event| event["batch"] == "nl"));
}

#[test]
fn no_name_runs_in_a_spreadsheet_or_in_a_browser() {
    let company = Company::new();
    company.live();
    let csv = company.csv(&[]);
    assert!(csv.starts_with(FIRST_COLUMNS), "{csv}");
    assert!(csv.contains("+1 4255550001"), "numbers are left as they are");
    for text in [&csv, &company.csv(&["--list", "must-register-again"])] {
        assert!(text.contains(&format!("'{HOSTILE}")), "{text}");
        for cell in text.split([',', '\n', '"']) {
            let is_formula = cell.starts_with(['=', '@', '-']);
            assert!(!is_formula, "{cell:?} is a formula: {text}");
        }
    }
    let page = company.site.path("report.html");
    company.site.run(&["report", "--format", "html", "--out", page.to_str().unwrap()]).expect(&[0]);
    let html = std::fs::read_to_string(page).unwrap();
    for tag in ["<script", "<img", "<b>\"", "src=", "href=\"http", "@import", "<link", "url("] {
        assert!(!html.contains(tag), "the page holds {tag}");
    }
    for text in [
        "&lt;script&gt;alert(1)&lt;/script&gt;",
        "&lt;img onerror=alert(1)&gt;",
        "=2+5&lt;b&gt;",
        "By region and department",
        "before nothing, ours +1 4255550007, now +1 2065550103",
        "rollback-conflict",
        "match-ambiguous",
        "--list conflicts",
        "History",
    ] {
        assert!(html.contains(text), "the page lacks {text}");
    }
}

#[test]
fn a_rehearsal_is_reported_as_long_as_nothing_was_moved() {
    let company = Company::new();
    company.site.run(&["rehearse", "--datafile", &company.data]).expect(&[0, 3]);
    let report = company.report(&[]);
    assert_eq!((&report["kind"], &report["users"]), (&json!("rehearse"), &json!(11)));
    assert_eq!(rows_of(&report, "de.one")["mobile"]["result"], "planned");
    assert_eq!(names(&report["workLists"]["unmatched"]), [upn("nobody")]);
}

#[test]
fn status_says_when_it_will_be_done_once_there_is_enough_to_tell() {
    let files = tempfile::tempdir().unwrap();
    let file = |name: &str| files.path().join(name).display().to_string();
    let (data, state) = (file("users.ndjson"), file("tenant.json"));
    let args = ["generate", "--users", "600", "--seed", "5", "--datafile", &data, "--tenant", &state];
    Site::at("http://127.0.0.1:9").run(&args).expect(&[0]);
    let tenant = Tenant::start(state.as_ref(), &["--throttle", "writes=10/1"]);
    let site = Site::new(&tenant);
    let mut running = site.start(&["migrate", "--datafile", &data]);
    let mut told = Value::Null;
    assert!(until(Duration::from_secs(120), || {
        // The ledger is not there at first.
        let status = site.run(&["status", "--json"]);
        told = status.out.lines().last().and_then(|line| serde_json::from_str(line).ok()).unwrap_or_default();
        told["eta"].is_object() || running.has_ended()
    }));
    let eta = &told["eta"];
    let at = |key: &str| eta[key].as_str().unwrap_or_else(|| panic!("no {key}: {told}")).to_owned();
    assert!(at("earliest") <= at("at") && at("at") <= at("latest"), "{eta}");
    assert!(
        told["etaSeconds"].as_u64().is_some() && told["usersPerSecond"].as_f64().unwrap() > 0.0,
        "{told}"
    );
    let said = site.run(&["status"]).expect(&[0]).out;
    assert!(said.contains("done about") && said.contains("between") && said.contains("users/s"), "{said}");
    running.terminate();
    running.wait().expect(&[4]);
    let stopped = site.run(&["status", "--json"]).expect(&[0]).json();
    assert_eq!((&stopped["eta"], &stopped["etaSeconds"]), (&Value::Null, &Value::Null), "nobody works on it");
    assert!(stopped["waits"].as_str().unwrap().contains("no process works on it"), "{stopped}");
}
