//! The decision table, row by row: at least one case a rule of `sync-rules.md`, and every code that a plan can give.

use super::case::{Case, changes, codes};
use super::{rows_phones, rows_tokens, rows_users};
use contract::{Code, CodeKind};
use std::collections::BTreeSet;

/// A rule, what is special about the case, and the changes and codes that must come out.
pub(super) struct Row {
    pub(super) rule: &'static str,
    pub(super) set: fn(&mut Case),
    pub(super) changes: Vec<String>,
    pub(super) codes: Vec<String>,
}

pub(super) fn row(rule: &'static str, set: fn(&mut Case), changes: &[&str], codes: &[&str]) -> Row {
    let owned = |lines: &[&str]| lines.iter().map(|l| (*l).to_owned()).collect();
    Row { rule, set, changes: owned(changes), codes: owned(codes) }
}

const RULES: &str = "U4 U6 U7 U8 N1 N2 N3 N4 N5 N6 N7 N8 N9 P1 P2 P3 P4 P5 B1 B2 B3 B4 B5 M1 M2 M3 M4 M5 M6 M7 M8 M9 \
                     O1 O2 O3 O4 O4a O4b O5 O6 O7 O8 D1 D2 D3 D4 D5 §3 §7";

fn rows() -> Vec<Row> {
    let mut rows = rows_phones::rows();
    rows.extend(rows_tokens::rows());
    rows.extend(rows_users::rows());
    rows
}

#[test]
fn every_row_of_the_table_holds() {
    for (n, row) in rows().iter().enumerate() {
        let mut case = Case::empty();
        (row.set)(&mut case);
        let plan = case.plan();
        assert_eq!(changes(&plan), row.changes, "{} (row {n}): changes; codes {:?}", row.rule, codes(&plan));
        assert_eq!(codes(&plan), row.codes, "{} (row {n}): codes", row.rule);
        let tokens = plan.changes.iter().filter_map(|c| c.serial.clone()).collect::<Vec<_>>();
        assert_eq!(plan.tokens.iter().map(|t| t.serial.clone()).collect::<Vec<_>>(), tokens, "{}", row.rule);
    }
}

#[test]
fn the_table_covers_every_rule() {
    let covered: BTreeSet<&str> = rows().iter().flat_map(|r| r.rule.split(' ')).collect();
    let rules: BTreeSet<&str> = RULES.split_whitespace().collect();
    assert_eq!(covered, rules);
}

#[test]
fn the_table_covers_every_code_of_a_plan() {
    let given: BTreeSet<Code> = rows()
        .iter()
        .flat_map(|row| {
            let mut case = Case::empty();
            (row.set)(&mut case);
            case.plan().notes.into_iter().map(|n| n.code).collect::<Vec<_>>()
        })
        .collect();
    // Given before a user is observed (U2, U3, U5), on the way back (§9), or by the staged rollout; the rest belongs to runs.
    let elsewhere = [Code::MatchNone, Code::MatchAmbiguous, Code::UnchangedSinceLast, Code::DefaultLeft];
    let expected = Code::ALL.iter().copied().filter(|c| c.kind() != CodeKind::Held && !elsewhere.contains(c));
    let expected: BTreeSet<Code> = expected.filter(|c| !c.as_str().starts_with("rollout-")).collect();
    assert_eq!(given, expected);
}
