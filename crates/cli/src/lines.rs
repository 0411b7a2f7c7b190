//! Rows of the ledger as people and scripts read them: plan lines, tables, durations.

use crate::engine::Engine;
use contract::{
    Code, DirectoryEntry, EntryResult, EntryState, Note, Outcome, PlanLine, PlanTarget, Record, Sealed,
    SnapshotId, Subject, context,
};
use ledger::{Counts, ResultRow};
use std::time::Duration;

/// Rows read at once.
pub(crate) const PAGE: u32 = 1000;

/// An entry, opened.
pub(crate) struct Opened {
    pub(crate) row: ResultRow,
    pub(crate) record: Record,
    pub(crate) directory: Option<DirectoryEntry>,
    pub(crate) result: Option<EntryResult>,
}

/// Opens what is sealed in an entry.
pub(crate) fn open(engine: &Engine, row: ResultRow) -> anyhow::Result<Opened> {
    let directory: Option<DirectoryEntry> = match (&row.user, &row.directory) {
        (Some(user), Some(sealed)) => Some(engine.sealer.open_json(&context::directory(user), &sealed.0)?),
        _ => None,
    };
    let upn = directory.as_ref().map(|entry| entry.upn.as_str());
    let record = record(engine, &row.snapshot, row.ordinal, &row.record, upn)?;
    let result = match &row.result {
        Some(sealed) => Some(engine.sealer.open_json(&context::result(row.run, row.ordinal), &sealed.0)?),
        None => None,
    };
    Ok(Opened { row, record, directory, result })
}

/// A record, opened. One that is not there has its name from Entra: of a user who had left the datafile when taken back, or
/// whose record was forgotten.
pub(crate) fn record(
    engine: &Engine,
    snapshot: &SnapshotId,
    ordinal: i64,
    sealed: &Sealed,
    upn: Option<&str>,
) -> anyhow::Result<Record> {
    if !sealed.0.is_empty() {
        return Ok(engine.sealer.open_json(&context::record(snapshot, ordinal), &sealed.0)?);
    }
    // A user who had left has a negative ordinal.
    let nameless = if ordinal < 0 { "(no longer in the datafile)" } else { "(forgotten)" };
    Ok(Record::nothing_but(upn.unwrap_or(nameless).to_owned()))
}

impl Opened {
    /// The notes of the entry; users that no worker touched have their codes alone.
    pub(crate) fn notes(&self) -> Vec<Note> {
        match &self.result {
            Some(result) => result.notes.clone(),
            None => self
                .row
                .codes
                .split_whitespace()
                .filter_map(Code::parse)
                .map(|code| Note { code, method: Subject::User, device: None })
                .collect(),
        }
    }

    /// The line of `rehearse --json`.
    pub(crate) fn plan_line(&self) -> PlanLine {
        let target = match (&self.row.user, &self.directory) {
            (Some(id), Some(entry)) => {
                Some(PlanTarget { id: id.clone(), user_principal_name: entry.upn.clone() })
            }
            _ => None,
        };
        PlanLine {
            user: self.record.username.clone(),
            matched_by: target.as_ref().and(self.row.matched_by).map(|m| m.as_str().to_owned()),
            target,
            outcome: self.outcome(),
            changes: self
                .result
                .as_ref()
                .map(|r| r.changes.iter().map(|d| d.change.clone()).collect())
                .unwrap_or_default(),
            codes: self.notes(),
        }
    }

    fn outcome(&self) -> Outcome {
        self.row.outcome.unwrap_or(match self.row.state {
            EntryState::Skipped => Outcome::Skipped,
            EntryState::Blocked => Outcome::Blocked,
            EntryState::Waiting
            | EntryState::Claimed
            | EntryState::Applied
            | EntryState::Unchanged
            | EntryState::Parked
            | EntryState::Reverted
            | EntryState::Conflict
            | EntryState::Planned
            | EntryState::Confirmed
            | EntryState::Missing
            | EntryState::ChangedSince => Outcome::Unchanged,
        })
    }
}

/// A file made anew that only its owner may read: what goes into it names people and numbers.
pub(crate) fn private_file(path: &std::path::Path) -> std::io::Result<std::fs::File> {
    let mut options = std::fs::File::options();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options.open(path)
}

/// The flags that name a selection's files, for what to run next.
pub(crate) fn flags_of(selection: &crate::args::Selection) -> String {
    let files = [
        ("--datafile", &selection.datafile),
        ("--devices", &selection.side.devices),
        ("--token-seeds", &selection.side.token_seeds),
    ];
    let named: Vec<String> = files
        .iter()
        .filter_map(|(flag, path)| Some(format!("{flag} {}", path.as_ref()?.display())))
        .collect();
    let batch = selection.batch.iter().map(|name| format!("--batch {name}"));
    named.into_iter().chain(batch).collect::<Vec<_>>().join(" ")
}

