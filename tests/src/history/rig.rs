//! What a history stands on: a folder in memory, a ledger whose clock can be set, and the limits of the procedure.

use super::clock::Clock;
use super::door::Hands;
use super::office::Site;
use contract::{EntraId, FingerprintKey, Sealer, Secret, context};
use ledger::SqliteLedger;
use sqlx::{Connection, SqliteConnection};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::Mutex;
use worker::Settings;

/// The bytes of a new ledger. Making the tables takes longer than many a history.
static NEW_LEDGER: OnceLock<Vec<u8>> = OnceLock::new();

/// A folder of a history: in memory where the machine has such a place, since a ledger makes sure of every commit.
pub(super) fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    let made = tempfile::Builder::new().prefix("history").tempdir_in(memory);
    made.or_else(|_| tempfile::tempdir()).expect("a folder")
}

/// Limits small enough that a doubt ends within seconds of the history's clock, in the proportions of the product's.
pub(super) fn settings() -> Settings {
    Settings {
        lease: Duration::from_secs(8),
        request_timeout: Duration::from_millis(1000),
        skew: Duration::from_millis(200),
        visibility_deadline: Duration::from_millis(1200),
        ..Settings::default()
    }
}

/// Makes a ledger in the folder.
pub(super) async fn site(folder: &Path, url: &str, clock: &Clock) -> Site {
    let ledger = folder.join("ledger.db");
    std::fs::write(&ledger, new_ledger()).expect("a ledger");
    let settings = settings();
    let graph = graph::Config {
        base_url: url.to_owned(),
        cloud: graph::Cloud::Global,
        credential: graph::Credential::Token(Secret::new("test-token")),
        request_timeout: settings.request_timeout,
    };
    let hands = Hands::new(open(&ledger).await);
    Site {
        clock: clock.clone(),
        hands: Arc::new(Mutex::new(hands)),
        ledger,
        sealer: Sealer::new(&[vec![7; 32]]).expect("a sealer"),
        graph,
        settings,
    }
}

/// The value before of every slot whose pre-image stands, by the user's id and the slot's key.
pub(super) type Standing = BTreeMap<(String, String), Option<String>>;

/// Reads the pre-images that stand, past the product, and the key that their slots are named by.
pub(super) async fn standing(site: &Site) -> Option<(Standing, FingerprintKey)> {
    let mut hands = site.hands.lock().await;
    let connection = hands.connection();
    let kept = sqlx::query_scalar::<_, Vec<u8>>("SELECT value FROM kept WHERE name = ?1");
    let kept = kept.bind(context::FINGERPRINT_KEY).fetch_optional(&mut *connection).await;
    let kept = kept.expect("the ledger")?;
    let key = site.sealer.open(context::FINGERPRINT_KEY, &kept).expect("the key of fingerprints");
    let rows = sqlx::query_as::<_, (String, String, Option<Vec<u8>>)>(
        "SELECT entra, slot, value FROM pre_image WHERE settled_by IS NULL",
    );
    let rows = rows.fetch_all(&mut *connection).await.expect("the pre-images");
    let open = |(user, slot, value): (String, String, Option<Vec<u8>>)| {
        let at = context::value(&EntraId(user.clone()), &slot);
        let value = value.map(|sealed| site.sealer.open_json::<String>(&at, &sealed).expect("a pre-image"));
        ((user, slot), value)
    };
    let standing = rows.into_iter().map(open).collect();
    Some((standing, FingerprintKey::new(&key)))
}

/// Copies a history's ledger and journal to another folder, for somebody to look into.
pub(super) async fn keep(site: &Site, folder: &Path, to: &Path) {
    let mut connection = open(&site.ledger).await;
    let folded = sqlx::raw_sql("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut connection).await;
    folded.expect("the ledger");
    std::fs::create_dir_all(to).expect("a folder");
    for name in ["ledger.db", "journal.ndjson"] {
        // A journal without a line is not there.
        drop(std::fs::copy(folder.join(name), to.join(name)));
    }
}

/// A connection of our own to a ledger.
pub(super) async fn open(ledger: &Path) -> SqliteConnection {
    let options = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(ledger)
        .busy_timeout(Duration::from_secs(10))
        .journal_mode(sqlx::sqlite::SqliteJournalMode::Wal)
        .synchronous(sqlx::sqlite::SqliteSynchronous::Off);
    SqliteConnection::connect_with(&options).await.expect("a connection to the ledger")
}

/// A ledger whose clock shows what a table says.
fn new_ledger() -> &'static [u8] {
    NEW_LEDGER.get_or_init(|| {
        std::thread::spawn(|| {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let folder = folder();
                let path = folder.path().join("ledger.db");
                SqliteLedger::open(&path).await.expect("a ledger").close().await;
                let mut connection = open(&path).await;
                let settable = "CREATE TABLE history_clock (now_ms INTEGER NOT NULL); \
                     INSERT INTO history_clock VALUES (0); DROP VIEW clock; \
                     CREATE VIEW clock AS SELECT now_ms FROM history_clock; PRAGMA wal_checkpoint(TRUNCATE);";
                sqlx::raw_sql(settable).execute(&mut connection).await.expect("a settable clock");
                connection.close().await.expect("the ledger's end");
                std::fs::read(&path).expect("the ledger")
            })
        })
        .join()
        .expect("a new ledger")
    })
}
