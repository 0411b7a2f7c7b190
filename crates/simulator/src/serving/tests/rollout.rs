//! Feature rollout policies: made, changed, ended, groups in and out, and Microsoft's limits.

use super::groups::{add, ids, remove, url};
use super::{Heard, Room, people, room};
use serde_json::{Value, json};

const POLICIES: &str = "/v1.0/policies/featureRolloutPolicies";
const MFA: &str = "multiFactorAuthentication";
const KNOWN: [(&str, &str); 1] = [("Prefer", "return=minimal, include-unknown-enum-members")];

fn wanted(feature: &str) -> Value {
    json!({ "displayName": "Rollout", "feature": feature, "isEnabled": true })
}

async fn apply(room: &Room, policy: &str, group: &str) -> Heard {
    let path = format!("{POLICIES}/{policy}/appliesTo/$ref");
    room.write("POST", &path, json!({ "@odata.id": url(group) })).await
}

async fn unapply(room: &Room, policy: &str, group: &str) -> Heard {
    room.write("DELETE", &format!("{POLICIES}/{policy}/appliesTo/{group}/$ref"), Value::Null).await
}

/// A tenant with these groups and one policy, `p1`, that is enabled and applies to `there`.
async fn with(users: usize, groups: Value, there: &[&str]) -> Room {
    let mut state = people(users);
    state["groups"] = groups;
    let list: Vec<Value> = there.iter().map(|id| json!({ "id": id })).collect();
    state["featureRolloutPolicies"] = json!([{ "id": "p1", "displayName": "Rollout", "feature": MFA,
        "isEnabled": true, "isAppliedToOrganization": false, "appliesTo": list }]);
    room(state, "", "off").await
}

#[tokio::test]
async fn a_policy_is_made_once_a_feature() {
    let room = room(people(1), "", "off").await;
    for lacking in ["displayName", "feature", "isEnabled"] {
        let mut body = wanted(MFA);
        body.as_object_mut().unwrap().remove(lacking);
        assert_eq!(room.write("POST", POLICIES, body).await.status, 400, "{lacking}");
    }
    for (name, value) in [
        ("feature", json!("unknownFutureValue")),
        ("feature", json!("magic")),
        ("isEnabled", json!("yes")),
        ("displayName", json!("")),
        ("displayName", Value::Null),
        ("description", json!(7)),
        ("isAppliedToOrganization", json!(7)),
        ("appliesTo", json!([])),
        ("id", json!("mine")),
    ] {
        let mut body = wanted(MFA);
        body[name] = value;
        assert_eq!(room.write("POST", POLICIES, body.clone()).await.status, 400, "{body}");
    }
    assert!(room.effects().is_empty());
    let made = room.write("POST", POLICIES, wanted(MFA)).await;
    assert_eq!((made.status, &made.body["feature"]), (201, &json!(MFA)));
    assert_eq!(made.body["isAppliedToOrganization"], false);
    let id = made.body["id"].as_str().unwrap();
    assert_eq!(room.get(&format!("{POLICIES}/{id}")).await.body["displayName"], "Rollout");
    let second = room.write("POST", POLICIES, wanted(MFA)).await;
    assert_eq!((second.status, second.code()), (400, "Request_BadRequest"));
    let other = room.write("POST", POLICIES, wanted("seamlessSso")).await;
    assert_eq!(other.status, 201, "another feature");
    assert_ne!(other.body["id"], made.body["id"]);
    assert_eq!(
        room.effects_by_user(),
        ["null rolloutPolicy null created", "null rolloutPolicy null created"]
    );
    assert_eq!(room.state("/featureRolloutPolicies/0/appliesTo").await, json!([]));
    assert_eq!(room.write("DELETE", &format!("{POLICIES}/{id}"), Value::Null).await.status, 204);
    assert_eq!(room.write("POST", POLICIES, wanted(MFA)).await.status, 201, "it makes room for another");
}

