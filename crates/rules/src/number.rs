//! Telephone numbers in the form that Graph takes (rules N1 to N9).
//!
//! What people typed goes in, `+{country code} {number}` comes out, with what had to be repaired. Never guesses a
//! country, never panics, never shows a number in `Debug`.
//!
//! Where the rules are silent: a number in international form (`+`, or `00` where the result is valid) is explicit
//! and stands against a country code field that says something else, noted as `prefix-repaired`; a number that can
//! only be dialled within an area is not possible; characters besides digits and formatting make it invalid; a
//! country code field that is no country's code is the same as an impossible number.

use crate::country::Country;
use contract::{Code, RawPhone};
use std::fmt::Write;

/// Graph shows at most 15 digits behind the `x` (`reference/graph.md` §1.3).
const EXTENSION_DIGITS: usize = 15;
/// Longer than any number with its prefixes repeated; what is beyond it is no number.
const NUMBER_DIGITS: usize = 40;
/// How often a country code may be repeated and still be taken off.
const REPEATS: u8 = 3;

/// The extension of a number, when at least one digit is in it (N8).
#[derive(Clone, PartialEq, Eq)]
pub enum Extension {
    /// One to fifteen digits.
    Digits(String),
    /// Pauses, letters or too many digits (N9).
    Unrepresentable,
}

impl std::fmt::Debug for Extension {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Digits(_) => "Digits([redacted])",
            Self::Unrepresentable => "Unrepresentable",
        })
    }
}

/// A number after N1 to N8. Two are equal when country code, national number and extension are.
#[derive(Clone)]
pub struct Normalised {
    /// Country code, 1 to 999.
    pub country_code: u16,
    /// National number, digits alone, without trunk prefix.
    pub national: String,
    /// The extension, if there is one.
    pub extension: Option<Extension>,
    /// N4: a repeated country code was taken off.
    pub prefix_repaired: bool,
    /// N5: a trunk prefix was taken off.
    pub trunk_removed: bool,
    /// N7: possible, not valid.
    pub doubtful: bool,
}

impl std::fmt::Debug for Normalised {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Normalised(+{} [redacted])", self.country_code)
    }
}

impl PartialEq for Normalised {
    fn eq(&self, other: &Self) -> bool {
        self.country_code == other.country_code
            && self.national == other.national
            && self.extension == other.extension
    }
}

impl Eq for Normalised {}

impl Normalised {
    /// The form for Graph; an extension that cannot be represented is left out, so ask for it first.
    pub fn to_graph(&self) -> String {
        let mut out = String::with_capacity(self.national.len() + 8);
        self.write_to(&mut out);
        out
    }

    /// What was repaired, as notes in the order of the rules.
    pub fn codes(&self) -> impl Iterator<Item = Code> {
        [
            (self.prefix_repaired, Code::PrefixRepaired),
            (self.trunk_removed, Code::TrunkPrefixRemoved),
            (self.doubtful, Code::PhoneDoubtful),
        ]
        .into_iter()
        .filter_map(|(is, code)| is.then_some(code))
    }

    fn write_to(&self, out: &mut String) {
        // Writing to a string cannot fail.
        if write!(out, "+{} {}", self.country_code, self.national).is_ok()
            && let Some(Extension::Digits(digits)) = &self.extension
        {
            out.push('x');
            out.push_str(digits);
        }
    }
}

/// Normalises a number of the source. The error is the code that says why there is none: `phone-absent` (nothing
/// but blanks and formatting), `country-code-missing`, `phone-invalid`. An extension that cannot be represented is
/// no error here, because P4 may drop it.
pub fn normalise(raw: &RawPhone, default_country_code: Option<&str>) -> Result<Normalised, Code> {
    let (main, embedded) = split_extension(&raw.number);
    let typed = match Typed::read(main) {
        // An extension and nothing before it: something is there, and it is no number.
        Err(Code::PhoneAbsent) if embedded.is_some() => return Err(Code::PhoneInvalid),
        read => read?,
    };
    let extension = extension(&raw.extension).or_else(|| embedded.and_then(extension));
    let settled =
        settle_typed(&typed, field(&raw.country_code), || default_country_code.map_or(Field::Empty, field))?;
    Ok(settled.into_normalised(extension))
}

