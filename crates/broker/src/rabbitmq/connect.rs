//! One attempt to connect, over TLS or in clear. What is trusted is either the CA file or the system's certificates, never
//! both; there is no way to skip the verification.

use super::address::Address;
use super::settings::Settings;
use crate::Error;
use lapin::protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError};
use lapin::tcp::{AMQPUriTcpExt, RustlsConnector, RustlsConnectorConfig};
use lapin::uri::AMQPScheme;
use lapin::{Connection, ConnectionProperties, ErrorKind};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// What every attempt needs.
#[derive(Clone)]
pub(crate) struct Route {
    pub(crate) address: Address,
    tls: Option<Arc<RustlsConnector>>,
    timeout: Duration,
    process: String,
}

impl Route {
    /// Reads the certificates, so that a wrong file is told at the start and not at the first reconnection.
    pub(crate) fn new(address: Address, settings: &Settings) -> Result<Self, Error> {
        let tls = if address.tls { Some(Arc::new(connector(settings)?)) } else { None };
        Ok(Self { address, tls, timeout: settings.connect_timeout, process: settings.process.clone() })
    }

    /// Connects once.
    pub(crate) async fn connect(&self, role: &str) -> Result<Connection, Error> {
        let runtime = lapin::runtime::default_runtime().map_err(|e| self.explain(&e))?;
        let properties =
            ConnectionProperties::default().with_connection_name(format!("{} ({role})", self.process).into());
        let (tls, timeout) = (self.tls.clone(), self.timeout);
        let open = Connection::connector(
            self.address.uri.clone(),
            runtime,
            async move |uri, runtime| {
                let host = uri.authority.host.clone();
                // lapin's own TLS would trust the system's certificates beside the CA file.
                let mut plain = uri;
                plain.scheme = AMQPScheme::AMQP;
                let open = async {
                    let stream = plain.connect_async(&runtime).await?;
                    match &tls {
                        None => Ok(stream),
                        Some(connector) => stream.into_rustls(connector, &host).await,
                    }
                };
                match tokio::time::timeout(timeout, open).await {
                    Ok(done) => done.map_err(lapin::Error::from),
                    Err(_) => Err(lapin::Error::from(io::Error::from(io::ErrorKind::TimedOut))),
                }
            },
            properties,
        );
        // The outer limit is for a broker that accepts and then says nothing.
        match tokio::time::timeout(self.timeout + Duration::from_secs(1), open).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(self.explain(&error)),
            Err(_) => Err(self.unreachable(format!("no answer for {} s", self.timeout.as_secs()))),
        }
    }

    fn unreachable(&self, why: String) -> Error {
        Error::Unreachable { broker: self.address.shown.clone(), why }
    }

    fn explain(&self, error: &lapin::Error) -> Error {
        let broker = self.address.shown.clone();
        if let ErrorKind::ProtocolError(e) = error.kind() {
            match e.kind() {
                AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED) => return Error::Refused { broker },
                AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED | AMQPHardError::INVALIDPATH) => {
                    return Error::VirtualHost { broker };
                }
                AMQPErrorKind::Soft(_) | AMQPErrorKind::Hard(_) => {}
            }
        }
        // What rustls refuses, or is refused by the other side, comes as damaged data.
        if let ErrorKind::IOError(e) = error.kind()
            && e.kind() == io::ErrorKind::InvalidData
        {
            return Error::Untrusted { broker, why: e.to_string() };
        }
        self.unreachable(error.to_string())
    }
}

fn connector(settings: &Settings) -> Result<RustlsConnector, Error> {
    let unusable = |file: &str, why: String| Error::Certificate { file: file.to_owned(), why };
    let system = "the system's certificates";
    let config = match &settings.ca_file {
        Some(file) => RustlsConnectorConfig::default().with_parsable_certificates(certificates(file)?),
        None => {
            RustlsConnectorConfig::new_with_native_certs().map_err(|e| unusable(system, e.to_string()))?
        }
    };
    match (&settings.certificate_file, &settings.key_file) {
        (Some(certificate), Some(key)) => {
            let shown = key.display().to_string();
            let key = PrivateKeyDer::from_pem_file(key).map_err(|e| unusable(&shown, pem_error(&e)))?;
            config
                .connector_with_single_cert(certificates(certificate)?, key)
                .map_err(|e| unusable(&certificate.display().to_string(), e.to_string()))
        }
        (None, None) => config.connector_with_no_client_auth().map_err(|e| unusable(system, e.to_string())),
        (Some(file), None) => {
            Err(unusable(&file.display().to_string(), "the file of its key is not named".to_owned()))
        }
        (None, Some(file)) => {
            Err(unusable(&file.display().to_string(), "the file of its certificate is not named".to_owned()))
        }
    }
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let unusable = |why: String| Error::Certificate { file: file.display().to_string(), why };
    let found: Vec<_> = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect)
        .map_err(|e| unusable(pem_error(&e)))?;
    if found.is_empty() {
        return Err(unusable("it holds no certificate in PEM".to_owned()));
    }
    Ok(found)
}

/// A PEM error without the lines it may quote: they could be those of a key.
fn pem_error(error: &rustls_pki_types::pem::Error) -> String {
    if let rustls_pki_types::pem::Error::Io(e) = error {
        return e.to_string();
    }
    "it is not in PEM, or lacks what it should hold".to_owned()
}
