//! A private RabbitMQ broker, with an epmd of its own.

use super::Pair;
use super::guard::{Guard, output_within, quiet, said, signal, until};
use super::ports::{free, is_open};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// How long a broker may take to start or to stop, on a machine that has other things to do.
const PATIENCE: Duration = Duration::from_secs(120);
/// Virtual hosts that are there from the start; making one later takes a second.
const VHOSTS: usize = 64;
const COOKIE: &str = "MFAMIGRATETESTS";

/// A broker of its own, at first running; it ends with this value.
pub struct Rabbit {
    /// Where it listens, on 127.0.0.1.
    pub port: u16,
    /// Where it listens under TLS, on 127.0.0.1; absent when it does not.
    tls_port: Option<u16>,
    distribution: u16,
    epmd: u16,
    vhosts: AtomicUsize,
    process: Mutex<Option<Child>>,
    guard: Guard,
}

impl Rabbit {
    /// A new broker with empty virtual hosts.
    pub fn start() -> Self {
        Self::start_with(None)
    }

    /// A new broker that listens under TLS too, with a certificate, and there lets nobody in who has none of the authority.
    pub fn start_with_tls(own: &Pair, authority: &Path) -> Self {
        Self::start_with(Some((own, authority)))
    }

    fn start_with(tls: Option<(&Pair, &Path)>) -> Self {
        assert!(
            Path::new("/usr/lib/rabbitmq/bin/rabbitmq-server").exists(),
            "RabbitMQ is not installed (no /usr/lib/rabbitmq/bin/rabbitmq-server); ./tests/run installs it"
        );
        let broker = Self {
            port: free(),
            tls_port: tls.map(|_| free()),
            distribution: free(),
            epmd: free(),
            vhosts: AtomicUsize::new(0),
            process: Mutex::new(None),
            guard: Guard::set("rabbit"),
        };
        broker.configure(tls);
        let epmd = broker
            .command(Path::new("/usr/bin/epmd"))
            .args(["-address", "127.0.0.1", "-port", &broker.epmd.to_string(), "-daemon"])
            .status()
            .expect("epmd");
        assert!(epmd.success(), "epmd does not start");
        broker.start_again();
        broker
    }

    fn configure(&self, tls: Option<(&Pair, &Path)>) {
        let at = |name: &str| self.guard.folder().join(name);
        for folder in ["own", "mnesia", "log"] {
            std::fs::create_dir(at(folder)).expect("folder");
        }
        let write = |name: &str, text: &str| std::fs::write(at(name), text).expect("a file of the broker's");
        write("own/.erlang.cookie", COOKIE);
        std::fs::set_permissions(at("own/.erlang.cookie"), std::fs::Permissions::from_mode(0o400))
            .expect("cookie");
        write("enabled_plugins", "[].");
        write(
            "rabbitmq.conf",
            &format!(
                "listeners.tcp.default = 127.0.0.1:{}\n\
                 vm_memory_high_watermark.absolute = 2GB\ndisk_free_limit.absolute = 500MB\n\
                 log.console = false\nlog.file.level = warning\nload_definitions = {}\n{}",
                self.port,
                at("definitions.json").display(),
                tls.map(|(own, authority)| self.secured(own, authority)).unwrap_or_default()
            ),
        );
        let vhosts: Vec<_> = (0..VHOSTS).map(|n| serde_json::json!({ "name": vhost(n) })).collect();
        let allowed = |name: String| serde_json::json!({ "user": "guest", "vhost": name, "configure": ".*", "write": ".*", "read": ".*" });
        let permissions: Vec<_> = (0..VHOSTS).map(vhost).chain(["/".to_owned()]).map(allowed).collect();
        let definitions = serde_json::json!({
            "vhosts": vhosts.into_iter().chain([serde_json::json!({ "name": "/" })]).collect::<Vec<_>>(),
            "users": [{ "name": "guest", "password": "guest", "tags": "administrator" }],
            "permissions": permissions,
        });
        write("definitions.json", &definitions.to_string());
    }

    fn secured(&self, own: &Pair, authority: &Path) -> String {
        format!(
            "listeners.ssl.default = 127.0.0.1:{}\nssl_options.verify = verify_peer\n\
             ssl_options.fail_if_no_peer_cert = true\nssl_options.cacertfile = {}\n\
             ssl_options.certfile = {}\nssl_options.keyfile = {}\n",
            self.tls_port.expect("a port for TLS"),
            authority.display(),
            own.certificate.display(),
            own.key.display()
        )
    }

    /// Starts it again on the same port with what it has on disk, and waits until it takes connections.
    pub fn start_again(&self) {
        let mut process = self.process.lock().expect("the broker");
        assert!(process.is_none(), "it runs already");
        let mut child = self
            .command(Path::new("/usr/lib/rabbitmq/bin/rabbitmq-server"))
            .spawn()
            .expect("rabbitmq-server");
        // Its listener opens at the end of its start, after the queues of the virtual hosts are back.
        let is_open = until(PATIENCE, || {
            child.try_wait().expect("state").is_none()
                && is_open(self.tls_port.unwrap_or(self.port))
                && is_open(self.port)
        });
        assert!(is_open, "the broker does not start:\n{}", said(self.guard.folder()));
        *process = Some(child);
    }

