//! The settings as types, with their defaults.

use super::Error;
use contract::{Policy, Secret};
use graph::{Cloud, Credential};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The whole configuration.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) ledger: String,
    pub(crate) broker: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key_file: Option<PathBuf>,
    /// Keys of before: they open and never seal.
    pub(crate) old_key_files: Vec<PathBuf>,
    /// What the names of the queues begin with.
    pub(crate) queue_prefix: String,
    /// Where traces and metrics go, by OTLP over gRPC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) otlp_endpoint: Option<String>,
    pub(crate) telemetry: Telemetry,
    pub(crate) tls: Tls,
    pub(crate) graph: Graph,
    pub(crate) rollout: Rollout,
    pub(crate) cutover: Cutover,
    pub(crate) worker: Worker,
    pub(crate) policy: Policy,
}

/// What a process shows of itself, beside what it exports.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Telemetry {
    /// Where `/metrics`, `/healthz` and `/readyz` are shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) listen: Option<Listen>,
    /// `text` or `json`.
    pub(crate) log_format: String,
}

/// As it is written: a port is a number to whoever writes the file.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Listen {
    Port(u16),
    Address(String),
}

/// Whom the broker is believed, and who we are to it. The database takes the same from its URL (`sslrootcert`, `sslcert`,
/// `sslkey`).
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Tls {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ca_file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) certificate_file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key_file: Option<PathBuf>,
}

/// Where the queue is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BrokerKind {
    /// In this process.
    Embedded,
    /// RabbitMQ at this URL.
    Rabbit(String),
}

/// Where the ledger is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LedgerKind {
    /// A file.
    Sqlite(PathBuf),
    /// PostgreSQL at this URL.
    Postgres(String),
}

/// How Graph is reached.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Graph {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) token: Option<Secret>,
    pub(crate) cloud: String,
    pub(crate) request_timeout_s: u64,
    pub(crate) visibility_deadline_s: u64,
    pub(crate) clock_skew_s: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) identity: Option<Identity>,
}

/// The proof of who we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum IdentityKind {
    Certificate,
    Workload,
    Managed,
    Secret,
    Token,
}

/// Who signs in.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Identity {
    pub(crate) kind: IdentityKind,
    #[serde(default)]
    pub(crate) tenant: Option<String>,
    #[serde(default)]
    pub(crate) client_id: Option<String>,
    #[serde(default)]
    pub(crate) certificate_file: Option<PathBuf>,
    #[serde(default)]
    pub(crate) token_file: Option<PathBuf>,
    #[serde(default)]
    pub(crate) secret: Option<Secret>,
    #[serde(default)]
    pub(crate) token: Option<Secret>,
}

/// The groups of the staged rollout.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Rollout {
    /// By name or object id, in the order in which they are filled.
    pub(crate) groups: Vec<String>,
    /// How long it may take until a user who was taken out is routed to MFA Server again.
    pub(crate) stay_s: u64,
}

/// Who cuts a domain over: never the identity that moves users.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Cutover {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) identity: Option<Identity>,
}

impl Identity {
    /// Whether both sign in as one and the same application.
    fn is_same(&self, other: &Self) -> bool {
        let token = |identity: &Self| identity.token.as_ref().map(|token| token.expose().to_owned());
        match (self.kind, other.kind) {
            (IdentityKind::Token, IdentityKind::Token) => token(self) == token(other),
            (IdentityKind::Token, _) | (_, IdentityKind::Token) => false,
            (IdentityKind::Managed, IdentityKind::Managed) => self.client_id == other.client_id,
            _ => self.client_id.is_some() && self.client_id == other.client_id,
        }
    }
}

/// How users are worked on.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Worker {
    pub(crate) lease_s: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            ledger: "sqlite:./mfa-migrate.db".to_owned(),
            broker: "embedded".to_owned(),
            key_file: None,
            old_key_files: Vec::new(),
            queue_prefix: "mfa-migrate".to_owned(),
            otlp_endpoint: None,
            telemetry: Telemetry::default(),
            tls: Tls::default(),
            graph: Graph::default(),
            rollout: Rollout::default(),
            cutover: Cutover::default(),
            worker: Worker::default(),
            policy: Policy::default(),
        }
    }
}

impl Default for Rollout {
    fn default() -> Self {
        // Microsoft speaks of up to 24 hours for other features of the staged rollout.
        Self { groups: Vec::new(), stay_s: 24 * 3600 }
    }
}

impl Default for Telemetry {
    fn default() -> Self {
        Self { listen: None, log_format: "text".to_owned() }
    }
}

impl Default for Graph {
    fn default() -> Self {
        Self {
            url: None,
            token: None,
            cloud: "global".to_owned(),
            // Graph itself gives up after 60 s; ten more, so that its answer is the one we see.
            request_timeout_s: 70,
            // Microsoft speaks of "several minutes" until a write shows.
            visibility_deadline_s: 600,
            clock_skew_s: 5,
            identity: None,
        }
    }
}

