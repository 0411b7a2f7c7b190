//! The report as one page that needs nothing from the network: no script, no font, no image.
//!
//! For people: what happened in ten seconds, then the lists to work through. Every text is escaped; of long lists the
//! first part is shown, and the page says where the rest is.

use super::{List, Row, rows};
use crate::engine::Engine;
use crate::lines;
use contract::{Code, EntryState};
use ledger::{Counts, Run};
use std::io::Write;

/// Lines of a list, and rows, that one page shows.
const SHOWN: usize = 2000;

const STYLE: &str = "body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:76rem;padding:0 1rem;color:#1c2430}\
h1{font-size:1.5rem;margin:0 0 .2rem}h2{font-size:1.1rem;margin:2rem 0 .5rem}p.sub{color:#5a6675;margin:.1rem 0}\
.tiles{display:flex;flex-wrap:wrap;gap:.7rem;margin:1.2rem 0}.tile{border:1px solid #d8dee6;border-left:5px solid #8a97a6;\
border-radius:6px;padding:.5rem .9rem;min-width:7rem}.tile b{display:block;font-size:1.5rem}.applied,.planned{border-left-color:#1f8a4c}\
.unchanged{border-left-color:#4a7fb5}.blocked,.conflict{border-left-color:#c47f10}.parked{border-left-color:#b3261e}\
table{border-collapse:collapse;width:100%;font-size:13px}th,td{text-align:left;padding:.25rem .6rem;border-bottom:1px solid #e6eaef;vertical-align:top}\
th{background:#f4f6f9;position:sticky;top:0}td.n{text-align:right;width:4rem;font-variant-numeric:tabular-nums}code{font-size:12px;background:#f4f6f9;padding:0 .25rem;border-radius:3px}\
details{border:1px solid #d8dee6;border-radius:6px;padding:.4rem .8rem;margin:.5rem 0}summary{cursor:pointer;font-weight:600}\
ul{columns:3;margin:.5rem 0;padding-left:1.1rem;font-size:13px}@media print{th{position:static}}\
@media(prefers-color-scheme:dark){body{background:#12161c;color:#dfe5ec}th,code{background:#1d242d}.tile,details{border-color:#2d3743}th,td{border-color:#262f3a}p.sub{color:#93a1b1}}";

pub(crate) async fn write(engine: &Engine, run: &Run, out: &mut (dyn Write + Send)) -> anyhow::Result<()> {
    let counts = engine.ledger.counts(run.id).await?;
    head(out, run, &counts)?;
    codes(engine, run, out).await?;
    writeln!(out, "<h2>Lists</h2>")?;
    for list in List::ALL {
        write_list(engine, run, list, out).await?;
    }
    write_rows(engine, run, out).await?;
    writeln!(out, "</body></html>")?;
    Ok(())
}

fn head(out: &mut (dyn Write + Send), run: &Run, counts: &Counts) -> anyhow::Result<()> {
    let title = format!("mfa-migrate: {} (run {})", run.spec.kind.as_str(), run.id);
    writeln!(
        out,
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
         <meta name=\"viewport\" content=\"width=device-width\"><style>{STYLE}</style></head><body>"
    )?;
    let total: u64 = counts.values().sum();
    let ended =
        run.ended_at_ms.map_or_else(|| "not ended yet".to_owned(), |at| format!("ended {}", lines::time(at)));
    writeln!(out, "<h1>{}</h1>", escape(&title))?;
    writeln!(
        out,
        "<p class=\"sub\">{total} users of snapshot <code>{}</code>, state <b>{}</b>; begun {}, {ended}</p>",
        run.spec.snapshot,
        run.state.as_str(),
        lines::time(run.opened_at_ms)
    )?;
    writeln!(
        out,
        "<p class=\"sub\">{} requests to Graph, {} of them writes, {} throttled, in {:.0} s</p><div class=\"tiles\">",
        run.totals.requests, run.totals.writes, run.totals.throttled, run.totals.seconds
    )?;
    for (state, n) in counts.iter().filter(|(_, n)| **n > 0) {
        let word = state.as_str();
        writeln!(out, "<div class=\"tile {word}\" title=\"{}\"><b>{n}</b>{word}</div>", meaning(*state))?;
    }
    writeln!(out, "</div>")?;
    Ok(())
}

