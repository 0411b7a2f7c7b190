//! The journal of changes: it tells every effect that the tenant saw, and whoever touches it is found out.

use harness::{Expected, Site, Tenant};
use ledger::{Ledger, SqliteLedger};
use serde_json::{Value, json};
use sqlx::{ConnectOptions, Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use std::collections::BTreeSet;

/// Moves a few users and takes them back.
fn forth_and_back() -> (Site, Tenant) {
    let expected = Expected::dense(12);
    let tenant = expected.tenant(&[]);
    let site = Site::new(&tenant);
    site.configure("[graph]\nrequest_timeout_s = 2\nvisibility_deadline_s = 1\nclock_skew_s = 1\n");
    site.run(&["migrate", "--datafile", expected.datafile()]).expect(&[0, 3]);
    (site, tenant)
}

fn check(site: &Site, more: &[&str], code: i32) -> Value {
    let args = [&["report", "--verify-journal", "--json"], more].concat();
    site.run(&args).expect(&[code]).json()
}

/// Users whose changes the ledger's journal tells as applied.
async fn told(site: &Site) -> BTreeSet<String> {
    let ledger = SqliteLedger::open_read_only(&site.path("mfa-migrate.db")).await.unwrap();
    let lines = ledger.journal(0, 10_000).await.unwrap();
    let changes = lines.iter().filter(|line| line.what == "changes");
    let mut users = BTreeSet::new();
    for line in changes {
        let changes: Vec<[String; 3]> = serde_json::from_str(&line.content).unwrap();
        let applied = changes.into_iter().filter(|[_, _, outcome]| outcome == "applied");
        users.extend(applied.map(|[user, slot, _]| format!("{user} {}", slot.split(':').next().unwrap())));
    }
    users
}

/// What the tenant saw, as users and methods.
fn seen(tenant: &Tenant) -> BTreeSet<String> {
    let effects =
        tenant.journal().into_iter().filter(|line| line["noop"] != true && line["user"].is_string());
    effects
        .map(|line| format!("{} {}", line["user"].as_str().unwrap(), line["method"].as_str().unwrap()))
        .collect()
}

#[tokio::test]
async fn every_effect_in_the_tenant_is_told_and_the_head_that_was_kept_is_found_later() {
    let (site, tenant) = forth_and_back();
    assert_eq!(told(&site).await, seen(&tenant));
    let first = check(&site, &[], 0);
    assert_eq!(first["whole"], true, "{first}");
    let head = first["head"].as_str().unwrap();
    site.run(&["rollback", "--all"]).expect(&[0, 3]);
    assert_eq!(told(&site).await, seen(&tenant));
    let later = check(&site, &["--head", &head[..16]], 0);
    assert_eq!(later["keptHeadIsLine"], first["lines"]);
    assert!(later["lines"].as_i64() > first["lines"].as_i64() && later["head"] != first["head"], "{later}");
    let strange = check(&site, &["--head", "0123456789abcdef"], 1);
    assert_eq!((&strange["whole"], &strange["keptHeadIsLine"]), (&json!(true), &Value::Null));
    site.run(&["report", "--verify-journal", "--head", "xyz"]).expect(&[2]);
    let said = site.run(&["report", "--verify-journal"]).expect(&[0]).out;
    assert!(said.contains("the journal is whole") && said.contains("--head"), "{said}");
}

/// Opens the ledger as somebody who knows SQL would.
async fn by_hand(site: &Site) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(site.path("mfa-migrate.db"));
    options.connect().await.unwrap()
}

#[tokio::test]
async fn whoever_touches_the_journal_is_found_out() {
    let edits = [
        (
            "UPDATE journal SET content = replace(content, 'applied', 'failed') WHERE what = 'changes'",
            "line 2 is not what was written",
        ),
        ("UPDATE journal SET at_ms = at_ms - 60000 WHERE no = 1", "line 1 is not what was written"),
        ("DELETE FROM journal WHERE no = 1", "line 1 is not where it belongs"),
        ("DELETE FROM journal WHERE no = (SELECT max(no) FROM journal)", "the chain ends with line"),
        (
            "DELETE FROM journal WHERE no = (SELECT max(no) FROM journal);
             UPDATE journal_head SET no = no - 1",
            "is not what was written",
        ),
    ];
    let (site, _tenant) = forth_and_back();
    let ledger = site.path("mfa-migrate.db");
    let copy = site.path("untouched.db");
    let mut first = by_hand(&site).await;
    for change in ["UPDATE journal SET content = ''", "DELETE FROM journal"] {
        assert!(sqlx::query(change).execute(&mut first).await.is_err(), "{change}");
    }
    sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut first).await.unwrap();
    first.close().await.unwrap();
    std::fs::copy(&ledger, &copy).unwrap();
    for (edit, finding) in edits {
        std::fs::copy(&copy, &ledger).unwrap();
        let mut hand = by_hand(&site).await;
        sqlx::raw_sql("DROP TRIGGER journal_is_append_only; DROP TRIGGER journal_is_kept")
            .execute(&mut hand)
            .await
            .unwrap();
        sqlx::raw_sql(edit).execute(&mut hand).await.unwrap();
        sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut hand).await.unwrap();
        hand.close().await.unwrap();
        let found = check(&site, &[], 1);
        assert_eq!(found["whole"], false, "{edit}");
        assert!(found["broken"].as_str().unwrap().contains(finding), "{edit}: {found}");
        let said = site.run(&["report", "--verify-journal"]).expect(&[1]);
        assert!(said.out.contains("the journal is broken"), "{}", said.out);
    }
}
