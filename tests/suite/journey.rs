//! The main job from a datafile to a report, as an operator does it.

use harness::{Site, Tenant};

#[test]
fn generate_rehearse_migrate_and_migrate_again() {
    let files = tempfile::tempdir().unwrap();
    let (data, state) = (files.path().join("users.ndjson"), files.path().join("tenant.json"));
    let site = Site::at("http://127.0.0.1:9");
    site.run(&[
        "generate",
        "--users",
        "200",
        "--seed",
        "7",
        "--datafile",
        data.to_str().unwrap(),
        "--tenant",
        state.to_str().unwrap(),
    ])
    .expect(&[0]);

    let tenant = Tenant::start(&state, &[]);
    let site = Site::new(&tenant);
    let before = tenant.state();
    let plans =
        site.run(&["rehearse", "--datafile", data.to_str().unwrap(), "--json"]).expect(&[0, 3]).json_lines();
    assert_eq!(plans.len(), 200);
    assert_eq!(tenant.state(), before, "a rehearsal writes nothing");
    assert!(tenant.journal().is_empty());

    let end = site.run(&["migrate", "--datafile", data.to_str().unwrap(), "--json"]).expect(&[0, 3]).json();
    let planned = plans.iter().filter(|p| p["outcome"] == "change").count();
    assert_eq!(end["entries"]["applied"], planned);
    let changes: usize = plans.iter().map(|p| p["changes"].as_array().unwrap().len()).sum();
    let effects = tenant.journal().iter().filter(|e| e["noop"] != true && e["to"] != "assigned").count();
    assert_eq!(effects, changes, "every planned change once, and nothing else");

    let again = site.run(&["migrate", "--datafile", data.to_str().unwrap(), "--json"]).expect(&[0, 3]).json();
    assert_eq!(again["entries"]["applied"], 0);
    let after = tenant.journal().iter().filter(|e| e["noop"] != true && e["to"] != "assigned").count();
    assert_eq!(after, changes, "the second time there is nothing to do");
}

#[test]
fn the_demo_takes_a_region_back_to_what_it_was() {
    let site = Site::at("http://127.0.0.1:9");
    let shown = site.run(&["demo", "--users", "300", "--keep", "demo"]).expect(&[0]);
    assert!(shown.out.contains("compared with what they were: 0 differ"), "{}", shown.out);
    assert!(site.path("demo/rollback.html").exists());
    // It begins anew where an earlier one was kept.
    site.run(&["demo", "--users", "300", "--keep", "demo", "--json"]).expect(&[0]);
}
