//! An answer of Graph before HTTP: status, JSON text, and the few headers that carry meaning.

use super::refusal::Refusal;
use serde::Serialize;

/// One answer, of a call of its own or of an item of a bundle.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// JSON; absent with 204.
    pub(crate) body: Option<String>,
    /// Header names and values besides the content type and the ids.
    pub(crate) headers: Vec<(&'static str, String)>,
}

impl Answer {
    /// 204.
    pub(crate) fn no_content() -> Self {
        Self { status: 204, body: None, headers: Vec::new() }
    }

    /// A value as JSON.
    pub(crate) fn json(status: u16, value: &impl Serialize) -> Self {
        // Nothing that is served here can fail to be written as JSON: no map has keys that are not text.
        Self { status, body: Some(serde_json::to_string(value).unwrap_or_default()), headers: Vec::new() }
    }

    /// JSON that is text already.
    pub(crate) fn text(status: u16, body: String) -> Self {
        Self { status, body: Some(body), headers: Vec::new() }
    }

    /// An error in Graph's envelope, without the ids, which are the server's.
    pub(crate) fn error(status: u16, code: &str, message: &str) -> Self {
        Self { status, body: Some(error_body(code, message, None)), headers: Vec::new() }
    }

    /// Whether it stands for an effect or a reading.
    pub(crate) fn is_success(&self) -> bool {
        self.status < 400
    }
}

impl From<&Refusal> for Answer {
    fn from(refusal: &Refusal) -> Self {
        Self::error(refusal.status(), refusal.code(), &refusal.message())
    }
}

/// Marks where the server puts the ids of the request into an error.
pub(crate) const INNER: &str = "\"innerError\":{";

/// Graph's error envelope; `inner` is JSON members for `innerError`.
pub(crate) fn error_body(code: &str, message: &str, inner: Option<&str>) -> String {
    let text = |s: &str| serde_json::to_string(s).unwrap_or_default();
    format!(
        "{{\"error\":{{\"code\":{},\"message\":{},{INNER}{}}}}}}}",
        text(code),
        text(message),
        inner.unwrap_or_default()
    )
}

impl Answer {
    /// Fills the ids and the date into the envelope of an error; other answers stay as they are.
    pub(crate) fn with_ids(mut self, date: &str, request_id: &str, client_request_id: &str) -> Self {
        if self.status >= 400
            && let Some(body) = &mut self.body
            && let Some(at) = body.rfind(INNER)
        {
            let at = at + INNER.len();
            let comma = if body.get(at..).is_some_and(|rest| rest.starts_with('}')) { "" } else { "," };
            let client = serde_json::to_string(client_request_id).unwrap_or_default();
            body.insert_str(
                at,
                &format!(
                    "\"date\":\"{date}\",\"request-id\":\"{request_id}\",\"client-request-id\":{client}{comma}"
                ),
            );
        }
        self
    }
}
