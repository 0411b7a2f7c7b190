//! TLS to broker, database and Graph: who is not known is told nothing, and who is known asks for our certificate.
//!
//! Servers are real ones, with certificates of authorities that the machine does not trust; where it is asked what was
//! sent before trust, a listener of the harness hears it.

use harness::services::{Authority, Ear, Opening, Pair, Postgres, Rabbit};
use harness::{Expected, Fleet, Outcome, Running, until};
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

/// What is about to happen takes at most this long on a busy machine.
const SOON: Duration = Duration::from_secs(60);
const PASSWORD: &str = "kept-to-ourselves";

/// What the tests share: their certificates are for `localhost`, and nobody but the authority's clients comes in.
struct Secured {
    authority: Authority,
    stranger: Authority,
    server: Pair,
    client: Pair,
    rabbit: OnceLock<Rabbit>,
    postgres: OnceLock<Postgres>,
}

fn secured() -> &'static Secured {
    static SHARED: OnceLock<Secured> = OnceLock::new();
    SHARED.get_or_init(|| {
        let authority = Authority::found();
        let (server, client) = (authority.issue("localhost"), authority.issue("fleet"));
        let (rabbit, postgres) = (OnceLock::new(), OnceLock::new());
        Secured { authority, stranger: Authority::found(), server, client, rabbit, postgres }
    })
}

impl Secured {
    fn rabbit(&self) -> &Rabbit {
        self.rabbit.get_or_init(|| Rabbit::start_with_tls(&self.server, &self.authority.certificate()))
    }

    fn postgres(&self) -> &Postgres {
        self.postgres.get_or_init(|| {
            let server = Postgres::start_with_tls(&self.server, &self.authority.certificate());
            server.psql("postgres", &format!("create role fleet login superuser password '{PASSWORD}'"));
            server
        })
    }

    /// The URL of a database, without parameters.
    fn ledger(&self, host: &str) -> String {
        let url = self.postgres().new_database();
        let database = url.rsplit('/').next().unwrap();
        format!("postgres://fleet:{PASSWORD}@{host}:{}/{database}", self.postgres().port)
    }

    /// No line of a key that anybody here has, and no password.
    #[track_caller]
    fn must_not_be_in(&self, said: &str) {
        assert!(!said.contains(PASSWORD), "{said}");
        for key in [&self.client.key, &self.server.key] {
            let key = std::fs::read_to_string(key).unwrap();
            for line in key.lines().filter(|line| !line.starts_with("-----")) {
                assert!(!said.contains(line), "a key is told:\n{said}");
            }
        }
    }
}

/// What a ledger's URL adds: the authority, and the client's certificate if it has one.
fn verified(authority: &Path, client: Option<&Pair>) -> String {
    let ours =
        client.map(|pair| format!("&sslcert={}&sslkey={}", pair.certificate.display(), pair.key.display()));
    format!("?sslmode=verify-full&sslrootcert={}{}", authority.display(), ours.unwrap_or_default())
}

/// Tells whoever is started from now on whom to believe, and who it is.
fn tell(fleet: &mut Fleet, authority: &Path, client: Option<&Pair>) {
    fleet.site.env("MFA_MIGRATE_TLS_CA_FILE", authority.to_str().unwrap());
    if let Some(pair) = client {
        fleet.site.env("MFA_MIGRATE_TLS_CERTIFICATE_FILE", pair.certificate.to_str().unwrap());
        fleet.site.env("MFA_MIGRATE_TLS_KEY_FILE", pair.key.to_str().unwrap());
    }
}

#[track_caller]
fn ends(running: Running) -> Outcome {
    let Some(outcome) = running.wait_within(SOON) else { panic!("it goes on asking") };
    secured().must_not_be_in(&outcome.err);
    outcome.expect(&[1, 2])
}

