//! Reads: pages, policy, inventory and looks at users, tried again within bounds.

use super::{Far, config, nobody};
use crate::{Ask, Bucket, Error, Grant, GrantTo, MethodsPolicy, Pace, Reader};
use contract::{Allowed, DefaultMethod, EntraId, Target, TokenStatus};
use serde_json::{Value, json};
use std::time::Duration;

fn reader(far: &Far) -> Reader {
    Reader::new(far.config(), Pace::new()).expect("a reader")
}

fn ask(user: &str, tokens: bool) -> Ask {
    Ask { user: EntraId(user.to_owned()), tokens }
}

#[tokio::test]
async fn users_come_by_page_and_the_link_is_followed_as_it_is() {
    let far = Far::start().await;
    let next = format!("{}/v1.0/users?$skiptoken=a%2Fb", far.origin);
    let guest = json!({ "id": "2", "userPrincipalName": "g@x", "userType": "Guest", "onPremisesSamAccountName": "g" });
    far.json(json!({ "value": [{ "id": "1", "userPrincipalName": "a@x", "mail": null }], "@odata.nextLink": next }))
        .json(json!({ "value": [guest] }));
    let reader = reader(&far);
    let first = reader.users_page(None).await.expect("a page");
    assert_eq!((first.items[0].upn.as_str(), first.items[0].guest), ("a@x", false));
    let second = reader.users_page(first.next.as_deref()).await.expect("a page");
    assert!(second.items[0].guest && second.next.is_none());
    assert_eq!(second.items[0].sam_account_name.as_deref(), Some("g"));
    let seen = far.seen();
    assert!(seen[0].path.starts_with("/v1.0/users?$select=id,userPrincipalName,"), "{}", seen[0].path);
    assert!(seen[0].path.ends_with("&$top=999"));
    assert_eq!(seen[1].path, "/v1.0/users?$skiptoken=a%2Fb");
}

#[tokio::test]
async fn a_link_to_another_host_is_not_followed() {
    let far = Far::start().await;
    let other = Far::start().await;
    let reader = reader(&far);
    for link in [format!("{}/v1.0/users", other.origin), "https://graph.example/v1.0/users".to_owned()] {
        assert!(matches!(reader.users_page(Some(&link)).await, Err(Error::ForeignLink)));
    }
    assert!(other.seen().is_empty() && far.seen().is_empty());
}

#[tokio::test]
async fn members_are_asked_for_with_eventual_consistency() {
    let far = Far::start().await;
    far.json(json!({ "@odata.count": 1, "value": [{ "id": "1" }] }));
    let page = reader(&far).group_members_page("g 1", None).await.expect("a page");
    assert_eq!(page.items, vec![EntraId("1".into())]);
    let seen = &far.seen()[0];
    assert_eq!(seen.header("consistencylevel"), "eventual");
    assert!(seen.path.starts_with("/v1.0/groups/g%201/transitiveMembers/microsoft.graph.user?$count=true"));
}

#[tokio::test]
async fn reads_outlast_throttles_and_failures() {
    let far = Far::start().await;
    far.throttle(Some("0.3")).status(503, "x").status(500, "x").json(json!({ "value": [] }));
    let reader = reader(&far);
    assert!(reader.users_page(None).await.expect("a page").items.is_empty());
    let seen = far.seen();
    assert_eq!(seen.len(), 4);
    assert!(seen[1].at - seen[0].at >= Duration::from_millis(295));
    assert_eq!(reader.counts().throttled, 1);
}

