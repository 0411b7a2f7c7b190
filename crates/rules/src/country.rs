//! What libphonenumber knows of a calling code: lengths, trunk prefix, numbering plan.
//!
//! The facts are the `phonenumber` crate's; only the matching is ours, for two reasons. That crate keeps all its
//! patterns in one cache of a hundred behind one lock, which a mixed population empties again and again; and its
//! parser accepts far more than the rules do. It must never hold a table of its own. Everything handed in here is
//! ASCII digits.

use phonenumber::metadata::{DATABASE, Descriptor, Metadata};
use regex::{Regex, RegexBuilder};
use std::borrow::Cow;
use std::sync::OnceLock;

/// Calling codes have one to three digits (ITU-T E.164).
const CODES: usize = 1000;

static COUNTRIES: [OnceLock<Option<Country>>; CODES] = [const { OnceLock::new() }; CODES];

/// One calling code, with every region that shares it.
pub(crate) struct Country {
    /// The calling code.
    pub(crate) code: u16,
    /// Bit n is set when a national number may have n digits.
    lengths: u32,
    trunk: Trunk,
    /// Shape of a national number in the main region.
    general: Option<Regex>,
    regions: Vec<Region>,
}

enum Trunk {
    None,
    Literal(String),
    Pattern { prefix: Regex, transform: Option<String> },
}

struct Region {
    leading: Option<Regex>,
    valid: Option<Regex>,
}

impl Country {
    /// The country of a calling code, or nothing where no country has it.
    pub(crate) fn of(code: u16) -> Option<&'static Self> {
        COUNTRIES.get(usize::from(code))?.get_or_init(|| Self::build(code)).as_ref()
    }

    /// Splits an international number (no `+`) into country and national part. No calling code begins another.
    pub(crate) fn split(digits: &str) -> Option<(&'static Self, &str)> {
        (1..=3).find_map(|n| {
            let (code, rest) = digits.split_at_checked(n)?;
            if code.starts_with('0') {
                return None;
            }
            Some((Self::of(code.parse().ok()?)?, rest))
        })
    }

    /// Whether a national number may have this many digits when dialled from abroad.
    pub(crate) fn is_possible(&self, national: &str) -> bool {
        national.len() < 32 && self.lengths & (1 << national.len()) != 0
    }

    /// The number without its trunk prefix, where it has one and is possible without it.
    pub(crate) fn without_trunk<'a>(&self, national: &'a str) -> Option<Cow<'a, str>> {
        let stripped = match &self.trunk {
            Trunk::None => return None,
            Trunk::Literal(prefix) => Cow::Borrowed(national.strip_prefix(prefix.as_str())?),
            Trunk::Pattern { prefix, transform } => {
                let found = prefix.captures(national)?;
                let last = found.get(found.len().saturating_sub(1)).filter(|_| found.len() > 1);
                match (transform, last) {
                    (Some(rule), Some(_)) => Cow::Owned(prefix.replace(national, rule.as_str()).into_owned()),
                    _ => Cow::Borrowed(national.get(found.get(0)?.end()..)?),
                }
            }
        };
        // Some transforms add an area code; the rule speaks of removal alone.
        if stripped.len() >= national.len() || !self.is_possible(&stripped) {
            return None;
        }
        // A number that is fine as it stands loses nothing, unless it is fine without as well.
        if self.has_general_shape(national) && !self.has_general_shape(&stripped) {
            return None;
        }
        Some(stripped)
    }

    /// Whether the numbering plan has this number, in any region of the code.
    pub(crate) fn is_valid(&self, national: &str) -> bool {
        for region in &self.regions {
            let valid = region.valid.as_ref().is_some_and(|r| r.is_match(national));
            match &region.leading {
                Some(leading) if leading.is_match(national) => return valid,
                Some(_) => {}
                None if valid => return true,
                None => {}
            }
        }
        false
    }

    /// Whether every pattern of the numbering plan could be compiled.
    #[cfg(test)]
    pub(crate) fn has_plan(&self) -> bool {
        self.general.is_some() && self.regions.iter().all(|r| r.valid.is_some())
    }

    fn has_general_shape(&self, national: &str) -> bool {
        self.general.as_ref().is_some_and(|r| r.is_match(national))
    }

    fn build(code: u16) -> Option<Self> {
        let regions = DATABASE.by_code(&code)?;
        let main = *regions.first()?;
        Some(Self {
            code,
            lengths: lengths(main),
            trunk: trunk(main),
            general: whole(&[main.descriptors().general()]),
            regions: regions.iter().map(|meta| region(meta)).collect(),
        })
    }
}

fn kinds(meta: &Metadata) -> Vec<&Descriptor> {
    let d = meta.descriptors();
    [
        d.fixed_line(),
        d.mobile(),
        d.toll_free(),
        d.premium_rate(),
        d.shared_cost(),
        d.personal_number(),
        d.voip(),
        d.pager(),
        d.uan(),
        d.voicemail(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The lengths of all kinds of numbers. Lengths that can only be dialled within an area are left out: such a
/// number is not reachable from Entra. So are lengths below four, which Graph does not take
/// (`reference/graph.md` §1.3).
fn lengths(meta: &Metadata) -> u32 {
    let general = meta.descriptors().general().possible_length();
    let of_kinds = kinds(meta).into_iter().flat_map(|d| d.possible_length().iter());
    general.iter().chain(of_kinds).filter(|n| (4..32).contains(*n)).fold(0, |mask, n| mask | 1 << n)
}

fn trunk(meta: &Metadata) -> Trunk {
    let literal = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match meta.national_prefix_for_parsing() {
        Some(parsing) if literal(parsing.as_str()) => Trunk::Literal(parsing.as_str().to_owned()),
        Some(parsing) => match compile(&format!("^(?:{})", parsing.as_str())) {
            Some(prefix) => {
                Trunk::Pattern { prefix, transform: meta.national_prefix_transform_rule().map(braced) }
            }
            None => Trunk::None,
        },
        None => match meta.national_prefix() {
            Some(prefix) if literal(prefix) => Trunk::Literal(prefix.to_owned()),
            _ => Trunk::None,
        },
    }
}

/// `9$1` as `9${1}`: the rules' groups have one digit, the regex crate reads as many as follow.
fn braced(rule: &str) -> String {
    let mut out = String::with_capacity(rule.len() + 4);
    let mut chars = rule.chars().peekable();
    while let Some(c) = chars.next() {
        match chars.peek() {
            Some(group) if c == '$' && group.is_ascii_digit() => {
                out.push_str("${");
                out.push(*group);
                out.push('}');
                chars.next();
            }
            _ => out.push(c),
        }
    }
    out
}

fn region(meta: &Metadata) -> Region {
    Region {
        leading: meta.leading_digits().and_then(|l| compile(&format!("^(?:{})", l.as_str()))),
        valid: whole(&kinds(meta)),
    }
}

fn whole(descriptors: &[&Descriptor]) -> Option<Regex> {
    if descriptors.is_empty() {
        return None;
    }
    let parts: Vec<_> = descriptors.iter().map(|d| format!("(?:{})", d.national_number().as_str())).collect();
    compile(&format!("^(?:{})$", parts.join("|")))
}

fn compile(pattern: &str) -> Option<Regex> {
    RegexBuilder::new(pattern).ignore_whitespace(true).unicode(false).build().ok()
}
