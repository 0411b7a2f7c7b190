//! What a process shows over HTTP where an address is given: `/metrics` for Prometheus, `/healthz` (it lives), `/readyz`
//! (what it needs is there).
//!
//! The same instruments as those of the export, read by a second reader; nothing is counted twice. It only answers: no
//! request changes anything, and none is waited for. Connections are few at a time, and their excess waits.

use crate::readiness;
use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::serve::Listener;
use prometheus::{Encoder, Registry, TextEncoder};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Connections at a time: Prometheus keeps one, a probe opens one and closes it.
const CONNECTIONS: usize = 32;

/// The endpoint cannot be opened. Nothing was begun.
#[derive(Debug, thiserror::Error)]
#[error(
    "the metrics endpoint cannot listen on {address}: {source}; another process may have it, name another with \
     --metrics-listen"
)]
pub struct EndpointError {
    address: SocketAddr,
    source: io::Error,
}

/// An address to listen on, as it is written: a port alone is one of this machine's own, `127.0.0.1`; whatever is seen from
/// elsewhere must be written out. Absent where it is neither.
pub fn listen_address(text: &str) -> Option<SocketAddr> {
    let text = text.trim();
    match text.parse::<u16>() {
        Ok(port) => Some(SocketAddr::from(([127, 0, 0, 1], port))),
        Err(_) => text.parse().ok(),
    }
}

/// An endpoint that nobody serves yet.
#[derive(Debug, Clone)]
pub struct Endpoint {
    pub(crate) registry: Registry,
    pub(crate) listen: SocketAddr,
}

impl Endpoint {
    /// Listens, and answers on the runtime of the caller for as long as that lives: one that is stuck answers nobody. The
    /// address is where it listens in the end.
    ///
    /// # Errors
    /// Nobody can listen there.
    pub async fn serve(self) -> Result<SocketAddr, EndpointError> {
        let failed = |source| EndpointError { address: self.listen, source };
        let listener = TcpListener::bind(self.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let registry = self.registry;
        let routes = Router::new()
            .route("/metrics", get(move || async move { metrics(&registry) }))
            .route("/healthz", get(|| async { "alive\n" }))
            .route("/readyz", get(|| async { ready() }));
        let few = Few { listener, free: Arc::new(Semaphore::new(CONNECTIONS)) };
        tokio::spawn(axum::serve(few, routes).into_future());
        tracing::info!(%address, "metrics and probes are served");
        Ok(address)
    }
}

/// What the instruments say, in Prometheus' own text.
fn metrics(registry: &Registry) -> Response {
    let mut text = Vec::new();
    match TextEncoder::new().encode(&registry.gather(), &mut text) {
        Ok(()) => ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        Err(error) => {
            tracing::warn!(%error, "the metrics cannot be written down");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// A line for each thing that the process needs.
fn ready() -> Response {
    let (is_ready, text) = readiness::told();
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, text).into_response()
}

/// A listener that takes a connection only when there is room for it.
struct Few {
    listener: TcpListener,
    free: Arc<Semaphore>,
}

/// A connection, and the room that it takes.
struct Taken {
    stream: TcpStream,
    _room: Option<OwnedSemaphorePermit>,
}

impl Listener for Few {
    type Io = Taken;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Taken, SocketAddr) {
        // Nobody closes the semaphore.
        let room = Arc::clone(&self.free).acquire_owned().await.ok();
        // The library's own way of bearing what cannot be accepted: it waits a moment and goes on.
        let (stream, address) = Listener::accept(&mut self.listener).await;
        (Taken { stream, _room: room }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl AsyncRead for Taken {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Taken {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::listen_address;

    #[test]
    fn a_port_alone_is_seen_by_this_machine_alone() {
        let of = |text| listen_address(text).map(|address| address.to_string());
        assert_eq!(of("9464"), Some("127.0.0.1:9464".to_owned()));
        assert_eq!(of(" 0.0.0.0:9464 "), Some("0.0.0.0:9464".to_owned()));
        assert_eq!(of("[::1]:9464"), Some("[::1]:9464".to_owned()));
        for text in ["", ":9464", "localhost:9464", "0.0.0.0", "*:9464", "99999"] {
            assert_eq!(of(text), None, "{text}");
        }
    }
}
