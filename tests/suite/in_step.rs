//! In step with the MFA Server: a later datafile of the same site moves whom it says other things of, and nobody else.
//!
//! Who was written is told by the tenant's journal, never by the product alone.

use harness::{Fleet, Service, Site, Tenant, until};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long something may take that is about to happen.
const SOON: Duration = Duration::from_secs(90);
const MOBILE: &str = "3179e48a-750b-4051-897c-87b9720928f7";
/// What a service says when a datafile was sent, and what it logs when there is nothing new.
const SENT: &str = "is with the broker";
const NOTHING_NEW: &str = "the datafile is what was sent last";

/// Users by number, with the last two digits of their numbers; up to 30 they are in Germany, beyond that elsewhere.
type Users = BTreeMap<u32, u32>;

fn upn(user: u32) -> String {
    format!("u{user:02}@contoso.example")
}

fn number(digits: u32) -> String {
    format!("+1 20655501{digits:02}")
}

fn everybody() -> Users {
    (1..=40).map(|user| (user, user)).collect()
}

/// Three people of the batch, one outside, one who is new and one who has left.
fn later() -> Users {
    let mut users = everybody();
    users.extend([(1, 51), (2, 52), (3, 53), (31, 81), (41, 41)]);
    users.remove(&30);
    users
}

fn datafile(users: &Users) -> String {
    let line = |(user, digits): (&u32, &u32)| {
        let settings = json!({
            "enabled": true, "countryCode": "1", "phone": format!("20655501{digits:02}"), "mode": "voiceCall",
        });
        json!({ "username": upn(*user), "settings": settings, "devices": [] }).to_string() + "\n"
    };
    users.iter().map(line).collect()
}

fn tenant() -> Tenant {
    let user = |user: u32| {
        json!({
            "id": format!("00000000-0000-0000-0000-0000000000{user:02}"), "userPrincipalName": upn(user),
            "usageLocation": if user <= 30 { "DE" } else { "NL" }, "userType": "Member", "accountEnabled": true,
            "authentication": {},
        })
    };
    Tenant::with(&json!({ "users": (1..=41).map(user).collect::<Vec<_>>() }), &[])
}

/// The mobile number of a user in the tenant.
fn mobile(tenant: &Tenant, user: u32) -> Value {
    let phones = tenant.user(&upn(user))["authentication"]["phoneMethods"].clone();
    let of_it = phones.as_array().into_iter().flatten().find(|phone| phone["phoneType"] == "mobile");
    of_it.map_or(Value::Null, |phone| phone["phoneNumber"].clone())
}

/// Somebody changes a number in the cloud.
fn change_in_the_cloud(tenant: &Tenant, user: u32, digits: u32) {
    let id = tenant.user(&upn(user))["id"].as_str().unwrap().to_owned();
    let path = format!("/v1.0/users/{id}/authentication/phoneMethods/{MOBILE}");
    let body = json!({ "phoneType": "mobile", "phoneNumber": number(digits) });
    assert!((200..300).contains(&tenant.call("PATCH", &path, &body)));
}

/// What was written since, as (user, method, to).
fn effects(tenant: &Tenant, since: usize) -> Vec<(Value, Value, Value)> {
    let journal = tenant.journal().into_iter().skip(since).filter(|effect| effect["noop"] != true);
    let mut effects: Vec<_> =
        journal.map(|e| (e["user"].clone(), e["method"].clone(), e["to"].clone())).collect();
    effects.sort_by_key(|effect| format!("{effect:?}"));
    effects
}

fn written(tenant: &Tenant, user: u32, digits: u32) -> (Value, Value, Value) {
    (tenant.user(&upn(user))["id"].clone(), json!("mobile"), json!(number(digits)))
}

fn show(site: &Site, batch: &str) -> Value {
    site.run(&["batch", "show", batch, "--json"]).expect(&[0]).json()
}

/// Puts a datafile in the place of the one before, whole at once.
fn replace(path: &Path, users: &Users) {
    let unfinished = path.with_extension("new");
    std::fs::write(&unfinished, datafile(users)).unwrap();
    std::fs::rename(unfinished, path).unwrap();
}

