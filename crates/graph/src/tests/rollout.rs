//! The rollout of MFA, read: its policy, its groups, who is in them, and users by their ids.

use super::Far;
use crate::{Bucket, Error, GroupFacts, GroupMember, MemberKind, Pace, Reader, RolloutPolicy, UserFacts};
use contract::EntraId;
use serde_json::{Value, json};
use std::time::Duration;

fn reader(far: &Far) -> Reader {
    Reader::new(far.config(), Pace::new()).expect("a reader")
}

fn id(text: &str) -> EntraId {
    EntraId(text.to_owned())
}

fn ids(n: usize) -> Vec<EntraId> {
    (0..n).map(|n| id(&format!("u{n}"))).collect()
}

fn rollout(id: &str, feature: &str, groups: &[&str]) -> Value {
    let groups: Vec<Value> =
        groups.iter().map(|g| json!({ "@odata.type": "#microsoft.graph.group", "id": g })).collect();
    json!({ "id": id, "displayName": "MFA", "feature": feature, "isEnabled": true,
        "isAppliedToOrganization": false, "appliesTo": groups })
}

#[tokio::test]
async fn the_policy_is_found_among_those_of_other_features_on_any_page() {
    let far = Far::start().await;
    let next = format!("{}/v1.0/policies/featureRolloutPolicies?$skiptoken=x", far.origin);
    far.json(json!({ "value": [rollout("p1", "passwordHashSync", &["g9"])], "@odata.nextLink": next }))
        .json(json!({ "value": [rollout("p2", "multiFactorAuthentication", &["g1", "g2"])] }));
    let policy = reader(&far).rollout_policy().await.expect("an answer");
    let expected = RolloutPolicy {
        id: "p2".to_owned(),
        name: "MFA".to_owned(),
        enabled: true,
        for_everyone: false,
        groups: vec![id("g1"), id("g2")],
    };
    assert_eq!(policy, Some(expected));
    let seen = far.seen();
    assert_eq!((seen.len(), seen[0].method.as_str()), (2, "GET"));
    assert_eq!(seen[0].path, "/v1.0/policies/featureRolloutPolicies?$expand=appliesTo");
    assert_eq!(seen[1].path, "/v1.0/policies/featureRolloutPolicies?$skiptoken=x");
    for seen in seen {
        assert_eq!(seen.header("prefer"), "include-unknown-enum-members");
        assert_eq!(seen.header("consistencylevel"), "");
    }
}

#[tokio::test]
async fn a_tenant_may_have_no_policy_but_not_two() {
    let far = Far::start().await;
    far.json(json!({ "value": [] }))
        .json(json!({ "value": [rollout("p1", "seamlessSso", &[])] }))
        .json(json!({ "value": [rollout("p1", "multiFactorAuthentication", &[]), rollout("p2", "multiFactorAuthentication", &[])] }));
    let reader = reader(&far);
    assert_eq!(reader.rollout_policy().await.expect("an answer"), None);
    assert_eq!(reader.rollout_policy().await.expect("an answer"), None);
    assert!(matches!(reader.rollout_policy().await, Err(Error::Shape { .. })));
}

#[tokio::test]
async fn groups_that_the_expansion_leaves_out_are_fetched_and_absences_mean_no() {
    let far = Far::start().await;
    let mut cut = rollout("p", "multiFactorAuthentication", &["g1"]);
    cut["appliesTo@odata.nextLink"] = json!(format!("{}/v1.0/more", far.origin));
    let bare = json!({ "id": "p", "feature": "multiFactorAuthentication" });
    far.json(json!({ "value": [cut] }))
        .json(json!({ "value": [{ "id": "g2" }] }))
        .json(json!({ "value": [bare] }));
    let reader = reader(&far);
    let policy = reader.rollout_policy().await.expect("an answer").expect("a policy");
    assert_eq!(policy.groups, vec![id("g1"), id("g2")]);
    assert_eq!((far.seen()[1].path.as_str(), far.seen()[1].header("prefer")), ("/v1.0/more", ""));
    let policy = reader.rollout_policy().await.expect("an answer").expect("a policy");
    assert_eq!((policy.name.as_str(), policy.enabled, policy.for_everyone), ("", false, false));
    assert!(policy.groups.is_empty());
}

