//! The simulated tenant of a history, served on the history's own thread and clock, and other people's changes in it.
//!
//! Whoever is not the product says so in the request's id, so that the journal tells whose an effect is.

use super::company::PHONES;
use crate::read_lines;
use serde_json::{Value, json};
use simulator::{Faults, Options, State};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// The request id of everybody who is not the product.
pub(super) const SOMEBODY: &str = "somebody";

/// The running tenant; it ends with the runtime.
pub(super) struct Cloud {
    address: String,
    journal: PathBuf,
    /// Requests that have reached it.
    pub(super) arrived: Arc<AtomicU64>,
}

impl Cloud {
    /// Serves a state.
    pub(super) async fn serve(state: &Value, faults: Faults, folder: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("its address").to_string();
        let journal = folder.join("journal.ndjson");
        let state: State = serde_json::from_value(state.clone()).expect("a tenant's state");
        let options = Options { faults, journal: Some(journal.clone()), ..Options::default() };
        let arrived = Arc::clone(&options.arrived);
        tokio::spawn(simulator::serve(listener, state, options, std::future::pending::<()>()));
        Self { address, journal, arrived }
    }

    /// Its base, without a version.
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Every effect so far, in order.
    pub(super) fn journal(&self) -> Vec<Value> {
        read_lines(&self.journal)
    }

    /// Its state now.
    pub(super) async fn state(&self) -> Value {
        let answer = self.ask("GET", "/simulator/state", &Value::Null).await;
        serde_json::from_str(&answer).unwrap_or_else(|error| panic!("a state: {error}: {answer}"))
    }

    /// A call by somebody else. What came of it stands in the journal alone: faults strike everybody.
    pub(super) async fn call(&self, call: &Call) {
        self.ask(call.verb, &call.path, &call.body).await;
    }

    async fn ask(&self, verb: &str, path: &str, body: &Value) -> String {
        let mut stream = TcpStream::connect(&self.address).await.expect("the tenant");
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let request = format!(
            "{verb} {path} HTTP/1.0\r\nHost: {}\r\nAuthorization: Bearer other\r\nclient-request-id: {SOMEBODY}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        );
        stream.write_all(request.as_bytes()).await.expect("the tenant");
        let mut answer = Vec::new();
        // A connection that is cut is one of the faults.
        stream.read_to_end(&mut answer).await.ok();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default()
    }
}

/// One request of somebody else.
#[derive(Debug, Clone)]
pub(super) struct Call {
    verb: &'static str,
    path: String,
    body: Value,
}

impl Call {
    /// Sets a user's phone of a kind that is there (`was`) or not, or takes it away.
    pub(super) fn phone(user: &str, kind: &str, was: bool, number: Option<&str>) -> Self {
        let ids = [
            "3179e48a-750b-4051-897c-87b9720928f7",
            "b6332ec1-7057-4abe-9331-3d72feddfe41",
            "e37fc753-ff3b-4958-9484-eaa9425c82bc",
        ];
        let id = PHONES.iter().position(|phone| *phone == kind).map_or("", |at| ids[at]);
        let base = format!("/v1.0/users/{user}/authentication/phoneMethods");
        let body = number.map_or(Value::Null, |n| json!({ "phoneNumber": n, "phoneType": kind }));
        match (was, number) {
            (_, None) => Self { verb: "DELETE", path: format!("{base}/{id}"), body },
            (true, Some(_)) => Self { verb: "PATCH", path: format!("{base}/{id}"), body },
            (false, Some(_)) => Self { verb: "POST", path: base, body },
        }
    }

    /// Sets a user's default.
    pub(super) fn default(user: &str, to: &str) -> Self {
        let body = json!({ "userPreferredMethodForSecondaryAuthentication": to });
        Self { verb: "PATCH", path: format!("/beta/users/{user}/authentication/signInPreferences"), body }
    }

    /// Takes a token from a user.
    pub(super) fn unassign(user: &str, method: &str) -> Self {
        let path = format!("/beta/users/{user}/authentication/hardwareOathMethods/{method}");
        Self { verb: "DELETE", path, body: Value::Null }
    }

    /// Puts a token into the inventory, in a user's hands or in nobody's.
    pub(super) fn create_token(serial: &str, secret: &str, user: Option<&str>) -> Self {
        let mut body = json!({
            "serialNumber": serial, "manufacturer": "Contoso", "model": "T", "secretKey": secret,
            "timeIntervalInSeconds": 30, "hashFunction": "hmacsha1",
        });
        if let Some(user) = user {
            body["assignTo"] = json!({ "id": user });
        }
        let path = "/beta/directory/authenticationMethodDevices/hardwareOathDevices".to_owned();
        Self { verb: "POST", path, body }
    }
}
