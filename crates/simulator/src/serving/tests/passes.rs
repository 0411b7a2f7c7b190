//! Temporary Access Passes: one a user, within the policy, shown once.

use super::{Heard, Room, people, room};
use serde_json::{Value, json};

const PATH: &str = "/v1.0/users/u1@contoso.example/authentication/temporaryAccessPassMethods";
const POLICY: &str =
    "/v1.0/policies/authenticationMethodsPolicy/authenticationMethodConfigurations/TemporaryAccessPass";

async fn with(policy: Value) -> Room {
    let mut state = people(3);
    state["users"][2]["userType"] = json!("Guest");
    state["groups"] = json!([{ "id": "g", "displayName": "pass", "members": ["id-1"] }]);
    state["authenticationMethodsPolicy"] = json!({ "temporaryAccessPass": policy });
    room(state, "", "off").await
}

async fn post(room: &Room, body: Value) -> Heard {
    room.write("POST", PATH, body).await
}

#[tokio::test]
async fn a_pass_is_shown_once_and_never_again() {
    let room = with(json!({})).await;
    let made = post(&room, json!({ "lifetimeInMinutes": 90, "isUsableOnce": true })).await;
    assert_eq!(made.status, 201);
    let pass = made.body["temporaryAccessPass"].as_str().unwrap().to_owned();
    assert_eq!(pass.len(), 8);
    assert_eq!((&made.body["isUsable"], &made.body["lifetimeInMinutes"]), (&json!(true), &json!(90)));
    let id = made.body["id"].as_str().unwrap();
    let all = "/v1.0/users/id-1/authentication/methods";
    for path in [PATH, &format!("{PATH}/{id}"), all, "/simulator/state"] {
        let heard = room.get(path).await;
        assert_eq!(heard.status, 200, "{path}");
        let text = heard.body.to_string();
        assert!(text.contains(id), "{path} has the method: {text}");
        let shown = serde_json::to_string(&pass).unwrap();
        assert!(!text.contains(&shown), "{path} shows the pass");
    }
    assert_eq!(room.effects(), [format!("temporaryAccessPass null {id}")]);
    assert_eq!(room.write("DELETE", &format!("{PATH}/{id}"), Value::Null).await.status, 204);
    assert_eq!(room.write("DELETE", &format!("{PATH}/{id}"), Value::Null).await.status, 404);
    assert_eq!(room.get(&format!("{PATH}/{id}")).await.status, 404);
    assert_eq!(room.get(PATH).await.body["value"], json!([]));
    assert_eq!(room.effects().len(), 2);
}

#[tokio::test]
async fn one_that_can_be_used_is_not_replaced_unless_the_policy_says_so() {
    let room = with(json!({})).await;
    assert_eq!(post(&room, json!({})).await.status, 201);
    let again = post(&room, json!({})).await;
    assert_eq!((again.status, again.code()), (400, "badRequest"));
    let room = with(json!({ "replaces": true })).await;
    let first = post(&room, json!({})).await.body["id"].clone();
    let second = post(&room, json!({})).await.body["id"].clone();
    assert_ne!(first, second);
    let told = |v: &Value| v.as_str().unwrap().to_owned();
    assert_eq!(room.effects()[1], format!("temporaryAccessPass {} {}", told(&first), told(&second)));
    // One that is over is in nobody's way.
    let mut state = people(1);
    state["users"][0]["authentication"] = json!({ "temporaryAccessPassMethods": [{
        "id": "old", "createdDateTime": "2020-01-01T00:00:00Z", "startDateTime": "2020-01-01T00:00:00Z",
        "lifetimeInMinutes": 60, "isUsableOnce": false,
    }] });
    let room = super::room(state, "", "off").await;
    let seen = room.get(PATH).await.body["value"][0].clone();
    assert_eq!((&seen["isUsable"], &seen["methodUsabilityReason"]), (&json!(false), &json!("Expired")));
    assert_eq!(post(&room, json!({})).await.status, 201);
}

#[tokio::test]
async fn the_policy_is_served_and_kept() {
    let strict = json!({ "minimumLifetimeInMinutes": 30, "maximumLifetimeInMinutes": 90, "isUsableOnce": true, "includeGroups": ["g"] });
    let room = with(strict).await;
    let served = room.get(POLICY).await.body;
    assert_eq!((&served["state"], &served["isUsableOnce"]), (&json!("enabled"), &json!(true)));
    assert_eq!(
        (&served["minimumLifetimeInMinutes"], &served["maximumLifetimeInMinutes"]),
        (&json!(30), &json!(90))
    );
    assert_eq!(served["includeTargets"][0]["id"], "g");
    for body in [
        json!({ "lifetimeInMinutes": 29 }),
        json!({ "lifetimeInMinutes": 91 }),
        json!({ "lifetimeInMinutes": "60" }),
        json!({ "isUsableOnce": false }),
        json!({ "startDateTime": "tomorrow" }),
        json!({ "temporaryAccessPass": "mine" }),
    ] {
        assert_eq!(post(&room, body.clone()).await.status, 400, "{body}");
    }
    for (user, status) in [("id-1", 201), ("id-2", 400), ("id-3", 400), ("nobody", 404)] {
        let path = format!("/v1.0/users/{user}/authentication/temporaryAccessPassMethods");
        assert_eq!(room.write("POST", &path, json!({})).await.status, status, "{user}");
    }
    assert_eq!(room.write("PATCH", POLICY, json!({ "state": "disabled" })).await.status, 204);
    let seen = room.get(PATH).await.body["value"][0].clone();
    assert_eq!(seen["methodUsabilityReason"], "DisabledByPolicy");
    assert_eq!(room.effects().len(), 1);
}

#[tokio::test]
async fn reads_may_lag_behind_a_creation() {
    let room = room(people(1), "not-yet-visible-ms=60000", "off").await;
    assert_eq!(post(&room, json!({})).await.status, 201);
    assert_eq!(room.get(PATH).await.body["value"], json!([]));
    assert_eq!(post(&room, json!({})).await.status, 400, "it is there all the same");
}
