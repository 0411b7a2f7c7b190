//! A result without its values: what was done, to which method, how it went and why, and no longer with what.

use crate::engine::Engine;
use contract::{EntryResult, RunId, Sealed, context};

/// Opens results, takes the values out and seals them again.
pub(super) fn results(
    engine: &Engine,
    results: Vec<(RunId, i64, Sealed)>,
) -> anyhow::Result<Vec<(RunId, i64, Sealed)>> {
    results
        .into_iter()
        .map(|(run, ordinal, sealed)| {
            let at = context::result(run, ordinal);
            let mut result: EntryResult = engine.sealer.open_json(&at, &sealed.0)?;
            strip(&mut result);
            Ok((run, ordinal, engine.sealer.seal_json(&at, &result)?))
        })
        .collect()
}

fn strip(result: &mut EntryResult) {
    for done in &mut result.changes {
        done.change.serial = None;
        done.change.from = None;
        done.change.to = None;
    }
    for note in &mut result.notes {
        note.device = None;
    }
    for conflict in &mut result.conflicts {
        conflict.serial = None;
        conflict.before = None;
        conflict.ours = None;
        conflict.now = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_words_of_ours_is_left() {
        let text = include_str!("../../../../contract/golden/entry-result-v1-conflicts.json");
        let mut result: EntryResult = serde_json::from_str(text).unwrap();
        let (changes, notes, conflicts) = (result.changes.len(), result.notes.len(), result.conflicts.len());
        strip(&mut result);
        assert_eq!(
            (result.changes.len(), result.notes.len(), result.conflicts.len()),
            (changes, notes, conflicts)
        );
        let left = serde_json::to_string(&result).unwrap();
        assert!(!left.chars().any(|c| c == '+'), "{left}");
        assert!(result.changes.iter().all(|d| d.change.to.is_none() && d.change.serial.is_none()));
    }
}
