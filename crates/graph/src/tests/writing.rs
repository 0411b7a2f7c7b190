//! Writes: one bundle, sent once, every item answered for what it is.

use super::{Far, config, hangs_up, nobody};
use crate::{Answer, Bucket, Pace, WriteCall, WriteItem, Writer};
use contract::{DefaultMethod, EntraId, Secret, Target};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::Instant;

fn later() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

fn user() -> EntraId {
    EntraId("u1".to_owned())
}

fn phone(kind: Target) -> WriteItem {
    WriteItem {
        call: WriteCall::CreatePhone { user: user(), kind, number: "+1 4255550100".into() },
        after: None,
    }
}

fn default() -> WriteItem {
    WriteItem { call: WriteCall::SetDefault { user: user(), method: DefaultMethod::Sms }, after: None }
}

fn token() -> WriteItem {
    let call = WriteCall::CreateToken {
        user: user(),
        serial: "S1".into(),
        secret: Secret::new("JBSWY3DPEHPK3PXP"),
        interval_seconds: 30,
        manufacturer: "M".into(),
        model: "T".into(),
    };
    WriteItem { call, after: None }
}

fn done(method_id: Option<&str>) -> Answer {
    Answer::Done { device_id: None, method_id: method_id.map(str::to_owned) }
}

async fn writer(far: &Far) -> Writer {
    Writer::new(far.config(), Pace::new()).expect("a writer")
}

#[tokio::test]
async fn items_are_answered_by_id_in_the_order_of_asking() {
    let far = Far::start().await;
    far.then(|_| {
        let item = |id: &str, status: u16, body: Value| json!({ "id": id, "status": status, "body": body });
        let error = |code: &str| json!({ "error": { "code": code } });
        let responses = vec![
            item("6", 503, error("serviceUnavailable")),
            item("2", 400, error("invalidPhoneNumber")),
            json!({ "id": "4", "status": 429, "headers": { "retry-after": "0.2" } }),
            item("1", 201, json!({ "id": "m1" })),
            item("3", 424, error("failedDependency")),
            item("7", 404, error("Request_ResourceNotFound")),
            item("99", 201, json!({})),
        ];
        (200, Vec::new(), json!({ "responses": responses }))
    });
    let mut items: Vec<WriteItem> = (0..7).map(|_| phone(Target::Mobile)).collect();
    items[2].after = Some(1);
    let writer = writer(&far).await;
    let refused = |status, code: &str| Answer::Refused { status, code: code.to_owned() };
    assert_eq!(
        writer.write(&items, later()).await,
        vec![
            done(Some("m1")),
            refused(400, "invalidPhoneNumber"),
            Answer::DependencyFailed,
            Answer::Throttled,
            Answer::Doubt { status: None },
            Answer::Doubt { status: Some(503) },
            refused(404, "Request_ResourceNotFound"),
        ]
    );
    let seen = &far.seen()[0];
    assert_eq!((seen.method.as_str(), seen.path.as_str()), ("POST", "/v1.0/$batch"));
    assert_eq!(seen.header("authorization"), "Bearer the-token");
    assert_eq!(seen.header("x-ms-throttle-priority"), "Low");
    assert!(seen.header("user-agent").starts_with("mfa-migrate/"));
    assert!(uuid::Uuid::parse_str(seen.header("client-request-id")).is_ok());
    assert_eq!(seen.body["requests"][2]["dependsOn"], json!(["2"]));
    assert_eq!(seen.body["requests"][0].get("dependsOn"), None);
    let first = &seen.body["requests"][0];
    assert_eq!(first["url"], "/users/u1/authentication/phoneMethods");
    assert_eq!(first["body"], json!({ "phoneNumber": "+1 4255550100", "phoneType": "mobile" }));
    assert_eq!(first["headers"]["Content-Type"], "application/json");
    let counts = writer.counts();
    assert_eq!((counts.requests, counts.writes, counts.round_trips, counts.throttled), (7, 7, 1, 1));
    assert!(
        writer.reader().pace().status().iter().any(|s| s.bucket == Bucket::Writes && s.held_for.is_some())
    );
}

