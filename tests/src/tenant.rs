//! A simulated tenant in a process of its own, and what it says of itself.

use crate::binary;
use crate::services::Guard;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// A tenant that has not said a word by then is stuck.
const PATIENCE: Duration = Duration::from_secs(120);

/// A running tenant; it ends with this value.
pub struct Tenant {
    child: Child,
    /// Its base, without a version.
    pub url: String,
    journal: PathBuf,
    guard: Guard,
    _folder: TempDir,
}

impl Tenant {
    /// Starts a tenant with a state, and flags such as `--faults` and their values.
    pub fn start(state: &Path, flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let guard = Guard::over(folder.path());
        let journal = folder.path().join("journal.ndjson");
        let mut child = Command::new(binary())
            .args(["simulate", "tenant", "--listen", "127.0.0.1:0", "--seed"])
            .arg(state)
            .arg("--journal")
            .arg(&journal)
            .args(flags)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the tenant");
        let mut output = BufReader::new(child.stdout.take().expect("its output"));
        let (said, says) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let mut line = String::new();
            // Nobody listens any more where it was too late.
            said.send(output.read_line(&mut line).map(|_| line)).ok();
        });
        let line = says.recv_timeout(PATIENCE).unwrap_or_else(|_| {
            // It fails only when the tenant is gone already.
            drop(child.kill());
            panic!("the tenant says nothing")
        });
        let line = line.expect("its first line");
        let url = line
            .split_whitespace()
            .find(|word| word.starts_with("http://"))
            .unwrap_or_else(|| panic!("the tenant said {line:?}"))
            .trim_end_matches(';')
            .to_owned();
        Self { child, url, journal, guard, _folder: folder }
    }

    /// Starts a tenant with a state given as JSON.
    pub fn with(state: &Value, flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("state.json");
        std::fs::write(&path, state.to_string()).expect("state");
        Self::start(&path, flags)
    }

    /// Its state now.
    pub fn state(&self) -> Value {
        self.get("/simulator/state")
    }

    /// What it counted.
    pub fn stats(&self) -> Value {
        self.get("/simulator/stats")
    }

    /// Every effect so far, in order.
    pub fn journal(&self) -> Vec<Value> {
        // It may be written at this moment: what has no end yet is no line yet.
        let text = std::fs::read_to_string(&self.journal).unwrap_or_default();
        json_lines(text.rfind('\n').map_or("", |end| &text[..end]))
    }

    /// One user of its state, by UPN.
    pub fn user(&self, upn: &str) -> Value {
        let state = self.state();
        state["users"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|u| u["userPrincipalName"].as_str().is_some_and(|n| n.eq_ignore_ascii_case(upn)))
            .unwrap_or_else(|| panic!("no user {upn}"))
            .clone()
    }

    /// A call by somebody else; answers the status.
    pub fn call(&self, method: &str, path: &str, body: &Value) -> u16 {
        self.try_call(method, path, body).expect("a status")
    }

    /// The same at a tenant that may drop the connection; nothing when it did.
    pub fn try_call(&self, method: &str, path: &str, body: &Value) -> Option<u16> {
        let host = self.url.trim_start_matches("http://");
        let mut stream = TcpStream::connect(host).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        let body = if body.is_null() { String::new() } else { body.to_string() };
        write!(
            stream,
            "{method} {path} HTTP/1.0\r\nHost: {host}\r\nAuthorization: Bearer other\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        answer.split_whitespace().nth(1).and_then(|word| word.parse().ok())
    }

    /// A plain GET of its own pages, with nothing of the product in between.
    fn get(&self, path: &str) -> Value {
        let host = self.url.trim_start_matches("http://");
        let mut stream = TcpStream::connect(host).expect("the tenant");
        stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
        write!(stream, "GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n").expect("request");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("answer");
        let body = answer.windows(4).position(|w| w == b"\r\n\r\n").expect("head") + 4;
        serde_json::from_slice(&answer[body..]).expect("JSON")
    }
}

impl Drop for Tenant {
    fn drop(&mut self) {
        // Both fail only when it is gone already.
        drop(self.child.kill());
        drop(self.child.wait());
        self.guard.dismiss();
    }
}

/// The JSON lines of a file; none if it is not there.
pub fn read_lines(path: &Path) -> Vec<Value> {
    json_lines(&std::fs::read_to_string(path).unwrap_or_default())
}

fn json_lines(text: &str) -> Vec<Value> {
    text.lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| serde_json::from_str(line).expect("a JSON line"))
        .collect()
}
