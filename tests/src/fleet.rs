//! A site with real services: RabbitMQ, PostgreSQL, a coordinator, workers and an extractor in processes of their own.
//!
//! It decides nothing about how they behave: it starts, stops, kills and listens, as a service manager would. Everything
//! it started ends with it, and also when the test process is killed.

use crate::services::{Guard, postgres, rabbit, signal, until};
use crate::{Expected, Outcome, Running, Site, Tenant, Verdict};
use serde_json::Value;
use std::path::PathBuf;
use std::process::{Child, ExitStatus};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Limits short enough that what has to be waited out (leases, horizons) ends within a test.
const CONFIGURATION: &str = "[graph]\nrequest_timeout_s = 2\nvisibility_deadline_s = 1\nclock_skew_s = 1\n\
     [worker]\nlease_s = 8\n";
/// A run that has not ended by then is stuck.
pub(crate) const STUCK_AFTER: Duration = Duration::from_secs(180);
/// What a signal is meant to bring about takes at most this long, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// A virtual host, a database, and the services that share them.
pub struct Fleet {
    /// The folder and the configuration of all of them; operators' verbs run here.
    pub site: Site,
    /// The URL of the virtual host, without a proxy.
    pub broker: String,
    /// The URL of the database, without a proxy.
    pub ledger: String,
    started: AtomicUsize,
    logs: Mutex<Vec<PathBuf>>,
    // Before the folder's own removal: it ends whoever still lives there.
    guard: Guard,
}

impl Fleet {
    /// On the services that all tests share, with nothing started yet.
    pub fn new(tenant: &Tenant) -> Self {
        Self::on(tenant, &rabbit().new_vhost(), &postgres().new_database())
    }

    /// On a virtual host and a database.
    pub fn on(tenant: &Tenant, broker: &str, ledger: &str) -> Self {
        let mut site = Site::new(tenant);
        site.configure(CONFIGURATION);
        let key: Vec<u8> = (0..32).collect();
        std::fs::write(site.path("sealing.key"), key).expect("key");
        // A key that others may read is refused.
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(site.path("sealing.key"), std::fs::Permissions::from_mode(0o600))
            .expect("key");
        let key_file = site.path("sealing.key");
        site.env("MFA_MIGRATE_BROKER", broker);
        site.env("MFA_MIGRATE_LEDGER", ledger);
        site.env("MFA_MIGRATE_KEY_FILE", key_file.to_str().expect("a path of text"));
        let guard = Guard::over(site.folder());
        Self {
            site,
            broker: broker.to_owned(),
            ledger: ledger.to_owned(),
            started: AtomicUsize::new(0),
            logs: Mutex::default(),
            guard,
        }
    }

    /// Whoever is started from now on reaches the broker there.
    pub fn broker_by(&mut self, url: &str) {
        self.site.env("MFA_MIGRATE_BROKER", url);
    }

    /// Whoever is started from now on reaches the database there.
    pub fn ledger_by(&mut self, url: &str) {
        self.site.env("MFA_MIGRATE_LEDGER", url);
    }

    /// Starts a service.
    pub fn serve(&self, kind: &str, more: &[&str]) -> Service {
        self.serve_with(kind, more, &[])
    }

    /// Starts a service that dies at the n-th passage of a crash point.
    pub fn serve_until(&self, kind: &str, more: &[&str], (point, passage): (&str, u32)) -> Service {
        self.serve_with(kind, more, &[("MFA_MIGRATE_CRASH_AT", &format!("{point}:{passage}"))])
    }

    fn serve_with(&self, kind: &str, more: &[&str], env: &[(&str, &str)]) -> Service {
        let n = self.started.fetch_add(1, Ordering::Relaxed);
        let log = self.site.path(&format!("{n:03}-{kind}.log"));
        let child = self.site.serve(&[&["serve", kind], more].concat(), env, &log);
        self.logs.lock().expect("the logs").push(log.clone());
        Service { child: Some(child), log }
    }