/// Whether two values of Graph are the same number: letter by letter, or after normalising.
pub fn same_number(a: &str, b: &str) -> bool {
    a == b || observed(a).is_some_and(|x| observed(b).is_some_and(|y| x == y))
}

/// Whether the source has a number at all (P1).
pub(crate) fn is_absent(raw: &RawPhone) -> bool {
    raw.number.chars().all(is_formatting)
}

/// The extension that the source has, in its field or within the number (N8).
pub(crate) fn extension_of(raw: &RawPhone) -> Option<Extension> {
    extension(&raw.extension).or_else(|| split_extension(&raw.number).1.and_then(extension))
}

/// A number as Graph shows it: its own country code, with or without a space, `x` or `X` with or without one.
pub(crate) fn observed(value: &str) -> Option<Normalised> {
    let (main, embedded) = split_extension(value);
    let typed = Typed::read(main).ok()?;
    if !typed.plus {
        return None;
    }
    let settled = settle_typed(&typed, Field::Empty, || Field::Empty).ok()?;
    Some(settled.into_normalised(embedded.and_then(extension)))
}

fn split_extension(number: &str) -> (&str, Option<&str>) {
    let bytes = number.as_bytes();
    let marker = bytes.iter().enumerate().position(|(i, b)| match b {
        b'x' | b'X' | b'#' => true,
        b'e' | b'E' => bytes.get(i..i + 3).is_some_and(|w| w.eq_ignore_ascii_case(b"ext")),
        _ => false,
    });
    match marker.and_then(|at| number.split_at_checked(at)) {
        Some((main, tail)) => (main, Some(tail)),
        None => (number, None),
    }
}

fn extension(text: &str) -> Option<Extension> {
    let text = text.trim();
    let text = ["extension", "ext.", "ext", "x", "#"]
        .into_iter()
        .find_map(|mark| {
            let (head, rest) = text.split_at_checked(mark.len())?;
            head.eq_ignore_ascii_case(mark).then_some(rest)
        })
        .unwrap_or(text)
        .trim();
    if !text.bytes().any(|b| b.is_ascii_digit()) {
        return None;
    }
    if text.len() <= EXTENSION_DIGITS && text.bytes().all(|b| b.is_ascii_digit()) {
        Some(Extension::Digits(text.to_owned()))
    } else {
        Some(Extension::Unrepresentable)
    }
}

/// N1, and what a word processor or another alphabet makes of those characters.
fn is_formatting(c: char) -> bool {
    matches!(c, ' ' | '-' | '.' | '(' | ')' | '/')
        || c.is_whitespace()
        || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2010}'..='\u{2015}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}' | '\u{2212}' | '\u{feff}')
}

fn digit(c: char) -> Option<char> {
    let zero = match c {
        '0'..='9' => return Some(c),
        '\u{660}'..='\u{669}' => 0x660,
        '\u{6f0}'..='\u{6f9}' => 0x6f0,
        '\u{ff10}'..='\u{ff19}' => 0xff10,
        _ => return None,
    };
    char::from_digit(u32::from(c).checked_sub(zero)?, 10)
}

/// The digits that were typed, and whether a `+` stood before them.
struct Typed {
    digits: String,
    plus: bool,
    /// `+48+48…`: the code before the second `+` is gone already.
    repeated: bool,
}

impl Typed {
    fn read(main: &str) -> Result<Self, Code> {
        let mut typed = Self { digits: String::with_capacity(24), plus: false, repeated: false };
        let mut before = None;
        for c in main.chars() {
            if let Some(d) = digit(c) {
                if typed.digits.len() >= NUMBER_DIGITS {
                    return Err(Code::PhoneInvalid);
                }
                typed.digits.push(d);
            } else if c == '+' || c == '\u{ff0b}' {
                if !typed.digits.is_empty() && before.replace(std::mem::take(&mut typed.digits)).is_some() {
                    return Err(Code::PhoneInvalid);
                }
                typed.plus = true;
            } else if !is_formatting(c) {
                return Err(Code::PhoneInvalid);
            }
        }
        if let Some(before) = before {
            let code = before.trim_start_matches('0');
            if code.is_empty() || !typed.digits.starts_with(code) {
                return Err(Code::PhoneInvalid);
            }
            typed.repeated = true;
        }
        if typed.digits.is_empty() {
            return Err(if typed.plus { Code::PhoneInvalid } else { Code::PhoneAbsent });
        }
        Ok(typed)
    }
}

