//! `$filter`, as far as clients of these calls need it: `eq`, `in` and `startsWith`, joined by `and` or by `or`.
//!
//! Anything else is refused as unsupported, never half understood. Texts compare case-insensitively, as in Graph.

use super::index::same;
use super::refusal::Refusal;

/// One comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Term {
    property: String,
    test: Test,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Test {
    /// Equal to one of these; `None` is null.
    OneOf(Vec<Option<String>>),
    StartsWith(String),
}

/// A filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Filter {
    terms: Vec<Term>,
    all: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Word {
    Name(String),
    Text(String),
    Open,
    Close,
    Comma,
}

impl Filter {
    /// Reads a filter.
    pub(super) fn parse(text: &str) -> Result<Self, Refusal> {
        let unsupported = || Refusal::Query("Invalid or unsupported filter clause.".to_owned());
        let words = words(text).ok_or_else(unsupported)?;
        let mut rest = words.as_slice();
        let mut terms = Vec::new();
        let mut joints = Vec::new();
        loop {
            let (term, after) = term(rest).ok_or_else(unsupported)?;
            terms.push(term);
            rest = after;
            match rest {
                [] => break,
                [Word::Name(joint), after @ ..] if joint == "and" || joint == "or" => {
                    joints.push(joint.as_str());
                    rest = after;
                }
                _ => return Err(unsupported()),
            }
        }
        let all = joints.iter().all(|j| *j == "and");
        if !all && joints.contains(&"and") {
            return Err(unsupported());
        }
        Ok(Self { terms, all })
    }

    /// Refuses properties that are not among these.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), Refusal> {
        match self.terms.iter().find(|t| !known.contains(&t.property.as_str())) {
            Some(term) => Err(Refusal::UnknownProperty(term.property.clone())),
            None => Ok(()),
        }
    }

    /// The one text that a property must equal, if that is all the filter says.
    pub(super) fn single(&self, property: &str) -> Option<&str> {
        match self.terms.as_slice() {
            [Term { property: p, test: Test::OneOf(values) }] if p == property => match values.as_slice() {
                [Some(value)] => Some(value),
                _ => None,
            },
            _ => None,
        }
    }

    /// The texts of which a property must equal one, if that is all the filter says.
    pub(super) fn any_of(&self, property: &str) -> Option<Vec<&str>> {
        match self.terms.as_slice() {
            [Term { property: p, test: Test::OneOf(values) }] if p == property => {
                values.iter().map(Option::as_deref).collect()
            }
            _ => None,
        }
    }

    /// Whether an object fits; `value` answers its properties.
    pub(super) fn matches(&self, value: impl Fn(&str) -> Option<String>) -> bool {
        let fits = |term: &Term| {
            let value = value(&term.property);
            match &term.test {
                Test::OneOf(wanted) => wanted.iter().any(|w| match (w, &value) {
                    (None, None) => true,
                    (Some(w), Some(v)) => same(w, v),
                    (None, Some(_)) | (Some(_), None) => false,
                }),
                Test::StartsWith(start) => value.is_some_and(|v| {
                    let (v, start) = (v.to_lowercase(), start.to_lowercase());
                    v.starts_with(&start)
                }),
            }
        };
        if self.all { self.terms.iter().all(fits) } else { self.terms.iter().any(fits) }
    }
}

fn term(words: &[Word]) -> Option<(Term, &[Word])> {
    match words {
        [
            Word::Name(function),
            Word::Open,
            Word::Name(property),
            Word::Comma,
            Word::Text(start),
            Word::Close,
            rest @ ..,
        ] if function.eq_ignore_ascii_case("startswith") => {
            Some((Term { property: property.clone(), test: Test::StartsWith(start.clone()) }, rest))
        }
        [Word::Name(property), Word::Name(eq), value, rest @ ..] if eq == "eq" => {
            Some((Term { property: property.clone(), test: Test::OneOf(vec![literal(value)?]) }, rest))
        }
        [Word::Name(property), Word::Name(is_in), Word::Open, rest @ ..] if is_in == "in" => {
            let end = rest.iter().position(|w| *w == Word::Close)?;
            let (list, after) = rest.split_at(end);
            let values = list
                .split(|w| *w == Word::Comma)
                .map(|part| match part {
                    [one] => literal(one),
                    _ => None,
                })
                .collect::<Option<Vec<_>>>()?;
            Some((Term { property: property.clone(), test: Test::OneOf(values) }, after.get(1..)?))
        }
        _ => None,
    }
}

fn literal(word: &Word) -> Option<Option<String>> {
    match word {
        Word::Text(text) => Some(Some(text.clone())),
        Word::Name(name) if name == "null" => Some(None),
        Word::Name(name) => Some(Some(name.clone())),
        Word::Open | Word::Close | Word::Comma => None,
    }
}

fn words(text: &str) -> Option<Vec<Word>> {
    let mut words = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' => {}
            '(' => words.push(Word::Open),
            ')' => words.push(Word::Close),
            ',' => words.push(Word::Comma),
            '\'' => {
                let mut text = String::new();
                loop {
                    match chars.next()? {
                        // A quote inside a text is written twice.
                        '\'' if chars.next_if_eq(&'\'').is_some() => text.push('\''),
                        '\'' => break,
                        other => text.push(other),
                    }
                }
                words.push(Word::Text(text));
            }
            other => {
                let mut name = String::from(other);
                while let Some(more) = chars.next_if(|c| !" \t(),'".contains(*c)) {
                    name.push(more);
                }
                words.push(Word::Name(name));
            }
        }
    }
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(filter: &str, name: &str, value: Option<&str>) -> bool {
        Filter::parse(filter).unwrap().matches(|p| (p == name).then_some(value?).map(str::to_owned))
    }

    #[test]
    fn eq_in_and_starts_with_are_understood() {
        assert!(fits("mail eq 'O''Hara@x.example'", "mail", Some("o'hara@X.example")));
        assert!(!fits("mail eq 'a'", "mail", Some("b")));
        assert!(fits("mail eq null", "mail", None));
        assert!(fits("userPrincipalName in ('a', 'b')", "userPrincipalName", Some("B")));
        assert!(fits("startsWith(mail,'he')", "mail", Some("Helga")));
        assert!(fits("accountEnabled eq true", "accountEnabled", Some("true")));
        assert!(fits("mail eq 'a' or mail eq 'b'", "mail", Some("b")));
        assert!(!fits("mail eq 'a' and mail eq 'b'", "mail", Some("b")));
    }

    #[test]
    fn anything_else_is_refused() {
        for bad in
            ["", "mail", "mail ne 'a'", "mail eq 'a", "mail eq 'a' and", "a eq 'b' and c eq 'd' or e eq 'f'"]
        {
            assert!(Filter::parse(bad).is_err(), "{bad}");
        }
    }
}
