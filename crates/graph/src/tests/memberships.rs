//! Writes to the rollout's policy and to groups: one bundle, sent once, in a bucket of their own.

use super::{Far, config, hangs_up};
use crate::{Answer, Bucket, Pace, Writer};
use contract::EntraId;
use serde_json::{Value, json};
use std::time::Duration;
use telemetry::Shutdown;
use tokio::time::Instant;

const DONE: Answer = Answer::Done { device_id: None, method_id: None };

fn later() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

fn ids(n: usize) -> Vec<EntraId> {
    (0..n).map(|n| EntraId(format!("u{n}"))).collect()
}

fn writer(far: &Far) -> Writer {
    Writer::new(far.config(), Pace::new()).expect("a writer")
}

fn refused(status: u16, code: &str) -> Answer {
    Answer::Refused { status, code: code.to_owned() }
}

/// The items of the bundle that came as the request at that position; it must have been a v1.0 bundle.
fn items(far: &Far, at: usize) -> Vec<Value> {
    let seen = &far.seen()[at];
    assert_eq!((seen.method.as_str(), seen.path.as_str()), ("POST", "/v1.0/$batch"));
    assert_eq!((seen.header("prefer"), seen.header("consistencylevel")), ("", ""));
    seen.body["requests"].as_array().expect("a bundle").clone()
}

fn line(item: &Value) -> String {
    format!("{} {}", item["method"].as_str().expect("a method"), item["url"].as_str().expect("a url"))
}

#[tokio::test]
async fn a_policy_is_made_and_its_id_is_told() {
    let far = Far::start().await;
    let error = json!({ "status": 400, "body": { "id": "no", "error": { "code": "Request_BadRequest" } } });
    far.bundle(|_| Some(json!({ "status": 201, "body": { "id": "p1" } })))
        .bundle(|_| Some(json!({ "status": 201 })))
        .bundle(move |_| Some(error.clone()))
        .bundle(|_| None)
        .throttle(Some("30"));
    let writer = writer(&far);
    assert_eq!(writer.create_rollout_policy("MFA", later()).await, (DONE, Some("p1".to_owned())));
    assert_eq!(writer.create_rollout_policy("MFA", later()).await, (DONE, None));
    assert_eq!(
        writer.create_rollout_policy("MFA", later()).await,
        (refused(400, "Request_BadRequest"), None)
    );
    let doubt = Answer::Doubt { status: None };
    assert_eq!(writer.create_rollout_policy("MFA", later()).await, (doubt, None));
    assert_eq!(writer.create_rollout_policy("MFA", later()).await, (Answer::Throttled, None));
    let sent = items(&far, 0);
    assert_eq!((sent.len(), line(&sent[0]).as_str()), (1, "POST /policies/featureRolloutPolicies"));
    assert_eq!(
        sent[0]["body"],
        json!({ "displayName": "MFA", "feature": "multiFactorAuthentication", "isEnabled": true,
            "isAppliedToOrganization": false })
    );
    assert_eq!(
        sent[0]["headers"],
        json!({ "Content-Type": "application/json", "x-ms-throttle-priority": "Low" })
    );
    assert_eq!(far.seen().len(), 5, "each is sent once");
}

#[tokio::test]
async fn a_policy_is_enabled_and_applied_to_a_group() {
    for status in [201, 204] {
        let far = Far::start().await;
        for _ in 0..2 {
            far.bundle(move |_| Some(json!({ "status": status })));
        }
        let writer = writer(&far);
        assert_eq!(writer.enable_rollout_policy("p/1", later()).await, DONE);
        assert_eq!(writer.apply_rollout_to("p1", "g1", later()).await, DONE);
        let sent = items(&far, 0);
        assert_eq!(line(&sent[0]), "PATCH /policies/featureRolloutPolicies/p%2F1");
        assert_eq!(sent[0]["body"], json!({ "isEnabled": true }));
        let sent = items(&far, 1);
        assert_eq!(line(&sent[0]), "POST /policies/featureRolloutPolicies/p1/appliesTo/$ref");
        let address = format!("{}/v1.0/directoryObjects/g1", far.origin);
        assert_eq!(sent[0]["body"], json!({ "@odata.id": address }));
    }
}

