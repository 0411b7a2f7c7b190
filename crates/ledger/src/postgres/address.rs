//! The address of a server: what of it may be shown, which schema is ours, and how safe the way there is.
//!
//! Never is a password shown, nor the address as it was given. A server on another machine is only talked to under TLS
//! with its name verified; nobody can turn that off by the address.

use crate::Error;
use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use std::net::IpAddr;

/// Where our tables are if the address names no other schema by `options=-c search_path=…`.
const SCHEMA: &str = "mfa_migrate";

/// Parameters that sqlx knows. It would log the value of any other.
const PARAMETERS: [&str; 18] = [
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "statement-cache-capacity",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
];

/// Set for every connection. A worker's statements ask for a handful of users by their keys: whatever the planner thinks
/// of tables that have just been filled, it must never read them whole; what works on sets takes it back (`connection`).
/// A dead peer's session ends, and with it its leadership and its locks, within half a minute; one that is stopped in the
/// middle of a transaction makes room after fifteen seconds, for there it only ever waits for the server.
const SETTINGS: [(&str, &str); 12] = [
    ("idle_in_transaction_session_timeout", "15s"),
    ("lock_timeout", "10s"),
    ("statement_timeout", "60s"),
    ("enable_seqscan", "off"),
    ("enable_bitmapscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("jit", "off"),
    ("tcp_keepalives_idle", "10"),
    ("tcp_keepalives_interval", "5"),
    ("tcp_keepalives_count", "3"),
    ("tcp_user_timeout", "25s"),
];

/// A server, its database and our schema in it.
#[derive(Debug, Clone)]
pub(super) struct Address {
    /// How to connect.
    pub(super) options: PgConnectOptions,
    /// For people: `postgres://host:port/database`.
    pub(super) place: String,
    /// A plain identifier.
    pub(super) schema: String,
}

impl Address {
    /// Reads an address (`postgres://…`), and refuses one whose way is not safe.
    pub(super) fn parse(url: &str) -> Result<Self, Error> {
        let unnamed = |reason: String| Error::Server { place: "server".to_owned(), reason };
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err(unnamed("its address starts with postgres://".to_owned()));
        }
        for parameter in parameters(url) {
            if !PARAMETERS.contains(&parameter.as_str()) && !parameter.starts_with("options[") {
                return Err(unnamed(format!("its address has a parameter {parameter:?} that nobody knows")));
            }
        }
        let options: PgConnectOptions =
            url.parse().map_err(|_| unnamed("its address cannot be read".to_owned()))?;
        let place = place(&options);
        let named = |reason: String| Error::Server { place: place.clone(), reason };
        let is_given = parameters(url).iter().any(|p| p == "sslmode" || p == "ssl-mode");
        let options = secured(options, is_given).map_err(&named)?;
        let given = options.get_options().and_then(search_path).map(str::to_owned);
        let schema = given.clone().unwrap_or_else(|| SCHEMA.to_owned());
        if !is_identifier(&schema) {
            return Err(named(
                "search_path names one schema, in lower-case letters, digits and _".to_owned(),
            ));
        }
        let mut options = options.options(SETTINGS).disable_statement_logging();
        if given.is_none() {
            options = options.options([("search_path", schema.as_str())]);
        }
        if options.get_application_name().is_none() {
            options = options.application_name("mfa-migrate");
        }
        Ok(Self { options, place, schema })
    }
}

/// The names of the parameters behind the question mark.
fn parameters(url: &str) -> Vec<String> {
    let query = url.split('#').next().and_then(|url| url.split_once('?')).map_or("", |(_, query)| query);
    let names = query.split('&').filter(|pair| !pair.is_empty());
    names
        .map(|pair| pair.split('=').next().unwrap_or_default().replace("%5B", "[").replace("%5D", "]"))
        .collect()
}

fn place(options: &PgConnectOptions) -> String {
    let host = match options.get_socket() {
        Some(socket) => socket.display().to_string(),
        None => options.get_host().to_owned(),
    };
    let database = options.get_database().unwrap_or(options.get_username());
    format!("postgres://{host}:{}/{database}", options.get_port())
}

