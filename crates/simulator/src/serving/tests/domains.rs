//! Domains and the one setting that a cut-over changes.

use super::{Room, room};
use serde_json::{Value, json};

const FEDERATIONS: &str = "/v1.0/domains/contoso.example/federationConfiguration";

async fn with(faults: &str) -> Room {
    let state = json!({ "users": [], "domains": [
        { "id": "contoso.example", "authenticationType": "Federated", "federationConfiguration": [
            { "id": "f-1", "issuerUri": "http://sts", "federatedIdpMfaBehavior": "enforceMfaByFederatedIdp" },
        ] },
        { "id": "cloud.example", "authenticationType": "Managed" },
    ] });
    room(state, faults, "off").await
}

async fn set(room: &Room, path: &str, value: Value) -> u16 {
    room.write("PATCH", path, json!({ "federatedIdpMfaBehavior": value })).await.status
}

#[tokio::test]
async fn the_setting_is_changed_and_nothing_else() {
    let room = with("").await;
    let one = format!("{FEDERATIONS}/f-1");
    let reject = "rejectMfaByFederatedIdp";
    let changed = room.write("PATCH", &one, json!({ "federatedIdpMfaBehavior": reject })).await;
    assert_eq!((changed.status, &changed.body["federatedIdpMfaBehavior"]), (200, &json!(reject)));
    assert_eq!(changed.body["issuerUri"], "http://sts");
    assert_eq!(room.get(FEDERATIONS).await.body["value"][0]["federatedIdpMfaBehavior"], reject);
    assert_eq!(room.get(&one).await.body["federatedIdpMfaBehavior"], reject);
    assert_eq!(set(&room, &one, json!(reject)).await, 200);
    let told = "federatedIdpMfaBehavior enforceMfaByFederatedIdp rejectMfaByFederatedIdp";
    assert_eq!(room.effects(), [told.to_owned(), format!("federatedIdpMfaBehavior {reject} {reject} noop")]);
    for value in [json!("unknownFutureValue"), json!("no"), json!(7), Value::Null] {
        assert_eq!(set(&room, &one, value.clone()).await, 400, "{value}");
    }
    assert_eq!(room.write("PATCH", &one, json!({ "issuerUri": "http://evil" })).await.status, 400);
    assert_eq!(room.write("PATCH", &one, json!({})).await.status, 400);
    assert_eq!(set(&room, &format!("{FEDERATIONS}/f-2"), json!(reject)).await, 404);
    assert_eq!(set(&room, "/v1.0/domains/no.example/federationConfiguration/f-1", json!(reject)).await, 404);
    assert_eq!(room.write("DELETE", &one, Value::Null).await.status, 405);
    assert_eq!(
        room.get("/v1.0/domains/cloud.example/federationConfiguration").await.body["value"],
        json!([])
    );
    assert_eq!(room.get("/v1.0/domains/contoso.example").await.body["federationConfiguration"], Value::Null);
    assert_eq!(room.effects().len(), 2);
}

#[tokio::test]
async fn reads_may_lag_behind_a_change() {
    let room = with("not-yet-visible-ms=60000").await;
    assert_eq!(set(&room, &format!("{FEDERATIONS}/f-1"), json!("rejectMfaByFederatedIdp")).await, 200);
    let seen = room.get(FEDERATIONS).await.body["value"][0]["federatedIdpMfaBehavior"].clone();
    assert_eq!(seen, "enforceMfaByFederatedIdp");
    let state = room.get("/simulator/state").await.body;
    assert_eq!(
        state["domains"][0]["federationConfiguration"][0]["federatedIdpMfaBehavior"],
        "rejectMfaByFederatedIdp"
    );
}
