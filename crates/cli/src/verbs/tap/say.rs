//! What an issue or a withdrawal came to, for people and for scripts; never a pass.

use super::Office;
use crate::Exit;
use crate::args::TapIssue;
use crate::notices::Notices;
use crate::passes::Selected;
use std::collections::BTreeMap;
use std::time::Instant;
use worker::{Issued, Progress, Refused};

/// Users who were left that are named on the screen; JSON has all.
const SHOWN: usize = 20;

pub(super) fn tell(notices: &Notices, progress: Progress) {
    notices.passes(progress.done, progress.of, progress.in_doubt);
}

pub(super) fn exit(left: u64, refused: &[Refused], selected: &Selected) -> Exit {
    if left > 0 {
        Exit::Stopped
    } else if !refused.is_empty() || !selected.unknown.is_empty() {
        Exit::Remainder
    } else {
        Exit::Done
    }
}

pub(super) fn common(
    office: &Office,
    selected: &Selected,
    refused: &[Refused],
    began: Instant,
) -> serde_json::Value {
    let counts = office.pace.counts();
    let unknown =
        selected.unknown.iter().map(|name| serde_json::json!({ "user": name, "code": "user-unknown" }));
    let refused = refused.iter().map(|refused| {
        serde_json::json!({
            "user": refused.user.name, "id": refused.user.id, "code": refused.word.as_str(), "graphCode": refused.graph_code,
        })
    });
    serde_json::json!({
        "users": selected.users.len() + selected.unknown.len(),
        "refused": refused.chain(unknown).collect::<Vec<_>>(),
        "graph": { "requests": counts.requests, "writes": counts.writes, "throttled": counts.throttled },
        "seconds": began.elapsed().as_secs_f64(),
    })
}

pub(super) fn print_issued(verb: &TapIssue, selected: &Selected, issued: &Issued) {
    println!(
        "{} passes issued, {} issued before, of {} users",
        issued.issued,
        issued.before,
        selected.users.len()
    );
    if issued.lost > 0 {
        println!("  {} that had been made and that nobody had were taken away, and made anew", issued.lost);
    }
    print_refused(selected, &issued.refused);
    println!(
        "  the passes are in {}, which its owner alone can read; Entra never shows them again",
        verb.out.display()
    );
    if issued.left > 0 {
        println!("stopped; {} users are left. The same command goes on with them", issued.left);
    } else {
        println!(
            "next: hand each user the pass over a safe way, then delete the file; `mfa-migrate tap revoke` takes passes back"
        );
    }
}

pub(super) fn print_refused(selected: &Selected, refused: &[Refused]) {
    let mut by_word: BTreeMap<&str, (&str, Vec<String>)> = BTreeMap::new();
    for refused in refused {
        let code = refused.graph_code.as_deref().map(|code| format!(" ({code})")).unwrap_or_default();
        let (_, names) = by_word.entry(refused.word.as_str()).or_insert((refused.word.meaning(), Vec::new()));
        names.push(format!("{}{code}", refused.user.name));
    }
    if !selected.unknown.is_empty() {
        by_word.insert(
            "user-unknown",
            ("is in no datafile, and no user principal name in Entra", selected.unknown.clone()),
        );
    }
    for (word, (meaning, names)) in by_word {
        println!("  {} {word}: {meaning}", names.len());
        for name in names.iter().take(SHOWN) {
            println!("    {name}");
        }
        if names.len() > SHOWN {
            println!("    and {} more (--json has all)", names.len() - SHOWN);
        }
    }
}
