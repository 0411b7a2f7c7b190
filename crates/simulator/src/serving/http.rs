//! The HTTP face: authorization, versions, bodies, headers; and the server's own two pages.
//!
//! Graph's calls need a bearer token; `/simulator/state` and `/simulator/stats` need none.

use super::batch::{self, Outer};
use super::connection::{Line, Lines};
use super::desk::{Asked, Desk, error_date};
use super::options::Options;
use crate::tenant::{Answer, Content, Now, State, Verb, Version};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request, State as Shared};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Graph's largest request body, in bytes.
const BODY_MAX: usize = 4 << 20;

/// Why the tenant could not be served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The journal cannot be opened.
    #[error(
        "the journal {path} cannot be opened for appending; name a file in a folder that exists and is writable"
    )]
    Journal {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The listener failed.
    #[error("the listener of the simulated tenant failed")]
    Listener(#[source] io::Error),
}

struct Server {
    desk: Mutex<Desk>,
    started: Instant,
    latency: Duration,
    token: Option<String>,
    arrived: Arc<AtomicU64>,
}

impl Server {
    fn desk(&self) -> MutexGuard<'_, Desk> {
        // A panic in a turn leaves at worst a half-told answer; the state itself changes in single steps.
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Now {
        let unix_ms = time::OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000;
        Now { uptime: self.started.elapsed(), unix_ms: i64::try_from(unix_ms).unwrap_or_default() }
    }
}

/// Serves the tenant on a listener until `shutdown` is done.
///
/// # Errors
/// The journal cannot be opened, or the listener fails.
pub async fn serve<F>(
    listener: tokio::net::TcpListener,
    state: State,
    options: Options,
    shutdown: F,
) -> Result<(), Error>
where
    F: Future + Send + 'static,
{
    let run = u64::try_from(time::OffsetDateTime::now_utc().unix_timestamp_nanos() & 0xffff_ffff_ffff)
        .unwrap_or_default();
    let desk = Desk::new(state, &options, run)
        .map_err(|source| Error::Journal { path: options.journal.clone().unwrap_or_default(), source })?;
    let server = Arc::new(Server {
        desk: Mutex::new(desk),
        started: Instant::now(),
        latency: Duration::from_millis(options.latency_ms),
        token: options.token,
        arrived: options.arrived,
    });
    let router = Router::new().fallback(handle).with_state(server);
    axum::serve(Lines(listener), router.into_make_service_with_connect_info::<Line>())
        .with_graceful_shutdown(async move {
            shutdown.await;
        })
        .await
        .map_err(Error::Listener)
}

async fn handle(
    Shared(server): Shared<Arc<Server>>,
    ConnectInfo(line): ConnectInfo<Line>,
    request: Request,
) -> Response {
    let received = server.started.elapsed();
    let (head, body) = request.into_parts();
    match head.uri.path() {
        "/simulator/state" => return state_page(&server),
        "/simulator/stats" => return stats_page(&server),
        _ => {}
    }
    server.desk().stats.enter(received);
    let body = to_bytes(body, BODY_MAX).await.ok();
    if !server.latency.is_zero() {
        tokio::time::sleep(server.latency).await;
    }
    let now = server.now();
    let turn = {
        let mut desk = server.desk();
        let turn = turn(&server, &mut desk, &head, body.as_deref(), received, now);
        let left = server.started.elapsed();
        desk.stats.leave(left);
        server.arrived.fetch_add(1, Ordering::SeqCst);
        turn.and_then(|turn| desk.finish(left).map(|()| (turn, desk.next_due())))
    };
    match turn {
        // A journal that cannot be written is the end of all evidence: no answer may claim an effect.
        Err(_) => plain(StatusCode::INSUFFICIENT_STORAGE, "the journal cannot be written"),
        Ok((turn, due)) => {
            if let Some(due) = due {
                wake_at(Arc::clone(&server), due);
            }
            if turn.cut {
                line.cut();
            }
            respond(turn, now, &head.headers)
        }
    }
}

/// Applies late writes when their time has come, even if nobody calls any more.
fn wake_at(server: Arc<Server>, due: Duration) {
    tokio::spawn(async move {
        tokio::time::sleep(due.saturating_sub(server.started.elapsed())).await;
        let now = server.now();
        // A journal that cannot be written is told to the next caller.
        server.desk().apply_due(now).ok();
    });
}

struct Turn {
    answer: Answer,
    request_id: String,
    cut: bool,
}

fn turn(
    server: &Server,
    desk: &mut Desk,
    head: &axum::http::request::Parts,
    body: Option<&[u8]>,
    received: Duration,
    now: Now,
) -> io::Result<Turn> {
    desk.apply_due(now)?;
    desk.stats.round_trips += 1;
    let bare = |desk: &mut Desk, answer: Answer| Turn { answer, request_id: desk.fresh_id(), cut: false };
    if !authorized(&head.headers, server.token.as_deref()) {
        let mut answer =
            Answer::error(401, "InvalidAuthenticationToken", "Access token is empty or not accepted.");
        answer.headers.push(("WWW-Authenticate", "Bearer".to_owned()));
        return Ok(bare(desk, answer));
    }
    let path = head.uri.path();
    let found = [Version::V1, Version::Beta].into_iter().find_map(|version| {
        let rest = path.strip_prefix('/')?.strip_prefix(version.as_str())?;
        (rest.is_empty() || rest.starts_with('/')).then_some((version, rest))
    });
    let (Some((version, rest)), Some(verb)) = (found, Verb::parse(head.method.as_str())) else {
        return Ok(bare(desk, Answer::error(400, "BadRequest", "Invalid version or method.")));
    };
    let text = |name: &str| head.headers.get(name).and_then(|v| v.to_str().ok());
    let base = format!("http://{}", text("host").unwrap_or("localhost"));
    let client_request_id = text("client-request-id");
    let content = content(body, text("content-type"));
    if rest == "/$batch" {
        return bundle(
            desk,
            &Outer { version, base: &base, client_request_id },
            verb,
            content,
            received,
            now,
        );
    }
    let url = match head.uri.query() {
        Some(query) => format!("{rest}?{query}"),
        None => rest.to_owned(),
    };
    let eventual = text("consistencylevel").is_some_and(|v| v.eq_ignore_ascii_case("eventual"));
    let mut preferences = head.headers.get_all("prefer").iter().filter_map(|v| v.to_str().ok());
    let unknown_members = preferences.any(wants_unknown_members);
    let client_request_id = client_request_id.map(str::to_owned);
    let asked = Asked {
        version,
        verb,
        url,
        content,
        eventual,
        unknown_members,
        collides: false,
        base,
        client_request_id,
    };
    let said = desk.take(asked, received, now)?;
    Ok(Turn { answer: said.answer, request_id: said.request_id, cut: said.cut })
}

fn bundle(
    desk: &mut Desk,
    outer: &Outer<'_>,
    verb: Verb,
    content: Content,
    received: Duration,
    now: Now,
) -> io::Result<Turn> {
    let refuse = |message: &str| Answer::error(400, "BadRequest", message);
    let (answer, cut) = match (verb, content) {
        (Verb::Post, Content::Json(body)) => batch::take(desk, outer, body, received, now)?,
        (Verb::Post, Content::Empty) => (refuse("Invalid batch payload format."), false),
        (Verb::Post, Content::Unusable(why)) => (refuse(why), false),
        (Verb::Get | Verb::Patch | Verb::Put | Verb::Delete, _) => (
            Answer::error(
                405,
                "Request_BadRequest",
                "Specified HTTP method is not allowed for the request target.",
            ),
            false,
        ),
    };
    Ok(Turn { answer, request_id: desk.fresh_id(), cut })
}

/// Whether a `Prefer` header asks for members of an enumeration that came after its `unknownFutureValue`.
pub(super) fn wants_unknown_members(prefer: &str) -> bool {
    prefer.split([',', ';']).any(|one| one.trim().eq_ignore_ascii_case("include-unknown-enum-members"))
}

fn authorized(headers: &HeaderMap, wanted: Option<&str>) -> bool {
    let given = headers.get(header::AUTHORIZATION).and_then(|v| v.to_str().ok()).and_then(|v| {
        let (scheme, token) = v.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
    });
    match (given, wanted) {
        (Some(given), Some(wanted)) => given == wanted,
        (Some(given), None) => !given.is_empty(),
        (None, _) => false,
    }
}

fn content(body: Option<&[u8]>, content_type: Option<&str>) -> Content {
    match body {
        None => Content::Unusable("The request body is too large."),
        Some([]) => Content::Empty,
        Some(bytes) => {
            let is_json = content_type.is_some_and(|t| t.trim_start().starts_with("application/json"));
            if !is_json {
                return Content::Unusable(
                    "Write requests (excluding DELETE) must contain the Content-Type header declaration.",
                );
            }
            serde_json::from_slice(bytes)
                .map_or(Content::Unusable("Unable to read JSON request payload."), Content::Json)
        }
    }
}

fn respond(turn: Turn, now: Now, asked: &HeaderMap) -> Response {
    let client = asked.get("client-request-id").and_then(|v| v.to_str().ok());
    let date = error_date(now.unix_ms);
    let answer = turn.answer.with_ids(&date, &turn.request_id, client.unwrap_or(&turn.request_id));
    let mut response = Response::new(answer.body.map_or_else(Body::empty, Body::from));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    if answer.status != 204 {
        let json = "application/json;odata.metadata=minimal;odata.streaming=true;charset=utf-8";
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(json));
    }
    let mut put = |name: &'static str, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    put("request-id", &turn.request_id);
    put("client-request-id", client.unwrap_or(&turn.request_id));
    for (name, value) in &answer.headers {
        // `http` wants its static names in lower case.
        match *name {
            "Retry-After" => put("retry-after", value),
            "WWW-Authenticate" => put("www-authenticate", value),
            other => put(other, value),
        }
    }
    response
}

fn state_page(server: &Server) -> Response {
    let now = server.now();
    let mut text = Vec::new();
    let mut desk = server.desk();
    let written = desk.apply_due(now).and_then(|()| desk.tenant.write_state(&mut text));
    drop(desk);
    match written {
        Ok(()) => json_page(text),
        Err(_) => plain(StatusCode::INSUFFICIENT_STORAGE, "the state cannot be written"),
    }
}

fn stats_page(server: &Server) -> Response {
    let stats = server.desk().stats.json(server.started.elapsed());
    json_page(serde_json::to_vec(&stats).unwrap_or_default())
}

fn json_page(body: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(body));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn plain(status: StatusCode, text: &'static str) -> Response {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response
}
