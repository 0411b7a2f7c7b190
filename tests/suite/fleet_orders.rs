//! Messages that nobody should have sent: orders twice and in any order, and what no process can open.

use broker::{Message, Purpose, Queue, Rabbit, Settings};
use contract::{Order, RunId};
use harness::services::rabbit;
use harness::{Expected, Fleet, until};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::{AMQPValue, FieldTable, LongString};
use lapin::{BasicProperties, Confirmation, Connection, ConnectionProperties};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(90);

/// Publishes by hand.
fn publish(fleet: &Fleet, purpose: Purpose, messages: Vec<Message>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let rabbit = Rabbit::connect(&fleet.broker, &Settings::default()).await.unwrap();
        let queue = rabbit.queue(purpose).await.unwrap();
        queue.publish(messages).await.unwrap();
        queue.close();
    });
}

#[test]
fn every_order_twice_and_out_of_order() {
    let expected = Expected::dense(120);
    let tenant = expected.tenant(&["--faults", harness::FAULTS]);
    let fleet = Fleet::new(&tenant);
    let _coordinator = fleet.coordinator();
    let following = fleet.start_migrate(&expected);
    // Nobody works yet, so that all of them wait in the queue, the second copies backwards and behind the first.
    let is_released = || fleet.status_text().contains("release");
    assert!(until(SOON, is_released), "{}", fleet.said());
    let run = RunId(fleet.status()["run"].as_i64().unwrap());
    let again: Vec<Message> = (1..=120)
        .rev()
        .map(|ordinal| Order::new(run, ordinal))
        .map(|order| Message::new(order.message_id(), order.encode()))
        .collect();
    publish(&fleet, Purpose::Work, again.clone());
    let _workers = fleet.workers(3);
    publish(&fleet, Purpose::Work, again.clone());
    let end = fleet.end_of(following).json();
    // And once more when all is done.
    publish(&fleet, Purpose::Work, again);
    fleet.must_be_clean(&expected, &tenant, &end);
}

#[test]
fn what_nobody_can_open_is_set_aside_and_stops_nobody() {
    let expected = Expected::dense(80);
    let tenant = expected.tenant(&[]);
    let fleet = Fleet::new(&tenant);
    let _services = (fleet.coordinator(), fleet.workers(2));
    let odd = |id: &str, body: &str| Message::new(id.to_owned(), body.as_bytes().to_vec());
    let odd_ones = || {
        vec![
            odd("odd-words", "no message of ours"),
            odd("odd-version", r#"{"v":99,"run":1,"ordinal":1,"kind":"record"}"#),
            odd("odd-empty", ""),
        ]
    };
    publish(&fleet, Purpose::Snapshot, odd_ones());
    publish(&fleet, Purpose::Work, odd_ones());
    let end = fleet.migrate(&expected).json();
    fleet.must_be_clean(&expected, &tenant, &end);
    let is_shown = || fleet.status()["parkedMessages"].as_u64() == Some(6);
    assert!(until(SOON, is_shown), "{}\n{}", fleet.status(), fleet.said());
    let status = fleet.status();
    let reasons: Vec<&str> =
        status["lastParked"].as_array().unwrap().iter().filter_map(|m| m["reason"].as_str()).collect();
    assert!(reasons.iter().any(|r| r.contains("version")), "{reasons:?}");
    assert!(reasons.iter().all(|r| !r.is_empty()), "{reasons:?}");
}

/// Publishes what our own publisher would refuse.
fn publish_raw(fleet: &Fleet, queue: &str, messages: &[(BasicProperties, Vec<u8>)]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let connection = Connection::connect(&fleet.broker, ConnectionProperties::default()).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
        for (properties, body) in messages {
            let published = channel.basic_publish(
                "".into(),
                queue.into(),
                BasicPublishOptions::default(),
                body,
                properties.clone(),
            );
            let confirmed = published.await.unwrap().await.unwrap();
            assert!(matches!(confirmed, Confirmation::Ack(_)), "the broker took it");
        }
        connection.close(200, "done".into()).await.unwrap();
    });
}