#[tokio::test]
async fn twenty_members_are_added_by_one_write() {
    let far = Far::start().await;
    far.bundle(|_| Some(json!({ "status": 204 })));
    for (status, code) in
        [(400, "Request_BadRequest"), (409, "Directory_ConcurrencyViolation"), (500, "x"), (401, "x")]
    {
        far.bundle(move |_| Some(json!({ "status": status, "body": { "error": { "code": code } } })));
    }
    let writer = writer(&far);
    let users = ids(20);
    assert_eq!(writer.add_members("g1", &users, later(), &[]).await, DONE);
    let counts = writer.counts();
    assert_eq!((counts.requests, counts.writes), (1, 1), "Graph counts one write");
    let told = [
        refused(400, "Request_BadRequest"),
        refused(409, "Directory_ConcurrencyViolation"),
        Answer::Doubt { status: Some(500) },
        Answer::NotSent { held_until: None },
    ];
    for told in told {
        assert_eq!(writer.add_members("g1", &users[..1], later(), &[]).await, told);
    }
    let sent = items(&far, 0);
    assert_eq!((sent.len(), line(&sent[0]).as_str()), (1, "PATCH /groups/g1"));
    let addresses: Vec<String> =
        users.iter().map(|u| format!("{}/v1.0/directoryObjects/{}", far.origin, u.0)).collect();
    assert_eq!(sent[0]["body"], json!({ "members@odata.bind": addresses }));
    assert_eq!(far.seen().len(), 5);
}

#[tokio::test]
async fn members_are_added_one_after_the_other() {
    let far = Far::start().await;
    far.bundle(|_| Some(json!({ "status": 204 })));
    let writer = writer(&far);
    assert_eq!(writer.add_each("g 1", &ids(20), later(), &[]).await, vec![DONE; 20]);
    let sent = items(&far, 0);
    assert_eq!(sent.len(), 20);
    for (at, item) in sent.iter().enumerate() {
        assert_eq!(line(item), "POST /groups/g%201/members/$ref");
        let address = format!("{}/v1.0/directoryObjects/u{at}", far.origin);
        assert_eq!(item["body"], json!({ "@odata.id": address }));
        let before = (at > 0).then(|| json!([at.to_string()]));
        assert_eq!(item.get("dependsOn"), before.as_ref(), "{item}");
    }
    assert_eq!(writer.counts().writes, 20);
}

#[tokio::test]
async fn members_are_removed_as_references_and_never_as_users() {
    let far = Far::start().await;
    far.bundle(|_| Some(json!({ "status": 204 })));
    let mut users = ids(19);
    users.push(EntraId("a/b?c#d".to_owned()));
    let answers = writer(&far).remove_each("g1", &users, later(), &[]).await;
    assert_eq!(answers, vec![DONE; 20]);
    let sent = items(&far, 0);
    for (at, item) in sent.iter().enumerate() {
        assert_eq!(item["method"], "DELETE");
        let url = item["url"].as_str().expect("a url");
        assert!(url.starts_with("/groups/g1/members/") && url.ends_with("/$ref"), "{url}");
        assert_eq!(item.get("body"), None);
        let before = (at > 0).then(|| json!([at.to_string()]));
        assert_eq!(item.get("dependsOn"), before.as_ref(), "{item}");
    }
    assert_eq!(line(&sent[0]), "DELETE /groups/g1/members/u0/$ref");
    assert_eq!(line(&sent[19]), "DELETE /groups/g1/members/a%2Fb%3Fc%23d/$ref");
}

#[tokio::test]
async fn a_chain_that_breaks_tells_each_user_apart() {
    let far = Far::start().await;
    for _ in 0..2 {
        far.then(|_| {
            let of = |id: &str, status: u16, code: &str| json!({ "id": id, "status": status, "body": { "error": { "code": code } } });
            let responses =
                vec![of("4", 424, "x"), of("2", 404, "Request_ResourceNotFound"), of("3", 424, "x"), json!({ "id": "1", "status": 204 })];
            (200, Vec::new(), json!({ "responses": responses }))
        });
    }
    let writer = writer(&far);
    let gone = refused(404, "Request_ResourceNotFound");
    let (failed, doubt) = (Answer::DependencyFailed, Answer::Doubt { status: None });
    let expected = vec![DONE, gone, failed.clone(), failed, doubt];
    assert_eq!(writer.add_each("g1", &ids(5), later(), &[]).await, expected);
    assert_eq!(writer.remove_each("g1", &ids(5), later(), &[]).await, expected);
    assert_eq!(far.seen().len(), 2, "nothing is sent again here");
}

