//! The groups and the policy of the staged rollout: which can be used, within which limits, and who answers for the policy.

use crate::rollout::{
    CONFIG, everybody, group, id, members, migrated, policy, rollout, somebody, state, user, with,
};
use harness::Tenant;
use serde_json::{Value, json};

#[test]
fn each_group_is_refused_by_its_own_code() {
    let mut groups = json!([
        group(1, "Fine"),
        group(2, "Dynamic"),
        group(3, "Synced"),
        group(4, "Roles"),
        group(5, "Nested"),
        group(6, "Contacts"),
        group(7, "Full of others"),
        group(8, "Scope"),
    ]);
    groups[1]["type"] = json!("dynamic");
    groups[2]["onPremisesSyncEnabled"] = json!(true);
    groups[3]["isAssignableToRole"] = json!(true);
    groups[4]["members"] = json!([id(1, 0)]);
    groups[5]["contacts"] = json!([id(9, 1)]);
    groups[6]["members"] = json!([user(1)]);
    let (tenant, site) = with(&state(2, &groups), 2, &[]);
    site.run(&["migrate", "--datafile", "users.ndjson"]).expect(&[0]);
    site.run(&["verify"]).expect(&[0]);
    assert_eq!(
        tenant.call(
            "POST",
            &format!("/v1.0/groups/{}/members/$ref", id(8, 0)),
            &json!({
        "@odata.id": format!("https://graph.microsoft.com/v1.0/directoryObjects/{}", user(2)) })
        ),
        204
    );
    site.run(&["batch", "create", "scoped", "--entra-group", "scope"]).expect(&[0]);
    let before = tenant.state();
    let all = [
        ("Dynamic", "rollout-group-dynamic"),
        ("Synced", "rollout-group-synced"),
        ("Roles", "rollout-group-role-assignable"),
        ("Nested", "rollout-group-nested"),
        ("Contacts", "rollout-group-not-users"),
        ("Full of others", "rollout-group-not-empty"),
        ("Scope", "rollout-group-scope"),
    ];
    let mut more = vec!["--all", "--group", "Fine"];
    for (name, _) in all {
        more.extend(["--group", name]);
    }
    for verb in ["plan", "apply"] {
        let refused = rollout(&site, verb, &more).expect(&[2]);
        for (name, code) in all {
            assert!(refused.err.contains(&format!("{name}: {code}: ")), "{name}: {}", refused.err);
        }
        assert!(!refused.err.contains("Fine:"), "{}", refused.err);
    }
    for (group, why) in [("Nobody", "no group called"), (id(9, 9).as_str(), "there is no group")] {
        let refused = rollout(&site, "apply", &["--all", "--group", group]).expect(&[2]);
        assert!(refused.err.contains(why), "{}", refused.err);
    }
    site.configure(&CONFIG.replace("\"Rollout A\"", ""));
    let refused = rollout(&site, "apply", &["--all"]).expect(&[2]);
    assert!(refused.err.contains("no group was named"), "{}", refused.err);
    assert_eq!(tenant.state(), before, "nothing was written");
}

#[test]
fn the_policy_is_let_act_only_where_it_reroutes_nobody_unseen() {
    let mut state = state(3, &json!([group(1, "Rollout A"), group(2, "Rollout B")]));
    state["featureRolloutPolicies"] = policy(false, &[2]);
    state["groups"][1]["members"] = json!([user(3)]);
    let (tenant, site) = with(&state, 3, &[]);
    migrated(&site);
    let refused = rollout(&site, "apply", &["--all"]).expect(&[2]);
    assert!(refused.err.contains("1 users in its groups"), "{}", refused.err);
    somebody(&tenant, 2, 3, false);
    rollout(&site, "apply", &["--all"]).expect(&[0]);
    let policies = tenant.state()["featureRolloutPolicies"].clone();
    assert_eq!((policies.as_array().unwrap().len(), &policies[0]["isEnabled"]), (1, &json!(true)));
    assert_eq!(members(&tenant, 1), everybody(3));
    let whole = json!({ "users": tenant.state()["users"], "groups": tenant.state()["groups"],
        "featureRolloutPolicies": [{ "id": "p", "displayName": "All", "feature": "multiFactorAuthentication",
            "isEnabled": true, "isAppliedToOrganization": true, "appliesTo": [] }] });
    let (_tenant, site) = with(&whole, 3, &[]);
    migrated(&site);
    let refused = rollout(&site, "apply", &["--all"]).expect(&[2]);
    assert!(refused.err.contains("whole organization"), "{}", refused.err);
}