/// A site whose datafile lies in the folder of its services.
struct Company {
    tenant: Tenant,
    fleet: Fleet,
    path: PathBuf,
}

impl Company {
    fn new() -> Self {
        let tenant = tenant();
        let mut fleet = Fleet::new(&tenant);
        fleet.site.env("MFA_MIGRATE_LOG", "mfa_migrate::verbs::serve=debug");
        let path = fleet.site.path("users.ndjson");
        Self { tenant, fleet, path }
    }

    fn watch(&self, every: &str) -> Service {
        let path = self.path.to_str().unwrap();
        self.fleet.serve("extractor", &["--watch", path, "--every", every])
    }

    /// Sends a datafile once, and waits for the end of that.
    fn send(&self, users: &Users) {
        replace(&self.path, users);
        let path = self.path.to_str().unwrap();
        assert!(self.fleet.serve("extractor", &["--datafile", path]).end().success());
    }

    /// Makes a batch of a region, as soon as a datafile is on file, and moves it.
    fn moved(&self, batch: &str, region: &str) {
        let site = &self.fleet.site;
        let make = || site.run(&["batch", "create", batch, "--region", region, "--json"]).code == Some(0);
        assert!(until(SOON, make), "{}", self.fleet.said());
        self.fleet.end_of(site.start(&["migrate", "--batch", batch, "--json"]));
    }

    fn keep_in_step(&self, batch: &str) {
        self.fleet.site.run(&["batch", "set", batch, "keep-in-step=on"]).expect(&[0]);
    }

    /// The end of the batch's next run, which is opened by itself.
    fn next_run(&self, batch: &str, after: &Value) -> Value {
        let last = || show(&self.fleet.site, batch)["last"].clone();
        let is_done = || {
            let last = last();
            last["run"].as_i64() > after.as_i64() && last["state"] == "done"
        };
        assert!(until(SOON, is_done), "{}\n{}", show(&self.fleet.site, batch), self.fleet.said());
        last()
    }
}

#[test]
fn a_watched_datafile_moves_whom_it_says_other_things_of_and_nobody_whom_the_cloud_knows_better() {
    let company = Company::new();
    let (tenant, site) = (&company.tenant, &company.fleet.site);
    replace(&company.path, &everybody());
    let _services = (company.fleet.coordinator(), company.fleet.workers(2));
    let extractor = company.watch("1s");
    company.moved("de", "DE");
    company.keep_in_step("de");
    let first = show(site, "de")["last"]["run"].clone();
    change_in_the_cloud(tenant, 3, 99);
    let since = tenant.journal().len();
    replace(&company.path, &later());
    let last = company.next_run("de", &first);
    let expected = vec![written(tenant, 1, 51), written(tenant, 2, 52)];
    assert_eq!(effects(tenant, since), expected, "{last}");
    assert_eq!(mobile(tenant, 3), number(99), "somebody's change stands");
    let of = |state: &str| last["entries"][state].as_u64().unwrap();
    assert_eq!((of("applied"), of("parked"), of("unchanged")), (2, 1, 26), "{last}");
    let who = site.run(&["show", &upn(3), "--json"]).expect(&[0, 3]).out;
    assert!(who.contains("cloud-changed"), "{who}");
    let shown = show(site, "de");
    let opened = shown["events"].as_array().unwrap().iter().find(|e| e["run"] == last["run"]).unwrap();
    assert_eq!((&opened["what"], &opened["by"]), (&json!("opened"), &json!("coordinator")));
    let why = opened["why"].as_str().unwrap();
    for part in ["of 3 users", "1 users are not in it", "11 users in it are in no batch"] {
        assert!(why.contains(part), "{part}: {why}");
    }
    let is_alive = || {
        let status = site.run(&["status", "--json"]).expect(&[0, 3]).json();
        status["services"].as_array().unwrap().iter().any(|s| s["kind"] == "extractor")
    };
    assert!(until(SOON, is_alive), "{}", company.fleet.status_text());
    // The same bytes again, in a file of another time: they are looked at, and that is all.
    let looks = extractor.said().matches(NOTHING_NEW).count();
    replace(&company.path, &later());
    assert!(until(SOON, || extractor.said().matches(NOTHING_NEW).count() >= looks + 2));
    assert_eq!(extractor.said().matches(SENT).count(), 2, "{}", extractor.said());
    assert_eq!(show(site, "de")["last"]["run"], last["run"]);
    assert!(extractor.stop().success());
}

