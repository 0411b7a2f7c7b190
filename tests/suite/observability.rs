//! What whoever is on call looks at: the endpoint of each service, the dashboards and the alerts that are shipped, under a
//! Prometheus of Debian's that watches a real migration and its way back.
//!
//! Every expression of every panel and alert must parse and return data in a run that is made to show it; a threshold is
//! taken away for that, and `promtool test rules` shows that it bites.

use crate::leaks::{BEARER, Secrets, add_pins};
use harness::page::Page;
use harness::services::{Prometheus, free_port, postgres, rabbit};
use harness::{Company, Expected, Fleet, Proxy, Site, until};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use telemetry::{Kind, Name, all_names};

/// What is about to happen happens within that, on a busy machine.
const SOON: Duration = Duration::from_secs(60);
const MOBILE: &str = "3179e48a-750b-4051-897c-87b9720928f7";

fn deploy(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("deploy").join(path)
}

/// The dashboards, by file.
fn dashboards() -> BTreeMap<String, Value> {
    let files = std::fs::read_dir(deploy("grafana")).unwrap().map(|file| file.unwrap().path());
    let boards = files.filter(|path| path.extension().is_some_and(|e| e == "json"));
    let found: BTreeMap<String, Value> = boards
        .map(|path| {
            let board = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            (path.file_name().unwrap().to_string_lossy().into_owned(), board)
        })
        .collect();
    assert!(found.len() >= 3, "{:?}", found.keys());
    found
}

/// Panel and expression, of every panel of every dashboard.
fn panels() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (file, board) in dashboards() {
        for panel in board["panels"].as_array().unwrap() {
            let title = panel["title"].as_str().unwrap();
            for target in panel["targets"].as_array().into_iter().flatten() {
                found.push((format!("{file}: {title}"), target["expr"].as_str().unwrap().to_owned()));
            }
        }
    }
    found
}

/// As Grafana would ask, with everything chosen.
fn filled(expression: &str) -> String {
    let all = expression.replace("$batch", ".*").replace("$bucket", ".*");
    let all = all.replace("$__rate_interval", "10s");
    assert!(!all.contains('$'), "a variable that nobody fills: {all}");
    all
}

/// Without what only trouble exceeds: every comparison with a number holds, one with another side the other way round.
fn without_thresholds(expression: &str) -> String {
    let words: Vec<&str> = expression.split_whitespace().collect();
    let mut loose: Vec<String> = Vec::new();
    let mut at = 0;
    while let Some(word) = words.get(at).copied() {
        let next = words.get(at + 1).copied().unwrap_or_default();
        let number = next.trim_end_matches(')');
        let is_comparison = [">", "==", "!=", "<"].contains(&word);
        if is_comparison && number.parse::<f64>().is_ok() {
            loose.extend([">=".to_owned(), format!("-1{}", &next[number.len()..])]);
            at += 2;
        } else if is_comparison && next == "on" {
            loose.push(if word == ">" { "<=" } else { ">=" }.to_owned());
            at += 1;
        } else {
            loose.push(word.to_owned());
            at += 1;
        }
    }
    // What was so five minutes ago is so a few seconds ago here.
    loose.join(" ").replace("offset 5m", "offset 5s")
}

fn promtool(args: &[&str], file: &str) {
    let out = Command::new("promtool").args(args).arg(deploy(file)).output().unwrap();
    let said = [out.stdout, out.stderr].concat();
    assert!(out.status.success(), "promtool {args:?} {file}: {}", String::from_utf8_lossy(&said));
}

