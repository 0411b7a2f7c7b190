//! The client that `pace` is measured beside: each call waits out its own `Retry-After`, and none knows of the others.
//!
//! It is what most programs do, and it never sends again before its own wait is over. As many calls are under way as
//! the product could have.

use serde_json::{Value, json};
use std::time::Duration;
use tokio::task::JoinSet;

/// Calls under way at a time, each for a user of its own.
const SLOTS: usize = 64;
/// Graph's fixed id of a user's mobile phone.
const MOBILE: &str = "3179e48a-750b-4051-897c-87b9720928f7";

/// The running client; it ends with this value.
pub(crate) struct Naive {
    _slots: JoinSet<()>,
}

impl Naive {
    /// A tenant with one user a slot, each with a mobile phone that is set over and over.
    pub(crate) fn state() -> Value {
        let users: Vec<Value> = (0..SLOTS)
            .map(|slot| {
                json!({
                    "id": user(slot),
                    "userPrincipalName": format!("user{slot}@contoso.example"),
                    "authentication": {
                        "phoneMethods": [{ "phoneType": "mobile", "phoneNumber": "+1 2065550100" }],
                    },
                })
            })
            .collect();
        json!({ "users": users })
    }

    pub(crate) fn start(url: &str) -> anyhow::Result<Self> {
        let client = reqwest::Client::builder().timeout(Duration::from_secs(60)).build()?;
        let mut slots = JoinSet::new();
        for slot in 0..SLOTS {
            let (client, url) = (client.clone(), phone_of(url, slot));
            slots.spawn(async move {
                loop {
                    if let Some(wait) = write(&client, &url).await {
                        tokio::time::sleep(wait).await;
                    }
                }
            });
        }
        Ok(Self { _slots: slots })
    }
}

/// The address of a user's mobile phone.
pub(crate) fn phone_of(url: &str, slot: usize) -> String {
    format!("{url}/v1.0/users/{}/authentication/phoneMethods/{MOBILE}", user(slot))
}

/// One write; how long to wait where the quota was used up.
pub(crate) async fn write(client: &reqwest::Client, url: &str) -> Option<Duration> {
    let body = json!({ "phoneType": "mobile", "phoneNumber": "+1 2065550100" });
    let answer = client.patch(url).bearer_auth("bench").json(&body).send().await.ok()?;
    let seconds = answer.headers().get("retry-after")?.to_str().ok()?.parse::<f64>().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

fn user(slot: usize) -> String {
    format!("00000000-0000-4000-8000-{slot:012}")
}
