//! What `deploy/` ships: it keeps to the schemas of those who read it, names nothing that is not there, and the users and
//! roles of least privilege are enough for a whole migration and for nothing else.
//!
//! No image is built and no cluster is asked: docker has no daemon here.

use harness::services::{Rabbit, postgres};
use harness::{Expected, Fleet, Site, binary, until};
use lapin::options::{BasicConsumeOptions, BasicGetOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use serde_json::Value;
use sqlx::{Connection as _, PgConnection};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// How long something may take that is about to happen.
const SOON: Duration = Duration::from_secs(90);

/// The repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn text(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// Files of a folder of the repository that end so, as paths from its root.
fn files(folder: &str, ending: &str) -> Vec<String> {
    let entries = std::fs::read_dir(root().join(folder)).unwrap().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut found: Vec<String> =
        names.filter(|name| name.ends_with(ending)).map(|name| format!("{folder}/{name}")).collect();
    found.sort();
    found
}

/// Runs a program in the repository; answers what it said on both streams, and whether it was content.
fn ask(program: &Path, args: &[&str]) -> (bool, String) {
    let out = Command::new(program).args(args).current_dir(root()).output();
    let out =
        out.unwrap_or_else(|e| panic!("{}: {e}; ./tests/run installs what is missing", program.display()));
    let said = [out.stdout, out.stderr].concat();
    (out.status.success(), String::from_utf8_lossy(&said).into_owned())
}

/// The validators, which carry their schemas with them, in a Python environment below target/.
fn validators() -> PathBuf {
    let folder = root().join("target/deploy-validators");
    let done = folder.join("done");
    if !done.exists() {
        let place = folder.display().to_string();
        let (made, said) = ask(Path::new("python3"), &["-m", "venv", "--clear", &place]);
        assert!(made, "python3 -m venv (Debian: python3-venv; ./tests/run installs it): {said}");
        let wanted = ["check-jsonschema==0.39.0", "kubernetes-validate==1.37.0"];
        let install = [&["-q", "install", "--disable-pip-version-check"], &wanted[..]].concat();
        let (made, said) = ask(&folder.join("bin/pip"), &install);
        assert!(made, "pip: {said}");
        std::fs::write(done, "").unwrap();
    }
    folder.join("bin")
}

#[test]
fn compose_and_kubernetes_keep_to_their_schemas() {
    let bin = validators();
    let (ok, said) = ask(
        &bin.join("check-jsonschema"),
        &["--builtin-schema", "vendor.compose-spec", "deploy/compose.yaml"],
    );
    assert!(ok, "{said}");
    let manifests = files("deploy/kubernetes", ".yaml");
    assert!(manifests.len() > 8, "{manifests:?}");
    for manifest in manifests.iter().filter(|name| !name.ends_with("kustomization.yaml")) {
        let (ok, said) = ask(&bin.join("kubernetes-validate"), &["--strict", "-k", "1.31", manifest]);
        assert!(ok && !said.contains("WARN") && !said.contains("ERROR"), "{manifest}: {said}");
    }
}

#[test]
fn units_are_verified_and_exposed_little() {
    let analyze = Path::new("systemd-analyze");
    let folder = tempfile::tempdir().unwrap();
    for unit in files("deploy/systemd", ".service") {
        let (ok, said) = ask(analyze, &["security", "--offline=true", "--threshold=20", &unit]);
        assert!(ok, "{unit}: {}", said.lines().last().unwrap_or_default());
        // The program is not installed here, and a template is verified as one of its services.
        let as_here = text(&unit).replace("/usr/local/bin/mfa-migrate", &binary().display().to_string());
        let name = Path::new(&unit).file_name().unwrap().to_string_lossy().replace("@.", "@5.");
        let copy = folder.path().join(name);
        std::fs::write(&copy, as_here).unwrap();
        let (ok, said) = ask(analyze, &["verify", "--man=no", copy.to_str().unwrap()]);
        assert!(ok && !said.contains(copy.file_name().unwrap().to_str().unwrap()), "{unit}: {said}");
        let stop =
            text(&unit).lines().find_map(|line| line.strip_prefix("TimeoutStopSec=")).map(str::to_owned);
        assert_eq!(stop.as_deref(), Some("90s"), "{unit}: longer than the 60 s of a graceful stop");
    }
}

#[test]
fn what_the_image_copies_is_there_and_is_a_workspace() {
    let dockerfile = text("deploy/Dockerfile");
    let copies = dockerfile.lines().filter_map(|line| line.strip_prefix("COPY "));
    let context = tempfile::tempdir().unwrap();
    let ignored = text(".dockerignore");
    for copy in copies.filter(|copy| !copy.starts_with("--from")) {
        let words: Vec<&str> = copy.split_whitespace().collect();
        let (_, sources) = words.split_last().unwrap();
        for source in sources {
            assert!(root().join(source).exists(), "COPY {source}");
            assert!(
                ignored.lines().any(|line| line.strip_prefix('!') == Some(source)),
                "{source} is ignored"
            );
            let into = context.path().join(source);
            std::fs::create_dir_all(into.parent().unwrap()).unwrap();
            let (ok, said) = ask(Path::new("cp"), &["-r", source, into.to_str().unwrap()]);
            assert!(ok, "{said}");
        }
    }
    let manifest = context.path().join("Cargo.toml").display().to_string();
    let (ok, said) = ask(
        Path::new(env!("CARGO")),
        &[
            "metadata",
            "--locked",
            "--offline",
            "--no-deps",
            "--format-version=1",
            "--manifest-path",
            &manifest,
        ],
    );
    assert!(ok, "{said}");
    assert!(said.contains("\"mfa-migrate\""), "the package that is built");
}

#[test]
fn every_file_that_is_mounted_or_listed_is_there() {
    let compose = text("deploy/compose.yaml");
    let mounted = compose.lines().filter_map(|line| line.trim().strip_prefix("- ./")?.split(':').next());
    let mounted: BTreeSet<&str> = mounted.collect();
    assert!(mounted.len() > 8, "{mounted:?}");
    for file in mounted {
        assert!(root().join("deploy").join(file).exists(), "compose.yaml mounts {file}");
    }
    let maker = text("deploy/make-secrets.sh");
    let used = compose.lines().filter_map(|line| line.trim().strip_prefix("secrets: [")?.strip_suffix(']'));
    for secret in used.flat_map(|list| list.split(", ")) {
        assert!(compose.contains(&format!("  {secret}: {{ file: ./secrets/{secret} }}")), "{secret}");
        let (stem, _) = secret.rsplit_once('.').unwrap();
        assert!(maker.contains(stem), "nobody makes {secret}");
    }
    let listed = text("deploy/kubernetes/kustomization.yaml");
    for file in listed.lines().filter_map(|line| line.trim().trim_start_matches("# ").strip_prefix("- ")) {
        if file.ends_with(".yaml") {
            assert!(root().join("deploy/kubernetes").join(file).exists(), "kustomization.yaml lists {file}");
        }
    }
}

#[test]
fn secrets_are_made_for_compose_and_each_process_can_read_its_settings() {
    let folder = tempfile::tempdir().unwrap();
    let deploy = folder.path().join("deploy");
    std::fs::create_dir(&deploy).unwrap();
    std::fs::copy(root().join("deploy/make-secrets.sh"), deploy.join("make-secrets.sh")).unwrap();
    std::fs::write(folder.path().join("app.pem"), "a certificate").unwrap();
    let script = deploy.join("make-secrets.sh").display().to_string();
    let app = folder.path().join("app.pem").display().to_string();
    let args = [script.as_str(), "contoso.onmicrosoft.com", "00000000-0000-0000-0000-000000000001", &app];
    let (ok, said) = ask(Path::new("sh"), &args);
    assert!(ok, "{said}");
    let site = Site::at("http://127.0.0.1:9");
    for process in ["extractor", "coordinator", "worker", "operator", "owner", "reader"] {
        let settings = deploy.join("secrets").join(format!("{process}.toml")).display().to_string();
        let shown = site.run(&["--config", &settings, "config", "show"]).expect(&[0]);
        assert!(!shown.out.contains("mfa-worker:"), "a password is shown");
    }
    assert_eq!(std::fs::read(deploy.join("secrets/sealing.key")).unwrap().len(), 32);
    let (again, said) = ask(Path::new("sh"), &args);
    assert!(!again && said.contains("nothing was changed"), "{said}");
}

/// Lists of words in brackets behind a key, on one line, as compose.yaml and the manifests write them.
fn lists(yaml: &str, key: &str) -> Vec<Vec<String>> {
    let lines =
        yaml.lines().filter_map(|line| line.trim().strip_prefix(key)?.strip_prefix(": [")?.strip_suffix(']'));
    lines.map(|list| list.split(", ").map(|word| word.trim_matches('"').to_owned()).collect()).collect()
}

#[test]
fn every_flag_and_setting_is_one_that_the_program_knows() {
    let mut calls: Vec<Vec<String>> = Vec::new();
    let manifests = files("deploy/kubernetes", ".yaml");
    calls.extend(lists(&text("deploy/compose.yaml"), "command").into_iter().filter(|call| call[0] != "sh"));
    calls.extend(manifests.iter().flat_map(|name| lists(&text(name), "args")));
    let of_line = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    for unit in files("deploy/systemd", ".service") {
        let unit = text(&unit).replace("%d", "/run").replace("%i", "5");
        let line = unit.lines().find_map(|line| line.strip_prefix("ExecStart=/usr/local/bin/mfa-migrate "));
        calls.push(of_line(line.unwrap()));
    }
    let windows = text("deploy/windows/README.md");
    let argument = windows
        .lines()
        .filter_map(|line| line.trim().strip_prefix("<arguments>")?.strip_suffix("</arguments>"));
    calls.extend(argument.map(of_line));
    assert!(calls.len() >= 12, "{calls:?}");
    for mut call in calls {
        // What stands before it is read first, and refused when it is unknown.
        call.push("--help".to_owned());
        let out = Command::new(binary()).args(&call).output().unwrap();
        assert!(out.status.success(), "{call:?}: {}", String::from_utf8_lossy(&out.stderr));
    }
    let site = Site::at("http://127.0.0.1:9");
    let rows = site.run(&["config", "show", "--json"]).expect(&[0]).out;
    let mut known: BTreeSet<String> =
        ["MFA_MIGRATE_CONFIG", "MFA_MIGRATE_LOG", "MFA_MIGRATE_IMAGE"].map(str::to_owned).into();
    let shown: Value = serde_json::from_str(&rows).unwrap();
    for row in shown.as_array().unwrap() {
        let path = row["key"].as_str().unwrap();
        known.insert(format!("MFA_MIGRATE_{}", path.to_uppercase().replace('.', "_")));
    }
    let mut all: Vec<String> =
        ["deploy/compose.yaml", "deploy/Dockerfile", "deploy/rabbitmq/README.md"].map(str::to_owned).into();
    all.extend(
        manifests.into_iter().chain(files("deploy/systemd", "")).chain(files("deploy/windows", ".md")),
    );
    for file in all {
        let text = text(&file);
        for found in text.match_indices("MFA_MIGRATE_") {
            let name: String = text[found.0..]
                .chars()
                .take_while(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || *c == '_')
                .collect();
            assert!(known.contains(&name), "{file} sets {name}");
        }
    }
}

/// What stands between the processes, with the users and roles that `deploy/` ships and nobody else.
struct Ground {
    rabbit: Rabbit,
    database: String,
}

impl Ground {
    fn lay() -> Self {
        let rabbit = Rabbit::start();
        rabbit
            .ctl(&["import_definitions", root().join("deploy/rabbitmq/definitions.json").to_str().unwrap()]);
        for user in ["extractor", "coordinator", "worker", "operator"] {
            rabbit.ctl(&["change_password", &format!("mfa-{user}"), "secret"]);
        }
        let url = postgres().new_database();
        Self { rabbit, database: url.rsplit('/').next().unwrap().to_owned() }
    }

    fn broker(&self, user: &str) -> String {
        format!("amqp://mfa-{user}:secret@127.0.0.1:{}/moves", self.rabbit.port)
    }

    fn ledger(&self, role: &str) -> String {
        format!("postgres://mfa_{role}@127.0.0.1:{}/{}", postgres().port, self.database)
    }

    /// Runs roles.sql as the superuser.
    fn grant(&self) {
        postgres().psql(&self.database, &text("deploy/postgres/roles.sql"));
    }

    /// Whoever is started from now on is this one.
    fn become_who(&self, fleet: &mut Fleet, broker: &str, ledger: &str) {
        fleet.broker_by(&self.broker(broker));
        fleet.ledger_by(&self.ledger(ledger));
    }
}

#[test]
fn a_fleet_of_least_privilege_moves_everybody_and_back_and_can_do_nothing_else() {
    let ground = Ground::lay();
    let expected = Expected::dense(60);
    let tenant = expected.tenant(&[]);
    let mut fleet = Fleet::on(&tenant, &ground.broker("worker"), &ground.ledger("worker"));
    ground.grant();
    let early = fleet.site.run(&["ledger", "prepare"]).expect(&[1, 2]);
    assert!(early.err.contains("ledger prepare") && early.err.contains("owns it"), "{}", early.err);
    fleet.ledger_by(&ground.ledger("owner"));
    for _ in 0..2 {
        fleet.site.run(&["ledger", "prepare"]).expect(&[0]);
        ground.grant();
    }

    ground.become_who(&mut fleet, "coordinator", "coordinator");
    let mut services = vec![fleet.coordinator(), fleet.coordinator()];
    ground.become_who(&mut fleet, "worker", "worker");
    services.extend(fleet.workers(2));
    // The extractor knows no ledger at all.
    fleet.site.unset("MFA_MIGRATE_LEDGER");
    fleet.broker_by(&ground.broker("extractor"));
    fleet.site.run(&["serve", "extractor", "--datafile", expected.datafile()]).expect(&[0]);

    ground.become_who(&mut fleet, "operator", "operator");
    let mut end = None;
    let is_moved = until(SOON, || {
        let outcome = fleet.site.run(&["migrate", "--json"]);
        let is_done = matches!(outcome.code, Some(0 | 3));
        end = is_done.then(|| outcome.json());
        is_done
    });
    assert!(is_moved, "{}", fleet.said());
    fleet.must_be_clean(&expected, &tenant, &end.unwrap());
    let names: Vec<&str> = expected.plans.iter().map(|plan| plan["user"].as_str().unwrap()).collect();
    let list = fleet.site.path("some.txt");
    std::fs::write(&list, names[..20].join("\n")).unwrap();
    let list = list.display().to_string();
    let create = ["batch", "create", "b", "--users", &list, "--datafile", expected.datafile()];
    let operators: [(&[&str], i32); 9] = [
        (&["check"], 0),
        (&[&create[..], &["--canary", "5,100%", "--approve"]].concat(), 0),
        (&["rehearse", "--batch", "b"], 0),
        (&["migrate", "--batch", "b", "--include-unchanged"], 4),
        (&["batch", "pause", "b", "--why", "a look"], 0),
        (&["batch", "resume", "b"], 0),
        (&["migrate", "--batch", "b", "--include-unchanged"], 0),
        (&["verify", "--batch", "b", "--repair"], 0),
        (&["rollback", "--batch", "b"], 0),
    ];
    for (verb, code) in operators {
        let outcome = fleet.site.run(verb);
        assert_eq!(outcome.code, Some(code), "{verb:?}: {}{}\n{}", outcome.out, outcome.err, fleet.said());
    }
    ground.become_who(&mut fleet, "operator", "reader");
    let readers: [&[&str]; 6] = [
        &["status"],
        &["report"],
        &["report", "--verify-journal"],
        &["batch", "list"],
        &["batch", "show", "b"],
        &["show", names[0]],
    ];
    for verb in readers {
        fleet.site.run(verb).expect(&[0, 3]);
    }
    let written = tenant.journal().len();
    let refused = fleet.site.run(&["migrate", "--include-unchanged"]);
    assert!(matches!(refused.code, Some(1 | 2)), "{refused:?}");
    assert_eq!(tenant.journal().len(), written, "who only looks moves nobody");
    ground.become_who(&mut fleet, "operator", "operator");
    fleet.end_of(fleet.site.start(&["forget", "--batch", "all", "--confirm", "all"]));

    let denied = |said: &str| {
        assert!(!said.contains("permission denied") && !said.contains("ACCESS_REFUSED"), "{said}");
    };
    services.into_iter().for_each(|service| {
        denied(&service.said());
        service.stop();
    });
    database_refuses(&ground);
    broker_refuses(&ground);
}

/// What no role may do, whatever else it may.
#[tokio::main(flavor = "current_thread")]
async fn database_refuses(ground: &Ground) {
    let everybody = ["coordinator", "worker", "operator", "reader"];
    let forbidden: [(&[&str], &str); 9] = [
        (&everybody, "DELETE FROM journal"),
        (&everybody, "UPDATE event SET why = ''"),
        (&everybody, "TRUNCATE journal"),
        (&everybody, "CREATE TABLE mine (a int)"),
        (&everybody, "UPDATE _sqlx_migrations SET version = 9"),
        (&["coordinator", "worker", "reader"], "DELETE FROM pre_image"),
        (&["coordinator", "worker", "reader"], "DELETE FROM seat"),
        (&["worker", "reader"], "INSERT INTO batch_member VALUES ('b', '', true)"),
        (&["reader"], "UPDATE run SET state = 'done'"),
    ];
    for (roles, statement) in forbidden {
        for role in roles {
            let url = format!("{}?options=-csearch_path%3Dmfa_migrate", ground.ledger(role));
            let mut connection = PgConnection::connect(&url).await.unwrap();
            let refused = sqlx::query(statement).execute(&mut connection).await.unwrap_err();
            let code = refused.as_database_error().and_then(|e| e.code().map(|c| c.into_owned()));
            assert_eq!(code.as_deref(), Some("42501"), "{role}: {statement}: {refused}");
        }
    }
}

/// A channel of a user's, for one thing that ends it.
async fn channel(ground: &Ground, user: &str) -> lapin::Channel {
    let connection = lapin::Connection::connect(&ground.broker(user), lapin::ConnectionProperties::default())
        .await
        .unwrap();
    connection.create_channel().await.unwrap()
}

/// What no user may do with the queues.
#[tokio::main(flavor = "current_thread")]
async fn broker_refuses(ground: &Ground) {
    let refused = |what: String, result: Result<(), lapin::Error>| {
        let said = result.map_or_else(|e| e.to_string(), |()| "it was allowed".to_owned());
        assert!(said.contains("ACCESS_REFUSED"), "{what}: {said}");
    };
    for (user, queue) in [
        ("extractor", "mfa-migrate.work"),
        ("extractor", "mfa-migrate.snapshot"),
        ("operator", "mfa-migrate.work"),
        ("worker", "mfa-migrate.snapshot"),
        ("worker", "mfa-migrate.parked"),
    ] {
        let (options, none) = (BasicConsumeOptions::default(), FieldTable::default());
        let consumed =
            channel(ground, user).await.basic_consume(queue.into(), "".into(), options, none).await;
        refused(format!("{user} consumes {queue}"), consumed.map(drop));
        let got = channel(ground, user).await.basic_get(queue.into(), BasicGetOptions::default()).await;
        refused(format!("{user} gets from {queue}"), got.map(drop));
    }
    for user in ["extractor", "worker", "operator"] {
        let options = QueueDeclareOptions::durable();
        let declared =
            channel(ground, user).await.queue_declare("mine".into(), options, FieldTable::default()).await;
        refused(format!("{user} makes a queue"), declared.map(drop));
    }
}
