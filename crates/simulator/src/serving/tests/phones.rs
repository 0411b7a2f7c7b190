//! Phone methods and the default: each refusal, and what is journalled.

use super::*;

#[tokio::test]
async fn a_phone_is_created_read_changed_and_deleted() {
    let room = room(people(1), "", "off").await;
    let created = room.post_phone("u1@contoso.example", "mobile", "+1 4255550100").await;
    assert_eq!(created.status, 201);
    assert_eq!(created.body["id"], MOBILE);
    assert_eq!(created.body["smsSignInState"], "notAllowedByPolicy");
    let path = format!("/beta/users/id-1/authentication/phoneMethods/{MOBILE}");
    let read = room.get(&path).await;
    assert_eq!(read.body["phoneNumber"], "+1 4255550100");
    assert!(read.body["@odata.context"].as_str().unwrap().ends_with("phoneMethods/$entity"));
    assert!(read.headers["content-type"].to_str().unwrap().starts_with("application/json"));
    let body = json!({ "phoneNumber": "+1 4255550111", "phoneType": "mobile" });
    assert_eq!(room.write("PATCH", &path, body.clone()).await.status, 204);
    assert_eq!(room.write("PATCH", &path, body).await.status, 204);
    assert_eq!(room.delete_phone("id-1", MOBILE).await.status, 204);
    assert_eq!(room.get(&path).await.status, 404);
    assert_eq!(
        room.effects(),
        [
            "mobile null +1 4255550100",
            "mobile +1 4255550100 +1 4255550111",
            "mobile +1 4255550111 +1 4255550111 noop",
            "mobile +1 4255550111 null",
        ]
    );
}

#[tokio::test]
async fn each_phone_refusal_has_its_status_and_code_and_no_effect() {
    let room = room(people(1), "", "off").await;
    let early = room.post_phone("id-1", "alternateMobile", "+1 4255550100").await;
    assert_eq!((early.status, early.code()), (400, "badRequest"));
    let bad = room.post_phone("id-1", "mobile", "4255550100").await;
    assert_eq!((bad.status, bad.code()), (400, "invalidPhoneNumber"));
    assert_eq!(room.post_phone("id-1", "fax", "+1 4255550100").await.status, 400);
    let nobody = room.post_phone("nobody", "mobile", "+1 4255550100").await;
    assert_eq!((nobody.status, nobody.code()), (404, "Request_ResourceNotFound"));
    assert!(room.effects().is_empty());

    assert_eq!(room.post_phone("id-1", "mobile", "+1 4255550100").await.status, 201);
    assert_eq!(room.post_phone("id-1", "mobile", "+1 4255550100").await.status, 400);
    assert_eq!(room.post_phone("id-1", "alternateMobile", "+1 4255550101").await.status, 201);
    assert_eq!(room.post_phone("id-1", "office", "+1 4255550102x12").await.status, 201);
    assert_eq!(room.delete_phone("id-1", MOBILE).await.status, 400, "the alternate mobile is there");
    let path = format!("/v1.0/users/id-1/authentication/phoneMethods/{OFFICE}");
    let retyped =
        room.write("PATCH", &path, json!({ "phoneNumber": "+1 4255550102", "phoneType": "mobile" })).await;
    assert_eq!(retyped.status, 400);
    assert_eq!(room.delete_phone("id-1", ALTERNATE).await.status, 204);
    assert_eq!(room.delete_phone("id-1", ALTERNATE).await.status, 404);
    assert_eq!(room.effects().len(), 4);
    let error = &room.delete_phone("id-1", ALTERNATE).await.body["error"];
    assert!(error["message"].is_string() && error["innerError"]["request-id"].is_string(), "{error}");
}

#[tokio::test]
async fn the_default_must_stand_on_something_and_keeps_it() {
    let room = room(people(1), "", "off").await;
    let path = "/beta/users/id-1/authentication/signInPreferences";
    let prefer = |method: &str| json!({ "userPreferredMethodForSecondaryAuthentication": method });
    assert!(room.get(path).await.body["userPreferredMethodForSecondaryAuthentication"].is_null());
    assert_eq!(room.write("PATCH", path, prefer("sms")).await.status, 400);
    room.post_phone("id-1", "mobile", "+1 4255550100").await;
    room.post_phone("id-1", "office", "+1 4255550101").await;
    assert!(room.get(path).await.body["userPreferredMethodForSecondaryAuthentication"].is_null());
    assert_eq!(room.write("PATCH", path, prefer("push")).await.status, 400);
    assert_eq!(room.write("PATCH", path, prefer("sms")).await.status, 204);
    assert_eq!(room.get(path).await.body["userPreferredMethodForSecondaryAuthentication"], "sms");
    assert_eq!(room.delete_phone("id-1", MOBILE).await.status, 400, "it is the default, and office remains");
    assert_eq!(room.delete_phone("id-1", OFFICE).await.status, 204);
    assert_eq!(room.delete_phone("id-1", MOBILE).await.status, 204, "it is the last one");
    assert_eq!(room.effects().last().unwrap(), "default sms null");
    assert_eq!(room.get("/v1.0/users/id-1/authentication/signInPreferences").await.status, 400, "beta alone");
}

#[tokio::test]
async fn all_methods_are_listed_by_their_type() {
    let state = one(json!({
        "phoneMethods": [{ "phoneType": "mobile", "phoneNumber": "+1 4255550100" }],
        "microsoftAuthenticatorMethods": [{ "id": "app-1", "displayName": "Pixel", "phoneAppVersion": "6.2" }],
        "softwareOathMethods": [{ "id": "soft-1" }],
        "hardwareOathMethods": [{ "id": "hard-1", "serialNumber": "1234567" }],
    }));
    let room = room(state, "", "off").await;
    let types = |heard: Heard| -> Vec<String> {
        let list = heard.body["value"].as_array().unwrap().clone();
        list.iter().map(|m| m["@odata.type"].as_str().unwrap().replace("#microsoft.graph.", "")).collect()
    };
    let v1 = types(room.get("/v1.0/users/id-1/authentication/methods").await);
    let beta = types(room.get("/beta/users/id-1/authentication/methods").await);
    let common = [
        "passwordAuthenticationMethod",
        "phoneAuthenticationMethod",
        "microsoftAuthenticatorAuthenticationMethod",
        "softwareOathAuthenticationMethod",
    ];
    assert_eq!(v1, common);
    assert_eq!(beta[..4], common);
    assert_eq!(beta[4..], ["hardwareOathAuthenticationMethod"]);
    let apps = "/v1.0/users/id-1/authentication/microsoftAuthenticatorMethods";
    assert_eq!(room.get(apps).await.body["value"][0]["displayName"], "Pixel");
    assert_eq!(room.write("POST", apps, json!({})).await.status, 405, "nobody can create one");
    assert_eq!(room.write("DELETE", &format!("{apps}/app-1"), Value::Null).await.status, 204);
    assert_eq!(room.effects(), ["microsoftAuthenticator app-1 null"]);
}
