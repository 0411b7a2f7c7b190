//! Forged journals, one for each rule: the judge finds what is wrong in each, and nothing in what is right.

use super::*;
use crate::history::office::Left;
use crate::history::rig::Standing;
use contract::{Change, Done, EntryResult, EntryState, FingerprintKey, IntentOutcome, Target};
use serde_json::json;

const A: &str = "a";
const SERIAL: &str = "9000001";

/// A tenant of one user with a mobile and an office phone, a default, and a spare token.
fn tenant() -> Value {
    json!({
        "users": [{ "id": A, "authentication": {
            "phoneMethods": [{ "phoneType": "mobile", "phoneNumber": "+1 1" }, { "phoneType": "office", "phoneNumber": "+1 5" }],
            "signInPreferences": { "userPreferredMethodForSecondaryAuthentication": "sms" },
        } }],
        "hardwareOathDevices": [{ "serialNumber": "spare", "status": "available" }],
    })
}

fn judge() -> Judge {
    Judge::new(&tenant(), BTreeSet::from([A.to_owned()]), true)
}

/// A line of the journal: whose it is, of which method, from what to what.
fn line(who: &str, method: &str, from: Option<&str>, to: Option<&str>) -> Value {
    static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let request = NEXT.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    json!({ "user": A, "method": method, "from": from, "to": to, "requestId": request.to_string(), "clientRequestId": who })
}

fn token(who: &str, serial: &str, user: Option<&str>, from: Option<&str>, to: Option<&str>) -> Value {
    let mut line = line(who, "hardwareOath", from, to);
    line["serial"] = json!(serial);
    line["user"] = json!(user);
    line
}

const US: &str = "us";

/// Hears lines one after the other; each comes with the way that the product goes.
fn heard(judge: &mut Judge, lines: &[(Way, Value)]) -> Vec<String> {
    let mut journal: Vec<Value> = Vec::new();
    let mut found = Vec::new();
    for (way, line) in lines {
        journal.push(line.clone());
        found.extend(judge.hear(&journal, *way));
    }
    found
}

#[track_caller]
fn finds(lines: &[(Way, Value)], what: &str) {
    let found = heard(&mut judge(), lines);
    assert!(found.len() == 1 && found[0].contains(what), "{found:?}");
}

#[track_caller]
fn finds_nothing(lines: &[(Way, Value)]) {
    let found = heard(&mut judge(), lines);
    assert!(found.is_empty(), "{found:?}");
}

fn fate(state: EntryState) -> Fate {
    Fate::from([(A.to_owned(), state)])
}

#[test]
fn somebodys_change_is_not_written_over() {
    let ours = || (Way::Forward, line(US, "mobile", Some("+1 1"), Some("+1 2")));
    let theirs = |to| (Way::Still, line(SOMEBODY, "mobile", Some("+1 2"), Some(to)));
    finds(
        &[ours(), theirs("+1 3"), (Way::Forward, line(US, "mobile", Some("+1 3"), Some("+1 2")))],
        "overwrote somebody's change",
    );
    finds(
        &[ours(), theirs("+1 3"), (Way::Either, line(US, "mobile", Some("+1 3"), Some("+1 2")))],
        "overwrote somebody's change",
    );
    // The value before may be written over, and so may what somebody set before our first write.
    finds_nothing(&[ours(), theirs("+1 1"), (Way::Forward, line(US, "mobile", Some("+1 1"), Some("+1 4")))]);
    finds_nothing(&[
        (Way::Still, line(SOMEBODY, "mobile", Some("+1 1"), Some("+1 3"))),
        (Way::Forward, line(US, "mobile", Some("+1 3"), Some("+1 2"))),
    ]);
}

#[test]
fn where_the_policy_overwrites_it_may_be() {
    let mut judge = Judge::new(&tenant(), BTreeSet::from([A.to_owned()]), false);
    let lines = [
        (Way::Forward, line(US, "mobile", Some("+1 1"), Some("+1 2"))),
        (Way::Still, line(SOMEBODY, "mobile", Some("+1 2"), Some("+1 3"))),
        (Way::Forward, line(US, "mobile", Some("+1 3"), Some("+1 2"))),
    ];
    assert!(heard(&mut judge, &lines).is_empty());
}

