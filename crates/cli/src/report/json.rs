//! The report as one JSON object: the run, its counts, every row, and the lists.

use super::{List, rows};
use crate::engine::Engine;
use crate::lines;
use ledger::Run;
use std::io::Write;

pub(crate) async fn write(engine: &Engine, run: &Run, out: &mut (dyn Write + Send)) -> anyhow::Result<()> {
    let counts = engine.ledger.counts(run.id).await?;
    let codes: serde_json::Map<String, serde_json::Value> =
        engine.ledger.code_counts(run.id).await?.into_iter().map(|(code, n)| (code, n.into())).collect();
    let head = [
        ("run", serde_json::to_value(run.id)?),
        ("kind", serde_json::to_value(run.spec.kind)?),
        ("state", serde_json::to_value(run.state)?),
        ("snapshot", serde_json::to_value(&run.spec.snapshot)?),
        ("openedAt", lines::time(run.opened_at_ms).into()),
        ("endedAt", run.ended_at_ms.map(lines::time).into()),
        ("entries", lines::counts_json(&counts)),
        ("usersByCode", codes.into()),
    ];
    write!(out, "{{")?;
    for (key, value) in head {
        write!(out, "\"{key}\":{value},")?;
    }
    write!(out, "\"rows\":[")?;
    rest(engine, run, out).await
}

/// Rows and lists, each in a pass of its own: a run never lies in memory.
async fn rest(engine: &Engine, run: &Run, out: &mut (dyn Write + Send)) -> anyhow::Result<()> {
    let mut first = true;
    lines::for_each(engine, run.id, |entry| {
        for row in rows(&entry) {
            if !std::mem::take(&mut first) {
                write!(out, ",")?;
            }
            serde_json::to_writer(&mut *out, &row)?;
        }
        Ok(())
    })
    .await?;
    write!(out, "],\"lists\":{{")?;
    for (i, list) in List::ALL.into_iter().enumerate() {
        write!(out, "{}\"{}\":[", if i > 0 { "," } else { "" }, list.key())?;
        let mut first = true;
        lines::for_each(engine, run.id, |entry| {
            if list.has(entry.row.state, &entry.notes()) {
                if !std::mem::take(&mut first) {
                    write!(out, ",")?;
                }
                serde_json::to_writer(&mut *out, &entry.record.username)?;
            }
            Ok(())
        })
        .await?;
        write!(out, "]")?;
    }
    writeln!(out, "}}}}")?;
    Ok(())
}
