//! Which two documents are one user.
//!
//! Pure, over what a first pass noted of each document. Every document ends up in exactly one unit: a pair, or alone
//! with the reason why it cannot be read.

use super::document::Half;
use contract::RejectCode;
use std::collections::{BTreeMap, BTreeSet};

/// What the first pass notes of a document.
#[derive(Debug, Clone)]
pub(crate) struct Noted {
    /// File name.
    pub(crate) file: String,
    /// File name without its ending and without the half's name, in lower case.
    pub(crate) stem: String,
    /// The username it states, folded.
    pub(crate) username: Option<Box<str>>,
    /// The half it is, or why it is none.
    pub(crate) half: Result<Half, (&'static str, RejectCode)>,
    pub(crate) digest: crate::digest::Sha256,
}

/// One record of the folder, by the documents' places in the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unit {
    /// The settings document, or the one that is alone.
    pub(crate) first: usize,
    pub(crate) devices: Option<usize>,
    pub(crate) fault: Option<(&'static str, RejectCode)>,
}

/// Pairs documents, given in the order of their file names; units come in that order too.
pub(crate) fn pair(noted: &[Noted]) -> Vec<Unit> {
    let mut units = Vec::new();
    let mut open: BTreeSet<usize> = (0..noted.len()).collect();
    // Where a username occurs twice the stem tells its pairs apart, so that both are seen as duplicates and not as halves.
    let name_and_stem = |document: &'_ Noted| Some((document.username.clone()?, document.stem.clone()));
    pair_by(noted, &mut open, &mut units, name_and_stem, |_, _| true);
    pair_by(noted, &mut open, &mut units, |document| document.username.clone(), |_, _| true);
    pair_by(
        noted,
        &mut open,
        &mut units,
        |document| Some(document.stem.clone()),
        |a, b| a.username.is_none() || b.username.is_none(),
    );
    let incomplete = Some(("-", RejectCode::Incomplete));
    units.extend(open.into_iter().filter_map(|n| {
        let fault = noted.get(n)?.half.err().or(incomplete);
        Some(Unit { first: n, devices: None, fault })
    }));
    units.sort_unstable_by_key(|unit| unit.first);
    units
}

/// Makes units of the documents that share a key, where exactly one is of either half. A broken document takes the
/// place of the half that is missing, so that its user is turned away once and with the true reason.
fn pair_by<K: Ord>(
    noted: &[Noted],
    open: &mut BTreeSet<usize>,
    units: &mut Vec<Unit>,
    key: impl Fn(&Noted) -> Option<K>,
    fits: impl Fn(&Noted, &Noted) -> bool,
) {
    let mut groups: BTreeMap<K, Vec<usize>> = BTreeMap::new();
    for &n in open.iter() {
        if let Some(key) = noted.get(n).and_then(&key) {
            groups.entry(key).or_default().push(n);
        }
    }
    for group in groups.into_values() {
        let [a, b] = group[..] else { continue };
        let (Some(first), Some(second)) = (noted.get(a), noted.get(b)) else { continue };
        if !fits(first, second) {
            continue;
        }
        let unit = match (first.half, second.half) {
            (Ok(Half::Settings), Ok(Half::Devices)) => Unit { first: a, devices: Some(b), fault: None },
            (Ok(Half::Devices), Ok(Half::Settings)) => Unit { first: b, devices: Some(a), fault: None },
            (Err(fault), Ok(_)) => Unit { first: a, devices: Some(b), fault: Some(fault) },
            (Ok(_), Err(fault)) => Unit { first: b, devices: Some(a), fault: Some(fault) },
            (Ok(_), Ok(_)) | (Err(_), Err(_)) => continue,
        };
        open.remove(&a);
        open.remove(&b);
        units.push(unit);
    }
}

/// The part of a file name that is the user's: without `.xml`, without the half's name before or behind it.
pub(crate) fn stem(file: &str) -> &str {
    const HALVES: [&str; 8] = [
        "getusersettings_3response",
        "getuserdevicesresponse",
        "getusersettings_3",
        "getusersettings",
        "getuserdevices",
        "userdevices",
        "settings",
        "devices",
    ];
    const SEPARATORS: [char; 4] = ['.', '-', '_', ' '];
    // Lower-casing ASCII alone keeps every byte in its place.
    let lower = file.to_ascii_lowercase();
    let end = lower.strip_suffix(".xml").map_or(file.len(), str::len);
    let (Some(lower), Some(file)) = (lower.get(..end), file.get(..end)) else { return file };
    for half in HALVES {
        if let Some(rest) = lower.strip_suffix(half)
            && (rest.is_empty() || rest.ends_with(SEPARATORS))
        {
            return file.get(..rest.len()).unwrap_or_default().trim_end_matches(SEPARATORS);
        }
        if let Some(rest) = lower.strip_prefix(half)
            && rest.starts_with(SEPARATORS)
        {
            return file.get(half.len()..).unwrap_or_default().trim_start_matches(SEPARATORS);
        }
    }
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(file: &str, username: Option<&str>, half: Result<Half, (&'static str, RejectCode)>) -> Noted {
        let (stem, username) = (stem(file).to_lowercase(), username.map(Into::into));
        Noted { file: file.to_owned(), stem, username, half, digest: [0; 32] }
    }

    #[test]
    fn a_stem_is_what_both_file_names_share() {
        for (file, wanted) in [
            ("Helga.settings.xml", "Helga"),
            ("helga@contoso.example-GetUserDevicesResponse.XML", "helga@contoso.example"),
            ("GetUserSettings_3Response_0001.xml", "0001"),
            ("devices.xml", ""),
            ("mydevices.xml", "mydevices"),
            ("plain.xml", "plain"),
        ] {
            assert_eq!(stem(file), wanted, "{file}");
        }
    }

    #[test]
    fn names_pair_first_and_stems_pair_what_names_cannot() {
        let broken = Err(("-", RejectCode::Malformed));
        let noted = [
            note("1.settings.xml", Some("a"), Ok(Half::Settings)),
            note("2.devices.xml", Some("a"), Ok(Half::Devices)),
            note("b.devices.xml", None, Ok(Half::Devices)),
            note("b.settings.xml", Some("b"), Ok(Half::Settings)),
            note("c.devices.xml", None, broken),
            note("c.settings.xml", Some("c"), Ok(Half::Settings)),
            note("d.settings.xml", Some("d"), Ok(Half::Settings)),
            note("e.devices.xml", Some("e1"), Ok(Half::Devices)),
            note("e.settings.xml", Some("e2"), Ok(Half::Settings)),
        ];
        let units: Vec<_> =
            pair(&noted).into_iter().map(|u| (u.first, u.devices, u.fault.map(|f| f.1))).collect();
        let alone = Some(RejectCode::Incomplete);
        assert_eq!(
            units,
            [
                (0, Some(1), None),
                (3, Some(2), None),
                (4, Some(5), Some(RejectCode::Malformed)),
                (6, None, alone),
                (7, None, alone),
                (8, None, alone)
            ]
        );
    }
}
