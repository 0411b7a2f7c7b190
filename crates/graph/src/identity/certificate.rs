//! The client assertion of a certificate: a JWT (PS256, `x5t#S256`) signed by aws-lc-rs.
//!
//! The private key never leaves aws-lc-rs once it is read, and nothing of it is printed.

use crate::Error;
use aws_lc_rs::{digest, rand, rsa, signature};
use azure_core::http::ClientMethodOptions;
use azure_core::time::OffsetDateTime;
use azure_identity::ClientAssertion;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use std::path::Path;
use zeroize::Zeroizing;

/// An assertion is good for this long; Entra takes at most ten minutes.
const LIFETIME_S: i64 = 540;
/// Our clock may be ahead of Entra's by this much.
const SKEW_S: i64 = 60;

/// Signs assertions for one app registration.
pub(super) struct Assertion {
    key: rsa::KeyPair,
    /// base64url of the certificate's SHA-256.
    thumbprint: String,
    client_id: String,
    audience: String,
}

impl std::fmt::Debug for Assertion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Assertion").field("client_id", &self.client_id).finish_non_exhaustive()
    }
}

impl Assertion {
    /// Reads the certificate and its key (`PRIVATE KEY`, PKCS#8, RSA) from one PEM file.
    pub(super) fn from_pem_file(path: &Path, client_id: String, audience: String) -> Result<Self, Error> {
        let config =
            |what: &str| Error::Config { what: format!("certificate file {}: {what}", path.display()) };
        let text =
            std::fs::read_to_string(path).map_err(|e| config(&format!("cannot be read ({})", e.kind())))?;
        let text = Zeroizing::new(text);
        let certificate = block(&text, "CERTIFICATE").ok_or_else(|| config("it holds no certificate"))?;
        let key = block(&text, "PRIVATE KEY").ok_or_else(|| {
            config("it holds no PKCS#8 private key; convert it with `openssl pkcs8 -topk8 -nocrypt`")
        })?;
        let key =
            rsa::KeyPair::from_pkcs8(&key).map_err(|_| config("its private key is no usable RSA key"))?;
        let thumbprint = URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, &certificate));
        Ok(Self { key, thumbprint, client_id, audience })
    }

    /// A signed assertion, valid around `now_s` (Unix time).
    fn sign(&self, now_s: i64) -> Option<String> {
        let header = serde_json::json!({ "alg": "PS256", "typ": "JWT", "x5t#S256": self.thumbprint });
        let claims = serde_json::json!({
            "aud": self.audience, "iss": self.client_id, "sub": self.client_id,
            "jti": uuid::Uuid::new_v4().to_string(),
            "nbf": now_s - SKEW_S, "exp": now_s + LIFETIME_S - SKEW_S,
        });
        let signed = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header.to_string()),
            URL_SAFE_NO_PAD.encode(claims.to_string())
        );
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key
            .sign(&signature::RSA_PSS_SHA256, &rand::SystemRandom::new(), signed.as_bytes(), &mut signature)
            .ok()?;
        Some(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

#[async_trait::async_trait]
impl ClientAssertion for Assertion {
    async fn secret(&self, _: Option<ClientMethodOptions<'_>>) -> azure_core::Result<String> {
        self.sign(OffsetDateTime::now_utc().unix_timestamp()).ok_or_else(|| {
            azure_core::Error::with_message(
                azure_core::error::ErrorKind::Credential,
                "the certificate's key could not sign",
            )
        })
    }
}

/// The first block of that name, decoded.
fn block(pem: &str, name: &str) -> Option<Zeroizing<Vec<u8>>> {
    let (_, rest) = pem.split_once(&format!("-----BEGIN {name}-----"))?;
    let (body, _) = rest.split_once(&format!("-----END {name}-----"))?;
    let body = Zeroizing::new(body.split_whitespace().collect::<String>());
    STANDARD.decode(body.as_bytes()).ok().map(Zeroizing::new)
}
