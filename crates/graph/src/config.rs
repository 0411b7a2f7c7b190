//! What the client must be told: where Graph is, who we are, how long a request may take. Debug shows no secret.

use crate::Cloud;
use contract::Secret;
use std::path::PathBuf;
use std::time::Duration;

/// Who signs in, and by what proof.
#[derive(Debug, Clone)]
pub enum Credential {
    /// A fixed bearer token; it cannot be renewed. For the simulated tenant and for trials.
    Token(Secret),
    /// A certificate of the app registration: the assertion is signed here (PS256).
    Certificate {
        /// Tenant id or domain.
        tenant: String,
        /// Application (client) id.
        client_id: String,
        /// PEM file with the certificate and its RSA private key (PKCS#8).
        pem_file: PathBuf,
    },
    /// Workload identity federation: another issuer's token stands for us.
    Workload {
        /// Tenant id or domain.
        tenant: String,
        /// Application (client) id.
        client_id: String,
        /// File with the issuer's token; read again at each sign-in.
        token_file: PathBuf,
    },
    /// The identity that Azure gave this machine.
    Managed {
        /// Client id of a user-assigned identity; absent means the system-assigned one.
        client_id: Option<String>,
    },
    /// A client secret.
    Secret {
        /// Tenant id or domain.
        tenant: String,
        /// Application (client) id.
        client_id: String,
        /// The secret.
        secret: Secret,
    },
}

/// Settings of the client.
#[derive(Debug, Clone)]
pub struct Config {
    /// Origin (and path, if any) in front of the version; a slash at the end makes no difference.
    pub base_url: String,
    /// The cloud whose authority signs in.
    pub cloud: Cloud,
    /// Who we are.
    pub credential: Credential,
    /// Longest time for one HTTP call, from connecting to the last byte. Graph itself gives up after 60 s.
    pub request_timeout: Duration,
}
