//! A listener that speaks TLS and keeps what clients say to it before it has answered a word.
//!
//! It is a server that may not be trusted: a client that verifies lets it hear nothing at all. It never answers beyond the
//! handshake.

use super::Pair;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How TLS begins.
#[derive(Clone, Copy)]
pub enum Opening {
    /// With the connection.
    AtOnce,
    /// After PostgreSQL's request for it.
    Postgres,
}

/// A listener on 127.0.0.1, as long as the process lives.
pub struct Ear {
    /// Where it listens.
    pub port: u16,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Default)]
struct Kept {
    heard: Vec<u8>,
    refusals: usize,
}

impl Ear {
    /// Listens under a certificate.
    pub fn listen(pair: &Pair, opening: Opening) -> Self {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let chain = CertificateDer::pem_file_iter(&pair.certificate).expect("a certificate");
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(
                chain.collect::<Result<_, _>>().expect("a certificate"),
                PrivateKeyDer::from_pem_file(&pair.key).expect("a key"),
            )
            .expect("a certificate with its key");
        let config = Arc::new(config);
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("address").port();
        let kept = Arc::new(Mutex::new(Kept::default()));
        let keeps = Arc::clone(&kept);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (config, kept) = (Arc::clone(&config), Arc::clone(&keeps));
                std::thread::spawn(move || {
                    if listen(client, opening, config, &kept).is_err() {
                        kept.lock().expect("what was heard").refusals += 1;
                    }
                });
            }
        });
        Self { port, kept }
    }

    /// What clients said inside TLS, so far.
    pub fn heard(&self) -> String {
        String::from_utf8_lossy(&self.kept.lock().expect("what was heard").heard).into_owned()
    }

    /// How many clients broke it off before they had said anything.
    pub fn refusals(&self) -> usize {
        self.kept.lock().expect("what was heard").refusals
    }
}

/// Fails when the client breaks it off in the handshake.
fn listen(
    mut client: TcpStream,
    opening: Opening,
    config: Arc<ServerConfig>,
    kept: &Mutex<Kept>,
) -> std::io::Result<()> {
    client.set_read_timeout(Some(Duration::from_secs(20)))?;
    if let Opening::Postgres = opening {
        client.read_exact(&mut [0; 8])?;
        client.write_all(b"S")?;
    }
    let connection = ServerConnection::new(config).map_err(std::io::Error::other)?;
    let mut stream = StreamOwned::new(connection, client);
    let mut buffer = [0; 4096];
    let first = stream.read(&mut buffer)?;
    kept.lock().expect("what was heard").heard.extend(buffer.iter().take(first));
    Ok(())
}
