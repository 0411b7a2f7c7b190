//! The report as CSV: one row a user and method, or one list with a row a user.
//!
//! A cell that a spreadsheet would take for a formula is given an apostrophe in front, telephone numbers excepted: those
//! begin with `+` and hold nothing but digits, blanks and the `x` of an extension, and scripts compare them.

use super::lists::{Duty, List};
use super::rows::Row;
use super::{Out, Report};
use std::borrow::Cow;
use std::io::Write;

/// New columns come at the end.
const HEADER: [&str; 26] = [
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
    "run",
    "at",
    "standing",
    "verify",
    "verifyRun",
    "verifiedAt",
    "rollback",
    "rollbackResult",
    "rollbackRun",
    "rolledBackAt",
    "region",
    "department",
];

const LIST_HEADER: [&str; 10] = [
    "user",
    "userPrincipalName",
    "code",
    "whatToDo",
    "detail",
    "standing",
    "region",
    "department",
    "run",
    "at",
];

pub(super) async fn write(report: &Report<'_>, out: &mut Out<'_>) -> anyhow::Result<()> {
    let mut csv = ::csv::Writer::from_writer(out);
    csv.write_record(HEADER)?;
    report
        .for_each(|person| {
            for row in &person.rows {
                write_row(&mut csv, row)?;
            }
            Ok(true)
        })
        .await?;
    Ok(csv.flush()?)
}

pub(super) async fn write_list(report: &Report<'_>, list: List, out: &mut Out<'_>) -> anyhow::Result<()> {
    let mut csv = ::csv::Writer::from_writer(out);
    csv.write_record(LIST_HEADER)?;
    report
        .for_each(|person| {
            if let Some(line) = list.line(&person) {
                write_line(&mut csv, &line)?;
            }
            Ok(true)
        })
        .await?;
    Ok(csv.flush()?)
}

fn write_row<W: Write>(csv: &mut ::csv::Writer<W>, row: &Row) -> ::csv::Result<()> {
    let codes = row.codes.join(" ");
    let number = |run: Option<i64>| run.map(|run| run.to_string()).unwrap_or_default();
    let (run, verify_run, rollback_run) =
        (number(Some(row.run)), number(row.verify_run), number(row.rollback_run));
    let cells: [&str; 26] = [
        &row.user,
        text(&row.user_principal_name),
        row.state,
        row.method,
        text(&row.serial),
        text(&row.from),
        text(&row.to),
        row.result,
        text(&row.graph_code),
        &codes,
        text(&row.device),
        text(&row.before),
        text(&row.ours),
        text(&row.now),
        &run,
        text(&row.at),
        row.standing,
        row.verify,
        &verify_run,
        text(&row.verified_at),
        row.rollback,
        row.rollback_result,
        &rollback_run,
        text(&row.rolled_back_at),
        text(&row.region),
        text(&row.department),
    ];
    csv.write_record(cells.iter().map(|cell| harmless(cell).into_owned()))
}

fn write_line<W: Write>(csv: &mut ::csv::Writer<W>, line: &Duty) -> ::csv::Result<()> {
    let run = line.run.to_string();
    let cells: [&str; 10] = [
        &line.user,
        text(&line.user_principal_name),
        line.code,
        line.what_to_do,
        &line.detail,
        line.standing,
        text(&line.region),
        text(&line.department),
        &run,
        text(&line.at),
    ];
    csv.write_record(cells.iter().map(|cell| harmless(cell).into_owned()))
}

fn text(value: &Option<String>) -> &str {
    value.as_deref().unwrap_or_default()
}

/// A cell that no spreadsheet runs. Some take the wide forms of the signs too, and some overlook blanks in front.
pub(crate) fn harmless(cell: &str) -> Cow<'_, str> {
    let begins = cell.trim_start().chars().next();
    let is_formula = match begins {
        Some('=' | '@' | '-' | '＝' | '＠' | '－' | '＋') => true,
        Some('+') => !is_number(cell),
        Some(_) | None => cell.starts_with(['\t', '\r', '\n']),
    };
    if is_formula { Cow::Owned(format!("'{cell}")) } else { Cow::Borrowed(cell) }
}

fn is_number(cell: &str) -> bool {
    let mut chars = cell.chars();
    chars.next() == Some('+')
        && chars.next().is_some_and(|c| c.is_ascii_digit())
        && chars.all(|c| c.is_ascii_digit() || matches!(c, ' ' | 'x'))
}

#[cfg(test)]
mod tests {
    use super::harmless;

    #[test]
    fn a_formula_is_defused_and_a_number_is_left() {
        for formula in [
            "=cmd|' /C calc'!A0",
            "@x",
            "-1",
            "+x",
            "+1+cmd|' /C calc'!A0",
            "+1-2",
            " =1+1",
            "\t=1",
            "\r\n=1",
            "\n1",
            "＝1+1",
        ] {
            assert_eq!(harmless(formula), format!("'{formula}"));
        }
        for text in ["+1 4255550100", "+1 4255550100x4021", "helga", "CONTOSO\\helga", "", "a=b"] {
            assert_eq!(harmless(text), text);
        }
    }
}
