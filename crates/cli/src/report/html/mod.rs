//! The report as one page that needs nothing from the network: no script, no font, no image.
//!
//! For people, at three in the morning: where it stands in ten seconds, then whom to call and what to tell them, then
//! everything else. Every text is escaped; of what is long the first part is shown, and the page says where the rest is.

pub(crate) mod look;
mod tables;
pub(crate) mod text;

use super::gathered::Gathered;
use super::history::History;
use super::{Out, Report};
use crate::lines;
use contract::RunState;
use text::{escape, meaning, number};

/// Rows of users and methods that one page shows.
const ROWS: u64 = 2_000;
/// Lines of a list that one page shows.
const LINES: usize = 500;
/// Departments that one page shows.
const PLACES: usize = 100;

pub(super) async fn write(report: &Report<'_>, out: &mut Out<'_>) -> anyhow::Result<()> {
    let gathered = report.gather().await?;
    let history = report.history().await?;
    head(report, &gathered, &history, out)?;
    tables::lists(report, &gathered, out)?;
    tables::places(&gathered, out)?;
    tables::history(&history, out)?;
    tables::codes(&gathered, out)?;
    tables::rows(report, &gathered, out).await?;
    writeln!(out, "</body></html>")?;
    Ok(())
}

fn head(
    report: &Report<'_>,
    gathered: &Gathered,
    history: &History,
    out: &mut Out<'_>,
) -> anyhow::Result<()> {
    let title = escape(&format!("mfa-migrate: {}", report.scope.title()));
    writeln!(
        out,
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
         <meta name=\"viewport\" content=\"width=device-width\"><style>{}</style></head><body><h1>{title}</h1>",
        look::STYLE
    )?;
    let run = history.runs.first().map_or(&report.scope.run, |past| &past.run);
    let stands = match (run.state, run.ended_at_ms) {
        (RunState::Preparing | RunState::Open, _) | (_, None) => "under way".to_owned(),
        (RunState::Done, Some(at)) => format!("done {}", when(at)),
        (RunState::Superseded, Some(at)) => format!("ended before its end {}", when(at)),
    };
    writeln!(
        out,
        "<p class=\"lead\"><b>{}</b> users; {} is {} {} of {}, opened {}, {stands}</p>\
         <p class=\"soft\">as of {}; snapshot <code>{}</code>; times are UTC</p>",
        number(gathered.users),
        if report.scope.alone { "this run" } else { "the newest run" },
        run.spec.kind.as_str(),
        run.id,
        of_whom(&run.spec.batch),
        when(run.opened_at_ms),
        when(lines::now_ms()),
        run.spec.snapshot,
    )?;
    if let Some(why) = run.halted.as_ref().or(run.waits_for.as_ref()) {
        writeln!(out, "<p><b>It waits:</b> {}</p>", escape(why))?;
    }
    writeln!(out, "<div class=\"bar\">")?;
    for (state, n) in &gathered.standings {
        let word = state.as_str();
        writeln!(out, "<i class=\"{word}\" style=\"flex:{n}\" title=\"{word}: {}\"></i>", number(*n))?;
    }
    writeln!(out, "</div><div class=\"tiles\">")?;
    for (state, n) in &gathered.standings {
        let word = state.as_str();
        writeln!(
            out,
            "<div class=\"tile {word}\" title=\"{}\"><b>{}</b><span>{word}</span></div>",
            meaning(*state),
            number(*n)
        )?;
    }
    writeln!(
        out,
        "</div><nav><a href=\"#todo\">To do</a><a href=\"#places\">Regions</a><a href=\"#history\">History</a>\
         <a href=\"#reasons\">Reasons</a><a href=\"#rows\">Users and methods</a></nav>"
    )?;
    Ok(())
}

/// `2026-11-24 02:40`, for people; seconds where they count are in the other formats.
fn when(at_ms: i64) -> String {
    let time = lines::time(at_ms);
    time.get(..16).unwrap_or(&time).replace('T', " ")
}

/// The users of a batch.
fn of_whom(batch: &str) -> String {
    if batch == crate::engine::ALL { "everybody".to_owned() } else { escape(batch) }
}

/// The command that lists the rest.
fn command(report: &Report<'_>) -> String {
    match (&report.scope.batch, report.scope.alone) {
        (_, true) => format!("mfa-migrate report --run {}", report.scope.run.id),
        (Some(batch), false) => format!("mfa-migrate report --batch {batch}"),
        (None, false) => "mfa-migrate report".to_owned(),
    }
}

/// Where the rest of something long is; nothing where all of it is shown.
fn rest(total: u64, shown: u64, command: &str) -> String {
    match total.saturating_sub(shown) {
        0 => String::new(),
        more => format!(
            "<p class=\"soft\">and {} more; <code>{}</code> has them all</p>",
            number(more),
            escape(command)
        ),
    }
}

impl History {
    /// Whether there is anything to tell.
    fn is_empty(&self) -> bool {
        self.runs.is_empty() && self.events.is_empty()
    }
}
