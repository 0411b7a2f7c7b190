//! A number as it should be, and as a datafile spells it.
//!
//! The dirt: a wrong default country code, a prefix written twice, a trunk zero kept, brackets and dots, extensions in
//! every fashion, some of them no extension at all.

use rand::Rng;
use rand::rngs::SmallRng;

/// A number, clean and as typed.
#[derive(Clone)]
pub(super) struct Number {
    /// As Graph has it, without the extension.
    pub(super) clean: String,
    /// Country code as typed.
    pub(super) code: String,
    /// Number as typed.
    pub(super) typed: String,
    /// Extension as typed; empty for none.
    pub(super) extension: String,
}

/// A national number of a country: significant part without the trunk prefix.
fn national(dice: &mut SmallRng, country: &str) -> String {
    match country {
        // 555-01xx of any area is kept for fiction.
        "US" => {
            let area = [206, 212, 312, 415, 425, 503, 617, 702].get(dice.random_range(0..8_usize)).copied();
            format!("{}55501{:02}", area.unwrap_or(425), dice.random_range(0..100))
        }
        // Ofcom keeps 07700 900000 to 900999 for drama.
        "GB" => format!("7700900{:03}", dice.random_range(0..1000)),
        // The Bundesnetzagentur's numbers for film: 030 23125 xxx and 0171 39200 xx.
        "DE" if dice.random_bool(0.5) => format!("3023125{:03}", dice.random_range(0..1000)),
        "DE" => format!("17139200{:02}", dice.random_range(0..100)),
        // No range is kept for fiction in these two.
        "PL" => format!("500000{:03}", dice.random_range(0..1000)),
        _ => format!("6120000{:02}", dice.random_range(0..100)),
    }
}

/// Draws a number and the way somebody typed it.
pub(super) fn draw(dice: &mut SmallRng, country: &str, code: &str) -> Number {
    let national = national(dice, country);
    let mut number = Number {
        clean: format!("+{code} {national}"),
        code: code.to_owned(),
        typed: national.clone(),
        extension: String::new(),
    };
    match dice.random_range(0..100) {
        0..70 => {}
        70..78 => number.typed = punctuated(&national),
        78..82 => number.typed = format!("00{code}{national}"),
        82..85 => number.typed = format!("+{code}{national}"),
        // NANP has no trunk zero; everywhere else people keep theirs.
        85..90 if code != "1" => number.typed = format!("0{national}"),
        90..92 => {
            number.code = String::new();
            number.typed = format!("+{code}{national}");
        }
        92..93 if code != "1" => {
            number.code = String::new();
            number.typed = format!("+{code}0{national}");
        }
        93..95 => "1".clone_into(&mut number.code),
        95..96 => number.code = String::new(),
        96..97 => number.typed = national.chars().take(3).collect(),
        _ => {}
    }
    if dice.random_bool(0.12) {
        extend(dice, &mut number);
    }
    number
}

fn extend(dice: &mut SmallRng, number: &mut Number) {
    let digits = dice.random_range(100..10_000);
    match dice.random_range(0..100) {
        0..60 => number.extension = digits.to_string(),
        60..70 => number.extension = format!("x{digits}"),
        70..80 => number.extension = format!("ext. {digits}"),
        80..88 => number.extension = format!("#{digits}"),
        88..96 => number.typed = format!("{} x{digits}", number.typed),
        96..98 => number.extension = format!("{digits},,2"),
        _ => number.extension = " ".to_owned(),
    }
}

fn punctuated(national: &str) -> String {
    let (head, tail) = national.split_at_checked(3).unwrap_or((national, ""));
    let (middle, end) = tail.split_at_checked(3).unwrap_or((tail, ""));
    format!("({head}) {middle}.{end}")
}