#[test]
fn what_is_not_ours_is_not_taken_back() {
    finds(
        &[
            (Way::Forward, line(US, "mobile", Some("+1 1"), Some("+1 2"))),
            (Way::Still, line(SOMEBODY, "mobile", Some("+1 2"), Some("+1 3"))),
            (Way::Back, line(US, "mobile", Some("+1 3"), Some("+1 1"))),
        ],
        "took back what is not ours",
    );
    // What equals ours is ours.
    finds_nothing(&[
        (Way::Forward, line(US, "office", Some("+1 5"), Some("+1 2"))),
        (Way::Still, line(SOMEBODY, "office", Some("+1 2"), None)),
        (Way::Still, line(SOMEBODY, "office", None, Some("+1 2"))),
        (Way::Back, line(US, "office", Some("+1 2"), Some("+1 5"))),
    ]);
}

#[test]
fn a_token_is_not_created_twice() {
    let create = || (Way::Forward, token(US, SERIAL, Some(A), None, Some("assigned")));
    finds(&[create(), create()], "created a token that is there");
}

#[test]
fn a_device_that_is_not_ours_is_not_deleted() {
    finds(
        &[(Way::Back, token(US, "spare", None, Some("available"), None))],
        "deleted a device that is not ours",
    );
    finds_nothing(&[
        (Way::Forward, token(US, SERIAL, Some(A), None, Some("assigned"))),
        (Way::Back, token(US, SERIAL, Some(A), Some("assigned"), Some("available"))),
        (Way::Back, token(US, SERIAL, None, Some("available"), None)),
    ]);
    finds(
        &[
            (Way::Still, token(SOMEBODY, SERIAL, Some(A), None, Some("assigned"))),
            (Way::Forward, token(US, SERIAL, Some(A), Some("assigned"), Some("activated"))),
            (Way::Back, token(US, SERIAL, Some(A), Some("activated"), Some("assigned"))),
            (Way::Back, token(US, SERIAL, None, Some("assigned"), None)),
        ],
        "deleted a device that is not ours",
    );
}

#[test]
fn who_must_not_be_touched_is_not() {
    let mut other = line(US, "mobile", None, Some("+1 2"));
    other["user"] = json!("b");
    finds(&[(Way::Forward, other)], "changed one who must not be touched");
}

#[test]
fn nothing_is_written_while_nothing_may_write() {
    finds(&[(Way::Still, line(US, "mobile", Some("+1 1"), Some("+1 2")))], "a write while nothing may write");
}

#[test]
fn a_journal_that_does_not_hang_together_is_told() {
    finds(&[(Way::Forward, line(US, "mobile", Some("+1 9"), Some("+1 2")))], "lost the thread");
}

#[test]
fn what_was_there_must_come_back() {
    let forth = [
        (Way::Forward, line(US, "mobile", Some("+1 1"), Some("+1 2"))),
        (Way::Forward, line(US, "default", Some("sms"), Some("voiceMobile"))),
    ];
    let mut untouched = judge();
    heard(&mut untouched, &forth);
    let found = untouched.after_the_way_back(&fate(EntryState::Reverted), true);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found.iter().any(|f| f.contains("not taken back")), "{found:?}");
    assert!(found.iter().any(|f| f.contains("a default was not brought back")), "{found:?}");

    let mut taken_back = judge();
    let back = [
        (Way::Back, line(US, "default", Some("voiceMobile"), Some("sms"))),
        (Way::Back, line(US, "mobile", Some("+1 2"), Some("+1 1"))),
    ];
    assert!(heard(&mut taken_back, &[&forth[..], &back].concat()).is_empty());
    assert!(taken_back.after_the_way_back(&fate(EntryState::Reverted), true).is_empty());
}

#[test]
fn a_default_that_graph_cannot_unset_may_stay() {
    let state = json!({ "users": [{ "id": A, "authentication": {
        "phoneMethods": [{ "phoneType": "mobile", "phoneNumber": "+1 1" }] } }] });
    let mut judge = Judge::new(&state, BTreeSet::from([A.to_owned()]), true);
    assert!(heard(&mut judge, &[(Way::Forward, line(US, "default", None, Some("sms")))]).is_empty());
    assert!(judge.after_the_way_back(&fate(EntryState::Reverted), true).is_empty());
}