#[test]
fn alerts_are_valid_fire_when_they_should_and_say_what_to_do() {
    promtool(&["check", "rules"], "prometheus/alerts.yml");
    promtool(&["check", "config"], "prometheus/prometheus.yml");
    promtool(&["test", "rules"], "prometheus/alerts.test.yml");
    let tested = std::fs::read_to_string(deploy("prometheus/alerts.test.yml")).unwrap();
    let prometheus = Prometheus::start(&[], &deploy("prometheus/alerts.yml"));
    let alerts = prometheus.alerts();
    assert!(alerts.len() >= 8, "{alerts:?}");
    let site = Site::at("http://127.0.0.1:9");
    for alert in &alerts {
        let name = alert["name"].as_str().unwrap();
        assert!(["critical", "warning"].map(Value::from).contains(&alert["labels"]["severity"]), "{alert}");
        for word in ["summary", "meaning", "next"] {
            assert!(
                alert["annotations"][word].as_str().is_some_and(|text| text.len() > 10),
                "{name} has no {word}"
            );
        }
        assert!(tested.contains(&format!("\"{name}\"")), "{name} is not tested");
        // What it says to run is there to be run.
        let next = alert["annotations"]["next"].as_str().unwrap();
        for command in next.split('`').filter(|part| part.starts_with("mfa-migrate ")) {
            let verbs = command.split(' ').skip(1).take_while(|w| w.chars().all(|c| c.is_ascii_lowercase()));
            let verbs: Vec<&str> = verbs.take(2).chain(["--help"]).collect();
            assert_eq!(site.run(&verbs).code, Some(0), "{name} says: {command}");
        }
    }
}

/// The names under which Prometheus knows an instrument, and its labels.
fn shown_as(name: &Name) -> Vec<String> {
    let unit = match name.unit {
        "s" => "_seconds",
        unit if unit.ends_with("/s") => "_per_second",
        _ => "",
    };
    let base = format!("{}{unit}", name.name.replace('.', "_"));
    match name.kind {
        Kind::Counter => vec![format!("{base}_total")],
        Kind::Gauge => vec![base],
        Kind::Histogram => ["bucket", "count", "sum"].map(|part| format!("{base}_{part}")).to_vec(),
    }
}

#[test]
fn dashboards_and_alerts_ask_for_nothing_that_is_not_told() {
    let names = all_names().flat_map(shown_as);
    let labels = all_names().flat_map(|name| name.labels).map(|label| label.replace('.', "_"));
    let known: BTreeSet<String> = names.chain(labels).collect();
    let ours = ["mfa_migrate_", "http_", "messaging_"];
    let rules = std::fs::read_to_string(deploy("prometheus/alerts.yml")).unwrap();
    let texts = panels().into_iter().chain([("alerts.yml".to_owned(), rules)]);
    for (place, text) in texts {
        let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        for word in words.filter(|word| ours.iter().any(|prefix| word.starts_with(prefix))) {
            assert!(known.contains(word), "{place} asks for {word}, which nobody tells");
        }
    }
}

#[test]
fn dashboards_are_whole() {
    let kinds = ["stat", "timeseries", "table", "bargauge", "state-timeline", "row"];
    let mut uids = BTreeSet::new();
    for (file, board) in dashboards() {
        assert!(
            uids.insert(board["uid"].to_string()) && board["schemaVersion"].as_u64() >= Some(38),
            "{file}"
        );
        let mut ids = BTreeSet::new();
        let mut taken: BTreeSet<(u64, u64)> = BTreeSet::new();
        for panel in board["panels"].as_array().unwrap() {
            let title = panel["title"].as_str().unwrap();
            assert!(ids.insert(panel["id"].as_u64().unwrap()), "{file}: {title} has another's id");
            assert!(kinds.contains(&panel["type"].as_str().unwrap()), "{file}: {title}");
            let place = |part: &str| panel["gridPos"][part].as_u64().unwrap();
            assert!(place("x") + place("w") <= 24, "{file}: {title} is too wide");
            for x in place("x")..place("x") + place("w") {
                for y in place("y")..place("y") + place("h") {
                    assert!(taken.insert((x, y)), "{file}: {title} lies over another");
                }
            }
            if panel["type"] == "row" {
                continue;
            }
            assert!(panel["description"].as_str().is_some_and(|text| !text.is_empty()), "{file}: {title}");
            let of_variable = json!({ "type": "prometheus", "uid": "${datasource}" });
            let targets = panel["targets"].as_array().unwrap();
            assert!(targets.iter().all(|target| target["datasource"] == of_variable), "{file}: {title}");
            let refs: BTreeSet<_> = targets.iter().map(|target| target["refId"].to_string()).collect();
            assert_eq!(refs.len(), targets.len(), "{file}: {title}");
        }
        let variables = board["templating"]["list"].as_array().unwrap();
        assert!(variables.iter().any(|v| v["name"] == "datasource" && v["type"] == "datasource"), "{file}");
    }
}