#[tokio::test]
async fn a_policy_is_switched_renamed_and_ended() {
    let room = with(1, json!([{ "id": "g1", "members": ["id-1"] }]), &["g1"]).await;
    let path = format!("{POLICIES}/P1");
    for body in [
        json!({}),
        json!({ "isEnabled": "no" }),
        json!({ "displayName": null }),
        json!({ "feature": "seamlessSso" }),
        json!({ "isEnabled": false, "isAppliedToOrganization": true }),
    ] {
        assert_eq!(room.write("PATCH", &path, body.clone()).await.status, 400, "{body}");
    }
    let off = room.write("PATCH", &path, json!({ "isEnabled": false })).await;
    assert_eq!((off.status, off.body), (204, Value::Null));
    assert_eq!(room.get(&path).await.body["isEnabled"], false);
    let texts = json!({ "displayName": "Second", "description": "Since Monday" });
    assert_eq!(room.write("PATCH", &path, texts).await.status, 204);
    let seen = room.get(&path).await.body;
    assert_eq!((&seen["displayName"], &seen["description"]), (&json!("Second"), &json!("Since Monday")));
    assert_eq!(seen["appliesTo"], Value::Null);
    for gone in ["PATCH", "DELETE"] {
        let body = if gone == "PATCH" { json!({ "isEnabled": true }) } else { Value::Null };
        assert_eq!(room.write(gone, &format!("{POLICIES}/p2"), body).await.status, 404);
    }
    assert_eq!(room.write("DELETE", &path, Value::Null).await.status, 204);
    assert_eq!(room.get(&path).await.status, 404);
    assert_eq!(apply(&room, "p1", "g1").await.status, 404);
    assert_eq!(room.get(POLICIES).await.body["value"], json!([]));
    assert_eq!(room.state("/featureRolloutPolicies").await, json!([]));
    assert_eq!(
        room.effects(),
        [
            "rolloutPolicy enabled disabled",
            "rolloutPolicyName Rollout Second",
            "rolloutPolicyDescription null Since Monday",
            "rolloutPolicy g1 null",
            "rolloutPolicy created null",
        ]
    );
}

#[tokio::test]
async fn a_later_feature_shows_its_name_only_to_who_asks_for_such_names() {
    let room = with(1, json!([]), &[]).await;
    room.write("POST", POLICIES, wanted("certificateBasedAuthentication")).await;
    room.write("POST", POLICIES, wanted("passwordHashSync")).await;
    let features = |heard: Heard| -> Vec<String> {
        let list = heard.body["value"].as_array().unwrap().clone();
        list.iter().map(|p| p["feature"].as_str().unwrap().to_owned()).collect()
    };
    let future = "unknownFutureValue";
    assert_eq!(features(room.get(POLICIES).await), [future, future, "passwordHashSync"]);
    assert_eq!(room.get(&format!("{POLICIES}/p1")).await.body["feature"], future);
    let known = room.send_with("GET", POLICIES, None, &KNOWN).await.unwrap();
    assert_eq!(features(known), [MFA, "certificateBasedAuthentication", "passwordHashSync"]);
    let one = room.send_with("GET", &format!("{POLICIES}/p1"), None, &KNOWN).await.unwrap();
    assert_eq!(one.body["feature"], MFA);
    let url = "/policies/featureRolloutPolicies/p1";
    let bundle = json!({ "requests": [
        { "id": "1", "method": "GET", "url": url },
        { "id": "2", "method": "GET", "url": url, "headers": { "prefer": "include-unknown-enum-members" } },
    ]});
    let heard = room.send_with("POST", "/v1.0/$batch", Some(bundle), &KNOWN).await.unwrap();
    let of = |id: &str| {
        let list = heard.body["responses"].as_array().unwrap();
        list.iter().find(|r| r["id"] == id).unwrap()["body"]["feature"].clone()
    };
    assert_eq!((of("1"), of("2")), (json!(future), json!(MFA)), "an item's own headers count");
}

#[tokio::test]
async fn groups_come_and_go() {
    let groups =
        json!([{ "id": "g1", "displayName": "One", "members": ["id-1"] }, { "id": "g2", "members": [] }]);
    let room = with(1, groups, &[]).await;
    for unknown in ["g9", "id-1"] {
        let refused = apply(&room, "p1", unknown).await;
        assert_eq!((refused.status, refused.code()), (404, "Request_ResourceNotFound"), "{unknown}");
    }
    assert_eq!(apply(&room, "p9", "g1").await.status, 404);
    let refs = format!("{POLICIES}/p1/appliesTo/$ref");
    assert_eq!(room.write("POST", &refs, json!({ "@odata.id": "g1" })).await.status, 400);
    let applied = apply(&room, "p1", "G1").await;
    assert_eq!((applied.status, applied.body), (204, Value::Null));
    let again = apply(&room, "p1", "g1").await;
    assert_eq!((again.status, again.code()), (400, "Request_BadRequest"));
    assert_eq!(apply(&room, "p1", "g2").await.status, 204);
    let list = room.get(&format!("{POLICIES}/p1/appliesTo")).await;
    assert_eq!(ids(&list), ["g1", "g2"]);
    assert_eq!(list.body["value"][0]["@odata.type"], "#microsoft.graph.group");
    assert_eq!(list.body["value"][0]["displayName"], "One");
    let expanded = room.get(&format!("{POLICIES}?$expand=appliesTo")).await;
    assert_eq!(expanded.body["value"][0]["appliesTo"][1]["id"], "g2");
    assert_eq!(unapply(&room, "p1", "G1").await.status, 204);
    for (policy, group) in [("p1", "g1"), ("p1", "g9"), ("p9", "g2")] {
        assert_eq!(unapply(&room, policy, group).await.status, 404, "{policy} {group}");
    }
    assert_eq!(ids(&room.get(&format!("{POLICIES}/p1/appliesTo")).await), ["g2"]);
    assert_eq!(
        room.effects_by_user(),
        ["null rolloutPolicy null g1", "null rolloutPolicy null g2", "null rolloutPolicy g1 null"]
    );
    let state = room.state("/featureRolloutPolicies/0").await;
    assert_eq!((&state["appliesTo"][0]["id"], &state["feature"]), (&json!("g2"), &json!(MFA)));
}

