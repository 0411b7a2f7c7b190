//! The coordinator dies in the middle of every verb of a batch's life, and another one brings the verb to its end.
//!
//! The middle is proved, not hoped for: the workers are stopped at the signal, the coordinator is killed, and the ledger
//! must show users that are not settled. The end is judged by the tenant, its journal, and counts that add up.

use harness::{Company, Expected, Fleet, Outcome, Past, Service, Tenant, entries_of, journal, until};
use serde_json::Value;
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

/// How long something may take that is about to happen.
const SOON: Duration = Duration::from_secs(90);
/// Users of the batch, a quarter of them of each of four kinds.
const USERS: u32 = 80;
/// Slow enough that a group of users takes a second or more, and what is under way is seen before it is over.
const SLOW: [&str; 2] = ["--latency-ms", "400"];
/// Graph's own id of everybody's alternate mobile.
const ALTERNATE: &str = "b6332ec1-7057-4abe-9331-3d72feddfe41";

/// Everybody of a company in a batch, workers that stay, and coordinators that come and go.
struct Batch {
    expected: Expected,
    tenant: Tenant,
    before: Past,
    fleet: Fleet,
    workers: Vec<Service>,
}

impl Batch {
    fn made() -> Self {
        let expected = Expected::dense(USERS);
        let tenant = expected.tenant(&SLOW);
        let fleet = Fleet::new(&tenant);
        let list = fleet.site.path("everybody.txt");
        let names: Vec<&str> = expected.plans.iter().map(|plan| plan["user"].as_str().unwrap()).collect();
        std::fs::write(&list, names.join("\n")).unwrap();
        let workers = fleet.workers(2);
        let batch = Self { before: Past::of(&tenant), expected, tenant, fleet, workers };
        let list = list.display().to_string();
        let args =
            ["batch", "create", "b", "--users", &list, "--datafile", batch.expected.datafile(), "--json"];
        let made = batch.ended(&args).json();
        assert_eq!(made["users"], USERS, "{made}");
        batch
    }

    /// A verb to its end, with a coordinator that nothing happens to.
    fn ended(&self, args: &[&str]) -> Outcome {
        let _coordinator = self.fleet.coordinator();
        self.fleet.end_of(self.fleet.site.start(args))
    }

    /// A verb whose coordinator is killed in the middle, to its end under another one.
    fn interrupted(&self, args: &[&str], is_under_way: impl FnMut() -> bool) -> Outcome {
        let first = self.fleet.coordinator();
        let verb = self.fleet.site.start(args);
        assert!(until(SOON, is_under_way), "nothing began\n{}", self.fleet.said());
        self.workers.iter().for_each(|worker| worker.signal("STOP"));
        assert!(first.kill(), "it was alive until then");
        let left = self.fleet.counted_in_all(&["waiting", "claimed"]);
        assert!(left > 0, "it had ended already: {}", self.fleet.shown("b"));
        let _second = self.fleet.coordinator();
        self.workers.iter().for_each(|worker| worker.signal("CONT"));
        self.fleet.end_of(verb)
    }

    /// Whether Graph has been asked for more than a directory since a time when it had answered so many reads.
    fn is_read_since(&self, reads: u64) -> bool {
        self.reads() > reads + 30
    }

    fn reads(&self) -> u64 {
        self.tenant.stats()["reads"].as_u64().unwrap()
    }

    fn journalled(&self) -> usize {
        self.tenant.journal().len()
    }

    fn migrate(&self) {
        self.ended(&["migrate", "--batch", "b", "--json"]);
    }
}

#[test]
fn a_batch_is_made_over_the_coordinators_death_at_every_point_of_it() {
    let company = Company::of(300, &[]);
    let fleet = Fleet::new(&company.tenant);
    let making = fleet.site.start(&company.create("de", "DE", &[]));
    for point in [
        "intake.page-filed",
        "intake.before-complete",
        "intake.completed",
        "directory.page-filed",
        "match.before",
        "match.after",
        "run.before-done",
        "run.done",
    ] {
        let dying = fleet.serve_until("coordinator", &[], (point, 1));
        let said = dying.said();
        assert_eq!(dying.end().signal(), Some(6), "{point} was not hit: {said}");
    }
    let _coordinator = fleet.coordinator();
    let made = fleet.end_of(making).json();
    assert_eq!(made["users"], company.before.of_region("DE").len(), "{made}");
    let shown = fleet.shown("de");
    assert_eq!((&shown["frozen"], &shown["users"]), (&true.into(), &made["users"]), "{shown}");
    let created = shown["events"].as_array().unwrap().iter().filter(|event| event["what"] == "created");
    assert_eq!(created.count(), 1, "{shown}");
    assert!(company.tenant.journal().is_empty(), "nothing is written for it");
}