impl Default for Worker {
    fn default() -> Self {
        Self { lease_s: 180 }
    }
}

impl Config {
    /// What types alone cannot say.
    pub(super) fn check(&self) -> Result<(), Error> {
        self.broker_kind()?;
        self.ledger_kind()?;
        self.cloud()?;
        self.metrics_listen()?;
        self.log_format()?;
        if self.worker.lease_s <= self.graph.request_timeout_s + self.graph.clock_skew_s {
            return Err(Error::Invalid(format!(
                "worker.lease_s = {} leaves no time for a write: it must be more than graph.request_timeout_s + \
                 graph.clock_skew_s = {}",
                self.worker.lease_s,
                self.graph.request_timeout_s + self.graph.clock_skew_s
            )));
        }
        if let Some(url) = &self.graph.url {
            let parsed = url::Url::parse(url).map_err(|_| {
                Error::Invalid(format!(
                    "graph.url \"{url}\" is not a URL such as https://graph.microsoft.com"
                ))
            })?;
            let local = matches!(parsed.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
            if parsed.scheme() != "https"
                && !(parsed.scheme() == "http" && local)
                && self.graph.token.is_none()
            {
                return Err(Error::Invalid(format!(
                    "graph.url \"{url}\" would send access tokens in clear; use https"
                )));
            }
        }
        Ok(())
    }

    /// Where the ledger is.
    pub(crate) fn ledger_kind(&self) -> Result<LedgerKind, Error> {
        if self.ledger.starts_with("postgres://") || self.ledger.starts_with("postgresql://") {
            return Ok(LedgerKind::Postgres(self.ledger.clone()));
        }
        match self.ledger.strip_prefix("sqlite:") {
            Some(path) if !path.is_empty() => {
                Ok(LedgerKind::Sqlite(PathBuf::from(path.strip_prefix("//").unwrap_or(path))))
            }
            _ => Err(Error::Invalid(format!(
                "ledger \"{}\" is none that can be used: sqlite:PATH, such as sqlite:./mfa-migrate.db, or \
                 postgres://USER@HOST/DATABASE",
                without_credentials(&self.ledger)
            ))),
        }
    }

    /// Where the queue is.
    pub(crate) fn broker_kind(&self) -> Result<BrokerKind, Error> {
        if self.broker == "embedded" {
            return Ok(BrokerKind::Embedded);
        }
        if self.broker.starts_with("amqp://") || self.broker.starts_with("amqps://") {
            return Ok(BrokerKind::Rabbit(self.broker.clone()));
        }
        Err(Error::Invalid(format!(
            "broker \"{}\" is none that can be used: embedded, or amqps://USER@HOST/VHOST",
            without_credentials(&self.broker)
        )))
    }

    /// A broker that other processes reach needs a ledger that they reach too. The extractor has no ledger, and is not asked.
    pub(crate) fn must_be_shared(&self) -> Result<(), Error> {
        match (self.broker_kind()?, self.ledger_kind()?) {
            (BrokerKind::Rabbit(_), LedgerKind::Sqlite(_)) => Err(Error::Invalid(
                "a broker that other processes reach needs a ledger that they reach too: name it with --ledger \
                 postgres://HOST/DATABASE, or leave out --broker"
                    .to_owned(),
            )),
            (BrokerKind::Embedded, _) | (BrokerKind::Rabbit(_), LedgerKind::Postgres(_)) => Ok(()),
        }
    }

    /// What the connection to the broker must be told.
    pub(crate) fn broker_settings(&self) -> broker::Settings {
        broker::Settings {
            prefix: self.queue_prefix.clone(),
            process: crate::engine::name(),
            ca_file: self.tls.ca_file.clone(),
            certificate_file: self.tls.certificate_file.clone(),
            key_file: self.tls.key_file.clone(),
            ..broker::Settings::default()
        }
    }

    /// Where metrics and probes are shown, if anywhere.
    pub(crate) fn metrics_listen(&self) -> Result<Option<std::net::SocketAddr>, Error> {
        let text = match &self.telemetry.listen {
            None => return Ok(None),
            Some(Listen::Port(port)) => port.to_string(),
            Some(Listen::Address(text)) => text.clone(),
        };
        let read = telemetry::listen_address(&text).ok_or_else(|| {
            Error::Invalid(format!(
                "telemetry.listen \"{text}\" is none that can be used: a port such as 9464, which this machine alone sees, or \
                 an address with its port, such as 0.0.0.0:9464"
            ))
        });
        read.map(Some)
    }

    /// How a line of the log looks.
    pub(crate) fn log_format(&self) -> Result<telemetry::LogFormat, Error> {
        match self.telemetry.log_format.as_str() {
            "text" => Ok(telemetry::LogFormat::Text),
            "json" => Ok(telemetry::LogFormat::Json),
            other => Err(Error::Invalid(format!("telemetry.log_format \"{other}\" is none of text, json"))),
        }
    }

    fn cloud(&self) -> Result<Cloud, Error> {
        Cloud::parse(&self.graph.cloud).ok_or_else(|| {
            Error::Invalid(format!(
                "graph.cloud \"{}\" is none of global, usgov, usgov-dod, china",
                self.graph.cloud
            ))
        })
    }

    /// What the Graph client must be told.
    pub(crate) fn graph(&self) -> Result<graph::Config, Error> {
        self.graph_as(self.credential()?)
    }

    /// The same for a cut-over, which signs in with an identity of its own, or with the fixed token of a simulated tenant.
    pub(crate) fn graph_for_cutover(&self) -> Result<graph::Config, Error> {
        let credential = match (&self.cutover.identity, &self.graph.token) {
            (Some(identity), _) if self.graph.identity.as_ref().is_some_and(|it| it.is_same(identity)) => {
                return Err(Error::Invalid(
                    "[cutover.identity] is the identity that moves users: take another application, with the permission \
                     Domain-InternalFederation.ReadWrite.All alone"
                        .to_owned(),
                ));
            }
            (Some(identity), _) => credential_of(identity, "cutover.identity")?,
            (None, Some(token)) => Credential::Token(token.clone()),
            (None, None) => {
                return Err(Error::Invalid(
                    "a cut-over signs in with an identity of its own, never with the one that moves users: set \
                     [cutover.identity] in mfa-migrate.toml (kind = \"certificate\", tenant, client_id, certificate_file) for \
                     an application with the permission Domain-InternalFederation.ReadWrite.All alone, or use --graph-token \
                     with a simulated tenant"
                        .to_owned(),
                ));
            }
        };
        self.graph_as(credential)
    }

    fn graph_as(&self, credential: Credential) -> Result<graph::Config, Error> {
        let cloud = self.cloud()?;
        Ok(graph::Config {
            base_url: self.graph.url.clone().unwrap_or_else(|| cloud.graph_url().to_owned()),
            cloud,
            credential,
            request_timeout: Duration::from_secs(self.graph.request_timeout_s),
        })
    }

    fn credential(&self) -> Result<Credential, Error> {
        if let Some(token) = &self.graph.token {
            return Ok(Credential::Token(token.clone()));
        }
        let Some(identity) = &self.graph.identity else {
            return Err(Error::Invalid(
                "nothing says how to sign in to Graph: set [graph.identity] in mfa-migrate.toml (kind = \"certificate\", \
                 tenant, client_id, certificate_file), or --graph-token for a simulated tenant"
                    .to_owned(),
            ));
        };
        credential_of(identity, "graph.identity")
    }

    /// The limits of the worker's procedure.
    pub(crate) fn worker_settings(&self) -> worker::Settings {
        worker::Settings {
            lease: Duration::from_secs(self.worker.lease_s),
            request_timeout: Duration::from_secs(self.graph.request_timeout_s),
            skew: Duration::from_secs(self.graph.clock_skew_s),
            visibility_deadline: Duration::from_secs(self.graph.visibility_deadline_s),
            ..worker::Settings::default()
        }
    }
}

/// How an identity signs in; `section` is where it stands in the file.
fn credential_of(identity: &Identity, section: &str) -> Result<Credential, Error> {
    let need = |what: &'static str, value: &Option<String>| {
        value.clone().ok_or_else(|| {
            Error::Invalid(format!("{section}.kind = {:?} needs {section}.{what}", identity.kind))
        })
    };
    let need_file = |what: &'static str, value: &Option<PathBuf>| {
        value.as_deref().map(Path::to_owned).ok_or_else(|| {
            Error::Invalid(format!("{section}.kind = {:?} needs {section}.{what}", identity.kind))
        })
    };
    let tenant = || need("tenant", &identity.tenant);
    let client_id = || need("client_id", &identity.client_id);
    Ok(match identity.kind {
        IdentityKind::Certificate => Credential::Certificate {
            tenant: tenant()?,
            client_id: client_id()?,
            pem_file: need_file("certificate_file", &identity.certificate_file)?,
        },
        IdentityKind::Workload => Credential::Workload {
            tenant: tenant()?,
            client_id: client_id()?,
            token_file: need_file("token_file", &identity.token_file)?,
        },
        IdentityKind::Managed => Credential::Managed { client_id: identity.client_id.clone() },
        IdentityKind::Secret => Credential::Secret {
            tenant: tenant()?,
            client_id: client_id()?,
            secret: identity
                .secret
                .clone()
                .ok_or_else(|| Error::Invalid(format!("{section}.kind = secret needs {section}.secret")))?,
        },
        IdentityKind::Token => Credential::Token(
            identity
                .token
                .clone()
                .ok_or_else(|| Error::Invalid(format!("{section}.kind = token needs {section}.token")))?,
        ),
    })
}

/// A URL without the part that may hold a password.
pub(super) fn without_credentials(url: &str) -> String {
    match (url.find("://"), url.rfind('@')) {
        (Some(scheme), Some(at)) if at > scheme => format!("{}…@{}", &url[..scheme + 3], &url[at + 1..]),
        _ => url.to_owned(),
    }
}
