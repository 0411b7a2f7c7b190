//! One HTTP call to Graph: identity, quota, headers, time limit. It never retries, but for a refused token.
//!
//! Quota is taken after the token is at hand and right before sending, so that a hold that begins meanwhile is kept.

use crate::exchange;
use crate::identity::{Http, Identity};
use crate::pace::{Bucket, Grant, Pace};
use crate::wire::{error_code, retry_after};
use crate::{Config, Error, Held};
use azure_core::http::HttpClient;
use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER,
};
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, RwLock};
use std::task::Poll;
use std::time::Duration;
use telemetry::Shutdown;
use tokio::time::Instant;
use url::Url;

/// The service drops idle connections after about two minutes; ours go first, so that none is used while it closes.
const POOL_IDLE: Duration = Duration::from_secs(45);
/// Longest time to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// Bulk work gives way to people (Graph sheds `Low` first); it changes no limit.
pub(crate) const PRIORITY: &str = "x-ms-throttle-priority";

/// Which half of the API a call belongs to; one bundle cannot hold both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// `v1.0`.
    V1,
    /// `beta`.
    Beta,
}

impl Version {
    /// Graph's path segment.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V1 => "v1.0",
            Self::Beta => "beta",
        }
    }
}

/// Makes the body of a call; once for each time that it is sent.
pub(crate) type Body = Box<dyn Fn() -> Result<Vec<u8>, Error> + Send + Sync>;

/// A call to be made.
pub(crate) struct Call {
    pub(crate) url: Url,
    /// A body makes it a POST. It is made when the quota is at hand: what it holds may depend on the time.
    pub(crate) body: Option<Body>,
    /// Whether it needs `ConsistencyLevel: eventual`.
    pub(crate) eventual: bool,
    /// What the `Prefer` header asks for; absent for no such header.
    pub(crate) prefer: Option<&'static str>,
    pub(crate) bucket: Bucket,
    /// How many calls Graph will count.
    pub(crate) n: u32,
    /// The call is not begun after this.
    pub(crate) not_after: Instant,
    /// Nor once one of these is heard, not even if its quota is at hand. What is under way ends.
    pub(crate) stops: Vec<Shutdown>,
}

/// An answer, whatever its status.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) scope: Option<String>,
    /// `Date`, as it came.
    pub(crate) date: Option<String>,
    pub(crate) body: Vec<u8>,
    pub(crate) grant: Grant,
}

impl Reply {
    /// The error of an unsuccessful status.
    pub(crate) fn error(&self) -> Error {
        Error::of_status(self.status, error_code(&self.body))
    }
}

/// Why a call has no answer.
pub(crate) enum Failure {
    /// No quota in time; nothing was sent.
    Held(Held),
    /// No token; nothing was sent.
    NoToken(Error),
    /// It was sent, or it could not be; `Error::Connect` is the one case in which nothing was.
    Lost(Error),
}

pub(crate) struct Client {
    base: Url,
    timeout: Duration,
    http: RwLock<reqwest::Client>,
    identity: Identity,
    pace: Pace,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("base", &self.base.as_str()).finish_non_exhaustive()
    }
}

impl Client {
    pub(crate) fn new(config: &Config, pace: Pace) -> Result<Arc<Self>, Error> {
        Self::signing_in_over(config, pace, None)
    }

    /// A client whose sign-ins go over another transport than its own; tests have an authority nearby.
    pub(crate) fn signing_in_over(
        config: &Config,
        pace: Pace,
        sign_in: Option<Arc<dyn HttpClient>>,
    ) -> Result<Arc<Self>, Error> {
        let base = Url::parse(&format!("{}/", config.base_url.trim_end_matches('/')))
            .ok()
            .filter(|u| matches!(u.scheme(), "http" | "https") && u.has_host())
            .ok_or_else(|| Error::Config { what: "`graph_url` is no http or https address".to_owned() })?;
        let http = build(config.request_timeout)?;
        let sign_in = sign_in.unwrap_or_else(|| Arc::new(Http(http.clone())));
        let identity = Identity::new(config, sign_in)?;
        Ok(Arc::new(Self { base, timeout: config.request_timeout, http: RwLock::new(http), identity, pace }))
    }

    pub(crate) fn pace(&self) -> &Pace {
        &self.pace
    }

    /// The address of a path and query below a version.
    pub(crate) fn url(&self, version: Version, path: &str) -> Result<Url, Error> {
        self.base
            .join(&format!("{}/{path}", version.as_str()))
            .map_err(|_| Error::Config { what: "`graph_url` cannot carry a path".to_owned() })
    }

    /// The address of a next page, which must lie where we send tokens anyway.
    pub(crate) fn link(&self, next: &str) -> Result<Url, Error> {
        let url = Url::parse(next).map_err(|_| Error::Shape { what: "nextLink" })?;
        if url.origin() == self.base.origin() { Ok(url) } else { Err(Error::ForeignLink) }
    }

