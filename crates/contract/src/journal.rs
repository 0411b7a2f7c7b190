//! The journal of changes: one line after the other, each digest covering the one before.
//!
//! A line names an Entra user, a slot, and what was seen there, or an operator and a decision; never a number or a secret, so
//! that it can be checked for as long as the ledger lives, by anybody and without a key. What was changed, taken out or
//! put in between cannot be hidden from the head of the chain; who keeps a head elsewhere can also tell that the whole of
//! it was not written anew.

use aws_lc_rs::digest::{Context, SHA256};

/// A SHA-256.
pub type JournalDigest = [u8; 32];

/// What stands before the first line.
pub const JOURNAL_START: JournalDigest = [0; 32];

/// A line of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalLine {
    /// Counts up from 1, without gaps.
    pub no: i64,
    /// When, in milliseconds since 1970 UTC, by the ledger's clock.
    pub at_ms: i64,
    /// The run; absent where it is about a batch alone.
    pub run: Option<i64>,
    /// `changes`: what was seen of users' slots; `event`: what somebody did or decided.
    pub what: String,
    /// JSON. Of changes, an array of `[Entra id, slot, outcome]`; of an event, `{"by","batch","what","why"}`.
    pub content: String,
    /// The digest as it is on file.
    pub digest: Vec<u8>,
}

impl JournalLine {
    /// What its digest has to be: SHA-256 of the one before, the number, the time and the run (0 where absent) as eight
    /// bytes each, highest first, the word, a zero byte, and the content.
    pub fn digest_after(&self, before: &JournalDigest) -> JournalDigest {
        let mut sum = Context::new(&SHA256);
        sum.update(before);
        for number in [self.no, self.at_ms, self.run.unwrap_or(0)] {
            sum.update(&number.to_be_bytes());
        }
        sum.update(self.what.as_bytes());
        sum.update(&[0]);
        sum.update(self.content.as_bytes());
        let mut digest = [0; 32];
        for (to, from) in digest.iter_mut().zip(sum.finish().as_ref()) {
            *to = *from;
        }
        digest
    }
}

/// Where a chain is broken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JournalBreak {
    /// A line is missing, or one is there twice.
    #[error("line {expected} is not where it belongs: {found} comes there")]
    Gap {
        /// The line that should come.
        expected: i64,
        /// The one that does.
        found: i64,
    },
    /// A line is not what was written.
    #[error("line {no} is not what was written, or one before it is not")]
    Digest {
        /// The line.
        no: i64,
    },
    /// The chain ends elsewhere than the ledger says.
    #[error("the chain ends with line {found}, and the ledger's own count says {expected}")]
    End {
        /// The last line by the ledger's count.
        expected: i64,
        /// The last line there is.
        found: i64,
    },
}

/// A walk along the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalChain {
    last: i64,
    digest: JournalDigest,
}

impl Default for JournalChain {
    fn default() -> Self {
        Self { last: 0, digest: JOURNAL_START }
    }
}

impl JournalChain {
    /// Takes the next line.
    pub fn take(&mut self, line: &JournalLine) -> Result<(), JournalBreak> {
        let expected = self.last + 1;
        if line.no != expected {
            return Err(JournalBreak::Gap { expected, found: line.no });
        }
        let digest = line.digest_after(&self.digest);
        if line.digest != digest {
            return Err(JournalBreak::Digest { no: line.no });
        }
        (self.last, self.digest) = (line.no, digest);
        Ok(())
    }

    /// Compares the end with what the ledger has on file as its head.
    pub fn end(&self, last: i64, digest: &[u8]) -> Result<(), JournalBreak> {
        if self.last != last {
            return Err(JournalBreak::End { expected: last, found: self.last });
        }
        if self.digest.as_slice() != digest {
            return Err(JournalBreak::Digest { no: last });
        }
        Ok(())
    }

    /// Lines so far.
    pub fn lines(&self) -> i64 {
        self.last
    }

    /// The digest of the last line, as lower-case hex.
    pub fn head(&self) -> String {
        self.digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines as a ledger writes them.
    fn chain(contents: &[&str]) -> Vec<JournalLine> {
        let mut before = JOURNAL_START;
        let mut lines = Vec::new();
        for (no, content) in (1..).zip(contents) {
            let (run, what) = if no % 2 == 0 { (None, "event") } else { (Some(7), "changes") };
            let mut line = JournalLine {
                no,
                at_ms: 1_790_000_000_000 + no,
                run,
                what: what.to_owned(),
                content: (*content).to_owned(),
                digest: Vec::new(),
            };
            before = line.digest_after(&before);
            line.digest = before.to_vec();
            lines.push(line);
        }
        lines
    }

    fn walk(lines: &[JournalLine]) -> Result<JournalChain, JournalBreak> {
        let mut walk = JournalChain::default();
        lines.iter().try_for_each(|line| walk.take(line)).map(|()| walk)
    }

    #[test]
    fn a_chain_that_nobody_touched_holds_to_its_head() {
        let lines = chain(&["[]", "{}", r#"[["0b1c","mobile","applied"]]"#]);
        let walk = walk(&lines).unwrap();
        assert_eq!(walk.end(3, &lines[2].digest), Ok(()));
        assert_eq!(walk.lines(), 3);
        assert_eq!(JournalChain::default().end(0, &JOURNAL_START), Ok(()), "nothing is a chain too");
    }

    #[test]
    fn the_digest_is_that_of_a_golden_line() {
        let golden = include_str!("../golden/journal-line-v1.txt");
        assert_eq!(walk(&chain(&[r#"[["0b1c","mobile","applied"]]"#])).unwrap().head(), golden.trim());
    }

    #[test]
    fn whatever_is_changed_in_a_line_breaks_the_chain_there() {
        let whole = chain(&["a", "b", "c"]);
        let edits: [fn(&mut JournalLine); 5] = [
            |line| line.at_ms += 1,
            |line| line.run = Some(8),
            |line| line.what.push('x'),
            |line| line.content.push('x'),
            |line| line.digest[31] ^= 1,
        ];
        for edit in edits {
            let mut lines = whole.clone();
            edit(&mut lines[1]);
            assert_eq!(walk(&lines), Err(JournalBreak::Digest { no: 2 }));
        }
    }

    #[test]
    fn lines_cannot_be_taken_out_put_in_or_moved() {
        let whole = chain(&["a", "b", "c"]);
        let mut less = whole.clone();
        less.remove(1);
        assert_eq!(walk(&less), Err(JournalBreak::Gap { expected: 2, found: 3 }));
        less[1].no = 2;
        assert_eq!(walk(&less), Err(JournalBreak::Digest { no: 2 }));
        let mut twice = whole.clone();
        twice.insert(1, whole[0].clone());
        assert_eq!(walk(&twice), Err(JournalBreak::Gap { expected: 2, found: 1 }));
        let cut = walk(&whole[..2]).unwrap();
        assert_eq!(cut.end(3, &whole[2].digest), Err(JournalBreak::End { expected: 3, found: 2 }));
        assert_eq!(cut.end(2, &whole[2].digest), Err(JournalBreak::Digest { no: 2 }), "nor its end moved");
    }

    #[test]
    fn a_word_cannot_flow_into_the_content() {
        let mut line = chain(&["bc"]).remove(0);
        let before = line.digest_after(&JOURNAL_START);
        (line.what, line.content) = (format!("{}b", line.what), "c".to_owned());
        assert_ne!(line.digest_after(&JOURNAL_START), before);
    }
}
