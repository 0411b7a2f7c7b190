//! A private PostgreSQL server that syncs to disk.

use super::Pair;
use super::guard::{Guard, output_within, quiet, said, signal, until};
use super::ports::{free, is_open};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// How long a server may take to start or to stop.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a query may take. Some wait on purpose, but none for minutes.
const QUERY: Duration = Duration::from_secs(300);

/// A server of its own, at first running; it ends with this value.
pub struct Postgres {
    /// Where it listens, on 127.0.0.1.
    pub port: u16,
    binaries: PathBuf,
    /// The user it runs as; absent when we are no root and it is us.
    user: Option<(u32, u32)>,
    /// Whether it offers TLS.
    is_secured: bool,
    databases: AtomicU32,
    process: Mutex<Option<Child>>,
    guard: Guard,
}

impl Postgres {
    /// A new server with nothing in it.
    pub fn start() -> Self {
        Self::start_with(None)
    }

    /// A new server that offers TLS with a certificate. Its user `fleet` comes in by TLS alone, with a password and a
    /// certificate of the authority in that name; the harness itself in clear.
    pub fn start_with_tls(own: &Pair, authority: &Path) -> Self {
        Self::start_with(Some((own, authority)))
    }

    fn start_with(tls: Option<(&Pair, &Path)>) -> Self {
        let server = Self {
            port: free(),
            binaries: binaries(),
            user: server_user(),
            is_secured: tls.is_some(),
            databases: AtomicU32::new(0),
            process: Mutex::new(None),
            guard: Guard::set("postgres"),
        };
        let data = server.guard.folder().join("data");
        std::fs::create_dir(&data).expect("folder");
        if let Some((uid, gid)) = server.user {
            chown(&data, Some(uid), Some(gid)).expect("the folder's owner");
        }
        let made = server
            .command("initdb")
            .arg("-D")
            .arg(&data)
            .args(["-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8"])
            .status()
            .expect("initdb");
        assert!(made.success(), "initdb failed:\n{}", said(server.guard.folder()));
        if let Some((own, authority)) = tls {
            server.secure(&data, own, authority);
        }
        server.start_again();
        server
    }

    /// Copies what it needs, for its user may not read ours, and a key that others could read is refused.
    fn secure(&self, data: &Path, own: &Pair, authority: &Path) {
        let files = [(&*own.certificate, "own.pem"), (&own.key, "own.key"), (authority, "authority.pem")];
        for (file, name) in files {
            let copy = data.join(name);
            std::fs::copy(file, &copy).expect("a copy");
            std::fs::set_permissions(&copy, std::fs::Permissions::from_mode(0o600)).expect("permissions");
            if let Some((uid, gid)) = self.user {
                chown(&copy, Some(uid), Some(gid)).expect("the file's owner");
            }
        }
        let admitted = "host all postgres 127.0.0.1/32 trust\n\
                        hostssl all fleet 127.0.0.1/32 scram-sha-256 clientcert=verify-full\n";
        std::fs::write(data.join("pg_hba.conf"), admitted).expect("pg_hba.conf");
    }

    /// Starts it again on the same port with what it has on disk, and waits until it answers.
    pub fn start_again(&self) {
        let data = self.guard.folder().join("data");
        let port = self.port.to_string();
        let mut process = self.process.lock().expect("the server");
        assert!(process.is_none(), "it runs already");
        let settings = [
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "max_connections=200",
            "shared_buffers=64MB",
            // In the data folder, so that a killed server leaves nothing elsewhere.
            "dynamic_shared_memory_type=mmap",
            "jit=off",
        ];
        let mut command = self.command("postgres");
        command.arg("-D").arg(&data).args(["-p", &port]);
        for setting in settings {
            command.args(["-c", setting]);
        }
        let tls = ["ssl=on", "ssl_cert_file=own.pem", "ssl_key_file=own.key", "ssl_ca_file=authority.pem"];
        for setting in tls.iter().filter(|_| self.is_secured) {
            command.args(["-c", setting]);
        }
        let mut child = command.spawn().expect("postgres");
        // Taking connections is not yet taking queries: after a crash it replays its log first.
        let answers = until(PATIENCE, || {
            child.try_wait().expect("state").is_none()
                && is_open(self.port)
                && self.query("postgres", "select 1").is_ok()
        });
        assert!(answers, "postgres does not answer:\n{}", said(self.guard.folder()));
        *process = Some(child);
    }

