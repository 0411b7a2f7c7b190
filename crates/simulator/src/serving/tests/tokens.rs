//! Hardware tokens: create with a holder, activate by a real code, limits, the way back.

use super::*;
use crate::tenant::{base32, code};

const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
const DEVICES: &str = "/beta/directory/authenticationMethodDevices/hardwareOathDevices";

fn device(serial: &str, holder: Option<&str>) -> Value {
    let mut body = json!({
        "serialNumber": serial, "manufacturer": "Contoso", "model": "Key", "secretKey": SECRET,
        "timeIntervalInSeconds": 30, "hashFunction": "hmacsha1",
    });
    if let Some(holder) = holder {
        body["assignTo"] = json!({ "id": holder });
    }
    body
}

/// The code, so many steps from now.
fn code_at(steps: i64) -> String {
    let step = time::OffsetDateTime::now_utc().unix_timestamp() / 30 + steps;
    code(&base32(SECRET).unwrap(), false, u64::try_from(step).unwrap())
}

#[tokio::test]
async fn a_token_is_created_in_hand_then_activated_by_its_code_alone() {
    let room = room(people(1), "", "off").await;
    let created = room.write("POST", DEVICES, device("1234567", Some("id-1"))).await;
    assert_eq!((created.status, created.body["status"].as_str()), (201, Some("assigned")));
    assert!(created.body["secretKey"].is_null(), "a secret never comes back");
    assert_eq!(created.body["assignedTo"]["id"], "id-1");
    let tokens = "/beta/users/id-1/authentication/hardwareOathMethods";
    let listed = room.get(&format!("{tokens}?$expand=device")).await;
    let method = listed.body["value"][0]["id"].as_str().unwrap().to_owned();
    assert_ne!(method, created.body["id"].as_str().unwrap(), "a method is not its device");
    assert_eq!(listed.body["value"][0]["device"]["serialNumber"], "1234567");
    assert!(room.get(tokens).await.body["value"][0].get("device").is_none(), "only when asked for");

    let activate = format!("{tokens}/{method}/activate");
    let wrong = room.write("POST", &activate, json!({ "verificationCode": code_at(100) })).await;
    assert_eq!((wrong.status, wrong.code()), (400, "badRequest"));
    assert_eq!(room.truth(0).await["hardwareOathMethods"][0]["status"], "failedActivation");
    let right = room.write("POST", &activate, json!({ "verificationCode": code_at(0) })).await;
    assert_eq!(right.status, 204);
    let device = format!("{DEVICES}/{}", created.body["id"].as_str().unwrap());
    assert_eq!(room.get(&device).await.body["status"], "activated");
    assert_eq!(room.write("DELETE", &device, Value::Null).await.status, 400, "somebody holds it");
    assert_eq!(room.write("DELETE", &format!("{tokens}/{method}"), Value::Null).await.status, 204);
    assert_eq!(room.get(&device).await.body["status"], "available");
    assert_eq!(room.write("DELETE", &device, Value::Null).await.status, 204);
    assert_eq!(
        room.effects(),
        [
            "hardwareOath null assigned",
            "hardwareOath assigned failedActivation",
            "hardwareOath failedActivation activated",
            "hardwareOath activated available",
            "hardwareOath available null",
        ]
    );
}

#[tokio::test]
async fn a_token_in_the_inventory_is_assigned_and_activated_by_id_or_serial() {
    let state = json!({
        "users": people(2)["users"],
        "hardwareOathDevices": [
            { "id": "d-1", "serialNumber": "111", "status": "available", "secretKey": SECRET },
            { "id": "d-2", "serialNumber": "222", "status": "available", "secretKey": SECRET },
            { "id": "d-3", "serialNumber": "333" },
        ],
    });
    let room = room(state, "", "off").await;
    let tokens = "/beta/users/id-1/authentication/hardwareOathMethods";
    let by_id = json!({ "verificationCode": code_at(0), "device": { "id": "d-1" } });
    assert_eq!(room.write("POST", &format!("{tokens}/assignAndActivate"), by_id.clone()).await.status, 204);
    assert_eq!(room.write("POST", &format!("{tokens}/assignAndActivate"), by_id).await.status, 400, "held");
    let by_serial = json!({ "verificationCode": code_at(0), "serialNumber": "222" });
    let path = format!("{tokens}/assignAndActivateBySerialNumber");
    assert_eq!(room.write("POST", &path, by_serial).await.status, 204);
    let assigned = room.write("POST", tokens, json!({ "device": { "id": "d-3" } })).await;
    assert_eq!(assigned.status, 201);
    let filtered = room.get(&format!("{DEVICES}?$filter=status%20eq%20'activated'&$top=1")).await;
    assert_eq!(filtered.body["value"].as_array().unwrap().len(), 1);
    let next = filtered.body["@odata.nextLink"].as_str().unwrap().to_owned();
    assert_eq!(room.get(&next).await.body["value"][0]["serialNumber"], "222");
    let by_serial = room.get(&format!("{DEVICES}?$filter=serialNumber%20eq%20'333'")).await;
    assert_eq!(by_serial.body["value"][0]["assignedTo"]["id"], "id-1");
    assert_eq!(room.effects()[..2], ["hardwareOath available assigned", "hardwareOath assigned activated"]);
}

#[tokio::test]
async fn five_places_guests_and_secrets_are_guarded() {
    let mut state = one(json!({
        "microsoftAuthenticatorMethods": [{ "id": "a" }, { "id": "b" }],
        "softwareOathMethods": [{ "id": "s" }],
        "hardwareOathMethods": [{ "id": "h", "serialNumber": "1" }],
    }));
    state["users"].as_array_mut().unwrap().push(json!({ "id": "guest", "userType": "Guest" }));
    let room = room(state, "", "off").await;
    assert_eq!(room.write("POST", DEVICES, device("2", Some("id-1"))).await.status, 201);
    assert_eq!(room.write("POST", DEVICES, device("3", Some("id-1"))).await.status, 400, "a sixth");
    assert_eq!(room.write("POST", DEVICES, device("3", Some("guest"))).await.status, 400);
    let mut lower = device("3", None);
    lower["secretKey"] = json!(SECRET.to_lowercase());
    assert_eq!(room.write("POST", DEVICES, lower).await.status, 400);
    assert_eq!(room.effects(), ["hardwareOath null assigned"], "a refusal creates nothing");
    assert_eq!(room.write("POST", DEVICES, device("2", None)).await.status, 201, "a known serial again");
    assert_eq!(room.get("/v1.0/users/id-1/authentication/hardwareOathMethods").await.status, 400);
}

#[tokio::test]
async fn many_are_created_in_one_call() {
    let room = room(people(1), "", "off").await;
    let mut first = device("1", None);
    first["@contentId"] = json!("a");
    let body = json!({ "@context": "#$delta", "value": [first, device("2", Some("id-1"))] });
    let created = room.write("PATCH", DEVICES, body).await;
    assert_eq!(created.status, 201);
    assert_eq!(created.body["value"][0]["@contentId"], "a");
    assert_eq!(created.body["value"][1]["device"]["status"], "assigned");
    assert_eq!(room.effects(), ["hardwareOath null available", "hardwareOath null assigned"]);
}

#[tokio::test]
async fn a_tenant_goes_on_from_its_own_state() {
    let first = room(people(2), "", "off").await;
    first.write("POST", DEVICES, device("1", Some("id-2"))).await;
    first.post_phone("id-1", "mobile", "+1 4255550100").await;
    let state = first.get("/simulator/state").await.body;
    let second = room(state.clone(), "", "off").await;
    assert_eq!(second.get("/simulator/state").await.body, state);
}
