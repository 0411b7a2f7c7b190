//! `ledger prepare`: makes the ledger of a server, or brings it to the shape of this version, and does nothing else.
//!
//! It is how the schema is made by the user that owns it, so that nothing that runs day and night has to own it. It reads
//! no key and no datafile, and asks Graph nothing. Running it twice changes nothing.

use crate::config::{Config, LedgerKind};
use crate::engine;
use crate::{Exit, Usage};
use anyhow::bail;

pub(crate) async fn run(config: &Config, json: bool) -> anyhow::Result<Exit> {
    if let LedgerKind::Sqlite(path) = config.ledger_kind()? {
        // Made here, it would lack its key.
        bail!(Usage(format!(
            "the ledger {} is a file, which the first rehearsal makes with its key, and every later version brings up to date \
             by itself; this is for --ledger postgres://…",
            path.display()
        )));
    }
    engine::open_ledger(config, true).await?;
    if json {
        println!("{}", serde_json::json!({ "prepared": true }));
    } else {
        println!("the ledger is as this version needs it");
    }
    Ok(Exit::Done)
}