    /// Makes a database and answers its URL.
    pub fn new_database(&self) -> String {
        let name = format!("test{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.psql("postgres", &format!("create database {name}"));
        self.url(&name)
    }

    /// The URL of a database.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// Runs SQL and answers the rows, columns apart by `|`.
    #[track_caller]
    pub fn psql(&self, database: &str, sql: &str) -> String {
        self.query(database, sql).unwrap_or_else(|e| panic!("{sql}: {e}"))
    }

    fn query(&self, database: &str, sql: &str) -> Result<String, String> {
        let out = Command::new(self.binaries.join("psql"))
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", &self.url(database), "-c", sql])
            .stdin(Stdio::null())
            .env_clear()
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("psql");
        let out = output_within(out, QUERY).map_err(|said| format!("no end within {QUERY:?}: {said}"))?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
        if out.status.success() { Ok(text(&out.stdout)) } else { Err(text(&out.stderr)) }
    }

    /// The process id of the server, whose sessions are its children.
    pub fn id(&self) -> u32 {
        self.process.lock().expect("the server").as_ref().expect("it runs").id()
    }

    /// `kill -9` of the server; its sessions end with it.
    pub fn kill_dash_nine(&self) {
        self.end("KILL");
    }

    /// An orderly stop that ends every session.
    pub fn stop_fast(&self) {
        self.end("INT");
    }

    fn end(&self, with: &str) {
        let mut child = self.process.lock().expect("the server").take().expect("it runs");
        signal(with, child.id());
        assert!(until(PATIENCE, || child.try_wait().expect("state").is_some()), "postgres does not end");
        // Sessions of a killed server notice a moment later; until then it cannot be started again.
        let data = self.guard.folder().join("data");
        assert!(until(PATIENCE, || !lives_in(&data)), "sessions do not end");
    }

    /// A program of PostgreSQL's, as the user it runs as.
    fn command(&self, program: &str) -> Command {
        let mut command = quiet(&self.binaries.join(program), self.guard.folder());
        command.env_clear().env("PATH", "/usr/bin:/bin").env("LC_ALL", "C.UTF-8");
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        command
    }
}

/// Whether a process has its place there.
fn lives_in(folder: &Path) -> bool {
    let processes = std::fs::read_dir("/proc").expect("processes");
    processes.flatten().any(|entry| std::fs::read_link(entry.path().join("cwd")).is_ok_and(|at| at == folder))
}

/// The programs of version 15, or of the newest there is.
fn binaries() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    versions
        .filter(|v| v.path().join("bin/initdb").exists())
        .filter_map(|v| Some((v.file_name().to_str()?.parse::<u32>().ok()?, v.path().join("bin"))))
        .max_by_key(|(version, _)| (*version == 15, *version))
        .expect("PostgreSQL is not installed (no /usr/lib/postgresql/*/bin/initdb); ./tests/run installs it")
        .1
}

/// PostgreSQL refuses to run as root: then it runs as the user of its package.
fn server_user() -> Option<(u32, u32)> {
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|me| me.uid() == 0);
    is_root.then(|| {
        let users = std::fs::read_to_string("/etc/passwd").expect("users");
        let line = users.lines().find(|line| line.starts_with("postgres:")).expect("the user postgres");
        let mut fields = line.split(':').skip(2).map(|id| id.parse().expect("an id"));
        (fields.next().expect("a user id"), fields.next().expect("a group id"))
    })
}
