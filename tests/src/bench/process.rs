//! What processes cost: wall time, CPU and peak memory, read from `/proc`.
//!
//! A process that runs to its end is looked at every few milliseconds and reaped only after its last CPU figures were read, which the
//! kernel keeps until then. Its peak memory only ever grows, so the last look before its end stands for the end.

use anyhow::{Context, bail};
use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How often the process is looked at.
const LOOK: Duration = Duration::from_millis(3);
/// Clock ticks a second in `/proc`: 100 on every Linux that Rust knows (`USER_HZ`).
const TICKS_PER_S: f64 = 100.0;

/// The cost of a process that has ended.
#[derive(Debug)]
pub(crate) struct Cost {
    pub(crate) wall_s: f64,
    /// User and system time.
    pub(crate) cpu_ms: f64,
    /// `VmHWM`, in KiB.
    pub(crate) peak_kib: f64,
}

/// Runs the product in a folder until it ends with one of the exit codes; its output goes to `out.txt` there.
pub(crate) async fn cost(
    folder: &Path,
    args: &[&str],
    env: &[(&str, &str)],
    codes: &[i32],
) -> anyhow::Result<Cost> {
    cost_by(LOOK, folder, args, env, codes).await
}

/// The same, looked at less often: what runs for minutes shall not pay for being watched.
pub(crate) async fn cost_by(
    look: Duration,
    folder: &Path,
    args: &[&str],
    env: &[(&str, &str)],
    codes: &[i32],
) -> anyhow::Result<Cost> {
    let out = File::create(folder.join("out.txt"))?;
    let mut command = Command::new(harness::binary());
    command
        .args(args)
        .envs(env.iter().copied())
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(out.try_clone()?)
        .stderr(out);
    let started = Instant::now();
    let mut child = command.spawn().context("the product")?;
    let mut peak_kib = 0.0;
    let ended = loop {
        let stat = Stat::of(child.id())?;
        if stat.has_ended {
            break stat;
        }
        if let Some(kib) = peak(child.id()) {
            peak_kib = kib;
        }
        tokio::time::sleep(look).await;
    };
    let wall_s = started.elapsed().as_secs_f64();
    let status = child.wait()?;
    if !status.code().is_some_and(|code| codes.contains(&code)) {
        let said = std::fs::read_to_string(folder.join("out.txt")).unwrap_or_default();
        bail!("{args:?} ended with {status}: {said}");
    }
    Ok(Cost { wall_s, cpu_ms: ended.ticks / TICKS_PER_S * 1000.0, peak_kib })
}

/// What a process that runs on has cost since it began; nothing once it is gone.
pub(crate) fn so_far(id: u32) -> anyhow::Result<Cost> {
    let stat = Stat::of(id)?;
    let peak_kib = peak(id).context("the process has ended")?;
    Ok(Cost { wall_s: 0.0, cpu_ms: stat.ticks / TICKS_PER_S * 1000.0, peak_kib })
}

/// CPU milliseconds of a process and all its descendants, those included that have ended and were waited for. It grows as
/// long as nobody in the tree dies unseen: what servers fork (sessions, ports) they wait for.
pub(crate) fn tree_cpu_ms(root: u32) -> anyhow::Result<f64> {
    let mut all = BTreeMap::new();
    for entry in std::fs::read_dir("/proc").context("this bench needs Linux's /proc")?.flatten() {
        let Some(id) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        // It may be gone by now.
        if let Ok(stat) = Stat::of(id) {
            all.insert(id, stat);
        }
    }
    let belongs = |mut id: u32| loop {
        if id == root {
            break true;
        }
        match all.get(&id) {
            Some(stat) if stat.parent != 0 => id = stat.parent,
            Some(_) | None => break false,
        }
    };
    let ticks: f64 =
        all.iter().filter(|(id, _)| belongs(**id)).map(|(_, stat)| stat.ticks + stat.childrens_ticks).sum();
    Ok(ticks / TICKS_PER_S * 1000.0)
}

struct Stat {
    has_ended: bool,
    parent: u32,
    /// Its own.
    ticks: f64,
    /// Of children that were waited for, and of theirs.
    childrens_ticks: f64,
}

impl Stat {
    /// Reads `/proc/PID/stat`; its fields are counted from behind the name, which may hold anything.
    fn of(id: u32) -> anyhow::Result<Self> {
        let text =
            std::fs::read_to_string(format!("/proc/{id}/stat")).context("this bench needs Linux's /proc")?;
        let (_, fields) = text.rsplit_once(')').context("/proc/PID/stat")?;
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let ticks = |at: usize| fields.get(at).and_then(|f| f.parse::<f64>().ok()).context("/proc/PID/stat");
        Ok(Self {
            has_ended: fields.first() == Some(&"Z"),
            parent: fields.get(1).and_then(|f| f.parse().ok()).context("/proc/PID/stat")?,
            ticks: ticks(11)? + ticks(12)?,
            childrens_ticks: ticks(13)? + ticks(14)?,
        })
    }
}

/// Peak resident memory in KiB; absent at the very end of a process.
fn peak(id: u32) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}