/// A fleet, its ports, and who watches them.
struct Watched {
    company: Company,
    fleet: Fleet,
    prometheus: Prometheus,
    since_s: f64,
}

impl Watched {
    /// Waits until an expression returns something.
    #[track_caller]
    fn until_seen(&self, expression: &str) {
        let is_seen = until(SOON, || !self.prometheus.now(expression).is_empty());
        assert!(is_seen, "{expression} is not seen\n{}", self.fleet.said());
    }

    /// A canary that a person lets go on, a worker that dies, somebody else's change, a verification, and the way back.
    fn live_through_it(&self, worker: harness::Service) -> Value {
        let site = &self.fleet.site;
        self.company.make(&self.fleet, "de", "DE", &["--canary", "5,100%", "--approve"]);
        let first = ["migrate", "--batch", "de", "--json"];
        site.run(&first).expect(&[4]);
        self.until_seen("mfa_migrate_run_waits{mfa_migrate_reason=\"judged\"}");
        site.run(&["batch", "resume", "de"]).expect(&[0]);
        let following = site.start(&first);
        self.until_seen("mfa_migrate_run_orders{mfa_migrate_stage=\"claimed\"} > 0");
        assert!(worker.kill());
        self.fleet.end_of(following);
        self.somebody_changes_something();
        self.fleet.end_of(site.start(&["verify", "--batch", "de", "--json"]));
        self.fleet.end_of(site.start(&["rollback", "--batch", "de", "--json"])).json()
    }

    /// As somebody would who knows SQL and owns the database.
    fn touch_the_journal(&self) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut hand = PgConnection::connect(&self.fleet.ledger).await.unwrap();
            sqlx::raw_sql(
                "SET search_path TO mfa_migrate; ALTER TABLE journal DISABLE TRIGGER USER;
                 UPDATE journal SET at_ms = at_ms - 60000 WHERE no = 1",
            )
            .execute(&mut hand)
            .await
            .unwrap();
        });
    }

    fn somebody_changes_something(&self) {
        let (ids, state) = (self.company.before.of_region("DE"), self.company.tenant.state());
        let written = self.company.journal_of("DE", 0);
        let is_ours = |user: &Value| {
            written.iter().any(|line| line["user"] == user["id"] && line["method"] == "mobile")
        };
        let users = state["users"].as_array().unwrap();
        let moved = users.iter().filter(|user| ids.iter().any(|id| user["id"] == *id) && is_ours(user));
        for user in moved.take(3) {
            let path =
                format!("/v1.0/users/{}/authentication/phoneMethods/{MOBILE}", user["id"].as_str().unwrap());
            let body = json!({ "phoneNumber": "+1 2065559876", "phoneType": "mobile" });
            let change = || self.company.tenant.try_call("PATCH", &path, &body);
            // They share the quota and the faults of the tenant.
            assert!(until(SOON, || change().is_some_and(|status| (200..300).contains(&status))));
        }
    }
}

