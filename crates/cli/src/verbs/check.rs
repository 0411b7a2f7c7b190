//! `check`: opens everything and says what is missing. It writes nothing but a new ledger's absence.

use crate::config::{BrokerKind, Config, LedgerKind};
use crate::engine::{self, Engine};
use crate::{Exit, keys};
use broker::{Purpose, Queue};
use contract::context;
use graph::{Ask, Pace, Reader};

/// One thing that was looked at.
#[derive(serde::Serialize)]
struct Finding {
    what: &'static str,
    ok: bool,
    detail: String,
}

pub(crate) async fn run(config: &Config, json: bool) -> anyhow::Result<Exit> {
    let mut findings = vec![key(config), ledger(config).await, broker(config).await];
    graph_findings(config, &mut findings).await;
    let ok = findings.iter().all(|f| f.ok);
    if json {
        println!("{}", serde_json::to_string(&findings)?);
    } else {
        for finding in &findings {
            println!(
                "{:>7}  {:12} {}",
                if finding.ok { "ok" } else { "MISSING" },
                finding.what,
                finding.detail
            );
        }
        println!("{}", if ok { "all is there" } else { "not everything is there: see MISSING above" });
    }
    Ok(if ok { Exit::Done } else { Exit::Usage })
}

fn key(config: &Config) -> Finding {
    let (ok, detail) = match keys::sealer(config, false) {
        Ok(_) => (true, "the sealing key is readable".to_owned()),
        Err(_) if config.key_file.is_none() && is_new(config) => {
            (true, "none yet: the first rehearsal makes one beside the ledger".to_owned())
        }
        Err(error) => (false, format!("{error:#}")),
    };
    Finding { what: "key", ok, detail }
}

/// Whether the ledger is a file that is yet to be made.
fn is_new(config: &Config) -> bool {
    matches!(config.ledger_kind(), Ok(LedgerKind::Sqlite(path)) if !path.exists())
}

async fn ledger(config: &Config) -> Finding {
    let (ok, detail) = if is_new(config) {
        (true, "none yet: the first rehearsal makes one".to_owned())
    } else {
        match opened(config).await {
            Ok(detail) => (true, detail.to_owned()),
            Err(error) => (false, format!("{error:#}")),
        }
    };
    Finding { what: "ledger", ok, detail }
}

/// Opens the ledger with its key: one that opens and cannot be read is of no use. One that was prepared and in which nobody
/// has begun anything holds nothing that a key could be tried on.
async fn opened(config: &Config) -> anyhow::Result<&'static str> {
    let ledger = engine::open_ledger(config, false).await?;
    if ledger.kept(context::FINGERPRINT_KEY).await?.is_none() {
        return Ok("the ledger is there and empty: the coordinator, or the first run, begins it");
    }
    Engine::look(config).await?;
    Ok("the ledger opens with this key")
}

/// The broker, and what its topology says.
async fn broker(config: &Config) -> Finding {
    if config.broker_kind().is_ok_and(|kind| kind == BrokerKind::Embedded) {
        let detail = "embedded: the queue lives in the process".to_owned();
        return Finding { what: "broker", ok: true, detail };
    }
    let depth = async {
        let rabbit = engine::config_broker(config).await?;
        let depth = rabbit.queue(Purpose::Work).await?.depth().await?;
        anyhow::Ok(format!("the broker answers, and {} orders lie in the queue", depth.ready))
    };
    let (ok, detail) = match depth.await {
        Ok(detail) => (true, detail),
        Err(error) => (false, format!("{error:#}")),
    };
    Finding { what: "broker", ok, detail }
}

async fn graph_findings(config: &Config, findings: &mut Vec<Finding>) {
    let mut add = |what, result: Result<String, String>| {
        let ok = result.is_ok();
        findings.push(Finding { what, ok, detail: result.unwrap_or_else(|e| e) });
        ok
    };
    let reader = config.graph().map_err(|e| e.to_string()).and_then(|graph| {
        Reader::new(graph, Pace::new()).map_err(|e| format!("{:#}", anyhow::Error::from(e)))
    });
    let reader = match reader {
        Ok(reader) => reader,
        Err(error) => {
            add("graph", Err(error));
            return;
        }
    };
    let why = |permission: &str, error: graph::Error| {
        format!("{:#} (takes the application permission {permission})", anyhow::Error::from(error))
    };
    let users = reader.users_page(None).await;
    let first = users.as_ref().ok().and_then(|page| page.items.first().map(|u| u.id.clone()));
    if !add(
        "directory",
        users
            .map(|p| format!("users can be read ({} on the first page)", p.items.len()))
            .map_err(|e| why("User.Read.All", e)),
    ) {
        return;
    }
    if let Some(user) = first {
        let seen = reader.observe(&[Ask { user, tokens: true }]).await.pop();
        let result = match seen {
            Some(Ok(_)) => Ok("authentication methods can be read".to_owned()),
            Some(Err(error)) => Err(why("UserAuthenticationMethod.Read.All", error)),
            None => Err("no answer".to_owned()),
        };
        add("methods", result);
    }
    add(
        "policy",
        reader
            .methods_policy()
            .await
            .map(|_| "the authentication methods policy can be read".to_owned())
            .map_err(|e| why("Policy.Read.All", e)),
    );
    add(
        "tokens",
        reader
            .inventory_page(None)
            .await
            .map(|_| "the inventory of hardware tokens can be read".to_owned())
            .map_err(|e| why("Policy.ReadWrite.AuthenticationMethod", e)),
    );
    let clock = match reader.clock_offset().await {
        Ok(offset) if offset.as_secs() <= config.graph.clock_skew_s => {
            Ok(format!("this clock and Graph's are {} s apart or less", offset.as_secs() + 1))
        }
        Ok(offset) => Err(format!(
            "this clock and Graph's are {} s apart: codes of tokens will be refused; set the clock by NTP",
            offset.as_secs()
        )),
        Err(error) => Err(format!("{:#}", anyhow::Error::from(error))),
    };
    add("clock", clock);
}
