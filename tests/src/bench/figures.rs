//! What a bench answers: figures, the targets of some of them, and whether these were met.
//!
//! The JSON line holds nothing but names and numbers; the table is for people.

use serde_json::{Map, Value, json};
use std::fmt::Write;

/// Which side of a target is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bound {
    AtLeast,
    AtMost,
}

#[derive(Debug)]
struct Figure {
    name: String,
    value: f64,
    target: Option<(Bound, f64)>,
}

impl Figure {
    fn is_met(&self) -> bool {
        match self.target {
            None => true,
            Some((Bound::AtLeast, target)) => self.value >= target,
            Some((Bound::AtMost, target)) => self.value <= target,
        }
    }
}

/// A bench's answer.
#[derive(Debug)]
pub(crate) struct Report {
    bench: &'static str,
    figures: Vec<Figure>,
}

impl Report {
    pub(crate) fn new(bench: &'static str) -> Self {
        Self { bench, figures: Vec::new() }
    }

    /// A figure that is told and not judged.
    pub(crate) fn told(self, name: impl Into<String>, value: f64) -> Self {
        self.with(name, value, None)
    }

    /// A figure that should not be smaller.
    pub(crate) fn at_least(self, name: impl Into<String>, value: f64, target: f64) -> Self {
        self.with(name, value, Some((Bound::AtLeast, target)))
    }

    /// A figure that should not be larger.
    pub(crate) fn at_most(self, name: impl Into<String>, value: f64, target: f64) -> Self {
        self.with(name, value, Some((Bound::AtMost, target)))
    }

    fn with(mut self, name: impl Into<String>, value: f64, target: Option<(Bound, f64)>) -> Self {
        self.figures.push(Figure { name: name.into(), value, target });
        self
    }

    fn is_met(&self) -> bool {
        self.figures.iter().all(Figure::is_met)
    }

    /// One JSON object in one line.
    pub(crate) fn line(&self) -> String {
        let figures: Map<String, Value> =
            self.figures.iter().map(|f| (f.name.clone(), json!(rounded(f.value)))).collect();
        let targets: Map<String, Value> = self
            .figures
            .iter()
            .filter_map(|f| f.target.map(|(_, target)| (f.name.clone(), json!(rounded(target)))))
            .collect();
        // Put together by hand, so that the parts stand in the order in which they are documented.
        let (figures, targets) = (Value::from(figures), Value::from(targets));
        let (bench, met) = (json!(self.bench), self.is_met());
        format!("{{\"bench\":{bench},\"figures\":{figures},\"targets\":{targets},\"met\":{met}}}")
    }

    /// A table for people.
    pub(crate) fn table(&self) -> String {
        let mut table = self.bench.to_owned();
        for figure in &self.figures {
            let judged = figure.target.map_or_else(String::new, |(bound, target)| {
                let side = match bound {
                    Bound::AtLeast => "at least",
                    Bound::AtMost => "at most",
                };
                let verdict = if figure.is_met() { "met" } else { "missed" };
                format!("  {side} {}: {verdict}", rounded(target))
            });
            // Writing to a string cannot fail.
            let _written = write!(table, "\n  {:32} {:>12}{judged}", figure.name, rounded(figure.value));
        }
        table
    }
}

/// Four decimals: shares of a thousandth are judged.
fn rounded(value: f64) -> f64 {
    if value.is_finite() { (value * 1e4).round() / 1e4 } else { 0.0 }
}

/// The middle of some measurements; 0 for none.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
