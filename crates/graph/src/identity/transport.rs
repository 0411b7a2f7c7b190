//! azure_identity's HTTP goes over the same kind of client as ours: one TLS stack, one set of time limits.

use azure_core::error::{Error, ErrorKind};
use azure_core::http::headers::{HeaderName, HeaderValue, Headers};
use azure_core::http::{AsyncRawResponse, Body, HttpClient, Method, Request};

#[derive(Debug)]
pub(crate) struct Http(pub(crate) reqwest::Client);

#[async_trait::async_trait]
impl HttpClient for Http {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let method = match request.method() {
            Method::Delete => reqwest::Method::DELETE,
            Method::Get => reqwest::Method::GET,
            Method::Head => reqwest::Method::HEAD,
            Method::Patch => reqwest::Method::PATCH,
            Method::Post => reqwest::Method::POST,
            Method::Put => reqwest::Method::PUT,
            _ => {
                return Err(Error::with_message(
                    ErrorKind::Other,
                    "a sign-in with a method that is not known",
                ));
            }
        };
        let mut out = self.0.request(method, request.url().clone());
        for (name, value) in request.headers().iter() {
            out = out.header(name.as_str(), value.as_str());
        }
        let Body::Bytes(bytes) = request.body() else {
            return Err(Error::with_message(ErrorKind::Other, "a sign-in never streams a body"));
        };
        let answer = out.body(bytes.clone()).send().await.map_err(broken)?;
        let status = answer.status().as_u16();
        let headers: Headers = answer
            .headers()
            .iter()
            .filter_map(|(name, value)| {
                let value = value.to_str().ok()?.to_owned();
                Some((HeaderName::from(name.as_str().to_owned()), HeaderValue::from(value)))
            })
            .collect::<std::collections::HashMap<_, _>>()
            .into();
        let body = answer.bytes().await.map_err(broken)?;
        Ok(AsyncRawResponse::from_bytes(status.into(), headers, body))
    }
}

fn broken(error: reqwest::Error) -> Error {
    let kind = if error.is_connect() { ErrorKind::Connection } else { ErrorKind::Io };
    Error::new(kind, error.without_url())
}
