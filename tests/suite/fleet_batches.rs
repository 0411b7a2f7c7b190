//! Batches beside each other across processes: one goes back while another goes forward, and two operators make theirs
//! at once.

use harness::{Company, Fleet, journal};

#[test]
fn one_batch_goes_back_while_another_goes_forward() {
    let company = Company::of(400, &[]);
    let fleet = Fleet::new(&company.tenant);
    // Four groups of twenty are in hand at a time, so that orders of both are.
    let _services = (fleet.coordinator(), fleet.workers(4));
    company.make(&fleet, "de", "DE", &[]);
    company.make(&fleet, "nl", "NL", &[]);
    fleet.end_of(fleet.site.start(&["migrate", "--batch", "de", "--json"]));
    let forth = company.tenant.journal().len();
    // Slow enough that neither is over before the other has begun: the limit of one is that of all.
    fleet.set("de", "max-rate=12");
    let back = fleet.site.start(&["rollback", "--batch", "de", "--json"]);
    let forward = fleet.site.start(&["migrate", "--batch", "nl", "--json"]);
    let (back, forward) = (fleet.end_of(back).json(), fleet.end_of(forward).json());
    assert_eq!((&back["batch"], &back["entries"]["conflict"]), (&"de".into(), &0.into()), "{back}");
    assert!(back["entries"]["reverted"].as_u64().unwrap() > 0, "{back}");
    assert!(forward["entries"]["applied"].as_u64().unwrap() > 0, "{forward}");

    let changed = company.before.differences(&company.tenant);
    let about = |region: &str| {
        let ids = company.before.of_region(region);
        changed.iter().filter(|finding| ids.iter().any(|id| finding.starts_with(id))).count()
    };
    assert_eq!(about("DE"), 0, "the one is what it was: {changed:#?}");
    assert!(about("NL") > 0, "the other was moved");
    assert_eq!(changed.len(), about("NL"), "and nobody else was touched: {changed:#?}");

    let back = journal::writes_at_ms(&company.journal_of("DE", forth));
    let forward = journal::writes_at_ms(&company.journal_of("NL", forth));
    let begun_between = |one: &[i64], other: &[i64]| {
        one.iter().filter(|at| other[0] < **at && *at < other.last().unwrap()).count()
    };
    assert!(begun_between(&back, &forward) > 0 && begun_between(&forward, &back) > 0, "{back:?} {forward:?}");
    let both = company.tenant.journal().split_off(forth);
    assert_eq!(journal::repeated(&both), [""; 0]);
}

#[test]
fn operators_who_make_batches_at_once_get_whole_ones_or_are_told_to_ask_again() {
    let company = Company::of(400, &[]);
    let fleet = Fleet::new(&company.tenant);
    let _coordinator = fleet.coordinator();
    let regions = ["DE", "NL", "GB"];
    let making = regions.map(|region| fleet.site.start(&company.create(region, region, &[])));
    for (region, making) in regions.into_iter().zip(making) {
        let made = making.wait().expect(&[0, 1, 4]);
        if made.code != Some(0) {
            assert!(made.err.contains("the same command makes it"), "{}", made.err);
            let half = fleet.site.run(&["migrate", "--batch", region]);
            assert_eq!(half.code, Some(2), "it was not fixed: {}{}", half.out, half.err);
        }
    }
    for region in regions {
        if fleet.site.run(&["batch", "show", region]).code != Some(0) {
            company.make(&fleet, region, region, &[]);
        }
        let shown = fleet.shown(region);
        assert_eq!(
            (&shown["frozen"], &shown["users"]),
            (&true.into(), &company.before.of_region(region).len().into())
        );
        assert_eq!(shown["overlaps"], serde_json::json!([]), "{shown}");
    }
}

#[test]
fn no_batch_is_made_of_a_survey_that_another_operator_has_cleared_away() {
    let company = Company::of(200, &[]);
    let fleet = Fleet::new(&company.tenant);
    let first = fleet.site.start(&company.create("de", "DE", &[]));
    // Its survey is done, and it has not read it yet.
    fleet.serve_until("coordinator", &[], ("run.done", 1)).end();
    first.signal("STOP");
    let _coordinator = fleet.coordinator();
    company.make(&fleet, "nl", "NL", &[]);
    first.signal("CONT");
    let cleared = first.wait().expect(&[1, 4]);
    assert!(cleared.err.contains("the same command makes it"), "{}", cleared.err);
    fleet.site.run(&["migrate", "--batch", "de"]).expect(&[2]);
    let made = company.make(&fleet, "de", "DE", &[]);
    assert_eq!(made["users"], company.before.of_region("DE").len());
}
