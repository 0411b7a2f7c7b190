//! Members of groups: added, taken out, read; and the end of a group.

use super::{Heard, Room, people, room};
use serde_json::{Value, json};

pub(super) fn url(id: &str) -> String {
    format!("https://graph.microsoft.com/v1.0/directoryObjects/{id}")
}

fn bound(ids: &[&str]) -> Value {
    json!({ "members@odata.bind": ids.iter().map(|id| url(id)).collect::<Vec<_>>() })
}

/// Adds members in one request.
pub(super) async fn add(room: &Room, group: &str, ids: &[&str]) -> Heard {
    room.write("PATCH", &format!("/v1.0/groups/{group}"), bound(ids)).await
}

async fn add_one(room: &Room, group: &str, id: &str) -> Heard {
    let path = format!("/v1.0/groups/{group}/members/$ref");
    room.write("POST", &path, json!({ "@odata.id": url(id) })).await
}

pub(super) async fn remove(room: &Room, group: &str, id: &str) -> Heard {
    room.write("DELETE", &format!("/v1.0/groups/{group}/members/{id}/$ref"), Value::Null).await
}

pub(super) fn ids(heard: &Heard) -> Vec<String> {
    let list = heard.body["value"].as_array().unwrap_or_else(|| panic!("{}", heard.body));
    list.iter().map(|m| m["id"].as_str().unwrap().to_owned()).collect()
}

async fn members(room: &Room, group: &str) -> Vec<String> {
    ids(&room.get(&format!("/v1.0/groups/{group}/members")).await)
}

/// A tenant with these groups.
pub(super) async fn with(users: usize, groups: Value, faults: &str) -> Room {
    let mut state = people(users);
    state["groups"] = groups;
    room(state, faults, "off").await
}

const THERE: &str =
    "One or more added object references already exist for the following modified properties: 'members'.";

fn is_there(heard: &Heard) {
    assert_eq!((heard.status, heard.code()), (400, "Request_BadRequest"));
    assert_eq!(heard.body["error"]["message"], THERE);
}

