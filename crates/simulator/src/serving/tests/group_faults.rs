//! Faults, throttles and bundles, as they strike writes to groups and to rollout policies.

use super::groups::{add, ids, remove, url, with};
use super::{Heard, Room, room};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const POLICIES: &str = "/v1.0/policies/featureRolloutPolicies";

fn groups() -> Value {
    json!([
        { "id": "g1", "displayName": "One", "members": ["id-1"] },
        { "id": "g2", "displayName": "Two", "members": ["g1"] },
    ])
}

fn policy() -> Value {
    json!({ "displayName": "Rollout", "feature": "multiFactorAuthentication", "isEnabled": true })
}

fn is_conflict(heard: &Heard) -> bool {
    (heard.status, heard.code()) == (409, "Directory_ConcurrencyViolation")
}

#[tokio::test]
async fn errors_and_conflicts_leave_a_group_as_it_is() {
    let room = with(3, groups(), "error-rate=1").await;
    for heard in [add(&room, "g1", &["id-2"]).await, remove(&room, "g1", "id-1").await] {
        assert!([500, 502, 503].contains(&heard.status), "{}", heard.status);
    }
    assert!(room.effects().is_empty());
    let room = with(3, groups(), "group-conflict=1").await;
    for heard in [
        add(&room, "g1", &["id-2"]).await,
        remove(&room, "g1", "id-1").await,
        room.write("POST", "/v1.0/groups/g1/members/$ref", json!({ "@odata.id": url("id-2") })).await,
        room.write("DELETE", "/v1.0/groups/g1", Value::Null).await,
    ] {
        assert!(is_conflict(&heard), "{}", heard.body);
    }
    assert!(room.effects().is_empty());
    assert_eq!(room.stats().await["errorsInjected"], 4);
    assert_eq!(room.write("POST", POLICIES, policy()).await.status, 201, "it strikes groups alone");
    assert_eq!(room.post_phone("id-1", "mobile", "+1 4255550100").await.status, 201);
    assert_eq!(room.get("/v1.0/groups/g1/members").await.status, 200);
}

#[tokio::test]
async fn a_timeout_or_a_conflict_may_have_been_applied() {
    let room = with(3, groups(), "timeout-but-applied=1").await;
    assert_eq!(add(&room, "g1", &["id-2"]).await.status, 504);
    assert_eq!(room.write("POST", POLICIES, policy()).await.status, 504);
    assert_eq!(room.effects(), ["group null g1", "rolloutPolicy null created"]);
    let room = with(3, groups(), "conflict-but-applied=1").await;
    for heard in [add(&room, "g1", &["id-2"]).await, room.write("POST", POLICIES, policy()).await] {
        assert!(is_conflict(&heard), "{}", heard.body);
    }
    assert_eq!(room.effects(), ["group null g1", "rolloutPolicy null created"]);
    assert_eq!(add(&room, "g1", &["id-2"]).await.status, 400, "what Graph refuses it refuses");
}

#[tokio::test]
async fn a_dropped_connection_leaves_it_open_whether_it_was_applied() {
    let room = with(40, groups(), "drop-connection=1,seed=3").await;
    for i in 2..=40 {
        let body = json!({ "@odata.id": url(&format!("id-{i}")) });
        assert!(room.send("POST", "/v1.0/groups/g1/members/$ref", Some(body)).await.is_err());
    }
    let applied = room.effects().len();
    assert!((8..=32).contains(&applied), "{applied}");
}

