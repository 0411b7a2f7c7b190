//! Each fault, as a client meets it and as the journal knows it.

use super::*;
use std::time::{Duration, Instant};

#[tokio::test]
async fn errors_have_no_effect() {
    let room = room(people(1), "error-rate=1", "off").await;
    for _ in 0..6 {
        let status = room.post_phone("id-1", "mobile", "+1 4255550100").await.status;
        assert!([500, 502, 503].contains(&status), "{status}");
    }
    assert!(room.effects().is_empty());
    assert_eq!(room.stats().await["errorsInjected"], 6);
}

#[tokio::test]
async fn a_timeout_or_a_conflict_may_have_been_applied() {
    let timed_out = room(people(1), "timeout-but-applied=1", "off").await;
    assert_eq!(timed_out.post_phone("id-1", "mobile", "+1 4255550100").await.status, 504);
    assert_eq!(timed_out.effects(), ["mobile null +1 4255550100"]);
    let conflict = room(people(1), "conflict-but-applied=1", "off").await;
    let heard = conflict.post_phone("id-1", "mobile", "+1 4255550100").await;
    assert_eq!((heard.status, heard.code()), (409, "phoneNumberNotUnique"));
    assert_eq!(conflict.effects(), ["mobile null +1 4255550100"]);
    let refused = conflict.post_phone("id-1", "mobile", "+1 4255550100").await;
    assert_eq!(refused.status, 400, "what Graph refuses it refuses");
}

#[tokio::test]
async fn a_late_write_is_judged_when_it_lands() {
    let room = room(people(1), "late-apply-ms=300", "off").await;
    let started = Instant::now();
    assert_eq!(room.post_phone("id-1", "mobile", "+1 4255550100").await.status, 504);
    assert_eq!(room.post_phone("id-1", "mobile", "+1 4255550199").await.status, 504);
    assert!(room.effects().is_empty() || started.elapsed() >= Duration::from_millis(300));
    // Nobody calls Graph any more: the server wakes by itself.
    while room.effects().is_empty() {
        assert!(started.elapsed() < Duration::from_secs(10));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(started.elapsed() >= Duration::from_millis(300));
    room.stats().await;
    assert_eq!(room.truth(0).await["phoneMethods"][0]["phoneNumber"], "+1 4255550100");
    assert_eq!(room.effects(), ["mobile null +1 4255550100"], "the second one was refused then");
}

#[tokio::test]
async fn a_write_is_visible_late_and_there_at_once() {
    let room = room(people(1), "not-yet-visible-ms=400", "off").await;
    let started = Instant::now();
    room.post_phone("id-1", "mobile", "+1 4255550100").await;
    let list = "/v1.0/users/id-1/authentication/phoneMethods";
    let seen = room.get(list).await.body["value"].as_array().unwrap().len();
    assert!(seen == 0 || started.elapsed() > Duration::from_millis(400));
    assert_eq!(room.post_phone("id-1", "mobile", "+1 4255550100").await.status, 400, "it exists");
    while room.get(list).await.body["value"].as_array().unwrap().is_empty() {
        assert!(started.elapsed() < Duration::from_secs(10));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(started.elapsed() >= Duration::from_millis(400));
}

#[tokio::test]
async fn a_dropped_connection_answers_nothing_and_half_are_applied() {
    let room = room(people(40), "drop-connection=1,seed=3", "off").await;
    for i in 1..=40 {
        let path = format!("/v1.0/users/id-{i}/authentication/phoneMethods");
        let body = json!({ "phoneType": "mobile", "phoneNumber": "+1 4255550100" });
        assert!(room.send("POST", &path, Some(body)).await.is_err());
    }
    let applied = room.effects().len();
    assert!((8..=32).contains(&applied), "{applied}");
}

#[tokio::test]
async fn retry_after_can_be_missing_or_fractional() {
    for (fault, wanted) in
        [("", Some("2")), ("retry-after-missing", None), ("retry-after-fractional", Some("."))]
    {
        let room = room(people(1), fault, "writes=1/1").await;
        room.post_phone("id-1", "mobile", "+1 4255550100").await;
        let heard = room.post_phone("id-1", "office", "+1 4255550100").await;
        assert_eq!((heard.status, heard.code()), (429, "TooManyRequests"));
        let given = heard.headers.get("retry-after").map(|v| v.to_str().unwrap().to_owned());
        match wanted {
            None => assert_eq!(given, None),
            Some(part) => assert!(given.unwrap().contains(part), "{fault}"),
        }
        assert!(
            heard.headers["x-ms-throttle-scope"].to_str().unwrap().starts_with("Tenant_Application/Write/")
        );
    }
}

#[tokio::test]
async fn a_first_method_sets_no_default_unless_asked_to() {
    let room = room(people(1), "auto-default", "off").await;
    room.post_phone("id-1", "mobile", "+1 4255550100").await;
    assert_eq!(room.effects(), ["mobile null +1 4255550100", "default null sms"]);
}
