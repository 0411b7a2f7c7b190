//! The parts of the page below its head: what is to be done, by region and department, the history, the reasons, the rows.

use super::text::{escape, escape_maybe, meaning, number, word};
use super::{LINES, PLACES, ROWS, command, of_whom, rest, when};
use crate::report::gathered::{Gathered, Kept, Place};
use crate::report::history::{EVENTS, History, RUNS};
use crate::report::lists::{Duty, List};
use crate::report::rows::Row;
use crate::report::{Out, Report};
use contract::{Code, EntryState};
use std::collections::{BTreeMap, BTreeSet};

/// What waits for the operator comes first, then what the service desk does.
const ORDER: [List; 7] = [
    List::Conflicts,
    List::Parked,
    List::NotAsLeft,
    List::MustRegisterAgain,
    List::PhoneOnly,
    List::Unmatched,
    List::Ambiguous,
];
/// A list so short is shown open.
const SHORT: u64 = 10;

pub(super) fn lists(report: &Report<'_>, gathered: &Gathered, out: &mut Out<'_>) -> anyhow::Result<()> {
    writeln!(out, "<h2 id=\"todo\">To do</h2>")?;
    let mut empty = Vec::new();
    for list in ORDER {
        match gathered.lists.get(&list) {
            Some(kept) => one_list(report, list, kept, out)?,
            None => empty.push(list.title()),
        }
    }
    if !empty.is_empty() {
        writeln!(out, "<p class=\"soft\">Nobody: {}</p>", empty.join(" · "))?;
    }
    Ok(())
}

fn one_list(report: &Report<'_>, list: List, kept: &Kept<Duty>, out: &mut Out<'_>) -> anyhow::Result<()> {
    let command = format!("{} --list {}", command(report), list.word());
    writeln!(
        out,
        "<details class=\"{}\"{}><summary><b>{}</b>{}</summary><p class=\"soft\">As a table: <code>{}</code></p>",
        list.word(),
        if kept.total <= SHORT { " open" } else { "" },
        number(kept.total),
        list.title(),
        escape(&command)
    )?;
    // What to do is said once for all of a reason, not in every line.
    let reasons: BTreeSet<(&str, &str)> =
        kept.first.iter().map(|line| (line.code, line.what_to_do)).collect();
    for (code, what) in reasons {
        writeln!(out, "<p class=\"do\"><code>{}</code> {}</p>", escape(code), escape(what))?;
    }
    writeln!(
        out,
        "<div class=\"wide\"><table><thead><tr><th>User</th><th>In Entra</th><th>Reason</th><th>Details</th><th>Region</th>\
         <th>Department</th><th>Since</th></tr></thead><tbody>"
    )?;
    for line in kept.first.iter().take(LINES) {
        let upn = line.user_principal_name.as_deref();
        writeln!(
            out,
            "<tr><td class=\"u\">{}</td><td class=\"w\">{}</td><td><code>{}</code></td><td class=\"w\">{}</td><td>{}</td><td>{}</td>\
             <td class=\"t\">{}</td></tr>",
            escape(&line.user),
            if upn == Some(line.user.as_str()) { "same".to_owned() } else { escape_maybe(upn) },
            escape(line.code),
            escape(&line.detail),
            escape_maybe(line.region.as_deref()),
            escape_maybe(line.department.as_deref()),
            short(line.at.as_deref())
        )?;
    }
    let shown = kept.first.len().min(LINES) as u64;
    writeln!(out, "</tbody></table></div>{}</details>", rest(kept.total, shown, &command))?;
    Ok(())
}

pub(super) fn places(gathered: &Gathered, out: &mut Out<'_>) -> anyhow::Result<()> {
    writeln!(out, "<h2 id=\"places\">By region and department</h2>")?;
    let states: Vec<EntryState> = gathered.standings.keys().copied().collect();
    for (title, places) in [("Region", &gathered.regions), ("Department", &gathered.departments)] {
        one_kind_of_place(title, places, &states, out)?;
    }
    Ok(())
}