#[test]
fn every_panel_and_alert_has_data_over_a_migration_and_its_way_back() {
    let faults = ["--throttle", "writes=20/2", "--faults", "drop-connection=0.03,error-rate=0.02,seed=4"];
    let company = Company::of(700, &faults);
    let fleet = Fleet::new(&company.tenant);
    let ports: Vec<u16> = (0..5).map(|_| free_port()).collect();
    let serve = |kind: &str, port: u16, more: &[&str]| {
        let listen = port.to_string();
        fleet.serve(kind, &[&["--metrics-listen", &listen, "--log-format", "json"], more].concat())
    };
    let mut services = vec![
        serve("coordinator", ports[0], &[]),
        serve("coordinator", ports[1], &[]),
        serve("worker", ports[2], &[]),
        serve("extractor", ports[3], &["--watch", company.datafile(), "--json"]),
    ];
    let doomed = serve("worker", ports[4], &[]);
    let prometheus = Prometheus::start(&ports, &deploy("prometheus/alerts.yml"));
    let since_s = prometheus.clock_s();
    let watched = Watched { company, fleet, prometheus, since_s };
    let end = watched.live_through_it(doomed);
    assert!(
        end["entries"]["conflict"].as_u64() > Some(0) && end["entries"]["reverted"].as_u64() > Some(0),
        "{end}"
    );
    // The rows of the end are told at the end.
    for (state, n) in end["entries"].as_object().unwrap() {
        watched.until_seen(&format!(
            "mfa_migrate_entries{{mfa_migrate_kind=\"rollback\", mfa_migrate_state=\"{state}\"}} == {n}"
        ));
    }
    let mut mute = Vec::new();
    for (place, expression) in panels() {
        if watched.prometheus.since(watched.since_s, &without_thresholds(&filled(&expression))).is_empty() {
            mute.push(format!("{place}: {expression}"));
        }
    }
    for alert in watched.prometheus.alerts() {
        let (name, query) = (alert["name"].as_str().unwrap(), alert["query"].as_str().unwrap());
        // As it is, it parses; loosened, it returns something.
        watched.prometheus.now(query);
        if watched.prometheus.since(watched.since_s, &without_thresholds(query)).is_empty() {
            mute.push(format!("{name}: {query}"));
        }
    }
    assert!(mute.is_empty(), "nothing is told to:\n{}\n{}", mute.join("\n"), watched.fleet.said());
    // What was made to happen was seen as what it was, and the invariant held all the time.
    let board = dashboards().remove("batches.json").unwrap();
    let invariant = board["panels"]
        .as_array()
        .unwrap()
        .iter()
        .find(|p| p["title"].as_str().unwrap().starts_with("users −"));
    let invariant = filled(invariant.unwrap()["targets"][0]["expr"].as_str().unwrap());
    let held = watched.prometheus.since(watched.since_s, &invariant);
    assert!(held.iter().all(|difference| *difference == 0.0), "{held:?}");
    for alert in ["MfaMigrateHalted", "MfaMigrateConflicts"] {
        let told = watched.prometheus.since(watched.since_s, &format!("ALERTS{{alertname=\"{alert}\"}}"));
        assert!(!told.is_empty(), "{alert} was not even pending");
    }
    for untrue in ["MfaMigrateUsersMissing", "MfaMigrateJournalBroken", "MfaMigrateDatabaseAway"] {
        let told = watched.prometheus.since(watched.since_s, &format!("ALERTS{{alertname=\"{untrue}\"}}"));
        assert!(told.is_empty(), "{untrue} cried");
    }
    for port in &ports {
        names_nobody(&Page::get(*port, "/metrics").map_or_else(String::new, |page| page.text));
    }
    // A line of the journal is touched by hand; whoever takes over walks it from the start, and cries at once.
    watched.touch_the_journal();
    let leads = |port: u16| Page::get(port, "/readyz").is_some_and(|page| page.text.contains(": leads"));
    let leader = ports.iter().take(2).position(|port| leads(*port)).unwrap();
    assert!(services.remove(leader).kill());
    watched.until_seen("ALERTS{alertname=\"MfaMigrateJournalBroken\", alertstate=\"firing\"}");
    for service in services {
        assert!(
            service.said().lines().all(|line| serde_json::from_str::<Value>(line).is_ok()),
            "{}",
            service.said()
        );
        assert_eq!(service.stop().code(), Some(0));
    }
}

