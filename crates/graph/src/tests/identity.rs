//! Signing in and renewing, over a simulated authority and the certificate of the fixtures.

use super::{Far, nobody};
use crate::client::Client;
use crate::identity::Http;
use crate::{Cloud, Config, Credential, Error, Pace, Reader};
use aws_lc_rs::signature::{RSA_PSS_2048_8192_SHA256, UnparsedPublicKey};
use azure_core::http::{AsyncRawResponse, HttpClient, Request};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use contract::Secret;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;

const CERTIFICATE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/test-certificate.pem");

/// Takes sign-ins, which are for `https://login…`, to the server of the test.
#[derive(Debug)]
struct Nearby(Http, String);

#[async_trait::async_trait]
impl HttpClient for Nearby {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        assert_eq!(request.url().scheme(), "https");
        let mut near = Request::new(
            format!("{}{}", self.1, request.url().path()).parse().expect("an address"),
            request.method(),
        );
        near.set_body(request.body().clone());
        self.0.execute_request(&near).await
    }
}

fn reader(graph: &Far, authority: String, credential: Credential) -> Reader {
    let http = reqwest::Client::builder().build().expect("a client");
    let nearby = Arc::new(Nearby(Http(http), authority));
    let config = Config { credential, ..graph.config() };
    Reader::over(Client::signing_in_over(&config, Pace::new(), Some(nearby)).expect("a client"))
}

fn by_certificate() -> Credential {
    Credential::Certificate {
        tenant: "tenant-1".into(),
        client_id: "app-1".into(),
        pem_file: CERTIFICATE.into(),
    }
}

fn by_secret() -> Credential {
    Credential::Secret { tenant: "tenant-1".into(), client_id: "app-1".into(), secret: Secret::new("hush") }
}

fn token(name: &str) -> Value {
    json!({ "token_type": "Bearer", "expires_in": 3600, "access_token": name })
}

fn pem(name: &str) -> Vec<u8> {
    let text = std::fs::read_to_string(CERTIFICATE).expect("the fixture");
    let body = text.split(&format!("-----BEGIN {name}-----")).nth(1).expect("a block");
    let body = body.split("-----END").next().expect("an end").replace('\n', "");
    STANDARD.decode(body).expect("base64")
}

#[tokio::test]
async fn the_certificate_s_assertion_verifies_with_its_public_key() {
    let (graph, authority) = (Far::start().await, Far::start().await);
    authority.json(token("t1"));
    graph.json(json!({ "value": [] }));
    let reader = reader(&graph, authority.origin.clone(), by_certificate());
    reader.users_page(None).await.expect("a page");
    assert_eq!(graph.seen()[0].header("authorization"), "Bearer t1");
    let seen = &authority.seen()[0];
    assert_eq!(seen.path, "/tenant-1/oauth2/v2.0/token");
    let form: HashMap<_, _> = url::form_urlencoded::parse(seen.text.as_bytes()).into_owned().collect();
    assert_eq!(form["scope"], "https://graph.microsoft.com/.default");
    assert_eq!(form["client_assertion_type"], "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
    let (signed, signature) = form["client_assertion"].rsplit_once('.').expect("a jwt");
    let key = aws_lc_rs::rsa::KeyPair::from_pkcs8(&pem("PRIVATE KEY")).expect("a key");
    let public = aws_lc_rs::signature::KeyPair::public_key(&key).as_ref().to_vec();
    UnparsedPublicKey::new(&RSA_PSS_2048_8192_SHA256, public)
        .verify(signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).expect("base64url"))
        .expect("the signature holds");
    let mut parts = signed.split('.').map(|part| -> Value {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).expect("base64url")).expect("json")
    });
    let (header, claims) = (parts.next().expect("a header"), parts.next().expect("claims"));
    let thumbprint = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &pem("CERTIFICATE"));
    assert_eq!(header["alg"], "PS256");
    assert_eq!(header["x5t#S256"], URL_SAFE_NO_PAD.encode(thumbprint));
    assert_eq!(claims["aud"], "https://login.microsoftonline.com/tenant-1/oauth2/v2.0/token");
    assert_eq!((&claims["iss"], &claims["sub"]), (&json!("app-1"), &json!("app-1")));
    let number = |name: &str| claims[name].as_i64().expect("a time");
    assert!(number("exp") - number("nbf") <= 600);
}