#[tokio::test]
async fn a_group_is_told_by_what_decides_of_its_use() {
    let far = Far::start().await;
    far.json(json!({ "id": "g1", "displayName": "Rollout", "groupTypes": ["Unified", "DynamicMembership"],
            "onPremisesSyncEnabled": true, "isAssignableToRole": true }))
        .json(json!({ "id": "g2", "displayName": null, "groupTypes": [], "onPremisesSyncEnabled": null }))
        .status(404, "Request_ResourceNotFound");
    let reader = reader(&far);
    let facts = |id: &str, name: &str, yes| GroupFacts {
        id: EntraId(id.to_owned()),
        name: name.to_owned(),
        dynamic: yes,
        synced: yes,
        role_assignable: yes,
    };
    assert_eq!(reader.group("g/1").await.expect("a group"), facts("g1", "Rollout", true));
    assert_eq!(reader.group("g2").await.expect("a group"), facts("g2", "", false));
    assert!(matches!(reader.group("g3").await, Err(Error::NotFound)));
    let seen = &far.seen()[0];
    assert_eq!(seen.method, "GET");
    assert_eq!(
        seen.path,
        "/v1.0/groups/g%2F1?$select=id,displayName,groupTypes,onPremisesSyncEnabled,isAssignableToRole"
    );
    assert_eq!((seen.header("prefer"), seen.header("consistencylevel")), ("", ""));
}

#[tokio::test]
async fn direct_members_come_by_page_and_by_what_they_are() {
    let far = Far::start().await;
    let next = format!("{}/v1.0/groups/g/members?$skiptoken=x", far.origin);
    let of = |id: &str, kind: &str| json!({ "@odata.type": format!("#microsoft.graph.{kind}"), "id": id });
    far.json(json!({ "@odata.nextLink": next, "value": [
            of("1", "user"), of("2", "group"), of("3", "device"), of("4", "orgContact"), { "id": "5" },
        ] }))
    .json(json!({ "value": [of("6", "user")] }));
    let reader = reader(&far);
    let first = reader.direct_members_page("g", None).await.expect("a page");
    let kinds: Vec<MemberKind> = first.items.iter().map(|member| member.kind).collect();
    let other = MemberKind::Other;
    assert_eq!(kinds, [MemberKind::User, MemberKind::Group, other, other, other]);
    let second = reader.direct_members_page("g", first.next.as_deref()).await.expect("a page");
    assert_eq!(second.items, vec![GroupMember { id: id("6"), kind: MemberKind::User }]);
    assert_eq!(second.next, None);
    let seen = far.seen();
    assert_eq!(seen[0].path, "/v1.0/groups/g/members?$select=id&$top=999");
    assert_eq!(seen[1].path, "/v1.0/groups/g/members?$skiptoken=x");
    assert!(seen.iter().all(|s| s.method == "GET" && s.header("prefer").is_empty()));
    assert!(seen.iter().all(|s| s.header("consistencylevel").is_empty()));
}

#[tokio::test]
async fn members_among_users_are_asked_for_by_fifteen() {
    let far = Far::start().await;
    let next = format!("{}/v1.0/groups/g/members?$skiptoken=x", far.origin);
    far.json(json!({ "@odata.count": 2, "@odata.nextLink": next, "value": [{ "id": "u1" }] }))
        .json(json!({ "value": [{ "id": "u14" }] }))
        .json(json!({ "value": [] }))
        .json(json!({ "value": [{ "id": "u30" }] }));
    let reader = reader(&far);
    let found = reader.members_among("g", &ids(31)).await.expect("members");
    assert_eq!(found, vec![id("u1"), id("u14"), id("u30")]);
    let seen = far.seen();
    assert_eq!(seen.len(), 4, "three questions, one of which has two pages");
    let asked: Vec<usize> = seen.iter().map(|s| s.path.matches("%27u").count()).collect();
    assert_eq!(asked, [15, 0, 15, 1]);
    assert_eq!(
        seen[3].path,
        "/v1.0/groups/g/members?$filter=id%20in%20%28%27u30%27%29&$count=true&$select=id"
    );
    for seen in seen {
        assert_eq!((seen.method.as_str(), seen.header("consistencylevel")), ("GET", "eventual"));
        assert_eq!(seen.header("prefer"), "");
    }
    assert!(reader.members_among("g", &[]).await.expect("members").is_empty());
    assert_eq!(far.seen().len(), 4, "nobody is nothing to ask for");
}

