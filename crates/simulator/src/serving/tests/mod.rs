//! The tenant over real HTTP: refusals, tokens, bundles, faults, pages.
//!
//! Each test has a server of its own on a free port, and its own journal.

mod bundles;
mod directory;
mod domains;
mod faults;
mod group_faults;
mod groups;
mod passes;
mod phones;
mod rollout;
mod tokens;

use super::{Faults, Options, Throttle, serve};
use crate::tenant::State;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use std::path::PathBuf;
use tokio::sync::oneshot;

pub(super) const MOBILE: &str = "3179e48a-750b-4051-897c-87b9720928f7";
pub(super) const ALTERNATE: &str = "b6332ec1-7057-4abe-9331-3d72feddfe41";
pub(super) const OFFICE: &str = "e37fc753-ff3b-4958-9484-eaa9425c82bc";

/// A served tenant.
pub(super) struct Room {
    base: String,
    client: reqwest::Client,
    journal: PathBuf,
    _stop: oneshot::Sender<()>,
}

impl Drop for Room {
    fn drop(&mut self) {
        std::fs::remove_file(&self.journal).ok();
    }
}

/// An answer.
pub(super) struct Heard {
    pub(super) status: u16,
    pub(super) body: Value,
    pub(super) headers: HeaderMap,
}

impl Heard {
    pub(super) fn code(&self) -> &str {
        self.body["error"]["code"].as_str().unwrap_or_default()
    }
}

/// Users `u1` to `un`, bare.
pub(super) fn people(n: usize) -> Value {
    let user = |i| json!({ "id": format!("id-{i}"), "userPrincipalName": format!("u{i}@contoso.example") });
    json!({ "users": (1..=n).map(user).collect::<Vec<_>>() })
}

/// One user with these methods.
pub(super) fn one(authentication: Value) -> Value {
    json!({ "users": [{ "id": "id-1", "userPrincipalName": "u1@contoso.example", "authentication": authentication }] })
}

pub(super) async fn room(state: Value, faults: &str, throttle: &str) -> Room {
    let journal = std::env::temp_dir().join(format!("simulator-{}.ndjson", uuid::Uuid::new_v4()));
    let options = Options {
        throttle: Throttle::parse(throttle).unwrap(),
        faults: Faults::parse(faults).unwrap(),
        journal: Some(journal.clone()),
        ..Options::default()
    };
    let state: State = serde_json::from_value(state).unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let (stop, stopped) = oneshot::channel::<()>();
    tokio::spawn(serve(listener, state, options, async move {
        stopped.await.ok();
    }));
    Room { base, client: reqwest::Client::builder().build().unwrap(), journal, _stop: stop }
}

impl Room {
    pub(super) async fn send(
        &self,
        verb: &str,
        path: &str,
        body: Option<Value>,
    ) -> Result<Heard, reqwest::Error> {
        self.send_with(verb, path, body, &[("ConsistencyLevel", "eventual")]).await
    }

    pub(super) async fn send_with(
        &self,
        verb: &str,
        path: &str,
        body: Option<Value>,
        headers: &[(&str, &str)],
    ) -> Result<Heard, reqwest::Error> {
        let url = if path.starts_with("http") { path.to_owned() } else { format!("{}{path}", self.base) };
        let mut request = self.client.request(verb.parse().unwrap(), url).bearer_auth("any");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await?;
        let body = if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() };
        Ok(Heard { status, body, headers })
    }

    pub(super) async fn get(&self, path: &str) -> Heard {
        self.send("GET", path, None).await.unwrap()
    }

    pub(super) async fn write(&self, verb: &str, path: &str, body: Value) -> Heard {
        let body = if body.is_null() { None } else { Some(body) };
        self.send(verb, path, body).await.unwrap()
    }

    pub(super) async fn post_phone(&self, user: &str, phone_type: &str, number: &str) -> Heard {
        let path = format!("/v1.0/users/{user}/authentication/phoneMethods");
        self.write("POST", &path, json!({ "phoneType": phone_type, "phoneNumber": number })).await
    }

    pub(super) async fn delete_phone(&self, user: &str, id: &str) -> Heard {
        let path = format!("/v1.0/users/{user}/authentication/phoneMethods/{id}");
        self.write("DELETE", &path, Value::Null).await
    }

    /// Journalled effects as `method from to`.
    pub(super) fn effects(&self) -> Vec<String> {
        let text = std::fs::read_to_string(&self.journal).unwrap();
        let word = |v: &Value| v.as_str().unwrap_or("null").to_owned();
        text.lines()
            .map(|line| {
                let line: Value = serde_json::from_str(line).unwrap();
                assert!(line["at"].is_string() && line["requestId"].is_string(), "{line}");
                let noop = if line["noop"] == true { " noop" } else { "" };
                format!("{} {} {}{noop}", word(&line["method"]), word(&line["from"]), word(&line["to"]))
            })
            .collect()
    }

    /// Journalled effects as `user method from to`, since the beginning.
    pub(super) fn effects_by_user(&self) -> Vec<String> {
        let text = std::fs::read_to_string(&self.journal).unwrap();
        let users = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["user"].clone());
        let user = |user: Value| user.as_str().unwrap_or("null").to_owned();
        users.zip(self.effects()).map(|(of, effect)| format!("{} {effect}", user(of))).collect()
    }

    /// A part of the true state.
    pub(super) async fn state(&self, pointer: &str) -> Value {
        self.get("/simulator/state").await.body.pointer(pointer).cloned().unwrap_or_default()
    }

    /// The true state of a user's methods.
    pub(super) async fn truth(&self, user: usize) -> Value {
        self.get("/simulator/state").await.body["users"][user]["authentication"].clone()
    }

    pub(super) async fn stats(&self) -> Value {
        self.get("/simulator/stats").await.body
    }
}
