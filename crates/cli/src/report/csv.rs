//! The report as CSV: one row a user and method.
//!
//! A cell that a spreadsheet would take for a formula is given an apostrophe in front, numbers of telephones excepted:
//! those begin with `+` and a digit, and scripts compare them.

use super::{Row, rows};
use crate::engine::Engine;
use crate::lines;
use ledger::Run;
use std::borrow::Cow;
use std::io::Write;

const HEADER: [&str; 14] = [
    "user",
    "userPrincipalName",
    "state",
    "method",
    "serial",
    "from",
    "to",
    "result",
    "graphCode",
    "codes",
    "device",
    "before",
    "ours",
    "now",
];

pub(crate) async fn write(engine: &Engine, run: &Run, out: &mut (dyn Write + Send)) -> anyhow::Result<()> {
    let mut csv = ::csv::Writer::from_writer(out);
    csv.write_record(HEADER)?;
    lines::for_each(engine, run.id, |entry| {
        for row in rows(&entry) {
            write_row(&mut csv, &row)?;
        }
        Ok(())
    })
    .await?;
    Ok(csv.flush()?)
}

fn write_row<W: Write>(csv: &mut ::csv::Writer<W>, row: &Row) -> ::csv::Result<()> {
    let codes = row.codes.join(" ");
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let cells = [
        row.user.clone(),
        text(&row.user_principal_name),
        row.state.to_owned(),
        row.method.to_owned(),
        text(&row.serial),
        text(&row.from),
        text(&row.to),
        row.result.to_owned(),
        text(&row.graph_code),
        codes,
        text(&row.device),
        text(&row.before),
        text(&row.ours),
        text(&row.now),
    ];
    csv.write_record(cells.iter().map(|cell| harmless(cell).into_owned()))
}

/// A cell that no spreadsheet runs.
fn harmless(cell: &str) -> Cow<'_, str> {
    let mut chars = cell.chars();
    let is_formula = match chars.next() {
        Some('=' | '@' | '-' | '\t' | '\r') => true,
        Some('+') => !chars.next().is_some_and(|c| c.is_ascii_digit()),
        _ => false,
    };
    if is_formula { Cow::Owned(format!("'{cell}")) } else { Cow::Borrowed(cell) }
}

#[cfg(test)]
mod tests {
    use super::harmless;

    #[test]
    fn a_formula_is_defused_and_a_number_is_left() {
        assert_eq!(harmless("=cmd|' /C calc'!A0"), "'=cmd|' /C calc'!A0");
        assert_eq!(harmless("@x"), "'@x");
        assert_eq!(harmless("+1 4255550100"), "+1 4255550100");
        assert_eq!(harmless("+x"), "'+x");
        assert_eq!(harmless("helga"), "helga");
    }
}
