//! The guard of a server's folder, and how servers are started so that they hold nothing of ours.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A killed process's pipes are closed by then.
const AFTER_A_KILL: Duration = Duration::from_secs(30);

/// A folder that is removed, with every process that lives in it, when this value or its process ends.
pub(crate) struct Guard {
    folder: PathBuf,
    process: Child,
}

impl Guard {
    /// Makes a folder that other users may enter and sets a guard over it, before any server is started in it.
    pub(super) fn set(name: &str) -> Self {
        let folder = tempfile::Builder::new()
            .prefix(&format!("mfa-migrate-{name}-"))
            .tempdir()
            .expect("folder")
            .keep();
        let guard = Self::over(&folder);
        open_to_all(&folder);
        guard
    }

    /// Sets a guard over a folder that is there.
    #[expect(
        clippy::disallowed_methods,
        reason = "a word from tests/run to its own harness, no configuration"
    )]
    pub(crate) fn over(folder: &Path) -> Self {
        let register = std::env::var("HARNESS_GUARDS").unwrap_or_default();
        let mut process = Command::new("bash")
            .args(["-c", include_str!("guard.sh"), "mfa-migrate-guard", &register])
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("bash");
        let pipe = process.stdin.as_mut().expect("its input");
        writeln!(pipe, "{}", folder.display()).expect("the guard");
        Self { folder: folder.to_owned(), process }
    }

    /// Nothing is left to guard, and the folder is somebody else's to remove.
    pub(crate) fn dismiss(&mut self) {
        if let Some(mut pipe) = self.process.stdin.take() {
            // It waits for this line; nobody else ends it.
            drop(writeln!(pipe, "well"));
        }
    }

    /// The folder.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Ends everything in the folder, removes it, and waits for that. Calling it again changes nothing.
    pub(crate) fn end(&mut self) {
        drop(self.process.stdin.take());
        // It ends when it is done; there is nobody left to tell of a failure.
        drop(self.process.wait());
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.end();
    }
}

/// Lets other users of the machine enter a folder.
pub(super) fn open_to_all(folder: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).expect("permissions");
}

/// A command whose output goes to a file of the folder, in a group of its own so that ^C does not reach it.
pub(super) fn quiet(program: &Path, folder: &Path) -> Command {
    let log = std::fs::File::options().create(true).append(true).open(folder.join("out.log")).expect("a log");
    let mut command = Command::new(program);
    command
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("the log"))
        .stderr(log)
        .process_group(0);
    command
}

/// What the servers of a folder said, for a failure's words.
pub(super) fn said(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("out.log")).unwrap_or_default()
}

/// Waits until something is so; false when it was not within the limit.
pub fn until(limit: Duration, mut is_so: impl FnMut() -> bool) -> bool {
    let started = Instant::now();
    while !is_so() {
        if started.elapsed() > limit {
            return false;
        }
        #[expect(
            clippy::disallowed_methods,
            reason = "another process's state gives no signal; no runtime is blocked"
        )]
        std::thread::sleep(Duration::from_millis(20));
    }
    true
}

/// The end of a process whose output is piped to us. One that has none within the limit is killed, and the answer is what
/// it said until then.
pub(crate) fn output_within(child: Child, limit: Duration) -> Result<Output, String> {
    let id = child.id();
    let (ended, end) = std::sync::mpsc::channel();
    // Somebody must read its output meanwhile, or it would stop at a full pipe.
    std::thread::spawn(move || {
        // Nobody listens any more where its output goes on after its own end.
        ended.send(child.wait_with_output()).ok();
    });
    if let Ok(output) = end.recv_timeout(limit) {
        return Ok(output.expect("a process's end"));
    }
    signal("KILL", id);
    let Ok(Ok(output)) = end.recv_timeout(AFTER_A_KILL) else {
        return Err("somebody else holds its output open".to_owned());
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Err(format!("{}\n{}", text(&output.stdout), text(&output.stderr)))
}

/// Sends a signal by name.
pub(crate) fn signal(name: &str, pid: u32) {
    let sent =
        Command::new("kill").arg(format!("-{name}")).arg(pid.to_string()).stderr(Stdio::null()).status();
    // It may be gone already, which is what most signals want.
    drop(sent);
}
