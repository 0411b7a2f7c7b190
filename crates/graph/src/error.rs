//! What can go wrong on the way to Graph, told apart by status and type, never by text. No variant carries a body,
//! a number, a token or an address of a user.

use contract::{Code, Disposition};
use std::time::Duration;

/// A failed call.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Graph limits us, and the bound on waiting has run out.
    #[error("graph limits this application; the quota is held for {} s more, the run goes on by itself", after.as_secs())]
    Throttled {
        /// How long the bucket is still held.
        after: Duration,
    },
    /// The token was refused, and a new one too (or it cannot be renewed).
    #[error(
        "graph refused the access token (401); check the credential in the configuration, then `mfa-migrate check`"
    )]
    Unauthorized,
    /// A permission is missing, or Graph protects this user.
    #[error(
        "graph refused access (403, {code}); grant the missing application permission, then `mfa-migrate check`"
    )]
    Forbidden {
        /// Graph's code.
        code: String,
    },
    /// There is no such object.
    #[error("graph knows no such object (404)")]
    NotFound,
    /// Any other refusal that will not change by itself.
    #[error("graph refused the request ({status}, {code})")]
    Refused {
        /// HTTP status.
        status: u16,
        /// Graph's code, empty if it gave none.
        code: String,
    },
    /// Graph's own failure.
    #[error("graph failed ({status}) and did not recover; try again later")]
    Server {
        /// HTTP status.
        status: u16,
    },
    /// No answer within the time limit.
    #[error("graph did not answer in time")]
    Timeout,
    /// No connection; nothing was sent.
    #[error("no connection to graph; check the address, the name service and the proxy")]
    Connect(#[source] Option<reqwest::Error>),
    /// The connection broke while a call was under way.
    #[error("the connection to graph broke")]
    Broken(#[source] Option<reqwest::Error>),
    /// An answer that this client does not understand.
    #[error("graph's answer was not understood ({what}); this version may be too old for the service")]
    Shape {
        /// Which part of which answer.
        what: &'static str,
    },
    /// The authority refused to sign us in.
    #[error("signing in failed; check tenant, client id and credential, then `mfa-migrate check`")]
    SignIn {
        /// What azure_identity says.
        source: azure_core::Error,
    },
    /// The authority could not be reached or failed.
    #[error("the sign-in service could not be reached or failed; it is tried again")]
    SignInUnreachable {
        /// What azure_identity says.
        source: azure_core::Error,
    },
    /// A page's link leads to another host; following it would hand our token to that host.
    #[error("graph's link to the next page leads to another host and was not followed; check `graph_url`")]
    ForeignLink,
    /// The configuration cannot work.
    #[error("the graph configuration cannot be used: {what}")]
    Config {
        /// What is wrong with it.
        what: String,
    },
}

impl Error {
    /// What the caller does next. A 403 is parked here; that it stops a run whose kind of call never succeeded is the
    /// worker's to know.
    pub fn disposition(&self) -> Disposition {
        match self {
            Self::Throttled { after } => Disposition::Snooze { after: *after },
            Self::Forbidden { .. } => Disposition::Park { code: Code::Forbidden },
            Self::NotFound => Disposition::Park { code: Code::UserGone },
            Self::Refused { .. } => Disposition::Park { code: Code::GraphRefused },
            Self::Server { .. }
            | Self::Timeout
            | Self::Connect(_)
            | Self::Broken(_)
            | Self::SignInUnreachable { .. } => Disposition::Retry,
            Self::Unauthorized
            | Self::Shape { .. }
            | Self::SignIn { .. }
            | Self::ForeignLink
            | Self::Config { .. } => Disposition::Stop,
        }
    }

    /// Another error of the same kind, without its source: for items that share one failed call.
    pub(crate) fn alike(&self) -> Self {
        match self {
            Self::Throttled { after } => Self::Throttled { after: *after },
            Self::Unauthorized => Self::Unauthorized,
            Self::Forbidden { code } => Self::Forbidden { code: code.clone() },
            Self::NotFound => Self::NotFound,
            Self::Refused { status, code } => Self::Refused { status: *status, code: code.clone() },
            Self::Server { status } => Self::Server { status: *status },
            Self::Timeout => Self::Timeout,
            Self::Connect(_) => Self::Connect(None),
            Self::Broken(_) => Self::Broken(None),
            Self::Shape { what } => Self::Shape { what },
            Self::SignIn { source } => Self::SignIn { source: sign_in_again(source) },
            Self::SignInUnreachable { source } => Self::SignInUnreachable { source: sign_in_again(source) },
            Self::ForeignLink => Self::ForeignLink,
            Self::Config { what } => Self::Config { what: what.clone() },
        }
    }

    /// The error of a status that is no success. `code` is Graph's own; a 429 is never asked for here.
    pub(crate) fn of_status(status: u16, code: String) -> Self {
        match status {
            401 => Self::Unauthorized,
            403 => Self::Forbidden { code },
            404 => Self::NotFound,
            429 => Self::Throttled { after: Duration::ZERO },
            500.. => Self::Server { status },
            _ => Self::Refused { status, code },
        }
    }

    /// The error of a call that got no answer. The address is dropped: it may name a user.
    pub(crate) fn of_transport(error: reqwest::Error) -> Self {
        let error = error.without_url();
        if error.is_connect() {
            Self::Connect(Some(error))
        } else if error.is_timeout() {
            Self::Timeout
        } else {
            Self::Broken(Some(error))
        }
    }
}

fn sign_in_again(source: &azure_core::Error) -> azure_core::Error {
    azure_core::Error::with_message(source.kind().clone(), source.to_string())
}