#[tokio::test]
async fn a_late_write_that_no_longer_fits_is_refused() {
    let room = with(3, groups(), "late-apply-ms=300").await;
    let started = Instant::now();
    assert_eq!(add(&room, "g1", &["id-2"]).await.status, 504);
    assert_eq!(add(&room, "g1", &["id-3", "id-2"]).await.status, 504);
    assert_eq!(remove(&room, "g1", "id-3").await.status, 504);
    assert_eq!(room.write("DELETE", "/v1.0/groups/g2", Value::Null).await.status, 504);
    assert_eq!(add(&room, "g2", &["id-3"]).await.status, 504);
    while room.effects().len() < 2 {
        assert!(started.elapsed() < Duration::from_secs(10));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(started.elapsed() >= Duration::from_millis(300));
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(room.effects_by_user(), ["id-2 group null g1", "null group g2 null"]);
    assert_eq!(room.state("/groups").await.as_array().unwrap().len(), 1);
    assert_eq!(room.state("/groups/0/members").await, json!(["id-1", "id-2"]));
}

/// What readers see: of the group, of one asked for, below the group around it, of the policies.
async fn seen(room: &Room) -> [Vec<String>; 4] {
    let asked = "/v1.0/groups/g1/members?$count=true&$filter=id%20in%20('id-1','id-2')";
    let cast = "/v1.0/groups/g2/transitiveMembers/microsoft.graph.user?$count=true";
    [
        ids(&room.get("/v1.0/groups/g1/members").await),
        ids(&room.get(asked).await),
        ids(&room.get(cast).await),
        room.get(POLICIES).await.body["value"]
            .as_array()
            .unwrap()
            .iter()
            .map(|p| p["isEnabled"].to_string())
            .collect(),
    ]
}

#[tokio::test]
async fn readers_see_changes_late_and_writers_at_once() {
    let room = with(3, groups(), "not-yet-visible-ms=600").await;
    let before = seen(&room).await;
    assert_eq!(before[0], ["id-1"]);
    assert_eq!(before, [vec!["id-1"], vec!["id-1"], vec!["id-1"], vec![]]);
    let started = Instant::now();
    assert_eq!(add(&room, "g1", &["id-2"]).await.status, 204);
    assert_eq!(remove(&room, "g1", "id-1").await.status, 204);
    let made = room.write("POST", POLICIES, policy()).await.body["id"].as_str().unwrap().to_owned();
    let path = format!("{POLICIES}/{made}");
    assert_eq!(room.write("PATCH", &path, json!({ "isEnabled": false })).await.status, 204);
    assert_eq!(add(&room, "g1", &["id-2"]).await.status, 400, "it is there");
    assert_eq!(remove(&room, "g1", "id-1").await.status, 404, "it is not");
    assert_eq!(room.state("/groups/0/members").await, json!(["id-2"]));
    let counted = room.get("/v1.0/groups/g1/members?$count=true").await.body["@odata.count"].clone();
    let early = seen(&room).await;
    if started.elapsed() < Duration::from_millis(550) {
        assert_eq!((early, counted), (before, json!(1)));
        assert_eq!(room.get(&path).await.status, 404);
    }
    tokio::time::sleep(Duration::from_millis(650)).await;
    let late = seen(&room).await;
    assert_eq!(
        late,
        [vec!["id-2"], vec!["id-2"], vec!["id-2"], vec!["false"]],
        "nothing is remembered from before"
    );
    let started = Instant::now();
    assert_eq!(room.write("DELETE", "/v1.0/groups/g1", Value::Null).await.status, 204);
    assert_eq!(room.write("DELETE", &path, Value::Null).await.status, 204);
    assert_eq!(add(&room, "g1", &["id-3"]).await.status, 404);
    let early = seen(&room).await;
    if started.elapsed() < Duration::from_millis(550) {
        assert_eq!(early, late);
    }
    tokio::time::sleep(Duration::from_millis(650)).await;
    assert_eq!(room.get("/v1.0/groups/g1").await.status, 404);
    assert_eq!(ids(&room.get("/v1.0/groups/g2/transitiveMembers").await), Vec::<String>::new());
    assert_eq!(room.get(&path).await.status, 404);
}

fn item(id: &str, method: &str, url: &str, body: Value, depends_on: &[&str]) -> Value {
    json!({ "id": id, "method": method, "url": url, "dependsOn": depends_on, "body": body,
        "headers": { "Content-Type": "application/json" } })
}

fn bind(id: &str, group: &str, member: &str, depends_on: &[&str]) -> Value {
    let body = json!({ "members@odata.bind": [url(member)] });
    item(id, "PATCH", &format!("/groups/{group}"), body, depends_on)
}

async fn statuses(room: &Room, items: &[Value]) -> Vec<u64> {
    let heard = room.write("POST", "/v1.0/$batch", json!({ "requests": items })).await;
    let list = heard.body["responses"].as_array().unwrap();
    let of = |item: &Value| list.iter().find(|answer| answer["id"] == item["id"]).unwrap();
    for answer in list.iter().filter(|answer| answer["status"] == 409) {
        assert_eq!(answer["body"]["error"]["code"], "Directory_ConcurrencyViolation");
    }
    items.iter().map(|item| of(item)["status"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn two_of_a_bundle_do_not_write_to_one_group_side_by_side() {
    let room = with(9, groups(), "").await;
    let side_by_side = [
        bind("1", "g1", "id-2", &[]),
        bind("2", "G1", "id-3", &[]),
        bind("3", "g2", "id-3", &[]),
        item("4", "DELETE", "/groups/g1/members/id-1/$ref", Value::Null, &[]),
        item("5", "GET", "/groups/g1/members", Value::Null, &[]),
        item("6", "POST", "/groups/g1/members/$ref", json!({ "@odata.id": url("id-4") }), &[]),
        item("7", "DELETE", "/groups/g1", Value::Null, &[]),
    ];
    assert_eq!(statuses(&room, &side_by_side).await, [204, 409, 204, 409, 200, 409, 409]);
    assert_eq!(room.state("/groups/0/members").await, json!(["id-1", "id-2"]));
    let in_turn = [
        bind("1", "g1", "id-3", &[]),
        item("2", "GET", "/users/id-1", Value::Null, &["1"]),
        bind("3", "g1", "id-4", &["2"]),
        bind("4", "g1", "id-5", &["3"]),
    ];
    assert_eq!(statuses(&room, &in_turn).await, [204, 200, 204, 204]);
    let first_behind = [bind("1", "g1", "id-6", &["2"]), bind("2", "g1", "id-7", &[])];
    assert_eq!(statuses(&room, &first_behind).await, [204, 204]);
    let half = [
        bind("1", "g1", "id-8", &[]),
        item("2", "DELETE", "/groups/g1/members/id-7/$ref", Value::Null, &["1"]),
        bind("3", "g1", "id-9", &["1"]),
    ];
    assert_eq!(statuses(&room, &half).await, [204, 204, 409], "siblings are side by side");
}

#[tokio::test]
async fn throttles_count_them_as_writes() {
    let mut state = super::people(3);
    state["groups"] = groups();
    let room = room(state, "", "writes=2/1").await;
    let added = add(&room, "g1", &["id-2"]).await;
    assert_eq!((added.status, &added.headers["x-ms-resource-unit"]), (204, &"1".parse().unwrap()));
    assert_eq!(room.write("POST", POLICIES, policy()).await.status, 201);
    let third = remove(&room, "g1", "id-2").await;
    assert_eq!((third.status, third.code()), (429, "TooManyRequests"));
    assert_eq!(room.effects().len(), 2);
    assert_eq!(room.get("/v1.0/groups/g1/members").await.status, 200);
}
