//! The broker's address: read, checked, and shown without its password.

use crate::Error;
use lapin::uri::{AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo, SASLMechanism};
use std::net::IpAddr;
use url::Url;

/// The largest frame we ask for. lapin keeps 32 frames in each direction of each connection, so the broker's own 128 KiB
/// would be 16 MiB a process.
const FRAME_MAX_BYTES: u32 = 32 * 1024;

/// Where the broker is and who we are there.
#[derive(Clone)]
pub(crate) struct Address {
    /// With the password: never shown.
    pub(crate) uri: AMQPUri,
    /// For errors and logs.
    pub(crate) shown: String,
    pub(crate) tls: bool,
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.shown)
    }
}

/// Reads `amqp[s]://user:password@host:port/vhost`, with an optional `?auth_mechanism=external` where the client's
/// certificate is the login. No path, or an empty one, is the virtual host `/`.
///
/// lapin's own reading takes an IPv6 address for `localhost`.
pub(crate) fn read(text: &str, heartbeat_s: u16, allow_clear: bool) -> Result<Address, Error> {
    let wrong = |why: &str| Error::Address { why: why.to_owned() };
    let url = Url::parse(text).map_err(|e| Error::Address { why: e.to_string() })?;
    let tls = match url.scheme() {
        "amqp" => false,
        "amqps" => true,
        _ => return Err(wrong("its scheme is neither amqp nor amqps")),
    };
    let host = match url.host() {
        Some(url::Host::Domain(name)) if !name.is_empty() => name.to_owned(),
        Some(url::Host::Ipv4(ip)) => ip.to_string(),
        Some(url::Host::Ipv6(ip)) => ip.to_string(),
        Some(url::Host::Domain(_)) | None => return Err(wrong("it names no host")),
    };
    let port = url.port().unwrap_or(if tls { 5671 } else { 5672 });
    let decoded = |part: &str| decode(part).ok_or_else(|| wrong("a part of it is not UTF-8 when decoded"));
    let username = if url.username().is_empty() { "guest".to_owned() } else { decoded(url.username())? };
    let password = decoded(url.password().unwrap_or("guest"))?;
    let vhost = match url.path().strip_prefix('/').unwrap_or_default() {
        "" => "/".to_owned(),
        name => decoded(name)?,
    };
    let external =
        url.query_pairs().any(|(k, v)| k == "auth_mechanism" && v.eq_ignore_ascii_case("external"));
    let shown = format!("{}://{username}@{host}:{port}/{}", url.scheme(), vhost.trim_start_matches('/'));
    if !tls && !allow_clear && !on_this_machine(&host) {
        return Err(Error::Clear { broker: shown });
    }
    let uri = AMQPUri {
        scheme: if tls { AMQPScheme::AMQPS } else { AMQPScheme::AMQP },
        authority: AMQPAuthority { userinfo: AMQPUserInfo { username, password }, host, port },
        vhost,
        query: AMQPQueryString {
            frame_max: Some(FRAME_MAX_BYTES),
            heartbeat: Some(heartbeat_s),
            auth_mechanism: external.then_some(SASLMechanism::External),
            ..AMQPQueryString::default()
        },
    };
    Ok(Address { uri, shown, tls })
}

fn on_this_machine(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Percent-decoding, as the parts of an address are written; absent when the result is not UTF-8.
fn decode(part: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let hex = (first == b'%').then(|| tail.get(..2)).flatten().and_then(|h| std::str::from_utf8(h).ok());
        match hex.and_then(|h| u8::from_str_radix(h, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = tail.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_its_password_and_read_with_it() {
        let address = read("amqps://mo:s%2fe%40cret@broker.example/tenant%2fa", 10, false).unwrap();
        assert_eq!(address.uri.authority.userinfo.password, "s/e@cret");
        assert_eq!((address.uri.authority.port, address.uri.vhost.as_str()), (5671, "tenant/a"));
        assert!(!format!("{address:?} {}", address.shown).contains("cret"));
    }

    #[test]
    fn no_path_and_an_empty_path_are_the_default_virtual_host() {
        for text in ["amqp://localhost", "amqp://localhost/", "amqp://localhost/%2f"] {
            assert_eq!(read(text, 10, false).unwrap().uri.vhost, "/", "{text}");
        }
    }

    #[test]
    fn clear_is_for_this_machine_alone() {
        for text in ["amqp://127.0.0.1:1", "amqp://localhost", "amqp://[::1]:5672", "amqps://far.example"] {
            read(text, 10, false).unwrap();
        }
        for text in
            ["amqp://far.example", "amqp://10.0.0.1", "amqp://[2001:db8::1]:5672", "amqp://localhost.example"]
        {
            assert!(matches!(read(text, 10, false), Err(Error::Clear { .. })), "{text}");
            read(text, 10, true).unwrap();
        }
        assert_eq!(read("amqp://[2001:db8::1]", 10, true).unwrap().uri.authority.host, "2001:db8::1");
    }

    #[test]
    fn what_is_no_address_is_told_without_being_quoted() {
        for text in ["hunter2", "http://a:hunter2@b", "amqp:hunter2", "amqp://"] {
            let error = read(text, 10, true).unwrap_err();
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }
}
