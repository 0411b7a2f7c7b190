//! The keys by which a record finds its Entra user (rule U1).
//!
//! Both sides are trimmed and lower-cased and then compared for equality; nothing is searched by part. An immutable
//! id tells case apart in Entra; it is lower-cased here as well, and two that differ in case alone come out as
//! ambiguous, which writes nothing.

use contract::{Match, Record};

/// The key of a record at a stage; nothing where the record has none.
pub fn record_key(record: &Record, stage: Match) -> Option<String> {
    let username = record.username.trim();
    let address = username.contains('@').then_some(username);
    match stage {
        Match::Upn => address.and_then(directory_key),
        Match::Sid => record.sid.as_deref().and_then(directory_key),
        Match::SamAccountName if address.is_some() => None,
        Match::SamAccountName => {
            directory_key(username.rsplit_once('\\').map_or(username, |(_, account)| account))
        }
        Match::Mail => {
            record.email.as_deref().and_then(directory_key).or_else(|| address.and_then(directory_key))
        }
        Match::EmployeeId | Match::ImmutableId => directory_key(username),
    }
}

/// The key of a directory property; nothing where it is blank.
pub fn directory_key(value: &str) -> Option<String> {
    let value = value.trim();
    (!value.is_empty()).then(|| value.to_lowercase())
}
