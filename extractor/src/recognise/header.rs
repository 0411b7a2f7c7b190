//! Tells CSV files apart by their header.
//!
//! The header alone decides: a file with the right columns and no row is still that file.

use crate::format::Format;
use crate::keys::{DeviceField, SettingsField, UserField};
use crate::rows::{Row, Rows};
use crate::{flat, seeds};

/// Recognises a text by its first row, split at `,` or at `;`.
pub(super) fn recognise(text: &[u8]) -> Option<Format> {
    [b',', b';'].into_iter().find_map(|delimiter| {
        let mut rows = Rows::new(text, delimiter);
        let Ok(Some(Row::Fields(fields))) = rows.next() else { return None };
        let names: Vec<String> = fields.iter().map(|name| name.trim().to_lowercase()).collect();
        of_names(&names, delimiter)
    })
}

fn of_names(names: &[String], delimiter: u8) -> Option<Format> {
    let seed = |column| names.iter().any(|name| seeds::Column::of(name) == column);
    if seed(seeds::Column::Serial) && seed(seeds::Column::Secret) {
        return Some(Format::TokenSeeds { delimiter });
    }
    if !names.iter().any(|name| UserField::of(name) == UserField::Username) {
        return None;
    }
    let settings = |name: &String| match flat::Column::of(name) {
        // Both kinds of file have this column.
        flat::Column::Settings(SettingsField::OathTokenSecretKey) => false,
        flat::Column::Settings(_) => true,
        flat::Column::User(_) | flat::Column::Ignored | flat::Column::Unknown => false,
    };
    if names.iter().any(settings) {
        return Some(Format::Csv { delimiter });
    }
    let device =
        |name: &String| !matches!(DeviceField::of(name), DeviceField::Unknown | DeviceField::Ignored);
    if names.iter().any(device) {
        return Some(Format::Devices { delimiter });
    }
    let another = |name: &&String| !name.is_empty() && UserField::of(name) == UserField::Unknown;
    names.iter().find(another).map(|_| Format::Cohorts { delimiter })
}
