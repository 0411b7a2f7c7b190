//! A private Prometheus from Debian's package, which scrapes what a test starts and knows the alerts that are shipped.

use super::guard::{Guard, quiet, said, until};
use super::ports::free;
use crate::page::{Page, encoded};
use serde_json::Value;
use std::path::Path;
use std::process::Child;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

/// A Prometheus; it ends with this value.
pub struct Prometheus {
    port: u16,
    process: Child,
    guard: Guard,
}

impl Prometheus {
    /// Starts one that scrapes these ports of 127.0.0.1 every second, and evaluates these rules as often.
    pub fn start(targets: &[u16], rules: &Path) -> Self {
        let program = Path::new("/usr/bin/prometheus");
        assert!(
            program.exists(),
            "Prometheus is not installed (no /usr/bin/prometheus); ./tests/run installs it"
        );
        let guard = Guard::set("prometheus");
        let port = free();
        let targets: Vec<String> = targets.iter().map(|port| format!("\"127.0.0.1:{port}\"")).collect();
        let configuration = format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}}\n\
             rule_files: [\"{}\"]\n\
             scrape_configs:\n  - job_name: mfa-migrate\n    static_configs: [{{targets: [{}]}}]\n",
            rules.display(),
            targets.join(", ")
        );
        let file = guard.folder().join("prometheus.yml");
        std::fs::write(&file, configuration).expect("its configuration");
        let mut process = quiet(program, guard.folder())
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", guard.folder().join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .arg("--log.level=warn")
            .spawn()
            .expect("prometheus");
        let is_there = until(PATIENCE, || {
            process.try_wait().expect("state").is_none()
                && Page::get(port, "/-/ready").is_some_and(|page| page.status == 200)
        });
        assert!(is_there, "Prometheus does not start:\n{}", said(guard.folder()));
        Self { port, process, guard }
    }

    /// What its API answers; what it refuses fails, with its words.
    #[track_caller]
    fn ask(&self, what: &str) -> Value {
        let page = Page::get(self.port, what);
        let page = page.unwrap_or_else(|| panic!("Prometheus is gone:\n{}", said(self.guard.folder())));
        let answer = page.json();
        assert_eq!(answer["status"], "success", "{what}: {answer}");
        answer["data"].clone()
    }

    /// The samples of an expression now: labels and value.
    #[track_caller]
    pub fn now(&self, expression: &str) -> Vec<(Value, f64)> {
        let data = self.ask(&format!("/api/v1/query?query={}", encoded(expression)));
        let samples = data["result"].as_array().cloned().unwrap_or_default();
        samples.iter().map(|sample| (sample["metric"].clone(), number(&sample["value"][1]))).collect()
    }

    /// Every value of an expression since a time in seconds since 1970, a second apart, over all its series.
    #[track_caller]
    pub fn since(&self, since_s: f64, expression: &str) -> Vec<f64> {
        let now_s = self.clock_s();
        let query = encoded(expression);
        let data = self.ask(&format!("/api/v1/query_range?query={query}&start={since_s}&end={now_s}&step=1"));
        let series = data["result"].as_array().cloned().unwrap_or_default();
        let values = series.iter().filter_map(|one| one["values"].as_array());
        values.flatten().map(|value| number(&value[1])).collect()
    }

    /// Its clock, in seconds since 1970.
    #[track_caller]
    pub fn clock_s(&self) -> f64 {
        let data = self.ask("/api/v1/query?query=time()");
        number(&data["result"][1])
    }

    /// The alerts that it knows, as its API tells them.
    #[track_caller]
    pub fn alerts(&self) -> Vec<Value> {
        let data = self.ask("/api/v1/rules?type=alert");
        let groups = data["groups"].as_array().cloned().unwrap_or_default();
        groups.iter().filter_map(|group| group["rules"].as_array()).flatten().cloned().collect()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // Both fail only when it is gone already; the guard sees to the rest.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// Numbers come as text.
fn number(value: &Value) -> f64 {
    value.as_str().and_then(|text| text.parse().ok()).unwrap_or(f64::NAN)
}