#[test]
fn where_an_administrator_has_seen_to_the_policy_it_need_not_be_seen() {
    let mut state = state(25, &json!([group(1, "Rollout A"), group(2, "Rollout B")]));
    state["featureRolloutPolicies"] = policy(true, &[1]);
    state["groups"][0]["members"] = json!([user(3)]);
    let (tenant, site) = with(&state, 25, &[]);
    migrated(&site);
    let reads = |tenant: &Tenant| {
        let endpoints = tenant.stats()["byEndpoint"].clone();
        let of = endpoints.as_object().unwrap().iter().filter(|(name, _)| name.contains("featureRollout"));
        of.map(|(_, n)| n.as_u64().unwrap()).sum::<u64>()
    };
    let before = reads(&tenant);
    let told = rollout(&site, "apply", &["--all", "--policy-unseen"]).expect(&[0]).json();
    assert_eq!(
        (&told["entries"]["applied"], &told["entries"]["unchanged"]),
        (&json!(24), &json!(1)),
        "{told}"
    );
    assert_eq!(reads(&tenant), before, "the policy was not asked for");
}

#[test]
fn an_eleventh_group_is_refused() {
    let kinds: Vec<u32> = (0..9).collect();
    let mut groups: Vec<Value> = kinds.iter().map(|kind| group(*kind, &format!("G{kind}"))).collect();
    for more in 1..=3 {
        groups.push(json!({ "id": id(9, more), "displayName": format!("More {more}"), "members": [] }));
    }
    let mut state = state(2, &json!(groups));
    state["featureRolloutPolicies"] = policy(true, &kinds);
    let (tenant, site) = with(&state, 2, &[]);
    migrated(&site);
    let more = ["--all", "--group", "More 1", "--group", "More 2"];
    let refused = rollout(&site, "apply", &more).expect(&[2]);
    assert!(refused.err.contains("rollout-too-many-groups"), "{}", refused.err);
    rollout(&site, "apply", &["--all", "--group", "More 1"]).expect(&[0]);
    let refused = rollout(&site, "apply", &["--all", "--group", "More 3"]).expect(&[2]);
    assert!(refused.err.contains("applied to 10, and 1 more"), "{}", refused.err);
    let plan = rollout(&site, "plan", &["--all", "--group", "More 1"]).expect(&[0]).json();
    assert_eq!((&plan["tenant"]["groups"], &plan["tenant"]["users"]), (&json!(10), &json!(2)), "{plan}");
    assert_eq!(tenant.state()["featureRolloutPolicies"][0]["appliesTo"].as_array().unwrap().len(), 10);
}

#[test]
fn one_user_too_many_finds_no_room_and_a_second_group_takes_the_batch_whole() {
    const FULL: usize = 49_997;
    let mut state = state(4 + FULL, &json!([group(1, "Rollout A"), group(2, "Rollout B")]));
    state["featureRolloutPolicies"] = policy(true, &[1]);
    state["groups"][0]["members"] = (5..=4 + FULL).map(user).collect::<Vec<_>>().into();
    let (tenant, site) = with(&state, 4, &[]);
    migrated(&site);
    let plan = rollout(&site, "plan", &["--all"]).expect(&[3]).json();
    assert_eq!((&plan["in"], &plan["codes"]["rollout-full"]), (&json!(3), &json!(1)), "{plan}");
    assert_eq!(plan["tenant"]["users"], 50_000, "{plan}");
    let both = ["--all", "--group", "Rollout A", "--group", "Rollout B"];
    let plan = rollout(&site, "plan", &both).expect(&[0]).json();
    assert_eq!((&plan["groups"][0]["adds"], &plan["groups"][1]["adds"]), (&json!(0), &json!(4)), "{plan}");
    let told = rollout(&site, "apply", &["--all"]).expect(&[3]).json();
    assert_eq!((&told["entries"]["applied"], &told["entries"]["blocked"]), (&json!(3), &json!(1)), "{told}");
    assert_eq!(members(&tenant, 1).len(), 50_000);
    rollout(&site, "apply", &both).expect(&[0]);
    assert_eq!((members(&tenant, 1).len(), members(&tenant, 2).len()), (50_000, 1));
}
