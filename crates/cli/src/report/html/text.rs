//! Texts of others on the page: escaped, and without what would turn or hide the text beside them.

use contract::EntryState;

/// Any text as text.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // What turns the direction of a line makes a name look like another one.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => out.push('\u{fffd}'),
            c if c.is_control() && !matches!(c, '\n' | '\t') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// The same of a text that may be absent.
pub(super) fn escape_maybe(text: Option<&str>) -> String {
    text.map(escape).unwrap_or_default()
}

/// A count with its thousands set apart.
pub(crate) fn number(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A word of ours with the colour that goes with it; nothing for an empty one.
pub(super) fn word(word: &str) -> String {
    if word.is_empty() { String::new() } else { format!("<span class=\"word {word}\">{word}</span>") }
}

/// What a state means, for the pointer that rests on it.
pub(super) fn meaning(state: EntryState) -> &'static str {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_in_a_name_stays_text() {
        assert_eq!(
            escape("<script>\"x\"&'</script>"),
            "&lt;script&gt;&quot;x&quot;&amp;&#39;&lt;/script&gt;"
        );
        assert_eq!(escape("a\u{202e}b\u{7}"), "a\u{fffd}b\u{fffd}");
    }

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!(
            [0, 999, 1_000, 500_000, 1_234_567].map(number),
            ["0", "999", "1,000", "500,000", "1,234,567"]
        );
    }
}