/// The most frequent values with their counts, in a line.
pub(crate) fn most(counts: &std::collections::BTreeMap<String, u64>, shown: usize) -> String {
    let mut sorted: Vec<_> = counts.iter().collect();
    sorted.sort_by(|a, b| b.1.cmp(a.1).then_with(|| a.0.cmp(b.0)));
    let rest = sorted.len().saturating_sub(shown);
    let mut said: Vec<String> = sorted.iter().take(shown).map(|(value, n)| format!("{value} {n}")).collect();
    if rest > 0 {
        said.push(format!("and {rest} more"));
    }
    said.join(", ")
}

/// Calls `each` for every entry of a run, in datafile order, a page in memory at a time.
pub(crate) async fn for_each(
    engine: &Engine,
    run: contract::RunId,
    mut each: impl FnMut(Opened) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut after = i64::MIN;
    loop {
        let page = engine.ledger.results(run, after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.ordinal;
        for row in page {
            each(open(engine, row)?)?;
        }
    }
}

/// Counts as `state n`, those that are not zero.
pub(crate) fn counts(counts: &Counts) -> String {
    let parts: Vec<String> =
        counts.iter().filter(|(_, n)| **n > 0).map(|(state, n)| format!("{n} {}", state.as_str())).collect();
    if parts.is_empty() { "none".to_owned() } else { parts.join(", ") }
}

/// In front of a bucket's word, among the kept rates: until when Graph's throttle is waited out, in seconds since 1970.
/// A process that works writes it down, so that `status` beside it can tell.
pub(crate) const HELD_UNTIL: &str = "held-until:";

/// What of the quota slows the run down, from the kept rates.
pub(crate) fn paced(rates: &[(String, f64)], now_s: f64) -> Option<String> {
    let held = rates.iter().find_map(|(name, until)| {
        let bucket = name.strip_prefix(HELD_UNTIL).filter(|_| *until > now_s)?;
        Some(format!("throttled by Graph ({bucket}), {:.0} s left", (until - now_s).ceil()))
    });
    held.or_else(|| {
        let (bucket, rate) = rates.iter().find(|(name, _)| name == graph::Bucket::Writes.as_str())?;
        Some(format!("nothing but the quota: Graph was found to take {rate:.1} calls/s ({bucket})"))
    })
}

/// What Graph makes everybody wait for, or how much it was found to take.
pub(crate) fn held(buckets: &[graph::BucketStatus]) -> Option<String> {
    let held = buckets.iter().find_map(|b| {
        let left = b.held_for?;
        Some(format!("throttled by Graph ({}), {} s left", b.bucket.as_str(), left.as_secs() + 1))
    });
    held.or_else(|| {
        let writes = buckets.iter().find(|b| b.bucket == graph::Bucket::Writes && b.learned)?;
        let (rate, word) = (writes.rate_per_s, writes.bucket.as_str());
        Some(format!("nothing but the quota: Graph was found to take {rate:.1} calls/s ({word})"))
    })
}

/// Why users that are left do not move, when none is being worked on: they were snoozed until a time to come.
pub(crate) async fn waits(
    ledger: &dyn ledger::Ledger,
    run: contract::RunId,
    counts: &Counts,
    horizon: Duration,
) -> Option<String> {
    let of = |state| counts.get(&state).copied().unwrap_or(0);
    let (waiting, claimed) = (of(EntryState::Waiting), of(EntryState::Claimed));
    if waiting == 0 || claimed > 0 {
        return None;
    }
    let due = ledger.next_due(run).await.ok().flatten().filter(|due| !due.is_zero())?;
    Some(format!(
        "{waiting} users wait after a throttle or a write without an answer; looked at again in {}, and such a write is \
         made again at the latest {} after it was sent",
        duration(due),
        duration(horizon)
    ))
}

/// Counts as a JSON object, every state named.
pub(crate) fn counts_json(counts: &Counts) -> serde_json::Value {
    counts.iter().map(|(state, n)| (state.as_str().to_owned(), serde_json::Value::from(*n))).collect()
}

/// A duration as people say it: `45 s`, `12 min`, `3 h 20 min`.
pub(crate) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// This machine's clock, in milliseconds since 1970 UTC.
pub(crate) fn now_ms() -> i64 {
    i64::try_from(time::OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX)
}

/// A time as RFC 3339 has it, in milliseconds since 1970 UTC.
pub(crate) fn unix_ms(text: &str) -> Option<i64> {
    let at = time::OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339).ok()?;
    i64::try_from(at.unix_timestamp_nanos() / 1_000_000).ok()
}

/// A time of the database as RFC 3339 UTC, to the second.
pub(crate) fn time(at_ms: i64) -> String {
    let format = time::macros::format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
    time::OffsetDateTime::from_unix_timestamp(at_ms / 1000)
        .ok()
        .and_then(|t| t.format(format).ok())
        .unwrap_or_else(|| at_ms.to_string())
}