#[tokio::test]
async fn one_sign_in_serves_all_and_a_401_renews_once_a_call() {
    let (graph, authority) = (Far::start().await, Far::start().await);
    authority.json(token("t1")).json(token("t2")).json(token("t3"));
    graph.json(json!({ "value": [] })).json(json!({ "value": [] }));
    let reader = reader(&graph, authority.origin.clone(), by_secret());
    let (a, b) = tokio::join!(reader.users_page(None), reader.users_page(None));
    assert!(a.is_ok() && b.is_ok());
    assert_eq!(authority.seen().len(), 1, "one refresh at a time");
    graph.status(401, "InvalidAuthenticationToken").json(json!({ "value": [] }));
    reader.users_page(None).await.expect("the second token is taken");
    assert_eq!(graph.seen().last().expect("seen").header("authorization"), "Bearer t2");
    graph.status(401, "InvalidAuthenticationToken").status(401, "InvalidAuthenticationToken");
    assert!(matches!(reader.users_page(None).await, Err(Error::Unauthorized)));
    assert_eq!((graph.seen().len(), authority.seen().len()), (6, 3));
}

#[tokio::test]
async fn a_token_that_ends_within_five_minutes_is_renewed_before_use() {
    let (graph, authority) = (Far::start().await, Far::start().await);
    let short = json!({ "token_type": "Bearer", "expires_in": 299, "access_token": "short" });
    authority.json(short).json(token("t2"));
    graph.json(json!({ "value": [] })).json(json!({ "value": [] })).json(json!({ "value": [] }));
    let reader = reader(&graph, authority.origin.clone(), by_secret());
    for _ in 0..3 {
        reader.users_page(None).await.expect("a page");
    }
    let bearers: Vec<String> = graph.seen().iter().map(|s| s.header("authorization").to_owned()).collect();
    assert_eq!(bearers, ["Bearer short", "Bearer t2", "Bearer t2"]);
}

#[tokio::test(start_paused = true)]
async fn a_refused_sign_in_stops_and_an_authority_that_is_away_does_not() {
    let (graph, authority) = (Far::start().await, Far::start().await);
    authority.then(|_| {
        (
            401,
            Vec::new(),
            json!({ "error": "invalid_client", "error_codes": [7000215], "error_description": "d" }),
        )
    });
    let refused = reader(&graph, authority.origin.clone(), by_secret()).users_page(None).await;
    assert!(matches!(refused, Err(Error::SignIn { .. })), "{refused:?}");
    let away = reader(&graph, nobody().await, by_secret()).users_page(None).await;
    assert!(matches!(away, Err(Error::SignInUnreachable { .. })), "{away:?}");
    assert!(graph.seen().is_empty());
}

#[test]
fn clouds_are_read_by_their_word_and_sign_in_at_home() {
    for (word, graph, authority) in [
        ("global", "https://graph.microsoft.com", "https://login.microsoftonline.com"),
        ("usgov", "https://graph.microsoft.us", "https://login.microsoftonline.us"),
        ("usgov-dod", "https://dod-graph.microsoft.us", "https://login.microsoftonline.us"),
        ("china", "https://microsoftgraph.chinacloudapi.cn", "https://login.chinacloudapi.cn"),
    ] {
        let cloud = Cloud::parse(word).expect("a cloud");
        assert_eq!((cloud.graph_url(), cloud.authority()), (graph, authority));
        assert_eq!(cloud.scope(), format!("{graph}/.default"));
    }
    assert_eq!(Cloud::parse("mars"), None);
}

#[tokio::test]
async fn a_certificate_file_that_cannot_be_used_is_told_before_anything_is_sent() {
    let far = Far::start().await;
    let file = tempfile::NamedTempFile::new().expect("a file");
    for text in ["", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        std::fs::write(file.path(), text).expect("written");
        let credential = Credential::Certificate {
            tenant: "t".into(),
            client_id: "c".into(),
            pem_file: file.path().to_owned(),
        };
        let config = Config { credential, ..far.config() };
        assert!(matches!(Reader::new(config, Pace::new()), Err(Error::Config { .. })));
    }
}

#[tokio::test]
async fn every_kind_of_credential_makes_a_client() {
    let far = Far::start().await;
    let (tenant, client_id) = ("t".to_owned(), "c".to_owned());
    let pem_file = CERTIFICATE.into();
    for credential in [
        Credential::Certificate { tenant: tenant.clone(), client_id: client_id.clone(), pem_file },
        Credential::Workload {
            tenant: tenant.clone(),
            client_id: client_id.clone(),
            token_file: CERTIFICATE.into(),
        },
        Credential::Managed { client_id: None },
        Credential::Managed { client_id: Some(client_id.clone()) },
        Credential::Secret { tenant, client_id, secret: Secret::new("hush") },
    ] {
        assert!(!format!("{credential:?}").contains("hush"));
        let config = Config { credential, ..far.config() };
        assert!(Reader::new(config, Pace::new()).is_ok());
    }
}

#[tokio::test]
async fn an_address_that_is_none_is_refused() {
    for base_url in ["", "graph", "ftp://graph", "http://"] {
        let config = Config { base_url: base_url.to_owned(), ..super::config("http://x") };
        assert!(matches!(Reader::new(config, Pace::new()), Err(Error::Config { .. })), "{base_url}");
    }
}