#[test]
fn a_datafile_is_sent_when_it_lies_still_and_not_again_by_the_next_process() {
    let company = Company::new();
    let text = datafile(&everybody());
    let (half, rest) = text.split_at(text.len() / 2);
    let extractor = company.watch("6s");
    assert!(until(SOON, || extractor.said().contains("cannot read")), "it is not there yet");
    std::fs::write(&company.path, half).unwrap();
    assert!(until(SOON, || extractor.said().contains("lies still")), "{}", extractor.said());
    let mut file = std::fs::File::options().append(true).open(&company.path).unwrap();
    std::io::Write::write_all(&mut file, rest.as_bytes()).unwrap();
    assert!(until(SOON, || extractor.said().contains(SENT)), "{}", extractor.said());
    assert!(extractor.said().contains("40 users read = 40 accepted"), "{}", extractor.said());
    let kept = company.path.with_extension("ndjson.sent");
    assert!(until(SOON, || kept.exists()));
    extractor.kill();
    let next = company.watch("1s");
    assert!(until(SOON, || next.said().contains(NOTHING_NEW)), "{}", next.said());
    assert!(next.said().contains("was sent last"), "{}", next.said());
    replace(&company.path, &later());
    assert!(until(SOON, || next.said().contains("40 users read")), "{}", next.said());
    assert_eq!(next.said().matches(SENT).count(), 1, "{}", next.said());
    assert!(next.stop().success());
}

#[test]
fn what_was_taken_back_is_not_moved_again_by_itself() {
    let company = Company::new();
    let (tenant, site) = (&company.tenant, &company.fleet.site);
    let _services = (company.fleet.coordinator(), company.fleet.workers(2));
    company.send(&everybody());
    for (batch, region) in [("de", "DE"), ("nl", "NL")] {
        company.moved(batch, region);
        company.keep_in_step(batch);
    }
    company.fleet.end_of(site.start(&["rollback", "--batch", "de", "--json"]));
    let is_let_go = || {
        let events = show(site, "de")["events"].clone();
        let of_it =
            |e: &Value| e["by"] == "coordinator" && e["why"].as_str().unwrap().contains("keep-in-step=off");
        events.as_array().unwrap().iter().any(of_it)
    };
    assert!(until(SOON, is_let_go), "{}", show(site, "de"));
    let refused = site.run(&["batch", "set", "de", "keep-in-step=on"]).expect(&[2]);
    assert!(refused.err.contains("taken back"), "{}", refused.err);
    let back = show(site, "de")["last"].clone();
    let since = tenant.journal().len();
    let before = show(site, "nl")["last"]["run"].clone();
    company.send(&later());
    let moved = company.next_run("nl", &before);
    assert_eq!(moved["entries"]["applied"], 1, "the batch that was not taken back goes on: {moved}");
    assert_eq!(show(site, "de")["last"], back, "and the other one stays where it is");
    assert_eq!(effects(tenant, since), [written(tenant, 31, 81)]);
    // What the MFA Server takes back is moved too: an older datafile that comes again is the newest.
    company.send(&everybody());
    company.next_run("nl", &moved["run"]);
    assert_eq!(mobile(tenant, 31), number(31));
}