#[test]
fn a_conflict_is_told_as_one() {
    let lines = [
        (Way::Forward, line(US, "mobile", Some("+1 1"), Some("+1 2"))),
        (Way::Still, line(SOMEBODY, "mobile", Some("+1 2"), Some("+1 3"))),
    ];
    let mut judge = judge();
    heard(&mut judge, &lines);
    let found = judge.after_the_way_back(&fate(EntryState::Reverted), true);
    assert!(found.len() == 1 && found[0].contains("somebody's change is no conflict"), "{found:?}");
    assert!(judge.after_the_way_back(&fate(EntryState::Conflict), true).is_empty());
}

fn applied(to: &str) -> Left {
    let change = Change { method: Target::Mobile, serial: None, from: None, to: Some(to.to_owned()) };
    let done = Done { change, outcome: Some(IntentOutcome::Applied), graph_code: None };
    let result = EntryResult {
        v: EntryResult::VERSION,
        changes: vec![done],
        notes: Vec::new(),
        conflicts: Vec::new(),
        created_tokens: 0,
    };
    Left { user: A.to_owned(), state: EntryState::Applied, codes: String::new(), result: Some(result) }
}

#[test]
fn what_is_told_as_applied_is_there() {
    let mut judge = judge();
    let found = judge.after_the_way_forward(&[applied("+1 2")]);
    assert!(found.len() == 1 && found[0].contains("applied, and not there"), "{found:?}");
    heard(&mut judge, &[(Way::Forward, line(US, "mobile", Some("+1 1"), Some("+1 2")))]);
    assert!(judge.after_the_way_forward(&[applied("+1 2")]).is_empty());
}

#[test]
fn a_value_before_is_on_file_and_is_the_one_before() {
    let keys = FingerprintKey::new(&[7; 32]);
    let on_file = |value: Option<&str>| {
        Standing::from([((A.to_owned(), "mobile".to_owned()), value.map(str::to_owned))])
    };
    let mut judge = judge();
    heard(&mut judge, &[(Way::Forward, line(US, "mobile", Some("+1 1"), Some("+1 2")))]);
    let mut check = |standing: Standing| judge.check_pre_images(&standing, &keys, Way::Forward);
    assert!(check(on_file(Some("+1 1"))).is_empty());
    assert!(check(Standing::new())[0].contains("nothing is on file of what was before"));
    assert!(check(on_file(Some("+1 2")))[0].contains("the value before is not on file"));
    assert!(check(on_file(None))[0].contains("the value before is not on file"));
}

#[test]
fn no_value_of_ours_is_on_file_as_the_one_before() {
    let keys = FingerprintKey::new(&[7; 32]);
    let standing = Standing::from([((A.to_owned(), "mobile".to_owned()), Some("+1 2".to_owned()))]);
    let mut judge = judge();
    let lines = [
        (Way::Forward, line(US, "mobile", Some("+1 1"), Some("+1 2"))),
        (Way::Back, line(US, "mobile", Some("+1 2"), Some("+1 1"))),
    ];
    assert!(heard(&mut judge, &lines).is_empty());
    let found = judge.check_pre_images(&standing, &keys, Way::Forward);
    assert!(found.len() == 1 && found[0].contains("a value of ours is on file"), "{found:?}");
}

#[test]
fn the_state_must_be_what_the_journal_makes_of_it() {
    let mut judge = judge();
    assert!(judge.compare(&tenant()).is_empty());
    heard(&mut judge, &[(Way::Forward, line(US, "mobile", Some("+1 1"), Some("+1 2")))]);
    assert_eq!(judge.compare(&tenant()).len(), 1);
}

#[test]
fn a_default_in_the_wake_of_another_change_is_graphs() {
    let mut judge = judge();
    let mut first = line(US, "mobile", Some("+1 1"), Some("+1 2"));
    let mut second = line(US, "default", Some("sms"), Some("voiceMobile"));
    first["requestId"] = json!("one");
    second["requestId"] = json!("one");
    assert!(judge.hear(&[first, second], Way::Forward).is_empty());
    assert_eq!(judge.ours, 1);
}
