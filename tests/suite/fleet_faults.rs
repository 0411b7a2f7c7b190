//! What happens to a fleet from outside: the broker or the database away, connections cut, a process stopped in its tracks.
//!
//! Every test ends with the checker: nothing lost, nothing twice, nothing overwritten, nobody stuck.

use harness::services::{Postgres, Rabbit, postgres, rabbit};
use harness::{Expected, Fleet, Proxy, Tenant, until};
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(90);
const SLOW: [&str; 2] = ["--throttle", "writes=20/3"];

/// Until so many more effects are in the tenant's journal than now.
#[track_caller]
fn more_effects(tenant: &Tenant, fleet: &Fleet, more: usize) {
    let seen = tenant.journal().len();
    assert!(until(SOON, || tenant.journal().len() >= seen + more), "nothing moves\n{}", fleet.said());
}

#[test]
fn a_broker_dies_and_comes_back() {
    let expected = Expected::dense(200);
    let tenant = expected.tenant(&SLOW);
    let broker = Rabbit::start();
    let fleet = Fleet::on(&tenant, &broker.new_vhost(), &postgres().new_database());
    let _services = (fleet.coordinator(), fleet.workers(2));
    let following = fleet.start_migrate(&expected);
    more_effects(&tenant, &fleet, 10);
    broker.kill_dash_nine();
    broker.start_again();
    more_effects(&tenant, &fleet, 20);
    broker.stop();
    broker.start_again();
    let end = fleet.end_of(following).json();
    fleet.must_be_clean(&expected, &tenant, &end);
}

#[test]
fn a_blocked_publisher_is_shown_and_goes_on() {
    let expected = Expected::dense(60);
    let tenant = expected.tenant(&[]);
    let broker = Rabbit::start();
    let fleet = Fleet::on(&tenant, &broker.new_vhost(), &postgres().new_database());
    let _services = (fleet.coordinator(), fleet.workers(2));
    // On file before, so that it is the coordinator who has something to publish.
    fleet.site.run(&["rehearse", "--datafile", expected.datafile(), "--json"]).expect(&[0, 3]);
    broker.set_memory_alarm(true);
    let following = fleet.start_migrate(&expected);
    let extractor = fleet.serve("extractor", &["--datafile", expected.datafile()]);
    assert!(
        until(SOON, || fleet.status_text().contains("blocked")),
        "{}\n{}",
        fleet.status_text(),
        fleet.said()
    );
    assert!(until(SOON, || extractor.said().contains("blocked")), "{}", fleet.said());
    broker.set_memory_alarm(false);
    assert_eq!(extractor.end().code(), Some(0));
    let end = fleet.end_of(following).json();
    fleet.must_be_clean(&expected, &tenant, &end);
}

#[test]
fn a_database_dies_and_comes_back() {
    let expected = Expected::dense(200);
    let tenant = expected.tenant(&SLOW);
    let database = Postgres::start();
    let fleet = Fleet::on(&tenant, &rabbit().new_vhost(), &database.new_database());
    let _services = (fleet.coordinator(), fleet.workers(2));
    let following = fleet.start_migrate(&expected);
    more_effects(&tenant, &fleet, 10);
    database.kill_dash_nine();
    database.start_again();
    more_effects(&tenant, &fleet, 20);
    database.stop_fast();
    database.start_again();
    let end = fleet.end_of(following).json();
    fleet.must_be_clean(&expected, &tenant, &end);
}

/// Both ends of a fleet's connections in our hands.
fn behind_proxies(tenant: &Tenant) -> (Fleet, Proxy, Proxy) {
    let (broker, database) = (Proxy::to(rabbit().port), Proxy::to(postgres().port));
    let broker_url = broker.instead_of(rabbit().port, &rabbit().new_vhost());
    let ledger_url = database.instead_of(postgres().port, &postgres().new_database());
    (Fleet::on(tenant, &broker_url, &ledger_url), broker, database)
}

/// Nobody reaches it for a minute; the fleet goes on by itself after that.
fn away_for_a_minute(which: impl Fn(&Proxy, &Proxy, bool)) {
    let expected = Expected::dense(120);
    let tenant = expected.tenant(&SLOW);
    let (fleet, broker, database) = behind_proxies(&tenant);
    let (mut coordinator, mut workers) = (fleet.coordinator(), fleet.workers(2));
    let following = fleet.start_migrate(&expected);
    more_effects(&tenant, &fleet, 10);
    which(&broker, &database, true);
    let since = Instant::now();
    until(Duration::from_secs(120), || since.elapsed() > Duration::from_secs(60));
    assert!(!coordinator.has_ended() && workers.iter_mut().all(|w| !w.has_ended()), "{}", fleet.said());
    which(&broker, &database, false);
    let end = fleet.end_of(following).json();
    fleet.must_be_clean(&expected, &tenant, &end);
}