/// What the country code field says.
enum Field {
    Empty,
    Country(&'static Country),
    Junk,
}

fn field(text: &str) -> Field {
    let mut code: u16 = 0;
    let mut digits = 0;
    for c in text.chars() {
        match digit(c).and_then(|d| d.to_digit(10)) {
            // A leading zero is part of `00`, never of a country code.
            Some(0) if digits == 0 => {}
            Some(d) if digits < 3 => {
                code = code * 10 + u16::try_from(d).unwrap_or(0);
                digits += 1;
            }
            Some(_) => return Field::Junk,
            None if is_formatting(c) || (c == '+' && digits == 0) => {}
            None => return Field::Junk,
        }
    }
    match (digits, Country::of(code)) {
        (0, _) => Field::Empty,
        (_, Some(country)) => Field::Country(country),
        (_, None) => Field::Junk,
    }
}

/// A number that is possible.
struct Settled {
    country: &'static Country,
    national: String,
    repaired: bool,
    trunk: bool,
}

impl Settled {
    fn into_normalised(self, extension: Option<Extension>) -> Normalised {
        Normalised {
            country_code: self.country.code,
            doubtful: !self.country.is_valid(&self.national),
            national: self.national,
            extension,
            prefix_repaired: self.repaired,
            trunk_removed: self.trunk,
        }
    }

    fn repaired(mut self) -> Self {
        self.repaired = true;
        self
    }
}

fn settle_typed(typed: &Typed, field: Field, default: impl FnOnce() -> Field) -> Result<Settled, Code> {
    let digits = typed.digits.as_str();
    if typed.plus
        && let Some((country, rest)) = Country::split(digits)
    {
        let settled = settle(country, rest, 0).ok_or(Code::PhoneInvalid)?;
        let carried_alone = matches!(field, Field::Empty) && !typed.repeated;
        return Ok(if carried_alone { settled } else { settled.repaired() });
    }
    let own = match field {
        Field::Empty => default(),
        said @ (Field::Country(_) | Field::Junk) => said,
    };
    let country = match own {
        Field::Empty => return Err(Code::CountryCodeMissing),
        Field::Junk => return Err(Code::PhoneInvalid),
        Field::Country(country) => country,
    };
    if let Some((other, rest)) = digits.strip_prefix("00").and_then(Country::split)
        && other.code != country.code
        && let Some(settled) = settle(other, rest, 0)
        && other.is_valid(&settled.national)
    {
        return Ok(settled.repaired());
    }
    let settled = settle(country, digits, 0).ok_or(Code::PhoneInvalid)?;
    Ok(if typed.plus { settled.repaired() } else { settled })
}

/// N4, then N5, then N6. With `00` in front the longer reading is no national number, whatever its length.
fn settle(country: &'static Country, digits: &str, depth: u8) -> Option<Settled> {
    if depth < REPEATS {
        let international = digits.strip_prefix("00").and_then(|d| without_code(country, d));
        let shorter = international
            .or_else(|| without_code(country, digits).filter(|_| !country.is_possible(digits)))
            .and_then(|rest| settle(country, rest, depth + 1));
        if let Some(settled) = shorter {
            return Some(settled.repaired());
        }
    }
    if let Some(national) = country.without_trunk(digits) {
        return Some(Settled { country, national: national.into_owned(), repaired: false, trunk: true });
    }
    country.is_possible(digits).then(|| Settled {
        country,
        national: digits.to_owned(),
        repaired: false,
        trunk: false,
    })
}

fn without_code<'a>(country: &Country, digits: &'a str) -> Option<&'a str> {
    let (other, rest) = Country::split(digits)?;
    (other.code == country.code).then_some(rest)
}