/// The extractor needs the broker alone; it ends by itself, and not well, or this fails.
#[track_caller]
fn extractor_ends(broker: &str, authority: &Path, client: Option<&Pair>) -> Outcome {
    let expected = Expected::dense(2);
    let tenant = expected.tenant(&[]);
    let mut fleet = Fleet::on(&tenant, broker, "postgres://nobody@127.0.0.1:9/none");
    tell(&mut fleet, authority, client);
    ends(fleet.site.start(&["serve", "extractor", "--datafile", expected.datafile()]))
}

/// A worker opens its ledger first; it ends by itself, and not well, or this fails.
#[track_caller]
fn worker_ends(ledger: &str) -> Outcome {
    let expected = Expected::dense(2);
    let tenant = expected.tenant(&[]);
    let fleet = Fleet::on(&tenant, "amqp://127.0.0.1:9", ledger);
    ends(fleet.site.start(&["serve", "worker"]))
}

#[track_caller]
fn assert_says(outcome: &Outcome, words: &[&str]) {
    for word in words {
        assert!(outcome.err.contains(word), "no {word:?} in: {}", outcome.err);
    }
}

#[test]
fn a_fleet_migrates_over_tls_with_certificates_of_its_own() {
    let secured = secured();
    let expected = Expected::dense(20);
    let tenant = expected.tenant(&[]);
    let login = "guest:guest";
    let broker = secured.rabbit().tls_url(&secured.rabbit().new_vhost(), login, "localhost");
    let authority = secured.authority.certificate();
    let ledger = secured.ledger("localhost") + &verified(&authority, Some(&secured.client));
    let mut fleet = Fleet::on(&tenant, &broker, &ledger);
    tell(&mut fleet, &authority, Some(&secured.client));
    let services = (fleet.coordinator(), fleet.workers(1));
    let followed = fleet.migrate(&expected);
    let sessions = secured.postgres().psql(
        "postgres",
        "select count(*), bool_and(ssl and client_dn = '/CN=fleet') from pg_stat_ssl s join pg_stat_activity a \
         using (pid) where a.usename = 'fleet' and a.backend_type = 'client backend'",
    );
    assert!(sessions.ends_with("|t"), "{sessions}");
    fleet.must_be_clean(&expected, &tenant, &followed.json());
    let said = services.0.said() + &services.1[0].said() + &followed.err + &fleet.status_text();
    secured.must_not_be_in(&said);
}

#[test]
fn a_broker_of_an_authority_that_we_were_not_told_of_is_refused() {
    let secured = secured();
    let url = secured.rabbit().tls_url("/", &format!("guest:{PASSWORD}"), "localhost");
    let outcome = extractor_ends(&url, &secured.stranger.certificate(), Some(&secured.client));
    assert_says(&outcome, &["UnknownIssuer", "tls.ca_file", "amqps://guest@localhost"]);
}

#[test]
fn a_broker_under_another_name_than_its_certificates_is_refused() {
    let secured = secured();
    let url = secured.rabbit().tls_url("/", &format!("guest:{PASSWORD}"), "127.0.0.1");
    let outcome = extractor_ends(&url, &secured.authority.certificate(), Some(&secured.client));
    assert_says(&outcome, &["not valid for name", "localhost", "the host that is in it"]);
}

#[test]
fn a_broker_that_demands_a_certificate_ends_a_service_that_has_none() {
    let secured = secured();
    let url = secured.rabbit().tls_url("/", &format!("guest:{PASSWORD}"), "localhost");
    let outcome = extractor_ends(&url, &secured.authority.certificate(), None);
    assert_says(&outcome, &["CertificateRequired", "tls.certificate_file and tls.key_file"]);
}

