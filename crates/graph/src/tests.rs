//! The far side for this crate's tests: a real HTTP server that answers what it was told and remembers what it saw.

mod identity;
mod memberships;
mod reading;
mod rollout;
mod writing;

use crate::{Cloud, Config, Credential};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use contract::Secret;
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::time::Instant;

/// An answer to be given.
type Script = Box<dyn FnOnce(&Value) -> (u16, Vec<(&'static str, String)>, Value) + Send>;

/// A request as it arrived.
#[derive(Clone, Debug)]
struct Seen {
    method: String,
    path: String,
    headers: axum::http::HeaderMap,
    body: Value,
    text: String,
    at: Instant,
}

impl Seen {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default()
    }
}

#[derive(Clone, Default)]
struct Far {
    script: Arc<Mutex<VecDeque<Script>>>,
    seen: Arc<Mutex<Vec<Seen>>>,
    origin: String,
}

impl Far {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let origin = format!("http://{}", listener.local_addr().expect("an address"));
        let far = Self { origin, ..Self::default() };
        let app = Router::new().fallback(answer).with_state(far.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        far
    }

    fn then(
        &self,
        script: impl FnOnce(&Value) -> (u16, Vec<(&'static str, String)>, Value) + Send + 'static,
    ) -> &Self {
        self.script.lock().expect("lock").push_back(Box::new(script));
        self
    }

    fn status(&self, status: u16, code: &'static str) -> &Self {
        self.then(move |_| (status, Vec::new(), json!({ "error": { "code": code, "message": "m" } })))
    }

    fn throttle(&self, retry_after: Option<&str>) -> &Self {
        let headers = retry_after.map(|v| ("Retry-After", v.to_owned())).into_iter().collect();
        self.then(move |_| (429, headers, json!({ "error": { "code": "TooManyRequests" } })))
    }

    fn json(&self, body: Value) -> &Self {
        self.then(move |_| (200, Vec::new(), body))
    }

    /// Answers each item of a bundle by its URL; `None` leaves the item without an answer. Answers come backwards.
    fn bundle(&self, item: impl Fn(&str) -> Option<Value> + Send + 'static) -> &Self {
        self.then(move |body| {
            let mut responses: Vec<Value> = body["requests"]
                .as_array()
                .expect("a bundle")
                .iter()
                .filter_map(|request| {
                    let mut reply = item(request["url"].as_str().expect("a url"))?;
                    reply["id"] = request["id"].clone();
                    Some(reply)
                })
                .collect();
            responses.reverse();
            (200, Vec::new(), json!({ "responses": responses }))
        })
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().expect("lock").clone()
    }

    fn config(&self) -> Config {
        config(&self.origin)
    }
}

async fn answer(State(far): State<Far>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let bytes = to_bytes(body, 1 << 20).await.expect("a body");
    let body: Value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    let seen = Seen {
        method: parts.method.to_string(),
        path: parts.uri.to_string(),
        headers: parts.headers,
        body: body.clone(),
        text: String::from_utf8_lossy(&bytes).into_owned(),
        at: Instant::now(),
    };
    far.seen.lock().expect("lock").push(seen);
    let script = far.script.lock().expect("lock").pop_front();
    let (status, headers, body) = match script {
        Some(script) => script(&body),
        None => (418, Vec::new(), json!({ "error": { "code": "notInTheScript" } })),
    };
    let mut response = Response::builder().status(status).header("Content-Type", "application/json");
    for (name, value) in headers {
        response = response.header(name, value);
    }
    response.body(Body::from(body.to_string())).expect("a response")
}

fn config(origin: &str) -> Config {
    Config {
        base_url: origin.to_owned(),
        cloud: Cloud::Global,
        credential: Credential::Token(Secret::new("the-token")),
        request_timeout: Duration::from_secs(5),
    }
}

/// A server that takes a request and hangs up, so many times, and then for ever.
async fn hangs_up() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let origin = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut buffer = [0; 4096];
            drop(stream.read(&mut buffer).await);
        }
    });
    origin
}

/// An address at which nobody listens.
async fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    format!("http://{}", listener.local_addr().expect("an address"))
}