#[tokio::test]
async fn a_throttled_item_holds_the_bucket_of_groups_and_no_other() {
    let far = Far::start().await;
    far.then(|_| {
        let throttled = json!({ "id": "2", "status": 429, "headers": { "Retry-After": "30" } });
        let responses =
            vec![json!({ "id": "1", "status": 204 }), throttled, json!({ "id": "3", "status": 424 })];
        (200, Vec::new(), json!({ "responses": responses }))
    });
    let writer = writer(&far);
    let answers = writer.add_each("g1", &ids(3), later(), &[]).await;
    assert_eq!(answers, vec![DONE, Answer::Throttled, Answer::DependencyFailed]);
    let pace = writer.reader().pace();
    for bucket in Bucket::ALL {
        let held = pace.of(bucket).held_for;
        assert_eq!(held.is_some(), bucket == Bucket::Groups, "{bucket:?}");
    }
    assert!(pace.of(Bucket::Groups).held_for >= Some(Duration::from_secs(29)));
    let counts = writer.counts();
    assert_eq!((counts.requests, counts.writes, counts.throttled), (3, 3, 1));
    let soon = Instant::now() + Duration::from_millis(200);
    assert!(matches!(
        writer.add_members("g1", &ids(1), soon, &[]).await,
        Answer::NotSent { held_until: Some(_) }
    ));
    assert_eq!(far.seen().len(), 1, "nothing goes to a held bucket");
}

#[tokio::test]
async fn a_federation_is_written_in_the_bucket_of_methods() {
    let far = Far::start().await;
    far.throttle(Some("30"));
    let writer = writer(&far);
    assert_eq!(writer.set_mfa_behavior("d", "f", "x", later()).await, Answer::Throttled);
    let pace = writer.reader().pace();
    assert!(pace.of(Bucket::Writes).held_for.is_some() && pace.of(Bucket::Groups).held_for.is_none());
}

#[tokio::test]
async fn what_makes_no_bundle_is_refused_before_anything_is_sent() {
    let far = Far::start().await;
    let writer = writer(&far);
    let no = refused(0, "bundleNotSendable");
    assert_eq!(writer.add_members("g1", &[], later(), &[]).await, no);
    assert_eq!(writer.add_members("g1", &ids(21), later(), &[]).await, no);
    assert_eq!(writer.add_each("g1", &ids(21), later(), &[]).await, vec![no.clone(); 21]);
    assert_eq!(writer.remove_each("g1", &ids(21), later(), &[]).await, vec![no.clone(); 21]);
    assert!(writer.add_each("g1", &[], later(), &[]).await.is_empty());
    assert!(writer.remove_each("g1", &[], later(), &[]).await.is_empty());
    for (group, user) in [("", "u"), ("..", "u"), ("g", ""), ("g", "..")] {
        let users = [EntraId(user.to_owned())];
        assert_eq!(writer.add_members(group, &users, later(), &[]).await, no);
        assert_eq!(writer.add_each(group, &users, later(), &[]).await, vec![no.clone()]);
        assert_eq!(writer.remove_each(group, &users, later(), &[]).await, vec![no.clone()]);
    }
    assert_eq!(writer.enable_rollout_policy("", later()).await, no);
    assert_eq!(writer.apply_rollout_to("p", "", later()).await, no);
    assert!(far.seen().is_empty());
}

#[tokio::test]
async fn a_wish_to_stop_and_a_broken_connection_are_told_of_all() {
    let far = Far::start().await;
    let stop = Shutdown::new();
    stop.request();
    let stops = [stop];
    let stopped = writer(&far);
    let not_sent = |answer: &Answer| matches!(answer, Answer::NotSent { .. });
    assert!(not_sent(&stopped.add_members("g", &ids(2), later(), &stops).await));
    assert!(stopped.add_each("g", &ids(2), later(), &stops).await.iter().all(not_sent));
    assert!(stopped.remove_each("g", &ids(2), later(), &stops).await.iter().all(not_sent));
    assert!(far.seen().is_empty());
    let broken = Writer::new(config(&hangs_up().await), Pace::new()).expect("a writer");
    let doubt = Answer::Doubt { status: None };
    assert_eq!(broken.remove_each("g", &ids(2), later(), &[]).await, vec![doubt.clone(); 2]);
    assert_eq!(broken.create_rollout_policy("MFA", later()).await, (doubt, None));
    assert_eq!(broken.counts().round_trips, 2, "each was sent once");
}
