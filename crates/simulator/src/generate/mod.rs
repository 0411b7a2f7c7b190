//! Synthetic data: a datafile with the dirt of real ones, and the tenant that it belongs to.
//!
//! Same numbers in, same bytes out, on every 64-bit machine. Nothing is held: each person is drawn anew from the seed and an
//! index, once for the datafile and once for the tenant, so 500,000 users take no more memory than one.

mod datafile;
mod number;
mod person;
mod tenant_file;

use person::{Person, Presence};
use std::io::{self, Write};

/// What was generated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Generated {
    /// Records in the datafile.
    pub records: u32,
    /// Users in the tenant; fewer, because some records match nobody.
    pub tenant_users: u32,
    /// Records with an OATH token.
    pub tokens: u32,
}

/// Writes a datafile (NDJSON) and the state file of the tenant that it belongs to.
///
/// The writers should be buffered. Each is flushed at the end.
///
/// # Errors
/// One of the two cannot be written.
pub fn generate(
    users: u32,
    seed: u64,
    mut datafile: impl Write,
    mut tenant: impl Write,
) -> io::Result<Generated> {
    let mut generated = Generated { records: users, ..Generated::default() };
    for index in 0..users {
        let person = Person::at(seed, index);
        datafile::write(&mut datafile, &person)?;
        generated.tokens += u32::from(person.token.is_some());
        generated.tenant_users += u32::from(person.presence != Presence::Absent);
    }
    datafile.flush()?;
    tenant_file::write(&mut tenant, users, seed)?;
    tenant.flush()?;
    Ok(generated)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::State;
    use serde_json::Value;

    fn both(users: u32, seed: u64) -> (Vec<u8>, Vec<u8>, Generated) {
        let (mut datafile, mut tenant) = (Vec::new(), Vec::new());
        let generated = generate(users, seed, &mut datafile, &mut tenant).unwrap();
        (datafile, tenant, generated)
    }

    #[test]
    fn same_seed_same_bytes_and_another_seed_others() {
        let first = both(300, 7);
        assert_eq!(first, both(300, 7));
        assert_ne!(first.0, both(300, 8).0);
    }

    #[test]
    fn a_longer_file_begins_with_the_shorter_one() {
        let (short, long) = (both(50, 7).0, both(300, 7).0);
        assert!(long.starts_with(&short));
    }

    #[test]
    fn the_tenant_can_be_served_and_holds_the_users() {
        let (_, tenant, generated) = both(1_000, 1);
        let state = State::read(tenant.as_slice()).unwrap();
        assert_eq!(state.user_count(), generated.tenant_users as usize);
        assert!(generated.tenant_users > 940 && generated.tenant_users < 1_000);
    }

    #[test]
    fn records_have_every_mode_the_dirt_and_unique_serials() {
        let (datafile, _, generated) = both(3_000, 3);
        let records: Vec<Value> = datafile
            .split(|b| *b == b'\n')
            .filter(|l| !l.is_empty())
            .map(|l| serde_json::from_slice(l).unwrap())
            .collect();
        assert_eq!(records.len(), 3_000);
        let setting = |r: &Value, name: &str| r["settings"][name].as_str().unwrap_or_default().to_owned();
        let any = |f: &dyn Fn(&Value) -> bool| records.iter().any(f);
        for mode in ["voiceCall", "smsText", "phoneApp", "oathToken", "unspecified", "invalid"] {
            assert!(any(&|r| setting(r, "mode") == mode), "{mode}");
        }
        assert!(any(&|r| r["username"].as_str().unwrap().starts_with("CONTOSO\\") && r["sid"].is_string()));
        assert!(any(&|r| r["settings"]["enabled"] == false));
        assert!(any(&|r| setting(r, "phone").starts_with("00")));
        assert!(any(&|r| setting(r, "phone").starts_with('(')));
        assert!(any(&|r| setting(r, "extension").starts_with("ext. ")));
        assert!(any(&|r| setting(r, "extension").starts_with('#')));
        assert!(any(&|r| setting(r, "oathTokenSecretKey").contains(' ')));
        let mut serials: Vec<String> =
            records.iter().map(|r| setting(r, "oathTokenSerialNumber")).filter(|s| !s.is_empty()).collect();
        assert_eq!(serials.len(), generated.tokens as usize);
        assert!((120..260).contains(&serials.len()), "{}", serials.len());
        serials.sort();
        serials.dedup();
        assert_eq!(serials.len(), generated.tokens as usize);
    }
}