#[tokio::test]
async fn an_id_ends_neither_the_filter_nor_the_path() {
    let far = Far::start().await;
    far.json(json!({ "value": [] }));
    let reader = reader(&far);
    assert!(reader.members_among("g?x", &[id("a'b"), id("c&d")]).await.expect("members").is_empty());
    assert!(
        far.seen()[0].path.starts_with(
            "/v1.0/groups/g%3Fx/members?$filter=id%20in%20%28%27a%27%27b%27%2C%27c%26d%27%29&$count="
        ),
        "{}",
        far.seen()[0].path
    );
}

#[tokio::test]
async fn users_are_asked_for_by_the_thousand_and_who_is_gone_is_not_told() {
    let far = Far::start().await;
    far.json(json!({ "value": [
            { "@odata.type": "#microsoft.graph.user", "id": "u0", "userType": "Member", "onPremisesSyncEnabled": true },
            { "id": "u1", "userType": "Guest", "onPremisesSyncEnabled": null },
            { "id": "u2", "userType": null, "onPremisesSyncEnabled": false },
        ] }))
        .json(json!({ "value": [{ "id": "u1000", "userType": "guest" }] }));
    let reader = reader(&far);
    let facts = |id: &str, guest, synced| UserFacts { id: EntraId(id.to_owned()), guest, synced };
    assert_eq!(
        reader.users_by_ids(&ids(1_001)).await.expect("users"),
        vec![
            facts("u0", false, true),
            facts("u1", true, false),
            facts("u2", false, false),
            facts("u1000", true, false)
        ]
    );
    let seen = far.seen();
    assert_eq!(seen.len(), 2);
    for seen in &seen {
        assert_eq!(seen.method, "POST");
        assert_eq!(seen.path, "/v1.0/directoryObjects/getByIds?$select=id,userType,onPremisesSyncEnabled");
        assert_eq!(seen.header("content-type"), "application/json");
        assert_eq!((seen.header("prefer"), seen.header("consistencylevel")), ("", ""));
        assert_eq!(seen.body["types"], json!(["user"]));
    }
    assert_eq!(seen[0].body["ids"].as_array().map(Vec::len), Some(1_000));
    assert_eq!(seen[1].body, json!({ "ids": ["u1000"], "types": ["user"] }));
    assert!(reader.users_by_ids(&[]).await.expect("users").is_empty());
    assert_eq!((reader.counts().requests, reader.counts().writes), (2, 0), "a POST that writes nothing");
}

#[tokio::test]
async fn a_read_by_post_has_the_patience_of_reads_and_follows_pages() {
    let far = Far::start().await;
    let next = format!("{}/v1.0/directoryObjects/more", far.origin);
    far.throttle(Some("0.3"))
        .status(503, "x")
        .json(json!({ "value": [{ "id": "u0" }], "@odata.nextLink": next }))
        .json(json!({ "value": [{ "id": "u1" }] }))
        .status(403, "Authorization_RequestDenied");
    let reader = reader(&far);
    let found = reader.users_by_ids(&ids(2)).await.expect("users");
    assert_eq!(found.iter().map(|user| user.id.0.as_str()).collect::<Vec<_>>(), ["u0", "u1"]);
    let seen = far.seen();
    let methods: Vec<&str> = seen.iter().map(|s| s.method.as_str()).collect();
    assert_eq!(methods, ["POST", "POST", "POST", "GET"]);
    assert!(seen[..3].iter().all(|s| s.body == seen[0].body));
    assert!(seen[1].at - seen[0].at >= Duration::from_millis(295), "the pace holds reads of the directory");
    assert!(reader.pace().of(Bucket::Groups).held_for.is_none());
    assert!(matches!(reader.users_by_ids(&ids(1)).await, Err(Error::Forbidden { .. })));
    assert_eq!(far.seen().len(), 5);
}
