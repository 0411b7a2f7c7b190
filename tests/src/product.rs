//! The product: its binary, and a folder to run it in.

use crate::Tenant;
use crate::services::{output_within, signal};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::Duration;
use tempfile::TempDir;

/// A call that has no end by then is stuck. The longest that is not takes a few minutes; each test says for itself what
/// must not take as long.
const LIMIT: Duration = Duration::from_secs(20 * 60);

static BINARY: OnceLock<PathBuf> = OnceLock::new();

/// Drives this binary, which its caller has built, instead of building one. It must come before all else.
pub fn use_binary(path: PathBuf) {
    assert!(BINARY.set(path).is_ok(), "another binary is in use already");
}

/// The built binary; built first, so that no test ever runs an old one, unless `HARNESS_BINARY` names another.
pub fn binary() -> &'static Path {
    BINARY.get_or_init(|| {
        if let Some(given) = std::env::var_os("HARNESS_BINARY") {
            return PathBuf::from(given);
        }
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned();
        let built = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--package", "mfa-migrate"])
            .current_dir(&root)
            .status()
            .expect("cargo");
        assert!(built.success(), "the product does not build");
        // From target/debug/deps/suite-… two floors up, from target/debug/kill-sweep one, whatever the target folder is.
        let me = std::env::current_exe().expect("own path");
        let places = me.ancestors().skip(1).take(2).map(|folder| folder.join("mfa-migrate"));
        places
            .clone()
            .find(|path| path.exists())
            .unwrap_or_else(|| panic!("no mfa-migrate beside {}", me.display()))
    })
}

/// What a call of the product left behind.
#[derive(Debug)]
pub struct Outcome {
    /// Exit code; absent when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Outcome {
    /// Standard output as one JSON value: the last line that is one.
    pub fn json(&self) -> Value {
        self.out
            .lines()
            .rev()
            .find_map(|line| serde_json::from_str(line).ok())
            .unwrap_or_else(|| panic!("no JSON on standard output: {} {}", self.out, self.err))
    }

    /// Standard output as JSON lines.
    pub fn json_lines(&self) -> Vec<Value> {
        self.out.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect()
    }

    /// Fails with both streams unless the exit code is one of these.
    #[track_caller]
    pub fn expect(self, codes: &[i32]) -> Self {
        assert!(
            self.code.is_some_and(|c| codes.contains(&c)),
            "exit code {:?}, wanted one of {codes:?}\n{}\n{}",
            self.code,
            self.out,
            self.err
        );
        self
    }
}

/// A folder with a ledger of its own, where the product is run against one tenant.
pub struct Site {
    folder: TempDir,
    graph_url: String,
    env: Vec<(String, String)>,
}

impl Site {
    /// An empty folder, pointed at a tenant, with a horizon of a few seconds so that doubts end within a test.
    pub fn new(tenant: &Tenant) -> Self {
        Self::at(&tenant.url)
    }

    /// An empty folder, pointed at any Graph.
    pub fn at(graph_url: &str) -> Self {
        let site = Self {
            folder: tempfile::tempdir().expect("folder"),
            graph_url: graph_url.to_owned(),
            env: Vec::new(),
        };
        site.configure("[graph]\nrequest_timeout_s = 5\nvisibility_deadline_s = 4\nclock_skew_s = 1\n[worker]\nlease_s = 20\n");
        site
    }

    /// Replaces the configuration file.
    pub fn configure(&self, toml: &str) {
        std::fs::write(self.path("mfa-migrate.toml"), toml).expect("configuration");
    }

    /// Sets a variable for every later call.
    pub fn env(&mut self, name: &str, value: &str) {
        self.env.retain(|(n, _)| n != name);
        self.env.push((name.to_owned(), value.to_owned()));
    }

    /// Unsets a variable for every later call.
    pub fn unset(&mut self, name: &str) {
        self.env.retain(|(n, _)| n != name);
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Runs the product to its end; fails, with what it said, where none comes.
    #[track_caller]
    pub fn run(&self, args: &[&str]) -> Outcome {
        let running = self.start(args);
        let ended = running.ended_within(LIMIT);
        ended
            .map(|(_, outcome)| outcome)
            .unwrap_or_else(|said| panic!("{args:?} has no end within {LIMIT:?}, killed:\n{said}"))
    }

    /// Starts the product.
    pub fn start(&self, args: &[&str]) -> Running {
        let child =
            self.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the product");
        Running { child }
    }

    /// Starts a service: it runs on beside everything else, and what it says goes to a file of the folder.
    pub(crate) fn serve(&self, args: &[&str], env: &[(&str, &str)], log: &Path) -> Child {
        let log = std::fs::File::options().create(true).append(true).open(log).expect("a log");
        let mut command = self.command(args);
        command.envs(env.iter().copied()).stdout(log.try_clone().expect("the log")).stderr(log);
        command.spawn().expect("the product")
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command
            .args(args)
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", self.folder.path())
            .env("MFA_MIGRATE_GRAPH_URL", &self.graph_url)
            .env("MFA_MIGRATE_GRAPH_TOKEN", "test-token")
            .envs(self.env.iter().map(|(n, v)| (n, v)))
            .stdin(Stdio::null());
        command
    }
}

/// The product under way.
pub struct Running {
    child: Child,
}

impl Running {
    /// Waits for its end; fails, with what it said, where none comes.
    #[track_caller]
    pub fn wait(self) -> Outcome {
        self.wait_status().1
    }

    /// Waits for its end, and tells also which signal it was.
    #[track_caller]
    pub fn wait_status(self) -> (ExitStatus, Outcome) {
        self.ended_within(LIMIT).unwrap_or_else(|said| panic!("no end within {LIMIT:?}, killed:\n{said}"))
    }

    fn ended_within(self, limit: Duration) -> Result<(ExitStatus, Outcome), String> {
        let output = output_within(self.child, limit)?;
        let outcome = Outcome {
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        };
        Ok((output.status, outcome))
    }

    /// Waits for its end; one that has none within the limit is killed, and nothing is answered.
    pub fn wait_within(self, limit: Duration) -> Option<Outcome> {
        self.ended_within(limit).ok().map(|(_, outcome)| outcome)
    }

    /// `kill -9`, then its end.
    pub fn kill(mut self) -> Outcome {
        // It may have ended by itself, which is no failure of the test.
        drop(self.child.kill());
        self.wait()
    }

    /// SIGTERM; it goes on to its graceful end.
    pub fn terminate(&self) {
        signal("TERM", self.child.id());
    }

    /// Sends a signal by name: `STOP`, `CONT`.
    pub fn signal(&self, name: &str) {
        signal(name, self.child.id());
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("state").is_some()
    }
}
