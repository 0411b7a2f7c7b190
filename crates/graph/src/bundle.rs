//! Bundles: up to twenty requests in one `$batch` call, each judged by the server on its own.
//!
//! Answers come in any order and are told apart by id. An item without an answer stays without one: what that means
//! is the caller's to say, and for a write it means doubt.

use crate::client::PRIORITY;
use crate::wire::retry_after;
use crate::{Error, wire};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// Most requests in a bundle (Graph, JSON batching).
pub(crate) const MAX: usize = 20;

/// A request in a bundle.
#[derive(Serialize)]
pub(crate) struct Item {
    id: String,
    method: &'static str,
    url: String,
    headers: BTreeMap<&'static str, &'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<Value>,
    #[serde(rename = "dependsOn", skip_serializing_if = "Vec::is_empty")]
    depends_on: Vec<String>,
}

impl Item {
    /// The item at a position; its id is the position counted from 1. `url` begins with a slash, below the version.
    pub(crate) fn new(position: usize, method: &'static str, url: String, body: Option<Value>) -> Self {
        let mut headers = BTreeMap::from([(PRIORITY, "Low")]);
        if body.is_some() {
            headers.insert("Content-Type", "application/json");
        }
        Self { id: (position + 1).to_string(), method, url, headers, body, depends_on: Vec::new() }
    }

    /// The item is tried only once the one at that position has succeeded.
    pub(crate) fn after(mut self, position: Option<usize>) -> Self {
        self.depends_on = position.map(|p| (p + 1).to_string()).into_iter().collect();
        self
    }
}

/// An item's answer.
pub(crate) struct ItemReply {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) scope: Option<String>,
    pub(crate) body: Option<Value>,
}

#[derive(Serialize)]
struct Request<'a> {
    requests: &'a [Item],
}

#[derive(Deserialize)]
struct Response {
    responses: Vec<RawReply>,
}

#[derive(Deserialize)]
struct RawReply {
    id: String,
    status: u16,
    #[serde(default)]
    headers: Option<BTreeMap<String, Value>>,
    #[serde(default)]
    body: Option<Value>,
}

impl RawReply {
    fn header(&self, name: &str) -> Option<String> {
        let (_, value) = self.headers.as_ref()?.iter().find(|(key, _)| key.eq_ignore_ascii_case(name))?;
        // The schema says text; a number is understood as well.
        Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned))
    }
}

/// The body of the `$batch` call.
pub(crate) fn encode(items: &[Item]) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(&Request { requests: items }).map_err(|_| Error::Shape { what: "a bundle to send" })
}

/// The answers by position; `None` where one is missing. An id that we never gave is ignored.
pub(crate) fn decode(body: &[u8], sent: usize) -> Result<Vec<Option<ItemReply>>, Error> {
    let response: Response = wire::read(body, "a bundle")?;
    let mut replies: Vec<Option<ItemReply>> = (0..sent).map(|_| None).collect();
    for raw in response.responses {
        let position = raw.id.parse::<usize>().ok().and_then(|id| id.checked_sub(1));
        if let Some(slot) = position.and_then(|p| replies.get_mut(p)) {
            let retry_after = raw.header("Retry-After").as_deref().and_then(retry_after);
            let scope = raw.header("x-ms-throttle-scope");
            *slot = Some(ItemReply { status: raw.status, retry_after, scope, body: raw.body });
        }
    }
    Ok(replies)
}

/// What a bundle's answers mean for the pace. A missing item was not throttled, as far as anyone knows; one whose
/// dependency failed (424) was never tried and is not counted.
pub(crate) fn verdict(replies: &[Option<ItemReply>]) -> crate::Verdict {
    let mut verdict = crate::Verdict::default();
    for reply in replies {
        match reply {
            Some(reply) if reply.status == 429 => {
                verdict.rejected += 1;
                verdict.retry_after = verdict.retry_after.max(reply.retry_after);
                if reply.scope.is_some() {
                    verdict.scope.clone_from(&reply.scope);
                }
            }
            Some(reply) if reply.status == 424 => {}
            Some(_) | None => verdict.accepted += 1,
        }
    }
    verdict
}