#[tokio::test]
async fn each_write_is_the_request_that_graph_documents() {
    let far = Far::start().await;
    far.bundle(|url| match url.contains("hardwareOathDevices") {
        true => Some(json!({ "status": 201, "body": { "id": "d1", "status": "assigned" } })),
        false => Some(json!({ "status": 204 })),
    });
    let of = |call| WriteItem { call, after: None };
    let items = [
        token(),
        of(WriteCall::ActivateToken {
            user: user(),
            method_id: "m/1".into(),
            code: crate::CodeNow::new(|| "123456".into()),
        }),
        of(WriteCall::AssignToken {
            user: user(),
            device_id: "d2".into(),
            code: crate::CodeNow::new(|| "123456".into()),
        }),
        of(WriteCall::UnassignToken { user: user(), method_id: "m1".into() }),
        of(WriteCall::DeleteDevice { device_id: "d3".into() }),
        default(),
        of(WriteCall::DeactivateToken { user: user(), method_id: "m2".into() }),
    ];
    let answers = writer(&far).await.write(&items, later()).await;
    assert_eq!(answers[0], Answer::Done { device_id: Some("d1".into()), method_id: None });
    assert_eq!(answers[5], done(None));
    let seen = &far.seen()[0];
    assert_eq!(seen.path, "/beta/$batch");
    let line = |at: usize| {
        let request = &seen.body["requests"][at];
        format!("{} {}", request["method"].as_str().unwrap(), request["url"].as_str().unwrap())
    };
    assert_eq!(line(0), "POST /directory/authenticationMethodDevices/hardwareOathDevices");
    assert_eq!(
        seen.body["requests"][0]["body"],
        json!({ "serialNumber": "S1", "manufacturer": "M", "model": "T", "secretKey": "JBSWY3DPEHPK3PXP",
            "timeIntervalInSeconds": 30, "hashFunction": "hmacsha1", "assignTo": { "id": "u1" } })
    );
    assert_eq!(line(1), "POST /users/u1/authentication/hardwareOathMethods/m%2F1/activate");
    assert_eq!(line(2), "POST /users/u1/authentication/hardwareOathMethods/assignAndActivate");
    assert_eq!(
        seen.body["requests"][2]["body"],
        json!({ "verificationCode": "123456", "device": { "id": "d2" } })
    );
    assert_eq!(line(3), "DELETE /users/u1/authentication/hardwareOathMethods/m1");
    assert_eq!(line(4), "DELETE /directory/authenticationMethodDevices/hardwareOathDevices/d3");
    assert_eq!(line(5), "PATCH /users/u1/authentication/signInPreferences");
    assert_eq!(seen.body["requests"][3].get("body"), None);
    assert_eq!(line(6), "POST /users/u1/authentication/hardwareOathMethods/m2/deactivate");
    assert_eq!(seen.body["requests"][6].get("body"), None);
}

#[tokio::test]
async fn a_whole_bundle_that_is_throttled_holds_the_bucket_and_is_not_sent_again() {
    for (retry_after, at_least) in [(Some("30"), 29.0), (Some("30.5"), 29.5), (None, 0.5)] {
        let far = Far::start().await;
        far.throttle(retry_after);
        let writer = writer(&far).await;
        let items = [phone(Target::Mobile), phone(Target::Office)];
        assert_eq!(writer.write(&items, later()).await, vec![Answer::Throttled; 2]);
        let status = writer.reader().pace().status();
        let held =
            status.iter().find(|s| s.bucket == Bucket::Writes).and_then(|s| s.held_for).expect("a hold");
        assert!(held >= Duration::from_secs_f64(at_least), "{retry_after:?} {held:?}");
        let soon = Instant::now() + Duration::from_millis(400);
        let answers = writer.write(&items, soon).await;
        assert!(matches!(answers[..], [Answer::NotSent { held_until: Some(until) }, _] if until > soon));
        assert_eq!(far.seen().len(), 1, "nothing goes to a held bucket");
    }
}

#[tokio::test]
async fn a_hold_is_kept_until_its_end_by_everyone() {
    let far = Far::start().await;
    far.throttle(Some("0.8"))
        .bundle(|_| Some(json!({ "status": 204 })))
        .bundle(|_| Some(json!({ "status": 204 })));
    let writer = writer(&far).await;
    assert_eq!(writer.write(&[default()], later()).await, vec![Answer::Throttled]);
    let told = Instant::now();
    let (items, other) = ([default()], writer.clone());
    let (a, b) = tokio::join!(writer.write(&items, later()), other.write(&items, later()));
    assert_eq!((a, b), (vec![done(None)], vec![done(None)]));
    for seen in &far.seen()[1..] {
        assert!(seen.at - told >= Duration::from_millis(790), "{:?}", seen.at - told);
    }
}

