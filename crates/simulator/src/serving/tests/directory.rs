//! Users, groups, policy, authorization.

use super::*;

#[tokio::test]
async fn users_are_paged_without_gap_or_overlap() {
    let room = room(people(25), "", "off").await;
    let mut url = "/v1.0/users?$select=id,userPrincipalName&$top=10&$count=true".to_owned();
    let mut seen = Vec::new();
    loop {
        let page = room.get(&url).await;
        assert_eq!(page.status, 200);
        for user in page.body["value"].as_array().unwrap() {
            assert_eq!(user.as_object().unwrap().len(), 2, "only what was selected");
            seen.push(user["id"].as_str().unwrap().to_owned());
        }
        match page.body["@odata.nextLink"].as_str() {
            Some(next) => url = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(seen, (1..=25).map(|i| format!("id-{i}")).collect::<Vec<_>>());
    assert_eq!(room.get("/v1.0/users?$top=1000").await.status, 400);
    assert_eq!(room.get("/v1.0/users?$select=nonsense").await.status, 400);
    assert_eq!(room.stats().await["reads"], 5);
}

#[tokio::test]
async fn users_are_found_by_key_and_filter() {
    let state = json!({ "users": [
        { "id": "A1", "userPrincipalName": "Helga@Contoso.example", "mail": "h@x.example", "employeeId": "E1",
          "onPremisesSamAccountName": "helga", "onPremisesSecurityIdentifier": "S-1-5-21-1", "userType": "Member" },
        { "id": "A2", "userPrincipalName": "o'hara@contoso.example" },
    ]});
    let room = room(state, "", "off").await;
    assert_eq!(room.get("/v1.0/users/HELGA@contoso.EXAMPLE").await.body["id"], "A1");
    assert_eq!(room.get("/beta/users/a1?$select=userType").await.body["userType"], "Member");
    for filter in [
        "userPrincipalName eq 'helga@contoso.example'",
        "userPrincipalName in ('helga@contoso.example','nobody')",
        "mail eq 'H@x.example'",
        "onPremisesSamAccountName eq 'HELGA'",
        "onPremisesSecurityIdentifier eq 'S-1-5-21-1'",
        "employeeId eq 'E1'",
    ] {
        let found = room.get(&format!("/v1.0/users?$filter={}", filter.replace(' ', "%20"))).await;
        assert_eq!(found.body["value"].as_array().unwrap().len(), 1, "{filter}");
        assert_eq!(found.body["value"][0]["id"], "A1", "{filter}");
    }
    let quoted = room.get("/v1.0/users?$filter=userPrincipalName%20eq%20'o''hara@contoso.example'").await;
    assert_eq!(quoted.body["value"][0]["id"], "A2");
    assert_eq!(room.get("/v1.0/users?$filter=onPremisesDomainName%20eq%20'x'").await.status, 400);
    let some =
        room.write("POST", "/v1.0/directoryObjects/getByIds", json!({ "ids": ["a2", "nobody"] })).await;
    assert_eq!(some.body["value"][0]["@odata.type"], "#microsoft.graph.user");
}

#[tokio::test]
async fn nested_groups_are_expanded_once_each_even_in_circles() {
    let state = json!({
        "users": people(3)["users"],
        "groups": [
            { "id": "g1", "displayName": "Outer", "members": ["id-1", "g2"] },
            { "id": "g2", "displayName": "Inner", "type": "dynamic", "members": ["id-2", "id-1", "g1"] },
        ],
    });
    let room = room(state, "", "off").await;
    let found = room.get("/v1.0/groups?$filter=displayName%20eq%20'outer'&$select=id,displayName").await;
    assert_eq!(found.body["value"][0]["id"], "g1");
    let ids = |heard: Heard| -> Vec<String> {
        let list = heard.body["value"].as_array().unwrap().clone();
        list.iter().map(|m| m["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids(room.get("/v1.0/groups/g1/members").await), ["id-1", "g2"]);
    assert_eq!(ids(room.get("/v1.0/groups/g1/transitiveMembers").await), ["id-1", "g2", "id-2"]);
    let cast = "/v1.0/groups/g1/transitiveMembers/microsoft.graph.user";
    assert_eq!(ids(room.get(&format!("{cast}?$count=true&$select=id")).await), ["id-1", "id-2"]);
    assert_eq!(room.get(cast).await.code(), "Request_UnsupportedQuery", "a cast needs $count");
    assert_eq!(room.get("/v1.0/groups/g2").await.body["groupTypes"][0], "DynamicMembership");
}

#[tokio::test]
async fn the_policy_follows_what_is_allowed() {
    let mut state = people(1);
    state["authenticationMethodsPolicy"] = json!({ "allowed": ["push", "voiceMobile"] });
    let room = room(state, "", "off").await;
    let policy = room.get("/beta/policies/authenticationMethodsPolicy").await.body;
    assert_eq!(policy["policyMigrationState"], "migrationComplete");
    let states: Vec<String> = policy["authenticationMethodConfigurations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| format!("{}={}", c["id"].as_str().unwrap(), c["state"].as_str().unwrap()))
        .collect();
    assert_eq!(
        states,
        [
            "MicrosoftAuthenticator=enabled",
            "Sms=disabled",
            "Voice=enabled",
            "SoftwareOath=disabled",
            "TemporaryAccessPass=enabled",
            "HardwareOath=disabled"
        ]
    );
    assert_eq!(policy["authenticationMethodConfigurations"][2]["isOfficePhoneAllowed"], false);
    let path = "/beta/policies/authenticationMethodsPolicy/authenticationMethodConfigurations/hardwareOath";
    assert_eq!(room.write("PATCH", path, json!({ "state": "enabled" })).await.status, 204);
    assert_eq!(room.get(path).await.body["state"], "enabled");
    assert_eq!(room.get(&path.replace("beta", "v1.0")).await.status, 404, "beta alone");
}

#[tokio::test]
async fn without_a_token_nobody_is_let_in() {
    let room = room(people(1), "", "off").await;
    let response = room.client.get(format!("{}/v1.0/users", room.base)).send().await.unwrap();
    assert_eq!(response.status().as_u16(), 401);
    assert_eq!(response.headers()["www-authenticate"], "Bearer");
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["error"]["code"], "InvalidAuthenticationToken");
    assert_eq!(room.get("/v2.0/users").await.status, 400);
}