    /// Starts a coordinator.
    pub fn coordinator(&self) -> Service {
        self.serve("coordinator", &[])
    }

    /// Starts workers.
    pub fn workers(&self, count: usize) -> Vec<Service> {
        (0..count).map(|_| self.serve("worker", &[])).collect()
    }

    /// Starts the operator's `migrate` for a datafile.
    pub fn start_migrate(&self, expected: &Expected) -> Running {
        self.site.start(&["migrate", "--datafile", expected.datafile(), "--json"])
    }

    /// The operator's `migrate` for a datafile, to its end; fails, with what everybody said, when it has none.
    #[track_caller]
    pub fn migrate(&self, expected: &Expected) -> Outcome {
        self.end_of(self.start_migrate(expected))
    }

    /// The end of a verb; fails, with what everybody said, when it has none or another than 0 and 3.
    #[track_caller]
    pub fn end_of(&self, running: Running) -> Outcome {
        let Some(outcome) = running.wait_within(STUCK_AFTER) else {
            panic!("stuck:\n{}\n{}", self.status_text(), self.said());
        };
        let is_done = matches!(outcome.code, Some(0 | 3));
        assert!(is_done, "ended with {:?}:\n{}\n{}\n{}", outcome.code, outcome.out, outcome.err, self.said());
        outcome
    }

    /// `status`, as JSON.
    pub fn status(&self) -> Value {
        self.site.run(&["status", "--json"]).expect(&[0, 3]).json()
    }

    /// What `status` says to a person, whatever it is.
    pub fn status_text(&self) -> String {
        let outcome = self.site.run(&["status"]);
        format!("{}{}", outcome.out, outcome.err)
    }

    /// Checks everything after a migration, pre-images too, and fails with what everybody said unless all is well.
    #[track_caller]
    pub fn must_be_clean(&self, expected: &Expected, tenant: &Tenant, end: &Value) {
        let verdict = self.verdict(expected, tenant, end);
        assert!(verdict.is_clean(), "{verdict:#?}\n{}", self.said());
    }

    /// Checks everything after a migration, pre-images too.
    pub fn verdict(&self, expected: &Expected, tenant: &Tenant, end: &Value) -> Verdict {
        let mut verdict = expected.check(tenant, &self.site, end);
        expected.check_pre_images(&self.site, &mut verdict);
        verdict
    }

    /// The last that each service said.
    pub fn said(&self) -> String {
        let logs = self.logs.lock().expect("the logs");
        let tail = |path: &PathBuf| {
            let text = std::fs::read_to_string(path).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            format!("--- {}\n{}\n", path.display(), lines[lines.len().saturating_sub(15)..].join("\n"))
        };
        logs.iter().map(tail).collect()
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        // Its services are values of their own and may live longer; they end here in any case.
        self.guard.end();
    }
}

/// A service under way; it is killed with this value.
pub struct Service {
    /// Absent once its end was seen.
    child: Option<Child>,
    log: PathBuf,
}

impl Service {
    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.as_ref().expect("it was started").id()
    }

    /// What it said so far.
    pub fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Sends a signal by name: `TERM`, `STOP`, `CONT`.
    pub fn signal(&self, name: &str) {
        signal(name, self.id());
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.as_mut().is_none_or(|child| child.try_wait().expect("state").is_some())
    }

    /// Waits for its end, which something else brings about; fails when none comes.
    #[track_caller]
    pub fn end(mut self) -> ExitStatus {
        assert!(until(PATIENCE, || self.has_ended()), "it does not end:\n{}", self.said());
        self.child.take().expect("it was started").wait().expect("its end")
    }

    /// SIGTERM, then its end, which must be a graceful one.
    #[track_caller]
    pub fn stop(self) -> ExitStatus {
        self.signal("TERM");
        self.end()
    }

    /// `kill -9`, and its end. True when it was alive until then.
    pub fn kill(mut self) -> bool {
        let was_alive = !self.has_ended();
        drop(self);
        was_alive
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Both fail only when it is gone already.
            drop(child.kill());
            drop(child.wait());
        }
    }
}