async fn codes(engine: &Engine, run: &Run, out: &mut (dyn Write + Send)) -> anyhow::Result<()> {
    let mut codes = engine.ledger.code_counts(run.id).await?;
    codes.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    writeln!(
        out,
        "<h2>Users by reason</h2><table><tr><th>Users</th><th>Reason</th><th>What it says</th></tr>"
    )?;
    for (code, n) in codes {
        let meaning = Code::parse(&code).map_or("", Code::meaning);
        writeln!(
            out,
            "<tr><td class=\"n\">{n}</td><td><code>{}</code></td><td>{}</td></tr>",
            escape(&code),
            escape(meaning)
        )?;
    }
    writeln!(out, "</table>")?;
    Ok(())
}

async fn write_list(
    engine: &Engine,
    run: &Run,
    list: List,
    out: &mut (dyn Write + Send),
) -> anyhow::Result<()> {
    let mut names = Vec::new();
    let mut total = 0_usize;
    lines::for_each(engine, run.id, |entry| {
        if list.has(entry.row.state, &entry.notes()) {
            total += 1;
            if names.len() < SHOWN {
                names.push(escape(&entry.record.username));
            }
        }
        Ok(())
    })
    .await?;
    writeln!(out, "<details><summary>{}: {total}</summary><ul>", list.title())?;
    for name in &names {
        writeln!(out, "<li>{name}</li>")?;
    }
    writeln!(out, "</ul>{}</details>", rest(total, names.len()))?;
    Ok(())
}

async fn write_rows(engine: &Engine, run: &Run, out: &mut (dyn Write + Send)) -> anyhow::Result<()> {
    writeln!(
        out,
        "<h2>Users and methods</h2><table><tr><th>User</th><th>State</th><th>Method</th><th>From</th><th>To</th>\
         <th>Result</th><th>Reasons</th></tr>"
    )?;
    let mut total = 0_usize;
    lines::for_each(engine, run.id, |entry| {
        for row in rows(&entry) {
            total += 1;
            if total > SHOWN {
                continue;
            }
            let serial = row.serial.as_deref().map(|s| format!(" {}", escape(s))).unwrap_or_default();
            let device = row.device.as_deref().map(|d| format!(" ({})", escape(d))).unwrap_or_default();
            let codes: Vec<String> = row.codes.iter().map(|c| format!("<code>{c}</code>")).collect();
            writeln!(
                out,
                "<tr><td>{}</td><td>{}</td><td>{}{serial}{device}</td><td>{}</td><td>{}</td><td>{}{}</td><td>{}</td></tr>",
                escape(&row.user),
                row.state,
                row.method,
                escape(row.from.as_deref().unwrap_or_default()),
                escape(row.to.as_deref().unwrap_or_default()),
                row.result,
                three_values(&row),
                codes.join(" ")
            )?;
        }
        Ok(())
    })
    .await?;
    writeln!(out, "</table>{}", rest(total, total.min(SHOWN)))?;
    Ok(())
}

/// What stood before, what we wrote and what stands now, where somebody changed it since.
fn three_values(row: &Row) -> String {
    if row.before.is_none() && row.ours.is_none() && row.now.is_none() {
        return String::new();
    }
    let value = |value: &Option<String>| value.as_deref().map_or_else(|| "nothing".to_owned(), escape);
    format!(": before {}, ours {}, now {}", value(&row.before), value(&row.ours), value(&row.now))
}

fn rest(total: usize, shown: usize) -> String {
    if total > shown {
        format!(
            "<p class=\"sub\">{} more are not shown here; <code>mfa-migrate report --format csv</code> has every row.</p>",
            total - shown
        )
    } else {
        String::new()
    }
}

/// What a state means, for the pointer that rests on it.
fn meaning(state: EntryState) -> &'static str {
    match state {
        EntryState::Waiting => "not worked on yet, or waiting for the time to look again",
        EntryState::Claimed => "being worked on",
        EntryState::Applied => "every change of the plan is in Entra",
        EntryState::Unchanged => "there was nothing to do",
        EntryState::Blocked => "nothing could be moved; the reasons say why",
        EntryState::Skipped => "left out: not matched, ambiguous, or disabled",
        EntryState::Parked => "waits for a person; the reasons say why",
        EntryState::Reverted => "taken back",
        EntryState::Conflict => "somebody changed it since; left alone",
        EntryState::Planned => "rehearsed: the plan has changes, none was written",
        EntryState::Confirmed => "all that we wrote is there",
        EntryState::Missing => "something that we wrote is not there; verify --repair writes it again",
        EntryState::ChangedSince => "somebody changed something that we wrote",
    }
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn markup_in_a_name_stays_text() {
        assert_eq!(
            escape("<script>\"x\"&'</script>"),
            "&lt;script&gt;&quot;x&quot;&amp;&#39;&lt;/script&gt;"
        );
    }
}
