//! Reading a tenant's journal: what was written, when by the tenant's own clock, and what happened twice.
//!
//! It judges by the tenant's word alone and never looks at a clock of ours.

use serde_json::Value;
use std::collections::BTreeSet;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// When a line was written, by the tenant's clock, in milliseconds since 1970 UTC.
pub fn at_ms(line: &Value) -> i64 {
    let at = OffsetDateTime::parse(line["at"].as_str().expect("a time"), &Rfc3339).expect("a time");
    i64::try_from(at.unix_timestamp_nanos() / 1_000_000).expect("a time of today")
}

/// When each write was accepted, in order: the lines of one request are one write.
pub fn writes_at_ms(lines: &[Value]) -> Vec<i64> {
    let mut seen = BTreeSet::new();
    lines.iter().filter(|line| seen.insert(line["requestId"].to_string())).map(at_ms).collect()
}

/// The most writes in any window of so many milliseconds.
pub fn most_within(writes_at_ms: &[i64], window_ms: i64) -> usize {
    let within =
        |from: usize| writes_at_ms[from..].iter().take_while(move |at| **at < writes_at_ms[from] + window_ms);
    (0..writes_at_ms.len()).map(|from| within(from).count()).max().unwrap_or(0)
}

/// Effects that occur again: the same method of the same user set to the same value, or deleted, twice.
pub fn repeated(lines: &[Value]) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for line in lines.iter().filter(|line| line["noop"] != true) {
        let effect = [&line["user"], &line["method"], &line["serial"], &line["to"]].map(Value::to_string);
        if !seen.insert(effect) {
            found.push(format!("again: {line}"));
        }
    }
    found
}