    /// Sends the call; a 401 renews the token and sends once more.
    pub(crate) async fn send(&self, call: &Call) -> Result<Reply, Failure> {
        let token = self.identity.token().await.map_err(Failure::NoToken)?;
        let reply = self.send_as(call, token.bearer.expose()).await?;
        if reply.status != 401 {
            return Ok(reply);
        }
        match self.identity.renew(&token).await {
            Ok(token) => self.send_as(call, token.bearer.expose()).await,
            // The 401 tells more than the failed attempt to mend it.
            Err(_) => Ok(reply),
        }
    }

    async fn send_as(&self, call: &Call, bearer: &str) -> Result<Reply, Failure> {
        let grant = tokio::select! {
            biased;
            () = any_requested(&call.stops) => return Err(Failure::Held(Held { until: Instant::now() })),
            grant = self.pace.acquire(call.bucket, call.n, call.not_after) => grant.map_err(Failure::Held)?,
        };
        let request = self.request(call, bearer).map_err(Failure::NoToken)?;
        self.count(call);
        let method = if call.body.is_some() { "POST" } else { "GET" };
        exchange::seen(method, &call.url, self.exchange(call, request, grant)).await
    }

    async fn exchange(
        &self,
        call: &Call,
        request: reqwest::RequestBuilder,
        grant: Grant,
    ) -> Result<Reply, Failure> {
        let answer = match request.send().await {
            Ok(answer) => answer,
            Err(error) => return Err(Failure::Lost(Error::of_transport(error))),
        };
        let status = answer.status().as_u16();
        let header = |name: &HeaderName| answer.headers().get(name).and_then(|v| v.to_str().ok());
        let retry_after = header(&RETRY_AFTER).and_then(retry_after);
        let scope = header(&HeaderName::from_static("x-ms-throttle-scope")).map(str::to_owned);
        let date = header(&DATE).map(str::to_owned);
        tracing::debug!(
            graph.status = status,
            graph.request_id = header(&HeaderName::from_static("request-id")).unwrap_or_default(),
            graph.diagnostic = header(&HeaderName::from_static("x-ms-ags-diagnostic")).unwrap_or_default(),
            "answer"
        );
        let body = answer.bytes().await.map_err(|e| Failure::Lost(Error::of_transport(e)))?;
        if status == 503 {
            self.reconnect();
            if let Some(pause) = retry_after {
                self.pace.pause(call.bucket, pause);
            }
        }
        Ok(Reply { status, retry_after, scope, date, body: body.to_vec(), grant })
    }

    fn request(&self, call: &Call, bearer: &str) -> Result<reqwest::RequestBuilder, Error> {
        let mut headers = HeaderMap::new();
        let mut authorization = HeaderValue::from_str(&format!("Bearer {bearer}")).map_err(|_| {
            Error::Config { what: "the access token has characters that no header takes".to_owned() }
        })?;
        authorization.set_sensitive(true);
        headers.insert(AUTHORIZATION, authorization);
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(HeaderName::from_static(PRIORITY), HeaderValue::from_static("Low"));
        if let Ok(id) = HeaderValue::from_str(&uuid::Uuid::new_v4().to_string()) {
            headers.insert(HeaderName::from_static("client-request-id"), id);
        }
        if call.eventual {
            headers.insert(HeaderName::from_static("consistencylevel"), HeaderValue::from_static("eventual"));
        }
        if let Some(prefer) = call.prefer {
            headers.insert(HeaderName::from_static("prefer"), HeaderValue::from_static(prefer));
        }
        let http = self.http.read().unwrap_or_else(PoisonError::into_inner).clone();
        let url = call.url.clone();
        Ok(match &call.body {
            None => http.get(url).headers(headers),
            Some(body) => {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                http.post(url).headers(headers).body(body()?)
            }
        })
    }

    fn count(&self, call: &Call) {
        let counters = self.pace.counters();
        counters.round_trips.fetch_add(1, Ordering::Relaxed);
        counters.requests.fetch_add(u64::from(call.n), Ordering::Relaxed);
        if call.bucket.is_of_writes() {
            counters.writes.fetch_add(u64::from(call.n), Ordering::Relaxed);
        }
    }

    /// After a 503 new requests go over new connections, as Graph's best practices ask.
    fn reconnect(&self) {
        if let Ok(fresh) = build(self.timeout) {
            *self.http.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        }
    }
}

/// Waits for the first of the wishes to stop; for ever where there is none.
async fn any_requested(stops: &[Shutdown]) {
    let mut heard: Vec<_> = stops.iter().map(|stop| Box::pin(stop.requested())).collect();
    std::future::poll_fn(|context| {
        let is_heard = heard.iter_mut().any(|stop| stop.as_mut().poll(context).is_ready());
        if is_heard { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

fn build(timeout: Duration) -> Result<reqwest::Client, Error> {
    reqwest::Client::builder()
        .timeout(timeout)
        .connect_timeout(CONNECT_TIMEOUT.min(timeout))
        .pool_idle_timeout(POOL_IDLE)
        // A redirect could take the token elsewhere, and Graph sends none.
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("mfa-migrate/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|e| Error::Config { what: format!("no TLS client: {e}") })
}