#[tokio::test]
async fn refusals_are_not_asked_again_and_have_their_type() {
    let far = Far::start().await;
    far.status(403, "Authorization_RequestDenied").status(400, "BadRequest").status(401, "InvalidToken");
    let reader = reader(&far);
    assert!(
        matches!(reader.users_page(None).await, Err(Error::Forbidden { code }) if code == "Authorization_RequestDenied")
    );
    assert!(matches!(reader.users_page(None).await, Err(Error::Refused { status: 400, .. })));
    assert!(
        matches!(reader.users_page(None).await, Err(Error::Unauthorized)),
        "a fixed token has no successor"
    );
    assert_eq!(far.seen().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn reads_end_after_eight_attempts() {
    let reader = Reader::new(config(&nobody().await), Pace::new()).expect("a reader");
    assert!(matches!(reader.users_page(None).await, Err(Error::Connect(_))));
    assert_eq!(reader.counts().round_trips, 8);
}

fn policy(configurations: Value, migration: &str) -> Value {
    json!({ "policyMigrationState": migration, "authenticationMethodConfigurations": configurations })
}

async fn grants(body: Value) -> Vec<Grant> {
    let far = Far::start().await;
    far.json(body);
    let grants = reader(&far).methods_policy().await.expect("a policy").grants;
    assert_eq!(far.seen()[0].path, "/beta/policies/authenticationMethodsPolicy");
    let all = grants.iter().fold(Allowed(0), |all, grant| {
        assert_eq!(all.0 & grant.bits.0, 0, "each method is granted once");
        all.with(grant.bits)
    });
    assert_eq!(all, Allowed::ALL);
    grants
}

fn of(grants: &[Grant], bits: Allowed) -> &Grant {
    grants.iter().find(|g| g.bits.has(bits)).expect("a grant")
}

#[tokio::test]
async fn the_policy_becomes_grants() {
    let group = |id: &str| json!({ "id": id, "targetType": "group" });
    let configurations = json!([
        { "id": "MicrosoftAuthenticator", "state": "enabled", "includeTargets": [group("all_users")], "excludeTargets": [group("g9")] },
        { "id": "Sms", "state": "enabled", "includeTargets": [group("g1"), group("g2")] },
        { "id": "Voice", "state": "enabled", "isOfficePhoneAllowed": false, "includeTargets": [group("all_users")] },
        { "id": "HardwareOath", "state": "disabled", "includeTargets": [group("all_users")] },
    ]);
    let complete = grants(policy(configurations.clone(), "migrationComplete")).await;
    assert_eq!(of(&complete, Allowed::PUSH).to, GrantTo::Everyone);
    assert_eq!(of(&complete, Allowed::PUSH).except_groups, ["g9"]);
    assert_eq!(of(&complete, Allowed::SMS).to, GrantTo::Groups(vec!["g1".into(), "g2".into()]));
    assert_eq!(of(&complete, Allowed::VOICE_MOBILE.with(Allowed::VOICE_ALTERNATE)).to, GrantTo::Everyone);
    assert_eq!(of(&complete, Allowed::VOICE_OFFICE).to, GrantTo::Nobody);
    assert_eq!(of(&complete, Allowed::HARDWARE_OATH).to, GrantTo::Nobody);
    assert_eq!(of(&complete, Allowed::SOFTWARE_OATH).to, GrantTo::Everyone, "absent means allowed");
    let under_way = grants(policy(configurations, "migrationInProgress")).await;
    assert_eq!(of(&under_way, Allowed::HARDWARE_OATH).to, GrantTo::Everyone, "unknown means allowed");
}

#[tokio::test]
async fn a_missing_policy_allows_everything() {
    let far = Far::start().await;
    far.status(404, "Request_ResourceNotFound");
    assert_eq!(reader(&far).methods_policy().await.expect("a policy"), MethodsPolicy::everything());
}

#[tokio::test]
async fn a_serial_is_quoted_and_found_in_the_inventory() {
    let far = Far::start().await;
    far.json(json!({ "value": [
        { "id": "d1", "serialNumber": "O'S", "status": "activated", "assignedTo": { "id": "u1" } },
        { "id": "d2", "serialNumber": "O'S", "status": "available", "assignedTo": null },
        { "id": "d3", "serialNumber": "O'S", "status": "somethingNew" },
    ] }));
    let tokens = reader(&far).inventory_by_serial("O'S").await.expect("tokens");
    let statuses: Vec<TokenStatus> = tokens.iter().map(|t| t.status).collect();
    assert_eq!(statuses, [TokenStatus::Activated, TokenStatus::Available, TokenStatus::Assigned]);
    assert_eq!(tokens[0].holder, Some(EntraId("u1".into())));
    assert!(far.seen()[0].path.ends_with("hardwareOathDevices?$filter=serialNumber%20eq%20%27O%27%27S%27"));
}

fn methods() -> Value {
    json!({ "status": 200, "body": { "value": [
        { "@odata.type": "#microsoft.graph.phoneAuthenticationMethod", "id": "p", "phoneNumber": "+1 4255550100", "phoneType": "mobile" },
        { "@odata.type": "#microsoft.graph.microsoftAuthenticatorAuthenticationMethod", "id": "a", "displayName": "Pixel" },
        { "@odata.type": "#microsoft.graph.softwareOathAuthenticationMethod", "id": "s" },
        { "@odata.type": "#microsoft.graph.hardwareOathAuthenticationMethod", "id": "h" },
        { "@odata.type": "#microsoft.graph.passwordAuthenticationMethod", "id": "pw" },
        { "@odata.type": "#microsoft.graph.methodOfTheFuture", "id": "f" },
    ] } })
}

#[tokio::test]
async fn users_are_looked_at_in_bundles_of_twenty() {
    let far = Far::start().await;
    for _ in 0..2 {
        far.bundle(|url| {
            if url.ends_with("/methods") {
                Some(methods())
            } else if url.ends_with("/hardwareOathMethods?$expand=device") {
                let device = json!({ "id": "d", "serialNumber": "S", "status": "activated" });
                Some(json!({ "status": 200, "body": { "value": [{ "id": "h", "device": device }] } }))
            } else if url.contains("/u0/") {
                Some(json!({ "status": 404, "body": { "error": { "code": "notFound" } } }))
            } else {
                Some(json!({ "status": 200, "body": { "isSystemPreferredAuthenticationMethodEnabled": true,
                    "userPreferredMethodForSecondaryAuthentication": "voiceMobile" } }))
            }
        });
    }
    let asks: Vec<Ask> = (0..11).map(|n| ask(&format!("u{n}"), n == 1)).collect();
    let reader = reader(&far);
    let views = reader.observe(&asks).await;
    let views: Vec<_> = views.into_iter().map(|v| v.expect("a view")).collect();
    assert_eq!(views.len(), 11);
    assert_eq!((views[0].default, views[0].system_preferred), (None, false), "404 means no preferences");
    assert_eq!((views[2].default, views[2].system_preferred), (Some(DefaultMethod::VoiceMobile), true));
    assert_eq!(views[2].phones.get(&Target::Mobile).map(String::as_str), Some("+1 4255550100"));
    assert_eq!((views[2].authenticators.len(), views[2].software_oath), (1, 1));
    assert_eq!(views[2].hardware_oath[0].serial, None, "the device was not asked for");
    assert_eq!(views[1].hardware_oath.len(), 1);
    assert_eq!(views[1].hardware_oath[0].serial.as_deref(), Some("S"));
    assert_eq!(views[1].hardware_oath[0].status, Some(TokenStatus::Activated));
    let sizes: Vec<usize> = far.seen().iter().map(|s| s.body["requests"].as_array().unwrap().len()).collect();
    assert_eq!(sizes.iter().sum::<usize>(), 23);
    assert!(sizes.iter().all(|n| *n <= 20));
    assert!(far.seen().iter().all(|s| s.path == "/beta/$batch"));
    assert_eq!(reader.counts().writes, 0);
}

#[tokio::test]
async fn a_look_that_is_held_for_longer_than_its_patience_ends_at_once() {
    let far = Far::start().await;
    far.throttle(Some("3000"));
    let reader = reader(&far);
    for _ in 0..2 {
        // The second is held before it is sent.
        let began = tokio::time::Instant::now();
        let views = reader.observe(&[ask("u1", false)]).await;
        assert!(matches!(&views[0], Err(Error::Throttled { .. })), "{views:?}");
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    }
    assert_eq!(far.seen().len(), 1);
}

#[tokio::test]
async fn only_items_that_failed_in_passing_are_asked_again() {
    let far = Far::start().await;
    far.bundle(|url| match url {
        u if u.contains("/u1/") && u.ends_with("methods") => {
            Some(json!({ "status": 429, "headers": { "Retry-After": "0.3" } }))
        }
        u if u.contains("/u2/") && u.ends_with("methods") => None,
        u if u.contains("/u3/") => {
            Some(json!({ "status": 403, "body": { "error": { "code": "accessDenied" } } }))
        }
        u if u.contains("/u4/") => Some(json!({ "status": 404, "body": { "error": { "code": "x" } } })),
        u if u.ends_with("methods") => Some(methods()),
        _ => Some(json!({ "status": 200, "body": {} })),
    })
    .bundle(|_| Some(methods()));
    let asks = ["u1", "u2", "u3", "u4", "u5"].map(|u| ask(u, false));
    let reader = reader(&far);
    let views = reader.observe(&asks).await;
    assert!(views[0].is_ok() && views[1].is_ok() && views[4].is_ok(), "{views:?}");
    assert!(matches!(&views[2], Err(Error::Forbidden { code }) if code == "accessDenied"));
    assert!(matches!(&views[3], Err(Error::NotFound)));
    let seen = far.seen();
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[1].body["requests"].as_array().map(Vec::len), Some(2));
    assert!(seen[1].at - seen[0].at >= Duration::from_millis(295));
    let held = |bucket| reader.pace().status().into_iter().find(|s| s.bucket == bucket);
    assert!(held(Bucket::Writes).is_some_and(|s| s.held_for.is_none()));
    assert!(!format!("{views:?}").contains("4255550100"));
}
