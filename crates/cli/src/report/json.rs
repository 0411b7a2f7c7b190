//! The report as one JSON object: the newest run, every row, the lists, the counts by place, and the history.
//!
//! Keys are promises: scripts read them. A list that is too long to be kept in memory is written in a pass of its own.

use super::gathered::{Gathered, Kept, Names, Place};
use super::lists::List;
use super::{Out, Report};
use crate::lines;
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub(super) async fn write(report: &Report<'_>, out: &mut Out<'_>) -> anyhow::Result<()> {
    head(report, out).await?;
    let mut gathered = Gathered::default();
    let mut first = true;
    report
        .for_each(|person| {
            for row in &person.rows {
                comma(out, &mut first)?;
                serde_json::to_writer(&mut *out, row)?;
            }
            gathered.add(&person);
            gathered.add_names(&person);
            Ok(true)
        })
        .await?;
    write!(out, "],\"lists\":{{")?;
    for (i, names) in Names::ALL.into_iter().enumerate() {
        write!(out, "{}\"{}\":", if i > 0 { "," } else { "" }, names.key())?;
        match gathered.names.get(&names) {
            Some(kept) if !kept.is_whole() => {
                array(report, out, |person| names.has(person).then(|| person.user.clone())).await?;
            }
            kept => write_kept(out, kept)?,
        }
    }
    write!(out, "}},\"workLists\":{{")?;
    for (i, list) in List::ALL.into_iter().enumerate() {
        write!(out, "{}\"{}\":", if i > 0 { "," } else { "" }, list.word())?;
        match gathered.lists.get(&list) {
            Some(kept) if !kept.is_whole() => array(report, out, |person| list.line(person)).await?,
            kept => write_kept(out, kept)?,
        }
    }
    write!(out, "}}")?;
    let standings = standings(&gathered.standings);
    for (key, value) in [
        ("scope", report.scope.json()),
        ("users", gathered.users.into()),
        ("standings", standings),
        ("codes", json!(gathered.codes)),
        ("regions", places(&gathered.regions)),
        ("departments", places(&gathered.departments)),
        ("history", report.history().await?.json()),
    ] {
        write!(out, ",\"{key}\":{value}")?;
    }
    writeln!(out, "}}")?;
    Ok(())
}

/// One list alone.
pub(super) async fn write_list(report: &Report<'_>, list: List, out: &mut Out<'_>) -> anyhow::Result<()> {
    array(report, out, |person| list.line(person)).await?;
    Ok(writeln!(out)?)
}

/// The newest run of the scope.
async fn head(report: &Report<'_>, out: &mut Out<'_>) -> anyhow::Result<()> {
    let run = &report.scope.run;
    let ledger = report.engine.ledger.as_ref();
    let codes: serde_json::Map<String, Value> =
        ledger.code_counts(run.id).await?.into_iter().map(|(code, n)| (code, n.into())).collect();
    let head = [
        ("run", json!(run.id)),
        ("kind", json!(run.spec.kind)),
        ("state", json!(run.state)),
        ("snapshot", json!(run.spec.snapshot)),
        ("openedAt", lines::time(run.opened_at_ms).into()),
        ("endedAt", run.ended_at_ms.map(lines::time).into()),
        ("entries", lines::counts_json(&ledger.counts(run.id).await?)),
        ("usersByCode", codes.into()),
    ];
    write!(out, "{{")?;
    for (key, value) in head {
        write!(out, "\"{key}\":{value},")?;
    }
    Ok(write!(out, "\"rows\":[")?)
}

/// An array of what a pass over the users finds.
async fn array<T: serde::Serialize>(
    report: &Report<'_>,
    out: &mut Out<'_>,
    find: impl Fn(&super::person::Person) -> Option<T>,
) -> anyhow::Result<()> {
    write!(out, "[")?;
    let mut first = true;
    report
        .for_each(|person| {
            if let Some(found) = find(&person) {
                comma(out, &mut first)?;
                serde_json::to_writer(&mut *out, &found)?;
            }
            Ok(true)
        })
        .await?;
    Ok(write!(out, "]")?)
}

fn write_kept<T: serde::Serialize>(out: &mut Out<'_>, kept: Option<&Kept<T>>) -> anyhow::Result<()> {
    match kept {
        Some(kept) => Ok(serde_json::to_writer(out, &kept.first)?),
        None => Ok(write!(out, "[]")?),
    }
}

fn comma(out: &mut Out<'_>, first: &mut bool) -> std::io::Result<()> {
    if std::mem::take(first) { Ok(()) } else { write!(out, ",") }
}

fn places(places: &BTreeMap<String, Place>) -> Value {
    let one = |place: &Place| {
        json!({
            "users": place.users, "standings": standings(&place.standings),
            "mustRegisterAgain": place.must_register_again, "phoneOnly": place.phone_only,
        })
    };
    places.iter().map(|(name, place)| (name.clone(), one(place))).collect()
}

fn standings(counts: &BTreeMap<contract::EntryState, u64>) -> Value {
    counts.iter().map(|(state, n)| (state.as_str().to_owned(), Value::from(*n))).collect()
}
