//! The harness's own servers: they come back with what they had, and nothing of them outlives its holder.

use harness::services::{Postgres, Rabbit, postgres, rabbit};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Set in the process that a test starts to be killed.
const HOLDER: &str = "HARNESS_HOLDER";

#[test]
fn what_was_committed_is_there_after_a_kill() {
    let server = Postgres::start();
    let url = server.new_database();
    let name = url.rsplit('/').next().unwrap();
    server.psql(name, "create table t (n int); insert into t values (7)");
    server.kill_dash_nine();
    server.start_again();
    assert_eq!(server.psql(name, "select n from t"), "7");
    server.stop_fast();
    server.start_again();
    assert_eq!(server.psql(name, "select n from t"), "7");
}

#[test]
fn a_broker_comes_back_on_its_port() {
    let broker = Rabbit::start();
    broker.kill_dash_nine();
    broker.start_again();
    broker.stop();
    broker.start_again();
    broker.set_memory_alarm(true);
    assert!(broker.ctl(&["eval", "rabbit_alarm:get_alarms()."]).contains("memory"));
    broker.set_memory_alarm(false);
    assert!(!broker.ctl(&["eval", "rabbit_alarm:get_alarms()."]).contains("memory"));
}

#[test]
fn everybody_gets_a_place_of_their_own() {
    assert_ne!(rabbit().new_vhost(), rabbit().new_vhost());
    assert_ne!(postgres().new_database(), postgres().new_database());
}

/// No test: the process that `nothing_outlives_a_killed_holder` starts, and kills.
#[test]
#[expect(clippy::disallowed_methods, reason = "a word from one test process to another")]
fn holds_services_until_it_is_killed() {
    if std::env::var(HOLDER).is_err() {
        return;
    }
    let (broker, server) = (Rabbit::start(), Postgres::start());
    // One of them was killed before its holder is.
    let dead = Postgres::start();
    dead.kill_dash_nine();
    println!("\nHOLDING {} {}", broker.port, server.port);
    std::thread::sleep(Duration::from_secs(600));
}

#[test]
fn nothing_outlives_a_killed_holder() {
    let place = tempfile::Builder::new().prefix("mfa-migrate-holder-").tempdir().unwrap();
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(place.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut holder = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "services::holds_services_until_it_is_killed", "--nocapture"])
        .env(HOLDER, "yes")
        .env("TMPDIR", place.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let said = BufReader::new(holder.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(said.into_iter().any(|line| line.contains("HOLDING")), "it does not hold");
    let folders = || std::fs::read_dir(place.path()).unwrap().count();
    let named = || processes_that_name(place.path().to_str().unwrap());
    assert_eq!(folders(), 3);
    assert!(named().len() >= 3, "{:?}", named());
    holder.kill().unwrap();
    holder.wait().unwrap();
    let started = Instant::now();
    while folders() > 0 || !named().is_empty() {
        assert!(started.elapsed() < Duration::from_secs(60), "{} folders, {:?}", folders(), named());
        #[expect(
            clippy::disallowed_methods,
            reason = "the guard is nobody's child any more; there is nothing to wait for"
        )]
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Processes with these words in their arguments, their environment or their place: servers, and epmd.
fn processes_that_name(words: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let read = |name: &str| std::fs::read(entry.path().join(name)).unwrap_or_default();
        let place = std::fs::read_link(entry.path().join("cwd")).unwrap_or_default();
        let whole =
            [read("cmdline"), read("environ"), place.to_string_lossy().into_owned().into_bytes()].concat();
        if String::from_utf8_lossy(&whole).contains(words) {
            found.push(format!("{} {}", entry.path().display(), String::from_utf8_lossy(&read("cmdline"))));
        }
    }
    found
}

#[test]
fn a_proxy_cuts_where_it_is_told() {
    use std::io::{Read, Write};
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = harness::Proxy::to(server.local_addr().unwrap().port());
    let connect = || {
        let near = std::net::TcpStream::connect(("127.0.0.1", proxy.port)).unwrap();
        (near, server.accept().unwrap().0)
    };
    let (mut near, mut far) = connect();
    near.write_all(b"whole").unwrap();
    let mut five = [0; 5];
    far.read_exact(&mut five).unwrap();
    far.write_all(b"back").unwrap();
    let mut four = [0; 4];
    near.read_exact(&mut four).unwrap();
    assert_eq!((&five, &four), (b"whole", b"back"));
    proxy.cut_after_bytes(3);
    near.write_all(b"halved").unwrap();
    let mut rest = Vec::new();
    far.read_to_end(&mut rest).unwrap();
    assert_eq!((rest.as_slice(), proxy.cuts()), (&b"hal"[..], 1));
    // Held back, then let go.
    let (mut near, mut far) = connect();
    proxy.pause(true);
    near.write_all(b"later").unwrap();
    far.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    assert!(far.read(&mut five).is_err());
    proxy.heal();
    far.read_exact(&mut five).unwrap();
    assert_eq!(&five, b"later");
    proxy.refuse(true);
    let mut refused = std::net::TcpStream::connect(("127.0.0.1", proxy.port)).unwrap();
    assert!(matches!(refused.read(&mut five), Ok(0) | Err(_)));
    assert!(matches!(near.read(&mut five), Ok(0) | Err(_)));
}