fn one_kind_of_place(
    title: &str,
    places: &BTreeMap<String, Place>,
    states: &[EntryState],
    out: &mut Out<'_>,
) -> anyhow::Result<()> {
    write!(out, "<div class=\"wide\"><table><thead><tr><th>{title}</th><th class=\"n\">Users</th>")?;
    for state in states {
        write!(out, "<th class=\"n\" title=\"{}\">{}</th>", meaning(*state), word(state.as_str()))?;
    }
    writeln!(out, "<th class=\"n\">register again</th><th class=\"n\">phone-only</th></tr></thead><tbody>")?;
    let mut sorted: Vec<(&String, &Place)> = places.iter().collect();
    sorted.sort_by(|a, b| b.1.users.cmp(&a.1.users).then_with(|| a.0.cmp(b.0)));
    let count = |n: u64| {
        let class = if n == 0 { "n z" } else { "n" };
        format!("<td class=\"{class}\">{}</td>", number(n))
    };
    for (name, place) in sorted.iter().take(PLACES) {
        write!(out, "<tr><td class=\"w\">{}</td>{}", escape(name), count(place.users))?;
        for state in states {
            write!(out, "{}", count(place.standings.get(state).copied().unwrap_or(0)))?;
        }
        writeln!(out, "{}{}</tr>", count(place.must_register_again), count(place.phone_only))?;
    }
    let rest = rest(sorted.len() as u64, PLACES.min(sorted.len()) as u64, "mfa-migrate report --format json");
    writeln!(out, "</tbody></table></div>{rest}<p>&nbsp;</p>")?;
    Ok(())
}

pub(super) fn history(history: &History, out: &mut Out<'_>) -> anyhow::Result<()> {
    writeln!(out, "<h2 id=\"history\">History</h2>")?;
    if history.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "<div class=\"wide\"><table><thead><tr><th class=\"n\">Run</th><th>What</th><th>Of</th><th>State</th><th>Opened</th><th>Ended</th>\
         <th>By</th><th>Users</th><th class=\"n\">Requests</th><th class=\"n\">Writes</th><th class=\"n\">Throttled</th></tr></thead><tbody>"
    )?;
    for past in &history.runs {
        let run = &past.run;
        let users: Vec<String> = past
            .counts
            .iter()
            .filter(|(_, n)| **n > 0)
            .map(|(state, n)| {
                let word = state.as_str();
                format!("<span class=\"word {word}\">{} {word}</span>", number(*n))
            })
            .collect();
        let why = run.halted.as_ref().or(run.waits_for.as_ref());
        writeln!(
            out,
            "<tr><td class=\"n\">{}</td><td>{}</td><td class=\"w\">{}</td><td>{}{}</td><td class=\"t\">{}</td><td class=\"t\">{}</td>\
             <td class=\"w\">{}</td><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>",
            run.id,
            run.spec.kind.as_str(),
            of_whom(&run.spec.batch),
            run.state.as_str(),
            why.map(|why| format!("<br>{}", escape(why))).unwrap_or_default(),
            when(run.opened_at_ms),
            run.ended_at_ms.map(when).unwrap_or_default(),
            escape_maybe(past.by.as_deref()),
            users.join(" "),
            number(run.totals.requests),
            number(run.totals.writes),
            number(run.totals.throttled)
        )?;
    }
    writeln!(out, "</tbody></table></div>")?;
    if history.runs.len() >= RUNS as usize {
        writeln!(out, "<p class=\"soft\">These are the newest {RUNS} runs.</p>")?;
    }
    if history.events.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "<details class=\"calm\"><summary>Who did what, and why: the newest {}</summary><div class=\"wide\"><table><thead><tr><th>When</th>\
         <th>By</th><th>Batch</th><th class=\"n\">Run</th><th>What</th><th>Why</th></tr></thead><tbody>",
        history.events.len()
    )?;
    for event in &history.events {
        writeln!(
            out,
            "<tr><td class=\"t\">{}</td><td class=\"w\">{}</td><td class=\"w\">{}</td><td class=\"n\">{}</td><td>{}</td><td class=\"w\">{}</td></tr>",
            when(event.at_ms),
            escape(&event.by),
            of_whom(&event.batch),
            event.run.map(|run| run.to_string()).unwrap_or_default(),
            escape(&event.what),
            escape(&event.why)
        )?;
    }
    let older = if history.events.len() >= EVENTS as usize { "older ones are on file" } else { "" };
    writeln!(out, "</tbody></table></div><p class=\"soft\">{older}</p></details>")?;
    Ok(())
}