#[test]
fn readiness_is_what_a_service_needs_and_life_is_not() {
    let expected = Expected::dense(20);
    let tenant = expected.tenant(&[]);
    let mut fleet = Fleet::new(&tenant);
    let (broker, database) = (Proxy::to(rabbit().port), Proxy::to(postgres().port));
    let through = (
        broker.instead_of(rabbit().port, &fleet.broker),
        database.instead_of(postgres().port, &fleet.ledger),
    );
    fleet.broker_by(&through.0);
    fleet.ledger_by(&through.1);
    let ports = [free_port(), free_port(), free_port()];
    let kinds = ["coordinator", "coordinator", "worker"];
    let _services: Vec<_> = kinds
        .iter()
        .zip(ports)
        .map(|(kind, port)| fleet.serve(kind, &["--metrics-listen", &port.to_string()]))
        .collect();
    let says = |port: u16, status: u16, line: &str| {
        let page = || Page::get(port, "/readyz");
        let is_so = || page().is_some_and(|page| page.status == status && page.text.contains(line));
        assert!(until(SOON, is_so), "not {status} and {line:?}: {:?}\n{}", page(), fleet.said());
    };
    // One leads, the other stands by, and both are ready.
    assert!(until(SOON, || {
        let words = ports.map(|port| Page::get(port, "/readyz").map_or_else(String::new, |page| page.text));
        words.iter().any(|text| text.contains("leadership: leads"))
            && words.iter().any(|text| text.contains("leadership: stands by"))
    }));
    for port in ports {
        says(port, 200, "ok database: answers");
    }
    for (away, line) in [(&broker, "no broker: away"), (&database, "no database: away")] {
        away.refuse(true);
        says(ports[2], 503, line);
        assert_eq!(
            Page::get(ports[2], "/healthz").map(|page| page.status),
            Some(200),
            "it lives all the same"
        );
        away.heal();
        says(ports[2], 200, "ok ");
    }
    assert_eq!(Page::get(ports[2], "/nothing").map(|page| page.status), Some(404));
    // Who asks for an address that is taken is told so at once.
    let taken = fleet.site.run(&["serve", "worker", "--metrics-listen", &ports[2].to_string()]);
    assert_eq!(taken.code, Some(2), "{}", taken.err);
    assert!(taken.err.contains("--metrics-listen"), "{}", taken.err);
}

#[test]
fn an_embedded_migration_that_is_asked_to_shows_itself_and_tells_of_nobody() {
    let expected = Expected::dense(60);
    add_pins(Path::new(expected.datafile()));
    let secrets = Secrets::of(&expected);
    let tenant = expected.tenant(&["--latency-ms", "300"]);
    let mut site = Site::new(&tenant);
    site.env("MFA_MIGRATE_GRAPH_TOKEN", BEARER);
    let port = free_port();
    let listen = port.to_string();
    let args = ["--metrics-listen", &listen, "--log-format", "json", "--log", "trace"];
    let mut running =
        site.start(&[&["migrate", "--datafile", expected.datafile(), "--json"], &args[..]].concat());
    let (mut shown, mut was_ready) = (String::new(), false);
    let is_over = until(SOON * 3, || {
        if let Some(page) = Page::get(port, "/metrics") {
            assert!(page.status == 200 && page.head.contains("text/plain; version=0.0.4"), "{}", page.head);
            shown += &page.text;
        }
        was_ready |= Page::get(port, "/readyz").is_some_and(|page| page.status == 200);
        running.has_ended()
    });
    assert!(is_over && was_ready, "{shown}");
    let outcome = running.wait().expect(&[0, 3]);
    for told in ["mfa_migrate_entries{", "mfa_migrate_run_waits{", "mfa_migrate_journal_whole 1"] {
        assert!(shown.contains(told), "{told} was not shown");
    }
    let odd: Vec<&str> =
        outcome.err.lines().filter(|line| serde_json::from_str::<Value>(line).is_err()).collect();
    assert!(odd.is_empty() && outcome.err.lines().count() > 20, "no JSON: {odd:?}");
    secrets.must_not_be_in_text(&outcome.err, "the log as JSON");
    secrets.must_not_be_in_bytes(shown.as_bytes(), "what was shown");
    names_nobody(&shown);
}

/// Labels are words of ours, and few.
fn names_nobody(shown: &str) {
    for label in shown.split('"').skip(1).step_by(2) {
        let is_number = label.chars().filter(char::is_ascii_digit).count() > 6 && !label.contains('.');
        let is_phone =
            label.strip_prefix('+').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        assert!(!label.contains('@') && !is_phone, "{label} is no word of ours");
        // The resource alone has an id and a version.
        assert!(label.len() <= 80 && (!is_number || label.len() == 32), "{label} is no word of ours");
    }
}
