//! Sealing keys across machines: a record under a stranger's key is set aside and stops nobody, a new key seals while the
//! old one still opens, and nothing that lies in the broker or the database is readable without them.

use harness::{Expected, Fleet, Site, until};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(90);

/// A key file of its own, beside the fleet's.
fn key(site: &Site, name: &str, byte: u8) -> String {
    let path = site.path(name);
    std::fs::write(&path, [byte; 32]).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_record_under_a_strangers_key_is_set_aside_and_sent_again_under_ours_it_is_filed() {
    let expected = Expected::dense(40);
    let tenant = expected.tenant(&[]);
    let mut fleet = Fleet::new(&tenant);
    let _services = (fleet.coordinator(), fleet.workers(1));
    let ours = fleet.site.path("sealing.key").to_str().unwrap().to_owned();
    let stranger = key(&fleet.site, "stranger.key", 9);
    fleet.site.env("MFA_MIGRATE_KEY_FILE", &stranger);
    fleet.site.run(&["serve", "extractor", "--datafile", expected.datafile()]).expect(&[0]);
    fleet.site.env("MFA_MIGRATE_KEY_FILE", &ours);
    let all_are_shown = || {
        // The first coordinator makes the ledger; until then there is no status.
        let status = fleet.site.run(&["status", "--json"]);
        status.code == Some(0) && status.json()["parkedMessages"].as_u64() >= Some(40)
    };
    assert!(until(SOON, all_are_shown), "{}\n{}", fleet.status(), fleet.said());
    let status = fleet.status();
    let reason = status["lastParked"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("not among the keys given"), "{reason}");
    // Under our key the same datafile is the same snapshot, and it is whole now.
    let end = fleet.migrate(&expected).json();
    fleet.must_be_clean(&expected, &tenant, &end);
}

#[test]
fn a_new_key_seals_while_the_old_one_still_opens() {
    let expected = Expected::dense(40);
    let tenant = expected.tenant(&[]);
    let mut fleet = Fleet::new(&tenant);
    let services = (fleet.coordinator(), fleet.workers(1));
    let end = fleet.migrate(&expected).json();
    fleet.must_be_clean(&expected, &tenant, &end);
    services.0.stop();
    for worker in services.1 {
        worker.stop();
    }

    let old = fleet.site.path("sealing.key").to_str().unwrap().to_owned();
    let new = key(&fleet.site, "new.key", 7);
    fleet.site.env("MFA_MIGRATE_KEY_FILE", &new);
    let refused = fleet.site.run(&["status"]).expect(&[2]);
    assert!(refused.err.contains("another key"), "{}", refused.err);
    fleet.site.env("MFA_MIGRATE_OLD_KEY_FILES", &old);
    let _services = (fleet.coordinator(), fleet.workers(1));
    let again = ["migrate", "--datafile", expected.datafile(), "--include-unchanged", "--json"];
    let end = fleet.end_of(fleet.site.start(&again)).json();
    fleet.must_be_clean(&expected, &tenant, &end);
    assert_eq!(end["entries"]["unchanged"], 40, "what the old key sealed was opened: {end}");
    // Sealed by the new key alone: without it the results of the second run cannot be read.
    fleet.site.env("MFA_MIGRATE_KEY_FILE", &old);
    fleet.site.unset("MFA_MIGRATE_OLD_KEY_FILES");
    let unreadable = fleet.site.run(&["report", "--format", "json"]);
    assert_ne!(unreadable.code, Some(0), "{}", unreadable.out);
}