    /// The URL of a virtual host.
    pub fn url(&self, vhost: &str) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}/{}", self.port, vhost.replace('/', "%2f"))
    }

    /// The same virtual host under TLS, at a host's name.
    pub fn tls_url(&self, url: &str, login: &str, host: &str) -> String {
        let vhost = url.rsplit('/').next().expect("a virtual host");
        format!("amqps://{login}@{host}:{}/{vhost}", self.tls_port.expect("a port for TLS"))
    }

    /// The URL of a virtual host that nobody used yet.
    pub fn new_vhost(&self) -> String {
        let n = self.vhosts.fetch_add(1, Ordering::Relaxed);
        if n >= VHOSTS {
            self.ctl(&["add_vhost", &vhost(n)]);
            self.ctl(&["set_permissions", "-p", &vhost(n), "guest", ".*", ".*", ".*"]);
        }
        self.url(&vhost(n))
    }

    /// The process id of the Erlang machine, whose helpers are its children.
    pub fn id(&self) -> u32 {
        self.pid()
    }

    /// `kill -9` of the broker.
    pub fn kill_dash_nine(&self) {
        self.end("KILL");
    }

    /// An orderly stop.
    pub fn stop(&self) {
        self.end("TERM");
    }

    /// Stops it in its tracks without closing a connection, or lets it go on.
    pub fn freeze(&self, frozen: bool) {
        signal(if frozen { "STOP" } else { "CONT" }, self.pid());
    }

    /// Raises the alarm of low memory, by a limit that is exceeded at once, or lets it go.
    pub fn set_memory_alarm(&self, raised: bool) {
        let limit = if raised { "1" } else { "2GB" };
        self.ctl(&["set_vm_memory_high_watermark", "absolute", limit]);
    }

    /// `rabbitmqctl`; answers what it prints.
    #[track_caller]
    pub fn ctl(&self, args: &[&str]) -> String {
        let mut command = Command::new("/usr/lib/rabbitmq/bin/rabbitmqctl");
        self.surround(&mut command);
        command.arg("-q").args(args).stdout(Stdio::piped()).stderr(Stdio::piped());
        let out = output_within(command.spawn().expect("rabbitmqctl"), PATIENCE)
            .unwrap_or_else(|said| panic!("rabbitmqctl {args:?} does not end: {said}"));
        assert!(out.status.success(), "rabbitmqctl {args:?}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8_lossy(&out.stdout).into_owned()
    }

    fn pid(&self) -> u32 {
        let text = std::fs::read_to_string(self.guard.folder().join("pid")).expect("the broker's pid");
        text.trim().parse().expect("a pid")
    }

    fn end(&self, with: &str) {
        let pid = self.pid();
        let mut child = self.process.lock().expect("the broker").take().expect("it runs");
        signal(with, pid);
        assert!(until(PATIENCE, || child.try_wait().expect("state").is_some()), "the broker does not end");
        let place = PathBuf::from(format!("/proc/{pid}/environ"));
        assert!(until(PATIENCE, || !is_alive(&place)), "the broker does not end");
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = quiet(program, self.guard.folder());
        self.surround(&mut command);
        command
    }

    /// The environment in which broker and tools find each other and nobody else.
    fn surround(&self, command: &mut Command) {
        let at = |name: &str| self.guard.folder().join(name);
        command
            .env_clear()
            .current_dir(self.guard.folder())
            .stdin(std::process::Stdio::null())
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("LANG", "C.UTF-8")
            .env("LC_ALL", "C.UTF-8")
            .env("HOME", at("own"))
            .env("RABBITMQ_NODENAME", format!("tests{}@localhost", self.port))
            .env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_NODE_PORT", self.port.to_string())
            .env("RABBITMQ_DIST_PORT", self.distribution.to_string())
            .env("ERL_EPMD_PORT", self.epmd.to_string())
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_MNESIA_BASE", at("mnesia"))
            .env("RABBITMQ_LOG_BASE", at("log"))
            .env("RABBITMQ_PID_FILE", at("pid"))
            .env("RABBITMQ_CONF_ENV_FILE", "/dev/null")
            .env("RABBITMQ_CONFIG_FILE", at("rabbitmq.conf"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", at("enabled_plugins"))
            // Two schedulers that do not spin while they wait: the machine has other things to do.
            .env(
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
                "-kernel inet_dist_use_interface {127,0,0,1} +S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none",
            );
    }
}

fn vhost(n: usize) -> String {
    format!("test{n}")
}

/// A process that is there and not a zombie that nobody has fetched yet.
fn is_alive(environ: &Path) -> bool {
    std::fs::read(environ).is_ok_and(|bytes| !bytes.is_empty())
}