#[tokio::test]
async fn servers_that_fail_or_hang_up_leave_doubt_and_are_not_asked_again() {
    for status in [500, 502, 503, 504] {
        let far = Far::start().await;
        far.status(status, "x");
        let answers = writer(&far).await.write(&[phone(Target::Mobile)], later()).await;
        assert_eq!(answers, vec![Answer::Doubt { status: Some(status) }]);
        assert_eq!(far.seen().len(), 1);
    }
    let writer = Writer::new(config(&hangs_up().await), Pace::new()).expect("a writer");
    assert_eq!(writer.write(&[phone(Target::Mobile)], later()).await, vec![Answer::Doubt { status: None }]);
    assert_eq!(writer.counts().round_trips, 1);
}

#[tokio::test]
async fn a_server_that_answers_too_late_leaves_doubt() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let mut config = config(&format!("http://{}", listener.local_addr().expect("an address")));
    config.request_timeout = Duration::from_millis(200);
    let writer = Writer::new(config, Pace::new()).expect("a writer");
    assert_eq!(writer.write(&[phone(Target::Mobile)], later()).await, vec![Answer::Doubt { status: None }]);
    drop(listener);
}

#[tokio::test]
async fn a_refused_connection_means_not_sent() {
    let writer = Writer::new(config(&nobody().await), Pace::new()).expect("a writer");
    let answers = writer.write(&[phone(Target::Mobile)], later()).await;
    assert_eq!(answers, vec![Answer::NotSent { held_until: None }]);
}

#[tokio::test]
async fn a_bundle_refused_with_401_and_no_new_token_counts_as_not_sent() {
    let far = Far::start().await;
    far.status(401, "InvalidAuthenticationToken");
    let answers = writer(&far).await.write(&[default(), default()], later()).await;
    let refused = Answer::NotSent { held_until: None };
    assert_eq!(answers, vec![refused; 2]);
    assert_eq!(far.seen().len(), 1);
}

#[tokio::test]
async fn nothing_is_sent_after_the_deadline() {
    let far = Far::start().await;
    let answers = writer(&far).await.write(&[default()], Instant::now() - Duration::from_millis(1)).await;
    assert!(matches!(answers[..], [Answer::NotSent { held_until: Some(_) }]));
    assert!(far.seen().is_empty());
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_leaves_doubt() {
    let far = Far::start().await;
    far.json(json!({ "unheard": "of" }));
    let answers = writer(&far).await.write(&[phone(Target::Mobile)], later()).await;
    assert_eq!(answers, vec![Answer::Doubt { status: Some(200) }]);
}

#[tokio::test]
async fn bundles_that_make_no_sense_are_refused_before_anything_is_sent() {
    let far = Far::start().await;
    let writer = writer(&far).await;
    let forward = WriteItem { after: Some(1), ..phone(Target::Mobile) };
    for items in [
        vec![phone(Target::Mobile), default()],
        vec![phone(Target::Default)],
        vec![forward, phone(Target::Office)],
        (0..21).map(|_| default()).collect(),
    ] {
        let answers = writer.write(&items, later()).await;
        assert_eq!(answers.len(), items.len());
        assert!(answers.iter().all(|a| matches!(a, Answer::Refused { status: 0, .. })), "{answers:?}");
    }
    assert!(writer.write(&[], later()).await.is_empty());
    assert!(far.seen().is_empty());
}

#[test]
fn debug_shows_no_number_secret_or_code() {
    let shown = format!("{:?} {:?}", phone(Target::Mobile), token());
    for hidden in ["4255550100", "JBSWY3DPEHPK3PXP"] {
        assert!(!shown.contains(hidden), "{shown}");
    }
}

#[tokio::test]
async fn who_waits_for_quota_gives_up_when_a_stop_is_wished_for_and_nothing_is_sent() {
    let far = Far::start().await;
    let writer = writer(&far).await;
    let stop = telemetry::Shutdown::new();
    writer.reader().pace().pause(crate::Bucket::Writes, Duration::from_secs(10));
    let waiting = tokio::spawn({
        let (writer, stops) = (writer.clone(), [telemetry::Shutdown::new(), stop.clone()]);
        async move { writer.write_unless(&[phone(Target::Mobile)], later(), &stops).await }
    });
    stop.request();
    let answers = waiting.await.unwrap();
    assert!(matches!(answers.as_slice(), [Answer::NotSent { .. }]), "{answers:?}");
    let again = writer.write_unless(&[phone(Target::Mobile)], later(), &[stop]).await;
    assert!(matches!(again.as_slice(), [Answer::NotSent { .. }]), "{again:?}");
    assert!(far.seen().is_empty());
}