#[test]
fn on_one_machine_the_same_verb_moves_what_a_later_datafile_changes_with_no_request_beyond() {
    let tenant = tenant();
    let site = Site::new(&tenant);
    let path = site.path("users.ndjson");
    replace(&path, &everybody());
    let path = path.to_str().unwrap();
    site.run(&["batch", "create", "de", "--region", "DE", "--canary", "25,100%", "--datafile", path])
        .expect(&[0]);
    site.run(&["migrate", "--batch", "de"]).expect(&[0]);
    let said = site.run(&["batch", "set", "de", "keep-in-step=on"]).expect(&[0]).out;
    assert!(said.contains("migrate --batch de --datafile"), "{said}");
    change_in_the_cloud(&tenant, 3, 99);
    replace(Path::new(path), &later());
    let since = tenant.journal().len();
    let requests = || tenant.stats()["requests"].as_u64().unwrap();
    let before = requests();
    let end = site.run(&["migrate", "--batch", "de", "--datafile", path, "--json"]).expect(&[3]).json();
    let (applied, parked) = (&end["entries"]["applied"], &end["entries"]["parked"]);
    assert_eq!((applied, parked, &end["entries"]["unchanged"]), (&json!(2), &json!(1), &json!(26)), "{end}");
    assert_eq!(effects(&tenant, since), [written(&tenant, 1, 51), written(&tenant, 2, 52)]);
    assert_eq!(show(&site, "de")["last"]["steps"], json!([]), "the steps were for the first time");
    // The methods policy, the inventory and the users, a page each; two looks at each who changed, and again at the one
    // whose number may just not show yet; two writes.
    let (least, asked) = (3 + 3 * 2 + 2, requests() - before);
    assert!(asked >= least && (asked - least) % 2 == 0, "{asked}");
    let again = requests();
    site.run(&["migrate", "--batch", "de", "--datafile", path, "--json"]).expect(&[3]);
    assert_eq!(requests() - again, 3 + 2, "the pages, and the one that waits for a person");
    let forced = site.run(&["migrate", "--batch", "de", "--datafile", path, "--include-unchanged", "--json"]);
    assert_eq!(forced.expect(&[3]).json()["entries"]["unchanged"], 28, "everybody is looked at");
    assert!(requests() - again > 29 * 2);
    // Another policy is asked of everybody, and this one lets our side win.
    let since = tenant.journal().len();
    site.configure(
        "[graph]\nrequest_timeout_s = 5\nvisibility_deadline_s = 4\nclock_skew_s = 1\n[policy]\non_drift = \"overwrite\"\n",
    );
    site.run(&["migrate", "--batch", "de", "--datafile", path, "--json"]).expect(&[0]);
    assert_eq!(effects(&tenant, since), [written(&tenant, 3, 53)]);
}

#[test]
fn newer_datafiles_wait_for_a_person_where_too_many_failed() {
    let company = Company::new();
    let (tenant, site) = (&company.tenant, &company.fleet.site);
    let _services = (company.fleet.coordinator(), company.fleet.workers(2));
    company.send(&everybody());
    for (batch, region) in [("de", "DE"), ("nl", "NL")] {
        company.moved(batch, region);
        company.keep_in_step(batch);
    }
    for user in 1..=5 {
        change_in_the_cloud(tenant, user, 90 + user);
    }
    let (first, first_nl) =
        (show(site, "de")["last"]["run"].clone(), show(site, "nl")["last"]["run"].clone());
    let mut users = everybody();
    users.extend((1..=25).map(|user| (user, user + 50)));
    company.send(&users);
    let word = || show(site, "de")["events"][0].clone();
    assert!(until(SOON, || word()["what"] == "judged"), "{}\n{}", show(site, "de"), company.fleet.said());
    assert!(word()["why"].as_str().unwrap().contains("5 of"), "{}", word());
    assert_eq!(show(site, "nl")["last"]["run"], first_nl, "nothing of the others has changed");
    if show(site, "de")["last"]["state"] != "done" {
        // It was judged before its end; else it was over too soon for that, and the next one is held.
        site.run(&["batch", "resume", "de"]).expect(&[0]);
        company.next_run("de", &first);
        return;
    }
    let held = show(site, "de")["last"]["run"].clone();
    users.extend([(6, 66), (31, 81)]);
    company.send(&users);
    company.next_run("nl", &first_nl);
    assert_eq!(show(site, "de")["last"]["run"], held);
    company.fleet.end_of(site.start(&["migrate", "--batch", "de", "--json"]));
    assert_eq!(mobile(tenant, 6), number(66));
    users.insert(7, 67);
    let by_hand = show(site, "de")["last"]["run"].clone();
    company.send(&users);
    company.next_run("de", &by_hand);
    assert_eq!(mobile(tenant, 7), number(67), "and from then on by itself");
}