#[tokio::test]
async fn twenty_are_added_or_nobody() {
    let room = with(40, json!([{ "id": "g1", "displayName": "One", "members": ["id-1"] }]), "").await;
    let names: Vec<String> = (2..=22).map(|n| format!("id-{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    assert_eq!(add(&room, "g1", &names).await.status, 400, "twenty-one are too many");
    is_there(&add(&room, "g1", &["id-2", "id-1"]).await);
    is_there(&add(&room, "g1", &["id-2", "id-3", "ID-2"]).await);
    let unknown = add(&room, "g1", &["id-2", "nobody"]).await;
    assert_eq!((unknown.status, unknown.code()), (404, "Request_ResourceNotFound"));
    assert_eq!(add(&room, "g9", &["id-2"]).await.status, 404);
    let mut both = bound(&["id-2"]);
    both["displayName"] = json!("Other");
    for body in [
        json!({ "displayName": "Other" }),
        json!({ "members@odata.bind": [] }),
        json!({ "members@odata.bind": ["id-2"] }),
        json!({ "members@odata.bind": ["https://graph.microsoft.com/v1.0/users/id-2"] }),
        json!({ "members@odata.bind": [7] }),
        json!({}),
        both,
    ] {
        let refused = room.write("PATCH", "/v1.0/groups/g1", body.clone()).await;
        assert_eq!((refused.status, refused.code()), (400, "Request_BadRequest"), "{body}");
    }
    assert_eq!(members(&room, "g1").await, ["id-1"]);
    assert!(room.effects().is_empty());

    let added = add(&room, "G1", &names[..20]).await;
    assert_eq!((added.status, added.body), (204, Value::Null));
    assert_eq!(members(&room, "g1").await.len(), 21);
    assert_eq!(room.effects_by_user().len(), 20);
    assert_eq!(room.effects_by_user()[0], "id-2 group null g1");
    assert_eq!(room.state("/groups/0/members/20").await, "id-21");
    assert_eq!(room.stats().await["byEndpoint"]["PATCH /v1.0/groups/{id}"], 13);
}

#[tokio::test]
async fn one_is_added_and_taken_out() {
    let room = with(3, json!([{ "id": "g1", "displayName": "One", "members": ["id-1"] }]), "").await;
    assert_eq!(add_one(&room, "g1", "id-2").await.status, 204);
    is_there(&add_one(&room, "g1", "id-2").await);
    assert_eq!(add_one(&room, "g1", "nobody").await.status, 404);
    let refs = "/v1.0/groups/g1/members/$ref";
    for body in [json!({}), json!({ "@odata.id": "id-3" }), json!({ "@odata.id": url("id-3"), "x": 1 })] {
        let refused = room.write("POST", refs, body).await;
        assert_eq!((refused.status, refused.code()), (400, "Request_BadRequest"));
    }
    assert_eq!(remove(&room, "g1", "id-1").await.status, 204);
    for absent in ["id-1", "id-3", "nobody"] {
        let refused = remove(&room, "g1", absent).await;
        assert_eq!((refused.status, refused.code()), (404, "Request_ResourceNotFound"), "{absent}");
    }
    let user = room.write("DELETE", "/v1.0/groups/g1/members/id-2", Value::Null).await;
    assert_eq!(user.status, 405, "that is the user itself");
    assert_eq!(members(&room, "g1").await, ["id-2"]);
    assert_eq!(room.get("/v1.0/users/id-2").await.status, 200);
    assert_eq!(room.effects_by_user(), ["id-2 group null g1", "id-1 group g1 null"]);
    assert_eq!(add_one(&room, "g1", "id-1").await.status, 204, "and in again");
    assert_eq!(members(&room, "g1").await, ["id-2", "id-1"]);
    let stats = room.stats().await;
    assert_eq!(stats["byEndpoint"]["DELETE /v1.0/groups/{id}/members/{id}"], 1);
}

#[tokio::test]
async fn groups_that_are_written_elsewhere_refuse() {
    let groups = json!([
        { "id": "rule", "type": "dynamic", "members": ["id-1"] },
        { "id": "synced", "onPremisesSyncEnabled": true, "members": ["id-1"] },
        { "id": "role", "isAssignableToRole": true, "members": ["id-1"] },
        { "id": "plain", "onPremisesSyncEnabled": false, "isAssignableToRole": false, "members": [] },
    ]);
    let room = with(2, groups, "").await;
    for (group, status, code) in [
        ("rule", 400, "Request_BadRequest"),
        ("synced", 400, "Request_BadRequest"),
        ("role", 403, "Authorization_RequestDenied"),
    ] {
        for refused in [
            add(&room, group, &["id-2"]).await,
            add_one(&room, group, "id-2").await,
            remove(&room, group, "id-1").await,
        ] {
            assert_eq!((refused.status, refused.code()), (status, code), "{group}");
        }
    }
    for (group, status) in [("synced", 400), ("role", 403), ("rule", 204), ("plain", 204)] {
        let heard = room.write("DELETE", &format!("/v1.0/groups/{group}"), Value::Null).await;
        assert_eq!(heard.status, status, "{group}");
    }
    assert_eq!(room.effects_by_user(), ["null group rule null", "null group plain null"]);
}

#[tokio::test]
async fn a_group_that_ends_is_nowhere_any_more() {
    let mut state = people(2);
    state["groups"] = json!([
        { "id": "g1", "displayName": "One", "members": ["id-1"] },
        { "id": "g2", "displayName": "Two", "members": ["g1", "id-2"] },
    ]);
    state["featureRolloutPolicies"] = json!([{ "id": "p1", "feature": "multiFactorAuthentication", "isEnabled": true,
        "appliesTo": [{ "id": "g1" }, { "id": "g2" }] }]);
    let room = room(state, "", "off").await;
    let transitive = "/v1.0/groups/g2/transitiveMembers";
    assert_eq!(ids(&room.get(transitive).await), ["g1", "id-2", "id-1"]);
    assert_eq!(room.write("DELETE", "/v1.0/groups/G1", Value::Null).await.status, 204);
    assert_eq!(room.get("/v1.0/groups/g1").await.status, 404);
    assert_eq!(room.get("/v1.0/groups/g1/members").await.status, 404);
    assert_eq!(ids(&room.get("/v1.0/groups").await), ["g2"]);
    assert_eq!(members(&room, "g2").await, ["id-2"]);
    assert_eq!(ids(&room.get(transitive).await), ["id-2"]);
    let applies = "/v1.0/policies/featureRolloutPolicies/p1/appliesTo";
    assert_eq!(ids(&room.get(applies).await), ["g2"]);
    assert_eq!(add(&room, "g1", &["id-2"]).await.status, 404);
    assert_eq!(add(&room, "g2", &["g1"]).await.status, 404);
    assert_eq!(room.write("DELETE", "/v1.0/groups/g1", Value::Null).await.status, 404);
    assert_eq!(
        room.effects_by_user(),
        ["null group g1 null", "g1 group g2 null", "null rolloutPolicy g1 null"]
    );
    assert_eq!(room.state("/groups/0/id").await, "g2");
    assert_eq!(room.state("/featureRolloutPolicies/0/appliesTo").await, json!([{ "id": "g2" }]));
}

#[tokio::test]
async fn pages_hide_nobody_and_show_nobody_twice_while_members_change() {
    let list: Vec<String> = (1..=9).map(|n| format!("id-{n}")).collect();
    let room = with(12, json!([{ "id": "g1", "members": list }]), "").await;
    for path in ["members", "transitiveMembers", "transitiveMembers/microsoft.graph.user"] {
        let path = format!("/v1.0/groups/g1/{path}?$top=3&$count=true&$select=id");
        let first = room.get(&path).await;
        assert_eq!(first.body["@odata.count"], 9, "{path}");
        remove(&room, "g1", "id-2").await;
        remove(&room, "g1", "id-4").await;
        add(&room, "g1", &["id-10"]).await;
        let second = room.get(first.body["@odata.nextLink"].as_str().unwrap()).await;
        assert_eq!(second.body["@odata.count"], 8);
        let third = room.get(second.body["@odata.nextLink"].as_str().unwrap()).await;
        assert_eq!(third.body["@odata.nextLink"], Value::Null, "{path}");
        let seen = [ids(&first), ids(&second), ids(&third)].concat();
        assert_eq!(seen.len(), 9, "{seen:?}");
        assert_eq!(seen.last().unwrap(), "id-10");
        assert!(!seen.contains(&"id-4".to_owned()), "{seen:?}");
        remove(&room, "g1", "id-10").await;
        // All as before, but for the order.
        for id in ["id-1", "id-2", "id-3", "id-4", "id-5", "id-6", "id-7", "id-8", "id-9"] {
            remove(&room, "g1", id).await;
            assert_eq!(add_one(&room, "g1", id).await.status, 204);
        }
    }
}

#[tokio::test]
async fn what_is_below_a_group_is_walked_anew_after_each_change() {
    let groups = json!([{ "id": "g1", "members": ["g2"] }, { "id": "g2", "members": ["id-1"] }]);
    let room = with(3, groups, "").await;
    let below = "/v1.0/groups/g1/transitiveMembers";
    assert_eq!(ids(&room.get(below).await), ["g2", "id-1"]);
    assert_eq!(add(&room, "g2", &["id-2"]).await.status, 204);
    assert_eq!(ids(&room.get(below).await), ["g2", "id-1", "id-2"]);
    assert_eq!(remove(&room, "g2", "id-1").await.status, 204);
    assert_eq!(ids(&room.get(below).await), ["g2", "id-2"]);
    assert_eq!(remove(&room, "g1", "g2").await.status, 204);
    assert_eq!(ids(&room.get(below).await), Vec::<String>::new());
    assert_eq!(add_one(&room, "g2", "g1").await.status, 204, "groups may be nested");
    assert_eq!(room.effects_by_user().last().unwrap(), "g1 group null g2");
}

#[tokio::test]
async fn members_are_asked_for_by_id() {
    let groups = json!([
        { "id": "g1", "members": ["id-1", "g2", "id-3"], "contacts": ["c-1"] },
        { "id": "g2", "displayName": "Inner", "members": ["id-2"] },
    ]);
    let room = with(20, groups, "").await;
    let path = "/v1.0/groups/g1/members";
    let asked = |filter: &str| format!("{path}?$count=true&$filter={}", filter.replace(' ', "%20"));
    let list = |n: usize| {
        let all: Vec<String> = (1..=n).map(|i| format!("'id-{i}'")).collect();
        format!("id in ({})", all.join(","))
    };
    let one = room.get(&asked("id eq 'ID-3'")).await;
    assert_eq!((ids(&one), &one.body["@odata.count"]), (vec!["id-3".to_owned()], &json!(1)));
    let some = room.get(&asked("id in ('id-3','c-1','nobody','id-2','G2','id-1')")).await;
    assert_eq!(ids(&some), ["id-1", "g2", "id-3", "c-1"], "of the group itself, not of those in it");
    let types: Vec<&str> =
        some.body["value"].as_array().unwrap().iter().map(|m| m["@odata.type"].as_str().unwrap()).collect();
    assert_eq!(
        types,
        [
            "#microsoft.graph.user",
            "#microsoft.graph.group",
            "#microsoft.graph.user",
            "#microsoft.graph.orgContact"
        ]
    );
    assert_eq!(ids(&room.get(&asked("id eq 'id-2'")).await), Vec::<String>::new());
    let paged = room.get(&format!("{}&$top=1", asked("id in ('id-3','id-1')"))).await;
    assert_eq!(ids(&paged), ["id-1"]);
    assert_eq!(ids(&room.get(paged.body["@odata.nextLink"].as_str().unwrap()).await), ["id-3"]);
    assert_eq!(ids(&room.get(&asked(&list(15))).await), ["id-1", "id-3"]);
    assert_eq!(room.get(&asked(&list(16))).await.status, 400);
    for filter in ["startsWith(id,'id')", "displayName eq 'Inner'", "id eq null", "id ne 'id-1'"] {
        assert_eq!(room.get(&asked(filter)).await.status, 400, "{filter}");
    }
    let uncounted = room.get(&format!("{path}?$filter=id%20eq%20'id-1'")).await;
    assert_eq!((uncounted.status, uncounted.code()), (400, "Request_UnsupportedQuery"));
    let plain = room.send_with("GET", &asked("id eq 'id-1'"), None, &[]).await.unwrap();
    assert_eq!((plain.status, plain.code()), (400, "Request_UnsupportedQuery"));
    assert_eq!(
        room.send_with("GET", path, None, &[]).await.unwrap().status,
        200,
        "without a filter it is not"
    );
    let below = "/v1.0/groups/g1/transitiveMembers?$filter=id%20eq%20'id-1'";
    assert_eq!(room.get(below).await.status, 400, "not understood, so not answered");
}

#[tokio::test]
async fn a_tenant_goes_on_from_its_own_answer() {
    let groups = json!([
        { "id": "g1", "type": "assigned", "isAssignableToRole": false, "onPremisesSyncEnabled": false,
          "members": ["g2", "stranger", "c-2", "id-1"], "contacts": ["c-1", "c-2"] },
        { "id": "g2", "displayName": "Later in the file", "members": [] },
    ]);
    let first = with(3, groups, "").await;
    assert_eq!(members(&first, "g1").await, ["g2", "c-2", "id-1", "c-1"], "a stranger is shown to nobody");
    assert_eq!(add(&first, "g1", &["id-3"]).await.status, 204);
    assert_eq!(remove(&first, "g1", "c-1").await.status, 204, "a contact is a member");
    assert_eq!(remove(&first, "g1", "stranger").await.status, 404);
    let state = first.state("").await;
    assert_eq!(state["groups"][0]["members"], json!(["g2", "stranger", "c-2", "id-1", "id-3"]));
    assert_eq!(state["groups"][0]["contacts"], json!(["c-2"]));
    assert_eq!(state["groups"][1].get("contacts"), None);
    let second = room(state.clone(), "", "off").await;
    assert_eq!(members(&second, "g1").await, members(&first, "g1").await);
    assert_eq!(second.state("").await, state);
}

#[tokio::test]
async fn objects_are_told_with_what_is_asked_of_them() {
    let state = json!({
        "users": [
            { "id": "id-1", "userPrincipalName": "a@x.example", "onPremisesSyncEnabled": true },
            { "id": "id-2", "userPrincipalName": "b@x.example", "userType": "Guest" },
        ],
        "groups": [{ "id": "g1", "displayName": "One", "type": "dynamic", "onPremisesSyncEnabled": true,
            "isAssignableToRole": true, "members": [], "contacts": ["c-1"] }],
    });
    let room = room(state, "", "off").await;
    let path = "/v1.0/directoryObjects/getByIds";
    let select = format!("{path}?$select=id,onPremisesSyncEnabled,userType");
    let users = room.write("POST", &select, json!({ "ids": ["id-1", "id-2"], "types": ["user"] })).await;
    assert_eq!(
        users.body["value"],
        json!([
            { "@odata.type": "#microsoft.graph.user", "id": "id-1", "onPremisesSyncEnabled": true, "userType": "Member" },
            { "@odata.type": "#microsoft.graph.user", "id": "id-2", "onPremisesSyncEnabled": null, "userType": "Guest" },
        ])
    );
    let many = |n: usize| json!({ "ids": vec!["id-1"; n], "types": ["user"] });
    assert_eq!(room.write("POST", &select, many(1000)).await.status, 200);
    assert_eq!(room.write("POST", &select, many(1001)).await.status, 400);
    assert_eq!(
        ids(&room.write("POST", path, json!({ "ids": ["c-1", "g1", "nobody"] })).await),
        ["c-1", "g1"]
    );
    let selected = "id,displayName,groupTypes,onPremisesSyncEnabled,isAssignableToRole,securityEnabled";
    let group = room.get(&format!("/v1.0/groups/g1?$select={selected}")).await.body;
    let expected = json!({ "id": "g1", "displayName": "One", "groupTypes": ["DynamicMembership"],
        "onPremisesSyncEnabled": true, "isAssignableToRole": true, "securityEnabled": true });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&group[name], value, "{name}");
    }
    assert_eq!(group.as_object().unwrap().len(), 7, "these and the context");
}