pub(super) fn codes(gathered: &Gathered, out: &mut Out<'_>) -> anyhow::Result<()> {
    let mut codes: Vec<(&str, u64)> = gathered.codes.iter().map(|(code, n)| (*code, *n)).collect();
    codes.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
    writeln!(
        out,
        "<h2 id=\"reasons\">Users by reason</h2><div class=\"wide\"><table><thead><tr><th class=\"n\">Users</th><th>Reason</th>\
         <th>What it says</th></tr></thead><tbody>"
    )?;
    for (code, n) in codes {
        let meaning = Code::parse(code).map_or("", Code::meaning);
        writeln!(
            out,
            "<tr><td class=\"n\">{}</td><td><code>{}</code></td><td>{}</td></tr>",
            number(n),
            escape(code),
            escape(meaning)
        )?;
    }
    writeln!(out, "</tbody></table></div>")?;
    Ok(())
}

pub(super) async fn rows(report: &Report<'_>, gathered: &Gathered, out: &mut Out<'_>) -> anyhow::Result<()> {
    writeln!(
        out,
        "<h2 id=\"rows\">Users and methods</h2><div class=\"wide\"><table><thead><tr><th>User</th><th>Stands</th><th>Method</th>\
         <th>From</th><th>To</th><th>{}</th><th>Verified</th><th>Rollback</th><th>Reasons</th></tr></thead><tbody>",
        if report.scope.alone { "Result" } else { "Migration" }
    )?;
    let mut shown = 0;
    report
        .for_each(|person| {
            for row in person.rows.iter().take(usize::try_from(ROWS - shown).unwrap_or(0)) {
                write_row(row, out)?;
                shown += 1;
            }
            Ok(shown < ROWS)
        })
        .await?;
    writeln!(out, "</tbody></table></div>{}", rest(gathered.rows, shown, &command(report)))?;
    Ok(())
}

fn write_row(row: &Row, out: &mut Out<'_>) -> std::io::Result<()> {
    let serial = row.serial.as_deref().map(|s| format!(" {}", escape(s))).unwrap_or_default();
    let device = row.device.as_deref().map(|d| format!(" ({})", escape(d))).unwrap_or_default();
    let codes: Vec<String> = row.codes.iter().map(|c| format!("<code>{c}</code>")).collect();
    let graph = row.graph_code.as_deref().map(|code| format!(" <code>{}</code>", escape(code)));
    let done = |word_: &str, run: Option<i64>, at: Option<&str>| match run {
        Some(run) if !word_.is_empty() => {
            format!("{}<br><span class=\"old\">run {run}, {}</span>", word(word_), short(at))
        }
        Some(_) | None => word(word_),
    };
    let back = if row.rollback_result.is_empty() { row.rollback } else { row.rollback_result };
    writeln!(
        out,
        "<tr><td class=\"u\">{}</td><td>{}</td><td>{}{serial}{device}</td><td class=\"w\">{}</td><td class=\"w\">{}</td><td>{}{}</td><td>{}</td>\
         <td>{}{}</td><td>{}</td></tr>",
        escape(&row.user),
        word(row.standing),
        row.method,
        escape_maybe(row.from.as_deref()),
        escape_maybe(row.to.as_deref()),
        done(row.result, Some(row.run), row.at.as_deref()),
        graph.unwrap_or_default(),
        done(row.verify, row.verify_run, row.verified_at.as_deref()),
        done(back, row.rollback_run, row.rolled_back_at.as_deref()),
        three_values(row),
        codes.join(" ")
    )
}

/// What stood before, what we wrote and what stands now, where somebody changed it since.
fn three_values(row: &Row) -> String {
    if row.before.is_none() && row.ours.is_none() && row.now.is_none() {
        return String::new();
    }
    let value = |value: &Option<String>| value.as_deref().map_or_else(|| "nothing".to_owned(), escape);
    format!("<br>before {}, ours {}, now {}", value(&row.before), value(&row.ours), value(&row.now))
}

/// A time of a row, to the minute.
fn short(at: Option<&str>) -> String {
    let at = at.unwrap_or_default();
    at.get(..16).unwrap_or(at).replace('T', " ")
}