/// On this machine nobody listens in. Elsewhere sqlx's own default would fall back to no encryption at all.
fn secured(options: PgConnectOptions, is_given: bool) -> Result<PgConnectOptions, String> {
    let host = options.get_host().trim_start_matches('[').trim_end_matches(']');
    let is_here = options.get_socket().is_some()
        || host.starts_with('/')
        || host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    if is_here {
        return Ok(options);
    }
    match options.get_ssl_mode() {
        PgSslMode::VerifyFull => Ok(options),
        PgSslMode::Prefer if !is_given => Ok(options.ssl_mode(PgSslMode::VerifyFull)),
        PgSslMode::Disable
        | PgSslMode::Allow
        | PgSslMode::Prefer
        | PgSslMode::Require
        | PgSslMode::VerifyCa => {
            Err("a server on another machine is only used with sslmode=verify-full; name its certificate authority by \
                 sslrootcert=FILE if it is one of your own"
                .to_owned())
        }
    }
}

/// The schema in `-c search_path=…`; the last one counts, as it does for the server.
fn search_path(options: &str) -> Option<&str> {
    options
        .rsplit("search_path=")
        .next()
        .filter(|rest| rest.len() < options.len())
        .map(|rest| rest.split_ascii_whitespace().next().unwrap_or_default())
}

fn is_identifier(name: &str) -> bool {
    let mut letters = name.bytes();
    letters.next().is_some_and(|first| first.is_ascii_lowercase() || first == b'_')
        && letters.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        && name.len() <= 63
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(url: &str) -> String {
        Address::parse(url).unwrap_err().to_string()
    }

    #[test]
    fn a_server_elsewhere_is_verified() {
        let mode = |url: &str| Address::parse(url).unwrap().options.get_ssl_mode();
        assert!(matches!(mode("postgres://u:geheim@db.example/ledger"), PgSslMode::VerifyFull));
        assert!(matches!(mode("postgres://u@db.example/ledger?sslmode=verify-full"), PgSslMode::VerifyFull));
        for here in ["localhost", "127.0.0.1", "[::1]"] {
            assert!(matches!(
                mode(&format!("postgres://u@{here}/ledger?sslmode=disable")),
                PgSslMode::Disable
            ));
        }
        assert!(matches!(mode("postgres:///ledger?host=/run/pg&sslmode=disable"), PgSslMode::Disable));
        for weak in ["disable", "allow", "prefer", "require", "verify-ca"] {
            let said = refused(&format!("postgres://u:geheim@10.0.0.1/ledger?sslmode={weak}"));
            assert!(said.contains("verify-full") && said.contains("10.0.0.1"), "{said}");
            assert!(!said.contains("geheim"));
        }
        assert!(refused("postgres://u@127.0.0.1/l?host=db.example&sslmode=disable").contains("db.example"));
    }

    #[test]
    fn nothing_secret_is_shown() {
        let address = Address::parse("postgres://anna:geheim@localhost:5433/ledger").unwrap();
        assert_eq!(address.place, "postgres://localhost:5433/ledger");
        for url in [
            "geheim",
            "mysql://u:geheim@h/l",
            "postgres://u:geheim@h:x/l",
            "postgres://u:p@h/l?secret=geheim",
        ] {
            let error = Address::parse(url).unwrap_err();
            assert!(
                !error.to_string().contains("geheim") && !format!("{error:?}").contains("geheim"),
                "{error}"
            );
        }
    }

    #[test]
    fn the_schema_is_ours_unless_another_is_named() {
        let schema = |url: &str| Address::parse(url).unwrap().schema;
        assert_eq!(schema("postgres://u@localhost/l"), "mfa_migrate");
        assert_eq!(schema("postgres://u@localhost/l?options=-c%20search_path%3Dtest_1"), "test_1");
        assert_eq!(schema("postgres://u@localhost/l?options[search_path]=test_2"), "test_2");
        for wrong in ["a,b", "A", "a\"b", "1a", "a-b"] {
            refused(&format!("postgres://u@localhost/l?options[search_path]={wrong}"));
        }
    }
}