#[test]
fn a_batch_that_died_with_its_operator_is_made_by_the_same_command() {
    let company = Company::of(300, &[]);
    let fleet = Fleet::new(&company.tenant);
    let making = fleet.site.start(&company.create("de", "DE", &[]));
    let dying = fleet.serve_until("coordinator", &[], ("directory.page-filed", 1));
    assert_eq!(dying.end().signal(), Some(6));
    drop(making.kill());
    let _coordinator = fleet.coordinator();
    let refused = fleet.site.run(&["migrate", "--batch", "de"]).expect(&[2]);
    assert!(refused.err.contains("was not made to its end"), "{}", refused.err);
    let made = company.make(&fleet, "de", "DE", &[]);
    assert_eq!(made["users"], company.before.of_region("DE").len(), "{made}");
}

#[test]
fn a_rehearsal_and_a_migration_go_on_after_their_coordinators_death() {
    let batch = Batch::made();
    let reads = batch.reads();
    let rehearsed = batch.interrupted(&["rehearse", "--batch", "b", "--json"], || batch.is_read_since(reads));
    assert_eq!(rehearsed.json_lines(), batch.expected.plans, "the same plans as if nobody had died");
    assert_eq!(batch.journalled(), 0, "a rehearsal writes nothing");
    let end = batch.interrupted(&["migrate", "--batch", "b", "--json"], || batch.journalled() > 0).json();
    batch.fleet.must_be_clean(&batch.expected, &batch.tenant, &end);
}

#[test]
fn a_verification_and_its_repair_go_on_after_their_coordinators_death() {
    let batch = Batch::made();
    batch.migrate();
    let (moved, forth, reads) = (Past::of(&batch.tenant), batch.journalled(), batch.reads());
    let end = batch.interrupted(&["verify", "--batch", "b", "--json"], || batch.is_read_since(reads)).json();
    assert_eq!((entries_of(&end), &end["entries"]["confirmed"]), (USERS.into(), &USERS.into()), "{end}");
    assert_eq!(batch.journalled(), forth, "a verification writes nothing");
    // Somebody deletes every alternate number.
    let has_alternate = |user: &&Value| {
        let phones = user["authentication"]["phoneMethods"].as_array().into_iter().flatten();
        phones.filter(|phone| phone["phoneType"] == "alternateMobile").count() == 1
    };
    let robbed: Vec<&Value> = moved.users().values().filter(has_alternate).collect();
    assert_eq!(robbed.len(), USERS as usize / 4);
    for user in &robbed {
        let path =
            format!("/v1.0/users/{}/authentication/phoneMethods/{ALTERNATE}", user["id"].as_str().unwrap());
        assert!((200..300).contains(&batch.tenant.call("DELETE", &path, &Value::Null)));
    }
    let forth = batch.journalled();
    let repair = ["verify", "--repair", "--batch", "b", "--json"];
    // It is soon over: the workers stand from its first sign on, and its orders are out.
    let is_repairing = || {
        let has_begun = batch.fleet.shown("b")["events"][0]["what"] == "repair";
        if has_begun {
            batch.workers.iter().for_each(|worker| worker.signal("STOP"));
        }
        has_begun && batch.fleet.counted_in_all(&["waiting", "claimed"]) > 0
    };
    let end = batch.interrupted(&repair, is_repairing).json();
    assert_eq!(end["entries"]["missing"], robbed.len(), "{end}");
    assert_eq!(moved.differences(&batch.tenant), [""; 0], "what was missing is there again");
    let written = batch.tenant.journal().split_off(forth);
    assert_eq!(written.len(), robbed.len(), "and nothing else was written: {written:#?}");
    assert_eq!(journal::repeated(&written), [""; 0]);
}

#[test]
fn a_way_back_goes_on_after_its_coordinators_death() {
    let batch = Batch::made();
    batch.migrate();
    let forth = batch.journalled();
    let end =
        batch.interrupted(&["rollback", "--batch", "b", "--json"], || batch.journalled() > forth).json();
    assert_eq!((entries_of(&end), &end["entries"]["reverted"]), (USERS.into(), &USERS.into()), "{end}");
    assert_eq!(batch.before.differences(&batch.tenant), [""; 0], "everybody is what they were");
    assert_eq!(journal::repeated(&batch.tenant.journal().split_off(forth)), [""; 0]);
}

#[test]
fn a_verification_and_a_way_back_begin_over_deaths_before_any_order_is_out() {
    let batch = Batch::made();
    batch.migrate();
    let forth = batch.journalled();
    for (verb, settled) in [("verify", "confirmed"), ("rollback", "reverted")] {
        let following = batch.fleet.site.start(&[verb, "--batch", "b", "--json"]);
        for point in ["touched.before", "touched.after"] {
            let dying = batch.fleet.serve_until("coordinator", &[], (point, 1));
            assert_eq!(dying.end().signal(), Some(6), "{verb} did not meet {point}");
        }
        let _coordinator = batch.fleet.coordinator();
        let end = batch.fleet.end_of(following).json();
        assert_eq!((entries_of(&end), &end["entries"][settled]), (USERS.into(), &USERS.into()), "{end}");
    }
    assert_eq!(batch.before.differences(&batch.tenant), [""; 0], "everybody is what they were");
    assert_eq!(journal::repeated(&batch.tenant.journal().split_off(forth)), [""; 0]);
}