#[test]
fn the_broker_is_away_for_a_minute() {
    away_for_a_minute(|broker, _, away| broker.refuse(away));
}

#[test]
fn the_database_is_away_for_a_minute() {
    away_for_a_minute(|_, database, away| database.refuse(away));
}

#[test]
fn the_broker_says_nothing_for_a_while() {
    // More than two workers have in hand: what they got before the silence must not be all there is.
    let expected = Expected::dense(200);
    let tenant = expected.tenant(&SLOW);
    let (fleet, broker, database) = behind_proxies(&tenant);
    let _services = (fleet.coordinator(), fleet.workers(2));
    let following = fleet.start_migrate(&expected);
    for proxy in [&broker, &database] {
        more_effects(&tenant, &fleet, 10);
        proxy.pause(true);
        let since = Instant::now();
        until(SOON, || since.elapsed() > Duration::from_secs(15));
        proxy.heal();
    }
    let end = fleet.end_of(following).json();
    fleet.must_be_clean(&expected, &tenant, &end);
}

#[test]
fn connections_are_cut_in_the_middle_of_everything() {
    let expected = Expected::dense(200);
    let tenant = expected.tenant(&["--throttle", "writes=20/3", "--faults", harness::FAULTS]);
    let (fleet, broker, database) = behind_proxies(&tenant);
    let _services = (fleet.coordinator(), fleet.workers(2));
    let mut following = fleet.start_migrate(&expected);
    // Of a length that lets some statements and frames through whole and cuts another in two.
    for round in 0..12_usize {
        let (proxy, bytes) = if round % 2 == 0 { (&broker, 900) } else { (&database, 7_000) };
        let cuts = proxy.cuts();
        proxy.cut_after_bytes(bytes + 777 * round);
        assert!(
            until(SOON, || proxy.cuts() > cuts || following.has_ended()),
            "nothing was sent\n{}",
            fleet.said()
        );
    }
    broker.heal();
    database.heal();
    let end = match following.has_ended() {
        // The operator's own connection may be the one that was cut, which is nothing to the services.
        true => fleet.migrate(&expected).json(),
        false => fleet.end_of(following).json(),
    };
    fleet.must_be_clean(&expected, &tenant, &end);
}

#[test]
fn a_snapshot_arrives_over_a_line_that_breaks() {
    let expected = Expected::generated(1100, 23);
    let tenant = expected.tenant(&[]);
    let (fleet, broker, database) = behind_proxies(&tenant);
    let _coordinator = fleet.coordinator();
    let extractor = fleet.serve("extractor", &["--datafile", expected.datafile()]);
    for round in 0..6_usize {
        let proxy = if round % 2 == 0 { &broker } else { &database };
        let cuts = proxy.cuts();
        proxy.cut_after_bytes(100_000 + 33_333 * round);
        until(Duration::from_secs(5), || proxy.cuts() > cuts);
    }
    broker.heal();
    database.heal();
    assert_eq!(extractor.end().code(), Some(0), "it goes on by itself\n{}", fleet.said());
    let _workers = fleet.workers(2);
    let end = fleet.migrate(&expected).json();
    expected.check(&tenant, &fleet.site, &end).must_be_clean();
}

#[test]
fn a_worker_that_sleeps_beyond_its_lease_writes_nothing_after_waking() {
    let expected = Expected::dense(120);
    let tenant = expected.tenant(&["--latency-ms", "150", "--throttle", "writes=30/2"]);
    let fleet = Fleet::new(&tenant);
    let _coordinator = fleet.coordinator();
    let following = fleet.start_migrate(&expected);
    let sleeper = fleet.workers(1).remove(0);
    more_effects(&tenant, &fleet, 15);
    sleeper.signal("STOP");
    let held = fleet.status()["entries"]["claimed"].as_u64();
    assert!(held > Some(0), "it fell asleep with nothing in hand");
    let _other = fleet.workers(1);
    // The others take what it held when its leases are over, and find by reading what it had sent.
    let end = fleet.end_of(following).json();
    let writes = || tenant.stats()["writes"].as_u64().unwrap();
    let (before, effects) = (writes(), tenant.journal().len());
    sleeper.signal("CONT");
    let status = sleeper.stop();
    assert!(matches!(status.code(), Some(0 | 4)), "{status}");
    // At most the one request whose check had passed when it fell asleep: a bundle of twenty, and none of it an effect.
    let sent = writes() - before;
    assert!(sent <= 20, "{sent} writes after waking");
    assert_eq!(tenant.journal().iter().skip(effects).filter(|line| line["noop"] != true).count(), 0);
    fleet.must_be_clean(&expected, &tenant, &end);
}
