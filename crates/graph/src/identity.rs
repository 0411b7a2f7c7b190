//! Who we are to Graph: a bearer token, kept until shortly before it ends, renewed by one caller at a time.
//!
//! Tokens live in memory alone and print as `[redacted]`. Signing in is azure_identity's work; the certificate's
//! assertion is signed here, since azure_identity would want a system library for it.

mod certificate;
mod transport;

pub(crate) use transport::Http;

use crate::{Cloud, Config, Credential, Error};
use azure_core::cloud::{CloudConfiguration, CustomConfiguration};
use azure_core::credentials::TokenCredential;
use azure_core::error::ErrorKind;
use azure_core::http::{ClientOptions, HttpClient, Transport};
use azure_core::time::OffsetDateTime;
use azure_identity::{
    ClientAssertionCredential, ClientAssertionCredentialOptions, ClientSecretCredential,
    ClientSecretCredentialOptions, ManagedIdentityCredential, ManagedIdentityCredentialOptions,
    UserAssignedId, WorkloadIdentityCredential, WorkloadIdentityCredentialOptions,
};
use certificate::Assertion;
use contract::Secret;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// A token is renewed this long before it ends: longer than any request, so that none is under way when it does.
const RENEW_BEFORE: Duration = Duration::from_secs(300);

/// A token and the number of its renewal, by which callers tell whether somebody has renewed it already.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    pub(crate) bearer: Secret,
    generation: u64,
}

#[derive(Default)]
struct Cached {
    token: Option<(Token, OffsetDateTime)>,
    generation: u64,
}

/// The identity; shared by all calls.
pub(crate) struct Identity {
    source: Source,
    scope: String,
    cached: Mutex<Cached>,
}

enum Source {
    Fixed(Secret),
    SignIn { credential: Credential, cloud: Cloud, transport: Arc<dyn HttpClient> },
}

impl Identity {
    /// Checks that the credential can be used; does not sign in. Sign-ins will go over the transport.
    pub(crate) fn new(config: &Config, transport: Arc<dyn HttpClient>) -> Result<Self, Error> {
        let source = match &config.credential {
            Credential::Token(token) => Source::Fixed(token.clone()),
            credential @ (Credential::Certificate { .. }
            | Credential::Workload { .. }
            | Credential::Managed { .. }
            | Credential::Secret { .. }) => {
                sign_in(credential, config.cloud, &transport)?;
                Source::SignIn { credential: credential.clone(), cloud: config.cloud, transport }
            }
        };
        Ok(Self { source, scope: config.cloud.scope(), cached: Mutex::default() })
    }

    /// A token that is good for at least another five minutes.
    pub(crate) async fn token(&self) -> Result<Token, Error> {
        self.get(None).await
    }

    /// A token other than the refused one; `Unauthorized` where there can be no other.
    pub(crate) async fn renew(&self, refused: &Token) -> Result<Token, Error> {
        self.get(Some(refused.generation)).await
    }

    async fn get(&self, refused: Option<u64>) -> Result<Token, Error> {
        let (credential, cloud, transport) = match &self.source {
            Source::Fixed(_) if refused.is_some() => return Err(Error::Unauthorized),
            Source::Fixed(bearer) => return Ok(Token { bearer: bearer.clone(), generation: 0 }),
            Source::SignIn { credential, cloud, transport } => (credential, *cloud, transport),
        };
        let mut cached = self.cached.lock().await;
        if let Some((token, ends)) = &cached.token
            && refused != Some(token.generation)
            && OffsetDateTime::now_utc() + RENEW_BEFORE < *ends
        {
            return Ok(token.clone());
        }
        // azure_identity keeps tokens too and cannot be told to forget one: a new credential has none.
        let access = sign_in(credential, cloud, transport)?
            .get_token(&[self.scope.as_str()], None)
            .await
            .map_err(sign_in_error)?;
        cached.generation += 1;
        let token = Token { bearer: Secret::new(access.token.secret()), generation: cached.generation };
        cached.token = Some((token.clone(), access.expires_on));
        Ok(token)
    }
}

fn sign_in(
    credential: &Credential,
    cloud: Cloud,
    transport: &Arc<dyn HttpClient>,
) -> Result<Arc<dyn TokenCredential>, Error> {
    let client_options = client_options(cloud, transport);
    let made: azure_core::Result<Arc<dyn TokenCredential>> = match credential {
        Credential::Token(_) => {
            return Err(Error::Config { what: "a fixed token signs nobody in".to_owned() });
        }
        Credential::Certificate { tenant, client_id, pem_file } => {
            let audience = format!("{}/{tenant}/oauth2/v2.0/token", cloud.authority());
            let assertion = Assertion::from_pem_file(pem_file, client_id.clone(), audience)?;
            let options = ClientAssertionCredentialOptions { client_options };
            ClientAssertionCredential::new(tenant.clone(), client_id.clone(), assertion, Some(options))
                .map(|c| -> Arc<dyn TokenCredential> { c })
        }
        Credential::Workload { tenant, client_id, token_file } => {
            WorkloadIdentityCredential::new(Some(WorkloadIdentityCredentialOptions {
                credential_options: ClientAssertionCredentialOptions { client_options },
                client_id: Some(client_id.clone()),
                tenant_id: Some(tenant.clone()),
                token_file_path: Some(token_file.clone()),
            }))
            .map(|c| -> Arc<dyn TokenCredential> { c })
        }
        Credential::Managed { client_id } => {
            ManagedIdentityCredential::new(Some(ManagedIdentityCredentialOptions {
                user_assigned_id: client_id.clone().map(UserAssignedId::ClientId),
                client_options,
            }))
            .map(|c| -> Arc<dyn TokenCredential> { c })
        }
        Credential::Secret { tenant, client_id, secret } => {
            let options = ClientSecretCredentialOptions { client_options };
            let secret = azure_core::credentials::Secret::new(secret.expose().to_owned());
            ClientSecretCredential::new(tenant, client_id.clone(), secret, Some(options))
                .map(|c| -> Arc<dyn TokenCredential> { c })
        }
    };
    made.map_err(|source| Error::SignIn { source })
}

fn client_options(cloud: Cloud, transport: &Arc<dyn HttpClient>) -> ClientOptions {
    let mut custom = CustomConfiguration::default();
    custom.authority_host = cloud.authority().to_owned();
    ClientOptions {
        cloud: Some(Arc::new(CloudConfiguration::Custom(custom))),
        transport: Some(Transport::new(Arc::clone(transport))),
        ..ClientOptions::default()
    }
}

/// A refusal (4xx) stops; anything else may pass. azure_identity wraps the answer, so the chain is walked.
fn sign_in_error(source: azure_core::Error) -> Error {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(&source);
    let mut passing = false;
    while let Some(error) = next {
        if let Some(azure) = error.downcast_ref::<azure_core::Error>() {
            match azure.kind() {
                ErrorKind::HttpResponse { status, .. } => {
                    let status = u16::from(*status);
                    passing = status >= 500 || status == 429 || status == 408;
                }
                ErrorKind::Io | ErrorKind::Connection => passing = true,
                // These say nothing of their own; what they wrap does.
                ErrorKind::Credential | ErrorKind::DataConversion | ErrorKind::Other => {}
            }
        }
        next = error.source();
    }
    if passing { Error::SignInUnreachable { source } } else { Error::SignIn { source } }
}