#[tokio::test]
async fn some_groups_and_an_eleventh_are_not_taken() {
    let mut groups: Vec<Value> = (1..=11).map(|n| json!({ "id": format!("g{n}"), "members": [] })).collect();
    let users = |n: usize| (1..=n).map(|i| format!("id-{i}")).collect::<Vec<_>>();
    groups.extend([
        json!({ "id": "rule", "type": "dynamic", "members": [] }),
        json!({ "id": "nested", "members": ["id-1", "g1"] }),
        json!({ "id": "contacts", "members": [], "contacts": ["c-1"] }),
        json!({ "id": "201", "members": users(201) }),
        json!({ "id": "200", "members": users(200) }),
    ]);
    let room = with(201, Value::from(groups), &[]).await;
    for odd in ["rule", "nested", "contacts", "201"] {
        let refused = apply(&room, "p1", odd).await;
        assert_eq!((refused.status, refused.code()), (400, "Request_BadRequest"), "{odd}");
    }
    assert_eq!(apply(&room, "p1", "200").await.status, 204);
    assert_eq!(add(&room, "200", &["id-201"]).await.status, 204, "it may grow afterwards");
    for n in 1..=9 {
        assert_eq!(apply(&room, "p1", &format!("g{n}")).await.status, 204, "{n}");
    }
    let eleventh = apply(&room, "p1", "g10").await;
    assert_eq!((eleventh.status, eleventh.code()), (400, "Request_BadRequest"));
    unapply(&room, "p1", "g1").await;
    assert_eq!(apply(&room, "p1", "g10").await.status, 204);
    for (group, member) in [("201", "id-7"), ("nested", "g1"), ("contacts", "c-1")] {
        assert_eq!(remove(&room, group, member).await.status, 204);
        unapply(&room, "p1", "g2").await;
        assert_eq!(apply(&room, "p1", group).await.status, 204, "{group} is plain now");
        unapply(&room, "p1", group).await;
    }
}

#[tokio::test]
async fn a_group_of_a_policy_has_fifty_thousand_users_and_no_more() {
    let most: Vec<String> = (1..50_000).map(|n| format!("id-{n}")).collect();
    let groups = json!([{ "id": "g1", "members": most }, { "id": "g2", "members": most }, { "id": "g3", "members": [] }]);
    let room = with(50_003, groups, &["g1"]).await;
    for enabled in [true, false] {
        let path = format!("{POLICIES}/p1");
        assert_eq!(room.write("PATCH", &path, json!({ "isEnabled": enabled })).await.status, 204);
        let full = add(&room, "g1", &["id-50001", "id-50002"]).await;
        assert_eq!((full.status, full.code()), (400, "Request_BadRequest"), "all or none, enabled or not");
    }
    assert_eq!(add(&room, "g1", &["id-50001"]).await.status, 204);
    assert_eq!(add(&room, "g1", &["id-50002"]).await.status, 400);
    assert_eq!(add(&room, "g1", &["g3"]).await.status, 204, "a group is no user");
    assert_eq!(remove(&room, "g1", "id-1").await.status, 204);
    assert_eq!(add(&room, "g1", &["id-50002"]).await.status, 204);
    assert_eq!(
        add(&room, "g2", &["id-50000", "id-50001", "id-50002"]).await.status,
        204,
        "no policy, no limit"
    );
    unapply(&room, "p1", "g1").await;
    assert_eq!(add(&room, "g1", &["id-50003"]).await.status, 204);
}
