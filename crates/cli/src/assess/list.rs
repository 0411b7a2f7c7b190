//! One list with everybody on it, streamed in the datafile's order: nothing of it lies in memory.

use super::{Person, habits};
use contract::{FingerprintKey, Policy};
use extractor::{Item, Source};
use rules::assess::List;
use serde::Serialize;
use std::io::Write;

/// A line, as scripts read it. Names of fields are promises.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Row<'a> {
    user: &'a str,
    group: Option<&'a str>,
    /// The default method after the move, as far as the datafile alone tells.
    default_after: Option<&'static str>,
}

/// Writes a list as CSV, or as a JSON array.
pub(crate) fn write(
    source: &Source,
    policy: &Policy,
    list: List,
    json: bool,
    out: &mut dyn Write,
) -> anyhow::Result<u64> {
    let keys = FingerprintKey::new(&[]);
    let survey = extractor::survey(source)?;
    let mut listed = 0_u64;
    if json {
        write!(out, "[")?;
    } else {
        writeln!(out, "user,group,defaultAfter")?;
    }
    for item in extractor::records(source, &survey)? {
        let (row, stated) = match item? {
            Item::Accepted(row, stated) => (row, stated),
            Item::Rejected(_) | Item::SideRejected(_) => continue,
        };
        let assessed = rules::assess::assess(&row.record, &habits(&stated), policy, &keys);
        if !assessed.is_on(list) {
            continue;
        }
        let person = Person::of(&row, &assessed);
        let line = Row { user: &person.user, group: person.group.as_deref(), default_after: person.default };
        if json {
            write!(out, "{}", if listed == 0 { "\n" } else { ",\n" })?;
            serde_json::to_writer(&mut *out, &line)?;
        } else {
            let mut csv = csv::WriterBuilder::new().has_headers(false).from_writer(&mut *out);
            csv.serialize(&line)?;
            csv.flush()?;
        }
        listed += 1;
    }
    if json {
        writeln!(out, "\n]")?;
    }
    Ok(listed)
}
