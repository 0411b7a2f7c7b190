//! `$batch`: what makes a whole bundle fail, and how its items stand for themselves.

use super::*;

fn phone(id: &str, phone_type: &str, depends_on: &[&str]) -> Value {
    json!({
        "id": id, "method": "POST", "url": "/users/id-1/authentication/phoneMethods",
        "headers": { "Content-Type": "application/json" }, "dependsOn": depends_on,
        "body": { "phoneType": phone_type, "phoneNumber": "+1 4255550100" },
    })
}

fn statuses(heard: &Heard) -> Vec<(String, u64)> {
    let list = heard.body["responses"].as_array().unwrap();
    list.iter().map(|r| (r["id"].as_str().unwrap().to_owned(), r["status"].as_u64().unwrap())).collect()
}

#[tokio::test]
async fn items_are_answered_each_for_itself_and_not_in_order() {
    let room = room(people(1), "", "off").await;
    let body = json!({ "requests": [
        phone("2", "alternateMobile", &["1"]),
        phone("1", "mobile", &[]),
        { "id": "3", "method": "GET", "url": "/users/nobody" },
    ]});
    let heard = room.write("POST", "/v1.0/$batch", body).await;
    assert_eq!(heard.status, 200);
    assert_eq!(statuses(&heard), [("3".into(), 404), ("1".into(), 201), ("2".into(), 201)]);
    let created = &heard.body["responses"][1];
    assert_eq!(created["body"]["phoneType"], "mobile");
    assert_eq!(created["headers"]["Content-Type"], "application/json");
    let stats = room.stats().await;
    assert_eq!((&stats["requests"], &stats["writes"], &stats["bundles"]), (&json!(3), &json!(2), &json!(1)));
    assert_eq!(stats["byEndpoint"]["POST /v1.0/users/{id}/authentication/phoneMethods"], 2);
}

#[tokio::test]
async fn a_failed_dependency_fails_those_behind_it() {
    let room = room(people(1), "", "off").await;
    let body = json!({ "requests": [
        phone("1", "alternateMobile", &[]), phone("2", "office", &["1"]), phone("3", "mobile", &["2"]),
    ]});
    let heard = room.write("POST", "/beta/$batch", body).await;
    assert_eq!(statuses(&heard), [("3".into(), 424), ("2".into(), 424), ("1".into(), 400)]);
    assert!(room.effects().is_empty());
}

#[tokio::test]
async fn a_malformed_bundle_is_refused_as_a_whole() {
    let room = room(people(1), "", "off").await;
    let many: Vec<Value> = (0..21).map(|i| phone(&i.to_string(), "mobile", &[])).collect();
    for bad in [
        json!({ "requests": [] }),
        json!({ "requests": many }),
        json!({ "requests": [phone("a", "mobile", &[]), phone("A", "office", &[])] }),
        json!({ "requests": [phone("1", "mobile", &["2"])] }),
        json!({ "requests": [phone("1", "mobile", &["2"]), phone("2", "office", &["1"])] }),
        json!({ "requests": [{ "id": "1", "method": "BREW", "url": "/users" }] }),
        json!({}),
    ] {
        let heard = room.write("POST", "/v1.0/$batch", bad.clone()).await;
        assert_eq!((heard.status, heard.code()), (400, "BadRequest"), "{bad}");
    }
    assert!(room.effects().is_empty());
    let mut bare = phone("1", "mobile", &[]);
    bare["headers"] = json!({});
    let heard = room.write("POST", "/v1.0/$batch", json!({ "requests": [bare] })).await;
    assert_eq!(statuses(&heard), [("1".into(), 400)], "a body needs its content type");
}

#[tokio::test]
async fn each_item_draws_on_the_quota_and_the_bundle_does_not() {
    let room = room(people(1), "", "writes=2/1").await;
    let items: Vec<Value> = ["1", "2", "3", "4"]
        .iter()
        .map(|id| {
            let mut item = phone(id, "mobile", &[]);
            item["method"] = json!("PATCH");
            item["url"] = json!(format!("/users/id-1/authentication/phoneMethods/{MOBILE}"));
            item
        })
        .collect();
    let heard = room.write("POST", "/v1.0/$batch", json!({ "requests": items })).await;
    assert_eq!(
        statuses(&heard),
        [("4".into(), 429), ("3".into(), 429), ("2".into(), 404), ("1".into(), 404)]
    );
    let first = &heard.body["responses"][1];
    assert_eq!(first["headers"]["Retry-After"], "1");
    assert_eq!(heard.body["responses"][0]["headers"]["Retry-After"], "2", "rejected calls cost too");
    assert_eq!(first["body"]["error"]["code"], "TooManyRequests");
    assert_eq!(first["body"]["error"]["innerError"]["status"], "429");
    assert_eq!(first["headers"]["x-ms-throttle-information"], "WriteLimitExceeded");
    let stats = room.stats().await;
    assert_eq!((&stats["throttled"], &stats["earlyRetries"]), (&json!(2), &json!(0)));
}