#[test]
fn a_broker_hears_nothing_before_it_is_trusted() {
    let secured = secured();
    let ear = Ear::listen(&secured.server, Opening::AtOnce);
    let url = format!("amqps://guest:{PASSWORD}@localhost:{}/", ear.port);
    extractor_ends(&url, &secured.stranger.certificate(), None);
    assert_eq!(ear.heard(), "");
    assert_eq!(ear.refusals(), 1, "asked once, and not again");
    // The ear is none that is deaf.
    let expected = Expected::dense(2);
    let tenant = expected.tenant(&[]);
    let mut fleet = Fleet::on(&tenant, &url, "postgres://nobody@127.0.0.1:9/none");
    tell(&mut fleet, &secured.authority.certificate(), None);
    let _service = fleet.serve("extractor", &["--datafile", expected.datafile()]);
    assert!(until(SOON, || ear.heard().starts_with("AMQP")), "{}", fleet.said());
}

#[test]
fn a_database_of_an_authority_that_we_were_not_told_of_is_refused() {
    let secured = secured();
    let stranger = secured.stranger.certificate();
    let outcome = worker_ends(&(secured.ledger("localhost") + &verified(&stranger, Some(&secured.client))));
    assert_says(&outcome, &["UnknownIssuer", "sslrootcert=FILE"]);
}

#[test]
fn a_database_under_another_name_than_its_certificates_is_refused() {
    let secured = secured();
    let authority = secured.authority.certificate();
    let outcome = worker_ends(&(secured.ledger("127.0.0.1") + &verified(&authority, Some(&secured.client))));
    assert_says(&outcome, &["not valid for name", "localhost", "the host that is in it"]);
}

#[test]
fn a_database_that_demands_a_certificate_ends_a_service_that_has_none() {
    let secured = secured();
    let outcome =
        worker_ends(&(secured.ledger("localhost") + &verified(&secured.authority.certificate(), None)));
    assert_says(&outcome, &["requires a valid client certificate"]);
}

#[test]
fn a_database_without_tls_is_refused_where_it_is_to_be_verified() {
    let clear = harness::services::postgres().new_database();
    let outcome = worker_ends(&(clear + "?sslmode=verify-full"));
    assert_says(&outcome, &["server does not support TLS", "ssl = on"]);
}

#[test]
fn a_database_hears_nothing_before_it_is_trusted() {
    let secured = secured();
    let ear = Ear::listen(&secured.server, Opening::Postgres);
    let url = format!("postgres://fleet:{PASSWORD}@localhost:{}/ledger", ear.port);
    worker_ends(&format!("{url}{}", verified(&secured.stranger.certificate(), None)));
    assert_eq!(ear.heard(), "");
    assert_eq!(ear.refusals(), 1, "asked once, and not again");
    let expected = Expected::dense(2);
    let tenant = expected.tenant(&[]);
    let trusting = format!("{url}{}", verified(&secured.authority.certificate(), None));
    let fleet = Fleet::on(&tenant, "amqp://127.0.0.1:9", &trusting);
    let _service = fleet.serve("worker", &[]);
    assert!(until(SOON, || ear.heard().contains("fleet")), "{}", fleet.said());
}

#[test]
fn a_graph_hears_no_token_before_it_is_trusted() {
    let secured = secured();
    let ear = Ear::listen(&secured.server, Opening::AtOnce);
    let expected = Expected::dense(2);
    let mut site = harness::Site::at(&format!("https://localhost:{}", ear.port));
    site.env("SSL_CERT_FILE", secured.stranger.certificate().to_str().unwrap());
    let rehearse = ["rehearse", "--datafile", expected.datafile()];
    let refused = site.start(&rehearse);
    assert!(until(SOON, || ear.refusals() > 0), "nobody came");
    refused.terminate();
    let refused = refused.wait();
    assert_ne!(refused.code, Some(0), "{}", refused.err);
    assert_eq!(ear.heard(), "");
    site.env("SSL_CERT_FILE", secured.authority.certificate().to_str().unwrap());
    let trusting = site.start(&rehearse);
    assert!(until(SOON, || ear.heard().contains("test-token")), "{}", ear.heard());
    trusting.terminate();
    trusting.wait();
}