/// Too large for our bounds, without an id, or called what no text of PostgreSQL can hold.
fn strangers() -> Vec<(BasicProperties, Vec<u8>)> {
    let called = |id: &str| BasicProperties::default().with_message_id(id.into());
    let mut headers = FieldTable::default();
    for (name, value) in [("x-\0", "\0"), ("x-reason", "mine\0"), ("\u{1f4a5} name", "\u{1f4a5}"), ("", "")] {
        headers.insert(name.into(), AMQPValue::LongString(LongString::from(value)));
    }
    headers.insert("x-number".into(), AMQPValue::LongLongInt(7));
    // A record of a snapshot whose name is no digest, and no text either.
    let nameless = [&[1, 1][..], &[0; 64 + 8 + 40]].concat();
    vec![
        (called("too-large"), vec![b'x'; 3 * 1024 * 1024]),
        (called("a\0zero\0byte"), b"no message of ours".to_vec()),
        (called(&"long".repeat(60)).with_headers(headers), b"{}".to_vec()),
        (called("nameless"), nameless),
        (BasicProperties::default(), vec![0; 100]),
    ]
}

#[test]
fn what_is_too_large_or_oddly_named_is_set_aside_and_stops_nobody() {
    let expected = Expected::dense(80);
    let tenant = expected.tenant(&[]);
    let fleet = Fleet::new(&tenant);
    let (mut coordinator, mut workers) = (fleet.coordinator(), fleet.workers(2));
    let is_there = || fleet.site.run(&["status", "--json"]).code == Some(0);
    assert!(until(SOON, is_there), "{}", fleet.said());
    publish(&fleet, Purpose::Snapshot, Vec::new());
    publish(&fleet, Purpose::Work, Vec::new());
    let strangers = strangers();
    for queue in ["mfa-migrate.snapshot", "mfa-migrate.work"] {
        publish_raw(&fleet, queue, &strangers);
    }
    let end = fleet.migrate(&expected).json();
    fleet.must_be_clean(&expected, &tenant, &end);
    let in_all = 2 * strangers.len() as u64;
    let is_shown = || fleet.status()["parkedMessages"].as_u64() == Some(in_all);
    assert!(until(SOON, is_shown), "{}\n{}", fleet.status(), fleet.said());
    let status = fleet.status();
    let last = status["lastParked"].as_array().unwrap();
    assert!(last.iter().all(|m| m["reason"].as_str().is_some_and(|r| !r.is_empty())), "{status}");
    assert!(!coordinator.has_ended() && workers.iter_mut().all(|w| !w.has_ended()), "{}", fleet.said());
    let depth = |queue: &str| {
        let vhost = fleet.broker.rsplit('/').next().unwrap().replace("%2f", "/");
        let listed = rabbit().ctl(&["list_queues", "-p", &vhost, "--no-table-headers", "name", "messages"]);
        let of = |line: &str| line.strip_prefix(queue).map(|rest| rest.trim().to_owned());
        listed.lines().find_map(of).unwrap_or_default()
    };
    assert!(until(SOON, || depth("mfa-migrate.parked") == in_all.to_string()), "each is kept, once");
    assert_eq!((depth("mfa-migrate.work"), depth("mfa-migrate.snapshot")), ("0".into(), "0".into()));
}

#[test]
fn a_queue_that_is_deleted_under_the_workers_is_there_again_and_the_run_ends() {
    let expected = Expected::dense(160);
    let tenant = expected.tenant(&["--throttle", "writes=20/3"]);
    let fleet = Fleet::new(&tenant);
    let (mut coordinator, mut workers) = (fleet.coordinator(), fleet.workers(2));
    let following = fleet.start_migrate(&expected);
    assert!(until(SOON, || tenant.journal().len() > 10), "{}", fleet.said());
    let vhost = fleet.broker.rsplit('/').next().unwrap().replace("%2f", "/");
    rabbit().ctl(&["delete_queue", "-p", &vhost, "mfa-migrate.work"]);
    let end = fleet.end_of(following).json();
    fleet.must_be_clean(&expected, &tenant, &end);
    assert!(!coordinator.has_ended() && workers.iter_mut().all(|w| !w.has_ended()), "{}", fleet.said());
}

#[test]
fn an_order_of_a_run_that_is_unknown_or_over_is_no_order() {
    let expected = Expected::dense(40);
    let tenant = expected.tenant(&[]);
    let fleet = Fleet::new(&tenant);
    let _services = (fleet.coordinator(), fleet.workers(2));
    let strays: Vec<Message> = [RunId(4711), RunId(1)]
        .into_iter()
        .flat_map(|run| (1..=50).map(move |ordinal| Order::new(run, ordinal)))
        .map(|order| Message::new(order.message_id(), order.encode()))
        .collect();
    publish(&fleet, Purpose::Work, strays.clone());
    let end = fleet.migrate(&expected).json();
    publish(&fleet, Purpose::Work, strays);
    fleet.must_be_clean(&expected, &tenant, &end);
}
